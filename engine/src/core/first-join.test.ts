import type { Entry, Slot } from '@driftless/protocol';
import { describe, expect, it } from 'vitest';
import { fingerprintOf } from './fingerprint.ts';
import {
  changedNs,
  judgeJoin,
  mayBeLeftBehind,
  previewJoin,
  supersededAtJoin,
  wasInRoomBy,
  wasPutThere,
} from './first-join.ts';
import { linuxTraits } from './folder-traits.ts';
import type { LocalEntry } from './local-entry.ts';
import { reconcile } from './reconcile.ts';
import type { Row } from './row.ts';
import { digestOf, directory, file, rel } from './test-support/entries.ts';
import { localOf } from './test-support/model-room.ts';

const options = {
  traits: linuxTraits,
  wasInRoom: () => false,
  inHistory: (path: string, local: LocalEntry) =>
    path === 'known' &&
    (local.kind === 'file' ? local.digest === digestOf('old') : local.kind === 'symlink' && local.target === 'old'),
};
const tombstone = (text: string | null): Slot => ({
  kind: 'tombstone',
  digest: text === null ? null : digestOf(text),
  height: 4,
});
const linkOf = (path: string, target: string, remote: Slot | null): Row => ({
  ...rowOf(path, null, remote),
  local: { kind: 'symlink', target },
});

function rowOf(path: string, local: string | 'directory' | null, remote: Slot | null, base: Entry | null = null): Row {
  const node =
    local === null
      ? undefined
      : local === 'directory'
        ? ({ kind: 'directory' } as const)
        : ({ kind: 'file', text: local, executable: false } as const);
  return {
    path: rel(path),
    base,
    local: localOf(node),
    remote,
    remoteMtimeMs: 0,
    outOfScope: null,
    hold: null,
    problem: null,
    declined: false,
  };
}

describe('joining with content (C25, P9)', () => {
  const table = [
    ['equal meets', rowOf('f', 'a', file('a')), 'equal', 'equal'],
    ['equal but for the bit meets', rowOf('f', 'a', file('a', { executable: true })), 'equal', 'equal'],
    ['only here is sent', rowOf('f', 'a', null), 'send', 'send'],
    ['only there is received', rowOf('f', null, file('a')), 'receive', 'receive'],
    ['an earlier version is brought up to date', rowOf('known', 'old', file('new')), 'update', 'update'],
    ['any other difference is a conflict', rowOf('f', 'old', file('new')), 'conflict', 'conflict'],
    ['a directory against a file is a conflict', rowOf('known', 'directory', file('new')), 'conflict', 'conflict'],
    ['directories meet', rowOf('d', 'directory', directory), 'equal', 'equal'],
    ['TOMB: deleted in the room, unchanged here', rowOf('f', 'a', tombstone('a')), 'send', 'trash'],
    ['TOMB: an earlier version of what was deleted', rowOf('known', 'old', tombstone('new')), 'send', 'trash'],
    ['TOMB: a link that the room deleted', linkOf('known', 'old', tombstone(null)), 'send', 'trash'],
    ['TOMB: a link that the room never had', linkOf('known', 'mine', tombstone(null)), 'send', 'send'],
    ['an earlier version of what nobody deleted', rowOf('known', 'old', null), 'send', 'send'],
    ['TOMB: deleted in the room, edited here', rowOf('f', 'b', tombstone('a')), 'send', 'send'],
    ['nothing on either side', rowOf('f', null, tombstone('a')), 'nothing', 'nothing'],
    ['a row with a base is ordinary work', rowOf('f', 'b', file('c'), file('a')), 'nothing', 'nothing'],
    ['out of scope', { ...rowOf('f', 'b', file('c')), outOfScope: 'ignored' as const }, 'nothing', 'nothing'],
  ] as const;
  for (const [name, row, joining, rejoining] of table)
    it(name, () => {
      expect(judgeJoin(row, options)).toBe(joining);
      expect(judgeJoin(row, { ...options, wasInRoom: () => true })).toBe(rejoining);
    });

  it('what was unlinked and joins again: a deletion reaches only files that nobody touched since', () => {
    const local = (ctimeMs: number) => ({
      ...(rowOf('f', 'a', null).local as Extract<LocalEntry, { kind: 'file' }>),
      fingerprint: fingerprintOf({ size: 1, mtimeNs: 0n, ctimeNs: BigInt(ctimeMs) * 1_000_000n, inode: 7n }),
    });
    for (const [earlier, untouched, touched] of [
      [null, false, false],
      ['state-lost', true, true],
      [{ leftAtMs: 1_000 }, true, false],
    ] as const) {
      expect(wasInRoomBy(earlier)(changedNs(local(999)))).toBe(untouched);
      expect(wasInRoomBy(earlier)(changedNs(local(1_000)))).toBe(touched);
    }
  });

  it('what was put there by a rename changed without anything in it', () => {
    const at = (ctimeNs: bigint, mtimeNs: bigint) => ({ ctimeNs: ctimeNs * 1_000_000n, mtimeNs: mtimeNs * 1_000_000n });
    const since = { leftAtMs: 1_000 };
    expect(wasPutThere(since, at(1_500n, 700n))).toBe(true);
    expect(wasPutThere(since, at(1_500n, 1_500n))).toBe(false);
    expect(wasPutThere(since, at(900n, 700n))).toBe(false);
    for (const earlier of [null, 'state-lost'] as const) expect(wasPutThere(earlier, at(1_500n, 700n))).toBe(false);
  });

  it('links and directories are asked about where the room deleted one, and not where it deleted a file', () => {
    const directoryOver = (remote: Slot | null) => mayBeLeftBehind(rowOf('d', 'directory', remote));
    expect([tombstone(null), tombstone('a'), null, directory].map(directoryOver)).toEqual([true, false, false, false]);
    expect(mayBeLeftBehind(linkOf('l', 'x', tombstone('a')))).toBe(true);
    expect(mayBeLeftBehind(rowOf('f', 'a', tombstone('a')))).toBe(false);
    expect(mayBeLeftBehind(rowOf('d', 'directory', tombstone(null), directory))).toBe(false);
    expect(mayBeLeftBehind({ ...rowOf('d', 'directory', tombstone(null)), outOfScope: 'ignored' })).toBe(false);
  });

  it('reconcile carries it out: the room wins where it has gone on, the rest is kept', () => {
    const rows = [
      rowOf('gone', 'a', tombstone('a')),
      rowOf('known', 'old', file('new')),
      rowOf('other', 'old', file('new')),
    ];
    const plan = reconcile({
      rows,
      view: { row: (path) => rows.find((row) => row.path === path), rowsUnder: () => [], variants: () => [] },
      traits: linuxTraits,
      mergeable: () => true,
      superseded: supersededAtJoin({ ...options, wasInRoom: () => true }),
    });
    expect(plan.disk).toMatchObject([
      { kind: 'apply', path: 'known', to: file('new') },
      { kind: 'apply', path: 'gone', to: null },
    ]);
    expect(plan.publish).toMatchObject([{ kind: 'conflict', path: 'other', reason: 'create-create' }]);
  });

  it('a file that differs in line ends only takes the bytes of the room (C26)', async () => {
    const row = rowOf('f', 'a', file('b'));
    const differsInLineEndsOnly = (one: Row): boolean => one.path === 'f';
    expect(judgeJoin(row, { ...options, differsInLineEndsOnly })).toBe('line-ends');
    expect(supersededAtJoin({ ...options, differsInLineEndsOnly })(row)).toBe(true);
    expect(judgeJoin(row, options)).toBe('conflict');
    expect(await previewJoin([row], { ...options, differsInLineEndsOnly })).toMatchObject({
      lineEnds: 1,
      conflicts: 0,
    });
  });

  it('the preview counts files, and names what changes here', async () => {
    const rows = table.map(([, row]) => row);
    expect(await previewJoin(rows, { ...options, wasInRoom: () => true })).toEqual({
      equal: 2,
      receive: 1,
      receiveBytes: 'a'.length + 'new'.length,
      send: 3,
      sendBytes: 'a'.length + 'b'.length + 'old'.length,
      update: 1,
      lineEnds: 0,
      trash: 3,
      conflicts: 2,
      examples: { update: ['known'], lineEnds: [], trash: ['f', 'known', 'known'], conflicts: ['f', 'known'] },
    });
  });
});
