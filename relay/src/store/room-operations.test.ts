/** How much of a request is done before others have their turn, whatever it names: counted in row look-ups (v04). */
import type { ChunkId, SealedChunk } from '@driftless/protocol';
import { beforeEach, expect, test } from 'vitest';
import { listChunk, sampleChunk, sampleRoom } from '../testing/sample-room.ts';
import { carriedOut, memoryRows } from './memory-room-store.ts';
import { createRoomOperations, lookUpsPerStep, type RoomRows } from './room-operations.ts';
import { defaultQuotas, type RoomStoreOperations, type Steps } from './room-store.ts';

const room = sampleRoom('one');
const at = { room: room.id, keys: room.keys, nowMs: 1 };
/** What another room waits for is a millisecond or two, whatever the constant says. */
const lookUpsPerStepMax = 512;
/** A step's own look-ups, and those at its edges: the room, a list. */
const lookUpsMax = Math.min(lookUpsPerStep, lookUpsPerStepMax) + 16;

let lookUps: number;
let operations: RoomStoreOperations;
beforeEach(() => {
  const rows = memoryRows();
  lookUps = 0;
  const counted: RoomRows = {
    ...rows,
    get totalBytes() {
      return rows.totalBytes;
    },
    chunkFacts(...args) {
      lookUps++;
      return rows.chunkFacts(...args);
    },
    chunkBytes(...args) {
      lookUps++;
      return rows.chunkBytes(...args);
    },
    recordId(...args) {
      lookUps++;
      return rows.recordId(...args);
    },
  };
  operations = createRoomOperations(counted, defaultQuotas);
});

/** Carries all steps out: look-ups in all, and in the largest step. */
function measured<Answer>(steps: Steps<Answer>): { answer: Answer; total: number; largest: number } {
  lookUps = 0;
  let largest = 0;
  for (;;) {
    const before = lookUps;
    const step = steps.next();
    largest = Math.max(largest, lookUps - before);
    if (step.done === true) return { answer: step.value, total: lookUps, largest };
  }
}

/** `count` chunks that are held, and `lists` different lists of all of them. */
function held(count: number, lists: number): { readonly ids: readonly ChunkId[]; readonly lists: SealedChunk[] } {
  const chunks = Array.from({ length: count }, (_, index) => sampleChunk(String(index), 0));
  const ids = chunks.map(({ id }) => id);
  const rotated = Array.from({ length: lists }, (_, by) => listChunk([...ids.slice(by), ...ids.slice(0, by)]));
  expect(carriedOut(operations.put({ ...at, chunks: [...chunks, ...rotated] })).kind).toBe('stored');
  return { ids, lists: rotated };
}

test('an append that names many lists', () => {
  const { lists } = held(1_000, 20);
  const entry = room.record(null, { addsLists: lists.map(({ id }) => id) });
  const { answer, total, largest } = measured(operations.append({ ...at, entry, chunks: [] }));
  expect(answer.kind).toBe('appended');
  expect(total).toBeGreaterThan(20_000);
  expect(largest).toBeLessThanOrEqual(lookUpsMax);
});

test('a seed whose records name many lists', () => {
  const { lists } = held(1_000, 20);
  const first = room.record({ height: 4, id: room.record(null).id });
  const second = room.record(first, { addsLists: lists.map(({ id }) => id) });
  const checkpoint = room.checkpoint(first, []);
  const { answer, total, largest } = measured(operations.seed({ ...at, checkpoint, entries: [first, second] }));
  expect(answer.kind).toBe('seeded');
  expect(total).toBeGreaterThan(20_000);
  expect(largest).toBeLessThanOrEqual(lookUpsMax);
});

test('a seed whose records name more lists than one request may', () => {
  const { lists } = held(10, 1);
  const [list] = lists.map(({ id }) => id);
  const entries = [room.record({ height: 4, id: room.record(null).id })];
  for (let n = 0; n < 1_025; n++) entries.push(room.record(entries.at(-1) ?? null, { addsLists: list ? [list] : [] }));
  const [first] = entries;
  if (first === undefined) throw new Error('no record');
  const { answer, total } = measured(operations.seed({ ...at, checkpoint: room.checkpoint(first, []), entries }));
  expect(answer).toMatchObject({ kind: 'broken', reason: expect.stringContaining('1024') });
  expect(total).toBeLessThan(10);
});

test('questions about many chunks and heads', () => {
  const { ids } = held(1_500, 0);
  expect(measured(operations.have(room.id, ids)).largest).toBeLessThanOrEqual(lookUpsMax);
  expect(measured(operations.keep(room.id, ids)).largest).toBeLessThanOrEqual(lookUpsMax);
  const absent = ids.map((_, index) => sampleChunk(`absent ${index}`).id);
  expect(measured(operations.get(room.id, absent, 1_000)).largest).toBeLessThanOrEqual(lookUpsMax);
  const heads = ids.map((_, index) => ({ height: index + 1, id: room.record(null).id }));
  expect(measured(operations.locate(room.id, heads)).largest).toBeLessThanOrEqual(lookUpsMax);
});

test('a list that names one chunk often is none', () => {
  const chunk = sampleChunk('one');
  const list = listChunk(Array<ChunkId>(4_000).fill(chunk.id));
  carriedOut(operations.put({ ...at, chunks: [chunk, list] }));
  const entry = room.record(null, { addsLists: [list.id] });
  const { answer, total } = measured(operations.append({ ...at, entry, chunks: [] }));
  expect(answer).toEqual({ kind: 'missing', ids: [list.id] });
  expect(total).toBeLessThan(10);
});
