/** The one state value that a peer shows, derived from facts; nothing else may say how a peer is (promise: honest state). */
import type { ErrorCode, PeerState, PeerStateName, WaitingPath } from '../control.ts';

/** Why the peer stopped and asks. */
export interface Halt {
  readonly code: ErrorCode;
  readonly reason: string;
  /** What to do next, e.g. a command line. */
  readonly next: string;
  /** As PeerState.relayKey. */
  readonly relayKey?: string;
  /** Over a fault of ours, until somebody starts the peer again; everything else is tried again, or waits for an answer. */
  readonly stopped?: true;
}

export interface PeerFacts {
  readonly halt: Halt | null;
  readonly paused: boolean;
  /** The relay answers. */
  readonly online: boolean;
  /** Why it does not; shown only while it does not. */
  readonly offlineReason: string;
  /** A scan of the whole folder is under way, or due: what the disk holds is not known. */
  readonly scanning: boolean;
  /** Something is under way that `pending` does not count: the relay's head is not taken in, an upload or append not acknowledged. */
  readonly busy: boolean;
  /** Paths that are to be looked at, sent or applied, those that failed and will be tried again included. */
  readonly pending: number;
  /** Paths with an open conflict. */
  readonly conflicts: number;
  readonly progress: PeerState['progress'] | null;
  /** null: every directory in scope is watched. */
  readonly unwatched: PeerState['unwatched'] | null;
  /** null: not known here. */
  readonly sweep: { readonly periodMs: number; readonly lookedAtMs: number | null } | null;
  /** What of the room waits for unsaved edits. */
  readonly waitingPaths: readonly WaitingPath[];
}

export function derivePeerState(facts: PeerFacts): PeerState {
  const { halt, offlineReason, progress, pending, conflicts, unwatched, sweep, waitingPaths } = facts;
  const state = stateName(facts);
  return {
    state,
    ...(state === 'error' && halt !== null ? errorOf(halt) : {}),
    ...(state === 'offline' && offlineReason !== '' ? { reason: offlineReason } : {}),
    pending,
    conflicts,
    ...(progress ? { progress } : {}),
    watchingByRescan: unwatched != null,
    ...(unwatched ? { unwatched } : {}),
    ...(sweep === null
      ? {}
      : {
          sweepPeriodMs: sweep.periodMs,
          wholeFolderLookedAt: sweep.lookedAtMs === null ? null : new Date(sweep.lookedAtMs).toISOString(),
        }),
    waitingForUnsavedEdits: waitingPaths.length > 0,
    ...(waitingPaths.length > 0 ? { waitingPaths } : {}),
  };
}

/** No more than this: what is given may know more than is told. */
export const errorOf = ({
  code,
  reason,
  next,
  relayKey,
  stopped,
}: Halt): Pick<PeerState, 'code' | 'reason' | 'next' | 'relayKey' | 'stopped'> => ({
  code,
  reason,
  next,
  ...(relayKey === undefined ? {} : { relayKey }),
  ...(stopped === undefined ? {} : { stopped }),
});

/** The first that holds, in the order of PeerStateName: what hinders more hides what hinders less. */
function stateName(facts: PeerFacts): PeerStateName {
  if (facts.halt !== null) return 'error';
  if (facts.paused) return 'paused';
  if (!facts.online) return 'offline';
  if (facts.scanning) return 'scanning';
  if (facts.busy || facts.pending > 0) return 'syncing';
  return facts.conflicts > 0 ? 'conflict' : 'idle';
}
