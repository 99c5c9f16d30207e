import { describe, expect, it } from 'vitest';
import { createEventGatherer, pathEventsMax } from './event-batch.ts';
import { peerState } from './testing/status.ts';

describe('event gatherer', () => {
  it('has nothing to give until something happened, and gives it once', () => {
    const gatherer = createEventGatherer();
    expect(gatherer.take()).toBeUndefined();
    gatherer.add({ event: 'sent', path: 'a' });
    expect(gatherer.take()).toEqual({ events: [{ event: 'sent', path: 'a' }], leftOut: 0 });
    expect(gatherer.take()).toBeUndefined();
  });

  it('keeps order, and of the states the newest, last', () => {
    const gatherer = createEventGatherer();
    gatherer.add({ event: 'state', ...peerState({ state: 'syncing' }) });
    gatherer.add({ event: 'applied', path: 'a' });
    gatherer.add({ event: 'state', ...peerState({ state: 'idle' }) });
    gatherer.add({ event: 'applied', path: 'b' });
    expect(
      gatherer
        .take()
        ?.events.map((event) => ('path' in event ? event.path : event.event === 'state' ? event.state : '')),
    ).toEqual(['a', 'b', 'idle']);
  });

  it('bounds the events of paths and counts the rest', () => {
    const gatherer = createEventGatherer();
    for (let index = 0; index < pathEventsMax + 7; index += 1) gatherer.add({ event: 'sent', path: String(index) });
    gatherer.add({ event: 'state', ...peerState() });
    const batch = gatherer.take();
    expect(batch?.events).toHaveLength(pathEventsMax + 1);
    expect(batch?.leftOut).toBe(7);
    expect(batch?.events.at(-1)?.event).toBe('state');
  });
});
