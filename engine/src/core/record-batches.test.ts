import type { RelPath } from '@driftless/protocol';
import { describe, expect, it } from 'vitest';
import type { Fingerprint, LocalEntry } from './local-entry.ts';
import type { PublishStep } from './plan.ts';
import { inPublishOrder, recordBatches } from './record-batches.ts';
import type { Row } from './row.ts';
import { digestOf, rel } from './test-support/entries.ts';

const fileOf = (size: number): LocalEntry => ({
  kind: 'file',
  digest: digestOf('x'),
  size,
  executable: false,
  private: false,
  openToOthers: true,
  mtimeMs: 0,
  fingerprint: '' as Fingerprint,
  racy: false,
});
const step = (path: string, local: LocalEntry | null): PublishStep => ({
  kind: 'publish',
  path: rel(path),
  local,
  remote: null,
  revives: false,
});
const put = (path: string, size = 1) => step(path, fileOf(size));
const makeDirectory = (path: string) => step(path, { kind: 'directory' });
const remove = (path: string) => step(path, null);
const move = (fromPath: string, toPath: string): PublishStep => ({
  kind: 'publishMove',
  fromPath: rel(fromPath),
  toPath: rel(toPath),
  subtree: true,
});
const moveAside = (path: string): PublishStep => ({ kind: 'publishMoveAside', path: rel(path) });
const conflict = (path: string, size = 1): PublishStep => {
  const row: Row = {
    path: rel(path),
    base: null,
    remote: null,
    remoteMtimeMs: 0,
    local: fileOf(size),
    outOfScope: null,
    hold: null,
    problem: null,
    declined: false,
  };
  return { kind: 'conflict', path: rel(path), reason: 'binary', row };
};
const shown = (steps: readonly PublishStep[]) =>
  steps.map((one) =>
    one.kind === 'publishMove' ? `${one.fromPath}>${one.toPath}` : `${signOf(one)}${one.path satisfies RelPath}`,
  );
const signOf = (one: Exclude<PublishStep, { kind: 'publishMove' }>) =>
  one.kind === 'publish' ? (one.local === null ? '-' : '+') : one.kind === 'conflict' ? '?' : '^';

describe('order', () => {
  it.each<[string, PublishStep[], string[]]>([
    ['parents before children', [put('d/e/f'), makeDirectory('d/e'), makeDirectory('d')], ['+d', '+d/e', '+d/e/f']],
    ['removals deepest first', [remove('d'), remove('d/e'), remove('d/e/f')], ['-d/e/f', '-d/e', '-d']],
    ['new content before removals', [remove('a'), put('b')], ['+b', '-a']],
    ['but what lies below a new file goes first', [put('d'), remove('d/e'), remove('x')], ['-d/e', '+d', '-x']],
    [
      'all removals beside each other, after what else is put',
      [put('d'), remove('d/e'), put('z'), remove('x')],
      ['+z', '-d/e', '+d', '-x'],
    ],
    ['moves before puts below them', [put('n/new'), move('o', 'n')], ['o>n', '+n/new']],
    [
      'directories that moves lead into come first',
      [move('o', 'p/q/n'), makeDirectory('p/q'), makeDirectory('p'), makeDirectory('a')],
      ['+p', '+p/q', 'o>p/q/n', '+a'],
    ],
    ['a file makes way for a directory', [put('d/x'), makeDirectory('d'), moveAside('d')], ['^d', '+d', '+d/x']],
    ['conflicts last', [conflict('a'), put('b')], ['+b', '?a']],
  ])('%s', (_, steps, expected) => {
    expect(shown(inPublishOrder(steps))).toEqual(expected);
    expect(shown(inPublishOrder([...steps].reverse()))).toEqual(expected);
  });
});

describe('records (LOG5)', () => {
  const many = (count: number, size = 1) =>
    Array.from({ length: count }, (_, index) => put(`f${String(index).padStart(6, '0')}`, size));
  const removed = (count: number, below = '') =>
    many(count).map((_, index) => remove(`${below}r${String(index).padStart(6, '0')}`));
  const mib = 1024 * 1024;

  it.each<[string, PublishStep[], boolean, number[]]>([
    ['nothing', [], false, []],
    ['2,000 files', many(2_000), false, [2_000]],
    ['one more', many(2_001), false, [2_000, 1]],
    ['16 MiB', many(16, mib), false, [16]],
    ['one byte more', [...many(16, mib), put('z')], false, [16, 1]],
    ['a file larger than a record', [put('a'), put('b', 40 * mib), put('c')], false, [1, 1, 1]],
    ['variants count', [...many(15, mib), conflict('y', 2 * mib)], false, [15, 1]],
    ['a labelled one stays whole', many(20_000, mib), true, [20_000]],
    ['up to the largest record', many(250_001), true, [250_000, 1]],
    [
      'up to what a body holds, with long paths',
      many(20_000).map((_, index) => put(`${'p'.repeat(4_000)}/${10_000 + index}`)),
      true,
      [12_069, 7_931],
    ],
    ['removals are one, whatever the pace', removed(5_000), false, [5_000]],
    ['with the last of what is put', [...many(2_001), ...removed(5_000)], false, [2_000, 5_001]],
    [
      'what a file takes the place of is removed with it',
      [put('d'), ...removed(3_000, 'd/'), ...removed(3_000)],
      false,
      [6_001],
    ],
    ['no more removals than a record holds', removed(250_001), false, [250_000, 1]],
    ['and no more than its body holds', removed(20_000, `${'p'.repeat(4_000)}/`), false, [12_169, 7_831]],
  ])('%s', (_, steps, whole, expected) => {
    const size = () => ({ files: 2_000, bytes: 16 * mib });
    expect(Array.from(recordBatches(steps, { whole, size }), (batch) => batch.length)).toEqual(expected);
  });

  it('each record has the size that is right when it is begun', () => {
    const sizes = [1, 2, 3];
    const size = () => ({ files: sizes.shift() ?? 4, bytes: mib });
    expect(Array.from(recordBatches(many(12), { whole: false, size }), (batch) => batch.length)).toEqual([
      1, 2, 3, 4, 2,
    ]);
  });
});
