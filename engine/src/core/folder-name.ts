/**
 * Which names a disk cannot hold, or cannot hold beside each other, from its traits alone (N2, N4, N6, F15; rule IG1: such
 * a path is shown and takes no part, the rest syncs). Spelling is never changed: folding serves only to find clashes.
 * Leaves to others: what any room may hold at all (protocol's rel-path), and asking the disk.
 */
import { comparePaths, type RelPath, utf8ToBytes } from '@driftless/protocol';
import type { FolderTraits } from './folder-traits.ts';

/** Names that Windows takes for devices, whatever follows their first dot. */
const windowsDevice = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])$/i;
// biome-ignore lint/suspicious/noControlCharactersInRegex: Windows refuses them in names.
const windowsRefused = /[<>:"|?*\u0000-\u001f]/;

/** Why a disk with these traits cannot hold this name, for people; null when it can. */
export function storableReason(path: RelPath, traits: FolderTraits): string | null {
  if (bytesOver(path, traits.pathBytesMax)) return `the path is longer than ${traits.pathBytesMax} bytes`;
  for (const name of path.split('/')) {
    const reason = nameReason(name, traits);
    if (reason !== null) return reason;
  }
  return null;
}

/**
 * Why a symbolic link cannot travel, or be made here; null when it can (M10, M11). Only relative targets that stay inside
 * the root by their text: '..' may stand at the front alone, because behind a name it can lead anywhere.
 */
export function linkReason(path: RelPath, target: string, traits: FolderTraits): string | null {
  if (!traits.symlinks) return 'symbolic links cannot be made on this disk';
  if (target === '' || target.includes('\0') || !target.isWellFormed()) return 'the link has no usable target';
  if (target.startsWith('/') || /^[a-z]:/i.test(target) || target.startsWith('\\'))
    return 'the link points to an absolute path';
  let depth = path.split('/').length - 1;
  let inFront = true;
  for (const part of target.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') inFront = false;
    else if (!inFront || --depth < 0) return 'the link may lead out of the folder';
  }
  return null;
}

/** Two paths with one key are the same path on such a disk. */
export function clashKey(path: string, traits: FolderTraits): string {
  if (traits.caseSensitive && !traits.foldsUnicode) return path;
  // ASCII has one normal form.
  if (isAscii(path)) return traits.caseSensitive ? path : path.toLowerCase();
  const normal = traits.foldsUnicode ? path.normalize('NFD') : path;
  const folded = traits.caseSensitive ? normal : foldCase(normal);
  return traits.foldsUnicode ? folded.normalize('NFC') : folded;
}

/** Finds twins in constant time an edit (rule FAST3). Empty, and free, on a disk that folds nothing. */
export interface ClashIndex {
  add(path: RelPath): void;
  remove(path: RelPath): void;
  /** Other known paths that are the same on this disk, in path order. */
  twinsOf(path: RelPath): readonly RelPath[];
}

export function createClashIndex(traits: FolderTraits): ClashIndex {
  if (traits.caseSensitive && !traits.foldsUnicode) return { add() {}, remove() {}, twinsOf: () => [] };
  // A path whose spelling is its own key and that has no twin costs one entry without a set of its own.
  const byKey = new Map<string, RelPath | Set<RelPath>>();
  return {
    add(path) {
      const key = clashKey(path, traits);
      const held = byKey.get(key);
      if (held === undefined) byKey.set(key, path);
      else if (typeof held !== 'string') held.add(path);
      else if (held !== path) byKey.set(key, new Set([held, path]));
    },
    remove(path) {
      const key = clashKey(path, traits);
      const held = byKey.get(key);
      if (held === path) byKey.delete(key);
      if (held === undefined || typeof held === 'string') return;
      held.delete(path);
      if (held.size === 0) byKey.delete(key);
    },
    twinsOf(path) {
      const held = byKey.get(clashKey(path, traits));
      if (held === undefined || held === path) return [];
      const all = typeof held === 'string' ? [held] : [...held].sort(comparePaths);
      return all.filter((other) => other !== path);
    },
  };
}

/**
 * Which of several spellings of one path the disk keeps: the one that it holds already, else the first in path order. The
 * others are listed as not storable here.
 */
export function clashWinner(spellings: readonly RelPath[], isOnDisk: (path: RelPath) => boolean): RelPath | undefined {
  const sorted = [...spellings].sort(comparePaths);
  return sorted.find(isOnDisk) ?? sorted[0];
}

function nameReason(name: string, traits: FolderTraits): string | null {
  if (bytesOver(name, traits.nameBytesMax)) return `"${name}" is longer than ${traits.nameBytesMax} bytes`;
  const separator = traits.reservedSeparators.find((reserved) => name.includes(reserved));
  if (separator !== undefined) return `"${name}" holds "${separator}", which separates folders on this machine`;
  if (!traits.windowsNames) return null;
  const refused = windowsRefused.exec(name)?.[0];
  if (refused !== undefined) return `"${name}" holds ${JSON.stringify(refused)}, which Windows does not allow`;
  if (/[. ]$/.test(name)) return `"${name}" ends with a dot or a space, which Windows drops`;
  const stem = name.split('.', 1)[0]?.trimEnd() ?? '';
  return windowsDevice.test(stem) ? `"${name}" is the name of a device on Windows` : null;
}

/** Simple case folding: one character for one, as the file systems do it. */
function foldCase(text: string): string {
  let folded = '';
  for (const character of text) {
    const upper = oneCharacter(character.toUpperCase(), character);
    folded += oneCharacter(upper.toLowerCase(), upper);
  }
  return folded;
}

function oneCharacter(changed: string, original: string): string {
  return changed.length === String.fromCodePoint(changed.codePointAt(0) ?? 0).length ? changed : original;
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}

function bytesOver(text: string, bytesMax: number): boolean {
  return text.length * 3 > bytesMax && utf8ToBytes(text).length > bytesMax;
}
