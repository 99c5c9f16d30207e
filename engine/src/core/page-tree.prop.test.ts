import { comparePaths, limits, type RelPath, type Slot, type Variant } from '@driftless/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { variantIdOf } from './entry-encoding.ts';
import type { ManifestView, Page, SlotUpdate } from './manifest-view.ts';
import {
  cutPages,
  emptyRoot,
  isNaturalEnd,
  type PageEntry,
  pageBytes,
  pageEntriesOf,
  parsePage,
  rootOf,
  updatePages,
} from './page-tree.ts';
import type { Sha256 } from './sha256.ts';
import { deviceOf, digestOf, directory, file, rel, sha256 } from './test-support/entries.ts';
import { createMemoryManifest, type MemoryManifest, pageIndexOf, patchPages } from './test-support/memory-manifest.ts';

/** Every path whose number is a multiple of four ends a page: boundaries come, go and meet within few entries. */
const manyBoundaries: Sha256 = (bytes) => {
  const digest = sha256(bytes);
  const number = /^p(\d+)$/.exec(new TextDecoder().decode(bytes))?.[1];
  digest[0] = number !== undefined && Number(number) % 4 === 0 ? 0 : 1;
  return digest;
};

const universe: readonly RelPath[] = Array.from({ length: 24 }, (_, index) => rel(`p${index}`));
const slotArbitrary: fc.Arbitrary<Slot | null> = fc.constantFrom<(Slot | null)[]>(
  null,
  null,
  directory,
  file('a'),
  file('b'),
  { kind: 'tombstone', digest: digestOf('a'), height: 2 },
);
const variantOf = (path: RelPath, text: string): Variant => {
  const variant = { path, device: deviceOf('laptop'), entry: file(text) };
  const id = variantIdOf(variant, sha256);
  return { ...variant, id, deviceName: 'laptop', timeMs: 1.5, mtimeMs: -3, baseDigest: digestOf('base') };
};

interface Step {
  readonly slots: readonly (readonly [RelPath, Slot | null])[];
  readonly variants: readonly (readonly [RelPath, string])[];
  readonly closing: readonly RelPath[];
}
const stepArbitrary: fc.Arbitrary<Step> = fc.record({
  slots: fc.array(fc.tuple(fc.constantFrom(...universe), slotArbitrary), { maxLength: 8 }),
  variants: fc.array(fc.tuple(fc.constantFrom(...universe), fc.constantFrom('x', 'y')), { maxLength: 2 }),
  closing: fc.array(fc.constantFrom(...universe), { maxLength: 2 }),
});

function changeOf(manifest: MemoryManifest, step: Step) {
  const slots = new Map(step.slots);
  const updates: SlotUpdate[] = [...slots].map(([path, slot]) => ({ path, slot }));
  updates.sort((a, b) => comparePaths(a.path, b.path));
  const slotAfter = (path: RelPath) => (slots.has(path) ? slots.get(path) : manifest.slot(path)) ?? null;
  const closing = new Set([...step.closing, ...updates.filter(({ slot }) => slot === null).map(({ path }) => path)]);
  const variantsOpened = step.variants
    .filter(([path]) => slotAfter(path) !== null && !closing.has(path))
    .map(([path, text]) => variantOf(path, text));
  const variantsClosed = [...closing].flatMap((path) => manifest.variants(path).map(({ id }) => ({ path, id })));
  return { updates, variantsOpened, variantsClosed };
}

describe('page tree (ROOT)', () => {
  it('an update gives what cutting from scratch gives, after any sequence of updates', () => {
    let changed = 0;
    let kept = 0;
    fc.assert(
      fc.property(fc.array(stepArbitrary, { minLength: 1, maxLength: 6 }), (steps) => {
        let manifest = createMemoryManifest(manyBoundaries);
        let pages: readonly Page[] = [];
        for (const step of steps) {
          const change = changeOf(manifest, step);
          const update = updatePages(
            { manifest, index: pageIndexOf(pages), updates: change.updates, variants: change },
            manyBoundaries,
          );
          kept += pages.length - update.removedEnds.length;
          changed += update.pages.length;
          pages = patchPages(pages, update);
          manifest = manifest.after(change);
          expect(pages).toEqual(manifest.index.pages());
          expect(update.root).toBe(rootOf(pages, manyBoundaries));
        }
      }),
      { seed: 20261121, numRuns: 300 },
    );
    expect(changed).toBeGreaterThan(300);
    expect(kept).toBeGreaterThan(300);
  });

  it('pages come back from their bytes, and no other bytes mean the same', () => {
    fc.assert(
      fc.property(stepArbitrary, fc.nat(), fc.nat(255), (step, at, value) => {
        const manifest = createMemoryManifest(sha256);
        const filled = manifest.after(changeOf(manifest, step));
        const entries = [...pageEntriesOf(filled, null, null)];
        if (entries.length === 0) return;
        const bytes = pageBytes(entries);
        expect(parsePage(bytes)).toEqual(entries);
        const damaged = bytes.slice();
        damaged[at % bytes.length] = value;
        const parsed = parsePage(damaged);
        if (parsed !== undefined) expect(Buffer.from(pageBytes(parsed)).equals(damaged)).toBe(true);
      }),
      { seed: 20261121, numRuns: 500 },
    );
  });

  it('any bytes are an answer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const parsed = parsePage(bytes);
        if (parsed !== undefined) expect(Buffer.from(pageBytes(parsed)).equals(bytes)).toBe(true);
      }),
      { seed: 20261121, numRuns: 500 },
    );
  });
});

describe('page tree, the hard limit', () => {
  const noBoundary: Sha256 = (bytes) => {
    const digest = sha256(bytes);
    digest[0] = 1;
    return digest;
  };
  const paths = Array.from({ length: 9_000 }, (_, index) => rel(`n${String(index).padStart(5, '0')}`));

  it('cuts long runs, and an insertion before them moves the cuts alike', () => {
    const before = createSortedManifest(paths);
    const pages = [...cutPages(pageEntriesOf(before, null, null), noBoundary)].map(({ page }) => page);
    expect(pages.map(({ entries }) => entries)).toEqual([4_096, 4_096, 808]);
    const updates = [{ path: rel('n00000x'), slot: directory }];
    const none = { variantsOpened: [], variantsClosed: [] };
    const update = updatePages({ manifest: before, index: pageIndexOf(pages), updates, variants: none }, noBoundary);
    const after = createSortedManifest([...paths, rel('n00000x')].sort(comparePaths));
    const scratch = [...cutPages(pageEntriesOf(after, null, null), noBoundary)].map(({ page }) => page);
    expect(patchPages(pages, update)).toEqual(scratch);
  });

  it('a page over the limit is garbage', () => {
    const entries: PageEntry[] = paths.slice(0, 4_097).map((path) => ({ path, slot: directory, variants: [] }));
    expect(parsePage(pageBytes(entries))).toBeUndefined();
    expect(parsePage(pageBytes(entries.slice(0, 4_096)))).toHaveLength(limits.pageEntriesMax);
  });
});

describe('page tree, size of the work', () => {
  it('one edit among 5,000 reads and changes one page', () => {
    const paths = Array.from({ length: 5_000 }, (_, index) => rel(`d/${index}`)).sort(comparePaths);
    const manifest = createSortedManifest(paths);
    const pages = [...cutPages(pageEntriesOf(manifest, null, null), sha256)].map(({ page }) => page);
    expect(pages.length).toBeGreaterThan(8);
    let read = 0;
    const counting: ManifestView = {
      ...manifest,
      slotsBetween: function* (after, to) {
        for (const entry of manifest.slotsBetween(after, to)) {
          read += 1;
          yield entry;
        }
      },
    };
    const path = paths.find((candidate) => !isNaturalEnd(candidate, sha256)) as RelPath;
    const update = updatePages(
      {
        manifest: counting,
        index: pageIndexOf(pages),
        updates: [{ path, slot: file('new') }],
        variants: { variantsOpened: [], variantsClosed: [] },
      },
      sha256,
    );
    expect(update.pages).toHaveLength(1);
    expect(update.removedEnds).toHaveLength(1);
    expect(read).toBe(update.pages[0]?.entries);
    expect(update.root).not.toBe(rootOf(pages, sha256));
  });

  it('an empty manifest has a root of its own, and emptying comes back to it', () => {
    const none = { variantsOpened: [], variantsClosed: [] };
    const manifest = createSortedManifest([rel('a')]);
    const pages = [...cutPages(pageEntriesOf(manifest, null, null), sha256)].map(({ page }) => page);
    const update = updatePages(
      { manifest, index: pageIndexOf(pages), updates: [{ path: rel('a'), slot: null }], variants: none },
      sha256,
    );
    expect(update).toEqual({ removedEnds: [null], pages: [], root: emptyRoot(sha256) });
    expect(emptyRoot(sha256)).not.toBe(rootOf(pages, sha256));
  });
});

/** Directories at sorted paths, with ranges by binary search: the memory manifest is too slow for thousands. */
function createSortedManifest(paths: readonly RelPath[]): ManifestView {
  const known = new Set(paths);
  return {
    slot: (path) => (known.has(path) ? directory : null),
    slotsUnder: () => [],
    slotsBetween: (after, to) =>
      paths
        .filter(
          (path) => (after === null || comparePaths(path, after) > 0) && (to === null || comparePaths(path, to) <= 0),
        )
        .map((path) => ({ path, slot: directory })),
    variants: () => [],
    variantsBetween: () => [],
  };
}
