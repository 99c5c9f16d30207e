/**
 * How often the whole folder is looked at in the background (rule HINT). Looking at a file costs some 14 µs, so that 24 ms a
 * file are 0.06 % of a core; at 100,000 files the longest period makes it 0.3 %. Pure.
 */

const msPerFile = 24;
const periodMsMin = 15_000;
const periodMsMax = 10 * 60_000;

/** Places without a watch have nothing else: ten times as often. */
const unwatchedMsPerFile = 2.4;
const unwatchedPeriodMsMin = 10_000;
const unwatchedPeriodMsMax = 5 * 60_000;

export function sweepPeriodMs(files: number): number {
  return Math.min(periodMsMax, Math.max(periodMsMin, files * msPerFile));
}

/** Of places that cannot be watched, with so many entries. */
export function unwatchedPeriodMs(entries: number): number {
  return Math.min(unwatchedPeriodMsMax, Math.max(unwatchedPeriodMsMin, entries * unwatchedMsPerFile));
}
