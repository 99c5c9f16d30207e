/** What counts as recorded when it is moved aside (rule DISK4): what the room has, and not what its path once held. */
import { noRecordId, type RelPath, type Slot, type Variant, type VariantId } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { deviceOf, digestOf, file, rel } from '../core/test-support/entries.ts';
import { openStateStore } from '../node/sqlite-state-store.ts';
import type { StateStore } from '../ports/state-store.ts';
import { isRecorded } from './recorded.ts';

let store: StateStore;
beforeEach(() => {
  store = openStateStore({ file: ':memory:', holdsModes: true });
});
afterEach(() => store.close());

const path = rel('a');
const digest = digestOf('bytes');
const side: Variant = {
  id: 'ab'.repeat(8) as VariantId,
  path,
  entry: file('bytes'),
  device: deviceOf('laptop'),
  deviceName: 'laptop',
  timeMs: 5,
  mtimeMs: 6,
  baseDigest: null,
};
function roomHolds(at: RelPath, slot: Slot, variants: readonly Variant[] = []): void {
  const slots = [{ path: at, slot }];
  const root = store.rootAfter({ updates: slots, variantsOpened: variants, variantsClosed: [] });
  store.loadManifest({ head: { height: 1, id: noRecordId }, root, slots, variants });
}

test.each<[string, boolean, () => void]>([
  ['what was agreed on at its path', true, () => store.setBase(path, file('bytes'))],
  ['what the room holds elsewhere', true, () => roomHolds(rel('b'), file('bytes'))],
  ['a side of its conflict', true, () => roomHolds(path, file('other'), [side])],
  ['what its path held before', false, () => store.noteHistory(path, digest)],
  ['what is agreed on elsewhere, and gone from the room', false, () => store.setBase(rel('b'), file('bytes'))],
])('%s: %s', (_what, expected, prepare) => {
  prepare();
  expect(isRecorded(store, path, digest)).toBe(expected);
});
