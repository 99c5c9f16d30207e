import type { RelPath, Slot } from '@driftless/protocol';
import { expect, test } from 'vitest';
import type { PeerContext } from './peer-context.ts';
import { agedTombstones } from './tombstones.ts';

const dayMs = 24 * 60 * 60 * 1000;
const nowMs = 1_000 * dayMs;

/** A manifest of `files` files and tombstones at these heights; record h was made on day h. */
function contextOf(files: number, heights: readonly number[]): PeerContext {
  const slots: { path: RelPath; slot: Slot }[] = [];
  for (let index = 0; index < files; index += 1)
    slots.push({ path: `f${index}` as RelPath, slot: { kind: 'directory' } });
  for (const [index, height] of heights.entries())
    slots.push({ path: `gone${index}` as RelPath, slot: { kind: 'tombstone', digest: null, height } });
  const parts = {
    store: {
      manifest: { slotsBetween: () => slots },
      variants: (path: RelPath) => (path === ('gone0' as RelPath) ? [{}] : []),
      recordMeta: (height: number) => ({ timeMs: height * dayMs }),
    },
  };
  return { parts, pause: async () => undefined, steadyTime: { nowMs: () => nowMs } } as unknown as PeerContext;
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
