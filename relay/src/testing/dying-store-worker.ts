/**
 * For tests: a store's thread that opens the real database and dies of the first operation that stores something. Once it has
 * died in a directory, the next one there is the real one.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type { FromWorker, ToWorker, WorkerData } from '../store/sqlite-room-store.ts';
import { openSqliteRooms } from '../store/sqlite-rows.ts';

const { options } = workerData as WorkerData;
const died = join(options.dataDir, 'died');
if (existsSync(died)) await import('../store/sqlite-store-worker.ts');
else {
  const rooms = openSqliteRooms(options);
  const say = (message: FromWorker): void => parentPort?.postMessage(message);
  parentPort?.on('message', (message: ToWorker) => {
    if (message.kind === 'call' && message.call.name === 'lookUp')
      say({
        kind: 'answers',
        answers: [{ number: message.number, result: { ok: true, answer: { room: null, holdsKnown: true } } }],
      });
    else {
      writeFileSync(died, '');
      process.exit(1);
    }
  });
  say({ kind: 'opened', storeId: rooms.storeId });
}
