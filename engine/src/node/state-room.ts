/**
 * The room as the state store knows it: head, root and pages of the remote tree (rule ROOT), open variants, and for the
 * last records what each did and how to undo it (rules RB2, RB3). One record is one transaction (rule TREE).
 *
 * Leaves to others: whether a record is valid (the caller has opened it and compared roots), local and base.
 */
import {
  comparePaths,
  type Head,
  limits,
  noRecordId,
  type RecordId,
  type RelPath,
  type Root,
  type Slot,
  type Variant,
} from '@driftless/protocol';
import type { ManifestView, Page, PageIndex, SlotUpdate } from '../core/manifest-view.ts';
import { cutPages, emptyRoot, type PagesUpdate, pageEntriesOf, rootOf, updatePages } from '../core/page-tree.ts';
import { type CommitRecord, type RecordMeta, StateStoreError } from '../ports/state-store.ts';
import { nodeHashing } from './node-hashing.ts';
import type { SqlDb } from './sql-db.ts';
import { damaged, type PackedSlot, packSlots, parseJson, unpackSlots } from './state-codec.ts';
import type { Transactions } from './state-transactions.ts';
import type { StateTree } from './state-tree.ts';

/** Rule RB2: how far back a common record can be found. */
export const recordsKeptMax = 4_096;
/** Undo of first shares is big and the least likely to be needed: beyond this the oldest goes, and RB3 refetches instead. */
const undoBytesMax = 256 * 1024 * 1024;

/** About 3 MB. */
const rangesKeptMax = 32;
/** A bigger record touches too many pages for the kept ones to be worth the upkeep. */
const slotsNotedMax = 256;

const { sha256 } = nodeHashing;

interface PathSlot {
  readonly path: RelPath;
  readonly slot: Slot;
}

interface RoomRow {
  readonly height: number;
  readonly record: string;
  readonly root: string;
  readonly checkpoint_height: number | null;
  readonly checkpoint_bytes: number | null;
  readonly since_bytes: number;
  readonly since_records: number;
}
interface VariantChangesJson {
  readonly opened: readonly Variant[];
  readonly closed: readonly Variant[];
}
type PageChange = Pick<CommitRecord, 'updates' | 'variantsOpened' | 'variantsClosed'>;

export type StateRoom = ReturnType<typeof createStateRoom>;

export function createStateRoom(db: SqlDb, transactions: Transactions, tree: StateTree) {
  const selectRoom = db.prepare<RoomRow>(
    'SELECT height, record, root, checkpoint_height, checkpoint_bytes, since_bytes, since_records FROM room',
  );
  const updateRoom = db.prepare('UPDATE room SET height = ?, record = ?, root = ?, since_bytes = ?, since_records = ?');
  const updateCheckpoint = db.prepare(
    'UPDATE room SET checkpoint_height = ?, checkpoint_bytes = ?, since_bytes = ?, since_records = ?',
  );
  db.prepare('INSERT OR IGNORE INTO room VALUES (1, 0, ?, ?, NULL, NULL, 0, 0, 0)').run(noRecordId, emptyRoot(sha256));

  const selectVariants = db.prepare<{ readonly body: string }>('SELECT body FROM variants WHERE path = ? ORDER BY id');
  const selectVariantsBetween = db.prepare<{ readonly body: string }>(
    'SELECT body FROM variants WHERE path > ? AND path <= ? ORDER BY path, id',
  );
  const selectVariant = db.prepare<{ readonly body: string }>('SELECT body FROM variants WHERE path = ? AND id = ?');
  const insertVariant = db.prepare('INSERT OR REPLACE INTO variants (path, id, body) VALUES (?, ?, ?)');
  const deleteVariant = db.prepare('DELETE FROM variants WHERE path = ? AND id = ?');

  const selectPages = db.prepare<{ readonly end_path: string; readonly hash: Uint8Array; readonly entries: number }>(
    "SELECT end_path, hash, entries FROM pages ORDER BY end_path = '', end_path",
  );
  const insertPage = db.prepare('INSERT OR REPLACE INTO pages (end_path, hash, entries) VALUES (?, ?, ?)');
  const deletePage = db.prepare('DELETE FROM pages WHERE end_path = ?');

  const insertRecord = db.prepare(
    'INSERT INTO records (height, id, root, bytes, meta, undo, undo_variants) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const selectRecord = db.prepare<{
    readonly id: string;
    readonly root: string;
    readonly bytes: number;
    readonly meta: string | null;
    readonly undo: Uint8Array | null;
    readonly undo_variants: string | null;
  }>('SELECT id, root, bytes, meta, undo, undo_variants FROM records WHERE height = ?');
  const selectMeta = db.prepare<{ readonly meta: string | null }>('SELECT meta FROM records WHERE height = ?');
  const selectHeads = db.prepare<{ readonly height: number; readonly id: string }>(
    'SELECT height, id FROM records ORDER BY height DESC LIMIT ?',
  );
  const deleteRecordsUpTo = db.prepare('DELETE FROM records WHERE height <= ?');
  const deleteRecordsAfter = db.prepare('DELETE FROM records WHERE height > ?');
  const selectSince = db.prepare<{ readonly bytes: number | null; readonly records: number }>(
    'SELECT SUM(bytes) AS bytes, COUNT(*) AS records FROM records WHERE height > ?',
  );
  const selectUndoBytes = db.prepare<{ readonly bytes: number | null }>(
    'SELECT SUM(length(undo)) AS bytes FROM records',
  );
  const selectOldestUndo = db.prepare<{ readonly height: number; readonly bytes: number }>(
    'SELECT height, length(undo) AS bytes FROM records WHERE undo IS NOT NULL ORDER BY height LIMIT 64',
  );
  const dropUndo = db.prepare('UPDATE records SET undo = NULL WHERE height = ?');

  let room = readRoom();
  let pages = readPages();
  let undoBytes = readUndoBytes();
  /** The last answer of `pagesAfter`: a record is first judged, then committed, and its pages are hashed once. */
  let lastPages: { readonly of: PageChange; readonly result: PagesUpdate } | undefined;
  transactions.afterRollback(() => {
    room = readRoom();
    pages = readPages();
    undoBytes = readUndoBytes();
    lastPages = undefined;
    slotsByRange.clear();
    openedVariants = undefined;
  });
  /** All that are open; undefined: not read since one was opened or closed. Asked for at every change of state. */
  let openedVariants: readonly Variant[] | undefined;

  function readRoom(): RoomRow {
    const row = selectRoom.get();
    if (row === undefined) throw damaged();
    return row;
  }

  function readPages(): readonly Page[] {
    return selectPages.all().map(({ end_path, hash, entries }) => ({
      end: end_path === '' ? null : (end_path as RelPath),
      hash,
      entries,
    }));
  }

  function readUndoBytes(): number {
    return selectUndoBytes.get()?.bytes ?? 0;
  }

  // ── reading ──

  const variantsOf = (rows: readonly { readonly body: string }[]): Variant[] =>
    rows.map(({ body }) => parseJson(body) as Variant);
  const variants = (path: RelPath): readonly Variant[] => variantsOf(selectVariants.all(path));
  const variantsBetween = (after: RelPath | null, to: RelPath | null): readonly Variant[] =>
    variantsOf(selectVariantsBetween.all(after ?? '', to ?? afterEveryPath));

  /** Slots of the pages that were hashed last, oldest first: the next edit is mostly in the same page. */
  const slotsByRange = new Map<
    string,
    { readonly after: RelPath | null; readonly to: RelPath | null; slots: PathSlot[] }
  >();

  function slotsOfPage(after: RelPath | null, to: RelPath | null): readonly PathSlot[] {
    const key = `${after ?? ''}\0${to ?? ''}`;
    const known = slotsByRange.get(key);
    const range = known ?? { after, to, slots: [...tree.slotsBetween(after, to)] };
    if (range.slots.length > limits.pageEntriesMax) return range.slots;
    slotsByRange.delete(key);
    slotsByRange.set(key, range);
    for (const oldest of slotsByRange.keys()) {
      if (slotsByRange.size <= rangesKeptMax) break;
      slotsByRange.delete(oldest);
    }
    return range.slots;
  }

  function noteSlot(path: RelPath, slot: Slot | null): void {
    for (const range of slotsByRange.values()) {
      if (range.after !== null && comparePaths(path, range.after) <= 0) continue;
      if (range.to !== null && comparePaths(path, range.to) > 0) continue;
      const at = placeOf(range.slots, path);
      const there = range.slots[at]?.path === path ? 1 : 0;
      range.slots.splice(at, there, ...(slot === null ? [] : [{ path, slot }]));
    }
  }

  const manifest: ManifestView = {
    slot: tree.slot,
    slotsUnder: tree.slotsUnder,
    slotsBetween: tree.slotsBetween,
    variants,
    variantsBetween,
  };

  const pageView: ManifestView = { ...manifest, slotsBetween: slotsOfPage };

  const pageIndex: PageIndex = {
    pages: () => pages,
    pageAt: (path) => {
      let low = 0;
      let high = pages.length - 1;
      while (low < high) {
        const middle = (low + high) >> 1;
        const end = pages[middle]?.end ?? null;
        if (end === null || comparePaths(end, path) >= 0) high = middle;
        else low = middle + 1;
      }
      const page = pages[low];
      return page === undefined ? undefined : { after: pages[low - 1]?.end ?? null, page };
    },
  };

  function pagesAfter(change: PageChange): PagesUpdate {
    if (
      lastPages !== undefined &&
      lastPages.of.updates === change.updates &&
      lastPages.of.variantsOpened === change.variantsOpened &&
      lastPages.of.variantsClosed === change.variantsClosed
    )
      return lastPages.result;
    const result = updatePages(
      { manifest: pageView, index: pageIndex, updates: inPathOrder(change.updates), variants: change },
      sha256,
    );
    lastPages = { of: change, result };
    return result;
  }

  function head(): Head | null {
    return room.height === 0 ? null : { height: room.height, id: room.record as RecordId };
  }

  function recordMeta(height: number): RecordMeta | undefined {
    const meta = selectMeta.get(height)?.meta ?? null;
    return meta === null ? undefined : (parseJson(meta) as RecordMeta);
  }

  // ── writing; each function inside a transaction ──

  function setRoom(next: Pick<RoomRow, 'height' | 'record' | 'root' | 'since_bytes' | 'since_records'>): void {
    updateRoom.run(next.height, next.record, next.root, next.since_bytes, next.since_records);
    room = { ...room, ...next };
  }

  function savePages(update: PagesUpdate): void {
    const removed = new Set(update.removedEnds);
    for (const end of removed) deletePage.run(end ?? '');
    for (const page of update.pages) insertPage.run(page.end ?? '', page.hash, page.entries);
    pages = mergedPages(
      pages.filter((page) => !removed.has(page.end)),
      update.pages,
    );
    lastPages = undefined;
  }

  function openVariant(variant: Variant): void {
    insertVariant.run(variant.path, variant.id, JSON.stringify(variant));
    openedVariants = undefined;
  }

  function closeVariant({ path, id }: Pick<Variant, 'path' | 'id'>): void {
    deleteVariant.run(path, id);
    openedVariants = undefined;
  }

  function writeSlots(updates: readonly SlotUpdate[], mtimes: ReadonlyMap<RelPath, number>): PackedSlot[] {
    const isSmall = updates.length <= slotsNotedMax;
    if (!isSmall) slotsByRange.clear();
    return updates.map(({ path, slot }) => {
      if (isSmall) noteSlot(path, slot);
      return { path, ...tree.setRemote(path, slot, mtimes.get(path) ?? 0) };
    });
  }

  function commitRecord(commit: CommitRecord): void {
    const { meta, mtimes, bytes } = commit;
    if (meta.head.height !== room.height + 1 || meta.prev !== room.record)
      throw new Error(`record ${meta.head.height} does not follow the head ${room.height}`);
    const nextPages = pagesAfter(commit);
    if (nextPages.root !== meta.root) throw new Error(`the root of record ${meta.head.height} does not come out`);

    const closed: Variant[] = [];
    for (const { path, id } of commit.variantsClosed) {
      const row = selectVariant.get(path, id);
      if (row === undefined) continue;
      closed.push(parseJson(row.body) as Variant);
      closeVariant({ path, id });
    }
    for (const variant of commit.variantsOpened) openVariant(variant);
    const undo = packSlots(writeSlots(inPathOrder(commit.updates), mtimes));
    savePages(nextPages);

    const changedVariants = closed.length > 0 || commit.variantsOpened.length > 0;
    const undoVariants: VariantChangesJson = { opened: commit.variantsOpened, closed };
    insertRecord.run(
      meta.head.height,
      meta.head.id,
      meta.root,
      bytes,
      JSON.stringify(meta),
      undo,
      changedVariants ? JSON.stringify(undoVariants) : null,
    );
    undoBytes += undo.length;
    trimRecords(meta.head.height);
    setRoom({
      height: meta.head.height,
      record: meta.head.id,
      root: meta.root,
      since_bytes: room.since_bytes + bytes,
      since_records: room.since_records + 1,
    });
  }

  function trimRecords(height: number): void {
    if (height > recordsKeptMax) {
      const gone = selectRecord.get(height - recordsKeptMax);
      if (gone !== undefined) {
        undoBytes -= gone.undo?.length ?? 0;
        deleteRecordsUpTo.run(height - recordsKeptMax);
      }
    }
    while (undoBytes > undoBytesMax) {
      const oldest = selectOldestUndo.all().filter((row) => row.height !== height);
      if (oldest.length === 0) return;
      for (const row of oldest) {
        if (undoBytes <= undoBytesMax) return;
        dropUndo.run(row.height);
        undoBytes -= row.bytes;
      }
    }
  }

  function loadManifest(options: {
    readonly head: Head;
    readonly root: Root;
    readonly slots: Iterable<SlotUpdate>;
    readonly variants: readonly Variant[];
  }): void {
    slotsByRange.clear();
    // The new manifest goes through a temporary table: what it does not hold is found without keeping it in memory.
    db.exec(
      'CREATE TEMP TABLE IF NOT EXISTS loaded (path TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID; DELETE FROM loaded;',
    );
    const insertLoaded = db.prepare('INSERT OR REPLACE INTO loaded (path) VALUES (?)');
    for (const { path, slot } of options.slots) {
      if (slot === null) continue;
      insertLoaded.run(path);
      tree.setRemote(path, slot, 0);
    }
    const selectGone = db.prepare<{ readonly path: string }>(
      'SELECT path FROM tree WHERE remote IS NOT NULL AND path NOT IN (SELECT path FROM loaded)',
    );
    for (const { path } of selectGone.all()) tree.setRemote(path as RelPath, null, 0);
    db.exec('DROP TABLE loaded; DELETE FROM variants; DELETE FROM pages; DELETE FROM records;');
    openedVariants = undefined;
    undoBytes = 0;
    for (const variant of options.variants) openVariant(variant);

    const loaded: Page[] = [];
    for (const { page } of cutPages(pageEntriesOf(manifest, null, null), sha256)) loaded.push(page);
    if (rootOf(loaded, sha256) !== options.root) throw new Error('the root of the loaded manifest does not come out');
    pages = [];
    savePages({ removedEnds: [], pages: loaded, root: options.root });
    insertRecord.run(options.head.height, options.head.id, options.root, 0, null, null, null);
    setRoom({
      height: options.head.height,
      record: options.head.id,
      root: options.root,
      since_bytes: 0,
      since_records: 0,
    });
  }

  function rollBackTo(common: Head): readonly RelPath[] | false {
    if (common.height > room.height) return false;
    const commonRoot = rootAt(common);
    if (commonRoot === undefined) return false;
    // Undone newest first, so that what stays in the map is each path's oldest state.
    const slots = new Map<RelPath, { readonly slot: Slot | null; readonly mtimeMs: number }>();
    const openVariants = new Map<string, Variant>();
    const closedVariants = new Map<string, Variant>();
    let undoneBytes = 0;
    let undoneRecords = 0;
    for (let height = room.height; height > common.height; height -= 1) {
      const record = selectRecord.get(height);
      if (record === undefined || record.undo === null) return false;
      for (const { path, slot, mtimeMs } of unpackSlots(record.undo)) slots.set(path, { slot, mtimeMs });
      if (record.undo_variants !== null) {
        const { opened, closed } = parseJson(record.undo_variants) as VariantChangesJson;
        for (const variant of opened) {
          openVariants.delete(variantKey(variant));
          closedVariants.set(variantKey(variant), variant);
        }
        for (const variant of closed) {
          closedVariants.delete(variantKey(variant));
          openVariants.set(variantKey(variant), variant);
        }
      }
      undoneBytes += record.bytes;
      undoneRecords += 1;
    }
    if (undoneRecords === 0) return [];

    const updates = inPathOrder([...slots].map(([path, { slot }]) => ({ path, slot })));
    const mtimes = new Map([...slots].map(([path, { mtimeMs }]) => [path, mtimeMs]));
    const variantsClosed = [...closedVariants.values()];
    const variantsOpened = [...openVariants.values()];
    const before = pagesAfter({ updates, variantsOpened, variantsClosed });
    if (before.root !== commonRoot) throw damaged();
    for (const variant of variantsClosed) closeVariant(variant);
    for (const variant of variantsOpened) openVariant(variant);
    writeSlots(updates, mtimes);
    savePages(before);
    deleteRecordsAfter.run(common.height);
    undoBytes = readUndoBytes();
    setRoom({
      height: common.height,
      record: common.id,
      root: commonRoot,
      since_bytes: Math.max(0, room.since_bytes - undoneBytes),
      since_records: Math.max(0, room.since_records - undoneRecords),
    });
    return updates.map(({ path }) => path);
  }

  /** undefined: this head is not known here. */
  function rootAt(common: Head): Root | undefined {
    if (common.height === 0) return common.id === noRecordId ? emptyRoot(sha256) : undefined;
    const record = selectRecord.get(common.height);
    return record?.id === common.id ? (record.root as Root) : undefined;
  }

  function noteCheckpoint(checkpoint: { readonly height: number; readonly bytes: number }): void {
    const since = selectSince.get(checkpoint.height);
    const next = { since_bytes: since?.bytes ?? 0, since_records: since?.records ?? 0 };
    updateCheckpoint.run(checkpoint.height, checkpoint.bytes, next.since_bytes, next.since_records);
    room = { ...room, checkpoint_height: checkpoint.height, checkpoint_bytes: checkpoint.bytes, ...next };
  }

  return {
    manifest,
    pages: pageIndex,
    variants,
    head,
    root: () => room.root as Root,
    rootAfter: (change: PageChange): Root => pagesAfter(change).root,
    recentHeads: (limit: number): Head[] =>
      selectHeads.all(limit).map(({ height, id }) => ({ height, id: id as RecordId })),
    recordMeta,
    openVariants: (): readonly Variant[] => {
      openedVariants ??= variantsBetween(null, null);
      return openedVariants;
    },
    bytesSinceCheckpoint: () => ({ bytes: room.since_bytes, records: room.since_records }),
    lastCheckpoint: () =>
      room.checkpoint_height === null
        ? undefined
        : { height: room.checkpoint_height, bytes: room.checkpoint_bytes ?? 0 },
    commitRecord: (commit: CommitRecord) => transactions.run(() => commitRecord(commit)),
    loadManifest: (options: Parameters<typeof loadManifest>[0]) => transactions.run(() => loadManifest(options)),
    rollBackTo: (common: Head) => transactions.run(() => rollBackTo(common)),
    noteCheckpoint: (checkpoint: { readonly height: number; readonly bytes: number }) =>
      transactions.run(() => noteCheckpoint(checkpoint)),
    /** Reads every page's slots and compares roots: for checks, not for the hot path. */
    assertRoot(): void {
      if (rootOf(pages, sha256) !== room.root)
        throw new StateStoreError('damaged', 'The pages of the room do not add up to its root.');
    },
  };
}

const afterEveryPath = new Uint8Array(0);

/** Where `path` is, or would be, among slots in path order. */
function placeOf(slots: readonly PathSlot[], path: RelPath): number {
  let low = 0;
  let high = slots.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const at = slots[middle];
    if (at !== undefined && comparePaths(at.path, path) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function variantKey(variant: Variant): string {
  return `${variant.id} ${variant.path}`;
}

function inPathOrder(updates: readonly SlotUpdate[]): readonly SlotUpdate[] {
  for (let index = 1; index < updates.length; index += 1) {
    const before = updates[index - 1];
    const update = updates[index];
    if (before !== undefined && update !== undefined && comparePaths(before.path, update.path) > 0)
      return [...updates].sort((a, b) => comparePaths(a.path, b.path));
  }
  return updates;
}

/** Both in page order. */
function mergedPages(kept: readonly Page[], added: readonly Page[]): readonly Page[] {
  const merged: Page[] = [];
  let next = 0;
  for (const page of kept) {
    for (let candidate = added[next]; candidate !== undefined && endsBefore(candidate, page); candidate = added[next]) {
      merged.push(candidate);
      next += 1;
    }
    merged.push(page);
  }
  return [...merged, ...added.slice(next)];
}

function endsBefore(a: Page, b: Page): boolean {
  if (a.end === null) return false;
  return b.end === null || comparePaths(a.end, b.end) < 0;
}
