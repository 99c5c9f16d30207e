/**
 * A relay within the process: the real room store and record checks, without sockets, handshake and time. Every answer comes
 * in a later turn; a link can be cut before or after an append took effect.
 */
import {
  type ChunkId,
  closeCodes,
  type RecordId,
  recordIdOf,
  type SealedChunk,
  type SealedRecord,
} from '@driftless/protocol';
import { memoryRoomStore } from '@driftless/relay';
import type { RoomCipher } from '../../engine/src/ports/room-cipher.ts';
import {
  type RelayClient,
  RequestRefused,
  type RoomSession,
  type RoomSessionHandlers,
  SessionEnded,
} from '../../engine/src/ports/room-session.ts';
import { checkRecord } from '../../relay/src/record-check.ts';

export interface MemoryRelay {
  /** `before` is called ahead of what changes something at the relay, `after` when it took effect and is not yet answered. */
  client(hooks?: { readonly before?: (what: string) => void; readonly after?: (what: string) => void }): RelayClient;
  /** Ends every open session; peers come back with the next turn. */
  cut(): void;
  /** Ends every open session; peers come back when it `returns`. */
  goesAway(): void;
  returns(): void;
  /** Takes what it is sent, and answers nothing until it is false again. */
  set isSilent(silent: boolean);
  /** Refuses chunks to readers, as a relay that has lost them. */
  losesChunks: boolean;
  /** Chunks that it lost, until somebody puts them again. */
  readonly lost: Set<ChunkId>;
  /** What each reader is given for a record, fetched or pushed: its bytes, or others. */
  gives: (record: SealedRecord) => SealedRecord;
  /** Records whose bytes it damaged, until somebody sends them again. */
  readonly damaged: Set<RecordId>;
  /** The lowest height of which it gives records, as after a seed; 0: all. */
  floor: number;
  /** Sealed bytes that the room, and the relay, may hold. */
  readonly quotas: { roomBytesMax: number; totalBytesMax: number };
  /** Asked before each request is dealt with: what it returns is the answer instead. */
  refuses: (request: RelayRequest, ids: readonly ChunkId[]) => RequestRefused | undefined;
  /** Most sealed bytes that a peer had in its hands for one `put`. */
  readonly largestPutBytes: number;
  /** Requests so far, by kind. */
  readonly requests: ReadonlyMap<RelayRequest, number>;
  readonly appends: number;
  /** Presences that peers sent. */
  readonly presences: number;
  /** What each other member is given for a presence: it, others, or none. */
  passesOn: (sealed: Uint8Array) => readonly Uint8Array[];
  /** Gives all members a presence of its choice. */
  play(sealed: Uint8Array): void;
}

export type RelayRequest = Exclude<
  keyof RoomSession,
  'welcome' | 'relayKey' | 'sendPresence' | 'distrust' | 'grantPushCredit'
>;

/** One bit of it is another. */
export function flipped(record: SealedRecord, part: keyof SealedRecord): SealedRecord {
  const bytes = Uint8Array.from(record[part]);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  return { ...record, [part]: bytes };
}

interface Member {
  readonly handlers: RoomSessionHandlers;
  readonly end: (reason: string) => void;
}

export function createMemoryRelay(): MemoryRelay {
  const quotas = { roomBytesMax: Number.MAX_SAFE_INTEGER, totalBytesMax: Number.MAX_SAFE_INTEGER };
  const store = memoryRoomStore({ storeId: new Uint8Array(16).fill(7), quotas });
  const requests = new Map<RelayRequest, number>();
  const members = new Set<Member>();
  let isAway = false;
  const kept: (() => void)[] = [];
  let isSilent = false;
  const unanswered: (() => void)[] = [];
  let appends = 0;
  let presences = 0;
  let largestPutBytes = 0;
  const nowMs = 0;
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const tell = (member: Member, sealed: Uint8Array): void => {
    setImmediate(() => members.has(member) && member.handlers.onPresence(sealed));
  };

  const relay: MemoryRelay = {
    losesChunks: false,
    floor: 0,
    lost: new Set(),
    gives: (record) => record,
    damaged: new Set(),
    quotas,
    refuses: () => undefined,
    requests,
    get largestPutBytes() {
      return largestPutBytes;
    },
    get appends() {
      return appends;
    },
    get presences() {
      return presences;
    },
    passesOn: (sealed) => [sealed],
    play: (sealed) => {
      for (const member of members) tell(member, sealed);
    },
    cut: () => {
      for (const member of [...members]) member.end('cut');
    },
    goesAway: () => {
      isAway = true;
      relay.cut();
    },
    set isSilent(silent: boolean) {
      isSilent = silent;
      if (!silent) for (const answer of unanswered.splice(0)) answer();
    },
    returns: () => {
      isAway = false;
      for (const connect of kept.splice(0)) connect();
    },
    client: ({ before = () => {}, after = () => {} } = {}) => ({
      open: ({ cipher }, handlers) => {
        let closed = false;
        let end: ((reason: string) => void) | undefined;
        const connect = async (): Promise<void> => {
          await turn();
          if (isAway) await new Promise<void>((resolve) => kept.push(resolve));
          if (closed) return;
          const known = handlers.known();
          const { room, holdsKnown } = await store.lookUp(cipher.room, known);
          if (closed) return;
          const welcome = {
            kind: 'welcome',
            head: room?.head ?? null,
            floor: Math.max(relay.floor, room?.floor ?? 0),
            holdsKnown,
            putWindowBytes: 1024 * 1024,
            storeId: store.storeId,
          } as const;
          const opened = openSession(cipher, welcome, { before, after });
          const member: Member = {
            handlers,
            end: (reason) => {
              members.delete(member);
              opened.end(reason);
              handlers.onOffline(reason);
              if (!closed) void connect();
            },
          };
          end = (reason) => {
            members.delete(member);
            opened.end(reason);
          };
          opened.member(member);
          members.add(member);
          handlers.onOnline(opened.session);
        };
        void connect();
        return {
          nudge: () => {},
          close: () => {
            closed = true;
            end?.('closed');
          },
        };
      },
      close: async () => {},
    }),
  };

  const asGiven = (record: SealedRecord): SealedRecord =>
    relay.gives(relay.damaged.has(recordIdOf(record.header)) ? flipped(record, 'body') : record);

  function openSession(
    cipher: RoomCipher,
    welcome: RoomSession['welcome'],
    hooks: { readonly before: (what: string) => void; readonly after: (what: string) => void },
  ) {
    let ended: string | undefined;
    let self: Member | undefined;
    const keys = { reader: cipher.readerKey, writer: cipher.writerKey };
    const { room } = cipher;
    const ask = async <Answer>(
      request: RelayRequest,
      act: () => Promise<Answer>,
      ids: readonly ChunkId[] = [],
    ): Promise<Answer> => {
      await turn();
      if (ended !== undefined) throw new SessionEnded(ended);
      requests.set(request, (requests.get(request) ?? 0) + 1);
      const refusal = relay.refuses(request, ids);
      if (refusal !== undefined) throw refusal;
      const answer = await act();
      if (isSilent) await new Promise<void>((resolve) => unanswered.push(resolve));
      await turn();
      if (ended !== undefined) throw new SessionEnded(ended);
      return answer;
    };
    const others = (): Member[] => [...members].filter((member) => member !== self);
    const pushLater = (record: SealedRecord, chunks: readonly SealedChunk[]): void => {
      for (const member of others())
        setImmediate(() => members.has(member) && member.handlers.onPushed(asGiven(record), chunks));
    };

    const session: RoomSession = {
      welcome,
      relayKey: new Uint8Array(32),
      append: (record, chunks) =>
        ask('append', async () => {
          hooks.before('append');
          const checked = checkRecord(record, { room, writerKey: cipher.writerKey });
          if (!checked.ok) throw new RequestRefused(1, checked.error.detail);
          const coming = new Set(chunks.map(({ id }) => id));
          const gone = [...relay.lost].filter((id) => checked.value.adds.includes(id) && !coming.has(id));
          if (gone.length > 0) return { kind: 'missingChunks', request: 0, ids: gone };
          const outcome = await store.append({ room, keys, entry: checked.value, chunks, nowMs });
          if (outcome.kind === 'missing') return { kind: 'missingChunks', request: 0, ids: outcome.ids };
          if (outcome.kind === 'held') {
            if (relay.damaged.delete(checked.value.id)) pushLater(record, chunks);
            return { kind: 'appended', request: 0, head: outcome.head };
          }
          if (outcome.kind === 'appended') {
            appends += 1;
            pushLater(record, chunks);
            hooks.after('append');
          }
          return { request: 0, ...outcome };
        }),
      fetchRecords: (after, bytesMax) =>
        ask('fetchRecords', async () => {
          const { records, ...page } = await store.records(room, { after, bytesMax });
          const floor = Math.max(relay.floor, page.floor);
          const given = after + 1 < floor ? [] : records.map(asGiven);
          return { kind: 'recordsPage', request: 0, ...page, floor, records: given };
        }),
      locate: (heads) =>
        ask('locate', async () => ({ kind: 'located', request: 0, ...(await store.locate(room, heads)) })),
      have: (ids) =>
        ask('have', async () => {
          const held = await store.have(room, ids);
          return ids.map((id, index) => held[index] === true && !relay.lost.has(id));
        }),
      put: (chunks) => {
        const ids = chunks.map(({ id }) => id);
        const act = async (): Promise<void> => {
          hooks.before('put');
          largestPutBytes = Math.max(
            largestPutBytes,
            chunks.reduce((sum, chunk) => sum + chunk.sealed.length, 0),
          );
          const outcome = await store.put({ room, keys, chunks, nowMs });
          for (const { id } of chunks) relay.lost.delete(id);
          if (outcome.kind === 'overQuota') throw new RequestRefused(closeCodes.overQuota.code, outcome.what);
        };
        return ask('put', act, ids);
      },
      get: (ids, onChunk) =>
        ask(
          'get',
          async () => {
            if (relay.losesChunks) return ids;
            const missing = ids.filter((id) => relay.lost.has(id));
            for (let rest = ids.filter((id) => !relay.lost.has(id)); rest.length > 0; ) {
              const found = await store.get(room, rest, 1024 * 1024);
              for (const chunk of found.chunks) await onChunk(chunk);
              missing.push(...found.missing);
              rest = rest.slice(found.chunks.length + found.missing.length);
            }
            return missing;
          },
          ids,
        ),
      putCheckpoint: (checkpoint) =>
        ask('putCheckpoint', async () => {
          await store.putCheckpoint({ room, checkpoint, nowMs });
          return [];
        }),
      getCheckpoint: (atMost) => ask('getCheckpoint', () => store.checkpoint(room, atMost)),
      seed: () =>
        ask('seed', async () => {
          throw new RequestRefused(1, 'this relay never loses its rooms');
        }),
      sendPresence: (sealed) => {
        presences += 1;
        if (ended !== undefined) return;
        for (const given of relay.passesOn(sealed)) for (const member of others()) tell(member, given);
      },
      distrust: (reason) => self?.end(reason),
      grantPushCredit: () => {},
    };
    return {
      session,
      member: (member: Member) => {
        self = member;
      },
      end: (reason: string) => {
        ended = reason;
      },
    };
  }
  return relay;
}
