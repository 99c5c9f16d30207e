/** Equal files of an emptied folder: one that is back stands for one (D12). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

test('of equal files of an emptied folder, one that comes back under another name stands for one, however often it is looked at', async () => {
  const a = world.person('a');
  const b = world.person('b');
  // As the __init__.py of packages, or one licence in each.
  for (let index = 0; index < 30; index += 1) a.user.write(`package${index}/__init__.py`, '# licence\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  for (let index = 0; index < 30; index += 1) a.user.remove(`package${index}`);
  await world.until('halt', () => a.state()?.code === 'root-emptied');
  a.user.write('new/__init__.py', '# licence\n');
  const reasons: (string | undefined)[] = [];
  // Somebody works on one other file.
  for (let save = 0; save < 40; save += 1) {
    await world.clock.advance(3_000);
    a.user.write('notes.txt', `${save}\n`);
    reasons.push(a.state()?.reason);
  }
  await world.clock.advance(30_000);
  const left = Object.keys(b.user.tree()).filter((path) => /^package\d+\/__init__/.test(path)).length;
  expect({ left, code: a.state()?.code }).toEqual({ left: 30, code: 'root-emptied' });
});
