/** What is held for a transfer is bounded by bytes, whatever its size: in the stage, and in a peer's hands (rules DISK1, LOG5). */
import type { RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { noise, stagedBytes } from './large-contents.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

test('a large download that is cut again and again goes on in one place, and fetches nothing twice', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  const content = noise(1, 6_000_000);
  a.user.write('big.bin', content);
  a.start();
  await world.quiet();
  const chunks = new Map<string, number>();
  const staged: number[] = [];
  let gets = 0;
  world.relay.refuses = (request, ids) => {
    if (request !== 'get') return undefined;
    gets += 1;
    for (const id of ids) chunks.set(id, (chunks.get(id) ?? 0) + 1);
    // One window comes through, the next is cut.
    if (gets % 2 === 0) {
      staged.push(stagedBytes(b).length);
      world.relay.cut();
    }
    return undefined;
  };
  b.start();
  await world.until('the first cut', () => staged.length > 0);
  // The process may end, too: then the part is read, and gone on with.
  b.kill();
  b.start();
  await world.quiet();
  expect(b.user.read('big.bin')).toBe(content);
  expect(staged.length).toBeGreaterThan(1);
  expect(Math.max(...staged)).toBe(1);
  expect(stagedBytes(b)).toEqual([]);
  // A window that was cut is asked for again, no more.
  expect(Math.max(...chunks.values())).toBeLessThan(5);
});

describe('what is left of a cut download, on a disk that is almost full', () => {
  const size = 6_000_000;
  const totalBytes = 20_000_000;
  const keptBytes = totalBytes / 20;

  /** Downloads of so many files are cut when some of each is there; what `freeBytes` says is free from then on. */
  async function cutDownloads(
    count: number,
    freeBytes: (partBytes: number) => number,
    fileBytes = size,
  ): Promise<[Person, Person]> {
    const [a, b] = [world.person('a'), world.person('b')];
    a.user.write('small.txt', 'old');
    a.start();
    b.start();
    await world.quiet();
    let isCut = false;
    world.relay.refuses = () => {
      const parts = stagedBytes(b).filter((bytes) => bytes > 0);
      if (isCut || parts.length < count) return undefined;
      isCut = true;
      b.memory.disk.setFreeBytes(freeBytes(Math.max(...parts)), totalBytes);
      world.relay.cut();
      return undefined;
    };
    for (let index = 0; index < count; index += 1) a.user.write(`${index}.bin`, noise(70 + index, fileBytes));
    await world.until('the cut', () => isCut);
    return [a, b];
  }
  const endsWell = async (a: Person, b: Person): Promise<void> => {
    b.memory.disk.setFreeBytes(null);
    await world.quiet();
    expect(b.user.tree()).toEqual(a.user.tree());
    expect(stagedBytes(b)).toEqual([]);
  };

  test('it is there already: only the rest needs room', async () => {
    const [, b] = await cutDownloads(1, (partBytes) => keptBytes + size - partBytes);
    await world.until('the file', () => b.user.read('0.bin') !== undefined);
  });

  test('the last of it takes no room that is kept for small files', async () => {
    let missingBytes = 0;
    const fileBytes = 3_000_000;
    const forSmall = (partBytes: number): number => {
      missingBytes = fileBytes - partBytes;
      return keptBytes / 16 + missingBytes;
    };
    const [a, b] = await cutDownloads(1, forSmall, fileBytes);
    expect(missingBytes).toBeGreaterThan(0);
    expect(missingBytes).toBeLessThan(1024 ** 2);
    await world.until('it waits', () => b.state()?.code === 'disk-full');
    expect(b.state()?.reason).toMatch(/^Cannot receive "0.bin" \(\d+\.\d KiB of 2\.9 MiB missing\): /);
    await endsWell(a, b);
  });

  test('two files that need the same get one room for it', async () => {
    const [a, b] = await cutDownloads(1, () => 0);
    await world.until('it waits', () => b.state()?.code === 'disk-full');
    await b.stop();
    a.user.write('copy.bin', a.user.read('0.bin') ?? '');
    // By then the first is to be tried again too.
    await world.clock.advance(600_000);
    b.memory.disk.setFreeBytes(keptBytes + 2 * (size - (stagedBytes(b)[0] ?? 0)), totalBytes);
    b.start();
    const { stage } = b.folder;
    let leastBytes = totalBytes;
    b.folder.stage = async (options) => {
      const writer = await stage(options);
      const write = async (bytes: Uint8Array): Promise<void> => {
        await writer.write(bytes);
        leastBytes = Math.min(leastBytes, (await b.folder.space(options.near)).freeBytes);
      };
      return { ...writer, write };
    };
    await world.until('one', () => b.user.read('0.bin') !== undefined || b.user.read('copy.bin') !== undefined);
    await world.clock.advance(60_000);
    expect(leastBytes).toBeGreaterThanOrEqual(keptBytes);
    await endsWell(a, b);
  });

  test('it goes when its file is left out here, also while it waits', async () => {
    const [a, b] = await cutDownloads(1, () => 0);
    await world.until('it waits', () => b.state()?.code === 'disk-full');
    await world.clock.advance(10_000);
    expect(stagedBytes(b)).toHaveLength(1);
    b.memory.disk.setFreeBytes(keptBytes / 16 + 100_000, totalBytes);
    b.user.write('.driftlessignore', '0.bin\n');
    await world.until('it is gone', () => stagedBytes(b).length === 0);
    b.memory.disk.setFreeBytes(null);
    b.user.remove('.driftlessignore');
    await endsWell(a, b);
  });

  test('of two that cannot be finished, one gets the room of the other', async () => {
    const [a, b] = await cutDownloads(2, (partBytes) => keptBytes + size - partBytes - 100_000);
    await world.until('one', () => b.user.read('0.bin') !== undefined || b.user.read('1.bin') !== undefined);
    expect(b.user.read('0.bin') !== undefined && b.user.read('1.bin') !== undefined).toBe(false);
    await endsWell(a, b);
  });

  test('it makes room for a save', async () => {
    const [a, b] = await cutDownloads(1, () => 0);
    await world.until('it waits', () => b.state()?.code === 'disk-full');
    expect(stagedBytes(b)).toHaveLength(1);
    a.user.write('small.txt', 'new');
    await world.until('the save', () => b.user.read('small.txt') === 'new');
    await endsWell(a, b);
  });

  test('it stays where that would not be enough, and makes no room for its own file', async () => {
    const [a, b] = await cutDownloads(1, (partBytes) => keptBytes + size - partBytes - 100_000);
    a.user.write('other.bin', noise(80, size));
    await world.until('both wait', () => b.store.problemRows(10).length === 2);
    await world.clock.advance(60_000);
    expect(stagedBytes(b)).toHaveLength(1);
    await endsWell(a, b);
  });
});

test('a copy of a large file that the room knows is read beside the loop: a save does not wait for it', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  const content = noise(2, 3_000_000);
  a.user.write('big.bin', content);
  a.start();
  b.start();
  await world.quiet();
  let opened = 0;
  let goOn = (): void => {};
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const { openFile } = a.folder;
  a.folder.openFile = async (path) => {
    const handle = await openFile(path);
    if (path !== 'copy.bin' || !('read' in handle)) return handle;
    opened += 1;
    // Looked at first, then sent.
    return opened === 1 ? handle : { ...handle, read: (bytesMax) => held.then(() => handle.read(bytesMax)) };
  };
  a.user.write('copy.bin', content);
  await world.until('sending', () => opened === 2);
  a.user.write('save.txt', 'saved');
  await world.until('the save', () => b.user.read('save.txt') === 'saved', 2_000);
  goOn();
  await world.quiet();
  expectSame(b, a);
});

/** Without git's own files, and without megabytes in a message. */
function expectSame(one: Person, other: Person): void {
  const shortTree = (person: Person): Record<string, string> =>
    Object.fromEntries(
      Object.entries(person.user.tree())
        .filter(([path]) => !path.startsWith('.git/'))
        .map(([path, text]) => [path, `${text.length} ${text.slice(0, 40)}`]),
    );
  expect(shortTree(one)).toEqual(shortTree(other));
}
/** What git wrote last, so that the next record is labelled as a checkout's. */
const gitWrites = (person: Person, what: string): void => {
  person.user.write('.git/HEAD', 'ref: refs/heads/main\n');
  person.user.write('.git/index', what);
};

/** Large files of this name wait before they are written, until the returned function is called. */
function holdStaging(person: Person, held: string): () => void {
  const { promise: gate, resolve: release } = Promise.withResolvers<void>();
  const { stage } = person.folder;
  person.folder.stage = async (options) => {
    if (options.near === held) await gate;
    return stage(options);
  };
  return release;
}

test('a join of a room whose last record is labelled is a join as any: saves go ahead, nothing is fetched twice', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  gitWrites(a, 'first');
  a.user.write('k.txt', 'k');
  for (let index = 0; index < 4; index += 1) a.user.write(`big${index}.bin`, noise(index, 2_500_000));
  a.start();
  await world.quiet();
  gitWrites(a, 'second');
  a.user.write('k.txt', 'committed');
  a.user.write('l.txt', 'committed too');
  await world.quiet();
  expect(a.store.recordMeta(a.store.head()?.height ?? 0)?.label).toBe('git switch main');
  const chunks = new Map<string, number>();
  const staged: number[] = [];
  let gets = 0;
  world.relay.refuses = (request, ids) => {
    if (request !== 'get') return undefined;
    gets += 1;
    for (const id of ids) chunks.set(id, (chunks.get(id) ?? 0) + 1);
    if (gets % 4 === 0) {
      staged.push(stagedBytes(b).length);
      world.relay.cut();
    }
    return undefined;
  };
  b.start();
  const release = holdStaging(b, 'big3.bin');
  await world.until('the join', () => b.user.read('l.txt') !== undefined && b.user.read('big2.bin') !== undefined);
  b.user.write('save.txt', 'saved');
  await world.until('the save', () => a.user.read('save.txt') === 'saved', 2_000);
  release();
  await world.quiet();
  expectSame(b, a);
  expect(staged.length).toBeGreaterThan(2);
  expect(Math.max(...staged)).toBeLessThan(5);
  expect(stagedBytes(b)).toEqual([]);
  expect(Math.max(...chunks.values())).toBeLessThan(5);
});

test('what a checkout changed is its own only until it is there: a later save waits for no large file, whatever fails for ever', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  gitWrites(a, 'first');
  a.user.write('k.txt', 'k');
  a.user.write('refused.txt', 'x');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  b.folder.addFault({ operation: 'swapIn', path: 'refused.txt', code: 'EACCES', times: Number.POSITIVE_INFINITY });
  a.user.write('refused.txt', 'not taken at b');
  await world.until('it fails', () => b.store.problemRows(9).length === 1);
  gitWrites(a, 'second');
  a.user.write('k.txt', 'switched');
  a.user.write('big.bin', noise(1, 1_500_000));
  await world.until('it is there', () => b.user.read('k.txt') === 'switched' && b.user.read('big.bin') !== undefined);
  expect(a.store.recordMeta(a.store.head()?.height ?? 0)?.label).toBe('git switch main');
  await world.clock.advance(10_000);
  const release = holdStaging(b, 'big.bin');
  a.user.write('big.bin', noise(2, 1_600_000));
  await world.clock.advance(3_000);
  a.user.write('k.txt', 'saved');
  await world.until('the save', () => b.user.read('k.txt') === 'saved', 2_000);
  release();
  b.folder.clearFaults();
  await world.quiet();
  expectSame(b, a);
});

test('what a checkout changed arrives together, with its large files; a save that comes meanwhile does not wait', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  gitWrites(a, 'first');
  a.user.write('d/k.txt', 'k');
  a.user.write('d/gone.txt', 'gone');
  a.user.write('other.txt', 'other');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  const release = holdStaging(b, 'd/big2.bin');
  const before = b.events.length;
  gitWrites(a, 'second');
  a.user.write('d/k.txt', 'switched');
  a.user.write('new/l.txt', 'new');
  a.user.remove('d/gone.txt');
  for (let index = 0; index < 3; index += 1) a.user.write(`d/big${index}.bin`, noise(index, 1_500_000));
  await world.until('two of three', () => stagedBytes(b).length === 2);
  expect(a.store.recordMeta(a.store.head()?.height ?? 0)?.label).toBe('git switch main');
  a.user.write('other.txt', 'saved by a');
  a.user.write('new/later.txt', 'saved by a');
  b.user.write('mine.txt', 'saved by b');
  await world.until(
    'the saves',
    () => b.user.read('other.txt') === 'saved by a' && a.user.read('mine.txt') === 'saved by b',
    2_000,
  );
  // A cut link in between loses nothing of what is there.
  world.relay.cut();
  await world.clock.advance(5_000);
  expect(b.user.read('d/k.txt')).toBe('k');
  expect(b.user.read('d/gone.txt')).toBe('gone');
  expect(b.user.read('new/later.txt')).toBeUndefined();
  expect(b.state()?.state).toBe('syncing');
  const fetched = world.relay.requests.get('get') ?? 0;
  release();
  await world.quiet();
  expectSame(b, a);
  const applied = b.events.slice(before).flatMap((event) => (event.event === 'applied' ? [event.path] : []));
  expect(applied[0]).toBe('other.txt');
  expect([...applied].sort()).toEqual([
    'd/big0.bin',
    'd/big1.bin',
    'd/big2.bin',
    'd/gone.txt',
    'd/k.txt',
    'new',
    'new/l.txt',
    'new/later.txt',
    'other.txt',
  ]);
  // What is small, and the windows of the last large file.
  expect((world.relay.requests.get('get') ?? 0) - fetched).toBeLessThan(6);
});

test('a large file of a checkout that fails is not waited for', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  gitWrites(a, 'first');
  a.user.write('k.txt', 'k');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  b.folder.addFault({ operation: 'stage', path: 'big.bin', code: 'EIO', times: Number.POSITIVE_INFINITY });
  gitWrites(a, 'second');
  a.user.write('k.txt', 'switched');
  a.user.write('big.bin', noise(1, 3_000_000));
  await world.until('the rest', () => b.user.read('k.txt') === 'switched', 5_000);
  expect(b.store.problemRows(9).map(({ path }) => path)).toEqual(['big.bin']);
  b.folder.clearFaults();
  await world.quiet();
  expectSame(b, a);
});

test('what a cut link left staged of many small files is neither fetched again nor left behind', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  for (let index = 0; index < 30; index += 1) a.user.write(`d/f${index}.bin`, noise(index, 450_000));
  a.start();
  await world.quiet();
  const chunks = new Map<string, number>();
  const staged: number[] = [];
  let gets = 0;
  world.relay.refuses = (request, ids) => {
    if (request !== 'get') return undefined;
    gets += 1;
    for (const id of ids) chunks.set(id, (chunks.get(id) ?? 0) + 1);
    // Two groups of files, which are fetched side by side, come through, the next is cut.
    if (gets % 3 === 0 && staged.length < 6) {
      staged.push(stagedBytes(b).length);
      world.relay.cut();
    }
    return undefined;
  };
  b.start();
  await world.quiet();
  expectSame(b, a);
  expect(Math.max(...staged)).toBeGreaterThan(5);
  expect(Math.max(...staged)).toBeLessThan(31);
  expect(stagedBytes(b)).toEqual([]);
  expect(Math.max(...chunks.values())).toBeLessThan(4);
});

test('a content that is replaced while it is fetched leaves nothing in the stage', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  a.user.write('k.txt', 'k');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  for (let version = 0; version < 4; version += 1) {
    a.user.write('big.bin', noise(10 + version, 3_000_000));
    await world.until('sent', () => a.state()?.state === 'idle');
    await world.until('begun', () => stagedBytes(b).length > 0 || b.user.read('big.bin') !== undefined);
    world.relay.cut();
    expect(stagedBytes(b).length).toBeLessThan(3);
  }
  await world.quiet();
  expect(b.user.read('big.bin')).toBe(noise(13, 3_000_000));
  expect(stagedBytes(b)).toEqual([]);
});

test('a record of many megabytes is never in memory as a whole', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  a.user.write('k.txt', 'k');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  for (let index = 0; index < 16; index += 1) a.user.write(`d/f${index}.bin`, noise(index, 600_000));
  await world.quiet();
  expectSame(b, a);
  // All of it is in few records, and each part of one is of two megabytes and a file at most.
  expect(a.store.row('d/f15.bin' as RelPath)?.base).not.toBeNull();
  expect(world.relay.largestPutBytes).toBeLessThan(3_000_000);
});
