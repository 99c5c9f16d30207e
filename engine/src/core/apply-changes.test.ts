import type { Change, Entry, FileMode, RelPath, Slot, Variant } from '@driftless/protocol';
import { describe, expect, it } from 'vitest';
import { type AppliedChanges, applyChanges } from './apply-changes.ts';
import { entryTag, variantIdOf } from './entry-encoding.ts';
import { deviceOf, digestOf, directory, file, folder, link, rel, sha256 } from './test-support/entries.ts';
import { createMemoryManifest } from './test-support/memory-manifest.ts';

const tag = (entry: Entry) => entryTag(entry, sha256);
const height = 7;
const laptop = deviceOf('laptop');

const put = (path: string, entry: Entry, replaces: Entry | null = null, mtimeMs = 5): Change => ({
  kind: 'put',
  path: rel(path),
  entry,
  mtimeMs,
  replaces: replaces && tag(replaces),
});
const remove = (path: string, replaces: Entry): Change => ({
  kind: 'remove',
  path: rel(path),
  replaces: tag(replaces),
});
const mode = (path: string, to: FileMode, replaces: Entry): Change => ({
  kind: 'mode',
  path: rel(path),
  mode: to,
  replaces: tag(replaces),
});
const move = (fromPath: string, toPath: string, subtree = false): Change => ({
  kind: 'move',
  fromPath: rel(fromPath),
  toPath: rel(toPath),
  subtree,
});
const untrack = (path: string, subtree = false): Change => ({ kind: 'untrack', path: rel(path), subtree });
const forget = (path: string): Change => ({ kind: 'forget', path: rel(path) });
const variant = (path: string, entry: Entry): Change => ({
  kind: 'variant',
  path: rel(path),
  entry,
  mtimeMs: 3,
  baseDigest: digestOf('base'),
});
const resolve = (path: string, ids: readonly string[]): Change => ({
  kind: 'resolve',
  path: rel(path),
  variants: ids as unknown as Variant['id'][],
});
const tomb = (text: string | null, at = height): Slot => ({
  kind: 'tombstone',
  digest: text === null ? null : digestOf(text),
  height: at,
});
const openVariant = (path: string, entry: Entry): Variant => ({
  id: variantIdOf({ path: rel(path), device: laptop, entry }, sha256),
  path: rel(path),
  entry,
  device: laptop,
  deviceName: 'laptop',
  timeMs: 9,
  mtimeMs: 3,
  baseDigest: digestOf('base'),
});

const a = file('a');
const b = file('b');
/** f, l, gone (tombstone), d/x, d/e/y, d/old (tombstone), empty/ */
const before = folder({
  f: a,
  l: link('f'),
  gone: tomb('gone', 2),
  d: directory,
  'd/x': a,
  'd/e': directory,
  'd/e/y': b,
  'd/old': tomb('old', 3),
  empty: directory,
});
const conflicted = [openVariant('f', b), openVariant('d/x', b), openVariant('gone', b)];

function run(changes: readonly Change[], variants: readonly Variant[] = []) {
  return applyChanges({
    view: createMemoryManifest(sha256, before, variants),
    changes,
    height,
    device: laptop,
    deviceName: 'laptop',
    timeMs: 9,
    sha256,
  });
}
function valid(changes: readonly Change[], variants: readonly Variant[] = []): AppliedChanges {
  const result = run(changes, variants);
  if (!result.ok) throw new Error(result.error.reason);
  return result.value;
}
const slotsOf = (applied: AppliedChanges) => Object.fromEntries(applied.updates.map(({ path, slot }) => [path, slot]));

describe('what changes do', () => {
  const rows: readonly (readonly [string, readonly Change[], Readonly<Record<string, Slot | null>>])[] = [
    ['put creates', [put('n', b)], { n: b }],
    ['put replaces', [put('f', b, a)], { f: b }],
    ['put over a tombstone', [put('gone', b)], { gone: b }],
    ['put changes the kind', [put('f', directory, a), put('f/in', b)], { f: directory, 'f/in': b }],
    [
      'put of a child before its parent',
      [put('n/m/k', b), put('n/m', directory), put('n', directory)],
      { n: directory, 'n/m': directory, 'n/m/k': b },
    ],
    ['two puts of one path: the last counts', [put('n', a), put('n', b, a)], { n: b }],
    ['remove of a file leaves its digest', [remove('f', a)], { f: tomb('a') }],
    ['remove of a link', [remove('l', link('f'))], { l: tomb(null) }],
    ['remove of an empty directory', [remove('empty', directory)], { empty: tomb(null) }],
    [
      'remove of a whole directory, whatever the order',
      [remove('d', directory), remove('d/e', directory), remove('d/e/y', b), remove('d/x', a)],
      { d: tomb(null), 'd/e': tomb(null), 'd/e/y': tomb('b'), 'd/x': tomb('a') },
    ],
    ['directory becomes a file', [remove('d/e/y', b), put('d/e', a, directory)], { 'd/e/y': tomb('b'), 'd/e': a }],
    ['mode keeps the content', [mode('f', { executable: true, private: false }, a)], { f: { ...a, executable: true } }],
    ['mode makes private', [mode('f', { executable: false, private: true }, a)], { f: { ...a, private: true } }],
    ['move of a file', [move('f', 'g')], { f: tomb('a'), g: a }],
    ['move onto a tombstone', [move('f', 'gone')], { f: tomb('a'), gone: a }],
    ['move, then edit', [move('f', 'g'), put('g', b, a)], { f: tomb('a'), g: b }],
    [
      'move of a subtree; its tombstones stay',
      [move('d', 'empty/n', true)],
      {
        d: tomb(null),
        'd/x': tomb('a'),
        'd/e': tomb(null),
        'd/e/y': tomb('b'),
        'empty/n': directory,
        'empty/n/x': a,
        'empty/n/e': directory,
        'empty/n/e/y': b,
      },
    ],
    [
      'swap of two names by a third',
      [move('f', 't'), move('d/x', 'f'), move('t', 'd/x')],
      { f: a, 'd/x': a, t: tomb('a') },
    ],
    ['untrack leaves nothing', [untrack('f')], { f: null }],
    [
      'untrack of a subtree takes its tombstones along',
      [untrack('d', true)],
      { d: null, 'd/x': null, 'd/e': null, 'd/e/y': null, 'd/old': null },
    ],
    ['forget drops a tombstone', [forget('gone')], { gone: null }],
    ['made and taken out again', [put('n', a), untrack('n')], {}],
  ];
  it.each(rows)('%s', (_, changes, expected) => {
    expect(slotsOf(valid(changes))).toEqual(expected);
  });

  it('gives updates in path order, and the modification times of what lives', () => {
    const applied = valid([
      put('z', a, null, 1),
      put('b', b, null, 2),
      put('c', a, null, 3),
      move('c', 'a'),
      remove('z', a),
    ]);
    expect(applied.updates.map(({ path }) => path)).toEqual(['a', 'b', 'c', 'z']);
    expect([...applied.mtimes]).toEqual([
      ['b', 2],
      ['a', 3],
    ]);
    expect(applied.touched).toEqual(['a', 'b', 'c', 'z']);
  });
});

describe('variants', () => {
  it('open, with the author of the record, and leave the slot alone', () => {
    const applied = valid([variant('f', b)]);
    expect(applied.updates).toEqual([]);
    expect(applied.variantsOpened).toEqual([openVariant('f', b)]);
    expect(applied.touched).toEqual(['f']);
  });

  it('open at a tombstone, too', () => {
    expect(valid([variant('gone', b)]).variantsOpened).toHaveLength(1);
  });

  it('published twice are one', () => {
    expect(valid([variant('f', b)], conflicted).variantsOpened).toEqual([]);
    expect(valid([variant('f', b), variant('f', b)]).variantsOpened).toHaveLength(1);
  });

  it('close by resolve; unknown ones are ignored', () => {
    const id = openVariant('f', b).id;
    expect(valid([resolve('f', [id, '0'.repeat(16)])], conflicted).variantsClosed).toEqual([{ path: 'f', id }]);
    expect(valid([resolve('f', [id])]).variantsClosed).toEqual([]);
    expect(valid([variant('f', a), resolve('f', [openVariant('f', a).id])])).toMatchObject({
      variantsOpened: [],
      variantsClosed: [],
    });
  });

  it('close with untrack, of a subtree as well, and stay over a removal and a move', () => {
    expect(valid([untrack('f')], conflicted).variantsClosed).toEqual([{ path: 'f', id: openVariant('f', b).id }]);
    expect(valid([untrack('d', true)], conflicted).variantsClosed).toEqual([
      { path: 'd/x', id: openVariant('d/x', b).id },
    ]);
    expect(valid([remove('f', a)], conflicted).variantsClosed).toEqual([]);
    expect(valid([move('d', 'n', true)], conflicted).variantsClosed).toEqual([]);
  });
});

describe('void records (LOG2)', () => {
  const longName = 'n'.repeat(255);
  const deep = Array.from({ length: 15 }, () => longName).join('/');
  const rows: readonly (readonly [string, readonly Change[], RegExp])[] = [
    ['put that replaces nothing over something', [put('f', b)], /replaces another/],
    ['put that replaces something over nothing', [put('n', b, a)], /replaces another/],
    ['put that replaces another entry', [put('f', b, b)], /replaces another/],
    ['put that replaces what a tombstone held', [put('gone', b, file('gone'))], /replaces another/],
    ['remove of another entry', [remove('f', b)], /replaces another/],
    ['remove of nothing', [remove('n', a)], /nothing to remove/],
    ['remove twice', [remove('f', a), remove('f', a)], /nothing to remove/],
    ['mode of a directory', [mode('d', { executable: true, private: false }, directory)], /not a file/],
    ['mode of another entry', [mode('f', { executable: true, private: false }, b)], /replaces another/],
    ['child without a parent', [put('n/m', a)], /parent is not a directory/],
    ['child of a file', [put('f/m', a)], /parent is not a directory/],
    ['child of a removed directory', [remove('empty', directory), put('empty/m', a)], /parent is not a directory/],
    ['child of a directory that was never', [put('gone/m', a)], /parent is not a directory/],
    ['remove of a directory that is not empty', [remove('d', directory)], /not empty/],
    [
      'remove of a directory but for a grandchild',
      [remove('d', directory), remove('d/x', a), remove('d/e', directory)],
      /not empty/,
    ],
    ['file over a directory that is not empty', [put('d', a, directory)], /not empty/],
    ['move of a directory without its children', [move('d', 'n')], /not empty/],
    ['untrack of a directory without its children', [untrack('d')], /not empty/],
    ['move onto something', [move('f', 'l')], /not free/],
    ['move into itself', [move('d', 'd/e/n', true)], /into itself/],
    ['move onto itself', [move('d', 'd', true)], /into itself/],
    ['move of nothing', [move('n', 'm')], /nothing to move/],
    ['move of a tombstone', [move('gone', 'm')], /nothing to move/],
    ['move to below nothing', [move('f', 'n/m')], /parent is not a directory/],
    [
      'move that makes a path too long',
      [...parents(deep), move('d', `${deep}/${'m'.repeat(255)}`, true)],
      /invalid path/,
    ],
    [
      'subtree move of what the record put there',
      [put('empty/n', a), move('empty', 'm', true)],
      /parent is not a directory/,
    ],
    ['untrack of nothing', [untrack('n')], /nothing to untrack/],
    ['forget of a live entry', [forget('f')], /no tombstone/],
    ['forget of nothing', [forget('n')], /no tombstone/],
    ['variant of an unknown path', [variant('n', b)], /unknown path/],
    ['put outside the root', [put('../n', a)], /invalid path/],
    ['put in our own directory', [put('.driftless', directory)], /invalid path/],
    ['put at an absolute path', [put('/n', a)], /invalid path/],
    ['move outside the root', [move('f', 'd/../../n')], /invalid path/],
    ['move from an invalid name', [move('./f', 'n')], /invalid path/],
    ['resolve at an invalid path', [resolve('a\0', [])], /invalid path/],
    ['good changes before a bad one', [put('n', a), remove('f', b)], /replaces another/],
  ];
  it.each(rows)('%s', (_, changes, reason) => {
    const result = run(changes);
    expect(result).toMatchObject({ ok: false, error: { kind: 'void' } });
    expect(result.ok ? '' : result.error.reason).toMatch(reason);
  });

  it('forget of a path with open variants', () => {
    expect(run([forget('gone')], conflicted)).toMatchObject({ ok: false });
  });

  it('more variants than a path may have', () => {
    const many = Array.from({ length: 257 }, (_, index) => variant('f', file(`v${index}`)));
    expect(run(many)).toMatchObject({ ok: false });
    expect(run(many.slice(1))).toMatchObject({ ok: true });
  });
});

/** Puts of a path and all its parents as directories. */
function parents(path: string): Change[] {
  const parts = path.split('/');
  return parts.map((_, index) => put(parts.slice(0, index + 1).join('/') as RelPath, directory));
}
