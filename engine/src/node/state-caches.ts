/**
 * The bounded caches of the state store. Each may be emptied at any time without harm; the oldest goes first. A row that does not
 * hold what was put into it is a miss, and goes: what it was for is fetched or made again.
 */
import { hash } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { ChunkId, Digest, RelPath, SealedChunk, SealedRecord } from '@driftless/protocol';
import { StateStoreError } from '../ports/state-store.ts';
import type { SqlDb } from './sql-db.ts';
import { asBuffer, packBytes, unpackBytes } from './state-codec.ts';
import type { Transactions } from './state-transactions.ts';

const mebibyte = 1024 * 1024;
/** Rule RB2. */
const cachedRecordsMax = 1_000;
const cachedRecordsBytesMax = 64 * mebibyte;
const cachedChunksBytesMax = 64 * mebibyte;
/** Rule BASE. */
const cachedContentsBytesMax = 128 * mebibyte;
const contentBytesMax = mebibyte;
const contentAgeMsMax = 90 * 24 * 3_600_000;
/** Lists are 32 bytes an id: files of gigabytes in the hundreds. */
const cachedChunkIdsBytesMax = 32 * mebibyte;
/** About 20 MiB; a room with more versions than this has older ones treated as unknown on a first join: a conflict, no loss. */
const historyMax = 250_000;

export type StateCaches = ReturnType<typeof createStateCaches>;

export function createStateCaches(db: SqlDb, transactions: Transactions) {
  const records = createBlobCache(db, transactions, {
    table: 'cached_records',
    bytesMax: cachedRecordsBytesMax,
    countMax: cachedRecordsMax,
  });
  const chunks = createBlobCache(db, transactions, { table: 'cached_chunks', bytesMax: cachedChunksBytesMax });
  const contents = createBlobCache(db, transactions, {
    table: 'cached_contents',
    bytesMax: cachedContentsBytesMax,
    // Each value is checked by its digest.
    withSums: false,
  });
  const chunkIds = createBlobCache(db, transactions, { table: 'cached_chunk_ids', bytesMax: cachedChunkIdsBytesMax });
  const deleteRecordsAfter = db.prepare('DELETE FROM cached_records WHERE key > ?');

  const insertHistory = db.prepare('INSERT OR IGNORE INTO history (key) VALUES (?)');
  const selectHistory = db.prepare<{ readonly seq: number }>('SELECT seq FROM history WHERE key = ?');
  const selectNewestHistory = db.prepare<{ readonly seq: number | null }>('SELECT MAX(seq) AS seq FROM history');
  const trimHistory = db.prepare('DELETE FROM history WHERE seq <= ?');

  function cachedContent(digest: Digest): Uint8Array | undefined {
    const value = contents.get(hexKey(digest));
    if (value === undefined) return undefined;
    const bytes = inflated(value);
    if (bytes !== undefined && hash('sha256', bytes, 'hex') === digest) return bytes;
    contents.delete(hexKey(digest));
    return undefined;
  }

  function cachedRecordsAfter(height: number, headHeight: number): SealedRecord[] | undefined {
    const found: SealedRecord[] = [];
    for (let wanted = height + 1; wanted <= headHeight; wanted += 1) {
      const value = records.get(heightKey(wanted));
      const [header, body, writerSignature] = value === undefined ? [] : unpackBytes(value);
      if (header === undefined || body === undefined || writerSignature === undefined) return undefined;
      found.push({ header, body, writerSignature });
    }
    return found;
  }

  return {
    cacheRecord(height: number, record: SealedRecord): void {
      records.put(heightKey(height), packBytes([record.header, record.body, record.writerSignature]), 0);
    },
    cachedRecordsAfter,
    /** After a fork the records above are not this room's any more. */
    dropRecordsAfter(height: number): void {
      deleteRecordsAfter.run(heightKey(height));
      records.recount();
    },

    cacheContent(digest: Digest, bytes: Uint8Array, nowMs: number): void {
      if (bytes.length > contentBytesMax) return;
      contents.put(hexKey(digest), deflateRawSync(bytes, { level: 1 }), nowMs);
      contents.dropOlderThan(nowMs - contentAgeMsMax);
    },
    cachedContent,

    cacheChunkIds(digest: Digest, ids: readonly ChunkId[]): void {
      chunkIds.put(hexKey(digest), Buffer.from(ids.join(''), 'hex'), 0);
    },
    cachedChunkIds(digest: Digest): readonly ChunkId[] | undefined {
      const value = chunkIds.get(hexKey(digest));
      if (value === undefined) return undefined;
      const text = asBuffer(value).toString('hex');
      return Array.from({ length: text.length / 64 }, (_, index) => text.slice(index * 64, index * 64 + 64) as ChunkId);
    },

    cacheChunk(chunk: SealedChunk): void {
      chunks.put(hexKey(chunk.id), chunk.sealed, 0);
    },
    cachedChunk(id: ChunkId): SealedChunk | undefined {
      const sealed = chunks.get(hexKey(id));
      return sealed === undefined ? undefined : { id, sealed };
    },

    noteHistory(path: RelPath, digest: Digest): void {
      transactions.run(() => {
        insertHistory.run(historyKey(path, digest));
        // Only the oldest ever go, so the numbers in between are without gaps and tell the count.
        const newest = selectNewestHistory.get()?.seq ?? 0;
        if (newest > historyMax) trimHistory.run(newest - historyMax);
      });
    },
    inHistory: (path: RelPath, digest: Digest): boolean => selectHistory.get(historyKey(path, digest)) !== undefined,
  };
}

/** A table of blobs by key, bounded in bytes and count. Putting a key again makes it the newest. */
function createBlobCache(
  db: SqlDb,
  transactions: Transactions,
  options: {
    readonly table: string;
    readonly bytesMax: number;
    readonly countMax?: number;
    readonly withSums?: boolean;
  },
) {
  const { table, bytesMax, countMax = Number.POSITIVE_INFINITY, withSums = true } = options;
  const selectTotals = db.prepare<{ readonly bytes: number | null; readonly count: number }>(
    `SELECT SUM(bytes) AS bytes, COUNT(*) AS count FROM ${table}`,
  );
  const selectValue = db.prepare<{ readonly value: Uint8Array }>(`SELECT value FROM ${table} WHERE key = ?`);
  const selectBytes = db.prepare<{ readonly bytes: number }>(`SELECT bytes FROM ${table} WHERE key = ?`);
  const selectOldest = db.prepare<{ readonly key: Uint8Array; readonly bytes: number; readonly at_ms: number }>(
    `SELECT key, bytes, at_ms FROM ${table} ORDER BY seq LIMIT 32`,
  );
  const insert = db.prepare(`INSERT INTO ${table} (key, bytes, at_ms, value) VALUES (?, ?, ?, ?)`);
  const remove = db.prepare(`DELETE FROM ${table} WHERE key = ?`);

  let totals = readTotals();
  /** Of the row that would go first, as far as is known: what is too old is looked for only when there may be some. */
  let oldestAtMs = Number.NEGATIVE_INFINITY;
  const recount = (): void => {
    totals = readTotals();
    oldestAtMs = Number.NEGATIVE_INFINITY;
  };
  transactions.afterRollback(recount);

  function readTotals(): { bytes: number; count: number } {
    const row = selectTotals.get();
    return { bytes: row?.bytes ?? 0, count: row?.count ?? 0 };
  }

  function removeKnown(key: Uint8Array, bytes: number): void {
    remove.run(key);
    totals = { bytes: totals.bytes - bytes, count: totals.count - 1 };
  }

  function deleteKey(key: Uint8Array): void {
    transactions.run(() => {
      const known = selectBytes.get(key);
      if (known !== undefined) removeKnown(key, known.bytes);
    });
  }

  const isOverfull = (): boolean => totals.bytes > bytesMax || totals.count > countMax;

  function removeOldestWhile(tooMuch: (atMs: number) => boolean): void {
    for (;;) {
      const oldest = selectOldest.all();
      if (oldest.length === 0) return;
      for (const row of oldest) {
        if (!tooMuch(row.at_ms)) {
          oldestAtMs = row.at_ms;
          return;
        }
        removeKnown(row.key, row.bytes);
      }
    }
  }

  return {
    get(key: Uint8Array): Uint8Array | undefined {
      const stored = readable(() => selectValue.get(key)?.value);
      const value = stored === undefined || !withSums ? stored : withoutSum(stored);
      if (stored !== undefined && value === undefined) readable(() => deleteKey(key));
      return value;
    },
    put(key: Uint8Array, given: Uint8Array, atMs: number): void {
      if (given.length > bytesMax) return;
      const value = withSums ? withSum(given) : given;
      transactions.run(() => {
        deleteKey(key);
        insert.run(key, given.length, atMs, value);
        totals = { bytes: totals.bytes + given.length, count: totals.count + 1 };
        oldestAtMs = Math.min(oldestAtMs, atMs);
        if (isOverfull()) removeOldestWhile(isOverfull);
      });
    },
    delete: deleteKey,
    dropOlderThan(atMs: number): void {
      if (oldestAtMs >= atMs) return;
      transactions.run(() => removeOldestWhile((oneAtMs) => oneAtMs < atMs));
    },
    recount,
  };
}

/** undefined: that part of the database is damaged. Another failure is not this row's. */
function readable<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof StateStoreError && error.code === 'damaged') return undefined;
    throw error;
  }
}

const sumBytes = 8;
const sumOf = (bytes: Uint8Array): Uint8Array => hash('sha256', bytes, 'buffer').subarray(0, sumBytes);
const withSum = (bytes: Uint8Array): Uint8Array => Buffer.concat([bytes, sumOf(bytes)]);
function withoutSum(stored: Uint8Array): Uint8Array | undefined {
  const bytes = stored.subarray(0, Math.max(0, stored.length - sumBytes));
  return Buffer.compare(sumOf(bytes), stored.subarray(bytes.length)) === 0 ? bytes : undefined;
}

function inflated(value: Uint8Array): Uint8Array | undefined {
  try {
    return inflateRawSync(value, { maxOutputLength: contentBytesMax });
  } catch {
    // Noise on disk. It is a cache: the content is fetched instead.
    return undefined;
  }
}

function hexKey(id: string): Uint8Array {
  return Buffer.from(id, 'hex');
}

/** Big-endian, so that keys sort as heights. */
function heightKey(height: number): Uint8Array {
  const key = Buffer.alloc(8);
  key.writeBigUInt64BE(BigInt(height));
  return key;
}

function historyKey(path: RelPath, digest: Digest): Uint8Array {
  return hash('sha256', `${path}\0${digest}`, 'buffer').subarray(0, 16);
}
