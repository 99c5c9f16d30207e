/**
 * Texts that differ in nothing but their line ends: CR before LF on some lines or on all. Two clones of one repository, one of them
 * made by a git that converts on checkout, hold such files (C26). Pure.
 */
import { isMergeable, mergeBytesMax } from './merge-text.ts';

const [cr, lf] = [0x0d, 0x0a];

/** Whether both are texts that could be merged, unequal, and equal once each CR LF is an LF. */
export function differInLineEndsOnly(a: Uint8Array, b: Uint8Array): boolean {
  let [atA, atB] = [0, 0];
  let isEqual = a.length === b.length;
  for (;;) {
    const [hasCrA, hasCrB] = [isCrLf(a, atA), isCrLf(b, atB)];
    if (hasCrA) atA += 1;
    if (hasCrB) atB += 1;
    if (hasCrA !== hasCrB) isEqual = false;
    if (atA >= a.length || atB >= b.length) break;
    if (a[atA] !== b[atB]) return false;
    atA += 1;
    atB += 1;
  }
  return atA >= a.length && atB >= b.length && !isEqual && isMergeable(a) && isMergeable(b);
}

/** Whether a text of `size` can differ from these bytes in line ends only: what can be said without reading it. */
export function canDifferInLineEndsOnly(bytes: Uint8Array, size: number): boolean {
  if (bytes.length > mergeBytesMax || size > mergeBytesMax) return false;
  let [plain, withCr] = [0, 0];
  for (let at = bytes.indexOf(lf); at >= 0; at = bytes.indexOf(lf, at + 1)) {
    if (at > 0 && bytes[at - 1] === cr) withCr += 1;
    else plain += 1;
  }
  return plain + withCr > 0 && size >= bytes.length - withCr && size <= bytes.length + plain;
}

function isCrLf(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === cr && bytes[at + 1] === lf;
}
