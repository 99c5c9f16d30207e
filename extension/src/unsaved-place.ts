/**
 * Whose file a document is, when it has unsaved edits: the linked folder that really holds it, which need not be a folder of the
 * window. A window may show a part of a linked folder, or reach one through a link; whoever keeps that in sync has to know (rule EDIT1).
 */
import type { PlatformPath } from 'node:path';

export interface Place {
  /** A folder of the window by its own name, or the real path of another linked folder. */
  readonly dir: string;
  /** In the folder, with `/`. */
  readonly path: string;
}

export interface PlaceParts {
  /** The folders of the window. */
  readonly dirs: readonly string[];
  /** undefined: there is nothing, or it cannot be looked at. */
  readonly realPath: (path: string) => string | undefined;
  /** Whether Driftless' marker lies in it. */
  readonly isLinked: (dir: string) => boolean;
  readonly path: Pick<PlatformPath, 'dirname' | 'basename' | 'join' | 'relative' | 'sep'>;
}

/** undefined: in no folder of the window, and in none that is linked. */
export function placeOf(file: string, { dirs, realPath, isLinked, path }: PlaceParts): Place | undefined {
  const within = (dir: string, from: string, named: string): Place => ({
    dir,
    path: path.relative(from, named).split(path.sep).join('/'),
  });
  const real = realFile(file, { realPath, path });
  for (let below = real, dir = path.dirname(real); dir !== below; below = dir, dir = path.dirname(dir))
    if (isLinked(dir)) return within(dirs.find((each) => realPath(each) === dir) ?? dir, dir, real);
  // It may be linked later, as it is shown.
  const [dir] = dirs.filter((each) => file.startsWith(each + path.sep)).sort((a, b) => b.length - a.length);
  return dir === undefined ? undefined : within(dir, dir, file);
}

/** Saved through a link, it is the file at the other end that changes. */
function realFile(file: string, { realPath, path }: Pick<PlaceParts, 'realPath' | 'path'>): string {
  const known = realPath(file);
  if (known !== undefined) return known;
  const directory = realPath(path.dirname(file));
  return directory === undefined ? file : path.join(directory, path.basename(file));
}
