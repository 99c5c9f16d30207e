/**
 * Which sights of a scan are not believed at once: a path that is empty or gone is looked at once more after its grace, because
 * most programs save by way of such a moment (rule FAST2). The scan records what it saw; until the second look
 * agrees, the path is not settled and nothing is published of it. This is the only place that decides so.
 *
 * Leaves to others: the length of the graces (core/pacing/graces), waiting for them (settler), and bursts of deletions.
 */
import type { RelPath } from '@driftless/protocol';
import { cameBackMsMax, graceMs } from '../core/pacing/graces.ts';
import { ancestorsOf, parentPath } from '../core/tree-paths.ts';
import type { Clock } from '../ports/clock.ts';
import type { StateStore } from '../ports/state-store.ts';
import type { ScanRequest, ScanResult, VanishedPath } from '../scan.ts';
import type { Settler } from './settler.ts';

/** Of more that are gone at once the deletion burst takes care: it waits longer than any grace. */
const vanishedMax = 2_000;
/** Paths remembered for having been removed, and for having come back. */
const rememberedMax = 10_000;

export interface SecondLooks {
  /** After each scan, before anything follows from it. `lookedMs`: when it began. */
  judge(
    scanned: Pick<ScanResult, 'changed' | 'vanished' | 'emptied'> & {
      readonly requests: readonly ScanRequest[];
      readonly lookedMs: number;
    },
  ): void;
}

export interface SecondLooksParts {
  readonly clock: Clock;
  readonly store: Pick<StateStore, 'row'>;
  readonly settler: Settler;
  readonly isIgnored: (path: RelPath, isDirectory: boolean) => boolean;
}

export function createSecondLooks({ clock, store, settler, isIgnored }: SecondLooksParts): SecondLooks {
  /** When a path was believed to be removed, and when one came back. */
  const removedMs = new Map<RelPath, number>();
  const cameBackMs = new Map<RelPath, number>();

  function judge({ requests, lookedMs, changed, vanished, emptied }: Parameters<SecondLooks['judge']>[0]): void {
    const waiting = new Set(settler.doubted());
    for (const path of waiting) decide(path, lookedMs);
    for (const path of changed) noteReturn(path);
    for (const path of emptied)
      if (!waiting.has(path)) settler.doubt({ path, deep: false }, graceMs({ kind: 'empty' }));
    if (vanished.length === 0 || vanished.length > vanishedMax) return;
    const gone = new Set(vanished.map(({ path }) => path));
    const isBackedUp = backups([...requests.map(({ path }) => path), ...changed].filter((path) => !isGone(path, gone)));
    for (const { path, isDirectory, movedElsewhere } of outermost(vanished)) {
      if (waiting.has(path)) continue;
      const wait = graceMs({
        kind: 'gone',
        backupBeside: isBackedUp(path),
        cameBackLately: isWithin(cameBackMs.get(path)),
        movedElsewhere,
      });
      if (wait > 0) settler.doubt({ path, deep: isDirectory }, wait);
      else remember(removedMs, path);
    }
  }

  /** What the scan recorded of a path that was in doubt before it. */
  function decide(path: RelPath, lookedMs: number): void {
    const row = store.row(path);
    const isGone = row === undefined || (row.outOfScope === null && row.local === null);
    const isEmpty = row?.outOfScope === null && row.local?.kind === 'file' && row.local.size === 0;
    const verdict = settler.decide(path, { isSo: isGone || isEmpty, lookedMs });
    if (verdict === 'believed' && isGone) remember(removedMs, path);
    if (verdict === 'back') remember(cameBackMs, path);
  }

  function noteReturn(path: RelPath): void {
    if (!removedMs.has(path)) return;
    const row = store.row(path);
    if (row?.local == null) return;
    if (isWithin(removedMs.get(path))) remember(cameBackMs, path);
    removedMs.delete(path);
  }

  const isWithin = (sinceMs: number | undefined): boolean =>
    sinceMs !== undefined && clock.monotonicMs() - sinceMs < cameBackMsMax;

  function remember(map: Map<RelPath, number>, path: RelPath): void {
    map.delete(path);
    map.set(path, clock.monotonicMs());
    if (map.size <= rememberedMax) return;
    for (const oldest of map.keys()) {
      map.delete(oldest);
      return;
    }
  }

  /** Tells whether one of `paths` looks like the name under which an editor put the old file away. */
  function backups(paths: readonly (RelPath | '')[]): (path: RelPath) => boolean {
    const beside = new Map<RelPath | '', RelPath[]>();
    for (const path of paths) {
      if (path === '') continue;
      const directory = parentPath(path) ?? '';
      const known = beside.get(directory);
      if (known === undefined) beside.set(directory, [path]);
      else known.push(path);
    }
    const judged = new Map<RelPath | '', { readonly sorted: readonly RelPath[]; readonly hasIgnored: boolean }>();
    return (path) => {
      const directory = parentPath(path) ?? '';
      let known = judged.get(directory);
      if (known === undefined) {
        const sorted = [...(beside.get(directory) ?? [])].sort();
        known = { sorted, hasIgnored: sorted.some((one) => isIgnored(one, false)) };
        judged.set(directory, known);
      }
      return known.hasIgnored || hasLonger(known.sorted, path);
    };
  }

  return { judge };
}

function isGone(path: RelPath | '', gone: ReadonlySet<RelPath>): boolean {
  return path !== '' && gone.has(path);
}

/** A directory that is gone stands for all below it; it moved elsewhere when all its files did. */
function outermost(vanished: readonly VanishedPath[]): readonly VanishedPath[] {
  const gone = new Set(vanished.map(({ path }) => path));
  const files = new Map<RelPath, { count: number; moved: number }>();
  for (const { path, isDirectory, movedElsewhere } of vanished) {
    if (isDirectory) continue;
    for (const ancestor of ancestorsOf(path)) {
      if (!gone.has(ancestor)) break;
      const below = files.get(ancestor) ?? { count: 0, moved: 0 };
      files.set(ancestor, { count: below.count + 1, moved: below.moved + (movedElsewhere ? 1 : 0) });
    }
  }
  return vanished
    .filter(({ path }) => {
      const parent = parentPath(path);
      return parent === undefined || !gone.has(parent);
    })
    .map((one) => {
      const below = files.get(one.path);
      return below === undefined ? one : { ...one, movedElsewhere: below.moved === below.count };
    });
}

/** In code-unit order, the names that begin with `path` come right after it. */
function hasLonger(sorted: readonly RelPath[], path: RelPath): boolean {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? '') > path) high = middle;
    else low = middle + 1;
  }
  return sorted[low]?.startsWith(path) === true;
}
