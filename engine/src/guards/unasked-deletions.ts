/**
 * A burst of deletions is known for one only once it is large: its first ones went already, and nobody was asked about them. They
 * belong to the same act, so that whoever declines the rest has them back as well. This remembers what went like that, each with what
 * was agreed on there, for as long as its burst lasts; a hold takes the list along, for days and over restarts.
 *
 * Leaves to others what a burst is (core/guards.ts), and how it comes back (declined-deletion.ts).
 */
import type { Entry, RelPath } from '@driftless/protocol';
import { burstMs } from '../core/guards.ts';
import type { WentUnasked } from '../core/holds.ts';
import type { Row } from '../core/row.ts';

export interface UnaskedDeletions {
  /** These go now, without a question. */
  go(rows: readonly Row[], nowMs: number): void;
  /** No file went lately, or those that did are back. */
  noBurst(nowMs: number): void;
  /** What went. `moved`: files that came again under other paths, which are no loss. */
  went(moved: ReadonlySet<RelPath>): readonly WentUnasked[];
  clear(): void;
}

export function createUnaskedDeletions(earlierRun: readonly WentUnasked[]): UnaskedDeletions {
  const gone = new Map<RelPath, Entry>(earlierRun.map(({ path, entry }) => [path as RelPath, entry]));
  let lastMs = Number.NEGATIVE_INFINITY;

  return {
    go(rows, nowMs) {
      for (const { path, base } of rows) {
        if (base === null) continue;
        gone.set(path, base);
        lastMs = nowMs;
      }
    },
    noBurst(nowMs) {
      // Links and directories make no burst, and may be how one begins.
      if (nowMs - lastMs > burstMs) gone.clear();
    },
    went: (moved) => [...gone].flatMap(([path, entry]) => (moved.has(path) ? [] : [{ path, entry }])),
    clear: () => gone.clear(),
  };
}
