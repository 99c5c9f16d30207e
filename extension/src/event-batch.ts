/**
 * Gathers what a peer tells, so that a first share of 20,000 files is a few messages a second and not 40,000 messages. States
 * supersede one another; events of single paths are bounded a batch, the rest is counted. What a join tells once is never left out.
 */
import type { PeerEvent } from '@driftless/engine';

/** A person reads the log and the notifications; more than this a batch nobody does. */
export const pathEventsMax = 100;

export interface EventGatherer {
  add(event: PeerEvent): void;
  /** What gathered since the last call, in order, the newest state last; undefined when there is nothing. */
  take(): { readonly events: readonly PeerEvent[]; readonly leftOut: number } | undefined;
}

export function createEventGatherer(): EventGatherer {
  let events: PeerEvent[] = [];
  let state: PeerEvent | undefined;
  let leftOut = 0;
  return {
    add(event) {
      if (event.event === 'state') state = event;
      else if (event.event === 'runnable' || events.length < pathEventsMax) events.push(event);
      else leftOut += 1;
    },
    take() {
      if (events.length === 0 && state === undefined) return undefined;
      const batch = { events: state === undefined ? events : [...events, state], leftOut };
      events = [];
      state = undefined;
      leftOut = 0;
      return batch;
    },
  };
}
