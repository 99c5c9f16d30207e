/** What a way of watching must do; `createNodeWatcher` adds the guard of the root, the probe and the choice between them. */
export interface WatchBackendOptions {
  /** Absolute. */
  readonly rootPath: string;
  /** Relative to the root, with `/`: a directory that is neither watched nor entered. */
  readonly isIgnoredDirectory: (path: string) => boolean;
  readonly onHint: (path: string, deep: boolean) => void;
  /** Hints are lost from now on, at or below `path`; called once for each such place. */
  readonly onLoss: (reason: string) => void;
}

export interface WatchBackend {
  /** When everything that existed at the call is watched. */
  readonly ready: Promise<void>;
  close(): Promise<void>;
}

/** An error of the system, or of a watcher, as a reason that a person can act on (D9). */
export function lossReason(error: unknown, path: string): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  if (code === 'ENOSPC') {
    return 'The system allows no more watches (on Linux raise fs.inotify.max_user_watches): the rest is found by scanning.';
  }
  if (code === 'EMFILE' || code === 'ENFILE') {
    return 'Too many files or watchers are open on this machine: changes are found by scanning.';
  }
  const place = path === '' ? 'the folder' : `"${path}"`;
  return `Cannot watch ${place} (${code || String(error)}): its changes are found by scanning.`;
}
