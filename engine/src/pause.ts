/**
 * Time slices: long synchronous work calls `pause` often, and it yields to timers and sockets every few milliseconds, so
 * that a heartbeat or a save never waits behind a scan, a hash or a first share.
 */
import type { Clock } from './ports/clock.ts';

export type Pause = () => Promise<void>;

const sliceMsOfTurns = 8;

export function createPause(clock: Clock, sliceMs = sliceMsOfTurns): Pause {
  let sliceStartMs = clock.monotonicMs();
  return async () => {
    if (clock.monotonicMs() - sliceStartMs < sliceMs) return;
    // Timers and sockets have their turn before the next immediate; a timer of nothing would wait for a millisecond.
    await new Promise<void>((resolve) => void setImmediate(resolve));
    sliceStartMs = clock.monotonicMs();
  };
}
