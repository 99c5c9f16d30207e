import type { RelPath } from '@driftless/protocol';
import { describe, expect, test } from 'vitest';
import { forgetsBaseWhenGone, inTheWay, leftoversInTheWay } from './in-the-way.ts';
import type { OutOfScopeReason, Row } from './row.ts';
import { directory, file } from './test-support/entries.ts';

const one = file('one');
const two = file('two');
const rowOf = (row: Partial<Row>): Row => ({
  path: 'p' as RelPath,
  base: null,
  remote: null,
  remoteMtimeMs: 0,
  local: null,
  outOfScope: null,
  hold: null,
  problem: null,
  declined: false,
  ...row,
});

describe('out of scope where the room has an entry (IG1)', () => {
  const table: readonly [string, Partial<Row>, OutOfScopeReason, boolean, boolean][] = [
    ['the room has nothing', {}, 'special-file', true, false],
    ['a pipe, and the room has a file', { remote: one }, 'special-file', true, true],
    ['a pipe in place of the agreed file', { base: one, remote: one }, 'special-file', true, true],
    ['the room’s entry has no place here either', { remote: one }, 'ignored', false, false],
    ['the agreed file grew too large here', { base: one, remote: one }, 'too-large', true, false],
    ['and the room went on meanwhile', { base: one, remote: two }, 'too-large', true, true],
    ['the agreed file cannot be read', { base: one, remote: one }, 'unreadable', true, false],
    ['something that cannot be read, never agreed on', { remote: one }, 'unreadable', true, true],
    [
      'the room deleted it',
      { base: one, remote: { kind: 'tombstone', digest: null, height: 2 } },
      'unreadable',
      true,
      false,
    ],
  ];
  test.each(table)('%s', (_name, row, reason, hasPlace, isShown) => {
    expect(inTheWay(rowOf({ ...row, outOfScope: reason }), reason, hasPlace) !== null).toBe(isShown);
  });

  test('says what, and what to do', () => {
    expect(inTheWay(rowOf({ remote: one }), 'outside-link', true)).toBe(
      'the room has a file here; a link that leads out of the folder is in its place: move or delete that, and the file arrives',
    );
    expect(leftoversInTheWay(one, 'disk')).toBe(
      'the room has a file here; a disk is mounted in its place: unmount that, and the file arrives',
    );
    expect(leftoversInTheWay(one, { path: 'p/Y.class' as RelPath, reason: 'ignored' })).toBe(
      'the room has a file here; ignored files are in its place (p/Y.class): move or delete that, and the file arrives',
    );
  });
});

test('found free again, what was agreed on counts only for what was seen to be the agreed thing', () => {
  const forgets = (outOfScope: OutOfScopeReason, base: Row['base']) => forgetsBaseWhenGone(rowOf({ outOfScope, base }));
  expect(forgets('special-file', one)).toBe(true);
  expect(forgets('unreadable', one)).toBe(true);
  expect(forgets('ignored', one)).toBe(true);
  expect(forgets('too-large', one)).toBe(false);
  expect(forgets('directory-of-out-of-scope', directory)).toBe(false);
  expect(forgets('directory-of-out-of-scope', one)).toBe(true);
});
