/** The Watcher port driven by hand; `connect` it to a memory folder to hear what a real watcher would. */
import type { RelPath } from '@driftless/protocol';
import type { Watcher, WatcherHandlers } from '../ports/watcher.ts';

export interface ManualWatcher extends Watcher {
  /** Nothing happens before `start` and after `close`. */
  hint(path: string, options?: { readonly deep?: boolean }): void;
  degrade(reason: string | null): void;
  readonly isRunning: boolean;
}

export function createManualWatcher(): ManualWatcher {
  let handlers: WatcherHandlers | undefined;
  return {
    start: async (given) => {
      handlers = given;
    },
    close: async () => {
      handlers = undefined;
    },
    hint: (path, { deep = false } = {}) => handlers?.onHint({ path: path as RelPath | '', deep }),
    degrade: (reason) => handlers?.onDegraded(reason),
    get isRunning() {
      return handlers !== undefined;
    },
  };
}
