/** How long to wait before trying again: exponential with jitter, so that many peers do not return in one instant (W13). */
export interface BackoffLimits {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * Delay before retry number `failures` (0 = the first). `fraction` in [0, 1) spreads it over the upper half of
 * min(maxMs, firstMs · 2^failures). Pure.
 */
export function backoffMs(failures: number, fraction: number, { firstMs, maxMs }: BackoffLimits): number {
  const ceilingMs = Math.min(maxMs, firstMs * 2 ** Math.min(failures, 30));
  return ceilingMs * (0.5 + fraction / 2);
}
