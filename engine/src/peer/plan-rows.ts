/**
 * Which rows one turn compares. Not all that are pending, for a first share may be millions; but a window is a matter of
 * speed, never of meaning: whatever decides about a row inside it is inside as well.
 *
 * What keeps a directory, and what its parents are, reconcile asks the store. What it pairs itself, and what is counted
 * over all rows, must be given: everything that went on either side (the guard counts it, and a rename begins with it),
 * and where its content appeared (a rename ends there).
 */
import { comparePaths, type RelPath } from '@driftless/protocol';
import { isRetryDue } from '../core/backoff.ts';
import { liveEntry } from '../core/entry-encoding.ts';
import type { Row } from '../core/row.ts';
import { ancestorsOf } from '../core/tree-paths.ts';
import type { StateStore } from '../ports/state-store.ts';

type Rows = Pick<StateStore, 'pendingRows' | 'goneRows' | 'appearedRows' | 'row'>;

/** Large enough for nearly every change of a folder to be one look; some 40 MB. */
export const rowsPerPlanAimed = 50_000;
const rowsPerPage = 1_000;

export interface Look {
  /** How many rows that change something, or appeared; those that went come on top. */
  readonly aimed: number;
  readonly nowMs: number;
  /** Nothing may follow for it now: such rows must not keep others from their turn. */
  readonly isHeld: (row: Row) => boolean;
}

/** In path order. */
export function planRows(store: Rows, { aimed, nowMs, isHeld }: Look): readonly Row[] {
  const rows = new Map<RelPath, Row>();
  let isAll = true;
  for (const row of allPendingRows(store, nowMs)) {
    if (isHeld(row)) continue;
    // Deletions may be held as well, and are all taken in below.
    if (rows.size >= aimed) {
      isAll = false;
      break;
    }
    if (!isGone(row)) rows.set(row.path, row);
  }
  for (const row of pagesOf((after) => store.goneRows({ after, limit: rowsPerPage, nowMs }))) {
    if (isHeld(row)) continue;
    rows.set(row.path, row);
    if (isAll || row.base?.kind !== 'file' || row.base.content.size === 0) continue;
    for (const appeared of store.appearedRows(row.base.content.digest))
      if (isDue(appeared, nowMs) && !isHeld(appeared)) rows.set(appeared.path, appeared);
  }
  return [...rows.values()].sort((a, b) => comparePaths(a.path, b.path));
}

const isGone = (row: Row): boolean => row.base !== null && (row.local === null || liveEntry(row.remote) === null);
const isDue = ({ hold, problem }: Row, nowMs: number): boolean =>
  hold === null && (problem === null || isRetryDue(problem, nowMs));

/** These paths and the directories above them, nothing else: ignore files are applied before all that they may rule out (rule IG2). */
export function rowsWithParents(store: Rows, paths: readonly RelPath[], { nowMs, isHeld }: Look): readonly Row[] {
  const wanted = new Set(paths.flatMap((path) => [path, ...ancestorsOf(path)]));
  const rows = [...wanted].sort(comparePaths).flatMap((path) => store.row(path) ?? []);
  return rows.filter((row) => !isHeld(row) && isDue(row, nowMs));
}

/** All pending rows, a page at a time. */
export function allPendingRows(store: Pick<StateStore, 'pendingRows'>, nowMs: number): Iterable<Row> {
  return pagesOf((after) => store.pendingRows({ after, limit: rowsPerPage, nowMs }));
}

/** Everything that went on either side and is not agreed on yet, a page at a time. */
export function allGoneRows(store: Pick<StateStore, 'goneRows'>): Iterable<Row> {
  return pagesOf((after) => store.goneRows({ after, limit: rowsPerPage, nowMs: Number.MAX_SAFE_INTEGER }));
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
