/**
 * A burst of deletions is known for one only once it is large: its first ones went already, and nobody was asked about them. They
 * belong to the same act, so that whoever declines the rest has them back as well. This remembers what went like that, each with what
 * was agreed on there, no longer than its burst lasts; a hold takes the list along, for days and over restarts.
 *
 * Leaves to others what a burst is (core/guards.ts), and how it comes back (apply/bring-back.ts).
 */
import type { RelPath } from '@driftless/protocol';
import type { WentBefore, WentUnasked } from '../core/holds.ts';
import type { Row } from '../core/row.ts';

export interface UnaskedDeletions {
  /** These go now, without a question. What went before `sinceMs` belongs to no burst any more. */
  go(
    rows: readonly Pick<Row, 'path' | 'base' | 'remote'>[],
    times: { readonly nowMs: number; readonly sinceMs: number },
  ): void;
  /** What went since then. */
  went(burst: {
    readonly sinceMs: number;
    /** It came again under another path, or comes back under another one, and is no loss. */
    readonly isMoved: (path: RelPath) => boolean;
    /** It was let go, and is not gone yet: whatever is answered holds for it as well. */
    readonly isStillToGo: (path: RelPath) => boolean;
  }): WentBefore;
  has(path: RelPath): boolean;
  /** The hold that an earlier run left is answered, or over. */
  forgetEarlierRun(): void;
  clear(): void;
}

/** A hold is written down with its list; of more than this only the first come back, and the hold says so. */
const entriesMax = 10_000;
/** Of these the paths alone are kept: what goes in many turns is named in each of them until it is gone. Of more the hold counts these. */
const countedMax = 200_000;

export function createUnaskedDeletions(earlierRun: WentBefore): UnaskedDeletions {
  const gone = new Map<RelPath, Omit<WentUnasked, 'path'> & { readonly atMs: number }>();
  // Of a hold that stands: its burst is what it was.
  for (const { path, entry, height } of earlierRun.wentUnasked)
    gone.set(path as RelPath, { entry, height, atMs: Number.POSITIVE_INFINITY });
  let beyondOfEarlierRun = earlierRun.wentForGood;
  const beyond = new Map<RelPath, number>();

  function forgetBefore(sinceMs: number): void {
    for (const [path, { atMs }] of gone) if (atMs < sinceMs) gone.delete(path);
    for (const [path, atMs] of beyond) if (atMs < sinceMs) beyond.delete(path);
  }

  return {
    go(rows, { nowMs, sinceMs }) {
      forgetBefore(sinceMs);
      for (const { path, base, remote } of rows) {
        gone.delete(path);
        beyond.delete(path);
        // Directories are made again for what lies in them.
        if (base === null || base.kind === 'directory') continue;
        if (gone.size < entriesMax)
          gone.set(path, { entry: base, height: remote?.kind === 'tombstone' ? remote.height : null, atMs: nowMs });
        else if (beyond.size < countedMax) beyond.set(path, nowMs);
      }
    },
    went({ sinceMs, isMoved, isStillToGo }) {
      forgetBefore(sinceMs);
      let wentForGood = beyondOfEarlierRun;
      for (const path of beyond.keys()) if (!isMoved(path) && !isStillToGo(path)) wentForGood += 1;
      return {
        wentUnasked: [...gone].flatMap(([path, { entry, height }]) => (isMoved(path) ? [] : [{ path, entry, height }])),
        wentForGood,
      };
    },
    has: (path) => gone.has(path),
    forgetEarlierRun() {
      for (const [path, { atMs }] of gone) if (atMs === Number.POSITIVE_INFINITY) gone.delete(path);
      beyondOfEarlierRun = 0;
    },
    clear() {
      gone.clear();
      beyond.clear();
      beyondOfEarlierRun = 0;
    },
  };
}
