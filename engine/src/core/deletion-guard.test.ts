import type { Digest, RelPath } from '@driftless/protocol';
import { describe, expect, it } from 'vitest';
import { createDeletionGuard, type FileMove } from './deletion-guard.ts';
import { burstMs, deletedFilesMax } from './guards.ts';
import { digestOf, rel } from './test-support/entries.ts';

interface Gone {
  readonly path: RelPath;
  readonly digest: Digest;
}
const files = (count: number, prefix = 'f'): Gone[] =>
  Array.from({ length: count }, (_, index) => ({ path: rel(`${prefix}${index}`), digest: digestOf(`${index}`) }));
const moveOf = ({ path, digest }: Gone, from: string, to: string): FileMove => ({
  fromPath: path,
  to: { path: rel(path.replace(from, to)), digest },
  goesAlong: false,
});
const over = deletedFilesMax + 1;

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
    guard.rested(0);
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
    const isThere = (path: RelPath) => !gone.has(path);
    expect(guard.explained(last, isThere)).toEqual(new Set());
    const oldNames = guard.oldNames(last, { isThere, mayStandFor: () => true });
    expect([...oldNames]).toEqual([...gone].map((path) => [path, path.replace('moved/', 'old/')]));
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
  it.each([
    ['in one look', 0],
    ['in two, as its new name is seen first', 60],
  ])('is not prolonged by one that is renamed again and again, seen %s', (_seen, laterMs) => {
    const guard = createDeletionGuard();
    const beat = (turn: number): Gone => ({ path: rel(`beat.${turn}`), digest: digestOf('') });
    const rotate = (turn: number, atMs: number): void => {
      if (laterMs === 0) return guard.note({ vanished: [beat(turn)], appeared: asNewOnes([beat(turn + 1)]) }, atMs);
      guard.note({ ...note, appeared: asNewOnes([beat(turn + 1)]) }, atMs);
      guard.note({ ...note, vanished: [beat(turn)] }, atMs + laterMs);
    };
    guard.note({ ...note, vanished: files(2, 'first') }, 0);
    for (let turn = 0; turn < 30; turn += 1) rotate(turn, turn * 1_000);
    expect(guard.vanishedPaths(30_000).length).toBeLessThan(4);
  });
  it('that goes on all day takes the guard away from nothing that was made meanwhile', () => {
    const guard = createDeletionGuard();
    const hour = 3_600_000;
    const made = asNewOnes(files(over, 'work/'));
    for (let ms = 0; ms <= hour; ms += 5_000) {
      guard.note({ ...note, vanished: [{ path: rel(`log/${ms}`), digest: digestOf(`log ${ms}`) }] }, ms);
      if (ms === hour / 2) guard.note({ ...note, appeared: made }, ms);
    }
    guard.note({ ...note, vanished: files(over, 'work/') }, hour + 1_000);
    expect(judgeAt(guard, hour + 1_000, 10).kind).toBe('held');
    expect(guard.vanishedPaths(hour + 1_000)).toContain('work/0');
  });
  it('is none where a program keeps the last ten of its files', () => {
    const guard = createDeletionGuard();
    const segment = (turn: number): Gone => ({ path: rel(`seg${turn}`), digest: digestOf(`seg ${turn}`) });
    for (let turn = 0; turn < 2_000; turn += 1) {
      const ms = turn * 6_000;
      guard.note({ ...note, appeared: asNewOnes([segment(turn)]) }, ms);
      guard.rested(ms);
      if (turn >= 10) guard.note({ ...note, vanished: [segment(turn - 10)] }, ms + 50);
      expect(judgeAt(guard, ms + 50, 160)).toEqual({ kind: 'ok' });
    }
    expect(guard.vanishedPaths(2_000 * 6_000).length).toBeLessThan(110);
  });
  it('is not prolonged by what is noted again, because it cannot be carried out yet', () => {
    const guard = createDeletionGuard();
    for (let ms = 0; ms < burstMs * 3; ms += 1_000)
      guard.note({ ...note, vanished: [...files(1, 'waits'), ...(ms === 0 ? files(1, 'first') : [])] }, ms);
    expect(guard.vanishedPaths(burstMs * 3)).not.toContain('first0');
  });
  it('takes a file for as old as it was under its old name', () => {
    const guard = createDeletionGuard();
    const born = asNewOnes(files(over, 'new/'));
    guard.note({ ...note, vanished: files(1, 'stale') }, 0);
    guard.note({ ...note, appeared: born }, 50);
    guard.note({ ...note, moved: born.map((file) => moveOf(file, 'new/', 'newer/')) }, 100);
    guard.note({ ...note, vanished: files(over, 'newer/') }, 200);
    expect(guard.vanishedPaths(200)).toEqual(['stale0']);
  });
  it('does not count what only seemed to go, and was renamed', () => {
    const guard = createDeletionGuard();
    const gone = files(over, 'old/');
    guard.note({ ...note, vanished: gone }, 0);
    expect(judgeAt(guard, 0, 10).kind).toBe('held');
    guard.note({ ...note, moved: gone.map((file) => moveOf(file, 'old/', 'new/')) }, 100);
    expect(guard.vanishedPaths(100)).toEqual([]);
  });
  it('counts what is deleted on the other side, and only goes along with a directory', () => {
    const guard = createDeletionGuard();
    const gone = files(over, 'old/');
    guard.note({ ...note, vanished: gone }, 0);
    const moved = gone.map((file) => ({ ...moveOf(file, 'old/', 'new/'), goesAlong: true }));
    guard.note({ ...note, moved }, 100);
    expect(guard.vanishedPaths(100)).toHaveLength(over);
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
