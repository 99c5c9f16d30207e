/** A folder on a real disk: `createDiskFolder` over `node:fs`. */
import { resolve } from 'node:path';
import { type FolderTraits, linuxTraits, macTraits, windowsTraits } from '../core/folder-traits.ts';
import { createDiskFolder } from '../disk-folder.ts';
import type { Disk } from '../ports/disk.ts';
import type { Folder } from '../ports/folder.ts';
import { nodeDisk } from './node-disk.ts';
import { nodeHashing } from './node-hashing.ts';

export interface NodeFolderOptions {
  /** Wall clock, for modification times. */
  readonly nowMs?: () => number;
  /** Tests stop between system calls by a disk of their own around `nodeDisk`. */
  readonly disk?: Disk;
}

/** The root need not exist yet: `root()` tells. Nothing is written before `initialise`, except probes in a `.driftless/` that is there. */
export function createNodeFolder(rootPath: string, options: NodeFolderOptions = {}): Folder {
  return createDiskFolder({
    disk: options.disk ?? nodeDisk,
    rootPath: toSlashes(resolve(rootPath)),
    platformTraits: platformTraits(),
    nowMs: options.nowMs ?? Date.now,
    hashing: nodeHashing,
  });
}

export function platformTraits(): FolderTraits {
  if (process.platform === 'win32') return windowsTraits;
  return process.platform === 'darwin' ? macTraits : linuxTraits;
}

function toSlashes(path: string): string {
  return process.platform === 'win32' ? path.replaceAll('\\', '/') : path;
}
