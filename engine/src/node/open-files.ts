/**
 * Which of some files a program holds open for writing, as Linux tells it of the processes that this one may look at: those
 * of its own user, or all of them for root. Elsewhere nothing is known. A look costs a few microseconds for each open file of the
 * machine, and is given a breath after each process.
 */
import { lstatSync, readdirSync, statSync } from 'node:fs';
import { setImmediate as breath } from 'node:timers/promises';

export interface FileIdentity {
  readonly device: bigint;
  readonly inode: bigint;
}

/** Of `files`, by their index. `processes`: where Linux lists them. */
export async function openForWriting(
  files: readonly FileIdentity[],
  processes = '/proc',
): Promise<ReadonlySet<number>> {
  const wanted = new Map(files.map(({ device, inode }, index) => [`${device}:${inode}`, index]));
  const found = new Set<number>();
  for (const process_ of namesIn(processes)) {
    if (!/^\d+$/.test(process_) || process_ === String(process.pid)) continue;
    const descriptors = `${processes}/${process_}/fd`;
    for (const descriptor of namesIn(descriptors)) {
      const index = wanted.get(identityOf(`${descriptors}/${descriptor}`));
      if (index !== undefined && isForWriting(`${descriptors}/${descriptor}`)) found.add(index);
    }
    if (found.size === wanted.size) break;
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

function identityOf(path: string): string {
  try {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stat?.isFile() === true ? `${stat.dev}:${stat.ino}` : '';
  } catch {
    return '';
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
