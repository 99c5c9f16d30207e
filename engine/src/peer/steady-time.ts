/**
 * A time for ages of what is stored (rule CLOCK): it never goes back and never leaps, whatever happens to the wall clock. While the
 * peer runs it goes with the monotonic clock; over a restart it goes on by what the wall clock says has passed, but by no more
 * than some days. So a clock that is a year ahead ages nothing at once, and what was off for a year ages a little late.
 *
 * Where no clock was ever wrong, it is the wall clock. A first run whose clock is behind makes it lag for good, so what is to
 * grow old by it has to be stamped by it, or compared with care where the stamps are others' (tombstones).
 */
import type { Clock } from '../ports/clock.ts';
import type { StateStore } from '../ports/state-store.ts';

/** Longer than most machines are off; far below any age that something is kept for. */
const offMsMax = 3 * 24 * 60 * 60 * 1000;
/** A run that is killed loses no more than this, and gets it back from the wall clock. */
const savedEveryMs = 60 * 60 * 1000;
const setting = 'steady-time';

export interface SteadyTime {
  nowMs(): number;
}

export function createSteadyTime(clock: Clock, store: Pick<StateStore, 'setting' | 'setSetting'>): SteadyTime {
  const startMonotonicMs = clock.monotonicMs();
  let startMs: number | undefined;
  let savedMs = Number.NEGATIVE_INFINITY;

  function begin(): number {
    const wallMs = clock.nowMs();
    const [steadyMs, thenMs] = (store.setting(setting) ?? '').split(' ').map(Number);
    if (steadyMs === undefined || thenMs === undefined || !Number.isFinite(steadyMs + thenMs)) return wallMs;
    return steadyMs + Math.min(offMsMax, Math.max(0, wallMs - thenMs));
  }

  return {
    nowMs: () => {
      startMs ??= begin();
      const sinceStartMs = clock.monotonicMs() - startMonotonicMs;
      const steadyMs = startMs + sinceStartMs;
      if (sinceStartMs - savedMs >= savedEveryMs) {
        savedMs = sinceStartMs;
        store.setSetting(setting, `${Math.round(steadyMs)} ${Math.round(clock.nowMs())}`);
      }
      return steadyMs;
    },
  };
}
