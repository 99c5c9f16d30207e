/**
 * A disk in memory with the semantics that matter: inodes (a freed one is handed out again, as on ext4) and hard links, atomic renames, links followed on the way to a name, mount
 * points (EXDEV between two, EBUSY at one; they go along with a directory above that is renamed), a disk that fills up, and a power cut that takes what was not flushed.
 *
 * Names are journaled in order, as ext4 and XFS do: a flush of anything makes every earlier rename, link and unlink durable. Bytes are
 * durable only by a flush of their file; after a power cut an unflushed file is empty or has its last flushed bytes.
 */
import type { Disk, DiskFile, DiskStat } from '../ports/disk.ts';

export interface MemoryDiskOptions {
  /** Wall clock of the stamps. */
  readonly nowMs: () => number;
  /** Stamps are cut down to this tick; 0 gives every change a stamp of its own. */
  readonly tickMs?: number;
  readonly umask?: number;
  readonly foldsCase?: boolean;
  readonly foldsUnicode?: boolean;
  /** Further names that the disk takes for one, as APFS takes ß for ss: more than our own folding knows. */
  readonly foldsFurther?: (name: string) => string;
}

export interface MemoryDisk extends Disk {
  /** Called after each change of a name or of bytes, with the absolute path; `deep` when a whole directory came or went. */
  onChange: (change: { readonly path: string; readonly deep: boolean }) => void;
  /** Every name becomes durable, as by any flush; bytes do not. */
  flushNames(): void;
  /** Everything so far becomes durable. */
  flushAll(): void;
  /** Takes back what was not flushed. Open files stay open, as in a process that is about to die. */
  powerCut(): void;
  /** A pipe: neither a file, a directory nor a link. Durable at once. */
  userPipe(path: string): void;
  /** Makes an existing directory a mount point: another device. */
  mount(path: string): void;
  /** A bind mount of the same file system, of what is there or at `from`: the device stays, and only the list of mount points tells. */
  bindMount(path: string, from?: string): void;
  /** Mounts another disk, an empty one, over a directory, as the system lists it. Makes no event. Returns what takes it away again. */
  mountOver(path: string): () => void;
  /** Takes the disk away that is mounted there: an empty directory of the disk below shows. Returns what mounts it again, under another number. Makes no event. */
  unmount(path: string): () => void;
  /** Bytes that can still be written; null = no limit. */
  setFreeBytes(bytes: number | null, totalBytes?: number): void;
  /** In place, as an editor does that does not rename; makes the file when it is absent. Durable at once. */
  userWrite(path: string, bytes: Uint8Array): void;
  readWhole(path: string): Uint8Array | undefined;
  /** By another program, which may write until it closes. */
  userOpen(path: string): DiskFile;
}

interface Node {
  readonly inode: bigint;
  readonly kind: DiskStat['kind'];
  device: bigint;
  readonly bornNs: bigint;
  mode: number;
  mtimeNs: bigint;
  ctimeNs: bigint;
  links: number;
  bytes: Uint8Array;
  durableBytes: Uint8Array;
  readonly target: string;
  /** By folded name. */
  readonly entries: Map<string, { readonly name: string; readonly node: Node }>;
}

interface Place {
  readonly parent: Node;
  readonly name: string;
  readonly node: Node | undefined;
}

interface ResolvedPlace extends Place {
  readonly path: string;
}

const linksFollowedMax = 16;
/** Steps that a power cut can take back; a longer run without any flush counts as written by the system itself. */
const undoStepsMax = 200_000;
const empty = new Uint8Array(0);

export function createMemoryDisk(options: MemoryDiskOptions): MemoryDisk {
  const {
    nowMs,
    tickMs = 0,
    umask = 0o022,
    foldsCase = false,
    foldsUnicode = false,
    foldsFurther = (name) => name,
  } = options;
  let lastInode = 0n;
  let lastDevice = 1n;
  let lastStampNs = 0n;
  let freeBytes: number | null = null;
  let totalBytes = Number.MAX_SAFE_INTEGER;
  let undo: (() => void)[] = [];
  /** Open by another program. */
  const held = new Set<Node>();
  const bound = new Set<string>();

  const stampNs = (): bigint => {
    const now = BigInt(Math.floor(nowMs())) * 1_000_000n;
    if (tickMs > 0) return now - (now % (BigInt(tickMs) * 1_000_000n));
    lastStampNs = now > lastStampNs ? now : lastStampNs + 1_000n;
    return lastStampNs;
  };
  const fold = (name: string): string => {
    const composed = foldsFurther(foldsUnicode ? name.normalize('NFC') : name);
    return foldsCase ? composed.toLowerCase() : composed;
  };
  /** Nodes whose last name went: their numbers are free, once each, the last one first. */
  const nameless: Node[] = [];
  const isNameless = new Set<Node>();
  const freeInode = (): bigint => {
    for (let node = nameless.pop(); node !== undefined; node = nameless.pop()) {
      isNameless.delete(node);
      if (node.links === 0) return node.inode;
    }
    lastInode += 1n;
    return lastInode;
  };
  const makeNode = (kind: Node['kind'], device: bigint, mode: number, target = ''): Node => {
    const stamp = stampNs();
    return {
      inode: freeInode(),
      kind,
      device,
      bornNs: stamp,
      mode: mode & ~umask,
      mtimeNs: stamp,
      ctimeNs: stamp,
      links: 0,
      bytes: kind === 'symlink' ? new TextEncoder().encode(target) : empty,
      durableBytes: empty,
      target,
      entries: new Map(),
    };
  };
  const rootNode = makeNode('directory', 1n, 0o777);
  rootNode.links = 1;

  // ── names ──

  const splitPath = (path: string): string[] =>
    path.split('/').filter((component) => component !== '' && component !== '.');

  const resolve = (path: string, followLast: boolean): ResolvedPlace => {
    let linksFollowed = 0;
    const pending = splitPath(path);
    const trail: { readonly name: string; readonly node: Node }[] = [];
    for (;;) {
      const name = pending.shift();
      const parent = trail.at(-1)?.node ?? rootNode;
      const trailPath = `/${trail.map((step) => step.name).join('/')}`;
      if (name === undefined) return { parent, name: '', node: parent, path: trailPath };
      if (Buffer.byteLength(name) > 255) throw failure('ENAMETOOLONG', path);
      if (name === '..') {
        trail.pop();
        continue;
      }
      const found = parent.entries.get(fold(name));
      const isLast = pending.length === 0;
      if (found?.node.kind === 'symlink' && (!isLast || followLast)) {
        linksFollowed += 1;
        if (linksFollowed > linksFollowedMax) throw failure('ELOOP', path);
        if (found.node.target.startsWith('/')) trail.length = 0;
        pending.unshift(...splitPath(found.node.target));
        continue;
      }
      if (isLast) {
        const spelled = found?.name ?? name;
        return {
          parent,
          name: spelled,
          node: found?.node,
          path: trailPath === '/' ? `/${spelled}` : `${trailPath}/${spelled}`,
        };
      }
      if (found === undefined) throw failure('ENOENT', path);
      if (found.node.kind !== 'directory') throw failure('ENOTDIR', path);
      trail.push(found);
    }
  };
  /** What is mounted at a directory, or at the nearest one above it, as far as the list tells. */
  const boundAbove = (directory: string): string => {
    for (let at = directory; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) if (bound.has(at)) return at;
    return '';
  };
  const isOneMount = (a: ResolvedPlace, b: ResolvedPlace): boolean =>
    a.parent.device === b.parent.device && boundAbove(parentOf(a.path)) === boundAbove(parentOf(b.path));
  const isMountPoint = ({ parent, node, path }: ResolvedPlace): boolean =>
    node?.kind === 'directory' && (node.device !== parent.device || bound.has(path));
  const existing = (path: string, followLast = false): Node => {
    const { node } = resolve(path, followLast);
    if (node === undefined) throw failure('ENOENT', path);
    return node;
  };

  // ── journaled changes ──

  const remember = (step: () => void): void => {
    if (undo.length >= undoStepsMax) undo = [];
    undo.push(step);
  };
  const setEntry = (parent: Node, name: string, node: Node | undefined): void => {
    const key = fold(name);
    const before = parent.entries.get(key);
    const stamp = stampNs();
    if (before !== undefined) {
      before.node.links -= 1;
      before.node.ctimeNs = stamp;
      // A rename takes a name away and gives it back, so that a node can come here twice.
      if (before.node.links === 0 && !isNameless.has(before.node)) {
        isNameless.add(before.node);
        nameless.push(before.node);
      }
    }
    if (node === undefined) parent.entries.delete(key);
    else {
      parent.entries.set(key, { name, node });
      node.links += 1;
      node.ctimeNs = stamp;
    }
    parent.mtimeNs = stamp;
    parent.ctimeNs = stamp;
    remember(() => {
      if (node !== undefined) node.links -= 1;
      if (before === undefined) parent.entries.delete(key);
      else {
        parent.entries.set(key, before);
        before.node.links += 1;
      }
    });
  };
  const addNode = (path: string, make: (parent: Node) => Node): Node => {
    const place = resolve(path, false);
    if (place.node !== undefined) throw failure('EEXIST', path);
    const node = make(place.parent);
    setEntry(place.parent, place.name, node);
    disk.onChange({ path: place.path, deep: false });
    return node;
  };
  const setBytes = (node: Node, bytes: Uint8Array, path: string): void => {
    const growth = bytes.length - node.bytes.length;
    if (freeBytes !== null) {
      if (growth > freeBytes) throw failure('ENOSPC', path);
      freeBytes -= growth;
    }
    node.bytes = bytes;
    node.mtimeNs = stampNs();
    node.ctimeNs = node.mtimeNs;
    unflushed.add(node);
  };
  const unflushed = new Set<Node>();
  const flushNames = (): void => {
    undo = [];
  };

  const openNode = (node: Node, path: string, startAt = 0): DiskFile => {
    let position = startAt;
    const readAt = (into: Uint8Array, start: number): number => {
      const part = node.bytes.subarray(start, start + into.length);
      into.set(part);
      return part.length;
    };
    return {
      stat: () => toStat(node),
      read: (into) => {
        const count = readAt(into, position);
        position += count;
        return count;
      },
      readAt,
      write: (bytes) => {
        const next = new Uint8Array(Math.max(node.bytes.length, position + bytes.length));
        next.set(node.bytes);
        next.set(bytes, position);
        setBytes(node, next, path);
        position += bytes.length;
        disk.onChange({ path, deep: false });
      },
      setMode: (mode) => {
        node.mode = mode;
        node.ctimeNs = stampNs();
      },
      flush: async () => {
        node.durableBytes = node.bytes;
        unflushed.delete(node);
        flushNames();
      },
      close: () => {},
    };
  };

  const disk: MemoryDisk = {
    platform: 'linux',
    umask,
    onChange: () => {},
    lstat: (path) => {
      try {
        const { node } = resolve(path, false);
        return node === undefined ? undefined : toStat(node);
      } catch (error) {
        if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
          return undefined;
        throw error;
      }
    },
    list: (path) => {
      const node = existing(path, true);
      if (node.kind !== 'directory') throw failure('ENOTDIR', path);
      return [...node.entries.values()].map(({ name }) => new TextEncoder().encode(name));
    },
    realPath: (path) => {
      const place = resolve(path, true);
      if (place.node === undefined) throw failure('ENOENT', path);
      return place.path;
    },
    openForReading: (path) => {
      const node = existing(path);
      if (node.kind === 'symlink') throw failure('ELOOP', path);
      return openNode(node, path);
    },
    create: (path, mode) =>
      openNode(
        addNode(path, (parent) => makeNode('file', parent.device, mode)),
        path,
      ),
    openToContinue: (path, size) => {
      const node = existing(path);
      if (node.kind !== 'file') throw failure('ELOOP', path);
      const cut = new Uint8Array(size);
      cut.set(node.bytes.subarray(0, size));
      setBytes(node, cut, path);
      return openNode(node, path, size);
    },
    readLink: (path) => {
      const node = existing(path);
      if (node.kind !== 'symlink') throw failure('EINVAL', path);
      return node.target;
    },
    rename: (from, to) => {
      const source = resolve(from, false);
      const { node } = source;
      if (node === undefined) throw failure('ENOENT', from);
      const place = resolve(to, false);
      if (!isOneMount(source, place)) throw failure('EXDEV', to);
      if (isMountPoint(source) || isMountPoint(place)) throw failure('EBUSY', from);
      if (place.node === node && place.parent === source.parent && fold(source.name) !== fold(place.name)) return;
      if (place.node !== undefined && place.node !== node) {
        if (place.node.kind === 'directory') {
          if (node.kind !== 'directory') throw failure('EISDIR', to);
          if (place.node.entries.size > 0) throw failure('ENOTEMPTY', to);
        } else if (node.kind === 'directory') throw failure('ENOTDIR', to);
      }
      setEntry(source.parent, source.name, undefined);
      setEntry(place.parent, lastComponent(to), node);
      for (const point of [...bound].filter((each) => each.startsWith(`${source.path}/`))) {
        bound.delete(point);
        bound.add(place.path + point.slice(source.path.length));
      }
      const deep = node.kind === 'directory';
      disk.onChange({ path: source.path, deep });
      disk.onChange({ path: place.path, deep });
    },
    link: (from, to) => {
      const source = resolve(from, false);
      const { node } = source;
      if (node === undefined) throw failure('ENOENT', from);
      if (node.kind === 'directory') throw failure('EPERM', from);
      const place = resolve(to, false);
      if (place.node !== undefined) throw failure('EEXIST', to);
      if (!isOneMount(source, place)) throw failure('EXDEV', to);
      setEntry(place.parent, place.name, node);
      disk.onChange({ path: place.path, deep: false });
    },
    symlink: (target, path) => {
      addNode(path, (parent) => makeNode('symlink', parent.device, 0o777, target));
    },
    unlink: (path) => {
      const place = resolve(path, false);
      if (place.node === undefined) throw failure('ENOENT', path);
      if (place.node.kind === 'directory') throw failure('EISDIR', path);
      if (freeBytes !== null && place.node.links === 1) freeBytes += place.node.bytes.length;
      setEntry(place.parent, place.name, undefined);
      disk.onChange({ path: place.path, deep: false });
    },
    makeDirectory: (path, mode) => {
      addNode(path, (parent) => makeNode('directory', parent.device, mode));
    },
    removeDirectory: (path) => {
      const place = resolve(path, false);
      if (place.node === undefined) throw failure('ENOENT', path);
      if (place.node.kind !== 'directory') throw failure('ENOTDIR', path);
      if (isMountPoint(place)) throw failure('EBUSY', path);
      if (place.node.entries.size > 0) throw failure('ENOTEMPTY', path);
      setEntry(place.parent, place.name, undefined);
      disk.onChange({ path: place.path, deep: false });
    },
    setModificationTime: (path, atMs) => {
      const node = existing(path, true);
      node.mtimeNs = BigInt(Math.floor(atMs)) * 1_000_000n;
      node.ctimeNs = stampNs();
    },
    setMode: (path, mode) => {
      const node = existing(path, true);
      node.mode = mode;
      node.ctimeNs = stampNs();
      disk.onChange({ path, deep: false });
    },
    flushDirectory: async (path) => {
      existing(path, true);
      flushNames();
    },
    space: async () => ({ freeBytes: freeBytes ?? Number.MAX_SAFE_INTEGER, totalBytes }),
    openForWriting: async (paths) =>
      new Set(paths.filter((path) => disk.lstat(path) !== undefined && held.has(existing(path)))),

    flushNames,
    flushAll: () => {
      for (const node of unflushed) node.durableBytes = node.bytes;
      unflushed.clear();
      flushNames();
    },
    powerCut: () => {
      for (const step of undo.reverse()) step();
      undo = [];
      nameless.length = 0;
      isNameless.clear();
      for (const node of unflushed) {
        node.bytes = node.durableBytes;
        node.mtimeNs = stampNs();
        node.ctimeNs = node.mtimeNs;
      }
      unflushed.clear();
    },
    mount: (path) => {
      lastDevice += 1n;
      const device = lastDevice;
      const adopt = (node: Node): void => {
        node.device = device;
        for (const entry of node.entries.values()) adopt(entry.node);
      };
      adopt(existing(path));
    },
    bindMount: (path, from) => {
      if (from !== undefined) {
        const { parent, name } = resolve(path, false);
        parent.entries.set(fold(name), { name, node: existing(from) });
      }
      bound.add(path);
    },
    mountOver: (path) => {
      const { parent, name, node } = resolve(path, false);
      if (node === undefined) throw failure('ENOENT', path);
      lastDevice += 1n;
      const mounted = makeNode('directory', lastDevice, 0o777);
      mounted.links = 1;
      parent.entries.set(fold(name), { name, node: mounted });
      bound.add(path);
      return () => {
        bound.delete(path);
        parent.entries.set(fold(name), { name, node });
      };
    },
    mountPoints: () => [...bound],
    unmount: (path) => {
      const { parent, name, node } = resolve(path, false);
      if (node === undefined) throw failure('ENOENT', path);
      const wasBound = bound.delete(path);
      const below = makeNode('directory', parent.device, 0o777);
      below.links = 1;
      parent.entries.set(fold(name), { name, node: below });
      return () => {
        parent.entries.set(fold(name), { name, node });
        if (wasBound) disk.bindMount(path);
        else disk.mount(path);
      };
    },
    setFreeBytes: (bytes, ofBytes = bytes ?? Number.MAX_SAFE_INTEGER) => {
      freeBytes = bytes;
      totalBytes = ofBytes;
    },
    userWrite: (path, bytes) => {
      const place = resolve(path, true);
      const node = place.node ?? addNode(path, (parent) => makeNode('file', parent.device, 0o666));
      if (node.kind !== 'file') throw failure('EISDIR', path);
      setBytes(node, bytes.slice(), path);
      node.durableBytes = node.bytes;
      unflushed.delete(node);
      flushNames();
      disk.onChange({ path: place.path, deep: false });
    },
    userPipe: (path) => {
      addNode(path, (parent) => makeNode('other', parent.device, 0o666));
      flushNames();
    },
    userOpen: (path) => {
      const node = existing(path);
      held.add(node);
      return { ...openNode(node, path), close: () => void held.delete(node) };
    },
    readWhole: (path) => {
      if (disk.lstat(path)?.kind !== 'file') return undefined;
      return existing(path).bytes.slice();
    },
  };
  return disk;
}

function toStat(node: Node): DiskStat {
  return {
    kind: node.kind,
    size: node.bytes.length,
    mtimeNs: node.mtimeNs,
    ctimeNs: node.ctimeNs,
    inode: node.inode,
    device: node.device,
    bornNs: node.bornNs,
    links: node.links,
    mode: node.mode,
  };
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function lastComponent(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
