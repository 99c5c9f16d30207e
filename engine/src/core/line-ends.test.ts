/** What counts as a difference in line ends only (C26). */
import { expect, test } from 'vitest';
import { canDifferInLineEndsOnly, differInLineEndsOnly } from './line-ends.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test.each([
  ['all lines', 'a\nb\n', 'a\r\nb\r\n', true],
  ['some lines', 'a\nb\nc', 'a\r\nb\nc', true],
  ['each on another line, equal sizes', 'a\r\nb\n', 'a\nb\r\n', true],
  ['empty lines', '\n\n', '\r\n\n', true],
  ['the last line has no end', 'a\nb', 'a\r\nb', true],
  ['equal', 'a\r\nb', 'a\r\nb', false],
  ['a byte differs', 'a\nb', 'a\r\nc', false],
  ['a line more', 'a\n', 'a\r\nb\r\n', false],
  ['an end more', 'a', 'a\r\n', false],
  ['a lone CR', 'a\rb\n', 'ab\r\n', false],
  ['two CRs', 'a\r\r\n', 'a\n', false],
  ['one CR less of two', 'a\r\r\n', 'a\r\n', false],
  ['not a text', 'a\0\n', 'a\0\r\n', false],
  ['nothing at all', '', '', false],
])('%s', (_, a, b, expected) => {
  expect(differInLineEndsOnly(bytes(a), bytes(b))).toBe(expected);
  expect(differInLineEndsOnly(bytes(b), bytes(a))).toBe(expected);
  if (expected) expect(canDifferInLineEndsOnly(bytes(a), bytes(b).length)).toBe(true);
});

test('sizes tell most that differ in more', () => {
  expect(canDifferInLineEndsOnly(bytes('a\nb\n'), 6)).toBe(true);
  expect(canDifferInLineEndsOnly(bytes('a\nb\n'), 7)).toBe(false);
  expect(canDifferInLineEndsOnly(bytes('a\r\nb\r\n'), 3)).toBe(false);
  expect(canDifferInLineEndsOnly(bytes('no line'), 7)).toBe(false);
});
