/** For tests: time that moves only when told to. */
import type { Clock } from '../clock.ts';

export interface FakeClock extends Clock {
  /** Runs what falls due, in order. */
  advance(ms: number): void;
  setWall(ms: number): void;
}

export function fakeClock(): FakeClock {
  let monotonicMs = 0;
  let wallOffsetMs = 1_000_000;
  const timers = new Set<{ readonly dueMs: number; readonly action: () => void }>();
  return {
    nowMs: () => monotonicMs + wallOffsetMs,
    monotonicMs: () => monotonicMs,
    after(delayMs, action) {
      const timer = { dueMs: monotonicMs + delayMs, action };
      timers.add(timer);
      return { cancel: () => timers.delete(timer) };
    },
    advance(ms) {
      const untilMs = monotonicMs + ms;
      for (;;) {
        const [next] = [...timers]
          .filter((timer) => timer.dueMs <= untilMs)
          .sort((one, other) => one.dueMs - other.dueMs);
        if (next === undefined) break;
        timers.delete(next);
        monotonicMs = Math.max(monotonicMs, next.dueMs);
        next.action();
      }
      monotonicMs = untilMs;
    },
    setWall(ms) {
      wallOffsetMs = ms - monotonicMs;
    },
  };
}
