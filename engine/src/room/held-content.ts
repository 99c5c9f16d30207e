/** What this peer can give the relay back of a content: from a file that holds it, or from what is kept of it (rules RB2, GC5, BASE). */
import type { Content, RelPath, SealedChunk } from '@driftless/protocol';
import { type LocalFile, largeContentBytesMin } from '../content/content-types.ts';
import type { Row } from '../core/row.ts';
import type { PeerContext } from '../peer-context.ts';

export type HeldContent =
  /** To be streamed: it is not held in memory as a whole. */
  | { readonly kind: 'large'; readonly path: RelPath; readonly local: LocalFile }
  /** None: nothing of it is here. */
  | { readonly kind: 'chunks'; readonly chunks: readonly SealedChunk[] };

/** `row`: where the content belongs; edited here since, its bytes are perhaps under another name. */
export async function heldContent(
  { parts: { store }, contents }: PeerContext,
  content: Content,
  row: Row | undefined,
): Promise<HeldContent> {
  const isHere = row?.local?.kind === 'file' && row.local.digest === content.digest;
  const holder = isHere ? row : store.localFilesByDigest(content.digest, 1)[0];
  if (holder?.local?.kind !== 'file') return { kind: 'chunks', chunks: contents.chunksFromCaches(content) };
  if (content.size > largeContentBytesMin) return { kind: 'large', path: holder.path, local: holder.local };
  const chunks: SealedChunk[] = [];
  const otherwise = await contents.chunksFromDisk(holder.path, holder.local, {
    isWanted: () => true,
    onPart: async (part) => void chunks.push(...part),
  });
  return { kind: 'chunks', chunks: otherwise === null ? chunks : [] };
}
