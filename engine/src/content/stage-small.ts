/** Stages groups of small contents: fetched together, each verified and flushed as a file of its own (rules DISK1, BASE). */
import { type ChunkId, concatBytes } from '@driftless/protocol';
import { RequestRefused, type RoomSession } from '../ports/room-session.ts';
import type { ChunkSource } from './chunk-source.ts';
import { ChunksMissing, type ContentsParts, type StageOptions, type StageRequest } from './content-types.ts';
import type { Reservation } from './free-space.ts';
import { orFail } from './or-fail.ts';
import type { VerifiedReader } from './read-verified.ts';
import type { StagedFileWriter } from './staged-writer.ts';

/** Staged files whose flushes are under way together. */
const flushesAtOnceMax = 8;

type SmallStageOptions = StageOptions & { readonly keepsBases: boolean };

export function createSmallStager(
  { store, clock, pause }: ContentsParts,
  { readWhole }: VerifiedReader,
  { load, leavesOf }: ChunkSource,
  { reserve, write }: StagedFileWriter,
) {
  async function stageSmall(
    requests: readonly StageRequest[],
    session: RoomSession | null,
    options: SmallStageOptions,
  ): Promise<void> {
    const rooms = new Map<StageRequest, Reservation>();
    try {
      // Before anything is fetched, and all at once: each would wait behind the flushes of another group.
      await allOf(
        requests.map((request) =>
          orFail(request.path, options.onFailed, async () => {
            rooms.set(request, await reserve(request.path, request.content.size));
          }),
        ),
      );
      await stageFitting(rooms, session, options);
    } finally {
      for (const room of rooms.values()) room.end();
    }
  }

  async function stageFitting(
    rooms: ReadonlyMap<StageRequest, Reservation>,
    session: RoomSession | null,
    options: SmallStageOptions,
  ): Promise<void> {
    if (rooms.size === 0) return;
    const leaves = new Map<StageRequest, readonly ChunkId[]>();
    const wanted: ChunkId[] = [];
    for (const request of rooms.keys()) {
      if (request.content.size === 0) leaves.set(request, []);
      // A file here holds the same bytes (a rename or a copy made elsewhere): nothing need be fetched.
      else if (store.localFilesByDigest(request.content.digest, 1).length > 0) continue;
      else
        await orFail(request.path, options.onFailed, async () => {
          const ids = await leavesOf(request.content, session);
          leaves.set(request, ids);
          wanted.push(...ids);
        });
    }
    const plain = await loadWhatIsThere(wanted, session, options.signal);
    const piecesOf = async (request: StageRequest): Promise<readonly Uint8Array[]> => {
      const ids = leaves.get(request);
      if (ids?.every((id) => plain.has(id)) === true) return ids.map((id) => plain.get(id) ?? new Uint8Array(0));
      const copy = await sameContentOnDisk(request);
      if (copy !== null) return [copy];
      const wantedNow = await leavesOf(request.content, session);
      const loaded = await load(wantedNow, session, options.signal);
      return wantedNow.map((id) => loaded.get(id) ?? new Uint8Array(0));
    };
    const stageOne = async (request: StageRequest, room: Reservation): Promise<void> => {
      const pieces = await piecesOf(request);
      await write(
        request,
        { flush: options.flush, room },
        async (put) => {
          for (const piece of pieces) await put(piece);
        },
        options.onStaged,
      );
      if (options.keepsBases) store.cacheContent(request.content.digest, concatBytes(...pieces), clock.nowMs());
      options.onProgress(request.content.size);
    };
    // Flushes wait for the disk, not for the processor: several at a time share one commit of the file system's journal.
    const queue = rooms.entries();
    const work = async (): Promise<void> => {
      // One iterator for all: each takes the next.
      for (const [request, room] of queue) {
        await orFail(request.path, options.onFailed, () => stageOne(request, room));
        await pause();
      }
    };
    await allOf(Array.from({ length: flushesAtOnceMax }, work));
  }

  async function loadWhatIsThere(
    ids: readonly ChunkId[],
    session: RoomSession | null,
    signal: AbortSignal,
  ): Promise<Map<ChunkId, Uint8Array>> {
    try {
      return await load(ids, session, signal);
    } catch (error) {
      // One chunk that the relay cannot read refuses all that are asked for with it: each file then asks for its own.
      if (error instanceof RequestRefused) return new Map();
      if (!(error instanceof ChunksMissing)) throw error;
      const gone = new Set(error.ids);
      const rest = ids.filter((id) => !gone.has(id));
      return rest.length === 0 ? new Map() : load(rest, session, signal);
    }
  }

  /** The bytes of another file here with the same content, or null. */
  async function sameContentOnDisk(request: StageRequest): Promise<Uint8Array | null> {
    for (const row of store.localFilesByDigest(request.content.digest, 3)) {
      if (row.local?.kind !== 'file') continue;
      const bytes = await readWhole(row.path, row.local);
      if (bytes instanceof Uint8Array) return bytes;
    }
    return null;
  }

  return stageSmall;
}

/** Throws what one of them failed for when all have ended. */
async function allOf(works: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(works)) if (outcome.status === 'rejected') throw outcome.reason;
}
