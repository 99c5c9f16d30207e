/**
 * What a failed turn leads to: one table, from the kind of failure to what the peer does next and shows meanwhile. Pure.
 *
 * A turn that ended because its relay went away is no failure: the link has a back-off of its own. Nor is one that gave way
 * to a command; what it had begun is settled, and the log asked for what was under way. Everything else either
 * halts, because trying again could not help, or backs off, and says so: never silent, never a tight loop.
 */
import type { Halt } from '../core/peer-state.ts';
import { RoomHalted } from '../peer-context.ts';
import { FolderError } from '../ports/folder.ts';
import { SessionEnded } from '../ports/room-session.ts';
import { StateStoreError } from '../ports/state-store.ts';
import { GaveWay } from './giving-way.ts';

export type FailureKind = 'session-ended' | 'gave-way' | 'halted' | 'disk-full' | 'internal';

export interface Failure {
  readonly kind: FailureKind;
  readonly reason: string;
  /** 0: the next turn may come at once. */
  readonly backOffMs: number;
  /** What the peer shows until a turn succeeds; null: nothing more than before. */
  readonly halt: Halt | null;
  /** Until a restart, or a person's answer. */
  readonly isFinal: boolean;
  /** The disk may hold what the trees do not know: the journal is settled like after a crash (rule INTENT). */
  readonly settlesJournal: boolean;
  /** Records that were being taken in may be missed: the log is asked again. */
  readonly asksLogAgain: boolean;
}

const diskFullBackOffMs = 5_000;
const firstBackOffMs = 400;
const backOffMsMax = 30_000;
/** One failure may be a moment's; the second in a row lasts. */
const failuresShownMin = 2;

/** `reason` tells whether the disk is full, a quota used up, or what is kept free would be taken. */
export const noRoomHalt = (reason: string): Halt => ({
  code: 'disk-full',
  reason,
  next: 'make room on that disk; what is missing is tried again by itself',
});

/** `failures`: turns in a row that failed, this one included. */
export function failureOf(error: unknown, failures: number): Failure {
  const kind = kindOf(error);
  const reason = error instanceof Error ? error.message : String(error);
  switch (kind) {
    case 'session-ended':
      return { kind, reason, backOffMs: 0, halt: null, isFinal: false, settlesJournal: false, asksLogAgain: false };
    case 'gave-way':
      return { kind, reason, backOffMs: 0, halt: null, isFinal: false, settlesJournal: true, asksLogAgain: true };
    case 'halted':
      return {
        kind,
        reason,
        backOffMs: 0,
        halt: haltOf(error as RoomHalted),
        isFinal: true,
        settlesJournal: false,
        asksLogAgain: false,
      };
    case 'disk-full':
      return {
        kind,
        reason,
        backOffMs: diskFullBackOffMs,
        halt: noRoomHalt(reason),
        isFinal: false,
        settlesJournal: true,
        asksLogAgain: true,
      };
    case 'internal': {
      const backOffMs = Math.min(backOffMsMax, firstBackOffMs * 2 ** Math.min(failures - 1, 10));
      return {
        kind,
        reason,
        backOffMs,
        halt: failures < failuresShownMin ? null : internalHalt(reason, backOffMs),
        isFinal: false,
        settlesJournal: true,
        asksLogAgain: true,
      };
    }
  }
}

function kindOf(error: unknown): FailureKind {
  if (error instanceof SessionEnded) return 'session-ended';
  if (error instanceof GaveWay) return 'gave-way';
  if (error instanceof RoomHalted) return 'halted';
  const isDiskFull =
    (error instanceof FolderError && error.problem.diskFull) ||
    (error instanceof StateStoreError && error.code === 'disk-full');
  return isDiskFull ? 'disk-full' : 'internal';
}

const haltOf = ({ message }: RoomHalted): Halt => ({
  code: 'internal',
  reason: message,
  next: 'see the log; restart Driftless',
  stopped: true,
});

const internalHalt = (reason: string, backOffMs: number): Halt => ({
  code: 'internal',
  reason: `sync failed: ${reason}`,
  next: `next try in ${Math.ceil(backOffMs / 1_000)} s; the log says more`,
});
