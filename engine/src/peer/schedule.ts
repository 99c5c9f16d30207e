/**
 * When the loop turns, and what a turn may do: the one place that decides it. Pure: times are given, nothing is done here.
 * The loop asks for work, carries out what `begin` names, and says with `ended` whether it led to anything.
 *
 *   input   something came from outside (a hint, a record, a session, a command): due at once
 *   after   a wait with a name (git's lock, the pace of records, the next retry): due when it is over
 *   again   the loop wants to go on by itself: due at once while that leads somewhere, else after growing pauses
 *   check   a look that is only to be sure: done along with the first turn after its time, and no turn is made for it
 *
 * Two properties make a hot loop impossible, whatever the verbs do. Work that may not run now is never due: it keeps its
 * time, and the loop sleeps. And work that ran for nothing is not due again by itself before its floor, which doubles each
 * time (rule RUN).
 *
 * Leaves to others: when a path is quiet (settler), what a failure leads to (turn-failure), and all the work.
 */

export type Work =
  /** Whether the root is still the linked folder. */
  | 'root'
  /** Paths that hints named. */
  | 'paths'
  /** The whole folder. */
  | 'all'
  /** From the room's records to disk, records and conflicts. */
  | 'plan'
  | 'trash'
  | 'presence'
  /** Numbers of the state that changed too soon after the last ones were told. */
  | 'tell';

export const works: readonly Work[] = ['root', 'paths', 'all', 'plan', 'trash', 'presence', 'tell'];

/** What the loop finds at the moment of asking. */
export interface Situation {
  /** `emptied`: the folder is still looked at, because files that come back end it by themselves. */
  readonly halt: 'none' | 'emptied' | 'halted';
  readonly paused: boolean;
  /** The relay answers. */
  readonly online: boolean;
  /** When the next path is quiet; Infinity: none waits. */
  readonly pathsAtMs: number;
  /** The room holds more than was taken in. */
  readonly roomWaits: boolean;
}

interface Terms {
  readonly whileHalted: boolean;
  readonly whileBackingOff: boolean;
  readonly whilePaused: boolean;
  readonly whileOffline: boolean;
  /** Least time between two runs of which the first led to nothing. */
  readonly floorMs: number;
}

const never = Number.POSITIVE_INFINITY;
/** Work for nothing is repeated no more often than this in the end: about what a look at the root costs. */
const floorMsMax = 2_000;
/** A longer sleep proves nothing, and a timer that was lost is noticed. */
const sleepMsMax = 60_000;

export const terms: Readonly<Record<Work, Terms>> = {
  root: { whileHalted: true, whileBackingOff: false, whilePaused: true, whileOffline: true, floorMs: 1_000 },
  paths: { whileHalted: false, whileBackingOff: false, whilePaused: false, whileOffline: true, floorMs: 5 },
  all: { whileHalted: false, whileBackingOff: false, whilePaused: false, whileOffline: true, floorMs: 250 },
  plan: { whileHalted: false, whileBackingOff: false, whilePaused: false, whileOffline: false, floorMs: 5 },
  trash: { whileHalted: false, whileBackingOff: false, whilePaused: true, whileOffline: true, floorMs: 1_000 },
  presence: { whileHalted: true, whileBackingOff: true, whilePaused: true, whileOffline: false, floorMs: 1_000 },
  tell: { whileHalted: true, whileBackingOff: true, whilePaused: true, whileOffline: true, floorMs: 100 },
};

export interface Schedule {
  input(work: Work, nowMs: number): void;
  again(work: Work, nowMs: number): void;
  after(work: Work, delayMs: number, nowMs: number): void;
  /** Takes the place of the check that was planned before. */
  check(work: Work, delayMs: number, nowMs: number): void;
  isBackingOff(nowMs: number): boolean;
  /** The work was asked for, and would be due if it might run. */
  isAsked(work: Work, nowMs: number): boolean;
  due(nowMs: number, situation: Situation): ReadonlySet<Work>;
  /** As `due`, and what it names counts as begun: it is due again only when somebody asks again. */
  begin(nowMs: number, situation: Situation): ReadonlySet<Work>;
  /**
   * What was begun has ended. `fruitless`: nothing on disk, in the room or in what is known of them is different from before.
   * What may not run any more was cut short, and keeps its time.
   */
  ended(nowMs: number, situation: Situation, outcome: { readonly fruitless: boolean }): void;
  /**
   * The turn failed: what was begun is due again as soon as the back-off is over, and until then nothing is but what may run
   * while backing off.
   */
  failed(nowMs: number, backOffMs: number): void;
  /** Some of what failed has not been carried out to its end since: the failure is not over. */
  owes(): boolean;
  /** How long the loop may sleep. */
  nextDelayMs(nowMs: number, situation: Situation): number;
}

export function createSchedule(): Schedule {
  /** From outside, or a wait with a name: these times hold as they are. */
  const askedAtMs = new Map<Work, number>();
  /** The loop's own wishes: they hold from `notBeforeMs` on. */
  const wishedAtMs = new Map<Work, number>();
  const notBeforeMs = new Map<Work, number>();
  /** From when on a turn does it along with what it was made for. */
  const checkedAtMs = new Map<Work, number>();
  /** Runs in a row that led to nothing. */
  const fruitlessRuns = new Map<Work, number>();
  let begun: ReadonlySet<Work> = new Set();
  /** Those of them that nothing but the loop itself asked for. */
  let begunByItself: ReadonlySet<Work> = new Set();
  let backOffUntilMs = Number.NEGATIVE_INFINITY;
  /** What a turn failed with, and no later one has done. */
  const owed = new Set<Work>();

  const isBackingOff = (nowMs: number): boolean => nowMs < backOffUntilMs;
  const earlier = (times: Map<Work, number>, work: Work, atMs: number): void => {
    times.set(work, Math.min(times.get(work) ?? never, atMs));
  };

  function dueAtMs(work: Work, nowMs: number, situation: Situation): number {
    let wishedMs = wishedAtMs.get(work) ?? never;
    if (work === 'paths') wishedMs = Math.min(wishedMs, situation.pathsAtMs);
    if (work === 'plan' && situation.roomWaits) wishedMs = Math.min(wishedMs, nowMs);
    return Math.min(askedAtMs.get(work) ?? never, Math.max(wishedMs, notBeforeMs.get(work) ?? nowMs));
  }

  function due(nowMs: number, situation: Situation): ReadonlySet<Work> {
    const backsOff = isBackingOff(nowMs);
    return new Set(
      works.filter(
        (work) =>
          mayRun(work, situation, backsOff) &&
          Math.min(checkedAtMs.get(work) ?? never, dueAtMs(work, nowMs, situation)) <= nowMs,
      ),
    );
  }

  function countRun(work: Work, nowMs: number, fruitless: boolean): void {
    const runs = fruitless && begunByItself.has(work) ? (fruitlessRuns.get(work) ?? 0) + 1 : 0;
    fruitlessRuns.set(work, runs);
    if (runs === 0) notBeforeMs.delete(work);
    else notBeforeMs.set(work, nowMs + Math.min(floorMsMax, terms[work].floorMs * 2 ** Math.min(runs - 1, 20)));
  }

  return {
    input: (work, nowMs) => earlier(askedAtMs, work, nowMs),
    again: (work, nowMs) => earlier(wishedAtMs, work, nowMs),
    after: (work, delayMs, nowMs) => earlier(askedAtMs, work, nowMs + Math.max(delayMs, terms[work].floorMs)),
    check: (work, delayMs, nowMs) => {
      checkedAtMs.set(work, nowMs + Math.max(delayMs, terms[work].floorMs));
    },
    isBackingOff,
    isAsked: (work, nowMs) => Math.min(askedAtMs.get(work) ?? never, wishedAtMs.get(work) ?? never) <= nowMs,
    due,
    begin(nowMs, situation) {
      begun = due(nowMs, situation);
      const isAsked = (work: Work): boolean =>
        Math.min(askedAtMs.get(work) ?? never, checkedAtMs.get(work) ?? never) <= nowMs;
      begunByItself = new Set([...begun].filter((work) => !isAsked(work)));
      for (const work of begun) {
        askedAtMs.delete(work);
        checkedAtMs.delete(work);
        wishedAtMs.delete(work);
      }
      return begun;
    },
    ended(nowMs, situation, { fruitless }) {
      for (const work of begun) {
        countRun(work, nowMs, fruitless);
        if (!mayRun(work, situation, false)) earlier(wishedAtMs, work, nowMs);
        else owed.delete(work);
      }
      begun = new Set();
    },
    failed(nowMs, backOffMs) {
      backOffUntilMs = nowMs + backOffMs;
      for (const work of begun) {
        countRun(work, nowMs, true);
        earlier(wishedAtMs, work, nowMs);
        if (backOffMs === 0 || terms[work].whileBackingOff) continue;
        // The pauses of a failure grow by themselves: fruitless runs before it do not make it wait past them.
        const againMs = Math.max(backOffUntilMs, nowMs + terms[work].floorMs);
        notBeforeMs.set(work, Math.min(notBeforeMs.get(work) ?? againMs, againMs));
        owed.add(work);
      }
      begun = new Set();
    },
    owes: () => owed.size > 0,
    nextDelayMs(nowMs, situation) {
      const backsOff = isBackingOff(nowMs);
      let atMs = nowMs + sleepMsMax;
      if (backsOff) atMs = Math.min(atMs, backOffUntilMs);
      for (const work of works)
        if (mayRun(work, situation, backsOff)) atMs = Math.min(atMs, dueAtMs(work, nowMs, situation));
      // A timer that came a fraction too early would find nothing due.
      return Math.max(0, Math.ceil(atMs - nowMs));
    },
  };
}

function mayRun(work: Work, { halt, paused, online }: Situation, backsOff: boolean): boolean {
  const { whileHalted, whileBackingOff, whilePaused, whileOffline } = terms[work];
  const isHalted = halt === 'halted' || (halt === 'emptied' && work !== 'paths' && work !== 'all');
  return (
    (whileHalted || !isHalted) && (whileBackingOff || !backsOff) && (whilePaused || !paused) && (whileOffline || online)
  );
}
