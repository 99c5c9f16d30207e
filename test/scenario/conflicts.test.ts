/** What happens when both sides change a path while apart (the C cases of docs/fault-model.md, as a user meets them). */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { apart, conflictNames, createWorld, treeOf, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await world.close();
});

const lines = (...text: string[]): string => `${text.join('\n')}\n`;

test('edits of different lines merge, on both peers alike, without a conflict', async () => {
  const base = lines('one', 'two', 'three', 'four', 'five', 'six', 'seven');
  const { a, b } = await apart(
    world,
    { files: { 'a.txt': base } },
    (one) => one.write('a.txt', base.replace('one', 'ONE by a')),
    (two) => two.write('a.txt', base.replace('seven', 'SEVEN by b')),
  );
  await a.until('the merge', () => a.read('a.txt').includes('SEVEN by b') && a.read('a.txt').includes('ONE by a'));
  await world.settled(a, b);
  expect(a.read('a.txt')).toBe(base.replace('one', 'ONE by a').replace('seven', 'SEVEN by b'));
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
  expect(conflictNames(a.dir)).toEqual([]);
});

test('overlapping edits: keep-both leaves the loser under a conflict name on both, once', async () => {
  const { a, b } = await apart(
    world,
    { files: { 'a.txt': 'base\n' }, policy: 'keep-both' },
    (one) => one.write('a.txt', 'by a\n'),
    (two) => two.write('a.txt', 'by b\n'),
  );
  await a.until('the copy', () => conflictNames(a.dir).length === 1);
  await world.settled(a, b);
  expect(a.read('a.txt')).toBe('by a\n');
  const [copy] = conflictNames(a.dir);
  expect(copy).toMatch(/^a\.conflict-b-\d{8}-\d{6}-[0-9a-f]{6}\.txt$/);
  expect(a.read(copy ?? '')).toBe('by b\n');
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
  expect(b.events.some((event) => event.event === 'conflict' && event.path === 'a.txt')).toBe(true);
  // Nothing is open any more, but somebody has still to look at the copy: it is listed until it is gone.
  expect(await a.control.status()).toMatchObject({ state: 'idle', conflicts: [], conflictCopies: [copy] });
  rmSync(path.join(a.dir, copy ?? ''));
  await b.until('the deletion', () => conflictNames(b.dir).length === 0);
  await world.settled(a, b);
  expect((await b.control.status()).conflictCopies).toEqual([]);
});

test('ask: the local file stays, the conflict is open on both, and theirs resolves it everywhere', async () => {
  const { a, b } = await apart(
    world,
    { files: { 'a.txt': 'base\n', 'other.txt': 'x\n' }, policy: 'ask' },
    (one) => one.write('a.txt', 'by a\n'),
    (two) => two.write('a.txt', 'by b\n'),
  );
  await b.until('conflict', () => b.state()?.state === 'conflict');
  await a.until('conflict', () => a.state()?.state === 'conflict');
  expect(b.read('a.txt')).toBe('by b\n');
  expect(a.read('a.txt')).toBe('by a\n');
  expect((await a.control.conflicts()).map((conflict) => conflict.path)).toEqual(['a.txt']);
  // Everything else goes on.
  b.write('other.txt', 'y\n');
  await a.until('the other file', () => a.read('other.txt') === 'y\n');

  await b.control.resolve('a.txt', 'theirs');
  await b.until('resolved', () => b.state()?.state === 'idle' && b.read('a.txt') === 'by a\n');
  await world.settled(a, b);
  expect(await a.control.conflicts()).toEqual([]);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
});

test.each(['mine', 'theirs', 'both'] as const)('ask: the other peer resolves with %s', async (keep) => {
  const { a, b } = await apart(
    world,
    { files: { 'a.txt': 'base\n' }, policy: 'ask' },
    (one) => one.write('a.txt', 'by a\n'),
    (two) => two.write('a.txt', 'by b\n'),
  );
  await a.until('conflict', () => a.state()?.state === 'conflict');
  await a.control.resolve('a.txt', keep);
  await a.until('resolved', () => a.state()?.state === 'idle');
  await b.until('resolved', () => b.state()?.state === 'idle');
  await world.settled(a, b);
  expect(a.read('a.txt')).toBe(keep === 'theirs' ? 'by b\n' : 'by a\n');
  expect(conflictNames(a.dir).length).toBe(keep === 'both' ? 1 : 0);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
});

test('an edit beats a deletion', async () => {
  const { a, b } = await apart(
    world,
    { files: { 'a.txt': 'base\n', 'dir/inner.txt': 'inner\n' } },
    (one) => {
      rmSync(path.join(one.dir, 'a.txt'));
      rmSync(path.join(one.dir, 'dir'), { recursive: true });
    },
    (two) => {
      two.write('a.txt', 'edited\n');
      two.write('dir/new.txt', 'new\n');
    },
  );
  await a.until(
    'it came back',
    () => existsSync(path.join(a.dir, 'a.txt')) && existsSync(path.join(a.dir, 'dir/new.txt')),
  );
  await world.settled(a, b);
  expect(a.read('a.txt')).toBe('edited\n');
  expect(existsSync(path.join(a.dir, 'dir/inner.txt'))).toBe(false);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
});

test('a file and a directory of one name are both kept', async () => {
  const { a, b } = await apart(
    world,
    { files: { 'x.txt': 'x\n' } },
    (one) => one.write('thing', 'a file\n'),
    (two) => {
      mkdirSync(path.join(two.dir, 'thing'));
      two.write('thing/child.txt', 'child\n');
    },
  );
  await a.until('the directory', () => existsSync(path.join(a.dir, 'thing/child.txt')));
  await world.settled(a, b);
  expect(conflictNames(a.dir).map((name) => a.read(name))).toEqual(['a file\n']);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
});
