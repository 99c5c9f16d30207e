/**
 * The three trees of the state store: one row per path (rule TREE), its derived `pending` mark, and the counts, all kept
 * up to date by the one function that writes rows, so that an edit costs what it changes (rule FAST3).
 */
import type { Content, Digest, Entry, RelPath, Slot } from '@driftless/protocol';
import { pathBackoff } from '../core/backoff.ts';
import { conflictOriginal } from '../core/conflict-name.ts';
import type { LocalEntry } from '../core/local-entry.ts';
import type { Hold, OutOfScopeReason, Row, RowProblem } from '../core/row.ts';
import { movedPath } from '../core/tree-paths.ts';
import type { Counts } from '../ports/state-store.ts';
import { checksum } from './checksum.ts';
import { createRecentMap } from './recent-map.ts';
import type { SqlDb, SqlStatement } from './sql-db.ts';
import {
  asBuffer,
  damaged,
  decodeLocal,
  decodeStoredEntry,
  decodeStoredSlot,
  encodeLocal,
  encodeStoredSlot,
  isStoredFile,
  parseJson,
  sameState,
} from './state-codec.ts';
import type { Transactions } from './state-transactions.ts';

/** Numbers in the column `scope`; they must not change. */
const scopeReasons: readonly (OutOfScopeReason | null)[] = [
  null,
  'ignored',
  'unstorable',
  'too-large',
  'unreadable',
  'invalid-name',
  'special-file',
  'directory-of-out-of-scope',
  'unmounted',
  'outside-link',
  'ignored-once-shared',
  'awaiting-confirmation',
];
/** In scope, or out of sight for now. */
const mayBeReceived = `scope IN (${[null, 'unreadable' as const, 'unmounted' as const].map((reason) => scopeReasons.indexOf(reason)).join(', ')})`;
/** Rule IG2: what comes back after one of these is create/create, so nothing is remembered as agreed. */
const baseForgetters: ReadonlySet<OutOfScopeReason> = new Set([
  'ignored',
  'ignored-once-shared',
  'awaiting-confirmation',
  'unstorable',
  'invalid-name',
]);
/** Rows fetched at once by the lazy iterators: writes may come between pages, so no read stays open. */
const rowsPerPage = 512;

/** Rows kept in memory. One save asks for the rows of its path and of the directories above it some twenty times. */
const rowsKeptMax = 1_000;

const sameAsBase = new Uint8Array(0);

/** A row as stored, but with `remote` never the same-as-base mark. */
interface StoredRow {
  readonly path: string;
  readonly base: Uint8Array | null;
  readonly remote: Uint8Array | null;
  readonly remote_mtime: number;
  readonly local: Uint8Array | null;
  readonly scope: number;
  readonly hold: string | null;
  readonly problem: string | null;
  readonly retry_at: number | null;
  readonly declined: number;
  readonly pending: number;
}
interface SummedRow extends Omit<StoredRow, 'remote'> {
  remote: Uint8Array | null;
  readonly sum: number;
}
type RowContent = Omit<StoredRow, 'path' | 'pending'>;

/** A row as it was read or written last; none is kept as well. `row`: decoded, once somebody has asked for it. */
interface KeptRow {
  readonly stored: StoredRow | undefined;
  row: Row | undefined;
}

const emptyContent: RowContent = {
  base: null,
  remote: null,
  remote_mtime: 0,
  local: null,
  scope: 0,
  hold: null,
  problem: null,
  retry_at: null,
  declined: 0,
};

const columns = 'path, base, remote, remote_mtime, local, scope, hold, problem, retry_at, declined, pending, sum';

interface PageOfDue {
  readonly after?: RelPath | '';
  readonly limit: number;
  readonly nowMs: number;
}

export type StateTree = ReturnType<typeof createStateTree>;

export function createStateTree(db: SqlDb, transactions: Transactions, options: { readonly holdsModes: boolean }) {
  const rowsSql = (rest: string): SqlStatement<SummedRow> =>
    db.prepare<SummedRow>(`SELECT ${columns} FROM tree ${rest}`);
  const selectRow = rowsSql('WHERE path = ?');
  const selectBetween = rowsSql('WHERE path > ? AND path < ? ORDER BY path LIMIT ?');
  const selectFrom = rowsSql('WHERE path >= ? ORDER BY path LIMIT ?');
  const selectPresent = rowsSql('WHERE path >= ? AND path < ? AND (local IS NOT NULL OR scope <> 0) ORDER BY path');
  const isDue = '(retry_at IS NULL OR retry_at <= ? OR retry_at > ?)';
  const selectPending = rowsSql(`WHERE pending = 1 AND path > ? AND ${isDue} ORDER BY path LIMIT ?`);
  const selectPendingNamed = rowsSql(
    `WHERE pending = 1 AND (path = ? OR path LIKE '%/' || ?) AND ${isDue} ORDER BY path`,
  );
  const selectArriving = rowsSql(
    `INDEXED BY tree_arriving WHERE pending = 1 AND local IS NULL AND remote IS NOT NULL AND path > ? ORDER BY path LIMIT ?`,
  );
  const isGone = "(local IS NULL OR remote IS NULL OR substr(remote, 1, 1) = x'05')";
  const selectGone = rowsSql(
    `INDEXED BY tree_gone WHERE pending = 1 AND base IS NOT NULL AND ${isGone}
     AND path > ? AND ${isDue} ORDER BY path LIMIT ?`,
  );
  // At most two: one is a partner, two are none (rule LOG6).
  const selectAppearedHere = rowsSql(
    "WHERE substr(local, 2, 8) = ? AND substr(local, 1, 1) IN (x'01', x'02', x'06', x'07') AND scope = 0 AND substr(local, 2, 32) = ? AND base IS NULL LIMIT 2",
  );
  const selectAppearedThere = rowsSql(
    "WHERE substr(remote, 2, 8) = ? AND substr(remote, 1, 1) IN (x'01', x'02', x'06', x'07') AND scope = 0 AND substr(remote, 2, 32) = ? AND base IS NULL AND local IS NULL LIMIT 2",
  );
  const isFile = (column: string): string => `substr(${column}, 1, 1) IN (x'01', x'02', x'06', x'07')`;
  const lostSql = (where: string) =>
    db.prepare<{ readonly path: string; readonly digest: string }>(
      `SELECT path, lower(hex(substr(base, 2, 32))) AS digest FROM tree INDEXED BY tree_gone
       WHERE pending = 1 AND base IS NOT NULL AND ${isGone} AND declined = 0 AND ${isFile('base')} AND ${where} LIMIT ?`,
    );
  const selectLost = {
    // A remote that equals the base is stored as no bytes (sameAsBase). Where the room changed the mode alone the file comes back, too.
    local: lostSql("local IS NULL AND (remote = x'' OR substr(remote, 1, 33) = substr(base, 1, 33))"),
    remote: lostSql(
      `${isFile('local')} AND substr(local, 2, 32) = substr(base, 2, 32) AND (remote IS NULL OR substr(remote, 1, 1) = x'05')`,
    ),
  };
  const selectUnagreed = db.prepare<{ readonly count: number }>(
    `SELECT count(*) AS count FROM tree WHERE pending = 1 AND ${isFile('local')} AND (base IS NULL OR NOT ${isFile('base')})`,
  );
  const selectHeld = rowsSql('WHERE hold IS NOT NULL ORDER BY path');
  const selectScopeCounts = db.prepare<{ scope: number; count: number }>(
    'SELECT scope, count(*) AS count FROM tree WHERE scope <> 0 GROUP BY scope',
  );
  const selectMarked = db.prepare<{ path: string }>(
    "SELECT path FROM tree INDEXED BY tree_marked WHERE instr(path, '.conflict-') > 0 AND local IS NOT NULL AND scope = 0 ORDER BY path",
  );
  const selectOutOfScope = rowsSql("WHERE scope <> 0 AND instr(?, ',' || scope || ',') = 0 ORDER BY path LIMIT ?");
  const selectOutOfScopePaths = db.prepare<{ readonly path: string }>(
    'SELECT path FROM tree WHERE scope <> 0 ORDER BY path',
  );
  const selectPathsOfReason = db.prepare<{ readonly path: string }>(
    'SELECT path FROM tree WHERE scope <> 0 AND scope = ? ORDER BY path',
  );
  const selectProblems = rowsSql('INDEXED BY tree_problem WHERE problem IS NOT NULL ORDER BY path LIMIT ?');
  const selectNextRetry = db.prepare<{ readonly at: number | null }>(
    'SELECT MIN(retry_at) AS at FROM tree WHERE problem IS NOT NULL AND (pending = 1 OR hold IS NOT NULL) AND retry_at > ?',
  );
  const selectLocalContent = rowsSql(
    "WHERE substr(local, 2, 8) = ? AND substr(local, 1, 1) IN (x'01', x'02', x'06', x'07') AND scope = 0 AND substr(local, 2, 32) = ? ORDER BY path LIMIT ?",
  );
  const selectBaseContent = rowsSql(
    // What only base holds has left the room, and perhaps the relay: it is uploaded as if it were new (rule GC1).
    `WHERE substr(base, 2, 8) = ? AND substr(base, 1, 1) IN (x'01', x'02', x'06', x'07') AND substr(base, 2, 32) = ? AND length(remote) = 0
     AND (? OR ${mayBeReceived}) LIMIT 1`,
  );
  const selectRemoteContent = rowsSql(
    `WHERE substr(remote, 2, 8) = ? AND substr(remote, 1, 1) IN (x'01', x'02', x'06', x'07') AND substr(remote, 2, 32) = ?
     AND (? OR ${mayBeReceived}) LIMIT 1`,
  );
  const selectSlots = db.prepare<{ readonly path: string; readonly slot: Uint8Array; readonly slot_sum: number }>(
    `SELECT path, CASE length(remote) WHEN 0 THEN base ELSE remote END AS slot, slot_sum FROM tree
     WHERE path > ? AND path <= ? AND remote IS NOT NULL ORDER BY path LIMIT ?`,
  );

  const insertRow = db.prepare(
    `INSERT INTO tree (${columns}, slot_sum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  // One statement per group of columns: an index is touched only when a column that it reads is set.
  const updateTrees = db.prepare(
    'UPDATE tree SET base = ?, remote = ?, remote_mtime = ?, slot_sum = ?, pending = ?, sum = ? WHERE path = ?',
  );
  const updateLocal = db.prepare('UPDATE tree SET local = ?, pending = ?, sum = ? WHERE path = ?');
  const updateMarks = db.prepare(
    'UPDATE tree SET scope = ?, hold = ?, problem = ?, retry_at = ?, declined = ?, pending = ?, sum = ? WHERE path = ?',
  );
  const parkRow = db.prepare('UPDATE tree SET pending = 2 WHERE path = ?');
  const unparkRows = db.prepare('UPDATE tree INDEXED BY tree_parked SET pending = 1 WHERE pending = 2');
  const selectParkedCount = db.prepare<{ readonly count: number }>(
    'SELECT count(*) AS count FROM tree INDEXED BY tree_parked WHERE pending = 2',
  );
  const selectParkedContent = db.prepare<{ readonly found: number }>(
    `SELECT 1 AS found FROM tree INDEXED BY tree_parked
     WHERE pending = 2 AND substr(base, 2, 8) = ? AND ${isFile('base')} AND substr(base, 2, 32) = ? LIMIT 1`,
  );
  const deleteRow = db.prepare('DELETE FROM tree WHERE path = ?');

  const selectCounts = db.prepare<Record<'files' | 'entries' | 'pending' | 'held' | 'out_of_scope', number>>(
    'SELECT files, entries, pending, held, out_of_scope FROM tree_counts',
  );
  const updateCounts = db.prepare(
    'UPDATE tree_counts SET files = ?, entries = ?, pending = ?, held = ?, out_of_scope = ?',
  );

  let counts = readCounts();
  let countsChanged = false;
  let parked = selectParkedCount.get()?.count ?? 0;
  transactions.beforeCommit(() => {
    if (!countsChanged) return;
    updateCounts.run(counts.files, counts.entries, counts.pending, counts.held, counts.outOfScope);
    countsChanged = false;
  });
  transactions.afterRollback(() => {
    counts = readCounts();
    parked = selectParkedCount.get()?.count ?? 0;
    countsChanged = false;
    recent.clear();
  });
  const recent = createRecentMap<RelPath, KeptRow>(rowsKeptMax);

  function readCounts(): Counts {
    const row = selectCounts.get();
    if (row === undefined) throw damaged();
    return {
      files: row.files,
      entries: row.entries,
      pending: row.pending,
      held: row.held,
      outOfScope: row.out_of_scope,
    };
  }

  // ── writing ──

  function kept(path: RelPath): KeptRow {
    const known = recent.get(path);
    if (known !== undefined) return known;
    const row = selectRow.get(path);
    const read = { stored: row === undefined ? undefined : checked(row), row: undefined };
    recent.set(path, read);
    return read;
  }

  function stored(path: RelPath): StoredRow | undefined {
    return kept(path).stored;
  }

  function row(path: RelPath): Row | undefined {
    const found = kept(path);
    if (found.stored === undefined) return undefined;
    found.row ??= rowOf(found.stored);
    return found.row;
  }

  /** The only function that writes rows; what is kept follows it. */
  function change(path: RelPath, before: StoredRow | undefined, changes: Partial<RowContent>): void {
    const after: RowContent = withDeclined(before ?? emptyContent, { ...(before ?? emptyContent), ...changes });
    if (before !== undefined && isUnchanged(before, after)) return;
    if (before?.pending === 2) parked -= 1;
    count(before ?? emptyContent, -1);
    count(after, 1);
    if (isEmpty(after)) {
      if (before !== undefined) deleteRow.run(path);
      recent.set(path, { stored: undefined, row: undefined });
      return;
    }
    const { base, local, scope, hold, problem } = after;
    const remote = markedRemote(after);
    const pending = isPending(after) ? 1 : 0;
    recent.set(path, { stored: { ...after, path, pending }, row: undefined });
    const sum = sumOf({ ...after, path, remote, pending });
    if (before === undefined) {
      insertRow.run(
        path,
        base,
        remote,
        after.remote_mtime,
        local,
        scope,
        hold,
        problem,
        after.retry_at,
        after.declined,
        pending,
        sum,
        slotSum(path, after.remote),
      );
      return;
    }
    if (base !== before.base || after.remote !== before.remote || after.remote_mtime !== before.remote_mtime)
      updateTrees.run(base, remote, after.remote_mtime, slotSum(path, after.remote), pending, sum, path);
    if (local !== before.local) updateLocal.run(local, pending, sum, path);
    if (
      scope !== before.scope ||
      hold !== before.hold ||
      problem !== before.problem ||
      after.retry_at !== before.retry_at ||
      after.declined !== before.declined
    )
      updateMarks.run(scope, hold, problem, after.retry_at, after.declined, pending, sum, path);
  }

  function write(path: RelPath, make: (before: RowContent) => Partial<RowContent>): void {
    transactions.run(() => {
      const before = stored(path);
      change(path, before, make(before ?? emptyContent));
    });
  }

  /** What was declined was one deletion: neither a later one, nor what its user does at that path. */
  function withDeclined(before: RowContent, after: RowContent): RowContent {
    if (before.declined === 0) return after;
    const isSame = sameState(before.local, after.local, options) && sameBytes(before.base, after.base);
    return isSame && mayBeDeclined(after) ? after : { ...after, declined: 0 };
  }

  /** An open conflict waits as well, and may be gone here. */
  const mayBeDeclined = (row: RowContent): boolean => isPending(row) || (row.scope === 0 && row.hold !== null);

  function isPending(row: RowContent): boolean {
    if (row.scope !== 0 || row.hold !== null) return false;
    return !sameState(row.local, row.base, options) || !sameState(row.remote, row.base, { holdsModes: true });
  }

  /** Something out of scope lies where the room has an entry (rule IG1). */
  function isBlocked(row: RowContent): boolean {
    return row.scope !== 0 && row.problem !== null;
  }

  function count(row: RowContent, step: 1 | -1): void {
    const present = row.scope === 0 && row.local !== null;
    const files = present && row.local !== null && isStoredFile(row.local) ? step : 0;
    const entries = present ? step : 0;
    const pending = isPending(row) || isBlocked(row) ? step : 0;
    const held = row.hold !== null ? step : 0;
    const outOfScope = row.scope !== 0 ? step : 0;
    if (files === 0 && entries === 0 && pending === 0 && held === 0 && outOfScope === 0) return;
    counts = {
      files: counts.files + files,
      entries: counts.entries + entries,
      pending: counts.pending + pending,
      held: counts.held + held,
      outOfScope: counts.outOfScope + outOfScope,
    };
    countsChanged = true;
  }

  function setLocal(path: RelPath, local: LocalEntry | null): void {
    const bytes = local === null ? null : encodeLocal(local);
    write(path, (before) => ({
      local: bytes,
      ...(sameState(bytes, before.local, { holdsModes: true }) ? {} : noProblem),
    }));
  }

  function setBase(path: RelPath, base: Entry | null): void {
    write(path, () => ({ base: base === null ? null : encodeStoredSlot(base) }));
  }

  /** Returns what was there before. */
  function setRemote(
    path: RelPath,
    slot: Slot | null,
    mtimeMs: number,
  ): { readonly slot: Slot | null; readonly mtimeMs: number } {
    return transactions.run(() => {
      const before = stored(path);
      const remote = slot === null ? null : encodeStoredSlot(slot);
      change(path, before, {
        remote,
        remote_mtime: slot === null ? 0 : mtimeMs,
        ...(sameBytes(remote, before?.remote ?? null) ? {} : noProblem),
      });
      const beforeSlot = before === undefined || before.remote === null ? null : decodeStoredSlot(before.remote);
      return { slot: beforeSlot, mtimeMs: before?.remote_mtime ?? 0 };
    });
  }

  function setOutOfScope(path: RelPath, reason: OutOfScopeReason | null): void {
    const scope = scopeReasons.indexOf(reason);
    write(path, (before) => {
      if (before.scope === scope) return {};
      const forgetsBase = reason !== null && baseForgetters.has(reason);
      return { scope, local: null, ...(forgetsBase ? { base: null } : {}), ...noProblem };
    });
  }

  function setHold(path: RelPath, hold: Hold | null): void {
    write(path, () => ({
      hold: hold === null ? null : JSON.stringify({ variant: hold.variant, choice: hold.choice }),
    }));
  }

  function setProblem(path: RelPath, problem: RowProblem | null): void {
    write(path, () =>
      problem === null
        ? noProblem
        : {
            problem: JSON.stringify({ reason: problem.reason, attempts: problem.attempts }),
            retry_at: problem.retryAtMs,
          },
    );
  }

  function decline(paths: readonly RelPath[]): void {
    transactions.run(() => {
      for (const path of paths) write(path, (before) => (mayBeDeclined(before) ? { declined: 1 } : {}));
    });
  }

  function park(paths: readonly RelPath[]): void {
    transactions.run(() => {
      for (const path of paths) {
        const { stored: before, row: decoded } = kept(path);
        if (before?.pending !== 1) continue;
        parkRow.run(path);
        parked += 1;
        recent.set(path, { stored: { ...before, pending: 2 }, row: decoded });
      }
    });
  }

  function unpark(): void {
    if (parked === 0) return;
    transactions.run(() => {
      unparkRows.run();
      parked = 0;
      recent.clear();
    });
  }

  function moveLocalAndBase(fromPath: RelPath, toPath: RelPath): void {
    transactions.run(() => {
      const moveOne = (row: StoredRow): void => {
        const { base, local, scope } = row;
        if (base === null && local === null && scope === 0) return;
        change(row.path as RelPath, row, { base: null, local: null, scope: 0, ...noProblem });
        const target = movedPath(row.path as RelPath, fromPath, toPath);
        change(target, stored(target), { base, local, scope, ...noProblem });
      };
      const top = stored(fromPath);
      if (top !== undefined) moveOne(top);
      for (const row of storedBetween(...boundsUnder(fromPath))) moveOne(row);
    });
  }

  // ── reading ──

  function* storedBetween(after: string, before: string): Generator<StoredRow> {
    let last = after;
    for (;;) {
      const page = selectBetween.all(last, before, rowsPerPage);
      for (const row of page) yield checked(row);
      const end = page.at(-1);
      if (end === undefined || page.length < rowsPerPage) return;
      last = end.path;
    }
  }

  function* rowsUnder(path: RelPath): Generator<Row> {
    for (const row of storedBetween(...boundsUnder(path))) yield rowOf(row);
  }

  /** Skips from child to child by the primary key: what lies below a child is stepped over, not read. */
  function localChildren(path: RelPath | ''): Row[] {
    const prefix = path === '' ? '' : `${path}/`;
    const before = path === '' ? afterEveryPath : `${path}0`;
    const children: Row[] = [];
    let from = prefix;
    for (let next: string | undefined = from; next !== undefined; ) {
      from = next;
      next = undefined;
      for (const row of selectPresent.iterate(from, before)) {
        const slash = row.path.indexOf('/', prefix.length);
        if (slash < 0) {
          children.push(rowOf(checked(row)));
          continue;
        }
        // '0' is the character after '/': the first path that is not below this child.
        next = `${row.path.slice(0, slash)}0`;
        break;
      }
    }
    return children;
  }

  function* slotsBetween(
    after: RelPath | null,
    to: RelPath | null,
  ): Generator<{ readonly path: RelPath; readonly slot: Slot }> {
    let last: string = after ?? '';
    for (;;) {
      const page = selectSlots.all(last, to ?? afterEveryPath, rowsPerPage);
      for (const row of page) {
        if (slotSum(row.path, row.slot) !== row.slot_sum) throw damaged();
        yield { path: row.path as RelPath, slot: decodeStoredSlot(row.slot) };
      }
      const end = page.at(-1);
      if (end === undefined || page.length < rowsPerPage) return;
      last = end.path;
    }
  }

  function* slotsUnder(path: RelPath): Generator<{ readonly path: RelPath; readonly slot: Slot }> {
    for (const row of storedBetween(...boundsUnder(path)))
      if (row.remote !== null) yield { path: row.path as RelPath, slot: decodeStoredSlot(row.remote) };
  }

  function contentByDigest(digest: Digest, { toReceive } = { toReceive: false }): Content | undefined {
    const bytes = Buffer.from(digest, 'hex');
    const prefix = bytes.subarray(0, 8);
    for (const [statement, column] of [
      [selectRemoteContent, 'remote'],
      [selectBaseContent, 'base'],
    ] as const) {
      const row = statement.get(prefix, bytes, toReceive ? 0 : 1);
      const entry = row === undefined ? null : checked(row)[column];
      if (entry === null) continue;
      const slot = decodeStoredSlot(entry);
      if (slot.kind === 'file') return slot.content;
    }
    return undefined;
  }

  function localFilesByDigest(digest: Digest, limit: number): Row[] {
    const bytes = Buffer.from(digest, 'hex');
    return rowsOf(selectLocalContent.all(bytes.subarray(0, 8), bytes, limit));
  }

  function appearedRows(digest: Digest): Row[] {
    const bytes = Buffer.from(digest, 'hex');
    const prefix = bytes.subarray(0, 8);
    return rowsOf([...selectAppearedHere.all(prefix, bytes), ...selectAppearedThere.all(prefix, bytes)]);
  }

  return {
    counts: () => counts,
    row,
    rowsUnder,
    pendingRows: ({ after = '', limit, nowMs }: PageOfDue) =>
      rowsOf(selectPending.all(after, nowMs, nowMs + pathBackoff.maxMs, limit)),
    pendingRowsNamed: (names: readonly string[], nowMs: number) =>
      names.flatMap((name) => rowsOf(selectPendingNamed.all(name, name, nowMs, nowMs + pathBackoff.maxMs))),
    arrivingRows: ({ after, limit }: { readonly after: RelPath | ''; readonly limit: number }) =>
      rowsOf(selectArriving.all(after, limit)),
    goneRows: ({ after = '', limit, nowMs }: PageOfDue) =>
      rowsOf(selectGone.all(after, nowMs, nowMs + pathBackoff.maxMs, limit)),
    appearedRows,
    lostFiles: ({ side, limit }: { readonly side: 'local' | 'remote'; readonly limit: number }) =>
      selectLost[side].all(limit).map(({ path, digest }) => ({ path: path as RelPath, digest: digest as Digest })),
    unagreedFiles: (): number => selectUnagreed.get()?.count ?? 0,
    heldRows: () => rowsOf(selectHeld.all()),
    outOfScopeRows: (limit: number, but: readonly OutOfScopeReason[] = []) =>
      rowsOf(selectOutOfScope.all(`,${but.map((reason) => scopeReasons.indexOf(reason)).join(',')},`, limit)),
    outOfScopeCounts: (): ReadonlyMap<OutOfScopeReason, number> =>
      new Map(
        selectScopeCounts.all().flatMap(({ scope, count }) => {
          const reason = scopeReasons[scope];
          return reason == null ? [] : [[reason, count] as const];
        }),
      ),
    park,
    unpark,
    parked: () => parked,
    isParked: (path: RelPath): boolean => stored(path)?.pending === 2,
    isParkedContent: (digest: Digest): boolean => {
      const bytes = Buffer.from(digest, 'hex');
      return parked > 0 && selectParkedContent.get(bytes.subarray(0, 8), bytes) !== undefined;
    },
    conflictCopies: (limit: number): RelPath[] => {
      const copies: RelPath[] = [];
      for (const { path } of selectMarked.iterate()) {
        if (conflictOriginal(path as RelPath) !== null) copies.push(path as RelPath);
        if (copies.length === limit) break;
      }
      return copies;
    },
    outOfScopePaths: (reason?: OutOfScopeReason) =>
      (reason === undefined ? selectOutOfScopePaths.all() : selectPathsOfReason.all(scopeReasons.indexOf(reason))).map(
        ({ path }) => path as RelPath,
      ),
    problemRows: (limit: number) => rowsOf(selectProblems.all(limit)),
    nextRetryAtMs: (nowMs: number) => selectNextRetry.get(nowMs)?.at ?? undefined,
    localChildren,
    rowsFrom: (from: RelPath | '', limit: number) => rowsOf(selectFrom.all(from, limit)),
    localFilesByDigest,
    contentByDigest,
    slot: (path: RelPath): Slot | null => {
      const remote = stored(path)?.remote ?? null;
      return remote === null ? null : decodeStoredSlot(remote);
    },
    slotsUnder,
    slotsBetween,
    setLocal,
    setBase,
    setRemote,
    setOutOfScope,
    setHold,
    setProblem,
    decline,
    moveLocalAndBase,
  };
}

const noProblem = { problem: null, retry_at: null } as const;
/** SQLite sorts every blob after every text. */
const afterEveryPath = new Uint8Array(0);

/** Exclusive bounds of everything below a path. */
function boundsUnder(path: RelPath): [string, string] {
  return [`${path}/`, `${path}0`];
}

function isEmpty(row: RowContent): boolean {
  return (
    row.base === null &&
    row.remote === null &&
    row.local === null &&
    row.scope === 0 &&
    row.hold === null &&
    row.problem === null
  );
}

/** By what is written, so that setting what is set already writes nothing. */
function isUnchanged(before: RowContent, after: RowContent): boolean {
  return (
    before.base === after.base &&
    before.remote === after.remote &&
    before.remote_mtime === after.remote_mtime &&
    before.local === after.local &&
    before.scope === after.scope &&
    before.hold === after.hold &&
    before.problem === after.problem &&
    before.retry_at === after.retry_at &&
    before.declined === after.declined
  );
}

function markedRemote(row: RowContent): Uint8Array | null {
  if (row.remote === null || row.base === null) return row.remote;
  return sameBytes(row.remote, row.base) ? sameAsBase : row.remote;
}

function sameBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : a.length === b.length && asBuffer(a).equals(b);
}

function checked(row: SummedRow): StoredRow {
  if (sumOf(row) !== row.sum) throw damaged();
  // Rows come fresh from the database: nobody else holds this one.
  if (row.remote?.length === 0) row.remote = row.base;
  return row;
}

function slotSum(path: string, remote: Uint8Array | null): number {
  return remote === null ? 0 : checksum(remote, checksum(path));
}

/** Over the columns as stored; whether a row is parked is no content of it. */
function sumOf(row: StoredRow): number {
  const texts = `${row.path}\n${row.remote_mtime}\n${row.scope}\n${row.pending === 0 ? 0 : 1}\n${row.retry_at}\n${row.hold}\n${row.problem}${row.declined === 0 ? '' : '\ndeclined'}`;
  let sum = checksum(texts);
  // A number that no length can be keeps NULL apart from zero bytes.
  for (const bytes of [row.base, row.remote, row.local])
    sum = bytes === null ? (sum + 1) >>> 0 : checksum(bytes, (sum + bytes.length + 2) >>> 0);
  return sum;
}

function rowsOf(rows: readonly SummedRow[]): Row[] {
  return rows.map((row) => rowOf(checked(row)));
}

function rowOf(row: StoredRow): Row {
  const base = row.base === null ? null : decodeStoredEntry(row.base);
  const remote = row.remote === null ? null : row.remote === row.base ? base : decodeStoredSlot(row.remote);
  const problem = row.problem === null ? null : (parseJson(row.problem) as Pick<RowProblem, 'reason' | 'attempts'>);
  return {
    path: row.path as RelPath,
    base,
    remote,
    remoteMtimeMs: row.remote_mtime,
    local: row.local === null ? null : decodeLocal(row.local),
    outOfScope: scopeReasons[row.scope] ?? null,
    hold: row.hold === null ? null : (parseJson(row.hold) as Hold),
    problem: problem === null ? null : { ...problem, retryAtMs: row.retry_at ?? 0 },
    declined: row.declined !== 0,
  };
}
