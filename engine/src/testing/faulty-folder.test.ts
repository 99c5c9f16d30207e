import type { RelPath } from '@driftless/protocol';
import { expect, test } from 'vitest';
import { createFaultyFolder } from './faulty-folder.ts';
import { createMemoryFolder } from './memory-folder.ts';

const path = 'file' as RelPath;

test('the n-th call fails as the system would, the others do not', async () => {
  const memory = createMemoryFolder();
  const folder = createFaultyFolder(memory.folder);
  await folder.initialise('m');
  memory.user.write('file', 'x');
  folder.addFault({ operation: 'openFile', path: 'file', code: 'EIO', from: 2 });
  folder.addFault({ operation: 'write', code: 'ENOSPC', times: Number.POSITIVE_INFINITY });
  expect('read' in (await folder.openFile(path))).toBe(true);
  expect(await folder.openFile(path)).toMatchObject({ kind: 'problem', code: 'EIO', diskFull: false });
  expect('read' in (await folder.openFile(path))).toBe(true);
  const writer = await folder.stage({ name: 's', near: path });
  for (let count = 0; count < 2; count++) {
    await expect(writer.write(new Uint8Array(1))).rejects.toMatchObject({
      problem: { code: 'ENOSPC', diskFull: true },
    });
  }
  folder.clearFaults();
  await writer.write(new Uint8Array(1));
  expect(folder.faultsMet).toBe(3);
});

test('a test can edit the disk before an operation', async () => {
  const memory = createMemoryFolder();
  const folder = createFaultyFolder(memory.folder);
  await folder.initialise('m');
  folder.before = ({ operation }) => {
    if (operation === 'makeDirectory') memory.user.write('file', 'in the way');
  };
  expect(await folder.makeDirectory(path)).toEqual({ kind: 'changed' });
});
