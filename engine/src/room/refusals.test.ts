/** What is asked with every state of a peer costs the same however many paths the relay refuses. */
import { closeCodes, type RelPath } from '@driftless/protocol';
import { expect, test } from 'vitest';
import { RequestRefused } from '../ports/room-session.ts';
import { createRefusals } from './refusals.ts';

const full = new RequestRefused(closeCodes.overQuota.code, 'the room is full');
const paths = Array.from({ length: 5_000 }, (_, index) => `f${index}` as RelPath);

function refusedAll() {
  const settled = new Set<RelPath>();
  let asked = 0;
  const refusals = createRefusals({
    clock: { nowMs: () => 0, monotonicMs: () => 0, after: () => ({ cancel() {} }) },
    random: { bytes: (count) => new Uint8Array(count), fraction: () => 0.5 },
    hasProblem: (path) => {
      asked += 1;
      return !settled.has(path);
    },
  });
  for (const path of paths) refusals.refusedPath(path, 'send', full);
  asked = 0;
  return { refusals, settled, asked: () => asked };
}

test('a state asks about as many paths as were settled since, and one more', () => {
  const { refusals, settled, asked } = refusedAll();
  for (let index = 0; index < 100; index += 1) {
    expect(refusals.halt()?.code).toBe('relay-full');
    expect(refusals.isSendingRefused).toBe(true);
  }
  expect(asked()).toBe(200);
  for (const path of paths.slice(0, 4_000)) settled.add(path);
  expect(refusals.halt()?.code).toBe('relay-full');
  refusals.done('send');
  expect(asked()).toBeLessThan(4_300);
  expect(refusals.release()).toEqual(paths.slice(4_000));
});

test('it ends with the last of them', () => {
  const { refusals, settled } = refusedAll();
  for (const path of paths) settled.add(path);
  expect(refusals.isSendingRefused).toBe(false);
  refusals.done('send');
  expect(refusals.halt()).toBe(null);
  expect(refusals.release()).toEqual([]);
});
