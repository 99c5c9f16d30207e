/** Port: time. The wall clock stamps records (rule CLOCK); everything that waits uses the monotonic one. */
export interface Timer {
  cancel(): void;
}
export interface Clock {
  nowMs(): number;
  /** Never goes back. */
  monotonicMs(): number;
  /** Runs `action` once, not before `delayMs` from now. */
  after(delayMs: number, action: () => void): Timer;
}

/** Its timers keep no process alive: the listening socket does. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
