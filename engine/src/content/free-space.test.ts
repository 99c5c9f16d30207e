import type { RelPath } from '@driftless/protocol';
import { expect, test } from 'vitest';
import type { DiskSpace } from '../ports/disk.ts';
import { FolderError, type StagingSpace } from '../ports/folder.ts';
import { createFreeSpace, NoRoom } from './free-space.ts';

const path = 'big.bin' as RelPath;
const KiB = 1024;
const MiB = 1024 ** 2;
const GiB = 1024 ** 3;
const onDisk = (space: (near: RelPath) => DiskSpace & Partial<StagingSpace>) =>
  createFreeSpace({ folder: { space: async (near) => ({ device: 1n, ...space(near) }) }, underWay: new Map() });

test.each<[string, DiskSpace, number, boolean]>([
  ['a gibibyte stays free', { freeBytes: 2 * GiB, totalBytes: 500 * GiB }, GiB, true],
  ['… and not a byte less', { freeBytes: 2 * GiB, totalBytes: 500 * GiB }, GiB + 1, false],
  ['on a small disk a twentieth of it', { freeBytes: GiB, totalBytes: 10 * GiB }, 0.5 * GiB, true],
  ['… and not a byte less there', { freeBytes: GiB, totalBytes: 10 * GiB }, 0.5 * GiB + 1, false],
  ['a small file leaves 64 MiB', { freeBytes: 65 * MiB, totalBytes: 500 * GiB }, MiB, true],
  ['… and not a byte less either', { freeBytes: 65 * MiB - 1, totalBytes: 500 * GiB }, MiB, false],
  ['… nor does an empty one', { freeBytes: 64 * MiB - 1, totalBytes: 500 * GiB }, 0, false],
  ['in 128 MiB of memory, small ones leave 410 KiB', { freeBytes: 900 * KiB, totalBytes: 128 * MiB }, 490 * KiB, true],
  ['… and larger ones 6.4 MiB', { freeBytes: 8 * MiB, totalBytes: 128 * MiB }, 1.5 * MiB, true],
  ['a disk that knows nothing of its size says itself when it is full', { freeBytes: 0, totalBytes: 0 }, GiB, true],
])('%s', async (_what, space, bytes, fits) => {
  const reserved = onDisk(() => space).reserve(path, bytes);
  if (fits) await reserved;
  else await expect(reserved).rejects.toMatchObject({ name: 'FolderError', problem: { diskFull: true } });
});

test('the last of a large file leaves as much free as its beginning did', async () => {
  let freeBytes = GiB + MiB;
  const disk = onDisk(() => ({ freeBytes, totalBytes: 500 * GiB }));
  (await disk.reserve(path, MiB, GiB)).end();
  freeBytes -= 1;
  (await disk.reserve(path, MiB)).end();
  await expect(disk.reserve(path, MiB, GiB)).rejects.toBeInstanceOf(FolderError);
});

test('a file of which nothing is missing has its room already, on a full disk too', async () => {
  const disk = onDisk(() => ({ freeBytes: 0, totalBytes: 500 * GiB }));
  await disk.reserve(path, 0, 5 * GiB);
});

test('what is cut off is free, and taken again', async () => {
  const disk = onDisk(() => ({ freeBytes: 3 * GiB, totalBytes: 500 * GiB }));
  const room = await disk.reserve(path, 0, 5 * GiB);
  room.cut(1.5 * GiB);
  await expect(disk.reserve(path, 0.5 * GiB + 1)).rejects.toBeInstanceOf(FolderError);
  room.end();
  await disk.reserve(path, 2 * GiB);
});

test('while a file is written the disk is asked again, and what others left too little of ends it', async () => {
  let freeBytes = 12 * GiB;
  const disk = onDisk(() => ({ freeBytes, totalBytes: 500 * GiB }));
  const room = await disk.reserve(path, 10 * GiB);
  freeBytes = GiB - 1;
  room.wrote(63 * MiB);
  await room.check();
  room.wrote(MiB);
  await expect(room.check()).rejects.toBeInstanceOf(NoRoom);
  freeBytes = GiB;
  room.wrote(64 * MiB);
  await room.check();
});

test('folders of one process, on one disk, count together', async () => {
  const underWay = new Map();
  const folder = { space: async () => ({ device: 1n, freeBytes: 12 * GiB, totalBytes: 500 * GiB }) };
  const [one, other] = [createFreeSpace({ folder, underWay }), createFreeSpace({ folder, underWay })];
  const room = await one.reserve(path, 10 * GiB);
  await expect(other.reserve(path, 10 * GiB)).rejects.toBeInstanceOf(FolderError);
  room.end();
  await other.reserve(path, 10 * GiB);
});

test('what is under way counts until it is written, and not twice', async () => {
  let freeBytes = 12 * GiB;
  const disk = onDisk(() => ({ freeBytes, totalBytes: 500 * GiB }));
  const another = async (bytes: number): Promise<void> => (await disk.reserve('other.bin' as RelPath, bytes)).end();
  const room = await disk.reserve(path, 10 * GiB);
  await expect(another(1.5 * GiB)).rejects.toBeInstanceOf(FolderError);
  freeBytes -= 9 * GiB;
  room.wrote(9 * GiB);
  await another(GiB);
  room.end();
  room.end();
  await another(2 * GiB);
  await expect(another(2 * GiB + 1)).rejects.toBeInstanceOf(FolderError);
});

test('of several that ask at once, one that does not fit hinders none that does, and no two get the same room', async () => {
  const disk = onDisk(() => ({ freeBytes: 50 * GiB, totalBytes: 500 * GiB }));
  const asked = [100 * GiB, 10, 30 * GiB, 30 * GiB].map((bytes) => disk.reserve(path, bytes));
  const outcomes = await Promise.allSettled(asked);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled', 'rejected']);
});

test('what is under way on one disk takes no room of another', async () => {
  const disk = onDisk((near) => ({ freeBytes: 3 * GiB, totalBytes: 500 * GiB, device: near === path ? 1n : 2n }));
  await disk.reserve(path, 2 * GiB);
  await disk.reserve('stick/other.bin' as RelPath, 2 * GiB);
  await expect(disk.reserve(path, 2 * GiB)).rejects.toBeInstanceOf(FolderError);
});

test('the reason says for which file, what is free, and what stays free', async () => {
  const disk = onDisk(() => ({ freeBytes: 3 * GiB, totalBytes: 500 * GiB }));
  const ask = (): Promise<unknown> => disk.reserve(path, 1.5 * GiB);
  await ask();
  await expect(ask()).rejects.toThrow(
    'Cannot receive "big.bin" (1.5 GiB): its disk has 3.0 GiB free (1.5 GiB of it for files on their way), and Driftless leaves 1.0 GiB free.',
  );
  await expect(disk.reserve(path, GiB, 3 * GiB)).rejects.toThrow('"big.bin" (1.0 GiB of 3.0 GiB missing): its disk');
});
