import type { Digest, RelPath } from '@driftless/protocol';
import { describe, expect, it } from 'vitest';
import {
  deletedFilesMax,
  deletionLimitExceeded,
  emptiedFilesMin,
  gitExplains,
  goneFiles,
  rootEmptied,
} from './guards.ts';
import { digestOf, rel } from './test-support/entries.ts';

interface Gone {
  readonly path: RelPath;
  readonly digest: Digest;
}
const files = (count: number, prefix = 'f'): Gone[] =>
  Array.from({ length: count }, (_, index) => ({ path: rel(`${prefix}${index}`), digest: digestOf(`${index}`) }));
const over = deletedFilesMax + 1;

describe('mass deletion', () => {
  const isOver = (vanished: number, filesBefore: number) => deletionLimitExceeded({ vanished, filesBefore });

  it('is many, and more than half', () => expect(isOver(over, over * 2 - 1)).toBe(true));
  it('is not many, but not more than half', () => expect(isOver(over, over * 2)).toBe(false));
  it('is not all of few', () => expect(isOver(deletedFilesMax, deletedFilesMax)).toBe(false));
  it('counts no file that reappears elsewhere, and of equal ones as many as do not', () => {
    const equal = files(5).map(({ path }) => ({ path, digest: digestOf('same') }));
    expect(goneFiles([...equal, ...files(3)], [digestOf('same'), digestOf('1')])).toHaveLength(6);
  });
});

describe('what git explains', () => {
  const vanished = [rel('src/a'), rel('src/b')];
  const repository = (path: string, ...index: string[]) => ({
    path: path as RelPath | '',
    changed: true,
    indexPaths: new Set(index),
  });
  const explains = (...repositories: Parameters<typeof gitExplains>[0]['repositories']): boolean =>
    gitExplains({ repositories, vanished });

  it('paths that the new index does not hold', () => expect(explains(repository('', 'src/c'))).toBe(true));
  it('not a path that it still holds', () => expect(explains(repository('', 'src/a'))).toBe(false));
  it('not below a directory of a sparse index', () => expect(explains(repository('', 'src/'))).toBe(false));
  it('nothing when git did nothing, or the index cannot be read', () => {
    expect(explains({ ...repository(''), changed: false })).toBe(false);
    expect(explains({ ...repository(''), indexPaths: undefined })).toBe(false);
    expect(explains()).toBe(false);
  });
  it('only inside its repository', () => {
    expect(explains(repository('src', 'c'))).toBe(true);
    expect(explains(repository('src', 'a'))).toBe(false);
    expect(explains(repository('sr'))).toBe(false);
  });
  it('by the innermost repository, not by one around it', () => {
    expect(explains(repository(''), { ...repository('src'), changed: false })).toBe(false);
    expect(explains({ ...repository('', 'src/a'), changed: false }, repository('src'))).toBe(true);
  });
  it('all of them, or nothing', () =>
    expect(gitExplains({ repositories: [repository('src')], vanished: [...vanished, rel('other')] })).toBe(false));
});

describe('an emptied root', () => {
  it('stops when there was work in it', () => {
    expect(rootEmptied({ filesBefore: emptiedFilesMin, filesNow: 0 })).toBe(true);
    expect(rootEmptied({ filesBefore: emptiedFilesMin, filesNow: 1 })).toBe(false);
    expect(rootEmptied({ filesBefore: 1, filesNow: 0 })).toBe(false);
    expect(rootEmptied({ filesBefore: 0, filesNow: 0 })).toBe(false);
  });
});
