/** A join ends while single files still fail: what it judged of them holds when they are tried again (rule TOMB; C25, C26, P9). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(() => world.close());

const isJoined = (one: Person): boolean => one.store.head() !== null && one.store.setting('join') === undefined;
const conflictNames = (one: Person): string[] =>
  Object.keys(one.user.tree()).filter((name) => name.includes('.conflict'));

/** `b` has lost its state; since it left, one file was deleted in the room and one edited. */
async function stateLost(): Promise<readonly [Person, Person]> {
  const [a, b] = [world.person('a', { policy: 'ask' }), world.person('b', { policy: 'ask' })];
  for (const path of ['kept.txt', 'deleted.txt', 'edited.txt']) a.user.write(path, `${path.slice(0, -4)}\n`);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  await b.stop();
  a.user.remove('deleted.txt');
  a.user.write('edited.txt', 'new\n');
  await world.quiet();
  b.loseState();
  return [a, b];
}

function expectAsInTheRoom(a: Person, b: Person): void {
  for (const one of [a, b]) {
    expect(one.user.tree()).toEqual({ 'kept.txt': 'kept\n', 'edited.txt': 'new\n' });
    expect(one.state()).toMatchObject({ conflicts: 0, pending: 0 });
  }
  expect(b.store.superseded().size).toBe(0);
}

/** What is in its way at first, and lasts until the join is over. */
const hindrances: Record<string, (b: Person) => void> = {
  'no file can be replaced or removed': (b) => {
    for (const operation of ['swapIn', 'removeFile'] as const)
      b.folder.addFault({ operation, code: 'EACCES', times: Number.POSITIVE_INFINITY });
  },
  'the disk is full, and a file is in use': (b) => {
    b.memory.disk.setFreeBytes(0);
    b.folder.addFault({ operation: 'removeFile', code: 'EBUSY', times: Number.POSITIVE_INFINITY });
  },
};
const clear = (b: Person): void => {
  b.folder.clearFaults();
  b.memory.disk.setFreeBytes(null);
};

for (const [name, hinder] of Object.entries(hindrances)) {
  test(`${name} until a join is over: nothing deleted comes back, and there is no conflict`, async () => {
    const [a, b] = await stateLost();
    b.start();
    hinder(b);
    await world.until('joined', () => isJoined(b));
    expect(b.user.read('deleted.txt')).toBe('deleted\n');
    clear(b);
    await world.until('all tried again', () => b.store.problemRows(5).length === 0);
    await world.quiet();
    expectAsInTheRoom(a, b);
    // Made anew, it is no leftover.
    b.user.write('deleted.txt', 'deleted\n');
    await world.until('shared', () => a.user.read('deleted.txt') === 'deleted\n');
  });

  test(`${name} until a join is over, and the process ends: the same`, async () => {
    const [a, b] = await stateLost();
    b.start();
    hinder(b);
    await world.until('joined', () => isJoined(b));
    b.kill();
    b.start();
    clear(b);
    await world.until('all tried again', () => b.store.problemRows(5).length === 0);
    await world.quiet();
    expectAsInTheRoom(a, b);
  });
}

test.each(['swapIn', 'removeFile'] as const)('%s fails once at a join: the same', async (operation) => {
  const [a, b] = await stateLost();
  b.start();
  b.folder.addFault({ operation, code: 'EACCES', times: 1 });
  await world.until('joined and at rest', () => isJoined(b) && b.store.problemRows(5).length === 0);
  await world.quiet();
  expect(b.folder.faultsMet).toBe(1);
  expectAsInTheRoom(a, b);
});

test('an edit made before the next try is an edit; a file made after the join is a new one', async () => {
  const [a, b] = await stateLost();
  b.start();
  hindrances['no file can be replaced or removed']?.(b);
  await world.until('joined', () => isJoined(b));
  b.user.write('deleted.txt', 'edited here\n');
  await world.until('seen', () => a.user.read('deleted.txt') === 'edited here\n');
  clear(b);
  await world.quiet();
  expect(b.user.read('edited.txt')).toBe('new\n');
  b.user.remove('deleted.txt');
  await world.quiet();
  expect(a.user.read('deleted.txt')).toBeUndefined();
  b.user.write('deleted.txt', 'deleted\n');
  await world.until('restored', () => a.user.read('deleted.txt') === 'deleted\n');
  await world.quiet();
  expect(conflictNames(b)).toEqual([]);
  expect(b.user.tree()).toEqual(a.user.tree());
});

test('texts that differ in line ends only, and cannot be replaced until the join is over: no conflict, and theirs stay in the trash', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  for (const path of ['one.txt', 'two.txt']) {
    a.user.write(path, 'x\ny\n');
    b.user.write(path, 'x\r\ny\r\n');
  }
  a.start();
  await world.quiet();
  b.start();
  b.folder.addFault({ operation: 'swapIn', code: 'EACCES', times: Number.POSITIVE_INFINITY });
  await world.until('joined', () => isJoined(b));
  b.kill();
  b.start();
  await world.until('all tried again', () => b.store.problemRows(5).length === 0);
  await world.quiet();
  for (const one of [a, b]) expect(one.user.tree()).toEqual({ 'one.txt': 'x\ny\n', 'two.txt': 'x\ny\n' });
  expect(b.store.trash().filter(({ inRecord }) => !inRecord)).toHaveLength(2);
});

test.each([
  ['while it lasts', () => {}],
  ['when it is over', (b: Person) => hindrances['no file can be replaced or removed']?.(b)],
])('what a join brought up to date %s stays in the trash', async (_when, hinder) => {
  const [a, b] = [world.person('a'), world.person('b')];
  a.user.write('f.txt', 'first\n');
  a.start();
  await world.quiet();
  a.user.write('f.txt', 'second\n');
  await world.quiet();
  b.user.write('f.txt', 'first\n');
  b.start();
  hinder(b);
  await world.until('joined', () => isJoined(b));
  clear(b);
  await world.until('up to date', () => b.user.read('f.txt') === 'second\n');
  await world.clock.advance(10 * 60_000);
  expect((await b.folder.trashItems()).map(({ stat }) => stat?.size)).toEqual(['first\n'.length]);
});

test('a conflict that nobody has decided does not keep a join going: what is made meanwhile is judged as any file', async () => {
  const [a, b] = await stateLost();
  b.user.write('kept.txt', 'another here\n');
  b.start();
  await world.until('joined, with a conflict', () => isJoined(b) && b.state()?.conflicts === 1);
  await world.quiet();
  // Restored by its user: the same bytes as what the room had deleted.
  b.user.write('deleted.txt', 'deleted\n');
  await world.until('shared', () => a.user.read('deleted.txt') === 'deleted\n');
  expect(b.user.read('deleted.txt')).toBe('deleted\n');
  await b.peer.resolve('kept.txt', 'mine');
  await world.quiet();
  expect(a.user.tree()).toEqual(b.user.tree());
  expect(a.user.read('kept.txt')).toBe('another here\n');
});
