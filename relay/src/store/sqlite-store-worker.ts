/**
 * The store's thread: an entry of its own, from source as from a bundle. Gathers the calls that have arrived, carries them out
 * turn by turn (one transaction each, rule FAST4), and answers each turn at once, in order.
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { asStoreError } from './sql-db.ts';
import type { FromWorker, ToWorker, WireResult, WorkerData } from './sqlite-room-store.ts';
import { openSqliteRooms, type SqliteRooms, type StoreCall, type TurnResult } from './sqlite-rows.ts';

if (isMainThread || parentPort === null) throw new Error('sqlite-store-worker runs as a worker of the relay');
const port = parentPort;

/** Calls that one turn looks at; the time limit of a turn usually ends it before. */
const callsPerTurnMax = 1_024;

const say = (message: FromWorker): void => port.postMessage(message);

function serve(rooms: SqliteRooms): void {
  const waiting: StoreCall[] = [];
  let scheduled = false;
  let closing = false;

  const turn = (): void => {
    scheduled = false;
    const calls = waiting.slice(0, callsPerTurnMax);
    if (calls.length > 0) {
      const results = rooms.turn(calls);
      waiting.splice(0, results.length);
      say({ kind: 'answers', answers: results.map(wireResult) });
    }
    if (waiting.length > 0) return schedule();
    if (closing) {
      rooms.close();
      say({ kind: 'closed' });
      port.close();
    }
  };
  // After the messages that have arrived already: they share the transaction.
  const schedule = (): void => {
    if (!scheduled) setImmediate(turn);
    scheduled = true;
  };

  port.on('message', (message: ToWorker) => {
    if (message.kind === 'call') waiting.push(message.call);
    else closing = true;
    schedule();
  });
}

function wireResult(result: TurnResult): WireResult {
  if (result.ok) return result;
  const { code, message } = result.error;
  return { ok: false, error: { code, message } };
}

try {
  const rooms = openSqliteRooms((workerData as WorkerData).options);
  serve(rooms);
  say({ kind: 'opened', storeId: rooms.storeId });
} catch (error) {
  const { code, message } = asStoreError(error);
  say({ kind: 'failed', error: { code, message } });
}
