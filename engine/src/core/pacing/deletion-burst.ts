/**
 * When deletions wait for each other (rule FAST2): from the 20th within a second on they wait until the burst has been quiet for
 * a second, so that the guard judges them together. Single deletions do not wait here. What the guard holds waits as well before it
 * is shown: somebody who confirms it confirms what is listed, so the list should be whole. Pure but for what it remembers; the
 * moments are given.
 */

export const burstFilesMin = 20;
const windowMs = 1_000;
/** A burst that did not grow for so long is over. */
export const deletionQuietMs = 1_000;
/** A program that never stops deleting is not waited for any longer. */
const burstMsMax = 10_000;
/** What is held goes nowhere meanwhile; a deletion that takes longer than this is shown as far as it got. */
const heldMsMax = 60_000;

export interface DeletionBurst {
  /**
   * `waiting` deletions are ready to be published, or, with `isHeld`, to be asked about. How long they must still wait; 0 = not at
   * all. `isLookDue`: a look at everything is asked for, and may find that more went. It is waited for, however long it takes.
   */
  waitMs(waiting: number, nowMs: number, options?: { readonly isHeld?: boolean; readonly isLookDue?: boolean }): number;
  /** The deletions that were waiting are published, or are no more. */
  released(): void;
}

export function createDeletionBurst(): DeletionBurst {
  let waitingBefore = 0;
  /** How many deletions came when, within the last second. */
  let arrivals: readonly { readonly count: number; readonly atMs: number }[] = [];
  let burst: { readonly firstMs: number; lastMs: number } | null = null;

  return {
    waitMs(waiting, nowMs, { isHeld = false, isLookDue = false } = {}) {
      const came = waiting - waitingBefore;
      waitingBefore = waiting;
      arrivals = arrivals.filter(({ atMs }) => nowMs - atMs < windowMs);
      if (came > 0) arrivals = [...arrivals, { count: came, atMs: nowMs }];
      if (burst === null) {
        const lately = arrivals.reduce((sum, { count }) => sum + count, 0);
        if (!isHeld && (waiting === 0 || (lately < burstFilesMin && !isLookDue))) return 0;
        burst = { firstMs: nowMs, lastMs: nowMs };
      }
      // What came back is a sign of life too.
      if (came !== 0 || isLookDue) burst.lastMs = nowMs;
      if (isLookDue) return deletionQuietMs;
      const latestMs = burst.firstMs + (isHeld ? heldMsMax : burstMsMax);
      return Math.max(0, Math.min(burst.lastMs + deletionQuietMs, latestMs) - nowMs);
    },
    released() {
      waitingBefore = 0;
      burst = null;
    },
  };
}
