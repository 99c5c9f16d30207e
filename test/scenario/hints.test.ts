/**
 * Changes that no event tells of (rule HINT; F10, M14, D9): every loss that can be known leads to a look at that place, and what
 * cannot be known is found by the sweep within its period. "In sync" says how long ago the whole folder was looked at.
 */
import type { RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fingerprintOf } from '../../engine/src/core/fingerprint.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
let a: Person;
let b: Person;
const files = { 'dir/one.txt': 'one\n', 'dir/two.txt': 'two\n', 'deep/er/three.txt': 'three\n', 'top.txt': 'top\n' };
beforeEach(async () => {
  world = createSmallWorld();
  a = world.person('a');
  b = world.person('b');
  for (const [path, text] of Object.entries(files)) a.user.write(path, text);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
});
afterEach(async () => {
  await world.close();
});

const unheard = (act: () => void): void => {
  const { onHint } = a.memory;
  a.memory.onHint = () => {};
  act();
  a.memory.onHint = onHint;
};
const equal = (): void => expect(b.user.tree()).toEqual(a.user.tree());
const sent = (from: number): string[] =>
  a.events.slice(from).flatMap((event) => (event.event === 'sent' ? [event.path] : []));

/** By the last look at it; undefined: it seemed gone. */
function sizeHere(path: string): number | undefined {
  const local = a.store.row(path as RelPath)?.local;
  return local?.kind === 'file' ? local.size : undefined;
}

/** As a mapped file does: the row of `a` has the stamps of what is there, and the content of before. */
function changeWithoutStamps(path: string, text: string): void {
  const row = a.store.row(path as RelPath);
  unheard(() => a.user.write(path, text));
  const stat = a.memory.disk.lstat(`/folder/${path}`);
  if (row?.local?.kind !== 'file' || stat == null) throw new Error('no file');
  a.store.setLocal(path as RelPath, { ...row.local, fingerprint: fingerprintOf(stat), racy: false });
}

describe('what nothing told of', () => {
  test.each<[string, () => void]>([
    ['an edit', () => a.user.write('dir/one.txt', 'edited\n')],
    ['a file more', () => a.user.write('deep/er/more.txt', 'more\n')],
    ['a directory more', () => a.user.write('new/x/y.txt', 'y\n')],
    ['a file less', () => a.user.remove('deep/er/three.txt')],
    ['a directory less', () => a.user.remove('deep')],
    ['a directory under another name', () => a.user.rename('dir', 'folder')],
    [
      'a file in place of a directory',
      () => {
        a.user.remove('dir');
        a.user.write('dir', 'a file\n');
      },
    ],
    ['another mode', () => a.user.setMode('top.txt', 0o755)],
    ['a link', () => a.user.symlink('link', 'top.txt')],
    ['a rule', () => a.user.write('.gitignore', 'dir/\n')],
  ])('%s is found within the period', async (_name, act) => {
    const { sweepPeriodMs = 0 } = await a.peer.status();
    expect(sweepPeriodMs).toBe(15_000);
    const before = a.store.head()?.height;
    unheard(act);
    await world.clock.advance(2 * sweepPeriodMs);
    await world.quiet();
    expect(a.store.head()?.height).not.toBe(before);
    const here = Object.entries(a.user.tree()).filter(
      ([path]) => !a.user.read('.gitignore') || !path.startsWith('dir/'),
    );
    const there = Object.entries(b.user.tree()).filter(
      ([path]) => !a.user.read('.gitignore') || !path.startsWith('dir/'),
    );
    expect(there).toEqual(here);
  });

  test.each<[string, string, () => void, () => boolean]>([
    ['emptiness', 'dir/one.txt', () => a.user.write('dir/one.txt', ''), () => sizeHere('dir/one.txt') === 0],
    ['absence', 'dir/two.txt', () => a.user.remove('dir/two.txt'), () => sizeHere('dir/two.txt') === undefined],
  ])('while a file is being saved, its %s is not published', async (_what, path, beginSave, isSeen) => {
    unheard(beginSave);
    const before = a.events.length;
    for (let waitedMs = 0; !isSeen() && waitedMs < 40_000; waitedMs += 10) await world.clock.advance(10);
    expect(isSeen()).toBe(true);
    a.user.write(path, 'text again\n');
    await world.quiet();
    equal();
    expect(sent(before)).toEqual([path]);
  });

  test('after a start it is found within the first period', async () => {
    for (let index = 0; index < 1_000; index += 1) a.user.write(`many/${index}.txt`, 'one of many\n');
    a.user.write('z/last.txt', 'last\n');
    await world.quiet();
    await a.stop();
    a.start();
    await world.quiet();
    const { sweepPeriodMs = 0 } = await a.peer.status();
    unheard(() => a.user.write('z/last.txt', 'edited\n'));
    await world.until('sent', () => b.user.read('z/last.txt') === 'edited\n', 1.5 * sweepPeriodMs);
  });

  test('a folder at rest is looked at, and nothing follows: no scan, no event', async () => {
    // What changed lately is read once more.
    await world.clock.advance(60_000);
    const { wholeFolderLookedAt: first } = await a.peer.status();
    const before = a.events.length;
    await world.clock.advance(5 * 60_000);
    const { wholeFolderLookedAt: last } = await a.peer.status();
    expect(Date.parse(last ?? '') - Date.parse(first ?? '')).toBeGreaterThan(4.5 * 60_000);
    expect(a.events.slice(before).filter(({ event }) => event !== 'peer')).toEqual([]);
  });

  test('a paused peer does not look; it finds all when it goes on', async () => {
    await a.peer.pause();
    await world.clock.advance(1_000);
    const { wholeFolderLookedAt: first } = await a.peer.status();
    unheard(() => a.user.write('dir/one.txt', 'edited\n'));
    await world.clock.advance(60_000);
    expect((await a.peer.status()).wholeFolderLookedAt).toBe(first);
    const resumed = a.peer.resume();
    await world.clock.advance(40_000);
    await resumed;
    await world.quiet();
    equal();
  });

  test('it stops looking as soon as it is paused, however little it is ahead', async () => {
    for (let index = 0; index < 1_000; index += 1) a.user.write(`many/d${index % 100}/${index}.txt`, 'one of many\n');
    await world.quiet();
    await world.clock.advance(120_000);
    let lists = 0;
    let pausing: Promise<unknown> | undefined;
    let listsWhilePaused = 0;
    a.folder.before = ({ operation }) => {
      if (operation !== 'list') return;
      lists += 1;
      if (lists === 3) pausing = a.peer.pause();
      if (a.state()?.state === 'paused') listsWhilePaused += 1;
    };
    await world.until('paused', () => a.state()?.state === 'paused', 60_000);
    await pausing;
    await world.clock.advance(20_000);
    // What lies between two looks at whether it may go on.
    expect(listsWhilePaused).toBeLessThan(8);
  });

  test('a look that failed by a fault of ours is begun again two seconds later', async () => {
    await world.clock.advance(60_000);
    let lists = 0;
    a.folder.before = ({ operation }) => {
      if (operation !== 'list') return;
      lists += 1;
      if (lists === 1) throw new Error('a fault of ours');
    };
    await world.until('it failed', () => lists === 1, 20_000);
    await world.until('it is begun again', () => lists > 1, 2_500);
  });

  test('verify finds it, and the sync takes it from there', async () => {
    unheard(() => {
      a.user.write('dir/one.txt', 'edited\n');
      a.user.remove('dir/two.txt');
      a.user.write('dir/more.txt', 'more\n');
    });
    const verifying = a.peer.verify();
    await world.clock.advance(100);
    const { ok, differences } = await verifying;
    expect(ok).toBe(false);
    expect(differences.map(({ path }) => path).sort()).toEqual(['dir/more.txt', 'dir/one.txt', 'dir/two.txt']);
    await world.until('sent', () => b.user.read('dir/more.txt') !== undefined, 2_000);
    await world.quiet();
    equal();
  });

  test('verify counts all that it does not list', async () => {
    const pausing = a.peer.pause();
    await world.clock.advance(100);
    await pausing;
    for (let index = 0; index < 1_100; index += 1) a.user.write(`dir/new ${index}.txt`, 'x');
    const verifying = a.peer.verify();
    await world.clock.advance(1_000);
    const { ok, differenceCount, differences } = await verifying;
    expect({ ok, differenceCount, listed: differences.length }).toEqual({
      ok: false,
      differenceCount: 1_100,
      listed: 1_000,
    });
  });

  test('verify finds what lies where the room deleted something', async () => {
    const files = ['dir/again.txt', 'old/deep/file.txt'] as const;
    for (const path of files) a.user.write(path, 'first\n');
    await world.quiet();
    a.user.remove('dir/again.txt');
    a.user.remove('old');
    await world.quiet();
    unheard(() => {
      for (const path of files) a.user.write(path, 'second\n');
    });
    const verifying = a.peer.verify();
    await world.clock.advance(100);
    const { ok, differences } = await verifying;
    expect(ok).toBe(false);
    expect(differences.map(({ path }) => path).sort()).toEqual(['dir/again.txt', 'old']);
    await world.until('sent', () => files.every((path) => b.user.read(path) === 'second\n'), 2_000);
    await world.quiet();
    equal();
  });

  test.each([
    ['', 'dir/one.txt', () => {}],
    [', when the room renames its directory in between', 'moved/one.txt', () => b.user.rename('dir', 'moved')],
    [', when its user renames its directory in between', 'moved/one.txt', () => a.user.rename('dir', 'moved')],
    [', when the room renames it in between', 'moved.txt', () => b.user.rename('dir/one.txt', 'moved.txt')],
  ] as const)(
    'a mapped file goes on changing without any stamp after a change that was heard of%s',
    async (_, last, between) => {
      a.user.write('dir/one.txt', 'aaaa\n');
      await world.until('sent', () => b.user.read('dir/one.txt') === 'aaaa\n', 5_000);
      between();
      await world.until('renamed', () => [a, b].every(({ user }) => user.read(last) === 'aaaa\n'), 5_000);
      await world.clock.advance(5_000);
      changeWithoutStamps(last, 'bbbb\n');
      await world.until('found again', () => b.user.read(last) === 'bbbb\n', 60_000);
      equal();
    },
  );

  test.each(['', ', also when everything was scanned in between'])(
    'a file that changes without any stamp, as a mapped one can, is read once more after a silent change%s',
    async (between) => {
      unheard(() => a.user.write('top.txt', 'aaaa\n'));
      await world.until('found', () => b.user.read('top.txt') === 'aaaa\n', 60_000);
      changeWithoutStamps('top.txt', 'bbbb\n');
      if (between !== '') {
        await world.clock.advance(5_000);
        a.watcher.lose();
      }
      await world.until('found again', () => b.user.read('top.txt') === 'bbbb\n', 60_000);
    },
  );
});

describe('many files that went unheard of', () => {
  const many = Array.from({ length: 300 }, (_, index) => `many/${index}/file.txt`);
  const theirs = (): number => Object.keys(b.user.tree()).filter((path) => path.endsWith('file.txt')).length;
  const asks = (code: string) => (): boolean => a.state()?.code === code;
  beforeEach(async () => {
    for (const path of many) a.user.write(path, `${path}\n`);
    await world.quiet();
    await world.clock.advance(20_000);
    a.memory.onHint = () => {};
  });

  test.each([
    ['most of them', 240, 'mass-deletion-held'],
    ['all of them', 300, 'root-emptied'],
  ] as const)('%s are asked about together, however slowly they would be looked at', async (_what, count, code) => {
    for (const path of Object.keys(files)) a.user.remove(path);
    for (const path of many.slice(0, count)) a.user.remove(path);
    await world.until('it is asked', asks(code));
    expect(theirs()).toBe(300);
  });

  test.each(['watched', 'unwatched'])('those that go while it is looked at belong to them (%s)', async (how) => {
    if (how === 'unwatched') a.watcher.refuse('*', 'a network disk');
    const going = [...many];
    for (const path of going.splice(0, 3)) a.user.remove(path);
    const isSeen = (): boolean => a.store.row('many/0/file.txt' as RelPath)?.local === null;
    await world.until('the first are seen', isSeen);
    while (going.length > 60) {
      for (const path of going.splice(0, 30)) a.user.remove(path);
      await world.clock.advance(500);
    }
    await world.until('it is asked', asks('mass-deletion-held'));
    expect(theirs()).toBe(300);
  });

  test('a few go out as ever', async () => {
    for (const path of many.slice(0, 3)) a.user.remove(path);
    await world.until('they went', () => theirs() === 297, 60_000);
    await world.clock.advance(60_000);
    expect(a.state()?.state).toBe('idle');
  });
});

test('the first look at a folder that was shared a moment ago ends within the period, however much is in it', async () => {
  const c = world.person('c');
  for (let index = 0; index < 200; index += 1) c.user.write(`c/${index}/file.txt`, `${index}\n`);
  c.start();
  await world.quiet();
  const { sweepPeriodMs = 0 } = await c.peer.status();
  await world.clock.advance(2 * sweepPeriodMs);
  const { wholeFolderLookedAt } = await c.peer.status();
  expect(world.clock.nowMs() - Date.parse(wholeFolderLookedAt ?? '')).toBeLessThan(1.5 * sweepPeriodMs);
});

test('a file that is stamped with a time to come is left alone in the end', async () => {
  a.user.write('future.txt', 'text\n');
  a.user.setModificationTime('future.txt', Date.UTC(2099, 0, 1));
  await world.quiet();
  let read = 0;
  a.folder.before = ({ operation, path }) => {
    if (operation === 'openFile' && path === 'future.txt') read += 1;
  };
  await world.clock.advance(60 * 60_000);
  // When its stamps prove something, and when it may have been written back.
  expect(read).toBeLessThanOrEqual(2);
});

describe('what is known to be lost', () => {
  test('a look at everything that could not list the folder itself has answered nothing', async () => {
    unheard(() => a.user.write('top.txt', 'edited\n'));
    a.folder.addFault({ operation: 'list', path: '', code: 'EMFILE', times: 1 });
    a.watcher.lose();
    await world.until('found', () => b.user.read('top.txt') === 'edited\n', 5_000);
    expect(a.folder.faultsMet).toBe(1);
  });

  test('hints that may have been dropped: nothing is in sync before the whole folder was looked at', async () => {
    unheard(() => {
      a.user.write('dir/one.txt', 'edited\n');
      a.user.remove('deep/er/three.txt');
      a.user.write('new/x.txt', 'x\n');
    });
    const before = a.events.length;
    a.watcher.lose();
    await world.until('found', () => b.user.read('new/x.txt') === 'x\n', 2_000);
    await world.quiet();
    equal();
    const states = a.events.slice(before).flatMap((event) => (event.event === 'state' ? [event.state] : []));
    expect(states[0]).toBe('scanning');
    expect(sent(before)).toContain('dir/one.txt');
  });

  test('lost in the middle of that look: it looks once more', async () => {
    let lost = 0;
    const { beforeCall } = a.memory;
    a.memory.beforeCall = (call) => {
      beforeCall(call);
      if (call.operation !== 'list' || !call.path.endsWith('/er') || lost > 0) return;
      lost += 1;
      unheard(() => a.user.write('top.txt', 'edited\n'));
      unheard(() => a.user.write('dir/one.txt', 'edited\n'));
      a.watcher.lose();
    };
    a.watcher.lose();
    await world.until(
      'found',
      () => b.user.read('top.txt') === 'edited\n' && b.user.read('dir/one.txt') === 'edited\n',
      5_000,
    );
    expect(lost).toBe(1);
    await world.quiet();
    equal();
  });
});

describe('places that cannot be watched', () => {
  test('are looked at every ten seconds, said with cause and remedy, and nothing else is scanned for them', async () => {
    a.watcher.refuse('dir', 'no watches left');
    a.watcher.lose();
    await world.quiet();
    expect(await a.peer.status()).toMatchObject({
      state: 'idle',
      watchingByRescan: true,
      unwatched: { directories: 1, reason: 'no watches left' },
    });
    // What changed lately is read once more.
    await world.clock.advance(60_000);
    const before = a.events.length;
    unheard(() => a.user.write('dir/one.txt', 'edited\n'));
    await world.until('found', () => b.user.read('dir/one.txt') === 'edited\n', 22_000);
    await world.clock.advance(60_000);
    const scans = a.events.slice(before).filter((event) => event.event === 'state' && event.state === 'scanning');
    // The edit, and its file once more.
    expect(scans.length).toBeLessThanOrEqual(2);
    a.watcher.refuse('dir', null);
    await world.until('healed', () => a.state()?.watchingByRescan === false, 22_000);
  });

  test('a directory that may not be read costs no scans, and is found when it may', async () => {
    a.folder.addFault({ operation: 'list', path: 'dir', code: 'EACCES', times: Number.POSITIVE_INFINITY });
    a.watcher.hint('dir');
    await world.quiet();
    await world.clock.advance(60_000);
    expect(a.store.row('dir' as RelPath)?.outOfScope).toBe('unreadable');
    expect(a.state()).toMatchObject({ state: 'idle', watchingByRescan: false });
    expect(a.watcher.watched.has('dir')).toBe(false);
    const before = a.events.length;
    await world.clock.advance(5 * 60_000);
    expect(a.events.slice(before).filter(({ event }) => event !== 'peer')).toEqual([]);
    a.folder.clearFaults();
    unheard(() => a.user.write('dir/one.txt', 'edited\n'));
    await world.until('found', () => b.user.read('dir/one.txt') === 'edited\n', 40_000);
    expect(a.watcher.watched.has('dir')).toBe(true);
    await world.quiet();
    equal();
  });

  test('a folder without any watch is looked at as a whole', async () => {
    a.watcher.refuse('*', 'a network disk');
    await world.quiet();
    expect(await a.peer.status()).toMatchObject({ unwatched: { directories: null }, sweepPeriodMs: 10_000 });
  });
});

describe('watches follow the rules in force', () => {
  const watched = (): string[] => [...a.watcher.watched].sort();

  test('what is ignored is never watched; a rule that changes moves the watches', async () => {
    expect(watched()).toEqual(['', 'deep', 'deep/er', 'dir']);
    a.user.write('.gitignore', 'deep/\n');
    await world.quiet();
    expect(watched()).toEqual(['', 'dir']);
    a.user.write('.gitignore', 'dir/\n');
    await world.quiet();
    expect(watched()).toEqual(['', 'deep', 'deep/er']);
  });

  test('a rule that a united or received ignore file brings, too', async () => {
    b.user.write('.driftlessignore', 'deep/\n');
    await world.quiet();
    expect(watched()).toEqual(['', 'dir']);
    expect([...b.watcher.watched].sort()).toEqual(['', 'dir']);
  });

  test('directories that a record brings are watched, however deep; those that it takes are not', async () => {
    b.user.write('x/y/z/w.txt', 'w\n');
    await world.quiet();
    expect(watched()).toContain('x/y/z');
    b.user.rename('x', 'v');
    await world.quiet();
    expect(watched()).toContain('v/y/z');
    expect(watched().filter((path) => path.startsWith('x'))).toEqual([]);
    b.user.remove('v');
    await world.quiet();
    expect(watched()).toEqual(['', 'deep', 'deep/er', 'dir']);
  });
});
