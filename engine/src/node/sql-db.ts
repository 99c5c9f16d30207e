/**
 * A thin face over `node:sqlite`, so that the stores depend on a dozen lines and not on one binding. Loaded at run time:
 * a Node without it gets a sentence instead of a stack trace.
 *
 * Every failure of the database becomes a StateStoreError with a code that the caller can act on (rule STATE).
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { StateStoreError, type StateStoreErrorCode } from '../ports/state-store.ts';

export type SqlValue = null | number | string | Uint8Array;

export interface SqlStatement<Row> {
  run(...values: SqlValue[]): void;
  get(...values: SqlValue[]): Row | undefined;
  all(...values: SqlValue[]): Row[];
  /** Must be read to its end, or left by `break`/`return`, before the database is written again. */
  iterate(...values: SqlValue[]): Iterable<Row>;
}

export interface SqlDb {
  exec(sql: string): void;
  prepare<Row = never>(sql: string): SqlStatement<Row>;
  close(): void;
}

/** How long a statement waits for another connection's lock (a backup tool, a checker) before it fails as `busy`. */
const busyTimeoutMs = 5_000;

/** Errors: StateStoreError `unavailable` when this Node has no node:sqlite; otherwise as sqlErrorCode says. */
export function openSqlDb(file: string): SqlDb {
  const sqlite = loadSqlite();
  const database = guarded(
    () => new sqlite.DatabaseSync(file, { timeout: busyTimeoutMs, enableForeignKeyConstraints: false }),
  );
  return new NodeSqlDb(database);
}

class NodeSqlDb implements SqlDb {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  exec(sql: string): void {
    guarded(() => this.#database.exec(sql));
  }

  prepare<Row>(sql: string): SqlStatement<Row> {
    return new NodeSqlStatement<Row>(guarded(() => this.#database.prepare(sql)));
  }

  close(): void {
    if (this.#database.isOpen) guarded(() => this.#database.close());
  }
}

class NodeSqlStatement<Row> implements SqlStatement<Row> {
  readonly #statement: StatementSync;

  constructor(statement: StatementSync) {
    this.#statement = statement;
  }

  run(...values: SqlValue[]): void {
    try {
      this.#statement.run(...values);
    } catch (error) {
      throw stateStoreErrorOf(error);
    }
  }

  get(...values: SqlValue[]): Row | undefined {
    try {
      return this.#statement.get(...values) as Row | undefined;
    } catch (error) {
      throw stateStoreErrorOf(error);
    }
  }

  all(...values: SqlValue[]): Row[] {
    try {
      return this.#statement.all(...values) as Row[];
    } catch (error) {
      throw stateStoreErrorOf(error);
    }
  }

  *iterate(...values: SqlValue[]): Iterable<Row> {
    try {
      for (const row of this.#statement.iterate(...values)) yield row as Row;
    } catch (error) {
      throw stateStoreErrorOf(error);
    }
  }
}

/** Errors: StateStoreError `unavailable` when this Node has no node:sqlite. */
export function loadSqlite(): typeof import('node:sqlite') {
  // A builtin is asked for by name: neither a bundler nor an old Node stumbles over the import.
  const sqlite = process.getBuiltinModule('node:sqlite');
  if (sqlite === undefined)
    throw new StateStoreError(
      'unavailable',
      `Driftless needs a Node that has node:sqlite; this is ${process.version}. Install a newer Node, or update VS Code.`,
    );
  return sqlite;
}

function guarded<Value>(work: () => Value): Value {
  try {
    return work();
  } catch (error) {
    throw stateStoreErrorOf(error);
  }
}

/** Primary result codes of SQLite (https://www.sqlite.org/rescode.html) that mean something to the caller. */
const codeOfResult: ReadonlyMap<number, StateStoreErrorCode> = new Map([
  [5, 'busy'], // SQLITE_BUSY
  [6, 'busy'], // SQLITE_LOCKED
  [8, 'io'], // SQLITE_READONLY
  [10, 'io'], // SQLITE_IOERR
  [11, 'damaged'], // SQLITE_CORRUPT
  [13, 'disk-full'], // SQLITE_FULL
  [14, 'io'], // SQLITE_CANTOPEN
  [26, 'damaged'], // SQLITE_NOTADB
]);

/** Errors that are none of SQLite's pass through: they are faults of the caller, or the caller's own. */
function stateStoreErrorOf(error: unknown): unknown {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return error;
  const code = codeOfResult.get(error.errcode & 0xff);
  return code === undefined ? error : new StateStoreError(code, `The state store failed: ${error.message}.`, error);
}
