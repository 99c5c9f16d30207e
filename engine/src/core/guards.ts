/**
 * The rules of the guards against deletions that nobody meant (rule LOG6; D3, D4, D6, F20). They only judge; the loop holds, asks
 * and publishes. What belongs to one burst is another question (deletion-guard.ts).
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
export type DeletionVerdict =
  | { readonly kind: 'ok' }
  /** Above the limit, and git did it: goes out as massDeletion 'git'. */
  | { readonly kind: 'git' }
  /** Above the limit: held until confirmed. `files` of `filesBefore` are gone. */
  | { readonly kind: 'held'; readonly files: number; readonly filesBefore: number };

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
 * that one's new index. A path belongs to the innermost repository around it. Whether git ever had the path is not asked: the old
 * index is gone, and one that was kept here would not know what was added, committed and left by one command line.
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

/** Those whose content did not come again under another path; one that did makes up for one, however many were equal. */
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
