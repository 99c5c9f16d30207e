/** Small conversions shared by the stores: ids are hex inside the program and bytes at rest. */
import { hash } from 'node:crypto';
import {
  type ChunkId,
  equalBytes,
  limits,
  parseChunkId,
  type SealedChunk,
  type SealedRecord,
} from '@driftless/protocol';

export const idBytes = (id: string): Uint8Array => Buffer.from(id, 'hex');
export const hexOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
export const sha256Hex = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex');

/** What anything stored takes beside its own bytes, at least: a row and its places in indexes (measured: 170 bytes a chunk). */
export const rowBytes = 256;

export const recordBytes = (record: SealedRecord): number =>
  record.header.length + record.body.length + record.writerSignature.length;
export const isSameRecord = (one: SealedRecord, other: SealedRecord): boolean =>
  equalBytes(one.header, other.header) &&
  equalBytes(one.body, other.body) &&
  equalBytes(one.writerSignature, other.writerSignature);
export const chunksBytes = (chunks: readonly SealedChunk[]): number =>
  chunks.reduce((sum, chunk) => sum + chunk.sealed.length, 0);

/** The ids of a clear list-chunk (GC1, GC2), or undefined when it is not one: not whole ids, or more than limits.listIdsMax, or one twice. */
export function parseListChunk(bytes: Uint8Array): readonly ChunkId[] | undefined {
  if (bytes.length % 32 !== 0 || bytes.length / 32 > limits.listIdsMax) return undefined;
  const ids: ChunkId[] = [];
  for (let offset = 0; offset < bytes.length; offset += 32) {
    const id = parseChunkId(hexOf(bytes.subarray(offset, offset + 32)));
    if (id === undefined) return undefined;
    ids.push(id);
  }
  // A list is a set: naming one chunk often is work for the relay and nothing for anybody else.
  if (new Set(ids).size < ids.length) return undefined;
  return ids;
}
