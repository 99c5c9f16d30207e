import {
  bytesToHex,
  type ChunkId,
  type Content,
  type DeviceId,
  type Digest,
  type RelPath,
  type Variant,
  type VariantId,
} from '@driftless/protocol';
import { beforeEach, describe, expect, test } from 'vitest';
import { createDeviceKey } from '../crypto/device-key.ts';
import { createRoomCipher } from '../crypto/room-cipher.ts';
import { nodeHashing } from '../node/node-hashing.ts';
import { openStateStore } from '../node/sqlite-state-store.ts';
import { FolderError } from '../ports/folder.ts';
import { SessionEnded } from '../ports/room-session.ts';
import type { StateStore } from '../ports/state-store.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import { createFaultyFolder, type FaultyFolder } from '../testing/faulty-folder.ts';
import { createMemoryFolder } from '../testing/memory-folder.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { type ChunkSource, createChunkSource } from './chunk-source.ts';
import type { ContentsParts } from './content-types.ts';
import { type Claim, createDownloadParts, type DownloadPart, type DownloadParts } from './download-parts.ts';
import { NoRoom } from './free-space.ts';
import { createLargeStager } from './stage-large.ts';
import { createStagedFileWriter } from './staged-writer.ts';

const random = createSeededRandom('parts');
const cipher = createRoomCipher({
  secret: new Uint8Array(32),
  epoch: 0,
  device: createDeviceKey(random.bytes(32)),
  random,
});
const path = 'film.bin' as RelPath;
const bytes = random.bytes(1_000);
const leaf = cipher.chunkId(bytes);
const content: Content = {
  digest: bytesToHex(nodeHashing.sha256(bytes)) as Digest,
  size: 1_000_000,
  epoch: 0,
  refs: { depth: 0, ids: [leaf] },
};
const leaves: readonly ChunkId[] = [leaf];

let memory: ReturnType<typeof createMemoryFolder>;
let folder: FaultyFolder;
let clock: ReturnType<typeof createFakeClock>;
let store: StateStore;
/** Of open conflicts. */
let variants: readonly Variant[];
let contentsParts: ContentsParts;
let parts: DownloadParts;
beforeEach(async () => {
  memory = createMemoryFolder();
  folder = createFaultyFolder(memory.folder);
  clock = createFakeClock();
  await folder.initialise('marker');
  variants = [];
  store = openStateStore({ file: ':memory:', holdsModes: true });
  contentsParts = {
    folder,
    store: { ...store, manifest: { ...store.manifest, variantsBetween: () => variants } },
    cipher,
    hashing: nodeHashing,
    random,
    clock,
    pause: async () => {},
    underWay: new Map(),
    onDistrusted: () => {},
    isWished: () => false,
  };
  parts = createDownloadParts(contentsParts);
});

async function begin(of = content): Promise<readonly [Claim, DownloadPart]> {
  const claim = await parts.claim({ path, content: of });
  return [claim, await parts.begin(claim, leaves)];
}
async function write(part: DownloadPart): Promise<void> {
  const writer = await folder.stage({ name: part.name, near: path });
  await writer.write(bytes);
  await writer.commit({ flush: false });
  part.hash.update(bytes);
  part.bytes = bytes.length;
  part.chunks = 1;
}
/** A download of it is cut. */
async function cut(of = content): Promise<string> {
  const [claim, part] = await begin(of);
  await write(part);
  await parts.release(claim, part);
  return part.name;
}
/** A download of it ends, and waits for its place. */
async function finish(): Promise<string> {
  const [claim, part] = await begin();
  await write(part);
  parts.finish(claim);
  return part.name;
}
/** As in a new run. */
const forget = (): void => {
  parts = createDownloadParts(contentsParts);
};

/** The next look at a staged file waits, until the returned function is called. */
function holdNextLook(): () => void {
  const { promise: gate, resolve } = Promise.withResolvers<void>();
  const { statStaged } = folder;
  folder.statStaged = async (name) => {
    folder.statStaged = statStaged;
    await gate;
    return statStaged(name);
  };
  return resolve;
}

test('of two that begin at one moment, one goes on with what is left, and the other counts nothing of it', async () => {
  const name = await cut();
  const request = { path, content };
  const claims = await Promise.all([parts.claim(request), parts.claim(request)]);
  expect(claims.map((claim) => claim.bytes).sort()).toEqual([0, bytes.length]);
  const begun = await Promise.all(claims.map((claim) => parts.begin(claim, leaves)));
  expect(begun.map((part) => part.bytes)).toEqual(claims.map((claim) => claim.bytes));
  expect(begun.filter((part) => part.name === name)).toHaveLength(1);
});

test('what is given back while another begins goes to one of them', async () => {
  const [claim, part] = await begin();
  await write(part);
  const goOn = holdNextLook();
  const released = parts.release(claim, part);
  const one = await parts.claim({ path, content });
  goOn();
  await released;
  expect((await parts.claim({ path, content })).name).not.toBe(one.name);
});

test('what is left of a content that an open conflict keeps stays, until the conflict is closed', async () => {
  variants = [
    {
      id: 'v' as VariantId,
      path,
      entry: { kind: 'file', content, executable: false, private: false },
      device: 'd' as DeviceId,
      deviceName: 'd',
      timeMs: 0,
      mtimeMs: 0,
      baseDigest: null,
    },
  ];
  const name = await cut();
  await parts.discardUnwanted();
  expect(await folder.stagedNames()).toEqual([name]);
  variants = [];
  await parts.discardUnwanted();
  expect(await folder.stagedNames()).toEqual([]);
});

test('what somebody is about to go on with stays, until it is given back', async () => {
  const name = await cut();
  const claim = await parts.claim({ path, content });
  expect(claim).toMatchObject({ name, bytes: bytes.length });
  await parts.discardUnwanted();
  expect(await folder.stagedNames()).toEqual([name]);
  await parts.release(claim, undefined);
  await parts.discardUnwanted();
  expect(await folder.stagedNames()).toEqual([]);
});

test("what a replace of an earlier run would still place is nobody else's", async () => {
  const name = await cut();
  store.putIntent({
    path,
    before: null,
    places: { kind: 'nothing' },
    base: null,
    reason: 'replaced',
    stagedName: name,
    asideName: 'aside',
  });
  await parts.discardUnwanted();
  await parts.drop(name);
  expect(await parts.claim({ path, content })).toMatchObject({ bytes: 0, isThere: false });
  expect(await folder.stagedNames()).toEqual([name]);
  store.deleteIntent(path);
  await parts.discardUnwanted();
  expect(await folder.stagedNames()).toEqual([]);
});

test('a copy that is being made of one, for another disk, is no part', async () => {
  const name = `${await finish()}.copy`;
  await (await folder.stage({ name, near: path })).commit({ flush: false });
  await parts.discardUnwanted();
  expect(await folder.stagedNames()).toContain(name);
});

test('intents are read once, and only for large contents, however much lies staged', async () => {
  let count = 0;
  const intents = (): ReturnType<StateStore['intents']> => {
    count += 1;
    return store.intents();
  };
  contentsParts = { ...contentsParts, store: { ...contentsParts.store, intents } };
  forget();
  for (let index = 0; index < 50; index += 1)
    await (await folder.stage({ name: `${index}`, near: path })).commit({ flush: false });
  await parts.claim({ path, content });
  expect(count).toBe(0);
  await cut();
  await cut({ ...content, digest: 'e'.repeat(64) as Digest });
  count = 0;
  await parts.claim({ path, content });
  expect(count).toBe(1);
});

test('what lies on another disk than the file that needs it is none for that file', async () => {
  const name = await cut();
  const { space } = folder;
  folder.space = async (near) => ({ ...(await space(near)), device: 99n });
  expect(await parts.claim({ path, content })).toMatchObject({ bytes: 0, isThere: false });
  folder.space = space;
  expect(await parts.claim({ path, content })).toMatchObject({ name });
});

test('a second name of a file in the folder is never written on', async () => {
  const name = await cut();
  memory.disk.link(`/folder/.driftless/stage/${name}`, '/folder/placed.bin');
  expect(await parts.claim({ path, content })).toMatchObject({ bytes: 0, isThere: false });
  expect(await folder.stagedNames()).toEqual([]);
  expect(memory.disk.readWhole('/folder/placed.bin')).toEqual(bytes);
});

test.each(['statStaged', 'openStaged'] as const)('a look (%s) that throws leaves it to the next', async (operation) => {
  const name = await cut();
  forget();
  const claim = await parts.claim({ path, content });
  const original = folder[operation];
  folder[operation] = async () => {
    throw Object.assign(new Error('EIO'), { code: 'EIO' });
  };
  await expect(parts.begin(claim, leaves).then((part) => parts.release(claim, part))).rejects.toThrow('EIO');
  await parts.release(claim, undefined).catch(() => {});
  Object.assign(folder, { [operation]: original });
  expect((await begin())[1]).toMatchObject({ name, bytes: bytes.length });
});

test('one that cannot be read for a moment stays; at the third time it goes', async () => {
  const name = await cut();
  forget();
  for (let count = 0; count < 3; count += 1) {
    expect(await folder.stagedNames()).toEqual([name]);
    folder.addFault({ operation: count === 0 ? 'read' : 'openStaged', path: name, code: 'EMFILE' });
    const claim = await parts.claim({ path, content });
    await expect(parts.begin(claim, leaves)).rejects.toBeInstanceOf(FolderError);
    await parts.release(claim, undefined);
  }
  expect(await folder.stagedNames()).toEqual([]);
});

test('one that can be read in between is never given up', async () => {
  const name = await cut();
  for (let count = 0; count < 4; count += 1) {
    // Its stamps are others: it is read.
    memory.disk.setModificationTime(`/folder/.driftless/stage/${name}`, 1_000_000 + count);
    folder.addFault({ operation: 'openStaged', path: name, code: 'EMFILE' });
    const claim = await parts.claim({ path, content });
    await expect(parts.begin(claim, leaves)).rejects.toBeInstanceOf(FolderError);
    await parts.release(claim, undefined);
    const [again, part] = await begin();
    expect(part).toMatchObject({ name, bytes: bytes.length });
    await parts.release(again, part);
  }
});

test('of what is of no use the rest is used again: it needs the room of the file that lies there', async () => {
  const name = await cut();
  forget();
  const claim = await parts.claim({ path, content });
  const part = await parts.begin(claim, [cipher.chunkId(new Uint8Array(1))]);
  expect(part).toMatchObject({ name, isThere: true, bytes: 0, chunks: 0 });
});

test('what is known of earlier ones that are gone keeps no later one from being known', async () => {
  for (let index = 0; index < 20; index += 1) {
    await cut({ ...content, digest: index.toString(16).padStart(64, '0') as Digest });
    await parts.discardUnwanted();
  }
  await cut();
  folder.addFault({ operation: 'openStaged', code: 'EIO' });
  expect((await begin())[1].bytes).toBe(bytes.length);
});

test('one that is all there is read once more: its hash has ended', async () => {
  const small = { ...content, size: bytes.length };
  const [claim, part] = await begin(small);
  await write(part);
  part.hash.digest();
  await parts.release(claim, part);
  const [, again] = await begin(small);
  expect(bytesToHex(again.hash.digest())).toBe(content.digest);
});

test('what was whole and could not be removed is a part like any other', async () => {
  const name = await finish();
  const { discardStaged } = folder;
  folder.discardStaged = async () => {};
  await parts.drop(name);
  folder.discardStaged = discardStaged;
  expect(await parts.claim({ path, content })).toMatchObject({ name });
});

describe('room for a file', () => {
  /** What is left of other contents, one of each size. */
  async function leave(...sizes: readonly number[]): Promise<void> {
    for (const [index, size] of sizes.entries()) {
      const writer = await folder.stage({ name: `dl-${String(index).repeat(64)}-00`, near: path });
      await writer.write(new Uint8Array(size));
      await writer.commit({ flush: false });
    }
  }
  const sizesLeft = async (): Promise<number[]> => {
    const sizes: number[] = [];
    for (const name of await folder.stagedNames()) {
      const handle = await folder.openStaged(name);
      if ('kind' in handle) continue;
      sizes.push((await handle.stat()).size);
      await handle.close();
    }
    return sizes;
  };

  test.each([
    ['the smallest that alone is enough', 40, [10, 500]],
    ['else the fewest', 520, [10]],
    ['… and of what is missing then, no more than it takes', 505, [50]],
    ['nothing where all of it is not enough', 561, [10, 50, 500]],
  ])('%s', async (_what, missingBytes, left) => {
    await leave(500, 10, 50);
    const { device } = await folder.space(path);
    await parts.makeRoom(new NoRoom('', { device, missingBytes }));
    expect((await sizesLeft()).sort((one, other) => one - other)).toEqual(left);
  });

  test('none of another disk', async () => {
    await leave(500, 10, 50);
    const { device } = await folder.space(path);
    expect(await parts.makeRoom({ device: device + 1n, missingBytes: 10 })).toBe(false);
    expect(await sizesLeft()).toHaveLength(3);
  });

  const totalBytes = 20_000;
  const keptBytes = totalBytes / 20 / 16;

  test('what was given up for one file does for others that ask at the same moment', async () => {
    await leave(600, 700, 800);
    const { space } = folder;
    folder.space = async (near) => {
      const given = 2_100 - (await sizesLeft()).reduce((sum, size) => sum + size, 0);
      return { ...(await space(near)), totalBytes, freeBytes: keptBytes + given };
    };
    const { reserve } = createStagedFileWriter(contentsParts, parts);
    await Promise.all([1, 2, 3].map(() => reserve(path, 200)));
    expect(await sizesLeft()).toEqual([700, 800]);
  });

  test('what is still missing of a large file counts as a part of it', async () => {
    const { space } = folder;
    folder.space = async (near) => ({ ...(await space(near)), totalBytes, freeBytes: keptBytes + 200 });
    const { reserve } = createStagedFileWriter(contentsParts, parts);
    (await reserve(path, 200)).end();
    await expect(reserve(path, 200, 2_000_000)).rejects.toBeInstanceOf(NoRoom);
  });

  test('a quota shows in a write alone: what it refuses gets room for its next try, once', async () => {
    await leave(1_600, 1_700, 1_800);
    const { write: writeStaged, reserve } = createStagedFileWriter(contentsParts, parts);
    for (let count = 0; count < 2; count += 1) {
      folder.addFault({ operation: count === 0 ? 'write' : 'stage', code: 'EDQUOT' });
      const request = { path, content: { ...content, size: bytes.length } };
      const room = await reserve(path, bytes.length);
      const saved = writeStaged(
        request,
        { flush: false, room },
        (put) => put(bytes),
        () => {},
      );
      await expect(saved).rejects.toMatchObject({ problem: { code: 'EDQUOT' } });
      room.end();
    }
    expect(await sizesLeft()).toEqual([1_700, 1_800]);
  });

  test('a large file that others take the room from in the middle keeps what there is of it', async () => {
    const { space } = folder;
    let freeBytes = 10 * 1024 ** 3;
    folder.space = async (near) => ({ ...(await space(near)), totalBytes: 500 * 1024 ** 3, freeBytes });
    const { write: writeStaged, reserve } = createStagedFileWriter(contentsParts, parts);
    const [claim, part] = await begin();
    const room = await reserve(path, 2 * 1024 ** 3);
    const fetched = writeStaged(
      { path, content },
      { flush: false, room, part },
      async (put) => {
        await put(bytes);
        part.chunks += 1;
        room.wrote(64 * 1024 ** 2);
        freeBytes = 0;
        await put(bytes);
      },
      () => {},
    );
    await expect(fetched).rejects.toBeInstanceOf(NoRoom);
    await parts.release(claim, part);
    expect(await sizesLeft()).toEqual([bytes.length]);
    expect((await begin())[1]).toMatchObject({ name: part.name, chunks: 1, bytes: bytes.length });
  });

  test('what is cut off of a part that turns out to be of no use is reserved again', async () => {
    await cut();
    forget();
    const writer = createStagedFileWriter(contentsParts, parts);
    const asked: number[] = [];
    const cutOff: number[] = [];
    const reserve: typeof writer.reserve = async (near, missingBytes, fileBytes) => {
      asked.push(missingBytes);
      const room = await writer.reserve(near, missingBytes, fileBytes);
      return { ...room, cut: (count) => void cutOff.push(count) };
    };
    const lost = new SessionEnded('cut');
    const source: ChunkSource = {
      ...createChunkSource(contentsParts),
      leavesOf: async () => [cipher.chunkId(new Uint8Array(1))],
      load: async () => Promise.reject(lost),
    };
    const stage = createLargeStager(contentsParts, source, { ...writer, reserve }, parts);
    const { signal } = new AbortController();
    const options = { flush: false, signal, onStaged: () => {}, onProgress: () => {}, onFailed: () => {} };
    await expect(stage({ path, content }, null, options)).rejects.toBe(lost);
    expect({ asked, cutOff }).toEqual({ asked: [content.size - bytes.length], cutOff: [bytes.length] });
    expect(await sizesLeft()).toEqual([0]);
  });

  test('a disk that shows it late costs no more than one of them in ten seconds', async () => {
    await leave(600, 700, 800);
    const { space } = folder;
    let shown = 0;
    folder.space = async (near) => ({ ...(await space(near)), totalBytes, freeBytes: keptBytes + shown });
    const { reserve } = createStagedFileWriter(contentsParts, parts);
    for (let count = 0; count < 3; count += 1) await expect(reserve(path, 200)).rejects.toBeInstanceOf(NoRoom);
    expect(await sizesLeft()).toEqual([700, 800]);
    await clock.advance(10_000);
    await expect(reserve(path, 200)).rejects.toBeInstanceOf(NoRoom);
    expect(await sizesLeft()).toEqual([800]);
    shown = 600;
    (await reserve(path, 200)).end();
    expect(await sizesLeft()).toEqual([800]);
  });

  test('a disk on which room shows late keeps none of another from making some', async () => {
    await leave(600, 700);
    const { space, statStaged } = folder;
    const stick = 99n;
    folder.statStaged = async (name) => {
      const stat = await statStaged(name);
      return stat?.kind === 'file' && stat.size === 600 ? { ...stat, device: stick } : stat;
    };
    folder.space = async (near) => {
      const isGiven = !(await sizesLeft()).includes(700);
      const other = { ...(await space(near)), totalBytes, freeBytes: isGiven ? 700 : 0 };
      return near === path ? other : { device: stick, totalBytes, freeBytes: 0 };
    };
    const { reserve } = createStagedFileWriter(contentsParts, parts);
    await expect(reserve('stick/save' as RelPath, 200)).rejects.toBeInstanceOf(NoRoom);
    expect(await sizesLeft()).toEqual([700]);
    await reserve(path, 200);
    expect(await sizesLeft()).toEqual([]);
  });
});
