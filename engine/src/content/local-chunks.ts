/** Finds chunks in files that lie on this disk, so that they need not be fetched (F16). One that cannot be read is no source. */
import type { ChunkId } from '@driftless/protocol';
import { createChunker } from '../core/chunker.ts';
import { type Folder, FolderError, type ReadHandle } from '../ports/folder.ts';
import { type ContentsParts, readBytes } from './content-types.ts';

/** Where the wanted chunks lie in a local file, found by cutting it as the room does. */
export interface LocalChunks {
  readonly handle: ReadHandle | null;
  readonly bytesById: ReadonlyMap<ChunkId, { readonly start: number; readonly length: number }>;
}

export function createLocalChunkFinder({ cipher, pause }: Pick<ContentsParts, 'cipher' | 'pause'>) {
  async function indexChunks(
    open: () => ReturnType<Folder['openFile']>,
    wanted: ReadonlySet<ChunkId>,
  ): Promise<LocalChunks> {
    const bytesById = new Map<ChunkId, { start: number; length: number }>();
    const handle = await open();
    if ('kind' in handle) return { handle: null, bytesById };
    const cutter = createChunker(cipher.gearTable);
    let at = 0;
    const take = (chunks: Iterable<Uint8Array>): void => {
      for (const chunk of chunks) {
        const id = cipher.chunkId(chunk);
        if (wanted.has(id)) bytesById.set(id, { start: at, length: chunk.length });
        at += chunk.length;
      }
    };
    try {
      for (;;) {
        const bytes = await handle.read(readBytes);
        if (bytes.length === 0) break;
        take(cutter.push(bytes));
        await pause();
      }
      const last = cutter.finish();
      if (last !== null) take([last]);
      return { handle, bytesById };
    } catch (error) {
      await handle.close();
      if (error instanceof FolderError) return { handle: null, bytesById };
      throw error;
    }
  }

  async function fromSources(sources: readonly LocalChunks[], id: ChunkId): Promise<Uint8Array | undefined> {
    for (const source of sources) {
      const range = source.bytesById.get(id);
      if (range === undefined || source.handle === null) continue;
      const bytes = await readAt(source.handle, range);
      // The file may have changed since it was indexed.
      if (bytes !== null && cipher.chunkId(bytes) === id) return bytes.slice();
    }
    return undefined;
  }

  return { indexChunks, fromSources };
}

async function readAt(
  handle: ReadHandle,
  { start, length }: { readonly start: number; readonly length: number },
): Promise<Uint8Array | null> {
  try {
    return await handle.readAt(start, length);
  } catch (error) {
    if (error instanceof FolderError) return null;
    throw error;
  }
}
