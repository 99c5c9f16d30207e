/** A record as the relay knows it: a clear header and a sealed body (rule LOG1). */
import type { ChunkId, RecordId, RoomId } from './ids.ts';

/** Record kinds. 1 = changes. Further numbers (re-key, member, relocate, close) are reserved; see SPEC.md. */
export const recordKindChanges = 1;

export interface RecordHeader {
  readonly version: number;
  readonly kind: number;
  readonly minReader: number;
  readonly room: RoomId;
  readonly epoch: number;
  /** 1 for a room's first record. */
  readonly height: number;
  readonly prev: RecordId;
  /** 16 random bytes, from which the record's key follows (rule SEAL2). */
  readonly nonce: Uint8Array;
  /** SHA-256 of the whole sealed body, 32 bytes. */
  readonly bodyHash: Uint8Array;
  /** When the sealed body exceeds limits.bodyInlineBytesMax: ids (SHA-256) of its pieces, in order; else empty. */
  readonly bodyChunks: readonly ChunkId[];
  /** Every chunk id that the state after references and the state before did not (rule GC1); see addsLists. */
  readonly adds: readonly ChunkId[];
  /** Clear list-chunks (named by SHA-256, content = concatenated ids) holding further `adds` when they exceed the header. */
  readonly addsLists: readonly ChunkId[];
}

/** A record as stored and sent; signatures and hashes are over `header` exactly as these bytes stand. */
export interface SealedRecord {
  readonly header: Uint8Array;
  /** The sealed body; empty when the header names bodyChunks. */
  readonly body: Uint8Array;
  /** Ed25519 by the writer admission key over domain ‖ record id. */
  readonly writerSignature: Uint8Array;
}

export interface SealedChunk {
  readonly id: ChunkId;
  readonly sealed: Uint8Array;
}

/** A position in a room's log. */
export interface Head {
  readonly height: number;
  readonly id: RecordId;
}

/** A checkpoint as stored and sent (rules CP1, GC2). `lists` are clear list-chunks of all chunk ids that its pages reference, and its pages. */
export interface SealedCheckpoint {
  readonly height: number;
  readonly recordId: RecordId;
  readonly epoch: number;
  readonly lists: readonly ChunkId[];
  readonly sealed: Uint8Array;
  /** Ed25519 by the writer admission key over domain ‖ SHA-256 of the fields above. */
  readonly writerSignature: Uint8Array;
}
