/**
 * The durable store (rule FAST4): node:sqlite and segment files in a worker thread of their own, so that no flush ever holds up
 * the sockets. Calls cross as data and come back by their numbers. What is in them is decided in room-operations.ts, how it is kept in
 * sqlite-rows.ts; here are the port's promises, the bound of what may wait, and the end of the thread. What follows such an end
 * is reopening-room-store.ts.
 */
import { Worker } from 'node:worker_threads';
import { limits, type SealedChunk, type SealedRecord } from '@driftless/protocol';
import { type Clock, systemClock } from '../clock.ts';
import { type OpenedStore, reopeningRoomStore } from './reopening-room-store.ts';
import {
  defaultQuotas,
  isMediumFault,
  type RecordToStore,
  type RoomStore,
  type RoomStoreOperations,
  StoreError,
  type StoreErrorCode,
  type StoreQuotas,
} from './room-store.ts';
import type { SqliteOptions, StoreAnswer, StoreCall } from './sqlite-rows.ts';

/** Calls that may wait for the worker; the server's own bounds on requests in flight keep far below. */
const callsWaitingMax = 65_536;
/** A call that waits for so long means that the disk beneath the store has stopped answering. */
const callMsMax = 60_000;

export interface SqliteRoomStoreOptions {
  /** Made if absent, with mode 0700. Holds relay.sqlite and segments/. */
  readonly dataDir: string;
  readonly quotas?: StoreQuotas;
  /** Pages of 4 KiB beyond which the database refuses to grow, as on a full disk. */
  readonly databasePagesMax?: number;
  /** The built sqlite-store-worker, where the code is bundled. From source it is found beside this file. */
  readonly workerUrl?: URL;
  /** For the pauses between attempts to open it again. */
  readonly clock?: Clock;
}

/** What crosses to the worker, and back. */
export interface WorkerData {
  readonly options: SqliteOptions;
}
export type ToWorker =
  | { readonly kind: 'call'; readonly number: number; readonly call: StoreCall }
  | { readonly kind: 'close' };
export type FromWorker =
  | { readonly kind: 'opened'; readonly storeId: Uint8Array }
  | { readonly kind: 'answers'; readonly answers: readonly WireAnswer[] }
  | { readonly kind: 'closed' }
  | { readonly kind: 'failed'; readonly error: WireError };
export interface WireAnswer {
  readonly number: number;
  readonly result: WireResult;
}
export interface WireError {
  readonly code: StoreErrorCode;
  readonly message: string;
}
export type WireResult =
  | { readonly ok: true; readonly answer: StoreAnswer }
  | { readonly ok: false; readonly error: WireError };

interface Waiting {
  readonly sinceMs: number;
  resolve(answer: StoreAnswer): void;
  reject(error: StoreError): void;
}

/** Opens, or makes, the store. Rejects with StoreError: damaged, newer, in-use, disk-full, failed. */
export function sqliteRoomStore(options: SqliteRoomStoreOptions): Promise<RoomStore> {
  return reopeningRoomStore(() => openThread(options), { clock: options.clock ?? systemClock });
}

async function openThread(options: SqliteRoomStoreOptions): Promise<OpenedStore> {
  const { dataDir, quotas = defaultQuotas, databasePagesMax } = options;
  const workerData: WorkerData = {
    options: { dataDir, quotas, ...(databasePagesMax === undefined ? {} : { databasePagesMax }) },
  };
  const worker = new Worker(options.workerUrl ?? new URL('./sqlite-store-worker.ts', import.meta.url), {
    workerData,
    // Nothing of the process's arguments or environment is needed in there.
    argv: [],
    env: {},
    execArgv: [],
  });
  const storeId = await opened(worker);
  /** By the calls' numbers; in the order of the calls. */
  const waiting = new Map<number, Waiting>();
  let callNumber = 0;
  let answeredAtMs = 0;
  let state: 'open' | 'closing' | 'ended' = 'open';
  let endedBecause: StoreError | undefined;
  /** The last answer said that the medium fails, whatever was asked; the next good answer ends that. */
  let failing: StoreError | null = null;
  let tellEnded: (error: StoreError) => void = () => {};
  const endedUnasked = new Promise<StoreError>((resolve) => {
    tellEnded = resolve;
  });
  const ended = new Promise<void>((resolve) => {
    const end = (error: StoreError): void => {
      if (state === 'ended') return;
      if (state === 'open') tellEnded(error);
      state = 'ended';
      endedBecause = error;
      for (const call of waiting.values()) call.reject(error);
      waiting.clear();
      resolve();
    };
    worker.on('message', (message: FromWorker) => {
      switch (message.kind) {
        case 'answers':
          // A turn that finished nothing shows as well that the disk answers.
          answeredAtMs = performance.now();
          for (const { number, result } of message.answers) {
            const call = waiting.get(number);
            waiting.delete(number);
            failing = result.ok || !isMediumFault(result.error) ? null : storeErrorOf(result.error);
            if (result.ok) call?.resolve(result.answer);
            else call?.reject(storeErrorOf(result.error));
          }
          return;
        case 'closed':
          return end(new StoreError('closed', 'the store is closed'));
        case 'failed':
          return end(storeErrorOf(message.error));
        case 'opened':
          return;
      }
    });
    worker.on('error', (error) => end(new StoreError('failed', `the store's thread failed: ${String(error)}`, error)));
    worker.on('exit', () =>
      end(
        state === 'closing'
          ? new StoreError('closed', 'the store is closed')
          : new StoreError('failed', "the store's thread has ended"),
      ),
    );
  });

  function call<Name extends keyof RoomStoreOperations>(
    name: Name,
    ...args: Parameters<RoomStoreOperations[Name]>
  ): Promise<Awaited<ReturnType<RoomStore[Name]>>> {
    return new Promise((resolve, reject) => {
      if (state !== 'open') return reject(endedBecause ?? new StoreError('closed', 'the store is closed'));
      if (waiting.size >= callsWaitingMax) return reject(new StoreError('busy', 'too many operations are waiting'));
      const number = callNumber++;
      // Each answer has the type of its call.
      waiting.set(number, {
        sinceMs: performance.now(),
        resolve: (answer) => resolve(answer as Awaited<ReturnType<RoomStore[Name]>>),
        reject,
      });
      worker.postMessage({ kind: 'call', number, call: { name, args } as unknown as StoreCall } satisfies ToWorker);
    });
  }

  function health(): StoreError | null {
    if (state !== 'open') return endedBecause ?? new StoreError('closed', 'the store is closed');
    const [oldest] = waiting.values();
    if (oldest !== undefined && performance.now() - Math.max(oldest.sinceMs, answeredAtMs) > callMsMax)
      return new StoreError('busy', "the store's disk does not answer");
    return failing;
  }

  return {
    storeId,
    health,
    endedUnasked,
    lookUp: (room, known) => call('lookUp', room, known),
    append: (request) =>
      call('append', { ...request, entry: tightEntry(request.entry), chunks: request.chunks.map(tightChunk) }),
    seed: (request) =>
      call('seed', {
        ...request,
        entries: request.entries.map(tightEntry),
        checkpoint: {
          ...request.checkpoint,
          sealed: tight(request.checkpoint.sealed),
          writerSignature: tight(request.checkpoint.writerSignature),
        },
      }),
    records: (room, range) => call('records', room, range),
    locate: (room, heads) => call('locate', room, heads.slice(0, limits.headsPerLocateMax)),
    have: (room, ids) => call('have', room, ids),
    keep: (room, ids) => call('keep', room, ids),
    put: (request) => call('put', { ...request, chunks: request.chunks.map(tightChunk) }),
    get: (room, ids, bytesMax) => call('get', room, ids, bytesMax),
    putCheckpoint: (request) =>
      call('putCheckpoint', {
        ...request,
        checkpoint: {
          ...request.checkpoint,
          sealed: tight(request.checkpoint.sealed),
          writerSignature: tight(request.checkpoint.writerSignature),
        },
      }),
    checkpoint: (room, atMost) => call('checkpoint', room, atMost),
    async close() {
      if (state === 'open') {
        state = 'closing';
        worker.postMessage({ kind: 'close' } satisfies ToWorker);
      }
      await ended;
      await worker.terminate();
    },
  };
}

const storeErrorOf = ({ code, message }: WireError): StoreError => new StoreError(code, message);

/** The worker's first word: the store's id, or why it cannot be opened. */
function opened(worker: Worker): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    worker.once('message', (message: FromWorker) => {
      if (message.kind === 'opened') resolve(message.storeId);
      else if (message.kind === 'failed') reject(storeErrorOf(message.error));
      else reject(new StoreError('failed', `the store's thread began with "${message.kind}"`));
    });
    worker.once('error', (error) =>
      reject(new StoreError('failed', `the store's thread failed: ${String(error)}`, error)),
    );
    worker.once('exit', () => reject(new StoreError('failed', "the store's thread ended before it opened")));
  });
}

// A view crosses threads with the whole buffer beneath it, which may be a frame of a megabyte: cut to size first.
const tight = (bytes: Uint8Array): Uint8Array =>
  bytes.byteLength === bytes.buffer.byteLength && bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes);
const tightChunk = ({ id, sealed }: SealedChunk): SealedChunk => ({ id, sealed: tight(sealed) });
const tightRecord = ({ header, body, writerSignature }: SealedRecord): SealedRecord => ({
  header: tight(header),
  body: tight(body),
  writerSignature: tight(writerSignature),
});
const tightEntry = (entry: RecordToStore): RecordToStore => ({
  id: entry.id,
  height: entry.height,
  prev: entry.prev,
  epoch: entry.epoch,
  bodyChunks: entry.bodyChunks,
  adds: entry.adds,
  addsLists: entry.addsLists,
  record: tightRecord(entry.record),
});
