/** Whether bytes need no keeping on this disk because the room has them, or has had them. */
import type { Digest, RelPath } from '@driftless/protocol';
import type { StateStore } from '../ports/state-store.ts';

/** Called before the base moves: what is agreed on at `path` is in a record. */
export function isRecorded(store: StateStore, path: RelPath, digest: Digest): boolean {
  const base = store.row(path)?.base ?? null;
  if (base?.kind === 'file' && base.content.digest === digest) return true;
  // During a join it is not certain that the log which this peer remembers is the one that the relay holds.
  return (
    store.setting('join') === undefined &&
    (store.inHistory(path, digest) || store.contentByDigest(digest) !== undefined)
  );
}
