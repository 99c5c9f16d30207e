import { expect, test } from 'vitest';
import { type Doubt, deletionGraceMs, graceMs, saveGraceMs } from './graces.ts';

const gone = (facts: Partial<Extract<Doubt, { kind: 'gone' }>> = {}): Doubt => ({
  kind: 'gone',
  backupBeside: false,
  cameBackLately: false,
  movedElsewhere: false,
  ...facts,
});

test.each<[string, Doubt, number]>([
  ['truncated, or created and not yet written', { kind: 'empty' }, saveGraceMs],
  ['a single deletion', gone(), deletionGraceMs],
  ['renamed to another name, its bytes read again', gone({ movedElsewhere: true }), 0],
  ['renamed to x~ or to an ignored name', gone({ backupBeside: true }), saveGraceMs],
  ['renamed to x.bak, its bytes read again', gone({ backupBeside: true, movedElsewhere: true }), saveGraceMs],
  ['removed by a program that brought it back before', gone({ cameBackLately: true }), saveGraceMs],
  ['renamed by such a program', gone({ cameBackLately: true, movedElsewhere: true }), saveGraceMs],
])('%s', (_name, doubt, expected) => {
  expect(graceMs(doubt)).toBe(expected);
});
