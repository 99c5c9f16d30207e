/**
 * Which devices wrote in this room, as far as this one has read its log itself: who knows that others did does not take one device's word
 * for the room because a relay shows nothing of theirs any more (rule CP2). Lasting, also while a re-join begins from nothing.
 */
import type { DeviceId } from '@driftless/protocol';
import type { StateStore } from '../ports/state-store.ts';

type Known = Pick<StateStore, 'setting' | 'setSetting' | 'head' | 'recordMeta'>;

/** Setting: the devices as JSON, or that they are not known; none: this device was never in the room. */
const authorsSetting = 'room-authors';
const unknown = '"unknown"';
const authorsMax = 64;

/** Of a state that does not say yet: by its records, if it has all of them. */
export function knowAuthors(store: Known): void {
  const head = store.head();
  if (store.setting(authorsSetting) !== undefined || head === null) return;
  const devices = new Set<string>();
  for (let height = 1; height <= head.height; height += 1) {
    const record = store.recordMeta(height);
    if (record === undefined) return authorsUnknown(store);
    if (record.device !== '') devices.add(record.device);
  }
  store.setSetting(authorsSetting, devices.size > authorsMax ? unknown : JSON.stringify([...devices]));
}

/** A record is taken in, in the same transaction. */
export function noteAuthor(
  store: Known,
  { height, device }: { readonly height: number; readonly device: string },
): void {
  const text = store.setting(authorsSetting);
  if (text === unknown) return;
  if (text === undefined && height > 1) return authorsUnknown(store);
  const known = JSON.parse(text ?? '[]') as readonly string[];
  const isNews = device !== '' && !known.includes(device);
  if (!isNews && text !== undefined) return;
  const all = isNews ? [...known, device] : known;
  store.setSetting(authorsSetting, all.length > authorsMax ? unknown : JSON.stringify(all));
}

/** The room was taken over from a checkpoint: who wrote before that is not known. */
export function authorsUnknown(store: Pick<Known, 'setSetting'>): void {
  store.setSetting(authorsSetting, unknown);
}

/** Whether somebody else than these may have written while this device was in the room. False for one that never was. */
export function mayKnowOthers(store: Pick<Known, 'setting'>, devices: readonly DeviceId[]): boolean {
  const text = store.setting(authorsSetting);
  if (text === undefined) return false;
  if (text === unknown) return true;
  return (JSON.parse(text) as readonly string[]).some((device) => !devices.includes(device as DeviceId));
}
