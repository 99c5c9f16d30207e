/**
 * A folder whose operations can be made to fail, and before each of which a test can edit the disk (the window between a
 * scan and an apply). For windows between single system calls use `hookDisk`.
 */
import { problemOf } from '../disk-problem.ts';
import { type Folder, FolderError, type ReadHandle, type StagedWriter } from '../ports/folder.ts';
import { systemError } from './hooked-disk.ts';

export type FolderOperation = Exclude<keyof Folder, 'rootPath' | 'traits'> | 'read' | 'write' | 'commit';

export interface FolderCall {
  readonly operation: FolderOperation;
  /** The path, or the name in stage or trash. */
  readonly path: string;
}

export interface FolderFault {
  readonly operation: FolderOperation;
  /** Only for this path or name. */
  readonly path?: string;
  /** ENOSPC, EIO, EACCES … */
  readonly code: string;
  /** The first call that fails, counted from 1 among those that fit. Default 1. */
  readonly from?: number;
  /** How many fail from then on. Default 1; Infinity until `faults` is emptied. */
  readonly times?: number;
}

export interface FaultyFolder extends Folder {
  /** Calls so far: a test that never met its fault has proved nothing. */
  readonly faultsMet: number;
  addFault(fault: FolderFault): void;
  clearFaults(): void;
  before: (call: FolderCall) => void;
}

/** Operations that answer with a problem; the others reject with FolderError. */
const answering: ReadonlySet<FolderOperation> = new Set<FolderOperation>([
  'root',
  'list',
  'stat',
  'openFile',
  'readLink',
  'statStaged',
  'openStaged',
  'stageCopy',
  'openTrash',
  'statTrash',
  'swapIn',
  'removeFile',
  'removeDirectory',
  'makeDirectory',
  'makeSymlink',
  'setMode',
  'rename',
  'restoreTrash',
]);

export function createFaultyFolder(inner: Folder): FaultyFolder {
  let faults: { readonly fault: FolderFault; seen: number }[] = [];
  let faultsMet = 0;

  const fail = (call: FolderCall): ReturnType<typeof problemOf> | undefined => {
    faulty.before(call);
    for (const entry of faults) {
      const { fault } = entry;
      if (fault.operation !== call.operation || (fault.path !== undefined && fault.path !== call.path)) continue;
      entry.seen += 1;
      const from = fault.from ?? 1;
      if (entry.seen < from || entry.seen >= from + (fault.times ?? 1)) continue;
      faultsMet += 1;
      return problemOf(systemError(fault.code), `${call.operation} "${call.path}"`);
    }
    return undefined;
  };
  const failing = async <Answer>(call: FolderCall, act: () => Promise<Answer>): Promise<Answer> => {
    const problem = fail(call);
    if (problem === undefined) return act();
    // Every answering operation has PathProblem in its answer type; the set above says which they are.
    if (answering.has(call.operation)) return problem as Answer;
    throw new FolderError(problem);
  };

  const hookReading = async <Other>(
    path: string,
    opening: Promise<ReadHandle | Other>,
  ): Promise<ReadHandle | Other> => {
    const opened = await opening;
    if (typeof opened !== 'object' || opened === null || !('readAt' in opened)) return opened;
    const handle = opened;
    return {
      stat: () => handle.stat(),
      read: (bytesMax) => failing({ operation: 'read', path }, () => handle.read(bytesMax)),
      readAt: (start, length) => failing({ operation: 'read', path }, () => handle.readAt(start, length)),
      close: () => handle.close(),
    };
  };
  const hookWriter = (path: string, writer: StagedWriter): StagedWriter => ({
    name: writer.name,
    write: (bytes) => failing({ operation: 'write', path }, () => writer.write(bytes)),
    commit: (options) => failing({ operation: 'commit', path }, () => writer.commit(options)),
    abort: () => writer.abort(),
  });

  const faulty: FaultyFolder = {
    get faultsMet() {
      return faultsMet;
    },
    addFault: (fault) => {
      faults.push({ fault, seen: 0 });
    },
    clearFaults: () => {
      faults = [];
    },
    before: () => {},
    rootPath: inner.rootPath,
    get traits() {
      return inner.traits;
    },
    root: () => failing({ operation: 'root', path: '' }, () => inner.root()),
    initialise: (marker) => failing({ operation: 'initialise', path: '' }, () => inner.initialise(marker)),
    readOwn: (name) => failing({ operation: 'readOwn', path: '' }, () => inner.readOwn(name)),
    writeOwn: (name, text) => failing({ operation: 'writeOwn', path: '' }, () => inner.writeOwn(name, text)),
    space: (near) => failing({ operation: 'space', path: near }, () => inner.space(near)),
    mountPoints: () => inner.mountPoints(),
    list: (path, onEntry) => failing({ operation: 'list', path }, () => inner.list(path, onEntry)),
    stat: (path) => failing({ operation: 'stat', path }, () => inner.stat(path)),
    openFile: (path) => failing({ operation: 'openFile', path }, () => hookReading(path, inner.openFile(path))),
    readLink: (path) => failing({ operation: 'readLink', path }, () => inner.readLink(path)),
    stage: (options) =>
      failing({ operation: 'stage', path: options.near }, async () =>
        hookWriter(options.near, await inner.stage(options)),
      ),
    stageCopy: (options) => failing({ operation: 'stageCopy', path: options.path }, () => inner.stageCopy(options)),
    stagedNames: () => failing({ operation: 'stagedNames', path: '' }, () => inner.stagedNames()),
    statStaged: (name) => failing({ operation: 'statStaged', path: name }, () => inner.statStaged(name)),
    openStaged: (name) =>
      failing({ operation: 'openStaged', path: name }, () => hookReading(name, inner.openStaged(name))),
    discardStaged: (name) => failing({ operation: 'discardStaged', path: name }, () => inner.discardStaged(name)),
    swapIn: (options) => failing({ operation: 'swapIn', path: options.path }, () => inner.swapIn(options)),
    settleSwap: (options) => failing({ operation: 'settleSwap', path: options.path }, () => inner.settleSwap(options)),
    removeFile: (options) => failing({ operation: 'removeFile', path: options.path }, () => inner.removeFile(options)),
    removeDirectory: (path) => failing({ operation: 'removeDirectory', path }, () => inner.removeDirectory(path)),
    makeDirectory: (path) => failing({ operation: 'makeDirectory', path }, () => inner.makeDirectory(path)),
    makeSymlink: (options) =>
      failing({ operation: 'makeSymlink', path: options.path }, () => inner.makeSymlink(options)),
    setMode: (options) => failing({ operation: 'setMode', path: options.path }, () => inner.setMode(options)),
    rename: (options) => failing({ operation: 'rename', path: options.fromPath }, () => inner.rename(options)),
    flushDirectories: (ofEarlierRun) =>
      failing({ operation: 'flushDirectories', path: '' }, () => inner.flushDirectories(ofEarlierRun)),
    statTrash: (name) => failing({ operation: 'statTrash', path: name }, () => inner.statTrash(name)),
    trashItems: () => failing({ operation: 'trashItems', path: '' }, () => inner.trashItems()),
    trashHeldOpen: (names) => inner.trashHeldOpen(names),
    openTrash: (name) =>
      failing({ operation: 'openTrash', path: name }, () => hookReading(name, inner.openTrash(name))),
    restoreTrash: (options) =>
      failing({ operation: 'restoreTrash', path: options.path }, () => inner.restoreTrash(options)),
    discardTrash: (name) => failing({ operation: 'discardTrash', path: name }, () => inner.discardTrash(name)),
    close: () => inner.close(),
  };
  return faulty;
}
