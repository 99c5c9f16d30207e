import { describe, expect, test } from 'vitest';
import { createFakeClock } from '../testing/fake-clock.ts';
import { createSteadyTime } from './steady-time.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const beganMs = Date.UTC(2026, 0, 1);

/** A store of settings that outlives the runs. */
function createSettings() {
  const settings = new Map<string, string>();
  return {
    setting: (key: string) => settings.get(key),
    setSetting: (key: string, value: string | null) => {
      if (value === null) settings.delete(key);
      else settings.set(key, value);
    },
  };
}

describe('the time that ages are told by', () => {
  test('is the wall clock, where that was never wrong', async () => {
    const clock = createFakeClock({ nowMs: beganMs });
    const steady = createSteadyTime(clock, createSettings());
    expect(steady.nowMs()).toBe(beganMs);
    await clock.advance(dayMs);
    expect(steady.nowMs()).toBe(beganMs + dayMs);
  });

  test.each([
    ['a year ahead', 365 * dayMs],
    ['a year back', -365 * dayMs],
  ])('takes no part in a step of it: %s', async (_, stepMs) => {
    const clock = createFakeClock({ nowMs: beganMs });
    const steady = createSteadyTime(clock, createSettings());
    steady.nowMs();
    clock.setWallClock(beganMs + stepMs);
    await clock.advance(hourMs);
    expect(steady.nowMs()).toBe(beganMs + hourMs);
  });

  test.each([
    ['a night off', 8 * hourMs, 8 * hourMs],
    ['started with a clock that is a year ahead', 365 * dayMs, 3 * dayMs],
    ['started with a clock that is a year back', -365 * dayMs, 0],
  ])('goes on over a restart: %s', (_, passedMs, expectedMs) => {
    const settings = createSettings();
    createSteadyTime(createFakeClock({ nowMs: beganMs }), settings).nowMs();
    const steady = createSteadyTime(createFakeClock({ nowMs: beganMs + passedMs }), settings);
    expect(steady.nowMs()).toBe(beganMs + expectedMs);
  });

  test('a run that is killed loses nothing that the wall clock tells', async () => {
    const settings = createSettings();
    const clock = createFakeClock({ nowMs: beganMs });
    const steady = createSteadyTime(clock, settings);
    steady.nowMs();
    await clock.advance(30 * 60_000);
    steady.nowMs();
    const next = createSteadyTime(createFakeClock({ nowMs: clock.nowMs() }), settings);
    expect(next.nowMs()).toBe(clock.nowMs());
  });
});
