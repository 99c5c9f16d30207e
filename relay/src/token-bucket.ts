/** A rate with a burst. Pure in time: the caller says when it is. */
export interface TokenBucket {
  /**
   * Takes `amount` and returns 0, or leaves all as it is and returns after how many milliseconds to ask again. More than the
   * burst passes once the bucket is full, and leaves a debt.
   */
  take(amount: number, nowMs: number): number;
  /** What `take` would return; takes nothing. */
  waitMs(amount: number, nowMs: number): number;
}

/** Of sums of fractions: far below one token. */
const rounding = 1e-6;

export function createTokenBucket({
  perSecond,
  burst,
}: {
  readonly perSecond: number;
  readonly burst: number;
}): TokenBucket {
  let level = burst;
  let atMs: number | undefined;
  function waitMs(amount: number, nowMs: number): number {
    level = Math.min(burst, level + ((nowMs - (atMs ?? nowMs)) * perSecond) / 1_000);
    atMs = nowMs;
    const needed = Math.min(amount, burst);
    if (level + rounding >= needed) return 0;
    return Math.max(1, Math.ceil(((needed - level - rounding) * 1_000) / perSecond));
  }
  return {
    waitMs,
    take(amount, nowMs) {
      const untilMs = waitMs(amount, nowMs);
      if (untilMs === 0) level -= amount;
      return untilMs;
    },
  };
}
