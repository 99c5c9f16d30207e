/**
 * Whether bytes that are moved aside need no keeping on this disk (rule DISK4): only when the log that the relay holds now is
 * known to have them. What a path held in the past proves nothing here: that is remembered also from a log that was lost.
 */
import type { Digest, RelPath } from '@driftless/protocol';
import type { StateStore } from '../ports/state-store.ts';

/** Asked when they are moved aside, before the base moves: what is agreed on at `path`, or a side of its conflict, is in a record. */
export function isRecorded(store: StateStore, path: RelPath, digest: Digest): boolean {
  const base = store.row(path)?.base ?? null;
  const known = [base, ...store.variants(path).map(({ entry }) => entry)];
  return known.some((entry) => entry?.kind === 'file' && entry.content.digest === digest) || isInRoom(store, digest);
}

/** Asked of bytes that were in no record when they were moved aside: a file of the room holds them by now. */
export const isInRoom = (store: StateStore, digest: Digest): boolean => store.contentByDigest(digest) !== undefined;
