import type { RelPath } from '@driftless/protocol';
import { expect, test } from 'vitest';
import type { DiskSpace } from '../ports/disk.ts';
import { FolderError } from '../ports/folder.ts';
import { createFreeSpace } from './free-space.ts';

const path = 'big.bin' as RelPath;
const GiB = 1024 ** 3;
const onDisk = (space: () => DiskSpace) => createFreeSpace({ folder: { space: async () => space() } });

test.each<[string, DiskSpace, number, boolean]>([
  ['a gibibyte stays free', { freeBytes: 2 * GiB, totalBytes: 500 * GiB }, GiB, true],
  ['… and not a byte less', { freeBytes: 2 * GiB, totalBytes: 500 * GiB }, GiB + 1, false],
  ['on a small disk a twentieth of it', { freeBytes: GiB, totalBytes: 10 * GiB }, 0.5 * GiB, true],
  ['… and not a byte less there', { freeBytes: GiB, totalBytes: 10 * GiB }, 0.5 * GiB + 1, false],
  ['a disk that knows nothing of its size says itself when it is full', { freeBytes: 0, totalBytes: 0 }, GiB, true],
])('%s', async (_what, space, bytes, fits) => {
  const written = onDisk(() => space).within(path, bytes, async () => {});
  if (fits) await written;
  else await expect(written).rejects.toMatchObject({ name: 'FolderError', problem: { diskFull: true } });
});

test('what is under way counts until it is written, and not twice', async () => {
  let freeBytes = 12 * GiB;
  const disk = onDisk(() => ({ freeBytes, totalBytes: 500 * GiB }));
  const another = (bytes: number): Promise<void> => disk.within('small.txt' as RelPath, bytes, async () => {});
  await disk.within(path, 10 * GiB, async (wrote) => {
    await expect(another(1.5 * GiB)).rejects.toBeInstanceOf(FolderError);
    freeBytes -= 10 * GiB;
    wrote(10 * GiB);
    await another(0.5 * GiB);
  });
  await another(0.5 * GiB);
});
