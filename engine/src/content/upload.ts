/** Brings chunks to the relay: what it lacks of a set, and a large file as a stream (rule FAST5). */
import type { ChunkId, RelPath, SealedChunk } from '@driftless/protocol';
import { limits } from '@driftless/protocol';
import { RequestRefused, type RoomSession } from '../ports/room-session.ts';
import type { ContentsParts, LocalFile, PrepareOutcome, UploadOptions } from './content-types.ts';
import type { VerifiedReader } from './read-verified.ts';
import type { ContentSealer } from './seal-content.ts';

/** Sealed bytes collected before they are offered to the relay while a large file is read. */
const uploadWindowBytes = 2 * 1024 * 1024;

export function createUploader(
  { store, cipher }: ContentsParts,
  { readChunks, check }: VerifiedReader,
  { sealRefs }: ContentSealer,
) {
  /** A chunk that the relay did not take: asked with alone before anything is read, cut and sealed for it again. */
  let refused: SealedChunk | null = null;

  /** Throws RequestRefused while the relay still refuses. */
  async function askAgain(session: RoomSession, signal?: AbortSignal): Promise<void> {
    if (refused === null) return;
    await session.put([refused], signal === undefined ? {} : { signal });
    refused = null;
  }

  async function uploadLarge(
    path: RelPath,
    local: LocalFile,
    session: RoomSession,
    options: UploadOptions,
  ): Promise<PrepareOutcome> {
    const known = store.contentByDigest(local.digest);
    if (known !== undefined && known.epoch === cipher.epoch && options.evenIfKnown !== true) {
      const otherwise = await check(path, local, options.signal);
      return otherwise ?? { kind: 'prepared', prepared: { content: known, chunks: [], ids: [], bytes: null } };
    }
    await askAgain(session, options.signal);
    const ids: ChunkId[] = [];
    let window: SealedChunk[] = [];
    let windowBytes = 0;
    const send = async (): Promise<void> => {
      const batch = window;
      window = [];
      windowBytes = 0;
      await upload(batch, session, options.signal);
    };
    const outcome = await readChunks(path, local, async (plain) => {
      options.signal.throwIfAborted();
      const chunk = cipher.sealChunk(plain);
      ids.push(chunk.id);
      window.push(chunk);
      windowBytes += chunk.sealed.length;
      options.onProgress(plain.length);
      if (windowBytes >= uploadWindowBytes) await send();
    });
    if (outcome !== null) return outcome;
    await send();
    const { refs, lists } = sealRefs(ids);
    await upload(lists, session, options.signal);
    store.cacheChunkIds(local.digest, ids);
    return {
      kind: 'prepared',
      prepared: {
        content: { digest: local.digest, size: local.size, epoch: cipher.epoch, refs },
        chunks: [],
        ids: [...ids, ...lists.map((list) => list.id)],
        bytes: null,
      },
    };
  }

  async function upload(chunks: readonly SealedChunk[], session: RoomSession, signal?: AbortSignal): Promise<void> {
    if (chunks.length > 0) await askAgain(session, signal);
    const unique = [...new Map(chunks.map((chunk) => [chunk.id, chunk])).values()];
    for (let start = 0; start < unique.length; start += limits.idsPerRequestMax) {
      const batch = unique.slice(start, start + limits.idsPerRequestMax);
      const held = await session.have(
        batch.map((chunk) => chunk.id),
        signal,
      );
      const missing = batch.filter((_, index) => held[index] !== true);
      if (missing.length === 0) continue;
      try {
        await session.put(missing, signal === undefined ? {} : { signal });
      } catch (error) {
        // The last one: those before it may have been taken.
        if (error instanceof RequestRefused) refused = missing.at(-1) ?? null;
        throw error;
      }
    }
  }

  return { uploadLarge, upload, askAgain };
}
