import { describe, expect, test } from 'vitest';
import { RoomHalted } from '../peer-context.ts';
import { FolderError } from '../ports/folder.ts';
import { SessionEnded } from '../ports/room-session.ts';
import { StateStoreError } from '../ports/state-store.ts';
import { GaveWay } from './giving-way.ts';
import { failureOf, noRoomHalt } from './turn-failure.ts';

const fullFolder = new FolderError({ kind: 'problem', code: 'ENOSPC', reason: 'no room', diskFull: true });
const usedUp = 'Cannot write "a": the disk quota is used up.';
const quota = new FolderError({ kind: 'problem', code: 'EDQUOT', reason: usedUp, diskFull: true });

describe('what a failed turn leads to', () => {
  const table: readonly (readonly [string, unknown, Partial<ReturnType<typeof failureOf>>])[] = [
    [
      'the relay went away',
      new SessionEnded('cut'),
      { kind: 'session-ended', backOffMs: 0, halt: null, isFinal: false },
    ],
    [
      'a command waited',
      new GaveWay(),
      { kind: 'gave-way', backOffMs: 0, halt: null, settlesJournal: true, asksLogAgain: true },
    ],
    [
      'a record of its own that is void',
      new RoomHalted('void'),
      {
        kind: 'halted',
        isFinal: true,
        backOffMs: 0,
        halt: { code: 'internal', reason: 'void', next: 'see the log; restart Driftless', stopped: true },
      },
    ],
    ['the disk is full', fullFolder, { kind: 'disk-full', backOffMs: 5_000, settlesJournal: true, asksLogAgain: true }],
    ['a quota is used up', quota, { kind: 'disk-full', halt: noRoomHalt(usedUp) }],
    [
      'the state store’s disk is full',
      new StateStoreError('disk-full', 'no room for the state'),
      { kind: 'disk-full', backOffMs: 5_000, halt: noRoomHalt('no room for the state') },
    ],
    ['the state store is damaged', new StateStoreError('damaged', 'noise'), { kind: 'internal', settlesJournal: true }],
    ['a fault of its own', new Error('oops'), { kind: 'internal', backOffMs: 400, halt: null, asksLogAgain: true }],
    ['something that is no error', 'oops', { kind: 'internal', reason: 'oops' }],
  ];
  for (const [name, error, expected] of table) test(name, () => expect(failureOf(error, 1)).toMatchObject(expected));

  test('pauses grow to 30 s and no further; from the second failure on it is shown', () => {
    const failures = Array.from({ length: 40 }, (_, index) => failureOf(new Error('oops'), index + 1));
    expect(failures.slice(0, 9).map(({ backOffMs }) => backOffMs)).toEqual([
      400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000,
    ]);
    expect(failures.at(-1)?.backOffMs).toBe(30_000);
    expect(failures[1]?.halt).toEqual({
      code: 'internal',
      reason: 'sync failed: oops',
      next: 'next try in 1 s; the log says more',
    });
  });
});
