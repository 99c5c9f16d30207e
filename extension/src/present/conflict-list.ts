/** Conflicts as rows of a quick pick, and as titles of diff editors. */
import type { ConflictInfo } from '@driftless/engine';
import { sizeText } from '@driftless/protocol';
import { agoText } from './text.ts';

export interface ConflictRow {
  readonly dir: string;
  readonly path: string;
  readonly label: string;
  readonly description: string;
  readonly detail: string;
}

export function presentConflicts(options: {
  readonly dir: string;
  readonly folderName: string | null;
  readonly conflicts: readonly ConflictInfo[];
  readonly nowMs: number;
}): readonly ConflictRow[] {
  return [...options.conflicts]
    .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
    .map((conflict) => ({
      dir: options.dir,
      path: conflict.path,
      label: conflict.path,
      description: [
        options.folderName,
        conflict.holds === 'mine' ? 'your version is on disk' : 'their version is on disk',
      ]
        .filter((part) => part !== null)
        .join(' · '),
      detail: conflict.variants
        .map(
          (each) => `${each.mine ? 'you' : each.device}: ${sizeText(each.size)}, ${agoText(each.time, options.nowMs)}`,
        )
        .join(' · '),
    }));
}

export function diffTitle(path: string): string {
  return `${path.slice(path.lastIndexOf('/') + 1)} (theirs ↔ mine)`;
}
