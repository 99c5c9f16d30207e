/**
 * Watching by chokidar: what the platform offers behind one interface (recursive watching on macOS and Windows). It settles
 * nothing here: saves by rename and half-written files are the engine's to judge.
 */
import { lstatSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { ownDirectoryName } from '@driftless/protocol';
import { watch } from 'chokidar';
import { type WatchBackend, type WatchBackendOptions, watchProblem } from './watch-backend.ts';

export function watchByChokidar(options: WatchBackendOptions): WatchBackend {
  const { rootPath, isIgnoredDirectory, onHint, onEvent, onUnwatched } = options;
  /** Directories that were left out when chokidar came to them, because they were ignored then. */
  const leftOut = new Set<string>();
  // It would override the options below, and polling 100,000 files keeps a core busy.
  delete process.env['CHOKIDAR_USEPOLLING'];
  const relativePath = (path: string): string => relative(rootPath, path).replaceAll(sep, '/');

  const watcher = watch(rootPath, {
    atomic: false,
    awaitWriteFinish: false,
    ignoreInitial: true,
    followSymlinks: false,
    ignored: (path, stats) => {
      const inner = relativePath(path);
      if (inner === '') return false;
      if (inner === ownDirectoryName) return true;
      if (stats?.isDirectory() !== true) return false;
      const isIgnored = isIgnoredDirectory(inner);
      if (isIgnored) leftOut.add(inner);
      return isIgnored;
    },
  });
  watcher.on('all', (event, path) => {
    onEvent();
    const inner = relativePath(path);
    if (inner.startsWith('../') || inner === '..') return;
    const isRemoval = event === 'unlink' || event === 'unlinkDir';
    onHint(isRemoval ? highestMissing(rootPath, inner) : inner, event === 'addDir' || isRemoval);
  });
  watcher.on('error', (error) => onUnwatched('', watchProblem(error, '')));
  let isReady = (): void => {};
  const ready = new Promise<void>((resolve) => {
    isReady = resolve;
  });
  watcher.on('ready', () => isReady());

  return {
    ready,
    watch: (path) => {
      if (leftOut.delete(path)) watcher.add(path === '' ? rootPath : join(rootPath, path));
    },
    unwatch: (path) => {
      if (leftOut.has(path) || !isIgnoredDirectory(path)) return;
      leftOut.add(path);
      watcher.unwatch(join(rootPath, path));
    },
    // Chokidar comes to new directories by itself.
    isWatched: (path) => !leftOut.has(path),
    close: async () => {
      isReady();
      await watcher.close();
    },
  };
}

/**
 * Of a removed path, the highest ancestor that is gone as well. chokidar 6.0.0 forgets to tell the removal of directories that were
 * removed, made and removed again within some milliseconds; that of a file in them it still tells.
 */
function highestMissing(rootPath: string, path: string): string {
  let missing = path;
  for (let end = path.lastIndexOf('/'); end !== -1; end = path.lastIndexOf('/', end - 1)) {
    const parent = path.slice(0, end);
    if (exists(join(rootPath, parent))) break;
    missing = parent;
  }
  return missing;
}

function exists(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    // What cannot be examined is there; the scan says what is wrong with it.
    return true;
  }
}
