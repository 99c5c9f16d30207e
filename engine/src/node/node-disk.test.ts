import { expect, test } from 'vitest';
import { spaceOf } from './node-disk.ts';

test.each([
  ['a disk whose blocks are smaller than what is best read at a time', { bsize: 1_048_576, frsize: 4_096 }],
  ['a version of Node that tells one size only', { bsize: 4_096 }],
])('free space: %s', (_what, sizes) => {
  expect(spaceOf({ bavail: 10, blocks: 100, ...sizes })).toEqual({ freeBytes: 40_960, totalBytes: 409_600 });
});
