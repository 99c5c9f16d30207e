/** A staged file of a large content belongs to whoever works with it, from before it is made until it is in its place (rule DISK1). */

import { closeCodes } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RequestRefused } from '../../engine/src/ports/room-session.ts';
import { noise, stagedBytes } from './large-contents.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(() => world.close());

/** Both have them. */
async function pairWith(files: Readonly<Record<string, string>>): Promise<readonly [Person, Person]> {
  const [a, b] = [world.person('a'), world.person('b')];
  for (const [path, text] of Object.entries(files)) a.user.write(path, text);
  a.start();
  b.start();
  await world.quiet();
  return [a, b];
}

/** The edit of x.bin has its name, and reads the old version before it makes its file, while another large file comes and goes. */
async function markedBeforeItIsMade(): Promise<{ readonly a: Person; readonly b: Person; readonly goOn: () => void }> {
  const [a, b] = await pairWith({ 'x.bin': noise(1, 3_000_000), 'small.txt': 'old' });
  const { promise: gate, resolve: goOn } = Promise.withResolvers<void>();
  const { openFile } = b.folder;
  let isReading = false;
  b.folder.openFile = async (path) => {
    if (path === 'x.bin') {
      isReading = true;
      await gate;
    }
    return openFile(path);
  };
  a.user.write('x.bin', noise(2, 3_000_000));
  await world.until('the old version is read', () => isReading);
  a.user.write('y.bin', noise(3, 1_500_000));
  await world.until('the other file', () => b.user.read('y.bin') !== undefined);
  return { a, b, goOn };
}

test('no two write one staged file, also when one content is needed at a second path meanwhile', async () => {
  const { a, b, goOn } = await markedBeforeItIsMade();
  const open = new Set<string>();
  const openedTwice: string[] = [];
  const { promise: gate, resolve: writeOn } = Promise.withResolvers<void>();
  let writes = 0;
  const { stage } = b.folder;
  b.folder.stage = async (options) => {
    const writer = await stage(options);
    if (open.has(options.name)) openedTwice.push(options.near);
    open.add(options.name);
    return {
      ...writer,
      write: async (bytes) => {
        if (options.near === 'x.bin') {
          writes += 1;
          if (writes === 6) await gate;
        }
        await writer.write(bytes);
      },
      commit: async (how) => {
        open.delete(options.name);
        await writer.commit(how);
      },
      abort: async () => {
        open.delete(options.name);
        await writer.abort();
      },
    };
  };
  goOn();
  await world.until('it is written', () => writes === 6);
  a.user.write('z.bin', a.user.read('x.bin') ?? '');
  await world.until('the second path', () => b.user.read('z.bin') !== undefined);
  writeOn();
  await world.quiet();
  expect(openedTwice).toEqual([]);
  for (const path of ['x.bin', 'z.bin']) expect(b.user.read(path) === noise(2, 3_000_000)).toBe(true);
  expect(stagedBytes(b)).toEqual([]);
});

test('what is whole and waits for its place makes no room', async () => {
  const { a, b, goOn } = await markedBeforeItIsMade();
  await b.peer.holdUnsaved('window', [{ path: 'x.bin', loaded: null, merged: null }]);
  goOn();
  await world.until('it waits', () => stagedBytes(b)[0] === 3_000_000);
  b.memory.disk.setFreeBytes(0, 20_000_000);
  a.user.write('small.txt', 'new');
  await world.clock.advance(10_000);
  expect(b.store.problemRows(9)).toMatchObject([{ path: 'small.txt' }]);
  expect(stagedBytes(b)).toEqual([3_000_000]);
  b.memory.disk.setFreeBytes(null);
  await b.peer.holdUnsaved('window', []);
  await world.quiet();
  expect(b.user.tree()).toEqual(a.user.tree());
});

test('what is whole needs no room: it comes to its place on a disk that is almost full', async () => {
  const { b, goOn } = await markedBeforeItIsMade();
  await b.peer.holdUnsaved('window', [{ path: 'x.bin', loaded: null, merged: null }]);
  goOn();
  await world.until('it waits', () => stagedBytes(b)[0] === 3_000_000);
  b.kill();
  b.memory.disk.setFreeBytes(900_000, 20_000_000);
  b.start();
  await world.until('the file', () => b.user.read('x.bin') === noise(2, 3_000_000));
  expect(b.store.problemRows(9)).toEqual([]);
});

test('what is whole, is wanted no more and cannot be removed at once goes later', async () => {
  const { a, b, goOn } = await markedBeforeItIsMade();
  await b.peer.holdUnsaved('window', [{ path: 'x.bin', loaded: null, merged: null }]);
  goOn();
  await world.until('it waits', () => stagedBytes(b)[0] === 3_000_000);
  const { discardStaged } = b.folder;
  let refused = 0;
  b.folder.discardStaged = async (name) => {
    if (refused > 0) return discardStaged(name);
    refused += 1;
  };
  a.user.write('x.bin', noise(5, 3_000_000));
  await world.until('it is not removed', () => refused === 1);
  await b.peer.holdUnsaved('window', []);
  await world.quiet();
  expect(b.user.tree()).toEqual(a.user.tree());
  expect(stagedBytes(b)).toEqual([]);
});

test('what is left of a download is gone on with on its own disk alone', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  for (const one of [a, b]) one.user.write('media/here.txt', 'here');
  b.memory.disk.mount('/folder/media');
  a.start();
  b.start();
  await world.quiet();
  let isCut = false;
  world.relay.refuses = () => {
    if (!isCut && stagedBytes(b).some((bytes) => bytes > 0)) {
      isCut = true;
      world.relay.cut();
    }
    return undefined;
  };
  a.user.write('film.bin', noise(6, 6_000_000));
  await world.until('the cut', () => isCut);
  await b.stop();
  a.user.rename('film.bin', 'media/film.bin');
  await world.clock.advance(10_000);
  b.start();
  const staged: (bigint | undefined)[] = [];
  const { swapIn } = b.folder;
  b.folder.swapIn = async (options) => {
    if (options.path === 'media/film.bin')
      staged.push(b.memory.disk.lstat(`/folder/media/.driftless-stage-${options.stagedName}`)?.device);
    return swapIn(options);
  };
  await world.quiet();
  expect(staged).toEqual([b.memory.disk.lstat('/folder/media')?.device]);
  expect(b.user.tree()).toEqual(a.user.tree());
  expect(stagedBytes(b)).toEqual([]);
});

test('what a replace that cannot be settled would place makes no room: its user writes there, and neither version is lost', async () => {
  const [a, b] = await pairWith({ 'small.txt': 'old' });
  const large = noise(4, 1_500_000);
  b.folder.before = ({ operation, path }) => {
    if (operation === 'swapIn' && path === 'p.bin') b.killBefore(1, 'kill');
  };
  a.user.write('p.bin', large);
  await world.until('it dies', () => b.isDead);
  expect(b.store.intents()).toHaveLength(1);
  b.start();
  b.folder.addFault({ operation: 'settleSwap', code: 'EACCES', times: Number.POSITIVE_INFINITY });
  b.memory.disk.setFreeBytes(0, 20_000_000);
  a.user.write('small.txt', 'new');
  await world.clock.advance(20_000);
  b.memory.disk.setFreeBytes(null);
  b.user.write('p.bin', 'mine');
  b.folder.clearFaults();
  await world.quiet();
  expect(Object.keys(b.user.tree())).toEqual(Object.keys(a.user.tree()));
  const texts = Object.values(a.user.tree());
  for (const text of [large, 'mine', 'new']) expect(texts.includes(text)).toBe(true);
  expect(stagedBytes(b)).toEqual([]);
});

/** The download of media/album/film.bin waits, on a disk of `b`, after its first bytes. */
async function partOfFilm(): Promise<{
  readonly a: Person;
  readonly b: Person;
  readonly film: string;
  readonly hidden: string;
  readonly bytes: Uint8Array;
  readonly goOn: () => void;
}> {
  const [a, b] = [world.person('a'), world.person('b')];
  for (const one of [a, b]) one.user.write('media/album/here.txt', 'here');
  b.memory.disk.mount('/folder/media');
  a.start();
  b.start();
  await world.quiet();
  const { promise: gate, resolve: goOn } = Promise.withResolvers<void>();
  const { stage } = b.folder;
  let written = 0;
  b.folder.stage = async (options) => {
    const writer = await stage(options);
    if (options.near !== 'media/album/film.bin') return writer;
    return {
      ...writer,
      write: async (bytes) => {
        if (written > 2_000_000) await gate;
        await writer.write(bytes);
        written += bytes.length;
      },
    };
  };
  const film = noise(7, 6_000_000);
  a.user.write('media/album/film.bin', film);
  await world.until('a part', () => written > 2_000_000);
  const hidden = Object.keys(b.user.tree()).find((path) => path.includes('.driftless-stage-dl-')) ?? '';
  const bytes = b.memory.disk.readWhole(`/folder/${hidden}`) ?? new Uint8Array();
  expect(bytes.length).toBe(written);
  return { a, b, film, hidden, bytes, goOn };
}

test('a download whose directory is moved to another disk is not gone on with behind the end of its copy', async () => {
  const { a, b, film, hidden, bytes, goOn } = await partOfFilm();
  // As `mv` does it across disks: everything is copied, and the old names go.
  b.user.write('album/here.txt', 'here');
  b.memory.disk.userWrite(`/folder/${hidden.replace('media/', '')}`, bytes.slice(0, 1_000_000));
  world.relay.refuses = (request) =>
    request === 'append' ? new RequestRefused(closeCodes.overQuota.code, 'for a test') : undefined;
  b.user.remove('media/album');
  const pointer = `/folder/.driftless/stage/${hidden.slice(hidden.indexOf('dl-'))}`;
  await world.until('it is met', () => b.memory.disk.readLink(pointer).startsWith('../../album/'));
  world.relay.cut();
  goOn();
  await world.clock.advance(1_000);
  world.relay.refuses = () => undefined;
  await world.quiet();
  await world.clock.advance(60_000);
  await world.quiet();
  expect(b.user.read('album/film.bin') === film).toBe(true);
  expect(b.user.tree()).toEqual(a.user.tree());
  expect(stagedBytes(b)).toEqual([]);
});

test('a copy that lies where a download is written is not taken for the whole of it', async () => {
  const { a, b, film, hidden, bytes, goOn } = await partOfFilm();
  b.memory.disk.unlink(`/folder/${hidden}`);
  b.memory.disk.userWrite(`/folder/${hidden}`, bytes.slice(0, 1_000_000));
  goOn();
  await world.quiet();
  await world.clock.advance(60_000);
  await world.quiet();
  expect(b.user.read('media/album/film.bin') === film).toBe(true);
  expect(b.user.tree()).toEqual(a.user.tree());
  expect(stagedBytes(b)).toEqual([]);
});
