/**
 * Requests of one open session, and their answers. Bulk transfers are cut into frames, pipelined, and kept within a window
 * that follows the link, so that a small save does not wait long behind them (W5). A request ends with its answer, with a
 * refusal, or with the session; nothing is sent twice.
 */
import {
  type ChunkId,
  closeCodes,
  limits,
  type Message,
  type SealedChunk,
  type SealedRecord,
  type Welcome,
} from '@driftless/protocol';
import { createTransferWindow } from './core/transfer-window.ts';
import type { Clock, Timer } from './ports/clock.ts';
import { RequestRefused, type RoomSession, SessionEnded } from './ports/room-session.ts';
import type { RelayConnection } from './relay-connection.ts';

/** Requests of one `get` or `have` under way. */
const requestsPipelined = 4;
/** What an unknown chunk is taken to weigh before the first one came. */
const sealedChunkBytesGuess = 8 * 1024;
/** Credit is given back in parts of this size, not for each small record. */
const creditStepBytes = limits.pushCreditBytes / 8;
/** Not a limit on duration: with answers still due, this long without one on the channel means that none will come. */
const answerSilenceMsMax = 10 * 60_000;
/** Record and chunk framing beside their bytes. */
const framingBytes = 64;

export interface OpenRoomSession extends RoomSession {
  /** Whether the message answers a request under way. */
  answer(message: Message): boolean;
  /** Rejects everything under way with SessionEnded. */
  end(reason: string): void;
}

export interface RoomSessionOptions {
  readonly connection: RelayConnection;
  readonly channel: number;
  readonly clock: Clock;
  readonly welcome: Welcome;
  readonly relayKey: Uint8Array;
}

type Answer<Kind extends Message['kind']> = Message & { readonly kind: Kind };
interface Waiting {
  readonly kinds: readonly Message['kind'][];
  readonly resolve: (message: Message) => void;
  readonly reject: (error: Error) => void;
}
/** A request without its number. */
type Unnumbered<M> = M extends { readonly request: number } ? Omit<M, 'request'> : never;

export function createRoomSession({
  connection,
  channel,
  clock,
  welcome,
  relayKey,
}: RoomSessionOptions): OpenRoomSession {
  const waiting = new Map<number, Waiting>();
  let lastRequest = 0;
  let ended: string | undefined;
  let lastAnswerMs = 0;
  let silenceTimer: Timer | undefined;
  let creditOwedBytes = 0;

  const window = createTransferWindow({ bytesMax: welcome.putWindowBytes, frameBytesMax: limits.frameBytesAimed });
  let putBytesUnderWay = 0;
  const windowWaiters = new Set<() => void>();

  // ── requests and answers ──

  function request<Kind extends Message['kind']>(
    message: Unnumbered<Message>,
    kinds: readonly Kind[],
    lane: 'now' | 'bulk' = 'now',
  ): Promise<Answer<Kind>> {
    if (ended !== undefined) return Promise.reject(new SessionEnded(ended));
    const number = nextRequest();
    return new Promise<Answer<Kind>>((resolve, reject) => {
      if (waiting.size === 0) lastAnswerMs = clock.monotonicMs();
      waiting.set(number, { kinds, resolve: (answer) => resolve(answer as Answer<Kind>), reject });
      silenceTimer ??= clock.after(answerSilenceMsMax, checkSilence);
      const numbered = { ...message, request: number } as Message;
      if (lane === 'bulk') connection.sendBulk(channel, numbered);
      else connection.send(channel, numbered);
    });
  }

  function nextRequest(): number {
    do lastRequest = lastRequest >= 0xffff_ffff ? 1 : lastRequest + 1;
    while (waiting.has(lastRequest));
    return lastRequest;
  }

  function answer(message: Message): boolean {
    if (!('request' in message)) return false;
    const asked = waiting.get(message.request);
    if (asked === undefined) return false;
    lastAnswerMs = clock.monotonicMs();
    if (message.kind === 'channelError') asked.reject(new RequestRefused(message.code, message.detail));
    else if (asked.kinds.includes(message.kind)) asked.resolve(message);
    else if (message.kind === 'overQuota') asked.reject(new RequestRefused(closeCodes.overQuota.code, message.what));
    else return false;
    waiting.delete(message.request);
    return true;
  }

  function checkSilence(): void {
    silenceTimer = undefined;
    if (waiting.size === 0 || ended !== undefined) return;
    const leftMs = lastAnswerMs + answerSilenceMsMax - clock.monotonicMs();
    if (leftMs > 0) silenceTimer = clock.after(leftMs, checkSilence);
    else connection.fail('the relay does not answer requests');
  }

  function end(reason: string): void {
    if (ended !== undefined) return;
    ended = reason;
    silenceTimer?.cancel();
    const error = new SessionEnded(reason);
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
    wakeWindow();
  }

  // ── sending chunks ──

  async function put(
    chunks: readonly SealedChunk[],
    { signal, onProgress }: { readonly signal?: AbortSignal; readonly onProgress?: (bytes: number) => void } = {},
  ): Promise<void> {
    const underWay = new Set<Promise<void>>();
    let failure: unknown;
    for (let next = 0; next < chunks.length; ) {
      const batch = takeBatch(chunks, next, window.frameBytes);
      await windowFor(sumOf(batch));
      // Thrown after those under way have ended: none is left without somebody who hears of it.
      failure ??= signal?.aborted === true ? signal.reason : undefined;
      if (failure !== undefined) break;
      next += batch.length;
      const sending: Promise<void> = putBatch(batch, onProgress)
        .catch((error: unknown) => {
          failure ??= error;
        })
        .finally(() => underWay.delete(sending));
      underWay.add(sending);
    }
    await Promise.all(underWay);
    if (failure !== undefined) throw failure;
  }

  async function putBatch(
    chunks: readonly SealedChunk[],
    onProgress: ((bytes: number) => void) | undefined,
  ): Promise<void> {
    const bytes = sumOf(chunks);
    const sentMs = clock.monotonicMs();
    putBytesUnderWay += bytes;
    try {
      await request({ kind: 'putChunks', chunks }, ['chunksStored'], 'bulk');
      window.answered(clock.monotonicMs() - sentMs);
      onProgress?.(bytes);
    } finally {
      putBytesUnderWay -= bytes;
      wakeWindow();
    }
  }

  /** Waits until `bytes` fit beside what is under way, on all puts of this session; anything fits alone. */
  async function windowFor(bytes: number): Promise<void> {
    while (ended === undefined && putBytesUnderWay > 0 && putBytesUnderWay + bytes > window.bytes) {
      await new Promise<void>((resolve) => windowWaiters.add(resolve));
    }
  }

  function wakeWindow(): void {
    for (const wake of windowWaiters) wake();
    windowWaiters.clear();
  }

  // ── getting chunks ──

  async function get(
    ids: readonly ChunkId[],
    onChunk: (chunk: SealedChunk) => void | Promise<void>,
    signal?: AbortSignal,
  ): Promise<readonly ChunkId[]> {
    const missing: ChunkId[] = [];
    const left: ChunkId[][] = [];
    let next = 0;
    let averageBytes = sealedChunkBytesGuess;
    let failure: unknown;
    let delivery = Promise.resolve();
    const getWindow = createTransferWindow({ bytesMax: limits.putWindowBytes, frameBytesMax: limits.frameBytesAimed });

    const takeGroup = (): readonly ChunkId[] | undefined => {
      const rest = left.shift();
      if (rest !== undefined) return rest;
      const count = Math.max(1, Math.min(limits.chunksPerFrameMax, Math.floor(getWindow.frameBytes / averageBytes)));
      const group = ids.slice(next, next + count);
      next += group.length;
      return group.length === 0 ? undefined : group;
    };
    const deliver = async (chunks: readonly SealedChunk[]): Promise<void> => {
      for (const chunk of chunks) {
        if (failure !== undefined) return;
        await onChunk(chunk);
      }
    };
    const work = async (): Promise<void> => {
      for (let group = takeGroup(); group !== undefined && failure === undefined; group = takeGroup()) {
        signal?.throwIfAborted();
        const sentMs = clock.monotonicMs();
        const bytesMax = limits.frameBytesAimed;
        const page = await request({ kind: 'getChunks', ids: group, bytesMax }, ['chunksPage']);
        getWindow.answered(clock.monotonicMs() - sentMs);
        const served = page.chunks.length + page.missing.length;
        if (!isPrefix(group, page)) {
          connection.fail('the relay answered with other chunks than were asked for');
          throw new SessionEnded('the relay answered with other chunks than were asked for');
        }
        if (served < group.length) left.push(group.slice(served));
        if (page.chunks.length > 0) averageBytes = (averageBytes + sumOf(page.chunks) / page.chunks.length) / 2;
        missing.push(...page.missing);
        // Waiting for the delivery before asking on bounds what is held in memory.
        delivery = delivery.then(() => deliver(page.chunks));
        await delivery;
      }
    };
    const workers = Array.from({ length: requestsPipelined }, () =>
      work().catch((error: unknown) => {
        failure ??= error;
      }),
    );
    await Promise.all(workers);
    if (failure !== undefined) throw failure;
    return missing;
  }

  async function have(ids: readonly ChunkId[], signal?: AbortSignal): Promise<readonly boolean[]> {
    const held: boolean[] = [];
    for (let start = 0; start < ids.length; start += limits.idsPerRequestMax * requestsPipelined) {
      signal?.throwIfAborted();
      const parts: Promise<Answer<'chunksHeld'>>[] = [];
      const end = Math.min(ids.length, start + limits.idsPerRequestMax * requestsPipelined);
      for (let from = start; from < end; from += limits.idsPerRequestMax) {
        const asked = ids.slice(from, Math.min(end, from + limits.idsPerRequestMax));
        parts.push(request({ kind: 'haveChunks', ids: asked }, ['chunksHeld']));
      }
      for (const part of await Promise.all(parts)) held.push(...part.held);
    }
    if (held.length === ids.length) return held;
    connection.fail('the relay answered about other chunks than were asked for');
    throw new SessionEnded('the relay answered about other chunks than were asked for');
  }

  return {
    welcome,
    relayKey,
    append: (record, chunks) =>
      request({ kind: 'append', record, chunks }, ['appended', 'stale', 'missingChunks', 'overQuota']),
    fetchRecords: (after, bytesMax) => request({ kind: 'fetchRecords', after, bytesMax }, ['recordsPage']),
    locate: (heads) => request({ kind: 'locate', heads: heads.slice(0, limits.headsPerLocateMax) }, ['located']),
    have,
    put,
    get,
    async putCheckpoint(checkpoint) {
      const put = await request({ kind: 'putCheckpoint', checkpoint }, ['checkpointStored', 'missingChunks']);
      return put.kind === 'missingChunks' ? put.ids : [];
    },
    async getCheckpoint(atMost) {
      return (await request({ kind: 'getCheckpoint', atMost }, ['checkpointFound'])).checkpoint;
    },
    async seed(checkpoint, records) {
      const first = takeRecords(records, limits.frameBytesAimed);
      return request({ kind: 'seed', checkpoint, records: first }, ['seeded', 'stale', 'missingChunks']);
    },
    sendPresence(sealed) {
      // It would be stale when it arrived; the next one follows soon.
      if (ended !== undefined || !connection.responsive || connection.socketBytes > limits.frameBytesAimed) return;
      connection.send(channel, { kind: 'presence', sealed });
    },
    distrust(reason) {
      if (ended === undefined) connection.fail(reason);
    },
    grantPushCredit(bytes) {
      creditOwedBytes += bytes;
      if (ended !== undefined || creditOwedBytes < creditStepBytes) return;
      connection.send(channel, { kind: 'credit', pushBytes: creditOwedBytes });
      creditOwedBytes = 0;
    },
    answer,
    end,
  };
}

function bytesOf(chunk: SealedChunk): number {
  return chunk.sealed.length + framingBytes;
}

function sumOf(chunks: readonly SealedChunk[]): number {
  return chunks.reduce((total, chunk) => total + bytesOf(chunk), 0);
}

/** At least one, and what else fits. */
function takeBatch(chunks: readonly SealedChunk[], start: number, frameBytes: number): readonly SealedChunk[] {
  const batch: SealedChunk[] = [];
  let bytes = 0;
  for (const chunk of chunks.slice(start, start + limits.chunksPerFrameMax)) {
    bytes += bytesOf(chunk);
    if (batch.length > 0 && bytes > frameBytes) break;
    batch.push(chunk);
  }
  return batch;
}

function takeRecords(records: readonly SealedRecord[], frameBytes: number): readonly SealedRecord[] {
  let bytes = 0;
  let count = 0;
  for (const record of records) {
    bytes += record.header.length + record.body.length + framingBytes * 2;
    if (count > 0 && (bytes > frameBytes || count >= limits.recordsPerFrameMax)) break;
    count += 1;
  }
  return records.slice(0, count);
}

/** A page answers for at least the first of the asked ids, and for those after it without a gap. */
function isPrefix(group: readonly ChunkId[], page: Answer<'chunksPage'>): boolean {
  const served = new Set([...page.chunks.map((chunk) => chunk.id), ...page.missing]);
  const count = page.chunks.length + page.missing.length;
  return count > 0 && count <= group.length && group.slice(0, count).every((id) => served.has(id));
}
