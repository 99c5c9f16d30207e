/**
 * The decisions of every store that one thread owns, made once over a handful of rows: what an append needs (LOG1, GC1), which
 * put wins (GC5), where a log may begin (SEED), what a stale peer is told (PR1), stamps (CLOCK), quotas. Where the rows lie, and
 * that a turn of operations is one transaction, is the matter of the stores around it.
 *
 * Each operation checks everything before it writes anything; an answer other than success therefore changes nothing.
 */
import {
  type ChunkId,
  type Head,
  limits,
  noRecordId,
  type RecordId,
  type RoomId,
  type SealedCheckpoint,
  type SealedChunk,
  type SealedRecord,
} from '@driftless/protocol';
import { parseListChunk, recordBytes, sha256Hex } from './bytes.ts';
import {
  type AdmissionKeys,
  checkpointsKeptMax,
  type Full,
  looseIdleMs,
  type Missing,
  type RecordToStore,
  type RoomState,
  type RoomStoreOperations,
  StoreError,
  type StoreQuotas,
} from './room-store.ts';

/** A row of the table of rooms. `height` 0 and `recordId` null: no log yet. */
export interface RoomRow {
  readonly key: number;
  readonly room: RoomId;
  readonly keys: AdmissionKeys;
  readonly epoch: number;
  readonly height: number;
  readonly recordId: RecordId | null;
  readonly floor: number;
  readonly stampMs: number;
  readonly bytes: number;
}

/** What is known of a held chunk without reading it. */
export interface ChunkFacts {
  readonly sha256: string;
  readonly bytes: number;
  /** False: condemned or damaged; `have` says no, and a new put revives it. */
  readonly held: boolean;
  /** Held, and named by no record or checkpoint yet. */
  readonly isLoose: boolean;
}

export interface LooseChunk {
  readonly id: ChunkId;
  readonly bytes: number;
  /** When it was put. */
  readonly stampMs: number;
}

/** Rows as the operations see them. Reads see the writes before them. */
export interface RoomRows {
  readonly totalBytes: number;
  room(room: RoomId): RoomRow | undefined;
  addRoom(row: Omit<RoomRow, 'key'>): RoomRow;
  updateRoom(row: RoomRow): void;
  recordId(roomKey: number, height: number): RecordId | undefined;
  record(roomKey: number, height: number): SealedRecord | undefined;
  addRecord(roomKey: number, entry: RecordToStore, stampMs: number): void;
  chunkFacts(roomKey: number, id: ChunkId): ChunkFacts | undefined;
  /** The bytes as they come from the medium, unchecked; undefined when they are gone. */
  chunkBytes(roomKey: number, id: ChunkId): Uint8Array | undefined;
  /** Adds or replaces. */
  saveChunk(
    roomKey: number,
    chunk: SealedChunk,
    facts: { readonly sha256: string; readonly stampMs: number; readonly isLoose: boolean },
  ): void;
  /** It is loose no more. */
  nameChunk(roomKey: number, id: ChunkId): void;
  /** Oldest first. */
  looseChunks(roomKey: number): Iterable<LooseChunk>;
  dropChunk(roomKey: number, id: ChunkId): void;
  markDamaged(roomKey: number, id: ChunkId): void;
  saveCheckpoint(roomKey: number, checkpoint: SealedCheckpoint, stampMs: number): void;
  /** Heights, newest first. */
  checkpointHeights(roomKey: number): readonly number[];
  checkpoint(roomKey: number, height: number): SealedCheckpoint | undefined;
  dropCheckpoint(roomKey: number, height: number): void;
}

/** About half a gigabyte of an upload. */
const askedMax = 16_384;

export function createRoomOperations(rows: RoomRows, quotas: StoreQuotas): RoomStoreOperations {
  const headOf = (row: RoomRow | undefined): Head | null =>
    row?.recordId == null ? null : { height: row.height, id: row.recordId };
  const stateOf = ({ keys, epoch, floor, ...row }: RoomRow): RoomState => ({
    keys,
    epoch,
    floor,
    head: row.recordId === null ? null : { height: row.height, id: row.recordId },
  });
  const holds = (row: RoomRow | undefined, head: Head): boolean =>
    row !== undefined && rows.recordId(row.key, head.height) === head.id;

  /** The stamp of a write, which never goes back (CLOCK). */
  const stampFor = (row: RoomRow, nowMs: number): number => Math.max(row.stampMs, nowMs);

  const roomFor = (room: RoomId, keys: AdmissionKeys, epoch: number): RoomRow =>
    rows.room(room) ?? rows.addRoom({ room, keys, epoch, height: 0, recordId: null, floor: 0, stampMs: 0, bytes: 0 });

  /** `freed`: bytes that are about to go. */
  function overQuota(row: RoomRow | undefined, bytes: number, freed = 0): Full | undefined {
    if ((row?.bytes ?? 0) + bytes > quotas.roomBytesMax) {
      return { kind: 'overQuota', what: `the room is full: it may hold ${quotas.roomBytesMax} bytes` };
    }
    if (rows.totalBytes - freed + bytes > quotas.totalBytesMax) {
      return { kind: 'overQuota', what: `the relay is full: it may hold ${quotas.totalBytesMax} bytes` };
    }
    return undefined;
  }

  /** When somebody last asked about a chunk that is loose: its upload goes on. The oldest are forgotten. */
  const askedMs = new Map<ChunkId, number>();
  /** By the callers' clock, of the newest write. */
  let latestMs = 0;
  function noteAsked(id: ChunkId): void {
    askedMs.delete(id);
    askedMs.set(id, latestMs);
    if (askedMs.size <= askedMax) return;
    for (const oldest of askedMs.keys()) {
      askedMs.delete(oldest);
      return;
    }
  }

  /**
   * The room as it is when `growth` fits, with loose chunks dropped for that as far as needed; or why it does not, and then nothing
   * was changed. A record needs all that it names; other uploads count while somebody goes on with them.
   */
  function roomMadeFor(
    row: RoomRow | undefined,
    growth: number,
    mayDrop: (chunk: LooseChunk) => boolean,
  ): { readonly row: RoomRow | undefined } | Full {
    const full = overQuota(row, growth);
    if (full === undefined || row === undefined) return full ?? { row };
    const dropped: ChunkId[] = [];
    let freed = 0;
    for (const chunk of rows.looseChunks(row.key)) {
      if (!mayDrop(chunk)) continue;
      dropped.push(chunk.id);
      freed += chunk.bytes;
      if (overQuota({ ...row, bytes: row.bytes - freed }, growth, freed) === undefined) break;
    }
    if (overQuota({ ...row, bytes: row.bytes - freed }, growth, freed) !== undefined) return full;
    for (const id of dropped) rows.dropChunk(row.key, id);
    const smaller = { ...row, bytes: row.bytes - freed };
    rows.updateRoom(smaller);
    return { row: smaller };
  }

  /** Which of `chunks` a put would store, each once, with its hash and the bytes that the room grows by. */
  function newOnes(row: RoomRow | undefined, chunks: readonly SealedChunk[]) {
    const wanted = new Map<
      ChunkId,
      {
        readonly chunk: SealedChunk;
        readonly sha256: string;
        readonly growth: number;
        /** Nothing is known of it: no record has named it. */
        readonly isNew: boolean;
      }
    >();
    for (const chunk of chunks) {
      const held = row && rows.chunkFacts(row.key, chunk.id);
      const earlier = wanted.get(chunk.id);
      const before = earlier?.sha256 ?? (held?.held ? held.sha256 : undefined);
      const sha256 = sha256Hex(chunk.sealed);
      // Held bytes stay, unless only the new ones are what the id says (the interface: first put wins).
      if (before !== undefined && (before === chunk.id || sha256 !== chunk.id)) continue;
      wanted.set(chunk.id, {
        chunk,
        sha256,
        growth: chunk.sealed.length - (held?.bytes ?? 0),
        isNew: held === undefined || held.isLoose,
      });
    }
    return wanted;
  }

  /** A chunk that the medium cannot read any more is lost like one that it does not hold: the rest of a request is still answered. */
  function readableBytes(row: RoomRow, id: ChunkId): Uint8Array | undefined {
    try {
      return rows.chunkBytes(row.key, id);
    } catch (error) {
      if (error instanceof StoreError) return undefined;
      throw error;
    }
  }

  /** A medium that cannot note it either says the same again at the next reading. */
  function markDamaged(row: RoomRow, id: ChunkId): void {
    try {
      rows.markDamaged(row.key, id);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
  }

  /** The clear list-chunks of `ids`, opened; those that are absent or not what their id says are added to `missing`. */
  function* listed(
    row: RoomRow | undefined,
    ids: readonly ChunkId[],
    coming: ReadonlyMap<ChunkId, { readonly chunk: SealedChunk; readonly sha256: string }>,
    missing: Set<ChunkId>,
  ): Generator<readonly ChunkId[]> {
    for (const id of ids) {
      const bytes = coming.get(id)?.chunk.sealed ?? (row && readableBytes(row, id));
      const list = bytes !== undefined && sha256Hex(bytes) === id ? parseListChunk(bytes) : undefined;
      if (list === undefined) missing.add(id);
      else yield list;
    }
  }

  /** GC1: everything that the record needs and neither the store nor `coming` holds. */
  function missingOf(
    row: RoomRow | undefined,
    entry: RecordToStore,
    coming: ReadonlyMap<ChunkId, { readonly chunk: SealedChunk; readonly sha256: string }>,
  ): Missing | undefined {
    const missing = new Set<ChunkId>();
    const hashOf = (id: ChunkId): string | undefined => {
      const arriving = coming.get(id);
      if (arriving !== undefined) return arriving.sha256;
      const facts = row && rows.chunkFacts(row.key, id);
      return facts?.held ? facts.sha256 : undefined;
    };
    // Pieces of a body are named by the hash of their bytes: others under that name do not count.
    for (const id of entry.bodyChunks) if (hashOf(id) !== id) missing.add(id);
    const demand = (ids: readonly ChunkId[]): void => {
      for (const id of ids) {
        if (missing.size >= limits.idsPerRequestMax) return;
        if (hashOf(id) === undefined) missing.add(id);
      }
    };
    demand(entry.adds);
    for (const ids of listed(row, entry.addsLists, coming, missing)) demand(ids);
    if (missing.size === 0) return undefined;
    return { kind: 'missing', ids: [...missing].slice(0, limits.idsPerRequestMax) };
  }

  /** Everything that a record brings to life; all of it is held or coming. */
  function* namedBy(
    row: RoomRow | undefined,
    entry: RecordToStore,
    coming: ReadonlyMap<ChunkId, { readonly chunk: SealedChunk; readonly sha256: string }>,
  ): Generator<ChunkId> {
    yield* entry.bodyChunks;
    yield* entry.adds;
    yield* entry.addsLists;
    for (const ids of listed(row, entry.addsLists, coming, new Set())) yield* ids;
  }

  /** Records after a height that fit, at least one if there is one. */
  function recordsAfter(row: RoomRow, after: number, bytesMax: number): readonly SealedRecord[] {
    if (after + 1 < row.floor || row.recordId === null) return [];
    const records: SealedRecord[] = [];
    let bytes = 0;
    for (let height = after + 1; height <= row.height && records.length < limits.recordsPerFrameMax; height++) {
      const record = rows.record(row.key, height);
      if (record === undefined) break;
      bytes += recordBytes(record);
      if (records.length > 0 && bytes > bytesMax) break;
      records.push(record);
    }
    return records;
  }

  function staleFor(row: RoomRow | undefined, entry: RecordToStore) {
    const after = entry.height - 1;
    const known = row !== undefined && (after === 0 ? row.floor === 1 : holds(row, { height: after, id: entry.prev }));
    return {
      kind: 'stale',
      head: headOf(row),
      records: known ? recordsAfter(row, after, limits.staleRecordBytesMax) : [],
    } as const;
  }

  return {
    lookUp(room, known) {
      const row = rows.room(room);
      return { room: row === undefined ? null : stateOf(row), holdsKnown: known === null || holds(row, known) };
    },

    append({ room, keys, entry, chunks, nowMs }) {
      const before = rows.room(room);
      const headId = before?.recordId ?? noRecordId;
      const headHeight = before?.height ?? 0;
      const epochMoved = before?.recordId != null && entry.epoch !== before.epoch;
      if (entry.prev !== headId || entry.height !== headHeight + 1 || epochMoved) return staleFor(before, entry);
      const coming = newOnes(before, chunks);
      const missing = missingOf(before, entry, coming);
      if (missing !== undefined) return missing;
      let growth = recordBytes(entry.record);
      for (const one of coming.values()) growth += one.growth;
      latestMs = Math.max(latestMs, nowMs);
      const named = new Set<ChunkId>(namedBy(before, entry, coming));
      const made = roomMadeFor(before, growth, ({ id }) => !named.has(id) && !coming.has(id));
      if ('kind' in made) return made;

      const row = made.row ?? roomFor(room, keys, entry.epoch);
      const stampMs = stampFor(row, nowMs);
      for (const { chunk, sha256 } of coming.values())
        rows.saveChunk(row.key, chunk, { sha256, stampMs, isLoose: false });
      for (const id of named) if (!coming.has(id)) rows.nameChunk(row.key, id);
      rows.addRecord(row.key, entry, stampMs);
      rows.updateRoom({
        ...row,
        epoch: entry.epoch,
        height: entry.height,
        recordId: entry.id,
        floor: row.recordId === null ? entry.height : row.floor,
        stampMs,
        bytes: row.bytes + growth,
      });
      return { kind: 'appended', head: { height: entry.height, id: entry.id } };
    },

    seed({ room, keys, checkpoint, entries, nowMs }) {
      const before = rows.room(room);
      if (before?.recordId != null) return { kind: 'stale', head: headOf(before), records: [] };
      const first = entries[0];
      const last = entries.at(-1);
      if (first === undefined || last === undefined) return { kind: 'broken', reason: 'a seed needs a record' };
      if (first.height !== checkpoint.height || first.id !== checkpoint.recordId) {
        return { kind: 'broken', reason: "the first record is not the checkpoint's" };
      }
      const broken = entries.findIndex((entry, index) => {
        const previous = entries[index - 1];
        return previous !== undefined && (entry.prev !== previous.id || entry.height !== previous.height + 1);
      });
      if (broken !== -1) return { kind: 'broken', reason: `record ${broken + 1} does not follow the one before` };
      // The checkpoint's lists stand in for what the first record and all before it brought to life.
      const missing = new Set<ChunkId>();
      for (const _ of listed(before, checkpoint.lists, new Map(), missing)) void _;
      if (missing.size > 0) return { kind: 'missing', ids: [...missing] };
      for (const entry of entries.slice(1)) {
        const needed = missingOf(before, entry, new Map());
        if (needed !== undefined) return needed;
      }
      const growth = entries.reduce((sum, entry) => sum + recordBytes(entry.record), checkpointBytes(checkpoint));
      const full = overQuota(before, growth);
      if (full !== undefined) return full;

      const row = roomFor(room, keys, last.epoch);
      const stampMs = stampFor(row, nowMs);
      for (const entry of entries) {
        for (const id of namedBy(row, entry, new Map())) rows.nameChunk(row.key, id);
        rows.addRecord(row.key, entry, stampMs);
      }
      for (const id of checkpoint.lists) rows.nameChunk(row.key, id);
      rows.saveCheckpoint(row.key, checkpoint, stampMs);
      rows.updateRoom({
        ...row,
        epoch: last.epoch,
        height: last.height,
        recordId: last.id,
        floor: first.height,
        stampMs,
        bytes: row.bytes + growth,
      });
      return { kind: 'seeded', head: { height: last.height, id: last.id } };
    },

    records(room, { after, bytesMax }) {
      const row = rows.room(room);
      if (row === undefined) return { head: null, floor: 0, records: [] };
      return { head: headOf(row), floor: row.floor, records: recordsAfter(row, after, bytesMax) };
    },

    locate(room, heads) {
      const row = rows.room(room);
      const newestFirst = [...heads].sort((one, other) => other.height - one.height);
      return { common: newestFirst.find((head) => holds(row, head)) ?? null, head: headOf(row) };
    },

    have(room, ids) {
      const row = rows.room(room);
      return ids.map((id) => {
        const facts = row === undefined ? undefined : rows.chunkFacts(row.key, id);
        if (facts?.held === true && facts.isLoose) noteAsked(id);
        return facts?.held === true;
      });
    },

    keep(room, ids) {
      const row = rows.room(room);
      return ids.map((id) => {
        const facts = row === undefined ? undefined : rows.chunkFacts(row.key, id);
        if (row !== undefined && facts?.held === true && facts.isLoose) rows.nameChunk(row.key, id);
        return facts?.held === true;
      });
    },

    put({ room, keys, chunks, nowMs }) {
      const before = rows.room(room);
      const coming = newOnes(before, chunks);
      let growth = 0;
      for (const one of coming.values()) growth += one.growth;
      latestMs = Math.max(latestMs, nowMs);
      const isIdle = ({ id, stampMs }: LooseChunk): boolean =>
        !coming.has(id) && Math.max(stampMs, askedMs.get(id) ?? 0) < nowMs - looseIdleMs;
      const made = growth > 0 ? roomMadeFor(before, growth, isIdle) : { row: before };
      if ('kind' in made) return made;
      if (coming.size === 0) return { kind: 'stored' };

      const row = made.row ?? roomFor(room, keys, 0);
      const stampMs = stampFor(row, nowMs);
      for (const { chunk, sha256, isNew } of coming.values())
        rows.saveChunk(row.key, chunk, { sha256, stampMs, isLoose: isNew });
      rows.updateRoom({ ...row, stampMs, bytes: row.bytes + growth });
      return { kind: 'stored' };
    },

    get(room, ids, bytesMax) {
      const row = rows.room(room);
      const chunks: SealedChunk[] = [];
      const missing: ChunkId[] = [];
      let bytes = 0;
      for (const id of ids) {
        const facts = row && rows.chunkFacts(row.key, id);
        if (row === undefined || !facts?.held) {
          missing.push(id);
          continue;
        }
        if (chunks.length > 0 && bytes + facts.bytes > bytesMax) break;
        if (chunks.length >= limits.chunksPerFrameMax) break;
        const sealed = readableBytes(row, id);
        if (sealed === undefined || sha256Hex(sealed) !== facts.sha256) {
          // The medium lost them. Saying so lets any holder put them again (GC5).
          markDamaged(row, id);
          missing.push(id);
          continue;
        }
        bytes += sealed.length;
        chunks.push({ id, sealed });
      }
      return { chunks, missing };
    },

    putCheckpoint({ room, checkpoint, nowMs }) {
      const row = rows.room(room);
      if (row === undefined || !holds(row, { height: checkpoint.height, id: checkpoint.recordId })) {
        return { kind: 'unknownRecord' };
      }
      const missing = new Set<ChunkId>();
      for (const _ of listed(row, checkpoint.lists, new Map(), missing)) void _;
      if (missing.size > 0) return { kind: 'missing', ids: [...missing] };
      const replaced = rows.checkpoint(row.key, checkpoint.height);
      const growth = checkpointBytes(checkpoint) - (replaced === undefined ? 0 : checkpointBytes(replaced));
      const full = overQuota(row, growth);
      if (full !== undefined) return full;

      const stampMs = stampFor(row, nowMs);
      for (const id of checkpoint.lists) rows.nameChunk(row.key, id);
      rows.saveCheckpoint(row.key, checkpoint, stampMs);
      let bytes = row.bytes + growth;
      for (const height of rows.checkpointHeights(row.key).slice(checkpointsKeptMax)) {
        const old = rows.checkpoint(row.key, height);
        if (old !== undefined) bytes -= checkpointBytes(old);
        rows.dropCheckpoint(row.key, height);
      }
      rows.updateRoom({ ...row, stampMs, bytes });
      return { kind: 'stored' };
    },

    checkpoint(room, atMost) {
      const row = rows.room(room);
      if (row === undefined) return null;
      const height = rows.checkpointHeights(row.key).find((candidate) => atMost === 0 || candidate <= atMost);
      return height === undefined ? null : (rows.checkpoint(row.key, height) ?? null);
    },
  };
}

/** What a checkpoint counts for in quotas; its pages and lists count as chunks. */
function checkpointBytes({ sealed, lists, writerSignature }: SealedCheckpoint): number {
  return sealed.length + lists.length * 32 + writerSignature.length;
}
