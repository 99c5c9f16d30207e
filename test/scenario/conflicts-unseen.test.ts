/** What a machine cannot see at this moment says nothing about a conflict there (IG1): it stays open for everybody. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

const path = 'data/f.txt';

/** Both edited it while apart; the second one's version is open beside the room's. */
async function inConflict(): Promise<readonly [Person, Person]> {
  const a = world.person('a', { policy: 'ask' });
  const b = world.person('b', { policy: 'ask' });
  for (const name of ['data/f.txt', 'data/g.txt', 'data/h.txt', 'top.txt']) a.user.write(name, `${name}\n`);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  b.memory.disk.mount('/folder/data');
  b.memory.onHint({ path: '', deep: true });
  await world.quiet();
  await b.stop();
  a.user.write(path, 'by a\n');
  await world.quiet();
  b.user.write(path, 'by b\n');
  b.start();
  await world.until('open', () => a.store.openVariants().length === 1 && b.state()?.state === 'conflict');
  await world.quiet();
  return [a, b];
}

test.each<[string, (b: Person) => () => void]>([
  ['its disk is pulled', (b) => b.memory.disk.unmount('/folder/data')],
  [
    'its directory cannot be read',
    (b) => {
      b.folder.addFault({ operation: 'list', path: 'data', code: 'EACCES', times: Number.POSITIVE_INFINITY });
      return () => b.folder.clearFaults();
    },
  ],
])('while %s', async (_, take) => {
  const [a, b] = await inConflict();
  const bringBack = take(b);
  b.memory.onHint({ path: '', deep: true });
  await world.clock.advance(30_000);
  expect(a.store.openVariants()).toHaveLength(1);
  expect(await b.peer.resolve(path, 'theirs')).toMatchObject({ ok: false });
  bringBack();
  b.memory.onHint({ path: '', deep: true });
  await world.clock.advance(30_000);
  await world.quiet();
  expect(a.store.openVariants()).toHaveLength(1);
  expect(b.user.read(path)).toBe('by b\n');
  expect(a.user.read(path)).toBe('by a\n');
  void b.peer.resolve(path, 'theirs');
  await world.until('answered', () => b.user.read(path) === 'by a\n' && a.store.openVariants().length === 0);
});
