/** Files that come and go all the time where nothing is watched (rule HINT): no look at everything each second. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
let a: Person;
let b: Person;
beforeEach(async () => {
  world = createSmallWorld();
  a = world.person('a');
  b = world.person('b');
  for (const name of ['one', 'two', 'three']) a.user.write(`dir/${name}.txt`, `${name}\n`);
  for (let index = 0; index < 300; index += 1) a.user.write(`many/${index}.txt`, `${index}\n`);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  await world.clock.advance(60_000);
});
afterEach(async () => {
  await world.close();
});

test('a program that makes and removes a file every second costs no look at everything each second', async () => {
  a.watcher.refuse('*', 'a network disk');
  let rootLists = 0;
  a.folder.before = ({ operation, path }) => {
    if (operation === 'list' && (path ?? '') === '') rootLists += 1;
  };
  a.memory.onHint = () => {};
  const minutes = 2;
  // Names like those of a cache or a log that is rotated; each lives for 600 ms.
  for (let round = 0; round < (minutes * 60_000) / 500; round += 1) {
    a.user.write(`dir/spool-${round}.txt`, `${round}\n`);
    if (round > 0) a.user.remove(`dir/spool-${round - 1}.txt`);
    await world.clock.advance(500);
  }
  // Two sweeps, each of which may ask for a look, every ten seconds.
  expect(rootLists).toBeLessThan((minutes * 60_000) / 3_000);
});
