import { type RelPath, utf8ToBytes } from '@driftless/protocol';
import { expect, test } from 'vitest';
import { linuxTraits } from '../core/folder-traits.ts';
import { rel } from '../core/test-support/entries.ts';
import { createOwnRules } from './own-rules.ts';

const textOf = (text: string) => ({ bytes: utf8ToBytes(text) });

function rulesOver(initial: string) {
  let inForce = initial;
  const rules = createOwnRules({
    inForce: (directory: RelPath | '') => (directory === '' ? { git: textOf(inForce) } : {}),
    traits: linuxTraits,
  });
  const becomes = (text: string, isOwn: boolean): void => {
    const before = textOf(inForce);
    inForce = text;
    rules.changed({ directory: '', kind: 'git', before, isOwn });
  };
  return { rules, becomes, isWish: (path: string): boolean => rules.isWish(rel(path), false) };
}

test('what is changed here is a wish, what others change is none (IG1)', () => {
  const mine = rulesOver('.env\n');
  mine.becomes('', true);
  expect(mine.isWish('.env')).toBe(true);
  const theirs = rulesOver('.env\n');
  theirs.becomes('', false);
  expect(theirs.isWish('.env')).toBe(false);
});

test("a change made here on top of others', before that was judged, does not make theirs a wish (IG1)", () => {
  const { rules, becomes, isWish } = rulesOver('.env\n');
  becomes('', false);
  becomes('*.tmp\n', true);
  expect(isWish('.env')).toBe(false);
  rules.judged('');
  becomes('', true);
  expect(isWish('a.tmp')).toBe(true);
});
