/**
 * One room on one connection, from hello to the end (rules ADM1, ADM2, LOG4, PR1, SEED, PRESENCE).
 *
 *   fresh ──hello──▶ challenged ──proof──▶ proving ──▶ open ──leave──▶ fresh
 *                                             └─refused─▶ ended        any state ──error──▶ ended ──hello──▶ challenged
 *
 * `ended` is what remains after the relay ended a channel: messages that were under way are dropped until a new hello. Frames,
 * budgets and the socket are the connection's; what is stored, and in which order, the store's.
 */
import {
  type Append,
  type ChunkId,
  type CloseName,
  challengeMessage,
  closeCodes,
  encodeFrame,
  features,
  type GetChunks,
  type Head,
  type Hello,
  limits,
  type Message,
  type Proof,
  type PutCheckpoint,
  type PutChunks,
  protocolVersion,
  type RelayMessage,
  type RoomId,
  type SealedChunk,
  type SealedRecord,
  type Seed,
} from '@driftless/protocol';
import { isAdmitted, isProofValid } from './admission.ts';
import type { Clock } from './clock.ts';
import type { FanOut, Member } from './fan-out.ts';
import type { RelayIdentity } from './identity.ts';
import type { RelayLog } from './log.ts';
import { checkRecord, type Refusal, refusalOfCheckpoint } from './record-check.ts';
import type { RelayLimits } from './relay-limits.ts';
import { chunksBytes, parseListChunk, recordBytes, sha256Hex } from './store/bytes.ts';
import {
  type AdmissionKeys,
  type Full,
  type Missing,
  type RecordToStore,
  type RoomStore,
  StoreError,
} from './store/room-store.ts';
import { refusalOf } from './store-refusal.ts';
import { createTokenBucket } from './token-bucket.ts';

/** What every channel of a relay shares. */
export interface RelayParts {
  readonly store: RoomStore;
  readonly identity: RelayIdentity;
  readonly fanOut: FanOut;
  readonly clock: Clock;
  readonly log: RelayLog;
  readonly limits: RelayLimits;
  readonly randomBytes: (count: number) => Uint8Array;
}

/** The connection as its channels see it. After its end, sending does nothing. */
export interface ChannelLink {
  send(frame: Uint8Array): void;
  bufferedBytes(): number;
  /** Resolves when answers may be read again: little is buffered, or the connection has ended. */
  drained(): Promise<void>;
  isOpen(): boolean;
  /** A room let this connection in. */
  onAdmitted(): void;
  onRefused(): void;
}

export interface Channel {
  /** Resolves when the message has been dealt with. Never rejects. `frame` holds exactly its bytes. */
  take(message: Message, frame: Uint8Array): Promise<void>;
  /** Ends the channel with a code, as after a message that it does not understand. */
  fail(code: CloseName, detail: string): void;
  /** The connection is gone. */
  dispose(): void;
}

/** Credit beyond this means nothing more: pushes stop at the send buffer's bound anyway. */
const creditBytesMax = 64 * 1024 * 1024;

interface RoomMember extends Member {
  /** Credit from the peer. */
  grant(bytes: number): void;
  /** The peer asked for records by itself. */
  fetched(): void;
}
interface OpenRoom {
  readonly kind: 'open';
  readonly room: RoomId;
  readonly canWrite: boolean;
  readonly keys: AdmissionKeys;
  readonly member: RoomMember;
}
type ChannelState =
  | { readonly kind: 'fresh' }
  | { readonly kind: 'ended' }
  | {
      readonly kind: 'challenged';
      readonly hello: Hello;
      readonly helloFrame: Uint8Array;
      readonly challengeFrame: Uint8Array;
    }
  | { readonly kind: 'proving' }
  | OpenRoom;

export function createChannel(number: number, link: ChannelLink, parts: RelayParts): Channel {
  const { store, identity, fanOut, clock, log } = parts;
  let state: ChannelState = { kind: 'fresh' };

  const send = (message: RelayMessage): void => link.send(encodeFrame({ channel: number, message }));
  const refuseRequest = (request: number, { code, detail }: Refusal): void =>
    send({
      kind: 'channelError',
      request,
      code: closeCodes[code].code,
      detail: detail.slice(0, limits.detailBytesMax),
    });

  /** Answers a request, unless the channel that it came on has ended, or begun anew, since. */
  const answer = (open: OpenRoom, message: RelayMessage): void => {
    if (state === open) send(message);
  };
  const refuse = (open: OpenRoom, request: number, refusal: Refusal): void => {
    if (state === open) refuseRequest(request, refusal);
  };

  function leaveRoom(): void {
    if (state.kind === 'open') fanOut.leave(state.room, state.member);
  }
  function fail(code: CloseName, detail: string): void {
    if (state.kind === 'ended') return;
    leaveRoom();
    state = { kind: 'ended' };
    refuseRequest(0, { code, detail });
  }

  function onHello(hello: Hello, frame: Uint8Array): void {
    if (frame.length > parts.limits.strangerBytesMax) return fail('badFrame', 'a hello that is too long');
    if (!hello.versions.includes(protocolVersion)) {
      return fail('version', `this relay speaks version ${protocolVersion}: update the older side`);
    }
    const challenge = {
      relayRandom: parts.randomBytes(32),
      relayKey: identity.publicKey,
      version: protocolVersion,
      features: features & hello.features,
    };
    // The frame may be a view into a larger read: what is kept is its own.
    const helloFrame = new Uint8Array(frame);
    const signature = identity.sign(challengeMessage(helloFrame, challenge));
    const challengeFrame = encodeFrame({ channel: number, message: { kind: 'challenge', ...challenge, signature } });
    state = {
      kind: 'challenged',
      hello: { ...hello, clientRandom: new Uint8Array(hello.clientRandom) },
      helloFrame,
      challengeFrame,
    };
    link.send(challengeFrame);
  }

  async function onProof(proof: Proof, challenged: ChannelState & { kind: 'challenged' }): Promise<void> {
    const provenAtMs = clock.monotonicMs();
    const proving: ChannelState = { kind: 'proving' };
    state = proving;
    const { hello } = challenged;
    const isValid = isProofValid({ ...challenged, proof });
    const { room, holdsKnown } = await store.lookUp(hello.room, hello.known);
    if (!isValid || !isAdmitted(hello, proof, room)) {
      // The same answer at the same time after the proof, whichever of the reasons it was (ADM2).
      const restMs = parts.limits.refusalDelayMs - (clock.monotonicMs() - provenAtMs);
      await new Promise<void>((resolve) => clock.after(Math.max(0, restMs), resolve));
      if (state !== proving) return;
      fail('refused', 'no such room, or not allowed');
      link.onRefused();
      return;
    }
    if (state !== proving || !link.isOpen()) return;
    const member = createMember(hello.pushCreditBytes);
    // From the look-up's answer to here nothing else ran: no commit falls between the head below and the first push.
    state = {
      kind: 'open',
      room: hello.room,
      canWrite: hello.role === 'writer',
      keys: { reader: new Uint8Array(proof.readerKey), writer: new Uint8Array(proof.writerKey) },
      member,
    };
    fanOut.join(hello.room, member);
    link.onAdmitted();
    send({
      kind: 'welcome',
      head: room?.head ?? null,
      floor: room?.floor ?? 0,
      holdsKnown,
      putWindowBytes: limits.putWindowBytes,
      storeId: store.storeId,
    });
    log.debug('admitted', { room: hello.room.slice(0, 8), role: hello.role, height: room?.head?.height ?? 0 });
  }

  /** What this channel is sent unasked, within its credit. */
  function createMember(initialCreditBytes: number): RoomMember {
    let creditBytes = Math.min(initialCreditBytes, creditBytesMax);
    /** A `headMoved` is on its way that neither a fetch nor new credit has answered. */
    let toldThatHeadMoved = false;
    return {
      onCommitted(head: Head, record: SealedRecord, chunks: readonly SealedChunk[]) {
        const bytes = recordBytes(record) + chunksBytes(chunks);
        if (bytes <= creditBytes && link.bufferedBytes() <= parts.limits.sendBufferPushBytes) {
          creditBytes -= bytes;
          send({ kind: 'pushed', record, chunks });
        } else if (!toldThatHeadMoved) {
          toldThatHeadMoved = true;
          send({ kind: 'headMoved', head });
        }
      },
      onPresence(sealed) {
        // Presence is about now: to a peer that reads slowly it is not worth keeping.
        if (link.bufferedBytes() <= parts.limits.sendBufferAnswersBytes) send({ kind: 'presence', sealed });
      },
      grant(bytes) {
        creditBytes = Math.min(creditBytes + bytes, creditBytesMax);
        toldThatHeadMoved = false;
      },
      fetched() {
        toldThatHeadMoved = false;
      },
    };
  }

  const presenceBucket = createTokenBucket({
    perSecond: parts.limits.presencePerSecond,
    burst: parts.limits.presenceBurst,
  });

  async function onAppend(open: OpenRoom, { request, record, chunks }: Append): Promise<void> {
    if (chunksBytes(chunks) > limits.appendChunkBytesMax) {
      return refuse(open, request, { code: 'badRequest', detail: 'too many bytes of chunks along with an append' });
    }
    const checked = checkRecord(record, { room: open.room, writerKey: open.keys.writer });
    if (!checked.ok) return refuse(open, request, checked.error);
    const entry = checked.value;
    const outcome = await store.append({ room: open.room, keys: open.keys, entry, chunks, nowMs: clock.nowMs() });
    switch (outcome.kind) {
      case 'appended':
        fanOut.committed(open.room, open.member, outcome.head, record, chunks);
        return answer(open, { kind: 'appended', request, head: outcome.head });
      case 'held':
        // Who could not read it gets it at once.
        if (outcome.restored) fanOut.committed(open.room, open.member, outcome.head, record, []);
        return answer(open, { kind: 'appended', request, head: outcome.head });
      case 'stale':
        return answer(open, { kind: 'stale', request, head: outcome.head, records: outcome.records });
      case 'missing':
      case 'overQuota':
        return sendShortfall(open, request, outcome);
    }
  }

  async function onSeed(open: OpenRoom, { request, checkpoint, records }: Seed): Promise<void> {
    const entries: RecordToStore[] = [];
    for (const record of records) {
      const checked = checkRecord(record, { room: open.room, writerKey: open.keys.writer });
      if (!checked.ok) return refuse(open, request, checked.error);
      entries.push(checked.value);
    }
    const refusal = refusalOfCheckpoint(checkpoint, open.keys.writer);
    if (refusal !== undefined) return refuse(open, request, refusal);
    const shortfall = await missingListed(open.room, checkpoint.lists);
    if (shortfall !== undefined) return sendShortfall(open, request, shortfall);
    const outcome = await store.seed({ room: open.room, keys: open.keys, checkpoint, entries, nowMs: clock.nowMs() });
    switch (outcome.kind) {
      case 'seeded': {
        const last = records.at(-1);
        if (last !== undefined) fanOut.committed(open.room, open.member, outcome.head, last, []);
        return answer(open, { kind: 'seeded', request, head: outcome.head });
      }
      case 'stale':
        return answer(open, { kind: 'stale', request, head: outcome.head, records: outcome.records });
      case 'missing':
      case 'overQuota':
        return sendShortfall(open, request, outcome);
      case 'broken':
        return refuse(open, request, { code: 'badRecord', detail: `the seed is refused: ${outcome.reason}` });
    }
  }

  async function onPutCheckpoint(open: OpenRoom, { request, checkpoint }: PutCheckpoint): Promise<void> {
    const refusal = refusalOfCheckpoint(checkpoint, open.keys.writer);
    if (refusal !== undefined) return refuse(open, request, refusal);
    const shortfall = await missingListed(open.room, checkpoint.lists);
    if (shortfall !== undefined) return sendShortfall(open, request, shortfall);
    const outcome = await store.putCheckpoint({ room: open.room, checkpoint, nowMs: clock.nowMs() });
    switch (outcome.kind) {
      case 'stored':
        return answer(open, { kind: 'checkpointStored', request });
      case 'missing':
      case 'overQuota':
        return sendShortfall(open, request, outcome);
      case 'unknownRecord':
        return refuse(open, request, { code: 'badRequest', detail: "the log does not hold the checkpoint's record" });
    }
  }

  /**
   * What a checkpoint lists and the store does not hold (GC2): one answer's worth, or undefined. Asked in slices, not in one
   * transaction, so that a large checkpoint holds no append up; chunks leave only a day after they were condemned (GC3).
   */
  async function missingListed(room: RoomId, lists: readonly ChunkId[]): Promise<Missing | undefined> {
    const missing = new Set<ChunkId>();
    for (const list of lists) {
      const [chunk] = (await store.get(room, [list], limits.sealedChunkBytesMax)).chunks;
      const ids = chunk !== undefined && sha256Hex(chunk.sealed) === list ? parseListChunk(chunk.sealed) : undefined;
      if (ids === undefined) {
        missing.add(list);
        continue;
      }
      const held = await store.keep(room, ids);
      ids.forEach((id, index) => {
        if (held[index] !== true && missing.size < limits.idsPerRequestMax) missing.add(id);
      });
      if (missing.size >= limits.idsPerRequestMax) break;
    }
    return missing.size === 0 ? undefined : { kind: 'missing', ids: [...missing].slice(0, limits.idsPerRequestMax) };
  }

  async function onPutChunks(open: OpenRoom, { request, chunks }: PutChunks): Promise<void> {
    const outcome = await store.put({ room: open.room, keys: open.keys, chunks, nowMs: clock.nowMs() });
    if (outcome.kind === 'stored') answer(open, { kind: 'chunksStored', request });
    else sendShortfall(open, request, outcome);
  }

  async function onGetChunks(open: OpenRoom, { request, ids, bytesMax }: GetChunks): Promise<void> {
    await link.drained();
    const found = await store.get(open.room, ids, answerBytes(bytesMax));
    answer(open, { kind: 'chunksPage', request, chunks: found.chunks, missing: found.missing });
  }

  function sendShortfall(open: OpenRoom, request: number, outcome: Missing | Full): void {
    if (outcome.kind === 'missing') return answer(open, { kind: 'missingChunks', request, ids: outcome.ids });
    log.warn('over quota', { what: outcome.what });
    answer(open, { kind: 'overQuota', request, what: outcome.what });
  }

  /** Messages of an open channel. */
  async function onRequest(open: OpenRoom, message: Message): Promise<void> {
    switch (message.kind) {
      case 'append':
      case 'seed':
      case 'putChunks':
      case 'putCheckpoint':
        if (!open.canWrite) {
          return refuse(open, message.request, { code: 'refused', detail: 'readers of this room may not write' });
        }
        if (message.kind === 'append') return onAppend(open, message);
        if (message.kind === 'seed') return onSeed(open, message);
        if (message.kind === 'putChunks') return onPutChunks(open, message);
        return onPutCheckpoint(open, message);
      case 'fetchRecords': {
        await link.drained();
        open.member.fetched();
        const { request, after, bytesMax } = message;
        return answer(open, {
          kind: 'recordsPage',
          request,
          ...(await store.records(open.room, { after, bytesMax: answerBytes(bytesMax) })),
        });
      }
      case 'locate':
        return answer(open, {
          kind: 'located',
          request: message.request,
          ...(await store.locate(open.room, message.heads)),
        });
      case 'haveChunks':
        await link.drained();
        return answer(open, {
          kind: 'chunksHeld',
          request: message.request,
          held: await store.have(open.room, message.ids),
        });
      case 'getChunks':
        return onGetChunks(open, message);
      case 'getCheckpoint': {
        await link.drained();
        const checkpoint = await store.checkpoint(open.room, message.atMost);
        return answer(open, { kind: 'checkpointFound', request: message.request, checkpoint });
      }
      case 'presence':
        if (presenceBucket.take(1, clock.monotonicMs()) === 0) fanOut.presence(open.room, open.member, message.sealed);
        return;
      case 'credit':
        return open.member.grant(message.pushBytes);
      default:
        return fail('badRequest', `"${message.kind}" does not fit an open channel`);
    }
  }

  async function dispatch(message: Message, frame: Uint8Array): Promise<void> {
    if (message.kind === 'leave') {
      leaveRoom();
      state = { kind: 'fresh' };
      return;
    }
    switch (state.kind) {
      case 'fresh':
        if (message.kind === 'hello') return onHello(message, frame);
        return fail('badRequest', `"${message.kind}" before a hello`);
      case 'ended':
        if (message.kind === 'hello') return onHello(message, frame);
        return;
      case 'challenged':
        if (message.kind === 'proof') return onProof(message, state);
        return fail('badRequest', `"${message.kind}" where a proof belongs`);
      case 'proving':
        return fail('badRequest', `"${message.kind}" before the welcome`);
      case 'open':
        return onRequest(state, message);
    }
  }

  return {
    fail,
    async take(message, frame) {
      const before = state;
      try {
        await dispatch(message, frame);
      } catch (error) {
        const failure = error instanceof StoreError ? error : undefined;
        log.error('request failed', {
          kind: message.kind,
          code: failure?.code ?? 'internal',
          reason: error instanceof Error ? error.message : String(error),
        });
        const refusal = refusalOf(failure);
        if ('request' in message && before.kind === 'open') refuse(before, message.request, refusal);
        else fail(refusal.code, refusal.detail);
      }
    },
    dispose() {
      leaveRoom();
      state = { kind: 'ended' };
    },
  };
}

/** At least a little, so that a request makes progress; at most what frames aim at. */
const answerBytes = (bytesMax: number): number => Math.min(Math.max(bytesMax, 1), limits.frameBytesAimed);
