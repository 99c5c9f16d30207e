/** What a save, or many files at once, does not cost: a turn of the other peers for each state in between, and copies nobody needs. */
import { bytesToHex, type Digest } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { nodeHashing } from '../../engine/src/node/node-hashing.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
let a: Person;
let b: Person;
beforeEach(async () => {
  world = createSmallWorld();
  a = world.person('a');
  b = world.person('b');
  a.user.write('k.txt', '0\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  await world.clock.advance(20_000);
});
afterEach(async () => {
  await world.close();
});

test('a save is on the other disk before anybody is told of a state', async () => {
  const before = world.relay.presences;
  a.user.write('k.txt', '1\n');
  await world.until('the save', () => b.user.read('k.txt') === '1\n', 900);
  expect(world.relay.presences).toBe(before);
  await world.clock.advance(3_000);
  // What it led to is told all the same: both are at another record.
  expect(world.relay.presences).toBeGreaterThan(before);
  const heights = await Promise.all(
    [a, b].map(async ({ peer }) => (await peer.status()).peers.map(({ height }) => height)),
  );
  expect(heights).toEqual([[a.store.head()?.height], [a.store.head()?.height]]);
});

test('many files at once are no edits, however they are grouped: none of them is kept as a merge base', async () => {
  const text = (index: number): string => `${index} `.repeat(100_000);
  await b.stop();
  for (let index = 0; index < 60; index += 1) a.user.write(`d/f${index}.txt`, text(index));
  await world.quiet();
  b.start();
  await world.quiet();
  expect(b.user.read('d/f59.txt')).toBe(text(59));
  const kept = [0, 30, 59].map((index) => {
    const digest = bytesToHex(nodeHashing.sha256(new TextEncoder().encode(text(index)))) as Digest;
    return b.store.cachedContent(digest);
  });
  expect(kept).toEqual([undefined, undefined, undefined]);
});
