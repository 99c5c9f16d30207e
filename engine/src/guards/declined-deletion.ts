/**
 * What "no" to a held deletion means: it is undone, as one deletion of these paths. What is gone here comes back from the room, and
 * what is gone in the room is sent again; what went on both sides before anybody was asked comes back as new; what either side does at such a path meanwhile is judged as always, for what was agreed on
 * stays known.
 *
 * Leaves to others which hold was declined (holds.ts), and how a row is decided that is marked so (core/decide.ts).
 */
import type { Entry, RelPath } from '@driftless/protocol';
import { liveEntry } from '../core/entry-encoding.ts';
import type { Held } from '../core/holds.ts';
import type { Row } from '../core/row.ts';
import { ancestorsOf } from '../core/tree-paths.ts';
import type { StateStore } from '../ports/state-store.ts';

const rowsPerPage = 1_000;

export function keepWhatWouldGo(
  held: Held,
  store: Pick<StateStore, 'row' | 'goneRows' | 'heldRows' | 'rowsFrom' | 'setLocal' | 'setBase' | 'decline' | 'unpark'>,
  isOnHeldDisk: (path: RelPath) => boolean,
): void {
  // What was held back beside the listed files, links and directories, is not listed, and is kept as well.
  store.unpark();
  const listed = new Set<string>(held.subjects);
  const rows = rowsOf(held, store).filter(
    ({ path, base, outOfScope, hold }) =>
      // Open conflicts too, whatever was agreed on there.
      (hold !== null || (base !== null && (listed.has(path) || base.kind !== 'file'))) &&
      outOfScope === null &&
      !isOnHeldDisk(path),
  );
  // A folder that was found bare was not scanned since: nothing of it is here.
  const isBare = held.source === 'root' && rows.some(({ path, local }) => listed.has(path) && local !== null);
  if (isBare) for (const { path } of rows) store.setLocal(path, null);
  store.decline(rows.filter((row) => isBare || wouldGo(held, row)).map(({ path }) => path));
  for (const { path, entry } of held.wentUnasked ?? [])
    if (!isOnHeldDisk(path as RelPath)) bringBack(path as RelPath, entry, store);
}

/** With the directories that went with it. What is in the room or on the disk again stays as it is. */
function bringBack(path: RelPath, entry: Entry, store: Pick<StateStore, 'row' | 'setBase' | 'decline'>): void {
  if (!isGoneForGood(store.row(path))) return;
  store.setBase(path, entry);
  store.decline([path]);
  for (const directory of ancestorsOf(path)) {
    if (!isGoneForGood(store.row(directory))) return;
    store.setBase(directory, { kind: 'directory' });
    store.decline([directory]);
  }
}

const isGoneForGood = (row: Row | undefined): boolean =>
  row === undefined ||
  (row.outOfScope === null &&
    row.hold === null &&
    row.base === null &&
    row.local === null &&
    liveEntry(row.remote) === null);

/** Of an emptied folder every row. Read whole: it changes while it is walked. */
function rowsOf({ source }: Held, store: Pick<StateStore, 'goneRows' | 'heldRows' | 'rowsFrom'>): readonly Row[] {
  const rows: Row[] = source === 'root' ? [] : store.heldRows();
  for (let after: RelPath | '' = ''; ; ) {
    const page: readonly Row[] =
      source === 'root'
        ? store.rowsFrom(after === '' ? '' : (`${after}\u0000` as RelPath), rowsPerPage)
        : store.goneRows({ after, limit: rowsPerPage, nowMs: Number.MAX_SAFE_INTEGER });
    rows.push(...page);
    const last = page.at(-1);
    if (last === undefined || page.length < rowsPerPage) return rows;
    after = last.path;
  }
}

function wouldGo({ source }: Held, { local, remote, hold }: Row): boolean {
  // What the room deletes takes no open conflict along.
  if (source === 'deletions-incoming') return hold === null && local !== null && liveEntry(remote) === null;
  return local === null;
}
