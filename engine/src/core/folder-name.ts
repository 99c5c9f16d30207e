/**
 * Which names a disk cannot hold, or cannot hold beside each other, from its traits alone (N2, N4, N6, F15; rule IG1: such
 * a path is shown and takes no part, the rest syncs). Spelling is never changed: folding serves only to find clashes.
 * Leaves to others: what any room may hold at all (protocol's rel-path), and asking the disk.
 */
import { type RelPath, utf8ToBytes } from '@driftless/protocol';
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
