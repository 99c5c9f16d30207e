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

/** Two machines with 240 files that are moved to old/ just now; each has a twin, so that they are deleted and made. */
async function pairWithTwins({
  isAllowed = false,
  removesFirst = false,
}: {
  readonly isAllowed?: boolean;
  /** So that what is moved arrives in a burst that goes on. */
  readonly removesFirst?: boolean;
} = {}): Promise<readonly [Person, Person]> {
  const a = world.person('a', { allowMassDelete: isAllowed });
  const b = world.person('b');
  for (let index = 0; index < 240; index += 1) a.user.write(`one/f${index}.txt`, `${index % 120}\n`);
  for (const path of ['stays.txt', 'stale.txt']) a.user.write(path, `${path}\n`);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  await world.clock.advance(3_600_000);
  if (removesFirst) {
    a.user.remove('stale.txt');
    await isGone(world, b, 'stale.txt');
  }
  for (let index = 0; index < 240; index += 1) a.user.rename(`one/f${index}.txt`, `old/f${index}.txt`);
  await has(world, b, 'old/f239.txt', '119\n');
  await isGone(world, b, 'one/f239.txt');
  return [a, b];
}

test('all of them, of which each had a twin, so that they were deleted and made', async () => {
  const [a, b] = await pairWithTwins();
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

/** Not more than may go unasked; and then more of them, which does not. */
async function removeTwins(a: Person, b: Person): Promise<void> {
  for (let index = 0; index < 120; index += 1) a.user.remove(`old/f${index}.txt`);
  await isGone(world, b, 'old/f119.txt');
  for (let index = 120; index < 220; index += 1) a.user.remove(`old/f${index}.txt`);
}
const contentsOf = ({ user }: Person): readonly string[] =>
  Object.entries(user.tree())
    .flatMap(([path, text]) => (path.endsWith('/') ? [] : [text]))
    .sort();

test('a question about files that were moved in the burst stays until it is answered, and all of them come back once', async () => {
  const [a, b] = await pairWithTwins({ removesFirst: true });
  const before = [...contentsOf(b), 'stale.txt\n'].sort();
  await removeTwins(a, b);
  await asks(world, a, 'mass-deletion-held');
  await world.clock.advance(60_000);
  expect(await a.peer.holds()).toMatchObject([
    { count: 100, reason: '221 of 242 files are gone here; deleting them on every machine is held' },
  ]);
  await decline(world, a);
  for (const person of [a, b]) {
    expect(contentsOf(person)).toEqual(before);
    // Each under one of its own names, however many are equal.
    for (let index = 0; index < 240; index += 1)
      expect(
        [`one/f${index}.txt`, `old/f${index}.txt`].filter((path) => person.user.read(path) !== undefined),
      ).toHaveLength(1);
  }
});

test('what of them went first comes back, although all else is back under its new name', async () => {
  const [a, b] = await pairWithTwins({ removesFirst: true });
  const before = [...contentsOf(b), 'stale.txt\n'].sort();
  a.user.remove('old/f0.txt');
  await isGone(world, b, 'old/f0.txt');
  a.user.remove('old');
  await asks(world, a, 'mass-deletion-held');
  await decline(world, a);
  for (const person of [a, b]) expect(contentsOf(person)).toEqual(before);
});

test('it stays where it arrives, too', async () => {
  const [a, b] = await pairWithTwins({ isAllowed: true, removesFirst: true });
  await removeTwins(a, b);
  await asks(world, b, 'mass-deletion-incoming');
  await world.clock.advance(60_000);
  expect(await b.peer.holds()).toMatchObject([
    { count: 100, reason: 'a deleted 221 of 242 files; they are kept here' },
  ]);
  expect(b.user.read('old/f219.txt')).toBe('99\n');
});

/** One directory is copied, the first removed, and the copy renamed: three acts of one person, and nothing is lost. */
async function replaceByCopy(a: Person, b: Person, others: number): Promise<void> {
  for (let index = 0; index < 240; index += 1) a.user.write(`one/f${index}.txt`, `one ${index}\n`);
  for (let index = 0; index < others; index += 1) a.user.write(`other/f${index}.txt`, `other ${index}\n`);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  await world.clock.advance(3_600_000);
  for (let index = 0; index < 240; index += 1) a.user.write(`two/f${index}.txt`, `one ${index}\n`);
  await has(world, b, 'two/f239.txt', 'one 239\n');
  a.user.remove('one');
  await isGone(world, b, 'one/f239.txt');
  a.user.rename('two', 'three');
  await has(world, b, 'three/f239.txt', 'one 239\n');
}

test.each([false, true])(
  'what came and was renamed with its directory is no loss (asked only there: %s)',
  async (isAllowed) => {
    const a = world.person('a', { allowMassDelete: isAllowed });
    const b = world.person('b');
    await replaceByCopy(a, b, 5);
    for (let index = 0; index < 3; index += 1) a.user.remove(`other/f${index}.txt`);
    await isGone(world, b, 'other/f2.txt');
    await world.quiet();
    for (const { peer } of [a, b]) expect(await peer.holds()).toEqual([]);
  },
);

test.each([false, true])(
  '… and does not come back beside itself with what is declined (asked only there: %s)',
  async (isAllowed) => {
    const a = world.person('a', { allowMassDelete: isAllowed });
    const b = world.person('b');
    await replaceByCopy(a, b, 260);
    const before = b.user.tree();
    a.user.remove('other');
    const [asked, code] = isAllowed ? ([b, 'mass-deletion-incoming'] as const) : ([a, 'mass-deletion-held'] as const);
    await asks(world, asked, code);
    await decline(world, asked);
    for (const { user } of [a, b]) expect(user.tree()).toEqual(before);
  },
);

test('what is moved, and deleted before the move is sent as a whole, is one file in the question and in its answer', async () => {
  const [a, b] = await pairWithThem(world, {}, {});
  for (const directory of directories)
    for (let index = 0; index < 80; index += 1) a.user.write(`${directory}/f${index}.txt`, `${index % 40}\n`);
  await world.quiet();
  await world.clock.advance(3_600_000);
  const before = contentsOf(b);
  moveThem(a, 'old');
  await has(world, b, 'old/three-79.txt', '39\n');
  expect(b.user.read('one/f0.txt')).toBe('0\n');
  a.user.remove('old');
  await asks(world, a, 'mass-deletion-held');
  expect(await a.peer.holds()).toMatchObject([
    { count: 240, reason: '240 of 241 files are gone here; deleting them on every machine is held' },
  ]);
  await decline(world, a);
  for (const person of [a, b]) expect(contentsOf(person)).toEqual(before);
  expect(b.user.read('one/f7.txt')).toBe('7\n');
});
