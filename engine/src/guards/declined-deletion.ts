/**
 * What "no" to a held deletion means: it is undone, as one deletion of these paths. What is gone here comes back from the room, and
 * what is gone in the room is sent again; what either side does at such a path meanwhile is judged as always, for what was agreed on
 * stays known.
 *
 * Leaves to others which hold was declined (holds.ts), and how a row is decided that is marked so (core/decide.ts).
 */
import type { RelPath } from '@driftless/protocol';
import { liveEntry } from '../core/entry-encoding.ts';
import type { Held } from '../core/holds.ts';
import type { Row } from '../core/row.ts';
import type { StateStore } from '../ports/state-store.ts';

const rowsPerPage = 1_000;

export function keepWhatWouldGo(
  held: Held,
  store: Pick<StateStore, 'goneRows' | 'rowsFrom' | 'setLocal' | 'decline' | 'unpark'>,
  isOnHeldDisk: (path: RelPath) => boolean,
): void {
  // What was held back beside the listed files, links and directories, is not listed, and is kept as well.
  store.unpark();
  const listed = new Set<string>(held.subjects);
  const rows = rowsOf(held, store).filter(
    ({ path, base, outOfScope, hold }) =>
      base !== null &&
      (listed.has(path) || base.kind !== 'file') &&
      outOfScope === null &&
      hold === null &&
      !isOnHeldDisk(path),
  );
  // A folder that was found bare was not scanned since: nothing of it is here.
  const isBare = held.source === 'root' && rows.some(({ path, local }) => listed.has(path) && local !== null);
  if (isBare) for (const { path } of rows) store.setLocal(path, null);
  store.decline(rows.filter((row) => isBare || wouldGo(held, row)).map(({ path }) => path));
}

/** Of an emptied folder every row. Read whole: it changes while it is walked. */
function rowsOf({ source }: Held, store: Pick<StateStore, 'goneRows' | 'rowsFrom'>): readonly Row[] {
  const rows: Row[] = [];
  for (;;) {
    const last = rows.at(-1)?.path;
    const page =
      source === 'root'
        ? store.rowsFrom(last === undefined ? '' : (`${last}\u0000` as RelPath), rowsPerPage)
        : store.goneRows({ after: last ?? '', limit: rowsPerPage, nowMs: Number.MAX_SAFE_INTEGER });
    rows.push(...page);
    if (page.length < rowsPerPage) return rows;
  }
}

function wouldGo({ source }: Held, { local, remote }: Row): boolean {
  return source === 'deletions-incoming' ? local !== null && liveEntry(remote) === null : local === null;
}
