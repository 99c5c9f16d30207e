/** From the bytes of a small file to sealed chunks and the references to them (rules SEAL1, LIST), from disk or from caches. */
import type { ChunkId, Content, ContentRefs, RelPath, SealedChunk } from '@driftless/protocol';
import { chunkRanges } from '../core/chunker.ts';
import { refsOfIds } from '../core/content-refs.ts';
import type { ChunkSource } from './chunk-source.ts';
import type { ContentsParts, LocalFile, PrepareOutcome } from './content-types.ts';
import type { VerifiedReader } from './read-verified.ts';

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
    wanted: ReadonlySet<ChunkId> | 'all',
  ): Promise<readonly SealedChunk[]> {
    const found: SealedChunk[] = [];
    const ids: ChunkId[] = [];
    const outcome = await readChunks(path, local, async (plain) => {
      const id = cipher.chunkId(plain);
      ids.push(id);
      if (wanted === 'all' || wanted.has(id)) found.push(cipher.sealChunk(plain));
    });
    if (outcome !== null) return [];
    for (const list of sealRefs(ids).lists) if (wanted === 'all' || wanted.has(list.id)) found.push(list);
    return found;
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
