/** Time. `nowMs` is the wall clock (display, names; never order); `monotonicMs` never goes back. */
export interface Timer {
  cancel(): void;
}
export interface Clock {
  nowMs(): number;
  monotonicMs(): number;
  /** Runs `action` once, not before `delayMs` from now. */
  after(delayMs: number, action: () => void): Timer;
}
