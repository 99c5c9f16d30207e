/** A manifest held in memory, for tests of the pure core: the views that a state store gives, and the store's update. */
import { comparePaths, type RelPath, type Slot, type Variant } from '@driftless/protocol';
import type { ManifestView, Page, PageIndex, SlotUpdate, VariantChanges } from '../manifest-view.ts';
import { cutPages, type PagesUpdate, pageEntriesOf } from '../page-tree.ts';
import type { Sha256 } from '../sha256.ts';

export interface MemoryManifest extends ManifestView {
  readonly index: PageIndex;
  /** A copy with the slots and variants of a record, and its pages cut from scratch. */
  after(change: VariantChanges & { readonly updates: readonly SlotUpdate[] }): MemoryManifest;
  /** All slots, in path order. */
  entries(): readonly SlotUpdate[];
}

export function createMemoryManifest(
  sha256: Sha256,
  slots: ReadonlyMap<RelPath, Slot> = new Map(),
  variants: readonly Variant[] = [],
): MemoryManifest {
  const paths = [...slots.keys()].sort(comparePaths);
  const sortedVariants = [...variants].sort((a, b) => comparePaths(a.path, b.path) || (a.id < b.id ? -1 : 1));
  const inRange = (path: RelPath, after: RelPath | null, to: RelPath | null) =>
    (after === null || comparePaths(path, after) > 0) && (to === null || comparePaths(path, to) <= 0);
  const slotsOf = (chosen: readonly RelPath[]) => chosen.map((path) => ({ path, slot: slots.get(path) as Slot }));
  const view: ManifestView = {
    slot: (path) => slots.get(path) ?? null,
    slotsUnder: (path) => slotsOf(paths.filter((other) => other.startsWith(`${path}/`))),
    slotsBetween: (after, to) => slotsOf(paths.filter((path) => inRange(path, after, to))),
    variants: (path) => sortedVariants.filter((variant) => variant.path === path),
    variantsBetween: (after, to) => sortedVariants.filter((variant) => inRange(variant.path, after, to)),
  };
  const pages: readonly Page[] = [...cutPages(pageEntriesOf(view, null, null), sha256)].map(({ page }) => page);
  return {
    ...view,
    index: pageIndexOf(pages),
    entries: () => slotsOf(paths),
    after(change) {
      const next = new Map(slots);
      for (const { path, slot } of change.updates) {
        if (slot === null) next.delete(path);
        else next.set(path, slot);
      }
      const closed = new Set(change.variantsClosed.map(({ path, id }) => `${path}\0${id}`));
      const open = new Map(variants.map((variant) => [`${variant.path}\0${variant.id}`, variant]));
      for (const key of closed) open.delete(key);
      for (const variant of change.variantsOpened) open.set(`${variant.path}\0${variant.id}`, variant);
      return createMemoryManifest(
        sha256,
        next,
        [...open.values()].filter((variant) => next.has(variant.path)),
      );
    },
  };
}

export function pageIndexOf(pages: readonly Page[]): PageIndex {
  return {
    pages: () => pages,
    pageAt(path) {
      const at = pages.findIndex((page) => page.end === null || comparePaths(path, page.end) <= 0);
      const page = pages[at];
      return page === undefined ? undefined : { after: pages[at - 1]?.end ?? null, page };
    },
  };
}

/** What a store does with the answer of `updatePages`: takes pages out by their end, puts the new ones in, in order. */
export function patchPages(pages: readonly Page[], update: PagesUpdate): readonly Page[] {
  const removed = new Set(update.removedEnds);
  const byEnd = (a: Page, b: Page) => (a.end === null ? 1 : b.end === null ? -1 : comparePaths(a.end, b.end));
  return [...pages.filter((page) => !removed.has(page.end)), ...update.pages].sort(byEnd);
}
