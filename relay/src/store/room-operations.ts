/**
 * The decisions of every store that one thread owns, made once over a handful of rows: what an append needs (LOG1, GC1), which
 * put wins (GC5), where a log may begin (SEED), what a stale peer is told (PR1), stamps (CLOCK), quotas. Where the rows lie, and
 * that a turn of operations is one transaction, is the matter of the stores around it.
 *
 * Each operation checks everything before it writes anything; an answer other than success therefore changes nothing but what
 * gives way. Operations are carried out in steps of about lookUpsPerStep row look-ups: a small request can name millions of chunks,
 * and between the steps other rooms have their turn. Meanwhile nothing else of the same room runs.
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
import { isSameRecord, parseListChunk, recordBytes, rowBytes, sha256Hex } from './bytes.ts';
import {
  type AdmissionKeys,
  checkpointsKeptMax,
  type Full,
  type Held,
  looseIdleMs,
  type Missing,
  type RecordToStore,
  type RoomState,
  type RoomStoreOperations,
  type Steps,
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
  readonly room: RoomId;
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
  /** The same record, with other bytes. */
  restoreRecord(roomKey: number, entry: RecordToStore): void;
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
  /** Of all rooms, those put before `beforeMs`, oldest first. */
  idleLooseChunks(beforeMs: number): Iterable<LooseChunk>;
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

/** About a millisecond: what another room's request waits for. */
export const lookUpsPerStep = 256;
/** A list-chunk is read, hashed and cut into ids: as long as so many look-ups. */
const lookUpsPerList = 64;
/** Loose chunks looked at to make room for one request: far more than a frame needs, counted with their rows. */
const looseLookedAtMax = 16_384;

/** What a chunk, a record or a checkpoint counts for: its bytes, and the row that a chunk of no bytes costs as well. */
const stored = (bytes: number): number => bytes + rowBytes;

/** What is bounded by its frame alone is done at once. */
function* oneStep<Answer>(operation: () => Answer): Steps<Answer> {
  yield* [];
  return operation();
}

/** Counts look-ups of one operation, and says when a step is over. */
type Pace = (lookUps?: number) => boolean;

type Coming = ReadonlyMap<ChunkId, { readonly chunk: SealedChunk; readonly sha256: string }>;

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
    rows.room(room) ??
    rows.addRoom({ room, keys, epoch, height: 0, recordId: null, floor: 0, stampMs: 0, bytes: rowBytes });

  /** `freed`: bytes that are about to go. A room that is not there yet costs its row. */
  function isRoomFull(row: RoomRow | undefined, bytes: number): boolean {
    return (row?.bytes ?? rowBytes) + bytes > quotas.roomBytesMax;
  }
  function isRelayFull(row: RoomRow | undefined, bytes: number, freed: number): boolean {
    return rows.totalBytes - freed + bytes + (row === undefined ? rowBytes : 0) > quotas.totalBytesMax;
  }
  function overQuota(row: RoomRow | undefined, bytes: number, freed = 0): Full | undefined {
    if (isRoomFull(row, bytes)) {
      return { kind: 'overQuota', what: `the room is full: it may hold ${quotas.roomBytesMax} bytes` };
    }
    if (isRelayFull(row, bytes, freed)) {
      return { kind: 'overQuota', what: `the relay is full: it may hold ${quotas.totalBytesMax} bytes` };
    }
    return undefined;
  }

  /** Rooms with an operation between two steps: nothing of them gives way to another room. */
  const underWay = new Set<RoomId>();

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
   * was changed. A record needs all that it names; other uploads count while somebody goes on with them. Where it is the relay that
   * is full, the uploads of other rooms that nobody goes on with give way as well: one room cannot fill it with what no record names.
   */
  function roomMadeFor(
    row: RoomRow | undefined,
    growth: number,
    { nowMs, mayDrop }: { readonly nowMs: number; readonly mayDrop: (chunk: LooseChunk) => boolean },
  ): { readonly row: RoomRow | undefined } | Full {
    const full = overQuota(row, growth);
    if (full === undefined) return { row };
    const dropped: LooseChunk[] = [];
    let own = 0;
    let others = 0;
    const shrunk = (): RoomRow | undefined => row && { ...row, bytes: row.bytes - own };
    const fits = (): boolean => overQuota(shrunk(), growth, own + others) === undefined;
    let looked = 0;
    for (const chunk of row === undefined ? [] : rows.looseChunks(row.key)) {
      if (fits() || looked++ >= looseLookedAtMax) break;
      if (!mayDrop(chunk)) continue;
      dropped.push(chunk);
      own += stored(chunk.bytes);
    }
    if (isRoomFull(shrunk(), growth)) return full;
    for (const chunk of fits() ? [] : rows.idleLooseChunks(nowMs - looseIdleMs)) {
      if (fits() || looked++ >= looseLookedAtMax) break;
      if (chunk.room === row?.room || underWay.has(chunk.room) || !isIdle(chunk, nowMs)) continue;
      dropped.push(chunk);
      others += stored(chunk.bytes);
    }
    if (!fits()) return full;
    for (const { room, id, bytes } of dropped) {
      const from = rows.room(room);
      if (from === undefined) continue;
      rows.dropChunk(from.key, id);
      rows.updateRoom({ ...from, bytes: from.bytes - stored(bytes) });
    }
    return { row: row && rows.room(row.room) };
  }

  const isIdle = ({ id, stampMs }: LooseChunk, nowMs: number): boolean =>
    Math.max(stampMs, askedMs.get(id) ?? 0) < nowMs - looseIdleMs;

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
        growth: stored(chunk.sealed.length) - (held === undefined ? 0 : stored(held.bytes)),
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

  function createPace(): Pace {
    let left = lookUpsPerStep;
    return (lookUps = 1) => {
      left -= lookUps;
      if (left > 0) return false;
      left = lookUpsPerStep;
      return true;
    };
  }

  /** A clear list-chunk, opened; undefined when it is absent or not what its id says. */
  function listOf(row: RoomRow | undefined, id: ChunkId, coming: Coming): readonly ChunkId[] | undefined {
    const bytes = coming.get(id)?.chunk.sealed ?? (row && readableBytes(row, id));
    return bytes !== undefined && sha256Hex(bytes) === id ? parseListChunk(bytes) : undefined;
  }

  function* missingLists(row: RoomRow | undefined, lists: readonly ChunkId[], pace: Pace): Steps<Missing | undefined> {
    const missing: ChunkId[] = [];
    for (const id of lists) {
      if (listOf(row, id, new Map()) === undefined) missing.push(id);
      if (pace(lookUpsPerList)) yield;
    }
    return missing.length === 0 ? undefined : { kind: 'missing', ids: missing };
  }

  /** GC1: everything that the record needs and neither the store nor `coming` holds. */
  function* missingOf(
    row: RoomRow | undefined,
    entry: RecordToStore,
    coming: Coming,
    pace: Pace,
  ): Steps<Missing | undefined> {
    const missing = new Set<ChunkId>();
    const hashOf = (id: ChunkId): string | undefined => {
      const arriving = coming.get(id);
      if (arriving !== undefined) return arriving.sha256;
      const facts = row && rows.chunkFacts(row.key, id);
      return facts?.held ? facts.sha256 : undefined;
    };
    // Pieces of a body are named by the hash of their bytes: others under that name do not count.
    for (const id of entry.bodyChunks) {
      if (hashOf(id) !== id) missing.add(id);
      if (pace()) yield;
    }
    for (const ids of listsOf(row, entry, coming)) {
      if (pace(lookUpsPerList)) yield;
      if ('absent' in ids) {
        missing.add(ids.absent);
        continue;
      }
      for (const id of ids.held) {
        if (missing.size >= limits.idsPerRequestMax) break;
        if (hashOf(id) === undefined) missing.add(id);
        if (pace()) yield;
      }
    }
    if (missing.size === 0) return undefined;
    return { kind: 'missing', ids: [...missing].slice(0, limits.idsPerRequestMax) };
  }

  /** The ids that a record brings to life: those in its header, then list by list. */
  function* listsOf(
    row: RoomRow | undefined,
    entry: RecordToStore,
    coming: Coming,
  ): Generator<{ readonly held: readonly ChunkId[] } | { readonly absent: ChunkId }> {
    if (entry.adds.length > 0) yield { held: entry.adds };
    for (const list of entry.addsLists) {
      const ids = listOf(row, list, coming);
      yield ids === undefined ? { absent: list } : { held: ids };
    }
  }

  /**
   * Everything that a record brings to life is loose no more, from here on; what comes along is stored so. What gave way since it was
   * looked for is missing.
   */
  function* nameAll(row: RoomRow, entry: RecordToStore, coming: Coming, pace: Pace): Steps<Missing | undefined> {
    const missing = new Set<ChunkId>();
    function* name(ids: readonly ChunkId[]): Steps<void> {
      for (const id of ids) {
        if (coming.has(id)) continue;
        const facts = rows.chunkFacts(row.key, id);
        if (facts?.held !== true && missing.size < limits.idsPerRequestMax) missing.add(id);
        if (facts?.isLoose === true) rows.nameChunk(row.key, id);
        if (pace()) yield;
      }
    }
    yield* name(entry.bodyChunks);
    yield* name(entry.addsLists);
    for (const ids of listsOf(row, entry, coming)) {
      if (pace(lookUpsPerList)) yield;
      if ('held' in ids) yield* name(ids.held);
      else missing.add(ids.absent);
    }
    return missing.size === 0 ? undefined : { kind: 'missing', ids: [...missing] };
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

  /** What comes is what a writer signed under the id that the log holds: whatever else lies there was damaged since. */
  function held(row: RoomRow, entry: RecordToStore): Held {
    const before = rows.record(row.key, entry.height);
    const restored = before === undefined || !isSameRecord(before, entry.record);
    if (restored) {
      rows.restoreRecord(row.key, entry);
      const growth = recordBytes(entry.record) - (before === undefined ? 0 : recordBytes(before));
      rows.updateRoom({ ...row, bytes: row.bytes + growth });
    }
    return { kind: 'held', head: { height: entry.height, id: entry.id }, restored };
  }

  const operations: RoomStoreOperations = {
    lookUp: (room, known) =>
      oneStep(() => {
        const row = rows.room(room);
        return { room: row === undefined ? null : stateOf(row), holdsKnown: known === null || holds(row, known) };
      }),

    *append({ room, keys, entry, chunks, nowMs }) {
      const before = rows.room(room);
      const headId = before?.recordId ?? noRecordId;
      const headHeight = before?.height ?? 0;
      if (before !== undefined && holds(before, entry)) return held(before, entry);
      const epochMoved = before?.recordId != null && entry.epoch !== before.epoch;
      if (entry.prev !== headId || entry.height !== headHeight + 1 || epochMoved) return staleFor(before, entry);
      const pace = createPace();
      const coming = newOnes(before, chunks);
      const missing = yield* missingOf(before, entry, coming, pace);
      if (missing !== undefined) return missing;
      let growth = stored(recordBytes(entry.record));
      for (const one of coming.values()) growth += one.growth;
      latestMs = Math.max(latestMs, nowMs);
      const inHeader = new Set<ChunkId>([...entry.bodyChunks, ...entry.adds, ...entry.addsLists]);
      const mayDrop = (chunk: LooseChunk): boolean => {
        if (inHeader.has(chunk.id) || coming.has(chunk.id)) return false;
        // What its lists name is not kept in memory: there, what is not idle may be the record's own.
        return entry.addsLists.length === 0 || isIdle(chunk, nowMs);
      };
      const made = roomMadeFor(before, growth, { nowMs, mayDrop });
      if ('kind' in made) return made;
      if (made.row !== undefined) {
        const gone = yield* nameAll(made.row, entry, coming, pace);
        if (gone !== undefined) return gone;
        // Other rooms may have grown meanwhile.
        const full = overQuota(made.row, growth);
        if (full !== undefined) return full;
      }

      const row = made.row ?? roomFor(room, keys, entry.epoch);
      const stampMs = stampFor(row, nowMs);
      for (const { chunk, sha256 } of coming.values())
        rows.saveChunk(row.key, chunk, { sha256, stampMs, isLoose: false });
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

    *seed({ room, keys, checkpoint, entries, nowMs }) {
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
      const lists = entries.reduce((sum, entry) => sum + entry.addsLists.length, checkpoint.lists.length);
      if (lists > limits.listsPerRequestMax) {
        return {
          kind: 'broken',
          reason: `its records name ${lists} lists of chunks, above ${limits.listsPerRequestMax}`,
        };
      }
      const pace = createPace();
      // The checkpoint's lists stand in for what the first record and all before it brought to life.
      const missing = yield* missingLists(before, checkpoint.lists, pace);
      if (missing !== undefined) return missing;
      for (const entry of entries.slice(1)) {
        const needed = yield* missingOf(before, entry, new Map(), pace);
        if (needed !== undefined) return needed;
      }
      const growth = entries.reduce(
        (sum, entry) => sum + stored(recordBytes(entry.record)),
        checkpointBytes(checkpoint),
      );
      if (before !== undefined) {
        const full = overQuota(before, growth);
        if (full !== undefined) return full;
        for (const entry of entries.slice(1)) {
          const gone = yield* nameAll(before, entry, new Map(), pace);
          if (gone !== undefined) return gone;
        }
      }
      const full = overQuota(before, growth);
      if (full !== undefined) return full;

      const row = roomFor(room, keys, last.epoch);
      const stampMs = stampFor(row, nowMs);
      for (const entry of entries) rows.addRecord(row.key, entry, stampMs);
      for (const id of [...first.bodyChunks, ...checkpoint.lists]) rows.nameChunk(row.key, id);
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

    records: (room, { after, bytesMax }) =>
      oneStep(() => {
        const row = rows.room(room);
        if (row === undefined) return { head: null, floor: 0, records: [] };
        return { head: headOf(row), floor: row.floor, records: recordsAfter(row, after, bytesMax) };
      }),

    *locate(room, heads) {
      const pace = createPace();
      const row = rows.room(room);
      for (const head of [...heads].sort((one, other) => other.height - one.height)) {
        if (holds(row, head)) return { common: head, head: headOf(row) };
        if (pace()) yield;
      }
      return { common: null, head: headOf(row) };
    },

    *have(room, ids) {
      const pace = createPace();
      const row = rows.room(room);
      const held: boolean[] = [];
      for (const id of ids) {
        const facts = row === undefined ? undefined : rows.chunkFacts(row.key, id);
        if (facts?.held === true && facts.isLoose) noteAsked(id);
        held.push(facts?.held === true);
        if (pace()) yield;
      }
      return held;
    },

    *keep(room, ids) {
      const pace = createPace();
      const row = rows.room(room);
      const held: boolean[] = [];
      for (const id of ids) {
        const facts = row === undefined ? undefined : rows.chunkFacts(row.key, id);
        if (row !== undefined && facts?.held === true && facts.isLoose) rows.nameChunk(row.key, id);
        held.push(facts?.held === true);
        if (pace()) yield;
      }
      return held;
    },

    put: ({ room, keys, chunks, nowMs }) =>
      oneStep(() => {
        const before = rows.room(room);
        const coming = newOnes(before, chunks);
        let growth = 0;
        for (const one of coming.values()) growth += one.growth;
        latestMs = Math.max(latestMs, nowMs);
        const mayDrop = (chunk: LooseChunk): boolean => !coming.has(chunk.id) && isIdle(chunk, nowMs);
        const made = growth > 0 ? roomMadeFor(before, growth, { nowMs, mayDrop }) : { row: before };
        if ('kind' in made) return made;
        if (coming.size === 0) return { kind: 'stored' };

        const row = made.row ?? roomFor(room, keys, 0);
        const stampMs = stampFor(row, nowMs);
        for (const { chunk, sha256, isNew } of coming.values())
          rows.saveChunk(row.key, chunk, { sha256, stampMs, isLoose: isNew });
        rows.updateRoom({ ...row, stampMs, bytes: row.bytes + growth });
        return { kind: 'stored' };
      }),

    *get(room, ids, bytesMax) {
      const pace = createPace();
      const row = rows.room(room);
      const chunks: SealedChunk[] = [];
      const missing: ChunkId[] = [];
      let bytes = 0;
      for (const id of ids) {
        if (pace()) yield;
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

    *putCheckpoint({ room, checkpoint, nowMs }) {
      const row = rows.room(room);
      if (row === undefined || !holds(row, { height: checkpoint.height, id: checkpoint.recordId })) {
        return { kind: 'unknownRecord' };
      }
      const missing = yield* missingLists(row, checkpoint.lists, createPace());
      if (missing !== undefined) return missing;
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

    checkpoint: (room, atMost) =>
      oneStep(() => {
        const row = rows.room(room);
        if (row === undefined) return null;
        const height = rows.checkpointHeights(row.key).find((candidate) => atMost === 0 || candidate <= atMost);
        return height === undefined ? null : (rows.checkpoint(row.key, height) ?? null);
      }),
  };

  /**
   * While it is between two steps, nothing of its room gives way. `keep` needs none of it: what it has named gives way no more, and what
   * it has not come to yet it answers as it finds it then.
   */
  function* exclusive<Answer>(room: RoomId, steps: Steps<Answer>): Steps<Answer> {
    underWay.add(room);
    try {
      return yield* steps;
    } finally {
      underWay.delete(room);
    }
  }
  return {
    ...operations,
    append: (request) => exclusive(request.room, operations.append(request)),
    seed: (request) => exclusive(request.room, operations.seed(request)),
    putCheckpoint: (request) => exclusive(request.room, operations.putCheckpoint(request)),
  };
}

/** What a checkpoint counts for in quotas; its pages and lists count as chunks. */
function checkpointBytes({ sealed, lists, writerSignature }: SealedCheckpoint): number {
  return stored(sealed.length + lists.length * 32 + writerSignature.length);
}
