/** The main job, end to end in one process: a relay, two peers, real folders. */
import { chmodSync, existsSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createWorld, treeOf, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await world.close();
});

test('a folder is shared, joined, and edits travel both ways', async () => {
  const a = await world.share('a', {
    files: { 'README.md': '# hello\n', 'src/main.ts': 'export {};\n', 'empty.txt': '' },
  });
  const b = await world.join('b', a.invite);
  await world.settled(a, b);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));

  a.write('src/main.ts', 'export const one = 1;\n');
  await b.until(
    'the edit',
    () =>
      b.events.some((event) => event.event === 'applied' && event.path === 'src/main.ts') &&
      b.read('src/main.ts').includes('one'),
  );
  b.write('notes/today.txt', 'from b\n');
  await a.until('the new file', () =>
    a.events.some((event) => event.event === 'applied' && event.path === 'notes/today.txt'),
  );
  await world.settled(a, b);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
});

test('kinds, links, bits, deletions and renames travel', async () => {
  const a = await world.share('a', {
    files: { 'run.sh': 'echo\n', 'dir/one.txt': 'one\n', 'dir/two.txt': 'two\n', 'gone.txt': 'gone\n' },
  });
  chmodSync(path.join(a.dir, 'run.sh'), 0o755);
  symlinkSync('dir/one.txt', path.join(a.dir, 'link'));
  mkdirSync(path.join(a.dir, 'empty'));
  const b = await world.join('b', a.invite);
  await world.settled(a, b);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
  expect(Object.keys(treeOf(b.dir))).toContain('run.sh (x)');

  renameSync(path.join(a.dir, 'dir'), path.join(a.dir, 'moved'));
  rmSync(path.join(a.dir, 'gone.txt'));
  await b.until('rename and deletion', () => JSON.stringify(treeOf(b.dir)) === JSON.stringify(treeOf(a.dir)));
  await world.settled(a, b);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
});

test('the rename of a directory is one move, and no content is fetched again', async () => {
  const files = Object.fromEntries(
    Array.from({ length: 300 }, (_, index) => [
      `dir/sub${index % 5}/file${index}.txt`,
      `content of ${index}\n`.repeat(20),
    ]),
  );
  const a = await world.share('a', { files });
  const b = await world.join('b', a.invite);
  await world.settled(a, b);
  const height = (await a.control.status()).head?.height ?? 0;
  const inode = lstatSync(path.join(b.dir, 'dir/sub3/file3.txt')).ino;
  renameSync(path.join(a.dir, 'dir'), path.join(a.dir, 'renamed'));
  await b.until(
    'the rename',
    () => existsSync(path.join(b.dir, 'renamed/sub3/file3.txt')) && !existsSync(path.join(b.dir, 'dir')),
  );
  await world.settled(a, b);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
  expect((await a.control.status()).head?.height).toBe(height + 1);
  expect(lstatSync(path.join(b.dir, 'renamed/sub3/file3.txt')).ino).toBe(inode);
});
