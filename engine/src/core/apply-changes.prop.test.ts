import { type Change, comparePaths, type Entry, type RelPath, type Slot } from '@driftless/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyChanges } from './apply-changes.ts';
import { entryTag, liveEntry, sameEntry } from './entry-encoding.ts';
import { updatePages } from './page-tree.ts';
import { deviceOf, directory, file, link, rel, sha256 } from './test-support/entries.ts';
import { createMemoryManifest, type MemoryManifest } from './test-support/memory-manifest.ts';

const names = ['a', 'b', 'a-', 'é'];
const leaf: fc.Arbitrary<Entry> = fc.constantFrom(file('1'), file('2'), link('a'));

/** A consistent folder: every path's parent is a directory in it. */
const folderArbitrary: fc.Arbitrary<ReadonlyMap<RelPath, Entry>> = fc
  .array(fc.tuple(fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 4 }), fc.option(leaf)), {
    maxLength: 12,
  })
  .map((items) => {
    const folder = new Map<RelPath, Entry>();
    for (const [parts, entry] of items) {
      const above = parts.slice(0, -1).map((_, index) => rel(parts.slice(0, index + 1).join('/')));
      if (above.some((path) => folder.has(path) && folder.get(path)?.kind !== 'directory')) continue;
      const path = rel(parts.join('/'));
      if (folder.has(path)) continue;
      for (const parent of above) folder.set(parent, directory);
      folder.set(path, entry ?? directory);
    }
    return folder;
  });

const tagOf = (entry: Entry | null) => (entry === null ? null : entryTag(entry, sha256));

function diff(from: ReadonlyMap<RelPath, Entry>, to: ReadonlyMap<RelPath, Entry>): Change[] {
  const changes: Change[] = [];
  for (const path of new Set([...from.keys(), ...to.keys()])) {
    const old = from.get(path) ?? null;
    const wanted = to.get(path) ?? null;
    const replaces = tagOf(old);
    if (sameEntry(old, wanted)) continue;
    if (wanted !== null) changes.push({ kind: 'put', path, entry: wanted, mtimeMs: 1, replaces });
    else if (replaces !== null) changes.push({ kind: 'remove', path, replaces });
  }
  return changes;
}

const judge = (view: MemoryManifest, changes: readonly Change[]) =>
  applyChanges({ view, changes, height: 3, device: deviceOf('d'), deviceName: 'd', timeMs: 0, sha256 });

function applied(view: MemoryManifest, changes: readonly Change[]): MemoryManifest {
  const result = judge(view, changes);
  if (!result.ok) throw new Error(result.error.reason);
  return view.after(result.value);
}

const liveOf = (manifest: MemoryManifest): Record<string, Slot> =>
  Object.fromEntries(
    manifest.entries().flatMap(({ path, slot }) => (liveEntry(slot) === null ? [] : [[path, slot as Slot]])),
  );

describe('applyChanges', () => {
  it('carrying out a diff gives the target, in any order of the changes', () => {
    let changesSeen = 0;
    fc.assert(
      fc.property(folderArbitrary, folderArbitrary, fc.nat(), (from, to, seed) => {
        const changes = diff(from, to);
        changesSeen += changes.length;
        const shuffled = changes
          .map((change, index) => ({ change, key: Math.imul(seed + index, 0x9e3779b1) >>> 0 }))
          .sort((a, b) => a.key - b.key)
          .map(({ change }) => change);
        const after = applied(createMemoryManifest(sha256, from), shuffled);
        expect(liveOf(after)).toEqual(Object.fromEntries(to));
      }),
      { seed: 20261121, numRuns: 300 },
    );
    expect(changesSeen).toBeGreaterThan(1_000);
  });

  it('moving a subtree equals putting and removing each path', () => {
    let moved = 0;
    fc.assert(
      fc.property(folderArbitrary, fc.nat(), (from, pick) => {
        const paths = [...from.keys()].sort(comparePaths);
        const fromPath = paths[pick % Math.max(1, paths.length)];
        if (fromPath === undefined) return;
        const toPath = rel('target');
        const view = createMemoryManifest(sha256, from);
        const below = paths.filter((path) => path === fromPath || path.startsWith(`${fromPath}/`));
        moved += below.length;
        const oneByOne = below.flatMap((path): Change[] => {
          const entry = from.get(path) as Entry;
          const target = rel(`${toPath}${path.slice(fromPath.length)}`);
          return [
            { kind: 'put', path: target, entry, mtimeMs: 1, replaces: null },
            { kind: 'remove', path, replaces: entryTag(entry, sha256) },
          ];
        });
        const asMove = applied(view, [{ kind: 'move', fromPath, toPath, subtree: true }]);
        expect(asMove.entries()).toEqual(applied(view, oneByOne).entries());
      }),
      { seed: 20261121, numRuns: 200 },
    );
    expect(moved).toBeGreaterThan(300);
  });

  it('any changes leave a consistent folder or are void as a whole, and the root comes out as from scratch', () => {
    const path = fc
      .array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 })
      .map((parts) => rel(parts.join('/')));
    const entry = fc.oneof(leaf, fc.constant(directory));
    const intent = fc.record({
      kind: fc.nat(6),
      path,
      pick: fc.option(fc.nat(50)),
      other: path,
      entry,
      subtree: fc.boolean(),
      wrong: fc.nat(9),
    });
    let validSeen = 0;
    let voidSeen = 0;
    fc.assert(
      fc.property(folderArbitrary, fc.array(intent, { minLength: 1, maxLength: 4 }), (from, intents) => {
        const view = createMemoryManifest(sha256, from);
        const known = [...from.keys()];
        const changes = intents.map((drawn): Change => {
          const picked = drawn.pick === null ? undefined : known[drawn.pick % Math.max(1, known.length)];
          const wish = { ...drawn, path: picked ?? drawn.path };
          const replaces = wish.wrong === 0 ? null : tagOf(from.get(wish.path) ?? null);
          const tag = replaces ?? entryTag(directory, sha256);
          switch (wish.kind) {
            case 0:
              return { kind: 'remove', path: wish.path, replaces: tag };
            case 1:
              return {
                kind: 'mode',
                path: wish.path,
                mode: { executable: wish.subtree, private: false },
                replaces: tag,
              };
            case 2:
            case 3:
              return { kind: 'move', fromPath: wish.path, toPath: wish.other, subtree: wish.subtree };
            case 4:
              return { kind: 'untrack', path: wish.path, subtree: wish.subtree };
            case 5:
              return { kind: 'variant', path: wish.path, entry: wish.entry, mtimeMs: 0, baseDigest: null };
            default:
              return { kind: 'put', path: wish.path, entry: wish.entry, mtimeMs: 0, replaces };
          }
        });
        const result = judge(view, changes);
        if (!result.ok) {
          voidSeen += 1;
          return;
        }
        validSeen += 1;
        const after = view.after(result.value);
        const live = liveOf(after);
        for (const held of Object.keys(live)) {
          const slash = held.lastIndexOf('/');
          if (slash >= 0) expect(live[held.slice(0, slash)]?.kind).toBe('directory');
        }
        const update = updatePages(
          { manifest: view, index: view.index, updates: result.value.updates, variants: result.value },
          sha256,
        );
        const scratch = updatePages(
          {
            manifest: createMemoryManifest(sha256),
            index: createMemoryManifest(sha256).index,
            updates: after.entries(),
            variants: { variantsOpened: [...after.variantsBetween(null, null)], variantsClosed: [] },
          },
          sha256,
        );
        expect(update.root).toBe(scratch.root);
      }),
      { seed: 20261121, numRuns: 1_000 },
    );
    expect(validSeen).toBeGreaterThan(100);
    expect(voidSeen).toBeGreaterThan(100);
  });
});
