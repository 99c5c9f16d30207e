/**
 * Stages one large content as a stream: goes on where it was cut, and fetches only chunks that no local file holds (F16). In
 * memory are one window of chunks and the list of their ids.
 */
import type { ChunkId } from '@driftless/protocol';
import type { RoomSession } from '../ports/room-session.ts';
import type { ChunkSource } from './chunk-source.ts';
import type { ContentsParts, StageOptions, StageRequest } from './content-types.ts';
import type { Claim, DownloadPart, DownloadParts } from './download-parts.ts';
import type { Reservation } from './free-space.ts';
import { createLocalChunkFinder, type LocalChunks } from './local-chunks.ts';
import type { StagedFileWriter } from './staged-writer.ts';

/** Chunks of a large content fetched at a time: at most 8 MiB in memory. */
const fetchWindowChunks = 64;

interface LargeContent {
  readonly claim: Claim;
  readonly part: DownloadPart;
  readonly leaves: readonly ChunkId[];
  readonly room: Reservation;
}

export function createLargeStager(
  contentsParts: ContentsParts,
  { load, leavesOf }: ChunkSource,
  { reserve, write }: StagedFileWriter,
  parts: DownloadParts,
) {
  const { folder, store, pause } = contentsParts;
  const { indexChunks, fromSources } = createLocalChunkFinder(contentsParts);

  async function stageLarge(request: StageRequest, session: RoomSession | null, options: StageOptions): Promise<void> {
    const { size } = request.content;
    const claim = await parts.claim(request);
    let room: Reservation | undefined;
    let part: DownloadPart | undefined;
    try {
      room = await reserve(request.path, size - claim.bytes, size);
      const leaves = await leavesOf(request.content, session);
      part = await parts.begin(claim, leaves);
      room.cut(claim.bytes - part.bytes);
      await stageFitting(request, { claim, part, leaves, room }, session, options);
    } catch (error) {
      await parts.release(claim, part);
      throw error;
    } finally {
      room?.end();
    }
  }

  async function stageFitting(
    request: StageRequest,
    { claim, part, leaves, room }: LargeContent,
    session: RoomSession | null,
    options: StageOptions,
  ): Promise<void> {
    const sources: LocalChunks[] = [];
    try {
      const left = leaves.slice(part.chunks);
      await openSources(request, new Set(left), sources);
      options.onProgress(part.bytes);
      await write(
        request,
        { flush: options.flush, room, part },
        (put) =>
          copy(left, sources, session, options, async (bytes) => {
            await put(bytes);
            part.chunks += 1;
          }),
        (staged) => {
          parts.finish(claim);
          options.onStaged(staged);
        },
      );
    } finally {
      for (const source of sources) await source.handle?.close();
    }
  }

  /** The file as it is here, an older version perhaps, and another that holds the same bytes. */
  async function openSources(
    request: StageRequest,
    wanted: ReadonlySet<ChunkId>,
    sources: LocalChunks[],
  ): Promise<void> {
    if (wanted.size === 0) return;
    const here = store.row(request.path)?.local;
    const twin = store.localFilesByDigest(request.content.digest, 1)[0];
    for (const path of new Set([
      ...(twin === undefined ? [] : [twin.path]),
      ...(here?.kind === 'file' ? [request.path] : []),
    ]))
      sources.push(await indexChunks(() => folder.openFile(path), wanted));
  }

  async function copy(
    leaves: readonly ChunkId[],
    sources: readonly LocalChunks[],
    session: RoomSession | null,
    options: StageOptions,
    put: (bytes: Uint8Array) => Promise<void>,
  ): Promise<void> {
    for (let start = 0; start < leaves.length; start += fetchWindowChunks) {
      options.signal.throwIfAborted();
      const window = leaves.slice(start, start + fetchWindowChunks);
      const plain = new Map<ChunkId, Uint8Array>();
      for (const id of window) {
        if (plain.has(id)) continue;
        const bytes = await fromSources(sources, id);
        if (bytes !== undefined) plain.set(id, bytes);
      }
      const rest = window.filter((id) => !plain.has(id));
      if (rest.length > 0) for (const [id, bytes] of await load(rest, session, options.signal)) plain.set(id, bytes);
      for (const id of window) {
        const bytes = plain.get(id) ?? new Uint8Array(0);
        await put(bytes);
        options.onProgress(bytes.length);
      }
      await pause();
    }
  }

  return stageLarge;
}
