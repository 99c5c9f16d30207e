import type { RelPath } from '@driftless/protocol';
import { expect, test } from 'vitest';
import { fingerprintOf } from '../core/fingerprint.ts';
import { nodeHashing } from '../node/node-hashing.ts';
import { createFakeClock } from '../testing/fake-clock.ts';
import { createMemoryFolder } from '../testing/memory-folder.ts';
import { createLargeReads } from './hash-large.ts';

const path = 'big.bin' as RelPath;

test('a read that fails through no fault of the file is tried again, and says why', async () => {
  const clock = createFakeClock();
  const { folder, user } = createMemoryFolder({ nowMs: clock.nowMs });
  user.write(path, 'x'.repeat(100_000));
  const ready: string[] = [];
  const warnings: string[] = [];
  let failures = 1;
  const large = createLargeReads({
    folder,
    hashing: nodeHashing,
    clock,
    log: { debug() {}, info() {}, error() {}, warn: (event) => warnings.push(event) },
    signal: new AbortController().signal,
    runBeside: () => {},
    onReady: (one) => ready.push(one),
    onProgress: () => {
      if (failures-- > 0) throw new Error('the state could not be told');
    },
  });
  const stat = await folder.stat(path);
  if (stat === null || stat.kind === 'problem') throw new Error('not there');
  const file = { path, fingerprint: fingerprintOf(stat), inode: stat.inode, fromPath: undefined };
  expect(large.outcomeOf(file)).toBe(null);
  await clock.advance(5_000);
  expect(warnings).toEqual(['large-read-failed']);
  expect(ready).toEqual([path]);
  expect(large.outcomeOf(file)).toBe(null);
  await clock.advance(100);
  expect(large.outcomeOf(file)).toMatchObject({ kind: 'read' });
  expect(large.holds(path)).toBe(false);
});
