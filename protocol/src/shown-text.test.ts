import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { copiedText, shownJson, shownText } from './shown-text.ts';

/** As VS Code finds links in notifications, and icons in labels. */
const editorLink = /\[([^\]]+)\]\(((?:https?:\/\/|command:|file:)[^)\s]+)(?: (["'])(.+?)(\3))?\)/i;
const editorIcon = /\$\([a-z0-9~-]+\)/i;
const terminalLink = /\b(?:https?|ftp|file|vscode|command):\/\//i;
const obeyed = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const isInert = (line: string): boolean =>
  ![editorLink, editorIcon, terminalLink, obeyed].some((forbidden) => forbidden.test(line));

const outside = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc
    .array(
      fc.constantFrom(
        ...['[a]', '(command:x)', '](', '$(', 'sync)', 'https:', '//', 'wss://', 'file:', '\\', 'u', '0041', '\\u202e'],
        ...[
          '\u001b]0;t\u0007',
          '\n',
          '\r',
          '\u2028',
          '\u202e',
          '\u200b',
          '\u00ad',
          '\ud800',
          '\u{e0041}',
          '\u3164',
          ' ',
          'ä',
        ],
      ),
      { maxLength: 12 },
    )
    .map((pieces) => pieces.join('')),
);

describe('SHOWN: text from outside', () => {
  it.each([
    ['plain äöü 日本 👋', 'plain äöü 日本 👋'],
    ['src/a (copy) [1].ts', 'src/a (copy) [1].ts'],
    ['C:\\users\\a', 'C:\\users\\a'],
    ['wss://relay.example.org:4747', 'wss://relay.example.org:4747'],
    ['[Renew](command:x?%5B%5D)', '[Renew]\\u0028command:x?%5B%5D)'],
    ['[site](https://evil.example)', '[site]\\u0028https\\u003a//evil.example)'],
    ['see https://evil.example', 'see https\\u003a//evil.example'],
    ['evilwss://x', 'evilwss\\u003a//x'],
    ['$(sync~spin) laptop', '$\\u0028sync~spin) laptop'],
    ['\u001b]0;title\u0007', '\\u001b]0;title\\u0007'],
    ['a\nFAKE line\r', 'a\\u000aFAKE line\\u000d'],
    ['exe.\u202etxt', 'exe.\\u202etxt'],
    ['a\u200bb\u00ad\ufeff\u3164', 'a\\u200bb\\u00ad\\ufeff\\u3164'],
    ['tag \u{e0041}', 'tag \\udb40\\udc41'],
    ['half \ud83d', 'half \\ud83d'],
    ['\\u0041 is no A', '\\u005cu0041 is no A'],
  ])('%j is shown as %j, and copied back as it was', (text, expected) => {
    expect(shownText(text)).toBe(expected);
    expect(isInert(shownText(text))).toBe(true);
    expect(copiedText(shownText(text))).toBe(text);
  });

  test('nothing in it acts, and everything of it can be copied back', () => {
    fc.assert(
      fc.property(outside, (text) => {
        expect(isInert(shownText(text)), shownText(text)).toBe(true);
        expect(copiedText(shownText(text))).toBe(text);
      }),
      { seed: 20_261, numRuns: 2_000 },
    );
  });

  test('a line of JSON does nothing either, and a program reads what was meant', () => {
    fc.assert(
      fc.property(
        fc.dictionary(outside, fc.array(outside, { maxLength: 3 }), { maxKeys: 3, noNullPrototype: true }),
        (value) => {
          expect(isInert(shownJson(value)), shownJson(value)).toBe(true);
          expect(JSON.parse(shownJson(value))).toEqual(value);
        },
      ),
      { seed: 20_262, numRuns: 2_000 },
    );
  });

  test('it has an end', () => {
    expect(shownText('x'.repeat(20_000))).toBe(`${'x'.repeat(16_384)}… (3616 more characters)`);
    expect(shownText('abcdef', 3)).toBe('abc… (3 more characters)');
    expect(isInert(shownText('👋👋', 3))).toBe(true);
  });
});
