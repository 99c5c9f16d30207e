/**
 * What a path is: the values that a manifest holds. Wire-neutral types shared by the engine's pure core and the codec of
 * sealed bodies; the relay never sees one.
 */
import type { ChunkId, DeviceId, Digest, RelPath, VariantId } from './ids.ts';

/**
 * Where a content's bytes lie. `depth` 0: `ids` are data chunks in order; depth n: `ids` are list-chunks whose plain bytes
 * are concatenated 32-byte ids of depth n−1 (rule LIST). At most 32 ids at the top. An empty content has none.
 */
export interface ContentRefs {
  readonly depth: number;
  readonly ids: readonly ChunkId[];
}

/** A file's bytes by reference. `size` is in bytes; `epoch` is the key period of the ids. */
export interface Content {
  readonly digest: Digest;
  readonly size: number;
  readonly epoch: number;
  readonly refs: ContentRefs;
}

/** Of a file's permissions, what travels. Every other bit is each disk's own. */
export interface FileMode {
  readonly executable: boolean;
  /** Nobody but its owner may read it: no bits for group or others, on any disk that holds modes. */
  readonly private: boolean;
}

export interface FileEntry extends FileMode {
  readonly kind: 'file';
  readonly content: Content;
}
export interface DirectoryEntry {
  readonly kind: 'directory';
}
export interface SymlinkEntry {
  readonly kind: 'symlink';
  readonly target: string;
}
export type Entry = FileEntry | DirectoryEntry | SymlinkEntry;

/** Left where an entry was deleted at `height` (rule TOMB). `digest` is the last file content, or null for other kinds. */
export interface Tombstone {
  readonly kind: 'tombstone';
  readonly digest: Digest | null;
  readonly height: number;
}

/** What a manifest holds at a path. Absent is `null` beside it. */
export type Slot = Entry | Tombstone;

/** An open conflict's other content at a path (rule: conflicts are room data). The path's slot stays the room's. */
export interface Variant {
  readonly id: VariantId;
  readonly path: RelPath;
  readonly entry: Entry;
  readonly device: DeviceId;
  readonly deviceName: string;
  /** Author's clock when the variant's record was made; names the conflict copy. */
  readonly timeMs: number;
  /** Modification time of the content, for the policy `newest` and for display. */
  readonly mtimeMs: number;
  /** Digest of the content that both sides started from, or null. */
  readonly baseDigest: Digest | null;
}
