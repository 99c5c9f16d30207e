/**
 * Hints come in bursts and too early: a path is looked at when it has been quiet for a moment (rule FAST2). 3 ms without
 * event; a path that is now empty or gone waits 100 ms, because truncate-then-write and rename-away-then-create look like
 * that for a moment; a path that keeps changing is looked at 10 times a second at most, and at least.
 */
import type { RelPath } from '@driftless/protocol';
import type { Clock } from './ports/clock.ts';
import type { ScanRequest } from './scan.ts';

const quietMs = 3;
const goneMs = 100;
const intervalMs = 100;
/** However many paths go meanwhile, a new one waits no longer than this for its old name. */
const newcomerMsMax = 300;
/** More dirty paths than this become one rescan of everything. */
const pathsMax = 50_000;

interface Dirty {
  deep: boolean;
  firstMs: number;
  dueMs: number;
  waitedGone: boolean;
}

export interface Settler {
  hint(path: RelPath | '', deep: boolean): void;
  /** A file that changed while it was read: looked at again, with growing pauses (F21). */
  unstable(path: RelPath): void;
  /** Seen empty or gone for the first time: true = wait and look once more. */
  waitGone(request: ScanRequest): boolean;
  /** Something new while other paths wait for having gone: true = wait with them, for a while. */
  waitWithGone(request: ScanRequest): boolean;
  take(): ScanRequest[];
  /** A path is still being waited for, itself or with a directory above it. */
  has(path: RelPath): boolean;
  due(): boolean;
  /** Paths that seem gone, or empty, wait to be looked at once more: more of a burst is to come. */
  isVanishing(): boolean;
  readonly size: number;
  clear(): void;
  wakeIn(delayMs: number): void;
  nextDelayMs(): number | null;
}

export function createSettler(clock: Clock): Settler {
  const dirty = new Map<RelPath | '', Dirty>();
  /** When a path was last looked at, for the interval; forgotten after it. */
  const looked = new Map<RelPath | '', number>();
  const unstableTimes = new Map<RelPath, number>();
  let wakeMs = Number.POSITIVE_INFINITY;
  /** Deep hints are few; `has` asks them for each path. */
  let deepPaths = 0;

  function hint(path: RelPath | '', deep: boolean): void {
    const nowMs = clock.monotonicMs();
    if (dirty.size >= pathsMax && !dirty.has(path)) {
      clear();
      hint('', true);
      return;
    }
    const known = dirty.get(path);
    const notBeforeMs = (looked.get(path) ?? Number.NEGATIVE_INFINITY) + intervalMs;
    if (known === undefined) {
      if (deep) deepPaths += 1;
      dirty.set(path, { deep, firstMs: nowMs, dueMs: Math.max(nowMs + quietMs, notBeforeMs), waitedGone: false });
      return;
    }
    if (deep && !known.deep) {
      known.deep = true;
      deepPaths += 1;
    }
    if (!known.waitedGone) known.dueMs = Math.max(Math.min(nowMs + quietMs, known.firstMs + intervalMs), notBeforeMs);
  }

  function unstable(path: RelPath): void {
    const times = (unstableTimes.get(path) ?? 0) + 1;
    unstableTimes.set(path, times);
    const nowMs = clock.monotonicMs();
    dirty.set(path, {
      deep: false,
      firstMs: nowMs,
      dueMs: nowMs + Math.min(5_000, 50 * 2 ** Math.min(times, 7)),
      waitedGone: false,
    });
  }

  function waitGone({ path, deep }: ScanRequest): boolean {
    const nowMs = clock.monotonicMs();
    const known = waited.get(path);
    if (known !== undefined && nowMs - known >= goneMs) {
      waited.delete(path);
      return false;
    }
    if (known === undefined) waited.set(path, nowMs);
    if (deep && dirty.get(path)?.deep !== true) deepPaths += 1;
    dirty.set(path, { deep, firstMs: nowMs, dueMs: (known ?? nowMs) + goneMs, waitedGone: true });
    return true;
  }
  const waited = new Map<RelPath | '', number>();

  function waitWithGone({ path, deep }: ScanRequest): boolean {
    const nowMs = clock.monotonicMs();
    let untilMs = 0;
    for (const [gonePath, sinceMs] of waited) {
      // Its wait ended without another look (it came back, or a rescan took it): it holds nobody up.
      if (nowMs - sinceMs > 2 * goneMs) waited.delete(gonePath);
      else untilMs = Math.max(untilMs, sinceMs + goneMs);
    }
    const sinceMs = newcomers.get(path) ?? nowMs;
    if (untilMs <= nowMs || nowMs - sinceMs >= newcomerMsMax) {
      newcomers.delete(path);
      return false;
    }
    newcomers.set(path, sinceMs);
    if (deep && dirty.get(path)?.deep !== true) deepPaths += 1;
    dirty.set(path, { deep, firstMs: nowMs, dueMs: untilMs, waitedGone: true });
    return true;
  }
  const newcomers = new Map<RelPath | '', number>();

  function take(): ScanRequest[] {
    const nowMs = clock.monotonicMs();
    if (wakeMs <= nowMs) wakeMs = Number.POSITIVE_INFINITY;
    const requests: ScanRequest[] = [];
    for (const [path, { deep, dueMs }] of dirty) if (dueMs <= nowMs) requests.push({ path, deep });
    for (const { path, deep } of requests) {
      dirty.delete(path);
      if (deep) deepPaths -= 1;
      looked.set(path, nowMs);
    }
    if (looked.size > 10_000) for (const [path, atMs] of looked) if (nowMs - atMs > intervalMs) looked.delete(path);
    if (unstableTimes.size > 10_000) unstableTimes.clear();
    return requests;
  }

  function has(path: RelPath): boolean {
    if (dirty.has(path)) return true;
    if (deepPaths === 0) return false;
    if (dirty.get('')?.deep === true) return true;
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1))
      if (dirty.get(path.slice(0, at) as RelPath)?.deep === true) return true;
    return false;
  }

  function clear(): void {
    dirty.clear();
    waited.clear();
    newcomers.clear();
    deepPaths = 0;
  }

  function nextDelayMs(): number | null {
    let nextMs = wakeMs;
    for (const { dueMs } of dirty.values()) nextMs = Math.min(nextMs, dueMs);
    return nextMs === Number.POSITIVE_INFINITY ? null : Math.max(0, nextMs - clock.monotonicMs());
  }

  return {
    hint,
    unstable,
    waitGone,
    waitWithGone,
    take,
    has,
    due: () => {
      const nowMs = clock.monotonicMs();
      for (const { dueMs } of dirty.values()) if (dueMs <= nowMs) return true;
      return false;
    },
    isVanishing: () => {
      for (const { waitedGone } of dirty.values()) if (waitedGone) return true;
      return false;
    },
    get size() {
      return dirty.size;
    },
    clear,
    wakeIn: (delayMs) => {
      wakeMs = Math.min(wakeMs, clock.monotonicMs() + delayMs);
    },
    nextDelayMs,
  };
}
