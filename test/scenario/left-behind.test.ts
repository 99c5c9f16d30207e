/** What the room deleted while a folder was away does not come back with it, of whatever kind it was (rule TOMB; C25, P9). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(() => world.close());

const ways = ['loseState', 'unlink'] as const;
const previewOf = (one: Person): string | undefined =>
  one.events
    .flatMap((event) => (event.event === 'note' && event.note.startsWith('joining') ? [event.note] : []))
    .at(-1);

/** `b` has been away since; `a` deleted all but two files. */
async function away(way: (typeof ways)[number]): Promise<readonly [Person, Person]> {
  const [a, b] = [world.person('a'), world.person('b')];
  a.user.write('kept.txt', 'kept\n');
  a.user.write('kept/x.txt', 'x\n');
  a.user.write('kept/y.txt', 'y\n');
  a.user.write('gone/sub/one.txt', 'one\n');
  a.user.write('gone/two.txt', 'two\n');
  a.user.makeDirectory('gone/empty');
  a.user.makeDirectory('void');
  a.user.write('edited.txt', 'first\n');
  a.user.symlink('link', 'kept.txt');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  await b.stop();
  await world.clock.advance(10_000);
  b[way]();
  await world.clock.advance(10_000);
  a.user.write('edited.txt', 'second\n');
  await world.quiet();
  for (const path of ['gone', 'void', 'edited.txt', 'link', 'kept/y.txt']) a.user.remove(path);
  await world.quiet();
  return [a, b];
}
const kept = { 'kept.txt': 'kept\n', 'kept/': '', 'kept/x.txt': 'x\n' };

test.each(ways)('%s: directories, links and earlier versions that the room deleted stay deleted', async (way) => {
  const [a, b] = await away(way);
  b.start();
  await world.quiet();
  for (const one of [a, b]) expect(one.user.tree()).toEqual(kept);
  // Three files, an earlier version of one, and the link.
  expect(previewOf(b)).toContain(' 0 to send, 0 brought up to date, 5 to the trash, 0 conflicts');
  expect(await b.folder.trashItems()).toHaveLength(5);
});

test.each(ways)('%s: what was made or changed here is kept, with the directories around it', async (way) => {
  const [a, b] = await away(way);
  b.user.write('gone/sub/mine.txt', 'mine\n');
  b.user.write('edited.txt', 'third\n');
  b.user.remove('link');
  b.user.symlink('link', 'kept/x.txt');
  b.start();
  await world.quiet();
  const mine = { 'gone/': '', 'gone/sub/': '', 'gone/sub/mine.txt': 'mine\n', 'edited.txt': 'third\n' };
  for (const one of [a, b]) expect(one.user.tree()).toEqual({ ...kept, ...mine, link: '-> kept/x.txt' });
});

test.each(ways)('%s: what is ignored here keeps its directory here, and takes it nowhere', async (way) => {
  const [a, b] = await away(way);
  b.user.write('gone/sub/.DS_Store', 'litter\n');
  b.start();
  await world.quiet();
  expect(a.user.tree()).toEqual(kept);
  expect(b.user.tree()).toEqual({ ...kept, 'gone/': '', 'gone/sub/': '', 'gone/sub/.DS_Store': 'litter\n' });
});

test("after an unlinking what was made anew since is its maker's, also as it was", async () => {
  const [a, b] = await away('unlink');
  for (const path of ['void', 'link', 'edited.txt']) b.user.remove(path);
  b.user.makeDirectory('void');
  b.user.symlink('link', 'kept.txt');
  b.user.write('edited.txt', 'first\n');
  b.start();
  await world.quiet();
  for (const one of [a, b])
    expect(one.user.tree()).toEqual({ ...kept, 'void/': '', link: '-> kept.txt', 'edited.txt': 'first\n' });
});

test('after an unlinking a directory that its user took back is theirs, with all that came with it', async () => {
  const [a, b] = await away('unlink');
  b.user.rename('gone', 'backup');
  b.user.rename('backup', 'gone');
  // What else goes on in a directory says nothing of what lies there.
  b.user.write('kept/new.txt', 'new\n');
  b.start();
  await world.quiet();
  const theirs = {
    'gone/': '',
    'gone/sub/': '',
    'gone/sub/one.txt': 'one\n',
    'gone/two.txt': 'two\n',
    'gone/empty/': '',
    'kept/new.txt': 'new\n',
  };
  for (const one of [a, b]) expect(one.user.tree()).toEqual({ ...kept, ...theirs });
});

test('a folder that was never in the room loses nothing', async () => {
  const [a, b] = await away('loseState');
  const c = world.person('c');
  c.user.write('gone/two.txt', 'two\n');
  c.user.makeDirectory('void');
  c.user.write('edited.txt', 'first\n');
  c.user.symlink('link', 'kept.txt');
  c.start();
  await world.quiet();
  const theirs = { 'gone/': '', 'gone/two.txt': 'two\n', 'void/': '', 'edited.txt': 'first\n', link: '-> kept.txt' };
  for (const one of [a, c]) expect(one.user.tree()).toEqual({ ...kept, ...theirs });
  expect(previewOf(c)).toContain(' 0 to the trash');
  // What is in the room again came from nobody's disk by mistake: it stays.
  b.start();
  await world.quiet();
  for (const one of [a, b, c]) expect(one.user.tree()).toEqual({ ...kept, ...theirs });
});

test.each(ways)('%s: what cannot go until the join is over goes later', async (way) => {
  const [a, b] = await away(way);
  b.start();
  for (const operation of ['removeFile', 'removeDirectory'] as const)
    b.folder.addFault({ operation, code: 'EACCES', times: Number.POSITIVE_INFINITY });
  await world.until('joined', () => b.store.head() !== null && b.store.setting('join') === undefined);
  await world.clock.advance(5_000);
  b.kill();
  b.start();
  await world.until('all tried again', () => b.store.problemRows(5).length === 0);
  await world.quiet();
  for (const one of [a, b]) expect(one.user.tree()).toEqual(kept);
});

test.each(ways)('%s: a join that is cut at any change of the disk brings nothing back', async (way) => {
  for (let n = 1; ; n += 1) {
    world = createSmallWorld();
    const [a, b] = await away(way);
    b.start();
    b.killBefore(n, 'kill');
    await world.until('the end', () => b.isDead || b.state()?.state === 'idle');
    await world.clock.advance(2_000);
    const isCut = b.isDead;
    if (isCut) b.start();
    await world.quiet();
    for (const one of [a, b]) expect(one.user.tree(), `killed before change ${n}`).toEqual(kept);
    if (!isCut) return;
    await world.close();
  }
});
