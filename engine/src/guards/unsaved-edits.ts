/**
 * Files that somebody has open with edits that are not saved, and what follows from it here (rule EDIT1): while it lasts the disk keeps what
 * the editor believes to be there. Nothing replaces, removes, moves or dresses such a file, nor takes away a directory that it
 * lies in, and nothing is made below it; all else goes on. Everything stays pending, so that the ordinary reconcile goes on where
 * it was kept from going on.
 *
 * An editor may spell a path otherwise than we do, on a disk that takes both for one: what is held is compared by what such a disk
 * tells apart, and what is known of the path is asked of the row that it is.
 *
 * A window says it of all its files at once, through its connection. When that is lost, the window may only be slow to come back.
 *
 * What is saved is merged with the room by its base: the version that it was made from (rule EDIT2). That is not always the one that
 * disk and room last agreed on:
 *   - the room's version was merged into the buffer since. Then base becomes that version once the window says that it has saved it, and
 *     until then nothing is published of the path, or the room's lines would be merged twice;
 *   - a version was swapped in although the edit had begun: an event is never as fast as a key. Then base goes back to the version
 *     that the buffer was loaded from as soon as something else is on disk, so that a save over it is a merge and no deletion. What
 *     is on disk the rows do not say while a replace is under way: so the edit is judged when it begins, and once more when such a
 *     replace is committed, also if it was saved in between.
 * Base goes forward on the window's word alone, and only when the disk holds something new. Going back loses nothing, as long as
 * the room's version was made from it as well.
 */
import type { Digest, Entry, RelPath } from '@driftless/protocol';
import type { WaitingPath } from '../control.ts';
import { liveEntry, sameEntry } from '../core/entry-encoding.ts';
import { modeOf } from '../core/file-mode.ts';
import { clashKey } from '../core/folder-name.ts';
import type { FolderTraits } from '../core/folder-traits.ts';
import type { DiskStep } from '../core/plan.ts';
import type { Row } from '../core/row.ts';
import { ancestorsOf } from '../core/tree-paths.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { StateStore } from '../ports/state-store.ts';
import { createSpelling } from './spelling.ts';

/** A window that is loaded again is back sooner; one that is gone holds nothing up for long. */
const lostWindowMs = 10_000;
/** An editor shows what it loaded for less than a second more: few are of interest at once. */
const mergesRememberedMax = 1_000;

export interface UnsavedEdits {
  /** What a window has unsaved; replaces what it said before. */
  hold(window: string, edits: readonly Held[]): void;
  /** The connection of a window is lost: 10 s later it has nothing unsaved any more. */
  lost(window: string): void;
  has(path: RelPath): boolean;
  /** At, above or below it is one. */
  isAround(path: RelPath): boolean;
  /** Whether carrying out this step would change what an editor believes to be on disk. */
  hinders(step: DiskStep): boolean;
  /** What of the room waits for them, in path order and as the windows spell it. */
  waiting(): readonly WaitingPath[];
  /** The version that a buffer was made from into which `merged` went; null: nobody knows it any more. */
  madeFrom(path: RelPath, merged: Digest | null): Entry | null;
  /** What was saved just now was made from that version. */
  savedMerged(path: RelPath, merged: Digest): void;
  /** A replace of this path is committed, and the disk held `placed` since some time before. */
  replaced(path: RelPath, placed: Digest): void;
  /** A merge took the place of what was saved here. */
  mergedOnDisk(path: RelPath, merge: MergeOnDisk): void;
  /** Before rows are compared: base becomes what was saved was made from. `isSettled`: the path was looked at since. */
  rebase(isSettled: (path: RelPath) => boolean): void;
  /** What disk and room hold there must not be compared now: the window has still to say what a save was made from. */
  isUndecided(path: RelPath): boolean;
}

export interface MergeOnDisk {
  readonly ours: Digest;
  readonly base: Entry | null;
  readonly merged: Digest;
}

/** An UnsavedEdit, parsed. */
export interface Held {
  readonly path: RelPath;
  readonly loaded: Digest | null;
  readonly merged: Digest | null;
}

interface Swap {
  readonly loaded: Digest;
  readonly disk: Digest;
}

export function createUnsavedEdits(parts: {
  readonly clock: Clock;
  readonly store: Pick<StateStore, 'row' | 'localChildren' | 'setBase' | 'inHistory' | 'cachedContent'>;
  readonly traits: FolderTraits;
  /** These are nobody's any more: they are looked at, and what waited for them goes on. */
  readonly onReleased: (paths: readonly RelPath[]) => void;
}): UnsavedEdits {
  const { store, traits } = parts;
  const spelled = createSpelling(store, traits);
  const keyOf = (path: RelPath): string => clashKey(path, traits);
  const windows = new Map<string, { readonly edits: readonly Held[]; readonly ending: Timer | null }>();
  /** As the windows spell them, by key. */
  let held = new Map<string, RelPath>();
  /** The keys of the directories that they lie in. */
  let above = new Set<string>();
  /** Into their buffers a version was merged that is not on disk: their keys. */
  let withMerge = new Set<string>();
  /** Loaded versions that the disk had already lost when the edit was told of, and what it held then. */
  const swapped = new Map<RelPath, Swap>();
  /** What edits were loaded from, of each path the first: until they are over, and what they left on disk was looked at. */
  const begun = new Map<RelPath, Digest>();
  /** The last merges on disk: of what was saved, and may still be in a buffer. */
  const merges = new Map<RelPath, MergeOnDisk>();
  /** Versions that were merged into what was saved, until that was looked at. */
  const saved = new Map<RelPath, Digest>();

  function changed(): void {
    const before = held;
    const edits = [...windows.values()].flatMap((window) => window.edits);
    held = new Map(edits.map(({ path }) => [keyOf(path), path]));
    withMerge = new Set(edits.flatMap(({ path, merged }) => (merged === null ? [] : [keyOf(path)])));
    above = new Set([...held.values()].flatMap((path) => [...ancestorsOf(path)].map(keyOf)));
    const released = [...before].flatMap(([key, path]) => (held.has(key) ? [] : [spelled(path)]));
    if (released.length > 0) parts.onReleased(released);
  }

  function hold(window: string, edits: readonly Held[]): void {
    const known = windows.get(window);
    known?.ending?.cancel();
    if (edits.length === 0) windows.delete(window);
    else windows.set(window, { edits, ending: null });
    // Once it is held nothing is swapped in any more.
    const before = new Set(known?.edits.map(({ path }) => path));
    for (const edit of edits) if (!before.has(edit.path)) begin(edit);
    changed();
  }

  function begin({ path: given, loaded }: Held): void {
    if (loaded === null) return;
    const path = spelled(given);
    if (!begun.has(path)) begun.set(path, loaded);
    const row = store.row(path);
    if (row?.local?.kind === 'file') noteSwap(path, { loaded, disk: row.local.digest });
  }

  /** The disk does not hold what the buffer was made from. */
  function noteSwap(path: RelPath, { loaded, disk }: Swap): void {
    if (store.row(path)?.base?.kind === 'file' && disk !== loaded && isKnown(path, loaded))
      swapped.set(path, { loaded, disk });
  }

  /** Of the room, or merged on disk once. */
  const isKnown = (path: RelPath, version: Digest): boolean =>
    store.inHistory(path, version) || store.cachedContent(version) !== undefined;

  /** A version of the room as a base: with the mode that is agreed on, which no buffer has. null: none of the room's, as far as is known. */
  function versionOf({ path, base, remote }: Row, version: Digest): Entry | null {
    if (base?.kind !== 'file') return null;
    const entry = liveEntry(remote);
    for (const known of [base, entry])
      if (known?.kind === 'file' && known.content.digest === version) return { ...known, ...modeOf(base) };
    if (!store.inHistory(path, version)) return null;
    return entryOf(base, version);
  }

  function entryOf(base: Extract<Entry, { kind: 'file' }>, version: Digest): Entry {
    const size = store.cachedContent(version)?.length ?? base.content.size;
    // Its bytes are in the cache of bases; where they are no more, the merge finds that out and both sides are kept.
    return { ...base, content: { digest: version, size, epoch: 0, refs: { depth: 0, ids: [] } } };
  }

  /**
   * What was saved here and merged on disk is part of the room once that merge is; before, its own base is. null: nobody knows any
   * more whether it is, and without a base both sides are kept.
   */
  function loadedVersionOf(row: Row, loaded: Digest): Entry | null {
    const over = merges.get(row.path);
    if (over?.ours !== loaded) return versionOf(row, loaded);
    return store.inHistory(row.path, over.merged) && row.base?.kind === 'file' ? entryOf(row.base, loaded) : over.base;
  }

  function rebase(isSettled: (path: RelPath) => boolean): void {
    for (const [path, version] of saved) {
      if (!isSettled(path)) continue;
      saved.delete(path);
      const row = store.row(path);
      if (row?.local?.kind === 'file' && row.base?.kind === 'file' && row.local.digest !== row.base.content.digest)
        moveBase(row, versionOf(row, version) ?? row.base);
    }
    for (const [path, { loaded, disk }] of swapped) {
      if (!isSettled(path)) continue;
      const row = store.row(path);
      const isAsBefore = row?.local?.kind === 'file' && row.local.digest === disk;
      if (isAsBefore && has(path)) continue;
      swapped.delete(path);
      if (isAsBefore || row?.local?.kind !== 'file' || row.local.digest === loaded) continue;
      moveBase(row, loadedVersionOf(row, loaded));
    }
    for (const path of begun.keys()) if (!has(path) && isSettled(path)) begun.delete(path);
  }

  function moveBase({ path, hold: open }: Row, base: Entry | null): void {
    if (open === null) store.setBase(path, base);
  }

  const has = (path: RelPath): boolean => held.size > 0 && held.has(keyOf(path));
  const isTouched = (path: RelPath): boolean => has(path) || (held.size > 0 && [...ancestorsOf(path)].some(has));
  const isAround = (path: RelPath): boolean => isTouched(path) || (above.size > 0 && above.has(keyOf(path)));

  return {
    hold,
    lost(window) {
      const known = windows.get(window);
      if (known === undefined || known.ending !== null) return;
      windows.set(window, { ...known, ending: parts.clock.after(lostWindowMs, () => hold(window, [])) });
    },
    has,
    isAround,
    hinders(step) {
      if (held.size === 0) return false;
      switch (step.kind) {
        case 'applyMove':
          return isAround(step.fromPath) || isAround(step.toPath);
        case 'apply':
          return step.row.local?.kind === 'directory' && step.to?.kind !== 'directory'
            ? isAround(step.path)
            : isTouched(step.path);
        default:
          return isTouched(step.path);
      }
    },
    waiting: () =>
      [...held.values()].sort().flatMap((given) => {
        const path = spelled(given);
        const row = store.row(path);
        if (row === undefined || row.outOfScope !== null) return [];
        const remote = liveEntry(row.remote);
        // Of an open conflict, what waits is the answer.
        const isDone = row.hold === null ? sameEntry(remote, row.base) : row.hold.choice === null;
        if (isDone && !swapped.has(path)) return [];
        return [{ path: given, version: remote?.kind === 'file' ? remote.content.digest : null }];
      }),
    madeFrom(given, merged) {
      const path = spelled(given);
      const row = store.row(path);
      if (row === undefined) return null;
      if (merged !== null) return versionOf(row, merged);
      const swap = swapped.get(path);
      return swap === undefined ? row.base : loadedVersionOf(row, swap.loaded);
    },
    savedMerged: (given, merged) => {
      const path = spelled(given);
      saved.set(path, merged);
      swapped.delete(path);
      parts.onReleased([path]);
    },
    replaced(path, placed) {
      const loaded = begun.get(path);
      if (loaded !== undefined) noteSwap(path, { loaded, disk: placed });
    },
    mergedOnDisk(path, merge) {
      merges.delete(path);
      merges.set(path, merge);
      for (const [oldest] of merges) {
        if (merges.size <= mergesRememberedMax) break;
        merges.delete(oldest);
      }
    },
    rebase,
    isUndecided: (path) => withMerge.size > 0 && withMerge.has(keyOf(path)),
  };
}
