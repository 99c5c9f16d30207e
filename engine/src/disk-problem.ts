/**
 * System errors as sentences (M8, M9, D1, D10): what a person reads names the path, the reason and, where there is one, the next step.
 */

import { diskErrorCode } from './ports/disk.ts';
import { FolderError, type PathProblem } from './ports/folder.ts';

/** Words of ours beside the system's codes. */
export type OwnProblemCode =
  /** A directory above the path is a link: writing there could leave the root (S2). */
  | 'symlinked-parent'
  /** A file stands where a directory is needed. */
  | 'parent-is-no-directory'
  | 'outside-root'
  /** At or below our own `.driftless`, or a version control's directory. */
  | 'reserved-name'
  /** FIFO, socket or device (M15). */
  | 'special-file'
  | 'not-a-file'
  | 'root-missing'
  | 'disk-away';

const ownReasons: Readonly<Record<OwnProblemCode, string>> = {
  'symlinked-parent': 'a directory above it is a link, and links are never written through',
  'parent-is-no-directory': 'a file stands where a directory is needed',
  'outside-root': 'it does not lie inside the folder',
  'reserved-name': 'the name belongs to Driftless, or to version control',
  'special-file': 'it is a device, socket or pipe',
  'not-a-file': 'it is not a file',
  'root-missing': 'the folder itself is missing',
  'disk-away': 'the disk that it lies on is not mounted',
};

const systemReasons: Readonly<Record<string, string>> = {
  EACCES: 'permission is denied',
  EPERM: 'the system does not permit it (the file may be immutable or in use)',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the disk is read-only',
  EIO: 'the disk reports a read or write error',
  ENAMETOOLONG: 'the name or the whole path is too long for this disk',
  ELOOP: 'it is, or lies below, a link',
  EBUSY: 'another program holds it, or a disk is mounted there',
  ETXTBSY: 'it is a program that is running',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open on this machine',
  EINVAL: 'this disk cannot hold the name',
  EILSEQ: 'this disk cannot hold the name',
  EFBIG: 'it is too large for this disk',
  EXDEV: 'it lies on another disk',
  ENOENT: 'it vanished meanwhile',
  ENOTDIR: 'a file stands where a directory is needed',
  EISDIR: 'it is a directory',
  EEXIST: 'something is there already',
  ESTALE: 'the network disk lost it',
  ENOMEM: 'memory is short',
};

const diskFullCodes: readonly string[] = ['ENOSPC', 'EDQUOT'];

/** `doing` completes "Cannot …", e.g. `read "a/b"`. */
export function ownProblem(code: OwnProblemCode, doing: string): PathProblem {
  return { kind: 'problem', code, reason: `Cannot ${doing}: ${ownReasons[code]}.`, diskFull: false };
}

export function problemOf(error: unknown, doing: string): PathProblem {
  if (error instanceof FolderError) return error.problem;
  const code = diskErrorCode(error);
  const reason = systemReasons[code] ?? `the system says ${code}`;
  return { kind: 'problem', code, reason: `Cannot ${doing}: ${reason}.`, diskFull: diskFullCodes.includes(code) };
}

/** An error of ours (a broken rule of the caller) goes through as it is; only the disk's errors become problems. */
export function isDiskError(error: unknown): boolean {
  return error instanceof FolderError || diskErrorCode(error) !== 'EUNKNOWN';
}
