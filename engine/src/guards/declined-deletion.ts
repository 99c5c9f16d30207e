/**
 * What "no" to a held deletion means: it is undone, as one deletion of these paths. What is gone here comes back from the room, and
 * what is gone in the room is sent again; what either side does at such a path meanwhile is judged as always, for what was agreed on
 * stays known. What had gone on both sides before anybody was asked is wished back (apply/bring-back.ts).
 *
 * Leaves to others which hold was declined (holds.ts), and how a row is decided that is marked so (core/decide.ts).
 */
import type { RelPath } from '@driftless/protocol';
import { wishBack } from '../apply/bring-back.ts';
import { liveEntry } from '../core/entry-encoding.ts';
import type { Held } from '../core/holds.ts';
import type { Row } from '../core/row.ts';
import type { StateStore } from '../ports/state-store.ts';

const rowsPerPage = 1_000;

interface KeepWays {
  readonly isOnHeldDisk: (path: RelPath) => boolean;
  /** An earlier answer let it go, and it is not gone everywhere yet. */
  readonly isConfirmed: (path: RelPath) => boolean;
}

export function keepWhatWouldGo(
  held: Held,
  store: Pick<
    StateStore,
    'row' | 'goneRows' | 'heldRows' | 'rowsFrom' | 'setLocal' | 'decline' | 'unpark' | 'setting' | 'setSetting'
  >,
  { isOnHeldDisk, isConfirmed }: KeepWays,
): void {
  // What was held back beside the listed files is kept as well: links, directories, and what its user had only made a moment before.
  store.unpark();
  const listed = new Set<string>(held.subjects);
  const rows = rowsOf(held, store).filter(
    ({ path, base, outOfScope, hold }) =>
      // Open conflicts too, whatever was agreed on there.
      (hold !== null || (base !== null && (listed.has(path) || !isConfirmed(path)))) &&
      outOfScope === null &&
      !isOnHeldDisk(path),
  );
  // A folder that was found bare was not scanned since: nothing of it is here.
  const isBare = held.source === 'root' && rows.some(({ path, local }) => listed.has(path) && local !== null);
  if (isBare) for (const { path } of rows) store.setLocal(path, null);
  store.decline(rows.filter((row) => isBare || wouldGo(held, row)).map(({ path }) => path));
  wishBack(store, held.wentUnasked ?? []);
}

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
