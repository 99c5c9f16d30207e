/**
 * Paths relative to a folder's root (rule NAME). Every path that crosses a boundary, disk or wire, in either direction, is
 * checked here. What one machine's disk cannot hold is not decided here: such names are legal in a room.
 */
import { utf8ToBytes } from './bytes.ts';
import type { RelPath } from './ids.ts';
import { limits } from './limits.ts';

/** The only name of ours inside a root; never synced. */
export const ownDirectoryName = '.driftless';

/** undefined when `text` is not a path that a room may hold. The spelling is kept exactly. */
export function parseRelPath(text: string): RelPath | undefined {
  return isRelPath(text) ? text : undefined;
}

/**
 * Valid: no NUL, no lone surrogate, components separated by single '/', none empty, '.' or '..', each at most nameBytesMax
 * and together at most pathBytesMax bytes of UTF-8, the first not `.driftless`.
 */
export function isRelPath(text: string): text is RelPath {
  // A code unit is at least one byte: this bounds the work below for hostile lengths.
  if (text.length === 0 || text.length > limits.pathBytesMax) return false;
  if (!text.isWellFormed() || text.includes('\0')) return false;
  if (utf8ToBytes(text).length > limits.pathBytesMax) return false;
  const components = text.split('/');
  return components[0] !== ownDirectoryName && components.every(isComponent);
}

/** Bytewise order of the UTF-8 forms: the order of manifests and pages (rule ROOT). */
export function comparePaths(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return orderOfUnit(left) - orderOfUnit(right);
  }
  return a.length - b.length;
}

function isComponent(component: string): boolean {
  if (component === '' || component === '.' || component === '..') return false;
  return component.length * 3 <= limits.nameBytesMax || utf8ToBytes(component).length <= limits.nameBytesMax;
}

/** UTF-16 code units sort as UTF-8 does once surrogates (4 bytes in UTF-8) come after U+E000…U+FFFF (3 bytes). */
function orderOfUnit(unit: number): number {
  const isSurrogate = unit >= 0xd800 && unit <= 0xdfff;
  return isSurrogate ? unit + 0x10000 : unit;
}
