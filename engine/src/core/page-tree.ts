/**
 * The manifest as a list of pages (rule ROOT): slots in bytewise path order, cut where the entries themselves say, so
 * that equal manifests have equal pages and one edit changes one page. A page holds, for each path, its slot and its
 * open variants; modification times of the main entries and anything per-device are not in it.
 *
 * A page ends after an entry whose SHA-256(path) begins with a zero byte (mean 256 entries): a natural boundary. A run of
 * limits.pageEntriesMax entries without one is cut there too; where those cuts fall depends on the natural boundary before
 * them, so an update cuts anew from one natural boundary to the next.
 *
 * Page: version byte, count, then per entry: path, slot, count of variants, variants in id order.
 * Page hash: SHA-256(domain ‖ page). Root: SHA-256(domain ‖ page hashes in order).
 * Leaves to others: where pages and slots are kept (the state store), and sending pages (checkpoints).
 */
import {
  bytesToHex,
  comparePaths,
  concatBytes,
  isRelPath,
  limits,
  type RelPath,
  type Root,
  type Slot,
  utf8ToBytes,
  type Variant,
} from '@driftless/protocol';
import { ByteReader, ByteWriter } from './byte-codec.ts';
import { readSlot, readVariant, writeSlot, writeVariant } from './entry-encoding.ts';
import type { ManifestView, Page, PageIndex, SlotUpdate, VariantChanges } from './manifest-view.ts';
import type { Sha256 } from './sha256.ts';

/** Open variants of one path. Peers open one each and conflict; a room of more devices than this is not in sight. */
export const variantsPerPathMax = 256;

/** 2: a file's mode is two flags. */
const pageVersion = 2;
const pageDomain = utf8ToBytes('driftless page 1\n');
const rootDomain = utf8ToBytes('driftless root 1\n');

/** One path of a page. */
export interface PageEntry {
  readonly path: RelPath;
  readonly slot: Slot;
  /** In id order. */
  readonly variants: readonly Variant[];
}

export interface PagesUpdate {
  /** Ends of the pages that are no more; a page in `pages` may have the same end. */
  readonly removedEnds: readonly (RelPath | null)[];
  /** New and changed pages, in order. */
  readonly pages: readonly Page[];
  readonly root: Root;
}

/** Canonical bytes of a page. `entries` are in path order. */
export function pageBytes(entries: readonly PageEntry[]): Uint8Array {
  const writer = new ByteWriter(64 + entries.length * entryBytesGuess);
  writePage(writer, entries);
  return writer.finish();
}

/** A directory and a file of one chunk need less; so the buffer hardly ever grows. */
const entryBytesGuess = 160;

function writePage(writer: ByteWriter, entries: readonly PageEntry[]): void {
  writer.u8(pageVersion);
  writer.natural(entries.length);
  for (const { path, slot, variants } of entries) {
    writer.text(path);
    writeSlot(writer, slot);
    writer.natural(variants.length);
    for (const variant of variants) writeVariant(writer, variant);
  }
}

/** As `pageHash(pageBytes(entries))`, without the copies. */
function pageHashOf(entries: readonly PageEntry[], sha256: Sha256): Uint8Array {
  const writer = new ByteWriter(64 + entries.length * entryBytesGuess);
  writer.bytes(pageDomain);
  writePage(writer, entries);
  return sha256(writer.view());
}

/** The entries whose page is exactly `bytes`, or undefined: any other bytes, wrong order, an invalid path. */
export function parsePage(bytes: Uint8Array): readonly PageEntry[] | undefined {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== pageVersion) return undefined;
  const count = reader.natural(limits.pageEntriesMax);
  const entries: PageEntry[] = [];
  let previous: RelPath | null = null;
  for (let index = 0; index < count; index += 1) {
    const path = reader.text(limits.pathBytesMax);
    if (!isRelPath(path) || (previous !== null && comparePaths(previous, path) >= 0)) return undefined;
    const slot = readSlot(reader);
    const variants = readVariants(reader, path);
    if (reader.failed) return undefined;
    entries.push({ path, slot, variants });
    previous = path;
  }
  return count > 0 && reader.atEnd ? entries : undefined;
}

export function pageHash(bytes: Uint8Array, sha256: Sha256): Uint8Array {
  return sha256(concatBytes(pageDomain, bytes));
}

export function rootOf(pages: readonly Page[], sha256: Sha256): Root {
  return rootOfHashes(
    pages.map((page) => page.hash),
    sha256,
  );
}

/** As `rootOf`, for whoever has only the hashes (a checkpoint's list). */
export function rootOfHashes(hashes: readonly Uint8Array[], sha256: Sha256): Root {
  return bytesToHex(sha256(concatBytes(rootDomain, ...hashes))) as Root;
}

/** The root of a room before its first record. */
export function emptyRoot(sha256: Sha256): Root {
  return rootOfHashes([], sha256);
}

/** Whether a page ends after `path` whatever comes before it. */
export function isNaturalEnd(path: RelPath, sha256: Sha256): boolean {
  return sha256(utf8ToBytes(path))[0] === 0;
}

/**
 * Cuts a whole manifest into pages: for loading a checkpoint and as the law that `updatePages` must meet.
 *
 * Shape: `entries` in path order; yields each page with its entries. Every page but the last has an end.
 */
export function* cutPages(
  entries: Iterable<PageEntry>,
  sha256: Sha256,
): Generator<{ readonly page: Page; readonly bytes: Uint8Array; readonly entries: readonly PageEntry[] }> {
  const made = (held: readonly PageEntry[], end: RelPath | null) => {
    const bytes = pageBytes(held);
    return { page: { end, hash: pageHash(bytes, sha256), entries: held.length }, bytes, entries: held };
  };
  let held: PageEntry[] = [];
  for (const entry of entries) {
    held.push(entry);
    if (held.length === limits.pageEntriesMax || isNaturalEnd(entry.path, sha256)) {
      yield made(held, entry.path);
      held = [];
    }
  }
  if (held.length > 0) yield made(held, null);
}

/** Every path of a view, with its slot and variants, with `after` < path ≤ `to`; null = no bound. */
export function* pageEntriesOf(
  manifest: ManifestView,
  after: RelPath | null,
  to: RelPath | null,
): Generator<PageEntry> {
  const variants = variantsByPath(manifest.variantsBetween(after, to));
  for (const { path, slot } of manifest.slotsBetween(after, to)) {
    yield { path, slot, variants: variants.get(path) ?? [] };
  }
}

/**
 * The pages and the root after a record, from the pages before it. Pure read of `manifest` and `index`, which show the
 * state before.
 *
 * Cost: reads and hashes the pages that hold a changed path, and hashes the list of page hashes.
 * Asserts that `updates` are in path order, one a path.
 */
export function updatePages(
  input: {
    readonly manifest: ManifestView;
    readonly index: PageIndex;
    readonly updates: readonly SlotUpdate[];
    readonly variants: VariantChanges;
  },
  sha256: Sha256,
): PagesUpdate {
  const { manifest, updates } = input;
  const oldPages = input.index.pages();
  const changes = changesByPath(updates, input.variants);
  const touched = [...changes.keys()].sort(comparePaths);

  const removedEnds: (RelPath | null)[] = [];
  const newPages: Page[] = [];
  const allHashes: Uint8Array[] = [];
  /** Old pages before this one are dealt with. */
  let nextOld = 0;
  const keepUntil = (limit: number) => {
    for (; nextOld < limit; nextOld += 1) {
      const page = oldPages[nextOld];
      if (page !== undefined) allHashes.push(page.hash);
    }
  };

  let at = 0;
  while (at < touched.length) {
    const first = touched[at];
    if (first === undefined) break;
    // Known here: every change before `at` is in a region that was cut, and that region ended at a natural boundary that
    // still stands, or the manifest ended with it.
    let start = Math.max(nextOld, pageIndexOf(oldPages, first));
    while (start > nextOld && !endsNaturally(oldPages[start - 1], sha256)) start -= 1;
    keepUntil(start);

    const cutter = createCutter(sha256);
    let after: RelPath | null = oldPages[start - 1]?.end ?? null;
    for (let closed = false; !closed; ) {
      // Takes in old pages up to the next natural boundary, or to the end of the manifest.
      let stop = nextOld;
      while (stop < oldPages.length && !endsNaturally(oldPages[stop], sha256)) stop += 1;
      const to = oldPages[stop]?.end ?? null;
      const oldEnds = new Set<RelPath>();
      for (; nextOld <= stop && nextOld < oldPages.length; nextOld += 1) {
        const end = oldPages[nextOld]?.end ?? null;
        removedEnds.push(end);
        if (end !== null) oldEnds.add(end);
      }
      const from = at;
      while (at < touched.length && (to === null || comparePaths(touched[at] as RelPath, to) <= 0)) at += 1;
      const merged = mergedEntries({ manifest, changes, after, to, touched: touched.slice(from, at) });
      for (const { entry, wasThere } of merged) {
        // An entry that was there and ended no page then has no natural boundary: its hash need not be computed again.
        cutter.push(entry, (!wasThere || oldEnds.has(entry.path)) && isNaturalEnd(entry.path, sha256));
      }
      after = to;
      closed = to === null || cutter.isEmpty();
    }
    for (const page of cutter.finish()) {
      newPages.push(page);
      allHashes.push(page.hash);
    }
  }
  keepUntil(oldPages.length);
  return { removedEnds, pages: newPages, root: rootOfHashes(allHashes, sha256) };
}

interface PathChange {
  /** undefined: the slot stays as it is. */
  slot?: Slot | null;
  readonly opened: Variant[];
  readonly closed: Set<string>;
}

function changesByPath(updates: readonly SlotUpdate[], variants: VariantChanges): Map<RelPath, PathChange> {
  const changes = new Map<RelPath, PathChange>();
  const of = (path: RelPath): PathChange => {
    let change = changes.get(path);
    if (change === undefined) {
      change = { opened: [], closed: new Set() };
      changes.set(path, change);
    }
    return change;
  };
  for (const { path, slot } of updates) of(path).slot = slot;
  for (const variant of variants.variantsOpened) of(variant.path).opened.push(variant);
  for (const { path, id } of variants.variantsClosed) of(path).closed.add(id);
  return changes;
}

/** The entries of a range after the changes, in path order. */
function* mergedEntries(range: {
  readonly manifest: ManifestView;
  readonly changes: ReadonlyMap<RelPath, PathChange>;
  readonly after: RelPath | null;
  readonly to: RelPath | null;
  readonly touched: readonly RelPath[];
}): Generator<{ readonly entry: PageEntry; readonly wasThere: boolean }> {
  const { changes, touched } = range;
  let next = 0;
  const created = function* (before: RelPath | null) {
    for (; next < touched.length; next += 1) {
      const path = touched[next] as RelPath;
      if (before !== null && comparePaths(path, before) >= 0) return;
      const change = changes.get(path);
      if (change?.slot == null) continue;
      yield { entry: { path, slot: change.slot, variants: variantsAfter([], change) }, wasThere: false };
    }
  };
  for (const entry of pageEntriesOf(range.manifest, range.after, range.to)) {
    yield* created(entry.path);
    const change = changes.get(entry.path);
    if (change === undefined) {
      yield { entry, wasThere: true };
      continue;
    }
    next += 1;
    const slot = change.slot === undefined ? entry.slot : change.slot;
    if (slot === null) continue;
    yield { entry: { path: entry.path, slot, variants: variantsAfter(entry.variants, change) }, wasThere: true };
  }
  yield* created(null);
}

function variantsAfter(before: readonly Variant[], change: PathChange): readonly Variant[] {
  const byId = new Map<string, Variant>();
  for (const variant of before) if (!change.closed.has(variant.id)) byId.set(variant.id, variant);
  for (const variant of change.opened) byId.set(variant.id, variant);
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function createCutter(sha256: Sha256) {
  const pages: Page[] = [];
  let held: PageEntry[] = [];
  const cut = (end: RelPath | null) => {
    pages.push({ end, hash: pageHashOf(held, sha256), entries: held.length });
    held = [];
  };
  return {
    push(entry: PageEntry, natural: boolean): void {
      held.push(entry);
      if (natural || held.length === limits.pageEntriesMax) cut(entry.path);
    },
    isEmpty: () => held.length === 0,
    finish(): readonly Page[] {
      if (held.length > 0) cut(null);
      return pages;
    },
  };
}

/** The first page whose end is at or after `path`; the last page when it has no end; else one past the last. */
function pageIndexOf(pages: readonly Page[], path: RelPath): number {
  let low = 0;
  let high = pages.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const end = pages[middle]?.end ?? null;
    if (end !== null && comparePaths(end, path) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function endsNaturally(page: Page | undefined, sha256: Sha256): boolean {
  const end = page?.end ?? null;
  return end !== null && isNaturalEnd(end, sha256);
}

function variantsByPath(variants: Iterable<Variant>): Map<RelPath, Variant[]> {
  const byPath = new Map<RelPath, Variant[]>();
  for (const variant of variants) {
    const list = byPath.get(variant.path);
    if (list === undefined) byPath.set(variant.path, [variant]);
    else list.push(variant);
  }
  return byPath;
}

function readVariants(reader: ByteReader, path: RelPath): Variant[] {
  const count = reader.natural(variantsPerPathMax);
  const variants: Variant[] = [];
  for (let index = 0; index < count && !reader.failed; index += 1) {
    const variant = readVariant(reader, path);
    const previous = variants.at(-1);
    if (previous !== undefined && previous.id >= variant.id) reader.fail();
    variants.push(variant);
  }
  return variants;
}
