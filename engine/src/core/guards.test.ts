import type { Digest, RelPath } from '@driftless/protocol';
import { describe, expect, it } from 'vitest';
import {
  burstMs,
  createDeletionGuard,
  deletedFilesMax,
  emptiedFilesMin,
  gitExplains,
  judgeDeletions,
  judgeIncomingDeletions,
  rootEmptied,
} from './guards.ts';
import { digestOf, rel } from './test-support/entries.ts';

interface Gone {
  readonly path: RelPath;
  readonly digest: Digest;
}
const files = (count: number, prefix = 'f'): Gone[] =>
  Array.from({ length: count }, (_, index) => ({ path: rel(`${prefix}${index}`), digest: digestOf(`${index}`) }));
const digests = (gone: readonly Gone[]): Digest[] => gone.map(({ digest }) => digest);
const over = deletedFilesMax + 1;

describe('mass deletion', () => {
  const judge = (vanished: readonly Gone[], filesBefore: number, reappeared: readonly Digest[] = [], git = false) =>
    judgeDeletions({ filesBefore, vanished, reappearedDigests: reappeared, gitExplains: git }).kind;

  it('many, and more than half, are held', () => expect(judge(files(over), over * 2 - 1)).toBe('held'));
  it('many, but not more than half, go', () => expect(judge(files(over), over * 2)).toBe('ok'));
  it('all of few go', () => expect(judge(files(deletedFilesMax), deletedFilesMax)).toBe('ok'));
  it('what git explains goes, and says so', () => expect(judge(files(over), over, [], true)).toBe('git'));
  it('files that reappear elsewhere do not count', () =>
    expect(judge(files(over), over, digests(files(1)))).toBe('ok'));
  it('one that reappears makes up for one, however many were equal', () => {
    const equal = files(over + 5).map(({ path }) => ({ path, digest: digestOf('same') }));
    expect(judge(equal, over + 5, [digestOf('same')])).toBe('held');
  });

  it('an incoming record that does not say how it was confirmed is held', () => {
    const record = { filesBefore: over, vanishedDigests: digests(files(over)), reappearedDigests: [] };
    expect(judgeIncomingDeletions({ ...record, massDeletion: 'none' }).kind).toBe('held');
    expect(judgeIncomingDeletions({ ...record, massDeletion: 'confirmed' }).kind).toBe('ok');
    expect(judgeIncomingDeletions({ ...record, massDeletion: 'git' }).kind).toBe('ok');
  });
});

describe('what git explains', () => {
  const vanished = [rel('src/a'), rel('src/b')];
  const facts = { gitChanged: true, repository: '' as const, vanished };
  it('paths that the new index does not hold', () =>
    expect(gitExplains({ ...facts, indexPaths: new Set(['src/c']) })).toBe(true));
  it('not a path that it still holds', () =>
    expect(gitExplains({ ...facts, indexPaths: new Set(['src/a']) })).toBe(false));
  it('not below a directory of a sparse index', () =>
    expect(gitExplains({ ...facts, indexPaths: new Set(['src/']) })).toBe(false));
  it('nothing when git did nothing, or the index cannot be read', () => {
    expect(gitExplains({ ...facts, gitChanged: false, indexPaths: new Set() })).toBe(false);
    expect(gitExplains({ ...facts, indexPaths: undefined })).toBe(false);
  });
  it('only inside its repository', () => {
    expect(gitExplains({ ...facts, repository: rel('src'), indexPaths: new Set(['c']) })).toBe(true);
    expect(gitExplains({ ...facts, repository: rel('sr'), indexPaths: new Set() })).toBe(false);
  });
});

describe('an emptied root', () => {
  it('stops when there was work in it', () => {
    expect(rootEmptied({ filesBefore: emptiedFilesMin, filesNow: 0 })).toBe(true);
    expect(rootEmptied({ filesBefore: emptiedFilesMin, filesNow: 1 })).toBe(false);
    expect(rootEmptied({ filesBefore: 1, filesNow: 0 })).toBe(false);
    expect(rootEmptied({ filesBefore: 0, filesNow: 0 })).toBe(false);
  });
});

describe('a burst', () => {
  const note = { vanished: [] as Gone[], appeared: [] as Gone[], gitChanged: false };
  const judgeAt = (guard: ReturnType<typeof createDeletionGuard>, nowMs: number, filesNow: number, git = false) =>
    guard.judge({ filesNow, nowMs, explain: () => git });

  it('a slow deletion is one burst while it goes on', () => {
    const guard = createDeletionGuard();
    const gone = files(over);
    gone.forEach((file, index) => {
      guard.note({ ...note, vanished: [file] }, index * 50);
    });
    expect(judgeAt(guard, over * 50, 10)).toEqual({ kind: 'held', files: over, filesBefore: over + 10 });
    expect(guard.vanishedPaths(over * 50)).toHaveLength(over);
  });
  it('is over after a pause', () => {
    const guard = createDeletionGuard();
    guard.note({ ...note, vanished: files(150, 'a') }, 0);
    guard.note({ ...note, vanished: files(150, 'b') }, burstMs + 1);
    expect(judgeAt(guard, burstMs + 1, 10).kind).toBe('ok');
  });
  it('files that come back, at their path or another, do not count', () => {
    const guard = createDeletionGuard();
    guard.note({ ...note, vanished: files(over) }, 0);
    guard.note({ ...note, appeared: files(over) }, 10);
    expect(judgeAt(guard, 20, over).kind).toBe('ok');
    guard.note({ ...note, vanished: files(over), appeared: files(over, 'moved/') }, 30);
    expect(judgeAt(guard, 40, over).kind).toBe('ok');
  });
  it('asks git only above the limit', () => {
    const guard = createDeletionGuard();
    guard.note({ ...note, vanished: files(over), gitChanged: true }, 0);
    expect(guard.gitChanged(1)).toBe(true);
    expect(judgeAt(guard, 1, 0, true).kind).toBe('git');
    guard.clear();
    expect(judgeAt(guard, 2, 0)).toEqual({ kind: 'ok' });
    expect(guard.gitChanged(2)).toBe(false);
  });
});
