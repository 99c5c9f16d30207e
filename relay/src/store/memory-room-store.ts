/**
 * A store that forgets: for tests and for the simulator. Keeps every guarantee of the port but durability. Bytes are copied on
 * the way in and out, so that no caller can change what is stored.
 */
import type { ChunkId, RecordId, RoomId, SealedCheckpoint, SealedChunk, SealedRecord } from '@driftless/protocol';
import {
  type ChunkFacts,
  createRoomOperations,
  type LooseChunk,
  type RoomRow,
  type RoomRows,
} from './room-operations.ts';
import { defaultQuotas, type RoomStore, type Steps, StoreError, type StoreQuotas } from './room-store.ts';

interface StoredChunk extends ChunkFacts {
  readonly sealed: Uint8Array;
  readonly stampMs: number;
}
interface RoomData {
  readonly records: Map<number, { readonly id: RecordId; readonly record: SealedRecord }>;
  readonly chunks: Map<ChunkId, StoredChunk>;
  readonly checkpoints: Map<number, SealedCheckpoint>;
}

export interface MemoryRoomStoreOptions {
  /** 16 random bytes. */
  readonly storeId: Uint8Array;
  readonly quotas?: StoreQuotas;
}

export function memoryRoomStore({ storeId, quotas = defaultQuotas }: MemoryRoomStoreOptions): RoomStore {
  const operations = createRoomOperations(memoryRows(), quotas);
  let closed = false;
  const answer = async <Value>(operation: () => Steps<Value>): Promise<Value> => {
    if (closed) throw new StoreError('closed', 'the store is closed');
    return carriedOut(operation());
  };
  return {
    storeId,
    health: () => (closed ? new StoreError('closed', 'the store is closed') : null),
    onFailure() {},
    lookUp: (...args) => answer(() => operations.lookUp(...args)),
    append: (...args) => answer(() => operations.append(...args)),
    seed: (...args) => answer(() => operations.seed(...args)),
    records: (...args) => answer(() => operations.records(...args)),
    locate: (...args) => answer(() => operations.locate(...args)),
    have: (...args) => answer(() => operations.have(...args)),
    keep: (...args) => answer(() => operations.keep(...args)),
    put: (...args) => answer(() => operations.put(...args)),
    get: (...args) => answer(() => operations.get(...args)),
    putCheckpoint: (...args) => answer(() => operations.putCheckpoint(...args)),
    checkpoint: (...args) => answer(() => operations.checkpoint(...args)),
    async close() {
      closed = true;
    },
  };
}

/** All steps at once. */
export function carriedOut<Value>(steps: Steps<Value>): Value {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

export function memoryRows(): RoomRows {
  const rooms = new Map<RoomId, RoomRow>();
  const data: RoomData[] = [];
  const dataOf = (roomKey: number): RoomData => {
    const found = data[roomKey];
    if (found === undefined) throw new Error(`no room has the key ${roomKey}`);
    return found;
  };
  function* looseOf(room: RoomId, roomKey: number): Generator<LooseChunk> {
    for (const [id, { isLoose, held, bytes, stampMs }] of dataOf(roomKey).chunks)
      if (isLoose && held) yield { room, id, bytes, stampMs };
  }
  const oldestFirst = (chunks: Iterable<LooseChunk>): LooseChunk[] =>
    [...chunks].sort((one, other) => one.stampMs - other.stampMs);
  return {
    get totalBytes() {
      let sum = 0;
      for (const row of rooms.values()) sum += row.bytes;
      return sum;
    },
    room: (room) => rooms.get(room),
    addRoom(fields) {
      const row = { ...fields, key: data.length };
      data.push({ records: new Map(), chunks: new Map(), checkpoints: new Map() });
      rooms.set(row.room, row);
      return row;
    },
    updateRoom: (row) => void rooms.set(row.room, row),
    recordId: (roomKey, height) => dataOf(roomKey).records.get(height)?.id,
    record(roomKey, height) {
      const found = dataOf(roomKey).records.get(height)?.record;
      return found && copyRecord(found);
    },
    addRecord: (roomKey, { height, id, record }) =>
      void dataOf(roomKey).records.set(height, { id, record: copyRecord(record) }),
    restoreRecord: (roomKey, { height, id, record }) =>
      void dataOf(roomKey).records.set(height, { id, record: copyRecord(record) }),
    chunkFacts: (roomKey, id) => dataOf(roomKey).chunks.get(id),
    chunkBytes: (roomKey, id) => dataOf(roomKey).chunks.get(id)?.sealed.slice(),
    saveChunk: (roomKey, { id, sealed }: SealedChunk, { sha256, stampMs, isLoose }) =>
      void dataOf(roomKey).chunks.set(id, {
        sealed: sealed.slice(),
        bytes: sealed.length,
        sha256,
        held: true,
        isLoose,
        stampMs,
      }),
    nameChunk(roomKey, id) {
      const chunk = dataOf(roomKey).chunks.get(id);
      if (chunk?.isLoose === true) dataOf(roomKey).chunks.set(id, { ...chunk, isLoose: false });
    },
    looseChunks: (roomKey) =>
      oldestFirst([...rooms.values()].flatMap(({ room, key }) => (key === roomKey ? [...looseOf(room, key)] : []))),
    idleLooseChunks: (beforeMs) =>
      oldestFirst([...rooms.values()].flatMap(({ room, key }) => [...looseOf(room, key)])).filter(
        ({ stampMs }) => stampMs < beforeMs,
      ),
    dropChunk: (roomKey, id) => void dataOf(roomKey).chunks.delete(id),
    markDamaged(roomKey, id) {
      const chunk = dataOf(roomKey).chunks.get(id);
      if (chunk !== undefined) dataOf(roomKey).chunks.set(id, { ...chunk, held: false });
    },
    saveCheckpoint: (roomKey, checkpoint) =>
      void dataOf(roomKey).checkpoints.set(checkpoint.height, structuredClone(checkpoint)),
    checkpointHeights: (roomKey) => [...dataOf(roomKey).checkpoints.keys()].sort((one, other) => other - one),
    checkpoint: (roomKey, height) => structuredClone(dataOf(roomKey).checkpoints.get(height)),
    dropCheckpoint: (roomKey, height) => void dataOf(roomKey).checkpoints.delete(height),
  };
}

const copyRecord = ({ header, body, writerSignature }: SealedRecord): SealedRecord => ({
  header: header.slice(),
  body: body.slice(),
  writerSignature: writerSignature.slice(),
});
