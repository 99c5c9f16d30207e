/** What the verbs of one running peer share. Built by peer.ts; holds no decisions. */
import type { RelPath } from '@driftless/protocol';
import type { ReplaceJournal } from './apply/replace-journal.ts';
import type { PathFault } from './content/or-fail.ts';
import type { Contents } from './contents.ts';
import type { UnsavedEdits } from './guards/unsaved-edits.ts';
import type { Pause } from './pause.ts';
import type { SteadyTime } from './peer/steady-time.ts';
import type { PeerParts } from './peer-api.ts';
import type { RoomSession } from './ports/room-session.ts';
import type { Refusals } from './room/refusals.ts';

export interface PeerContext {
  readonly parts: PeerParts;
  readonly contents: Contents;
  readonly journal: ReplaceJournal;
  readonly unsaved: UnsavedEdits;
  readonly pause: Pause;
  /** What ages of stored things are told by; never the wall clock, which may leap. */
  readonly steadyTime: SteadyTime;
  /** The disk inside the folder that a path lies on is not mounted now, or it is not known yet whether it is the right one. */
  isOutOfReach(path: RelPath): Promise<boolean>;
  /** It has another name, on disk and in the trees, with all below it. */
  moved(fromPath: RelPath, toPath: RelPath): void;
  /** Ends when the peer closes. */
  readonly signal: AbortSignal;
  /** A turn's own: its answers are waited for no longer than the turn lasts. */
  session(): RoomSession | null;
  /** For what goes on beside the turns: no command cuts it. */
  lastingSession(): RoomSession | null;
  /** Asks for a scan of a path: a hint, like a watcher's. */
  markDirty(path: RelPath | '', deep: boolean): void;
  /**
   * One path failed: it is shown and tried again with growing pauses (M8). A full disk, or a relay that refuses, is the state of
   * the whole peer until it has been (D1, REFUSED).
   */
  fail(path: RelPath, problem: PathFault | string): void;
  readonly refusals: Refusals;
}

/** The room cannot go on here, by a fault of ours: shown as state `error`. */
export class RoomHalted extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'RoomHalted';
  }
}
