/**
 * The list of a checkpoint's pages, each with its hash and where its bytes are: JSON, an ordinary content of the room. A member
 * wrote it: it has the shape that it should have, within its bounds, or is no index at all.
 */
import {
  bytesToHex,
  bytesToUtf8,
  type ChunkId,
  type Content,
  type Digest,
  hexToBytes,
  limits,
  utf8ToBytes,
} from '@driftless/protocol';
import { z } from 'zod';

export interface IndexedPage {
  /** SHA-256, 32 bytes. */
  readonly hash: Uint8Array;
  readonly content: Content;
}

/** Some 250,000 pages. */
export const checkpointIndexBytesMax = limits.bodyBytesMax;
/** Far above limits.pageEntriesMax entries with long names and several variants each. */
const pageBytesMax = limits.bodyBytesMax;

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const shape = z.array(
  z.strictObject({
    hash: hex32,
    content: z.strictObject({
      digest: hex32,
      size: z.int().min(1).max(pageBytesMax),
      epoch: z.int().min(0).max(0xffff_ffff),
      refs: z.strictObject({
        depth: z.int().min(0).max(limits.refsDepthMax),
        ids: z.array(hex32).max(limits.refsMax),
      }),
    }),
  }),
);

export function encodeCheckpointIndex(pages: readonly IndexedPage[]): Uint8Array {
  return utf8ToBytes(JSON.stringify(pages.map(({ hash, content }) => ({ hash: bytesToHex(hash), content }))));
}

/** undefined: not an index. */
export function parseCheckpointIndex(bytes: Uint8Array): readonly IndexedPage[] | undefined {
  if (bytes.length > checkpointIndexBytesMax) return undefined;
  const parsed = shape.safeParse(jsonOf(bytes));
  return parsed.data?.map(({ hash, content: { digest, size, epoch, refs } }) => ({
    hash: hexToBytes(hash),
    content: { digest: digest as Digest, size, epoch, refs: { depth: refs.depth, ids: refs.ids as ChunkId[] } },
  }));
}

function jsonOf(bytes: Uint8Array): unknown {
  const text = bytesToUtf8(bytes);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
