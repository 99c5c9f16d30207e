import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { shellWord } from './shell-word.ts';

test.each([
  ['/home/ada/notes', '/home/ada/notes'],
  ['a b', "'a b'"],
  ['', "''"],
  ['-rf', "'-rf'"],
  ["it's", `'it'\\''s'`],
  ["'; touch /x #", `''\\''; touch /x #'`],
  ['$(id)`id`', "'$(id)`id`'"],
])('%j is one word: %s', (text, word) => {
  expect(shellWord(text)).toBe(word);
  if (process.platform !== 'win32')
    expect(execFileSync('sh', ['-c', `printf %s ${word}`], { encoding: 'utf8' })).toBe(text);
});
