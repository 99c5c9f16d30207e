/** What is held for a transfer is bounded by bytes, whatever its size: in the stage, and in a peer's hands (rules DISK1, LOG5). */
import type { RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

/** Hard to compress. */
const noise = (seed: number, bytes: number): string => {
  let state = seed * 7_919 + 1;
  const parts: string[] = [];
  for (let length = 0; length < bytes; length += 6) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    parts.push((state >>> 0).toString(36).padStart(7, '0').slice(-6));
  }
  return parts.join('');
};
const stagedBytes = (person: Person): number[] =>
  person.memory.disk
    .list('/folder/.driftless/stage')
    .map((name) => person.memory.disk.lstat(`/folder/.driftless/stage/${new TextDecoder().decode(name)}`)?.size ?? 0);

test('a large download that is cut again and again goes on in one place, and fetches nothing twice', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  const content = noise(1, 6_000_000);
  a.user.write('big.bin', content);
  a.start();
  await world.quiet();
  const chunks = new Map<string, number>();
  let gets = 0;
  world.relay.refuses = (request, ids) => {
    if (request !== 'get') return undefined;
    gets += 1;
    for (const id of ids) chunks.set(id, (chunks.get(id) ?? 0) + 1);
    return undefined;
  };
  b.start();
  let most = 0;
  for (let round = 0; round < 200 && b.user.read('big.bin') === undefined; round += 1) {
    const before = gets;
    await world.until('a window', () => gets > before || b.user.read('big.bin') !== undefined);
    // The process may end, too: then the part is read, and gone on with.
    if (round === 1) {
      b.kill();
      b.start();
    } else world.relay.cut();
    most = Math.max(most, stagedBytes(b).length);
  }
  await world.quiet();
  expect(b.user.read('big.bin')).toBe(content);
  expect(most).toBe(1);
  expect(stagedBytes(b)).toEqual([]);
  // A window that was cut is asked for again, no more.
  expect(Math.max(...chunks.values())).toBeLessThan(5);
});

test('a content that is replaced while it is fetched leaves nothing in the stage', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  a.user.write('k.txt', 'k');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  for (let version = 0; version < 4; version += 1) {
    a.user.write('big.bin', noise(10 + version, 3_000_000));
    await world.until('sent', () => a.state()?.state === 'idle');
    await world.until('begun', () => stagedBytes(b).length > 0 || b.user.read('big.bin') !== undefined);
    world.relay.cut();
    expect(stagedBytes(b).length).toBeLessThan(3);
  }
  await world.quiet();
  expect(b.user.read('big.bin')).toBe(noise(13, 3_000_000));
  expect(stagedBytes(b)).toEqual([]);
});

test('a record of many megabytes is never in memory as a whole', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  a.user.write('k.txt', 'k');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  for (let index = 0; index < 16; index += 1) a.user.write(`d/f${index}.bin`, noise(index, 600_000));
  await world.quiet();
  expect(b.user.tree()).toEqual(a.user.tree());
  // All of it is in few records, and each part of one is of two megabytes and a file at most.
  expect(a.store.row('d/f15.bin' as RelPath)?.base).not.toBeNull();
  expect(world.relay.largestPutBytes).toBeLessThan(3_000_000);
});
