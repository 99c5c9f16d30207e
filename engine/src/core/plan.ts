/**
 * What reconcile decides, as data. "What changed" is the rows; "what will be done" is the plan. A plan is carried out in
 * the order: bases, scope, agree, disk steps, publish steps, each list in its own order, which is right for parents and children.
 *
 * Wherever "base := the room's entry" is said, the live entry of the row's remote at the time of the plan is meant.
 */
import type { Entry, FileMode, RelPath, Slot } from '@driftless/protocol';
import type { Row } from './row.ts';
import type { MovedBase } from './shared-renames.ts';

/** A step that only moves the base: both sides are equal already. `base` = the remote entry (null = absent). */
export interface Agree {
  readonly kind: 'agree';
  readonly path: RelPath;
}
/**
 * A directory that only children out of scope keep alive, here or in the room, leaves the scope: base := the room's entry,
 * outOfScope := 'directory-of-out-of-scope' (rule IG3). `enters`: something in scope needs it again: outOfScope := null,
 * local := directory when the disk has one, else null (the path is to be looked at), base := null (rule IG2).
 */
export interface ScopeStep {
  readonly kind: 'leaves' | 'enters';
  readonly path: RelPath;
}
/**
 * Bring the disk to `to`; null = delete. Disk must still be `row.local`, of whatever kind. Afterwards base := the room's
 * entry. `to` is the room's entry, except for a mode that was changed here and is published by the next round.
 * A directory that shall go, and that the disk finds not empty with nothing in scope in it: deleted in the room, it leaves the
 * scope, and its base stays until it is gone here too; replaced there, it is a problem until the place is free (in-the-way.ts).
 */
export interface Apply {
  readonly kind: 'apply';
  readonly path: RelPath;
  readonly to: Entry | null;
  readonly row: Row;
}
/**
 * Only the mode is brought to the disk; the content stays as it is here, edited or not. Afterwards base has the room's mode,
 * and the room's content where that is the local one (`agreedAfterMode`).
 */
export interface ApplyMode {
  readonly kind: 'applyMode';
  readonly path: RelPath;
  readonly mode: FileMode;
  readonly row: Row;
}
/**
 * The room moved a file or a whole directory and nothing local hinders: rename on disk instead of fetching. Local and base
 * of the path, and of everything below, move along; edits made here go with it and are published by the next round.
 */
export interface ApplyMove {
  readonly kind: 'applyMove';
  readonly fromPath: RelPath;
  readonly toPath: RelPath;
}
/** Three-way merge of a text file: written to disk with base := remote, then published by the next round (rule MERGE). */
export interface Merge {
  readonly kind: 'merge';
  readonly path: RelPath;
  readonly row: Row;
}
/**
 * The local file (or link) stands where the room has a directory: rename it to a conflict name; the scan of both names
 * follows. Base stays. A hold of this path ends: its content lives on under the conflict name.
 */
export interface MoveAside {
  readonly kind: 'moveAside';
  readonly path: RelPath;
}
/** Put the local state of this path into the room. `revives`: the room had deleted it, or local children need it. */
export interface Publish {
  readonly kind: 'publish';
  readonly path: RelPath;
  /** null = publish a removal. */
  readonly local: Row['local'];
  readonly remote: Slot | null;
  readonly revives: boolean;
}
/**
 * A rename found by equal digests, unique on both sides (rule LOG6). `subtree`: every row below follows.
 * Once it is acknowledged the *base moves along*: of each path that the room moved, the new name's base becomes the base that
 * the old name had, and not the entry that was moved: so an edit that the room had made at the old name is applied at the new one.
 */
export interface PublishMove {
  readonly kind: 'publishMove';
  readonly fromPath: RelPath;
  readonly toPath: RelPath;
  readonly subtree: boolean;
}
/**
 * The room's file (or link) stands where this disk has a directory with children: it moves to a conflict name in the room.
 * Base of both names stays; the directory and its children are published by the next round.
 */
export interface PublishMoveAside {
  readonly kind: 'publishMoveAside';
  readonly path: RelPath;
}
/** Publish the local content as a variant and hold the path. */
export interface Conflict {
  readonly kind: 'conflict';
  readonly path: RelPath;
  readonly reason: ConflictReason;
  readonly row: Row;
}
export type ConflictReason = 'overlap' | 'binary' | 'create-create' | 'too-large' | 'no-base' | 'kind';

/** As people read it. */
export const conflictWords: Readonly<Record<ConflictReason, string>> = {
  overlap: 'both sides changed the same lines',
  binary: 'both sides changed it, and it is no text',
  'create-create': 'both sides made it, with different contents',
  'too-large': 'both sides changed it, and it is too large to merge',
  'no-base': 'both sides changed it, and what they began with is not known any more',
  kind: 'it is of one kind here and of another in the room',
};

export type DiskStep = Apply | ApplyMode | ApplyMove | Merge | MoveAside;
export type PublishStep = Publish | PublishMove | PublishMoveAside | Conflict;

export interface Plan {
  /** First of all: what both sides renamed keeps what was agreed on (shared-renames.ts). */
  readonly bases: readonly MovedBase[];
  readonly scope: readonly ScopeStep[];
  readonly agree: readonly Agree[];
  /** Conflict names first; then what is made or changed, parents before children; then deletions, deepest first; then leaves for directories. */
  readonly disk: readonly DiskStep[];
  /** In the same order: every prefix leaves a manifest in which each entry's parent is a directory. */
  readonly publish: readonly PublishStep[];
  /** Notes for the activity log, e.g. an edit that revived a deleted file. */
  readonly notes: readonly { readonly path: RelPath; readonly note: string }[];
}
