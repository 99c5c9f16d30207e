/**
 * Looks at the disk and writes what it sees into the local tree: stat first, hash only what changed (rules TREE, IG1, IG2,
 * NAME; situations F2, F21, M8–M17, D10, N5). The truth about the folder comes from here alone; watchers only hint.
 *
 * What is not certain is not recorded: a file that changes while it is read is `unstable`, one that cannot be read goes out
 * of scope and is never taken for deleted. Rows are written in transactions of bounded size, and long work yields every few
 * milliseconds, so that no heartbeat waits behind a scan.
 *
 * Leaves to others: which directories are kept alive only by what is out of scope (reconcile, rule IG3), whether a burst of
 * deletions is believed (guards), and the root itself (root guard): a root that is not there changes nothing here.
 */
import { comparePaths, type Digest, type Entry, type FileMode, isRelPath, type RelPath } from '@driftless/protocol';
import { staysOutOfScope } from './core/directory-scope.ts';
import { liveEntry, sameEntry } from './core/entry-encoding.ts';
import { modeOfFile, plainMode, sameMode, scannedMode } from './core/file-mode.ts';
import { fingerprintOf, isRacy, provesSameContent, sameButChangeTime } from './core/fingerprint.ts';
import { clashKey, linkReason, storableReason } from './core/folder-name.ts';
import { ignoreFileNames, isIgnoreFileName } from './core/ignore-rules.ts';
import { forgetsBaseWhenGone, inTheWay } from './core/in-the-way.ts';
import type { Fingerprint, LocalEntry } from './core/local-entry.ts';
import { isIgnored, type OutOfScopeReason, type Row } from './core/row.ts';
import type { IgnoreSource } from './core/scope/ignore-text.ts';
import { ruleWords, verdictWords } from './core/scope/ignore-words.ts';
import { ancestorsOf, isAtOrBelow, parentPath } from './core/tree-paths.ts';
import type { HeldFiles } from './guards/held-files.ts';
import { deviceOf, diskAt, diskOf, type Disk as MountedDisk, type MountScan } from './guards/mounts.ts';
import { createIgnoreFiles } from './ignore-files.ts';
import type { Pause } from './pause.ts';
import type { Clock } from './ports/clock.ts';
import {
  type Folder,
  FolderError,
  type ListedEntry,
  type ListResult,
  type PathProblem,
  type Stat,
} from './ports/folder.ts';
import type { Hashing } from './ports/hashing.ts';
import type { Log } from './ports/log.ts';
import type { StateStore } from './ports/state-store.ts';
import type { Watcher } from './ports/watcher.ts';
import type { LargeReads } from './scan/hash-large.ts';
import { type ReadDigest, readDigest } from './scan/read-digest.ts';

/** A path to look at; `deep` also looks at everything below. A directory without it: its own entries. */
export interface ScanRequest {
  readonly path: RelPath | '';
  readonly deep: boolean;
}

export interface ScanOptions {
  readonly paths: readonly ScanRequest[] | 'all';
  readonly signal: AbortSignal;
  /** Large files too are read within the scan. */
  readonly readsAll?: boolean;
  /** Called when the scan throws, with what it saw until then: some of that is recorded, and no later scan finds it again. */
  readonly onCut?: (seen: ScanResult) => Promise<void>;
  /** Files looked at so far. */
  readonly onProgress?: (files: number) => void;
}

/** Something in scope that is gone. */
export interface VanishedPath {
  readonly path: RelPath;
  readonly isDirectory: boolean;
  /** A file whose bytes this scan found at a path where no file was before. */
  readonly movedElsewhere: boolean;
}

export interface ScanResult {
  /** Paths whose local state or scope is another than before. */
  readonly changed: readonly RelPath[];
  /** Those of them that were in scope and are gone. */
  readonly vanished: readonly VanishedPath[];
  /** Those of them that are files without content, and had some before, or were not there before. */
  readonly emptied: readonly RelPath[];
  /** What waits for a confirmation is another set than before (rule IG1). */
  readonly awaitingChanged: boolean;
  /** New problems, one a path; '' = the root. A path that had its problem before is not told again. */
  readonly problems: readonly { readonly path: RelPath | ''; readonly reason: string }[];
  /** What changed while it was read: nothing was recorded, look again, as deep as before. */
  readonly unstable: readonly (ScanRequest & { readonly path: RelPath })[];
  /** Directories in which a `.git` was listed: the work trees of repositories. */
  readonly repositories: readonly (RelPath | '')[];
}

export interface ArrivalsResult {
  readonly changed: readonly RelPath[];
  /** Ignore files that are still to be applied: before everything else (rule IG2). */
  readonly ignoreFiles: readonly RelPath[];
}

export interface Scanner {
  /** Errors: StateStoreError; FolderError when the root itself cannot be listed; the signal's reason when aborted. Everything recorded until then is true. */
  scan(options: ScanOptions): Promise<ScanResult>;
  /** Takes out of scope what the room brought and this machine leaves out, before it is applied (rules IG1, IG2). */
  scopeArrivals(options: { readonly nowMs: number }): Promise<ArrivalsResult>;
  /** Why a path takes no part here by its name or the ignore rules, and what to do about it; empty = it does. */
  explain(path: RelPath): Promise<readonly string[]>;
  /** The rule that leaves a path out, in words. */
  ruleFor(path: RelPath): Promise<string | null>;
  /** By the rules as last loaded. */
  isIgnored(path: RelPath, isDirectory: boolean): boolean;
  /** Loads the root's rules, for what must be asked before the first scan. */
  loadRootRules(): Promise<void>;
  /** Loads the rules of a directory that was just listed; true: they, or those above, changed since it was last judged. */
  rulesChanged(directory: RelPath | '', listed: Listed): Promise<boolean>;
  /** The rules of an ignore file that the room has and this disk cannot take; null: it has it by now. */
  setRoomText(path: RelPath, source: IgnoreSource | null): void;
  /** What no row can stand for: names that cannot travel (by their directory), ignore lines that do not count, private files that others may read here. */
  skipped(): readonly { readonly path: RelPath | ''; readonly reason: string }[];
}

export interface ScannerParts {
  readonly folder: Folder;
  readonly store: StateStore;
  readonly clock: Clock;
  readonly hashing: Hashing;
  readonly log: Log;
  /** Files above this are out of scope here (F18). */
  readonly fileBytesMax: number;
  /** Whether a path that others' rules brought into scope was confirmed here (rule IG1). */
  readonly isScopeConfirmed: (path: RelPath) => boolean;
  /** None: nothing waits. */
  readonly heldFiles?: Pick<HeldFiles, 'isEmpty' | 'has' | 'note' | 'isRenamed'>;
  readonly pause: Pause;
  /** Reads large files beside; without it all are read within the scan. */
  readonly large?: LargeReads;
  readonly mounts: MountScan;
  /** Is told which directories are in scope, each right before it is listed. None: nobody listens. */
  readonly watches?: ScannedWatches;
  readonly sights?: ScanSights;
}

/** Is told what a scan saw, for whoever looks again without one. */
export interface ScanSights {
  /** Rows will say what was listed, unless the scan throws or a path is `uncertain`. */
  listed(directory: RelPath | '', listed: Listed): void;
  uncertain(path: RelPath): void;
  /** A file is recorded as it is now. */
  recorded(path: RelPath, file: RecordedFile): void;
}

export type ScannedWatches = Pick<Watcher, 'watch' | 'unwatch' | 'isWatched'>;
export type RecordedFile = Pick<Extract<LocalEntry, { kind: 'file' }>, 'mtimeMs' | 'fingerprint'>;

const noSights: ScanSights = { listed: () => {}, uncertain: () => {}, recorded: () => {} };
const nothingHeld = { isEmpty: true, has: () => false, note: () => {}, isRenamed: () => false };
const noWatches: ScannedWatches = { watch: () => {}, unwatch: () => {}, isWatched: () => true };

/** Read within the scan: a save, or a git switch, stays one. Larger files beyond these bytes of one scan are read beside. */
const largeFileBytesMin = 1024 * 1024;
const largeBytesWithinScan = 16 * 1024 * 1024;
/** Row changes in one transaction: about 5 ms. */
const writesPerTransaction = 256;
/** Rows read between two looks at the clock. */
const rowsBetweenBreaths = 64;
/** Files read at a time: hides the disk's latency; 2 MB of buffers. */
const hashesAtOnce = 8;
/** New files are hashed after the walk, when the vanished ones are known: a moved one need not be read. About 10 MB. */
const hashesDeferredMax = 20_000;
/** Contents remembered within one scan, to know what only moved. */
const appearedMax = 10_000;
/** Vanished files remembered for a moment, for a move whose two hints come in two scans. */
const vanishedKept = 50_000;
const vanishedKeptMs = 10_000;
/** Names that cannot travel, remembered for people. */
const skippedMax = 1_000;
/** A file that waits for a confirmation and is not there for so long is gone. */
const goneForGoodMs = 2_000;
const arrivalsPerPage = 1_000;

/** What is known of one file that must be read, unless it turns out to be moved. */
interface ToHash {
  readonly path: RelPath;
  readonly row: Row | undefined;
  readonly fingerprint: Fingerprint;
  readonly inode: bigint;
  readonly stat: Stat;
}

interface Vanished {
  readonly path: RelPath;
  readonly local: Extract<LocalEntry, { kind: 'file' }>;
  readonly atMs: number;
}

export function createScanner(parts: ScannerParts): Scanner {
  const { folder, store, clock, hashing, log, fileBytesMax, isScopeConfirmed, pause, large, mounts } = parts;
  const { watches = noWatches, sights = noSights, heldFiles = nothingHeld } = parts;
  const { traits } = folder;
  const folds = !traits.caseSensitive || traits.foldsUnicode;
  const ignoreFiles = createIgnoreFiles({ folder, store, clock, hashing, log });
  /** By inode, oldest first. */
  const vanishedByInode = new Map<bigint, Vanished>();
  /** Names that cannot travel, by the directory that holds them; at most skippedMax. */
  const unnameable = new Map<RelPath | '', readonly string[]>();
  /** Private files that others may read here, with the reason; at most skippedMax. */
  const exposed = new Map<RelPath, string>();
  /** Files that wait for a confirmation and are not there: an editor may be about to put them back. Since when, monotonic. */
  const absentSinceMs = new Map<RelPath, number>();
  /** What the last scopeArrivals saw; nothing new to look at while it stays so. */
  let arrivalsSeen = '';

  return {
    scan,
    scopeArrivals,
    explain,
    ruleFor,
    isIgnored: ignoreFiles.isIgnored,
    loadRootRules: () => ignoreFiles.look().load(''),
    rulesChanged,
    setRoomText: ignoreFiles.setRoomText,
    skipped,
  };

  async function rulesChanged(directory: RelPath | '', listed: Listed): Promise<boolean> {
    await ignoreFiles.look().loadListed(directory, listed);
    return ignoreFiles.stale().some((stale) => (directory === '' ? stale === '' : isAtOrAbove(stale, directory)));
  }

  async function scan(options: ScanOptions): Promise<ScanResult> {
    const run = createRun(options);
    forgetOldVanished();
    let toTheEnd = false;
    try {
      await run.begin();
      if (options.paths === 'all') await run.directory('', true, outside);
      else await run.requests(options.paths);
      const result = await run.finish();
      toTheEnd = true;
      return result;
    } catch (error) {
      await options.onCut?.(run.recorded());
      throw error;
    } finally {
      ignoreFiles.endJudging({ toTheEnd });
    }
  }

  function skipped(): readonly { readonly path: RelPath | ''; readonly reason: string }[] {
    const names = [...unnameable].flatMap(([path, reasons]) => reasons.map((reason) => ({ path, reason })));
    return [...names, ...ignoreFiles.warnings(), ...[...exposed].map(([path, reason]) => ({ path, reason }))];
  }

  function forgetOldVanished(): void {
    const oldestMs = clock.monotonicMs() - vanishedKeptMs;
    for (const [inode, { atMs }] of vanishedByInode) {
      if (atMs >= oldestMs && vanishedByInode.size <= vanishedKept) return;
      vanishedByInode.delete(inode);
    }
  }

  // ── one scan ──────────────────────────────────────────────────────────────────────────────────────────────────────

  function createRun(options: ScanOptions) {
    const { signal } = options;
    const look = ignoreFiles.look();
    const writer = createWriter();
    const names = createNames(writer);
    const problems: { path: RelPath | ''; reason: string }[] = [];
    /** With how deep to look again. */
    const unstable = new Map<RelPath, boolean>();
    const repositories = new Set<RelPath | ''>();
    let toHash: ToHash[] = [];
    let files = 0;
    let largeBytes = 0;

    const reading = { folder, hashing, nowMs: clock.nowMs, afterPiece: breathe };
    async function breathe(): Promise<void> {
      await pause();
      signal.throwIfAborted();
    }

    /** A large directory is listed in slices. */
    let listed = 0;
    function betweenEntries(): Promise<void> | undefined {
      listed += 1;
      return listed % rowsBetweenBreaths === 0 ? pause() : undefined;
    }

    /** Devices of directories, and what is mounted at boundaries, as this run finds them. */
    const devices = new Map<RelPath | '', bigint | undefined>();
    const mounted = new Map<RelPath, MountedDisk | null>();
    let points: ReadonlySet<RelPath> = new Set();

    /** Mount points over directories that are known. */
    let mountedOver: readonly RelPath[] = [];
    async function begin(): Promise<void> {
      points = await folder.mountPoints();
      mountedOver = mounts.begin(points, options.paths === 'all' ? 'all' : 'part');
    }

    /** Below a boundary that is not what it was there is nothing to see: the boundary itself is looked at instead. */
    async function isWithinReach(path: RelPath): Promise<boolean> {
      const boundary = mounts.around(path);
      if (boundary === undefined) return true;
      const disk = mounted.get(boundary) ?? (await diskAt(folder, boundary, points));
      mounted.set(boundary, disk);
      if (mounts.isKnown(boundary, disk)) return disk !== null;
      await lookAt({ path: boundary, deep: true });
      return false;
    }

    /** null: no boundary; undefined: its parent went meanwhile. */
    async function diskOfDirectory(path: RelPath, stat: Stat): Promise<MountedDisk | null | undefined> {
      const parent = parentPathOf(path);
      if (!devices.has(parent)) devices.set(parent, await deviceOf(folder, parent));
      devices.set(path, stat.device);
      const above = devices.get(parent);
      if (above === undefined) return undefined;
      return above !== stat.device || points.has(path) ? diskOf(stat) : null;
    }

    async function requests(paths: readonly ScanRequest[]): Promise<void> {
      // A disk that was mounted over what is known is looked at as a whole, before anything below it.
      for (const path of mountedOver) await lookAt({ path, deep: true });
      const present: ScanRequest[] = [];
      // What is gone first: then a file found under another name can be recognised.
      for (const request of outermost(paths)) {
        signal.throwIfAborted();
        if (request.path !== '' && mounts.around(request.path) !== request.path && !(await isWithinReach(request.path)))
          continue;
        if (!(await isGone(request))) present.push(request);
      }
      if (folds) for (const { path, deep } of present) if (deep && path !== '') deepWithin.add(path);
      for (const request of present) await lookAt(request);
      // An ignore file that was applied, or that only a parent's look found changed.
      for (const stale of ignoreFiles.stale())
        if (ignoreFiles.stale().includes(stale)) await directory(stale, true, outside);
    }

    /** Handles the request when nothing is at its path. */
    async function isGone(request: ScanRequest): Promise<boolean> {
      if (request.path === '' || folds) return false;
      if ((await folder.stat(request.path)) !== null) return false;
      await gone(request.path);
      return true;
    }

    async function gone(path: RelPath): Promise<void> {
      // A parent may be gone too, or may be a link or file by now; its own hint can be missing.
      const parent = parentPath(path);
      if (parent !== undefined && store.row(parent)?.local?.kind === 'directory') {
        const stat = await folder.stat(parent);
        if (stat === null) return gone(parent);
        if (stat.kind !== 'problem' && stat.kind !== 'directory') return pathFromParent(parent);
      }
      await look.load(parentPathOf(path));
      await vanished(path);
      if (parent !== undefined) freed.add(parent);
    }

    /** What takes no part may have been all that kept a directory, or that kept the room's file from its place. */
    async function lookAtFreed(): Promise<void> {
      await drain();
      for (const path of freed) {
        const row = store.row(path);
        if (row === undefined) continue;
        if (row.outOfScope === 'directory-of-out-of-scope') await directory(path, false, outside);
        else if (row.problem !== null && row.local?.kind === 'directory') writer.setProblem(path, null);
      }
    }
    /** Directories from which something went. */
    const freed = new Set<RelPath>();

    async function lookAt(request: ScanRequest): Promise<void> {
      await breathe();
      // A request before this one may have written the rows that this one reads.
      await drain();
      const { path, deep } = request;
      if (path === '') return directory('', deep, outside);
      if (folds) return pathFromParent(path, deep);
      await look.load(parentPathOf(path));
      const stale = ignoreFiles.stale().find((directory) => isAtOrAbove(directory, path));
      if (stale !== undefined) return directory(stale, true, outside);
      if (isBelowIgnored(path)) return;
      if (isToBeMade(store.row(path))) return pathFromParent(path, deep);
      const unknownParent = topmostUnknown(path);
      const wanted = unknownParent ?? path;
      const stat = await folder.stat(wanted);
      if (stat === null) return gone(wanted);
      if (stat.kind === 'problem') return unreadable(wanted, stat);
      const row = store.row(wanted);
      await entry({
        path: wanted,
        stat,
        row,
        deep: deep || unknownParent !== undefined,
        requested: true,
        within: outside,
      });
    }

    /** On a disk that folds names, a stat answers for other spellings too; only the listing tells how a name is spelled. */
    async function pathFromParent(path: RelPath, deep = true): Promise<void> {
      const parent = parentPath(path) ?? '';
      if (parent !== '' && store.row(parent)?.local?.kind !== 'directory') return pathFromParent(parent, true);
      if (deep) deepWithin.add(path);
      // Once for all that is asked of it in this scan: else a thousand new files would be a million looks.
      const listed = namesByParent.get(parent) ?? (await namesIn(parent, false, outside));
      if (listed !== undefined) namesByParent.set(parent, listed);
      if (parent !== '') freed.add(parent);
      if (listed !== undefined && !listed.has(path)) await leaveOutIfTaken(path);
    }
    const namesByParent = new Map<RelPath | '', ReadonlySet<RelPath>>();

    /** To be made here, not listed, and found all the same: the disk takes the name for another one that it holds. */
    async function leaveOutIfTaken(path: RelPath): Promise<void> {
      const row = store.row(path);
      if (!isToBeMade(row)) return;
      if ((await folder.stat(path)) === null) return;
      tell(path, `${path} is left out: this disk takes its name for another one that is there.`);
      writer.setOutOfScope(path, 'unstorable');
    }

    /** Entries that a shallow listing of their parent must descend into. */
    const deepWithin = new Set<RelPath>();

    function isBelowIgnored(path: RelPath): boolean {
      for (const ancestor of ancestorsOf(path)) if (ignoreFiles.isIgnored(ancestor, true)) return true;
      return false;
    }

    /** The highest directory above `path` that the local tree does not know: its hint was lost, or comes later. */
    function topmostUnknown(path: RelPath): RelPath | undefined {
      let unknown: RelPath | undefined;
      // From below: above a directory that is known all are.
      for (let above = parentPath(path); above !== undefined; above = parentPath(above)) {
        const row = store.row(above);
        const known =
          row?.outOfScope === 'directory-of-out-of-scope' ||
          (row?.outOfScope === null && row.local?.kind === 'directory');
        if (known) break;
        unknown = above;
      }
      return unknown;
    }

    async function directory(path: RelPath | '', deep: boolean, within: Within): Promise<void> {
      await namesIn(path, deep, within);
    }

    /** Looks at a directory's entries. Which there are; undefined when it could not be listed. */
    async function namesIn(
      path: RelPath | '',
      deep: boolean,
      within: Within,
    ): Promise<ReadonlySet<RelPath> | undefined> {
      await breathe();
      if (writer.isFull()) writer.flushSome();
      if (path !== '' && !(await isWithinReach(path))) return undefined;
      watches.watch(path);
      const listed = await folder.list(path, betweenEntries);
      // A look at everything that saw nothing has answered nothing: it is asked for again.
      if (path === '' && listed.kind !== 'listed') throw new FolderError(rootProblem(listed));
      if (listed.kind === 'problem') {
        await unreadable(path, listed);
        return undefined;
      }
      if (listed.kind !== 'listed') {
        // It was a directory a moment ago.
        if (path !== '') unstable.set(path, deep);
        return undefined;
      }
      sights.listed(path, listed);
      if (path !== '' && listed.entries.length === 0) emptied(path);
      if (path !== '') await look.load(parentPathOf(path));
      await look.loadListed(path, listed);
      if (listed.entries.some(({ name }) => name === '.git')) repositories.add(path);
      const descends = deep || ignoreFiles.stale().includes(path);
      if (descends) ignoreFiles.judged(path);
      const rows = new Map(store.localChildren(path).map((row) => [row.path, row]));
      const seen = new Set<RelPath>();
      const subdirectories: { entry: ListedEntry; path: RelPath; row: Row | undefined }[] = [];

      const cannotTravel = listed.invalidNames.map(
        (name) => `Cannot sync "${name}"${inFolder(path)}: its name is not valid UTF-8.`,
      );
      for (const { name, problem } of listed.problems) {
        const child = childPath(path, name);
        if (child === undefined) continue;
        seen.add(child);
        await unreadable(child, problem, rows.get(child));
      }
      for (const listedEntry of listed.entries) {
        const child = childPath(path, listedEntry.name);
        if (child === undefined) {
          cannotTravel.push(`Cannot sync "${listedEntry.name}"${inFolder(path)}: its name or path is too long.`);
          continue;
        }
        seen.add(child);
        if (listedEntry.stat.kind === 'directory')
          subdirectories.push({ entry: listedEntry, path: child, row: rows.get(child) });
      }
      tellUnnameable(path, cannotTravel);
      // Vanished rows before new files: then a moved file is recognised.
      // What took part before what did not: a name that was left out for a rival may come now.
      for (const wasInScope of [true, false])
        for (const row of rows.values()) {
          if (seen.has(row.path) || (row.outOfScope === null) !== wasInScope) continue;
          await vanished(row.path, row);
          if (path !== '') freed.add(path);
        }
      for (const { name, stat } of listed.entries) {
        const child = childPath(path, name);
        if (child === undefined || stat.kind === 'directory') continue;
        await entry({ path: child, stat, row: rows.get(child), deep: descends, requested: false, within });
        if (writer.isFull()) {
          writer.flushSome();
          await breathe();
        }
      }
      for (const { entry: listedEntry, path: child, row } of subdirectories) {
        const below = descends || deepWithin.has(child);
        await entry({ path: child, stat: listedEntry.stat, row, deep: below, requested: false, within });
      }
      if (toHash.length > hashesDeferredMax) await hashAll();
      return seen;
    }

    /** What kept it out of scope is gone (rule IG3): it is a directory like any other again. */
    function emptied(path: RelPath): void {
      const row = store.row(path);
      // A disk that holds nothing keeps its directory all the same.
      if (mounts.around(path) === path) return;
      if (
        row?.outOfScope !== 'directory-of-out-of-scope' ||
        staysOutOfScope({ local: 'directory', hasChildren: false, remote: row.remote })
      )
        return;
      writer.setOutOfScope(path, null);
      writer.setLocal(path, { kind: 'directory' }, row);
      // Nothing is left of what it was made for, and the room has a file above it: it goes as if the room had known and deleted it.
      if (row.remote === null && isBelowLeafOfRoom(path)) writer.setBase(path, { kind: 'directory' });
    }

    function isBelowLeafOfRoom(path: RelPath): boolean {
      for (const ancestor of ancestorsOf(path)) {
        const above = liveEntry(store.row(ancestor)?.remote ?? null);
        if (above !== null && above.kind !== 'directory') return true;
      }
      return false;
    }

    /** One thing on disk, whatever it is. */
    async function entry(found: {
      readonly path: RelPath;
      readonly stat: Stat;
      readonly row: Row | undefined;
      readonly deep: boolean;
      /** Asked for by name: a directory's own entries are then listed. */
      readonly requested: boolean;
      readonly within: Within;
    }): Promise<void> {
      const { path, stat } = found;
      let { row } = found;
      if (stat.kind !== 'directory' && mounts.around(path) === path) return boundaryGone(path, row);
      const { kind } = ignoreFiles.judge(path, stat.kind === 'directory');
      if (kind === 'out' || (kind === 'unknown' && stat.kind !== 'directory' && staysUnpublished(path, row)))
        return leaveOut(path, 'ignored', row);
      if (stat.kind === 'file' || stat.kind === 'symlink') {
        if (isHeldBack(path, row, found.within) || isHeldFileRenamed(path, row, stat)) {
          heldFiles.note(path, fingerprintOf(stat));
          return leaveOut(path, 'awaiting-confirmation', row);
        }
        // In scope from here on, also when it cannot be read at this moment.
        if (row?.outOfScope === 'ignored' || row?.outOfScope === 'awaiting-confirmation') {
          writer.setOutOfScope(path, null);
          row = { ...row, outOfScope: null, local: null };
        }
      }
      switch (stat.kind) {
        case 'other':
          tellOnce(row, path, 'special-file', `${path} is a pipe, socket or device: it is left alone.`);
          return leaveOut(path, 'special-file', row);
        case 'symlink':
          return symlink(path, row);
        case 'file':
          files += 1;
          if (files % 256 === 0) options.onProgress?.(files);
          return file(path, stat, row);
        case 'directory':
          return subdirectory(found);
      }
    }

    async function isStill(path: RelPath, identity: string): Promise<boolean> {
      const stat = await folder.stat(path);
      return stat !== null && stat.kind !== 'problem' && identityOf(stat) === identity;
    }

    async function subdirectory(found: Parameters<typeof entry>[0]): Promise<void> {
      const { path, stat, row, within } = found;
      const identity = identityOf(stat);
      const above = stat.inode === 0n ? -1 : within.inodes.indexOf(identity);
      if (above >= 0) {
        // Unless the directory above went after it was listed, and its number was given to this one.
        if (!(await isStill(ancestor(path, within.inodes.length - above), identity))) {
          unstable.set(path, found.deep);
          return;
        }
        tellOnce(
          row,
          path,
          'special-file',
          `${path} is a folder that contains itself (a mount loop): it is left alone.`,
        );
        return leaveOut(path, 'special-file', row);
      }
      const disk = await diskOfDirectory(path, stat);
      if (disk === undefined) {
        unstable.set(path, found.deep);
        return;
      }
      mounted.set(path, disk);
      const seen = mounts.see(path, disk);
      if (seen === 'away') return leaveOut(path, 'unmounted', row);
      const deep = found.deep || seen === 'look-deep';
      const inodes = [...within.inodes, identity];
      if (row?.outOfScope === 'ignored-once-shared' || wasIgnored(row, within)) return comesIn(path, inodes, row);
      const isNew = row === undefined || row.outOfScope !== null || row.local?.kind !== 'directory';
      // Rule IG3: reconcile put it out of scope, and takes it back when something in scope needs it.
      const staysOut =
        row?.outOfScope === 'directory-of-out-of-scope' &&
        staysOutOfScope({ local: 'directory', hasChildren: true, remote: row.remote });
      if (isNew && !staysOut) await record(path, { kind: 'directory' }, row);
      // Whether what lies below takes part is asked of the store.
      if (row !== undefined && row.outOfScope !== null) await drain();
      // One that this peer itself made is known already, and was never listed.
      const isUnwatched = !watches.isWatched(path);
      if (deep || found.requested || isNew || isUnwatched)
        await directory(path, deep || isNew, { inodes, comesIn: false });
    }

    /**
     * A directory that was left out until now. It is in scope only when all below it is either known to wait or not: a crash
     * in between must leave nothing unasked.
     */
    async function comesIn(path: RelPath, inodes: readonly string[], row: Row | undefined): Promise<void> {
      if (row?.outOfScope !== 'awaiting-confirmation') writer.setOutOfScope(path, 'awaiting-confirmation');
      await drain();
      await directory(path, true, { inodes, comesIn: true });
      await drain();
      const now = store.row(path);
      if (now?.outOfScope === 'awaiting-confirmation') await record(path, { kind: 'directory' }, now);
    }

    /** What comes into scope by others' rules, and not by a change made here, waits until somebody here says so (rule IG1). */
    function isHeldBack(path: RelPath, row: Row | undefined, within: Within): boolean {
      absentSinceMs.delete(path);
      const comes = wasIgnored(row, within);
      if (!comes && !mayHaveWaited(path, row)) return false;
      if (isScopeConfirmed(path)) return false;
      return !comes || row?.outOfScope === 'awaiting-confirmation' || !ignoreFiles.isOwnWish(path, false);
    }

    /** A file that waits goes on waiting under the name that its user gives it, also if that was another file's (rule IG1). */
    function isHeldFileRenamed(path: RelPath, row: Row | undefined, stat: Stat): boolean {
      if (heldFiles.isEmpty || row?.outOfScope === 'awaiting-confirmation' || isScopeConfirmed(path)) return false;
      return heldFiles.isRenamed(path, fingerprintOf(stat), { exactly: !isUnknown(row) });
    }

    /** The state was lost: what waited is told by the list beside the marker; what only a `.driftlessignore` takes back in may have. */
    function mayHaveWaited(path: RelPath, row: Row | undefined): boolean {
      if (!isUnknown(row)) return false;
      if (heldFiles.has(path)) return true;
      const join = store.setting('join');
      return (join === 'rejoin' || join === 'return') && ignoreFiles.isTakenBackIn(path);
    }

    async function symlink(path: RelPath, row: Row | undefined): Promise<void> {
      const target = await folder.readLink(path);
      if (target === null) {
        unstable.set(path, false);
        return;
      }
      if (typeof target !== 'string') return unreadable(path, target, row);
      const reason = linkReason(path, target, traits);
      if (reason !== null) {
        tellOnce(row, path, 'outside-link', `${path} is left alone: ${reason}.`);
        return leaveOut(path, 'outside-link', row);
      }
      if (row?.outOfScope === null && row.local?.kind === 'symlink' && row.local.target === target) return;
      await record(path, { kind: 'symlink', target }, row);
    }

    async function file(path: RelPath, stat: Stat, row: Row | undefined): Promise<void> {
      if (stat.size > fileBytesMax) {
        tellOnce(
          row,
          path,
          'too-large',
          `${path} is larger than ${fileBytesMax} bytes (${stat.size}): it is not synced from here.`,
        );
        return leaveOut(path, 'too-large', row);
      }
      const fingerprint = fingerprintOf(stat);
      const known = row?.outOfScope === null ? row.local : null;
      const mode = modeSeen(stat, fingerprint, row);
      if (exposed.size > 0 && !isExposed(stat, mode)) exposed.delete(path);
      if (isExposed(stat, mode)) {
        const dressed = await makePrivate(path, fingerprint, mode);
        if (dressed !== null)
          return void toHash.push({
            path,
            row,
            fingerprint: fingerprintOf(dressed),
            inode: dressed.inode,
            stat: dressed,
          });
      }
      if (known?.kind === 'file' && provesSameContent(known, fingerprint) && sameMode(known, mode)) return;
      toHash.push({ path, row, fingerprint, inode: stat.inode, stat });
    }

    /**
     * An editor that replaces a private file makes one that others may read: it is dressed again at once, before it is even
     * read, and however far away the relay is. null: it stays as it is. What cannot be dressed is told, and synced all the same.
     */
    async function makePrivate(path: RelPath, fingerprint: Fingerprint, mode: FileMode): Promise<Stat | null> {
      const expected = { kind: 'file', fingerprint } as const;
      const outcome = await folder.setMode({ path, dress: { mode, wasPrivate: true }, expected });
      if (outcome.kind === 'done' && outcome.stat?.openToOthers === false) {
        exposed.delete(path);
        return outcome.stat;
      }
      // It changed meanwhile, and is looked at again.
      if (outcome.kind !== 'problem' && outcome.kind !== 'done') return null;
      const why = outcome.kind === 'problem' ? ` (${outcome.code})` : '';
      const reason = `${path} is private, and others may read it here: its mode could not be changed${why}. Its owner can run chmod 600 on it.`;
      if (!exposed.has(path)) tell(path, reason);
      if (exposed.size < skippedMax) exposed.set(path, reason);
      return null;
    }

    // ── what takes no part, and what is gone ──

    async function leaveOut(path: RelPath, reason: OutOfScopeReason, row: Row | undefined): Promise<void> {
      watches.unwatch(path);
      if (reason !== 'ignored' && reason !== 'awaiting-confirmation') sights.uncertain(path);
      const reasonOf = (known: Row | undefined): OutOfScopeReason =>
        reason === 'ignored' ? ignoredReason(known) : reason;
      const now = reasonOf(row);
      if (row?.outOfScope !== now) writer.setOutOfScope(path, now);
      const problem = row === undefined ? null : inTheWay(row, now, arrivalScope(row, names) === null);
      if ((row?.outOfScope === now ? (row.problem?.reason ?? null) : null) !== problem) {
        writer.setProblem(path, problem);
        if (problem !== null) tell(path, problem);
      }
      // Nothing below it is looked at any more, so what was known there is neither deleted nor applied (rule IG1).
      await eachBelow(path, (below) => {
        // What is ignored, or waits, inside something that is out of reach must still be so when that is back.
        if (reason !== 'ignored' && isIgnoredOrWaits(below)) return;
        // What was not on the disk either is none of what is away with it.
        if (reason === 'unmounted' && isNowhere(below)) return;
        if (below.outOfScope !== reasonOf(below)) writer.setOutOfScope(below.path, reasonOf(below));
      });
    }

    async function unreadable(path: RelPath | '', problem: PathProblem, row?: Row): Promise<void> {
      if (path === '') throw new FolderError(problem);
      const known = row ?? store.row(path);
      // What waits, or is ignored, is not looked into: it must still be so when it can be read again.
      if (isIgnoredOrWaits(known)) return;
      tellOnce(known, path, 'unreadable', problem.reason);
      await leaveOut(path, 'unreadable', known);
    }

    /** Nothing is on disk at `path`, so nothing below it either. */
    async function vanished(path: RelPath, known?: Row): Promise<void> {
      watches.unwatch(path);
      const row = known ?? store.row(path);
      if (mounts.around(path) === path && !(await mounts.seeMovedAway(path))) return boundaryGone(path, row);
      if (row !== undefined) await rowVanished(row);
      await belowVanished(path);
    }

    /** Where a disk was mounted there is no directory any more: what was on it is as little gone as when it is empty. */
    async function boundaryGone(path: RelPath, row: Row | undefined): Promise<void> {
      mounts.seeGone(path);
      await leaveOut(path, 'unmounted', row);
    }

    async function belowVanished(path: RelPath): Promise<void> {
      const away = new Set<RelPath>();
      for (const boundary of mounts.within(path)) if (!(await mounts.seeMovedAway(boundary))) away.add(boundary);
      for (const boundary of away) await boundaryGone(boundary, store.row(boundary));
      await eachBelow(path, async (below) => {
        if (isAtOrBelow(below.path, away)) return;
        if (below.local !== null || below.outOfScope !== null) await rowVanished(below);
      });
    }

    async function eachBelow(path: RelPath, action: (row: Row) => void | Promise<void>): Promise<void> {
      let rows = 0;
      for (const row of store.rowsUnder(path)) {
        await action(row);
        rows += 1;
        if (rows % rowsBetweenBreaths !== 0) continue;
        if (writer.isFull()) writer.flushSome();
        await breathe();
      }
    }

    /** Writes what has gathered, a transaction at a time. */
    async function drain(): Promise<void> {
      while (writer.flushSome()) await breathe();
    }

    async function rowVanished(row: Row): Promise<void> {
      if (row.outOfScope === null) {
        if (row.local === null) return;
        names.release(row.path);
        if (row.local.kind === 'directory') ignoreFiles.forget(row.path);
        if (row.local.kind === 'file') rememberVanished(row.path, row.local);
        writer.setLocal(row.path, null, row);
        return;
      }
      if (row.outOfScope === 'awaiting-confirmation' && !isGoneForGood(row.path))
        return void unstable.set(row.path, false);
      const scope = arrivalScope(row, names) ?? (await stillTaken(row));
      if (scope === row.outOfScope) {
        if (row.problem !== null) writer.setProblem(row.path, null);
        return;
      }
      writer.setOutOfScope(row.path, scope);
      if (forgetsBaseWhenGone(row)) writer.setBase(row.path, null);
    }

    /** An editor that saves takes a file away for a moment: what comes back must find that it still waits. */
    function isGoneForGood(path: RelPath): boolean {
      const nowMs = clock.monotonicMs();
      const sinceMs = absentSinceMs.get(path) ?? nowMs;
      absentSinceMs.set(path, sinceMs);
      if (nowMs - sinceMs < goneForGoodMs) return false;
      absentSinceMs.delete(path);
      return true;
    }

    /** The disk may know more of names than we: what is not listed, and is found all the same, is another's (N2, N6). */
    async function stillTaken(row: Row): Promise<OutOfScopeReason | null> {
      if (row.outOfScope !== 'unstorable' || liveEntry(row.remote) === null) return null;
      return (await folder.stat(row.path)) === null ? null : 'unstorable';
    }

    // ── reading contents ──

    async function hashAll(): Promise<void> {
      const batch = toHash;
      toHash = [];
      await drain();
      let next = 0;
      const worker = async (): Promise<void> => {
        for (let item = batch[next++]; item !== undefined; item = batch[next++]) {
          await readOrRecognise(item);
          if (writer.isFull()) writer.flushSome();
          await breathe();
        }
      };
      // All are waited for, so that none works on after an abort.
      const outcomes = await Promise.allSettled(Array.from({ length: hashesAtOnce }, worker));
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
      await drain();
    }

    async function readOrRecognise(item: ToHash): Promise<void> {
      const moved = movedFrom(item);
      if (moved === undefined) return hash(item);
      const local: LocalEntry = {
        ...moved,
        ...stampsOf(item),
        ...modeSeen(item.stat, item.fingerprint, item.row, moved),
      };
      await record(item.path, local, item.row);
    }

    /** A file that came along with its directory, which was renamed: its own stamps are all as they were under its old name. */
    function movedFrom(item: ToHash): Vanished['local'] | undefined {
      const candidate = item.inode === 0n ? undefined : vanishedByInode.get(item.inode)?.local;
      return candidate !== undefined && provesSameContent(candidate, item.fingerprint) ? candidate : undefined;
    }

    async function hash(item: ToHash): Promise<void> {
      const { path, row } = item;
      const outcome = isReadBeside(item) ? largeOutcome(item) : await readDigest(path, reading);
      if (outcome === null || outcome === undefined) return sights.uncertain(path);
      if (outcome.kind === 'problem') return unreadable(path, outcome, row);
      if (outcome.kind === 'changed') {
        unstable.set(path, false);
        return;
      }
      const { stat, digest, beganMs } = outcome;
      const fingerprint = fingerprintOf(stat);
      const mode = modeSeen(stat, fingerprint, row, { digest });
      // Its stamps looked like those of a chmod, and it is another file.
      if (isExposed(stat, mode) && !exposed.has(path) && (await makePrivate(path, fingerprint, mode)) !== null) {
        unstable.set(path, false);
        return;
      }
      await record(
        path,
        {
          kind: 'file',
          digest,
          ...stampsOf({ stat, fingerprint }),
          ...mode,
          racy: isRacy(stat, beganMs),
        },
        row,
      );
    }

    function isReadBeside({ path, stat }: ToHash): boolean {
      if (large === undefined || options.readsAll === true || stat.size <= largeFileBytesMin) return false;
      if (large.holds(path) || large.hasRead(path)) return true;
      largeBytes += stat.size;
      return largeBytes > largeBytesWithinScan;
    }

    /** Nothing is recorded of what is still being read. */
    function largeOutcome({ path, fingerprint, inode }: ToHash): ReadDigest | PathProblem | null | undefined {
      const former = inode === 0n ? undefined : vanishedByInode.get(inode);
      const isFormer = former !== undefined && sameButChangeTime(former.local.fingerprint, fingerprint);
      return large?.outcomeOf({ path, fingerprint, inode, fromPath: isFormer ? former.path : undefined });
    }

    // ── recording ──

    async function record(path: RelPath, local: LocalEntry, row: Row | undefined): Promise<void> {
      const facts = { local: local.kind, hasChildren: true, remote: row?.remote ?? null };
      if (
        row !== undefined &&
        row.outOfScope !== null &&
        !(row.outOfScope === 'directory-of-out-of-scope' && staysOutOfScope(facts))
      )
        writer.setOutOfScope(path, null);
      writer.setLocal(path, local, row);
      if (local.kind === 'file') sights.recorded(path, local);
      // A file or link where a directory was: what was below it is gone.
      if (local.kind !== 'directory' && row !== undefined) {
        watches.unwatch(path);
        await belowVanished(path);
      }
    }

    function tell(path: RelPath | '', reason: string): void {
      problems.push({ path, reason });
    }

    function tellUnnameable(directory: RelPath | '', reasons: readonly string[]): void {
      const before = unnameable.get(directory) ?? [];
      for (const reason of reasons) if (!before.includes(reason)) tell(directory, reason);
      unnameable.delete(directory);
      if (reasons.length > 0 && unnameable.size < skippedMax) unnameable.set(directory, reasons.slice(0, skippedMax));
    }

    function tellOnce(row: Row | undefined, path: RelPath, scope: OutOfScopeReason, reason: string): void {
      if (row?.outOfScope !== scope) tell(path, reason);
    }

    async function finish(): Promise<ScanResult> {
      await lookAtFreed();
      await hashAll();
      options.onProgress?.(files);
      for (const path of unstable.keys()) sights.uncertain(path);
      return recorded();
    }

    function recorded(): ScanResult {
      return {
        changed: [...writer.changed],
        vanished: writer.vanished(),
        emptied: [...writer.emptied],
        problems,
        awaitingChanged: writer.awaitingChanged(),
        unstable: [...unstable].map(([path, deep]) => ({ path, deep })),
        repositories: [...repositories],
      };
    }

    return { begin, directory, requests, finish, recorded };
  }

  // ── shared by scans and arrivals ──────────────────────────────────────────────────────────────────────────────────

  /** `read`: what its bytes turned out to be, once they were read or are known otherwise. */
  function modeSeen(
    stat: Stat,
    fingerprint: Fingerprint,
    row: Row | undefined,
    read?: { readonly digest: Digest },
  ): FileMode {
    const known = row?.outOfScope === null && row.local?.kind === 'file' ? row.local : renamedFrom(stat, fingerprint);
    const agreed = modeOfFile(row?.base ?? null);
    // M5: a disk without modes keeps what was agreed.
    if (!traits.holdsModes)
      return agreed ?? modeOfFile(liveEntry(row?.remote ?? null)) ?? modeOfFile(known ?? null) ?? plainMode;
    const { executable, openToOthers } = stat;
    const isOther = read !== undefined && known !== undefined && known.digest !== read.digest;
    return scannedMode({ fingerprint, executable, openToOthers, isOther }, known, agreed);
  }

  /** The file that this one was under another name until a moment ago, as far as stamps tell: good enough for its mode. */
  function renamedFrom(stat: Stat, fingerprint: Fingerprint): Vanished['local'] | undefined {
    const former = stat.inode === 0n ? undefined : vanishedByInode.get(stat.inode)?.local;
    return former !== undefined && sameButChangeTime(former.fingerprint, fingerprint) ? former : undefined;
  }

  function rememberVanished(path: RelPath, local: Vanished['local']): void {
    const inode = inodeOf(local.fingerprint);
    if (inode === undefined || inode === 0n) return;
    large?.noteGone(path, inode);
    vanishedByInode.delete(inode);
    vanishedByInode.set(inode, { path, local, atMs: clock.monotonicMs() });
  }

  /** Collects row changes and writes them in transactions of bounded size. */
  function createWriter() {
    const changed = new Set<RelPath>();
    const vanished = new Map<RelPath, LocalEntry>();
    const emptied = new Set<RelPath>();
    const appeared = new Set<Digest>();
    const writes: (() => void)[] = [];
    /** Those that are still to be written. */
    const scopes = new Map<RelPath, OutOfScopeReason | null>();
    let awaitingChanged = false;

    function note(path: RelPath, local: LocalEntry | null, before: LocalEntry | null): void {
      changed.add(path);
      if (before !== null && local === null) vanished.set(path, before);
      else vanished.delete(path);
      if (local?.kind !== 'file') {
        emptied.delete(path);
        return;
      }
      // An empty file that appears and has been so for a while is what its program meant.
      if (local.size === 0 && (before === null ? local.racy : before.kind !== 'file' || before.size > 0))
        emptied.add(path);
      else emptied.delete(path);
      if (before?.kind !== 'file' && appeared.size < appearedMax) appeared.add(local.digest);
    }

    return {
      changed,
      emptied,
      vanished: (): readonly VanishedPath[] =>
        [...vanished].map(([path, local]) => ({
          path,
          isDirectory: local.kind === 'directory',
          movedElsewhere: local.kind === 'file' && local.size > 0 && appeared.has(local.digest),
        })),
      isFull: () => writes.length >= writesPerTransaction,
      setLocal(path: RelPath, local: LocalEntry | null, row: Row | undefined): void {
        if (!isSameLocal(row, local))
          note(path, local, row === undefined || row.outOfScope !== null ? null : row.local);
        mounts.seeChanged(path);
        writes.push(() => store.setLocal(path, local));
      },
      awaitingChanged: () => awaitingChanged,
      setOutOfScope(path: RelPath, reason: OutOfScopeReason | null): void {
        changed.add(path);
        mounts.seeChanged(path);
        scopes.set(path, reason);
        awaitingChanged ||=
          reason === 'awaiting-confirmation' || store.row(path)?.outOfScope === 'awaiting-confirmation';
        writes.push(() => store.setOutOfScope(path, reason));
      },
      /** What lies below a path is judged by what was just found there. */
      scopeOf(path: RelPath): OutOfScopeReason | null {
        const found = scopes.get(path);
        return found === undefined ? (store.row(path)?.outOfScope ?? null) : found;
      },
      /** Of a row that is not tried again by the clock. */
      setProblem(path: RelPath, reason: string | null): void {
        writes.push(() => store.setProblem(path, reason === null ? null : { reason, attempts: 0, retryAtMs: 0 }));
      },
      setBase(path: RelPath, base: Entry | null): void {
        mounts.seeChanged(path);
        writes.push(() => store.setBase(path, base));
      },
      /** One transaction; false when there was nothing to write. */
      flushSome(): boolean {
        const slice = writes.splice(0, writesPerTransaction);
        if (slice.length === 0) return false;
        store.transaction(() => {
          for (const write of slice) write();
        });
        if (writes.length === 0) scopes.clear();
        return true;
      },
    };
  }

  /** Whether the room's entry of a path that is not on this disk takes part here; the rules above it must be loaded. */
  function arrivalScope(row: Row, names: Names): OutOfScopeReason | null {
    const entry = liveEntry(row.remote);
    if (entry === null) return null;
    if (ignoreFiles.isIgnored(row.path, entry.kind === 'directory')) return 'ignored';
    const above = names.reasonAbove(row.path);
    if (above !== null) return above;
    if (storableReason(row.path, traits) !== null) return 'unstorable';
    if (entry.kind === 'symlink' && linkReason(row.path, entry.target, traits) !== null) return 'unstorable';
    if (!names.claim(row.path)) return 'unstorable';
    return entry.kind === 'file' && entry.content.size > fileBytesMax ? 'too-large' : null;
  }

  /** Which spelling of a name the disk holds, or will hold, when it takes several for one (N2, N6). */
  function createNames(writer: Writer) {
    const spellings = new Map<RelPath | '', Map<string, RelPath>>();
    const ofDirectory = (directory: RelPath | ''): Map<string, RelPath> => {
      let known = spellings.get(directory);
      if (known === undefined) {
        known = new Map();
        for (const row of store.localChildren(directory))
          if (row.local !== null) known.set(clashKey(row.path, traits), row.path);
        spellings.set(directory, known);
      }
      return known;
    };
    return {
      /** False: the disk would take it for another path that it holds, or that came first. */
      claim(path: RelPath): boolean {
        if (!folds) return true;
        const known = ofDirectory(parentPathOf(path));
        const key = clashKey(path, traits);
        const holder = known.get(key);
        if (holder === undefined) known.set(key, path);
        return holder === undefined || holder === path;
      },
      /** What was there is gone: a rival may have the name. */
      release(path: RelPath): void {
        if (!folds) return;
        const known = ofDirectory(parentPathOf(path));
        const key = clashKey(path, traits);
        if (known.get(key) === path) known.delete(key);
      },
      /** There is no directory for it here: something that takes no part, or a name that this disk cannot hold, lies above it. */
      reasonAbove(path: RelPath): OutOfScopeReason | null {
        for (const ancestor of ancestorsOf(path)) {
          const reason = writer.scopeOf(ancestor);
          if (reason !== null && reason !== 'directory-of-out-of-scope') return reason;
        }
        return null;
      },
    };
  }

  async function scopeArrivals({ nowMs }: { readonly nowMs: number }): Promise<ArrivalsResult> {
    const seen = `${store.head()?.id ?? ''} ${ignoreFiles.version()}`;
    if (seen === arrivalsSeen) return { changed: [], ignoreFiles: [] };
    const look = ignoreFiles.look();
    const writer = createWriter();
    const names = createNames(writer);
    const pendingIgnoreFiles: RelPath[] = [];
    for (const row of store.pendingRowsNamed(Object.values(ignoreFileNames), nowMs)) {
      const entry = liveEntry(row.remote);
      if (entry !== null && !sameEntry(row.base, entry)) pendingIgnoreFiles.push(row.path);
    }
    for (let after: RelPath | '' | undefined = ''; after !== undefined; ) {
      // A page at a time, and all of them: what was not judged would be applied.
      const rows: readonly Row[] = store.arrivingRows({ after, limit: arrivalsPerPage });
      for (const row of rows) {
        if (liveEntry(row.remote) === null) continue;
        await look.load(parentPathOf(row.path));
        const scope = arrivalScope(row, names);
        if (scope !== null) writer.setOutOfScope(row.path, scope);
        if (writer.isFull()) while (writer.flushSome());
        await pause();
      }
      after = rows.length < arrivalsPerPage ? undefined : rows.at(-1)?.path;
    }
    while (writer.flushSome()) await pause();
    // With an ignore file still to come, what follows may have to be judged again.
    arrivalsSeen = pendingIgnoreFiles.length > 0 ? '' : `${store.head()?.id ?? ''} ${ignoreFiles.version()}`;
    return { changed: [...writer.changed], ignoreFiles: pendingIgnoreFiles };
  }

  async function explain(path: RelPath): Promise<readonly string[]> {
    const { verdict, isDirectory, row } = await verdictOn(path);
    const words = verdictWords(path, isDirectory, verdict);
    if (verdict.kind === 'out' || (verdict.kind === 'unknown' && staysUnpublished(path, row))) return words;
    const entry = row === undefined ? null : liveEntry(row.remote);
    const reason =
      storableReason(path, traits) ?? (entry?.kind === 'symlink' ? linkReason(path, entry.target, traits) : null);
    return reason === null ? [] : [reason];
  }

  async function ruleFor(path: RelPath): Promise<string | null> {
    const { verdict } = await verdictOn(path);
    return verdict.kind === 'in' || verdict.reason === null ? null : ruleWords(verdict.reason);
  }

  async function verdictOn(path: RelPath) {
    await ignoreFiles.look().load(parentPathOf(path));
    const row = store.row(path);
    const stat = await folder.stat(path);
    const kind = stat !== null && stat.kind !== 'problem' ? stat.kind : liveEntry(row?.remote ?? null)?.kind;
    const isDirectory = kind === 'directory';
    return { verdict: ignoreFiles.judge(path, isDirectory), isDirectory, row };
  }
}

type Writer = { scopeOf(path: RelPath): OutOfScopeReason | null };
type Listed = Extract<ListResult, { kind: 'listed' }>;
type Names = {
  claim(path: RelPath): boolean;
  release(path: RelPath): void;
  reasonAbove(path: RelPath): OutOfScopeReason | null;
};

/**
 * Nothing was here, and the room has something: whether what is here now has this very name only a listing tells, since a
 * disk may take one name for another (a mount point inside the root may, where the root does not).
 */
function isToBeMade(row: Row | undefined): boolean {
  if (row === undefined || row.outOfScope !== null || row.local !== null) return false;
  // As it was agreed on: it was deleted here, and is not made again.
  const entry = liveEntry(row.remote);
  return entry !== null && !sameEntry(row.base, entry);
}

const identityOf = ({ device, inode }: Pick<Stat, 'device' | 'inode'>): string => `${device}:${inode}`;

function ancestor(path: RelPath, levels: number): RelPath {
  return path.split('/').slice(0, -levels).join('/') as RelPath;
}

interface Within {
  /** Of the directories above, outermost first; the last one is the parent's. */
  readonly inodes: readonly string[];
  /** Below a directory that was left out until now. */
  readonly comesIn: boolean;
}
/** A scan that begins inside the tree does not know the directories above; a loop is then found one round later. */
const outside: Within = { inodes: [], comesIn: false };

/** Whether nobody but this machine has had the file: it was ignored until now, and the room never agreed with it on anything. */
function wasIgnored(row: Row | undefined, { comesIn }: Within): boolean {
  if (row === undefined) return comesIn;
  if (row.outOfScope === null) return comesIn && row.local === null && row.base === null;
  return row.outOfScope === 'ignored' || row.outOfScope === 'awaiting-confirmation';
}

/** Nothing was ever seen here, or agreed on. */
function isUnknown(row: Row | undefined): boolean {
  return row === undefined || (row.outOfScope === null && row.local === null && row.base === null);
}

function isIgnoredOrWaits(row: Row | undefined): boolean {
  return isIgnored(row?.outOfScope) || row?.outOfScope === 'awaiting-confirmation';
}

function isNowhere({ outOfScope, base, local, remote }: Row): boolean {
  return outOfScope === null && base === null && local === null && liveEntry(remote) === null;
}

function ignoredReason(row: Row | undefined): OutOfScopeReason {
  const wasShared = row?.outOfScope === 'ignored-once-shared' || (row?.base ?? null) !== null;
  return wasShared ? 'ignored-once-shared' : 'ignored';
}

/**
 * Whether a path that a rule could match, which is not understood, takes no part. What the room and this disk share goes
 * on, and the rules themselves are shared, so that they hold for everybody.
 */
function staysUnpublished(path: RelPath, row: Row | undefined): boolean {
  return (row?.base ?? null) === null && !isIgnoreFileName(path);
}

function stampsOf({ stat, fingerprint }: { readonly stat: Stat; readonly fingerprint: Fingerprint }) {
  const { size, openToOthers } = stat;
  return { size, openToOthers, mtimeMs: Number(stat.mtimeNs / 1_000_000n), fingerprint };
}

function inodeOf(fingerprint: Fingerprint): bigint | undefined {
  const text = fingerprint.slice(fingerprint.lastIndexOf('.') + 1);
  return /^\d+$/.test(text) ? BigInt(text) : undefined;
}

function isSameLocal(row: Row | undefined, local: LocalEntry | null): boolean {
  const known = row === undefined || row.outOfScope !== null ? null : row.local;
  if (known === null || local === null) return known === local;
  if (known.kind === 'file' && local.kind === 'file') return known.digest === local.digest && sameMode(known, local);
  if (known.kind === 'symlink' && local.kind === 'symlink') return known.target === local.target;
  return known.kind === local.kind;
}

function rootProblem(listed: Exclude<ListResult, Listed>): PathProblem {
  if (listed.kind === 'problem') return listed;
  const reason = 'Cannot list the folder: it is missing, or no longer a folder.';
  return { kind: 'problem', code: 'root-missing', reason, diskFull: false };
}

/** A private file with permission bits for others. */
function isExposed(stat: Stat, mode: FileMode): boolean {
  return mode.private && stat.openToOthers;
}

function isAtOrAbove(directory: RelPath | '', path: RelPath): boolean {
  return directory === '' || directory === path || path.startsWith(`${directory}/`);
}

function childPath(parent: RelPath | '', name: string): RelPath | undefined {
  const path = parent === '' ? name : `${parent}/${name}`;
  return isRelPath(path) ? path : undefined;
}

function parentPathOf(path: RelPath | ''): RelPath | '' {
  return path === '' ? '' : (parentPath(path) ?? '');
}

function inFolder(path: RelPath | ''): string {
  return path === '' ? '' : ` in ${path}`;
}

/** In path order, without those that a deep request above covers. */
function outermost(requests: readonly ScanRequest[]): readonly ScanRequest[] {
  const byPath = new Map<RelPath | '', boolean>();
  for (const { path, deep } of requests) byPath.set(path, deep || byPath.get(path) === true);
  const kept: ScanRequest[] = [];
  if (byPath.get('') === true) return [{ path: '', deep: true }];
  for (const [path, deep] of [...byPath].sort(([a], [b]) => comparePaths(a, b))) {
    let covered = false;
    if (path !== '') for (const ancestor of ancestorsOf(path)) covered ||= byPath.get(ancestor) === true;
    if (!covered) kept.push({ path, deep });
  }
  return kept;
}
