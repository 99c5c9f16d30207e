/**
 * Hints from the system about changes in a folder. Two backends: one `fs.watch` per directory on Linux, chokidar elsewhere. Loss is
 * told, never silent (D9): of a place that cannot be watched, and of the whole folder when the system's queue of events may have
 * overflowed; a disk that reports nothing is found by a probe (D12); a root that is moved or replaced is told at once (D3, D5).
 * What no watcher can know (writes through mmap or another hard link) is left to the sweep.
 */
import { type FSWatcher, lstatSync, realpathSync, unlinkSync, watch, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { isRelPath, ownDirectoryName, type RelPath } from '@driftless/protocol';
import type { Clock, Timer } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import type { Watcher, WatcherHandlers, WatchProblem } from '../../ports/watcher.ts';
import { type EventQueue, eventQueue } from './event-queue.ts';
import { type WatchBackend, type WatchBackendOptions, watchProblem } from './watch-backend.ts';
import { watchByChokidar } from './watch-chokidar.ts';
import { watchDirectories } from './watch-directories.ts';

export type WatchBackendName = 'directories' | 'chokidar';

export interface NodeWatcherOptions {
  readonly rootPath: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly backend?: WatchBackendName | 'auto';
  /** The process's, but in tests. */
  readonly queue?: EventQueue;
}

/** An event for a probe file takes a millisecond; a loaded machine may need a thousand times that. */
const probeWaitMs = 2_000;
/** A missing root is looked for this often: a remount is not reported by anything. */
const rootRetryMs = 1_000;

export function createNodeWatcher(options: NodeWatcherOptions): Watcher {
  const { clock, log } = options;
  const rootPath = resolve(options.rootPath);
  let handlers: WatcherHandlers | undefined;
  let isClosed = false;
  let backend: WatchBackend | undefined;
  let guard: FSWatcher | undefined;
  let retry: Timer | undefined;
  let rootIdentity: string | undefined;
  /** Why nothing is watched at all. */
  let everything: WatchProblem | null = null;
  const places = new Map<RelPath | '', WatchProblem>();
  const queue = options.queue ?? eventQueue;
  /** Starting and restarting follow one another, never side by side. */
  let work: Promise<void> = Promise.resolve();
  const closing = new AbortController();

  const nothingIsWatched = (reason: string, next = ''): void => {
    // The first reason stays.
    if (isClosed || everything !== null) return;
    everything = { reason, next };
    log.warn('watcher.degraded', { reason });
    handlers?.onCoverage();
  };

  const setUnwatched = (path: string, problem: WatchProblem | null): void => {
    if (isClosed || (path !== '' && !isRelPath(path)) || (problem === null && !places.has(path))) return;
    const isKnown = places.get(path)?.reason === problem?.reason;
    if (problem === null) places.delete(path);
    else places.set(path, problem);
    if (isKnown) return;
    // A watch limit gives thousands of them.
    if (problem !== null && places.size === 1) log.warn('watcher.degraded', { reason: problem.reason });
    handlers?.onCoverage();
  };

  const forgetQueue = queue.onLoss((reason) => {
    if (isClosed || handlers === undefined) return;
    log.warn('watcher.hints-lost', { reason });
    handlers.onLoss(reason);
  });

  const hint = (path: string, deep: boolean): void => {
    if (isClosed) return;
    if (path === '' || isRelPath(path)) handlers?.onHint({ path, deep });
    else log.debug('watcher.name-out-of-scope');
  };

  const stopBackend = async (): Promise<void> => {
    guard?.close();
    guard = undefined;
    const stopping = backend;
    backend = undefined;
    places.clear();
    await stopping?.close();
  };

  const startBackend = async (): Promise<void> => {
    rootIdentity = identityOf(rootPath);
    if (rootIdentity === undefined) {
      nothingIsWatched('the folder is missing', 'bring it back; watching then goes on by itself');
      lookForRoot();
      return;
    }
    const realRoot = realpathSync.native(rootPath);
    const isIgnoredDirectory = (path: string): boolean => handlers?.isIgnoredDirectory(path) ?? false;
    const name = chooseBackend(options.backend ?? 'auto');
    const backendOptions: WatchBackendOptions = {
      rootPath: realRoot,
      isIgnoredDirectory,
      onHint: (path, deep) => {
        if (path === '') checkRoot();
        hint(path, deep);
      },
      onEvent: queue.count,
      onUnwatched: setUnwatched,
    };
    backend = name === 'directories' ? watchDirectories(backendOptions) : watchByChokidar(backendOptions);
    guardRoot(realRoot);
    await backend.ready;
    log.info('watcher.started', { backend: name });
  };

  /** The system reports the fate of the root itself under its own name, to whoever watches it. */
  const guardRoot = (realRoot: string): void => {
    try {
      guard = watch(realRoot, (_event, fileName) => {
        if (fileName === null || fileName === basename(realRoot)) checkRoot();
      });
      guard.on('error', () => checkRoot());
    } catch (error) {
      setUnwatched('', watchProblem(error, ''));
    }
  };

  const checkRoot = (): void => {
    if (isClosed || rootIdentity === undefined || identityOf(rootPath) === rootIdentity) return;
    rootIdentity = undefined;
    void enqueue(restart);
  };

  /** Anew on what is at the root's place now; what was lost before does not count any more. */
  const restart = async (): Promise<void> => {
    await stopBackend();
    const wasLost = everything !== null;
    everything = null;
    await startBackend();
    if (wasLost && everything === null) handlers?.onCoverage();
    hint('', true);
  };

  const lookForRoot = (): void => {
    retry = clock.after(rootRetryMs, () => {
      if (isClosed) return;
      if (identityOf(rootPath) === undefined) lookForRoot();
      else void enqueue(restart);
    });
  };

  const enqueue = (act: () => Promise<void>): Promise<void> => {
    work = work
      .then(async () => {
        if (!isClosed) await act();
      })
      .catch((error: unknown) => nothingIsWatched(`watching failed: ${String(error)}`));
    return work;
  };

  return {
    start: async (given) => {
      handlers = given;
      await enqueue(async () => {
        await startBackend();
        if (everything === null && (await probe(rootPath, clock, closing.signal)) === 'silent')
          nothingIsWatched('this disk does not report changes, as network and virtual disks do not');
      });
    },
    watch: (directory) => backend?.watch(directory),
    unwatch: (directory) => backend?.unwatch(directory),
    // While there is no backend nobody needs to look for unwatched directories: a restart looks at everything.
    isWatched: (directory) => backend?.isWatched(directory) ?? true,
    unwatched: () => ({ everything, places }),
    close: async () => {
      isClosed = true;
      closing.abort();
      forgetQueue();
      retry?.cancel();
      await work;
      await stopBackend();
    },
  };
}

/**
 * On Linux one watch per directory, whatever the size: `bench/watch.ts` shows it starting faster, with less memory and earlier hints
 * at every size, and chokidar 6.0.0 there loses hints of a directory that is removed, made and removed again within
 * some milliseconds (a build that cleans its output). Elsewhere chokidar, for recursive watching by the system.
 */
function chooseBackend(backend: WatchBackendName | 'auto'): WatchBackendName {
  if (backend !== 'auto') return backend;
  return process.platform === 'linux' ? 'directories' : 'chokidar';
}

/** What tells one root from another at the same place; undefined: there is no directory. */
function identityOf(rootPath: string): string | undefined {
  try {
    const stat = lstatSync(realpathSync.native(rootPath), { bigint: true });
    return stat.isDirectory() ? `${stat.dev}:${stat.ino}` : undefined;
  } catch {
    return undefined;
  }
}

/** Whether an event comes for a file made in our own directory (D12). `unknown`: there is no place for a probe. */
async function probe(rootPath: string, clock: Clock, signal: AbortSignal): Promise<'heard' | 'silent' | 'unknown'> {
  const directory = join(rootPath, ownDirectoryName);
  const file = join(directory, 'probe-watch');
  let watcher: FSWatcher | undefined;
  let timer: Timer | undefined;
  try {
    const opened = watch(directory);
    watcher = opened;
    const answer = new Promise<'heard' | 'silent'>((resolveAnswer) => {
      opened.on('change', () => resolveAnswer('heard'));
      opened.on('error', () => resolveAnswer('silent'));
      signal.addEventListener('abort', () => resolveAnswer('silent'));
      timer = clock.after(probeWaitMs, () => resolveAnswer('silent'));
    });
    writeFileSync(file, '', { mode: 0o600 });
    const heard = await answer;
    unlinkSync(file);
    return heard;
  } catch {
    return 'unknown';
  } finally {
    timer?.cancel();
    watcher?.close();
  }
}
