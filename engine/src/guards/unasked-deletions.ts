/**
 * A burst of deletions is known for one only once it is large: its first ones went already, and nobody was asked about them. They
 * belong to the same act, so that whoever declines the rest has them back as well. This remembers what went like that, each with what
 * was agreed on there, no longer than its burst lasts; a hold takes the list along, for days and over restarts.
 *
 * Leaves to others what a burst is (core/guards.ts), and how it comes back (apply/bring-back.ts).
 */
import type { Entry, RelPath } from '@driftless/protocol';
import type { WentUnasked } from '../core/holds.ts';
import type { Row } from '../core/row.ts';

export interface UnaskedDeletions {
  /** These go now, without a question. What went before `sinceMs` belongs to no burst any more. */
  go(rows: readonly Row[], times: { readonly nowMs: number; readonly sinceMs: number }): void;
  /** What went since then. `moved`: files that came again under other paths, which are no loss. */
  went(burst: { readonly sinceMs: number; readonly moved: ReadonlySet<RelPath> }): readonly WentUnasked[];
  /** The hold that an earlier run left is answered, or over. */
  forgetEarlierRun(): void;
  clear(): void;
}

/** A hold is written down with its list; of more than this only the first come back. */
const entriesMax = 10_000;

export function createUnaskedDeletions(earlierRun: readonly WentUnasked[]): UnaskedDeletions {
  const gone = new Map<RelPath, { readonly entry: Entry; readonly atMs: number }>();
  // Of a hold that stands: its burst is what it was.
  for (const { path, entry } of earlierRun) gone.set(path as RelPath, { entry, atMs: Number.POSITIVE_INFINITY });

  function forgetBefore(sinceMs: number): void {
    for (const [path, { atMs }] of gone) if (atMs < sinceMs) gone.delete(path);
  }

  return {
    go(rows, { nowMs, sinceMs }) {
      forgetBefore(sinceMs);
      for (const { path, base } of rows) {
        gone.delete(path);
        // Directories are made again for what lies in them.
        if (base !== null && base.kind !== 'directory' && gone.size < entriesMax)
          gone.set(path, { entry: base, atMs: nowMs });
      }
    },
    went({ sinceMs, moved }) {
      forgetBefore(sinceMs);
      return [...gone].flatMap(([path, { entry }]) => (moved.has(path) ? [] : [{ path, entry }]));
    },
    forgetEarlierRun() {
      for (const [path, { atMs }] of gone) if (atMs === Number.POSITIVE_INFINITY) gone.delete(path);
    },
    clear: () => gone.clear(),
  };
}
