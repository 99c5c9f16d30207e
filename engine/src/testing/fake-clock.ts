/** The Clock port with a time that moves only when a test says so. */
import type { Clock } from '../ports/clock.ts';

export interface FakeClock extends Clock {
  /**
   * Moves time forward, running due timers one by one in order of time, then of creation. Between timers everything that
   * promises and immediates have ready is run first.
   */
  advance(ms: number): Promise<void>;
  /** Lets promises and immediates run without moving time. */
  settle(): Promise<void>;
  /** Moves the wall clock alone, as a person or NTP does. */
  setWallClock(nowMs: number): void;
  readonly timers: number;
  /** Timers set so far: what turns without end sets without end. */
  readonly timersSet: number;
}

interface PendingTimer {
  readonly atMs: number;
  readonly order: number;
  readonly action: () => void;
}

/** Enough turns for a chain of a few promises and immediates to come to rest. */
const turnsPerSettle = 5;

export function createFakeClock(options: { readonly nowMs?: number } = {}): FakeClock {
  let monotonicMs = 0;
  let wallOffsetMs = options.nowMs ?? Date.UTC(2026, 0, 1);
  let created = 0;
  const pending = new Set<PendingTimer>();

  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < turnsPerSettle; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  const nextDue = (untilMs: number): PendingTimer | undefined => {
    let next: PendingTimer | undefined;
    for (const timer of pending) {
      if (timer.atMs > untilMs) continue;
      const sooner =
        next === undefined || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order);
      if (sooner) next = timer;
    }
    return next;
  };

  return {
    nowMs: () => monotonicMs + wallOffsetMs,
    monotonicMs: () => monotonicMs,
    after(delayMs, action) {
      created += 1;
      const timer = { atMs: monotonicMs + Math.max(0, delayMs), order: created, action };
      pending.add(timer);
      return { cancel: () => void pending.delete(timer) };
    },
    async advance(ms) {
      const untilMs = monotonicMs + ms;
      await settle();
      for (let due = nextDue(untilMs); due !== undefined; due = nextDue(untilMs)) {
        pending.delete(due);
        monotonicMs = Math.max(monotonicMs, due.atMs);
        due.action();
        await settle();
      }
      monotonicMs = untilMs;
      await settle();
    },
    settle,
    setWallClock(nowMs) {
      wallOffsetMs = nowMs - monotonicMs;
    },
    get timers() {
      return pending.size;
    },
    get timersSet() {
      return created;
    },
  };
}
