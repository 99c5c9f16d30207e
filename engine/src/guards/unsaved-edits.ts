/**
 * Files that somebody has open with edits that are not saved, and what follows from it here (rule EDIT1): while it lasts the disk keeps what
 * the editor believes to be there. Nothing replaces, removes, moves or dresses such a file, nor takes away a directory that it
 * lies in, and nothing is made below it; all else goes on. Everything stays pending, so that the ordinary reconcile goes on where
 * it was kept from going on.
 *
 * A window says it of all its files at once, through its connection. When that is lost, the window may only be slow to come back.
 */
import type { RelPath } from '@driftless/protocol';
import type { WaitingPath } from '../control.ts';
import { liveEntry, sameEntry } from '../core/entry-encoding.ts';
import type { DiskStep } from '../core/plan.ts';
import type { RowView } from '../core/row.ts';
import { ancestorsOf, isAtOrBelow } from '../core/tree-paths.ts';
import type { Clock, Timer } from '../ports/clock.ts';

/** A window that is loaded again is back sooner; one that is gone holds nothing up for long. */
const lostWindowMs = 10_000;

export interface UnsavedEdits {
  /** What a window has unsaved; replaces what it said before. */
  hold(window: string, paths: readonly RelPath[]): void;
  /** The connection of a window is lost: 10 s later it has nothing unsaved any more. */
  lost(window: string): void;
  has(path: RelPath): boolean;
  /** Whether carrying out this step would change what an editor believes to be on disk. */
  hinders(step: DiskStep): boolean;
  /** What of the room waits for them, in path order. */
  waiting(view: Pick<RowView, 'row'>): readonly WaitingPath[];
}

export function createUnsavedEdits(parts: {
  readonly clock: Clock;
  /** These are nobody's any more: they are looked at, and what waited for them goes on. */
  readonly onReleased: (paths: readonly RelPath[]) => void;
}): UnsavedEdits {
  const windows = new Map<string, { readonly paths: readonly RelPath[]; readonly ending: Timer | null }>();
  let held = new Set<RelPath>();
  /** The directories that they lie in. */
  let above = new Set<RelPath>();

  function changed(): void {
    const before = held;
    held = new Set([...windows.values()].flatMap(({ paths }) => paths));
    above = new Set([...held].flatMap((path) => [...ancestorsOf(path)]));
    const released = [...before].filter((path) => !held.has(path));
    if (released.length > 0) parts.onReleased(released);
  }

  function hold(window: string, paths: readonly RelPath[]): void {
    windows.get(window)?.ending?.cancel();
    if (paths.length === 0) windows.delete(window);
    else windows.set(window, { paths, ending: null });
    changed();
  }

  const isTouched = (path: RelPath): boolean => isAtOrBelow(path, held);
  const isTouchedWhole = (path: RelPath): boolean => isTouched(path) || above.has(path);

  return {
    hold,
    lost(window) {
      const known = windows.get(window);
      if (known === undefined || known.ending !== null) return;
      windows.set(window, { ...known, ending: parts.clock.after(lostWindowMs, () => hold(window, [])) });
    },
    has: (path) => held.has(path),
    hinders(step) {
      if (held.size === 0) return false;
      switch (step.kind) {
        case 'applyMove':
          return isTouchedWhole(step.fromPath) || isTouchedWhole(step.toPath);
        case 'apply':
          return step.row.local?.kind === 'directory' && step.to?.kind !== 'directory'
            ? isTouchedWhole(step.path)
            : isTouched(step.path);
        default:
          return isTouched(step.path);
      }
    },
    waiting: (view) =>
      [...held].sort().flatMap((path) => {
        const row = view.row(path);
        if (row === undefined || row.outOfScope !== null) return [];
        const remote = liveEntry(row.remote);
        // Of an open conflict, what waits is the answer.
        if (row.hold === null ? sameEntry(remote, row.base) : row.hold.choice === null) return [];
        return [{ path, version: remote?.kind === 'file' ? remote.content.digest : null }];
      }),
  };
}
