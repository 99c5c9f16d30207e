/**
 * The name of a conflict copy: `name.conflict-<peer>-<yyyymmdd-hhmmss>-<6 hex>.ext`. Every peer that
 * computes it from the same variant gets the same name; it is used once, by the loser's author, as an ordinary put.
 * A taken name gets `-2`, `-3`, … (N8); a copy of a copy bears one mark, its own. The suffix and the mark are always whole: a stem too long for the disk or the room
 * keeps both its ends around a digest of itself (F14).
 */
import { bytesToHex, type Digest, limits, type RelPath, utf8ToBytes } from '@driftless/protocol';
import type { FolderTraits } from './folder-traits.ts';
import type { Sha256 } from './sha256.ts';

const peerCharactersMax = 20;
/** An extension longer than this is taken for part of the name. */
const extensionBytesMax = 32;
/** `-2` … `-10000`: copies of one name in one second with one digest; more means that `taken` does not tell the truth. */
const attemptsMax = 10_000;
/** Mark, number, extension and a stem shortened to nothing but its hash. */
const copyBytesNeeded = 10 + 52 + 6 + extensionBytesMax;

export interface ConflictNameInput {
  readonly path: RelPath;
  /** Name of the device whose content the copy holds. */
  readonly peerName: string;
  /** That device's clock when its record was made. */
  readonly timeMs: number;
  readonly digest: Digest;
  /** Whether a name is in use, in the room or on this disk. */
  readonly taken: (path: RelPath) => boolean;
  readonly traits: FolderTraits;
  readonly sha256: Sha256;
}

/** What this module puts between stem and extension, with a number or not. A stem has none: a copy of a copy bears one mark. */
const markShape = /\.conflict-[A-Za-z0-9_-]{1,20}-\d{8}-\d{6}-[0-9a-f]{6}(?:-\d{1,5})?(?=\.[^.]*$|$)/;

/** The path of which `path` is a conflict copy, as far as names tell; null: it looks like none. */
export function conflictOriginal(path: RelPath): RelPath | null {
  const start = path.lastIndexOf('/') + 1;
  const name = path.slice(start);
  let stem = name;
  while (markShape.test(stem)) stem = stem.replace(markShape, '');
  return stem === name || stem === '' ? null : (`${path.slice(0, start)}${stem}` as RelPath);
}

/** Where copies of `original` lie in path order, but for those whose names had to be shortened; others may lie among them. */
export function copiesOf(original: RelPath): { readonly after: RelPath; readonly to: RelPath } {
  const start = original.lastIndexOf('/') + 1;
  const before = `${original.slice(0, start)}${splitName(original.slice(start)).stem}.conflict-`;
  return { after: before as RelPath, to: `${before}\u{10ffff}` as RelPath };
}

/** A free name beside `path`. Asserts that one of the first attemptsMax names is free. */
export function conflictName(input: ConflictNameInput): RelPath {
  const original = conflictOriginal(input.path) ?? input.path;
  const name = original.slice(original.lastIndexOf('/') + 1);
  const { stem, extension } = splitName(name);
  const mark = `.conflict-${peerPart(input.peerName)}-${timePart(input.timeMs)}-${input.digest.slice(0, 6)}`;
  const nameBytesMax = Math.min(limits.nameBytesMax, input.traits.nameBytesMax);
  const pathBytesMax = Math.min(limits.pathBytesMax, input.traits.pathBytesMax);
  const parent = nearestParentWithin(input.path, pathBytesMax - copyBytesNeeded);
  const stemAndTailMax = Math.min(nameBytesMax, pathBytesMax - utf8ToBytes(parent).length);
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    const tail = `${mark}${attempt === 1 ? '' : `-${attempt}`}${extension}`;
    const room = stemAndTailMax - utf8ToBytes(tail).length;
    const path = `${parent}${shortened(stem, room, input.sha256)}${tail}` as RelPath;
    if (!input.taken(path)) return path;
  }
  throw new Error(`no free conflict name for ${input.path}`);
}

/** The directory of `path`, with its slash; where that leaves no room for a copy's name, the nearest one above that does. */
function nearestParentWithin(path: RelPath, bytesMax: number): string {
  let parent = path.slice(0, path.lastIndexOf('/') + 1);
  while (utf8ToBytes(parent).length > bytesMax)
    parent = parent.slice(0, parent.lastIndexOf('/', parent.length - 2) + 1);
  return parent;
}

/** The last dot parts the extension; a leading dot is no part of one: `.env` has none. */
function splitName(name: string): { readonly stem: string; readonly extension: string } {
  const dot = name.lastIndexOf('.');
  if (dot <= 0 || dot === name.length - 1 || utf8ToBytes(name.slice(dot)).length > extensionBytesMax) {
    return { stem: name, extension: '' };
  }
  return { stem: name.slice(0, dot), extension: name.slice(dot) };
}

function peerPart(peerName: string): string {
  return peerName.replace(/[^A-Za-z0-9_-]/g, '').slice(0, peerCharactersMax) || 'peer';
}

/** UTC, `yyyymmdd-hhmmss`; a clock that says no date at all, or one of another age, reads as zeros. */
function timePart(timeMs: number): string {
  const date = new Date(timeMs);
  const text = Number.isNaN(date.getTime()) ? '' : date.toISOString();
  if (!/^\d{4}-/.test(text)) return '00000000-000000';
  return `${text.slice(0, 10).replaceAll('-', '')}-${text.slice(11, 19).replaceAll(':', '')}`;
}

/** `stem` in at most `bytesMax` bytes: whole, or its ends around 8 hex characters of its hash. Never splits a character. */
function shortened(stem: string, bytesMax: number, sha256: Sha256): string {
  const bytes = utf8ToBytes(stem);
  if (bytes.length <= bytesMax) return stem;
  const middle = `~${bytesToHex(sha256(bytes).subarray(0, 4))}~`;
  const keep = Math.max(0, bytesMax - middle.length);
  const front = prefixWithin([...stem], Math.ceil(keep / 2));
  const back = [...prefixWithin([...stem].reverse(), Math.floor(keep / 2))].reverse().join('');
  return `${front}${middle}${back}`;
}

function prefixWithin(characters: readonly string[], bytesMax: number): string {
  let text = '';
  let bytes = 0;
  for (const character of characters) {
    bytes += utf8ToBytes(character).length;
    if (bytes > bytesMax) break;
    text += character;
  }
  return text;
}
