/**
 * Looks at the whole folder in the background, a few files at a time, spread evenly over a period: what no event tells of is found so
 * (rule HINT; F10, M14): writes through mmap or through a hard link elsewhere, other machines on a network disk. Places that cannot be
 * watched are looked at more often. A difference becomes a scan request like a watcher's hint, and nothing follows from it here. What
 * is gone becomes a look at everything: guards judge what went together, and an even pace would show it to them in pieces.
 *
 * A directory whose listing bears the signature that was last found equal to the rows, or that a scan recorded, is not compared
 * with them again: that would cost more than the look.
 */
import type { RelPath } from '@driftless/protocol';
import { fingerprintOf, racyWindowMs } from '../core/fingerprint.ts';
import { listingDifferences, listingSignature } from '../core/listing-differences.ts';
import type { Fingerprint } from '../core/local-entry.ts';
import { sweepPeriodMs, unwatchedPeriodMs } from '../core/pacing/sweep-period.ts';
import { isAtOrBelow, movedPath, parentPath } from '../core/tree-paths.ts';
import type { Pause } from '../pause.ts';
import type { Clock } from '../ports/clock.ts';
import type { Folder, ListResult } from '../ports/folder.ts';
import type { Log } from '../ports/log.ts';
import type { StateStore } from '../ports/state-store.ts';
import type { Watcher } from '../ports/watcher.ts';
import type { RecordedFile, ScanSights } from '../scan.ts';

/** Work is done for at least this long ahead, then slept: each wake finds cold caches, and costs the processor more than 400 files do. */
const tickMs = 10_000;
/** While it may not run: what it would find has waited for longer. */
const mayNotRunMs = 10_000;
/**
 * A mapped file takes new stamps only at the first change after its pages were written back, which the system does after 30 s: a file that
 * changed a moment ago, whether or not an event told of it, is read once more when that has happened.
 */
const writtenBackMs = 35_000;
/** Remembered of those that no event told of, the oldest go first. */
const silentMax = 10_000;
/** Of others only as long as no more are remembered: what changes by the thousand is a checkout or an archive, and not mapped. */
const toldOfMax = 1_000;
/** After a sweep that failed; longer while it goes on failing. */
const failedWaitMsMin = 2_000;
const failedWaitMsMax = 60_000;
/** What is told of a path that is not listed, instead of its stamps. */
const isGone = '';
/** Entries between two looks at the clock: about a millisecond. */
const entriesPerLook = 64;

export interface SweepParts {
  readonly folder: Folder;
  readonly store: Pick<StateStore, 'counts' | 'localChildren' | 'row' | 'setLocal'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly pause: Pause;
  readonly watcher: Pick<Watcher, 'watch' | 'isWatched' | 'unwatched'>;
  readonly fileBytesMax: number;
  readonly signal: AbortSignal;
  /** False while nothing may be concluded from the disk: paused, halted, or a scan of everything is due. */
  readonly mayRun: () => boolean;
  /** Loads the rules of a listed directory; true: they changed, what is below must be judged again. */
  readonly rulesChanged: (directory: RelPath | '', listed: Listed) => Promise<boolean>;
  /** A path waits for its scan already. */
  readonly isWaiting: (path: RelPath) => boolean;
  readonly hint: (path: RelPath | '', deep: boolean) => void;
  /** Files are gone where events should have told of it: what else went is seen by a look at everything alone. */
  readonly onLoss: () => void;
}

export interface Sweep extends ScanSights {
  /** Ends with the signal. */
  run(): Promise<void>;
  /** A scan ended before all that it listed was recorded. */
  scanFailed(): void;
  /** A scan looked at the whole folder. */
  lookedAtAll(): void;
  /** This peer renamed a file or directory. */
  moved(fromPath: RelPath, toPath: RelPath): void;
  /** Other places than before cannot be watched. */
  coverageChanged(): void;
  periodMs(): number;
  /** Wall clock of the end of the last look at the whole folder; null: none in this run. */
  lookedAtMs(): number | null;
  /** The content is suspected to differ from what its stamps say: it is read again. */
  readAgain(path: RelPath): void;
}

type Listed = Extract<ListResult, { kind: 'listed' }>;

export function createSweep(parts: SweepParts): Sweep {
  const { folder, store, clock, watcher, signal } = parts;
  const agreed = new Map<RelPath | '', { readonly signature: number; readonly subdirectories: readonly RelPath[] }>();
  /** Signatures of what scans listed since, and recorded. */
  const scanned = new Map<RelPath | '', number>();
  /** What was told, by directory: not again while it looks the same, since a scan need not change what it sees. */
  const told = new Map<RelPath | '', Map<RelPath, string>>();
  /** Files that may be mapped and still change, and since when. */
  const silentSinceMs = new Map<RelPath, number>();
  /** Files that are read once more, as their rows describe them: to find them so again is no change. */
  const readOnceMore = new Map<RelPath, Fingerprint>();
  let lookedAtMs: number | null = null;
  /** Of the last sweeps: what the next ones are spread over. */
  let entriesInAll = 0;
  let entriesUnwatched = 0;
  /** What sleeps or waits for work: woken when there is more to do, or it is to be done faster. */
  const sleepers = new Set<() => void>();
  /** Directories that the sweep under way has met. */
  let met = new Set<RelPath | ''>();

  const isEverythingUnwatched = (): boolean => watcher.unwatched().everything !== null;
  const periodMs = (): number =>
    isEverythingUnwatched() ? unwatchedPeriodMs(store.counts().files) : sweepPeriodMs(store.counts().files);

  async function run(): Promise<void> {
    await Promise.all([forever(sweepAll), forever(sweepUnwatched)]);
  }

  async function forever(sweepOnce: () => Promise<void>): Promise<void> {
    let lastReason = '';
    for (let failures = 0; !signal.aborted; ) {
      try {
        await sweepOnce();
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        if (String(error) !== lastReason) parts.log.warn('sweep-failed', { reason: String(error) });
        lastReason = String(error);
        await sleep(Math.min(failedWaitMsMax, failedWaitMsMin * 2 ** Math.min(failures - 1, 10)));
      }
    }
  }

  async function sweepAll(): Promise<void> {
    const beganMs = clock.monotonicMs();
    const pace = createPace({ entries: () => Math.max(entriesInAll, store.counts().entries + 1), periodMs });
    await pace.untilMayRun();
    met = new Set();
    const waiting: (RelPath | '')[] = [''];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      met.add(next);
      for (const below of (await lookAt(next, pace)).toReversed()) waiting.push(below);
    }
    forgetGone(beganMs);
    entriesInAll = pace.done();
    lookedAtMs = clock.nowMs();
    await pace.untilEnd();
  }

  /** Builds make directories with new names without end: only what a whole sweep met is remembered. */
  function forgetGone(beganMs: number): void {
    for (const map of [agreed, scanned, told]) for (const path of map.keys()) if (!met.has(path)) map.delete(path);
    for (const [path, sinceMs] of silentSinceMs) if (beganMs - sinceMs >= writtenBackMs) silentSinceMs.delete(path);
    met = new Set();
  }

  async function sweepUnwatched(): Promise<void> {
    const places = isEverythingUnwatched() ? [] : [...watcher.unwatched().places.keys()];
    if (places.length === 0) return sleep(Number.POSITIVE_INFINITY);
    const entries = (): number => Math.max(entriesUnwatched, places.length);
    const pace = createPace({ entries, periodMs: () => unwatchedPeriodMs(entries()) });
    await pace.untilMayRun();
    for (const place of places) {
      // The system may have room for it by now.
      watcher.watch(place);
      await lookAt(place, pace);
    }
    entriesUnwatched = pace.done();
    await pace.untilEnd();
  }

  // ── one directory ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** What else went is where no event tells of it either: in the places without a watch, or anywhere. */
  function onLossIn(directory: RelPath | ''): void {
    const { places } = watcher.unwatched();
    if (directory === '' || !places.has(directory)) parts.onLoss();
    else for (const place of places.keys()) parts.hint(place, false);
  }

  /** Returns the directories below that take part. */
  async function lookAt(directory: RelPath | '', pace: Pace): Promise<readonly RelPath[]> {
    const listed = await folder.list(directory, pace.entry);
    await pace.entry();
    signal.throwIfAborted();
    if (listed.kind === 'absent') {
      // It may have gone since its parent was listed, as an event told.
      if (directory !== '' && (await isMissing(directory)) && !parts.isWaiting(directory)) onLossIn(directory);
      return [];
    }
    if (listed.kind !== 'listed') {
      parts.hint(directory, false);
      return [];
    }
    const signature = listingSignature(listed.entries, listed.problems);
    // A file whose stamps told nothing once is not proven by them, whoever looked at it since.
    const hasSilent = readsSilentIn(directory, listed);
    const known = agreed.get(directory);
    if (known?.signature === signature && !hasSilent) return watchedOnly(known.subdirectories);
    agreed.delete(directory);
    if (scanned.get(directory) === signature && !hasSilent) {
      scanned.delete(directory);
      const subdirectories = directoriesInScope(directory, listed);
      agreed.set(directory, { signature, subdirectories });
      return watchedOnly(subdirectories);
    }
    if (await parts.rulesChanged(directory, listed)) {
      parts.hint(directory, true);
      return [];
    }
    const { entries, problems } = listed;
    const { paths, gone, uncertain, subdirectories, isFresh } = listingDifferences({
      directory,
      entries,
      problems,
      rows: store.localChildren(directory),
      fileBytesMax: parts.fileBytesMax,
      nowMs: clock.nowMs(),
    });
    const different = [...paths];
    // A long listing takes its time: what came or went in it by an event is in the rows, and not in the listing.
    const missing: RelPath[] = [];
    for (const path of gone) if (await isMissing(path)) missing.push(path);
    for (const path of uncertain) if (await differs(path)) different.push(path);
    if (tell(directory, { different, gone: missing }, listed)) onLossIn(directory);
    const isSettled = !isFresh && !hasSilent && paths.length + gone.length + uncertain.length === 0;
    if (isSettled) agreed.set(directory, { signature, subdirectories });
    return watchedOnly(subdirectories);
  }

  function directoriesInScope(directory: RelPath | '', { entries }: Listed): readonly RelPath[] {
    return entries.flatMap(({ name, stat }) => {
      if (stat.kind !== 'directory') return [];
      const path = pathIn(directory, name);
      const row = store.row(path);
      const isInScope = row?.outOfScope === null || row?.outOfScope === 'directory-of-out-of-scope';
      return isInScope ? [path] : [];
    });
  }

  function listed(directory: RelPath | '', { entries, problems }: Listed): void {
    // What a scan sees back is gone anew when it goes again.
    const toldHere = told.get(directory);
    if (toldHere !== undefined)
      for (const { name } of entries)
        if (toldHere.get(pathIn(directory, name)) === isGone) toldHere.delete(pathIn(directory, name));
    const freshMs = clock.nowMs() - racyWindowMs;
    const isCertain =
      problems.length === 0 &&
      entries.every(
        ({ stat: { kind, size, mtimeNs, ctimeNs } }) =>
          kind === 'directory' ||
          (kind === 'file' &&
            size <= parts.fileBytesMax &&
            Number((ctimeNs > mtimeNs ? ctimeNs : mtimeNs) / 1_000_000n) < freshMs),
      );
    if (isCertain) scanned.set(directory, listingSignature(entries, problems));
    else scanned.delete(directory);
  }

  /** A directory that nobody watches was never listed: the scan does both. */
  function watchedOnly(subdirectories: readonly RelPath[]): readonly RelPath[] {
    return subdirectories.filter((path) => {
      if (watcher.isWatched(path)) return true;
      parts.hint(path, false);
      return false;
    });
  }

  /** Whether something is gone that was not told before. */
  function tell(
    directory: RelPath | '',
    { different, gone }: { readonly different: readonly RelPath[]; readonly gone: readonly RelPath[] },
    listed: Listed,
  ): boolean {
    const before = told.get(directory);
    told.delete(directory);
    if (different.length + gone.length === 0) return false;
    const stats = new Map(listed.entries.map(({ name, stat }) => [pathIn(directory, name), stat]));
    const now = new Map<RelPath, string>();
    let isLoss = false;
    for (const path of [...gone, ...different]) {
      const stat = stats.get(path);
      const sight = stat === undefined ? isGone : `${stat.kind}${fingerprintOf(stat)}`;
      // What an event told of is on its way.
      if (parts.isWaiting(path)) continue;
      now.set(path, sight);
      if (before?.get(path) === sight) continue;
      const local = store.row(path)?.local;
      if (stat?.kind === 'file' && local?.kind === 'file' && local.fingerprint !== fingerprintOf(stat))
        noteSilent(path);
      if (stat === undefined) isLoss = true;
      else parts.hint(path, false);
    }
    if (now.size > 0) told.set(directory, now);
    return isLoss;
  }

  /** By our clock and the disk's, which need not agree: a stamp of the future counts as young. */
  function recorded(path: RelPath, { mtimeMs, fingerprint }: RecordedFile): void {
    const before = readOnceMore.get(path);
    readOnceMore.delete(path);
    if (before === fingerprint) return;
    if (silentSinceMs.size < toldOfMax && clock.nowMs() - mtimeMs < writtenBackMs) noteSilent(path);
  }

  /** Its pages went along. */
  function moved(fromPath: RelPath, toPath: RelPath): void {
    if (silentSinceMs.size === 0) return;
    const from = new Set([fromPath]);
    for (const [path, sinceMs] of [...silentSinceMs]) {
      if (!isAtOrBelow(path, from)) continue;
      silentSinceMs.delete(path);
      silentSinceMs.set(movedPath(path, fromPath, toPath), sinceMs);
    }
  }

  const noteSilent = (path: RelPath): void => remember(silentSinceMs, path, clock.monotonicMs());

  function remember<Value>(map: Map<RelPath, Value>, path: RelPath, value: Value): void {
    map.delete(path);
    map.set(path, value);
    if (map.size <= silentMax) return;
    for (const oldest of map.keys()) {
      map.delete(oldest);
      return;
    }
  }

  function readsSilentIn(directory: RelPath | '', { entries }: Listed): boolean {
    if (silentSinceMs.size === 0) return false;
    let hasSilent = false;
    for (const { name } of entries) if (readsSilent(pathIn(directory, name))) hasSilent = true;
    return hasSilent;
  }

  async function isMissing(path: RelPath): Promise<boolean> {
    if ((await folder.stat(path)) !== null) return false;
    const row = store.row(path);
    return row !== undefined && (row.outOfScope !== null || row.local !== null);
  }

  async function differs(path: RelPath): Promise<boolean> {
    const row = store.row(path);
    if (row?.outOfScope === 'unreadable') {
      if ((await folder.list(path)).kind === 'listed') return true;
      const opened = await folder.openFile(path);
      if (!('read' in opened)) return false;
      await opened.close();
      return true;
    }
    return row?.local?.kind === 'symlink' && (await folder.readLink(path)) !== row.local.target;
  }

  /** Whether the file changed silently and is to be read once more; does so when it is time. */
  function readsSilent(path: RelPath): boolean {
    const sinceMs = silentSinceMs.get(path);
    if (sinceMs === undefined) return false;
    if (clock.monotonicMs() - sinceMs >= writtenBackMs) {
      silentSinceMs.delete(path);
      readAgain(path);
    }
    return true;
  }

  function readAgain(path: RelPath): void {
    const row = store.row(path);
    if (row?.outOfScope === null && row.local?.kind === 'file') {
      remember(readOnceMore, path, row.local.fingerprint);
      if (!row.local.racy) store.setLocal(path, { ...row.local, racy: true });
    }
    parts.hint(path, false);
  }

  // ── the even pace ─────────────────────────────────────────────────────────────────────────────────────────────────

  interface Pace {
    /** After each entry. Never throws. */
    entry(): Promise<void> | undefined;
    done(): number;
    untilMayRun(): Promise<void>;
    untilEnd(): Promise<void>;
  }

  /** `entries`: about how many there are. When there are more, the rest is looked at as soon as the period is over. */
  function createPace(plan: { readonly entries: () => number; readonly periodMs: () => number }): Pace {
    const startMs = clock.monotonicMs();
    let done = 0;
    const untilMayRun = async (): Promise<void> => {
      while (!parts.mayRun() && !signal.aborted) await sleep(mayNotRunMs);
    };
    const rest = async (): Promise<void> => {
      await sleepUntil(plannedMs);
      await untilMayRun();
    };
    const plannedMs = (): number => startMs + Math.min(1, done / plan.entries()) * plan.periodMs();
    const aheadMs = (): number => plannedMs() - clock.monotonicMs();
    return {
      entry() {
        done += 1;
        if (done % entriesPerLook !== 0) return undefined;
        return aheadMs() < tickMs && parts.mayRun() ? parts.pause() : rest();
      },
      done: () => done,
      untilMayRun,
      async untilEnd() {
        await sleepUntil(() => startMs + plan.periodMs());
      },
    };
  }

  /** The end may come nearer meanwhile. */
  async function sleepUntil(endMs: () => number): Promise<void> {
    for (;;) {
      const delayMs = endMs() - clock.monotonicMs();
      if (signal.aborted || delayMs <= 0) return;
      await sleep(Math.ceil(delayMs));
    }
  }

  /** Or until it is woken; without an end only so. */
  async function sleep(delayMs: number): Promise<void> {
    if (signal.aborted || delayMs <= 0) return;
    await new Promise<void>((resolve) => {
      const timer = Number.isFinite(delayMs) ? clock.after(delayMs, end) : null;
      function end(): void {
        timer?.cancel();
        sleepers.delete(end);
        signal.removeEventListener('abort', end);
        resolve();
      }
      sleepers.add(end);
      signal.addEventListener('abort', end);
    });
  }

  return {
    listed,
    uncertain: (path) => {
      scanned.delete(parentPath(path) ?? '');
    },
    recorded,
    moved,
    scanFailed: () => scanned.clear(),
    run,
    lookedAtAll: () => {
      lookedAtMs = clock.nowMs();
    },
    coverageChanged: () => {
      for (const wake of [...sleepers]) wake();
    },
    periodMs,
    lookedAtMs: () => lookedAtMs,
    readAgain,
  };
}

function pathIn(directory: RelPath | '', name: string): RelPath {
  return (directory === '' ? name : `${directory}/${name}`) as RelPath;
}
