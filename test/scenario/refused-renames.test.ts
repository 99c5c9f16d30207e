/**
 * A disk may refuse a rename that others allow: an overlay's directory of a lower layer, a bind mount, another disk inside the
 * folder (EXDEV). What the room moved moves all the same, edits made here go along, and nothing is tried for ever.
 */
import type { RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
let a: Person;
let b: Person;
beforeEach(() => {
  world = createSmallWorld();
  a = world.person('a');
  b = world.person('b');
});
afterEach(() => world.close());

const never = Number.POSITIVE_INFINITY;
async function pair(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) a.user.write(path, text);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
}
/** Work that does not end shows as changes of the disk and appends that go on. */
async function atRest(): Promise<void> {
  await world.quiet();
  const before = b.trace.length;
  await world.clock.advance(120_000);
  expect(b.trace.slice(before).filter((what) => !/driftless.trash|^store\./.test(what))).toEqual([]);
  expect(b.state()).toMatchObject({ state: 'idle', pending: 0, conflicts: 0 });
  expect(b.store.problemRows(10)).toEqual([]);
  expect(b.store.setting('move-under-way')).toBeUndefined();
}

test('a directory: its entries move one by one, edits with them; what this machine leaves out stays', async () => {
  await pair({
    '.driftlessignore': 'out/\n',
    'old/a.txt': 'a\n',
    'old/deep/b.txt': 'b\n',
    'old/empty.txt': '',
    top: 'x\n',
  });
  b.folder.addFault({ operation: 'rename', path: 'old', code: 'EXDEV', times: never });
  b.user.write('old/out/local', 'stays\n');
  a.user.rename('old', 'new');
  b.user.write('old/deep/b.txt', 'edited by b\n');
  await atRest();
  const moved = {
    '.driftlessignore': 'out/\n',
    'new/': '',
    'new/a.txt': 'a\n',
    'new/deep/': '',
    'new/deep/b.txt': 'edited by b\n',
    'new/empty.txt': '',
    top: 'x\n',
  };
  expect(a.user.tree()).toEqual(moved);
  expect(b.user.tree()).toEqual({ ...moved, 'old/': '', 'old/out/': '', 'old/out/local': 'stays\n' });
});

test('a directory and every file in it', async () => {
  await pair({ 'old/a.txt': 'a\n', 'old/run.sh': 'echo\n', 'old/same 1': 'same\n', 'old/same 2': 'same\n' });
  a.user.setMode('old/run.sh', 0o755);
  await world.quiet();
  b.folder.addFault({ operation: 'rename', code: 'EXDEV', times: never });
  a.user.rename('old', 'new');
  b.user.write('old/a.txt', 'edited by b\n');
  await atRest();
  expect(b.user.tree()).toEqual(a.user.tree());
  expect(a.user.tree()).toMatchObject({ 'new/a.txt': 'edited by b\n', 'new/same 2': 'same\n' });
  expect(b.user.mode('new/run.sh')).toBe(0o755);
  expect(Object.keys(b.user.tree()).filter((path) => path.startsWith('old'))).toEqual([]);
});

test('from a disk inside the folder to another and back, of files and directories', async () => {
  await pair({
    'mnt/file.txt': 'file\n',
    'mnt/dir/in.txt': 'in\n',
    'home/back.txt': 'back\n',
    'home/stays': 'x\n',
    'mnt/stays': 'x\n',
  });
  await b.stop();
  b.memory.disk.mount('/folder/mnt');
  b.start();
  await world.quiet();
  a.user.rename('mnt/file.txt', 'home/file.txt');
  a.user.rename('mnt/dir', 'home/dir');
  a.user.rename('home/back.txt', 'mnt/back.txt');
  b.user.write('mnt/dir/in.txt', 'edited by b\n');
  await atRest();
  // What was moved from the disk before it was in any record was kept there until it was (rule DISK4).
  expect(b.user.tree()).toEqual(a.user.tree());
  expect(a.user.tree()).toMatchObject({
    'home/dir/in.txt': 'edited by b\n',
    'home/file.txt': 'file\n',
    'mnt/back.txt': 'back\n',
  });
});

test('a copy onto another disk leaves as much room there as what is received', async () => {
  await pair({ 'home/file.txt': 'file\n', 'mnt/stays': 'x\n' });
  await b.stop();
  b.memory.disk.mount('/folder/mnt');
  b.start();
  await world.quiet();
  b.memory.disk.setFreeBytes(62_500, 20_000_000);
  a.user.rename('home/file.txt', 'mnt/file.txt');
  await world.until('it waits', () => b.store.problemRows(9).length > 0);
  expect(b.store.problemRows(9)[0]?.problem?.reason).toContain('and Driftless leaves 61.0 KiB free');
  // Neither is a deletion without the other; the bytes are here.
  await world.clock.advance(10 * 60_000);
  expect(b.user.read('home/file.txt')).toBe('file\n');
  expect(b.user.read('mnt/file.txt')).toBeUndefined();
  b.memory.disk.setFreeBytes(null);
  await atRest();
  expect(b.user.tree()).toEqual(a.user.tree());
});

test('a file that makes way for a directory', async () => {
  await pair({ name: 'a file\n', other: 'x\n' });
  await b.stop();
  a.user.remove('name');
  a.user.write('name/inside', 'x\n');
  await world.quiet();
  b.user.write('name', 'edited by b\n');
  b.start();
  b.folder.addFault({ operation: 'rename', code: 'EXDEV', times: never });
  await atRest();
  expect(b.user.tree()).toEqual(a.user.tree());
  expect(
    Object.entries(b.user.tree())
      .filter(([path]) => path.includes('.conflict-'))
      .map(([, text]) => text),
  ).toEqual(['edited by b\n']);
});

const refusals = ['EACCES', 'EPERM', 'EBUSY', 'ENOSPC', 'EIO', 'EROFS'];
test.each(refusals)(
  'a directory whose rename is refused (%s): what it holds goes by itself, edits go both ways, and it is over',
  async (code) => {
    await pair({ 'old/a.txt': 'a\n', 'old/deep/b.txt': 'b\n', 'old/deep/c.txt': 'c\n', top: 'x\n' });
    b.folder.addFault({ operation: 'rename', path: 'old', code, times: never });
    b.folder.addFault({ operation: 'rename', path: 'old/deep', code, times: never });
    a.user.rename('old', 'new');
    b.user.write('old/deep/b.txt', 'edited by b\n');
    await world.until('it went along', () => a.user.read('new/deep/b.txt') === 'edited by b\n', 30_000);
    await atRest();
    expect(b.folder.faultsMet).toBe(1);
    expect(b.user.tree()).toEqual(a.user.tree());
    expect(Object.keys(a.user.tree())).toEqual([
      'new/',
      'new/a.txt',
      'new/deep/',
      'new/deep/b.txt',
      'new/deep/c.txt',
      'top',
    ]);
  },
);

test('a directory that was made here in one whose rename is refused leaves no skeleton of the old names', async () => {
  await pair({ 'old/a.txt': 'a\n', 'old/deep/b.txt': 'b\n', top: 'x\n' });
  await b.stop();
  a.user.rename('old', 'new');
  await world.quiet();
  b.user.write('old/sub/deeper/x.txt', 'x\n');
  b.start();
  b.folder.addFault({ operation: 'rename', path: 'old', code: 'EACCES', times: never });
  await atRest();
  expect(b.user.tree()).toEqual(a.user.tree());
  expect(Object.keys(a.user.tree())).toEqual([
    'new/',
    'new/a.txt',
    'new/deep/',
    'new/deep/b.txt',
    'new/sub/',
    'new/sub/deeper/',
    'new/sub/deeper/x.txt',
    'top',
  ]);
});

test('a directory whose rename is refused leaves another disk in it as it is', async () => {
  await pair({
    'media/readme.txt': 'read me\n',
    ...Object.fromEntries([0, 1, 2, 3].map((index) => [`media/disk/p${index}.txt`, `photo ${index}\n`])),
  });
  b.memory.disk.mount('/folder/media/disk');
  b.memory.onHint({ path: 'media/disk' as RelPath, deep: true });
  await world.quiet();
  for (const index of [0, 1, 2, 3]) a.user.write(`media/disk/p${index}.txt`, `better ${index}\n`);
  await world.quiet();
  await b.stop();
  b.memory.disk.unmount('/folder/media/disk');
  b.memory.disk.mount('/folder/media/disk');
  // An old copy.
  for (const index of [0, 1, 2, 3]) b.user.write(`media/disk/p${index}.txt`, `photo ${index}\n`);
  b.start();
  await world.until('held', () => b.state()?.code === 'disk-held');
  b.folder.addFault({ operation: 'rename', path: 'media', code: 'EXDEV', times: never });
  a.user.rename('media', 'm');
  await world.until('renamed', () => b.user.read('m/readme.txt') !== undefined);
  await world.clock.advance(60_000);
  for (const index of [0, 1, 2, 3]) {
    expect(a.user.read(`m/disk/p${index}.txt`)).toBe(`better ${index}\n`);
    expect(b.user.read(`media/disk/p${index}.txt`)).toBe(`photo ${index}\n`);
  }
  expect(await b.peer.holds()).toMatchObject([{ kind: 'disk' }]);
});

test.each(refusals)(
  'a directory that can neither be renamed nor made under its new name (%s) is tried more and more rarely',
  async (code) => {
    await pair({ 'old/a.txt': 'a\n', 'old/b.txt': 'b\n', top: 'x\n' });
    for (const path of ['old', 'old/a.txt', 'old/b.txt'])
      b.folder.addFault({ operation: 'rename', path, code, times: never });
    b.folder.addFault({ operation: 'makeDirectory', path: 'new', code, times: never });
    for (const path of ['new/a.txt', 'new/b.txt']) b.folder.addFault({ operation: 'swapIn', path, code, times: never });
    a.user.rename('old', 'new');
    await world.until('refused', () => b.store.problemRows(10).length > 0);
    const before = b.folder.faultsMet;
    await world.clock.advance(10 * 60_000);
    expect(b.folder.faultsMet - before).toBeLessThan(150);
    // What is not in it goes on, and what is made in it.
    b.user.write('top', 'by b\n');
    b.user.write('old/more.txt', 'more\n');
    await world.until('the rest', () => a.user.read('top') === 'by b\n');
    await world.until('made in it', () => a.user.read('old/more.txt') === 'more\n');
    b.folder.clearFaults();
    await world.quiet();
    expect(b.user.tree()).toEqual(a.user.tree());
    expect(a.user.tree()).toMatchObject({ 'new/a.txt': 'a\n', 'new/b.txt': 'b\n', top: 'by b\n' });
  },
);

test('a file of an open conflict that cannot make way for a directory is tried more and more rarely', async () => {
  [a, b] = [world.person('c', { policy: 'ask' }), world.person('d', { policy: 'ask' })];
  await pair({ name: 'one\n', top: 'x\n' });
  await b.stop();
  a.user.write('name', 'by c\n');
  await world.quiet();
  b.user.write('name', 'by d\n');
  b.start();
  await world.until('a conflict', () => b.state()?.conflicts === 1);
  await world.quiet();
  b.folder.addFault({ operation: 'rename', path: 'name', code: 'EACCES', times: never });
  a.user.remove('name');
  a.user.write('name/inside', 'x\n');
  await world.clock.advance(10 * 60_000);
  expect(b.folder.faultsMet).toBeGreaterThan(3);
  expect(b.folder.faultsMet).toBeLessThan(40);
  b.folder.clearFaults();
  await world.until('it makes way', () => b.user.read('name/inside') === 'x\n');
  await world.quiet();
  expect(Object.values(b.user.tree())).toContain('by d\n');
  expect(a.user.tree()).toEqual(b.user.tree());
});
