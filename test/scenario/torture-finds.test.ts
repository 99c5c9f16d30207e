/** What the torture (test/chaos) found, each reduced to a few lines. */
import { existsSync, readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
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

test('links that point elsewhere on both sides: one copy, then quiet (C4, invariant 19)', async () => {
  const { a, b } = await apart(
    world,
    { files: { 'anchor.txt': 'here\n' } },
    (one) => symlinkSync('by-a', path.join(one.dir, 'link')),
    (two) => symlinkSync('by-b', path.join(two.dir, 'link')),
  );
  await a.until('the copy', () => conflictNames(a.dir).length > 0);
  await world.settled(a, b);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
  expect(readlinkSync(path.join(a.dir, 'link'))).toBe('by-a');
  expect(conflictNames(a.dir).map((name) => readlinkSync(path.join(a.dir, name)))).toEqual(['by-b']);
});

/** As after a lost disk: the relay keeps its identity and nothing else. */
async function loseRelayData(): Promise<void> {
  await world.stopRelay();
  rmSync(path.join(world.root, 'relay'), { recursive: true });
}

test('the relay loses its data while an edit waits here: the old version comes from the merge bases (SEED, P12)', async () => {
  const a = await world.share('a', { files: { 'edited.txt': 'one\n', 'kept.txt': 'kept\n' } });
  const b = await world.join('b', a.invite);
  await world.settled(a, b);
  await b.stop();
  await loseRelayData();
  a.write('edited.txt', 'two\n');
  await world.startRelay();
  await world.settled(a);
  await b.start();
  await world.settled(a, b);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
  expect(readdirSync(b.dir).sort()).toEqual(['.driftless', 'edited.txt', 'kept.txt']);
  expect(b.read('edited.txt')).toBe('two\n');
});

test('the relay loses its data and a version that nobody holds any more: the room begins again, nothing is deleted (RB4)', async () => {
  const big = (byte: number): Uint8Array => Uint8Array.from({ length: 1_500_000 }, (_, index) => (index * byte) >> 3);
  const a = await world.share('a', { files: { 'kept.txt': 'kept\n' } });
  const b = await world.join('b', a.invite);
  await world.settled(a, b);
  await b.stop();
  a.write('big.bin', big(3));
  await a.until('sent', () => a.events.some((event) => event.event === 'sent' && event.path === 'big.bin'));
  await world.settled(a);
  await loseRelayData();
  a.write('big.bin', big(5));
  await world.startRelay();
  await world.settled(a);
  b.write('mine.txt', 'made while away\n');
  await b.start();
  await a.until('the file of b', () => existsSync(path.join(a.dir, 'mine.txt')));
  await world.settled(a, b);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
  expect(readdirSync(b.dir).sort()).toEqual(['.driftless', 'big.bin', 'kept.txt', 'mine.txt']);
});

test('another peer began the lost room again with less than this one knew: nothing newer here is replaced (RB4, promise 1)', async () => {
  const big = (byte: number): Uint8Array => Uint8Array.from({ length: 1_500_000 }, (_, index) => (index * byte) >> 3);
  const a = await world.share('a', { files: { 'notes.txt': 'old\n', 'kept.txt': 'kept\n' } });
  const b = await world.join('b', a.invite);
  await world.settled(a, b);
  b.write('big.bin', big(3));
  await b.until('sent', () => b.events.some((event) => event.event === 'sent' && event.path === 'big.bin'));
  await world.settled(a, b);
  await b.stop();
  a.write('notes.txt', 'newer, which b never saw\n');
  await a.until('sent', () => a.events.some((event) => event.event === 'sent' && event.path === 'notes.txt'));
  await world.settled(a);
  await a.stop();
  await loseRelayData();
  await world.startRelay();
  // What b knew of the room is gone for good, so that it begins anew.
  b.write('big.bin', big(5));
  await b.start();
  await world.settled(b);
  await a.start();
  await world.settled(a, b);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
  expect(
    readdirSync(a.dir)
      .filter((name) => name.startsWith('notes'))
      .map((name) => a.read(name)),
  ).toContain('newer, which b never saw\n');
});

test('an open conflict whose file makes way for a directory is closed (C18)', async () => {
  const a = await world.share('a', { files: { 'anchor.txt': 'here\n' }, policy: 'ask' });
  const b = await world.join('b', a.invite);
  await world.settled(a, b);
  await a.control.pause();
  await a.until('paused', () => a.state()?.state === 'paused');
  b.write('flip', 'by b\n');
  await b.until('sent', () => b.events.some((event) => event.event === 'sent' && event.path === 'flip'));
  a.write('flip', 'by a\n');
  await a.control.resume();
  await a.until('held', () => a.state()?.state === 'conflict');
  await world.settled(a, b);
  rmSync(path.join(b.dir, 'flip'));
  b.write('flip/in.txt', 'a directory now\n');
  await a.until('the directory', () => existsSync(path.join(a.dir, 'flip/in.txt')));
  await a.until('idle', () => a.state()?.state === 'idle');
  await world.settled(a, b);
  expect(await a.control.conflicts()).toEqual([]);
  expect(conflictNames(a.dir).map((name) => a.read(name))).toEqual(['by a\n']);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
});
