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

export interface OpenedRecord {
  readonly id: RecordId;
  readonly header: RecordHeader;
  readonly body: RecordBody;
}
export type OpenRecordError =
  /** Rule LOG3: halts the room. */
  | { readonly kind: 'update-needed'; readonly reason: string }
  /** Rule LOG2: the record is void. */
  | { readonly kind: 'void'; readonly reason: string }
  /** The body or pieces at hand are not those that the signed header names: fetch them again. Says nothing about validity. */
  | { readonly kind: 'body-missing'; readonly reason: string };

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
  /** `pieces`: the header's bodyChunks, in order, when the body is not inline. Checks room, epoch, versions, hashes, both signatures, and every bound. */
  openRecord(record: SealedRecord, pieces: readonly Uint8Array[]): Result<OpenedRecord, OpenRecordError>;

  sealCheckpoint(body: Omit<CheckpointBody, 'device'>, lists: readonly ChunkId[]): SealedCheckpoint;
  openCheckpoint(checkpoint: SealedCheckpoint): CheckpointBody | undefined;

  sealPresence(body: Omit<PresenceBody, 'device'>): Uint8Array;
  openPresence(sealed: Uint8Array): PresenceBody | undefined;

  /** Signature of the handshake transcript by the admission key of the role. */
  proveAdmission(role: 'reader' | 'writer', transcriptHash: Uint8Array): Uint8Array;
}
