/**
 * The files of this disk that wait for a confirmation (rule IG1), by name and stamps, beside the root's marker: outside the state
 * store, so that a file that was not to be published without a word is not published because that was lost, and by inode, so that
 * one that its user renames meanwhile goes on waiting under its new name. While the state is there, its rows say what waits, and this
 * list follows them.
 *
 * Leaves to others: what waits (the scan), and the asking (scope-hold.ts).
 */
import { isRelPath, type RelPath } from '@driftless/protocol';
import { parseFingerprint, sameButChangeTime } from '../core/fingerprint.ts';
import type { Fingerprint } from '../core/local-entry.ts';
import type { Folder } from '../ports/folder.ts';
import type { Log } from '../ports/log.ts';

export interface HeldFiles {
  /** Reads the list of the run before; what cannot be read is an empty one. */
  load(): Promise<void>;
  /** Nothing waits: nobody need be asked about. */
  readonly isEmpty: boolean;
  has(path: RelPath): boolean;
  /** The file was seen, and waits. */
  note(path: RelPath, fingerprint: Fingerprint): void;
  /**
   * Whether this is a file that waits under another name. `exactly`: by all stamps but the change time, which a rename moves; else
   * by its inode alone, which comes back soon after a file was deleted: then a new file is asked about in vain.
   */
  isRenamed(path: RelPath, fingerprint: Fingerprint, options: { readonly exactly: boolean }): boolean;
  /** These wait now, and no others. Durable when resolved, as far as the disk allows. */
  keep(waiting: readonly RelPath[]): Promise<void>;
}

/** In `.driftless/`. */
const listName = 'held';

export function createHeldFiles({ folder, log }: { readonly folder: Folder; readonly log: Log }): HeldFiles {
  /** '' = not seen under this name yet. */
  const files = new Map<RelPath, Fingerprint | ''>();
  const byInode = new Map<bigint, RelPath>();
  let written = '[]';

  function forget(path: RelPath): void {
    const inode = inodeOf(files.get(path) ?? '');
    if (inode !== undefined && byInode.get(inode) === path) byInode.delete(inode);
    files.delete(path);
  }

  function note(path: RelPath, fingerprint: Fingerprint | ''): void {
    if (files.get(path) === fingerprint) return;
    forget(path);
    files.set(path, fingerprint);
    const inode = inodeOf(fingerprint);
    if (inode !== undefined && inode !== 0n) byInode.set(inode, path);
  }

  return {
    load: async () => {
      const text = await folder.readOwn(listName);
      if (text === null) return;
      for (const [path, fingerprint] of parseList(text)) if (isRelPath(path)) note(path, fingerprint as Fingerprint);
      written = text;
    },
    get isEmpty() {
      return files.size === 0;
    },
    has: (path) => files.has(path),
    note,
    isRenamed(path, fingerprint, { exactly }) {
      const inode = inodeOf(fingerprint);
      const former = inode === undefined ? undefined : byInode.get(inode);
      if (former === undefined || former === path) return false;
      const known = files.get(former);
      return !exactly || (known !== undefined && known !== '' && sameButChangeTime(known, fingerprint));
    },
    keep: async (waiting) => {
      const isWaiting = new Set(waiting);
      for (const path of [...files.keys()]) if (!isWaiting.has(path)) forget(path);
      for (const path of waiting) if (!files.has(path)) note(path, '');
      const text = JSON.stringify(waiting.map((path) => [path, files.get(path) ?? '']));
      if (text === written) return;
      try {
        await folder.writeOwn(listName, text);
        written = text;
      } catch (error) {
        log.warn('held-files-not-noted', { reason: String(error) });
      }
    },
  };
}

/** [path, fingerprint or ''] each; whatever is no such pair is left out. */
function parseList(text: string): readonly (readonly [string, string])[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return [];
  }
  const isPair = (one: unknown): one is readonly [string, string] =>
    Array.isArray(one) && one.length === 2 && one.every((part) => typeof part === 'string');
  return Array.isArray(parsed) ? parsed.filter(isPair) : [];
}

const inodeOf = (fingerprint: string): bigint | undefined => parseFingerprint(fingerprint)?.inode;
