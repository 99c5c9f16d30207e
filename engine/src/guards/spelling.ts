/**
 * What somebody else names a file by may be another spelling than ours, on a disk that takes several for one: an editor opens
 * `readme.md`, and the row says `README.md` (rule N2). Whoever is told of such a path asks here which row it is.
 */
import type { RelPath } from '@driftless/protocol';
import { clashKey } from '../core/folder-name.ts';
import type { FolderTraits } from '../core/folder-traits.ts';
import { movedPath, parentPath } from '../core/tree-paths.ts';
import type { StateStore } from '../ports/state-store.ts';

/** `path` as it is known to be on this disk; unchanged where nothing is known of it. */
export type Spelling = (path: RelPath) => RelPath;

export function createSpelling(store: Pick<StateStore, 'row' | 'localChildren'>, traits: FolderTraits): Spelling {
  if (traits.caseSensitive && !traits.foldsUnicode) return (path) => path;

  const spelled: Spelling = (path) => {
    if (store.row(path)?.local != null) return path;
    const parent = parentPath(path);
    const above = parent === undefined ? undefined : spelled(parent);
    const there = parent === undefined || above === undefined ? path : movedPath(path, parent, above);
    const key = clashKey(there, traits);
    const isHere = store
      .localChildren(above ?? '')
      .find((row) => row.local !== null && clashKey(row.path, traits) === key);
    return isHere?.path ?? there;
  };
  return spelled;
}
