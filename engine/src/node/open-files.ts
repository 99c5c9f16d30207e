/**
 * Which of some files a program holds open for writing, as Linux tells it of the processes that this one may look at: those
 * of its own user, or all of them for root. Elsewhere nothing is known. A look costs some microseconds for each open file of the
 * machine, and is given a breath after each process.
 */
import { lstatSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { setImmediate as breath } from 'node:timers/promises';

/** `processes`: where Linux lists them. The links there follow a file that is renamed, so names are compared first, which is cheap. */
export async function openForWriting(paths: readonly string[], processes = '/proc'): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  const wanted = new Map(paths.map((path) => [basename(path), path]));
  if (wanted.size === 0) return found;
  for (const process_ of namesIn(processes)) {
    if (!/^\d+$/.test(process_) || process_ === String(process.pid)) continue;
    const descriptors = `${processes}/${process_}/fd`;
    for (const descriptor of namesIn(descriptors)) {
      const link = `${descriptors}/${descriptor}`;
      const path = wanted.get(lastNameOf(link));
      if (path !== undefined && isSame(link, path) && isForWriting(link)) found.add(path);
    }
    await breath();
  }
  return found;
}

/** Ended meanwhile, or not ours to look at: nothing. */
function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function lastNameOf(link: string): string {
  try {
    const target = readlinkSync(link);
    return target.slice(target.lastIndexOf('/') + 1);
  } catch {
    return '';
  }
}

/** Another place may have a file of that name, and a process another view of places. */
function isSame(link: string, path: string): boolean {
  try {
    const [open, named] = [statSync(link, { bigint: true }), lstatSync(path, { bigint: true })];
    return open.dev === named.dev && open.ino === named.ino;
  } catch {
    return false;
  }
}

/** The link's own bits say how the file was opened. */
function isForWriting(link: string): boolean {
  try {
    return (lstatSync(link).mode & 0o200) !== 0;
  } catch {
    return false;
  }
}
