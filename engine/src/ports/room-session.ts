/**
 * An authenticated channel to one room at a relay, and the link that keeps it open. Requests reject with SessionEnded when the
 * connection ends before the answer; the caller then pulls to learn what happened (rule SENT).
 */
import type {
  Appended,
  ChunkId,
  Head,
  Located,
  MissingChunks,
  OverQuota,
  RecordsPage,
  SealedCheckpoint,
  SealedChunk,
  SealedRecord,
  Stale,
  Welcome,
} from '@driftless/protocol';
import type { Halt } from '../core/peer-state.ts';

export interface RoomSession {
  readonly welcome: Welcome;
  /** The relay's identity, proved in the handshake: pin it when none was pinned yet. 32 bytes. */
  readonly relayKey: Uint8Array;
  append(record: SealedRecord, chunks: readonly SealedChunk[]): Promise<Appended | Stale | MissingChunks | OverQuota>;
  fetchRecords(after: number, bytesMax: number): Promise<RecordsPage>;
  locate(heads: readonly Head[]): Promise<Located>;
  /** One boolean an id; splits long lists into requests. */
  have(ids: readonly ChunkId[], signal?: AbortSignal): Promise<readonly boolean[]>;
  /** Packs into frames, keeps within the put window, resolves when all are durable. `onProgress` gets stored bytes. */
  put(
    chunks: readonly SealedChunk[],
    options?: { readonly signal?: AbortSignal; readonly onProgress?: (bytes: number) => void },
  ): Promise<void>;
  /** Calls `onChunk`, one at a time, as they arrive, pipelined and bounded; resolves with those that the relay does not have. */
  get(
    ids: readonly ChunkId[],
    onChunk: (chunk: SealedChunk) => void | Promise<void>,
    signal?: AbortSignal,
  ): Promise<readonly ChunkId[]>;
  /** Resolves with chunks that it names and the relay lacks: then it was not stored. None: it was. */
  putCheckpoint(checkpoint: SealedCheckpoint): Promise<readonly ChunkId[]>;
  getCheckpoint(atMost: number): Promise<SealedCheckpoint | null>;
  /** Sends the checkpoint's record and as many of those after it as fit into a frame: append the rest after the head it gives. */
  seed(checkpoint: SealedCheckpoint, records: readonly SealedRecord[]): Promise<SeedAnswer>;
  sendPresence(sealed: Uint8Array): void;
  /** What came is not what was sent: ends the connection, to ask again on another one. */
  distrust(reason: string): void;
  /** Tells the relay that pushed bytes were consumed. */
  grantPushCredit(bytes: number): void;
}

export type SeedAnswer =
  | { readonly kind: 'seeded'; readonly head: Head }
  /** The room has a log by now: another peer was faster. */
  | { readonly kind: 'stale' }
  /** Chunks that the checkpoint names and the relay lacks, as many as fit one answer. */
  | { readonly kind: 'missingChunks'; readonly ids: readonly ChunkId[] };

export interface RoomSessionHandlers {
  /** A session is ready: pull from here. Records pushed before this call's return are delivered after it. */
  onOnline(session: RoomSession): void;
  onPushed(record: SealedRecord, chunks: readonly SealedChunk[]): void;
  onHeadMoved(head: Head): void;
  onPresence(sealed: Uint8Array): void;
  /** Not answering for 5 s, or not connected (W6). `session` promises may still resolve when it comes back to life. */
  onOffline(reason: string): void;
  /** Answering again on the same connection after onOffline. */
  onResponsive(): void;
  /** The relay answers and does not let this room in, or not on: wrong key, another relay key, version, a store that failed. */
  onRefused(refusal: Halt): void;
  /** The newest (height, id) that this peer knows, for the hello. */
  known(): Head | null;
}

export interface RoomLink {
  /** Try now instead of waiting out the backoff: called on a local change and on a person's wish. */
  nudge(): void;
  close(): void;
}

/** One connection a relay address, shared by all its rooms; reconnects with jittered backoff; addresses are tried in order. */
export interface RelayClient {
  open(
    options: {
      readonly urls: readonly string[];
      readonly relayKey: Uint8Array | null;
      readonly cipher: import('./room-cipher.ts').RoomCipher;
    },
    handlers: RoomSessionHandlers,
  ): RoomLink;
  close(): Promise<void>;
}

export class SessionEnded extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'SessionEnded';
  }
}
/** The relay refused one request. */
export class RequestRefused extends Error {
  readonly code: number;
  constructor(code: number, detail: string) {
    super(detail);
    this.name = 'RequestRefused';
    this.code = code;
  }
}
