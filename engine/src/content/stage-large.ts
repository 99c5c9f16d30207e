/** Stages one large content as a stream: resumes where it was cut, and fetches only chunks that no local file holds (F16). */
import type { ChunkId } from '@driftless/protocol';
import type { RoomSession } from '../ports/room-session.ts';
import type { ChunkSource } from './chunk-source.ts';
import type { ContentsParts, StageOptions, StageRequest } from './content-types.ts';
import { createLocalChunkFinder, type LocalChunks } from './local-chunks.ts';
import type { StagedFileWriter } from './staged-writer.ts';

/** Staged names of large contents begin so: what is left of one is gone on from. */
export const downloadPrefix = 'dl-';
/** Chunks of a large content fetched at a time: at most 8 MiB in memory. */
const fetchWindowChunks = 64;

export function createLargeStager(parts: ContentsParts, { load, leavesOf }: ChunkSource, { write }: StagedFileWriter) {
  const { folder, store, pause } = parts;
  const { indexChunks, fromSources } = createLocalChunkFinder(parts);

  async function stageLarge(request: StageRequest, session: RoomSession | null, options: StageOptions): Promise<void> {
    const prefix = `${downloadPrefix}${request.content.digest.slice(0, 24)}-`;
    const leaves = await leavesOf(request.content, session);
    const wanted = new Set(leaves);
    const parts = (await folder.stagedNames()).filter((name) => name.startsWith(prefix));
    const sources: LocalChunks[] = [];
    try {
      for (const name of parts) sources.push(await indexChunks(() => folder.openStaged(name), wanted));
      const here = store.row(request.path)?.local;
      const twin = store.localFilesByDigest(request.content.digest, 1)[0];
      for (const path of new Set([
        ...(twin === undefined ? [] : [twin.path]),
        ...(here?.kind === 'file' ? [request.path] : []),
      ]))
        sources.push(await indexChunks(() => folder.openFile(path), wanted));
      await write(
        request,
        prefix,
        options.flush,
        async (put) => {
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
            if (rest.length > 0)
              for (const [id, bytes] of await load(rest, session, options.signal)) plain.set(id, bytes);
            for (const id of window) {
              const bytes = plain.get(id) ?? new Uint8Array(0);
              await put(bytes);
              options.onProgress(bytes.length);
            }
            await pause();
          }
        },
        options.onStaged,
      );
      for (const name of parts) await folder.discardStaged(name);
    } finally {
      for (const source of sources) await source.handle?.close();
    }
  }

  return stageLarge;
}
