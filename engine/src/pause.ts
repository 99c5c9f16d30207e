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
    await new Promise<void>((resolve) => clock.after(0, resolve));
    sliceStartMs = clock.monotonicMs();
  };
}
