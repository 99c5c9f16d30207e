/** What holds between the steps of operations, one step a turn. */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { listChunk, sampleChunk, sampleRoom } from '../testing/sample-room.ts';
import { looseIdleMs } from './room-store.ts';
import { openSqliteRooms, type SqliteRooms, type StoreCall, type StoreRun, type TurnResult } from './sqlite-rows.ts';

const quotas = { roomBytesMax: 200_000, totalBytesMax: 200_000 };
let dataDir: string;
let rooms: SqliteRooms;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'driftless-rows-'));
  rooms = openSqliteRooms({ dataDir, quotas });
});
afterEach(async () => {
  rooms.close();
  await rm(dataDir, { recursive: true });
});

/** One step in a turn of its own; undefined: more are needed. */
function step(run: StoreRun): TurnResult | undefined {
  const given = [{ key: '', item: run }];
  const [finished] = rooms.turn({ size: 1, add() {}, next: () => given.pop(), finish() {} });
  return finished?.result;
}
function carryOut(run: StoreRun): TurnResult {
  for (;;) {
    const result = step(run);
    if (result !== undefined) return result;
  }
}

test('what gives way to another room between two steps of a keep is not answered as kept', () => {
  const [kept, other] = [sampleRoom('kept'), sampleRoom('other')];
  const put = (room: typeof kept, chunks: readonly ReturnType<typeof sampleChunk>[], nowMs: number): StoreRun =>
    rooms.begin(0, { name: 'put', args: [{ room: room.id, keys: room.keys, chunks, nowMs }] });
  const chunks = Array.from({ length: 300 }, (_, index) => sampleChunk(String(index), 300));
  expect(carryOut(put(kept, chunks, 1))).toMatchObject({ ok: true, answer: { kind: 'stored' } });
  const ids = chunks.map(({ id }) => id);

  const keep = rooms.begin(0, { name: 'keep', args: [kept.id, ids] });
  expect(step(keep)).toBeUndefined();
  // Takes the place of some that the second step would have come to.
  expect(carryOut(put(other, [sampleChunk('large', 45_000)], 3 * looseIdleMs)).ok).toBe(true);
  const answered = carryOut(keep);

  const held = carryOut(rooms.begin(0, { name: 'have', args: [kept.id, ids] }));
  expect(held).toEqual(answered);
  const answers = held.ok && Array.isArray(held.answer) ? held.answer : [];
  expect(answers.slice(0, 256)).toEqual(Array<boolean>(256).fill(true));
  expect(answers.slice(256)).toContain(false);
});

test('what the relay holds in all is the sum of its rooms, also when another operation fails between two steps', () => {
  const [long, other] = [sampleRoom('long'), sampleRoom('other')];
  const put = (room: typeof long, chunks: readonly ReturnType<typeof sampleChunk>[]): StoreRun => {
    const call: StoreCall = { name: 'put', args: [{ room: room.id, keys: room.keys, chunks, nowMs: 1 }] };
    return rooms.begin(0, call);
  };
  // About 92,000 bytes with their rows: counted twice, they leave no room for 40,000 more.
  const chunks = Array.from({ length: 300 }, (_, index) => sampleChunk(String(index), 10));
  const list = listChunk(chunks.map(({ id }) => id));
  expect(carryOut(put(long, [...chunks, list]))).toMatchObject({ ok: true, answer: { kind: 'stored' } });

  const entry = long.record(null, { addsLists: [list.id] });
  const append = rooms.begin(0, {
    name: 'append',
    args: [{ room: long.id, keys: long.keys, entry, chunks: [], nowMs: 1 }],
  });
  expect(step(append)).toBeUndefined();
  rmSync(join(dataDir, 'segments'), { recursive: true });
  expect(carryOut(put(other, [sampleChunk('large', 70_000)])).ok).toBe(false);
  expect(carryOut(append)).toMatchObject({ ok: true, answer: { kind: 'appended' } });

  expect(carryOut(put(other, [sampleChunk('small', 40_000)]))).toMatchObject({ ok: true, answer: { kind: 'stored' } });
});
