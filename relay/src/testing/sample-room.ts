/** For tests: a room's keys from a seed, and records, checkpoints and chunks that fit them. The same seed gives the same bytes. */
import { createPrivateKey, createPublicKey, hash, type KeyObject, sign } from 'node:crypto';
import {
  type ChunkId,
  encodeRecordHeader,
  noRecordId,
  type RecordHeader,
  type RecordId,
  type RoomId,
  recordIdOf,
  recordKindChanges,
  recordVersion,
  roomIdOf,
  type SealedCheckpoint,
  type SealedChunk,
  type SealedRecord,
  utf8ToBytes,
  writerCheckpointMessage,
  writerRecordMessage,
} from '@driftless/protocol';
import type { AdmissionKeys, RecordToStore } from '../store/room-store.ts';

export interface SampleRecord extends RecordToStore {
  readonly record: SealedRecord;
}
export interface SampleRoom {
  readonly id: RoomId;
  readonly keys: AdmissionKeys;
  readonly readerKey: KeyObject;
  readonly writerKey: KeyObject;
  /** The successor of `after`, or a first record. `label` makes records at one height differ. */
  record(after: Pick<RecordToStore, 'height' | 'id'> | null, options?: RecordOptions): SampleRecord;
  checkpoint(of: SampleRecord, lists: readonly ChunkId[]): SealedCheckpoint;
}
export interface RecordOptions extends Partial<Omit<RecordHeader, 'nonce' | 'bodyHash'>> {
  readonly label?: string;
  readonly body?: Uint8Array;
}

export function sampleRoom(seed: string): SampleRoom {
  const readerKey = keyFrom(`${seed} reader`);
  const writerKey = keyFrom(`${seed} writer`);
  const keys = { reader: rawPublicKey(readerKey), writer: rawPublicKey(writerKey) };
  const id = roomIdOf(keys.reader, keys.writer);
  return {
    id,
    keys,
    readerKey,
    writerKey,
    record(after, { label = '', body = utf8ToBytes(`sealed ${label}`), ...fields } = {}) {
      const header: RecordHeader = {
        version: recordVersion,
        kind: recordKindChanges,
        minReader: 1,
        room: id,
        epoch: 0,
        height: (after?.height ?? 0) + 1,
        prev: after?.id ?? noRecordId,
        nonce: sha256(`nonce ${label}`).subarray(0, 16),
        bodyHash: sha256(body),
        bodyChunks: [],
        adds: [],
        addsLists: [],
        ...fields,
      };
      const bytes = encodeRecordHeader(header);
      const recordId = recordIdOf(bytes);
      return {
        record: {
          header: bytes,
          body: header.bodyChunks.length > 0 ? new Uint8Array(0) : body,
          writerSignature: new Uint8Array(sign(null, writerRecordMessage(recordId), writerKey)),
        },
        id: recordId,
        height: header.height,
        prev: header.prev,
        epoch: header.epoch,
        bodyChunks: header.bodyChunks,
        adds: header.adds,
        addsLists: header.addsLists,
      };
    },
    checkpoint(of, lists) {
      const fields = {
        height: of.height,
        recordId: of.id as RecordId,
        epoch: of.epoch,
        lists,
        sealed: utf8ToBytes(`sealed checkpoint at ${of.height}`),
      };
      return { ...fields, writerSignature: new Uint8Array(sign(null, writerCheckpointMessage(fields), writerKey)) };
    },
  };
}

/** A chunk under a keyed id, as a peer would name it: the id is no hash of the bytes that are stored. */
export function sampleChunk(name: string, bytes = 100): SealedChunk {
  const sealed = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 32) sealed.set(sha256(`${name} ${at}`).subarray(0, Math.min(32, bytes - at)), at);
  return { id: hash('sha256', `id of ${name}`) as ChunkId, sealed };
}

/** A clear chunk, named by its bytes: a list of ids, or a piece of a body. */
export function clearChunk(bytes: Uint8Array): SealedChunk {
  return { id: hash('sha256', bytes) as ChunkId, sealed: bytes };
}
export const listChunk = (ids: readonly ChunkId[]): SealedChunk =>
  clearChunk(new Uint8Array(Buffer.from(ids.join(''), 'hex')));

const sha256 = (data: string | Uint8Array): Uint8Array => new Uint8Array(hash('sha256', data, 'buffer'));

/** The DER wrapping of a raw Ed25519 private key (RFC 8410). */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
function keyFrom(seed: string): KeyObject {
  return createPrivateKey({ key: Buffer.concat([pkcs8Prefix, sha256(seed)]), format: 'der', type: 'pkcs8' });
}
function rawPublicKey(key: KeyObject): Uint8Array {
  return new Uint8Array(createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32));
}
