/**
 * What "no" to a held deletion means: what would go is not agreed on any more. Then what is gone here is missing, and comes from the
 * room; and what is gone in the room is new here, and is sent.
 *
 * Leaves to others which hold was declined, and that it is let go (holds.ts).
 */
import type { RelPath } from '@driftless/protocol';
import { liveEntry } from '../core/entry-encoding.ts';
import type { Held } from '../core/holds.ts';
import type { Row } from '../core/row.ts';
import type { StateStore } from '../ports/state-store.ts';

const rowsPerPage = 1_000;

export function keepWhatWouldGo(
  held: Held,
  store: Pick<StateStore, 'goneRows' | 'rowsFrom' | 'row' | 'setBase' | 'unpark'>,
  isOnHeldDisk: (path: RelPath) => boolean,
): void {
  // What was held back beside the listed files, links and directories, is not listed, and is kept as well.
  store.unpark();
  const listed = new Set<string>(held.subjects);
  for (const row of rowsOf(held, store)) {
    const isMeant = listed.has(row.path) || row.base?.kind !== 'file';
    if (row.base !== null && isMeant && !isOnHeldDisk(row.path) && wouldGo(held, row)) store.setBase(row.path, null);
  }
}

/** Of an emptied folder every row: it may have been seen before a scan. Read whole: it changes while it is walked. */
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

function wouldGo({ source }: Held, { local, remote, outOfScope, hold }: Row): boolean {
  if (outOfScope !== null || hold !== null) return false;
  if (source === 'root') return true;
  return source === 'deletions-outgoing' ? local === null : local !== null && liveEntry(remote) === null;
}
