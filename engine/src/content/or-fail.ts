import type { RelPath } from '@driftless/protocol';
import { FolderError } from '../ports/folder.ts';
import { ChunksMissing, ContentDamaged } from './content-types.ts';

/** One bad file is a problem of its own, also one that finds no room on the disk (D1); a lost session ends the whole batch. */
export async function orFail(
  path: RelPath,
  onFailed: (path: RelPath, problem: unknown) => void,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof ChunksMissing || error instanceof ContentDamaged || error instanceof FolderError)
      onFailed(path, error);
    else throw error;
  }
}
