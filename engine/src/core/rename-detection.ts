/**
 * Finds renames among changed rows (rule LOG6): a file that vanished and one that appeared with the same bytes, unique on
 * both sides and not empty; and whole directories all of whose rows moved alike. The local side gives moves to publish, the
 * remote side moves to carry out on the disk. O(changed rows); a directory costs its own rows once.
 *
 * Nothing is lost when a rename is missed or wrong: a move is a removal and a creation with another name.
 */
import { comparePaths, type Digest, type Entry, type RelPath } from '@driftless/protocol';
import { liveEntry } from './entry-encoding.ts';
import type { LocalEntry } from './local-entry.ts';
import type { Row, RowView } from './row.ts';
import { ancestorsOf, isAtOrBelow, movedPath, nameOf, parentPath } from './tree-paths.ts';

export interface Move {
  readonly fromPath: RelPath;
  readonly toPath: RelPath;
  /** A directory with everything below. */
  readonly subtree: boolean;
}

export interface Renames {
  /** Renamed here: the room follows. Sorted by fromPath. */
  readonly local: readonly Move[];
  /** Renamed in the room: the disk follows. */
  readonly remote: readonly Move[];
  /** Paths whose rows, with all below, wait: one end of a likely rename has not settled yet (rule FAST2). */
  readonly waiting: ReadonlySet<RelPath>;
}

export interface DetectRenamesOptions {
  /** Changed rows, in scope and not held, in path order; also those that have not settled. */
  readonly rows: readonly Row[];
  readonly view: RowView;
  readonly settled: (path: RelPath) => boolean;
  /** See ReconcileInput. */
  readonly staysOnDisk: (path: RelPath) => boolean;
}

export function detectRenames(options: DetectRenamesOptions): Renames {
  const waiting = new Set<RelPath>();
  const given = new Set(options.rows.map(({ path }) => path));
  const staysOnDisk = (path: RelPath): boolean => options.staysOnDisk(path) || isRefused(path);
  const local = movesOf(localSide, { ...options, staysOnDisk: () => false }, waiting);
  const remote = movesOf(remoteSide, { ...options, staysOnDisk }, waiting);
  return { local, remote, waiting };

  /** The disk refused something there, and it is not time to try again: what lies below does not wait for that. */
  function isRefused(path: RelPath): boolean {
    return options.view.row(path)?.problem != null && !given.has(path);
  }
}

/** How one side's rename shows in rows. */
interface Side {
  /** The content that left this path on this side, while the other side still has the path. */
  vanishedDigest(row: Row): Digest | undefined;
  /** The content that this side has at a path that neither base nor the other side has. */
  appearedDigest(row: Row): Digest | undefined;
  isVanishedDirectory(row: Row): boolean;
  isAppearedDirectory(row: Row): boolean;
  /** How one row below a vanished directory went along to `target`. */
  movedAlike(row: Row, target: Row | undefined): Alike;
}

/**
 * `same`: with the same content. `other`: changed or deleted on the way, which its own step settles after the move. `free`: it
 * needs no target. `no`: the directory cannot be moved as a whole.
 */
type Alike = 'same' | 'other' | 'free' | 'no';

/** Edits that the room made meanwhile do not hinder: they follow the rename. */
const localSide: Side = {
  vanishedDigest: (row) =>
    row.local === null && liveEntry(row.remote)?.kind === 'file' ? fileDigest(row.base) : undefined,
  appearedDigest: (row) =>
    row.base === null && liveEntry(row.remote) === null && row.local?.kind === 'file' && row.local.size > 0
      ? row.local.digest
      : undefined,
  isVanishedDirectory: (row) =>
    row.local === null && row.base?.kind === 'directory' && liveEntry(row.remote)?.kind === 'directory',
  isAppearedDirectory: (row) => row.local?.kind === 'directory' && row.base === null && liveEntry(row.remote) === null,
  movedAlike(row, target) {
    // A path that only others hold must not be moved by this peer (rule IG1).
    if (row.outOfScope !== null) return liveEntry(row.remote) === null ? 'free' : 'no';
    if (row.hold !== null || row.declined || row.local !== null) return 'no';
    // Made in the room meanwhile, or deleted there: it follows, or there is nothing to move.
    if (row.base === null || liveEntry(row.remote) === null) return 'free';
    const isSame =
      isRenameable(target) &&
      liveEntry(target.remote) === null &&
      target.local !== null &&
      shapeOfLocal(target.local) === shapeOf(row.base);
    return isSame ? 'same' : 'no';
  },
};

/** Edits that were made here meanwhile do not hinder: they go along with the rename on disk. Nor do those that came with it. */
const remoteSide: Side = {
  vanishedDigest: (row) =>
    liveEntry(row.remote) === null && row.local?.kind === 'file' ? fileDigest(row.base) : undefined,
  appearedDigest: (row) => (row.base === null && row.local === null ? fileDigest(liveEntry(row.remote)) : undefined),
  isVanishedDirectory: (row) =>
    liveEntry(row.remote) === null && row.base?.kind === 'directory' && row.local?.kind === 'directory',
  isAppearedDirectory: (row) => liveEntry(row.remote)?.kind === 'directory' && row.base === null && row.local === null,
  movedAlike(row, target) {
    // What is not ours to move stays where it is, and with it the directory (rules IG1, IG3).
    if (row.outOfScope !== null || row.hold !== null || row.declined) return 'no';
    if (target !== undefined && !(isRenameable(target) && target.local === null)) return 'no';
    // Made here meanwhile: it goes along, as its new name is free.
    if (row.base === null) return 'free';
    if (liveEntry(row.remote) !== null) return 'no';
    const remote = liveEntry(target?.remote ?? null);
    if (remote === null) return 'other';
    if (remote.kind !== row.base.kind) return 'no';
    if (remote.kind === 'directory') return 'free';
    return shapeOf(remote) === shapeOf(row.base) ? 'same' : 'other';
  },
};

function movesOf(side: Side, options: DetectRenamesOptions, waiting: Set<RelPath>): readonly Move[] {
  const { rows, view, settled, staysOnDisk } = options;
  const pairs = uniquePairs({ rows, digestOf: side.vanishedDigest }, { rows, digestOf: side.appearedDigest });
  const moves: Move[] = [];
  const movedDirectories = new Set<RelPath>();
  const oneByOne: (readonly [Row, Row])[] = [];

  for (const [fromPath, toPath] of directoryCandidates(side, pairs, view)) {
    if (isAtOrBelow(fromPath, movedDirectories)) continue;
    if (!directoryMovedAlike(side, { fromPath, toPath, view })) continue;
    if (staysOnDisk(fromPath) || staysOnDisk(toPath)) {
      oneByOne.push(...filesMovedAlike(side, { fromPath, toPath, view }, rows));
      continue;
    }
    movedDirectories.add(fromPath);
    if (directorySettled({ fromPath, toPath, view, settled })) moves.push({ fromPath, toPath, subtree: true });
    else waiting.add(fromPath).add(toPath);
  }
  for (const [from, to] of oneByOne.length === 0 ? pairs : withoutOverlap([...oneByOne, ...pairs])) {
    if (isAtOrBelow(from.path, movedDirectories)) continue;
    if (settled(from.path) && settled(to.path)) moves.push({ fromPath: from.path, toPath: to.path, subtree: false });
    else waiting.add(from.path).add(topmostAppeared(side, to.path, view));
  }
  return moves.sort((a, b) => comparePaths(a.fromPath, b.fromPath));
}

/** Rows, and the content by which one may be found again under another name. */
export interface ContentNames {
  readonly rows: readonly Row[];
  readonly digestOf: (row: Row) => Digest | undefined;
}

/** Rows with equal digests, of which there is exactly one among the old names and one among the new. */
export function uniquePairs(old: ContentNames, found: ContentNames): readonly (readonly [Row, Row])[] {
  const vanished = rowsByDigest(old.rows, old.digestOf);
  const appeared = rowsByDigest(found.rows, found.digestOf);
  const pairs: [Row, Row][] = [];
  for (const [digest, from] of vanished) {
    const to = appeared.get(digest);
    if (from !== 'several' && to !== undefined && to !== 'several') pairs.push([from, to]);
  }
  return pairs;
}

function rowsByDigest(rows: readonly Row[], digestOf: (row: Row) => Digest | undefined): Map<Digest, Row | 'several'> {
  const found = new Map<Digest, Row | 'several'>();
  for (const row of rows) {
    const digest = digestOf(row);
    if (digest !== undefined) found.set(digest, found.has(digest) ? 'several' : row);
  }
  return found;
}

/**
 * Directories that the pairs speak for, parents first: `a/b/x` → `c/b/x` speaks for `a/b` → `c/b` and for `a` → `c`. One
 * candidate each is enough: when another pair contradicts it, the directory did not move as a whole.
 */
function directoryCandidates(
  side: Side,
  pairs: readonly (readonly [Row, Row])[],
  view: RowView,
): readonly (readonly [RelPath, RelPath])[] {
  const candidates = new Map<RelPath, RelPath>();
  for (const [from, to] of pairs) {
    let [below, above] = [from.path, to.path];
    while (nameOf(below) === nameOf(above)) {
      const [fromPath, toPath] = [parentPath(below), parentPath(above)];
      if (fromPath === undefined || toPath === undefined || fromPath === toPath || candidates.has(fromPath)) break;
      const [fromRow, toRow] = [view.row(fromPath), view.row(toPath)];
      if (!isRenameable(toRow) || fromRow === undefined || fromRow.hold !== null) break;
      if (fromRow.outOfScope !== null || !side.isVanishedDirectory(fromRow) || !side.isAppearedDirectory(toRow)) break;
      candidates.set(fromPath, toPath);
      [below, above] = [fromPath, toPath];
    }
  }
  return [...candidates].sort(([a], [b]) => comparePaths(a, b));
}

interface DirectoryPair {
  readonly fromPath: RelPath;
  readonly toPath: RelPath;
  readonly view: RowView;
}

/** As a whole, and most of it unchanged: else two directories that share a file would be one. */
function directoryMovedAlike(side: Side, { fromPath, toPath, view }: DirectoryPair): boolean {
  const counts = { same: 0, other: 0, free: 0 };
  for (const row of view.rowsUnder(fromPath)) {
    const alike = side.movedAlike(row, view.row(movedPath(row.path, fromPath, toPath)));
    if (alike === 'no') return false;
    counts[alike] += 1;
  }
  return counts.other <= counts.same;
}

/** Of a directory that cannot go as a whole for now: its files by name, also those whose bytes are not unique or none. */
function filesMovedAlike(
  side: Side,
  { fromPath, toPath, view }: DirectoryPair,
  rows: readonly Row[],
): readonly (readonly [Row, Row])[] {
  const given = new Set(rows.map(({ path }) => path));
  const found: (readonly [Row, Row])[] = [];
  for (const row of view.rowsUnder(fromPath)) {
    const target = view.row(movedPath(row.path, fromPath, toPath));
    const isFile = row.local?.kind === 'file' && target !== undefined && given.has(row.path) && given.has(target.path);
    if (isFile && side.movedAlike(row, target) === 'same') found.push([row, target]);
  }
  return found;
}

/** The first word counts, for an old name and for a new one. */
function withoutOverlap(pairs: readonly (readonly [Row, Row])[]): readonly (readonly [Row, Row])[] {
  const taken = new Set<RelPath>();
  return pairs.filter(([from, to]) => {
    if (taken.has(from.path) || taken.has(to.path)) return false;
    taken.add(from.path).add(to.path);
    return true;
  });
}

function directorySettled(pair: DirectoryPair & { readonly settled: (path: RelPath) => boolean }): boolean {
  const { fromPath, toPath, view, settled } = pair;
  if (!settled(fromPath) || !settled(toPath)) return false;
  for (const row of view.rowsUnder(fromPath)) {
    if (!settled(row.path) || !settled(movedPath(row.path, fromPath, toPath))) return false;
  }
  return true;
}

/** The highest new directory that `path` came with, so that a directory rename is not published in halves. */
function topmostAppeared(side: Side, path: RelPath, view: RowView): RelPath {
  let topmost = path;
  for (const ancestor of ancestorsOf(path)) {
    const row = view.row(ancestor);
    if (row === undefined || !side.isAppearedDirectory(row)) break;
    topmost = ancestor;
  }
  return topmost;
}

/** In scope, not held, and without a base: a name that one side has newly taken. */
export function isRenameable(row: Row | undefined): row is Row {
  return row !== undefined && row.outOfScope === null && row.hold === null && row.base === null;
}

/** What a rename keeps: kind and content, not the executable bit. */
function shapeOf(entry: Entry): string {
  if (entry.kind === 'file') return `file ${entry.content.digest}`;
  return entry.kind === 'directory' ? 'directory' : `symlink ${entry.target}`;
}

function shapeOfLocal(local: LocalEntry): string {
  if (local.kind === 'file') return `file ${local.digest}`;
  return local.kind === 'directory' ? 'directory' : `symlink ${local.target}`;
}

/** Empty files are all alike and pair with nothing. */
function fileDigest(entry: Entry | null): Digest | undefined {
  return entry?.kind === 'file' && entry.content.size > 0 ? entry.content.digest : undefined;
}
