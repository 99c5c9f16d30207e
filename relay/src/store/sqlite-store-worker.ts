/**
 * The store's thread: an entry of its own, from source as from a bundle. Gathers the calls that have arrived, carries them out
 * turn by turn (one transaction each, rule FAST4), fairly between rooms, and answers what each turn finished at once.
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { createFairQueue } from './fair-queue.ts';
import { asStoreError } from './sql-db.ts';
import type { FromWorker, ToWorker, WireResult, WorkerData } from './sqlite-room-store.ts';
import { openSqliteRooms, roomOf, type SqliteRooms, type StoreRun, type TurnResult } from './sqlite-rows.ts';

if (isMainThread || parentPort === null) throw new Error('sqlite-store-worker runs as a worker of the relay');
const port = parentPort;

const say = (message: FromWorker): void => port.postMessage(message);

function serve(rooms: SqliteRooms): void {
  const waiting = createFairQueue<StoreRun>();
  let scheduled = false;
  let closing = false;

  const turn = (): void => {
    scheduled = false;
    if (waiting.size > 0) {
      const finished = rooms.turn(waiting);
      say({
        kind: 'answers',
        answers: finished.map(({ number, result }) => ({ number, result: wireResult(result) })),
      });
    }
    if (waiting.size > 0) return schedule();
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
    if (message.kind === 'call') waiting.add(roomOf(message.call), rooms.begin(message.number, message.call));
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
