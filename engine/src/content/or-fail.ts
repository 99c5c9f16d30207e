/** What one path's content may fail for without holding up others: a refusal of the relay, a loss there, a full disk here. */
import type { RelPath } from '@driftless/protocol';
import { refusalHalt } from '../core/refusal.ts';
import { FolderError } from '../ports/folder.ts';
import { RequestRefused } from '../ports/room-session.ts';
import { ChunksMissing, ContentDamaged } from './content-types.ts';

/** What a path's failure is shown as, and what else follows from it. */
export interface PathFault {
  readonly reason: string;
  readonly diskFull: boolean;
  readonly refused?: { readonly work: 'send' | 'fetch'; readonly refusal: RequestRefused };
  /** The relay lost chunks of it. */
  readonly isLost?: boolean;
}

export function problemOf(error: unknown, work: 'send' | 'fetch' = 'fetch'): PathFault {
  if (error instanceof FolderError) return error.problem;
  if (error instanceof RequestRefused)
    return {
      reason: refusalHalt({ code: error.code, detail: error.message }).reason,
      diskFull: false,
      refused: { work, refusal: error },
    };
  return {
    reason: error instanceof Error ? error.message : String(error),
    diskFull: false,
    isLost: error instanceof ChunksMissing || error instanceof ContentDamaged,
  };
}

/** Anything else, a lost session above all, ends the whole batch. */
export const isOfOnePath = (error: unknown): boolean =>
  error instanceof ChunksMissing ||
  error instanceof ContentDamaged ||
  error instanceof FolderError ||
  error instanceof RequestRefused;

/** One bad file is a problem of its own, also one that finds no room on the disk (D1). */
export async function orFail(
  path: RelPath,
  onFailed: (path: RelPath, problem: unknown) => void,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isOfOnePath(error)) throw error;
    onFailed(path, error);
  }
}
