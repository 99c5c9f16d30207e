/**
 * The queue from which this process reads file events: one for all watched folders, since libuv keeps one inotify instance for a
 * process. Counts what is read in one turn of the event loop, watches for stalls, and tells all listeners when events may have been
 * dropped. What makes a loss is core/pacing/hint-loss.
 */
import { readFileSync } from 'node:fs';
import { hintLoss, queueEventsDefault } from '../../core/pacing/hint-loss.ts';

const tickMs = 2_000;

export interface EventQueue {
  /** An event was read. */
  count(): void;
  /** Until the returned function is called, `listener` is told of each likely loss. */
  onLoss(listener: (reason: string) => void): () => void;
}

export function createEventQueue(options: { readonly queueEventsMax: number }): EventQueue {
  const listeners = new Set<(reason: string) => void>();
  let events = 0;
  let lateMs = 0;
  let toldMs = Number.NEGATIVE_INFINITY;
  let isJudging = false;
  let ticker: NodeJS.Timeout | undefined;

  const judge = (): void => {
    isJudging = false;
    const reason = hintLoss({ events, lateMs, queueEventsMax: options.queueEventsMax });
    events = 0;
    lateMs = 0;
    if (reason === null) return;
    toldMs = performance.now();
    for (const listener of [...listeners]) listener(reason);
  };
  /** Immediates run when everything that could be read has been. */
  const judgeThisTurn = (): void => {
    if (isJudging) return;
    isJudging = true;
    setImmediate(judge);
  };
  const tick = (dueMs: number): void => {
    ticker = setTimeout(() => {
      const nowMs = performance.now();
      // What a stalled process missed may be read before its timers or after them; told once is enough.
      lateMs = nowMs - Math.max(dueMs, toldMs);
      judgeThisTurn();
      tick(nowMs + tickMs);
    }, tickMs).unref();
  };

  return {
    count() {
      events += 1;
      judgeThisTurn();
    },
    onLoss(listener) {
      listeners.add(listener);
      if (ticker === undefined) tick(performance.now() + tickMs);
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        clearTimeout(ticker);
        ticker = undefined;
      };
    },
  };
}

/** This process's. */
export const eventQueue: EventQueue = createEventQueue({ queueEventsMax: queueEventsMax() });

function queueEventsMax(): number {
  try {
    const stated = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'));
    return Number.isSafeInteger(stated) && stated > 0 ? stated : queueEventsDefault;
  } catch {
    // Another system.
    return queueEventsDefault;
  }
}
