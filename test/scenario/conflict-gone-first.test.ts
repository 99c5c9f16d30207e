/** A conflict whose file goes with many others waits for the answer about all of them, whichever is seen first (D6). */
import type { RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});
const directories = ['one', 'two', 'three'];

/** What went unheard of is looked for everywhere, again until a look finds no more: what belongs together is not known before. */
test('a conflict whose file is the first that is seen gone waits for the look that finds the others', async () => {
  const a = world.person('a', { policy: 'ask' });
  const b = world.person('b', { policy: 'ask' });
  for (const directory of directories)
    for (let index = 0; index < 80; index += 1) a.user.write(`${directory}/f${index}.txt`, `${directory} ${index}\n`);
  a.user.write('stays.txt', 'stays\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  for (const person of [a, b]) person.user.write('one/new.txt', `by ${person.name}\n`);
  await world.until('conflict', () => a.state()?.conflicts === 1 && b.state()?.conflicts === 1);
  await world.clock.advance(60_000);
  const [loser] = a.store.heldRows().length > 0 ? [a] : [b];
  loser.memory.onHint = () => {};
  loser.user.remove('one/new.txt');
  await world.until('it is seen', () => loser.store.row('one/new.txt' as RelPath)?.local === null);
  // Some more go before the look that follows in a second.
  await world.clock.advance(300);
  for (const directory of directories) loser.user.remove(directory);
  await world.until('it is asked', () => loser.state()?.code === 'mass-deletion-held');
  await loser.peer.decline();
  await world.until('all is back', () => loser.user.read('two/f79.txt') !== undefined);
  await world.clock.advance(30_000);
  expect({ conflicts: (await loser.peer.conflicts()).length, text: loser.user.read('one/new.txt') }).toEqual({
    conflicts: 1,
    text: `by ${loser.name}\n`,
  });
});
