/**
 * From the ids of a content's chunks to the references that an entry holds, and back (rule LIST). Up to 32 ids stand in
 * the entry; a longer list is cut, by what it holds, into list-chunks, and so is the list of these, at any depth. So one
 * changed chunk of a big file makes one new list-chunk a level.
 * Leaves to others: sealing and fetching (given as functions), and the digest over the bytes.
 */
import {
  bytesToHex,
  type ChunkId,
  type Content,
  type ContentRefs,
  concatBytes,
  hexToBytes,
  limits,
} from '@driftless/protocol';
import { chunkBytesMin } from './chunker.ts';

const idBytes = 32;
/** Ids of a list-chunk: mean 1,024 + the minimum (34 KiB), at most what a chunk holds. */
const listIdsMin = 64;
const listIdsMax = limits.chunkBytesMax / idBytes;
const listEndMask = 0x3ff;

/** Seals list-chunks through `sealList` (lower levels first) and gives the references. An empty content has none. */
export function refsOfIds(ids: readonly ChunkId[], sealList: (plain: Uint8Array) => ChunkId): ContentRefs {
  let level = ids;
  let depth = 0;
  while (level.length > limits.refsMax) {
    level = listsOf(level).map((list) => sealList(concatBytes(...list.map(hexToBytes))));
    depth += 1;
  }
  if (depth > limits.refsDepthMax) throw new RangeError('a list of chunks is deeper than any content can be');
  return { depth, ids: level };
}

export type ExpandedRefs =
  /** Data chunk ids in order, and every list-chunk on the way. */
  | { readonly kind: 'expanded'; readonly ids: readonly ChunkId[]; readonly listIds: readonly ChunkId[] }
  | { readonly kind: 'missing'; readonly ids: readonly ChunkId[] }
  | { readonly kind: 'garbage'; readonly reason: string };

/**
 * All data chunk ids of a content. `openLists` is asked once a level for distinct ids and answers with their plain bytes;
 * what it leaves out is missing. Bounded by the content's size, whatever the lists say.
 */
export async function expandRefs(
  content: Content,
  openLists: (ids: readonly ChunkId[]) => Promise<ReadonlyMap<ChunkId, Uint8Array>>,
): Promise<ExpandedRefs> {
  const { depth } = content.refs;
  if (depth < 0 || depth > limits.refsDepthMax) return garbage('the list is too deep');
  const idsMax = idsMaxOf(content.size);
  const listIds = new Set<ChunkId>();
  let level = content.refs.ids;
  for (let below = depth; below > 0; below -= 1) {
    const asked = [...new Set(level)];
    const lists = await openLists(asked);
    const missing = asked.filter((id) => !lists.has(id));
    if (missing.length > 0) return { kind: 'missing', ids: missing };
    const parsed = new Map<ChunkId, readonly ChunkId[]>();
    for (const [id, plain] of lists) {
      const ids = parseList(plain);
      if (ids === undefined) return garbage('a list-chunk does not hold ids');
      parsed.set(id, ids);
    }
    let count = 0;
    for (const id of level) count += parsed.get(id)?.length ?? 0;
    if (count > idsMax) return garbage('more chunks than the size allows');
    for (const id of asked) listIds.add(id);
    level = level.flatMap((id) => parsed.get(id) ?? []);
  }
  if (level.length > idsMax) return garbage('more chunks than the size allows');
  if ((level.length === 0) !== (content.size === 0)) return garbage('size and chunks disagree');
  return { kind: 'expanded', ids: level, listIds: [...listIds] };
}

/** The ids of a list-chunk's plain bytes; undefined when they are none. */
export function parseList(plain: Uint8Array): readonly ChunkId[] | undefined {
  if (plain.length === 0 || plain.length % idBytes !== 0) return undefined;
  const ids: ChunkId[] = [];
  for (let at = 0; at < plain.length; at += idBytes) ids.push(bytesToHex(plain.subarray(at, at + idBytes)) as ChunkId);
  return ids;
}

/** Ids are hashes, so their own bits choose the ends. */
function listsOf(ids: readonly ChunkId[]): readonly (readonly ChunkId[])[] {
  const lists: (readonly ChunkId[])[] = [];
  let start = 0;
  for (let at = 0; at < ids.length; at += 1) {
    const count = at + 1 - start;
    const isEnd = count >= listIdsMin && (Number.parseInt((ids[at] ?? '').slice(0, 4), 16) & listEndMask) === 0;
    if (isEnd || count === listIdsMax) {
      lists.push(ids.slice(start, at + 1));
      start = at + 1;
    }
  }
  if (start < ids.length) lists.push(ids.slice(start));
  return lists;
}

/** No chunk of a content but the last is shorter than the shortest, and no content longer than any may be, whatever it says. */
function idsMaxOf(size: number): number {
  return limits.refsMax + Math.ceil(Math.min(size, limits.contentBytesMax) / chunkBytesMin);
}

function garbage(reason: string): ExpandedRefs {
  return { kind: 'garbage', reason };
}
