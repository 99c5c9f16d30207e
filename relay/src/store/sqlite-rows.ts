/**
 * Rows and transactions of the durable store, for one thread: SQLite for everything small, segment files for chunks above
 * segmentFromBytes (rule FAST4). One turn of operations is one transaction, flushed once, read back, and only then answered
 * (LOG4). The port's promises to other threads are made in sqlite-room-store.ts.
 */

import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { ChunkId, Head, RecordId, RoomId } from '@driftless/protocol';
import { makeDirectory } from '../make-directory.ts';
import { hexOf, idBytes } from './bytes.ts';
import type { FairQueue } from './fair-queue.ts';
import { migrate } from './migrations.ts';
import { createRoomOperations, type LooseChunk, type RoomRow, type RoomRows } from './room-operations.ts';
import { type RoomStore, type RoomStoreOperations, type Steps, StoreError, type StoreQuotas } from './room-store.ts';
import { openSegmentFiles, type SegmentFiles, type SegmentPlace } from './segment-files.ts';
import { asStoreError, openNodeSqlDb, type SqlDb, type SqlRow, type SqlStatement, translated } from './sql-db.ts';

/** Chunks above this go to segment files; below, a row is as fast and needs no second flush. */
const segmentFromBytes = 64 * 1024;
/** States of a chunk, as in migrations.ts; any other is neither. */
const stateHeld = 0;
const stateLoose = 3;
/** Databases up to this size are checked whole when opened (about a second); larger ones page by page as they are read. */
const checkedBytesMax = 128 * 1024 * 1024;
/** A turn takes no further operation after this long, so that the first one waits at most as long again (FAST4). */
export const turnMsMax = 2;

export interface SqliteOptions {
  readonly dataDir: string;
  readonly quotas: StoreQuotas;
  /** Pages of 4 KiB beyond which the database refuses to grow, as on a full disk. */
  readonly databasePagesMax?: number;
}

/** An operation as data: what crosses from the port's thread to the store's. */
export type StoreCall = {
  readonly [Name in keyof RoomStoreOperations]: {
    readonly name: Name;
    readonly args: Parameters<RoomStoreOperations[Name]>;
  };
}[keyof RoomStoreOperations];
export type StoreAnswer = Awaited<ReturnType<RoomStore[keyof RoomStoreOperations]>>;
export type TurnResult =
  | { readonly ok: true; readonly answer: StoreAnswer }
  | { readonly ok: false; readonly error: StoreError };

export interface SqliteRooms {
  readonly storeId: Uint8Array;
  /** An operation that waits for its first turn. */
  begin(number: number, call: StoreCall): StoreRun;
  /**
   * Takes steps from the queue (at least one, and as many as fit into turnMsMax) in one transaction, puts back what needs more of
   * them, and returns what is finished once it is durable. When the transaction fails, each operation is tried alone from its
   * beginning, so that one cannot spoil the others.
   */
  turn(queue: FairQueue<StoreRun>): readonly FinishedRun[];
  close(): void;
}

/** An operation under way. Its number pairs it with its result. */
export interface StoreRun {
  readonly number: number;
  readonly call: StoreCall;
  readonly steps: Steps<StoreAnswer>;
}
export interface FinishedRun {
  readonly number: number;
  readonly result: TurnResult;
}

/** The room whose turn an operation takes. */
export function roomOf({ args: [first] }: StoreCall): RoomId {
  return typeof first === 'string' ? first : first.room;
}

/** Opens, or makes, the store in `dataDir`. Throws StoreError: damaged, newer, in-use, disk-full, failed. */
export function openSqliteRooms({ dataDir, quotas, databasePagesMax }: SqliteOptions): SqliteRooms {
  translated(() => makeDirectory(dataDir));
  const file = join(dataDir, 'relay.sqlite');
  // Made with its mode; SQLite gives the files beside it the same (S20).
  translated(() => closeSync(openSync(file, 'a', 0o600)));
  const db = openNodeSqlDb(file);
  try {
    prepareDatabase(db);
    if (databasePagesMax !== undefined) db.exec(`PRAGMA max_page_count = ${databasePagesMax}`);
    const storeId = db.prepare('SELECT id FROM store').get()?.['id'];
    if (!(storeId instanceof Uint8Array)) throw new StoreError('damaged', 'the database has lost its id');
    return openRooms(db, storeId, dataDir, quotas);
  } catch (error) {
    db.close();
    const failure = asStoreError(error);
    if (failure.code !== 'damaged') throw failure;
    throw new StoreError(
      'damaged',
      `the relay's database in ${dataDir} is damaged (${failure.message}): move the directory aside and start again; the peers refill it`,
      failure,
    );
  }
}

function prepareDatabase(db: SqlDb): void {
  // Exclusive: a second relay on this directory is refused, and the lock ends with the process, however it ends.
  db.exec('PRAGMA locking_mode = EXCLUSIVE');
  db.exec('PRAGMA journal_mode = WAL');
  // FULL: the log is flushed at every commit, so acknowledged means durable (LOG4).
  db.exec('PRAGMA synchronous = FULL');
  db.exec('PRAGMA foreign_keys = OFF');
  db.exec('PRAGMA cache_size = -32768');
  db.exec('PRAGMA wal_autocheckpoint = 4000');
  db.exec('PRAGMA journal_size_limit = 67108864');
  const pages = Number(db.prepare('PRAGMA page_count').get()?.['page_count'] ?? 0);
  if (pages * 4096 <= checkedBytesMax) {
    const verdict = db.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
    if (verdict !== 'ok') throw new StoreError('damaged', String(verdict));
  }
  migrate(db, () => db.prepare('INSERT INTO store (id) VALUES (?)').run(randomBytes(16)));
}

function openRooms(db: SqlDb, storeId: Uint8Array, dataDir: string, quotas: StoreQuotas): SqliteRooms {
  const marks = new Map<number, number>();
  for (const row of db.prepare('SELECT segment, bytes FROM segments').iterate()) {
    marks.set(Number(row['segment']), Number(row['bytes']));
  }
  const segments = translated(() => openSegmentFiles(join(dataDir, 'segments'), marks));
  const rows = sqliteRows(db, segments);
  const operations = createRoomOperations(rows, quotas);
  const saveMark = db.prepare(
    'INSERT INTO segments (segment, bytes) VALUES (?, ?) ON CONFLICT (segment) DO UPDATE SET bytes = excluded.bytes',
  );

  const begin = (number: number, call: StoreCall): StoreRun => ({ number, call, steps: carryOut(operations, call) });

  /** Steps of what `next` gives, until it gives nothing. Returns what is finished, in that order. */
  function transaction(
    next: () => StoreRun | undefined,
    { onFinished }: { onFinished(run: StoreRun): void },
  ): readonly FinishedRun[] {
    const done: { readonly run: StoreRun; readonly answer: StoreAnswer }[] = [];
    try {
      for (let run = next(); run !== undefined; run = next()) {
        if (isWrite(run.call) && !db.inTransaction()) db.exec('BEGIN IMMEDIATE');
        const step = run.steps.next();
        if (step.done !== true) continue;
        done.push({ run, answer: step.value });
        onFinished(run);
      }
      if (db.inTransaction()) {
        for (const mark of translated(() => segments.flush())) saveMark.run(mark.segment, mark.bytes);
        db.exec('COMMIT');
      }
    } catch (error) {
      // Some failures end the transaction by themselves.
      if (db.inTransaction()) db.exec('ROLLBACK');
      segments.drop();
      rows.forget();
      throw error;
    }
    segments.keep();
    rows.settled();
    return done.map(({ run: { number, call }, answer }) => ({ number, result: readBack(rows, call, answer) }));
  }

  /** One operation from its beginning to its end, in a transaction of its own. */
  function alone(run: StoreRun): FinishedRun {
    // Its steps so far belong to an attempt that was undone.
    run.steps.return(null);
    const again = begin(run.number, run.call);
    let isOver = false;
    const onFinished = (): void => {
      isOver = true;
    };
    try {
      const [finished] = transaction(() => (isOver ? undefined : again), { onFinished });
      if (finished !== undefined) return finished;
      throw new StoreError('failed', 'the store did not answer');
    } catch (error) {
      return { number: run.number, result: { ok: false, error: asStoreError(error) } };
    }
  }

  return {
    storeId,
    begin,
    turn(queue) {
      const startedMs = performance.now();
      /** With their keys until they are finished. */
      const taken = new Map<StoreRun, string | undefined>();
      const next = (): StoreRun | undefined => {
        if (taken.size > 0 && performance.now() - startedMs > turnMsMax) return undefined;
        const found = queue.next();
        if (found !== undefined) taken.set(found.item, found.key);
        return found?.item;
      };
      const leave = (run: StoreRun): void => {
        const key = taken.get(run);
        if (key !== undefined) queue.finish(key);
        taken.set(run, undefined);
      };
      try {
        return transaction(next, { onFinished: leave });
      } catch (error) {
        const runs = [...taken.keys()];
        for (const run of runs) leave(run);
        const [only] = runs;
        if (only !== undefined && runs.length === 1) {
          only.steps.return(null);
          return [{ number: only.number, result: { ok: false, error: asStoreError(error) } }];
        }
        return runs.map(alone);
      }
    },
    close() {
      translated(() => segments.close());
      db.close();
    },
  };
}

function isWrite(call: StoreCall): boolean {
  switch (call.name) {
    case 'append':
    case 'seed':
    case 'put':
    case 'putCheckpoint':
    case 'keep':
      return true;
    // May mark a damaged chunk, by a statement of its own.
    case 'get':
    case 'lookUp':
    case 'records':
    case 'locate':
    case 'have':
    case 'checkpoint':
      return false;
  }
}

function carryOut(operations: RoomStoreOperations, call: StoreCall): Steps<StoreAnswer> {
  switch (call.name) {
    case 'append':
      return operations.append(...call.args);
    case 'seed':
      return operations.seed(...call.args);
    case 'put':
      return operations.put(...call.args);
    case 'putCheckpoint':
      return operations.putCheckpoint(...call.args);
    case 'get':
      return operations.get(...call.args);
    case 'lookUp':
      return operations.lookUp(...call.args);
    case 'records':
      return operations.records(...call.args);
    case 'locate':
      return operations.locate(...call.args);
    case 'have':
      return operations.have(...call.args);
    case 'keep':
      return operations.keep(...call.args);
    case 'checkpoint':
      return operations.checkpoint(...call.args);
  }
}

/** LOG4: what was accepted must now be in the log. */
function readBack(rows: RoomRows, call: StoreCall, answer: StoreAnswer): TurnResult {
  const head = call.name === 'append' || call.name === 'seed' ? headOfAnswer(answer) : undefined;
  if (head === undefined) return { ok: true, answer };
  const row = rows.room(roomOf(call));
  if (row !== undefined && row.height >= head.height && rows.recordId(row.key, head.height) === head.id)
    return { ok: true, answer };
  return { ok: false, error: new StoreError('damaged', 'a record that was just stored does not read back') };
}

function headOfAnswer(answer: StoreAnswer): Head | undefined {
  if (answer === null || !('kind' in answer)) return undefined;
  return answer.kind === 'appended' || answer.kind === 'seeded' ? answer.head : undefined;
}

/** `settled` is called after a commit, `forget` after a rollback. */
function sqliteRows(db: SqlDb, segments: SegmentFiles): RoomRows & { settled(): void; forget(): void } {
  const sql = {
    total: db.prepare('SELECT COALESCE(SUM(bytes), 0) AS bytes FROM rooms'),
    room: db.prepare('SELECT * FROM rooms WHERE room = ?'),
    addRoom: db.prepare(
      'INSERT INTO rooms (room, epoch, reader_key, writer_key, height, record_id, floor, stamp_ms, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING room_key',
    ),
    updateRoom: db.prepare(
      'UPDATE rooms SET epoch = ?, reader_key = ?, writer_key = ?, height = ?, record_id = ?, floor = ?, stamp_ms = ?, bytes = ? WHERE room_key = ?',
    ),
    bytesOfRoom: db.prepare('SELECT bytes FROM rooms WHERE room_key = ?'),
    recordId: db.prepare('SELECT record_id FROM records WHERE room_key = ? AND height = ?'),
    record: db.prepare('SELECT header, body, signature FROM records WHERE room_key = ? AND height = ?'),
    addRecord: db.prepare(
      'INSERT INTO records (room_key, height, record_id, stamp_ms, header, body, signature) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    restoreRecord: db.prepare(
      'UPDATE records SET header = ?, body = ?, signature = ? WHERE room_key = ? AND height = ?',
    ),
    chunkFacts: db.prepare('SELECT state, bytes, sha256 FROM chunks WHERE room_key = ? AND id = ?'),
    chunk: db.prepare('SELECT bytes, segment, at, sealed FROM chunks WHERE room_key = ? AND id = ?'),
    saveChunk: db.prepare(
      `INSERT INTO chunks (room_key, id, state, stamp_ms, bytes, sha256, segment, at, sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (room_key, id) DO UPDATE SET state = excluded.state, stamp_ms = excluded.stamp_ms, bytes = excluded.bytes,
         sha256 = excluded.sha256, segment = excluded.segment, at = excluded.at, sealed = excluded.sealed`,
    ),
    nameChunk: db.prepare('UPDATE chunks SET state = 0 WHERE room_key = ? AND id = ? AND state = 3'),
    looseChunks: db.prepare(
      'SELECT room, id, chunks.bytes, chunks.stamp_ms FROM chunks JOIN rooms USING (room_key) WHERE room_key = ? AND state = 3 ORDER BY chunks.stamp_ms',
    ),
    idleLooseChunks: db.prepare(
      'SELECT room, id, chunks.bytes, chunks.stamp_ms FROM chunks INDEXED BY chunks_idle JOIN rooms USING (room_key) WHERE state = 3 AND chunks.stamp_ms < ? ORDER BY chunks.stamp_ms',
    ),
    placeOf: db.prepare('SELECT segment, at, bytes FROM chunks WHERE room_key = ? AND id = ? AND state <> 2'),
    freePlaceBefore: db.prepare(
      'SELECT at, bytes FROM free_places WHERE segment = ? AND at < ? ORDER BY at DESC LIMIT 1',
    ),
    freePlaceAt: db.prepare('SELECT at, bytes FROM free_places WHERE segment = ? AND at = ?'),
    dropChunk: db.prepare('DELETE FROM chunks WHERE room_key = ? AND id = ? RETURNING segment, at, bytes'),
    freePlaces: db.prepare('SELECT segment, at, bytes FROM free_places WHERE bytes >= ? ORDER BY bytes LIMIT 32'),
    addFreePlace: db.prepare('INSERT INTO free_places (segment, at, bytes) VALUES (?, ?, ?)'),
    takeFreePlace: db.prepare('DELETE FROM free_places WHERE segment = ? AND at = ?'),
    dropFreePlaces: db.prepare('DELETE FROM free_places WHERE segment = ?'),
    markDamaged: db.prepare('UPDATE chunks SET state = 2 WHERE room_key = ? AND id = ?'),
    saveCheckpoint: db.prepare(
      `INSERT INTO checkpoints (room_key, height, record_id, epoch, stamp_ms, lists, sealed, signature) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (room_key, height) DO UPDATE SET record_id = excluded.record_id, epoch = excluded.epoch,
         stamp_ms = excluded.stamp_ms, lists = excluded.lists, sealed = excluded.sealed, signature = excluded.signature`,
    ),
    checkpointHeights: db.prepare('SELECT height FROM checkpoints WHERE room_key = ? ORDER BY height DESC'),
    checkpoint: db.prepare('SELECT * FROM checkpoints WHERE room_key = ? AND height = ?'),
    dropCheckpoint: db.prepare('DELETE FROM checkpoints WHERE room_key = ? AND height = ?'),
  } satisfies Record<string, SqlStatement>;
  /** Summed once, then carried along by what each row says before it changes. */
  let totalBytes: number | undefined;
  /** Places that this turn freed: a rollback would bring their chunks back, so nothing is written over them before the commit. */
  const freedNow = new Map<string, SegmentPlace>();
  /** Places that earlier turns freed, not yet made one with those beside them. */
  let unmerged: SegmentPlace[] = [];

  /** Where a large chunk is written: over what a dropped one left, if it fits, else behind everything. */
  function place(sealed: Uint8Array): SegmentPlace {
    for (const free of unmerged) merge(free);
    unmerged = [];
    for (let free = fitting(sealed.length); free !== undefined; free = fitting(sealed.length)) {
      const { segment, at, bytes } = free;
      const rewritten = segments.rewrite(free, sealed);
      if (rewritten === 'refused') break;
      if (rewritten === 'lost') {
        // With the file its free places are gone. When the append fails as well, the rollback brings them back.
        sql.dropFreePlaces.run(segment);
        continue;
      }
      sql.takeFreePlace.run(segment, at);
      if (bytes > sealed.length) sql.addFreePlace.run(segment, at + sealed.length, bytes - sealed.length);
      return { segment, at };
    }
    return translated(() => segments.append(sealed));
  }

  function fitting(bytesMin: number): (SegmentPlace & { readonly bytes: number }) | undefined {
    for (const found of sql.freePlaces.iterate(bytesMin)) {
      const [segment, at, bytes] = [Number(found['segment']), Number(found['at']), Number(found['bytes'])];
      if (!freedNow.has(`${segment}:${at}`)) return { segment, at, bytes };
    }
    return undefined;
  }

  /** The place of a chunk that is dropped or replaced is to be written over, from the next turn on. */
  function freePlace(found: SqlRow | undefined): void {
    if (found === undefined || found['segment'] === null) return;
    const [segment, at] = [Number(found['segment']), Number(found['at'])];
    sql.addFreePlace.run(segment, at, Number(found['bytes']));
    freedNow.set(`${segment}:${at}`, { segment, at });
  }

  /** Makes one of a free place and those beside it, so that no rest stays too small for ever. */
  function merge({ segment, at }: SegmentPlace): void {
    const own = sql.freePlaceAt.get(segment, at);
    if (own === undefined || freedNow.has(`${segment}:${at}`)) return;
    let [start, end] = [at, at + Number(own['bytes'])];
    const before = sql.freePlaceBefore.get(segment, start);
    if (before !== undefined && Number(before['at']) + Number(before['bytes']) === start) {
      if (!freedNow.has(`${segment}:${Number(before['at'])}`)) start = Number(before['at']);
    }
    const after = sql.freePlaceAt.get(segment, end);
    if (after !== undefined && !freedNow.has(`${segment}:${end}`)) end += Number(after['bytes']);
    for (const part of [start, at, at + Number(own['bytes'])]) if (part < end) sql.takeFreePlace.run(segment, part);
    sql.addFreePlace.run(segment, start, end - start);
  }

  return {
    get totalBytes() {
      totalBytes ??= Number(sql.total.get()?.['bytes'] ?? 0);
      return totalBytes;
    },
    settled() {
      unmerged.push(...freedNow.values());
      freedNow.clear();
    },
    forget() {
      freedNow.clear();
      totalBytes = undefined;
    },
    room(room) {
      const found = sql.room.get(idBytes(room));
      return found && roomRow(found, room);
    },
    addRoom(row) {
      const added = sql.addRoom.get(
        idBytes(row.room),
        row.epoch,
        row.keys.reader,
        row.keys.writer,
        row.height,
        row.recordId && idBytes(row.recordId),
        row.floor,
        row.stampMs,
        row.bytes,
      );
      if (totalBytes !== undefined) totalBytes += row.bytes;
      return { ...row, key: Number(added?.['room_key']) };
    },
    updateRoom(row) {
      if (totalBytes !== undefined) totalBytes += row.bytes - Number(sql.bytesOfRoom.get(row.key)?.['bytes'] ?? 0);
      sql.updateRoom.run(
        row.epoch,
        row.keys.reader,
        row.keys.writer,
        row.height,
        row.recordId && idBytes(row.recordId),
        row.floor,
        row.stampMs,
        row.bytes,
        row.key,
      );
    },
    recordId(roomKey, height) {
      const found = sql.recordId.get(roomKey, height);
      return found && (hexOf(blob(found, 'record_id')) as RecordId);
    },
    record(roomKey, height) {
      const found = sql.record.get(roomKey, height);
      return (
        found && {
          header: blob(found, 'header'),
          body: blob(found, 'body'),
          writerSignature: blob(found, 'signature'),
        }
      );
    },
    addRecord: (roomKey, { height, id, record }, stampMs) =>
      sql.addRecord.run(roomKey, height, idBytes(id), stampMs, record.header, record.body, record.writerSignature),
    restoreRecord: (roomKey, { height, record }) =>
      sql.restoreRecord.run(record.header, record.body, record.writerSignature, roomKey, height),
    chunkFacts(roomKey, id) {
      const found = sql.chunkFacts.get(roomKey, idBytes(id));
      return (
        found && {
          held: found['state'] === stateHeld || found['state'] === stateLoose,
          isLoose: found['state'] === stateLoose,
          bytes: Number(found['bytes']),
          sha256: hexOf(blob(found, 'sha256')),
        }
      );
    },
    chunkBytes(roomKey, id) {
      const found = sql.chunk.get(roomKey, idBytes(id));
      if (found === undefined) return undefined;
      if (found['sealed'] !== null) return blob(found, 'sealed');
      const place = { segment: Number(found['segment']), at: Number(found['at']) };
      return translated(() => segments.read(place, Number(found['bytes'])));
    },
    saveChunk(roomKey, { id, sealed }, { sha256, stampMs, isLoose }) {
      // What a medium damaged is not written to again.
      freePlace(sql.placeOf.get(roomKey, idBytes(id)));
      const at = sealed.length > segmentFromBytes ? place(sealed) : undefined;
      sql.saveChunk.run(
        roomKey,
        idBytes(id),
        isLoose ? stateLoose : stateHeld,
        stampMs,
        sealed.length,
        idBytes(sha256),
        at?.segment ?? null,
        at?.at ?? null,
        at === undefined ? sealed : null,
      );
    },
    nameChunk: (roomKey, id) => void sql.nameChunk.run(roomKey, idBytes(id)),
    looseChunks: (roomKey) => looseRows(sql.looseChunks.iterate(roomKey)),
    idleLooseChunks: (beforeMs) => looseRows(sql.idleLooseChunks.iterate(beforeMs)),
    dropChunk: (roomKey, id) => freePlace(sql.dropChunk.get(roomKey, idBytes(id))),
    markDamaged: (roomKey, id) => sql.markDamaged.run(roomKey, idBytes(id)),
    saveCheckpoint: (roomKey, checkpoint, stampMs) =>
      sql.saveCheckpoint.run(
        roomKey,
        checkpoint.height,
        idBytes(checkpoint.recordId),
        checkpoint.epoch,
        stampMs,
        idBytes(checkpoint.lists.join('')),
        checkpoint.sealed,
        checkpoint.writerSignature,
      ),
    checkpointHeights: (roomKey) => Array.from(sql.checkpointHeights.iterate(roomKey), (row) => Number(row['height'])),
    checkpoint(roomKey, height) {
      const found = sql.checkpoint.get(roomKey, height);
      if (found === undefined) return undefined;
      const lists = hexOf(blob(found, 'lists')).match(/.{64}/g) ?? [];
      return {
        height,
        recordId: hexOf(blob(found, 'record_id')) as RecordId,
        epoch: Number(found['epoch']),
        lists: lists as unknown as readonly ChunkId[],
        sealed: blob(found, 'sealed'),
        writerSignature: blob(found, 'signature'),
      };
    },
    dropCheckpoint: (roomKey, height) => sql.dropCheckpoint.run(roomKey, height),
  };
}

function* looseRows(found: Iterable<SqlRow>): Generator<LooseChunk> {
  for (const row of found) {
    yield {
      room: hexOf(blob(row, 'room')) as RoomId,
      id: hexOf(blob(row, 'id')) as ChunkId,
      bytes: Number(row['bytes']),
      stampMs: Number(row['stamp_ms']),
    };
  }
}

function roomRow(found: SqlRow, room: RoomId): RoomRow {
  const recordId = found['record_id'];
  return {
    key: Number(found['room_key']),
    room,
    keys: { reader: blob(found, 'reader_key'), writer: blob(found, 'writer_key') },
    epoch: Number(found['epoch']),
    height: Number(found['height']),
    recordId: recordId instanceof Uint8Array ? (hexOf(recordId) as RecordId) : null,
    floor: Number(found['floor']),
    stampMs: Number(found['stamp_ms']),
    bytes: Number(found['bytes']),
  };
}

function blob(row: SqlRow, column: string): Uint8Array {
  const value = row[column];
  if (value instanceof Uint8Array) return value;
  throw new StoreError('damaged', `column ${column} holds no bytes`);
}
