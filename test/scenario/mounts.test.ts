/** Disks that are mounted inside the folder and go, come back, or come back as another one (D4, IG1): nothing of it is lost for anybody. */
import { closeCodes, noRecordId, type RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ConflictPolicy, HoldChoice } from '../../engine/src/control.ts';
import { emptyRoot } from '../../engine/src/core/page-tree.ts';
import { createHolds } from '../../engine/src/guards/holds.ts';
import { nodeHashing } from '../../engine/src/node/node-hashing.ts';
import { RequestRefused } from '../../engine/src/ports/room-session.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

const photos = 25;
const write = (person: Person, files: Readonly<Record<string, string>>): void => {
  for (const [path, text] of Object.entries(files)) person.user.write(path, text);
};
const photosOf = (person: Person): number =>
  Object.keys(person.user.tree()).filter((path) => /^data\/.*p\d+\.txt$/.test(path)).length;
const confirmStopped = (person: Person, choice: HoldChoice) =>
  createHolds({ store: person.store, hashing: nodeHashing, clock: world.clock }).confirm(choice);

/** A folder of `a` with a disk at `data`, and all of it at `b` too. */
async function withDisk(
  how: 'mount' | 'bindMount' = 'mount',
  policy: ConflictPolicy = 'keep-both',
): Promise<readonly [Person, Person]> {
  const a = world.person('a', { policy });
  const b = world.person('b', { policy });
  write(a, { 'top.txt': 'top\n', 'data/sub/p0.txt': 'photo 0\n' });
  for (let index = 1; index < photos; index += 1) a.user.write(`data/p${index}.txt`, `photo ${index}\n`);
  a.memory.disk[how]('/folder/data');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  expect(photosOf(b)).toBe(photos);
  return [a, b];
}
const heldDisk = (person: Person): Promise<void> => world.until('held', () => person.state()?.code === 'disk-held');

for (const [how, kind] of [
  ['while it runs', 'mount'],
  ['while it is stopped', 'mount'],
  ['while it runs', 'bindMount'],
  ['while it is stopped', 'bindMount'],
] as const)
  test(`a disk (${kind}) that goes ${how} is no deletion; what others do meanwhile is there when it is back`, async () => {
    const [a, b] = await withDisk(kind);
    if (how === 'while it is stopped') await a.stop();
    const mountAgain = a.memory.disk.unmount('/folder/data');
    if (how === 'while it is stopped') a.start();
    await heldDisk(a);
    expect(await a.peer.holds()).toMatchObject([{ kind: 'disk', count: photos + 1 }]);
    // Work goes on elsewhere, and beneath the mount nothing is written, sent or taken away.
    write(b, { 'data/p3.txt': 'worked on at b\n', 'data/new.txt': 'new at b\n', 'top.txt': 'edited at b\n' });
    b.user.remove('data/p4.txt');
    await world.until('the rest goes on', () => a.user.read('top.txt') === 'edited at b\n');
    write(a, { 'data/beneath.txt': 'beneath\n', 'top.txt': 'edited at a\n' });
    await world.until('the rest goes on', () => b.user.read('top.txt') === 'edited at a\n');
    await world.clock.advance(30_000);
    expect(photosOf(b)).toBe(photos - 1);
    expect(b.user.read('data/beneath.txt')).toBeUndefined();
    expect(Object.keys(a.user.tree()).filter((path) => path.startsWith('data/'))).toEqual([
      'data/',
      'data/beneath.txt',
    ]);
    if (how === 'while it is stopped') await a.stop();
    mountAgain();
    if (how === 'while it is stopped') a.start();
    await world.until('back', () => a.state()?.code === undefined && a.user.read('data/new.txt') === 'new at b\n');
    await world.quiet();
    expect(a.user.read('data/p3.txt')).toBe('worked on at b\n');
    // On the disk itself what was replaced lies beside its place for a moment.
    await world.clock.advance(60_000);
    expect(a.user.tree()).toEqual(b.user.tree());
    expect(photosOf(b)).toBe(photos - 1);
    expect(await a.peer.holds()).toEqual([]);
  });

test('a mount point that goes with its disk, or that a file replaces, is no deletion either', async () => {
  const [a, b] = await withDisk();
  a.memory.disk.unmount('/folder/data');
  a.user.remove('data');
  await heldDisk(a);
  a.user.write('data', 'a file now\n');
  await world.clock.advance(30_000);
  expect(a.state()?.code).toBe('disk-held');
  expect(photosOf(b)).toBe(photos);
});

test('hints for what was on it come before anybody saw that it is away: nothing is deleted', async () => {
  const [a, b] = await withDisk();
  a.memory.disk.unmount('/folder/data');
  for (let index = 1; index < photos; index += 1)
    a.memory.onHint({ path: `data/p${index}.txt` as Parameters<typeof a.memory.onHint>[0]['path'], deep: false });
  await heldDisk(a);
  await world.clock.advance(5_000);
  expect(photosOf(b)).toBe(photos);
});

test('a disk inside a directory that goes is not deleted with it', async () => {
  const a = world.person('a');
  const b = world.person('b');
  write(a, { 'media/readme.txt': 'r', 'media/disk/p0.txt': 'photo\n' });
  a.memory.disk.mount('/folder/media/disk');
  a.start();
  b.start();
  await world.until('there', () => b.user.read('media/disk/p0.txt') === 'photo\n');
  await world.quiet();
  a.memory.disk.unmount('/folder/media/disk');
  a.user.remove('media');
  await heldDisk(a);
  await world.until('the rest goes', () => b.user.read('media/readme.txt') === undefined);
  await world.clock.advance(5_000);
  expect(b.user.read('media/disk/p0.txt')).toBe('photo\n');
});

test('a disk that is gone for good is let go by name, also while no peer runs', async () => {
  const [a, b] = await withDisk();
  a.memory.disk.unmount('/folder/data');
  await heldDisk(a);
  await a.stop();
  expect(confirmStopped(a, { kind: 'disk' })).toMatchObject({ ok: true, holds: [{ count: photos + 1 }] });
  a.start();
  await world.until('gone', () => photosOf(b) === 0);
  await world.quiet();
  expect(a.user.tree()).toEqual(b.user.tree());
  // An ordinary directory from here on.
  write(a, { 'data/plain.txt': 'plain\n' });
  await world.until('plain', () => b.user.read('data/plain.txt') === 'plain\n');
});

test('another disk in its place is held: empty, or with an old copy; the right one ends it', async () => {
  const [a, b] = await withDisk();
  const before = b.user.tree();
  const mountAgain = a.memory.disk.unmount('/folder/data');
  await heldDisk(a);
  a.memory.disk.mount('/folder/data');
  await world.until('another reason', () => /missing or older/.test(a.state()?.reason ?? ''));
  await world.clock.advance(30_000);
  expect(b.user.tree()).toEqual(before);
  a.memory.disk.unmount('/folder/data');
  await world.until('away again', () => /is not mounted/.test(a.state()?.reason ?? ''));
  mountAgain();
  await world.quiet();
  expect(a.user.tree()).toEqual(before);
  expect(b.user.tree()).toEqual(before);
});

test('a disk that comes back with the contents of an earlier day does not overwrite', async () => {
  const [a, b] = await withDisk();
  const old = a.user.tree();
  for (let index = 1; index < photos; index += 1) b.user.write(`data/p${index}.txt`, `photo ${index}, better\n`);
  await world.quiet();
  const newer = b.user.tree();
  const mountAgain = a.memory.disk.unmount('/folder/data');
  await heldDisk(a);
  mountAgain();
  // As restored from a backup, in the same moment.
  for (const [path, text] of Object.entries(old))
    if (path.startsWith('data/') && !path.endsWith('/')) a.user.write(path, text);
  await world.until('held', () => /missing or older/.test(a.state()?.reason ?? ''));
  await world.clock.advance(30_000);
  expect(b.user.tree()).toEqual(newer);
  // Confirmed, it is what its user says.
  const [hold] = await a.peer.holds();
  void a.peer.confirm({ id: hold?.id ?? '' });
  await world.until('as said', () => b.user.read('data/p1.txt') === 'photo 1\n');
  await world.quiet();
  expect(b.user.tree()).toEqual(old);
});

for (const [how, swap] of [
  ['while it is stopped', 'empty'],
  ['while it is stopped', 'an old copy'],
  ['between two looks', 'empty'],
  ['between two looks', 'an old copy'],
] as const)
  test(`a disk that was changed for another one (${swap}) ${how} is held until the right one is back`, async () => {
    const [a, b] = await withDisk();
    const old = a.user.tree();
    for (let index = 1; index < photos; index += 1) b.user.write(`data/p${index}.txt`, `photo ${index}, better\n`);
    await world.quiet();
    await world.clock.advance(120_000);
    const before = b.user.tree();
    if (how === 'while it is stopped') await a.stop();
    const mountAgain = a.memory.disk.unmount('/folder/data');
    a.memory.disk.mount('/folder/data');
    if (swap === 'an old copy')
      for (const [path, text] of Object.entries(old))
        if (path.startsWith('data/') && path !== 'data/') {
          if (path.endsWith('/')) a.user.makeDirectory(path.slice(0, -1));
          else a.user.write(path, text);
        }
    if (how === 'while it is stopped') a.start();
    else a.memory.onHint({ path: 'data/p1.txt' as RelPath, deep: false });
    await world.until('held', () => /missing or older/.test(a.state()?.reason ?? ''));
    await world.clock.advance(30_000);
    expect(b.user.tree()).toEqual(before);
    a.memory.disk.unmount('/folder/data');
    mountAgain();
    await world.until('as it was', () => a.state()?.code === undefined);
    await world.quiet();
    expect(a.user.tree()).toEqual(before);
    expect(b.user.tree()).toEqual(before);
  });

test.each(['a hint', 'nothing but the sweep'])(
  'of a disk mounted over known files while it runs, %s tells',
  async (what) => {
    const [a, b] = await withDisk();
    for (let index = 0; index < 30; index += 1) a.user.write(`plain/p${index}.txt`, `${index}`);
    await world.quiet();
    await world.clock.advance(120_000);
    const before = b.user.tree();
    const unmount = a.memory.disk.mountOver('/folder/plain');
    if (what === 'a hint') a.memory.onHint({ path: 'plain/p3.txt' as RelPath, deep: false });
    await heldDisk(a);
    await world.clock.advance(120_000);
    expect(b.user.tree()).toEqual(before);
    unmount();
    await world.until('as it was', () => a.state()?.code === undefined);
    await world.quiet();
    expect(a.user.tree()).toEqual(before);
    expect(b.user.tree()).toEqual(before);
  },
);

test('a disk mounted over files that were known hides them, and deletes nothing', async () => {
  const [a, b] = await withDisk();
  for (let index = 0; index < 30; index += 1) a.user.write(`plain/p${index}.txt`, `${index}`);
  await world.quiet();
  const before = b.user.tree();
  a.memory.disk.unmount('/folder/plain');
  a.memory.disk.mount('/folder/plain');
  a.memory.onHint({ path: '', deep: true });
  await heldDisk(a);
  await world.clock.advance(30_000);
  expect(b.user.tree()).toEqual(before);
});

test('a crash while a disk is looked at again leaves nothing half believed', async () => {
  const [a, b] = await withDisk();
  const before = b.user.tree();
  a.memory.disk.unmount('/folder/data');
  await heldDisk(a);
  await a.stop();
  a.memory.disk.mount('/folder/data');
  for (let n = 1; n <= 8; n += 1) {
    a.start();
    a.killBefore(n, 'kill');
    await world.clock.advance(3_000);
    a.kill();
  }
  a.start();
  await world.until('held', () => /missing or older/.test(a.state()?.reason ?? ''));
  await world.clock.advance(5_000);
  expect(b.user.tree()).toEqual(before);
});

/** What `b` did to the disk's files while `a` did not run. */
const workAtB = (b: Person): void => {
  for (let index = 1; index < 6; index += 1) b.user.replace(`data/p${index}.txt`, `photo ${index}, better\n`);
  b.user.remove('data/p7.txt');
  write(b, { 'data/new.txt': 'new\n', 'data/made/deep.txt': 'deep\n' });
};
const withoutTrash = (person: Person): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(person.user.tree()).filter(([path]) => !path.includes('.driftless-trash-')));

test('a disk that is away after a crash: of what was under way on it nothing is believed until it is back', async () => {
  // Moments in several steps of a replace, of one file or another; all of them would take minutes.
  for (let n = 2; ; n += 41) {
    world = createSmallWorld();
    const [a, b] = await withDisk();
    await a.stop();
    workAtB(b);
    await world.quiet();
    const wanted = b.user.tree();
    a.killBefore(n, 'kill');
    a.start();
    await world.until('dead or at rest', () => a.isDead || a.state()?.state === 'idle');
    const isKilled = a.isDead;
    a.killBefore(Number.POSITIVE_INFINITY, 'kill');
    const where = `kill before change ${n}: ${a.trace.at(-1) ?? ''}`;
    const mountAgain = a.memory.disk.unmount('/folder/data');
    if (isKilled) a.start();
    await world.until(`held, ${where}`, () => a.state()?.code === 'disk-held');
    await world.clock.advance(3_000);
    expect(b.user.tree(), where).toEqual(wanted);
    expect(Object.keys(a.user.tree()), where).toEqual(['data/', 'top.txt']);
    mountAgain();
    await world.until(`as others have it, ${where}`, () => JSON.stringify(withoutTrash(a)) === JSON.stringify(wanted));
    await world.quiet();
    await world.until(
      `nothing of ours is left, ${where}`,
      () => JSON.stringify(a.user.tree()) === JSON.stringify(wanted),
    );
    expect(b.user.tree(), where).toEqual(wanted);
    expect(await a.folder.stagedNames(), where).toEqual([]);
    expect(await a.folder.trashItems(), where).toEqual([]);
    expect(a.store.intents(), where).toEqual([]);
    await world.close();
    if (!isKilled) break;
  }
});

test.each([1, 4])(
  'a disk that is pulled before the %d. replace of a pass: nothing on it counts as replaced',
  async (nth) => {
    const [a, b] = await withDisk();
    await a.stop();
    workAtB(b);
    await world.quiet();
    const wanted = b.user.tree();
    a.start();
    let swaps = 0;
    let mountAgain: (() => void) | undefined;
    a.folder.before = ({ operation }) => {
      if (operation === 'swapIn') swaps += 1;
      if (swaps === nth && mountAgain === undefined) mountAgain = a.memory.disk.unmount('/folder/data');
    };
    await heldDisk(a);
    await world.clock.advance(15_000);
    expect(b.user.tree()).toEqual(wanted);
    expect(Object.keys(a.user.tree())).toEqual(['data/', 'top.txt']);
    mountAgain?.();
    await world.until('as others have it', () => JSON.stringify(withoutTrash(a)) === JSON.stringify(wanted));
    await world.quiet();
    await world.clock.advance(60_000);
    expect(a.user.tree()).toEqual(wanted);
    expect(b.user.tree()).toEqual(wanted);
  },
);

test('what was replaced on a disk that is away is still looked after when it is back', async () => {
  const [a, b] = await withDisk();
  write(b, { 'data/p3.txt': 'better\n' });
  await world.until('replaced', () => a.user.read('data/p3.txt') === 'better\n');
  await world.quiet();
  const mountAgain = a.memory.disk.unmount('/folder/data');
  await heldDisk(a);
  await world.clock.advance(120_000);
  expect(a.store.trash()).toMatchObject([{ path: 'data/p3.txt', reason: 'replaced' }]);
  mountAgain();
  await world.until('back', () => a.state()?.code === undefined);
  await world.clock.advance(120_000);
  expect(await a.folder.trashItems()).toEqual([]);
  expect(a.user.tree()).toEqual(b.user.tree());
});

test('a copy of a directory of a disk is not taken for what lies aside there while the disk is away', async () => {
  const [a, b] = await withDisk();
  write(b, { 'data/p3.txt': 'better\n' });
  await world.until('replaced', () => a.user.read('data/p3.txt') === 'better\n');
  const isAside = (path: string): boolean => path.includes('.driftless-trash-');
  const hidden = Object.keys(a.user.tree()).find(isAside) ?? '';
  a.user.write(hidden.replace('data', 'copy'), a.user.read(hidden) ?? '');
  const mountAgain = a.memory.disk.unmount('/folder/data');
  await heldDisk(a);
  a.memory.onHint({ path: 'copy' as RelPath, deep: true });
  await world.clock.advance(120_000);
  mountAgain();
  await world.until('back', () => a.state()?.code === undefined);
  await world.clock.advance(120_000);
  expect(Object.keys(a.user.tree()).filter(isAside)).toEqual([hidden.replace('data', 'copy')]);
});

test.each(['the disk itself', 'an old copy of it'])(
  'a disk that was given up while no peer ran, and then %s was mounted: what was let go was another sight',
  async (what) => {
    const [a, b] = await withDisk();
    const old = a.user.tree();
    for (let index = 1; index < photos; index += 1) b.user.write(`data/p${index}.txt`, `photo ${index}, better\n`);
    await world.quiet();
    const newer = b.user.tree();
    const mountAgain = a.memory.disk.unmount('/folder/data');
    await heldDisk(a);
    await a.stop();
    expect(confirmStopped(a, { kind: 'disk' })).toMatchObject({ ok: true });
    mountAgain();
    if (what === 'an old copy of it') {
      for (const [path, text] of Object.entries(old))
        if (path.startsWith('data/') && !path.endsWith('/')) a.user.write(path, text);
      for (let index = 10; index < photos; index += 1) a.user.remove(`data/p${index}.txt`);
    }
    a.start();
    if (what === 'the disk itself') await world.clock.advance(60_000);
    else {
      await world.until('held', () => /missing or older/.test(a.state()?.reason ?? ''));
      await world.clock.advance(30_000);
    }
    expect(b.user.tree()).toEqual(newer);
    // An old "yes" is not the answer to the new question; a new one is.
    if (what === 'an old copy of it') {
      expect(await a.peer.holds()).toMatchObject([{ kind: 'disk' }]);
      void a.peer.confirm({ kind: 'disk' });
      await world.until('as said', () => photosOf(b) === 10);
      await world.quiet();
    }
    expect(withoutTrash(a)).toEqual(b.user.tree());
  },
);

test('while another disk is held in its place, a conflict elsewhere ends with its file', async () => {
  const [a, b] = await withDisk('mount', 'ask');
  await a.peer.pause();
  write(a, { 'top.txt': 'by a\n' });
  write(b, { 'top.txt': 'by b\n' });
  await world.until('sent', () => b.state()?.state === 'idle' && b.store.counts().pending === 0);
  await a.stop();
  a.memory.disk.unmount('/folder/data');
  a.memory.disk.mount('/folder/data');
  a.start();
  const resumed = a.peer.resume();
  await world.until('conflict', () => a.state()?.conflicts === 1);
  await resumed;
  await heldDisk(a);
  a.user.remove('top.txt');
  await world.until('it is decided', () => a.user.read('top.txt') === 'by b\n');
  expect([await a.peer.conflicts(), await b.peer.conflicts()]).toEqual([[], []]);
  expect(await a.peer.holds()).toMatchObject([{ kind: 'disk', count: photos + 1 }]);
  expect(photosOf(b)).toBe(photos);
});

test('what went missing after a returned disk was confirmed is asked about again', async () => {
  const [a, b] = await withDisk();
  a.memory.disk.unmount('/folder/data');
  await heldDisk(a);
  a.memory.disk.mount('/folder/data');
  for (let index = 1; index < 10; index += 1) a.user.write(`data/p${index}.txt`, `photo ${index}\n`);
  await world.until('held', () => /missing or older/.test(a.state()?.reason ?? ''));
  await world.clock.advance(5_000);
  await a.stop();
  const confirmed = confirmStopped(a, { kind: 'disk' });
  expect(confirmed).toMatchObject({ ok: true, holds: [{ count: 17 }] });
  for (let index = 1; index < 5; index += 1) a.user.remove(`data/p${index}.txt`);
  a.start();
  await world.until('held again', () => /missing or older/.test(a.state()?.reason ?? ''));
  await world.clock.advance(30_000);
  expect(photosOf(b)).toBe(photos);
  void a.peer.confirm({ kind: 'disk' });
  await world.until('as said', () => photosOf(b) === 5);
  await world.quiet();
  expect(a.user.tree()).toEqual(b.user.tree());
});

for (const what of ['mount', 'bindMount'] as const)
  test(`a disk (${what}) inside another one is judged by itself: while it is away the outer one goes on`, async () => {
    const [a, b] = [world.person('a'), world.person('b')];
    for (let index = 0; index < 5; index += 1)
      write(a, { [`m/f${index}.txt`]: `f ${index}\n`, [`m/n/g${index}.txt`]: `g ${index}\n` });
    a.memory.disk[what]('/folder/m');
    a.memory.disk[what]('/folder/m/n');
    a.start();
    await world.quiet();
    b.start();
    await world.quiet();
    await a.stop();
    const mountAgain = a.memory.disk.unmount('/folder/m/n');
    a.start();
    await heldDisk(a);
    write(a, { 'm/f1.txt': 'edited on m\n' });
    write(b, { 'm/f2.txt': 'edited at b\n', 'm/n/g3.txt': 'edited at b\n' });
    await world.until('what goes', () => b.user.read('m/f1.txt') === 'edited on m\n', 20_000);
    await world.until('what comes', () => a.user.read('m/f2.txt') === 'edited at b\n', 20_000);
    await world.clock.advance(30_000);
    expect(await a.peer.holds()).toMatchObject([{ reason: expect.stringContaining('m/n is not mounted') }]);
    expect(Object.keys(b.user.tree()).filter((path) => path.startsWith('m/n/g')).length).toBe(5);
    mountAgain();
    await world.until('back', () => a.user.read('m/n/g3.txt') === 'edited at b\n');
    await world.quiet();
    await world.clock.advance(60_000);
    expect(a.user.tree()).toEqual(b.user.tree());
  });

test('a save costs no look at what is held, and what comes back ends the hold all the same', async () => {
  const [a, b] = await withDisk();
  write(a, { 'other/x.txt': 'x\n' });
  await world.quiet();
  a.memory.disk.unmount('/folder/data');
  await heldDisk(a);
  a.memory.disk.mount('/folder/data');
  for (let index = 15; index < photos; index += 1) a.user.write(`data/p${index}.txt`, `photo ${index}\n`);
  const isMissing = (count: number) => () =>
    a.state()?.reason?.startsWith(`of 25 files at data, ${count} are`) === true;
  await world.until('another one', isMissing(15));
  // What is new is read once more when its stamps prove something.
  await world.clock.advance(5_000);
  const isPhoto = (path: string): boolean => /data\/.*p\d+\.txt$/.test(path);
  let rowsRead = 0;
  let looks = 0;
  const { store, memory } = a;
  const { row, rowsUnder } = store;
  store.row = (path) => {
    if (isPhoto(path)) rowsRead += 1;
    return row.call(store, path);
  };
  store.rowsUnder = function* (path) {
    for (const each of rowsUnder.call(store, path)) {
      if (isPhoto(each.path)) rowsRead += 1;
      yield each;
    }
  };
  const before = memory.beforeCall;
  memory.beforeCall = (call) => {
    before(call);
    if (isPhoto(call.path)) looks += 1;
  };
  // Of a file in a directory, and of one beside the disk, whose directory is listed.
  for (let round = 1; round <= 5; round += 1) {
    write(a, { 'other/x.txt': `x ${round}\n`, [`top${round}.txt`]: 'top\n' });
    await world.until('the save', () => b.user.read(`top${round}.txt`) === 'top\n');
    await world.until('the save', () => b.user.read('other/x.txt') === `x ${round}\n`);
  }
  a.memory.onHint({ path: '', deep: false });
  await world.clock.advance(1_000);
  expect({ rowsRead, looks }).toEqual({ rowsRead: 0, looks: 0 });
  // Each that comes back costs itself.
  write(a, { 'data/p1.txt': 'photo 1\n' });
  await world.until('one is back', isMissing(14));
  expect(rowsRead).toBeLessThan(10);
  for (let index = 2; index < 4; index += 1) a.user.write(`data/p${index}.txt`, `photo ${index}\n`);
  await world.until('enough are back', () => a.state()?.code === undefined);
});

/** Everything of ours is gone again, nothing fails and nothing is held; and what is left to do costs nothing. */
async function overWithDisk(a: Person, b: Person): Promise<void> {
  await world.quiet();
  // On the disk itself what went lies beside its place for a moment.
  await world.clock.advance(60_000);
  await world.quiet();
  expect(await a.peer.holds()).toEqual([]);
  expect(a.store.problemRows(10)).toEqual([]);
  expect(a.state()).toMatchObject({ state: 'idle', pending: 0 });
  const before = a.trace.length;
  await world.clock.advance(120_000);
  expect(a.trace.slice(before).filter((what) => !what.startsWith('store.'))).toEqual([]);
  expect(Object.keys(b.user.tree()).filter((path) => path.includes('.driftless-'))).toEqual([]);
}

for (const kind of ['mount', 'bindMount'] as const) {
  test(`a disk (${kind}) whose directory others rename stays where it is mounted, and what it holds goes along`, async () => {
    const [a, b] = await withDisk(kind);
    b.user.rename('data', 'photos');
    a.user.write('data/p3.txt', 'edited at a\n');
    await overWithDisk(a, b);
    const { 'data/': mountPoint, ...tree } = a.user.tree();
    expect(mountPoint).toBe('');
    expect(tree).toEqual(b.user.tree());
    expect(tree).toMatchObject({ 'photos/p3.txt': 'edited at a\n', 'photos/sub/p0.txt': 'photo 0\n' });
    // It is a directory like any other as soon as something is in it.
    a.user.write('data/new.txt', 'new\n');
    await world.until('it is sent', () => b.user.read('data/new.txt') === 'new\n');
  });

  test(`a disk (${kind}) whose directory others delete is empty, and does not keep anything from its end`, async () => {
    const [a, b] = await withDisk(kind);
    b.user.remove('data');
    await overWithDisk(a, b);
    expect(a.user.tree()).toEqual({ 'data/': '', 'top.txt': 'top\n' });
    // Nor is there anything to ask about when it is gone for good.
    a.memory.disk.unmount('/folder/data');
    a.memory.onHint({ path: 'data' as RelPath, deep: true });
    await world.until('the directory goes', () => a.user.tree()['data/'] === undefined);
    await overWithDisk(a, b);
    expect(a.user.tree()).toEqual(b.user.tree());
  });

  test(`a disk (${kind}) whose directory others replace by a file is said to be in its place`, async () => {
    const [a, b] = await withDisk(kind);
    b.user.remove('data');
    b.user.write('data', 'a file now\n');
    await world.until('it is said', () =>
      /a disk is mounted in its place/.test(a.store.problemRows(1)[0]?.problem?.reason ?? ''),
    );
    await world.clock.advance(60_000);
    const before = a.trace.length;
    await world.clock.advance(10 * 60_000);
    expect(a.trace.length - before).toBeLessThan(300);
    a.memory.disk.unmount('/folder/data');
    await world.until('it arrives', () => a.user.read('data') === 'a file now\n');
    await overWithDisk(a, b);
    expect(a.user.tree()).toEqual(b.user.tree());
  });
}

/** A folder of `a` with a disk in `media`, all of it at `b` too. */
async function withMedia(how: 'mount' | 'bindMount'): Promise<readonly [Person, Person]> {
  const [a, b] = [world.person('a'), world.person('b')];
  write(a, { 'top.txt': 'top\n', 'media/readme.txt': 'read me\n' });
  for (let index = 0; index < 6; index += 1) write(a, { [`media/disk/p${index}.txt`]: `photo ${index}\n` });
  a.memory.disk[how]('/folder/media/disk');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  return [a, b];
}

for (const [how, who] of [
  ['mount', 'others'],
  ['bindMount', 'others'],
  ['bindMount', 'its user'],
] as const)
  test(`a directory above a disk (${how}) that ${who} renamed: nothing of ours becomes anybody's file, and nothing is held`, async () => {
    const [a, b] = await withMedia(how);
    write(b, { 'media/disk/p0.txt': 'better\n' });
    b.user.remove('media/disk/p1.txt');
    await world.until('replaced', () => a.user.read('media/disk/p0.txt') === 'better\n');
    await world.until('deleted', () => a.user.read('media/disk/p1.txt') === undefined);
    // What went lies on the disk for a moment.
    expect(Object.keys(a.user.tree()).filter((path) => path.includes('.driftless-trash-')).length).toBe(2);
    (who === 'others' ? b : a).user.rename('media', 'm');
    await world.until(
      'renamed',
      () => a.user.read('m/disk/p0.txt') === 'better\n' && b.user.read('m/disk/p2.txt') !== undefined,
    );
    await overWithDisk(a, b);
    const wanted = {
      'm/': '',
      'm/disk/': '',
      'm/disk/p0.txt': 'better\n',
      ...Object.fromEntries([2, 3, 4, 5].map((index) => [`m/disk/p${index}.txt`, `photo ${index}\n`])),
      'm/readme.txt': 'read me\n',
      'top.txt': 'top\n',
    };
    expect(a.user.tree()).toEqual(wanted);
    expect(b.user.tree()).toEqual(wanted);
    expect(await a.folder.trashItems()).toEqual([]);
    expect(a.events.concat(b.events).filter((event) => 'path' in event && event.path?.includes('.driftless-'))).toEqual(
      [],
    );
    // It is the disk that it was: when it goes, that is no deletion.
    a.memory.disk.unmount('/folder/m/disk');
    await heldDisk(a);
    await world.clock.advance(30_000);
    expect(b.user.tree()).toEqual(wanted);
  });

test('what is held of a disk is held when others rename the directory above it, and when it goes then', async () => {
  const [a, b] = await withMedia('mount');
  await a.stop();
  a.memory.disk.unmount('/folder/media/disk');
  a.memory.disk.mount('/folder/media/disk');
  a.start();
  await world.until('another one', () => /missing or older/.test(a.state()?.reason ?? ''));
  b.user.rename('media', 'm');
  await world.until('renamed', () => a.user.read('m/readme.txt') === 'read me\n');
  const before = b.user.tree();
  await world.clock.advance(30_000);
  expect(await a.peer.holds()).toMatchObject([{ reason: expect.stringContaining('at m/disk') }]);
  a.memory.disk.unmount('/folder/m/disk');
  await world.until('away', () => /mounted at m\/disk is not mounted/.test(a.state()?.reason ?? ''));
  await world.clock.advance(30_000);
  expect(b.user.tree()).toEqual(before);
  expect(Object.keys(before).filter((path) => path.startsWith('m/disk/p')).length).toBe(6);
});

test('a crash while a directory above a disk is renamed leaves the disk, and what lies aside on it, where they are known', async () => {
  for (let n = 1; ; n += 2) {
    world = createSmallWorld();
    const [a, b] = await withMedia('mount');
    write(b, { 'media/disk/p0.txt': 'better\n' });
    await world.until('replaced', () => a.user.read('media/disk/p0.txt') === 'better\n');
    await world.quiet();
    b.user.rename('media', 'm');
    a.killBefore(n, 'kill');
    await world.until(
      'dead or renamed',
      () => a.isDead || (a.state()?.state === 'idle' && a.user.read('m/readme.txt') !== undefined),
    );
    const isKilled = a.isDead;
    const where = `kill before change ${n}: ${a.trace.at(-1) ?? ''}`;
    a.killBefore(Number.POSITIVE_INFINITY, 'kill');
    if (isKilled) a.start();
    await world.until(where, () => a.state()?.state === 'idle' && a.user.read('m/readme.txt') !== undefined);
    // The wrong word of a moment would be in the room by now.
    expect(a.store.setting('mount-boundaries'), where).toBe('[["m/disk","here"]]');
    await world.until(
      `nothing of ours is left, ${where}`,
      () => JSON.stringify(a.user.tree()) === JSON.stringify(b.user.tree()),
    );
    expect(await a.folder.trashItems(), where).toEqual([]);
    expect(await a.peer.holds(), where).toEqual([]);
    await world.close();
    if (!isKilled) break;
  }
});

/** Nothing can be sent until the answer is called. */
function withoutSending(): () => void {
  world.relay.refuses = (request) =>
    request === 'append' ? new RequestRefused(closeCodes.overQuota.code, 'for a test') : undefined;
  return () => {
    world.relay.refuses = () => undefined;
  };
}
const mediaOf = (person: Person): readonly string[] =>
  Array.from({ length: 6 }, (_, index) =>
    ['media', 'm'].map((at) => person.user.read(`${at}/disk/p${index}.txt`)).find((text) => text !== undefined),
  ).map(String);
const allMedia = Array.from({ length: 6 }, (_, index) => `photo ${index}\n`);

test.each(['while it runs', 'while it is stopped'])(
  'a disk that goes along with its directory, and then goes (%s) before that was sent, is no deletion',
  async (how) => {
    const [a, b] = await withMedia('bindMount');
    const goOn = withoutSending();
    a.user.rename('media', 'm');
    await world.until('it is found', () => a.store.row('m/disk/p0.txt' as RelPath)?.local != null);
    if (how === 'while it is stopped') await a.stop();
    a.memory.disk.unmount('/folder/m/disk');
    if (how === 'while it is stopped') a.start();
    await world.clock.advance(30_000);
    goOn();
    await heldDisk(a);
    await world.clock.advance(60_000);
    expect(mediaOf(b)).toEqual(allMedia);
    expect(await a.peer.holds()).toMatchObject([{ kind: 'disk' }, { kind: 'disk' }]);
  },
);

test('a disk that is mounted twice, and at one place no more, is no deletion', async () => {
  const [a, b] = await withMedia('bindMount');
  a.user.write('other/x.txt', 'x\n');
  a.memory.disk.bindMount('/folder/other/disk', '/folder/media/disk');
  a.memory.onHint({ path: 'other' as RelPath, deep: true });
  await world.until('both', () => b.user.read('other/disk/p5.txt') === 'photo 5\n');
  await world.quiet();
  const before = b.user.tree();
  a.memory.disk.unmount('/folder/media/disk');
  a.user.remove('media');
  await heldDisk(a);
  await world.clock.advance(60_000);
  expect(Object.keys(b.user.tree()).filter((path) => path.includes('disk/p'))).toEqual(
    Object.keys(before).filter((path) => path.includes('disk/p')),
  );
});

test('a join that is begun anew and cut forgets no disk that is away', async () => {
  const [a, b] = await withDisk();
  const mountAgain = a.memory.disk.unmount('/folder/data');
  await heldDisk(a);
  await a.stop();
  // As a re-join leaves it that has fetched nothing yet.
  a.store.transaction(() => {
    for (const row of [...a.store.rowsUnder('data' as RelPath)]) a.store.setBase(row.path, null);
    for (const path of ['data', 'top.txt'] as RelPath[]) a.store.setBase(path, null);
    const head = { height: 0, id: noRecordId };
    a.store.loadManifest({ head, root: emptyRoot(nodeHashing.sha256), slots: [], variants: [] });
    a.store.setSetting('join', 'rejoin');
  });
  world.relay.goesAway();
  a.start();
  await world.clock.advance(30_000);
  expect(await a.peer.holds()).toMatchObject([{ kind: 'disk' }]);
  world.relay.returns();
  await world.clock.advance(30_000);
  expect(Object.keys(a.user.tree()).filter((path) => path.startsWith('data/'))).toEqual(['data/']);
  mountAgain();
  await world.until('back', () => a.state()?.code === undefined);
  await world.quiet();
  expect(a.user.tree()).toEqual(b.user.tree());
  expect(photosOf(b)).toBe(photos);
});
