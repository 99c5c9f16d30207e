/**
 * Clear chunks: what the relay itself must be able to read or check (rules LOG5, GC1, GC2). A list-chunk is concatenated
 * 32-byte ids; a piece of a sealed body is a range of its bytes. Both are named by their plain SHA-256, so that anybody
 * can verify them; all other chunks are sealed.
 */
import { hash } from 'node:crypto';
import type { ChunkId } from './ids.ts';
import { limits } from './limits.ts';
import type { SealedChunk } from './record.ts';
import type { Result } from './result.ts';
import { attempt, type DecodeFailure, idsFrom, idsToBytes } from './wire-values.ts';

/** Wraps bytes as a chunk named by their SHA-256. */
export function clearChunk(bytes: Uint8Array): SealedChunk {
  return { id: clearChunkIdOf(bytes), sealed: bytes };
}

export function clearChunkIdOf(bytes: Uint8Array): ChunkId {
  return hash('sha256', bytes, 'hex') as ChunkId;
}

/** As many list-chunks as the ids need, in order; none for no ids. */
export function chunkListsOf(ids: readonly ChunkId[]): readonly SealedChunk[] {
  const lists: SealedChunk[] = [];
  for (let start = 0; start < ids.length; start += limits.listIdsMax) {
    lists.push(clearChunk(idsToBytes(ids.slice(start, start + limits.listIdsMax), limits.listIdsMax)));
  }
  return lists;
}

/** Never throws. The caller has checked that the bytes have the name that was asked for. */
export function decodeChunkList(bytes: Uint8Array): Result<readonly ChunkId[], DecodeFailure> {
  return attempt(() => idsFrom<ChunkId>(bytes, limits.listIdsMax, 'list of chunk ids'));
}
