/**
 * The state store on SQLite (node:sqlite, WAL, synchronous=NORMAL). This file opens, checks and migrates the
 * database (rule STATE) and puts the parts together: state-tree (three trees), state-room (manifest and log),
 * state-journals, state-caches.
 *
 * Durability: a killed process loses nothing that a finished transaction wrote; a power cut may lose the newest
 * transactions, whole and in order; `flush` makes all so far durable (rule FAST1).
 * Leaves to others: that one process has it open (the folder lock), and what to do with a damaged one.
 */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { noRecordId } from '@driftless/protocol';
import { type StateStore, StateStoreError } from '../ports/state-store.ts';
import { openSqlDb, type SqlDb } from './sql-db.ts';
import { createStateCaches } from './state-caches.ts';
import { createStateJournals } from './state-journals.ts';
import { createStateRoom, recordsKeptMax } from './state-room.ts';
import { type Migration, stateApplicationId, stateMigrations } from './state-schema.ts';
import { createTransactions } from './state-transactions.ts';
import { createStateTree } from './state-tree.ts';

export interface StateStoreOptions {
  /** Absolute path of the database, or ':memory:'. Its directory is made 0700, the file 0600 (S20). */
  readonly file: string;
  /** Whether the folder's disk holds modes (FolderTraits); without it they never make a row pending (M5). */
  readonly holdsModes: boolean;
  /** For tests of migrations; the product's own otherwise. */
  readonly migrations?: readonly Migration[];
}

/**
 * Opens or makes the store.
 *
 * Errors: StateStoreError: `newer` (untouched), `damaged` (nothing was changed; move it aside with
 * `moveStateStoreAside`), `busy`, `disk-full`, `io`, `unavailable`.
 */
export function openStateStore(options: StateStoreOptions): StateStore {
  const { file, holdsModes, migrations = stateMigrations } = options;
  if (file !== ':memory:') prepareFile(file, migrations.length);
  const db = openSqlDb(file);
  try {
    checkAndMigrate(db, { file, migrations });
    return composeStore(db, holdsModes);
  } catch (error) {
    closeQuietly(db);
    throw error;
  }
}

/** Renames a store that is not to be used any more, with the files beside it; the name of its new place is returned. */
export function moveStateStoreAside(file: string): string {
  let aside = `${file}.damaged`;
  for (let number = 2; existsSync(aside); number += 1) aside = `${file}.damaged-${number}`;
  // The database first: after a crash between two renames SQLite drops a log that has no database.
  for (const suffix of ['', '-wal', '-shm']) if (existsSync(file + suffix)) renameSync(file + suffix, aside + suffix);
  return aside;
}

function composeStore(db: SqlDb, holdsModes: boolean): StateStore {
  const transactions = createTransactions(db);
  const tree = createStateTree(db, transactions, { holdsModes });
  const room = createStateRoom(db, transactions, tree);
  const journals = createStateJournals(db, transactions);
  const caches = createStateCaches(db, transactions);
  const touch = db.prepare('UPDATE room SET flushes = flushes + 1');
  room.assertRoot();

  return {
    ...tree,
    ...room,
    ...journals,
    ...caches,
    transaction: transactions.run,
    flush() {
      if (transactions.isOpen()) throw new Error('flush inside a transaction');
      // A commit with FULL flushes the log, and with it every transaction before.
      db.exec('PRAGMA synchronous = FULL');
      try {
        touch.run();
      } finally {
        db.exec('PRAGMA synchronous = NORMAL');
      }
    },
    close: () => db.close(),
    commitRecord: (commit) =>
      transactions.run(() => {
        room.commitRecord(commit);
        caches.cacheRecord(commit.meta.head.height, commit.record);
      }),
    loadManifest: (manifest) =>
      transactions.run(() => {
        room.loadManifest(manifest);
        caches.dropRecordsAfter(0);
      }),
    rollBackTo: (common) =>
      transactions.run(() => {
        const paths = room.rollBackTo(common);
        if (paths !== false) caches.dropRecordsAfter(common.height);
        return paths;
      }),
    cachedRecordsAfter: (height) => caches.cachedRecordsAfter(height, room.head()?.height ?? 0),
    cachedRecordAfter: (id) => {
      const height = id === noRecordId ? 0 : room.recentHeads(recordsKeptMax).find((head) => head.id === id)?.height;
      return height === undefined ? undefined : caches.cachedRecordsAfter(height, height + 1)?.[0];
    },
  };
}

/** Bytes of SQLite's header (https://www.sqlite.org/fileformat.html, 1.3). */
const headerBytes = 100;
const userVersionOffset = 60;

function prepareFile(file: string, version: number): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const descriptor = openSync(file, 'a+', 0o600);
    try {
      const header = Buffer.alloc(headerBytes);
      const read = readSync(descriptor, header, 0, headerBytes, 0);
      if (read === 0) return;
      if (read < headerBytes || !header.toString('latin1').startsWith('SQLite format 3\0'))
        throw new StateStoreError('damaged', `${file} is not a database.`);
      // Looked at before SQLite opens the file, so that a newer one stays untouched to the byte.
      refuseNewer(header.readUInt32BE(userVersionOffset), version);
    } finally {
      closeSync(descriptor);
    }
    chmodSync(file, 0o600);
  } catch (error) {
    if (error instanceof StateStoreError) throw error;
    const full = error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
    throw new StateStoreError(
      full ? 'disk-full' : 'io',
      `The state store ${file} cannot be opened: ${String(error)}.`,
      error,
    );
  }
}

function refuseNewer(found: number, known: number): void {
  if (found > known)
    throw new StateStoreError(
      'newer',
      `This folder's state was written by a newer Driftless (schema ${found}, this one knows ${known}). Update Driftless.`,
    );
}

function checkAndMigrate(
  db: SqlDb,
  options: { readonly file: string; readonly migrations: readonly Migration[] },
): void {
  const { file, migrations } = options;
  // Values from measurements: 64 MiB of pages, a log of 8,000 pages before it is folded back.
  db.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 8000; PRAGMA temp_store = MEMORY;',
  );
  const version = pragmaNumber(db, 'user_version');
  refuseNewer(version, migrations.length);
  const isNew = version === 0 && pragmaNumber(db, 'schema_version') === 0;
  if (!isNew && pragmaNumber(db, 'application_id') !== stateApplicationId)
    throw new StateStoreError('damaged', `${file} is not a state store of Driftless.`);
  const check = db.prepare<{ readonly quick_check: string }>('PRAGMA quick_check(1)').get()?.quick_check;
  if (check !== 'ok')
    throw new StateStoreError('damaged', `The state store ${file} is damaged: ${check ?? 'no answer'}.`);
  if (version === migrations.length) return;
  if (version > 0 && file !== ':memory:') keepCopy(db, `${file}.before-schema-${migrations.length}`);
  migrate(db, version, migrations);
}

function keepCopy(db: SqlDb, copy: string): void {
  rmSync(copy, { force: true });
  // Made empty first, so that it never has another mode than 0600.
  closeSync(openSync(copy, 'wx', 0o600));
  db.exec(`VACUUM INTO '${copy.replaceAll("'", "''")}'`);
}

function migrate(db: SqlDb, from: number, migrations: readonly Migration[]): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    for (const migration of migrations.slice(from)) migration(db);
    db.exec(`PRAGMA application_id = ${stateApplicationId}; PRAGMA user_version = ${migrations.length}; COMMIT`);
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}

function pragmaNumber(db: SqlDb, name: 'user_version' | 'schema_version' | 'application_id'): number {
  const row = db.prepare<Record<string, number>>(`PRAGMA ${name}`).get();
  return row?.[name] ?? 0;
}

function closeQuietly(db: SqlDb): void {
  try {
    db.close();
  } catch {
    // The error that led here says more.
  }
}
