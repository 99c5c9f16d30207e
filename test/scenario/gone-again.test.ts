/** A file that goes twice between two sweeps is gone (rule HINT). */
import type { RelPath } from '@driftless/protocol';
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
  a.user.write('top.txt', 'top\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
});
afterEach(async () => {
  await world.close();
});

const isKnown = (): boolean => a.store.row('dir/two.txt' as RelPath)?.local != null;

test.each(['nothing is watched', 'events are lost'])(
  'a file that goes, comes back and goes again between two sweeps, where %s',
  async (how) => {
    if (how === 'nothing is watched') a.watcher.refuse('*', 'a network disk');
    await world.clock.advance(60_000);
    a.memory.onHint = () => {};
    a.user.remove('dir/two.txt');
    await world.until('it is seen', () => !isKnown());
    a.user.write('dir/two.txt', 'two again\n');
    await world.until('it is seen back by the look that follows', isKnown, 2_000);
    // That of the look at everything which follows a loss: it finds that nothing more went.
    await world.clock.advance(1_500);
    a.user.remove('dir/two.txt');
    await world.clock.advance(10 * 60_000);
    expect({ isKnown: isKnown(), there: b.user.read('dir/two.txt') }).toEqual({ isKnown: false, there: undefined });
  },
);
