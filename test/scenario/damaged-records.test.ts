/** Records that do not arrive as their writers made them: damaged in the relay or on the way, left out, or made up (rule LOG2). */
import type { SealedRecord } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSeededRandom } from '../../engine/src/testing/seeded-random.ts';
import { flipped } from './memory-relay.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

const damages = ['header', 'body', 'writerSignature'] as const;
const isEqual = (one: Person, other: Person): boolean =>
  one.store.head()?.id === other.store.head()?.id && one.store.root() === other.store.root();
const toldOf = (person: Person, words: string): boolean =>
  person.events.some((event) => JSON.stringify(event).includes(words));

/** Both have version 1; version 2 is written while b is away. */
async function twoVersions(): Promise<{ a: Person; b: Person }> {
  const a = world.person('a');
  const b = world.person('b', { inviter: a });
  a.user.write('contract.txt', 'version 1');
  a.start();
  b.start();
  await world.quiet();
  await b.stop();
  a.user.write('contract.txt', 'version 2');
  await world.quiet();
  return { a, b };
}

describe('one bit of a record', () => {
  test.each(damages)('is another in its %s, once: it is fetched again, and nobody hears of it', async (part) => {
    const { a, b } = await twoVersions();
    let left = 1;
    world.relay.gives = (record) => (left-- > 0 ? flipped(record, part) : record);
    b.start();
    await world.until('it is there', () => b.user.read('contract.txt') === 'version 2');
    await world.quiet();
    expect(isEqual(a, b)).toBe(true);
    expect(b.events.filter(({ event }) => event === 'problem')).toEqual([]);
  });

  test.each(damages)('is another in its %s, pushed: the same', async (part) => {
    const [a, b] = [world.person('a'), world.person('b')];
    a.start();
    b.start();
    await world.quiet();
    let left = 1;
    world.relay.gives = (record) => (left-- > 0 ? flipped(record, part) : record);
    a.user.write('f.txt', 'pushed');
    await world.until('it is there', () => b.user.read('f.txt') === 'pushed');
    await world.quiet();
    expect(isEqual(a, b)).toBe(true);
    expect(b.events.filter(({ event }) => event === 'problem')).toEqual([]);
  });

  test.each(damages)(
    "is another in its %s for ever: said, tried rarely, and over with the relay's fault",
    async (part) => {
      const { a, b } = await twoVersions();
      world.relay.gives = (record) => flipped(record, part);
      b.start();
      await world.until('said', () => b.state()?.code === 'relay-damaged');
      expect(b.state()).toMatchObject({
        state: 'error',
        reason: expect.stringContaining('the relay holds a damaged record 2'),
        next: expect.stringContaining('a device that has it'),
      });
      await world.clock.advance(60_000);
      const asked = world.relay.requests.get('fetchRecords') ?? 0;
      await world.clock.advance(300_000);
      expect((world.relay.requests.get('fetchRecords') ?? 0) - asked).toBeLessThan(40);
      expect(b.user.read('contract.txt')).toBe('version 1');
      world.relay.gives = (record) => record;
      await world.until('it is there', () => b.user.read('contract.txt') === 'version 2');
      await world.quiet();
      expect(isEqual(a, b)).toBe(true);
      expect(b.state()?.state).toBe('idle');
    },
  );
});

describe('what the relay gives instead of a record', () => {
  const cases: readonly [string, (record: SealedRecord) => SealedRecord][] = [
    ['made up', () => ({ header: new Uint8Array(90), body: new Uint8Array(9), writerSignature: new Uint8Array(64) })],
    [
      'nothing at all',
      () => ({ header: new Uint8Array(), body: new Uint8Array(), writerSignature: new Uint8Array(64) }),
    ],
  ];
  test.each(cases)('%s: no other history is concluded from it, nothing is lost', async (_, instead) => {
    const { a, b } = await twoVersions();
    b.user.write('of-b.txt', 'written while away');
    world.relay.gives = instead;
    b.start();
    await world.until('said', () => b.state()?.code === 'relay-damaged');
    expect(toldOf(b, 'history')).toBe(false);
    world.relay.gives = (record) => record;
    await world.until('all is there', () => a.user.read('of-b.txt') === 'written while away');
    await world.quiet();
    expect(b.user.read('contract.txt')).toBe('version 2');
    expect(isEqual(a, b)).toBe(true);
  });
});

describe('a record that the relay damaged', () => {
  test('is put back by a device that has it, and reaches who misses it', async () => {
    const { a, b } = await twoVersions();
    const head = a.store.head();
    if (head === null) throw new Error('no head');
    await a.stop();
    world.relay.damaged.add(head.id);
    b.start();
    await world.until('said', () => b.state()?.code === 'relay-damaged');
    a.start();
    await world.until('it is there', () => b.user.read('contract.txt') === 'version 2');
    await world.quiet();
    expect(world.relay.damaged.size).toBe(0);
    expect(isEqual(a, b)).toBe(true);
  });

  test('and that nobody has: a checkpoint that was made after it leads on', async () => {
    const { a, b } = await twoVersions();
    const damaged = a.store.head();
    if (damaged === null) throw new Error('no head');
    // A checkpoint is due with the bytes of records: nothing weighs as much in one as the target of a link.
    const random = createSeededRandom('targets');
    for (let index = 0; index < 1_600; index += 1)
      a.user.symlink(`links/${index}`, Buffer.from(random.bytes(2_900)).toString('base64url'));
    await world.until('a checkpoint', () => a.store.lastCheckpoint() !== undefined);
    await world.quiet();
    await a.stop();
    world.relay.damaged.add(damaged.id);
    b.start();
    await world.until('it is there', () => b.user.read('contract.txt') === 'version 2', 600_000);
    expect(b.store.head()?.height).toBeGreaterThan(damaged.height);
  });
});
