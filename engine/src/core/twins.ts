/**
 * Files with equal bytes, and above all empty ones, are told apart by their names alone: which of them became which. Pure.
 */
import type { Digest, RelPath } from '@driftless/protocol';

interface File {
  readonly path: RelPath;
  readonly digest: Digest;
}

/**
 * Pairs each file with one of the others that has its bytes, and whose path ends like its own: `a/x/__init__.py` with
 * `old/a/x/__init__.py` rather than with `old/b/x/__init__.py`. None is in two pairs; O(files × depth).
 */
export function pairTwins(files: readonly File[], others: readonly File[]): Map<RelPath, RelPath> {
  const pairs = new Map<RelPath, RelPath>();
  const othersByDigest = byDigest(others);
  for (const [digest, paths] of byDigest(files)) {
    const free = othersByDigest.get(digest);
    if (free !== undefined) pairAlike(paths, free, pairs);
  }
  return pairs;
}

function byDigest(files: readonly File[]): Map<Digest, RelPath[]> {
  const found = new Map<Digest, RelPath[]>();
  for (const { path, digest } of files) {
    const paths = found.get(digest);
    if (paths === undefined) found.set(digest, [path]);
    else paths.push(path);
  }
  return found;
}

function pairAlike(paths: readonly RelPath[], others: readonly RelPath[], pairs: Map<RelPath, RelPath>): void {
  let left = paths;
  let free = others;
  const deepest = Math.min(depthOf(paths), depthOf(others));
  // The longest common end first; the empty one fits any.
  for (let names = deepest; names >= 0 && left.length > 0 && free.length > 0; names -= 1) {
    const byEnd = new Map<string, RelPath[]>();
    for (const path of free.toReversed()) {
      const end = endOf(path, names);
      if (end === undefined) continue;
      const same = byEnd.get(end);
      if (same === undefined) byEnd.set(end, [path]);
      else same.push(path);
    }
    const taken = new Set<RelPath>();
    left = left.filter((path) => {
      const end = endOf(path, names);
      const other = end === undefined ? undefined : byEnd.get(end)?.pop();
      if (other === undefined) return true;
      pairs.set(path, other);
      taken.add(other);
      return false;
    });
    free = free.filter((path) => !taken.has(path));
  }
}

const depthOf = (paths: readonly RelPath[]): number =>
  paths.reduce((deepest, path) => Math.max(deepest, path.split('/').length), 0);

/** The last names of a path; undefined: it has fewer. */
function endOf(path: RelPath, names: number): string | undefined {
  const parts = path.split('/');
  return parts.length < names ? undefined : parts.slice(parts.length - names).join('/');
}
