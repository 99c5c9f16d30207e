/**
 * A file's mode as two values of their own, beside its content: whether it is executable, and whether it is private. They
 * are merged flag by flag, and each disk dresses its files by them within its own permission bits (situations M5, M7, M18).
 *
 * A private file has no bits for group or others. Content never widens it: an editor that replaces the file by another one
 * makes an edit, and the edit keeps the flag. Only a change of the mode itself sets or clears it (docs/decisions/0008).
 * Pure; reading and writing permission bits is the folder's.
 */
import type { Entry, FileMode } from '@driftless/protocol';
import { sameButChangeTime } from './fingerprint.ts';
import type { Fingerprint, LocalEntry } from './local-entry.ts';

/** What a disk without modes says of every file, and what a new content without any history gets. */
export const plainMode: FileMode = { executable: false, private: false };

/** Drops everything else of an entry. */
export function modeOf({ executable, private: isPrivate }: FileMode): FileMode {
  return { executable, private: isPrivate };
}

/** The mode of a file; undefined of anything else. */
export function modeOfFile(found: Entry | LocalEntry | null): FileMode | undefined {
  return found?.kind === 'file' ? modeOf(found) : undefined;
}

export function sameMode(a: FileMode, b: FileMode): boolean {
  return a.executable === b.executable && a.private === b.private;
}

/** What two sides' modes become, flag by flag: whoever flipped a flag has it; without a base, set wins. */
export function mergedMode(base: FileMode | undefined, local: FileMode, remote: FileMode): FileMode {
  const flag = (name: keyof FileMode): boolean => {
    if (local[name] === remote[name]) return local[name];
    return base === undefined ? true : !base[name];
  };
  return { executable: flag('executable'), private: flag('private') };
}

/** A file as one look at its stamps and permission bits finds it. */
export interface SeenFile {
  readonly fingerprint: Fingerprint;
  readonly executable: boolean;
  /** It has bits for group or others. */
  readonly openToOthers: boolean;
  /** It was read, and holds something else than the file that was known: whatever its stamps say, it is another one. */
  readonly isOther?: boolean;
}

/**
 * What a scan makes of permission bits, on a disk that holds modes. `known`: the file that the last scan found at the path;
 * `agreed`: the mode that
 * base has for the path; what is made where nothing was agreed on says by its bits whether it is private.
 *
 * A change of the mode keeps the file, and with it its stamps but the change time; an editor's replace makes a new one. So
 * losing the bits sets the flag where the inode is the same, and gaining them clears it only where, besides, nothing was
 * written (which the caller makes sure of by reading the file): what cannot be told apart from a replace is one, and leaves the file private.
 */
export function scannedMode(
  seen: SeenFile,
  known: (SeenFile & FileMode) | undefined,
  agreed: FileMode | undefined,
): FileMode {
  const { executable } = seen;
  if (known === undefined) return { executable, private: agreed === undefined ? !seen.openToOthers : agreed.private };
  if (known.openToOthers === seen.openToOthers) return { executable, private: known.private };
  if (seen.openToOthers)
    return { executable, private: known.private && (seen.isOther === true || !isTouchedOnly(known, seen)) };
  return { executable, private: known.private || inodeOf(known.fingerprint) === inodeOf(seen.fingerprint) };
}

function isTouchedOnly(known: SeenFile, seen: SeenFile): boolean {
  return sameButChangeTime(known.fingerprint, seen.fingerprint);
}

function inodeOf(fingerprint: Fingerprint): string {
  return fingerprint.slice(fingerprint.lastIndexOf('.') + 1);
}

/** What a file's permission bits follow from when it is put at its path, or its mode changes. */
export interface DressOptions {
  readonly mode: FileMode;
  /** The file whose place it takes: its bits stay. `private`: as agreed until now; where that flag goes, the umask decides. */
  readonly replaced: { readonly bits: number; readonly private: boolean } | null;
  readonly umask: number;
}

/** Never setuid, setgid or sticky (M7); nothing for group or others of a private file. A new file is dressed by the umask. */
export function dressedBits({ mode, replaced, umask }: DressOptions): number {
  const plainByUmask = 0o666 & ~umask;
  const isOpened = replaced?.private === true && !mode.private;
  const plain = ((replaced?.bits ?? 0) & 0o666) | (replaced === null || isOpened ? plainByUmask : 0);
  const kept = isOpened ? 0 : (replaced?.bits ?? 0) & 0o111;
  // +x where r is, within the umask (M5).
  const executable = kept !== 0 ? kept : ((plain & 0o444) >> 2) & ~umask;
  const bits = mode.executable ? plain | executable : plain;
  return mode.private ? bits & 0o700 : bits;
}
