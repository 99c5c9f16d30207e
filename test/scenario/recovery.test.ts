/** Offline work, lost and rolled-back relays, lost state: nothing is deleted, everybody ends equal (P7–P13, RB1–RB4, SEED). */
import { cpSync, existsSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
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

const many = (count: number, text: string): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`dir${index % 7}/file${index}.txt`, `${text} ${index}\n`]),
  );

test('B gets what A did while B was away, with only the relay up', async () => {
  const a = await world.share('a', { files: many(50, 'first') });
  const b = await world.join('b', a.invite);
  await world.settled(a, b);
  await b.stop();
  for (const [file, text] of Object.entries(many(300, 'second'))) a.write(file, text);
  rmSync(path.join(a.dir, 'dir0/file0.txt'));
  await a.until(
    'idle',
    () =>
      a.state()?.state === 'idle' &&
      a.events.some((event) => event.event === 'sent' && event.path === 'dir0/file0.txt' && event.deleted === true),
  );
  await world.settled(a);
  await a.stop();
  await b.start();
  await world.settled(b);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
  expect(existsSync(path.join(b.dir, 'dir0/file0.txt'))).toBe(false);
});

test('the relay is away: work goes on, and arrives when it is back', async () => {
  const a = await world.share('a', { files: { 'a.txt': 'one\n' } });
  const b = await world.join('b', a.invite);
  await world.settled(a, b);
  await world.stopRelay();
  await a.until('offline', () => a.state()?.state === 'offline');
  a.write('a.txt', 'two\n');
  a.write('b.txt', 'new\n');
  await world.startRelay();
  await b.until('the new file', () => existsSync(path.join(b.dir, 'b.txt')));
  await world.settled(a, b);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
  expect(b.read('a.txt')).toBe('two\n');
});

test('the relay loses its data: it is refilled, nothing is deleted', async () => {
  const a = await world.share('a', { files: many(40, 'kept') });
  const b = await world.join('b', a.invite);
  await world.settled(a, b);
  await world.stopRelay();
  a.write('while-away.txt', 'away\n');
  rmSync(path.join(world.root, 'relay'), { recursive: true });
  await world.startRelay();
  await b.until('the new file', () => existsSync(path.join(b.dir, 'while-away.txt')));
  await world.settled(a, b);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
  // A newcomer gets everything from the refilled relay alone.
  await a.stop();
  await b.stop();
  const c = await world.join('c', a.invite);
  await world.settled(c);
  expect(treeOf(c.dir)).toEqual(treeOf(a.dir));
});

test('the relay is restored from an older copy: the missing records are put back', async () => {
  const a = await world.share('a', { files: many(10, 'kept') });
  const b = await world.join('b', a.invite);
  await world.settled(a, b);
  await world.stopRelay();
  cpSync(path.join(world.root, 'relay'), path.join(world.root, 'backup'), { recursive: true });
  await world.startRelay();
  for (let index = 0; index < 5; index += 1) {
    a.write(`later${index}.txt`, `later ${index}\n`);
    await b.until('it', () => existsSync(path.join(b.dir, `later${index}.txt`)));
  }
  rmSync(path.join(a.dir, 'dir1/file1.txt'));
  await b.until('deletion', () => !existsSync(path.join(b.dir, 'dir1/file1.txt')));
  await world.settled(a, b);
  const before = treeOf(a.dir);
  await world.stopRelay();
  rmSync(path.join(world.root, 'relay'), { recursive: true });
  cpSync(path.join(world.root, 'backup'), path.join(world.root, 'relay'), { recursive: true });
  await world.startRelay();
  await a.until('connected', () => a.state()?.state === 'idle');
  await world.settled(a, b);
  a.write('after.txt', 'after\n');
  await b.until('after', () => existsSync(path.join(b.dir, 'after.txt')));
  await world.settled(a, b);
  expect(treeOf(a.dir)).toEqual({ ...before, 'after.txt': Buffer.from('after\n').toString('base64') });
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
});

test('a peer loses its state: it joins again, nothing is deleted, nothing deleted comes back', async () => {
  const a = await world.share('a', { files: many(20, 'kept') });
  symlinkSync('dir2', path.join(a.dir, 'link'));
  const b = await world.join('b', a.invite);
  await b.until('the link', () => existsSync(path.join(b.dir, 'link')));
  await world.settled(a, b);
  await b.stop();
  a.write('dir4/file4.txt', 'newer\n');
  await a.until('the edit', () => a.events.some((event) => event.event === 'sent' && event.path === 'dir4/file4.txt'));
  for (const gone of ['dir2/file2.txt', 'dir4/file4.txt', 'dir5', 'link'])
    rmSync(path.join(a.dir, gone), { recursive: true });
  a.write('dir3/file3.txt', 'newer\n');
  await a.until('sent', () => a.events.some((event) => event.event === 'sent' && event.path === 'dir2/file2.txt'));
  await world.settled(a);
  b.write('mine.txt', 'only here\n');
  // The state store is gone; link and keys stay.
  const folders = path.join(b.home, 'folders');
  for (const name of readdirSync(folders))
    for (const file of readdirSync(path.join(folders, name)))
      if (file.startsWith('state')) rmSync(path.join(folders, name, file), { recursive: true });
  await b.start();
  await a.until('the new file', () => existsSync(path.join(a.dir, 'mine.txt')));
  await world.settled(a, b);
  for (const gone of ['dir2/file2.txt', 'dir4/file4.txt', 'dir5', 'link'])
    expect(existsSync(path.join(a.dir, gone)), gone).toBe(false);
  expect(b.read('dir3/file3.txt')).toBe('newer\n');
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
});

test('a folder is unlinked and joins again: what was deleted meanwhile stays deleted, what was made meanwhile is kept', async () => {
  const a = await world.share('a', { files: many(20, 'kept') });
  symlinkSync('dir2', path.join(a.dir, 'link'));
  const b = await world.join('b', a.invite);
  await b.until('the link', () => existsSync(path.join(b.dir, 'link')));
  await world.settled(a, b);
  await b.unlink();
  a.write('dir3/file3.txt', 'newer\n');
  await a.until('the edit', () => a.events.some((event) => event.event === 'sent' && event.path === 'dir3/file3.txt'));
  const goneAtA = ['dir2/file2.txt', 'dir3/file3.txt', 'dir4/file4.txt', 'dir5', 'link'];
  for (const gone of goneAtA) rmSync(path.join(a.dir, gone), { recursive: true });
  const isSent = (gone: string): boolean =>
    a.events.some((event) => event.event === 'sent' && event.path === gone && event.deleted === true);
  await a.until('sent', () => goneAtA.every(isSent));
  await world.settled(a);
  // The same content, but somebody's own doing since.
  const again = b.read('dir4/file4.txt');
  rmSync(path.join(b.dir, 'dir4/file4.txt'));
  b.write('dir4/file4.txt', again);
  b.write('mine.txt', 'only here\n');
  const back = await world.join('b', a.invite);
  await world.settled(a, back);
  await a.until('the new file', () => existsSync(path.join(a.dir, 'mine.txt')));
  await world.settled(a, back);
  for (const gone of ['dir2/file2.txt', 'dir3/file3.txt', 'dir5', 'link'])
    expect(existsSync(path.join(a.dir, gone)), gone).toBe(false);
  expect(a.read('dir4/file4.txt')).toBe(again);
  expect(treeOf(back.dir)).toEqual(treeOf(a.dir));
});

test('two folders that both have content are joined: union, equal files met, unequal ones kept twice', async () => {
  const a = await world.share('a', { files: { 'same.txt': 'same\n', 'a.txt': 'a\n', 'both.txt': 'by a\n' } });
  const b = await world.join('b', a.invite, { files: { 'same.txt': 'same\n', 'b.txt': 'b\n', 'both.txt': 'by b\n' } });
  await world.settled(a, b);
  await a.until('copy', () => readdirSync(a.dir).some((name) => name.startsWith('both.conflict-')));
  await world.settled(a, b);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
  expect(a.read('both.txt')).toBe('by a\n');
  expect(readdirSync(a.dir).filter((name) => name.includes('conflict')).length).toBe(1);
});
