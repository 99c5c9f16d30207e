/**
 * What reconcile decides, as data. "What changed" is the rows; "what will be done" is the plan. A plan is applied in the
 * order: agree, disk steps (conflict names first), publish.
 */
import type { Entry, RelPath, Slot } from '@driftless/protocol';
import type { Row } from './row.ts';

/** A step that only moves the base: both sides are equal already. `base` = the remote entry (null = absent). */
export interface Agree {
  readonly kind: 'agree';
  readonly path: RelPath;
}
/** Bring the disk to the room's entry. `to` null = delete. Disk must still be `row.local`. */
export interface Apply {
  readonly kind: 'apply';
  readonly path: RelPath;
  readonly to: Entry | null;
  readonly row: Row;
}
/** The room moved a file or a whole directory and nothing local hinders: rename on disk instead of fetching. */
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
/** A name clash of file and directory: rename the local file to a conflict name; the scan of both names follows. */
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
/** A rename found by equal digests, unique on both sides (rule LOG6). `subtree`: every row below follows. */
export interface PublishMove {
  readonly kind: 'publishMove';
  readonly fromPath: RelPath;
  readonly toPath: RelPath;
  readonly subtree: boolean;
}
/** The room's file stands where this disk has a directory with children: the room's file moves to a conflict name. */
export interface PublishMoveAside {
  readonly kind: 'publishMoveAside';
  readonly path: RelPath;
}
/** Publish the local content as a variant and hold the path. */
export interface Conflict {
  readonly kind: 'conflict';
  readonly path: RelPath;
  readonly reason: 'overlap' | 'binary' | 'create-create' | 'too-large' | 'no-base' | 'kind';
  readonly row: Row;
}

export type DiskStep = Apply | ApplyMove | Merge | MoveAside;
export type PublishStep = Publish | PublishMove | PublishMoveAside | Conflict;

export interface Plan {
  readonly agree: readonly Agree[];
  readonly disk: readonly DiskStep[];
  readonly publish: readonly PublishStep[];
  /** Notes for the activity log, e.g. an edit that revived a deleted file. */
  readonly notes: readonly { readonly path: RelPath; readonly note: string }[];
}
