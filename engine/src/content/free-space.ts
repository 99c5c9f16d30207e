/**
 * What is received leaves room on the disk for everything else that works there: a record of a few hundred bytes may stand for files
 * of any size, and any number of them. What does not fit is pending, shown, and tried again like on a full disk (D1).
 */
import type { RelPath } from '@driftless/protocol';
import { type Folder, FolderError } from '../ports/folder.ts';

/** A gibibyte, on a small disk a twentieth of it: what a system needs to go on working. */
const keptBytesMax = 1024 ** 3;
const keptShare = 0.05;

export interface FreeSpace {
  /**
   * Carries out the writing of a file of the room, if so many bytes fit; `wrote` is told as they are written. Errors: those of `write`;
   * FolderError, a problem of the path.
   */
  within(path: RelPath, bytes: number, write: (wrote: (bytes: number) => void) => Promise<void>): Promise<void>;
}

export function createFreeSpace({ folder }: { readonly folder: Pick<Folder, 'space'> }): FreeSpace {
  /** About to be written, and still free. */
  let underWayBytes = 0;

  /** Beyond what is kept and what is under way. Asked anew for each file: others fill the disk too. */
  async function usableBytes(): Promise<number> {
    try {
      const { freeBytes, totalBytes } = await folder.space();
      // Some disks answer, and know nothing.
      if (totalBytes === 0) return Number.POSITIVE_INFINITY;
      return freeBytes - Math.min(keptBytesMax, totalBytes * keptShare) - underWayBytes;
    } catch (error) {
      // A disk that does not tell says so when it is full.
      if (!(error instanceof FolderError)) throw error;
      return Number.POSITIVE_INFINITY;
    }
  }

  return {
    within: async (path, bytes, write) => {
      // Counted before it is asked: several are written at once.
      let left = Math.max(0, bytes);
      underWayBytes += left;
      try {
        if ((await usableBytes()) < 0)
          throw new FolderError({
            kind: 'problem',
            code: 'ENOSPC',
            reason: `Cannot receive "${path}" (${bytes} bytes): the disk would be almost full. It is tried again; make room.`,
            diskFull: true,
          });
        await write((written) => {
          const counted = Math.min(written, left);
          left -= counted;
          underWayBytes -= counted;
        });
      } finally {
        underWayBytes -= left;
      }
    },
  };
}
