/**
 * Which old file a new one was, that is new on both sides under one name, where no bytes tell because both sides edited it after
 * the rename (rule LOG6, C11). A guess, by the bytes of the side that did not edit it, else by its name; only where one old and
 * one new file answer to it. A wrong one does no harm: the old file is gone on both sides, and contents that have nothing in common with
 * it overlap in the merge, which is the conflict that they would have been without a base.
 * Pure; O(changed rows).
 */
import type { RelPath } from '@driftless/protocol';
import { liveEntry } from './entry-encoding.ts';
import type { Row } from './row.ts';
import { parentPath } from './tree-paths.ts';

export interface NewOnBoth {
  readonly from: Row;
  readonly to: Row;
}

export function pairNewOnBoth(options: {
  /** Left their paths on both sides, and were not found again by their bytes. */
  readonly old: readonly Row[];
  /** Files that are new on both sides. */
  readonly found: readonly Row[];
  /** Nothing is at the path, or something else whose origin is known. */
  readonly isFreed: (row: Row) => boolean;
}): readonly NewOnBoth[] {
  const old = new Set(options.old.filter((row) => row.base?.kind === 'file' && options.isFreed(row)));
  const found = new Set(options.found);
  const pairs: NewOnBoth[] = [];
  const take = (from: Row, to: Row): void => {
    old.delete(from);
    found.delete(to);
    pairs.push({ from, to });
  };
  // Of old files with the same bytes any will do.
  for (const to of found) {
    const digests = [to.local?.kind === 'file' ? to.local.digest : undefined, digestOf(to)];
    for (const from of old) {
      if (from.base?.kind !== 'file' || !digests.includes(from.base.content.digest)) continue;
      take(from, to);
      break;
    }
  }
  for (const keyOf of [nameOf, placeAndEnding, endingOf]) {
    const only = onlyOnes(old, keyOf);
    for (const [key, to] of onlyOnes(found, keyOf)) {
      const from = only.get(key);
      if (from !== undefined) take(from, to);
    }
  }
  return pairs;
}

/** By key, where one row alone has it. */
function onlyOnes(rows: Iterable<Row>, keyOf: (path: RelPath) => string): Map<string, Row> {
  const byKey = new Map<string, Row | null>();
  for (const row of rows) byKey.set(keyOf(row.path), byKey.has(keyOf(row.path)) ? null : row);
  return new Map([...byKey].flatMap(([key, row]) => (row === null ? [] : [[key, row] as const])));
}

function digestOf({ remote }: Row): string | undefined {
  const entry = liveEntry(remote);
  return entry?.kind === 'file' ? entry.content.digest : undefined;
}

const nameOf = (path: RelPath): string => path.slice(path.lastIndexOf('/') + 1).toLowerCase();
const placeAndEnding = (path: RelPath): string => `${parentPath(path) ?? ''}/${endingOf(path)}`;
function endingOf(path: RelPath): string {
  const name = nameOf(path);
  const dot = name.lastIndexOf('.');
  return dot > 0 ? name.slice(dot) : '';
}
