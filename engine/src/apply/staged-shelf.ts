/**
 * Contents that a pass had staged when it ended early (a cut link, a command): whole, verified and flushed, they wait for the
 * pass that takes up the work, which would fetch them once more otherwise, and leave these to lie in the stage. A link that is
 * cut again and again gains a little each time.
 *
 * Leaves to others: parts of large files that were cut themselves (content/download-parts.ts), and what lies in the stage at a
 * start (nobody's by then).
 */
import type { Digest, RelPath } from '@driftless/protocol';
import type { StagedContent } from '../content/content-types.ts';
import type { Folder } from '../ports/folder.ts';

export interface StagedShelf {
  keep(staged: StagedContent, digest: Digest): void;
  /** What lies there for this path and content; it is the caller's from here on. */
  take(path: RelPath, digest: Digest): StagedContent | undefined;
  has(stagedName: string): boolean;
  /** Removes what nobody waits for any more. */
  drop(isUnwanted: (path: RelPath, digest: Digest) => boolean): Promise<void>;
}

export function createStagedShelf(folder: Pick<Folder, 'discardStaged'>): StagedShelf {
  /** By path, not by content alone: a file is staged on the disk on which its place is. */
  const kept = new Map<RelPath, { readonly digest: Digest; readonly staged: StagedContent }>();

  return {
    keep: (staged, digest) => void kept.set(staged.path, { digest, staged }),
    take: (path, digest) => {
      const found = kept.get(path);
      if (found?.digest !== digest) return undefined;
      kept.delete(path);
      return found.staged;
    },
    has: (stagedName) => [...kept.values()].some(({ staged }) => staged.stagedName === stagedName),
    drop: async (isUnwanted) => {
      for (const [path, { digest, staged }] of kept) {
        if (!isUnwanted(path, digest)) continue;
        kept.delete(path);
        await folder.discardStaged(staged.stagedName);
      }
    },
  };
}
