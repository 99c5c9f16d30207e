/** Rule NAME. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareBytes, utf8ToBytes } from './bytes.ts';
import { comparePaths, isRelPath, parseRelPath } from './rel-path.ts';

describe('a path is valid', () => {
  test.each([
    'a',
    'a/b',
    '.gitignore',
    'a/.driftless',
    '.driftlessignore',
    'CON',
    'a.',
    'a ',
    'a:b',
    'a\\b',
    'new\nline',
    '-rf',
    '...',
    '\ufeffbom',
    'ä',
    'a\u0308',
    '😀',
    'n'.repeat(255),
    `${'a/'.repeat(2047)}a`,
  ])('%j', (text) => expect(parseRelPath(text)).toBe(text));
});

describe('a path is refused', () => {
  test.each([
    '',
    '/',
    '/a',
    'a/',
    'a//b',
    '.',
    '..',
    'a/../b',
    'a/.',
    'a\0b',
    '\ud800',
    'a\udc00b',
    '.driftless',
    '.driftless/stage/x',
    'n'.repeat(256),
    'ä'.repeat(128),
    `${'a/'.repeat(2048)}a`,
  ])('%j', (text) => expect(parseRelPath(text)).toBeUndefined());
});

test('paths are ordered as their UTF-8 bytes are', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '\u00e4', '\uffff', '\ue000', '😀', '𐀀', '\u7fff') });
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(comparePaths(a, b))).toBe(Math.sign(compareBytes(utf8ToBytes(a), utf8ToBytes(b))));
    }),
    { seed: 1, numRuns: 500 },
  );
});

test('any text is judged without a throw, and what is valid has only good components', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      if (!isRelPath(text)) return;
      for (const component of text.split('/')) expect(['', '.', '..']).not.toContain(component);
    }),
    { seed: 2, numRuns: 500 },
  );
});
