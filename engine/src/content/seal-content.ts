/** From the bytes of a small file to sealed chunks and the references to them (rules SEAL1, LIST), from disk or from caches. */
import type { ChunkId, Content, ContentRefs, RelPath, SealedChunk } from '@driftless/protocol';
import { chunkRanges } from '../core/chunker.ts';
import { refsOfIds } from '../core/content-refs.ts';
import type { PathProblem } from '../ports/folder.ts';
import type { ChunkSource } from './chunk-source.ts';
import type { ContentsParts, LocalFile, Moved, PrepareOutcome, RemakeOptions } from './content-types.ts';
import type { VerifiedReader } from './read-verified.ts';

/** Sealed bytes of a file that are in memory before they are handed on. */
const partBytesMax = 2 * 1024 * 1024;

export type ContentSealer = ReturnType<typeof createContentSealer>;

export function createContentSealer(
  { store, cipher }: ContentsParts,
  { readWhole, readChunks }: VerifiedReader,
  source: ChunkSource,
) {
  async function prepareSmall(path: RelPath, local: LocalFile): Promise<PrepareOutcome> {
    const bytes = await readWhole(path, local);
    if (!(bytes instanceof Uint8Array)) return bytes;
    const known = store.contentByDigest(local.digest);
    if (known !== undefined && known.epoch === cipher.epoch)
      return { kind: 'prepared', prepared: { content: known, chunks: [], ids: [], bytes } };
    const chunks: SealedChunk[] = [];
    for (const range of chunkRanges(bytes, cipher.gearTable))
      chunks.push(cipher.sealChunk(bytes.subarray(range.start, range.end)));
    const { refs, lists } = sealRefs(chunks.map((chunk) => chunk.id));
    const all = [...chunks, ...lists];
    return {
      kind: 'prepared',
      prepared: {
        content: { digest: local.digest, size: bytes.length, epoch: cipher.epoch, refs },
        chunks: all,
        ids: all.map((chunk) => chunk.id),
        bytes,
      },
    };
  }

  function sealRefs(ids: readonly ChunkId[]): { readonly refs: ContentRefs; readonly lists: readonly SealedChunk[] } {
    const lists: SealedChunk[] = [];
    const refs = refsOfIds(ids, (plain) => {
      const chunk = cipher.sealChunk(plain);
      lists.push(chunk);
      return chunk.id;
    });
    return { refs, lists };
  }

  async function chunksFromDisk(
    path: RelPath,
    local: LocalFile,
    { isWanted, onPart, signal }: RemakeOptions,
  ): Promise<Moved | PathProblem | null> {
    const ids: ChunkId[] = [];
    let part: SealedChunk[] = [];
    let partBytes = 0;
    const hand = async (): Promise<void> => {
      const made = part;
      part = [];
      partBytes = 0;
      if (made.length > 0) await onPart(made);
    };
    const outcome = await readChunks(path, local, async (plain) => {
      signal?.throwIfAborted();
      const id = cipher.chunkId(plain);
      ids.push(id);
      if (!isWanted(id)) return;
      const chunk = cipher.sealChunk(plain);
      part.push(chunk);
      partBytes += chunk.sealed.length;
      if (partBytes >= partBytesMax) await hand();
    });
    if (outcome !== null) return outcome;
    part.push(...sealRefs(ids).lists.filter(({ id }) => isWanted(id)));
    await hand();
    return null;
  }

  function chunksFromCaches({ digest, refs }: Content): readonly SealedChunk[] {
    const bytes = store.cachedContent(digest);
    if (bytes === undefined) return refs.ids.flatMap((id) => source.atHand(id) ?? []);
    const chunks = chunkRanges(bytes, cipher.gearTable).map((range) =>
      cipher.sealChunk(bytes.subarray(range.start, range.end)),
    );
    return [...chunks, ...sealRefs(chunks.map((chunk) => chunk.id)).lists];
  }

  return { prepareSmall, sealRefs, chunksFromDisk, chunksFromCaches };
}
