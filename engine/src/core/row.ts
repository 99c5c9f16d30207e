/**
 * A path as the state store holds it: the three trees side by side (rule TREE), and what hinders it. `reconcile` reads
 * rows and nothing else.
 */
import type { Entry, RelPath, Slot, Variant, VariantId } from '@driftless/protocol';
import type { LocalEntry } from './local-entry.ts';

/** Why a path takes no part in sync on this machine (rule IG1). */
export type OutOfScopeReason =
  | 'ignored'
  /** The same of a path that was in the room and in scope here before: it may come back unasked. */
  | 'ignored-once-shared'
  /** Ignored here until others changed the rules: not published before it is confirmed here. */
  | 'awaiting-confirmation'
  | 'unstorable'
  | 'too-large'
  | 'unreadable'
  | 'invalid-name'
  /** A pipe, socket, device, or a directory that contains itself. */
  | 'special-file'
  /** A symbolic link whose target may lie outside the root. */
  | 'outside-link'
  | 'directory-of-out-of-scope'
  /** On a disk that is mounted inside the folder, and is away. */
  | 'unmounted';

/** Left out by the rules in force, whatever it was before. */
export function isIgnored(reason: OutOfScopeReason | null | undefined): boolean {
  return reason === 'ignored' || reason === 'ignored-once-shared';
}

/** An open conflict at this peer: the local content `variant` has been, or is about to be, published; the path waits. */
export interface Hold {
  /** null until the variant's record is acknowledged. */
  readonly variant: VariantId | null;
  /** What the user, or the policy, chose; null while it is open. Carried out by the loop. */
  readonly choice: 'mine' | 'theirs' | 'both' | null;
}

/**
 * A path that failed and will be tried again (M8, D1): its row stays pending. On a row that is out of scope: something lies
 * where the room has an entry (rule IG1); it counts as pending, is not tried, and ends when the path is looked at again.
 */
export interface RowProblem {
  readonly reason: string;
  readonly attempts: number;
  /** Wall clock; also cleared by a change of the path. */
  readonly retryAtMs: number;
}

export interface Row {
  readonly path: RelPath;
  /** What disk and room last agreed on; null = absent. */
  readonly base: Entry | null;
  /** The room at the pulled head; null = absent. A tombstone counts as absent when compared. */
  readonly remote: Slot | null;
  /** Modification time that the remote change recorded; 0 = unknown. */
  readonly remoteMtimeMs: number;
  /** The last scan; null = absent. Meaningless while outOfScope is set. */
  readonly local: LocalEntry | null;
  readonly outOfScope: OutOfScopeReason | null;
  readonly hold: Hold | null;
  readonly problem: RowProblem | null;
  /** Its deletion, here or in the room, was held and declined: it is undone. Ends when the path changes here, or is at rest. */
  readonly declined: boolean;
}

/** Read-only view of rows for the pure core. Paths are in bytewise order of their UTF-8 form. */
export interface RowView {
  row(path: RelPath): Row | undefined;
  /** All strict descendants, in path order. */
  rowsUnder(path: RelPath): Iterable<Row>;
  /** Open variants at a path, in id order. */
  variants(path: RelPath): readonly Variant[];
}
