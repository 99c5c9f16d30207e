/** A held deletion has two answers. The other one, "keep them": on the machine that asks, and so on all (rule LOG6). */
import type { RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ConflictPolicy } from '../../engine/src/control.ts';
import { gitIndexOf } from '../../engine/src/core/test-support/git-index-bytes.ts';
import { asks, declineStopped, declineWhilePaused, directories, removeThem, writeThem } from './mass-deletions.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

const rel = (path: string): RelPath => path as RelPath;

/** Two machines with the same three directories of eighty files, a link, an empty directory, and a file of its own. */
async function pair(allowMassDelete = false, policy: ConflictPolicy = 'keep-both'): Promise<readonly [Person, Person]> {
  const a = world.person('a', { allowMassDelete, policy });
  const b = world.person('b', { policy });
  writeThem(a);
  for (const directory of directories) {
    a.user.symlink(`${directory}/link`, 'f0.txt');
    a.user.makeDirectory(`${directory}/empty`);
  }
  a.user.setMode('one/f1.txt', 0o600);
  a.user.setMode('one/f2.txt', 0o755);
  a.user.write('stays.txt', 'stays\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  return [a, b];
}
async function everythingIs(tree: Readonly<Record<string, string>>, ...persons: readonly Person[]): Promise<void> {
  await world.quiet();
  for (const person of persons) {
    expect(person.user.tree()).toEqual(tree);
    expect(await person.peer.holds()).toEqual([]);
    expect(await person.peer.conflicts()).toEqual([]);
    expect(await person.peer.verify()).toMatchObject({ ok: true });
  }
}

test('where it was made: what is gone comes back from the room, and was never gone elsewhere', async () => {
  const [a, b] = await pair();
  const before = a.user.tree();
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  const [hold] = await a.peer.holds();
  expect(hold).toMatchObject({ declinable: true, count: 240 });
  const height = a.store.head()?.height;
  expect(await a.peer.decline({ id: hold?.id ?? '' })).toMatchObject({ ok: true, holds: [{ id: hold?.id }] });
  await everythingIs(before, a, b);
  expect(a.store.head()?.height).toBe(height);
  expect(a.user.mode('one/f1.txt')).toBe(0o600);
  expect(a.user.mode('one/f2.txt')).toBe(0o755);
});

test('where it arrived: what is gone in the room is sent again, and comes back to where it was deleted', async () => {
  const [a, b] = await pair(true);
  const before = a.user.tree();
  removeThem(a);
  await asks(world, b, 'mass-deletion-incoming');
  expect(await b.peer.decline()).toMatchObject({ ok: true });
  await everythingIs(before, a, b);
  expect(a.user.mode('one/f1.txt')).toBe(0o600);
  expect(a.user.mode('one/f2.txt')).toBe(0o755);
});

test('a folder that was emptied, our own directory too, is as it was', async () => {
  for (const isWiped of [false, true]) {
    const [a, b] = await pair();
    const before = b.user.tree();
    if (isWiped) {
      await a.stop();
      a.user.remove('.driftless');
    }
    removeThem(a);
    a.user.remove('stays.txt');
    if (isWiped) a.start();
    await asks(world, a, 'root-emptied');
    expect(await a.peer.decline()).toMatchObject({ ok: true });
    await everythingIs(before, a, b);
    await world.close();
    world = createSmallWorld();
  }
});

test('a wiped folder with a disk inside that is away: the disk is held, and is as it was when it is back', async () => {
  const a = world.person('a');
  const b = world.person('b');
  for (let index = 0; index < 25; index += 1) a.user.write(`data/p${index}.txt`, `photo ${index}\n`);
  for (let index = 0; index < 15; index += 1) a.user.write(`top/f${index}.txt`, `top ${index}\n`);
  a.memory.disk.mount('/folder/data');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  await a.stop();
  const mountAgain = a.memory.disk.unmount('/folder/data');
  for (const path of ['.driftless', 'top', 'data']) a.user.remove(path);
  a.start();
  await asks(world, a, 'root-emptied');
  expect(await a.peer.holds()).toMatchObject([{ kind: 'root', count: 15 }]);
  expect(await a.peer.decline()).toMatchObject({ ok: true });
  await world.until('top is back', () => a.user.read('top/f14.txt') !== undefined);
  await world.clock.advance(60_000);
  expect(await a.peer.holds()).toMatchObject([{ kind: 'disk', count: 26 }]);
  b.user.remove('data/p4.txt');
  await world.clock.advance(5_000);
  await a.stop();
  mountAgain();
  a.user.write('data/p3.txt', 'edited on the disk\n');
  a.start();
  await world.quiet();
  expect(b.user.read('data/p3.txt')).toBe('edited on the disk\n');
  expect(a.user.read('data/p4.txt')).toBeUndefined();
  expect(await a.peer.conflicts()).toEqual([]);
  // Beside the trash of the disk itself.
  expect(a.user.tree()).toMatchObject(b.user.tree());
});

test('while no peer runs, for the next run', async () => {
  const [a, b] = await pair();
  const before = b.user.tree();
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  await a.stop();
  declineStopped(world, a);
  a.start();
  await everythingIs(before, a, b);

  removeThem(b);
  await asks(world, b, 'mass-deletion-held');
  await b.peer.confirm();
  await asks(world, a, 'mass-deletion-incoming');
  await a.stop();
  declineStopped(world, a);
  a.start();
  await everythingIs(before, a, b);
});

test('what its user made or changed meanwhile is no part of the answer', async () => {
  const [a, b] = await pair(true);
  removeThem(a);
  await asks(world, b, 'mass-deletion-incoming');
  b.user.write('one/f3.txt', 'edited on b\n');
  b.user.remove('two/f4.txt');
  a.user.write('three/f5.txt', 'made anew on a\n');
  await world.until('a’s file', () => b.user.read('three/f5.txt') === 'made anew on a\n');
  await b.peer.decline();
  const expected = { ...b.user.tree() };
  await everythingIs(expected, a, b);
  expect(a.user.read('one/f3.txt')).toBe('edited on b\n');
  expect(a.user.read('two/f4.txt')).toBeUndefined();
  expect(a.user.read('three/f5.txt')).toBe('made anew on a\n');
});

/** Nobody else wrote at these paths: no conflict, and nothing but the new version, however old its stamp. */
test.each(['keep-both', 'newest'] as const)(
  'what is written at such a path before it is back is an edit of it (%s)',
  async (policy) => {
    const [a, b] = await pair(true, policy);
    const before = a.user.tree();
    removeThem(a);
    await asks(world, b, 'mass-deletion-incoming');
    await declineWhilePaused(world, b);
    expect((await b.peer.explain('one/f0.txt')).lines).toContain('its deletion was declined here: it is sent again');
    a.user.write('one/f1.txt', 'new on a, with an old stamp\n');
    a.user.setModificationTime('one/f1.txt', 1_000);
    await world.until('sent', () => a.store.manifest.slot(rel('one/f1.txt'))?.kind === 'file');
    void b.peer.resume();
    await everythingIs({ ...before, 'one/f1.txt': 'new on a, with an old stamp\n' }, a, b);

    removeThem(b);
    await asks(world, b, 'mass-deletion-held');
    await declineWhilePaused(world, b);
    b.user.write('two/f2.txt', 'new on b, with an old stamp\n');
    b.user.setModificationTime('two/f2.txt', 1_000);
    a.user.write('two/f3.txt', 'edited on a\n');
    a.user.remove('two/f4.txt');
    await world.until('sent', () => a.store.manifest.slot(rel('two/f4.txt'))?.kind !== 'file');
    void b.peer.resume();
    const expected: Record<string, string> = {
      ...before,
      'one/f1.txt': 'new on a, with an old stamp\n',
      'two/f2.txt': 'new on b, with an old stamp\n',
      'two/f3.txt': 'edited on a\n',
    };
    delete expected['two/f4.txt'];
    await everythingIs(expected, a, b);
  },
);

test('after the answer the next deletion is one of its own', async () => {
  const [a, b] = await pair();
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  await a.peer.decline();
  await world.quiet();
  a.user.remove('one/f0.txt');
  await world.quiet();
  expect(b.user.read('one/f0.txt')).toBeUndefined();
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  expect(await a.peer.holds()).toMatchObject([{ count: 239 }]);
});

test('beside an open conflict, too, the next deletion after the answer is one of its own', async () => {
  const [a, b] = await pair(false, 'ask');
  for (const person of [a, b]) person.user.write('stays.txt', `by ${person.name}\n`);
  await world.until('conflict', () => a.state()?.conflicts === 1 && b.state()?.conflicts === 1);
  await world.clock.advance(5_000);
  for (const [one, other, path] of [
    [a, b, 'one/f0.txt'],
    [b, a, 'two/f0.txt'],
  ] as const) {
    removeThem(one);
    await asks(world, one, 'mass-deletion-held');
    await one.peer.decline();
    await world.until('all is back', () => one.user.read('two/f79.txt') !== undefined);
    await world.clock.advance(30_000);
    one.user.remove(path);
    await world.clock.advance(30_000);
    expect(await one.peer.holds()).toEqual([]);
    expect(other.user.read(path)).toBeUndefined();
  }
});

test('… and so it is where the deletion arrived, also when the next one is there before the answer is acted on', async () => {
  const [a, b] = await pair(true);
  const before = a.user.tree();
  removeThem(a);
  await asks(world, b, 'mass-deletion-incoming');
  await declineWhilePaused(world, b);
  a.user.remove('stays.txt');
  await world.until('sent', () => a.store.manifest.slot(rel('stays.txt'))?.kind === 'tombstone');
  void b.peer.resume();
  const { 'stays.txt': _gone, ...expected } = before;
  await everythingIs(expected, a, b);
});

test('what was declined is sent again, and is no new place of what is deleted elsewhere', async () => {
  const a = world.person('a', { allowMassDelete: true });
  const b = world.person('b');
  const copies = 205;
  const files = 210;
  for (let index = 0; index < files; index += 1) {
    a.user.write(`one/f${index}.txt`, `${index}\n`);
    if (index < copies) a.user.write(`copy/f${index}.txt`, `${index}\n`);
  }
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  await world.clock.advance(700_000);
  a.user.remove('one');
  await asks(world, b, 'mass-deletion-incoming');
  expect(await b.peer.decline()).toMatchObject({ ok: true });
  await world.until('all is back', () => a.user.read(`one/f${files - 1}.txt`) !== undefined);
  await world.clock.advance(60_000);
  a.user.remove('copy');
  for (let index = 0; index < 10; index += 1) a.user.remove(`one/f${index}.txt`);
  await asks(world, b, 'mass-deletion-incoming');
  expect(await b.peer.holds()).toMatchObject([{ count: copies + 10 }]);
  expect(b.user.read('copy/f0.txt')).toBe('0\n');
});

/** Two open conflicts below one directory, one at a path that nobody had agreed on; and on whose disk their own sides lie. */
async function withConflicts(): Promise<{ readonly loser: Person; readonly other: Person; readonly own: Conflicts }> {
  const [a, b] = await pair(false, 'ask');
  for (const person of [a, b])
    for (const path of ['one/f0.txt', 'one/new.txt']) person.user.write(path, `${path} by ${person.name}\n`);
  await world.until('conflicts', () => a.state()?.conflicts === 2 && b.state()?.conflicts === 2);
  await world.clock.advance(5_000);
  const [loser, other] = a.store.heldRows().length > 0 ? [a, b] : [b, a];
  expect(loser.store.heldRows().map(({ path }) => path)).toEqual(['one/f0.txt', 'one/new.txt']);
  return { loser, other, own: await conflictsOf(loser) };
}
type Conflicts = Readonly<Record<string, string | undefined>>;
const conflictsOf = async ({ peer, user }: Person): Promise<Conflicts> =>
  Object.fromEntries((await peer.conflicts()).map(({ path }) => [path, user.read(path)]));

test.each(['a part', 'everything', 'everything, and our own directory'])(
  'an open conflict that went as well (%s) waits with the rest, and is as it was',
  async (what) => {
    const { loser, other, own } = await withConflicts();
    const before = loser.user.tree();
    if (what.endsWith('directory')) {
      await loser.stop();
      loser.user.remove('.driftless');
    }
    removeThem(loser);
    if (what !== 'a part') loser.user.remove('stays.txt');
    if (what.endsWith('directory')) loser.start();
    await asks(world, loser, what === 'a part' ? 'mass-deletion-held' : 'root-emptied');
    await world.clock.advance(5_000);
    expect(Object.keys(await conflictsOf(other))).toEqual(Object.keys(own));
    expect(await loser.peer.decline()).toMatchObject({ ok: true });
    await world.until('all is back', () => loser.user.read('two/f79.txt') !== undefined);
    await world.clock.advance(60_000);
    expect(loser.user.tree()).toEqual(before);
    expect(await conflictsOf(loser)).toEqual(own);
    expect(Object.keys(await conflictsOf(other))).toEqual(Object.keys(own));
    expect(loser.events.filter(({ event }) => event === 'resolved')).toEqual([]);

    for (const path of Object.keys(own)) await loser.peer.resolve(path, 'mine');
    await everythingIs(before, loser, other);
  },
);

test('an open conflict that went as well is decided by the answer that lets all of it go', async () => {
  const { loser, other } = await withConflicts();
  removeThem(loser);
  await asks(world, loser, 'mass-deletion-held');
  expect(await loser.peer.confirm()).toMatchObject({ ok: true });
  await asks(world, other, 'mass-deletion-incoming');
  expect(await other.peer.confirm()).toMatchObject({ ok: true });
  const theirs = (path: string): string => `${path} by ${other.name}\n`;
  await everythingIs(
    {
      'one/': '',
      'one/f0.txt': theirs('one/f0.txt'),
      'one/new.txt': theirs('one/new.txt'),
      'stays.txt': 'stays\n',
    },
    loser,
    other,
  );
});

test.each([
  ['mine', 'the loser'],
  ['theirs', 'the room'],
  ['both', 'the room'],
] as const)('while all of it waits, one conflict is answered by its name: %s', async (keep, winner) => {
  const [a, b] = await pair(false, 'ask');
  for (const person of [a, b]) person.user.write('one/new.txt', `by ${person.name}\n`);
  await world.until('conflict', () => a.state()?.conflicts === 1 && b.state()?.conflicts === 1);
  await world.clock.advance(5_000);
  const [loser, other] = a.store.heldRows().length > 0 ? [a, b] : [b, a];
  removeThem(loser);
  await asks(world, loser, 'mass-deletion-held');
  expect(await loser.peer.resolve('one/new.txt', keep)).toMatchObject({ ok: true });
  await world.until('it is decided', () => other.state()?.conflicts === 0);
  const text = `by ${(winner === 'the loser' ? loser : other).name}\n`;
  expect(other.user.read('one/new.txt')).toBe(text);
  const copies = Object.keys(other.user.tree()).filter((path) => path.startsWith('one/new.conflict-'));
  expect(copies.map((path) => other.user.read(path))).toEqual(keep === 'both' ? [`by ${loser.name}\n`] : []);
  expect(await loser.peer.holds()).toMatchObject([{ count: 240 }]);
});

test.each(['before the answer', 'after it'])(
  'a conflict in a directory that the other machine deletes too, %s, is as it was, and can be decided',
  async (when) => {
    const [a, b] = await pair(false, 'ask');
    for (const person of [a, b]) person.user.write('one/deep/new.txt', `by ${person.name}\n`);
    await world.until('conflict', () => a.state()?.conflicts === 1 && b.state()?.conflicts === 1);
    await world.clock.advance(5_000);
    const [loser, other] = a.store.heldRows().length > 0 ? [a, b] : [b, a];
    removeThem(loser);
    await asks(world, loser, 'mass-deletion-held');
    if (when === 'before the answer') {
      other.user.remove('one');
      await world.clock.advance(20_000);
    }
    await loser.peer.decline();
    if (when === 'after it') other.user.remove('one');
    await world.until('it is back', () => loser.user.read('one/deep/new.txt') === `by ${loser.name}\n`);
    expect(await loser.peer.resolve('one/deep/new.txt', 'mine')).toMatchObject({ ok: true });
    await world.until('it is decided', () => loser.state()?.conflicts === 0);
    await world.quiet();
    await everythingIs(loser.user.tree(), a, b);
    expect(other.user.read('one/deep/new.txt')).toBe(`by ${loser.name}\n`);
  },
);

const cannotBePutBack = ({ folder }: Person): void =>
  folder.addFault({ operation: 'swapIn', path: 'edited.txt', code: 'EACCES', times: Number.POSITIVE_INFINITY });
const edit = ({ user }: Person): void => user.write('edited.txt', 'edited\n');

test.each([
  ['a file that cannot be put back', cannotBePutBack, edit],
  [
    'a file that cannot be put back, and of which others changed the mode alone',
    cannotBePutBack,
    ({ user }: Person): void => user.setMode('edited.txt', 0o755),
  ],
  [
    'a file with unsaved edits',
    (one: Person): void => void one.peer.holdUnsaved('window', [{ path: 'edited.txt', loaded: null, merged: null }]),
    edit,
  ],
] as const)('beside %s, which is on its way back, a conflict ends with its file', async (_what, hinder, change) => {
  const [a, b] = await pair(false, 'ask');
  a.user.write('edited.txt', 'text\n');
  await world.quiet();
  for (const person of [a, b]) person.user.write('stays.txt', `by ${person.name}\n`);
  await world.until('conflict', () => a.state()?.conflicts === 1 && b.state()?.conflicts === 1);
  await world.clock.advance(5_000);
  const [loser, other] = a.store.heldRows().length > 0 ? [a, b] : [b, a];
  hinder(loser);
  await loser.peer.pause();
  loser.user.remove('edited.txt');
  change(other);
  await world.clock.advance(10_000);
  const resumed = loser.peer.resume();
  await world.clock.advance(20_000);
  await resumed;
  loser.user.remove('stays.txt');
  await world.until('it is decided', () => loser.user.read('stays.txt') === `by ${other.name}\n`);
  expect(await loser.peer.conflicts()).toEqual([]);
});

test('what is deleted again while it comes back is asked about again', async () => {
  const [a, b] = await pair();
  const before = b.user.tree();
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  // The first half is back when its user deletes all of it again.
  let placed = 0;
  a.folder.before = ({ operation }) => {
    if (operation !== 'swapIn') return;
    placed += 1;
    if (placed === 120) removeThem(a);
  };
  void a.peer.decline();
  await world.until('half of it is back, and gone', () => placed >= 120);
  await world.clock.advance(30_000);
  expect(b.user.tree()).toEqual(before);
  expect(a.state()?.code).toBe('mass-deletion-held');
  void a.peer.decline();
  await everythingIs(before, a, b);
});

test('nothing else can be declined: it says what to do instead', async () => {
  const [a, b] = await pair();
  a.user.write('.gitignore', '.env\n');
  b.user.write('.env', 'SECRET=1\n');
  await world.quiet();
  a.user.write('.driftlessignore', '!.env\n');
  await asks(world, b, 'scope-held');
  const answer = await b.peer.decline();
  expect(answer.ok).toBe(false);
  expect(answer.message).toMatch(/only a held deletion can be declined; here: .*driftless confirm/);
  expect(await b.peer.holds()).toMatchObject([{ kind: 'scope', declinable: false }]);
});

/** The first files, a link, and a directory with all that is in it: each is sent before the next goes, so that nobody is asked. */
async function removeSomeUnasked(a: Person, b: Person): Promise<void> {
  for (const path of ['one/f1.txt', 'one/f2.txt', 'one/link', 'alone/deep']) {
    a.user.remove(path);
    await world.until(`${path} is gone there`, () => b.user.mode(path) === undefined, 5_000);
  }
}
const withALoneFile = async (a: Person): Promise<void> => {
  a.user.write('alone/deep/file.txt', 'alone\n');
  a.user.write('moved.txt', 'is only moved\n');
  await world.quiet();
};

test('what of the burst was sent before anybody was asked comes back as well, a file that was moved meanwhile does not', async () => {
  const [a, b] = await pair();
  await withALoneFile(a);
  const before = a.user.tree();
  await removeSomeUnasked(a, b);
  a.user.write('elsewhere.txt', 'is only moved\n');
  await world.quiet();
  a.user.remove('moved.txt');
  await world.until('it is gone there', () => b.user.mode('moved.txt') === undefined, 5_000);
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  expect(await a.peer.decline()).toMatchObject({ ok: true });
  const { 'moved.txt': moved, ...others } = before;
  await everythingIs({ ...others, 'elsewhere.txt': moved ?? '' }, a, b);
  expect(a.user.mode('one/f1.txt')).toBe(0o600);
  expect(a.user.mode('one/f2.txt')).toBe(0o755);
});

test('… also when the program ends before the answer', async () => {
  const [a, b] = await pair();
  await withALoneFile(a);
  const before = a.user.tree();
  await removeSomeUnasked(a, b);
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  a.kill();
  declineStopped(world, a);
  a.start();
  await everythingIs(before, a, b);
});

test('… where it arrives, when its maker asks nobody', async () => {
  const [a, b] = await pair(true);
  await withALoneFile(a);
  const before = a.user.tree();
  await removeSomeUnasked(a, b);
  removeThem(a);
  await asks(world, b, 'mass-deletion-incoming');
  expect(await b.peer.decline()).toMatchObject({ ok: true });
  await everythingIs(before, a, b);
});

test('… and of a folder that is emptied', async () => {
  const [a, b] = await pair();
  await withALoneFile(a);
  const before = a.user.tree();
  await removeSomeUnasked(a, b);
  for (const path of [...directories, 'alone', 'stays.txt', 'moved.txt']) a.user.remove(path);
  await asks(world, a, 'root-emptied');
  expect(await a.peer.decline()).toMatchObject({ ok: true });
  await everythingIs(before, a, b);
});

test('… but for what is there again by its user, who is asked nothing and loses nothing', async () => {
  const [a, b] = await pair();
  const before = a.user.tree();
  a.user.remove('one/f1.txt');
  await world.until('it is gone there', () => b.user.mode('one/f1.txt') === undefined, 5_000);
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  await declineWhilePaused(world, a);
  // As it was, byte for byte: nothing is agreed on there, and the room's deletion is none of it.
  a.user.write('one/f1.txt', 'one 1\n');
  b.user.write('one/f0.txt', 'edited meanwhile\n');
  await a.peer.resume();
  await everythingIs({ ...before, 'one/f0.txt': 'edited meanwhile\n' }, a, b);
});

test('… nor what git took away a moment before: that was no slip', async () => {
  const [a, b] = await pair();
  a.user.write('tracked.txt', 'of one branch\n');
  await world.quiet();
  const { 'tracked.txt': _tracked, ...before } = a.user.tree();
  a.user.write('.git/HEAD', 'ref: refs/heads/other\n');
  a.user.write('.git/index', gitIndexOf(Object.keys(before)));
  a.user.remove('tracked.txt');
  await world.until('it is gone there', () => b.user.mode('tracked.txt') === undefined, 5_000);
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  expect(await a.peer.decline()).toMatchObject({ ok: true });
  await world.quiet();
  expect(b.user.tree()).toEqual(before);
});

test('what went in an earlier burst, and was meant, does not come back with a later one', async () => {
  const [a, b] = await pair();
  const { 'one/f1.txt': _file, 'one/link': _link, ...before } = a.user.tree();
  for (const path of ['one/f1.txt', 'one/link']) a.user.remove(path);
  await world.quiet();
  await world.clock.advance(11_000);
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  expect(await a.peer.decline()).toMatchObject({ ok: true });
  await everythingIs(before, a, b);
});
