/**
 * Transactions of the state store, and what in memory must follow them. Nested calls join the outer one; a throw rolls
 * all of it back, also when a caller between catches it.
 */
import type { SqlDb } from './sql-db.ts';

export interface Transactions {
  run<Value>(work: () => Value): Value;
  isOpen(): boolean;
  /** Called inside each outermost transaction, last, if it wrote. */
  beforeCommit(action: () => void): void;
  /** Called after a rollback: what is remembered of the database may be wrong. */
  afterRollback(action: () => void): void;
}

export function createTransactions(db: SqlDb): Transactions {
  const begin = db.prepare('BEGIN IMMEDIATE');
  const commit = db.prepare('COMMIT');
  const beforeCommit: (() => void)[] = [];
  const afterRollback: (() => void)[] = [];
  let depth = 0;
  let failure: unknown;

  function rollBack(): void {
    try {
      db.exec('ROLLBACK');
    } finally {
      for (const action of afterRollback) action();
    }
  }

  function runNested<Value>(work: () => Value): Value {
    depth += 1;
    try {
      return work();
    } catch (error) {
      failure ??= error ?? new Error('rolled back');
      throw error;
    } finally {
      depth -= 1;
    }
  }

  function run<Value>(work: () => Value): Value {
    if (depth > 0) return runNested(work);
    begin.run();
    failure = undefined;
    try {
      const value = runNested(() => {
        const result = work();
        // The transaction would be over before such work had begun.
        if (result instanceof Promise) throw new Error('work in a transaction must be synchronous');
        for (const action of beforeCommit) action();
        return result;
      });
      if (failure !== undefined) throw failure;
      commit.run();
      return value;
    } catch (error) {
      try {
        rollBack();
      } catch {
        // SQLite has rolled back by itself (disk full, I/O error); the first error says why.
      }
      throw error;
    }
  }

  return {
    run,
    isOpen: () => depth > 0,
    beforeCommit: (action) => beforeCommit.push(action),
    afterRollback: (action) => afterRollback.push(action),
  };
}
