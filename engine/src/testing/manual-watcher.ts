/** The Watcher port driven by hand; connect it to a memory folder to hear what a real watcher would. */
import type { RelPath } from '@driftless/protocol';
import type { Watcher, WatcherHandlers, WatchProblem } from '../ports/watcher.ts';

export interface ManualWatcher extends Watcher {
  /** Nothing happens before `start` and after `close`. */
  hint(path: string, options?: { readonly deep?: boolean }): void;
  /** As if the system's queue had overflowed. */
  lose(): void;
  /** The reason why a directory cannot be watched, '*' = nothing can; null: it can again. */
  refuse(path: string, reason: string | null): void;
  readonly watched: ReadonlySet<string>;
  readonly isRunning: boolean;
}

export function createManualWatcher(): ManualWatcher {
  let handlers: WatcherHandlers | undefined;
  const watched = new Set<string>();
  const refused = new Map<string, WatchProblem>();
  const places = new Map<RelPath | '', WatchProblem>();
  return {
    start: async (given) => {
      handlers = given;
    },
    close: async () => {
      handlers = undefined;
      watched.clear();
    },
    watch: (directory) => {
      watched.add(directory);
      const problem = refused.get(directory);
      const isChange = (problem === undefined) === places.has(directory);
      if (problem === undefined) places.delete(directory);
      else places.set(directory, problem);
      if (isChange) handlers?.onCoverage();
    },
    unwatch: (directory) => {
      for (const path of [...watched])
        if (path === directory || path.startsWith(`${directory}/`)) {
          watched.delete(path);
          places.delete(path as RelPath);
        }
    },
    isWatched: (directory) => watched.has(directory),
    unwatched: () => ({ everything: refused.get('*') ?? null, places }),
    hint: (path, { deep = false } = {}) => handlers?.onHint({ path: path as RelPath | '', deep }),
    lose: () => handlers?.onLoss('lost by hand'),
    refuse: (path, reason) => {
      if (reason === null) refused.delete(path);
      else refused.set(path, { reason, next: '' });
      handlers?.onCoverage();
    },
    watched,
    get isRunning() {
      return handlers !== undefined;
    },
  };
}
