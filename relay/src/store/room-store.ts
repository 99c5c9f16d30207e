/**
 * Port: where a relay keeps its rooms. Carries rules LOG1, LOG4, GC1, GC2, GC5, SEED, CLOCK, PR1 and FAST4; who may ask for
 * what, signatures and limits of frames are the server's business, and what the bytes mean is nobody's here.
 *
 * Guarantees of every implementation, kept by the one suite in test/contract/:
 *
 * - **Compare-and-swap.** Of any number of appends at one head, exactly one is accepted. Height, prev, epoch and the presence
 *   of every chunk that the record needs are checked in the transaction that stores it.
 * - **Whole or not at all.** An append stores its record and the chunks that came along, or nothing. A crash, a full disk or a
 *   kill at any moment leaves whole operations only.
 * - **Durable before answered.** An operation that stores resolves after its bytes are flushed; an accepted append was read
 *   back as the head's successor before it resolves (LOG4). The store in memory keeps all of this but the flush.
 * - **Ordered within a room.** Operations on a room take effect in the order of the calls, and their promises resolve in that order.
 * - **Fair between rooms.** An operation that takes long holds up its own room only: others have their turn between its steps.
 * - **First put wins.** A chunk that is held keeps its bytes, unless only the new bytes are those that its id names
 *   (a clear list-chunk or a piece of a body), or the held ones no longer match what was stored (GC5).
 * - **What no record names gives way.** A chunk that was put, and that neither a record nor a checkpoint has named, may be the part of
 *   an upload that will never be whole. It counts for the quota, and is dropped for a record that needs the room, and for other puts
 *   once nobody has put it or asked about it for `looseIdleMs`; whoever still needs it hears that it is missing and puts it again.
 * - **Expected refusals are answers**, in the outcome types below; anything else rejects with StoreError, after which the store
 *   goes on serving.
 */
import type { ChunkId, Head, RecordId, RoomId, SealedCheckpoint, SealedChunk, SealedRecord } from '@driftless/protocol';

/** A room's current admission pair (rule EPOCH): raw Ed25519 public keys, 32 bytes each. */
export interface AdmissionKeys {
  readonly reader: Uint8Array;
  readonly writer: Uint8Array;
}

/** What a room looks like from outside. `head` is null, and `floor` 0, while it has no log: only chunks were put so far. */
export interface RoomState {
  readonly keys: AdmissionKeys;
  readonly epoch: number;
  readonly head: Head | null;
  /** Lowest height that the log holds. */
  readonly floor: number;
}

/** A room's state, or null when nothing is known of it, and whether its log holds `known` (true when that was null). */
export interface RoomLookup {
  readonly room: RoomState | null;
  readonly holdsKnown: boolean;
}

/** The parts of a record that the store checks, read by the caller from `record.header`. */
export interface RecordToStore {
  readonly record: SealedRecord;
  readonly id: RecordId;
  readonly height: number;
  readonly prev: RecordId;
  readonly epoch: number;
  readonly bodyChunks: readonly ChunkId[];
  readonly adds: readonly ChunkId[];
  readonly addsLists: readonly ChunkId[];
}

export interface AppendRequest {
  readonly room: RoomId;
  /** Taken over when this append makes the room. */
  readonly keys: AdmissionKeys;
  readonly entry: RecordToStore;
  readonly chunks: readonly SealedChunk[];
  /** The relay's wall clock. The stamp stored is max(the room's previous stamp, this): rule CLOCK. */
  readonly nowMs: number;
}

export interface PutRequest {
  readonly room: RoomId;
  readonly keys: AdmissionKeys;
  readonly chunks: readonly SealedChunk[];
  readonly nowMs: number;
}

export interface CheckpointRequest {
  readonly room: RoomId;
  readonly checkpoint: SealedCheckpoint;
  readonly nowMs: number;
}

export interface SeedRequest {
  readonly room: RoomId;
  readonly keys: AdmissionKeys;
  readonly checkpoint: SealedCheckpoint;
  /** In order, each the successor of the one before; the first is the checkpoint's record. */
  readonly entries: readonly RecordToStore[];
  readonly nowMs: number;
}

export interface Stale {
  readonly kind: 'stale';
  readonly head: Head | null;
  /** The records after the refused record's prev, if the log holds that: at most limits.staleRecordBytesMax (PR1). */
  readonly records: readonly SealedRecord[];
}
/** Chunks that the record, or the lists of the checkpoint, need and the store does not hold: at most limits.idsPerRequestMax. */
export interface Missing {
  readonly kind: 'missing';
  readonly ids: readonly ChunkId[];
}
/** `what` is a sentence for people. */
export interface Full {
  readonly kind: 'overQuota';
  readonly what: string;
}
export interface Stored {
  readonly kind: 'stored';
}
/** The log holds the record already, as `head`: `restored` says that its bytes were no longer those that were stored, and are again. */
export interface Held {
  readonly kind: 'held';
  readonly head: Head;
  readonly restored: boolean;
}
export type AppendOutcome = { readonly kind: 'appended'; readonly head: Head } | Held | Stale | Missing | Full;
export type PutOutcome = Stored | Full;
/** `unknownRecord`: the log does not hold the checkpoint's record. */
export type CheckpointOutcome = Stored | Missing | Full | { readonly kind: 'unknownRecord' };
/** `stale`: the room has a log already. `broken`: the records are no chain from the checkpoint's record on. */
export type SeedOutcome =
  | { readonly kind: 'seeded'; readonly head: Head }
  | Stale
  | Missing
  | Full
  | { readonly kind: 'broken'; readonly reason: string };

export interface RecordsAnswer {
  readonly head: Head | null;
  readonly floor: number;
  readonly records: readonly SealedRecord[];
}

export interface ChunksAnswer {
  readonly chunks: readonly SealedChunk[];
  readonly missing: readonly ChunkId[];
}

export interface RoomStore {
  /** 16 random bytes, made with the store, so that a refilled one is recognised (RB4). Another one after a failure, perhaps. */
  readonly storeId: Uint8Array;

  /** Why the store does not serve at this moment, or null: what /healthz says. */
  health(): StoreError | null;
  /** Called each time that the store stops serving although nobody closed it; what is asked until it serves again rejects. */
  onFailure(listener: (error: StoreError) => void): void;

  lookUp(room: RoomId, known: Head | null): Promise<RoomLookup>;

  /**
   * Appends one record on the head (LOG1). The first is height 1 on `noRecordId`. An older epoch than the room's, another height
   * or another prev is stale, unless the log holds this very record: a peer that has it can put back what the medium damaged (LOG2).
   */
  append(request: AppendRequest): Promise<AppendOutcome>;

  /** Starts a log at any height, while the room has none (SEED). The first record's own chunks are those of the checkpoint. */
  seed(request: SeedRequest): Promise<SeedOutcome>;

  /** Records after a height, in order: as many as fit, but at least one if there is one. None when the floor is above. */
  records(room: RoomId, options: { readonly after: number; readonly bytesMax: number }): Promise<RecordsAnswer>;

  /** The newest of `heads` that the log holds (RB2). */
  locate(room: RoomId, heads: readonly Head[]): Promise<{ readonly common: Head | null; readonly head: Head | null }>;

  /** One boolean an id, in order. */
  have(room: RoomId, ids: readonly ChunkId[]): Promise<readonly boolean[]>;

  /** As `have`; besides, those that are held are not given up for want of room any more: a checkpoint is about to list them. */
  keep(room: RoomId, ids: readonly ChunkId[]): Promise<readonly boolean[]>;

  put(request: PutRequest): Promise<PutOutcome>;

  /** A prefix of `ids`: as many as fit, but at least one; missing ones are named. Bytes that no longer match are missing (GC5). */
  get(room: RoomId, ids: readonly ChunkId[], bytesMax: number): Promise<ChunksAnswer>;

  /** Keeps the newest checkpointsKeptMax, at least two (CP3). Checks that the lists are held, not what they list. */
  putCheckpoint(request: CheckpointRequest): Promise<CheckpointOutcome>;

  /** The newest at or below `atMost`; 0 = any. */
  checkpoint(room: RoomId, atMost: number): Promise<SealedCheckpoint | null>;

  /** Waits for what was asked, then lets go of the files. Idempotent. */
  close(): Promise<void>;
}

/** An operation under way: each `next` is a step, after which other rooms may have their turn. Only the last one returns. */
export type Steps<Answer> = Generator<undefined, Answer, undefined>;

/** The same operations in steps: what one thread carries out, each step inside a transaction. */
export type RoomStoreOperations = {
  readonly [Name in Exclude<keyof RoomStore, 'storeId' | 'health' | 'onFailure' | 'close'>]: (
    ...args: Parameters<RoomStore[Name]>
  ) => Steps<Awaited<ReturnType<RoomStore[Name]>>>;
};

export interface StoreQuotas {
  /** Of one room: sealed bytes of its records, chunks and checkpoints, and rowBytes for each of them and for the room. */
  readonly roomBytesMax: number;
  /** Of all rooms together. */
  readonly totalBytesMax: number;
}

/** Generous: a private relay should not refuse its owner before the disk does. */
export const defaultQuotas: StoreQuotas = { roomBytesMax: 256 * 2 ** 30, totalBytesMax: 1024 * 2 ** 30 };

/** Longer than a refused upload waits before it is tried again, with all that it has put so far asked about. */
export const looseIdleMs = 10 * 60_000;

/** Enough for a peer that asks for one below a height it trusts; each is a few kilobytes beside its shared pages. */
export const checkpointsKeptMax = 16;

/**
 * The store could not do what was asked. `disk-full` and `busy` may pass; `damaged`, `newer` and `in-use` need a person;
 * `failed` is anything else that the system reported.
 */
export type StoreErrorCode = 'disk-full' | 'busy' | 'damaged' | 'newer' | 'in-use' | 'closed' | 'failed';

export class StoreError extends Error {
  readonly code: StoreErrorCode;
  readonly retryable: boolean;
  constructor(code: StoreErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'StoreError';
    this.code = code;
    this.retryable = code === 'disk-full' || code === 'busy' || code === 'failed';
  }
}

/** What is wrong with the store, and not with what was asked of it. A full disk still serves all readers. */
export const isMediumFault = ({ code }: { readonly code: StoreErrorCode }): boolean =>
  code === 'damaged' || code === 'failed';
