/**
 * How much of what was there together is lost now: a folder is measured at one moment, not at the end of a burst, which may be full of
 * newcomers, and not over all of it, in which a program that keeps its last ten files lost thousands. Pure.
 */
import { burstMs, deletionLimitExceeded } from './guards.ts';

/** Of a file: when it came, and when it went, by a monotonic clock. -∞: it was there before anything is known; ∞: it is there, or did not rest yet. */
export interface Stay {
  readonly sinceMs: number;
  /** When nothing was left to do for the first time after it came. */
  readonly atRestMs: number;
  readonly toMs: number;
}

export interface Measured {
  readonly files: number;
  readonly filesBefore: number;
}

/**
 * From when on a file is a part of the folder. What comes in the seconds before a deletion may belong to the same act, as an archive
 * that is unpacked over an old one; or it is what is deleted. The worst counts.
 */
const views: readonly ((stay: Stay) => number)[] = [
  ({ sinceMs }) => sinceMs,
  ({ sinceMs }) => sinceMs + burstMs,
  ({ sinceMs, atRestMs }) => Math.min(atRestMs, sinceMs + burstMs),
];

/**
 * The moment before files went at which more than is allowed of what was there is lost now; the one at which most is; null: there is
 * none. `lost`: gone, and nowhere else. `moved`: gone from where it was. `old`: how many are here that were always there.
 * `wentEarlier`: files that were there and went before anything is known. O(n log n).
 */
export function worstMoment(facts: {
  readonly lost: readonly Stay[];
  readonly moved: readonly Stay[];
  readonly here: readonly Stay[];
  readonly old: number;
  readonly wentEarlier: number;
}): Measured | null {
  const { old, wentEarlier } = facts;
  const moments = new Set(facts.lost.map(({ toMs }) => toMs));
  let worst: Measured | null = null;
  for (const fromOf of views) {
    const [lost, moved, here] = [facts.lost, facts.moved, facts.here].map((stays) => presenceOf(stays, fromOf)) as [
      Presence,
      Presence,
      Presence,
    ];
    for (const moment of moments) {
      const files = lost(moment) + wentEarlier;
      const filesBefore = files + moved(moment) + here(moment) + old;
      const isWorse =
        worst === null || files > worst.files || (files === worst.files && filesBefore < worst.filesBefore);
      if (isWorse && deletionLimitExceeded({ vanished: files, filesBefore })) worst = { files, filesBefore };
    }
  }
  return worst;
}

type Presence = (momentMs: number) => number;

/** How many of these were there at a moment. */
function presenceOf(stays: readonly Stay[], fromOf: (stay: Stay) => number): Presence {
  const counted = stays.filter((stay) => fromOf(stay) <= stay.toMs);
  const came = Float64Array.from(counted, fromOf).sort();
  const went = Float64Array.from(counted, ({ toMs }) => toMs).sort();
  return (momentMs) => countBelow(came, momentMs, { orAt: true }) - countBelow(went, momentMs, { orAt: false });
}

function countBelow(sorted: Float64Array, limit: number, { orAt }: { readonly orAt: boolean }): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const value = sorted[middle] as number;
    if (value < limit || (orAt && value === limit)) low = middle + 1;
    else high = middle;
  }
  return low;
}
