/** Two sides changed one ignore file: what either left out stays out, and nothing comes into scope by the merge. */
import { utf8ToBytes } from '@driftless/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linuxTraits } from '../folder-traits.ts';
import { createIgnoreRules } from '../ignore-rules.ts';
import { rel } from '../test-support/entries.ts';
import { uniteIgnoreFiles } from './unite-ignore-files.ts';

const unite = (base: string | null, ours: string, theirs: string): string =>
  new TextDecoder().decode(
    uniteIgnoreFiles({
      base: base === null ? null : utf8ToBytes(base),
      ours: utf8ToBytes(ours),
      theirs: utf8ToBytes(theirs),
    }),
  );
const note = '# not in force, because only one side had this line: ';

describe('lines are united', () => {
  it.each<readonly [string, string | null, string, string, string]>([
    ['each side adds a line', '*.log\n', '*.log\nbuild/\n', '*.log\ndist/\n', '*.log\nbuild/\ndist/\n'],
    ['without a base', null, 'build/\n', 'dist/\n', 'build/\ndist/\n'],
    ['one side deletes a line: it stays', 'a\nb\n', 'a\n', 'a\nb\nc\n', 'a\nb\nc\n'],
    ['both delete a line: it goes', 'a\nb\n', 'a\nc\n', 'a\nd\n', 'a\nc\nd\n'],
    ['one side changes a line: both forms hold', '*.env\n', '.env*\n', '*.env\nx\n', '*.env\nx\n.env*\n'],
    ['a line that one side takes back in counts for nobody', 'a\n', 'a\n!a/b\n', 'a\nc\n', `a\n${note}!a/b\nc\n`],
    ['one that one side deleted is deleted', 'a\n!a/b\n', 'a\n', 'a\n!a/b\nc\n', 'a\nc\n'],
    ['one that both have stays', '*.x\n!k.x\n', '*.x\n!k.x\na\n', '*.x\n!k.x\nb\n', '*.x\n!k.x\na\nb\n'],
    ['reordered by one side: the narrower order', '*.x\n!k.x\n', '!k.x\n*.x\n', '*.x\n!k.x\na\n', '!k.x\n*.x\na\n'],
    [
      'comments and blank lines stay where they are',
      null,
      '# one\na\n\n# two\nb\n',
      '# one\nc\n\n# two\nb\n',
      '# one\na\nc\n\n# two\nb\n',
    ],
    ['the same rule with other line ends and blanks is one', null, 'a  \r\nb\r\n', 'a\nc\n', 'a\nc\nb\n'],
    ['Windows line ends on both sides stay', null, 'a\r\n', 'b\r\n', 'a\r\nb\r\n'],
    ['no newline at the end', null, 'a', 'b', 'a\nb\n'],
    ['one side is empty', 'a\n', '', 'a\nb\n', 'a\nb\n'],
    ['twice in one file', 'a\n', 'a\n!b\na\n', 'a\n!b\n', '!b\na\n'],
  ])('%s', (_, base, ours, theirs, united) => {
    expect(unite(base, ours, theirs)).toBe(united);
    expect(unite(base, theirs, ours)).toBe(united);
  });

  it('UTF-16 meets UTF-8', () => {
    const ours = Uint8Array.from(Buffer.from('\uFEFFsecret/\r\n', 'utf16le'));
    expect(new TextDecoder().decode(uniteIgnoreFiles({ base: null, ours, theirs: utf8ToBytes('a\n') }))).toBe(
      'a\nsecret/\n',
    );
  });

  it('very different and very long files do not take long', () => {
    const lines = (prefix: string) => Array.from({ length: 50_000 }, (__, index) => `${prefix}${index}`).join('\n');
    const united = unite(null, lines('a'), lines('b')).split('\n');
    expect(united.length).toBe(100_001);
  });
});

describe('laws', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd');
  const line = fc.oneof(
    name,
    name.map((text) => `!${text}`),
    fc.constantFrom(
      '*',
      '!*',
      'a/',
      '!a/',
      'a/b',
      '!a/b',
      '/a',
      '!/b',
      '**/c',
      '!**/c',
      '*/b',
      'a/**',
      '!a/**',
      '# x',
      '',
      '[ab]',
      '!?',
    ),
  );
  const file = fc.array(line, { maxLength: 7 });
  const paths = ['a', 'b', 'c', 'a/b', 'b/a', 'a/b/c', 'c/a', 'd/b/a', 'd/c', 'a/a/a', 'b/c/d'];

  const outBy = (text: string, others: { readonly above: string; readonly below: string }): ReadonlySet<string> => {
    const texts = new Map([
      ['', others.above],
      ['r', text],
      ['r/a', others.below],
      ['r/b', others.below],
    ]);
    const rules = createIgnoreRules({
      traits: linuxTraits,
      readIgnoreFile: (directory) => ({ git: { bytes: utf8ToBytes(texts.get(directory) ?? '') } }),
    });
    return new Set(
      paths
        .flatMap((path) => [path, `${path}/`])
        .filter((path) => rules.isIgnored(rel(`r/${path.replace(/\/$/, '')}`), path.endsWith('/'))),
    );
  };

  it('what either side leaves out is left out, whatever stands in the files above and below; both sides make the same', () => {
    let narrower = 0;
    fc.assert(
      fc.property(fc.option(file), file, file, file, file, (base, ours, theirs, above, below) => {
        const text = (lines: readonly string[]) => lines.map((each) => `${each}\n`).join('');
        const others = { above: text(above), below: text(below) };
        const baseText = base === null ? null : text(base);
        const united = unite(baseText, text(ours), text(theirs));
        const out = outBy(united, others);
        for (const side of [text(ours), text(theirs)])
          for (const path of outBy(side, others))
            if (!out.has(path)) throw new Error(`${path} came into scope by ${JSON.stringify(united)}`);
        expect(unite(baseText, text(theirs), text(ours))).toBe(united);
        for (const rule of [...ours, ...theirs])
          if (rule !== '' && !rule.startsWith('!')) expect(united.split('\n')).toContain(rule);
        if (united !== text(ours) && united !== text(theirs)) narrower += 1;
      }),
      { seed: 20261128, numRuns: 3_000 },
    );
    expect(narrower).toBeGreaterThan(1_000);
  });
});
