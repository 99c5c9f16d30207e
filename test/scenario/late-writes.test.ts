/**
 * A program that holds a file open goes on writing into it after this peer replaced or deleted it (F25). What it writes comes
 * back beside the file, on every peer, whatever replaced it, and stays the program's: later writes are in it too.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { DiskFile } from '../../engine/src/ports/disk.ts';
import { systemError } from '../../engine/src/testing/hooked-disk.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(() => world.close());

const lines = 'one\ntwo\nthree\nfour\nfive\nsix\nseven\n';
const late = 'LATE\n';
const write = (file: DiskFile, text = late): void => void file.write(new TextEncoder().encode(text));
const copiesIn = ({ user }: Person): string[] =>
  Object.entries(user.tree()).flatMap(([path, text]) => (path.includes('.conflict-') ? [text] : []));

interface Case {
  readonly path: string;
  readonly policy?: 'ask';
  readonly prepare?: (a: Person, b: Person) => void;
  /** Lets b replace or remove what it holds at `path`. */
  readonly replace: (a: Person, b: Person) => void | Promise<void>;
  readonly before: string;
}
const cases: Readonly<Record<string, Case>> = {
  'an edit of the room': { path: 'a.txt', before: lines, replace: (a) => a.user.write('a.txt', 'by a\n') },
  'an edit of a large file': {
    path: 'a.txt',
    before: lines.repeat(100_000),
    replace: (a) => a.user.write('a.txt', 'small now\n'),
  },
  'a deletion': { path: 'a.txt', before: lines, replace: (a) => a.user.remove('a.txt') },
  'a deletion with its directory': { path: 'dir/a.txt', before: lines, replace: (a) => a.user.remove('dir') },
  'a directory': {
    path: 'a.txt',
    before: lines,
    replace: (a) => {
      a.user.remove('a.txt');
      a.user.write('a.txt/inside', 'x\n');
    },
  },
  'a link': {
    path: 'a.txt',
    before: lines,
    replace: (a) => {
      a.user.remove('a.txt');
      a.user.symlink('a.txt', 'other');
    },
  },
  'a merge': {
    path: 'a.txt',
    before: lines,
    replace: (a, b) => {
      a.user.write('a.txt', lines.replace('one', 'ONE'));
      b.user.write('a.txt', lines.replace('seven', 'SEVEN'));
    },
  },
  'the chosen side of a conflict': {
    path: 'a.txt',
    policy: 'ask',
    before: lines,
    replace: async (a, b) => {
      a.user.write('a.txt', 'by a\n');
      b.user.write('a.txt', 'by b\n');
      await world.until('the conflict', () => b.store.openVariants().length > 0 && b.state()?.state === 'conflict');
      void b.peer.resolve('a.txt', 'theirs').catch(() => undefined);
      await world.until('the answer', () => b.store.openVariants().length === 0);
    },
  },
  'the line of an untracked path': {
    path: '.driftlessignore',
    before: 'old\n',
    replace: async (_a, b) => {
      void b.peer.untrack('other').catch(() => undefined);
      await world.until('the line', () => b.user.read('.driftlessignore')?.includes('/other') === true);
    },
  },
  'a rename onto another disk': {
    path: 'mnt/a.txt',
    before: lines,
    prepare: (_a, b) => b.memory.disk.mount('/folder/mnt'),
    replace: (a) => a.user.rename('mnt/a.txt', 'a.txt'),
  },
};

for (const how of ['at once', 'after a restart'] as const) {
  test.each(Object.entries(cases))(`${how}: what was replaced by %s`, async (_name, one) => {
    const policy = one.policy ?? 'keep-both';
    const [a, b] = [world.person('a', { policy }), world.person('b', { policy })];
    a.user.write(one.path, one.before);
    a.user.write('other', 'other\n');
    a.start();
    await world.quiet();
    b.start();
    await world.quiet();
    one.prepare?.(a, b);
    const handle = b.memory.disk.openForReading(`/folder/${one.path}`);
    await one.replace(a, b);
    await world.quiet();
    if (how === 'after a restart') {
      b.kill();
      b.start();
      await world.quiet();
    }
    write(handle);
    await world.until('it comes back', () => copiesIn(a).length > 0, 120_000);
    expect(copiesIn(b)).toEqual(copiesIn(a));
    expect(copiesIn(a)[0]).toContain('LATE');
    expect(b.events).toContainEqual(
      expect.objectContaining({ event: 'note', note: expect.stringMatching(/wrote into/) }),
    );
    // By the same handle, much later: it is the file that people see by now.
    if (one.prepare === undefined) {
      write(handle, 'MUCH LATER\n');
      const found = Object.keys(b.user.tree()).find((path) => path.includes('.conflict-'));
      expect(b.user.read(found ?? '')).toContain('MUCH LATER');
    }
    await world.clock.advance(120_000);
    expect(await b.folder.trashItems()).toEqual([]);
  });
}

test('a write of the same length, with the modification time restored', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  a.user.write('a.txt', 'first\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  await world.clock.advance(10_000);
  const handle = b.memory.disk.openForReading('/folder/a.txt');
  a.user.write('a.txt', 'second\n');
  await world.quiet();
  const item = (await b.folder.trashItems())[0];
  write(handle, 'FIRST\n');
  b.memory.disk.setModificationTime(
    `/folder/.driftless/trash/${item?.name}`,
    Number((item?.stat?.mtimeNs ?? 0n) / 1_000_000n),
  );
  await world.until('it comes back', () => copiesIn(a).length > 0, 120_000);
  expect(copiesIn(a)).toEqual(['FIRST\n']);
});

test('a clock that steps neither shortens nor lengthens the time that a handle has', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  a.user.write('a.txt', lines);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  const handle = b.memory.disk.openForReading('/folder/a.txt');
  a.user.write('a.txt', 'by a\n');
  await world.quiet();
  for (const stepMs of [-5_000, 400 * 86_400_000]) {
    world.clock.setWallClock(world.clock.nowMs() + stepMs);
    await world.clock.advance(10_000);
  }
  write(handle);
  await world.until('it comes back', () => copiesIn(a).length > 0, 120_000);
});

test('a machine without a clock of its own drops nothing from the trash as thirty days old', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  a.user.write('a.txt', lines);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  await b.stop();
  // It starts, and looks into its trash, before its clock is set.
  world.clock.setWallClock(Date.UTC(2000, 0, 1));
  b.start();
  await world.quiet();
  b.memory.disk.userWrite('/folder/.driftless/trash/found', new TextEncoder().encode('in no record\n'));
  a.user.write('a.txt', 'by a\n');
  await world.quiet();
  await world.clock.advance(10 * 60_000);
  world.clock.setWallClock(Date.UTC(2026, 5, 1));
  await world.clock.advance(10 * 60_000);
  expect((await b.folder.trashItems()).map(({ name }) => name)).toEqual(['found']);
});

test('nothing comes back that is there anyway, and no emptiness', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  for (const path of ['same.txt', 'empty.txt']) a.user.write(path, lines);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  const same = b.memory.disk.openForReading('/folder/same.txt');
  a.user.write('same.txt', `${late}${lines.slice(late.length)}`);
  a.user.write('empty.txt', 'by a\n');
  await world.quiet();
  write(same);
  const item = b.store.trash().find(({ path }) => path === 'empty.txt');
  b.memory.disk.userWrite(`/folder/.driftless/trash/${item?.name}`, new Uint8Array());
  await world.clock.advance(180_000);
  await world.quiet();
  expect([...copiesIn(a), ...copiesIn(b)]).toEqual([]);
  expect(await b.folder.trashItems()).toEqual([]);
});

test('a program that keeps it open may write long after: it comes back all the same, and what nobody has open goes after 30 s', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  for (const path of ['a.txt', 'closed.txt']) a.user.write(path, lines);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  const handle = b.memory.disk.userOpen('/folder/a.txt');
  for (const path of ['a.txt', 'closed.txt']) a.user.write(path, 'by a\n');
  await world.quiet();
  await world.clock.advance(10 * 60_000);
  expect((await b.folder.trashItems()).length).toBe(1);
  await b.stop();
  b.start();
  await world.quiet();
  await world.clock.advance(10 * 60_000);
  write(handle);
  await world.until('it comes back', () => copiesIn(a).length > 0, 180_000);
  expect(copiesIn(a)[0]).toContain('LATE');
  handle.close();
  await world.clock.advance(180_000);
  expect(await b.folder.trashItems()).toEqual([]);
});

test('what a program keeps open for more than a day is let go, and that is said', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  a.user.write('a.txt', lines);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  b.memory.disk.userOpen('/folder/a.txt');
  a.user.write('a.txt', 'by a\n');
  await world.quiet();
  await a.stop();
  await b.stop();
  await world.clock.advance(25 * 60 * 60_000);
  b.start();
  await world.clock.advance(120_000);
  expect(await b.folder.trashItems()).toEqual([]);
  expect(b.events).toContainEqual(
    expect.objectContaining({ path: 'a.txt', note: expect.stringMatching(/open for long/) }),
  );
});

/** Both have `x.txt` and `y.txt`; `b` has a program that holds x open, and has replaced both, x last. */
async function replacedUnderHandle(): Promise<readonly [Person, Person, DiskFile]> {
  const [a, b] = [world.person('a'), world.person('b')];
  for (const path of ['x.txt', 'y.txt']) a.user.write(path, `${path} old\n`);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  const handle = b.memory.disk.userOpen('/folder/x.txt');
  for (const path of ['y.txt', 'x.txt']) {
    a.user.write(path, `${path} new\n`);
    await world.quiet();
  }
  return [a, b, handle];
}

test('what is written between the reading of the old bytes and the question who has them open is not lost', async () => {
  const [a, b, handle] = await replacedUnderHandle();
  const { trashHeldOpen } = b.folder;
  b.folder.trashHeldOpen = async (names) => {
    b.folder.trashHeldOpen = trashHeldOpen;
    write(handle, 'written late, then closed\n');
    handle.close();
    return trashHeldOpen(names);
  };
  await world.until('it comes back', () => copiesIn(a).length > 0, 180_000);
  expect(copiesIn(a)).toEqual(['written late, then closed\n']);
});

test('an old handle that once holds what is here now is not given up', async () => {
  const [a, b, handle] = await replacedUnderHandle();
  write(handle, 'x.txt new\n');
  await world.clock.advance(180_000);
  expect((await b.folder.trashItems()).length).toBe(1);
  write(handle, 'and more of it\n');
  await world.until('it comes back', () => copiesIn(a).length > 0, 180_000);
  handle.close();
  await world.clock.advance(180_000);
  expect(copiesIn(b)).toEqual([expect.stringContaining('and more of it')]);
  expect(await b.folder.trashItems()).toEqual([]);
});

test.each(['file.read', 'file.stat', 'unlink'] as const)(
  'one item whose %s fails hinders no other, and is said once',
  async (operation) => {
    const [a, b, handle] = await replacedUnderHandle();
    const bad = b.store.trash().find(({ path }) => path === 'y.txt')?.name ?? '';
    const { beforeCall } = b.memory;
    b.memory.beforeCall = (call) => {
      beforeCall(call);
      if (call.operation === operation && call.path.endsWith(bad)) throw systemError('EIO');
    };
    write(handle);
    handle.close();
    await world.until('it comes back', () => copiesIn(a).length > 0, 180_000);
    await world.clock.advance(180_000);
    expect(b.store.trash().map(({ name }) => name)).toEqual([bad]);
    const said = b.events.filter((event) => event.event === 'note' && event.path === 'y.txt');
    expect(said).toEqual([expect.objectContaining({ note: expect.stringMatching(/stays in the trash/) })]);
    b.memory.beforeCall = beforeCall;
    await world.clock.advance(180_000);
    expect(await b.folder.trashItems()).toEqual([]);
  },
);

test('what has gone is not found again, and a pointer to what somebody took goes too', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  for (const path of ['mnt/x.txt', 'y.txt']) a.user.write(path, 'old\n');
  b.user.makeDirectory('mnt');
  b.memory.disk.mount('/folder/mnt');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  for (const path of ['mnt/x.txt', 'y.txt']) a.user.write(path, 'new\n');
  await world.quiet();
  const hidden = Object.keys(b.user.tree()).filter((path) => path.includes('.driftless-trash-'));
  expect(hidden).toHaveLength(1);
  for (const path of hidden) b.user.remove(path);
  const trash = (): number => b.memory.disk.list('/folder/.driftless/trash').length;
  expect(trash()).toBe(2);
  await world.until('all has gone', () => trash() === 0);
  expect(b.store.trash()).toEqual([]);
});
