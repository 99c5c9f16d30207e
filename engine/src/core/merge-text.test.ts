import { describe, expect, it } from 'vitest';
import { isMergeable, mergeText } from './merge-text.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const merge = (base: string, ours: string, theirs: string) =>
  mergeText({ base: bytes(base), ours: bytes(ours), theirs: bytes(theirs) });
const textOf = (base: string, ours: string, theirs: string) => {
  const result = merge(base, ours, theirs);
  return result.kind === 'merged' ? new TextDecoder('utf-8', { ignoreBOM: true }).decode(result.bytes) : result.kind;
};

describe('merge', () => {
  const rows: readonly (readonly [string, string, string, string, string])[] = [
    ['changes apart', 'a\nb\nc\n', 'A\nb\nc\n', 'a\nb\nC\n', 'A\nb\nC\n'],
    ['insert and delete apart', 'a\nb\nc\nd\n', 'x\na\nb\nc\nd\n', 'a\nb\nc\n', 'x\na\nb\nc\n'],
    ['changes that touch overlap, as in git', 'a\nb\nc\n', 'A\nb\nc\n', 'a\nB\nc\n', 'overlap'],
    ['an insertion beside a change overlaps', 'a\nb\n', 'a\nx\nb\n', 'a\nB\n', 'overlap'],
    ['one line between is enough', 'a\nb\nc\n', 'A\nb\nc\n', 'a\nb\nc\nd\n', 'A\nb\nc\nd\n'],
    ['equal changes are one', 'a\nb\nc\n', 'a\nX\nc\n', 'a\nX\nc\nd\n', 'a\nX\nc\nd\n'],
    ['equal insertions are one', 'a\nb\n', 'a\nX\nb\n', 'a\nX\nb\nc\n', 'a\nX\nb\nc\n'],
    ['different insertions at one place overlap', 'a\n', 'a\nb\n', 'a\nc\n', 'overlap'],
    ['edit of a deleted line overlaps', 'a\nb\nc\n', 'a\nc\n', 'a\nB\nc\n', 'overlap'],
    ['both delete it', 'a\nb\nc\nd\n', 'a\nc\nd\n', 'a\nc\n', 'a\nc\n'],
    ['into an empty base', '', 'a\n', 'b\n', 'overlap'],
    ['both empty it', 'a\n', '', '', ''],
    ['one empties, one edits', 'a\nb\n', '', 'a\nB\n', 'overlap'],
    ['missing newline at the end stays missing', 'a\nb\nc', 'A\nb\nc', 'a\nb\nC', 'A\nb\nC'],
    ['one adds the newline at the end', 'a\nb\nc', 'A\nb\nc', 'a\nb\nc\n', 'A\nb\nc\n'],
    ['one takes the newline away', 'a\nb\nc\n', 'A\nb\nc\n', 'a\nb\nc', 'A\nb\nc'],
    ['appending where the newline was missing', 'a\nb\nc', 'A\nb\nc', 'a\nb\nc\nd', 'A\nb\nc\nd'],
    ['CRLF stays', 'a\r\nb\r\nc\r\n', 'A\r\nb\r\nc\r\n', 'a\r\nb\r\nC\r\n', 'A\r\nb\r\nC\r\n'],
    ['one flips to CRLF, one edits', 'a\nb\nc\n', 'a\r\nb\r\nc\r\n', 'a\nb\nC\n', 'a\r\nb\r\nC\r\n'],
    ['one flips to LF, one inserts', 'a\r\nb\r\n', 'a\nb\n', 'x\r\na\r\nb\r\n', 'x\na\nb\n'],
    ['both flip, and edit', 'a\nb\nc\n', 'A\r\nb\r\nc\r\n', 'a\r\nb\r\nC\r\n', 'A\r\nb\r\nC\r\n'],
    ['one flips, the other makes the same edit', 'a\nb\n', 'a\r\nX\r\n', 'a\nX\n', 'a\r\nX\r\n'],
    [
      'mixed line ends that nobody touched stay mixed',
      'a\r\nb\nc\r\nd\n',
      'A\r\nb\nc\r\nd\n',
      'a\r\nb\nc\r\nD\n',
      'A\r\nb\nc\r\nD\n',
    ],
    ['a lone CR is a character', 'a\rb\nc\nd\n', 'a\rb\nc\nD\n', 'a\rB\nc\nd\n', 'a\rB\nc\nD\n'],
    ['a mark stays', '\uFEFFa\nb\nc\n', '\uFEFFA\nb\nc\n', '\uFEFFa\nb\nC\n', '\uFEFFA\nb\nC\n'],
    ['one takes the mark away', '\uFEFFa\nb\nc\n', 'a\nb\nc\n', '\uFEFFa\nb\nC\n', 'a\nb\nC\n'],
    ['one brings a mark', 'a\nb\nc\n', '\uFEFFa\nb\nc\n', 'a\nb\nC\n', '\uFEFFa\nb\nC\n'],
    ['blank lines may come from both', 'a\nb\nc\n', 'a\n\nb\nc\n', 'a\nb\n\nc\n', 'a\n\nb\n\nc\n'],
    ['one new line at two places does not merge', 'a\nb\nc\n', 'a\nX1\nb\nc\n', 'a\nb\nX1\nc\n', 'unmergeable'],
    [
      'one line moved to two places does not merge',
      'L\na\nb\nc\nd\n',
      'a\nL\nb\nc\nd\n',
      'a\nb\nc\nL\nd\n',
      'unmergeable',
    ],
  ];
  it.each(rows)('%s', (_, base, ours, theirs, expected) => {
    expect(textOf(base, ours, theirs)).toBe(expected);
    expect(textOf(base, theirs, ours)).toBe(expected);
  });

  it('says where it overlaps, in lines of each input', () => {
    // Ours inserts a line at the front and changes b; theirs changes b into two, and e.
    expect(merge('a\nb\nc\nd\ne\n', 'x\na\nB\nc\nd\ne\n', 'a\nBB\nBBB\nc\nd\nE\n')).toEqual({
      kind: 'overlap',
      regions: [{ base: { start: 1, end: 2 }, ours: { start: 2, end: 3 }, theirs: { start: 1, end: 3 } }],
    });
  });
});

describe('what is never merged', () => {
  const three = (ours: Uint8Array, base = bytes('a\nb\nc\n'), theirs = bytes('a\nb\nC\n')) =>
    mergeText({ base, ours, theirs });

  it.each([
    ['NUL', bytes('A\0\nb\nc\n'), 'binary'],
    ['not UTF-8', Uint8Array.of(0xff, 10), 'binary'],
    ['too large', new Uint8Array(1024 * 1024 + 1).fill(97), 'too-large'],
  ])('%s', (_, ours, reason) => {
    expect(three(ours)).toEqual({ kind: 'unmergeable', reason });
    expect(isMergeable(ours)).toBe(false);
  });

  it('but a one-sided change wins, whatever it is', () => {
    const binary = Uint8Array.of(0, 1, 2, 255);
    expect(three(binary, bytes('a'), bytes('a'))).toEqual({ kind: 'merged', bytes: binary });
    expect(three(bytes('a'), bytes('a'), binary)).toEqual({ kind: 'merged', bytes: binary });
    expect(three(binary, bytes('a'), binary)).toEqual({ kind: 'merged', bytes: binary });
    expect(isMergeable(bytes('a\r\nü'))).toBe(true);
  });

  it('gives up on what would take for ever, alike on every machine', () => {
    const lines = (count: number, of: (index: number) => string) =>
      bytes(Array.from({ length: count }, (_, i) => of(i)).join('\n'));
    const base = lines(10_000, (index) => `base ${index}`);
    expect(
      mergeText({ base, ours: lines(10_000, (i) => `ours ${i}`), theirs: lines(10_000, (i) => `theirs ${i}`) }),
    ).toEqual({
      kind: 'unmergeable',
      reason: 'too-different',
    });
    const dull = (count: number, head: string) =>
      lines(count, (index) => (index === 0 ? head : index % 3 === 0 ? 'x' : 'y'));
    expect(mergeText({ base: dull(200_000, 'a'), ours: dull(200_003, 'b'), theirs: dull(150_000, 'c') }).kind).not.toBe(
      'merged',
    );
    const same = bytes('\n'.repeat(500_000));
    expect(
      mergeText({ base: same, ours: bytes(`${'\n'.repeat(500_001)}`), theirs: bytes(`x\n${'\n'.repeat(500_000)}`) })
        .kind,
    ).toBe('merged');
  });
});
