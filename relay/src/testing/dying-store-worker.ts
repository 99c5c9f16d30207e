/** For tests: a store's thread that opens, and dies of the first operation that stores something. */
import { parentPort } from 'node:worker_threads';
import type { FromWorker, ToWorker } from '../store/sqlite-room-store.ts';

const say = (message: FromWorker): void => parentPort?.postMessage(message);

parentPort?.on('message', (message: ToWorker) => {
  if (message.kind === 'call' && message.call.name === 'lookUp')
    say({ kind: 'answers', answers: [{ ok: true, answer: { room: null, holdsKnown: true } }] });
  else process.exit(1);
});
say({ kind: 'opened', storeId: new Uint8Array(16) });
