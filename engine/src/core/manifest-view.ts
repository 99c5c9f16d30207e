/** Read-only views that the pure core needs of the room's manifest and of its page index (rule ROOT). */
import type { RelPath, Slot, Variant, VariantId } from '@driftless/protocol';

export interface ManifestView {
  slot(path: RelPath): Slot | null;
  /** Slots strictly below `path`, in path order. */
  slotsUnder(path: RelPath): Iterable<{ readonly path: RelPath; readonly slot: Slot }>;
  /** Slots with `after` < path ≤ `to` in bytewise order; null = no bound. */
  slotsBetween(after: RelPath | null, to: RelPath | null): Iterable<{ readonly path: RelPath; readonly slot: Slot }>;
  /** Open variants at a path, in id order. */
  variants(path: RelPath): readonly Variant[];
  /** Open variants with `after` < path ≤ `to`, in path then id order; null = no bound. They are few: one look-up instead of one a path. */
  variantsBetween(after: RelPath | null, to: RelPath | null): Iterable<Variant>;
}

/** What a record does to the manifest: null = the slot goes (untrack, forget, or the old name of a moved directory). */
export interface SlotUpdate {
  readonly path: RelPath;
  readonly slot: Slot | null;
}

/** What a record does to the open variants. */
export interface VariantChanges {
  readonly variantsOpened: readonly Variant[];
  readonly variantsClosed: readonly { readonly path: RelPath; readonly id: VariantId }[];
}

export interface Page {
  /** The last path of the page; null for the last page of the manifest when it ends without a boundary. */
  readonly end: RelPath | null;
  readonly hash: Uint8Array;
  readonly entries: number;
}
export interface PageIndex {
  /** The page that holds, or would hold, `path`, with the end of the page before it (null = it is the first). */
  pageAt(path: RelPath): { readonly after: RelPath | null; readonly page: Page } | undefined;
  /** All pages in order. */
  pages(): readonly Page[];
}
