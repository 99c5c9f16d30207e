/**
 * One linked folder on disk. Every path is a validated RelPath; every operation refuses to pass through a symlinked
 * parent and never leaves the root; every one that writes refuses names that never take part, whatever was planned
 * (core/scope/always-ignored.ts). Long operations are per directory or per slice of a file, so that callers can yield.
 *
 * Durability: `StagedWriter.commit` and `flushDirectories` are the only operations that flush. Everything else may be lost by a
 * power cut, not by a killed process. Replacing never loses bytes that were not expected: see `swapIn`.
 */
import type { Digest, FileMode, RelPath } from '@driftless/protocol';
import type { FolderTraits } from '../core/folder-traits.ts';
import type { Fingerprint } from '../core/local-entry.ts';
import type { DiskSpace } from './disk.ts';

export type NodeKind = 'file' | 'directory' | 'symlink' | 'other';

export interface Stat {
  readonly kind: NodeKind;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly inode: bigint;
  readonly device: bigint;
  /** When it was made; 0 where the disk does not tell. */
  readonly bornNs: bigint;
  readonly links: number;
  readonly executable: boolean;
  /** A file with permission bits for group or others; never on a disk without modes. */
  readonly openToOthers: boolean;
}

/** One bad path: a shown problem, never a stop (M8, M9, N5, D10). */
export interface PathProblem {
  readonly kind: 'problem';
  /** system error code such as EACCES, EIO, ENOSPC, ENAMETOOLONG, or a word of ours */
  readonly code: string;
  readonly reason: string;
  /** For want of room on the disk: it heals when there is more. */
  readonly diskFull: boolean;
}

export interface StagingSpace extends DiskSpace {
  readonly device: bigint;
}

export interface ListedEntry {
  readonly name: string;
  readonly stat: Stat;
}
export type ListResult =
  | {
      readonly kind: 'listed';
      /** In bytewise order. `.driftless` at the root is left out. */
      readonly entries: readonly ListedEntry[];
      /** Names that are not valid UTF-8, shown escaped; their directory must be kept (rule NAME). */
      readonly invalidNames: readonly string[];
      /** Entries that could be listed but not examined. */
      readonly problems: readonly { readonly name: string; readonly problem: PathProblem }[];
    }
  | { readonly kind: 'absent' }
  | { readonly kind: 'not-a-directory' }
  | PathProblem;

export interface ReadHandle {
  stat(): Promise<Stat>;
  /** Next bytes, at most `bytesMax`; empty at the end. The view is valid until the next read. */
  read(bytesMax: number): Promise<Uint8Array>;
  /** Bytes at a place, fewer at the end; does not move `read`. A fresh copy. */
  readAt(start: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface StagedWriter {
  readonly name: string;
  write(bytes: Uint8Array): Promise<void>;
  /** Flushes the file, closes it. It stays closed to others until `swapIn` dresses it. */
  commit(options: { readonly flush: boolean }): Promise<void>;
  abort(): Promise<void>;
}

/** How a file is dressed that takes a place, or whose mode changes. What the mode leaves open is as it was, or the umask's. */
export interface Dress {
  readonly mode: FileMode;
  /** The file that is there now is private by agreement: where the mode takes that back, the umask decides anew. */
  readonly wasPrivate: boolean;
  /** For a new file: the one whose other bits it gets, if that is there (a conflict copy's original). */
  readonly like?: RelPath | null;
}

/**
 * What must be on disk for a change to go ahead: null = nothing, else what the last scan saw. Of a file the change time counts too.
 * Where stamps prove nothing, because only the change time moved or because they are racy, the bytes of a file that is replaced or
 * removed are compared with `digest`; without one the file counts as changed. Renames and modes leave the bytes where they are: there
 * another change time means changed, and whoever notes the new stamps of a racy file notes that they prove nothing either.
 */
export type Expected =
  | null
  | {
      readonly kind: 'file';
      readonly fingerprint: Fingerprint;
      readonly digest?: Digest;
      readonly isRacy?: boolean;
    }
  | { readonly kind: 'directory' }
  | { readonly kind: 'symlink'; readonly target: string };

export type SwapOutcome =
  /** Done. `asideName` is where the replaced file lies in the trash, if there was one. */
  | { readonly kind: 'done'; readonly stat: Stat | null; readonly asideName: string | null }
  /** Something else is at the path: nothing was changed (an unexpected file is back in its place). */
  | {
      readonly kind: 'changed';
      /** Set when a third thing took the place of what had been moved aside: that one lies in the trash under this name, in no record. */
      readonly asideName?: string;
    }
  /** A directory that holds something: files, or all that a disk holds, which is mounted there. */
  | { readonly kind: 'not-empty'; readonly isMountPoint?: true }
  | PathProblem;

export type RootState =
  | { readonly kind: 'present'; readonly device: string; readonly inode: string; readonly marker: string | null }
  | { readonly kind: 'missing' }
  | { readonly kind: 'not-a-directory' }
  | PathProblem;

export interface TrashItem {
  readonly name: string;
  /** null: it lies on a disk inside the folder that is not mounted now, or does not answer. */
  readonly stat: Stat | null;
}

export interface Folder {
  /** Absolute path, for messages only. */
  readonly rootPath: string;
  readonly traits: FolderTraits;

  /** Identity of the root and the text of its marker (`.driftless/marker`, null when there is none). */
  root(): Promise<RootState>;
  /** Makes `.driftless/` (0700) with its `.gitignore` of `*`, stage and trash, and writes the marker durably. */
  initialise(marker: string): Promise<void>;
  /** A small text of ours in `.driftless/`, as a whole; null: there is none that can be read. */
  readOwn(name: string): Promise<string | null>;
  /** Replaces it durably. Rejects with FolderError. */
  writeOwn(name: string, text: string): Promise<void>;
  /** Of the disk on which a file near this path is staged. Rejects with FolderError. */
  space(near: RelPath): Promise<StagingSpace>;

  /** Below the root, as far as the system lists them; a disk of another device is found without. */
  mountPoints(): Promise<ReadonlySet<RelPath>>;
  /** `onEntry` is called for each entry, may pause the work for any time, and must not throw. */
  list(path: RelPath | '', onEntry?: () => Promise<void> | undefined): Promise<ListResult>;
  /** null: absent (or below something that is no directory). */
  stat(path: RelPath): Promise<Stat | null | PathProblem>;
  /** Regular files only, without following links and without ever blocking on a FIFO. */
  openFile(path: RelPath): Promise<ReadHandle | { readonly kind: 'absent' } | PathProblem>;
  readLink(path: RelPath): Promise<string | null | PathProblem>;

  /**
   * A new file in `.driftless/stage` (or beside `near` on a mount point inside the root); with `continueAt`, the one that lies
   * there under that name, cut to so many bytes. Rejects with PathProblem-like FolderError.
   */
  stage(options: {
    readonly name: string;
    readonly near: RelPath;
    readonly continueAt?: number;
  }): Promise<StagedWriter>;
  /** A copy of a file of the folder, staged near another path: for a disk that refuses to rename it there. */
  stageCopy(options: {
    readonly path: RelPath;
    readonly name: string;
    readonly near: RelPath;
  }): Promise<{ readonly kind: 'copied'; readonly digest: Digest } | { readonly kind: 'absent' } | PathProblem>;
  /** Also those on a disk that is not mounted now. */
  stagedNames(): Promise<readonly string[]>;
  /** null: it is not there, or on a disk that is not mounted now. */
  statStaged(name: string): Promise<Stat | null | PathProblem>;
  openStaged(name: string): Promise<ReadHandle | { readonly kind: 'absent' } | PathProblem>;
  /**
   * What lies on a disk that is not mounted now stays ours: it is still known when the disk is back. The same for `discardTrash`.
   * What a disk refuses to remove stays among the staged names too.
   */
  discardStaged(name: string): Promise<void>;

  /**
   * Puts a staged file at `path`: moves what is there aside into the trash as `asideName`, looks at what was moved, links the new file
   * to the free name without overwriting, removes the staged name. The new file is dressed, and bytes that have to be compared are
   * read, before anything moves, so that the path is empty for no longer than it must be. Unexpected: put back, `changed`. Parents are made.
   * Order for crash recovery: (1) aside, (2) link at path, (3) staged name removed.
   */
  swapIn(options: {
    readonly path: RelPath;
    readonly stagedName: string;
    readonly asideName: string;
    readonly expected: Expected;
    readonly dress: Dress;
  }): Promise<SwapOutcome>;
  /**
   * Finishes or undoes an interrupted swapIn from its journal entry (rule INTENT). `done`: the new content is at the path. `undone`:
   * what was moved aside is back, if anything was. `gone`: the staged file is nowhere, which alone says nothing, and nothing was
   * changed; what lies at the path tells. Rejects with FolderError when the disk refuses what is to be done.
   */
  settleSwap(options: {
    readonly path: RelPath;
    readonly stagedName: string;
    readonly asideName: string;
  }): Promise<'done' | 'undone' | 'gone'>;
  /** Moves a file or link to the trash if it is as expected. */
  removeFile(options: {
    readonly path: RelPath;
    readonly asideName: string;
    readonly expected: Expected;
  }): Promise<SwapOutcome>;
  /** rmdir, never recursive (rule IG4). */
  removeDirectory(path: RelPath): Promise<SwapOutcome>;
  makeDirectory(path: RelPath): Promise<SwapOutcome>;
  makeSymlink(options: {
    readonly path: RelPath;
    readonly target: string;
    readonly asideName: string;
    readonly expected: Expected;
  }): Promise<SwapOutcome>;
  /** Changes a file's mode, never its content. */
  setMode(options: {
    readonly path: RelPath;
    readonly dress: Dress;
    readonly expected: Expected;
  }): Promise<SwapOutcome>;
  /**
   * Renames a file or directory to a free name; parents are made; never overwrites. A name that is the file's own already (a
   * rename that was interrupted) is kept and the old one goes, by way of the trash as `asideName`. EXDEV: this disk cannot, and
   * nothing was changed.
   */
  rename(options: {
    readonly fromPath: RelPath;
    readonly toPath: RelPath;
    readonly asideName: string;
    readonly expected: Expected;
  }): Promise<SwapOutcome>;
  /**
   * Flushes the directories whose entries changed since they were last flushed: one fsync each. Those that an earlier run changed for
   * some paths are flushed for the asking. Returns the paths that were changed in a directory that cannot be flushed: nothing at or
   * below them is durable yet. The next call tries again.
   */
  flushDirectories(ofEarlierRun?: Iterable<RelPath>): Promise<ReadonlyMap<RelPath, PathProblem>>;

  trashItems(): Promise<readonly TrashItem[]>;
  /** Of one item, however many there are. null: it is not there. */
  statTrash(name: string): Promise<Stat | null | PathProblem>;
  /** Which of these another program holds open for writing, as far as the system tells. */
  trashHeldOpen(names: readonly string[]): Promise<ReadonlySet<string>>;
  openTrash(name: string): Promise<ReadHandle | { readonly kind: 'absent' } | PathProblem>;
  /**
   * Moves a trash item to a free path in the folder, so that a handle that is still open writes to what people see; never overwrites.
   * It gets no permission bits that the file at `like` does not have.
   */
  restoreTrash(options: {
    readonly name: string;
    readonly path: RelPath;
    readonly like?: RelPath;
  }): Promise<SwapOutcome>;
  discardTrash(name: string): Promise<void>;

  close(): Promise<void>;
}

/** Thrown by writes that cannot go on; caught by the loop. */
export class FolderError extends Error {
  readonly problem: PathProblem;
  constructor(problem: PathProblem, cause?: unknown) {
    super(problem.reason, { cause });
    this.name = 'FolderError';
    this.problem = problem;
  }
}
