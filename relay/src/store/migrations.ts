/**
 * The relay's schema, as numbered migrations, each carried out in one transaction (as rule STATE asks of peers). A database
 * made by a newer relay is refused before anything in it is touched (P18).
 */

import { StoreError } from './room-store.ts';
import type { SqlDb } from './sql-db.ts';

/** Index n leads from schema n to n + 1. Never edit one that was released: add the next. */
const migrations: readonly string[] = [
  `
  -- One row: the store's own identity, 16 random bytes.
  CREATE TABLE store (id BLOB NOT NULL CHECK (length(id) = 16)) STRICT;

  -- One row a room, made by its first append, seed or put.
  CREATE TABLE rooms (
    room_key   INTEGER PRIMARY KEY,
    room       BLOB NOT NULL UNIQUE CHECK (length(room) = 32),
    epoch      INTEGER NOT NULL,              -- key period of the admission pair
    reader_key BLOB NOT NULL CHECK (length(reader_key) = 32),
    writer_key BLOB NOT NULL CHECK (length(writer_key) = 32),
    height     INTEGER NOT NULL,              -- of the head; 0 without a log
    record_id  BLOB,                          -- of the head; null without a log
    floor      INTEGER NOT NULL,              -- lowest height held; 0 without a log
    stamp_ms   INTEGER NOT NULL,              -- of the newest write; never goes back (CLOCK)
    bytes      INTEGER NOT NULL               -- sealed bytes held, for quotas
  ) STRICT;

  -- The log. What a record brings to life (GC1) is in its clear header.
  CREATE TABLE records (
    room_key  INTEGER NOT NULL REFERENCES rooms,
    height    INTEGER NOT NULL,
    record_id BLOB NOT NULL CHECK (length(record_id) = 32),
    stamp_ms  INTEGER NOT NULL,               -- relay's clock at the append, for retention only
    header    BLOB NOT NULL,
    body      BLOB NOT NULL,                  -- empty when its pieces are chunks
    signature BLOB NOT NULL,
    PRIMARY KEY (room_key, height)
  ) STRICT;

  -- Sealed chunks. Those above 64 KiB lie in segment files, the others in the row.
  CREATE TABLE chunks (
    room_key   INTEGER NOT NULL REFERENCES rooms,
    id         BLOB NOT NULL CHECK (length(id) = 32),
    state      INTEGER NOT NULL,              -- 0 held, 1 condemned (GC3), 2 damaged
    stamp_ms   INTEGER NOT NULL,              -- when it came into that state
    bytes      INTEGER NOT NULL,              -- length of sealed
    sha256     BLOB NOT NULL,                 -- of sealed (GC5)
    segment    INTEGER,                       -- file number, or null
    at         INTEGER,                       -- offset of sealed in that file, or null
    sealed     BLOB,                          -- or null
    PRIMARY KEY (room_key, id)
  ) STRICT;

  -- Bytes of each segment file that rows may refer to. Anything behind was never acknowledged.
  CREATE TABLE segments (segment INTEGER PRIMARY KEY, bytes INTEGER NOT NULL) STRICT;

  CREATE TABLE checkpoints (
    room_key  INTEGER NOT NULL REFERENCES rooms,
    height    INTEGER NOT NULL,
    record_id BLOB NOT NULL,
    epoch     INTEGER NOT NULL,
    stamp_ms  INTEGER NOT NULL,
    lists     BLOB NOT NULL,                  -- concatenated 32-byte ids of its clear list-chunks (GC2)
    sealed    BLOB NOT NULL,
    signature BLOB NOT NULL,
    PRIMARY KEY (room_key, height)
  ) STRICT;
  `,
  `
  -- State 3 of a chunk: held, and no record or checkpoint has named it yet. Such chunks give way when room is needed.
  CREATE INDEX chunks_loose ON chunks (room_key, stamp_ms) WHERE state = 3;
  -- What dropped chunks left of segment files, to be written over.
  CREATE TABLE free_places (
    segment INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    PRIMARY KEY (segment, at)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX free_places_bytes ON free_places (bytes);
  `,
  `
  -- Rooms count a row's own 256 bytes with everything that they hold, so that what has no bytes is not free.
  UPDATE rooms SET bytes = 256
    + COALESCE((SELECT SUM(bytes + 256) FROM chunks WHERE chunks.room_key = rooms.room_key), 0)
    + COALESCE((SELECT SUM(length(header) + length(body) + length(signature) + 256)
                FROM records WHERE records.room_key = rooms.room_key), 0)
    + COALESCE((SELECT SUM(length(sealed) + length(lists) + length(signature) + 256)
                FROM checkpoints WHERE checkpoints.room_key = rooms.room_key), 0);
  -- Of all rooms: they give way where the relay is full.
  CREATE INDEX chunks_idle ON chunks (stamp_ms) WHERE state = 3;
  `,
];

/** Schema that this relay writes. */
export const schemaVersion = migrations.length;

/** Brings the database to schemaVersion. `made` fills a new one and runs in the transaction of the first migration. */
export function migrate(db: SqlDb, made: () => void): void {
  const version = schemaOf(db);
  if (version > schemaVersion) {
    throw new StoreError(
      'newer',
      `the data was written by a newer Driftless (schema ${version}; this one knows ${schemaVersion}): update Driftless`,
    );
  }
  for (let from = version; from < schemaVersion; from++) {
    db.exec('BEGIN IMMEDIATE');
    try {
      db.exec(migrations[from] ?? '');
      if (from === 0) made();
      db.exec(`PRAGMA user_version = ${from + 1}`);
      db.exec('COMMIT');
    } catch (error) {
      db.exec('ROLLBACK');
      throw error;
    }
  }
}

/** The schema number that the file carries; 0 for a new one. */
export function schemaOf(db: SqlDb): number {
  return Number(db.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
}
