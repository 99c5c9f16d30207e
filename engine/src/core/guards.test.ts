import type { Digest, RelPath } from '@driftless/protocol';
import { describe, expect, it } from 'vitest';
import {
  burstMs,
  createDeletionGuard,
  deletedFilesMax,
  emptiedFilesMin,
  gitExplains,
  judgeDeletions,
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

describe('a burst', () => {
  const note = { vanished: [] as Gone[], appeared: [] as Gone[] };
  const judgeAt = (guard: ReturnType<typeof createDeletionGuard>, nowMs: number, filesNow: number, git = false) =>
    guard.judge({ filesNow: () => filesNow, nowMs, isHere: () => true, isThere: () => true, explain: () => git });

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
  it('is measured against what was there before it, however many files come meanwhile', () => {
    const guard = createDeletionGuard();
    const newcomers = files(400, 'new').map(({ path }) => ({ path, digest: digestOf(path), isNew: true }));
    guard.note({ ...note, appeared: newcomers.slice(0, 390) }, 0);
    guard.note({ ...note, vanished: files(350) }, 5_000);
    guard.note({ ...note, appeared: newcomers.slice(390) }, 9_000);
    expect(judgeAt(guard, 9_000, 450)).toEqual({ kind: 'held', files: 350, filesBefore: 400 });
  });
  it('counts as there before what came long before it', () => {
    const guard = createDeletionGuard();
    guard.note({ ...note, appeared: files(400, 'new').map((file) => ({ ...file, isNew: true })) }, 0);
    guard.note(
      { ...note, vanished: files(350, 'old').map(({ path }) => ({ path, digest: digestOf(path) })) },
      burstMs + 1,
    );
    expect(judgeAt(guard, burstMs + 1, 450)).toEqual({ kind: 'ok' });
  });
  it('is measured against the last rest: what was there then may have come just before', () => {
    const guard = createDeletionGuard();
    const asNew = (file: Gone) => ({ ...file, isNew: true });
    guard.note({ ...note, appeared: files(400).map(asNew) }, 0);
    guard.rested();
    guard.note(
      { ...note, appeared: files(400, 'new').map(({ path }) => asNew({ path, digest: digestOf(path) })) },
      1_000,
    );
    guard.note({ ...note, vanished: files(350) }, 1_100);
    expect(judgeAt(guard, 1_100, 450)).toEqual({ kind: 'held', files: 350, filesBefore: 400 });
  });
  it('of many new files some may go again', () => {
    const guard = createDeletionGuard();
    const unpacked = files(over * 10).map((file) => ({ ...file, isNew: true }));
    guard.note({ ...note, appeared: unpacked }, 0);
    guard.note({ ...note, vanished: unpacked.slice(0, over) }, 100);
    expect(judgeAt(guard, 100, over * 9)).toEqual({ kind: 'ok' });
  });
  it('a folder that came just now is a folder to lose', () => {
    const guard = createDeletionGuard();
    const shared = files(400).map((file) => ({ ...file, isNew: true }));
    guard.note({ ...note, appeared: shared }, 0);
    guard.note({ ...note, vanished: shared.slice(0, 350) }, 100);
    expect(judgeAt(guard, 100, 50)).toEqual({ kind: 'held', files: 350, filesBefore: 400 });
  });
  it('does not count a file that only came in it', () => {
    const guard = createDeletionGuard();
    guard.note({ ...note, vanished: files(1, 'old') }, 0);
    guard.note({ ...note, appeared: files(over).map((file) => ({ ...file, isNew: true })) }, 50);
    guard.note({ ...note, vanished: files(over) }, 100);
    expect(judgeAt(guard, 100, 0)).toEqual({ kind: 'ok' });
    expect(guard.vanishedPaths(100)).toHaveLength(1);
  });
  const asNewOnes = (gone: readonly Gone[]) => gone.map((file) => ({ ...file, isNew: true }));
  it('counts what was moved in it, and lasts while that goes', () => {
    const guard = createDeletionGuard();
    guard.note({ ...note, vanished: files(1, 'stale') }, 0);
    guard.note({ vanished: files(over, 'old/'), appeared: asNewOnes(files(over, 'moved/')) }, 100);
    expect(judgeAt(guard, 100, over + 10)).toEqual({ kind: 'ok' });
    const last = burstMs - 1;
    guard.note({ ...note, vanished: files(over, 'moved/') }, last);
    const gone = new Set(files(over, 'moved/').map(({ path }) => path));
    expect([...guard.vanishedPaths(last)].filter((path) => gone.has(path))).toHaveLength(over);
    const judged = (nowMs: number) =>
      guard.judge({
        filesNow: () => 10,
        nowMs,
        isHere: (path) => !gone.has(path),
        isThere: (path) => !gone.has(path),
        explain: () => false,
      });
    expect(judged(last + burstMs)).toEqual({ kind: 'held', files: over + 1, filesBefore: over + 11 });
    // Each is one of the others, and comes back once.
    expect(guard.movedPaths(last, (path) => !gone.has(path))).toEqual(gone);
  });
  it('is not prolonged by a program that makes and removes equal files, at one path or at many', () => {
    const guard = createDeletionGuard();
    const [old] = files(1, 'old');
    const [pid] = files(1, 'pid');
    if (old === undefined || pid === undefined) throw new Error('no files');
    guard.note({ ...note, vanished: files(2, 'first') }, 0);
    guard.note({ ...note, appeared: asNewOnes([pid]) }, 10);
    guard.note({ ...note, vanished: [old] }, 20);
    for (let ms = 1_000; ms <= burstMs * 2; ms += 1_000) {
      guard.note({ ...note, vanished: [pid, { ...pid, path: rel(`tmp${ms - 1_000}`) }] }, ms);
      guard.note({ ...note, appeared: asNewOnes([pid, { ...pid, path: rel(`tmp${ms}`) }]) }, ms + 500);
    }
    expect(guard.vanishedPaths(burstMs * 2 + 500)).not.toContain(old.path);
  });
  it('takes a file for as old as it was under its old name', () => {
    const guard = createDeletionGuard();
    const born = asNewOnes(files(over, 'new/'));
    guard.note({ ...note, vanished: files(1, 'stale') }, 0);
    guard.note({ ...note, appeared: born }, 50);
    const movedTo = (path: RelPath) => {
      const known = born.find((file) => file.path === path);
      return known === undefined ? undefined : { path: rel(path.replace('new/', 'newer/')), digest: known.digest };
    };
    guard.note({ ...note, movedTo }, 100);
    guard.note({ ...note, vanished: files(over, 'newer/') }, 200);
    expect(guard.vanishedPaths(200)).toEqual(['stale0']);
  });
  it('does not count what only seemed to go, and was renamed', () => {
    const guard = createDeletionGuard();
    const gone = files(over, 'old/');
    guard.note({ ...note, vanished: gone }, 0);
    expect(judgeAt(guard, 0, 10).kind).toBe('held');
    const digestAt = new Map(gone.map(({ path, digest }) => [path, digest]));
    const movedTo = (path: RelPath) => {
      const digest = digestAt.get(path);
      return digest === undefined ? undefined : { path: rel(path.replace('old/', 'new/')), digest };
    };
    guard.note({ ...note, movedTo }, 100);
    expect(guard.vanishedPaths(100)).toEqual([]);
  });
  it('is not measured again once somebody was asked: it waits until all of it is back', () => {
    const guard = createDeletionGuard();
    guard.note({ ...note, vanished: files(over) }, 0);
    guard.asked({ filesBefore: over + 10 });
    expect(judgeAt(guard, burstMs * 9, over * 9)).toEqual({ kind: 'held', files: over, filesBefore: over + 10 });
    guard.note({ ...note, appeared: files(over - 1) }, burstMs * 10);
    expect(judgeAt(guard, burstMs * 20, over * 9)).toEqual({ kind: 'held', files: 1, filesBefore: over + 10 });
    guard.note({ ...note, appeared: files(over) }, burstMs * 20);
    expect(judgeAt(guard, burstMs * 20, over * 9)).toEqual({ kind: 'ok' });
  });
  it('that an earlier run asked about is what that run saw', () => {
    const guard = createDeletionGuard();
    guard.note({ ...note, vanished: files(3) }, 0);
    guard.asked({ filesBefore: 300, wentEarlier: 247 });
    expect(judgeAt(guard, burstMs * 9, 9_000)).toEqual({ kind: 'held', files: 250, filesBefore: 300 });
    guard.keep(false);
    expect(judgeAt(guard, burstMs * 9, 9_000)).toEqual({ kind: 'ok' });
  });
  it('asks git only above the limit', () => {
    const guard = createDeletionGuard();
    guard.note({ ...note, vanished: files(over) }, 0);
    expect(judgeAt(guard, 1, 0, true).kind).toBe('git');
    guard.clear();
    expect(judgeAt(guard, 2, 0)).toEqual({ kind: 'ok' });
  });
});
