import { describe, expect, it } from 'vitest';
import { isAlwaysIgnoredName, isBelowAlwaysIgnored } from './always-ignored.ts';

describe('names that never take part', () => {
  it.each([
    ['.git', 'itself'],
    ['_darcs', 'itself'],
    ['.driftless', 'ours'],
    ['.GIT', 'disks that fold case'],
    ['.git.', 'Windows drops it'],
    ['.git . .', 'Windows drops all of it'],
    ['.git::$INDEX_ALLOCATION', 'NTFS: the directory itself'],
    ['.git::$DATA', 'NTFS: the file itself'],
    ['.git. :config', 'NTFS: the name ends before the stream'],
    ['.git:a\nb', 'a stream may be named anything'],
    ['GIT~1', 'NTFS, FAT: the short name'],
    ['git~1.', 'and dropped'],
    ['DRIFTL~1', 'the short name of a longer one'],
    ['GI7D29~1', 'the short name of the fifth'],
    ['.g\u200cit', 'HFS+ does not see it'],
    ['.git\ufeff', 'nor this'],
    ['.gi\u034ft', 'ext4 that folds case does not see it'],
    ['.g\u0131t', 'a large one is I, whose small one is i'],
    ['.driftle\u00df', 'ext4 folds one to two'],
    ['.driftle\u1e9e', 'and the large one'],
    ['.drif\uff54less', 'a disk that normalises by compatibility'],
    ['.\u017fvn', 'an old s'],
  ])('%j: %s', (name) => expect(isAlwaysIgnoredName(name)).toBe(true));

  it.each([
    '.gitignore',
    '.gitattributes',
    '.github',
    '.git-crypt',
    '.git~',
    '.git.bak',
    'git',
    'git~',
    'git.~1~',
    'main.c.~1~',
    '.driftlessignore',
    '.driftless-stage-x',
    'DRIFT~1',
    ' .git',
    '...',
    '\u200b',
    'darcs',
    'gi~1',
  ])('%j takes part', (name) => expect(isAlwaysIgnoredName(name)).toBe(false));

  it('at any place on the way', () => {
    for (const path of ['.git', 'a/.git', 'a/.git/hooks/x', '.DRIFTLESS/trash/x', 'a/b/GIT~1'])
      expect([path, isBelowAlwaysIgnored(path)]).toEqual([path, true]);
    for (const path of ['a', 'a/b', '.github/workflows/x.yml'])
      expect([path, isBelowAlwaysIgnored(path)]).toEqual([path, false]);
  });
});
