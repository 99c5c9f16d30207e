import { expect, test } from 'vitest';
import { sweepPeriodMs, unwatchedPeriodMs } from './sweep-period.ts';

test.each([
  [0, 15_000, 10_000],
  [600, 15_000, 10_000],
  [1_000, 24_000, 10_000],
  [20_000, 480_000, 48_000],
  [25_000, 600_000, 60_000],
  [100_000, 600_000, 240_000],
  [1_000_000, 600_000, 300_000],
])('%i files: every %i ms, and every %i ms where nothing is watched', (files, watchedMs, unwatchedMs) => {
  expect(sweepPeriodMs(files)).toBe(watchedMs);
  expect(unwatchedPeriodMs(files)).toBe(unwatchedMs);
});
