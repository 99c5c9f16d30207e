/**
 * Faults on real processes: kill -9 in the middle of transfers, and the search for readable names and contents at the relay.
 * Users and faults at random are in small-torture.test.ts, the same run every time; on real processes, where the machine's
 * timing has a say, they are left to `npm run chaos`, whose judge is tried here.
 */
import { expect, test } from 'vitest';
import { inventionIn, lostTags, resurrected, spuriousCopies, type Thing } from '../chaos/judge.ts';
import { killTransfers } from '../chaos/kill-transfers.ts';
import { contentOf, createLedger, shaOf } from '../chaos/ledger.ts';
import { secrecy } from '../chaos/secrecy.ts';

test('kill -9 of sender, receiver and relay in mid-transfer: whole files, no conflict with oneself (P1–P3, P6)', async () => {
  const report = await killTransfers({ seed: 5, kills: 3, say: () => {} });
  expect(report).toMatchObject({
    byVictim: { sender: 1, receiver: 1, relay: 1 },
    inMidTransfer: 3,
    conflictCopies: 0,
    complaints: [],
  });
});

// Elsewhere a process cannot read another's memory.
test.runIf(process.platform === 'linux')(
  'nothing readable at the relay: files, output, memory, wire (S12, invariant 13)',
  async () => {
    const report = await secrecy();
    expect(report.found).toEqual([]);
    expect(report.bytesOfMemory).toBeGreaterThan(10_000_000);
    // The same search finds them all where they may be.
    expect(report.foundInPeer).toBe(report.markers);
  },
);

test('the judge sees what is wrong', () => {
  const ledger = createLedger();
  const thing = (text: string): Thing => {
    const bytes = Buffer.from(text);
    return { kind: 'file', sha: shaOf(bytes), executable: false, content: contentOf(bytes), stamps: '' };
  };
  const one = thing('BEGIN 1\na\nb\nEND 1\n');
  const other = thing('BEGIN 2\nc\nEND 2\n');
  for (const [path, { content, sha }] of [
    ['one', one],
    ['other', other],
  ] as const)
    if (content !== null) ledger.noteWritten({ peer: 'alpha', path, content, sha });
  const wrong = (text: string): string | null => inventionIn('one', thing(text), ledger);
  expect(wrong('BEGIN 1\na\nb\nEND 1\n')).toBe(null);
  expect(wrong('BEGIN 1\nb\nEND 1\n')).toBe(null);
  expect(wrong('BEGIN 1\na\n')).toContain('cut');
  expect(wrong('BEGIN 1\na\nb\nEND 2\n')).toContain('cut');
  expect(wrong('BEGIN 1\na\na\nEND 1\n')).toContain('twice');
  expect(wrong('BEGIN 1\nx\nEND 1\n')).toContain('nobody wrote');
  expect(wrong('anything')).toContain('nobody wrote');

  expect(lostTags([new Map([['one', one]])], ledger).map(({ path }) => path)).toEqual(['other', 'other', 'other']);
  expect(lostTags([new Map([['one', one]]), new Map([['x', other]])], ledger)).toEqual([]);
  if (other.content !== null) ledger.noteReplaced('alpha', other.content, null);
  expect(lostTags([new Map([['one', one]])], ledger)).toEqual([]);
  expect(
    resurrected(
      new Map([
        ['one', one],
        ['other', other],
      ]),
      ledger,
    ),
  ).toHaveLength(3);

  const copy = new Map([['one.conflict-alpha-20260101-000000-abcdef', one]]);
  const deed = { text: '', paths: ['one'], directories: [] };
  const copies = (peers: readonly string[]): readonly string[] =>
    spuriousCopies({ before: new Map(), after: copy, deeds: peers.map((peer) => ({ ...deed, peer })) });
  expect(copies(['alpha'])).toHaveLength(1);
  expect(copies(['alpha', 'beta'])).toEqual([]);
});

test('the judge knows a deletion that lost a conflict from one that was undone', () => {
  const ledger = createLedger();
  const write = (peer: string, ...lines: readonly string[]): Thing => {
    const bytes = Buffer.from(`${lines.join('\n')}\n`);
    const content = contentOf(bytes);
    ledger.noteWritten({ peer, path: 'a.txt', content, sha: shaOf(bytes) });
    return { kind: 'file', executable: false, sha: shaOf(bytes), content, stamps: '' };
  };
  const of = (name: string): string => `a.conflict-${name}-20260101-000000-abcdef.txt`;
  const first = write('gamma', 'BEGIN 1', 'kept', 'ended');
  const later = write('gamma', 'BEGIN 1', 'kept', 'instead');
  if (first.content === null || later.content === null) throw new Error('no text');
  ledger.noteReplaced('gamma', first.content, later.content);
  const merged = write('beta', 'BEGIN 1', 'kept', 'ended', 'of beta');
  const judge = (...copies: readonly (readonly [string, Thing])[]): number =>
    resurrected(new Map([['a.txt', merged], ...copies]), ledger).length;
  expect(judge()).toBe(1);
  expect(judge([of('gamma'), later])).toBe(0);
  expect(judge([of('beta'), later])).toBe(1);
  expect(judge([of('gamma'), first])).toBe(1);
  expect(judge(['b.conflict-gamma-20260101-000000-abcdef.txt', later])).toBe(1);
});
