/**
 * A turn gives way to a person: whoever asks for a pause, a confirmation or a resolution does not wait for a first share, a
 * slow link or a dead one. A turn that can stop between two steps does so; one that has not after a moment is cut, wherever
 * it waits. Everything it began is state-based, so the next turn finds it as after a crash.
 */
import type { Clock, Timer } from '../ports/clock.ts';
import type { RoomSession } from '../ports/room-session.ts';

/** Long enough for a record or a pass of small files to be finished. */
const waitMsMax = 500;

/** Why a turn ended early: no failure. */
export class GaveWay extends Error {
  constructor() {
    super('the turn gave way to a command');
    this.name = 'GaveWay';
  }
}

export interface GivingWay {
  /** Of the turn under way; what it waits for ends with it. */
  readonly signal: AbortSignal;
  /** A turn begins. Those who ask from here on wait for this one. */
  begin(): void;
  ended(): void;
  /** Somebody waits for the turn to end. */
  ask(): void;
  /** The session as turns see it: its answers are waited for no longer than the turn lasts. */
  session(given: RoomSession): RoomSession;
}

export function createGivingWay(clock: Clock): GivingWay {
  let cut = new AbortController();
  let isUnderWay = false;
  let timer: Timer | undefined;

  function stopTimer(): void {
    timer?.cancel();
    timer = undefined;
  }

  function untilCut<Answer>(ask: (signal: AbortSignal) => Promise<Answer>): Promise<Answer> {
    const { signal } = cut;
    return new Promise((resolve, reject) => {
      const stop = (): void => reject(signal.reason as Error);
      if (signal.aborted) return stop();
      signal.addEventListener('abort', stop, { once: true });
      ask(signal)
        .then(resolve, reject)
        .finally(() => signal.removeEventListener('abort', stop));
    });
  }
  const either = (given: AbortSignal | undefined, signal: AbortSignal): AbortSignal =>
    given === undefined ? signal : AbortSignal.any([given, signal]);

  return {
    get signal() {
      return cut.signal;
    },
    begin: () => {
      if (cut.signal.aborted) cut = new AbortController();
      isUnderWay = true;
    },
    ended: () => {
      isUnderWay = false;
      stopTimer();
    },
    ask: () => {
      if (!isUnderWay) return;
      timer ??= clock.after(waitMsMax, () => cut.abort(new GaveWay()));
    },
    session: (given) => ({
      welcome: given.welcome,
      relayKey: given.relayKey,
      append: (record, chunks) => untilCut(() => given.append(record, chunks)),
      fetchRecords: (after, bytesMax) => untilCut(() => given.fetchRecords(after, bytesMax)),
      locate: (heads) => untilCut(() => given.locate(heads)),
      have: (ids, signal) => untilCut((cutting) => given.have(ids, either(signal, cutting))),
      put: (chunks, options) =>
        untilCut((cutting) => given.put(chunks, { ...options, signal: either(options?.signal, cutting) })),
      get: (ids, onChunk, signal) => untilCut((cutting) => given.get(ids, onChunk, either(signal, cutting))),
      putCheckpoint: (checkpoint) => untilCut(() => given.putCheckpoint(checkpoint)),
      getCheckpoint: (atMost) => untilCut(() => given.getCheckpoint(atMost)),
      seed: (checkpoint, records) => untilCut(() => given.seed(checkpoint, records)),
      sendPresence: given.sendPresence,
      distrust: given.distrust,
      grantPushCredit: given.grantPushCredit,
    }),
  };
}
