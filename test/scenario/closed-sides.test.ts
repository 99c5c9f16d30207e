/** What becomes of the side of a conflict that a disk holds when somebody else closes it, or when nobody did and it is gone. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createMemoryRelay } from './memory-relay.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(() => world.close());

const lines = (...changed: readonly string[]): string =>
  ['one', 'two', 'three', 'four', 'five', 'six'].map((line, index) => `${changed[index] ?? line}\n`).join('');
const [v0, v1, byA, byB] = [lines('ONE'), lines(), lines('by a'), lines('by b')];

/** Both edited the second version; b's is open beside the room's, and b has ended. */
async function conflictAtB(): Promise<readonly [Person, Person]> {
  const [a, b] = [world.person('a', { policy: 'ask' }), world.person('b', { policy: 'ask' })];
  a.user.write('f.txt', v0);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  a.user.write('f.txt', v1);
  await world.quiet();
  await b.stop();
  a.user.write('f.txt', byA);
  await world.quiet();
  b.user.write('f.txt', byB);
  b.start();
  await world.until('the conflict', () => a.store.openVariants().length === 1 && b.state()?.state === 'conflict');
  await world.quiet();
  await b.stop();
  return [a, b];
}

async function resolveAtA(a: Person): Promise<void> {
  void a.peer.resolve('f.txt', 'mine').catch(() => undefined);
  await world.until('resolved', () => a.store.openVariants().length === 0);
  await world.quiet();
}

test.each([
  ['the version before', v1],
  ['an older version', v0],
  ['another text', lines('by b, later')],
])('%s, put there while somebody else resolves, clashes again', async (_what, text) => {
  const [a, b] = await conflictAtB();
  b.user.write('f.txt', text);
  await resolveAtA(a);
  b.start();
  await world.until('the conflict', () => a.store.openVariants().length === 1);
  await world.quiet();
  expect([a.user.read('f.txt'), b.user.read('f.txt')]).toEqual([byA, text]);
});

test('an edit elsewhere in the side that somebody else turned down joins what was chosen', async () => {
  const [a, b] = await conflictAtB();
  b.user.write('f.txt', byB.replace('six', 'SIX'));
  await resolveAtA(a);
  b.start();
  const merged = byA.replace('six', 'SIX');
  await world.until('merged', () => a.user.read('f.txt') === merged && b.user.read('f.txt') === merged);
  await world.quiet();
  expect(a.store.openVariants()).toEqual([]);
});

test('a side that went with what the relay lost was closed by nobody', async () => {
  const [a, b] = await conflictAtB();
  await a.stop();
  // Somebody else begins the room anew.
  world.relay.client = createMemoryRelay().client;
  const c = world.person('c', { policy: 'ask' });
  c.user.write('f.txt', byA);
  c.start();
  await world.quiet();
  b.start();
  await world.until('the conflict', () => c.store.openVariants().length === 1);
  await world.quiet();
  expect([b.user.read('f.txt'), c.user.read('f.txt')]).toEqual([byB, byA]);
});
