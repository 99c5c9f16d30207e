/** What a closed side of a conflict does to the base of its path. */
import { type Entry, noRecordId, type Variant, type VariantId } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { linuxTraits } from '../core/folder-traits.ts';
import type { Hold } from '../core/row.ts';
import { deviceOf, file, link, rel } from '../core/test-support/entries.ts';
import { openStateStore } from '../node/sqlite-state-store.ts';
import type { PeerContext } from '../peer-context.ts';
import type { StateStore } from '../ports/state-store.ts';
import { agreeOnClosed } from './closed-sides.ts';

let store: StateStore;
beforeEach(() => {
  store = openStateStore({ file: ':memory:', holdsModes: true });
});
afterEach(() => store.close());

const path = rel('a');
const before = file('before');
const sideOf = (name: string, device: string, entry: Entry): Variant => ({
  id: Buffer.from(name.padEnd(8)).toString('hex') as VariantId,
  path,
  entry,
  device: deviceOf(device),
  deviceName: device,
  timeMs: 5,
  mtimeMs: 6,
  baseDigest: null,
});
const mine = sideOf('mine', 'laptop', file('mine'));
const later = sideOf('later', 'laptop', file('later'));
const other = sideOf('other', 'desk', link('target'));

let height = 0;
function roomHas(...variants: readonly Variant[]): void {
  const slots = [{ path, slot: file('room') }];
  const open = store.variants(path);
  const variantsOpened = variants.filter(({ id }) => !open.some((one) => one.id === id));
  const variantsClosed = open.filter(({ id }) => !variants.some((one) => one.id === id));
  const root = store.rootAfter({ updates: slots, variantsOpened, variantsClosed });
  height += 1;
  store.loadManifest({ head: { height, id: noRecordId }, root, slots, variants });
}

const held: Hold = { variant: mine.id, choice: null };
const answered: Hold = { variant: null, choice: 'theirs' };
test.each<[string, Hold | null, readonly Variant[], readonly Variant[], Entry]>([
  ['closed: it is the base', held, [mine, other], [other], mine.entry],
  ['still open: the base stays', held, [mine, other], [mine], before],
  ['edited meanwhile, and out as another: the base stays', held, [mine], [later], before],
  ['of a path that is not held: the base stays', null, [mine], [], before],
  [
    'that an answer put on this disk, closed by somebody else: it is the base',
    answered,
    [mine, other],
    [],
    other.entry,
  ],
  ['that was gone before: the base stays', held, [other], [], before],
])('a side %s', (_what, hold, open, afterwards, expected) => {
  roomHas(...open);
  store.setBase(path, before);
  store.setLocal(path, { kind: 'symlink', target: 'target' });
  store.setHold(path, hold);
  const parts = { store, device: { device: deviceOf('laptop') }, folder: { traits: linuxTraits } };
  agreeOnClosed({ parts } as unknown as PeerContext, [path, path], () => roomHas(...afterwards));
  expect(store.row(path)?.base).toEqual(expected);
});
