/**
 * Hints come in bursts and too early: a path is looked at when it has been quiet for 3 ms (rule FAST2). A path that keeps
 * changing is looked at 10 times a second at most, and at least. A path that a scan found empty or gone stays in doubt for its
 * grace: nothing is published of it until a later look agrees, and each event begins the grace again.
 *
 * Leaves to others: how long a grace is (core/pacing/graces), and which sights give rise to doubt (second-look).
 */
import type { RelPath } from '@driftless/protocol';
import { doubtMsMax } from '../core/pacing/graces.ts';
import { ancestorsOf } from '../core/tree-paths.ts';
import type { Clock } from '../ports/clock.ts';
import type { ScanRequest } from '../scan.ts';

const quietMs = 3;
const intervalMs = 100;
const unstableMsMax = 5_000;
/** More dirty paths than this, those in doubt aside, become one rescan of everything: it answers for them, and for no doubt. */
const pathsMax = 50_000;
/** Paths remembered for the interval and for growing pauses. */
const rememberedMax = 10_000;

interface Dirty {
  deep: boolean;
  readonly firstMs: number;
  dueMs: number;
}

interface Doubted {
  readonly request: ScanRequest;
  readonly graceMs: number;
  readonly firstMs: number;
  /** The last event of the path. */
  sinceMs: number;
}

export interface Settler {
  hint(path: RelPath | '', deep: boolean): void;
  /** A path that changed while it was read: looked at again, with growing pauses (F21). */
  unstable(request: ScanRequest): void;
  /** A scan found the path empty or gone: it is not settled until a look after the grace agrees. */
  doubt(request: ScanRequest & { readonly path: RelPath }, graceMs: number): void;
  /** The paths in doubt. A directory that is gone stands for all below it. */
  doubted(): readonly RelPath[];
  /** What a look that began at `lookedMs` makes of a path in doubt; `isSo`: it was empty or gone still. */
  decide(path: RelPath, sight: { readonly isSo: boolean; readonly lookedMs: number }): 'waits' | 'believed' | 'back';
  take(): ScanRequest[];
  /** A path is still being waited for, itself or with a directory above it. */
  has(path: RelPath): boolean;
  due(): boolean;
  readonly size: number;
  /** A scan of everything begins: it answers every hint so far. What is in doubt stays so. */
  clear(): void;
  nextDelayMs(): number | null;
}

export function createSettler(clock: Clock): Settler {
  const dirty = new Map<RelPath | '', Dirty>();
  /** Each is dirty as well, but for the moment in which it is looked at. */
  const doubts = new Map<RelPath, Doubted>();
  /** When a path was last looked at, for the interval; forgotten after it. */
  const looked = new Map<RelPath | '', number>();
  /** How often, and when last, a path changed while it was read. */
  const restless = new Map<RelPath | '', { readonly times: number; readonly atMs: number }>();
  /** Deep requests are few; `has` asks them for each path. */
  let deepPaths = 0;

  /** What was asked for before stays asked for: a deep request is never replaced by a shallow one. */
  function put(path: RelPath | '', deep: boolean, dueMs: number): void {
    const known = dirty.get(path);
    if (known === undefined) dirty.set(path, { deep, firstMs: clock.monotonicMs(), dueMs });
    else {
      known.dueMs = dueMs;
      if (known.deep || !deep) return;
      known.deep = true;
    }
    if (deep) deepPaths += 1;
  }

  function hint(path: RelPath | '', deep: boolean): void {
    const nowMs = clock.monotonicMs();
    if (dirty.size - doubts.size >= pathsMax && !dirty.has(path)) {
      clear();
      put('', true, nowMs + quietMs);
      return;
    }
    const doubted = path === '' ? undefined : doubts.get(path);
    if (doubted !== undefined && nowMs - doubted.firstMs < doubtMsMax) doubted.sinceMs = nowMs;
    // The interval is for what would be published; a path in doubt is looked at as soon as it may be back.
    const lookedMs = doubted === undefined ? looked.get(path) : undefined;
    const notBeforeMs = (lookedMs ?? Number.NEGATIVE_INFINITY) + intervalMs;
    const firstMs = dirty.get(path)?.firstMs ?? nowMs;
    put(
      path,
      deep || doubted?.request.deep === true,
      Math.max(Math.min(nowMs + quietMs, firstMs + intervalMs), notBeforeMs),
    );
  }

  function unstable({ path, deep }: ScanRequest): void {
    const nowMs = clock.monotonicMs();
    const before = restless.get(path);
    // What was read in peace since then is no longer restless.
    const times = before === undefined || nowMs - before.atMs > 2 * unstableMsMax ? 1 : before.times + 1;
    remember(restless, path, { times, atMs: nowMs });
    put(path, deep, nowMs + Math.min(unstableMsMax, 50 * 2 ** Math.min(times, 7)));
  }

  function doubt(request: ScanRequest & { readonly path: RelPath }, graceMs: number): void {
    const nowMs = clock.monotonicMs();
    doubts.set(request.path, { request, graceMs, firstMs: nowMs, sinceMs: nowMs });
    put(request.path, request.deep, nowMs + graceMs);
  }

  function decide(
    path: RelPath,
    { isSo, lookedMs }: { readonly isSo: boolean; readonly lookedMs: number },
  ): 'waits' | 'believed' | 'back' {
    const doubted = doubts.get(path);
    if (doubted === undefined) return isSo ? 'believed' : 'back';
    const untilMs = doubted.sinceMs + doubted.graceMs;
    if (isSo && lookedMs < untilMs) {
      // An event meanwhile may have asked for an earlier look.
      put(path, doubted.request.deep, Math.min(untilMs, dirty.get(path)?.dueMs ?? untilMs));
      return 'waits';
    }
    doubts.delete(path);
    return isSo ? 'believed' : 'back';
  }

  function take(): ScanRequest[] {
    const nowMs = clock.monotonicMs();
    const requests: ScanRequest[] = [];
    for (const [path, { deep, dueMs }] of dirty) if (dueMs <= nowMs) requests.push({ path, deep });
    for (const { path, deep } of requests) {
      dirty.delete(path);
      if (deep) deepPaths -= 1;
      looked.set(path, nowMs);
    }
    if (looked.size > rememberedMax)
      for (const [path, atMs] of looked) if (nowMs - atMs > intervalMs) looked.delete(path);
    return requests;
  }

  function has(path: RelPath): boolean {
    if (dirty.has(path)) return true;
    if (deepPaths === 0) return false;
    if (dirty.get('')?.deep === true) return true;
    for (const ancestor of ancestorsOf(path)) if (dirty.get(ancestor)?.deep === true) return true;
    return false;
  }

  function clear(): void {
    dirty.clear();
    deepPaths = 0;
    for (const { request, sinceMs, graceMs } of doubts.values()) put(request.path, request.deep, sinceMs + graceMs);
  }

  function nextDelayMs(): number | null {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { dueMs } of dirty.values()) nextMs = Math.min(nextMs, dueMs);
    return nextMs === Number.POSITIVE_INFINITY ? null : Math.max(0, nextMs - clock.monotonicMs());
  }

  return {
    hint,
    unstable,
    doubt,
    doubted: () => [...doubts.keys()],
    decide,
    take,
    has,
    due: () => {
      const nowMs = clock.monotonicMs();
      for (const { dueMs } of dirty.values()) if (dueMs <= nowMs) return true;
      return false;
    },
    get size() {
      return dirty.size;
    },
    clear,
    nextDelayMs,
  };
}

/** Of `rememberedMax` entries, the oldest go first. */
function remember<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= rememberedMax) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
