import { expect, test } from 'vitest';
import type { Status } from '../control.ts';
import { statusLines } from './status-view.ts';

const status: Status = {
  state: 'idle',
  dir: '/notes',
  room: 'r',
  device: 'd',
  name: 'desk',
  conflicts: [],
  conflictCopies: [],
  peers: [],
  files: 12,
  problems: [],
  holds: [],
  head: { height: 3, id: 'i' },
  root: '0123456789abcdef0',
  outOfScope: 0,
  outOfScopeByReason: {},
  outOfScopePaths: [],
  relay: 'ws://127.0.0.1:4747',
  running: true,
  lastChange: null,
  pending: 0,
  watchingByRescan: false,
  waitingForUnsavedEdits: false,
};
const lines = (given: Partial<Status>): readonly string[] => statusLines({ ...status, ...given }, '/notes');

test('all is well', () => {
  expect(lines({}).slice(0, 3)).toEqual(['/notes', '  state     in sync', '  files     12']);
});

test('what needs somebody stands above the state, which does not hide it', () => {
  expect(
    lines({
      problems: [
        { path: 'a.txt', reason: 'the disk is full' },
        { path: '', reason: 'Cannot sync "x\\xff": its name is not valid UTF-8.' },
      ],
      conflictCopies: ['b.conflict-lap-20260101-000000-abcdef.txt'],
    }).slice(0, 5),
  ).toEqual([
    '/notes',
    '  problem   a.txt: the disk is full',
    '  problem   Cannot sync "x\\xff": its name is not valid UTF-8.',
    '  copy      b.conflict-lap-20260101-000000-abcdef.txt',
    '  state     in sync, but for 2 problems',
  ]);
});

test.each([
  ['laptop', '  last      a.txt by laptop, 2026-01-01T11:00:00Z'],
  [null, '  last      a.txt, 2026-01-01T11:00:00Z'],
])('the last change, by %s', (by, line) => {
  expect(lines({ lastChange: { path: 'a.txt', by, time: '2026-01-01T11:00:00Z' } })).toContain(line);
});

test('what is left out is counted by reason', () => {
  expect(lines({ outOfScope: 8, outOfScopeByReason: { ignored: 7, 'too-large': 1 } })).toContain(
    '  files     12; left out: 7 by ignore rules, 1 too large',
  );
  expect(lines({ outOfScope: 3, outOfScopeByReason: { 'awaiting-confirmation': 2, 'invalid-name': 1 } })).toContain(
    '  files     12; left out: 2 until somebody confirms them here, 1 by a name that cannot travel',
  );
});
