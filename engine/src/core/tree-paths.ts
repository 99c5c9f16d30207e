/** Where a path stands in the tree, by its text alone. */
import type { RelPath } from '@driftless/protocol';

/** undefined for a path directly below the root. */
export function parentPath(path: RelPath): RelPath | undefined {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? undefined : (path.slice(0, slash) as RelPath);
}

export function nameOf(path: RelPath): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The directories that `path` lies in, nearest first. */
export function* ancestorsOf(path: RelPath): Generator<RelPath> {
  for (let parent = parentPath(path); parent !== undefined; parent = parentPath(parent)) yield parent;
}

/** `path` with `fromPath`, which it is or lies below, replaced by `toPath`. */
export function movedPath(path: RelPath, fromPath: RelPath, toPath: RelPath): RelPath {
  return (toPath + path.slice(fromPath.length)) as RelPath;
}

/** What is known of `path`, or else of the nearest directory above it. */
export function atOrAbove<Known>(path: RelPath, known: ReadonlyMap<RelPath, Known>): Known | undefined {
  if (known.size === 0) return undefined;
  for (const at of [path, ...ancestorsOf(path)]) if (known.has(at)) return known.get(at);
  return undefined;
}

/** Whether `path` or a directory that it lies in is one of `paths`. */
export function isAtOrBelow(path: RelPath, paths: ReadonlySet<RelPath>): boolean {
  if (paths.size === 0) return false;
  if (paths.has(path)) return true;
  for (const ancestor of ancestorsOf(path)) if (paths.has(ancestor)) return true;
  return false;
}
