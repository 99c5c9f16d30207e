/**
 * What a scan does with a watcher, and nothing else of a scan: each directory is watched right before it is listed. For tests and
 * benches of watchers.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RelPath } from '@driftless/protocol';
import { ownDirectoryName } from '@driftless/protocol';
import type { Watcher } from '../ports/watcher.ts';

export interface FollowedTree {
  readonly rootPath: string;
  readonly isIgnored: (path: string) => boolean;
}

/** Watches and lists `path` if it is a directory, and what is below if that is new or `deep`. Returns what was listed. */
export function followWatches(
  watcher: Pick<Watcher, 'watch' | 'isWatched'>,
  { rootPath, isIgnored }: FollowedTree,
  { path, deep }: { readonly path: string; readonly deep: boolean },
): readonly string[] {
  const found: string[] = [];
  const visit = (directory: string, isDeep: boolean): void => {
    if (directory === ownDirectoryName || isIgnored(directory)) return;
    const isNew = !watcher.isWatched(directory as RelPath);
    watcher.watch(directory as RelPath);
    for (const entry of listed(join(rootPath, directory))) {
      const child = directory === '' ? entry.name : `${directory}/${entry.name}`;
      found.push(child);
      if (!entry.isDirectory()) continue;
      if (isDeep || isNew || !watcher.isWatched(child as RelPath)) visit(child, isDeep || isNew);
    }
  };
  visit(path, deep);
  return found;
}

function listed(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    // A file, or gone.
    return [];
  }
}
