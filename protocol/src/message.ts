/**
 * The inner form of every message, both directions. The codec turns them into bytes and back, checks every length, and
 * never throws. `request` numbers pair an answer with its question within one channel.
 */
import type { ChunkId, RoomId } from './ids.ts';
import type { Head, SealedCheckpoint, SealedChunk, SealedRecord } from './record.ts';

export type Role = 'reader' | 'writer';

// ── from a peer ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Opens a channel (rule ADM1). The handshake signs the exact bytes of Hello, Challenge. */
export interface Hello {
  readonly kind: 'hello';
  readonly clientRandom: Uint8Array; // 32
  readonly versions: readonly number[];
  readonly features: number; // bit set
  readonly room: RoomId;
  readonly role: Role;
  readonly known: Head | null;
  /** Bytes of pushed records that the relay may send before the next `credit`. */
  readonly pushCreditBytes: number;
}
/** Signature by the admission key of the role over domain ‖ SHA-256(hello ‖ challenge ‖ both public keys). */
export interface Proof {
  readonly kind: 'proof';
  readonly readerKey: Uint8Array; // 32, Ed25519 public
  readonly writerKey: Uint8Array; // 32
  readonly signature: Uint8Array; // 64
}
/** `chunks` are stored in the same transaction as the record: small new ones along with their append. */
export interface Append {
  readonly kind: 'append';
  readonly request: number;
  readonly record: SealedRecord;
  readonly chunks: readonly SealedChunk[];
}
/** Records after a height, in order, as many as fit. `after` 0 starts at the floor if the floor is 1. */
export interface FetchRecords {
  readonly kind: 'fetchRecords';
  readonly request: number;
  readonly after: number;
  readonly bytesMax: number;
}
/** Which of these does the relay's log hold? For finding the last common record (rule RB2). Newest first, at most 4,096. */
export interface Locate {
  readonly kind: 'locate';
  readonly request: number;
  readonly heads: readonly Head[];
}
export interface HaveChunks {
  readonly kind: 'haveChunks';
  readonly request: number;
  readonly ids: readonly ChunkId[];
}
export interface PutChunks {
  readonly kind: 'putChunks';
  readonly request: number;
  readonly chunks: readonly SealedChunk[];
}
/** The answer holds a prefix of `ids` (those that fit in bytesMax, the missing ones named); ask again for the rest. */
export interface GetChunks {
  readonly kind: 'getChunks';
  readonly request: number;
  readonly ids: readonly ChunkId[];
  readonly bytesMax: number;
}
export interface PutCheckpoint {
  readonly kind: 'putCheckpoint';
  readonly request: number;
  readonly checkpoint: SealedCheckpoint;
}
/** Answered with the newest checkpoint at or below `atMost` (0 = any). */
export interface GetCheckpoint {
  readonly kind: 'getCheckpoint';
  readonly request: number;
  readonly atMost: number;
}
/** Starts a log at the checkpoint's height, while the relay has none of that room (rule SEED). records[0] is the checkpoint's record. */
export interface Seed {
  readonly kind: 'seed';
  readonly request: number;
  readonly checkpoint: SealedCheckpoint;
  readonly records: readonly SealedRecord[];
}
/** Sealed and signed among the peers; passed on, never stored (rule PRESENCE). */
export interface Presence {
  readonly kind: 'presence';
  readonly sealed: Uint8Array;
}
/** Channel 0. */
export interface Ping {
  readonly kind: 'ping';
  readonly token: number;
}
export interface Credit {
  readonly kind: 'credit';
  readonly pushBytes: number;
}
/** Ends a channel; the connection goes on. */
export interface Leave {
  readonly kind: 'leave';
}

export type ClientMessage =
  | Hello
  | Proof
  | Append
  | FetchRecords
  | Locate
  | HaveChunks
  | PutChunks
  | GetChunks
  | PutCheckpoint
  | GetCheckpoint
  | Seed
  | Presence
  | Ping
  | Credit
  | Leave;

// ── from a relay ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** Relay's identity and its signature over domain ‖ SHA-256(hello ‖ relayRandom ‖ version ‖ relayKey). */
export interface Challenge {
  readonly kind: 'challenge';
  readonly relayRandom: Uint8Array; // 32
  readonly relayKey: Uint8Array; // 32, Ed25519 public
  readonly version: number;
  readonly features: number;
  readonly signature: Uint8Array; // 64
}
export interface Welcome {
  readonly kind: 'welcome';
  /** null: the relay has no log of this room. */
  readonly head: Head | null;
  /** Lowest height that the log still holds; 0 without a log. */
  readonly floor: number;
  /** Whether the log holds the hello's `known` (true when `known` was null). */
  readonly holdsKnown: boolean;
  /** Bytes of unanswered putChunks that the peer may have under way. */
  readonly putWindowBytes: number;
  /** Random id of this relay's store, so that a refilled one is recognised. 16 bytes. */
  readonly storeId: Uint8Array;
}
export interface Appended {
  readonly kind: 'appended';
  readonly request: number;
  readonly head: Head;
}
/** The head moved: the records since the append's prev, at most 256 KiB; more by fetchRecords (rule PR1). */
export interface Stale {
  readonly kind: 'stale';
  readonly request: number;
  readonly head: Head | null;
  readonly records: readonly SealedRecord[];
}
export interface MissingChunks {
  readonly kind: 'missingChunks';
  readonly request: number;
  readonly ids: readonly ChunkId[];
}
export interface OverQuota {
  readonly kind: 'overQuota';
  readonly request: number;
  readonly what: string;
}
export interface RecordsPage {
  readonly kind: 'recordsPage';
  readonly request: number;
  readonly head: Head | null;
  readonly floor: number;
  readonly records: readonly SealedRecord[];
}
/** The newest of the asked heads that the log holds, or null. */
export interface Located {
  readonly kind: 'located';
  readonly request: number;
  readonly common: Head | null;
  readonly head: Head | null;
}
export interface ChunksHeld {
  readonly kind: 'chunksHeld';
  readonly request: number;
  /** One boolean per asked id, in order. */
  readonly held: readonly boolean[];
}
export interface ChunksStored {
  readonly kind: 'chunksStored';
  readonly request: number;
}
export interface ChunksPage {
  readonly kind: 'chunksPage';
  readonly request: number;
  readonly chunks: readonly SealedChunk[];
  readonly missing: readonly ChunkId[];
}
export interface CheckpointStored {
  readonly kind: 'checkpointStored';
  readonly request: number;
}
export interface CheckpointFound {
  readonly kind: 'checkpointFound';
  readonly request: number;
  readonly checkpoint: SealedCheckpoint | null;
}
export interface Seeded {
  readonly kind: 'seeded';
  readonly request: number;
  readonly head: Head;
}
/** A record of another peer, after its commit (rule LOG4). */
export interface Pushed {
  readonly kind: 'pushed';
  readonly record: SealedRecord;
  /** The small chunks that came along with its append, so that one edit needs no further question. */
  readonly chunks: readonly SealedChunk[];
}
/** Sent instead of `pushed` when the credit is used up: fetch when ready. */
export interface HeadMoved {
  readonly kind: 'headMoved';
  readonly head: Head;
}
export interface Pong {
  readonly kind: 'pong';
  readonly token: number;
}
/** Refuses one request, or ends the channel when request is 0. Codes: close-codes.ts. */
export interface ChannelError {
  readonly kind: 'channelError';
  readonly request: number;
  readonly code: number;
  readonly detail: string;
}

export type RelayMessage =
  | Challenge
  | Welcome
  | Appended
  | Stale
  | MissingChunks
  | OverQuota
  | RecordsPage
  | Located
  | ChunksHeld
  | ChunksStored
  | ChunksPage
  | CheckpointStored
  | CheckpointFound
  | Seeded
  | Presence
  | Pushed
  | HeadMoved
  | Pong
  | ChannelError;

export type Message = ClientMessage | RelayMessage;

export interface Frame {
  /** 0 is the connection itself (ping, pong, errors); rooms use 1…limits.channelsMax, chosen by the peer. */
  readonly channel: number;
  readonly message: Message;
}
