/**
 * The same file or directory, renamed on both sides while they were apart (rule LOG6, C11). Each side alone looks like a
 * deletion and a creation, and both creations have no base: an edit of either would be a conflict, and two names would be
 * two sets of files. So the base goes along before anything is decided: to the local new name. Where the room has the same
 * name, the table then sees an edit on one side, or two to be merged; where it has another one, it sees a file that the room
 * renamed, and the disk follows: the room's order decides.
 *
 * What left its path on both sides is paired with what is new on each: by its bytes, unique on both ends; below a directory by
 * the way that the directory went; and where one side's new name is known, and new on the other side too, that is the name
 * there. Files that change places, or move up in a row, leave and arrive at once: they count only together, when each path of
 * the ring or row is explained. What was edited on both sides has no bytes left to be known by (both-new-files.ts).
 * Pure; O(changed rows).
 */
import { comparePaths, type Digest, type Entry, type RelPath } from '@driftless/protocol';
import { pairNewOnBoth } from './both-new-files.ts';
import { liveEntry } from './entry-encoding.ts';
import { isRenameable, uniquePairs } from './rename-detection.ts';
import type { Row, RowView } from './row.ts';
import { ancestorsOf, movedPath, nameOf, parentPath } from './tree-paths.ts';

/** The base of a path becomes this; null at the old names. */
export interface MovedBase {
  readonly path: RelPath;
  readonly base: Entry | null;
}

export interface SharedRenamesOptions {
  /** Changed rows, in scope and not held. */
  readonly rows: readonly Row[];
  readonly view: RowView;
  readonly settled: (path: RelPath) => boolean;
}

export interface SharedRenames {
  /** In path order, one a path. */
  readonly bases: readonly MovedBase[];
  /** Old and new names whose rows, with all below, wait: one of them has not settled yet (rule FAST2). */
  readonly waiting: ReadonlySet<RelPath>;
}

const none: SharedRenames = { bases: [], waiting: new Set() };

export function sharedRenames({ rows, view, settled }: SharedRenamesOptions): SharedRenames {
  const left = rows.filter(hasLeft);
  if (left.length === 0) return none;
  const here = newNames({ left, rows, view, side: localSide });
  const there = newNames({ left, rows, view, side: roomSide });
  const found: Found[] = [];
  const taken = new Set<RelPath>();
  const waiting = new Set<RelPath>();
  for (const { path, base } of left) {
    const names = namesOf({ path, here, there, view });
    if (names === undefined || base === null || taken.has(names.here)) continue;
    const local = view.row(names.here);
    const remote = view.row(names.there);
    if (!isLeftAlike(names, local) && !(isFreeOrFit(local, base) && isFreeOrFit(remote, base))) continue;
    // Nothing is left of it on either side, or a look at it is still to come.
    if (localSide.kindAt(local) === undefined && roomSide.kindAt(remote) === undefined) continue;
    taken.add(names.here).add(names.there);
    found.push({ path, base, names });
  }
  const known = new Set(found.map(({ path }) => path));
  for (const { from, to } of pairNewOnBoth({
    old: left.filter(({ path }) => !known.has(path)),
    found: rows.filter((row) => !taken.has(row.path) && isNewOnBoth(row, here, there)),
    isFreed: (row) => isGone(row) || taken.has(row.path),
  })) {
    const names = { here: to.path, there: to.path, tops: [from.path, to.path] };
    if (from.base !== null) found.push({ path: from.path, base: from.base, names });
  }
  const explained = withoutLooseEnds(found, view);
  for (const { path, names } of explained)
    if (![path, names.here, names.there].every(settled)) for (const top of names.tops) waiting.add(top);
  const bases = new Map<RelPath, Entry | null>();
  const isReady = ({ names }: Found): boolean => !names.tops.some((top) => waiting.has(top));
  // Of a ring or row of files all wait for one.
  const moved = withoutLooseEnds(explained.filter(isReady), view);
  const isMoved = new Set(moved);
  for (const one of explained) if (!isMoved.has(one)) for (const top of one.names.tops) waiting.add(top);
  for (const { path } of moved) bases.set(path, null);
  for (const { base, names } of moved) bases.set(names.here, base);
  return {
    bases: [...bases].map(([path, base]) => ({ path, base })).sort((a, b) => comparePaths(a.path, b.path)),
    waiting,
  };
}

interface Found {
  readonly path: RelPath;
  readonly base: Entry;
  readonly names: Names;
}

/** A path that something else has come to must have been left for elsewhere, and what left it counts only if the path is taken or empty. */
function withoutLooseEnds(found: readonly Found[], view: RowView): readonly Found[] {
  const from = new Set(found.map(({ path }) => path));
  const to = new Set(found.map(({ names }) => names.here));
  const kept = found.filter(({ path, names }) => {
    const own = view.row(path);
    const isExplained = own === undefined || isGone(own) || to.has(path);
    return isExplained && ((view.row(names.here)?.base ?? null) === null || from.has(names.here));
  });
  return kept.length === found.length ? kept : withoutLooseEnds(kept, view);
}

/** The view with the bases where they belong. */
export function withMovedBases(view: RowView, moved: readonly MovedBase[]): RowView {
  if (moved.length === 0) return view;
  const bases = new Map(moved.map(({ path, base }) => [path, base]));
  const amended = (row: Row): Row => {
    const base = bases.get(row.path);
    return base === undefined ? row : { ...row, base };
  };
  return {
    row: (path) => {
      const row = view.row(path) ?? (bases.get(path) == null ? undefined : absentRow(path));
      return row === undefined ? undefined : amended(row);
    },
    *rowsUnder(path) {
      const absent = moved.filter(
        (one) => one.base !== null && one.path.startsWith(`${path}/`) && view.row(one.path) === undefined,
      );
      let next = 0;
      for (const row of view.rowsUnder(path)) {
        for (let one = absent[next]; one !== undefined && comparePaths(one.path, row.path) < 0; one = absent[++next])
          yield amended(absentRow(one.path));
        yield amended(row);
      }
      for (const one of absent.slice(next)) yield amended(absentRow(one.path));
    },
    variants: (path) => view.variants(path),
  };
}

// ── one side ─────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Side {
  /** What this side has at the path. */
  kindAt(row: Row | undefined): string | undefined;
  digestAt(row: Row): Digest | undefined;
}

const localSide: Side = {
  kindAt: (row) => row?.local?.kind,
  digestAt: ({ local }) => (local?.kind === 'file' && local.size > 0 ? local.digest : undefined),
};

const roomSide: Side = {
  kindAt: (row) => liveEntry(row?.remote ?? null)?.kind,
  digestAt: ({ remote }) => {
    const entry = liveEntry(remote);
    return entry?.kind === 'file' && entry.content.size > 0 ? entry.content.digest : undefined;
  },
};

interface NewNames {
  /** By old name; by their bytes. */
  readonly files: ReadonlyMap<RelPath, RelPath>;
  readonly directories: ReadonlyMap<RelPath, RelPath>;
}

function newNames(options: {
  readonly left: readonly Row[];
  readonly rows: readonly Row[];
  readonly view: RowView;
  readonly side: Side;
}): NewNames {
  const { left, rows, view, side } = options;
  const isOther = new Set(left);
  const appeared = rows.filter(
    (row) => side.kindAt(row) !== undefined && (row.base === null || (isOther.has(row) && row.base.kind === 'file')),
  );
  const leftDigest = ({ base }: Row): Digest | undefined =>
    base?.kind === 'file' && base.content.size > 0 ? base.content.digest : undefined;
  const pairs = uniquePairs({ rows: left, digestOf: leftDigest }, { rows: appeared, digestOf: side.digestAt });
  return {
    files: new Map(pairs.map(([from, to]) => [from.path, to.path])),
    directories: directoriesOf(pairs, view, side),
  };
}

/** Where directories went that left on both sides: what most of their files say. */
function directoriesOf(
  pairs: readonly (readonly [Row, Row])[],
  view: RowView,
  side: Side,
): ReadonlyMap<RelPath, RelPath> {
  const votes = new Map<RelPath, Map<RelPath, number>>();
  for (const [from, to] of pairs) {
    let [below, above] = [from.path, to.path];
    while (nameOf(below) === nameOf(above)) {
      const [fromPath, toPath] = [parentPath(below), parentPath(above)];
      if (fromPath === undefined || toPath === undefined || fromPath === toPath) break;
      const fromRow = view.row(fromPath);
      const toRow = view.row(toPath);
      if (fromRow === undefined || !isGone(fromRow) || fromRow.base?.kind !== 'directory') break;
      if (!isRenameable(toRow) || side.kindAt(toRow) !== 'directory') break;
      const of = votes.get(fromPath) ?? new Map<RelPath, number>();
      votes.set(fromPath, of.set(toPath, (of.get(toPath) ?? 0) + 1));
      [below, above] = [fromPath, toPath];
    }
  }
  const most = (of: ReadonlyMap<RelPath, number>): RelPath =>
    [...of].reduce((best, one) => (one[1] > best[1] ? one : best))[0];
  return new Map([...votes].map(([path, of]) => [path, most(of)]));
}

// ── both together ────────────────────────────────────────────────────────────────────────────────────────────────────

interface Pair {
  readonly here: RelPath;
  readonly there: RelPath;
}
interface Names extends Pair {
  /** Besides its own, the old and the new names of the highest directory that it came with: what waits for one waits for all. */
  readonly tops: readonly RelPath[];
}

/** The new names of one path on each side; a name that only one side tells is the other's too, if it is new there. */
function namesOf(options: {
  readonly path: RelPath;
  readonly here: NewNames;
  readonly there: NewNames;
  readonly view: RowView;
}): Names | undefined {
  const { path, here, there, view } = options;
  const isNewOn = (side: Side, name: RelPath): boolean => {
    const row = view.row(name);
    const isVacatedThere = (side === localSide ? here : there).files.has(name);
    return (isRenameable(row) || isVacatedThere) && side.kindAt(row) !== undefined;
  };
  const alsoNew = (side: Side, name: RelPath | undefined): RelPath | undefined =>
    name !== undefined && isNewOn(side, name) ? name : undefined;
  const paired = (toHere: RelPath | undefined, toThere: RelPath | undefined): Pair | undefined => {
    const names = { here: toHere ?? alsoNew(localSide, toThere), there: toThere ?? alsoNew(roomSide, toHere) };
    return names.here === undefined || names.there === undefined ? undefined : (names as Pair);
  };
  let names = paired(here.files.get(path), there.files.get(path));
  let top = names;
  let oldTop = path;
  for (const directory of [path, ...ancestorsOf(path)]) {
    const moved = paired(here.directories.get(directory), there.directories.get(directory));
    if (moved === undefined) continue;
    top = moved;
    oldTop = directory;
    names ??= {
      here: here.files.get(path) ?? movedPath(path, directory, moved.here),
      there: there.files.get(path) ?? movedPath(path, directory, moved.there),
    };
  }
  return names === undefined || top === undefined
    ? undefined
    : { ...names, tops: [oldTop, top.here, top.there, names.here, names.there] };
}

/** In scope and not held, agreed on once, and on neither side what it was. */
function hasLeft(row: Row): boolean {
  if (isGone(row)) return true;
  const { base, outOfScope, hold } = row;
  if (base?.kind !== 'file' || outOfScope !== null || hold !== null) return false;
  const isOther = (side: Side): boolean =>
    side.kindAt(row) === undefined || (side.kindAt(row) === 'file' && side.digestAt(row) !== base.content.digest);
  return isOther(localSide) && isOther(roomSide);
}

/** One path, the same on both sides, and both left it with what was agreed on there. */
function isLeftAlike({ here: name, there: other }: Pair, row: Row | undefined): boolean {
  return name === other && row?.base?.kind === 'file' && hasLeft(row);
}

/** A file on both sides that is what was agreed on at that path on neither. */
function isNewOnBoth(row: Row, here: NewNames, there: NewNames): boolean {
  if (localSide.kindAt(row) !== 'file' || roomSide.kindAt(row) !== 'file') return false;
  return (hasLeft(row) && here.files.has(row.path) && there.files.has(row.path)) || isRenameable(row);
}

/** In scope and not held, agreed on once, and gone on both sides. */
function isGone({ base, local, remote, outOfScope, hold }: Row): boolean {
  return base !== null && local === null && liveEntry(remote) === null && outOfScope === null && hold === null;
}

/** Nothing was agreed on there, and what a side has there is of the kind of what was renamed. */
function isFreeOrFit(row: Row | undefined, base: Entry): boolean {
  if (row === undefined) return true;
  const fits = (kind: string | undefined): boolean => kind === undefined || kind === base.kind;
  return isRenameable(row) && fits(localSide.kindAt(row)) && fits(roomSide.kindAt(row));
}

function absentRow(path: RelPath): Row {
  return {
    path,
    base: null,
    remote: null,
    remoteMtimeMs: 0,
    local: null,
    outOfScope: null,
    hold: null,
    problem: null,
    declined: false,
  };
}
