import { describe, expect, it } from 'vitest';
import { link, rel } from '../core/test-support/entries.ts';
import { createUnaskedDeletions } from './unasked-deletions.ts';

const nobody = { wentUnasked: [], wentForGood: 0 };
const entry = link('there');
const files = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ path: rel(`f${index}`), base: entry, remote: null }));
const burst = { sinceMs: 0, isMoved: () => false, isStillToGo: () => false };

describe('what went before anybody was asked', () => {
  it('is remembered up to a bound, and counted beyond it', () => {
    const unasked = createUnaskedDeletions(nobody);
    unasked.go(files(10_003), { nowMs: 5, sinceMs: 0 });
    const { wentUnasked, wentForGood } = unasked.went(burst);
    expect(wentUnasked).toHaveLength(10_000);
    expect(wentForGood).toBe(3);
  });
  it('is counted once, in however many turns it goes, and when it is gone', () => {
    const unasked = createUnaskedDeletions(nobody);
    for (const nowMs of [5, 6, 7]) unasked.go(files(15_000), { nowMs, sinceMs: 0 });
    expect(unasked.went(burst).wentForGood).toBe(5_000);
    const notYet = new Set(files(14_000).map(({ path }) => path));
    const left = unasked.went({ ...burst, isStillToGo: (path) => notYet.has(path) });
    // Of those that come back there are never too many.
    expect([left.wentUnasked.length, left.wentForGood]).toEqual([10_000, 1_000]);
    const isMoved = (path: string): boolean => path === 'f14999';
    expect(unasked.went({ ...burst, isMoved }).wentForGood).toBe(4_999);
    // The first ones went long ago, and those behind them again.
    unasked.go(files(15_000).slice(12_000), { nowMs: 20, sinceMs: 0 });
    expect(unasked.went({ ...burst, sinceMs: 20 })).toMatchObject({ wentUnasked: { length: 0 }, wentForGood: 3_000 });
  });
  it('is forgotten with its burst, the count as well', () => {
    const unasked = createUnaskedDeletions(nobody);
    unasked.go(files(10_003), { nowMs: 5, sinceMs: 0 });
    expect(unasked.went({ ...burst, sinceMs: 6 })).toEqual(nobody);
  });
  it('of an earlier run stays as long as its hold', () => {
    const unasked = createUnaskedDeletions({ wentUnasked: [{ path: 'a', entry, height: 3 }], wentForGood: 7 });
    expect(unasked.went({ ...burst, sinceMs: 1e9 })).toMatchObject({ wentUnasked: [{ path: 'a' }], wentForGood: 7 });
    unasked.forgetEarlierRun();
    expect(unasked.went(burst)).toEqual(nobody);
  });
});
