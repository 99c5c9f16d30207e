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
import { beforeEach, expect, test } from 'vitest';
import { createDeviceKey } from '../crypto/device-key.ts';
import { createRoomCipher } from '../crypto/room-cipher.ts';
import { nodeHashing } from '../node/node-hashing.ts';
import { openStateStore } from '../node/sqlite-state-store.ts';
import type { StateStore } from '../ports/state-store.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import { createFaultyFolder, type FaultyFolder } from '../testing/faulty-folder.ts';
import { createMemoryFolder } from '../testing/memory-folder.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { createDownloadParts, type DownloadPart, type DownloadParts } from './download-parts.ts';

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
let parts: DownloadParts;
beforeEach(async () => {
  folder = createFaultyFolder(createMemoryFolder().folder);
  await folder.initialise('marker');
  const clock = createFakeClock();
  variants = [];
  store = openStateStore({ file: ':memory:', holdsModes: true });
  parts = createDownloadParts({
    folder,
    store: { ...store, manifest: { ...store.manifest, variantsBetween: () => variants } },
    cipher,
    hashing: nodeHashing,
    random,
    clock,
    pause: async () => {},
    onDistrusted: () => {},
    isWished: () => false,
  });
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
