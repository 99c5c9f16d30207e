/**
 * The root's `.driftless/`: marker, stage and trash, 0700 (S20). A rename cannot cross a mount point, so what belongs to a mount inside the
 * root lies *beside its target* under a hidden name (rule DISK4), and a link in stage or trash points to it: the pointer says, also
 * after a crash, that the hidden file is ours and not one that a user happened to name so (N9). Its name, which is random, tells that wherever
 * it is met: a directory above it may be renamed at any moment, by the room or the user, and the pointer follows. What is met may be a
 * copy all the same, of a part of it perhaps: whoever goes on with it looks at what it holds.
 */
import { ownDirectoryName } from '@driftless/protocol';
import type { Disk } from './ports/disk.ts';
import { diskErrorCode } from './ports/disk.ts';

export type OwnKind = 'stage' | 'trash';

export interface OwnDirectory {
  readonly path: string;
  /** Makes `.driftless/`, stage and trash as far as they are missing (a `git clean` takes them), and refuses links in their place. */
  ensure(): void;
  /** Where `name` lies: in stage or trash, or beside its target when a pointer says so. It need not exist. */
  locate(kind: OwnKind, name: string): string;
  /** Where a new `name` has to be made to be on the disk of `parentPath` (absolute). Sets the pointer. */
  locateBeside(kind: OwnKind, name: string, parentPath: string): string;
  /** Gives an existing pointer another name; it may take the place of a file. */
  renamePointer(kind: OwnKind, from: string, to: string): Promise<void>;
  names(kind: OwnKind): readonly string[];
  /** Removes it and its pointer; nothing when it is not there. For what is known to be at hand, or used up. */
  remove(kind: OwnKind, name: string): void;
  /** As `remove`, but a pointer to what is out of reach stays. */
  discard(kind: OwnKind, name: string): void;
  /** It lies beside its target, on a disk that is not mounted now. */
  isOutOfReach(kind: OwnKind, name: string): boolean;
  /** Whether a hidden file of this name is ours, wherever it lies. Cheap for ordinary names. */
  isOwn(name: string): boolean;
  /** One of ours was met here: its pointer leads to it from now on, unless it may only be a copy of what is out of reach. */
  follow(parentPath: string, name: string): Promise<void>;
}

const hiddenPrefix = /^\.driftless-(?:stage|trash)-/;
/** Ours are short: a 255-byte target still has room for them beside it (F14). They are names of files, never paths. */
const ownNameShape = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** Errors: RangeError for a name that is not one of ours, so that no name can lead out of its directory. */
export function assertOwnName(name: string): void {
  if (!ownNameShape.test(name)) throw new RangeError(`not a name for stage or trash: ${JSON.stringify(name)}`);
}

export function createOwnDirectory(disk: Disk, root: string): OwnDirectory {
  const path = `${root}/${ownDirectoryName}`;
  const inside = (kind: OwnKind, name: string): string => {
    assertOwnName(name);
    return `${path}/${kind}/${name}`;
  };

  const ensureDirectory = (directory: string): void => {
    const stat = disk.lstat(directory);
    if (stat === undefined) disk.makeDirectory(directory, 0o700);
    else if (stat.kind !== 'directory')
      throw Object.assign(new Error(`${directory} is no directory`), { code: 'ENOTDIR' });
  };

  /** The absolute path that a pointer names; undefined when `place` is no pointer of ours. */
  const pointedTo = (place: string): string | undefined => {
    if (disk.lstat(place)?.kind !== 'symlink') return undefined;
    const target = disk.readLink(place);
    const relative = target.startsWith('../../') ? target.slice('../../'.length) : '';
    const components = relative.split('/');
    const isOurs = hiddenPrefix.test(components.at(-1) ?? '') && !components.includes('..');
    return isOurs ? `${root}/${relative}` : undefined;
  };

  const textOf = (hidden: string): string => `../../${hidden.slice(root.length + 1)}`;

  const names = (kind: OwnKind): readonly string[] => {
    if (disk.lstat(`${path}/${kind}`)?.kind !== 'directory') return [];
    const decoder = new TextDecoder();
    return disk
      .list(`${path}/${kind}`)
      .map((bytes) => decoder.decode(bytes))
      .filter((name) => ownNameShape.test(name))
      .sort();
  };

  const pointerTo = (hiddenName: string): { readonly place: string; readonly target: string } | undefined => {
    if (!hiddenPrefix.test(hiddenName)) return undefined;
    for (const kind of ['stage', 'trash'] as const)
      for (const name of names(kind)) {
        const place = inside(kind, name);
        const target = pointedTo(place);
        if (target?.endsWith(`/${hiddenName}`)) return { place, target };
      }
    return undefined;
  };

  const unlinkIfThere = (place: string): void => {
    try {
      disk.unlink(place);
    } catch (error) {
      if (diskErrorCode(error) !== 'ENOENT') throw error;
    }
  };

  /** The disk of a mount point differs from the root's, and where nothing is mounted the root's own shows. */
  const isAway = (beside: string): boolean => {
    if (disk.lstat(beside) !== undefined) return false;
    let directory = beside.slice(0, beside.lastIndexOf('/'));
    while (directory.length > root.length && disk.lstat(directory)?.kind !== 'directory')
      directory = directory.slice(0, directory.lastIndexOf('/'));
    return disk.lstat(directory)?.device === disk.lstat(root)?.device;
  };

  const isOutOfReach = (kind: OwnKind, name: string): boolean => {
    const beside = pointedTo(inside(kind, name));
    return beside !== undefined && isAway(beside);
  };

  const isOnMountedDisk = (directory: string): boolean =>
    disk.lstat(directory)?.device !== disk.lstat(root)?.device ||
    disk.mountPoints().some((point) => point.startsWith(`${root}/`) && `${directory}/`.startsWith(`${point}/`));

  const remove = (kind: OwnKind, name: string): void => {
    const place = inside(kind, name);
    const beside = pointedTo(place);
    if (beside !== undefined) unlinkIfThere(beside);
    if (disk.lstat(place)?.kind === 'directory') removeTree(disk, place);
    else unlinkIfThere(place);
  };

  return {
    path,
    names,
    isOutOfReach,
    remove,
    discard: (kind, name) => {
      if (!isOutOfReach(kind, name)) remove(kind, name);
    },
    ensure: () => {
      ensureDirectory(path);
      ensureDirectory(`${path}/stage`);
      ensureDirectory(`${path}/trash`);
    },
    locate: (kind, name) => {
      const place = inside(kind, name);
      return pointedTo(place) ?? place;
    },
    locateBeside: (kind, name, parentPath) => {
      const hidden = `${parentPath}/.driftless-${kind}-${name}`;
      disk.symlink(textOf(hidden), inside(kind, name));
      return hidden;
    },
    renamePointer: async (kind, from, to) => {
      await disk.rename(inside(kind, from), inside(kind, to));
    },
    isOwn: (name) => pointerTo(name) !== undefined,
    follow: async (parentPath, name) => {
      const hidden = `${parentPath}/${name}`;
      const pointer = pointerTo(name);
      // A copy of it proves nothing of the file itself.
      if (pointer === undefined || pointer.target === hidden || disk.lstat(pointer.target) !== undefined) return;
      // Its disk may be unmounted, or else it goes along when a directory above is renamed: then it is on a mounted disk still.
      if (isAway(pointer.target) && !isOnMountedDisk(parentPath)) return;
      const next = `${path}/pointer.new`;
      unlinkIfThere(next);
      disk.symlink(textOf(hidden), next);
      await disk.rename(next, pointer.place);
    },
  };
}

/** Only for what lies in the trash already. Links are removed, not followed. */
function removeTree(disk: Disk, path: string): void {
  const decoder = new TextDecoder();
  for (const bytes of disk.list(path)) {
    const child = `${path}/${decoder.decode(bytes)}`;
    if (disk.lstat(child)?.kind === 'directory') removeTree(disk, child);
    else disk.unlink(child);
  }
  disk.removeDirectory(path);
}
