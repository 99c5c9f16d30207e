/** PRESENCE: one head with two roots is looked at once, at ease, and ends in a re-join or in an alarm. */
import type { DeviceId, RecordId, RelPath, Root } from '@driftless/protocol';
import { beforeEach, expect, test } from 'vitest';
import type { PeerEvent } from '../control.ts';
import type { ManifestView } from '../core/manifest-view.ts';
import { cutPages, rootOf } from '../core/page-tree.ts';
import { nodeHashing } from '../node/node-hashing.ts';
import { StateStoreError } from '../ports/state-store.ts';
import { createFakeClock, type FakeClock } from '../testing/fake-clock.ts';
import { createOtherRoots, type OtherRoots } from './other-roots.ts';

const { sha256 } = nodeHashing;
const directory = { kind: 'directory' } as const;
const paths = Array.from({ length: 2_000 }, (_, index) => `d${String(index).padStart(4, '0')}` as RelPath);
const pages = [
  ...cutPages(
    paths.map((path) => ({ path, slot: directory, variants: [] })),
    sha256,
  ),
].map(({ page }) => page);
const ours = rootOf(pages, sha256);
const theirs = 'ee'.repeat(32) as Root;
const head = (height: number): RecordId => String(height).padStart(64, '0') as RecordId;

let clock: FakeClock;
let height: number;
let held: readonly RelPath[];
let reads: number;
let damaged: number;
let events: PeerEvent[];
let beside: Promise<void>[];
let otherRoots: OtherRoots;
let onPause: () => void;

const manifest: ManifestView = {
  slot: () => null,
  slotsUnder: () => [],
  slotsBetween: (after, to) => {
    reads += 1;
    return held
      .filter((path) => (after === null || path > after) && (to === null || path <= to))
      .map((path) => ({ path, slot: directory }));
  },
  variants: () => [],
  variantsBetween: () => [],
};

beforeEach(() => {
  clock = createFakeClock();
  [height, held, reads, damaged, events, beside, onPause] = [7, paths, 0, 0, [], [], () => {}];
  otherRoots = createOtherRoots(
    {
      pause: async () => onPause(),
      parts: {
        clock,
        hashing: nodeHashing,
        log: { debug() {}, info() {}, warn() {}, error() {} },
        onEvent: (event) => events.push(event),
        store: {
          head: () => ({ height, id: head(height) }),
          root: () => ours,
          pages: { pages: () => pages, pageAt: () => undefined },
          manifest,
        },
      },
    },
    {
      runBeside: (work) => beside.push(work),
      onDamaged: () => {
        damaged += 1;
      },
    },
  );
});

async function hears(root: Root, device = 'aa'.repeat(32), at = height): Promise<void> {
  otherRoots.compare({ device: device as DeviceId, name: 'laptop', height: at, recordId: head(at), root });
  await Promise.all(beside);
}

test('the same root, or another head, is nothing', async () => {
  await hears(ours);
  await hears(theirs, undefined, 6);
  expect([reads, events]).toEqual([0, []]);
});

test('own pages that add up: read once a head, told once a device, over when it says the same', async () => {
  expect(pages.length).toBeGreaterThan(3);
  await hears(theirs);
  await hears(theirs);
  await hears(theirs, 'bb'.repeat(32));
  expect(events).toMatchObject([
    { event: 'problem', path: '', reason: expect.stringContaining('laptop (device aaaaaaaaaaaa)') },
    { event: 'problem', path: '', reason: expect.stringContaining('laptop (device bbbbbbbbbbbb)') },
  ]);
  expect(otherRoots.problems()).toHaveLength(2);
  expect(reads).toBeLessThanOrEqual(pages.length + 1);
  await hears(ours);
  expect(otherRoots.problems()).toHaveLength(1);
  await hears(theirs);
  expect(events).toHaveLength(3);
  expect([reads <= pages.length + 1, damaged]).toEqual([true, 0]);
});

test('a device that differs at every head makes nobody read all the time', async () => {
  for (let second = 0; second < 300; second += 1) {
    height += 1;
    await hears(theirs);
    await clock.advance(1_000);
  }
  expect(reads).toBeLessThanOrEqual(5 * (pages.length + 1));
  expect(events).toHaveLength(1);
});

test('a thousand devices are not told of one by one', async () => {
  for (let index = 0; index < 1_000; index += 1) await hears(theirs, index.toString(16).padStart(64, '0'));
  expect(events.length).toBeLessThanOrEqual(16);
  expect(otherRoots.problems()).toHaveLength(events.length);
});

test.each<[string, () => void]>([
  [
    'a slot is gone',
    () => {
      held = paths.slice(1);
    },
  ],
  [
    'a slot is more, behind the last page',
    () => {
      held = [...paths, 'zzz' as RelPath];
    },
  ],
  [
    'a row cannot be read',
    () => {
      onPause = () => {
        throw new StateStoreError('damaged', 'noise');
      };
    },
  ],
])('own pages that do not add up, because %s: joins anew, once, and accuses nobody', async (_, damage) => {
  damage();
  await hears(theirs);
  expect([damaged, events]).toEqual([1, []]);
  await clock.advance(600_000);
  await hears(theirs);
  expect(damaged).toBe(1);
});

test('a head that moves on meanwhile leaves it open', async () => {
  onPause = () => {
    height = 8;
  };
  await hears(theirs);
  expect([damaged, events]).toEqual([0, []]);
});
