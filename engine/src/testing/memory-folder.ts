/**
 * A linked folder on a disk in memory, with a user who edits it from outside at any moment: the very code of the real
 * folder runs on it. For tests of peers and for the simulator.
 */
import type { RelPath } from '@driftless/protocol';
import { linuxTraits } from '../core/folder-traits.ts';
import { createDiskFolder } from '../disk-folder.ts';
import { nodeHashing } from '../node/node-hashing.ts';
import type { Folder } from '../ports/folder.ts';
import type { WatcherHandlers } from '../ports/watcher.ts';
import { type DiskCall, hookDisk } from './hooked-disk.ts';
import { createMemoryDisk, type MemoryDisk, type MemoryDiskOptions } from './memory-disk.ts';

type Hint = Parameters<WatcherHandlers['onHint']>[0];

export interface MemoryFolderOptions extends Partial<MemoryDiskOptions> {
  readonly rootPath?: string;
}

export interface MemoryFolder {
  /** Anew after `kill` and `powerCut`. */
  readonly folder: Folder;
  readonly disk: MemoryDisk;
  readonly user: FolderUser;
  /** Called before each system call of the folder; edit the disk in it, or throw to stop there. */
  beforeCall: (call: DiskCall) => void;
  /** What a watcher would tell, of the user's changes and of the folder's own. `.driftless` is left out. */
  onHint: (hint: Hint) => void;
  /** The process ends at this moment; a new one opens the folder. */
  kill(): Folder;
  /** As `kill`, and what was not flushed is gone. */
  powerCut(): Folder;
}

/** Somebody else who works in the folder. Paths are relative to the root; errors of the disk are thrown. */
export interface FolderUser {
  /** In place; parents are made. */
  write(path: string, content: string | Uint8Array): void;
  /** By a temporary file and a rename over the old one, as most editors save. */
  replace(path: string, content: string | Uint8Array): void;
  /** A file, a link, or a directory with all that is in it. */
  remove(path: string): void;
  rename(fromPath: string, toPath: string): void;
  makeDirectory(path: string): void;
  symlink(path: string, target: string): void;
  setMode(path: string, mode: number): void;
  /** As archivers and `touch -d` do. */
  setModificationTime(path: string, atMs: number): void;
  pipe(path: string): void;
  /** Permission bits; undefined when absent. */
  mode(path: string): number | undefined;
  read(path: string): string | undefined;
  /** path → content; directories end in '/', links read '-> target'. Sorted; `.driftless` is left out. */
  tree(): Readonly<Record<string, string>>;
}

export function createMemoryFolder(options: MemoryFolderOptions = {}): MemoryFolder {
  const { rootPath = '/folder', nowMs = () => Date.UTC(2026, 0, 1), ...diskOptions } = options;
  const disk = createMemoryDisk({ nowMs, ...diskOptions });
  disk.makeDirectory(rootPath, 0o777);
  disk.flushAll();
  const open = (): Folder =>
    createDiskFolder({
      disk: hookDisk(disk, (call) => memory.beforeCall(call)),
      rootPath,
      platformTraits: {
        ...linuxTraits,
        caseSensitive: options.foldsCase !== true,
        foldsUnicode: options.foldsUnicode === true,
      },
      nowMs,
      hashing: nodeHashing,
    });

  let folder: Folder;
  const memory: MemoryFolder = {
    get folder() {
      return folder;
    },
    disk,
    user: createFolderUser(disk, rootPath),
    beforeCall: () => {},
    onHint: () => {},
    kill: () => {
      memory.beforeCall = () => {};
      folder = open();
      return folder;
    },
    powerCut: () => {
      disk.powerCut();
      return memory.kill();
    },
  };
  folder = open();
  disk.onChange = ({ path, deep }) => {
    if (path === rootPath) memory.onHint({ path: '', deep: true });
    if (!path.startsWith(`${rootPath}/`)) return;
    const relative = path.slice(rootPath.length + 1);
    if (relative !== '.driftless' && !relative.startsWith('.driftless/'))
      memory.onHint({ path: relative as RelPath, deep });
  };
  return memory;
}

function createFolderUser(disk: MemoryDisk, rootPath: string): FolderUser {
  const absolute = (path: string): string => `${rootPath}/${path}`;
  const toBytes = (content: string | Uint8Array): Uint8Array =>
    typeof content === 'string' ? new TextEncoder().encode(content) : content;
  const namesIn = (directory: string): string[] => disk.list(directory).map((bytes) => new TextDecoder().decode(bytes));
  let lastTemporary = 0;

  const makeParents = (path: string): void => {
    for (let index = path.indexOf('/'); index !== -1; index = path.indexOf('/', index + 1)) {
      if (disk.lstat(absolute(path.slice(0, index))) === undefined)
        disk.makeDirectory(absolute(path.slice(0, index)), 0o777);
    }
  };
  const durable = (act: () => void): void => {
    act();
    disk.flushNames();
  };
  const removeTree = (place: string): void => {
    if (disk.lstat(place)?.kind !== 'directory') return disk.unlink(place);
    for (const name of namesIn(place)) removeTree(`${place}/${name}`);
    disk.removeDirectory(place);
  };

  return {
    write: (path, content) => {
      makeParents(path);
      disk.userWrite(absolute(path), toBytes(content));
    },
    replace: (path, content) =>
      durable(() => {
        makeParents(path);
        lastTemporary += 1;
        const temporary = `${absolute(path)}.tmp${lastTemporary}`;
        disk.userWrite(temporary, toBytes(content));
        disk.rename(temporary, absolute(path));
      }),
    remove: (path) => durable(() => removeTree(absolute(path))),
    rename: (fromPath, toPath) =>
      durable(() => {
        makeParents(toPath);
        disk.rename(absolute(fromPath), absolute(toPath));
      }),
    makeDirectory: (path) =>
      durable(() => {
        makeParents(path);
        disk.makeDirectory(absolute(path), 0o777);
      }),
    symlink: (path, target) =>
      durable(() => {
        makeParents(path);
        disk.symlink(target, absolute(path));
      }),
    setModificationTime: (path, atMs) => durable(() => disk.setModificationTime(absolute(path), atMs)),
    pipe: (path) => {
      makeParents(path);
      disk.userPipe(absolute(path));
    },
    setMode: (path, mode) => durable(() => disk.setMode(absolute(path), mode)),
    mode: (path) => disk.lstat(absolute(path))?.mode,
    read: (path) => {
      const bytes = disk.readWhole(absolute(path));
      return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
    },
    tree: () => {
      const found: [string, string][] = [];
      const visit = (directory: string, prefix: string): void => {
        for (const name of namesIn(directory)) {
          const path = `${directory}/${name}`;
          if (prefix === '' && name === '.driftless') continue;
          const kind = disk.lstat(path)?.kind;
          if (kind === 'directory') {
            found.push([`${prefix}${name}/`, '']);
            visit(path, `${prefix}${name}/`);
          } else if (kind === 'symlink') found.push([prefix + name, `-> ${disk.readLink(path)}`]);
          else found.push([prefix + name, new TextDecoder().decode(disk.readWhole(path))]);
        }
      };
      visit(rootPath, '');
      return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
    },
  };
}
