import type { RelPath, Slot } from '@driftless/protocol';
import { expect, test } from 'vitest';
import type { PeerContext } from './peer-context.ts';
import { agedTombstones } from './tombstones.ts';

const dayMs = 24 * 60 * 60 * 1000;
const nowMs = 1_000 * dayMs;

/** A manifest of `files` files and tombstones at these heights; record h was made on day h. */
function contextOf(
  files: number,
  heights: readonly number[],
  clocks: { readonly steadyMs?: number; readonly wallMs?: number; readonly othersMs?: number } = {},
): PeerContext {
  const { steadyMs = nowMs, wallMs = nowMs, othersMs = 0 } = clocks;
  const slots: { path: RelPath; slot: Slot }[] = [];
  for (let index = 0; index < files; index += 1)
    slots.push({ path: `f${index}` as RelPath, slot: { kind: 'directory' } });
  for (const [index, height] of heights.entries())
    slots.push({ path: `gone${index}` as RelPath, slot: { kind: 'tombstone', digest: null, height } });
  const newest = 5_000;
  const parts = {
    clock: { nowMs: () => wallMs },
    store: {
      recentHeads: () => [{ height: newest }],
      manifest: { slotsBetween: () => slots },
      variants: (path: RelPath) => (path === ('gone0' as RelPath) ? [{}] : []),
      recordMeta: (height: number) =>
        height === newest ? { timeMs: othersMs, own: false } : { timeMs: height * dayMs, own: true },
    },
  };
  return { parts, pause: async () => undefined, steadyTime: { nowMs: () => steadyMs } } as unknown as PeerContext;
}
const pathsOf = async (context: PeerContext): Promise<string[]> =>
  (await agedTombstones(context)).map(({ change }) => ('path' in change ? change.path : ''));

test('a tombstone leaves after 180 days, unless a conflict is open there', async () => {
  expect(await pathsOf(contextOf(10, [100, 819, 820, 999]))).toEqual(['gone1']);
});

test('beyond a fifth of the entries the oldest leave, however young', async () => {
  const heights = Array.from({ length: 2_001 }, (_, index) => 900 + (index % 50) / 50);
  const forgotten = await pathsOf(contextOf(3_000, heights));
  expect(forgotten.length).toBe(2_000 - Math.floor(5_001 * 0.2));
});

test('a small folder keeps its tombstones', async () => {
  expect(await pathsOf(contextOf(2, [990, 995, 999]))).toEqual([]);
});

test.each([
  ['a time that lags since a first run without a clock', { steadyMs: 10 * dayMs, othersMs: nowMs }, ['gone1']],
  ['another device whose clock is ahead', { othersMs: 9_000 * dayMs }, ['gone1']],
  ['a clock here that is ahead', { wallMs: 9_000 * dayMs }, ['gone1']],
])('no single clock decides that a tombstone is old: %s', async (_, clocks, expected) => {
  expect(await pathsOf(contextOf(10, [100, 819, 820, 999], clocks))).toEqual(expected);
});
