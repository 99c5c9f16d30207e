/**
 * Guards against deletions that nobody meant (rule LOG6; D3, D4, D6, F20). They only judge; the loop holds,
 * asks and publishes. Time is given by the caller, from a monotonic clock.
 */
import type { Digest, RelPath } from '@driftless/protocol';

/** A burst: deletions this close together are one act. */
export const burstMs = 10_000;
/** Deleting up to this many files is everyday work; more, and more than half of all, is asked about. */
export const deletedFilesMax = 200;
/**
 * A folder with fewer files that lost all of them at once, marker and identity intact, was emptied by its user; with as many
 * or more, stopping costs one confirmation, and not stopping may cost the work of all peers.
 */
export const emptiedFilesMin = 10;
/**
 * New files that a burst remembers. Of what is gone nothing is forgotten: each of it counts. A forgotten newcomer is no longer
 * found to have been moved, so that more is asked about, never less.
 */
const burstPathsMax = 500_000;

export type DeletionVerdict =
  | { readonly kind: 'ok' }
  /** Above the limit, and git did it: goes out as massDeletion 'git'. */
  | { readonly kind: 'git' }
  /** Above the limit: held until confirmed. `files` of `filesBefore` are gone. */
  | { readonly kind: 'held'; readonly files: number; readonly filesBefore: number };

export interface DeletionFacts {
  /** Files in scope before the burst. */
  readonly filesBefore: number;
  /** Files that went in the same burst, of which nothing more is known. */
  readonly wentEarlier?: number;
  /** Files that are gone, each with its last content. */
  readonly vanished: readonly { readonly path: RelPath; readonly digest: Digest }[];
  /** Contents of files that appeared meanwhile; one content counts as often as it appeared. */
  readonly reappearedDigests: readonly Digest[];
  readonly gitExplains: boolean;
}

/** Pure: the rule itself. Files that reappear under another path do not count. */
export function judgeDeletions({
  filesBefore,
  wentEarlier = 0,
  vanished,
  reappearedDigests,
  gitExplains,
}: DeletionFacts): DeletionVerdict {
  const files = goneFiles(vanished, reappearedDigests).length + wentEarlier;
  if (!deletionLimitExceeded({ vanished: files, filesBefore })) return { kind: 'ok' };
  return gitExplains ? { kind: 'git' } : { kind: 'held', files, filesBefore };
}

/** More than deletedFilesMax, and more than half of all. `vanished`: files that did not reappear. */
export function deletionLimitExceeded(facts: { readonly vanished: number; readonly filesBefore: number }): boolean {
  return facts.vanished > deletedFilesMax && facts.vanished * 2 > facts.filesBefore;
}

export interface GitRepository {
  /** Where its work tree lies inside the root: '' or a path. */
  readonly path: RelPath | '';
  /** Its HEAD or index changed in the same burst. */
  readonly changed: boolean;
  /** undefined: the index could not be read, nothing is explained. */
  readonly indexPaths: ReadonlySet<string> | undefined;
}

/**
 * Whether git did it: each vanished path lies in a repository whose HEAD or index changed in the same burst, and is not in
 * that one's new index. A path belongs to the innermost repository around it.
 */
export function gitExplains(facts: {
  readonly repositories: readonly GitRepository[];
  readonly vanished: readonly RelPath[];
}): boolean {
  const byPath = new Map<string, GitRepository>(facts.repositories.map((repository) => [repository.path, repository]));
  return facts.vanished.every((path) => {
    const repository = byPath.get(repositoryOf(path, byPath) ?? '');
    if (repository === undefined || !repository.changed || repository.indexPaths === undefined) return false;
    const inside = repository.path === '' ? path : path.slice(repository.path.length + 1);
    return !isInIndex(inside, repository.indexPaths);
  });
}

/** The innermost of these work trees that a path lies in, or undefined. */
export function repositoryOf(
  path: RelPath,
  repositories: { has(path: RelPath | ''): boolean },
): RelPath | '' | undefined {
  for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
    const directory = path.slice(0, slash) as RelPath;
    if (repositories.has(directory)) return directory;
  }
  return repositories.has('') ? '' : undefined;
}

/** A sparse index holds a directory, with a slash at its end, for all that is below. */
function isInIndex(path: string, indexPaths: ReadonlySet<string>): boolean {
  if (indexPaths.has(path)) return true;
  for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
    if (indexPaths.has(path.slice(0, slash + 1))) return true;
  }
  return false;
}

/**
 * All files went at once, and not by a record that this peer applied: a folder that is empty where there was work is more
 * often a lost mount or a slip than a wish. Whether the root is still the linked one (marker, identity) is judged elsewhere.
 */
export function rootEmptied(facts: { readonly filesBefore: number; readonly filesNow: number }): boolean {
  return facts.filesNow === 0 && facts.filesBefore >= emptiedFilesMin;
}

// ── the burst ────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface FileFact {
  readonly path: RelPath;
  readonly digest: Digest;
  /** Of one that appeared: nothing was agreed on at this path before. */
  readonly isNew?: boolean;
}

export interface ScanOutcome {
  readonly vanished: readonly FileFact[];
  /** Files that were not there before, or have another content. */
  readonly appeared: readonly FileFact[];
  /** Where a file is that was renamed, or whose directory was; undefined: nobody moved it. */
  readonly movedTo?: ((path: RelPath) => FileFact | undefined) | undefined;
}

export interface DeletionGuard {
  /** Takes in what one scan, or one step of it, saw. */
  note(outcome: ScanOutcome, nowMs: number): void;
  /**
   * What the burst amounts to. `filesNow`: agreed files in scope that exist, asked when it matters; `isHere`: whether a path is one
   * of them; `isThere`: whether what appeared at a path is there still, agreed on or not.
   */
  judge(facts: {
    readonly filesNow: () => number;
    readonly nowMs: number;
    readonly isHere: (path: RelPath) => boolean;
    readonly isThere: (path: RelPath) => boolean;
    readonly explain: (vanished: readonly RelPath[]) => boolean;
  }): DeletionVerdict;
  /** Nothing is left to do: what appeared until now is a part of the folder that a later burst shrinks. */
  rested(): void;
  /** Paths that are gone in the burst, also those to which some of it was moved: what is held back, or confirmed. */
  vanishedPaths(nowMs: number): readonly RelPath[];
  /** From when on what went belongs to the burst: some of it, such as links, goes before its first file. */
  sinceMs(nowMs: number): number;
  /** Those of them whose contents came again under other paths, and are there still: they are no loss. */
  movedPaths(nowMs: number, isThere: (path: RelPath) => boolean): ReadonlySet<RelPath>;
  /** While it is held, a burst does not end by itself: its rest would be too small to be asked about. */
  keep(isKept: boolean): void;
  isKept(): boolean;
  /**
   * Somebody was asked about the burst, in this run or an earlier one: it is kept, and no longer measured. It waits for an answer,
   * or for its files, however much else comes or returns meanwhile. `wentEarlier`: of its files, those that an earlier run saw go.
   */
  asked(facts: { readonly filesBefore: number; readonly wentEarlier?: number }): void;
  /** The user confirmed, or the files came back: the burst is over. */
  clear(): void;
}

/**
 * Counts deletions over a window that lasts until burstMs passed without another one, so that slow `rm -r` is one burst.
 * Appearances count as moves from `reappearedMs` before: a program that copies first and deletes afterwards moved its files.
 *
 * The burst is measured against what was there before it. What came a moment earlier may belong to the same act, so that it is
 * measured against several moments: its beginning, burstMs before that, and each rest between the two; the worst counts. A
 * file that came in the burst is neither a part of the folder that shrank nor, when it goes again, a loss. What was moved in it is
 * lost with its new place, and counts as the file that it was.
 */
export function createDeletionGuard({
  reappearedMs = burstMs,
}: {
  readonly reappearedMs?: number;
} = {}): DeletionGuard {
  /** `bornIn`: the rest after which it was new, when it was new a moment before the burst; else null. */
  const vanished = new Map<RelPath, { readonly digest: Digest; readonly bornIn: number | null }>();
  const appeared = new Map<RelPath, Appearance>();
  /** When each content was last seen to go. */
  const contentGoneMs = new Map<Digest, number>();
  /** Files that came in the burst before the same content went elsewhere, and went as well: old ones that had been moved. */
  const goneFurther = new Set<RelPath>();
  let firstVanishedMs = Number.POSITIVE_INFINITY;
  let lastVanishedMs = Number.NEGATIVE_INFINITY;
  let rests = 0;
  let hasAppearedSinceRest = false;
  let isKept = false;
  /** How many files there were before the burst that somebody was asked about; null: nobody was. */
  let filesAskedOf: number | null = null;
  let wentEarlier = 0;

  const endBurst = (): void => {
    vanished.clear();
    contentGoneMs.clear();
    goneFurther.clear();
    wentEarlier = 0;
    firstVanishedMs = Number.POSITIVE_INFINITY;
    lastVanishedMs = Number.NEGATIVE_INFINITY;
  };
  const clear = (): void => {
    endBurst();
    appeared.clear();
  };
  /** Forgets what is over. Maps keep insertion order, which is the order of time. */
  const expire = (nowMs: number): void => {
    if (isKept || nowMs - lastVanishedMs <= burstMs) return;
    endBurst();
    for (const [path, { atMs }] of appeared) {
      if (nowMs - atMs <= Math.max(burstMs, reappearedMs)) break;
      appeared.delete(path);
    }
  };
  const isInBurst = (known: Appearance): boolean => known.isNew && known.sinceMs >= firstVanishedMs;
  const isRecent = (known: Appearance): boolean => known.isNew && known.atMs >= firstVanishedMs - burstMs;

  function noteVanished({ path, digest }: FileFact, nowMs: number): void {
    const known = appeared.get(path);
    const isNewcomer = known !== undefined && isInBurst(known);
    if (isNewcomer && !wasMoved(path, digest, known)) return;
    firstVanishedMs = Math.min(firstVanishedMs, nowMs);
    lastVanishedMs = nowMs;
    contentGoneMs.set(digest, nowMs);
    if (isNewcomer) {
      // It is counted under its old name, and no longer explained by this one.
      goneFurther.add(path);
      return;
    }
    const before = vanished.get(path);
    const bornIn = known !== undefined && isRecent(known) ? known.bornIn : null;
    appeared.delete(path);
    vanished.set(path, { digest, bornIn: before === undefined ? bornIn : before.bornIn });
  }

  /** A program that makes and removes equal files makes each after the last one went. Nothing is added to what somebody reads. */
  const wasMoved = (path: RelPath, digest: Digest, { sinceMs }: Appearance): boolean =>
    goneFurther.has(path) ||
    (filesAskedOf === null && sinceMs <= (contentGoneMs.get(digest) ?? Number.NEGATIVE_INFINITY));

  /** A file is as old as it was under its old name; and what seemed to go from there did not. */
  function noteMoved(movedTo: NonNullable<ScanOutcome['movedTo']>, nowMs: number): void {
    for (const [path, known] of [...appeared]) {
      const to = movedTo(path);
      if (to === undefined) continue;
      appeared.delete(path);
      appeared.set(to.path, { ...known, digest: to.digest, atMs: nowMs });
    }
    for (const [path, { digest }] of vanished) if (movedTo(path)?.digest === digest) vanished.delete(path);
  }

  function noteAppeared({ path, digest, isNew = false }: FileFact, nowMs: number): void {
    const wasHere = vanished.delete(path);
    const known = appeared.get(path) ?? { isNew: isNew && !wasHere, sinceMs: nowMs, bornIn: rests };
    const sinceMs = goneFurther.delete(path) ? nowMs : known.sinceMs;
    hasAppearedSinceRest = true;
    appeared.delete(path);
    appeared.set(path, { ...known, digest, sinceMs, atMs: nowMs });
  }

  /** The moments that the burst is measured against: the files that were there then, and which of them are gone. */
  function moments(filesNow: number, isHere: (path: RelPath) => boolean) {
    const bornHere = new Map<number, number>();
    let oldHere = filesNow;
    for (const [path, known] of appeared) {
      if (!(isInBurst(known) || isRecent(known)) || !isHere(path)) continue;
      oldHere -= 1;
      if (!isInBurst(known)) bornHere.set(known.bornIn, (bornHere.get(known.bornIn) ?? 0) + 1);
    }
    const gone = [...vanished].map(([path, fact]) => ({ path, ...fact }));
    const births = new Set([...bornHere.keys(), ...gone.flatMap(({ bornIn }) => bornIn ?? [])]);
    return [null, ...[...births].sort((a, b) => a - b)].map((until) => {
      const wasThere = (bornIn: number | null): boolean => bornIn === null || (until !== null && bornIn <= until);
      let here = oldHere;
      for (const [bornIn, count] of bornHere) if (wasThere(bornIn)) here += count;
      const goneThen = gone.filter(({ bornIn }) => wasThere(bornIn));
      return { vanished: goneThen, wentEarlier, filesBefore: here + goneThen.length + wentEarlier };
    });
  }

  /** What came again may have gone again, or further: then it explains nothing. */
  function reappeared(isThere: (path: RelPath) => boolean): readonly Digest[] {
    const wanted = new Set([...vanished.values()].map(({ digest }) => digest));
    return [...appeared].flatMap(([path, { digest }]) => (wanted.has(digest) && isThere(path) ? [digest] : []));
  }

  function stillAsked(filesBefore: number, isThere: (path: RelPath) => boolean): DeletionVerdict {
    const goneNow = goneFiles(vanished.values(), reappeared(isThere)).length;
    const files = goneNow + wentEarlier;
    return goneNow === 0 ? { kind: 'ok' } : { kind: 'held', files, filesBefore: Math.max(filesBefore, files) };
  }

  return {
    note(outcome, nowMs) {
      expire(nowMs);
      if (outcome.movedTo !== undefined) noteMoved(outcome.movedTo, nowMs);
      for (const fact of outcome.vanished) noteVanished(fact, nowMs);
      for (const fact of outcome.appeared) noteAppeared(fact, nowMs);
      forgetOldest(appeared);
      forgetOldest(goneFurther);
    },
    judge({ filesNow, nowMs, isHere, isThere, explain }) {
      expire(nowMs);
      if (filesAskedOf !== null) return stillAsked(filesAskedOf, isThere);
      // Looked into only where it can matter.
      if (vanished.size + wentEarlier <= deletedFilesMax) return { kind: 'ok' };
      const reappearedDigests = reappeared(isThere);
      let worst: DeletionVerdict = { kind: 'ok' };
      for (const moment of moments(filesNow(), isHere)) {
        const verdict = judgeDeletions({ ...moment, reappearedDigests, gitExplains: false });
        if (verdict.kind === 'held' && (worst.kind !== 'held' || verdict.files > worst.files)) worst = verdict;
      }
      return worst.kind === 'held' && explain([...vanished.keys()]) ? { kind: 'git' } : worst;
    },
    rested() {
      if (hasAppearedSinceRest) rests += 1;
      hasAppearedSinceRest = false;
    },
    vanishedPaths(nowMs) {
      expire(nowMs);
      return [...vanished.keys(), ...goneFurther];
    },
    sinceMs(nowMs) {
      expire(nowMs);
      return Math.min(firstVanishedMs, nowMs) - burstMs;
    },
    movedPaths(nowMs, isThere) {
      expire(nowMs);
      // Each of these is one of the others, which comes back under the name that it had before the burst.
      const moved = new Set([...vanished.keys(), ...goneFurther]);
      const gone = [...vanished].map(([path, { digest }]) => ({ path, digest }));
      for (const { path } of goneFiles(gone, reappeared(isThere))) moved.delete(path);
      return moved;
    },
    keep: (kept) => {
      isKept = kept;
      if (!kept) filesAskedOf = null;
    },
    isKept: () => isKept,
    asked: (facts) => {
      isKept = true;
      filesAskedOf = facts.filesBefore;
      wentEarlier = facts.wentEarlier ?? wentEarlier;
    },
    clear,
  };
}

interface Appearance {
  readonly digest: Digest;
  /** Nothing was agreed on at its path when it was first seen. */
  readonly isNew: boolean;
  readonly sinceMs: number;
  /** As last seen: a file that is still being sent goes on appearing. */
  readonly atMs: number;
  /** How many rests there were before it. */
  readonly bornIn: number;
}

function forgetOldest(paths: Map<RelPath, unknown> | Set<RelPath>): void {
  for (const path of paths.keys()) {
    if (paths.size <= burstPathsMax) return;
    paths.delete(path);
  }
}

/** Those whose content did not come again under another path. */
export function goneFiles<File extends { readonly digest: Digest }>(
  vanished: Iterable<File>,
  reappeared: Iterable<Digest>,
): readonly File[] {
  const available = new Map<Digest, number>();
  for (const digest of reappeared) available.set(digest, (available.get(digest) ?? 0) + 1);
  const gone: File[] = [];
  for (const file of vanished) {
    const count = available.get(file.digest) ?? 0;
    if (count === 0) gone.push(file);
    else available.set(file.digest, count - 1);
  }
  return gone;
}
