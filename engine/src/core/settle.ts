/**
 * When a hinted path is looked at (rule FAST2), as a state machine without a clock: times are given, monotonic, in ms.
 *
 *   hint ─► quiet for quietMs ─► due ─► looked at ─► (empty or gone?) waits, up to emptyMs from the first such look
 *
 * A path that never is quiet is due every intervalMs all the same (F9); one that was due is not due again before intervalMs
 * have passed. An urgent hint (an editor saved) is due at once.
 * Bounded: past pathsMax waiting paths all of them become one deep look at the root.
 * Leaves to others: looking, and batches.
 */
import { comparePaths, type RelPath } from '@driftless/protocol';

/** A writer that pauses longer than this between two writes of one save is rare; a person does not notice it. */
export const quietMs = 3;
/** Truncate-then-write, vim's and Office's rename-away-and-create take less (F4–F7). */
export const emptyMs = 100;
/** Ten times a second. */
export const intervalMs = 100;
export const pathsMax = 50_000;

export interface DuePath {
  readonly path: RelPath | '';
  /** All below is in question, too. */
  readonly deep: boolean;
  /** If the path turns out to be empty or gone, it may still be in the middle of a save: call `waitForContent` and drop it. */
  readonly mayWait: boolean;
}

export interface Settle {
  hint(hint: {
    readonly path: RelPath | '';
    readonly deep: boolean;
    readonly urgent: boolean;
    readonly nowMs: number;
  }): void;
  /** Takes out what is due at `nowMs`, in path order. */
  due(nowMs: number): readonly DuePath[];
  /** The look at a due path that `mayWait` found it empty or gone: it becomes due once more, later or at its next hint. */
  waitForContent(due: DuePath, nowMs: number): void;
  /** When to call `due` next; null while nothing waits. */
  wakeAtMs(): number | null;
  /** Paths that wait: pending in the peer's state. */
  size(): number;
}

interface Waiting {
  deep: boolean;
  urgent: boolean;
  /** First and last hint since the last look; null: none, it only waits for content. */
  hints: { readonly firstMs: number; lastMs: number } | null;
  /** Until when an empty or missing path is taken for the middle of a save; null: it was not seen so. */
  contentDeadlineMs: number | null;
}

export function createSettle(): Settle {
  const waiting = new Map<RelPath | '', Waiting>();
  /** When a path was last due, and its deadline if it was seen empty; kept for intervalMs. */
  const recent = new Map<RelPath | '', { readonly atMs: number; readonly contentDeadlineMs: number | null }>();

  const dueAtMs = (path: RelPath | '', state: Waiting): number => {
    const deadline = state.contentDeadlineMs ?? Number.POSITIVE_INFINITY;
    if (state.hints === null) return deadline;
    if (state.urgent) return state.hints.lastMs;
    const settledMs = Math.min(state.hints.lastMs + quietMs, state.hints.firstMs + intervalMs);
    // A path seen empty was not published then: its content is due as soon as it is there.
    if (state.contentDeadlineMs !== null) return Math.min(deadline, settledMs);
    return Math.max(settledMs, (recent.get(path)?.atMs ?? Number.NEGATIVE_INFINITY) + intervalMs);
  };

  return {
    hint({ path, deep, urgent, nowMs }) {
      const state = waiting.get(path);
      if (state === undefined && waiting.size >= pathsMax) {
        waiting.clear();
        waiting.set('', newlyHinted({ deep: true, urgent: false, nowMs }));
        return;
      }
      if (state === undefined) {
        waiting.set(path, newlyHinted({ deep, urgent, nowMs }));
        return;
      }
      state.deep ||= deep;
      state.urgent ||= urgent;
      if (state.hints === null) state.hints = { firstMs: nowMs, lastMs: nowMs };
      else state.hints.lastMs = nowMs;
    },

    due(nowMs) {
      for (const [path, { atMs }] of recent) if (atMs + intervalMs <= nowMs) recent.delete(path);
      const due: DuePath[] = [];
      for (const [path, state] of waiting) {
        if (dueAtMs(path, state) > nowMs) continue;
        waiting.delete(path);
        recent.set(path, { atMs: nowMs, contentDeadlineMs: state.contentDeadlineMs });
        const mayWait = state.contentDeadlineMs === null ? !state.urgent : state.contentDeadlineMs > nowMs;
        due.push({ path, deep: state.deep, mayWait });
      }
      return due.sort((a, b) => comparePaths(a.path, b.path));
    },

    waitForContent({ path, deep }, nowMs) {
      const contentDeadlineMs = recent.get(path)?.contentDeadlineMs ?? nowMs + emptyMs;
      recent.delete(path);
      const state = waiting.get(path);
      if (state === undefined) waiting.set(path, { deep, urgent: false, hints: null, contentDeadlineMs });
      else {
        state.deep ||= deep;
        state.contentDeadlineMs = contentDeadlineMs;
      }
    },

    wakeAtMs() {
      let wakeMs: number | null = null;
      for (const [path, state] of waiting) wakeMs = Math.min(wakeMs ?? Number.POSITIVE_INFINITY, dueAtMs(path, state));
      return wakeMs;
    },

    size: () => waiting.size,
  };
}

function newlyHinted(hint: { readonly deep: boolean; readonly urgent: boolean; readonly nowMs: number }): Waiting {
  const { deep, urgent, nowMs } = hint;
  return { deep, urgent, hints: { firstMs: nowMs, lastMs: nowMs }, contentDeadlineMs: null };
}
