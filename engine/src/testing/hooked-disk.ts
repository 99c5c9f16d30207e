/**
 * A disk that tells before each call what it is about to do: the test edits the disk there (a race), throws a system error
 * (a fault), or throws anything else from then on (a killed process).
 */
import type { Disk, DiskFile } from '../ports/disk.ts';

export interface DiskCall {
  readonly operation: keyof Disk | `file.${keyof DiskFile}`;
  readonly path: string;
  readonly toPath?: string;
}

export function hookDisk(disk: Disk, before: (call: DiskCall) => void): Disk {
  const hookFile = (file: DiskFile, path: string): DiskFile => ({
    stat: () => {
      before({ operation: 'file.stat', path });
      return file.stat();
    },
    read: (into) => {
      before({ operation: 'file.read', path });
      return file.read(into);
    },
    readAt: (into, start) => {
      before({ operation: 'file.readAt', path });
      return file.readAt(into, start);
    },
    write: (bytes) => {
      before({ operation: 'file.write', path });
      return file.write(bytes);
    },
    setMode: (mode) => {
      before({ operation: 'file.setMode', path });
      file.setMode(mode);
    },
    flush: async () => {
      before({ operation: 'file.flush', path });
      await file.flush();
    },
    // A dead process's files are closed by the system: no hook, and no leak in the test.
    close: () => file.close(),
  });
  const one =
    <Answer>(operation: keyof Disk, act: (path: string) => Answer) =>
    (path: string): Answer => {
      before({ operation, path });
      return act(path);
    };
  const moded =
    <Answer>(operation: keyof Disk, act: (path: string, value: number) => Answer) =>
    (path: string, value: number): Answer => {
      before({ operation, path });
      return act(path, value);
    };
  return {
    platform: disk.platform,
    umask: disk.umask,
    lstat: one('lstat', (path) => disk.lstat(path)),
    list: one('list', (path) => disk.list(path)),
    realPath: one('realPath', (path) => disk.realPath(path)),
    openForReading: one('openForReading', (path) => hookFile(disk.openForReading(path), path)),
    create: moded('create', (path, mode) => hookFile(disk.create(path, mode), path)),
    openToContinue: moded('openToContinue', (path, size) => hookFile(disk.openToContinue(path, size), path)),
    readLink: one('readLink', (path) => disk.readLink(path)),
    rename: (path, toPath) => {
      before({ operation: 'rename', path, toPath });
      return disk.rename(path, toPath);
    },
    link: (path, toPath) => {
      before({ operation: 'link', path, toPath });
      disk.link(path, toPath);
    },
    symlink: (target, path) => {
      before({ operation: 'symlink', path });
      disk.symlink(target, path);
    },
    unlink: one('unlink', (path) => disk.unlink(path)),
    makeDirectory: moded('makeDirectory', (path, mode) => disk.makeDirectory(path, mode)),
    removeDirectory: one('removeDirectory', (path) => disk.removeDirectory(path)),
    setModificationTime: moded('setModificationTime', (path, atMs) => disk.setModificationTime(path, atMs)),
    setMode: moded('setMode', (path, mode) => disk.setMode(path, mode)),
    flushDirectory: async (path) => {
      before({ operation: 'flushDirectory', path });
      await disk.flushDirectory(path);
    },
    space: one('space', (path) => disk.space(path)),
    mountPoints: () => disk.mountPoints(),
    openForWriting: (paths) => disk.openForWriting(paths),
  };
}

/** For a hook: an error such as the system gives. */
export function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
}
