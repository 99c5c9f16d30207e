import { describe, expect, it } from 'vitest';
import { backoffDelayMs, staleDelayMs } from './backoff.ts';

const limits = { firstMs: 100, maxMs: 1_000 };

describe('backoff', () => {
  it.each([
    [0, 0, 50],
    [0, 0.5, 75],
    [1, 0, 100],
    [3, 0, 400],
    [4, 0, 500],
    [4, 0.999, 999.5],
    [1_000_000, 0, 500],
  ])('after failure %d, fraction %d: %d ms', (attempt, fraction, expected) => {
    expect(backoffDelayMs(attempt, fraction, limits)).toBeCloseTo(expected);
  });

  it('after a stale append, within two round trips (PR4)', () => {
    expect(staleDelayMs(200, 0)).toBe(0);
    expect(staleDelayMs(200, 0.75)).toBe(300);
  });
});
