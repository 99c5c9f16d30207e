/**
 * Guards against deletions that nobody meant (rule LOG6; D3, D4, D6, F20). They only judge; the loop holds,
 * asks and publishes. Time is given by the caller, from a monotonic clock.
 */
import type { Digest, MassDeletion, RelPath } from '@driftless/protocol';

/** A burst: deletions this close together are one act. */
export const burstMs = 10_000;
/** Deleting up to this many files is everyday work; more, and more than half of all, is asked about. */
export const deletedFilesMax = 200;
/**
 * A folder with fewer files that lost all of them at once, marker and identity intact, was emptied by its user; with as many
 * or more, stopping costs one confirmation, and not stopping may cost the work of all peers.
 */
export const emptiedFilesMin = 10;
/** What a burst remembers; beyond, the oldest count but are forgotten by name, so that git can no longer explain them. */
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
  /** Files that are gone, each with its last content. */
  readonly vanished: readonly { readonly path: RelPath; readonly digest: Digest }[];
  /** Contents of files that appeared meanwhile; one content counts as often as it appeared. */
  readonly reappearedDigests: readonly Digest[];
  readonly gitExplains: boolean;
}

/** Pure: the rule itself. Files that reappear under another path do not count. */
export function judgeDeletions({
  filesBefore,
  vanished,
  reappearedDigests,
  gitExplains,
}: DeletionFacts): DeletionVerdict {
  const files = goneFiles(
    vanished.map(({ digest }) => digest),
    reappearedDigests,
  );
  if (!deletionLimitExceeded({ vanished: files, filesBefore })) return { kind: 'ok' };
  return gitExplains ? { kind: 'git' } : { kind: 'held', files, filesBefore };
}

/** More than deletedFilesMax, and more than half of all. `vanished`: files that did not reappear. */
export function deletionLimitExceeded(facts: { readonly vanished: number; readonly filesBefore: number }): boolean {
  return facts.vanished > deletedFilesMax && facts.vanished * 2 > facts.filesBefore;
}

export interface IncomingDeletionFacts {
  readonly massDeletion: MassDeletion;
  readonly filesBefore: number;
  readonly vanishedDigests: readonly Digest[];
  readonly reappearedDigests: readonly Digest[];
}

/** The receiving side: a record that deletes above the limit and does not say how it was confirmed is held. */
export function judgeIncomingDeletions(facts: IncomingDeletionFacts): DeletionVerdict {
  if (facts.massDeletion !== 'none') return { kind: 'ok' };
  const files = goneFiles(facts.vanishedDigests, facts.reappearedDigests);
  const { filesBefore } = facts;
  return deletionLimitExceeded({ vanished: files, filesBefore })
    ? { kind: 'held', files, filesBefore }
    : { kind: 'ok' };
}

/**
 * Whether git did it: its HEAD or index changed in the same burst, and no vanished path is in the new index. Paths outside
 * the repository are not explained. `indexPaths` undefined: the index could not be read, nothing is explained.
 */
export function gitExplains(facts: {
  readonly gitChanged: boolean;
  readonly indexPaths: ReadonlySet<string> | undefined;
  /** Where the repository lies inside the root: '' or a path. */
  readonly repository: RelPath | '';
  readonly vanished: readonly RelPath[];
}): boolean {
  const { gitChanged, indexPaths, repository, vanished } = facts;
  if (!gitChanged || indexPaths === undefined) return false;
  const prefix = repository === '' ? '' : `${repository}/`;
  return vanished.every((path) => path.startsWith(prefix) && !isInIndex(path.slice(prefix.length), indexPaths));
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

export interface ScanOutcome {
  readonly vanished: readonly { readonly path: RelPath; readonly digest: Digest }[];
  /** Files that were not there before, or have another content. */
  readonly appeared: readonly { readonly path: RelPath; readonly digest: Digest }[];
  /** .git/HEAD or .git/index was seen to change. */
  readonly gitChanged: boolean;
}

export interface DeletionGuard {
  /** Takes in what one scan, or one step of it, saw. */
  note(outcome: ScanOutcome, nowMs: number): void;
  /** What the burst amounts to. `filesNow`: files in scope that exist. */
  judge(facts: {
    readonly filesNow: number;
    readonly nowMs: number;
    readonly explain: (vanished: readonly RelPath[]) => boolean;
  }): DeletionVerdict;
  /** Whether git's files changed in the burst. */
  gitChanged(nowMs: number): boolean;
  /** Paths that are gone in the burst: what is held back, or confirmed. */
  vanishedPaths(nowMs: number): readonly RelPath[];
  /** The user confirmed, or the files came back: the burst is over. */
  clear(): void;
}

/**
 * Counts deletions over a window that lasts until burstMs passed without another one, so that slow `rm -r` is one burst.
 * Appearances count from burstMs before: a program that copies first and deletes afterwards moved its files.
 */
export function createDeletionGuard(): DeletionGuard {
  const vanished = new Map<RelPath, Digest>();
  const appeared = new Map<RelPath, { readonly digest: Digest; readonly atMs: number }>();
  let lastVanishedMs = Number.NEGATIVE_INFINITY;
  let gitChangedMs = Number.NEGATIVE_INFINITY;

  const clear = (): void => {
    vanished.clear();
    appeared.clear();
    lastVanishedMs = Number.NEGATIVE_INFINITY;
    gitChangedMs = Number.NEGATIVE_INFINITY;
  };
  /** Forgets what is over. Maps keep insertion order, which is the order of time. */
  const expire = (nowMs: number): void => {
    if (nowMs - lastVanishedMs <= burstMs) return;
    vanished.clear();
    for (const [path, { atMs }] of appeared) {
      if (nowMs - atMs <= burstMs) break;
      appeared.delete(path);
    }
    if (nowMs - gitChangedMs > burstMs) gitChangedMs = Number.NEGATIVE_INFINITY;
  };

  return {
    note(outcome, nowMs) {
      expire(nowMs);
      if (outcome.gitChanged) gitChangedMs = nowMs;
      for (const { path, digest } of outcome.vanished) {
        appeared.delete(path);
        vanished.set(path, digest);
        lastVanishedMs = nowMs;
      }
      for (const { path, digest } of outcome.appeared) {
        vanished.delete(path);
        appeared.delete(path);
        appeared.set(path, { digest, atMs: nowMs });
      }
      forgetOldest(vanished);
      forgetOldest(appeared);
    },
    judge({ filesNow, nowMs, explain }) {
      expire(nowMs);
      const gone = [...vanished].map(([path, digest]) => ({ path, digest }));
      return judgeDeletions({
        filesBefore: filesNow + gone.length,
        vanished: gone,
        reappearedDigests: [...appeared.values()].map(({ digest }) => digest),
        gitExplains: gone.length > deletedFilesMax && explain(gone.map(({ path }) => path)),
      });
    },
    gitChanged(nowMs) {
      expire(nowMs);
      return gitChangedMs !== Number.NEGATIVE_INFINITY;
    },
    vanishedPaths(nowMs) {
      expire(nowMs);
      return [...vanished.keys()];
    },
    clear,
  };
}

function forgetOldest(paths: Map<RelPath, unknown>): void {
  for (const path of paths.keys()) {
    if (paths.size <= burstPathsMax) return;
    paths.delete(path);
  }
}

/** How many contents went and did not come again. */
function goneFiles(vanished: readonly Digest[], reappeared: readonly Digest[]): number {
  const available = new Map<Digest, number>();
  for (const digest of reappeared) available.set(digest, (available.get(digest) ?? 0) + 1);
  let gone = 0;
  for (const digest of vanished) {
    const count = available.get(digest) ?? 0;
    if (count === 0) gone += 1;
    else available.set(digest, count - 1);
  }
  return gone;
}
