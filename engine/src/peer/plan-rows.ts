/**
 * Which rows one turn compares. Not all that are pending, for a first share may be millions; but a window is a matter of
 * speed, never of meaning: whatever decides about a row inside it is inside as well.
 *
 * What keeps a directory, and what its parents are, reconcile asks the store. What it pairs itself, and what is counted
 * over all rows, must be given: everything that went on either side (the guard counts it, and a rename begins with it),
 * and where its content appeared (a rename ends there). What has no place in the order of paths is asked of the whole: a
 * look that is not `whole` leaves removals to later ones while it has anything else to do (`beforeRemovals`), and what git
 * did is looked at whole. The old name of a content goes last: while its new one cannot be looked at, it is not looked at either.
 */
import { comparePaths, type RelPath } from '@driftless/protocol';
import { largeContentBytesMin } from '../content/content-types.ts';
import { isRetryDue } from '../core/backoff.ts';
import { liveEntry } from '../core/entry-encoding.ts';
import type { DiskStep, PublishStep } from '../core/plan.ts';
import type { Row } from '../core/row.ts';
import { ancestorsOf } from '../core/tree-paths.ts';
import type { Pause } from '../pause.ts';
import type { StateStore } from '../ports/state-store.ts';

type Rows = Pick<StateStore, 'pendingRows' | 'goneRows' | 'appearedRows' | 'row'>;

/** So few that what cannot stop in the middle of a look takes a small part of a second, and most changes are one look. */
export const rowsPerPlanAimed = 10_000;
const rowsPerPage = 1_000;
/** Of what a look takes in, what may be large contents that are still to come. */
const largePart = 0.2;
/** Read in a few milliseconds. */
const rowsPerBreath = 256;

export interface Look {
  /** How many rows that change something, or appeared; those that went come on top. */
  readonly aimed: number;
  readonly nowMs: number;
  /** Nothing may follow for it now: such rows must not keep others from their turn. */
  readonly isHeld: (row: Row) => boolean;
  readonly pause: Pause;
}

export interface PlanRows {
  /** In path order. */
  readonly rows: readonly Row[];
  /** Nothing that is due was left out. */
  readonly whole: boolean;
}

export async function planRows(store: Rows, { aimed, nowMs, isHeld, pause }: Look): Promise<PlanRows> {
  const rows = new Map<RelPath, Row>();
  let whole = true;
  let large = 0;
  for await (const row of breathing(allPendingRows(store, nowMs), pause)) {
    if (isHeld(row)) continue;
    // They wait for their contents, for hours perhaps: what comes behind them in the order of paths does not.
    if (isLargeArrival(row) && ++large > aimed * largePart) {
      whole = false;
      continue;
    }
    // Deletions may be held as well, and are all taken in below.
    if (rows.size >= aimed) {
      whole = false;
      break;
    }
    if (!isGone(row)) rows.set(row.path, row);
  }
  const gone = pagesOf((after) => store.goneRows({ after, limit: rowsPerPage, nowMs }));
  for await (const row of breathing(gone, pause)) {
    if (isHeld(row) || waitsForNewName(store, row, { nowMs, isHeld })) continue;
    rows.set(row.path, row);
    if (whole || row.base?.kind !== 'file' || row.base.content.size === 0) continue;
    for (const appeared of store.appearedRows(row.base.content.digest))
      if (isDue(appeared, nowMs) && !isHeld(appeared)) rows.set(appeared.path, appeared);
  }
  return { rows: inPathOrder(rows.values()), whole };
}

/** With these saves, wherever in the order of paths they lie. They must depend on no other row. */
export function withSaves(
  store: Pick<Rows, 'row'>,
  look: PlanRows,
  saves: readonly RelPath[],
  { nowMs, isHeld }: Look,
): PlanRows {
  if (look.whole) return look;
  const rows = new Map(look.rows.map((row) => [row.path, row]));
  for (const path of saves) {
    const row = rows.has(path) ? undefined : store.row(path);
    if (row?.local != null && row.outOfScope === null && !isHeld(row) && isDue(row, nowMs)) rows.set(path, row);
  }
  return { rows: inPathOrder(rows.values()), whole: false };
}

const inPathOrder = (rows: Iterable<Row>): readonly Row[] => [...rows].sort((a, b) => comparePaths(a.path, b.path));

/**
 * What comes in its place comes before anything goes, also where the two lie in different looks: so removals wait for the look
 * that has nothing else to do. With them waits what needs them: whatever takes the place of a directory.
 */
export function beforeRemovals<Step extends DiskStep | PublishStep>(steps: readonly Step[]): readonly Step[] {
  const others = steps.filter((step) => !removes(step));
  return others.length === 0 ? steps : others;
}

function removes(step: DiskStep | PublishStep): boolean {
  switch (step.kind) {
    case 'publish':
      return step.local === null || (step.local.kind !== 'directory' && step.remote?.kind === 'directory');
    case 'apply':
      return step.to === null || (step.to.kind !== 'directory' && step.row.local?.kind === 'directory');
    default:
      return false;
  }
}

const isGone = (row: Row): boolean => row.base !== null && (row.local === null || liveEntry(row.remote) === null);
function isLargeArrival({ base, local, remote }: Row): boolean {
  const entry = liveEntry(remote);
  if (entry?.kind !== 'file' || entry.content.size <= largeContentBytesMin) return false;
  const { digest } = entry.content;
  return (
    !(base?.kind === 'file' && base.content.digest === digest) && !(local?.kind === 'file' && local.digest === digest)
  );
}

/** Its rename in the room failed here, and only the old name is due: alone that is a deletion, of bytes that the new one needs. */
function waitsForNewName(
  store: Rows,
  { path, base, local, remote }: Row,
  { nowMs, isHeld }: Omit<Look, 'aimed' | 'pause'>,
): boolean {
  if (liveEntry(remote) !== null || local?.kind !== 'file' || base?.kind !== 'file' || base.content.size === 0)
    return false;
  return store.appearedRows(base.content.digest).some(
    (row) =>
      row.local === null &&
      row.hold === null &&
      // A file that makes way for a directory in which it goes on.
      !row.path.startsWith(`${path}/`) &&
      (isHeld(row) || !isDue(row, nowMs)),
  );
}

const isDue = ({ hold, problem }: Row, nowMs: number): boolean =>
  hold === null && (problem === null || isRetryDue(problem, nowMs));

/** These paths and the directories above them, nothing else: ignore files are applied before all that they may rule out (rule IG2). */
export function rowsWithParents(store: Rows, paths: readonly RelPath[], { nowMs, isHeld }: Look): PlanRows {
  const wanted = new Set(paths.flatMap((path) => [path, ...ancestorsOf(path)]));
  const rows = [...wanted].sort(comparePaths).flatMap((path) => store.row(path) ?? []);
  return { rows: rows.filter((row) => !isHeld(row) && isDue(row, nowMs)), whole: true };
}

/** All pending rows, a page at a time. */
export function allPendingRows(store: Pick<StateStore, 'pendingRows'>, nowMs: number): Iterable<Row> {
  return pagesOf((after) => store.pendingRows({ after, limit: rowsPerPage, nowMs }));
}

/** Every row, in path order, a page at a time. */
export function allRows(store: Pick<StateStore, 'rowsFrom'>): Iterable<Row> {
  return pagesOf((after) => store.rowsFrom(after === '' ? '' : (`${after}\u0000` as RelPath), rowsPerPage));
}

function* pagesOf(page: (after: RelPath | '') => readonly Row[]): Generator<Row> {
  for (let after: RelPath | '' = ''; ; ) {
    const rows = page(after);
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < rowsPerPage) return;
    after = last.path;
  }
}

/** The same rows, with time for others in between. Rows may change meanwhile, as they may after the look. */
export async function* breathing(rows: Iterable<Row>, pause: Pause): AsyncGenerator<Row> {
  let count = 0;
  for (const row of rows) {
    yield row;
    count += 1;
    if (count % rowsPerBreath === 0) await pause();
  }
}
