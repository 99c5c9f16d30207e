/**
 * A burst of deletions is known for one only once it is large: its first ones went already, and nobody was asked about them. They
 * belong to the same act, so that whoever declines the rest has them back as well. This remembers what went like that, each with what
 * was agreed on there, no longer than its burst lasts; a hold takes the list along, for days and over restarts.
 *
 * Leaves to others what a burst is (core/guards.ts), and how it comes back (apply/bring-back.ts).
 */
import type { Entry, RelPath } from '@driftless/protocol';
import type { WentBefore } from '../core/holds.ts';
import type { Row } from '../core/row.ts';

export interface UnaskedDeletions {
  /** These go now, without a question. What went before `sinceMs` belongs to no burst any more. */
  go(rows: readonly Pick<Row, 'path' | 'base'>[], times: { readonly nowMs: number; readonly sinceMs: number }): void;
  /** What went since then. `moved`: files that came again under other paths, which are no loss. */
  went(burst: { readonly sinceMs: number; readonly moved: ReadonlySet<RelPath> }): WentBefore;
  /** The hold that an earlier run left is answered, or over. */
  forgetEarlierRun(): void;
  clear(): void;
}

/** A hold is written down with its list; of more than this only the first come back, and the hold says so. */
const entriesMax = 10_000;
const nothingBeyond = { count: 0, atMs: Number.NEGATIVE_INFINITY };

export function createUnaskedDeletions(earlierRun: WentBefore): UnaskedDeletions {
  const gone = new Map<RelPath, { readonly entry: Entry; readonly atMs: number }>();
  // Of a hold that stands: its burst is what it was.
  for (const { path, entry } of earlierRun.wentUnasked)
    gone.set(path as RelPath, { entry, atMs: Number.POSITIVE_INFINITY });
  let beyond = { count: earlierRun.wentForGood, atMs: Number.POSITIVE_INFINITY };

  function forgetBefore(sinceMs: number): void {
    for (const [path, { atMs }] of gone) if (atMs < sinceMs) gone.delete(path);
    if (beyond.atMs < sinceMs) beyond = nothingBeyond;
  }

  return {
    go(rows, { nowMs, sinceMs }) {
      forgetBefore(sinceMs);
      for (const { path, base } of rows) {
        gone.delete(path);
        // Directories are made again for what lies in them.
        if (base === null || base.kind === 'directory') continue;
        if (gone.size < entriesMax) gone.set(path, { entry: base, atMs: nowMs });
        else beyond = { count: beyond.count + 1, atMs: nowMs };
      }
    },
    went({ sinceMs, moved }) {
      forgetBefore(sinceMs);
      return {
        wentUnasked: [...gone].flatMap(([path, { entry }]) => (moved.has(path) ? [] : [{ path, entry }])),
        wentForGood: beyond.count,
      };
    },
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
