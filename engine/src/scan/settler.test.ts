import type { RelPath } from '@driftless/protocol';
import { beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '../testing/fake-clock.ts';
import { createSettler, type Settler } from './settler.ts';

let clock: FakeClock;
let settler: Settler;
beforeEach(() => {
  clock = createFakeClock();
  settler = createSettler(clock);
});
const rel = (path: string): RelPath => path as RelPath;
const taken = (): string[] => settler.take().map(({ path, deep }) => (deep ? `${path}/**` : path));

test('a path is due after 3 ms without a hint', async () => {
  settler.hint(rel('a'), false);
  await clock.advance(2);
  settler.hint(rel('a'), false);
  await clock.advance(2);
  expect(taken()).toEqual([]);
  await clock.advance(1);
  expect(taken()).toEqual(['a']);
  expect(settler.size).toBe(0);
});

test('a path that never rests is looked at all the same, ten times a second', async () => {
  let looks = 0;
  for (let ms = 0; ms < 1_000; ms += 1) {
    settler.hint(rel('log'), false);
    looks += taken().length;
    await clock.advance(1);
  }
  expect(looks).toBeGreaterThanOrEqual(8);
  expect(looks).toBeLessThanOrEqual(11);
});

describe('a path in doubt', () => {
  const a = rel('a');
  const now = (isSo: boolean) => ({ isSo, lookedMs: clock.monotonicMs() });

  test('is looked at once more after its grace, and not settled until then', async () => {
    settler.doubt({ path: a, deep: false }, 100);
    expect(settler.doubted()).toEqual(['a']);
    await clock.advance(99);
    expect(taken()).toEqual([]);
    expect(settler.has(a)).toBe(true);
    await clock.advance(1);
    expect(taken()).toEqual(['a']);
    expect(settler.decide(a, now(true))).toBe('believed');
    expect(settler.doubted()).toEqual([]);
    expect(settler.has(a)).toBe(false);
  });

  test('is looked at soon after an event, and its grace begins again', async () => {
    settler.doubt({ path: a, deep: false }, 100);
    await clock.advance(90);
    settler.hint(a, false);
    await clock.advance(3);
    expect(taken()).toEqual(['a']);
    expect(settler.decide(a, now(true))).toBe('waits');
    await clock.advance(96);
    expect(taken()).toEqual([]);
    await clock.advance(1);
    expect(taken()).toEqual(['a']);
    expect(settler.decide(a, now(true))).toBe('believed');
  });

  test('that is back is no longer in doubt, and the next doubt has its whole grace', async () => {
    settler.doubt({ path: a, deep: false }, 100);
    settler.hint(a, false);
    await clock.advance(3);
    expect(taken()).toEqual(['a']);
    expect(settler.decide(a, now(false))).toBe('back');
    await clock.advance(5_000);
    settler.doubt({ path: a, deep: false }, 100);
    await clock.advance(50);
    expect(settler.decide(a, now(true))).toBe('waits');
  });

  test('is believed at last, however restless it is', async () => {
    settler.doubt({ path: a, deep: false }, 100);
    for (let waitedMs = 0; settler.doubted().length > 0; waitedMs += 20) {
      expect(waitedMs).toBeLessThan(1_300);
      settler.hint(a, false);
      await clock.advance(20);
      if (taken().length > 0) settler.decide(a, now(true));
    }
  });

  test('stays so while everything is scanned, and a look that began before does not decide', async () => {
    settler.doubt({ path: a, deep: true }, 100);
    const lookedMs = clock.monotonicMs();
    settler.clear();
    expect(settler.has(rel('a/x'))).toBe(true);
    await clock.advance(5_000);
    expect(settler.decide(a, { isSo: true, lookedMs })).toBe('waits');
    expect(taken()).toEqual(['a/**']);
  });
});

test('a deep request stays deep, whatever is asked for after it', async () => {
  settler.hint(rel('dir'), true);
  settler.unstable({ path: rel('dir'), deep: false });
  settler.hint(rel('dir'), false);
  settler.doubt({ path: rel('dir'), deep: false }, 100);
  await clock.advance(1_000);
  expect(taken()).toEqual(['dir/**']);
  expect(settler.has(rel('dir/x'))).toBe(false);
});

test('a deep hint covers what lies below; clearing forgets it', async () => {
  settler.hint(rel('dir'), true);
  expect(settler.has(rel('dir/sub/file'))).toBe(true);
  expect(settler.has(rel('dirt'))).toBe(false);
  settler.clear();
  expect(settler.has(rel('dir/sub/file'))).toBe(false);
});

test('a file that changes while it is read is looked at again with growing pauses', async () => {
  const delays: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    settler.unstable({ path: rel('a'), deep: false });
    delays.push(settler.nextDelayMs() ?? -1);
  }
  expect(delays).toEqual([100, 200, 400, 800]);
});

describe('more paths than are kept one by one', () => {
  const manyPaths = 60_000;

  test('become one look at everything', async () => {
    for (let index = 0; index < manyPaths; index += 1) settler.hint(rel(`f${index}`), false);
    await clock.advance(3);
    expect(taken()[0]).toBe('/**');
    expect(settler.size).toBe(0);
  });

  test('in doubt stay so, however many there are and whatever is hinted at meanwhile', async () => {
    for (let index = 0; index < manyPaths; index += 1) settler.doubt({ path: rel(`f${index}`), deep: false }, 100);
    settler.hint(rel('other'), false);
    settler.hint(rel('f0'), false);
    await clock.advance(3);
    expect(taken()).toEqual(['f0', 'other']);
    expect(settler.decide(rel('f0'), { isSo: true, lookedMs: clock.monotonicMs() })).toBe('waits');
    for (let index = 0; index < manyPaths; index += 1) settler.hint(rel(`g${index}`), false);
    expect(settler.has(rel('anything'))).toBe(true);
    expect(settler.doubted()).toHaveLength(manyPaths);
    expect(settler.has(rel('f59999'))).toBe(true);
  });
});
