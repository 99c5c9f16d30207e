/**
 * What a record's changes do to the manifest, and whether they may (rule LOG2): a pure function of the manifest at prev
 * and the record, so that every reader judges alike. Nothing is done by halves: a record is valid or void as a whole.
 *
 * Changes are taken in order; each sees what those before it did. That a parent is a directory is asked once, at the end,
 * of the paths touched. A subtree `move` or `untrack` takes what was below its path at prev; what the same record put
 * there before is not taken along, and then the record is void, because it has lost its parent.
 *
 * A removed path leaves a tombstone (rule TOMB): of a file with its digest, of other kinds without; a move leaves them at
 * the old names. Open variants stay at their path, also over a tombstone; only `resolve` and `untrack` close them.
 * Leaves to others: opening and signatures (RoomCipher), the root afterwards (page-tree, compared by the caller), kinds
 * of change that this build does not know (the codec; rule LOG3).
 */
import {
  type Change,
  comparePaths,
  type DeviceId,
  type Entry,
  type EntryTag,
  err,
  isRelPath,
  ok,
  type RecordId,
  type RelPath,
  type Result,
  type Slot,
  type Variant,
  type VariantId,
} from '@driftless/protocol';
import { entryTag, liveEntry, variantIdOf } from './entry-encoding.ts';
import { modeOf } from './file-mode.ts';
import type { ManifestView, SlotUpdate, VariantChanges } from './manifest-view.ts';
import { variantsPerPathMax } from './page-tree.ts';
import type { Sha256 } from './sha256.ts';

/** Slots that subtree changes of one record may look at together: 16 times the changes of the largest record. */
export const slotsVisitedMax = 4_000_000;

export interface ApplyChangesInput {
  /** The manifest at prev. */
  readonly view: ManifestView;
  readonly changes: readonly Change[];
  /** Height of the record, for tombstones. */
  readonly height: number;
  /** The record's author and clock, for variants. */
  readonly device: DeviceId;
  readonly deviceName: string;
  readonly timeMs: number;
  readonly sha256: Sha256;
  /** The record that this one may leave out: the reader did not understand it, and is where it was before it. */
  readonly skippable?: RecordId;
}

export interface AppliedChanges extends VariantChanges {
  /** The slot after the record of every path whose slot the record touches, in path order. */
  readonly updates: readonly SlotUpdate[];
  /** Modification times that the record states, of paths that are live after it. */
  readonly mtimes: ReadonlyMap<RelPath, number>;
  /** Every path that a change names or moves, also those with only a variant, in path order. */
  readonly touched: readonly RelPath[];
}

/** Rule LOG2: the record changes nothing and is skipped. `reason` is for people. */
export interface VoidChanges {
  readonly kind: 'void';
  readonly reason: string;
}

export function applyChanges(input: ApplyChangesInput): Result<AppliedChanges, VoidChanges> {
  const draft = createDraft(input);
  for (const change of input.changes) {
    const reason = applyOne(draft, change);
    if (reason !== null) return err({ kind: 'void', reason: `${reason}: ${change.kind} ${pathOf(change)}` });
  }
  const reason = hierarchyProblem(draft);
  if (reason !== null) return err({ kind: 'void', reason });
  return ok(resultOf(draft));
}

/** The manifest at prev with the changes so far laid over it. */
interface Draft {
  readonly input: ApplyChangesInput;
  readonly slots: Map<RelPath, Slot | null>;
  readonly variants: Map<RelPath, Map<VariantId, Variant>>;
  readonly mtimes: Map<RelPath, number>;
  slotsVisited: number;
}

function createDraft(input: ApplyChangesInput): Draft {
  return { input, slots: new Map(), variants: new Map(), mtimes: new Map(), slotsVisited: 0 };
}

/** Carries one change into the draft; a text says why the record is void. */
function applyOne(draft: Draft, change: Change): string | null {
  switch (change.kind) {
    case 'put': {
      if (!isRelPath(change.path)) return 'invalid path';
      if (liveTag(draft, change.path) !== change.replaces) return 'replaces another entry';
      draft.slots.set(change.path, change.entry);
      draft.mtimes.set(change.path, change.mtimeMs);
      return null;
    }
    case 'remove': {
      const live = liveAt(draft, change.path);
      if (live === null) return 'nothing to remove';
      if (entryTag(live, draft.input.sha256) !== change.replaces) return 'replaces another entry';
      bury(draft, change.path, live);
      return null;
    }
    case 'mode': {
      const live = liveAt(draft, change.path);
      if (live?.kind !== 'file') return 'not a file';
      if (entryTag(live, draft.input.sha256) !== change.replaces) return 'replaces another entry';
      draft.slots.set(change.path, { ...live, ...modeOf(change.mode) });
      return null;
    }
    case 'move':
      return applyMove(draft, change);
    case 'untrack':
      return applyUntrack(draft, change);
    case 'variant':
      return openVariant(draft, change);
    case 'resolve': {
      if (!isRelPath(change.path)) return 'invalid path';
      // A variant that is not open was resolved by another peer first: nothing is left to do.
      const open = openVariantsOf(draft, change.path);
      for (const id of change.variants) open.delete(id);
      return null;
    }
    case 'forget': {
      if (slotAt(draft, change.path)?.kind !== 'tombstone') return 'no tombstone';
      if (openVariantsOf(draft, change.path).size > 0) return 'has open variants';
      draft.slots.set(change.path, null);
      return null;
    }
    case 'skip':
      return change.record === draft.input.skippable ? null : 'nothing to skip';
  }
}

function applyMove(draft: Draft, change: Extract<Change, { kind: 'move' }>): string | null {
  const { fromPath, toPath } = change;
  if (!isRelPath(fromPath) || !isRelPath(toPath)) return 'invalid path';
  if (fromPath === toPath || toPath.startsWith(`${fromPath}/`)) return 'moved into itself';
  const live = liveAt(draft, fromPath);
  if (live === null) return 'nothing to move';
  const reason = moveOne(draft, fromPath, toPath, live);
  if (reason !== null || !change.subtree) return reason;
  for (const { path } of draft.input.view.slotsUnder(fromPath)) {
    if (++draft.slotsVisited > slotsVisitedMax) return 'touches too much';
    const below = liveAt(draft, path);
    if (below === null) continue;
    const target = `${toPath}${path.slice(fromPath.length)}`;
    if (!isRelPath(target)) return 'invalid path';
    const reasonBelow = moveOne(draft, path, target, below);
    if (reasonBelow !== null) return reasonBelow;
  }
  return null;
}

function moveOne(draft: Draft, fromPath: RelPath, toPath: RelPath, live: Entry): string | null {
  if (liveAt(draft, toPath) !== null) return 'target is not free';
  const mtimeMs = draft.mtimes.get(fromPath);
  bury(draft, fromPath, live);
  draft.slots.set(toPath, live);
  if (mtimeMs !== undefined) draft.mtimes.set(toPath, mtimeMs);
  return null;
}

function applyUntrack(draft: Draft, change: Extract<Change, { kind: 'untrack' }>): string | null {
  if (liveAt(draft, change.path) === null) return 'nothing to untrack';
  untrackOne(draft, change.path);
  if (!change.subtree) return null;
  for (const { path } of draft.input.view.slotsUnder(change.path)) {
    if (++draft.slotsVisited > slotsVisitedMax) return 'touches too much';
    untrackOne(draft, path);
  }
  return null;
}

function untrackOne(draft: Draft, path: RelPath): void {
  draft.slots.set(path, null);
  openVariantsOf(draft, path).clear();
}

function openVariant(draft: Draft, change: Extract<Change, { kind: 'variant' }>): string | null {
  const { path, entry, mtimeMs, baseDigest } = change;
  const { device, deviceName, timeMs, sha256 } = draft.input;
  if (slotAt(draft, path) === null) return 'variant of an unknown path';
  const open = openVariantsOf(draft, path);
  const id = variantIdOf({ path, device, entry }, sha256);
  // The same conflict published twice (after a crash) stays the variant that it is.
  if (open.has(id)) return null;
  if (open.size >= variantsPerPathMax) return 'too many variants';
  open.set(id, { id, path, entry, device, deviceName, timeMs, mtimeMs, baseDigest });
  return null;
}

function slotAt(draft: Draft, path: RelPath): Slot | null {
  const slot = draft.slots.get(path);
  return slot === undefined ? draft.input.view.slot(path) : slot;
}

function liveAt(draft: Draft, path: RelPath): Entry | null {
  return liveEntry(slotAt(draft, path));
}

function liveTag(draft: Draft, path: RelPath): EntryTag | null {
  const live = liveAt(draft, path);
  return live === null ? null : entryTag(live, draft.input.sha256);
}

function bury(draft: Draft, path: RelPath, live: Entry): void {
  const digest = live.kind === 'file' ? live.content.digest : null;
  draft.slots.set(path, { kind: 'tombstone', digest, height: draft.input.height });
  draft.mtimes.delete(path);
}

function openVariantsOf(draft: Draft, path: RelPath): Map<VariantId, Variant> {
  let open = draft.variants.get(path);
  if (open === undefined) {
    open = new Map(draft.input.view.variants(path).map((variant) => [variant.id, variant]));
    draft.variants.set(path, open);
  }
  return open;
}

/**
 * Every live path has a live directory above it, given that it was so at prev. Only a touched path can break that: as a
 * child whose parent is none, or as a directory that is none any more while something below it lives.
 */
function hierarchyProblem(draft: Draft): string | null {
  const ceased: RelPath[] = [];
  for (const [path, slot] of draft.slots) {
    if (liveEntry(slot) !== null) {
      const parent = parentOf(path);
      if (parent !== null && liveAt(draft, parent)?.kind !== 'directory') return `parent is not a directory: ${path}`;
    }
    if (slot?.kind !== 'directory' && draft.input.view.slot(path)?.kind === 'directory') ceased.push(path);
  }
  // One sweep below each topmost of them is enough: whatever lives down there has lost an ancestor. With '/' sorted
  // before every other character a directory is followed by all that is below it.
  ceased.sort((a, b) => compareText(a.replaceAll('/', '\0'), b.replaceAll('/', '\0')));
  let top: RelPath | null = null;
  for (const path of ceased) {
    if (top !== null && path.startsWith(`${top}/`)) continue;
    top = path;
    for (const below of draft.input.view.slotsUnder(path)) {
      if (liveAt(draft, below.path) !== null) return `directory is not empty: ${path}`;
    }
  }
  return null;
}

function resultOf(draft: Draft): AppliedChanges {
  const { view } = draft.input;
  const updates: SlotUpdate[] = [];
  for (const [path, slot] of draft.slots) {
    if (slot !== null || view.slot(path) !== null) updates.push({ path, slot });
  }
  const variantsOpened: Variant[] = [];
  const variantsClosed: { readonly path: RelPath; readonly id: VariantId }[] = [];
  const variantPaths: RelPath[] = [];
  for (const [path, open] of draft.variants) {
    const before = new Set(view.variants(path).map((variant) => variant.id));
    const opened = [...open.values()].filter((variant) => !before.has(variant.id));
    const closed = [...before].filter((id) => !open.has(id));
    variantsOpened.push(...opened);
    variantsClosed.push(...closed.map((id) => ({ path, id })));
    if (opened.length + closed.length > 0) variantPaths.push(path);
  }
  const byPath = (a: { readonly path: RelPath }, b: { readonly path: RelPath }) => comparePaths(a.path, b.path);
  const byPathAndId = (a: { path: RelPath; id: string }, b: { path: RelPath; id: string }) =>
    comparePaths(a.path, b.path) || compareText(a.id, b.id);
  return {
    updates: updates.sort(byPath),
    mtimes: new Map([...draft.mtimes].filter(([path]) => liveAt(draft, path) !== null)),
    variantsOpened: variantsOpened.sort(byPathAndId),
    variantsClosed: variantsClosed.sort(byPathAndId),
    touched: [...new Set([...draft.slots.keys(), ...variantPaths])].sort(comparePaths),
  };
}

function parentOf(path: RelPath): RelPath | null {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? null : (path.slice(0, slash) as RelPath);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function pathOf(change: Change): string {
  if (change.kind === 'skip') return change.record;
  return change.kind === 'move' ? `${change.fromPath} to ${change.toPath}` : change.path;
}
