/**
 * A place of the disk that refuses (a directory that cannot be flushed, a disk inside the folder that answers with errors) is the
 * matter of what lies there (M8): it is shown and waits, nothing is believed of it that a power cut would undo, and the rest goes on.
 */
import type { RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type DiskCall, systemError } from '../../engine/src/testing/hooked-disk.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

/** `mountAtB`: what is there lies on a disk of its own at `b`. */
async function pair(files: Readonly<Record<string, string>>, mountAtB?: string): Promise<readonly [Person, Person]> {
  const [a, b] = [world.person('a'), world.person('b')];
  for (const [path, text] of Object.entries(files)) a.user.write(path, text);
  if (mountAtB !== undefined) {
    b.user.makeDirectory(mountAtB);
    b.memory.disk.mount(`/folder/${mountAtB}`);
  }
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  return [a, b];
}
/** Of this incarnation, until the answer is called. */
function refuse(person: Person, code: string, isMeant: (call: DiskCall) => boolean): () => void {
  const before = person.memory.beforeCall;
  let isOver = false;
  person.memory.beforeCall = (call) => {
    before(call);
    if (!isOver && isMeant(call)) throw systemError(code);
  };
  return () => {
    isOver = true;
  };
}
/** Before the next call that fits; one that the act ends with its process is not made. */
function once(person: Person, isMeant: (call: DiskCall) => boolean, act: () => void): void {
  const before = person.memory.beforeCall;
  let isDone = false;
  person.memory.beforeCall = (call) => {
    if (!isDone && isMeant(call)) {
      isDone = true;
      act();
    }
    before(call);
  };
}
const isFlushOf =
  (...directories: readonly string[]) =>
  ({ operation, path }: DiskCall): boolean =>
    operation === 'flushDirectory' && directories.includes(path);
const settled = (person: Person): boolean =>
  person.store.intents().length === 0 &&
  person.store.problemRows(5).length === 0 &&
  person.store.setting('move-under-way') === undefined;

const files = {
  'bad/edited.txt': 'old\n',
  'bad/gone.txt': 'gone\n',
  'bad/named.txt': 'a name\n',
  'bad/script.sh': 'run\n',
  'good/y.txt': 'y old\n',
};
function workInBad(a: Person): void {
  a.user.write('bad/edited.txt', 'new\n');
  a.user.write('bad/made.txt', 'made\n');
  a.user.makeDirectory('bad/empty');
  a.user.write('bad/dir/in.txt', 'in\n');
  a.user.remove('bad/gone.txt');
  a.user.rename('bad/named.txt', 'bad/renamed.txt');
  a.user.setMode('bad/script.sh', 0o755);
}

for (const code of ['EIO', 'ENOTCONN', 'ESTALE'])
  test(`a directory that cannot be flushed (${code}) keeps nothing but what was done in it, until it can`, async () => {
    const [a, b] = await pair(files);
    const heal = refuse(b, code, isFlushOf('/folder/bad'));
    workInBad(a);
    await world.clock.advance(2_000);
    a.user.write('good/y.txt', 'y new\n');
    b.user.write('good/z.txt', 'z from b\n');
    b.user.write('bad/mine.txt', 'mine\n');
    await world.until('what comes', () => b.user.read('good/y.txt') === 'y new\n', 5_000);
    await world.until('what goes', () => a.user.read('good/z.txt') === 'z from b\n', 5_000);
    await world.until('what goes from there', () => a.user.read('bad/mine.txt') === 'mine\n', 5_000);
    await world.clock.advance(60_000);
    expect(b.state()?.code).toBeUndefined();
    expect(b.state()?.state).not.toBe('idle');
    expect(b.store.problemRows(99).map(({ path }) => path)).toContain('bad/edited.txt');
    expect(b.store.problemRows(99).every(({ problem }) => problem?.reason.includes('flush the directory'))).toBe(true);
    expect(b.store.row('bad/edited.txt' as RelPath)?.base).not.toEqual(a.store.row('bad/edited.txt' as RelPath)?.base);
    heal();
    await world.until('settled', () => settled(b), 30_000);
    await world.quiet();
    expect(b.user.tree()).toEqual(a.user.tree());
    expect(Object.keys(a.user.tree()).filter((path) => path.includes('.conflict-'))).toEqual([]);
    expect(a.user.read('bad/edited.txt')).toBe('new\n');
    expect(b.user.mode('bad/script.sh')).toBe(0o755);
  });

test('a power cut while nothing can be flushed: what it takes back is brought again, and undone nowhere else', async () => {
  const [a, b] = await pair(files);
  refuse(b, 'EIO', ({ operation }) => operation === 'flushDirectory');
  workInBad(a);
  await world.until('renamed', () => b.user.read('bad/renamed.txt') !== undefined);
  await world.until('edited', () => b.user.read('bad/edited.txt') === 'new\n');
  const wanted = a.user.tree();
  b.kill('power-cut');
  expect(b.user.read('bad/edited.txt')).toBe('old\n');
  b.start();
  await world.until('settled', () => settled(b));
  await world.quiet();
  expect(a.user.tree()).toEqual(wanted);
  expect(b.user.tree()).toEqual(wanted);
});

test('a conflict copy whose directory cannot be flushed is not sent: a power cut could make a deletion of it', async () => {
  const [a, b] = await pair({ 'dir/both.txt': 'base\n' });
  await b.stop();
  a.user.write('dir/both.txt', 'by a\n');
  await world.quiet();
  b.user.write('dir/both.txt', 'by b\n');
  b.start();
  refuse(b, 'EIO', ({ operation }) => operation === 'flushDirectory');
  await world.until('shown', () => b.store.problemRows(5).length > 0);
  await world.clock.advance(60_000);
  const copies = (person: Person): string[] =>
    Object.keys(person.user.tree()).filter((path) => path.includes('.conflict-'));
  expect(copies(b).length).toBe(1);
  expect(copies(a)).toEqual([]);
  b.kill('power-cut');
  b.start();
  await world.until('settled', () => settled(b) && copies(a).length === 1);
  await world.quiet();
  expect(b.user.tree()).toEqual(a.user.tree());
  expect(Object.values(a.user.tree()).sort()).toEqual(['', 'by a\n', 'by b\n']);
});

test('what a killed run replaced is flushed by the next one before it is believed', async () => {
  const [a, b] = await pair({ 'dir/x.txt': 'old\n' });
  once(b, isFlushOf('/folder/dir'), b.kill);
  a.user.write('dir/x.txt', 'new\n');
  await world.until('dead', () => b.isDead);
  expect(b.store.intents()).toMatchObject([{ path: 'dir/x.txt' }]);
  b.start();
  const flushedWith: number[] = [];
  refuse(b, 'EIO', (call) => {
    if (isFlushOf('/folder/dir')(call)) flushedWith.push(b.store.intents().length);
    return false;
  });
  await world.until('settled', () => settled(b));
  expect(flushedWith).toEqual([1]);
});

for (const code of ['EACCES', 'ENOTCONN', 'EIO'])
  test(`a disk inside the folder that answers with ${code} stops nothing but what lies on it, its trash included`, async () => {
    const [a, b] = await pair({ 'mnt/x.txt': 'x old\n', 'good/y.txt': 'y old\n' }, 'mnt');
    a.user.write('mnt/x.txt', 'x new\n');
    await world.until('replaced', () => b.user.read('mnt/x.txt') === 'x new\n');
    await world.quiet();
    await b.stop();
    b.start();
    const heal = refuse(b, code, ({ path }) => path.startsWith('/folder/mnt/'));
    a.user.write('mnt/x.txt', 'x newer\n');
    a.user.write('good/y.txt', 'y new\n');
    b.user.write('good/z.txt', 'z from b\n');
    await world.until('what comes', () => b.user.read('good/y.txt') === 'y new\n', 20_000);
    await world.until('what goes', () => a.user.read('good/z.txt') === 'z from b\n', 20_000);
    await world.clock.advance(60_000);
    expect(b.state()?.code).toBeUndefined();
    heal();
    await world.until('healed', () => b.user.read('mnt/x.txt') === 'x newer\n' && settled(b));
    await world.clock.advance(120_000);
    await world.quiet();
    expect(b.user.tree()).toEqual(a.user.tree());
    expect(await b.folder.trashItems()).toEqual([]);
  });

test('what one disk refuses to remove from the stage stays there, and is tried again', async () => {
  const [a, b] = await pair({ 'good/y.txt': 'y old\n', 'mnt/x.txt': 'x\n' }, 'mnt');
  await b.folder.stage({ name: 'left', near: 'mnt/x.txt' as RelPath });
  await b.stop();
  b.start();
  const heal = refuse(b, 'EIO', ({ operation, path }) => operation === 'unlink' && path.includes('.driftless-stage-'));
  a.user.write('good/y.txt', 'y new\n');
  await world.until('the rest', () => b.user.read('good/y.txt') === 'y new\n', 20_000);
  expect(await b.folder.stagedNames()).toEqual(['left']);
  heal();
  await world.clock.advance(30_000);
  expect(await b.folder.stagedNames()).toEqual([]);
});

test('a replace that fails asks about its own item of the trash, however much lies there', async () => {
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
  const [a, b] = await pair(
    Object.fromEntries([
      ...numbers(60).map((n) => [`d/f${n}`, `old ${n}`]),
      ...numbers(20).map((n) => [`e/g${n}`, `old ${n}`]),
    ]),
  );
  for (const n of numbers(20))
    b.folder.addFault({ operation: 'swapIn', path: `e/g${n}`, code: 'EACCES', times: Number.POSITIVE_INFINITY });
  for (const n of numbers(60)) a.user.write(`d/f${n}`, `new ${n}`);
  await world.until('trash', () => b.store.trash().length === 60);
  let looks = 0;
  const before = b.memory.beforeCall;
  b.memory.beforeCall = (call) => {
    before(call);
    if (call.operation === 'lstat' && call.path.includes('/.driftless/trash/')) looks += 1;
  };
  for (const n of numbers(20)) a.user.write(`e/g${n}`, `new ${n}`);
  await world.until('all tried', () => b.store.problemRows(99).length === 20);
  // A few for each that failed.
  expect(looks).toBeLessThan(20 * 10);
});

test.each(['and another rename', 'and another rename that a crash cuts as well'])(
  'a rename that a crash cut on a disk that is away waits for it, %s',
  async (also) => {
    const stays = { 'mnt/x.txt': 'x\n', 'mnt/y.txt': 'y\n' };
    const [a, b] = await pair({ ...stays, 'mnt/from.txt': 'moved\n', 'one.txt': 'one\n' }, 'mnt');
    // Somebody saves over the old name in the very moment: what he saved lies in the trash when the process ends.
    const takesOldName = ({ operation, path }: DiskCall): boolean =>
      operation === 'rename' && path === '/folder/mnt/from.txt';
    once(b, takesOldName, () => {
      b.user.replace('mnt/from.txt', 'saved in that moment\n');
      once(b, ({ operation }) => operation === 'link', b.kill);
    });
    a.user.rename('mnt/from.txt', 'mnt/to.txt');
    await world.until('dead', () => b.isDead);
    const mountAgain = b.memory.disk.unmount('/folder/mnt');
    b.start();
    await world.until('away', () => b.state()?.code === 'disk-held');
    a.user.rename('one.txt', 'two.txt');
    if (also.endsWith('well')) {
      once(b, ({ operation, path }) => operation === 'unlink' && path.includes('/trash/'), b.kill);
      await world.until('dead', () => b.isDead);
      b.start();
    }
    await world.until('renamed', () => b.user.read('two.txt') === 'one\n' && b.user.read('one.txt') === undefined);
    await world.clock.advance(30_000);
    expect(b.user.read('one.txt')).toBeUndefined();
    mountAgain();
    await world.until('it is back', () => b.user.read('mnt/from.txt') === 'saved in that moment\n');
    await world.until('settled', () => settled(b));
    await world.quiet();
    expect(b.user.tree()).toEqual(a.user.tree());
    expect(a.user.tree()).toEqual({
      ...stays,
      'mnt/': '',
      'mnt/from.txt': 'saved in that moment\n',
      'mnt/to.txt': 'moved\n',
      'two.txt': 'one\n',
    });
    expect(await b.folder.trashItems()).toEqual([]);
  },
);
