import type { RelPath } from '@driftless/protocol';
import { beforeEach, expect, test } from 'vitest';
import { createSettler, type Settler } from './settler.ts';
import { createFakeClock, type FakeClock } from './testing/fake-clock.ts';

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

test('what is gone waits 100 ms, once', async () => {
  settler.hint(rel('a'), false);
  await clock.advance(3);
  const [request] = settler.take();
  if (request === undefined) throw new Error('not due');
  expect(settler.waitGone(request)).toBe(true);
  expect(settler.has(rel('a'))).toBe(true);
  await clock.advance(99);
  expect(taken()).toEqual([]);
  await clock.advance(1);
  expect(taken()).toEqual(['a']);
  expect(settler.waitGone(request)).toBe(false);
});

test('something new waits with what is gone, so that a rename is seen whole', async () => {
  settler.hint(rel('old'), true);
  settler.hint(rel('new'), true);
  await clock.advance(3);
  settler.take();
  expect(settler.waitGone({ path: rel('old'), deep: true })).toBe(true);
  expect(settler.waitWithGone({ path: rel('new'), deep: true })).toBe(true);
  await clock.advance(100);
  expect(taken().sort()).toEqual(['new/**', 'old/**']);
  expect(settler.waitGone({ path: rel('old'), deep: true })).toBe(false);
  expect(settler.waitWithGone({ path: rel('new'), deep: true })).toBe(false);
});

test('nothing waits when nothing is gone, nor for longer than 300 ms', async () => {
  expect(settler.waitWithGone({ path: rel('new'), deep: false })).toBe(false);
  let waits = 0;
  for (let round = 0; round < 10; round += 1) {
    settler.waitGone({ path: rel(`gone${round}`), deep: false });
    if (!settler.waitWithGone({ path: rel('new'), deep: false })) break;
    waits += 1;
    await clock.advance(60);
  }
  expect(waits).toBe(5);
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
    settler.unstable(rel('a'));
    delays.push(settler.nextDelayMs() ?? -1);
  }
  expect(delays).toEqual([100, 200, 400, 800]);
});
