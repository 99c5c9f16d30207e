/**
 * One linked folder over a disk: listing, reading, staging, and replacing without ever losing bytes that nobody expected
 * (rules DISK1, DISK3, DISK4, INTENT, IG4, NAME; situations F14, F22, F23, M5–M15, S2; "verified before visible" is the caller's). It
 * decides nothing about sync: what may be written, and when, is the peer's.
 */
import { bytesToHex, comparePaths, type Digest, isRelPath, ownDirectoryName, type RelPath } from '@driftless/protocol';
import { dressedBits } from './core/file-mode.ts';
import { fingerprintOf, sameButChangeTime, tickMs } from './core/fingerprint.ts';
import { clashKey } from './core/folder-name.ts';
import type { FolderTraits } from './core/folder-traits.ts';
import { isBelowAlwaysIgnored } from './core/scope/always-ignored.ts';
import { isDiskError, type OwnProblemCode, ownProblem, problemOf } from './disk-problem.ts';
import { assertOwnName, createOwnDirectory, type OwnDirectory } from './own-directory.ts';
import { type Disk, type DiskFile, type DiskStat, diskErrorCode } from './ports/disk.ts';
import {
  type Dress,
  type Expected,
  type Folder,
  FolderError,
  type ListedEntry,
  type ListResult,
  type PathProblem,
  type ReadHandle,
  type RootState,
  type StagedWriter,
  type Stat,
  type SwapOutcome,
  type TrashItem,
} from './ports/folder.ts';
import type { Hashing } from './ports/hashing.ts';
import { probeTraits } from './probe-traits.ts';

export interface DiskFolderOptions {
  readonly disk: Disk;
  readonly rootPath: string;
  /** Used until `.driftless/` exists and the disk can be asked. */
  readonly platformTraits: FolderTraits;
  /** Wall clock, for the modification time of applied files (rule DISK3). */
  readonly nowMs: () => number;
  readonly hashing: Hashing;
}

/** A marker is some hundred bytes; whatever is longer is not ours. */
const markerBytesMax = 64 * 1024;
/** Lists of paths, a hundred thousand of them at most. */
const ownFileBytesMax = 32 * 1024 * 1024;
/** A directory that is replaced again and again while it is listed is a problem, not a loop. */
const listAttemptsMax = 3;
const copyBytes = 256 * 1024;
const askedOneByOneMax = 4;
/** A file whose stamps prove nothing is read while its name is free for a moment; a larger one is left to the next scan. */
const provenByReadingBytesMax = 16 * 1024 * 1024;
/** link() does not exist on FAT, exFAT and some network disks, or refuses a file of another owner, or has too many links. */
const linkUnsupportedCodes: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL'];
/** There something else may be moved to, but not this. */
const elsewhereCodes: readonly string[] = ['EXDEV', 'EACCES', 'EPERM', 'EROFS'];
const existsCodes: readonly string[] = ['EEXIST', 'ENOTEMPTY'];
/** Removed or replaced meanwhile, and then its parent is flushed as well; or a disk that knows no flush of directories (FUSE, vboxsf). */
const unflushableCodes: readonly string[] = [
  'ENOENT',
  'ENOTDIR',
  'ELOOP',
  'EINVAL',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EBADF',
];
const deniedCodes: readonly string[] = ['EACCES', 'EPERM'];

const changed: SwapOutcome = { kind: 'changed' };
type Absent = { readonly kind: 'absent' };
const absent: Absent = { kind: 'absent' };

/** What `clear` took from the path, when it was as expected. */
interface Cleared {
  readonly kind: 'cleared';
  readonly asidePath: string | null;
}

/** Absolute paths, and where the old name goes first. */
interface Renaming {
  readonly from: string;
  readonly to: string;
  readonly asideName: string;
}

export function createDiskFolder(options: DiskFolderOptions): Folder {
  const { disk, nowMs, hashing } = options;
  const root = resolveRoot(disk, options.rootPath);
  const own = createOwnDirectory(disk, root);
  const umask = disk.umask;
  let traits = traitsOf(disk, own, options.platformTraits);
  /** Absolute paths of directories whose entries changed since they were last flushed, each with the paths that they changed for. */
  const changedDirectories = new Map<string, Set<RelPath>>();

  const absolute = (path: RelPath | ''): string => (path === '' ? root : `${root}/${path}`);
  const relative = (target: string): RelPath => target.slice(root.length + 1) as RelPath;
  const noteChange = (directory: string, path: RelPath): void => {
    changedDirectories.set(directory, (changedDirectories.get(directory) ?? new Set()).add(path));
  };
  const noteChangeAt = (target: string): void => noteChange(parentOf(target), relative(target));
  const toStat = (stat: DiskStat): Stat => ({
    kind: stat.kind,
    size: stat.size,
    mtimeNs: stat.mtimeNs,
    ctimeNs: stat.ctimeNs,
    inode: stat.inode,
    device: stat.device,
    bornNs: stat.bornNs,
    links: stat.links,
    executable: traits.holdsModes && stat.kind === 'file' && (stat.mode & 0o100) !== 0,
    openToOthers: traits.holdsModes && stat.kind === 'file' && (stat.mode & 0o077) !== 0,
  });
  const done = (stat: DiskStat | null, asideName: string | null): SwapOutcome => ({
    kind: 'done',
    stat: stat === null ? null : toStat(stat),
    asideName,
  });

  // ── parents ──

  /** undefined: every directory above `path` is a real one. */
  const parentHindrance = (path: RelPath | ''): 'absent' | OwnProblemCode | undefined => {
    if (isDeep(path) && isReal(parentOf(absolute(path)))) return undefined;
    if (disk.lstat(root)?.kind !== 'directory') return 'absent';
    for (const ancestor of ancestorsOf(path)) {
      const kind = disk.lstat(`${root}/${ancestor}`)?.kind;
      if (kind === undefined) return 'absent';
      if (kind !== 'directory') return kind === 'symlink' ? 'symlinked-parent' : 'parent-is-no-directory';
    }
    return undefined;
  };

  /** No link is on the way there. One question, however many directories lie above. */
  const isReal = (directory: string): boolean => {
    try {
      return disk.realPath(directory) === directory;
    } catch (error) {
      if (!isDiskError(error)) throw error;
      return false;
    }
  };

  /** What is never written to, whatever was planned; on Windows also names that are paths there. Our own directory has its own methods. */
  const refusal = (path: RelPath, doing: string): PathProblem | undefined => {
    if (!isRelPath(path)) return ownProblem('outside-root', doing);
    const isReserved = isBelowAlwaysIgnored(path) || (disk.platform === 'win32' && /[\\:]/.test(path));
    return isReserved ? ownProblem('reserved-name', doing) : undefined;
  };

  /**
   * Makes sure, right before a write, that the parents of `path` are real directories inside the root (S2); makes missing ones if asked.
   * RACE: a parent swapped for a link between this and the write leads the write astray; only a program of the same user that
   * aims at it can do so. The next scan shows the link.
   */
  const readyParents = (path: RelPath, doing: string, make: boolean): PathProblem | Absent | undefined => {
    const refused = refusal(path, doing);
    if (refused !== undefined) return refused;
    if (isDeep(path) && isReal(parentOf(absolute(path)))) return undefined;
    if (disk.lstat(root)?.kind !== 'directory') return ownProblem('root-missing', doing);
    for (const ancestor of ancestorsOf(path)) {
      const directory = `${root}/${ancestor}`;
      let kind = disk.lstat(directory)?.kind;
      if (kind === undefined) {
        if (!make) return absent;
        makeDirectoryIfAbsent(directory);
        kind = disk.lstat(directory)?.kind;
      }
      if (kind !== 'directory')
        return ownProblem(kind === 'symlink' ? 'symlinked-parent' : 'parent-is-no-directory', doing);
    }
    const real = disk.realPath(parentOf(absolute(path)));
    return real === root || real.startsWith(`${root}/`) ? undefined : ownProblem('outside-root', doing);
  };

  const makeDirectoryIfAbsent = (directory: string): void => {
    try {
      disk.makeDirectory(directory, 0o777);
      noteChangeAt(directory);
    } catch (error) {
      if (diskErrorCode(error) !== 'EEXIST') throw error;
    }
  };

  // ── reading ──

  const openAbsolute = (path: string, doing: string): ReadHandle | Absent | PathProblem => {
    try {
      // Opening a device can act on it, so it is not tried; what replaces the file after this look is seen by the second.
      const before = disk.lstat(path);
      if (before === undefined) return absent;
      if (before.kind !== 'file') return ownProblem(before.kind === 'other' ? 'special-file' : 'not-a-file', doing);
      const file = disk.openForReading(path);
      try {
        if (file.stat().kind === 'file') return createReadHandle(file, toStat, doing);
      } catch (error) {
        file.close();
        throw error;
      }
      file.close();
      return ownProblem('special-file', doing);
    } catch (error) {
      return diskErrorCode(error) === 'ENOENT' ? absent : asProblem(error, doing);
    }
  };

  /** What cannot be noted now is found again by the next look. */
  const followOwn = async (directory: string, name: string): Promise<void> => {
    try {
      await own.follow(directory, name);
    } catch (error) {
      if (!isDiskError(error)) throw error;
    }
  };

  const listOnce = async (
    path: RelPath | '',
    onEntry: (() => Promise<void> | undefined) | undefined,
  ): Promise<ListResult | 'replaced'> => {
    const directory = absolute(path);
    const hindrance = parentHindrance(path);
    if (hindrance !== undefined) return absent;
    const before = disk.lstat(directory);
    if (before === undefined) return absent;
    if (before.kind !== 'directory') return { kind: 'not-a-directory' };

    const entries: ListedEntry[] = [];
    const invalidNames: string[] = [];
    const problems: { name: string; problem: PathProblem }[] = [];
    for (const bytes of disk.list(directory)) {
      const pausing = onEntry?.();
      if (pausing !== undefined) await pausing;
      const name = decodeName(bytes);
      if (name === undefined) {
        invalidNames.push(escapeName(bytes));
        continue;
      }
      if (path === '' && name === ownDirectoryName) continue;
      if (own.isOwn(name)) {
        await followOwn(directory, name);
        continue;
      }
      try {
        const stat = disk.lstat(`${directory}/${name}`);
        if (stat !== undefined) entries.push({ name, stat: toStat(stat) });
      } catch (error) {
        problems.push({ name, problem: asProblem(error, `examine "${name}"`) });
      }
    }
    const after = disk.lstat(directory);
    if (after === undefined || after.inode !== before.inode || after.device !== before.device) return 'replaced';
    entries.sort((a, b) => comparePaths(a.name, b.name));
    return { kind: 'listed', entries, invalidNames: invalidNames.sort(), problems };
  };

  // ── replacing ──

  const matches = (path: string, stat: DiskStat, expected: Exclude<Expected, null>): boolean => {
    if (stat.kind !== expected.kind) return false;
    switch (expected.kind) {
      case 'file':
        return sameButChangeTime(fingerprintOf(stat), expected.fingerprint);
      case 'symlink':
        return disk.readLink(path) === expected.target;
      case 'directory':
        return true;
    }
  };

  /**
   * As it was scanned, the change time too: what comes after a rename or a chmod has a new one, so that a rewrite that restored the
   * other stamps could not be told from it any more.
   */
  const isUntouched = (path: string, stat: DiskStat, expected: Exclude<Expected, null>): boolean =>
    matches(path, stat, expected) && (expected.kind !== 'file' || fingerprintOf(stat) === expected.fingerprint);

  /**
   * Puts `from` at `to` under a second name, never over anything; false when something is there. A link is made anew, because
   * link() follows links on some systems; a directory takes the place of an empty one that is made for it.
   */
  const placeCopy = async (from: string, to: string, kind: DiskStat['kind']): Promise<boolean> => {
    try {
      if (kind === 'symlink') disk.symlink(disk.readLink(from), to);
      else if (kind === 'directory') await placeDirectory(from, to);
      else disk.link(from, to);
      return true;
    } catch (error) {
      const code = diskErrorCode(error);
      if (existsCodes.includes(code)) return false;
      if (kind !== 'file' || !linkUnsupportedCodes.includes(code)) throw error;
      // RACE: without link() a file that appears at `to` between this look and the rename is overwritten: its bytes are lost.
      // Nothing narrower exists on such disks; the window is two system calls.
      if (disk.lstat(to) !== undefined) return false;
      await disk.rename(from, to);
      return true;
    }
  };

  const placeDirectory = async (from: string, to: string): Promise<void> => {
    // RACE: Windows refuses to replace even an empty directory, and refuses a taken name by itself.
    if (disk.platform === 'win32') return disk.rename(from, to);
    // Made first, exclusively: rename() replaces an empty directory only, so nothing can be overwritten.
    disk.makeDirectory(to, 0o700);
    try {
      await disk.rename(from, to);
    } catch (error) {
      removeEmptyDirectory(to);
      throw error;
    }
  };

  const moveAside = async (target: string, asideName: string): Promise<string> => {
    own.ensure();
    const parent = parentOf(target);
    const inTrash = own.locate('trash', asideName);
    if (disk.lstat(inTrash) !== undefined) throw Object.assign(new Error('taken'), { code: 'EEXIST' });
    noteChangeAt(target);
    // Where it lies beside, the pointer to it is made here.
    noteChange(parentOf(inTrash), relative(target));
    if (isOnRootDevice(parent)) {
      try {
        await disk.rename(target, inTrash);
        return inTrash;
      } catch (error) {
        // A bind mount of the same disk has the same device number and still refuses.
        if (diskErrorCode(error) !== 'EXDEV') throw error;
      }
    }
    for (const directory of placesBeside(parent)) {
      const beside = own.locateBeside('trash', asideName, directory);
      try {
        await disk.rename(target, beside);
        noteChange(directory, relative(target));
        return beside;
      } catch (error) {
        own.remove('trash', asideName);
        if (directory === parent || !elsewhereCodes.includes(diskErrorCode(error))) throw error;
      }
    }
    throw Object.assign(new Error('no directory above it'), { code: 'ENOENT' });
  };

  /**
   * Directories on the disk of `parent`, the highest first: what lies in the directory itself would keep it from being removed
   * with everything else in it.
   */
  const placesBeside = (parent: string): readonly string[] => {
    const device = disk.lstat(parent)?.device;
    const above = [...ancestorsOf(parent.slice(root.length + 1))].map((path) => `${root}/${path}`);
    return [...above.filter((directory) => disk.lstat(directory)?.device === device), parent];
  };

  /** Back from the trash to its place; false when a third thing took the place meanwhile: then both stay. */
  const putBack = async (asidePath: string, asideName: string, target: string): Promise<boolean> => {
    const stat = disk.lstat(asidePath);
    if (stat === undefined) return true;
    if (!(await placeCopy(asidePath, target, stat.kind))) return false;
    noteChangeAt(target);
    own.remove('trash', asideName);
    return true;
  };

  /**
   * Frees the path of what is expected there. Anything else stays, or is put back (F22, F23). `prepare` is called with what is
   * there, or null, before it goes: it does what can be done for that which comes.
   */
  const clear = async (
    target: string,
    asideName: string,
    expected: Expected,
    prepare: (before: DiskStat | null) => void = () => {},
  ): Promise<Cleared | SwapOutcome> => {
    const before = disk.lstat(target);
    if (expected === null) {
      if (before !== undefined) return changed;
      prepare(null);
      return { kind: 'cleared', asidePath: null };
    }
    if (before === undefined || !matches(target, before, expected)) return changed;
    if (expected.kind === 'directory') {
      prepare(null);
      const removed = removeEmptyDirectory(target);
      return removed === 'removed' ? { kind: 'cleared', asidePath: null } : removed;
    }
    // Asked before it is moved aside, which changes the change time: a rewrite can restore the other stamps, never this one.
    const evidence = await evidenceOf(target, before, expected);
    if (evidence === 'none') return changed;
    prepare(before);
    let asidePath: string;
    try {
      asidePath = await moveAside(target, asideName);
    } catch (error) {
      if (diskErrorCode(error) === 'ENOENT') return changed;
      throw error;
    }
    // Known here: whatever was at the path at the instant of the rename now lies at `asidePath`, and nobody replaced it by name.
    // Until something comes in its place the path is empty for all who look: what can be done before, is.
    const asideStat = disk.lstat(asidePath);
    // RACE: a rewrite between the look above and the rename that also restores the modification time goes unseen; two system calls.
    const isExpected =
      asideStat !== undefined &&
      matches(asidePath, asideStat, expected) &&
      (evidence === 'proven' || (expected.kind === 'file' && (await digestOf(asidePath)) === expected.digest));
    if (isExpected) {
      // Its mode was changed in the very moment.
      if (asideStat.mode !== before.mode) prepare(asideStat);
      return { kind: 'cleared', asidePath };
    }
    return (await putBack(asidePath, asideName, target)) ? changed : { kind: 'changed', asideName };
  };

  /**
   * Whether a file is the expected one: by its stamps, or by its bytes, which are read where it lies, so that the path is empty no
   * longer than it must. They are `read-aside` only where a write that follows could leave no trace in the stamps.
   */
  const evidenceOf = async (
    target: string,
    before: DiskStat,
    expected: Exclude<Expected, null>,
  ): Promise<'proven' | 'read-aside' | 'none'> => {
    if (expected.kind !== 'file') return 'proven';
    if (expected.isRacy !== true && fingerprintOf(before) === expected.fingerprint) return 'proven';
    if (expected.digest === undefined || before.size > provenByReadingBytesMax) return 'none';
    if (Number(before.mtimeNs / 1_000_000n) > nowMs() - tickMs(before)) return 'read-aside';
    try {
      if ((await digestOf(target)) !== expected.digest) return 'none';
    } catch (error) {
      // Gone, or a link by now.
      if (['ENOENT', 'ELOOP'].includes(diskErrorCode(error))) return 'none';
      throw error;
    }
    const after = disk.lstat(target);
    return after !== undefined && fingerprintOf(after) === fingerprintOf(before) ? 'proven' : 'none';
  };

  const digestOf = async (path: string): Promise<Digest> => {
    const file = disk.openForReading(path);
    try {
      return await readThrough(file, hashing, () => {});
    } finally {
      file.close();
    }
  };

  const removeEmptyDirectory = (directory: string): 'removed' | SwapOutcome => {
    try {
      disk.removeDirectory(directory);
      noteChangeAt(directory);
      changedDirectories.delete(directory);
      return 'removed';
    } catch (error) {
      const code = diskErrorCode(error);
      if (existsCodes.includes(code)) return { kind: 'not-empty' };
      // The system says it of what a program holds as well, which ends by itself.
      if (code === 'EBUSY' && isMountPoint(directory)) return { kind: 'not-empty', isMountPoint: true };
      if (code === 'ENOENT' || code === 'ENOTDIR') return changed;
      throw error;
    }
  };

  /** A new file keeps the bits of the one that it replaces, or gets those of the one that it is to be like (M5, M6, M7, M18). */
  const dressStaged = (stagedPath: string, before: DiskStat | null, { mode, wasPrivate, like }: Dress): void => {
    disk.setModificationTime(stagedPath, nowMs());
    if (!traits.holdsModes) return;
    const isReplaced = before?.kind === 'file';
    const bits = isReplaced ? before.mode : fileAt(like ?? null)?.mode;
    const replaced = bits === undefined ? null : { bits, private: isReplaced && wasPrivate };
    disk.setMode(stagedPath, dressedBits({ mode, replaced, umask }));
  };

  const fileAt = (path: RelPath | null): DiskStat | undefined => {
    if (path === null || parentHindrance(path) !== undefined) return undefined;
    const stat = disk.lstat(absolute(path));
    return stat?.kind === 'file' ? stat : undefined;
  };

  const isOnRootDevice = (directory: string): boolean => disk.lstat(directory)?.device === disk.lstat(root)?.device;

  /** The directory of another disk in which a file near this path is staged; null: it is staged on the root's own. */
  const mountedBeside = (near: RelPath): string | null => {
    const parent = nearestDirectory(disk, root, near);
    return isOnRootDevice(parent) ? null : parent;
  };

  const placeToStage = (name: string, near: RelPath): string => {
    const beside = mountedBeside(near);
    return beside === null ? own.locate('stage', name) : own.locateBeside('stage', name, beside);
  };

  /** The staged file by a path on the disk of `parent`; copied there when it was staged before the mount, or on a bind mount. */
  const copyBeside = async (stagedName: string, parent: string): Promise<string> => {
    const from = own.locate('stage', stagedName);
    const copyName = `${stagedName}.copy`;
    own.remove('stage', copyName);
    const beside = own.locateBeside('stage', copyName, parent);
    await copyFile(disk, hashing, { from, to: beside, mode: disk.lstat(from)?.mode ?? 0o600 });
    await own.renamePointer('stage', copyName, stagedName);
    return beside;
  };

  /** `stat` is taken before the file can be reached by its name: whoever writes to it afterwards makes a difference to it. */
  const linkStaged = async (
    stagedName: string,
    target: string,
  ): Promise<{ readonly placed: boolean; readonly stat: DiskStat | undefined }> => {
    const stagedPath = own.locate('stage', stagedName);
    try {
      const stat = disk.lstat(stagedPath);
      return { placed: await placeCopy(stagedPath, target, 'file'), stat };
    } catch (error) {
      if (diskErrorCode(error) !== 'EXDEV') throw error;
      const beside = await copyBeside(stagedName, parentOf(target));
      const stat = disk.lstat(beside);
      return { placed: await placeCopy(beside, target, 'file'), stat };
    }
  };

  /** False when something is there. */
  const placeFromTrash = async (name: string, item: string, target: string, stat: DiskStat): Promise<boolean> => {
    try {
      return await placeCopy(item, target, stat.kind);
    } catch (error) {
      if (stat.kind !== 'file' || diskErrorCode(error) !== 'EXDEV') throw error;
      // Onto another disk goes a copy; what an open handle still writes stays behind.
      own.ensure();
      const stagedName = `restore-${name}`.slice(0, 100);
      own.remove('stage', stagedName);
      const to = own.locate('stage', stagedName);
      await copyFile(disk, hashing, { from: item, to, mode: (disk.lstat(item)?.mode ?? 0) & 0o777 });
      const { placed } = await linkStaged(stagedName, target);
      own.remove('stage', stagedName);
      return placed;
    }
  };

  const swapIn: Folder['swapIn'] = async ({ path, stagedName, asideName, expected, dress }) => {
    const doing = `replace "${path}"`;
    assertOwnName(stagedName);
    assertOwnName(asideName);
    return attempt(doing, async () => {
      const stagedPath = own.locate('stage', stagedName);
      // Before parents are made: with the disk on which it was staged they may be gone too, and nothing is made in its place.
      if (disk.lstat(stagedPath)?.kind !== 'file')
        return problemOf({ code: 'ENOENT' }, `find what was staged for "${path}"`);
      const hindrance = readyParents(path, doing, true);
      if (hindrance !== undefined) return hindrance.kind === 'absent' ? changed : hindrance;
      const target = absolute(path);
      const cleared = await clear(target, asideName, expected, (before) => dressStaged(stagedPath, before, dress));
      if (cleared.kind !== 'cleared') return cleared;
      const { asidePath } = cleared;
      try {
        const { placed, stat } = await linkStaged(stagedName, target);
        if (!placed) {
          // A third thing appeared at the free name: it stays, and what was moved aside stays in the trash.
          return asidePath === null ? changed : { kind: 'changed', asideName };
        }
        noteChangeAt(target);
        own.remove('stage', stagedName);
        return done(statAfterLinking(target, stat ?? null), asidePath === null ? null : asideName);
      } catch (error) {
        if (asidePath !== null && isDiskError(error) && disk.lstat(target) === undefined)
          await putBack(asidePath, asideName, target);
        throw error;
      }
    });
  };

  /**
   * Removing the staged name moved the change time, so the stat is taken again; but only if nobody wrote in between: otherwise the
   * earlier one is given, which the next scan finds different.
   */
  const statAfterLinking = (target: string, applied: DiskStat | null): DiskStat | null => {
    const now = disk.lstat(target);
    if (applied === null || now === undefined) return applied;
    return now.kind === 'file' && sameButChangeTime(fingerprintOf(now), fingerprintOf(applied)) ? now : applied;
  };

  const settleSwap: Folder['settleSwap'] = async ({ path, stagedName, asideName }) => {
    const doing = `finish replacing "${path}"`;
    try {
      const target = absolute(path);
      const stagedPath = own.locate('stage', stagedName);
      const staged = disk.lstat(stagedPath);
      const present = parentHindrance(path) === undefined ? disk.lstat(target) : undefined;
      // Order of swapIn: aside, link, staged name removed. No staged file: all three happened, or its disk is away, or somebody
      // emptied `.driftless`.
      if (staged === undefined) {
        own.discard('stage', stagedName);
        return 'gone';
      }
      if (present !== undefined && present.inode === staged.inode && present.device === staged.device) {
        own.remove('stage', stagedName);
        return 'done';
      }
      const asidePath = own.locate('trash', asideName);
      const aside = disk.lstat(asidePath);
      if (aside === undefined) {
        own.discard('trash', asideName);
        return 'undone';
      }
      // Known here: moved aside and not replaced. What it was expected to be is not known any more, so it goes back.
      const isBackAlready = present !== undefined && present.inode === aside.inode && present.device === aside.device;
      if (isBackAlready) own.remove('trash', asideName);
      else if (present === undefined && readyParents(path, doing, true) === undefined)
        await putBack(asidePath, asideName, target);
      return 'undone';
    } catch (error) {
      throw asFolderError(error, doing);
    }
  };

  /** Everything that a change at one path has in common: errors of the disk become a problem of this path. */
  const attempt = async (doing: string, act: () => Promise<SwapOutcome> | SwapOutcome): Promise<SwapOutcome> => {
    try {
      return await act();
    } catch (error) {
      return asProblem(error, doing);
    }
  };

  /** As `attempt`, with the parents made ready first; missing ones are made if asked, else the path counts as changed. */
  const change = (
    path: RelPath,
    doing: string,
    make: boolean,
    act: (target: string) => Promise<SwapOutcome> | SwapOutcome,
  ): Promise<SwapOutcome> =>
    attempt(doing, () => {
      const hindrance = readyParents(path, doing, make);
      if (hindrance === undefined) return act(absolute(path));
      return hindrance.kind === 'absent' ? changed : hindrance;
    });

  const renameDirectory = async (from: string, to: string): Promise<SwapOutcome> =>
    (await placeCopy(from, to, 'directory')) ? done(disk.lstat(to) ?? null, null) : changed;

  const renameFile = async (names: Renaming, stat: DiskStat, expected: Expected): Promise<SwapOutcome> =>
    (await placeCopy(names.from, names.to, stat.kind)) ? dropOldName(names, stat, expected) : changed;

  /** What was `from` has the name `to` as well: the old name goes, if it is still of the same file. */
  const dropOldName = async (
    { from, to, asideName }: Renaming,
    stat: DiskStat,
    expected: Expected,
  ): Promise<SwapOutcome> => {
    const moved = disk.lstat(to);
    if (disk.lstat(from) === undefined) return done(moved ?? null, null);
    if (moved === undefined) return changed;
    const takeBack = (): void => {
      // Not if it is the only name that the file has by now.
      if (disk.lstat(from)?.inode === moved.inode || stat.kind === 'symlink') disk.unlink(to);
    };
    let asidePath: string;
    try {
      asidePath = await moveAside(from, asideName);
    } catch (error) {
      if (isDiskError(error)) takeBack();
      throw error;
    }
    const aside = disk.lstat(asidePath);
    const isSame =
      aside !== undefined && aside.kind === stat.kind && (aside.kind === 'symlink' || aside.inode === moved.inode);
    if (!isSame || (expected !== null && !matches(asidePath, aside, expected))) {
      // Somebody saved over the old name in between: his file goes back, and ours at the new name goes.
      await putBack(asidePath, asideName, from);
      takeBack();
      return changed;
    }
    own.remove('trash', asideName);
    return done(statAfterLinking(to, moved), null);
  };

  /**
   * Makes the names in a directory durable. One that may not be opened (its mode changed meanwhile) is flushed with the nearest one
   * above it that may: file systems with a journal write earlier changes of names along with any later flush.
   */
  const flushNames = async (directory: string): Promise<void> => {
    try {
      await disk.flushDirectory(directory);
    } catch (error) {
      const code = diskErrorCode(error);
      if (unflushableCodes.includes(code)) return;
      if (!deniedCodes.includes(code) || directory === root || isOnOtherDisk(directory)) throw error;
      await flushNames(parentOf(directory));
    }
  };

  const isOnOtherDisk = (directory: string): boolean =>
    disk.lstat(directory)?.device !== disk.lstat(parentOf(directory))?.device;

  const isMountPoint = (directory: string): boolean =>
    isOnOtherDisk(directory) || disk.mountPoints().includes(directory);

  const trashStat = (name: string): Stat | null | PathProblem => {
    const doing = 'examine what was moved aside';
    try {
      const stat = disk.lstat(own.locate('trash', name));
      if (stat !== undefined) return toStat(stat);
      return own.isOutOfReach('trash', name) ? ownProblem('disk-away', doing) : null;
    } catch (error) {
      return asProblem(error, doing);
    }
  };

  return {
    rootPath: root,
    get traits() {
      return traits;
    },

    root: async () => readRoot(disk, root, own),

    initialise: async (marker) => {
      try {
        own.ensure();
        for (const directory of [own.path, `${own.path}/stage`, `${own.path}/trash`]) disk.setMode(directory, 0o700);
        await writeOwnFile(disk, `${own.path}/.gitignore`, '*\n');
        await writeOwnFile(disk, `${own.path}/marker`, marker);
        await disk.flushDirectory(own.path);
        await disk.flushDirectory(root);
        traits = traitsOf(disk, own, options.platformTraits);
      } catch (error) {
        throw asFolderError(error, `set up "${own.path}"`);
      }
    },

    readOwn: async (name) => {
      try {
        return await readOwnFile(disk, own, name);
      } catch {
        return null;
      }
    },

    writeOwn: async (name, text) => {
      try {
        own.ensure();
        await writeOwnFile(disk, `${own.path}/${name}`, text);
        await disk.flushDirectory(own.path);
      } catch (error) {
        throw asFolderError(error, `write "${own.path}/${name}"`);
      }
    },

    space: async (near) => {
      try {
        const directory = mountedBeside(near) ?? root;
        return { ...(await disk.space(directory)), device: disk.lstat(directory)?.device ?? 0n };
      } catch (error) {
        throw asFolderError(error, 'read the free space of the disk');
      }
    },

    mountPoints: async () => {
      try {
        const points = disk.mountPoints();
        if (points.length === 0) return new Set();
        const above = `${disk.realPath(root)}/`;
        const below = points.flatMap((point) => (point.startsWith(above) ? [point.slice(above.length)] : []));
        return new Set(below.filter(isRelPath));
      } catch (error) {
        throw asFolderError(error, 'find what is mounted in the folder');
      }
    },

    list: async (path, onEntry) => {
      const doing = path === '' ? 'list the folder' : `list "${path}"`;
      try {
        for (let count = 0; count < listAttemptsMax; count += 1) {
          const result = await listOnce(path, onEntry);
          if (result !== 'replaced') return result;
        }
        return problemOf({ code: 'EBUSY' }, doing);
      } catch (error) {
        const code = diskErrorCode(error);
        if (code === 'ENOENT') return absent;
        return code === 'ENOTDIR' ? { kind: 'not-a-directory' } : asProblem(error, doing);
      }
    },

    stat: async (path) => {
      try {
        // A watcher hints at our hidden files beside a target as well; they are absent here as they are in a list.
        const target = absolute(path);
        if (parentHindrance(path) !== undefined || own.isOwn(nameOf(target))) return null;
        const stat = disk.lstat(target);
        return stat === undefined ? null : toStat(stat);
      } catch (error) {
        return asProblem(error, `examine "${path}"`);
      }
    },

    openFile: async (path) => {
      const doing = `read "${path}"`;
      try {
        if (parentHindrance(path) !== undefined) return absent;
        const opened = openAbsolute(absolute(path), doing);
        // A parent that became a link meanwhile may have led outside: what was opened is not given out (M11).
        if (!('read' in opened) || parentHindrance(path) === undefined) return opened;
        await opened.close();
        return absent;
      } catch (error) {
        return asProblem(error, doing);
      }
    },

    readLink: async (path) => {
      try {
        if (parentHindrance(path) !== undefined || disk.lstat(absolute(path))?.kind !== 'symlink') return null;
        return disk.readLink(absolute(path));
      } catch (error) {
        return diskErrorCode(error) === 'ENOENT' ? null : asProblem(error, `read the link "${path}"`);
      }
    },

    stage: async ({ name, near, continueAt }) => {
      assertOwnName(name);
      const refused = refusal(near, `stage "${near}"`);
      if (refused !== undefined) throw new FolderError(refused);
      try {
        own.ensure();
        const isNew = continueAt === undefined;
        const path = isNew ? placeToStage(name, near) : own.locate('stage', name);
        // Cutting a shorter one would make it longer, with zeros.
        if (continueAt !== undefined && (disk.lstat(path)?.size ?? 0) < continueAt)
          throw Object.assign(new Error('shorter than it was'), { code: 'ENOENT' });
        return createStagedWriter({
          disk,
          name,
          file: isNew ? disk.create(path, 0o600) : disk.openToContinue(path, continueAt),
          remove: () => own.remove('stage', name),
        });
      } catch (error) {
        throw asFolderError(error, `stage "${near}"`);
      }
    },
    stageCopy: async ({ path, name, near }) => {
      assertOwnName(name);
      const doing = `copy "${path}"`;
      const refused = refusal(near, doing);
      if (refused !== undefined) return refused;
      try {
        own.ensure();
        const from = absolute(path);
        if (parentHindrance(path) !== undefined || disk.lstat(from)?.kind !== 'file') return absent;
        const to = placeToStage(name, near);
        return { kind: 'copied', digest: await copyFile(disk, hashing, { from, to, mode: 0o600 }) };
      } catch (error) {
        own.remove('stage', name);
        return diskErrorCode(error) === 'ENOENT' ? absent : asProblem(error, doing);
      }
    },
    stagedNames: async () => own.names('stage'),
    statStaged: async (name) => {
      try {
        const stat = disk.lstat(own.locate('stage', name));
        return stat === undefined ? null : toStat(stat);
      } catch (error) {
        return asProblem(error, 'examine a staged file');
      }
    },
    openStaged: async (name) => {
      const doing = 'read a staged file';
      try {
        return openAbsolute(own.locate('stage', name), doing);
      } catch (error) {
        return asProblem(error, doing);
      }
    },
    discardStaged: async (name) => {
      try {
        own.discard('stage', name);
      } catch (error) {
        // It is still among the staged names: a later run, or the next settling, tries again.
        if (!isDiskError(error)) throw error;
      }
    },

    swapIn,
    settleSwap,

    removeFile: ({ path, asideName, expected }) => {
      assertOwnName(asideName);
      const doing = `delete "${path}"`;
      return attempt(doing, async () => {
        const hindrance = readyParents(path, doing, false);
        if (hindrance !== undefined && hindrance.kind !== 'absent') return hindrance;
        if (hindrance !== undefined) return expected === null ? done(null, null) : changed;
        const cleared = await clear(absolute(path), asideName, expected);
        return cleared.kind === 'cleared' ? done(null, cleared.asidePath === null ? null : asideName) : cleared;
      });
    },

    removeDirectory: (path) =>
      attempt(`remove the directory "${path}"`, () => {
        const hindrance = readyParents(path, `remove the directory "${path}"`, false);
        if (hindrance !== undefined) return hindrance.kind === 'absent' ? done(null, null) : hindrance;
        const kind = disk.lstat(absolute(path))?.kind;
        if (kind === undefined) return done(null, null);
        if (kind !== 'directory') return changed;
        const removed = removeEmptyDirectory(absolute(path));
        return removed === 'removed' ? done(null, null) : removed;
      }),

    makeDirectory: (path) =>
      change(path, `make the directory "${path}"`, true, (target) => {
        makeDirectoryIfAbsent(target);
        const stat = disk.lstat(target);
        return stat?.kind === 'directory' ? done(stat, null) : changed;
      }),

    makeSymlink: ({ path, target: linkTarget, asideName, expected }) => {
      assertOwnName(asideName);
      return change(path, `make the link "${path}"`, true, async (target) => {
        const cleared = await clear(target, asideName, expected);
        if (cleared.kind !== 'cleared') return cleared;
        const { asidePath } = cleared;
        try {
          disk.symlink(linkTarget, target);
        } catch (error) {
          if (diskErrorCode(error) === 'EEXIST') return asidePath === null ? changed : { kind: 'changed', asideName };
          if (asidePath !== null && isDiskError(error)) await putBack(asidePath, asideName, target);
          throw error;
        }
        noteChangeAt(target);
        return done(disk.lstat(target) ?? null, asidePath === null ? null : asideName);
      });
    },

    setMode: ({ path, dress: { mode, wasPrivate }, expected }) =>
      change(path, `change the mode of "${path}"`, false, (target) => {
        const before = disk.lstat(target);
        if (before === undefined || expected === null || !isUntouched(target, before, expected)) return changed;
        if (before.kind !== 'file') return changed;
        if (!traits.holdsModes) return done(before, null);
        const file = disk.openForReading(target);
        try {
          // Through the open file: a link that takes the name meanwhile must not carry the mode to what it points at.
          const stat = file.stat();
          if (stat.inode !== before.inode) return changed;
          file.setMode(dressedBits({ mode, replaced: { bits: stat.mode, private: wasPrivate }, umask }));
          noteChangeAt(target);
          return done(statAfterLinking(target, before), null);
        } finally {
          file.close();
        }
      }),

    rename: ({ fromPath, toPath, asideName, expected }) => {
      assertOwnName(asideName);
      const doing = `rename "${fromPath}" to "${toPath}"`;
      return attempt(doing, async () => {
        const hindrance = readyParents(fromPath, doing, false);
        if (hindrance !== undefined) return hindrance.kind === 'absent' ? changed : hindrance;
        const from = absolute(fromPath);
        const before = disk.lstat(from);
        if (before === undefined || expected === null || !isUntouched(from, before, expected)) return changed;
        const hindranceTo = readyParents(toPath, doing, true);
        if (hindranceTo !== undefined) return hindranceTo.kind === 'absent' ? changed : hindranceTo;
        const to = absolute(toPath);
        const there = disk.lstat(to);
        noteChangeAt(from);
        noteChangeAt(to);
        if (there !== undefined) {
          if (there.inode !== before.inode || there.device !== before.device) return changed;
          if (clashKey(fromPath, traits) !== clashKey(toPath, traits))
            return before.kind === 'file' ? dropOldName({ from, to, asideName }, before, expected) : changed;
          // On a disk that folds names, `readme` → `README` finds itself at the new name.
          await disk.rename(from, to);
          return done(disk.lstat(to) ?? null, null);
        }
        try {
          return before.kind === 'directory'
            ? await renameDirectory(from, to)
            : await renameFile({ from, to, asideName }, before, expected);
        } catch (error) {
          if (existsCodes.includes(diskErrorCode(error))) return changed;
          throw error;
        }
      });
    },

    flushDirectories: async (ofEarlierRun = []) => {
      for (const path of ofEarlierRun) {
        noteChange(`${own.path}/trash`, path);
        for (const directory of ['', ...ancestorsOf(path)]) noteChange(absolute(directory as RelPath | ''), path);
      }
      const unflushed = new Map<RelPath, PathProblem>();
      for (const [directory, paths] of [...changedDirectories]) {
        // What changes in it from here on asks for another flush.
        changedDirectories.delete(directory);
        try {
          await flushNames(directory);
        } catch (error) {
          for (const path of paths) noteChange(directory, path);
          const problem = asProblem(error, `flush the directory "${directory}"`);
          for (const path of paths) unflushed.set(path, problem);
        }
      }
      return unflushed;
    },

    statTrash: async (name) => trashStat(name),
    trashItems: async () => {
      try {
        return own.names('trash').flatMap((name): TrashItem[] => {
          const stat = trashStat(name);
          return stat === null ? [] : [{ name, stat: stat.kind === 'problem' ? null : stat }];
        });
      } catch (error) {
        throw asFolderError(error, 'list the trash');
      }
    },
    trashHeldOpen: async (names) => {
      const open = await disk.openForWriting(names.map((name) => own.locate('trash', name)));
      return new Set(names.filter((name) => open.has(own.locate('trash', name))));
    },
    openTrash: async (name) => openAbsolute(own.locate('trash', name), 'read from the trash'),

    restoreTrash: ({ name, path, like }) =>
      change(path, `restore "${path}" from the trash`, true, async (target) => {
        const item = own.locate('trash', name);
        const stat = disk.lstat(item);
        if (stat === undefined) return changed;
        if (stat.kind === 'other') return ownProblem('special-file', `restore "${path}" from the trash`);
        const model = like === undefined ? undefined : fileAt(like);
        if (traits.holdsModes && stat.kind === 'file' && model !== undefined)
          disk.setMode(item, stat.mode & model.mode & 0o777);
        if (!(await placeFromTrash(name, item, target, stat))) return changed;
        noteChangeAt(target);
        own.remove('trash', name);
        return done(disk.lstat(target) ?? null, null);
      }),

    discardTrash: async (name) => {
      try {
        own.discard('trash', name);
      } catch (error) {
        throw asFolderError(error, 'remove from the trash');
      }
    },

    close: async () => {},
  };
}

/** The root by its real name, so that a path can be compared with it; as given while it does not exist. */
function resolveRoot(disk: Disk, rootPath: string): string {
  try {
    return disk.realPath(rootPath);
  } catch (error) {
    if (!isDiskError(error)) throw error;
    return rootPath.replace(/(?<=.)\/+$/, '');
  }
}

function traitsOf(disk: Disk, own: OwnDirectory, platformTraits: FolderTraits): FolderTraits {
  try {
    return disk.lstat(own.path)?.kind === 'directory' ? probeTraits(disk, own.path, platformTraits) : platformTraits;
  } catch (error) {
    if (!isDiskError(error)) throw error;
    return platformTraits;
  }
}

/** More directories lie above than are asked one by one as fast as for the real path of the last. */
function isDeep(path: string): boolean {
  let above = 0;
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) above += 1;
  return above > askedOneByOneMax;
}

/** Strict ancestors below the root, shortest first. */
function* ancestorsOf(path: string): Generator<string> {
  for (let index = path.indexOf('/'); index !== -1; index = path.indexOf('/', index + 1)) yield path.slice(0, index);
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The deepest existing real directory above `near`: the disk on which `near` will lie. */
function nearestDirectory(disk: Disk, root: string, near: string): string {
  let nearest = root;
  for (const ancestor of ancestorsOf(near)) {
    if (disk.lstat(`${root}/${ancestor}`)?.kind !== 'directory') break;
    nearest = `${root}/${ancestor}`;
  }
  return nearest;
}

const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** undefined: not UTF-8. */
function decodeName(bytes: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Printable ASCII as it is, any other byte as \xNN. */
function escapeName(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f && byte !== 0x5c
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, '0')}`,
  ).join('');
}

function asProblem(error: unknown, doing: string): PathProblem {
  if (!isDiskError(error)) throw error;
  return problemOf(error, doing);
}

function asFolderError(error: unknown, doing: string): unknown {
  return isDiskError(error) && !(error instanceof FolderError)
    ? new FolderError(problemOf(error, doing), error)
    : error;
}

async function readRoot(disk: Disk, root: string, own: OwnDirectory): Promise<RootState> {
  try {
    const stat = disk.lstat(root);
    if (stat === undefined) return { kind: 'missing' };
    if (stat.kind !== 'directory') return { kind: 'not-a-directory' };
    const marker = await readOwnFile(disk, own, 'marker', markerBytesMax);
    return { kind: 'present', device: String(stat.device), inode: String(stat.inode), marker };
  } catch (error) {
    return asProblem(error, `examine "${root}"`);
  }
}

/** null: there is none. What is longer than `bytesMax` is cut. */
async function readOwnFile(
  disk: Disk,
  own: OwnDirectory,
  name: string,
  bytesMax = ownFileBytesMax,
): Promise<string | null> {
  const place = `${own.path}/${name}`;
  if (disk.lstat(own.path)?.kind !== 'directory' || disk.lstat(place)?.kind !== 'file') return null;
  const file = disk.openForReading(place);
  try {
    const bytes = new Uint8Array(Math.min(bytesMax, file.stat().size));
    let filled = 0;
    for (let count = -1; count !== 0 && filled < bytes.length; filled += count) {
      count = await file.read(bytes.subarray(filled));
    }
    return new TextDecoder().decode(bytes.subarray(0, filled));
  } finally {
    file.close();
  }
}

/** A small private file, replaced as a whole and durable as far as its bytes go. */
async function writeOwnFile(disk: Disk, path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  if (disk.lstat(temporary) !== undefined) disk.unlink(temporary);
  const file = disk.create(temporary, 0o600);
  try {
    await file.write(new TextEncoder().encode(text));
    await file.flush();
  } finally {
    file.close();
  }
  await disk.rename(temporary, path);
}

/** A new file with the same bytes, flushed. Returns their digest. */
async function copyFile(
  disk: Disk,
  hashing: Hashing,
  { from, to, mode }: { readonly from: string; readonly to: string; readonly mode: number },
): Promise<Digest> {
  const input = disk.openForReading(from);
  try {
    const output = disk.create(to, 0o600);
    try {
      const digest = await readThrough(input, hashing, (bytes) => output.write(bytes));
      output.setMode(mode);
      await output.flush();
      return digest;
    } finally {
      output.close();
    }
  } finally {
    input.close();
  }
}

/** Hands out every piece in order; returns the digest of the whole. */
async function readThrough(
  file: DiskFile,
  hashing: Hashing,
  take: (bytes: Uint8Array) => void | Promise<void>,
): Promise<Digest> {
  const hash = hashing.createSha256();
  const buffer = new Uint8Array(copyBytes);
  for (;;) {
    const count = await file.read(buffer);
    if (count === 0) return bytesToHex(hash.digest()) as Digest;
    hash.update(buffer.subarray(0, count));
    await take(buffer.subarray(0, count));
  }
}

/** Errors: FolderError. */
function createReadHandle(file: DiskFile, toStat: (stat: DiskStat) => Stat, doing: string): ReadHandle {
  /** A page more than a small file needs, so that it is read by one call without a large buffer. */
  const spareBytes = 4_096;
  let buffer = new Uint8Array(0);
  const size = file.stat().size;
  return {
    stat: async () => {
      try {
        return toStat(file.stat());
      } catch (error) {
        throw asFolderError(error, doing);
      }
    },
    read: async (bytesMax) => {
      const wanted = Math.min(bytesMax, size + spareBytes);
      if (buffer.length < wanted) buffer = new Uint8Array(wanted);
      try {
        return buffer.subarray(0, await file.read(buffer.subarray(0, wanted)));
      } catch (error) {
        throw asFolderError(error, doing);
      }
    },
    readAt: async (start, length) => {
      try {
        const bytes = new Uint8Array(Math.max(0, Math.min(length, file.stat().size - start)));
        let filled = 0;
        while (filled < bytes.length) {
          const count = await file.readAt(bytes.subarray(filled), start + filled);
          if (count === 0) break;
          filled += count;
        }
        return bytes.subarray(0, filled);
      } catch (error) {
        throw asFolderError(error, doing);
      }
    },
    close: async () => file.close(),
  };
}

/** Errors: FolderError. */
function createStagedWriter(options: {
  readonly disk: Disk;
  readonly name: string;
  readonly file: DiskFile;
  readonly remove: () => void;
}): StagedWriter {
  const { file, name, remove } = options;
  return {
    name,
    write: async (bytes) => {
      try {
        await file.write(bytes);
      } catch (error) {
        throw asFolderError(error, 'write a staged file');
      }
    },
    commit: async ({ flush }) => {
      try {
        if (flush) await file.flush();
      } catch (error) {
        throw asFolderError(error, 'flush a staged file');
      } finally {
        file.close();
      }
    },
    abort: async () => {
      file.close();
      remove();
    },
  };
}
