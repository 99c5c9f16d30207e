/**
 * What the relay refuses at present, why, and when it is asked again (rule REFUSED). One refusal holds back its kind of work for
 * a while that grows, whatever wakes the loop meanwhile; paths that wait for the same thing wait together, so that one small
 * question finds out for all of them. It ends by itself: with the first time that the work is done.
 * Leaves to others: which steps a refusal concerns (peer.ts), and what is said to people (core/refusal.ts).
 */
import type { RelPath } from '@driftless/protocol';
import { type BackoffLimits, backoffDelayMs } from '../core/backoff.ts';
import type { Halt } from '../core/peer-state.ts';
import { refusalHalt } from '../core/refusal.ts';
import type { Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import { RequestRefused } from '../ports/room-session.ts';
import type { CheckpointUnconfirmed } from './beginnings.ts';
import type { RecordNotUnderstood } from './skipped-records.ts';
import type { RecordUnreadable } from './unreadable.ts';

/** What the relay said, what it gave instead of what it should, what only a later version understands, or what nobody confirms. */
export type RelayTrouble = RequestRefused | RecordUnreadable | RecordNotUnderstood | CheckpointUnconfirmed;

/** `room`: the log and what it needs; `send`, `fetch`: contents; `extra`: records without a path of their own; `checkpoint`. */
export type RefusableWork = 'room' | 'send' | 'fetch' | 'extra' | 'checkpoint';

export interface Refusals {
  /** Returns the delay until the work may be tried again. */
  refused(work: RefusableWork, refusal: RelayTrouble): number;
  /** As `refused`, for one path: it is part of the state until the path has no problem any more. */
  refusedPath(path: RelPath, work: 'send' | 'fetch', refusal: RelayTrouble): number;
  done(work: RefusableWork): void;
  /** A new session: nothing is known of what it refuses. Paths keep their problems until they are tried. */
  forget(): void;
  isRefused(path: RelPath): boolean;
  /** Paths that wait, once after each refusal: one of them got through. */
  release(): readonly RelPath[];
  mayTry(work: RefusableWork): boolean;
  /** Paths whose contents the relay did not take: what is small is tried first. */
  readonly isSendingRefused: boolean;
  /** The refusal under which a kind of work waits, for paths that are not even tried. */
  latest(work: RefusableWork): RelayTrouble | undefined;
  /** What is shown while nothing worse is. A refused checkpoint hinders nobody. */
  halt(): Halt | null;
}

interface Waiting {
  readonly refusal: RelayTrouble;
  readonly attempts: number;
  readonly untilMs: number;
}

interface Refused {
  readonly work: RefusableWork;
  readonly refusal: RelayTrouble;
}

/** Who comes this much too early has waited long enough: clocks differ, and times are rounded. */
const slackMs = 50;
/** Back soon after there is room again, and rarely enough to cost nothing. */
const refusalBackoff: BackoffLimits = { firstMs: 1_000, maxMs: 30_000 };
const checkpointBackoff: BackoffLimits = { firstMs: 60_000, maxMs: 30 * 60_000 };

export function createRefusals(options: {
  readonly clock: Clock;
  readonly random: Random;
  /** Whether the path still has the problem that it was refused with. */
  readonly hasProblem: (path: RelPath) => boolean;
}): Refusals {
  const { clock, random, hasProblem } = options;
  const waiting = new Map<RefusableWork, Waiting>();
  const paths = new Map<RelPath, Refused>();
  let isReleased = false;

  function refused(work: RefusableWork, refusal: RelayTrouble): number {
    const before = waiting.get(work);
    const nowMs = clock.monotonicMs();
    // What was under way when the first was refused is no further attempt.
    if (before !== undefined && before.untilMs - nowMs > slackMs) return before.untilMs - nowMs;
    const attempts = (before?.attempts ?? 0) + 1;
    const limits = work === 'checkpoint' ? checkpointBackoff : refusalBackoff;
    const delayMs = Math.ceil(backoffDelayMs(attempts - 1, random.fraction(), limits));
    waiting.set(work, { refusal, attempts, untilMs: nowMs + delayMs });
    return delayMs;
  }

  function done(work: RefusableWork): void {
    // A small save that found room says nothing about what still waits.
    for (const path of stillRefused()) if (path.work === work) return;
    waiting.delete(work);
  }

  /** Forgets those that are settled on the way: asked with every state, it must not read all of many thousands. */
  function* stillRefused(): Generator<Refused> {
    for (const [path, refused] of paths)
      if (hasProblem(path)) yield refused;
      else paths.delete(path);
  }

  return {
    refused,
    refusedPath(path, work, refusal) {
      paths.set(path, { work, refusal });
      isReleased = false;
      return refused(work, refusal);
    },
    done,
    forget() {
      waiting.clear();
      isReleased = false;
    },
    isRefused: (path) => paths.has(path),
    release() {
      if (isReleased) return [];
      isReleased = true;
      for (const _ of stillRefused());
      return [...paths.keys()];
    },
    mayTry: (work) => (waiting.get(work)?.untilMs ?? 0) - clock.monotonicMs() <= slackMs,
    get isSendingRefused() {
      for (const { work } of stillRefused()) if (work === 'send') return true;
      return false;
    },
    latest: (work) => waiting.get(work)?.refusal,
    halt() {
      const [path] = stillRefused();
      const shown = waiting.get('room')?.refusal ?? path?.refusal ?? waiting.get('extra')?.refusal;
      return shown === undefined ? null : haltOf(shown);
    },
  };
}

const haltOf = (trouble: RelayTrouble): Halt =>
  trouble instanceof RequestRefused ? refusalHalt({ code: trouble.code, detail: trouble.message }) : trouble.halt;
