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
  /** What went since then. `isMoved`: it came again under another path, or comes back under another one, and is no loss. */
  went(burst: { readonly sinceMs: number; readonly isMoved: (path: RelPath) => boolean }): WentBefore;
  has(path: RelPath): boolean;
  /** The hold that an earlier run left is answered, or over. */
  forgetEarlierRun(): void;
  clear(): void;
}

/** A hold is written down with its list; of more than this only the first come back, and the hold says so. */
const entriesMax = 10_000;
const nothingBeyond = { count: 0, atMs: Number.NEGATIVE_INFINITY };

export function createUnaskedDeletions(earlierRun: WentBefore): UnaskedDeletions {
  const gone = new Map<RelPath, Omit<WentUnasked, 'path'> & { readonly atMs: number }>();
  // Of a hold that stands: its burst is what it was.
  for (const { path, entry, height } of earlierRun.wentUnasked)
    gone.set(path as RelPath, { entry, height, atMs: Number.POSITIVE_INFINITY });
  let beyond = { count: earlierRun.wentForGood, atMs: Number.POSITIVE_INFINITY };

  function forgetBefore(sinceMs: number): void {
    for (const [path, { atMs }] of gone) if (atMs < sinceMs) gone.delete(path);
    if (beyond.atMs < sinceMs) beyond = nothingBeyond;
  }

  return {
    go(rows, { nowMs, sinceMs }) {
      forgetBefore(sinceMs);
      for (const { path, base, remote } of rows) {
        gone.delete(path);
        // Directories are made again for what lies in them.
        if (base === null || base.kind === 'directory') continue;
        if (gone.size < entriesMax)
          gone.set(path, { entry: base, height: remote?.kind === 'tombstone' ? remote.height : null, atMs: nowMs });
        else beyond = { count: beyond.count + 1, atMs: nowMs };
      }
    },
    went({ sinceMs, isMoved }) {
      forgetBefore(sinceMs);
      return {
        wentUnasked: [...gone].flatMap(([path, { entry, height }]) => (isMoved(path) ? [] : [{ path, entry, height }])),
        wentForGood: beyond.count,
      };
    },
    has: (path) => gone.has(path),
    forgetEarlierRun() {
      for (const [path, { atMs }] of gone) if (atMs === Number.POSITIVE_INFINITY) gone.delete(path);
      if (beyond.atMs === Number.POSITIVE_INFINITY) beyond = nothingBeyond;
    },
    clear() {
      gone.clear();
      beyond = nothingBeyond;
    },
  };
}
