/**
 * The few synchronous system calls that a folder is made of. `createDiskFolder` holds all rules of safe writing and runs over this
 * port, so that the simulated disk is put through the very code that touches real ones, and a test can stop between any two calls.
 *
 * Paths are absolute, with `/`. Calls throw an error with a system `code` (ENOENT, EEXIST, ENOSPC …); nothing else is thrown.
 * Durable: a file's bytes after its `flush`, names after `flushDirectory` of their directory. Renames and links are atomic.
 */
import type { NodeKind } from './folder.ts';

export interface DiskStat {
  readonly kind: NodeKind;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly inode: bigint;
  readonly device: bigint;
  /** When it was made; 0 where the disk does not tell. */
  readonly bornNs: bigint;
  readonly links: number;
  /** Permission bits, including setuid, setgid and sticky: `mode & 0o7777`. */
  readonly mode: number;
}

export interface DiskSpace {
  /** For this user. */
  readonly freeBytes: number;
  readonly totalBytes: number;
}

export interface DiskFile {
  stat(): DiskStat;
  /** Fills `into` from the present position; the number of bytes, 0 at the end. Large reads are promises, small ones are done at once. */
  read(into: Uint8Array): number | Promise<number>;
  /** The same from a place, without moving the position. */
  readAt(into: Uint8Array, start: number): number | Promise<number>;
  /** Writes all of `bytes`. */
  write(bytes: Uint8Array): void | Promise<void>;
  setMode(mode: number): void;
  flush(): Promise<void>;
  close(): void;
}

export interface Disk {
  /** As `process.platform` names it. */
  readonly platform: string;
  readonly umask: number;
  /** undefined: absent, or below something that is no directory. Never follows a link. */
  lstat(path: string): DiskStat | undefined;
  /** Names as the disk holds them, in bytes and in any order. */
  list(path: string): readonly Uint8Array[];
  realPath(path: string): string;
  /** For reading. A link fails with ELOOP; a FIFO never blocks. */
  openForReading(path: string): DiskFile;
  /** A new file, never one that exists (EEXIST). */
  create(path: string, mode: number): DiskFile;
  /** A file that exists, cut to its first `size` bytes: what is written goes behind them. */
  openToContinue(path: string, size: number): DiskFile;
  readLink(path: string): string;
  /** Overwrites a file at `to`. A promise where the system may refuse for a moment (open files on Windows). */
  rename(from: string, to: string): void | Promise<void>;
  /** Fails with EEXIST when anything is at `to`. Never follows a link at `from`. */
  link(from: string, to: string): void;
  symlink(target: string, path: string): void;
  unlink(path: string): void;
  makeDirectory(path: string, mode: number): void;
  removeDirectory(path: string): void;
  setModificationTime(path: string, atMs: number): void;
  setMode(path: string, mode: number): void;
  flushDirectory(path: string): Promise<void>;
  space(path: string): Promise<DiskSpace>;
  /** Absolute paths at which something is mounted, where the system lists them: a bind mount has its parent's device. */
  mountPoints(): readonly string[];
  /** Which of these files another program holds open for writing, as far as the system tells; none where it does not. */
  openForWriting(paths: readonly string[]): Promise<ReadonlySet<string>>;
}

/** The system code of an error thrown by a Disk; 'EUNKNOWN' for anything else. */
export function diskErrorCode(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string')
    return error.code;
  return 'EUNKNOWN';
}
