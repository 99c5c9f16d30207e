/**
 * Decides, for the paths that changed, what the disk, the room and the base shall become.
 * Pure: rows in, plan out; the same rows give the same plan in the same order.
 *
 * What both sides renamed keeps its base (shared-renames.ts). Then three questions, one after the other:
 *   1. each path alone: the table (decide.ts), with renames taken out before (rename-detection.ts, LOG6);
 *   2. downwards: does something below a directory that shall go stay? Then the directory stays (IG3, IG4, C13–C15, C18);
 *   3. upwards: does everything that stays have its parents on both sides?
 * What cannot be decided yet (not settled, not given, waiting for a conflict name) gets no step and comes again: each round
 * leaves less to do.
 *
 * Out of scope is not absent (IG1): such rows are only looked at, as reasons for a directory to stay.
 * Leaves to others: which rows are given (pending, in scope, not held, retry time reached), guards, first join.
 */
import { comparePaths, type RelPath } from '@driftless/protocol';
import { type Decision, decide } from './decide.ts';
import { liveEntry } from './entry-encoding.ts';
import { modeOfFile, plainMode } from './file-mode.ts';
import type { FolderTraits } from './folder-traits.ts';
import type { LocalEntry } from './local-entry.ts';
import type { Agree, DiskStep, Plan, PublishStep, ScopeStep } from './plan.ts';
import { detectRenames, type Move, type Renames } from './rename-detection.ts';
import type { Row, RowView } from './row.ts';
import { type MovedBase, sharedRenames, withMovedBases } from './shared-renames.ts';
import { ancestorsOf, isAtOrBelow, movedPath, parentPath } from './tree-paths.ts';

export interface ReconcileInput {
  /** Pending rows in path order: changed, in scope, not held. May be a part of them. */
  readonly rows: readonly Row[];
  /** All rows; asked only about the given ones, what lies above them, and below directories that shall go. */
  readonly view: RowView;
  readonly traits: FolderTraits;
  /** Whether both sides' contents may be merged line by line. */
  readonly mergeable: (row: Row) => boolean;
  /** What a join judges, or judged: see first-join.ts. */
  readonly superseded?: (row: Row) => boolean;
  /** False: the path is still changing on disk and gets no step (rule FAST2). */
  readonly settled?: (path: RelPath) => boolean;
  /**
   * Something at, above or below it must stay where it is on disk for now (rule EDIT1): a directory is not moved as a whole then, or one
   * file would hold up all the others in it.
   */
  readonly staysOnDisk?: (path: RelPath) => boolean;
}

export function reconcile(input: ReconcileInput): Plan {
  const view = rememberingView(input);
  const { bases, waiting } = sharedRenames({ rows: input.rows, view, settled: input.settled ?? (() => true) });
  const round = beginRound(followingBases({ ...input, view }, bases), waiting);
  leaveOutDirectoriesOfOutOfScope(round);
  giveWayWithLeftovers(round);
  keepDirectoriesThatAreNeeded(round, diskSide);
  keepDirectoriesThatAreNeeded(round, roomSide);
  bringParents(round);
  return { bases, ...planOf(round) };
}

/** From here on, what both sides renamed has its base under its new name. */
function followingBases(input: ReconcileInput, bases: readonly MovedBase[]): ReconcileInput {
  if (bases.length === 0) return input;
  const view = withMovedBases(input.view, bases);
  const paths = new Set([...input.rows.map(({ path }) => path), ...bases.map(({ path }) => path)]);
  const rows = [...paths].sort(comparePaths).flatMap((path) => view.row(path) ?? []);
  return { ...input, rows, view };
}

/** Rows that are given, or were asked for, are not asked for again: behind the view there is a database. */
function rememberingView({ rows, view }: ReconcileInput): RowView {
  const known = new Map<RelPath, Row | undefined>(rows.map((row) => [row.path, row]));
  return {
    row(path) {
      if (!known.has(path)) known.set(path, view.row(path));
      return known.get(path);
    },
    rowsUnder: (path) => view.rowsUnder(path),
    variants: (path) => view.variants(path),
  };
}

/** A decision for one path, or one end of a rename. */
type Operation =
  | Exclude<Decision, { kind: 'none' }>
  | { readonly kind: 'publishMoveFrom' | 'publishMoveTo' | 'applyMoveFrom' | 'applyMoveTo'; readonly move: Move };

interface Round {
  readonly input: ReconcileInput;
  readonly operations: Map<RelPath, Operation>;
  readonly scope: Map<RelPath, ScopeStep['kind']>;
  /** Old names of moves; with `subtree`, everything below leaves too. */
  readonly leavingDisk: ReadonlySet<RelPath>;
  readonly leavingRoom: ReadonlySet<RelPath>;
  /** Directory moves to publish, old names by new ones: everything below comes with them. */
  readonly enteringRoom: Map<RelPath, RelPath>;
  /** Directories that, with all above them, are or will be there: found once, asked by many children. */
  readonly readyInRoom: Set<RelPath>;
  readonly readyOnDisk: Set<RelPath>;
}

// ── 1. each path alone ───────────────────────────────────────────────────────────────────────────────────────────────

function beginRound(input: ReconcileInput, waiting: ReadonlySet<RelPath>): Round {
  const { view, settled = () => true, staysOnDisk = () => false } = input;
  const rows = input.rows.filter(
    (row) => row.outOfScope === null && row.hold === null && !isAtOrBelow(row.path, waiting),
  );
  const renames = withoutEntangled(
    detectRenames({ rows: rows.filter(({ declined }) => !declined), view, settled, staysOnDisk }),
  );
  const round: Round = {
    input,
    operations: new Map(),
    scope: new Map(),
    leavingDisk: new Set(renames.remote.map((move) => move.fromPath)),
    leavingRoom: new Set(renames.local.map((move) => move.fromPath)),
    enteringRoom: new Map(renames.local.filter((move) => move.subtree).map((move) => [move.toPath, move.fromPath])),
    readyInRoom: new Set(),
    readyOnDisk: new Set(),
  };
  const isMoving = movingPaths(renames, round.enteringRoom, view);
  for (const row of rows) {
    if (!settled(row.path) || isAtOrBelow(row.path, renames.waiting) || isMoving(row)) continue;
    const decision = decide(row, input);
    if (decision.kind !== 'none') round.operations.set(row.path, decision);
  }
  for (const move of renames.local) {
    round.operations.set(move.fromPath, { kind: 'publishMoveFrom', move });
    round.operations.set(move.toPath, { kind: 'publishMoveTo', move });
  }
  for (const move of renames.remote) {
    round.operations.set(move.fromPath, { kind: 'applyMoveFrom', move });
    round.operations.set(move.toPath, { kind: 'applyMoveTo', move });
  }
  return round;
}

/** A move that begins or ends inside a directory that the other side moved waits: after that move its names are others. */
function withoutEntangled({ local, remote, waiting }: Renames): Renames {
  const postponed = new Set(waiting);
  const apartFrom = (others: readonly Move[]) => {
    const directories = new Set(others.filter((move) => move.subtree).flatMap((move) => [move.fromPath, move.toPath]));
    return (move: Move): boolean => {
      if (!isAtOrBelow(move.fromPath, directories) && !isAtOrBelow(move.toPath, directories)) return true;
      postponed.add(move.fromPath).add(move.toPath);
      return false;
    };
  };
  const localNow = local.filter(apartFrom(remote));
  const remoteNow = remote.filter(apartFrom(localNow));
  return { local: localNow, remote: remoteNow, waiting: postponed };
}

/** The old name of what a directory move brings to `path`, or undefined. */
function originOf(path: RelPath, fromByTo: ReadonlyMap<RelPath, RelPath>): RelPath | undefined {
  if (fromByTo.size === 0) return undefined;
  for (const toPath of [path, ...ancestorsOf(path)]) {
    const fromPath = fromByTo.get(toPath);
    if (fromPath !== undefined) return movedPath(path, toPath, fromPath);
  }
  return undefined;
}

/** Which rows a directory move carries, so that they get no step of their own in this round. */
function movingPaths({ local, remote }: Renames, fromByTo: ReadonlyMap<RelPath, RelPath>, view: RowView) {
  const untilNextRound = new Set<RelPath>();
  for (const { fromPath, subtree } of local) if (subtree) untilNextRound.add(fromPath);
  for (const { fromPath, toPath, subtree } of remote) if (subtree) untilNextRound.add(fromPath).add(toPath);

  return ({ path }: Row): boolean => {
    if (isAtOrBelow(path, untilNextRound)) return true;
    // Below the new name of a published directory only what comes along is carried; what was made there besides is its own.
    const origin = originOf(path, fromByTo);
    return origin !== undefined && liveEntry(view.row(origin)?.remote ?? null) !== null;
  };
}

// ── 2. downwards: directories that shall go ──────────────────────────────────────────────────────────────────────────

/** Why something below a directory keeps it; the strongest reason counts. */
const gone = 0;
const outOfScopeOnly = 1;
const later = 2;
const stays = 3;
type Keeping = typeof gone | typeof outOfScopeOnly | typeof later | typeof stays;

interface GoingSide {
  /** Whether the operation takes a directory away on this side, leaving nothing or a file. */
  takesDirectory(operation: Operation, row: Row): boolean;
  keeping(row: Row, round: Round): Keeping;
  keepDirectory(row: Row, round: Round, keeping: Exclude<Keeping, typeof gone>): void;
}

/** The room's change takes a directory from the disk. */
const diskSide: GoingSide = {
  takesDirectory: (operation, row) =>
    operation.kind === 'apply' && row.local?.kind === 'directory' && operation.to?.kind !== 'directory',

  keeping(row, round) {
    // Whether it is on this disk at all, only the disk can say: removing a directory is tried, and is never recursive (IG4).
    if (row.outOfScope !== null) return gone;
    if (row.local === null || isAtOrBelow(row.path, round.leavingDisk)) return gone;
    if (row.hold !== null) return stays;
    const operation = round.operations.get(row.path);
    if (operation !== undefined) return isRemoval(operation) ? gone : stays;
    // On disk, and without a step in this round: it will be deleted by a later one, or it is an edit that waits.
    return isRemoval(decide(row, round.input)) ? later : stays;
  },

  keepDirectory(row, round, keeping) {
    const { operations } = round;
    if (keeping === later) operations.delete(row.path);
    else if (liveEntry(row.remote) === null) {
      const note = 'deleted in the room, but something in it was made or edited here: the directory is kept';
      operations.set(row.path, { kind: 'publish', revives: true, note });
    } else operations.set(row.path, { kind: 'publishMoveAside' });
  },
};

/** A change on disk takes a directory from the room. */
const roomSide: GoingSide = {
  takesDirectory: (operation, row) =>
    operation.kind === 'publish' && liveEntry(row.remote)?.kind === 'directory' && row.local?.kind !== 'directory',

  keeping(row, round) {
    if (liveEntry(row.remote) === null) return gone;
    if (row.outOfScope !== null) return outOfScopeOnly;
    if (isAtOrBelow(row.path, round.leavingRoom)) return gone;
    if (row.hold !== null) return stays;
    // Below a directory that is gone nothing can be there: the scan has not come this far.
    if (row.local !== null) return later;
    const operation = round.operations.get(row.path);
    if (operation !== undefined) return operation.kind === 'publish' ? gone : stays;
    return decide(row, round.input).kind === 'publish' ? later : stays;
  },

  keepDirectory(row, round, keeping) {
    const { operations, scope } = round;
    if (keeping === later) operations.delete(row.path);
    // A file was put in the place of the directory, in which the room still holds something: the file moves.
    else if (row.local !== null) operations.set(row.path, { kind: 'moveAside' });
    else if (keeping === outOfScopeOnly) {
      operations.delete(row.path);
      scope.set(row.path, 'leaves');
    } else {
      const note = 'deleted here, but something in it was made or edited in the room: the directory came back';
      operations.set(row.path, { kind: 'apply', to: liveEntry(row.remote), note });
    }
  },
};

function keepDirectoriesThatAreNeeded(round: Round, side: GoingSide): void {
  const { view } = round.input;
  const going = [...round.operations]
    .map(([path, operation]) => ({ row: view.row(path), operation }))
    .flatMap(({ row, operation }) => (row !== undefined && side.takesDirectory(operation, row) ? [row] : []))
    .sort((a, b) => comparePaths(a.path, b.path));

  const keepings = new Map<RelPath, Keeping>();
  const walked = new Set<RelPath>();
  for (const { path } of going) {
    if (isAtOrBelow(path, walked)) continue;
    walked.add(path);
    for (const below of view.rowsUnder(path))
      raise(keepings, { below: below.path, top: path, to: side.keeping(below, round) });
  }
  for (const row of going) {
    const keeping = keepings.get(row.path) ?? gone;
    if (keeping !== gone) side.keepDirectory(row, round, keeping);
  }
}

/** Raises all directories between `below` and `top`; stops where one is as high already, for then so are those above it. */
function raise(
  keepings: Map<RelPath, Keeping>,
  { below, top, to }: { below: RelPath; top: RelPath; to: Keeping },
): void {
  if (to === gone) return;
  for (const directory of ancestorsOf(below)) {
    if ((keepings.get(directory) ?? gone) >= to) return;
    keepings.set(directory, to);
    if (directory === top) return;
  }
}

function isRemoval(operation: Operation | Decision): boolean {
  return operation.kind === 'apply' && operation.to === null;
}

/** A new directory in which there is nothing but what is out of scope is out of scope itself (rule IG3); an empty one is not. */
function leaveOutDirectoriesOfOutOfScope({ input, operations, scope }: Round): void {
  const created = [...operations.keys()].filter((path) => {
    const row = input.view.row(path);
    return (
      operations.get(path)?.kind === 'publish' && row?.local?.kind === 'directory' && liveEntry(row.remote) === null
    );
  });
  // Deepest first: a directory that leaves is out of scope for the one above.
  for (const path of created.sort(comparePaths).reverse()) {
    let outOfScope = 0;
    let inScope = 0;
    for (const row of input.view.rowsUnder(path)) {
      // What the room never knew is on this disk; of anything else that is out of scope it is not certain.
      if (row.outOfScope !== null) outOfScope += row.remote === null ? 1 : 0;
      else if (scope.get(row.path) === 'leaves') outOfScope += 1;
      else if (row.local !== null) inScope += 1;
      if (inScope > 0) break;
    }
    if (outOfScope === 0 || inScope > 0) continue;
    operations.delete(path);
    scope.set(path, 'leaves');
  }
}

/**
 * A directory here in which nothing takes part stands where the room has a file: it is nobody's work that the room's file
 * should make way for. The file is applied; what lies in the directory keeps it from its place until somebody clears it (rule IG1).
 */
function giveWayWithLeftovers({ input, operations }: Round): void {
  for (const [path, operation] of operations) {
    if (operation.kind !== 'publishMoveAside') continue;
    let leftOut = 0;
    let inScope = 0;
    for (const row of input.view.rowsUnder(path)) {
      if (row.outOfScope !== null) leftOut += 1;
      else if (row.local !== null) inScope += 1;
      if (inScope > 0) break;
    }
    if (leftOut > 0 && inScope === 0)
      operations.set(path, { kind: 'apply', to: liveEntry(input.view.row(path)?.remote ?? null) });
  }
}

// ── 3. upwards: parents ──────────────────────────────────────────────────────────────────────────────────────────────

/** Gives missing parents a step; takes back the steps of paths that have to wait for one. Moves first: they bring parents. */
function bringParents(round: Round): void {
  const { operations } = round;
  // Below a file that has still to move aside nothing can be done, on either side.
  const waiting = new Set<RelPath>();
  for (const [path, { kind }] of operations) if (kind === 'moveAside' || kind === 'publishMoveAside') waiting.add(path);

  const paths = [...operations.keys()].sort(comparePaths);
  for (const movesNow of [true, false]) {
    for (const path of paths) {
      const operation = operations.get(path);
      if (operation === undefined || 'move' in operation !== movesNow || operation.kind === 'agree') continue;
      const parent = parentPath(path);
      const ready =
        !(parent !== undefined && isAtOrBelow(parent, waiting)) &&
        (!entersRoom(operation, path, round) || roomParents(path, round)) &&
        (!entersDisk(operation) || diskParents(path, round));
      if (!ready) dropOperation(path, operation, round);
    }
  }
}

function dropOperation(path: RelPath, operation: Operation, { operations, enteringRoom }: Round): void {
  if (!('move' in operation)) {
    operations.delete(path);
    return;
  }
  const { fromPath, toPath } = operation.move;
  operations.delete(fromPath);
  operations.delete(toPath);
  enteringRoom.delete(toPath);
  // What should have left stays for now: so must the directories that it lies in.
  const leaves = operation.kind === 'publishMoveTo' || operation.kind === 'publishMoveFrom' ? 'publish' : 'apply';
  for (const directory of ancestorsOf(fromPath)) {
    if (operations.get(directory)?.kind === leaves) operations.delete(directory);
  }
}

function entersRoom(operation: Operation, path: RelPath, { input }: Round): boolean {
  if (operation.kind === 'publish') return input.view.row(path)?.local !== null;
  return operation.kind === 'publishMoveTo';
}

function entersDisk(operation: Operation): boolean {
  return (operation.kind === 'apply' && operation.to !== null) || operation.kind === 'applyMoveTo';
}

/** The path exists on disk: so do its parents, as directories. The room may lack some. */
function roomParents(path: RelPath, { input, operations, scope, enteringRoom, readyInRoom }: Round): boolean {
  const missing: RelPath[] = [];
  const found: RelPath[] = [];
  for (const parent of ancestorsOf(path)) {
    if (readyInRoom.has(parent)) break;
    found.push(parent);
    const row = input.view.row(parent);
    const origin = originOf(parent, enteringRoom);
    const remote = liveEntry(input.view.row(origin ?? parent)?.remote ?? null);
    const operation = operations.get(parent);
    if (remote?.kind === 'directory') break;
    if (operation?.kind === 'publish' && row?.local?.kind === 'directory') continue;
    // The room has nothing, or a file, there, and no step makes it a directory yet.
    const isLeftOut = row?.outOfScope === 'directory-of-out-of-scope';
    if (remote !== null && isLeftOut) scope.set(parent, 'enters');
    if (remote !== null || row?.hold) return false;
    if (row !== undefined && row.outOfScope !== null && !isLeftOut) return false;
    missing.push(parent);
  }
  for (const parent of missing) {
    if (input.view.row(parent)?.outOfScope === 'directory-of-out-of-scope') scope.set(parent, 'enters');
    operations.set(parent, { kind: 'publish', revives: true });
  }
  for (const parent of found) readyInRoom.add(parent);
  return true;
}

/** The room holds the path: so it holds its parents, as directories. The disk may lack some. */
function diskParents(path: RelPath, { input, operations, scope, readyOnDisk }: Round): boolean {
  const missing: RelPath[] = [];
  const found: RelPath[] = [];
  for (const parent of ancestorsOf(path)) {
    if (readyOnDisk.has(parent)) break;
    found.push(parent);
    const row = input.view.row(parent);
    const operation = operations.get(parent);
    if (row === undefined) return false;
    if (row.outOfScope === 'directory-of-out-of-scope') {
      // It is looked at again before the next round; the path itself waits until then.
      scope.set(parent, 'enters');
      return false;
    }
    if (row.outOfScope !== null) return false;
    if (row.local?.kind === 'directory') break;
    if (liveEntry(row.remote)?.kind !== 'directory') return false;
    if (operation?.kind === 'apply' && operation.to?.kind === 'directory') continue;
    // A file is held here by an open conflict, and the room has made a directory of the path: both are kept.
    if (row.hold !== null && row.local !== null) operations.set(parent, { kind: 'moveAside' });
    if (row.local !== null || row.hold !== null || operation !== undefined) return false;
    missing.push(parent);
  }
  for (const parent of missing) operations.set(parent, { kind: 'apply', to: { kind: 'directory' } });
  for (const parent of found) readyOnDisk.add(parent);
  return true;
}

// ── the plan ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Phases of both lists: conflict names, what is made or changed, deletions, leaves in the place of directories. */
const phaseAside = 0;
const phaseMake = 1;
const phaseDelete = 2;
const phaseReplaceDirectory = 3;

interface Ordered<Step> {
  readonly phase: number;
  readonly path: RelPath;
  readonly step: Step;
}

function planOf({ input, operations, scope }: Round): Omit<Plan, 'bases'> {
  const agree: Agree[] = [];
  const disk: Ordered<DiskStep>[] = [];
  const publish: Ordered<PublishStep>[] = [];
  const notes: { path: RelPath; note: string }[] = [];

  for (const [path, operation] of operations) {
    const row = input.view.row(path) ?? absentRow(path);
    if ('note' in operation && operation.note !== undefined) notes.push({ path, note: operation.note });
    switch (operation.kind) {
      case 'agree':
        agree.push({ kind: 'agree', path });
        break;
      case 'apply':
        disk.push({
          phase: phaseOf(operation.to, row.local),
          path,
          step: { kind: 'apply', path, to: operation.to, row },
        });
        break;
      case 'applyMode':
        disk.push({ phase: phaseMake, path, step: { kind: 'applyMode', path, mode: operation.mode, row } });
        break;
      case 'merge':
        disk.push({ phase: phaseMake, path, step: { kind: 'merge', path, row } });
        break;
      case 'moveAside':
        disk.push({ phase: phaseAside, path, step: { kind: 'moveAside', path } });
        break;
      case 'applyMoveTo':
        disk.push({
          phase: phaseMake,
          path,
          step: { kind: 'applyMove', fromPath: operation.move.fromPath, toPath: path },
        });
        break;
      case 'publish': {
        const local = localToPublish(row, operation.revives, input.traits);
        const step: PublishStep = { kind: 'publish', path, local, remote: row.remote, revives: operation.revives };
        publish.push({ phase: phaseOf(local, liveEntry(row.remote)), path, step });
        break;
      }
      case 'publishMoveTo':
        publish.push({ phase: phaseMake, path, step: { kind: 'publishMove', ...operation.move } });
        break;
      case 'publishMoveAside':
        publish.push({ phase: phaseAside, path, step: { kind: 'publishMoveAside', path } });
        break;
      case 'conflict':
        publish.push({ phase: phaseMake, path, step: { kind: 'conflict', path, reason: operation.reason, row } });
        break;
      case 'applyMoveFrom':
      case 'publishMoveFrom':
        break;
    }
  }
  return {
    scope: [...scope].map(([path, kind]) => ({ kind, path })).sort(byPath),
    agree: agree.sort(byPath),
    disk: inOrder(disk),
    publish: inOrder(publish),
    notes: notes.sort(byPath),
  };
}

function phaseOf(next: { kind: string } | null, previous: { kind: string } | null): number {
  if (next === null) return phaseDelete;
  return previous?.kind === 'directory' && next.kind !== 'directory' ? phaseReplaceDirectory : phaseMake;
}

/** Parents before children, except deletions: deepest first. */
function inOrder<Step>(steps: Ordered<Step>[]): readonly Step[] {
  return steps
    .sort((a, b) => {
      if (a.phase !== b.phase) return a.phase - b.phase;
      return a.phase === phaseDelete ? comparePaths(b.path, a.path) : comparePaths(a.path, b.path);
    })
    .map(({ step }) => step);
}

function byPath(a: { readonly path: RelPath }, b: { readonly path: RelPath }): number {
  return comparePaths(a.path, b.path);
}

/** A disk without modes keeps the one that the file has in the room (M5). */
function localToPublish(row: Row, revives: boolean, traits: FolderTraits): LocalEntry | null {
  const { local } = row;
  // A parent of something on disk is a directory there, also when the scan of it is still to come.
  if (revives && (local === null || row.outOfScope !== null)) return { kind: 'directory' };
  if (local?.kind !== 'file' || traits.holdsModes) return local;
  return { ...local, ...(modeOfFile(liveEntry(row.remote)) ?? modeOfFile(row.base) ?? plainMode) };
}

function absentRow(path: RelPath): Row {
  return {
    path,
    base: null,
    remote: null,
    remoteMtimeMs: 0,
    local: { kind: 'directory' },
    outOfScope: null,
    hold: null,
    problem: null,
    declined: false,
  };
}
