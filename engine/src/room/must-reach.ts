/**
 * A checkpoint is confirmed by what came on top of it, and a later change may have made up for what it says wrongly. So nothing follows
 * from it, and nobody is told of it, before the record at which it was judged is taken in as well (rule CP2): this remembers which one.
 */
import type { Head } from '@driftless/protocol';
import type { StateStore } from '../ports/state-store.ts';

type Known = Pick<StateStore, 'setting' | 'setSetting' | 'head' | 'recordMeta'>;

/** Setting: that record, as JSON, until it is taken in. */
const mustReachSetting = 'must-reach';

/** In the transaction that takes the room over; null: nothing is awaited. */
export function setMustReach(store: Pick<Known, 'setSetting'>, record: Head | null): void {
  store.setSetting(mustReachSetting, record === null ? null : JSON.stringify(record));
}

export function isReached(store: Pick<Known, 'setting'>): boolean {
  return store.setting(mustReachSetting) === undefined;
}

/** A record was taken in: it may be the one. */
export function noteReached(store: Known): void {
  const text = store.setting(mustReachSetting);
  if (text === undefined) return;
  const { height, id } = JSON.parse(text) as Head;
  if (store.head()?.id === id || store.recordMeta(height)?.head.id === id) setMustReach(store, null);
}
