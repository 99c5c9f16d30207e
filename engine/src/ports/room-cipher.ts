/**
 * Everything that a peer does with the keys of one room (rules SEAL1, SEAL2, ADM1). Synchronous and without state; the
 * randomness comes from the Random port given at construction. Opening never throws: a wrong key, a flipped bit or a
 * malformed body is an answer.
 */
import type {
  CheckpointBody,
  ChunkId,
  DeviceId,
  PresenceBody,
  RecordBody,
  RecordHeader,
  RecordId,
  Result,
  RoomId,
  SealedCheckpoint,
  SealedChunk,
  SealedRecord,
} from '@driftless/protocol';

export type { CheckpointBody, PresenceBody } from '@driftless/protocol';

/** A device's signing key (rule CLONE: one per linked folder). Prints as hidden. */
export interface DeviceKey {
  readonly device: DeviceId;
  sign(bytes: Uint8Array): Uint8Array;
}

export interface SealRecordInput {
  readonly height: number;
  readonly prev: RecordId;
  readonly body: RecordBody;
  readonly adds: readonly ChunkId[];
}
export interface SealRecordOutput {
  readonly id: RecordId;
  readonly record: SealedRecord;
  /** Pieces of a large body and clear list-chunks: must be stored before, or with, the record. */
  readonly chunks: readonly SealedChunk[];
}

/** A record whose header a writer of the room signed: what it says of its place in the chain, and of its body, is that writer's word. */
export interface SignedRecord {
  readonly id: RecordId;
  readonly header: RecordHeader;
  /** The header as it was signed. */
  readonly headerBytes: Uint8Array;
  /** Sealed; empty when the header names pieces. */
  readonly body: Uint8Array;
}

export interface OpenedRecord {
  readonly id: RecordId;
  readonly header: RecordHeader;
  readonly body: RecordBody;
}
export type OpenRecordError =
  /** Rule LOG3: nothing is judged from it on. `author`: the name of the device that wrote it. */
  | { readonly kind: 'update-needed'; readonly reason: string; readonly author: string }
  /** Rule LOG2: the record is void. */
  | { readonly kind: 'void'; readonly reason: string }
  /** The body or pieces at hand are not those that the signed header names. Says nothing about the record's validity. */
  | { readonly kind: 'damaged'; readonly reason: string };

export interface RoomCipher {
  readonly room: RoomId;
  readonly epoch: number;
  /** Admission public keys, 32 bytes each. */
  readonly readerKey: Uint8Array;
  readonly writerKey: Uint8Array;
  /** 256 numbers, keyed by the room, for content-defined chunking. */
  readonly gearTable: Uint32Array;

  chunkId(plain: Uint8Array): ChunkId;
  /** Compresses when it pays, pads, seals. Plain is at most limits.chunkBytesMax. */
  sealChunk(plain: Uint8Array): SealedChunk;
  /** undefined when it does not open, or its plain bytes do not have this id. */
  openChunk(chunk: SealedChunk): Uint8Array | undefined;

  sealRecord(input: SealRecordInput): SealRecordOutput;
  /**
   * Before anything is concluded from a record. The error says why no writer of this room made these bytes: they were damaged
   * at the relay or on the way, or made up there (rule LOG2).
   */
  verifyRecord(record: SealedRecord): Result<SignedRecord, string>;
  /** `pieces`: the header's bodyChunks, in order, when the body is not inline. Checks epoch, versions, hashes, the author's signature, and every bound. */
  openRecord(record: SignedRecord, pieces: readonly Uint8Array[]): Result<OpenedRecord, OpenRecordError>;

  sealCheckpoint(body: Omit<CheckpointBody, 'device'>, lists: readonly ChunkId[]): SealedCheckpoint;
  openCheckpoint(checkpoint: SealedCheckpoint): CheckpointBody | undefined;

  sealPresence(body: Omit<PresenceBody, 'device'>): Uint8Array;
  openPresence(sealed: Uint8Array): PresenceBody | undefined;

  /** Signature of the handshake transcript by the admission key of the role. */
  proveAdmission(role: 'reader' | 'writer', transcriptHash: Uint8Array): Uint8Array;
}
