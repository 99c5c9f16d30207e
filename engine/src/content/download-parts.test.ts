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
import type { StateStore } from '../ports/state-store.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import { createFaultyFolder, type FaultyFolder } from '../testing/faulty-folder.ts';
import { createMemoryFolder } from '../testing/memory-folder.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import type { ContentsParts } from './content-types.ts';
import { createDownloadParts, type DownloadPart, type DownloadParts } from './download-parts.ts';
import { NoRoom } from './free-space.ts';
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

let folder: FaultyFolder;
let store: StateStore;
/** Of open conflicts. */
let variants: readonly Variant[];
let contentsParts: ContentsParts;
let parts: DownloadParts;
beforeEach(async () => {
  folder = createFaultyFolder(createMemoryFolder().folder);
  await folder.initialise('marker');
  variants = [];
  store = openStateStore({ file: ':memory:', holdsModes: true });
  contentsParts = {
    folder,
    store: { ...store, manifest: { ...store.manifest, variantsBetween: () => variants } },
    cipher,
    hashing: nodeHashing,
    random,
    clock: createFakeClock(),
    pause: async () => {},
    onDistrusted: () => {},
    isWished: () => false,
  };
  parts = createDownloadParts(contentsParts);
});

/** It was cut here. */
async function write(part: DownloadPart): Promise<void> {
  const writer = await folder.stage({ name: part.name, near: path });
  await writer.write(bytes);
  await writer.commit({ flush: false });
  part.hash.update(bytes);
  part.bytes = bytes.length;
  part.chunks = 1;
}

/** The next look at a staged file waits, until the returned function is called. */
function holdNextLook(): () => void {
  const { promise: gate, resolve } = Promise.withResolvers<void>();
  const { openStaged } = folder;
  folder.openStaged = async (name) => {
    folder.openStaged = openStaged;
    await gate;
    return openStaged(name);
  };
  return resolve;
}

test('of two that begin at one moment, one goes on with what is left', async () => {
  const part = await parts.begin(content, leaves);
  await write(part);
  await parts.release(content, part);
  const goOn = holdNextLook();
  const one = parts.begin(content, leaves);
  expect((await parts.begin(content, leaves)).name).not.toBe(part.name);
  goOn();
  expect(await one).toBe(part);
});

test('what is given back while another begins goes to one of them', async () => {
  const part = await parts.begin(content, leaves);
  await write(part);
  const goOn = holdNextLook();
  const released = parts.release(content, part);
  const one = await parts.begin(content, leaves);
  goOn();
  await released;
  expect((await parts.begin(content, leaves)).name).not.toBe(one.name);
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
  const part = await parts.begin(content, leaves);
  await write(part);
  await parts.release(content, part);
  await parts.discardUnwanted();
  expect(await folder.stagedNames()).toEqual([part.name]);
  variants = [];
  await parts.discardUnwanted();
  expect(await folder.stagedNames()).toEqual([]);
});

test('what somebody has room for, and is about to go on with, stays', async () => {
  const part = await parts.begin(content, leaves);
  await write(part);
  await parts.release(content, part);
  const request = { path, content };
  expect(await parts.claim(request)).toBe(bytes.length);
  await parts.discardUnwanted();
  expect(await folder.stagedNames()).toEqual([part.name]);
  parts.disclaim(request);
  await parts.discardUnwanted();
  expect(await folder.stagedNames()).toEqual([]);
});

test("what a replace of an earlier run would still place is nobody else's", async () => {
  const part = await parts.begin(content, leaves);
  await write(part);
  await parts.release(content, part);
  store.putIntent({
    path,
    before: null,
    places: { kind: 'nothing' },
    base: null,
    reason: 'replaced',
    stagedName: part.name,
    asideName: 'aside',
  });
  await parts.discardUnwanted();
  expect(await parts.claim({ path, content })).toBe(0);
  expect((await parts.begin(content, leaves)).name).not.toBe(part.name);
  expect(await folder.stagedNames()).toEqual([part.name]);
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
    ['nothing where all of it is not enough', 561, [10, 50, 500]],
  ])('%s', async (_what, missingBytes, left) => {
    await leave(500, 10, 50);
    const { device } = await folder.space(path);
    await parts.makeRoom(new NoRoom('', { device, missingBytes }));
    expect((await sizesLeft()).sort((one, other) => one - other)).toEqual(left);
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

  test('a disk that shows it late costs no more than one of them', async () => {
    await leave(600, 700, 800);
    const { space } = folder;
    folder.space = async (near) => ({ ...(await space(near)), totalBytes, freeBytes: keptBytes });
    const { reserve } = createStagedFileWriter(contentsParts, parts);
    for (let count = 0; count < 3; count += 1) await expect(reserve(path, 200)).rejects.toBeInstanceOf(NoRoom);
    expect(await sizesLeft()).toEqual([700, 800]);
  });
});
