/**
 * The few calls of an embedded SQL database that the store needs, so that the engine below can be exchanged and a test can make
 * it fail. Synchronous: it lives in a thread of its own (rule FAST4). Reports failures as StoreError.
 */
import { DatabaseSync, type SQLInputValue, type SQLOutputValue } from 'node:sqlite';
import { StoreError } from './room-store.ts';

export type SqlValue = SQLInputValue;
export type SqlRow = Readonly<Record<string, SQLOutputValue>>;

export interface SqlStatement {
  run(...values: readonly SqlValue[]): void;
  get(...values: readonly SqlValue[]): SqlRow | undefined;
  iterate(...values: readonly SqlValue[]): Iterable<SqlRow>;
}
export interface SqlDb {
  exec(sql: string): void;
  prepare(sql: string): SqlStatement;
  inTransaction(): boolean;
  close(): void;
}

/** Opens, or makes, the database file at `path` with node:sqlite. */
export function openNodeSqlDb(path: string): SqlDb {
  const database = translated(() => new DatabaseSync(path));
  return {
    exec: (sql) => translated(() => database.exec(sql)),
    prepare(sql) {
      const statement = translated(() => database.prepare(sql));
      return {
        run: (...values) => void translated(() => statement.run(...values)),
        get: (...values) => translated(() => statement.get(...values)),
        iterate: (...values) => translated(() => statement.iterate(...values)),
      };
    },
    inTransaction: () => database.isTransaction,
    close: () => translated(() => database.close()),
  };
}

/** Runs `action`; what the database or the disk throws becomes a StoreError with a code that says what can be done. */
export function translated<Value>(action: () => Value): Value {
  try {
    return action();
  } catch (error) {
    throw asStoreError(error);
  }
}

/** Primary result codes of SQLite: https://www.sqlite.org/rescode.html. */
const sqlite = { busy: 5, locked: 6, ioError: 10, corrupt: 11, full: 13, notADatabase: 26 } as const;

export function asStoreError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const fields = typeof error === 'object' && error !== null ? (error as Readonly<Record<string, unknown>>) : {};
  const primary = typeof fields['errcode'] === 'number' ? fields['errcode'] & 0xff : undefined;
  if (primary === sqlite.full || fields['code'] === 'ENOSPC' || fields['code'] === 'EDQUOT') {
    return new StoreError('disk-full', 'the disk is full', error);
  }
  if (primary === sqlite.busy || primary === sqlite.locked) {
    return new StoreError('in-use', 'another relay uses this data directory', error);
  }
  if (primary === sqlite.corrupt || primary === sqlite.notADatabase) {
    return new StoreError('damaged', 'the database is damaged', error);
  }
  return new StoreError('failed', error instanceof Error ? error.message : String(error), error);
}
