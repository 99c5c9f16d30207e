/**
 * How long a path that a scan found empty or gone is left in doubt before anything is published of it (rule FAST2). Programs save by
 * truncating and then writing, or by renaming the old file away and then creating a new one; between the two steps the
 * path is empty or gone, and nobody meant that.
 *
 * The grace is counted from the last event of the path, and begins again each time the path comes back. What a burst of
 * deletions waits for is in deletion-burst.ts.
 */

/** What a scan found at a path that it had known otherwise. */
export type Doubt =
  | { readonly kind: 'empty' }
  | {
      readonly kind: 'gone';
      /** Something whose name begins with this one, or that is ignored, appeared beside it: `x~`, `x.bak`, `~WRL0001.tmp`. */
      readonly backupBeside: boolean;
      /** It was gone before, and came back, within `cameBackMsMax`. */
      readonly cameBackLately: boolean;
      /** Everything that it held was read again under another name. */
      readonly movedElsewhere: boolean;
    };

/** Between the two steps of a save: editors need a few milliseconds, scripts that compute in between some tens. */
export const saveGraceMs = 100;
/** A single deletion, of a path that never did otherwise. */
export const deletionGraceMs = 30;
/** A program that once saved a path by removing it will do so again, within this time. */
export const cameBackMsMax = 60 * 60_000;
/** A path that is emptied or removed again and again is believed after this long, whatever it does. */
export const doubtMsMax = 1_000;

export function graceMs(doubt: Doubt): number {
  if (doubt.kind === 'empty') return saveGraceMs;
  if (doubt.backupBeside || doubt.cameBackLately) return saveGraceMs;
  return doubt.movedElsewhere ? 0 : deletionGraceMs;
}
