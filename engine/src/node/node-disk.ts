/**
 * The disk by `node:fs`. Calls are synchronous because a promise costs more than the call itself (listing 100,000 files one
 * promise at a time is 16 times slower); only large reads and writes and flushes leave the thread.
 */
import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  read,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  renameSync,
  rmdirSync,
  type StatsFs,
  statfs,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  write,
  writeSync,
} from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Disk, type DiskFile, type DiskSpace, type DiskStat, diskErrorCode } from '../ports/disk.ts';
import type { NodeKind } from '../ports/folder.ts';
import { createMountPoints } from './mount-points.ts';
import { openForWriting } from './open-files.ts';

const fsyncAsync = promisify(fsync);
const readAsync = promisify(read);
const writeAsync = promisify(write);
const statfsAsync = promisify(statfs);

/** Up to this size a call on the page cache is cheaper than a trip to the thread pool. */
const synchronousBytesMax = 256 * 1024;
/** Virus scanners and indexers hold files on Windows for moments: half a second in all. */
const renameAttemptsMax = 20;
const renamePauseMs = 25;

/** Not on Windows, where both are undefined and neither links nor FIFOs are met in this form. */
const noFollow = constants.O_NOFOLLOW ?? 0;
const noBlock = constants.O_NONBLOCK ?? 0;
const isWindows = process.platform === 'win32';

export const nodeDisk: Disk = {
  platform: process.platform,
  get umask() {
    return process.umask();
  },
  lstat: (path) => {
    try {
      const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
      return stat === undefined ? undefined : toDiskStat(stat);
    } catch (error) {
      if (diskErrorCode(error) === 'ENOTDIR') return undefined;
      throw error;
    }
  },
  list: (path) => readdirSync(path, { encoding: 'buffer' }),
  realPath: (path) =>
    isWindows ? realpathSync.native(path).replaceAll('\\', '/') : (realPathByKernel(path) ?? realpathSync.native(path)),
  openForReading: (path) => openFile(path, constants.O_RDONLY | noFollow | noBlock, 0),
  create: (path, mode) => openFile(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | noFollow, mode),
  openToContinue: (path, size) => {
    truncateSync(path, size);
    return openFile(path, constants.O_WRONLY | constants.O_APPEND | noFollow, 0);
  },
  readLink: (path) => readlinkSync(path),
  rename: isWindows ? renameWithPatience : (from, to) => renameSync(from, to),
  link: (from, to) => linkSync(from, to),
  symlink: (target, path) => symlinkSync(target, path),
  unlink: (path) => unlinkSync(path),
  makeDirectory: (path, mode) => {
    mkdirSync(path, { mode });
  },
  removeDirectory: (path) => rmdirSync(path),
  setModificationTime: (path, atMs) => utimesSync(path, atMs / 1_000, atMs / 1_000),
  setMode: (path, mode) => chmodSync(path, mode),
  flushDirectory: async (path) => {
    // Windows keeps names durable by itself and cannot flush a directory.
    if (isWindows) return;
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | noFollow);
    try {
      await fsyncAsync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  },
  space: async (path) => spaceOf(await statfsAsync(path)),
  mountPoints: createMountPoints(),
  openForWriting: async (paths) => (process.platform === 'linux' ? openForWriting(paths) : new Set()),
};

/** The blocks are of `frsize`. `bsize`, all that older versions of Node tell, is what is best read at a time: on FUSE and virtiofs far more. */
export function spaceOf({
  bavail,
  blocks,
  bsize,
  frsize = bsize,
}: Pick<StatsFs, 'bavail' | 'blocks' | 'bsize'> & Partial<Pick<StatsFs, 'frsize'>>): DiskSpace {
  return { freeBytes: bavail * frsize, totalBytes: blocks * frsize };
}

/** Linux's flag for a descriptor that only names a place: nothing is opened, no permission to read is needed. */
const pathOnly = 0o10000000;

/**
 * What Linux itself calls the place, in two calls however deep it lies; realpath() looks at every directory above, each by its
 * whole path. undefined: only that can tell.
 */
function realPathByKernel(path: string): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const descriptor = openSync(path, pathOnly);
  try {
    const real = readlinkSync(`/proc/self/fd/${descriptor}`);
    // Removed meanwhile, or outside of what this process can see.
    return real.startsWith('/') && !real.endsWith(' (deleted)') ? real : undefined;
  } catch {
    // No /proc here.
    return undefined;
  } finally {
    closeSync(descriptor);
  }
}

function toDiskStat(stat: BigIntStats): DiskStat {
  return {
    kind: kindOf(stat),
    size: Number(stat.size),
    mtimeNs: stat.mtimeNs,
    ctimeNs: stat.ctimeNs,
    inode: stat.ino,
    device: stat.dev,
    bornNs: stat.birthtimeNs,
    links: Number(stat.nlink),
    mode: Number(stat.mode & 0o7777n),
  };
}

function kindOf(stat: BigIntStats): NodeKind {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  return stat.isSymbolicLink() ? 'symlink' : 'other';
}

function openFile(path: string, flags: number, mode: number): DiskFile {
  const descriptor = openSync(path, flags, mode);
  let isOpen = true;
  return {
    stat: () => toDiskStat(fstatSync(descriptor, { bigint: true })),
    read: (into) => readSome(descriptor, into, null),
    readAt: (into, start) => readSome(descriptor, into, start),
    write: (bytes) =>
      bytes.length <= synchronousBytesMax ? writeAll(descriptor, bytes) : writeAllAsync(descriptor, bytes),
    setMode: (next) => fchmodSync(descriptor, next),
    flush: () => fsyncAsync(descriptor),
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      closeSync(descriptor);
    },
  };
}

function readSome(descriptor: number, into: Uint8Array, start: number | null): number | Promise<number> {
  if (into.length <= synchronousBytesMax) return readSync(descriptor, into, 0, into.length, start);
  return readAsync(descriptor, into, 0, into.length, start).then(({ bytesRead }) => bytesRead);
}

/** A disk that fills up writes less than asked before it says ENOSPC. */
function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length; ) offset += writeSync(descriptor, bytes, offset);
}

async function writeAllAsync(descriptor: number, bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < bytes.length; ) {
    const { bytesWritten } = await writeAsync(descriptor, bytes, offset, bytes.length - offset, null);
    offset += bytesWritten;
  }
}

async function renameWithPatience(from: string, to: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      renameSync(from, to);
      return;
    } catch (error) {
      const isMomentary = ['EPERM', 'EBUSY', 'EACCES'].includes(diskErrorCode(error));
      if (!isMomentary || attempt === renameAttemptsMax) throw error;
      await delay(renamePauseMs);
    }
  }
}
