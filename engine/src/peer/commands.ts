/**
 * What runs between two turns of the loop: what a person asked for, and what else must not happen in the middle of one. Each is
 * a matter of its own: one that fails takes none of the others along, and nobody waits for a loop that has ended.
 */

export interface Commands {
  /** The loop's own. */
  add(work: () => Promise<void>): void;
  /** Somebody waits for it: settles as the work does, and rejects when nothing runs any more. */
  ask(work: () => Promise<void>): Promise<void>;
  readonly waiting: number;
  /** Runs those that wait now, in order. Rejects, once all have run, with what the first of the loop's own failed for. */
  run(): Promise<void>;
  /** Nothing runs any more. */
  end(): void;
}

export function createCommands(): Commands {
  const waiting: (() => Promise<void>)[] = [];
  const ended = new AbortController();

  return {
    add: (work) => void waiting.push(work),
    ask: (work) =>
      new Promise((resolve, reject) => {
        const end = (): void => reject(new Error('sync of this folder has ended'));
        if (ended.signal.aborted) return end();
        ended.signal.addEventListener('abort', end, { once: true });
        waiting.push(() =>
          work()
            .then(resolve, reject)
            .finally(() => ended.signal.removeEventListener('abort', end)),
        );
      }),
    get waiting() {
      return waiting.length;
    },
    run: async () => {
      const failures: unknown[] = [];
      for (const work of waiting.splice(0)) await work().catch((error: unknown) => failures.push(error));
      if (failures.length > 0) throw failures[0];
    },
    end: () => ended.abort(),
  };
}
