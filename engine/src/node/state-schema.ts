/**
 * The tables of a linked folder's state store, as numbered migrations (rule STATE). Migration n takes `user_version` n−1
 * to n; what is committed here never changes, a new need gets a new number.
 */
import type { SqlDb } from './sql-db.ts';

export type Migration = (db: SqlDb) => void;

/** "DRFT": a SQLite file without it is not ours. */
export const stateApplicationId = 0x44_52_46_54;

const tables = `
-- One row per path that any of the three trees knows (rule TREE). Collation is BINARY over UTF-8: bytewise path order.
-- Packed columns as in state-codec.
CREATE TABLE tree (
  path         TEXT NOT NULL PRIMARY KEY,
  base         BLOB,                        -- entry; NULL = absent
  remote       BLOB,                        -- slot; NULL = absent; zero bytes = the same as base
  remote_mtime REAL NOT NULL,               -- milliseconds since 1970 as the record says; 0 = unknown
  local        BLOB,                        -- the last scan; NULL = absent, or out of scope
  scope        INTEGER NOT NULL,            -- 0 = in scope, else the number of an OutOfScopeReason
  hold         TEXT,                        -- JSON {variant, choice}; NULL = not held
  problem      TEXT,                        -- JSON {reason, attempts}; NULL = none
  retry_at     REAL,                        -- of the problem, milliseconds since 1970
  pending      INTEGER NOT NULL,            -- 1 = in scope, not held, and local ≠ base or remote ≠ base
  slot_sum     INTEGER NOT NULL,            -- CRC-32 of path and remote, for reading whole pages of slots without the rest
  sum          INTEGER NOT NULL             -- CRC-32 of all the others but slot_sum: noise is found before it is acted on (P10)
) STRICT, WITHOUT ROWID;
CREATE INDEX tree_pending ON tree (path) WHERE pending = 1;
CREATE INDEX tree_held ON tree (path) WHERE hold IS NOT NULL;
CREATE INDEX tree_out_of_scope ON tree (path) WHERE scope <> 0;
CREATE INDEX tree_problem ON tree (retry_at) WHERE problem IS NOT NULL;
-- Files by the first 8 bytes of their digest. The bounds pick the tags 1 and 2.
CREATE INDEX tree_local_content ON tree (substr(local, 2, 8)) WHERE local >= x'01' AND local < x'03' AND scope = 0;
CREATE INDEX tree_base_content ON tree (substr(base, 2, 8)) WHERE base >= x'01' AND base < x'03';
CREATE INDEX tree_remote_content ON tree (substr(remote, 2, 8)) WHERE remote >= x'01' AND remote < x'03';

-- Counts over the tree, written with the rows that change them, so that no status is a scan (rule FAST3).
CREATE TABLE tree_counts (
  id           INTEGER PRIMARY KEY CHECK (id = 1),
  files        INTEGER NOT NULL,
  entries      INTEGER NOT NULL,
  pending      INTEGER NOT NULL,
  held         INTEGER NOT NULL,
  out_of_scope INTEGER NOT NULL
) STRICT;
INSERT INTO tree_counts VALUES (1, 0, 0, 0, 0, 0);

-- Open variants of the remote tree.
CREATE TABLE variants (
  path TEXT NOT NULL,
  id   TEXT NOT NULL,
  body TEXT NOT NULL,                       -- JSON
  PRIMARY KEY (path, id)
) STRICT, WITHOUT ROWID;

-- The page index of the remote tree (rule ROOT). The last page without a boundary has end_path ''.
CREATE TABLE pages (
  end_path TEXT NOT NULL PRIMARY KEY,
  hash     BLOB NOT NULL,
  entries  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Where in the room's log the remote tree stands.
CREATE TABLE room (
  id                INTEGER PRIMARY KEY CHECK (id = 1),
  height            INTEGER NOT NULL,       -- 0 = before the first record
  record            TEXT NOT NULL,
  root              TEXT NOT NULL,
  checkpoint_height INTEGER,                -- of the newest checkpoint that this peer knows of
  checkpoint_bytes  INTEGER,
  since_bytes       INTEGER NOT NULL,       -- of records after it
  since_records     INTEGER NOT NULL,
  flushes           INTEGER NOT NULL        -- written by flush, so that there is something to make durable
) STRICT;

-- The last records (rules RB2, RB3): what each did, and how to undo it.
CREATE TABLE records (
  height INTEGER PRIMARY KEY,
  id     TEXT NOT NULL,
  root   TEXT NOT NULL,
  bytes  INTEGER NOT NULL,
  meta   TEXT,                              -- JSON; NULL for a head that came as a checkpoint
  undo   BLOB,                              -- packed slots before the record; NULL = not kept
  undo_variants TEXT                        -- JSON {opened, closed}; NULL = none
) STRICT;

-- Journals. Bytes and JSON are summed in \`sum\` (CRC-32).
CREATE TABLE settings (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL, sum INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE sent (
  id       TEXT NOT NULL PRIMARY KEY,
  height   INTEGER NOT NULL,
  record   BLOB NOT NULL,                   -- packed header, body, signature
  outcome  BLOB NOT NULL,                   -- packed slots
  variants TEXT NOT NULL,                   -- JSON
  sum      INTEGER NOT NULL
) STRICT;
CREATE TABLE intents (path TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL, sum INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE trash (name TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL, sum INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Caches: oldest out, by seq. Emptying one costs fetches, never data.
CREATE TABLE cached_records (seq INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, bytes INTEGER NOT NULL, at_ms REAL NOT NULL, value BLOB NOT NULL) STRICT;
CREATE TABLE cached_chunks (seq INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, bytes INTEGER NOT NULL, at_ms REAL NOT NULL, value BLOB NOT NULL) STRICT;
CREATE TABLE cached_contents (seq INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, bytes INTEGER NOT NULL, at_ms REAL NOT NULL, value BLOB NOT NULL) STRICT;
CREATE TABLE cached_chunk_ids (seq INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, bytes INTEGER NOT NULL, at_ms REAL NOT NULL, value BLOB NOT NULL) STRICT;
-- Which contents a path has had in the room: 16 bytes of SHA-256(path, digest).
CREATE TABLE history (seq INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE) STRICT;
`;

/** Files are tagged 1, 2, 6 and 7 since an entry may be private: the indexes by content hold those too. */
const privateFiles = `
DROP INDEX tree_local_content;
DROP INDEX tree_base_content;
DROP INDEX tree_remote_content;
CREATE INDEX tree_local_content ON tree (substr(local, 2, 8)) WHERE substr(local, 1, 1) IN (x'01', x'02', x'06', x'07') AND scope = 0;
CREATE INDEX tree_base_content ON tree (substr(base, 2, 8)) WHERE substr(base, 1, 1) IN (x'01', x'02', x'06', x'07');
CREATE INDEX tree_remote_content ON tree (substr(remote, 2, 8)) WHERE substr(remote, 1, 1) IN (x'01', x'02', x'06', x'07');
`;

/**
 * What decides about many rows at once is found without reading all that are pending: what is still to come to the disk, and what
 * went on one side. (Scope 8, a link that leads out, is used from here on.)
 */
const arrivingAndGone = `
CREATE INDEX tree_arriving ON tree (path) WHERE pending = 1 AND local IS NULL AND remote IS NOT NULL;
CREATE INDEX tree_gone ON tree (path) WHERE pending = 1 AND base IS NOT NULL AND (local IS NULL OR remote IS NULL OR substr(remote, 1, 1) = x'05');
`;

/** What a join found outdated and could not replace at once: `body` is the digest of what is here (core/first-join.ts). */
const superseded = `
CREATE TABLE superseded (path TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL, sum INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;

/** What a turn asks for is found without reading a whole table. */
const askedForByTurns = `
CREATE INDEX tree_marked ON tree (path) WHERE instr(path, '.conflict-') > 0;
CREATE INDEX trash_unrecorded ON trash (name) WHERE instr(body, '"inRecord":false') > 0;
`;

/** `pending` is 2 for what waits for somebody's answer: looks at what is pending leave it out. */
const parked = `
CREATE INDEX tree_parked ON tree (substr(base, 2, 8)) WHERE pending = 2;
`;

/** A held deletion that was declined: it is undone. */
const declined = `
ALTER TABLE tree ADD COLUMN declined INTEGER NOT NULL DEFAULT 0;
`;

export const stateMigrations: readonly Migration[] = [
  (db) => db.exec(tables),
  (db) => db.exec(privateFiles),
  (db) => db.exec(arrivingAndGone),
  (db) => db.exec(superseded),
  (db) => db.exec(askedForByTurns),
  (db) => db.exec(parked),
  (db) => db.exec(declined),
];
