/** The kinds of change that a record's sealed body holds (put, remove, move, mode, untrack, variant, resolve, forget, skip). */
import type { Entry, FileMode } from './entry.ts';
import type { DeviceId, Digest, EntryTag, RecordId, RelPath, Root, VariantId } from './ids.ts';

/** Each change says what it replaces; null means that there is no live entry (absent, or a tombstone). */
export type Change =
  | {
      readonly kind: 'put';
      readonly path: RelPath;
      readonly entry: Entry;
      readonly mtimeMs: number;
      readonly replaces: EntryTag | null;
    }
  | { readonly kind: 'remove'; readonly path: RelPath; readonly replaces: EntryTag }
  | { readonly kind: 'mode'; readonly path: RelPath; readonly mode: FileMode; readonly replaces: EntryTag }
  /** Refers to the manifest at prev. With `subtree`, everything below moves too. The target must be free. Files leave tombstones. */
  | { readonly kind: 'move'; readonly fromPath: RelPath; readonly toPath: RelPath; readonly subtree: boolean }
  /** Takes a path, and with `subtree` all below it, out of the room without touching any disk. Leaves no tombstone. */
  | { readonly kind: 'untrack'; readonly path: RelPath; readonly subtree: boolean }
  | {
      readonly kind: 'variant';
      readonly path: RelPath;
      readonly entry: Entry;
      readonly mtimeMs: number;
      readonly baseDigest: Digest | null;
    }
  | { readonly kind: 'resolve'; readonly path: RelPath; readonly variants: readonly VariantId[] }
  /** Drops an aged tombstone (rule TOMB). */
  | { readonly kind: 'forget'; readonly path: RelPath }
  /** Leaves out a record that a reader did not understand, and all between it and this one. Alone in its record (rule LOG2). */
  | { readonly kind: 'skip'; readonly record: RecordId };

/** How a record that deletes above the guard's limit was confirmed (rule LOG6). */
export type MassDeletion = 'none' | 'confirmed' | 'git';

/** What a record of any version says of itself. */
export interface RecordOutline {
  readonly device: DeviceId;
  readonly deviceName: string;
  /** Author's clock, for display and for names of conflict copies; never for order (rule CLOCK). */
  readonly timeMs: number;
  /** A short human label ("git switch"), or empty. */
  readonly label: string;
  /** The manifest's root after the changes (rule ROOT). */
  readonly root: Root;
}

/** The plain content of a record's body. Its signature is made and checked where it is sealed and opened. */
export interface RecordBody extends RecordOutline {
  readonly massDeletion: MassDeletion;
  readonly changes: readonly Change[];
}
