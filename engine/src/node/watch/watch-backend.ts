/** What a way of watching must do; `createNodeWatcher` adds the guard of the root, the probe and the choice between them. */
import { readFileSync } from 'node:fs';
import type { WatchProblem } from '../../ports/watcher.ts';

export interface WatchBackendOptions {
  /** Absolute. */
  readonly rootPath: string;
  /** Relative to the root, with `/`: a directory that is neither watched nor entered. Asked by backends that find directories themselves. */
  readonly isIgnoredDirectory: (path: string) => boolean;
  readonly onHint: (path: string, deep: boolean) => void;
  /** An event was read from the system's queue, whatever it tells. */
  readonly onEvent: () => void;
  /** The directory cannot be watched, or can be, or need not be any more. */
  readonly onUnwatched: (path: string, problem: WatchProblem | null) => void;
}

export interface WatchBackend {
  /** When everything that existed at the call is watched. */
  readonly ready: Promise<void>;
  watch(path: string): void;
  /** With all below. */
  unwatch(path: string): void;
  isWatched(path: string): boolean;
  close(): Promise<void>;
}

/** An error of the system, or of a watcher, as a reason and what a person can do about it (D9). */
export function watchProblem(error: unknown, path: string): WatchProblem {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  if (code === 'ENOSPC') {
    return {
      reason: `the system allows no more file watches${statedLimit('max_user_watches')}`,
      next: 'raise the limit: sudo sysctl fs.inotify.max_user_watches=524288',
    };
  }
  if (code === 'EMFILE' || code === 'ENFILE') {
    return {
      reason: `too many files or file watchers are open on this machine${statedLimit('max_user_instances')}`,
      next: 'close other programs that watch files, or raise the limit: sudo sysctl fs.inotify.max_user_instances=512',
    };
  }
  const place = path === '' ? 'the folder' : `"${path}"`;
  return { reason: `${place} cannot be watched (${code || String(error)})`, next: '' };
}

function statedLimit(name: string): string {
  try {
    return ` (fs.inotify.${name} is ${readFileSync(`/proc/sys/fs/inotify/${name}`, 'utf8').trim()})`;
  } catch {
    // Another system.
    return '';
  }
}
