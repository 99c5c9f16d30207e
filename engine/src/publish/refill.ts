/**
 * The relay lacks chunks that a record names and that it was believed to hold: it lost them, or let them go before the record
 * came. They are put once more, from memory or made again from the files that were drafted. A file that is another by now, or
 * cannot be read, is that path's own matter; a relay that does not keep what it is given refuses, and says so (rules GC5, REFUSED).
 * Leaves to others: the append, and what becomes of the record (publish.ts).
 */
import { type ChunkId, closeCodes, type RelPath, type SealedChunk } from '@driftless/protocol';
import type { LocalFile, Moved } from '../content/content-types.ts';
import type { PeerContext } from '../peer-context.ts';
import type { PathProblem } from '../ports/folder.ts';
import { RequestRefused, type RoomSession } from '../ports/room-session.ts';

/** A file that a record was drafted from, and the chunks that it stands for there. */
export interface DraftSource {
  readonly path: RelPath;
  readonly local: LocalFile;
  readonly ids: readonly ChunkId[];
}
export interface LostSource {
  readonly source: DraftSource;
  readonly outcome: Moved | PathProblem;
}

/** One that is asked for after it was given so often is not kept. A large record may be asked for in many parts. */
const givenMax = 3;

/** Called with each of the relay's answers for one record. Returns what cannot be made again: the record cannot go out as it is. */
export function createRefill(
  { parts: { store }, contents }: PeerContext,
  record: {
    /** In memory: the record's own, and those that would go along with it. */
    readonly chunks: readonly SealedChunk[];
    readonly sources: readonly DraftSource[];
    readonly session: RoomSession;
    readonly signal: AbortSignal;
  },
): (missing: readonly ChunkId[]) => Promise<readonly LostSource[]> {
  const { chunks, sources, session, signal } = record;
  const given = new Map<ChunkId, number>();

  return async (missing) => {
    if (missing.some((id) => (given.get(id) ?? 0) >= givenMax)) throw relayFailed('it loses what it is given');
    const wanted = new Set(missing);
    const give = async (found: readonly SealedChunk[]): Promise<void> => {
      for (const { id } of found) {
        wanted.delete(id);
        given.set(id, (given.get(id) ?? 0) + 1);
      }
      if (found.length > 0) await session.put(found, { signal });
    };
    await give(chunks.filter(({ id }) => wanted.has(id)));
    for (const id of missing) {
      const cached = wanted.has(id) ? store.cachedChunk(id) : undefined;
      if (cached !== undefined) await give([cached]);
    }
    const isWanted = (id: ChunkId): boolean => wanted.has(id);
    const read: LostSource[] = [];
    for (const source of sources) {
      if (!source.ids.some(isWanted)) continue;
      const outcome = await contents.chunksFromDisk(source.path, source.local, { isWanted, onPart: give, signal });
      read.push({ source, outcome: outcome ?? otherChunks });
    }
    // The same bytes may have been found under another name.
    const lost = read.filter(({ source }) => source.ids.some(isWanted));
    if (wanted.size > 0 && lost.length === 0) throw relayFailed('it asks for what this record does not name');
    return lost;
  };
}

/** Read to its end, and cut into others than were drafted: as it cannot be explained, it is tried again more and more rarely. */
const otherChunks: PathProblem = {
  kind: 'problem',
  code: 'LOST',
  reason: 'the relay lost a part of it that could not be made again; it is sent anew',
  diskFull: false,
};
const relayFailed = (reason: string): RequestRefused => new RequestRefused(closeCodes.storeFailed.code, reason);
