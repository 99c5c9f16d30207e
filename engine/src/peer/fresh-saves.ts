/**
 * Saves that were just made and are not sent yet: where much else is to be sent they go first, since they depend on none of it.
 *
 * A save by hand is a small change; among the many paths of one look (a rename that came at the same moment) it is recognised
 * as a known file that was named by its own hint. Whatever is taken for one by mistake goes a little earlier, no more.
 */
import type { RelPath } from '@driftless/protocol';
import { liveEntry } from '../core/entry-encoding.ts';
import type { PublishStep } from '../core/plan.ts';
import { parentPath } from '../core/tree-paths.ts';
import type { StateStore } from '../ports/state-store.ts';
import type { ScanRequest } from '../scan.ts';

/** More are no saves by hand. */
const savesMax = 20;

export interface FreshSaves {
  /** After a look at these paths, of which some had changed. */
  note(requests: readonly ScanRequest[], changed: readonly RelPath[]): void;
  /** Those that can be sent whatever else is. */
  paths(): readonly RelPath[];
  isOne(step: PublishStep): boolean;
  /** Everything was sent. */
  clear(): void;
}

export function createFreshSaves(store: Pick<StateStore, 'row' | 'manifest'>): FreshSaves {
  const saves = new Set<RelPath>();

  function isKnownFile(path: RelPath): boolean {
    const row = store.row(path);
    return row?.local?.kind === 'file' && row.base?.kind === 'file';
  }

  function hasParentInRoom(path: RelPath): boolean {
    const parent = parentPath(path);
    return parent === undefined || liveEntry(store.manifest.slot(parent))?.kind === 'directory';
  }

  return {
    note: (requests, changed) => {
      let found = changed;
      if (changed.length > savesMax) {
        const hasChanged = new Set(changed);
        found = requests.flatMap(({ path }) =>
          path !== '' && hasChanged.has(path) && isKnownFile(path) ? [path] : [],
        );
      }
      if (found.length <= savesMax) for (const path of found) saves.add(path);
    },
    paths: () => [...saves].filter(hasParentInRoom),
    isOne: (step) => {
      if (step.kind !== 'publish' || !saves.has(step.path)) return false;
      if (step.local === null || step.local.kind === 'directory' || step.remote?.kind === 'directory') return false;
      return hasParentInRoom(step.path);
    },
    clear: () => saves.clear(),
  };
}
