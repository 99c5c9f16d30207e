/** How long to wait before trying again. Pure: the random fraction in [0, 1) is given by the caller. */

export interface BackoffLimits {
  /** Longest first delay. */
  readonly firstMs: number;
  /** Longest delay of all. */
  readonly maxMs: number;
}

/** To a relay: back within 30 s of its return (W2), and not all peers at one moment (W13). */
export const reconnectBackoff: BackoffLimits = { firstMs: 500, maxMs: 20_000 };
/** For a path that failed (M8, D1): soon at first, since most locks are short; then seldom, since it may last for days. */
export const pathBackoff: BackoffLimits = { firstMs: 1_000, maxMs: 60_000 };

/**
 * Delay before attempt `attempt + 1` after `attempt` failures in a row (0: the first failure). Doubles up to `maxMs`;
 * at least half of it stands, the rest is random, so that peers cut off together do not come back together.
 */
export function backoffDelayMs(attempt: number, fraction: number, limits: BackoffLimits): number {
  // Beyond 2^30 the product only overflows towards the maximum.
  const longestMs = Math.min(limits.maxMs, limits.firstMs * 2 ** Math.min(attempt, 30));
  return longestMs * (0.5 + fraction / 2);
}

/**
 * Retry times are stored by the wall clock, because they outlive the process. One that lies further ahead than any delay was
 * written before the clock was set back: it says nothing, and the retry is due (rule CLOCK).
 */
export function isRetryDue({ retryAtMs }: { readonly retryAtMs: number }, nowMs: number): boolean {
  return retryAtMs <= nowMs || retryAtMs > nowMs + pathBackoff.maxMs;
}

/** After a stale append: anywhere within two round trips (rule PR4). */
export function staleDelayMs(roundTripMs: number, fraction: number): number {
  return 2 * roundTripMs * fraction;
}
