/** Conflicts as rows of a quick pick, and as titles of diff editors. */
import type { ConflictInfo } from '@driftless/engine';
import { agoText, sizeText } from './text.ts';

export interface ConflictRow {
  readonly dir: string;
  readonly path: string;
  /** Icons in it would be rendered: names from other machines show as they are. */
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
      label: withoutIcons(conflict.path),
      description: [
        options.folderName,
        conflict.holds === 'mine' ? 'your version is on disk' : 'their version is on disk',
      ]
        .filter((part) => part !== null)
        .join(' · '),
      detail: conflict.variants
        .map(
          (each) =>
            `${each.mine ? 'you' : withoutIcons(each.device)}: ${sizeText(each.size)}, ${agoText(each.time, options.nowMs)}`,
        )
        .join(' · '),
    }));
}

export function diffTitle(path: string): string {
  return `${path.slice(path.lastIndexOf('/') + 1)} (theirs ↔ mine)`;
}

/** `$(name)` in a label is an icon to VS Code. */
export function withoutIcons(text: string): string {
  return text.replaceAll('$(', '$\u200b(');
}
