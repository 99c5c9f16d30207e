/**
 * The ignore files of a folder as the rules need them: read from disk ahead of the question, and again only when their
 * stamps changed. Says which directories were judged by rules that are no more, so that a scan looks at them again.
 * A file that cannot be read, or not to its end, keeps what was known of it, and what it could match stays unpublished.
 *
 * Leaves to others: what the rules mean (core/ignore-rules), and applying ignore files first (rule IG2).
 */
import { bytesToHex, equalBytes, type RelPath } from '@driftless/protocol';
import { liveEntry, sameEntry } from './core/entry-encoding.ts';
import { fingerprintOf, isRacy } from './core/fingerprint.ts';
import {
  createIgnoreRules,
  type IgnoreFileKind,
  type IgnoreFileTexts,
  type IgnoreVerdict,
  ignoreFileNames,
} from './core/ignore-rules.ts';
import { type IgnoreSource, ignoreFileBytesMax } from './core/scope/ignore-text.ts';
import { uniteIgnoreFiles } from './core/scope/unite-ignore-files.ts';
import { ancestorsOf } from './core/tree-paths.ts';
import type { Clock } from './ports/clock.ts';
import type { Folder, ListedEntry, ListResult, PathProblem, Stat } from './ports/folder.ts';
import type { Hashing } from './ports/hashing.ts';
import type { Log } from './ports/log.ts';
import type { StateStore } from './ports/state-store.ts';
import { createOwnRules } from './scan/own-rules.ts';

export interface IgnoreFiles {
  /** By the rules as last loaded. */
  judge(path: RelPath, isDirectory: boolean): IgnoreVerdict;
  /** Whether it is out for certain. */
  isIgnored(path: RelPath, isDirectory: boolean): boolean;
  /** Lines that do not do what they look like, for people: the file, and the line and pattern in the reason. */
  warnings(): readonly { readonly path: RelPath | ''; readonly reason: string }[];
  /** Another number than before: some rule changed. */
  version(): number;
  /** Directories whose rules changed since their subtree was last judged, outermost first. */
  stale(): readonly (RelPath | '')[];
  /** The subtree of `directory` is being judged by the present rules, until `endJudging`. */
  judged(directory: RelPath | ''): void;
  /** The directory is gone; what is known of one that held rules goes when that is looked at. */
  forget(directory: RelPath): void;
  /** Not to the end: what was begun is stale again. */
  endJudging(options: { readonly toTheEnd: boolean }): void;
  /** Whether a path that comes into scope does so by what the user of this machine changed in the rules. */
  isOwnWish(path: RelPath, isDirectory: boolean): boolean;
  /** Whether only `.driftlessignore` keeps it in, against what would leave it out otherwise. */
  isTakenBackIn(path: RelPath): boolean;
  /**
   * What the room holds of an ignore file that this disk cannot take: its rules hold as well as those on disk.
   * null: the disk holds it.
   */
  setRoomText(path: RelPath, source: IgnoreSource | null): void;
  /** One piece of work: each directory's files are looked at once in it. */
  look(): IgnoreLook;
}

export interface IgnoreLook {
  /** Makes sure that the rules of `directory` and of those above it are the ones on disk. */
  load(directory: RelPath | ''): Promise<void>;
  /** The same for a directory that was just listed; those above it are loaded. */
  loadListed(directory: RelPath | '', listed: Listing): Promise<void>;
}

type Listing = Pick<Extract<ListResult, { kind: 'listed' }>, 'entries' | 'problems'>;

interface LoadedFiles {
  /** Stamps of both files; '' = to be read again, whatever the stamps. */
  readonly key: string;
  readonly driftless?: IgnoreSource;
  readonly git?: IgnoreSource;
  /** Kinds that are a link here: they hold no rules, as in git. */
  readonly links: readonly IgnoreFileKind[];
}
const noFiles: LoadedFiles = { key: ' ', links: [] };

export function createIgnoreFiles(parts: {
  readonly folder: Folder;
  readonly store: StateStore;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly hashing: Hashing;
  readonly log: Log;
}): IgnoreFiles {
  const { folder, store, clock, hashing, log } = parts;
  /** Directories with ignore files only. */
  const loaded = new Map<RelPath | '', LoadedFiles>();
  /** Directories that were looked at in this run. */
  const known = new Set<RelPath | ''>();
  const roomTexts = new Map<RelPath, IgnoreSource>();
  const stale = new Set<RelPath | ''>();
  const beingJudged = new Set<RelPath | ''>();
  let version = 0;
  const rules = createIgnoreRules({ readIgnoreFile: inForce, traits: folder.traits });
  /** Without what takes back in. */
  const weakRules = createIgnoreRules({
    readIgnoreFile: (directory) => {
      const { git } = inForce(directory);
      return git === undefined ? {} : { git };
    },
    traits: folder.traits,
  });
  const ownRules = createOwnRules({ inForce, traits: folder.traits });

  function inForce(directory: RelPath | ''): IgnoreFileTexts {
    const files = loaded.get(directory) ?? noFiles;
    const texts: { -readonly [Kind in IgnoreFileKind]?: IgnoreSource } = {};
    for (const kind of kinds) {
      const source = unitedSource(files[kind], roomTexts.get(pathIn(directory, ignoreFileNames[kind])));
      if (source !== undefined) texts[kind] = source;
    }
    return texts;
  }

  function look(): IgnoreLook {
    const looked = new Set<RelPath | ''>();

    async function load(directory: RelPath | ''): Promise<void> {
      if (looked.has(directory)) return;
      const above: (RelPath | '')[] = directory === '' ? [] : [...ancestorsOf(directory), ''];
      for (const each of [directory, ...above].reverse()) {
        if (looked.has(each)) continue;
        looked.add(each);
        await take(each, isKnownDirectory(each) ? await statBoth(each) : noStats);
      }
    }

    async function loadListed(directory: RelPath | '', { entries, problems }: Listing): Promise<void> {
      looked.add(directory);
      const statOf = (name: string): FoundFile =>
        entries.find((entry: ListedEntry) => entry.name === name)?.stat ??
        problems.find((each) => each.name === name)?.problem;
      await take(directory, { driftless: statOf(ignoreFileNames.driftless), git: statOf(ignoreFileNames.git) });
    }

    return { load, loadListed };
  }

  /** A directory that no scan has seen has no rules that were asked for; the scan that finds it loads them. */
  function isKnownDirectory(directory: RelPath | ''): boolean {
    return directory === '' || store.row(directory)?.local?.kind === 'directory' || loaded.has(directory);
  }

  async function statBoth(directory: RelPath | ''): Promise<FoundFiles> {
    const statOf = async (name: string): Promise<FoundFile> =>
      (await folder.stat(pathIn(directory, name))) ?? undefined;
    return { driftless: await statOf(ignoreFileNames.driftless), git: await statOf(ignoreFileNames.git) };
  }

  async function take(directory: RelPath | '', found: FoundFiles): Promise<void> {
    const key = `${stampsOf(found.driftless)} ${stampsOf(found.git)}`;
    const before = loaded.get(directory) ?? noFiles;
    const isFirst = !known.has(directory);
    if (key === before.key && !isFirst) return;
    known.add(directory);
    const readAtMs = clock.nowMs();
    const driftless = await read(directory, 'driftless', found, before);
    const git = await read(directory, 'git', found, before);
    const files: LoadedFiles = {
      key: isUnreadable(driftless) || isUnreadable(git) || isJustWritten(found, readAtMs) ? '' : key,
      ...(driftless === undefined ? {} : { driftless }),
      ...(git === undefined ? {} : { git }),
      links: kinds.filter((kind) => found[kind]?.kind === 'symlink'),
    };
    const textsBefore = inForce(directory);
    if (key === noFiles.key) loaded.delete(directory);
    else loaded.set(directory, files);
    for (const kind of kinds) {
      const [was, is] = [before[kind], files[kind]];
      // At the first look a run compares with what the run before has seen.
      if (isFirst ? !isAsScanned(directory, kind, is) : !sameSource(was, is))
        ownRules.changed({ directory, kind, before: textsBefore[kind], isOwn: isOwnChange(directory, kind, was, is) });
      if (!sameSource(was, is)) changed(directory);
    }
  }

  function changed(directory: RelPath | ''): void {
    rules.invalidate(directory);
    weakRules.invalidate(directory);
    stale.add(directory);
    version += 1;
  }

  /**
   * What the room and this disk agree on was brought by the room; anything else was made here. Unless the room's next version is not
   * agreed on yet: an editor into which that was merged saves both, and no line tells whose it is.
   */
  function isOwnChange(
    directory: RelPath | '',
    kind: IgnoreFileKind,
    before: IgnoreSource | undefined,
    now: IgnoreSource | undefined,
  ): boolean {
    const path = pathIn(directory, ignoreFileNames[kind]);
    // Cut while it was applied, and not settled yet: base does not say so, and it is the room's.
    if (store.intents().some((intent) => intent.path === path)) return false;
    const row = store.row(path);
    const base = row?.base ?? null;
    if (row !== undefined && !sameEntry(liveEntry(row.remote), base)) return false;
    if (now === undefined) return base !== null;
    if (now.incomplete !== undefined) return false;
    // It could not be read for a while, and is what it was.
    if (before !== undefined && isUnreadable(before) && equalBytes(before.bytes, now.bytes)) return true;
    return base?.kind !== 'file' || base.content.digest !== digestOf(now);
  }

  function isAsScanned(directory: RelPath | '', kind: IgnoreFileKind, source: IgnoreSource | undefined): boolean {
    const local = store.row(pathIn(directory, ignoreFileNames[kind]))?.local;
    if (source === undefined) return local?.kind !== 'file';
    return local?.kind === 'file' && local.digest === digestOf(source);
  }

  const digestOf = ({ bytes }: IgnoreSource): string => bytesToHex(hashing.sha256(bytes));

  function setRoomText(path: RelPath, source: IgnoreSource | null): void {
    const directory = path.slice(0, Math.max(0, path.lastIndexOf('/'))) as RelPath | '';
    const before = inForce(directory);
    if (source === null) roomTexts.delete(path);
    else roomTexts.set(path, source);
    const now = inForce(directory);
    for (const kind of kinds) {
      if (sameSource(before[kind], now[kind])) continue;
      ownRules.changed({ directory, kind, before: before[kind], isOwn: false });
      changed(directory);
    }
  }

  async function read(
    directory: RelPath | '',
    kind: IgnoreFileKind,
    found: FoundFiles,
    before: LoadedFiles,
  ): Promise<IgnoreSource | undefined> {
    const stat = found[kind];
    // A link or directory of that name holds no rules.
    if (stat === undefined || (stat.kind !== 'file' && stat.kind !== 'problem')) return undefined;
    const opened = stat.kind === 'problem' ? stat : await folder.openFile(pathIn(directory, ignoreFileNames[kind]));
    if ('read' in opened) {
      try {
        return sourceOf(await opened.readAt(0, ignoreFileBytesMax + 1));
      } catch (error) {
        return unreadable(error instanceof Error ? error.message : String(error), before[kind]);
      } finally {
        await opened.close();
      }
    }
    return opened.kind === 'absent' ? undefined : unreadable(opened.reason, before[kind]);
  }

  /** The rules stay as they were, and whatever else may stand in it is unknown: better than publishing what it leaves out. */
  function unreadable(reason: string, before: IgnoreSource | undefined): IgnoreSource {
    log.warn('ignore-file-unreadable', { reason });
    return { bytes: before?.bytes ?? new Uint8Array(), incomplete: `${cannotBeRead} (${reason})` };
  }

  function warnings(): { readonly path: RelPath; readonly reason: string }[] {
    const links = [...loaded].flatMap(([directory, files]) =>
      files.links.map((kind) => ({
        path: pathIn(directory, ignoreFileNames[kind]),
        reason: 'is a link: its rules do not count, as in git',
      })),
    );
    const lines = rules.remarks().map(({ file, line, pattern, reason }) => ({
      path: file,
      reason: line === 0 ? reason : `line ${line}: ${pattern} ${reason}`,
    }));
    return [...links, ...lines];
  }

  return {
    judge: rules.judge,
    isIgnored: rules.isIgnored,
    warnings,
    version: () => version,
    stale: () => [...stale].sort((a, b) => a.length - b.length),
    judged: (directory) => {
      stale.delete(directory);
      beingJudged.add(directory);
    },
    forget: (directory) => {
      if (!loaded.has(directory)) known.delete(directory);
    },
    endJudging: ({ toTheEnd }) => {
      for (const directory of beingJudged) {
        if (!toTheEnd) stale.add(directory);
        else if (!stale.has(directory)) ownRules.judged(directory);
      }
      beingJudged.clear();
    },
    isOwnWish: ownRules.isWish,
    isTakenBackIn: (path) => rules.judge(path, false).kind === 'in' && weakRules.isIgnored(path, false),
    setRoomText,
    look,
  };
}

type FoundFile = Stat | PathProblem | undefined;
type FoundFiles = { readonly [Kind in IgnoreFileKind]: FoundFile };
const noStats: FoundFiles = { driftless: undefined, git: undefined };
const kinds = Object.keys(ignoreFileNames) as readonly IgnoreFileKind[];

function stampsOf(found: FoundFile): string {
  if (found?.kind === 'problem') return 'problem';
  return found?.kind === 'file' ? fingerprintOf(found) : found?.kind === 'symlink' ? 'link' : '';
}

/** What is written once more within the tick of the file system's clock bears the same stamps. */
function isJustWritten(found: FoundFiles, readAtMs: number): boolean {
  return kinds.some((kind) => {
    const file = found[kind];
    return file?.kind === 'file' && isRacy(file, readAtMs);
  });
}

const cannotBeRead = 'cannot be read';

function isUnreadable(source: IgnoreSource | undefined): boolean {
  return source?.incomplete?.startsWith(cannotBeRead) === true;
}

function sameSource(a: IgnoreSource | undefined, b: IgnoreSource | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return equalBytes(a.bytes, b.bytes) && a.incomplete === b.incomplete;
}

/** Both hold, so that neither side's files come into scope. */
function unitedSource(disk: IgnoreSource | undefined, room: IgnoreSource | undefined): IgnoreSource | undefined {
  if (disk === undefined || room === undefined) return disk ?? room;
  const bytes = uniteIgnoreFiles({ base: null, ours: disk.bytes, theirs: room.bytes });
  const incomplete = disk.incomplete ?? room.incomplete;
  return incomplete === undefined ? { bytes } : { bytes, incomplete };
}

/** The lines that were read whole. */
function sourceOf(bytes: Uint8Array): IgnoreSource {
  if (bytes.length <= ignoreFileBytesMax) return { bytes };
  const end = bytes.lastIndexOf(0x0a, ignoreFileBytesMax - 1) + 1;
  return {
    bytes: bytes.slice(0, end),
    incomplete: `is too large: only its first ${ignoreFileBytesMax} bytes are read`,
  };
}

function pathIn(directory: RelPath | '', name: string): RelPath {
  return (directory === '' ? name : `${directory}/${name}`) as RelPath;
}
