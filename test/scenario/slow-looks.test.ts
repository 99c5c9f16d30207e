/** However long a look at everything takes, removals wait for it (D6). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
let a: Person;
let b: Person;
const many = Array.from({ length: 300 }, (_, index) => `many/${index}/file.txt`);
beforeEach(async () => {
  world = createSmallWorld();
  a = world.person('a');
  b = world.person('b');
  for (const path of many) a.user.write(path, `${path}\n`);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  await world.clock.advance(20_000);
  a.memory.onHint = () => {};
  a.watcher.refuse('*', 'a network disk');
  await world.clock.advance(60_000);
});
afterEach(async () => {
  await world.close();
});
const theirs = (): number => Object.keys(b.user.tree()).filter((path) => path.endsWith('file.txt')).length;

// As "those that go while it is looked at belong to them (unwatched)" in hints.test.ts, on a disk where each listing takes a while.
test.each([10, 30])(
  'another machine removes 250 of 300 files on a disk whose listings take %i ms: all are asked about',
  async (delayMs) => {
    const list = a.folder.list.bind(a.folder);
    a.folder.list = async (...given: Parameters<typeof list>) => {
      if (delayMs > 0) await new Promise<void>((resolve) => void world.clock.after(delayMs, resolve));
      return await list(...given);
    };
    const going = many.slice(0, 250);
    let lowest = 300;
    for (let steps = 0; steps < 400; steps += 1) {
      for (const path of going.splice(0, 5)) a.user.remove(path.replace('/file.txt', ''));
      await world.clock.advance(250);
      lowest = Math.min(lowest, theirs());
    }
    expect({ code: a.state()?.code, lowest }).toEqual({ code: 'mass-deletion-held', lowest: 300 });
  },
);
