/**
 * Which deletions are one act: a burst, and what it is measured against (rule LOG6; D6). Time is given by the caller, from a
 * monotonic clock.
 *
 * Leaves to others how much is too much (guards.ts), and what is held back then (deletion-hold.ts).
 */
import type { Digest, RelPath } from '@driftless/protocol';
import { type Measured, type Stay, worstMoment } from './deletion-measure.ts';
import { burstMs, type DeletionVerdict, deletedFilesMax, goneFiles } from './guards.ts';
import { pairTwins } from './twins.ts';

/** New files that a burst remembers. A forgotten newcomer is no longer found to have been moved, so that more is asked about, never less. */
const burstPathsMax = 500_000;
/** Nobody is asked about what went longer ago than this, however long a program goes on deleting. */
const reachMs = 10 * 60_000;
const restsMax = 10_000;

export interface FileFact {
  readonly path: RelPath;
  readonly digest: Digest;
  /** Of one that appeared: nothing was agreed on at this path before. */
  readonly isNew?: boolean;
}

/** A file that was renamed, or whose directory was. */
export interface FileMove {
  readonly fromPath: RelPath;
  readonly to: FileFact;
  /** Its deletion waits here, and it only goes along with what lies around it. */
  readonly goesAlong: boolean;
}

export interface ScanOutcome {
  readonly vanished: readonly FileFact[];
  /** Files that were not there before, or have another content. */
  readonly appeared: readonly FileFact[];
  readonly moved?: Iterable<FileMove>;
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
  rested(nowMs: number): void;
  /** Paths that are gone in the burst, also those to which some of it was moved: what is held back, or confirmed. */
  vanishedPaths(nowMs: number): readonly RelPath[];
  /** From when on what went belongs to the burst: some of it, such as links, goes before its first file. */
  sinceMs(nowMs: number): number;
  /** When something went last; -∞: nothing did. */
  lastMs(): number;
  /** Those of them whose contents came again under other paths, and are there still: they are no loss. */
  explained(nowMs: number, isThere: (path: RelPath) => boolean): ReadonlySet<RelPath>;
  /**
   * Of the paths to which files were moved before they went: the name that each had before, as far as that `mayStandFor` it. The two
   * are one file.
   */
  oldNames(
    nowMs: number,
    facts: { readonly isThere: (path: RelPath) => boolean; readonly mayStandFor: (path: RelPath) => boolean },
  ): ReadonlyMap<RelPath, RelPath>;
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

interface Vanished {
  readonly digest: Digest;
  /** What is known of when it came; null: it was there before. */
  readonly birth: Birth | null;
  readonly wentMs: number;
}

interface Birth {
  readonly sinceMs: number;
  /** How many rests there were before it. */
  readonly restsBefore: number;
}

interface Appearance {
  readonly digest: Digest;
  /** Nothing was agreed on at its path when it was first seen. */
  readonly isNew: boolean;
  readonly birth: Birth;
  /** As last seen: a file that is still being sent goes on appearing. */
  readonly atMs: number;
  /** It came in the burst and went again. */
  readonly isGone: boolean;
}

/**
 * Counts deletions over a window that lasts until burstMs passed without another one, so that slow `rm -r` is one burst.
 * Appearances count as moves from `reappearedMs` before: a program that copies first and deletes afterwards moved its files.
 *
 * The burst is measured against what was there together at one moment (deletion-measure.ts). A file that came in the burst, and goes again
 * within burstMs, is no loss. What was moved in it is lost with its new place, and counts as the file that it was.
 */
export function createDeletionGuard({
  reappearedMs = burstMs,
}: {
  readonly reappearedMs?: number;
} = {}): DeletionGuard {
  const vanished = createDigestMap<Vanished>(() => true);
  const appeared = createDigestMap<Appearance>(({ isGone }) => !isGone);
  /** When each content was last seen to go. */
  const contentGoneMs = new Map<Digest, number>();
  /** Where files had been moved in the burst, and went from as well. */
  const goneFurther = createDigestMap<{ readonly digest: Digest }>(() => true);
  let firstVanishedMs = Number.POSITIVE_INFINITY;
  let lastVanishedMs = Number.NEGATIVE_INFINITY;
  /** When nothing was left to do, and something had come since the last time; the oldest are forgotten. */
  const restMs: number[] = [];
  let restsForgotten = 0;
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
    if (isKept) return;
    const isOver = nowMs - lastVanishedMs > burstMs;
    if (isOver) endBurst();
    else forgetVanished(nowMs);
    const rememberedMs = isOver ? Math.max(burstMs, reappearedMs) : Math.max(reachMs, reappearedMs);
    for (const [path, { atMs }] of appeared.entries()) {
      if (nowMs - atMs <= rememberedMs) break;
      appeared.delete(path);
    }
  };
  /** Of a burst that goes on and on. */
  function forgetVanished(nowMs: number): void {
    for (const [path, { digest, wentMs }] of vanished.entries()) {
      firstVanishedMs = wentMs;
      if (nowMs - wentMs <= reachMs) return;
      vanished.delete(path);
      if (contentGoneMs.get(digest) === wentMs) contentGoneMs.delete(digest);
    }
  }
  const cameInBurst = ({ isNew, birth }: Appearance): boolean => isNew && birth.sinceMs >= firstVanishedMs;
  /** Nothing is added to what somebody reads, however long it takes. */
  const isNewcomer = (known: Appearance, nowMs: number): boolean =>
    cameInBurst(known) && (filesAskedOf !== null || nowMs - known.birth.sinceMs <= burstMs);
  /** Of files with this content, how many are nowhere. */
  const lost = (digest: Digest): number => Math.max(0, vanished.count(digest) - appeared.count(digest));

  function goes(digest: Digest, nowMs: number): void {
    firstVanishedMs = Math.min(firstVanishedMs, nowMs);
    lastVanishedMs = nowMs;
    contentGoneMs.set(digest, nowMs);
  }

  /**
   * Returns whether it may be an old file under a new name: that shows when all is noted. What is noted again, because it could not be
   * carried out yet, prolongs nothing.
   */
  function noteVanished({ path, digest }: FileFact, nowMs: number): boolean {
    if (goneFurther.get(path) !== undefined || vanished.get(path)?.digest === digest) return false;
    const known = appeared.get(path);
    if (known !== undefined && cameInBurst(known)) {
      if (known.isGone) return false;
      const wentMs = contentGoneMs.get(digest) ?? Number.NEGATIVE_INFINITY;
      const mayBeMoved = filesAskedOf === null && known.birth.sinceMs <= wentMs;
      if (mayBeMoved || isNewcomer(known, nowMs)) {
        appeared.set(path, { ...known, isGone: true });
        return mayBeMoved;
      }
    }
    goes(digest, nowMs);
    appeared.delete(path);
    vanished.set(path, { digest, birth: known?.isNew === true ? known.birth : null, wentMs: nowMs });
    return false;
  }

  /** A file is as old as it was under its old name; and what seemed to go from there did not. */
  function noteMoved({ fromPath, to, goesAlong }: FileMove, nowMs: number): void {
    const known = appeared.get(fromPath);
    if (known !== undefined && (!known.isGone || goesAlong)) {
      appeared.delete(fromPath);
      appeared.set(to.path, { ...known, digest: to.digest, atMs: nowMs });
    }
    const gone = vanished.get(fromPath);
    if (gone?.digest !== to.digest) return;
    vanished.delete(fromPath);
    if (goesAlong) vanished.set(to.path, gone);
  }

  function noteAppeared({ path, digest, isNew = false }: FileFact, nowMs: number): void {
    const wasHere = vanished.delete(path);
    goneFurther.delete(path);
    const known = appeared.get(path);
    const isAgain = known === undefined || known.isGone;
    const birth = isAgain ? { sinceMs: nowMs, restsBefore: restsForgotten + restMs.length } : known.birth;
    hasAppearedSinceRest = true;
    appeared.delete(path);
    appeared.set(path, {
      digest,
      isNew: known?.isNew ?? (isNew && !wasHere),
      birth,
      atMs: nowMs,
      isGone: false,
    });
  }

  /**
   * Of these, those whose going is a loss that there was not before: who makes and removes equal files, or renames one again and again,
   * loses none of them.
   */
  function noteGoneFurther(
    candidates: readonly FileFact[],
    lostBefore: ReadonlyMap<Digest, number>,
    nowMs: number,
  ): void {
    for (const { path, digest } of candidates) {
      if (lost(digest) <= Math.max(lostBefore.get(digest) ?? 0, goneFurther.count(digest))) continue;
      // It is counted under its old name, and no longer explained by this one.
      goneFurther.set(path, { digest });
      goes(digest, nowMs);
    }
  }

  function measure(
    filesNow: number,
    { isHere, isThere }: { readonly isHere: (path: RelPath) => boolean; readonly isThere: (path: RelPath) => boolean },
  ): Measured | null {
    const isLost = new Set(goneFiles(goneFacts(), digestsOf(reappeared(isThere))).map(({ path }) => path));
    const stays = goneFacts().map(({ path, birth, wentMs }) => ({
      ...stayOf(birth, wentMs),
      isLost: isLost.has(path),
    }));
    const births = [...appeared.entries()].flatMap(([path, { isNew, birth }]) =>
      isNew && isHere(path) ? [birth] : [],
    );
    return worstMoment({
      lost: stays.filter((stay) => stay.isLost),
      moved: stays.filter((stay) => !stay.isLost),
      here: births.map((birth) => stayOf(birth, Number.POSITIVE_INFINITY)),
      old: Math.max(0, filesNow - births.length),
      wentEarlier,
    });
  }
  const stayOf = (birth: Birth | null, toMs: number): Stay => {
    const { sinceMs, restsBefore } = birth ?? { sinceMs: Number.NEGATIVE_INFINITY, restsBefore: -1 };
    const atRestMs =
      restsBefore < restsForgotten ? sinceMs : (restMs[restsBefore - restsForgotten] ?? Number.POSITIVE_INFINITY);
    return { sinceMs, atRestMs, toMs };
  };

  const goneFacts = () => [...vanished.entries()].map(([path, fact]) => ({ path, ...fact }));

  /** What came again may have gone again, or further: then it explains nothing. */
  function reappeared(isThere: (path: RelPath) => boolean): readonly FileFact[] {
    return [...appeared.entries()].flatMap(([path, { digest }]) =>
      vanished.count(digest) > 0 && isThere(path) ? [{ path, digest }] : [],
    );
  }
  const digestsOf = (facts: readonly FileFact[]): readonly Digest[] => facts.map(({ digest }) => digest);
  const explainedFiles = (isThere: (path: RelPath) => boolean): ReadonlySet<RelPath> =>
    new Set(pairTwins(goneFacts(), reappeared(isThere)).keys());

  function stillAsked(filesBefore: number, isThere: (path: RelPath) => boolean): DeletionVerdict {
    const goneNow = goneFiles(goneFacts(), digestsOf(reappeared(isThere))).length;
    const files = goneNow + wentEarlier;
    return goneNow === 0 ? { kind: 'ok' } : { kind: 'held', files, filesBefore: Math.max(filesBefore, files) };
  }

  return {
    note(outcome, nowMs) {
      expire(nowMs);
      for (const move of outcome.moved ?? []) noteMoved(move, nowMs);
      const lostBefore = new Map(outcome.vanished.map(({ digest }) => [digest, lost(digest)]));
      const candidates = outcome.vanished.filter((fact) => noteVanished(fact, nowMs));
      for (const fact of outcome.appeared) noteAppeared(fact, nowMs);
      noteGoneFurther(candidates, lostBefore, nowMs);
      forgetOldest(appeared);
      forgetOldest(goneFurther);
    },
    judge({ filesNow, nowMs, isHere, isThere, explain }) {
      expire(nowMs);
      if (filesAskedOf !== null) return stillAsked(filesAskedOf, isThere);
      // Looked into only where it can matter.
      if (vanished.size + wentEarlier <= deletedFilesMax) return { kind: 'ok' };
      const worst = measure(filesNow(), { isHere, isThere });
      if (worst === null) return { kind: 'ok' };
      return explain([...vanished.keys()]) ? { kind: 'git' } : { kind: 'held', ...worst };
    },
    rested(nowMs) {
      if (!hasAppearedSinceRest) return;
      hasAppearedSinceRest = false;
      restMs.push(nowMs);
      while (restMs.length > restsMax) {
        restMs.shift();
        restsForgotten += 1;
      }
    },
    vanishedPaths(nowMs) {
      expire(nowMs);
      return [...vanished.keys(), ...goneFurther.keys()];
    },
    sinceMs(nowMs) {
      expire(nowMs);
      return Math.min(firstVanishedMs, nowMs) - burstMs;
    },
    lastMs: () => lastVanishedMs,
    explained(nowMs, isThere) {
      expire(nowMs);
      return explainedFiles(isThere);
    },
    oldNames(nowMs, { isThere, mayStandFor }) {
      expire(nowMs);
      if (goneFurther.size === 0) return new Map();
      const explained = explainedFiles(isThere);
      return pairTwins(
        [...goneFurther.entries()].map(([path, { digest }]) => ({ path, digest })),
        goneFacts().filter(({ path }) => !explained.has(path) && mayStandFor(path)),
      );
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

/** By path, in the order in which they were set; and how many of those that count have one content. */
function createDigestMap<Value extends { readonly digest: Digest }>(counts: (value: Value) => boolean) {
  const values = new Map<RelPath, Value>();
  const totals = new Map<Digest, number>();

  function add(value: Value | undefined, by: number): void {
    if (value === undefined || !counts(value)) return;
    const total = (totals.get(value.digest) ?? 0) + by;
    if (total === 0) totals.delete(value.digest);
    else totals.set(value.digest, total);
  }
  function remove(path: RelPath): boolean {
    add(values.get(path), -1);
    return values.delete(path);
  }

  return {
    get: (path: RelPath) => values.get(path),
    set(path: RelPath, value: Value) {
      add(values.get(path), -1);
      values.set(path, value);
      add(value, 1);
    },
    delete: remove,
    clear() {
      values.clear();
      totals.clear();
    },
    keys: () => values.keys(),
    entries: () => values.entries(),
    count: (digest: Digest) => totals.get(digest) ?? 0,
    get size() {
      return values.size;
    },
  };
}

function forgetOldest(paths: {
  readonly size: number;
  keys(): Iterable<RelPath>;
  delete(path: RelPath): boolean;
}): void {
  for (const path of paths.keys()) {
    if (paths.size <= burstPathsMax) return;
    paths.delete(path);
  }
}
