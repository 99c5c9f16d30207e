import { utf8ToBytes } from '@driftless/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { editsBetween, mergeIntoBuffer, type TextEdit } from './merge-into-buffer.ts';

/** As an editor does: all ranges are of the text before. */
function applied(text: string, edits: readonly TextEdit[]): string {
  let result = '';
  let at = 0;
  for (const edit of edits) {
    expect(edit.start).toBeGreaterThanOrEqual(at);
    result += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return result + text.slice(at);
}
const merge = (base: string, text: string, theirs: string) =>
  mergeIntoBuffer({ base: utf8ToBytes(base), text, theirs: utf8ToBytes(theirs) });

describe('merging into a buffer', () => {
  const base = 'one\ntwo\nthree\nfour\nfive\n';

  it('gives only what the room changed, a piece for each place', () => {
    const text = base.replace('three', 'three, unsaved');
    const edits = merge(base, text, base.replace('one', 'ONE').replace('five\n', 'five\nsix\n'));
    expect(edits).toEqual([
      { start: 0, end: 3, text: 'ONE' },
      { start: text.length, end: text.length, text: 'six\n' },
    ]);
    expect(applied(text, edits ?? [])).toBe('ONE\ntwo\nthree, unsaved\nfour\nfive\nsix\n');
  });

  it('gives nothing where the buffer has it all, and leaves alone what overlaps', () => {
    expect(merge(base, base.replace('one', 'ONE'), base.replace('one', 'ONE'))).toEqual([]);
    expect(merge(base, base.replace('one', 'mine'), base.replace('one', 'theirs'))).toBeUndefined();
  });

  it('no byte-order mark of the file gets into the text, and line ends stay as they are', () => {
    const edits = merge('\uFEFFa\r\nb\r\nc\r\n', 'a\r\nb\r\nc!\r\n', '\uFEFFA\r\nb\r\nc\r\n');
    expect(edits).toEqual([{ start: 0, end: 1, text: 'A' }]);
  });

  it('cuts no character and no line end in two', () => {
    for (const [before, after] of [
      ['x\u{1F600}y', 'x\u{1F601}y'],
      ['x\u{1F600}y', 'x\u{1FA00}y'],
      ['a\r\nb', 'a\rb'],
      ['a\r\n', 'a\n'],
    ] as const) {
      const edits = editsBetween(before, after);
      expect(applied(before, edits)).toBe(after);
      for (const { start, end, text } of edits)
        for (const piece of [before.slice(start, end), text])
          expect(piece).not.toMatch(/^[\udc00-\udfff]|[\ud800-\udbff]$/);
    }
  });

  it('the edits make the other text of one, in order, apart from one another', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'ab', '\n', '\r\n', '\u{1F600}', '\u{1F601}', ''), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(text, text, (before, after) => {
        const [from, to] = [before.join(''), after.join('')];
        expect(applied(from, editsBetween(from, to))).toBe(to);
      }),
      { seed: 8, numRuns: 500 },
    );
  });
});
