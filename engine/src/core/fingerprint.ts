/**
 * How a file is recognised without reading it: a fingerprint made of its stamps. Equal fingerprints that are not racy mean
 * equal content (rule TREE). Pure; stats come from the folder port, the moment of hashing from the caller.
 */
import type { Fingerprint } from './local-entry.ts';

/** The part of a stat that a fingerprint is made of. */
export interface Stamps {
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly inode: bigint;
}

/**
 * File systems stamp by a tick (4 ms on ext4, 2 s on FAT): a second change within one tick leaves no trace in the stamps.
 * Two seconds are the coarsest tick in use.
 */
export const racyWindowMs = 2_000;

const shape = /^(\d{1,16})\.(-?\d{1,20})\.(-?\d{1,20})\.(\d{1,20})$/;

/** `size.mtimeNs.ctimeNs.inode`, in decimal. */
export function fingerprintOf(stamps: Stamps): Fingerprint {
  return `${stamps.size}.${stamps.mtimeNs}.${stamps.ctimeNs}.${stamps.inode}` as Fingerprint;
}

/** undefined: not made by `fingerprintOf` (an older or a damaged state store). */
export function parseFingerprint(text: string): Stamps | undefined {
  const [, size, mtimeNs, ctimeNs, inode] = shape.exec(text) ?? [];
  if (size === undefined || mtimeNs === undefined || ctimeNs === undefined || inode === undefined) return undefined;
  return { size: Number(size), mtimeNs: BigInt(mtimeNs), ctimeNs: BigInt(ctimeNs), inode: BigInt(inode) };
}

/**
 * Whether a file that has these stamps now, under its old name or a new one, holds what was read when it had `known`'s. Only
 * the change time makes that sure: nobody can set it. Inode, size and modification time come back without the content (a
 * freed inode is handed out again, archives set one time for all their files), so they prove nothing. A file that was itself
 * renamed has a new change time and is read; the children of a renamed directory keep theirs (rule LOG6).
 */
export function provesSameContent(
  known: { readonly fingerprint: Fingerprint; readonly racy: boolean },
  now: Fingerprint,
): boolean {
  return !known.racy && known.fingerprint === now;
}

/**
 * Whether two fingerprints are of the same inode with the same size and modification time. Renaming and linking change the
 * change time and nothing else, so this is the comparison for a file that was just moved aside (F23).
 */
export function sameButChangeTime(a: Fingerprint, b: Fingerprint): boolean {
  const left = parseFingerprint(a);
  const right = parseFingerprint(b);
  if (left === undefined || right === undefined) return false;
  return left.size === right.size && left.mtimeNs === right.mtimeNs && left.inode === right.inode;
}

/**
 * Whether stamps cannot prove the next scan clean: they lie so near to the moment at which reading for the hash *began*
 * that a later change could bear the same ones. Stamps far in the future are not racy: a change would move them (M3, D11).
 */
export function isRacy(stamps: Stamps, hashedAtMs: number): boolean {
  return isNear(stamps.ctimeNs, hashedAtMs) || isNear(stamps.mtimeNs, hashedAtMs);
}

/**
 * How long two changes may bear one modification time. A disk whose stamps have fractions of a second has a tick of a few
 * milliseconds; whole seconds tell of a coarse one (FAT, HFS+).
 */
export function tickMs({ mtimeNs }: Pick<Stamps, 'mtimeNs'>): number {
  return mtimeNs % 1_000_000_000n === 0n ? racyWindowMs : 50;
}

function isNear(stampNs: bigint, atMs: number): boolean {
  return Math.abs(Number(stampNs / 1_000_000n) - atMs) <= racyWindowMs;
}
