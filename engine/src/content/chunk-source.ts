/**
 * Where the plain bytes of chunks come from: those that came along with records, those kept, the relay. A chunk that does not
 * open counts as missing (rule GC5).
 */
import { bytesToHex, type ChunkId, type Content, concatBytes, type SealedChunk } from '@driftless/protocol';
import { type ExpandedRefs, expandRefs } from '../core/content-refs.ts';
import { RequestRefused, type RoomSession } from '../ports/room-session.ts';
import { ChunksMissing, ContentDamaged, type ContentsParts } from './content-types.ts';

/** Chunks that came along with pushed records, kept until they are applied. */
const pushedChunkBytesMax = 8 * 1024 * 1024;
/** So many refusals in a row are no matter of single chunks: for a moment nothing more is asked for. */
const refusalsInARowMax = 16;
const refusedForMs = 1_000;

export type ChunkSource = ReturnType<typeof createChunkSource>;

export function createChunkSource({ store, cipher, hashing, clock }: ContentsParts) {
  const pushed = new Map<ChunkId, SealedChunk>();
  let pushedBytes = 0;
  let refusalsInARow = 0;
  let refusedUntilMs = Number.NEGATIVE_INFINITY;
  let lastRefusal: unknown;

  function takePushed(chunks: readonly SealedChunk[]): void {
    for (const chunk of chunks) {
      if (pushed.has(chunk.id)) continue;
      pushed.set(chunk.id, chunk);
      pushedBytes += chunk.sealed.length;
    }
    for (const [id, chunk] of pushed) {
      if (pushedBytes <= pushedChunkBytesMax) break;
      pushed.delete(id);
      pushedBytes -= chunk.sealed.length;
    }
  }

  /** Sealed, without asking the relay. */
  const atHand = (id: ChunkId): SealedChunk | undefined => pushed.get(id) ?? store.cachedChunk(id);

  /** Plain bytes of chunks, from what is at hand, else from the relay. A chunk that does not open counts as missing (rule GC5). */
  async function load(
    ids: readonly ChunkId[],
    session: RoomSession | null,
    signal?: AbortSignal,
  ): Promise<Map<ChunkId, Uint8Array>> {
    const plain = new Map<ChunkId, Uint8Array>();
    const wanted: ChunkId[] = [];
    for (const id of new Set(ids)) {
      const sealed = atHand(id);
      const opened = sealed === undefined ? undefined : cipher.openChunk(sealed);
      if (opened === undefined) wanted.push(id);
      else plain.set(id, opened);
    }
    if (wanted.length === 0) return plain;
    if (session === null) throw new ChunksMissing(wanted);
    if (refusalsInARow >= refusalsInARowMax && clock.monotonicMs() < refusedUntilMs) throw lastRefusal;
    try {
      await session.get(
        wanted,
        (chunk) => {
          const opened = cipher.openChunk(chunk);
          if (opened !== undefined) plain.set(chunk.id, opened);
        },
        signal,
      );
      refusalsInARow = 0;
    } catch (error) {
      if (error instanceof RequestRefused) {
        refusalsInARow += 1;
        refusedUntilMs = clock.monotonicMs() + refusedForMs;
        lastRefusal = error;
      }
      throw error;
    }
    const missing = wanted.filter((id) => !plain.has(id));
    if (missing.length > 0) throw new ChunksMissing(missing);
    return plain;
  }

  /** Bounded by the content's size, whatever the lists say. Lists that are no lists count as missing: a holder may replace them (rule GC5). */
  async function expand(
    content: Content,
    session: RoomSession | null,
  ): Promise<Extract<ExpandedRefs, { kind: 'expanded' }>> {
    const expanded = await expandRefs(content, (ids) => load(ids, session));
    if (expanded.kind === 'expanded') return expanded;
    throw new ChunksMissing(expanded.kind === 'missing' ? expanded.ids : content.refs.ids);
  }

  async function leavesOf(content: Content, session: RoomSession | null): Promise<readonly ChunkId[]> {
    if (content.refs.depth === 0) return content.refs.ids;
    const cached = store.cachedChunkIds(content.digest);
    if (cached !== undefined) return cached;
    const { ids } = await expand(content, session);
    store.cacheChunkIds(content.digest, ids);
    return ids;
  }

  async function idsOf(content: Content, session: RoomSession | null): Promise<readonly ChunkId[]> {
    if (content.refs.depth === 0) return content.refs.ids;
    const { ids, listIds } = await expand(content, session);
    return [...ids, ...listIds];
  }

  async function bytesOf(content: Content, session: RoomSession | null): Promise<Uint8Array> {
    const cached = store.cachedContent(content.digest);
    if (cached !== undefined) return cached;
    const leaves = await leavesOf(content, session);
    const plain = await load(leaves, session);
    const bytes = concatBytes(...leaves.map((id) => plain.get(id) ?? new Uint8Array(0)));
    if (bytes.length !== content.size || bytesToHex(hashing.sha256(bytes)) !== content.digest)
      throw new ContentDamaged('a base content');
    return bytes;
  }

  return { takePushed, atHand, load, leavesOf, idsOf, bytesOf };
}
