/**
 * Whether hints were lost, judged by what a process can know (rule HINT): the system's queue of events is bounded, it drops what
 * comes when it is full, and nothing tells the program so. A queue that overflowed was full, so the program then
 * reads that many events in one go. Pure; counting and measuring are the caller's.
 */

/** Linux's default for fs.inotify.max_queued_events. */
export const queueEventsDefault = 16_384;
/** Events of watches that ended meanwhile are in the queue and are not counted, hence the margin. */
const eventsMax = 8_192;
/** A timer that comes so late means that the process stood still: stopped, swapped out or starved. */
const stalledMsMin = 2_000;
/** After so long a stop the folder is looked at whatever was counted. */
const stoppedMsMin = 10_000;

export interface TurnFacts {
  /** Events that were read in one turn of the event loop. */
  readonly events: number;
  /** How much later than asked for a timer ran before them. */
  readonly lateMs: number;
  /** What the system's queue holds. */
  readonly queueEventsMax: number;
}

/** Why hints may be lost, for the log; null: they are complete as far as can be known. */
export function hintLoss({ events, lateMs, queueEventsMax }: TurnFacts): string | null {
  const bound = Math.min(eventsMax, Math.floor(queueEventsMax / 2));
  if (events >= bound) return `${events} events came at once`;
  if (lateMs >= stoppedMsMin) return `the process stood still for ${Math.round(lateMs / 1_000)} s`;
  if (lateMs >= stalledMsMin && events >= bound / 8)
    return `the process stood still for ${Math.round(lateMs / 1_000)} s, and ${events} events came`;
  return null;
}
