/**
 * Reads the paths out of `.git/index`, versions 2 to 4, so that the deletion guard can tell a checkout from an accident.
 * Only names are taken. Whatever does not parse is an answer (undefined): then git explains nothing.
 * Source: git's Documentation/gitformat-index.
 */
import { bytesToUtf8 } from '@driftless/protocol';

/** A larger index is not read: about half a million paths. */
export const gitIndexBytesMax = 64 * 1024 * 1024;

const statBytes = 40;
const flagsBytes = 2;
const extendedFlag = 0x4000;
/** SHA-1, or SHA-256: the index does not say which. */
const objectIdBytes = [20, 32] as const;
const pathBytesMax = 65_536;

/** Paths relative to the repository; a directory of a sparse index ends with '/'. undefined: not an index, or not a whole one. */
export function parseGitIndex(bytes: Uint8Array): ReadonlySet<string> | undefined {
  if (bytes.length > gitIndexBytesMax) return undefined;
  for (const idBytes of objectIdBytes) {
    const paths = parseWith(bytes, idBytes);
    if (paths !== undefined) return paths;
  }
  return undefined;
}

function parseWith(bytes: Uint8Array, idBytes: number): ReadonlySet<string> | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length - idBytes;
  if (end < 12 || view.getUint32(0) !== 0x4449_5243) return undefined;
  const version = view.getUint32(4);
  const count = view.getUint32(8);
  if (version < 2 || version > 4) return undefined;

  const paths = new Set<string>();
  let previous = new Uint8Array(0);
  let at = 12;
  for (let index = 0; index < count; index += 1) {
    const start = at;
    at += statBytes + idBytes;
    if (at + flagsBytes > end) return undefined;
    const extended = (view.getUint16(at) & extendedFlag) !== 0;
    if (extended && version === 2) return undefined;
    at += extended ? flagsBytes * 2 : flagsBytes;

    let kept = 0;
    if (version === 4) {
      const stripped = readOffset(bytes, at, end);
      if (stripped === undefined || stripped.value > previous.length) return undefined;
      kept = previous.length - stripped.value;
      at = stripped.next;
    }
    const zero = bytes.indexOf(0, at);
    if (zero < 0 || zero >= end || kept + zero - at > pathBytesMax || kept + zero - at === 0) return undefined;
    const name = new Uint8Array(kept + zero - at);
    name.set(previous.subarray(0, kept));
    name.set(bytes.subarray(at, zero), kept);
    previous = name;
    // Versions 2 and 3 pad an entry with zeros to a multiple of 8; one zero at least.
    at = version === 4 ? zero + 1 : start + Math.ceil((zero + 1 - start) / 8) * 8;
    if (at > end) return undefined;

    // A name that is no UTF-8 is out of scope for us anyway.
    const path = bytesToUtf8(name);
    if (path !== undefined) paths.add(path);
  }
  return extensionsHold(view, at, end) ? paths : undefined;
}

/** Extensions must tile the rest. `link`: most paths lie in a shared index that is not here. */
function extensionsHold(view: DataView, from: number, end: number): boolean {
  const link = 0x6c69_6e6b;
  let at = from;
  while (at < end) {
    if (at + 8 > end || view.getUint32(at) === link) return false;
    at += 8 + view.getUint32(at + 4);
  }
  return at === end;
}

/** Git's offset encoding: 7 bits a byte, most significant first, each continuation adding one. */
function readOffset(
  bytes: Uint8Array,
  from: number,
  end: number,
): { readonly value: number; readonly next: number } | undefined {
  let at = from;
  let byte = bytes[at];
  if (byte === undefined || at >= end) return undefined;
  let value = byte & 0x7f;
  while ((byte & 0x80) !== 0) {
    at += 1;
    byte = bytes[at];
    if (byte === undefined || at >= end) return undefined;
    value = (value + 1) * 128 + (byte & 0x7f);
    if (value > pathBytesMax) return undefined;
  }
  return { value, next: at + 1 };
}
