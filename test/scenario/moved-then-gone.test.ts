/** Old files that are moved and deleted a moment later are a loss like any other (rule LOG6; D6). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { asks, decline, directories, has, isGone, pairWithThem, removeThem } from './mass-deletions.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(() => world.close());

function moveThem({ user }: Person, to: string): void {
  for (const directory of directories)
    for (let index = 0; index < 80; index += 1)
      user.rename(`${directory}/f${index}.txt`, `${to}/${directory}-${index}.txt`);
}

test('one that was moved in the burst, and went before anybody was asked, comes back', async () => {
  const [a, b] = await pairWithThem(world);
  a.user.remove('one/f0.txt');
  await isGone(world, b, 'one/f0.txt');
  a.user.rename('one/f1.txt', 'one/moved.txt');
  await has(world, b, 'one/moved.txt', 'one 1\n');
  a.user.remove('one/moved.txt');
  await isGone(world, b, 'one/moved.txt');
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  await decline(world, a);
  for (const { user } of [a, b])
    expect([user.read('one/f0.txt'), user.read('one/moved.txt')]).toEqual(['one 0\n', 'one 1\n']);
});

test.each(['once', 'twice'])(
  'all of them, moved %s in the burst, are asked about where they are deleted',
  async (times) => {
    const [a, b] = await pairWithThem(world, { b: true }, { 'stale.txt': 'stale\n' });
    a.user.remove('stale.txt');
    await isGone(world, b, 'stale.txt');
    moveThem(a, 'old');
    await has(world, b, 'old/three-79.txt', 'three 79\n');
    if (times === 'twice') {
      for (const path of Object.keys(a.user.tree()).filter((path) => path.endsWith('.txt') && path.startsWith('old/')))
        a.user.rename(path, path.replace('old/', 'older/'));
      await has(world, b, 'older/three-79.txt', 'three 79\n');
    }
    const before = a.user.tree();
    a.user.remove(times === 'once' ? 'old' : 'older');
    await asks(world, a, 'mass-deletion-held');
    await decline(world, a);
    for (const { user } of [a, b]) expect(user.tree()).toEqual({ ...before, 'stale.txt': 'stale\n' });
  },
);

test('all of them, of which each had a twin, so that they were deleted and made', async () => {
  const a = world.person('a');
  const b = world.person('b');
  for (let index = 0; index < 240; index += 1) a.user.write(`one/f${index}.txt`, `${index % 120}\n`);
  a.user.write('stays.txt', 'stays\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  await world.clock.advance(3_600_000);
  for (let index = 0; index < 240; index += 1) a.user.rename(`one/f${index}.txt`, `old/f${index}.txt`);
  await has(world, b, 'old/f239.txt', '119\n');
  await isGone(world, b, 'one/f239.txt');
  const before = b.user.tree();
  a.user.remove('old');
  await asks(world, a, 'mass-deletion-held');
  await decline(world, a);
  for (const { user } of [a, b]) expect(user.tree()).toEqual(before);
});

test('all of them, changed by one machine and moved by it later, are asked about where their deletion arrives', async () => {
  const [a, b] = await pairWithThem(world, { a: true });
  for (const directory of directories)
    for (let index = 0; index < 80; index += 1)
      a.user.write(`${directory}/f${index}.txt`, `new ${directory} ${index}\n`);
  await has(world, b, 'three/f79.txt', 'new three 79\n');
  await world.quiet();
  moveThem(a, 'old');
  await has(world, b, 'old/three-79.txt', 'new three 79\n');
  await world.quiet();
  a.user.remove('old');
  await asks(world, b, 'mass-deletion-incoming');
  expect(b.user.read('old/one-5.txt')).toBe('new one 5\n');
});
