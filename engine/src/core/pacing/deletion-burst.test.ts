import { beforeEach, expect, test } from 'vitest';
import { createDeletionBurst, type DeletionBurst } from './deletion-burst.ts';

let burst: DeletionBurst;
beforeEach(() => {
  burst = createDeletionBurst();
});

test('single deletions do not wait', () => {
  for (let atMs = 0; atMs < 10_000; atMs += 100) {
    expect(burst.waitMs(1, atMs)).toBe(0);
    burst.released();
  }
});

test('nineteen within a second go, the twentieth waits for a second of quiet', () => {
  expect(burst.waitMs(19, 0)).toBe(0);
  burst.released();
  expect(burst.waitMs(1, 900)).toBe(1_000);
  expect(burst.waitMs(1, 1_400)).toBe(500);
  expect(burst.waitMs(1, 1_900)).toBe(0);
});

test('many at once wait together, and each further one renews the wait', () => {
  expect(burst.waitMs(50, 0)).toBe(1_000);
  expect(burst.waitMs(90, 600)).toBe(1_000);
  expect(burst.waitMs(90, 1_599)).toBe(1);
  expect(burst.waitMs(90, 1_600)).toBe(0);
});

test('while a look at everything is due, even one waits, and a second longer than the look', () => {
  expect(burst.waitMs(1, 0, { isLookDue: true })).toBe(1_000);
  expect(burst.waitMs(1, 800, { isLookDue: true })).toBe(1_000);
  expect(burst.waitMs(1, 1_200)).toBe(600);
  expect(burst.waitMs(1, 1_800)).toBe(0);
});

test('files that come back are waited for as well', () => {
  expect(burst.waitMs(50, 0)).toBe(1_000);
  expect(burst.waitMs(20, 800)).toBe(1_000);
  expect(burst.waitMs(1, 1_700)).toBe(1_000);
});

test('a program that never stops deleting is not waited for beyond ten seconds', () => {
  let waiting = 20;
  let atMs = 0;
  while (burst.waitMs(waiting, atMs) > 0) {
    waiting += 1;
    atMs += 100;
  }
  expect(atMs).toBe(10_000);
});

test('after a burst, single deletions are single again', () => {
  burst.waitMs(50, 0);
  expect(burst.waitMs(50, 1_000)).toBe(0);
  burst.released();
  expect(burst.waitMs(1, 3_000)).toBe(0);
});
