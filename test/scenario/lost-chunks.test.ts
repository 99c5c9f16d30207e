/** A relay that lost chunks which peers still hold: who misses them asks, who holds them puts them back (rule GC5). */
import type { ChunkId } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { noise } from './large-contents.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

const refsOf = (person: Person, path: string): readonly ChunkId[] => {
  const slot = person.store.row(path as never)?.remote;
  return slot?.kind === 'file' ? slot.content.refs.ids : [];
};
const puts = (): number => world.relay.requests.get('put') ?? 0;

describe('a chunk that the relay lost', () => {
  test.each([
    ['a small file', 5_000],
    ['a large file, its list of chunks', 1_500_000],
  ])('comes back from whoever holds it: %s', async (_, bytes) => {
    const [a, b, c] = [world.person('a'), world.person('b'), world.person('c')];
    const content = noise(bytes, bytes);
    a.user.write('f.bin', content);
    a.start();
    await world.quiet();
    c.start();
    await world.quiet();
    for (const id of refsOf(a, 'f.bin')) world.relay.lost.add(id);
    expect(world.relay.lost.size).toBeGreaterThan(0);
    const before = puts();
    b.start();
    await world.until('it is missed', () => b.store.problemRows(9).length === 1);
    await world.until('it is there', () => b.user.read('f.bin') === content, 30_000);
    await world.quiet();
    expect(b.store.problemRows(9)).toEqual([]);
    // Two hold it; who is later finds it held again.
    expect(puts() - before).toBeLessThan(4);
    expect(world.relay.lost.size).toBe(0);
  });

  test('nobody holds it: it is said, asked for, and nothing is done in a loop; the author comes, and it is there', async () => {
    const [a, b] = [world.person('a'), world.person('b')];
    a.user.write('f.txt', 'only at a');
    a.user.write('g.txt', 'g');
    a.start();
    await world.quiet();
    await a.stop();
    for (const id of refsOf(a, 'f.txt')) world.relay.lost.add(id);
    b.start();
    await world.until('the other', () => b.user.read('g.txt') === 'g');
    await world.clock.advance(60_000);
    const asked = [...world.relay.requests.values()].reduce((sum, count) => sum + count, 0);
    await world.clock.advance(300_000);
    const later = [...world.relay.requests.values()].reduce((sum, count) => sum + count, 0);
    expect(later - asked).toBeLessThan(40);
    expect(b.store.problemRows(9).map((row) => row.problem?.reason)).toEqual([expect.stringContaining('relay')]);
    a.start();
    await world.until('it is there', () => b.user.read('f.txt') === 'only at a', 120_000);
    await world.quiet();
  });
});
