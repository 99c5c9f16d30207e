import { expect, test } from 'vitest';
import { createTokenBucket } from './token-bucket.ts';

test('the burst passes at once, then the rate', () => {
  const bucket = createTokenBucket({ perSecond: 10, burst: 3 });
  expect([0, 0, 0, 0].map((at) => bucket.take(1, at))).toEqual([0, 0, 0, 100]);
  expect(bucket.take(1, 99)).toBe(1);
  expect(bucket.take(1, 100)).toBe(0);
  expect(bucket.take(1, 100)).toBe(100);
});

test('no more than the burst is saved up', () => {
  const bucket = createTokenBucket({ perSecond: 10, burst: 2 });
  expect([0, 60_000, 60_000, 60_000].map((at) => bucket.take(1, at))).toEqual([0, 0, 0, 100]);
});

test('what is larger than the burst passes when the bucket is full, and is paid for afterwards', () => {
  const bucket = createTokenBucket({ perSecond: 10, burst: 2 });
  expect(bucket.take(5, 0)).toBe(0);
  expect(bucket.take(1, 0)).toBe(400);
  expect(bucket.take(1, 400)).toBe(0);
});
