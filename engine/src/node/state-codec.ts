/**
 * How the state store packs entries into columns. Not the room's canonical encoding (entry-encoding): this one begins
 * with the part that decides equality, so that "at rest" is a comparison of bytes, and it may change with a migration.
 *
 *   file       1, 2 executable, 6 private, 7 both; digest 32; size float64   ← 41 bytes that decide equality
 *              entry: epoch, depth, count of ids, ids of 32
 *              local: flags (1 racy, 2 open to others), mtime float64, fingerprint
 *   directory  3
 *   symlink    4, target
 *   tombstone  5, height, digest 32 unless null
 *
 * Numbers not said to be float64 are LEB128. Decoding fails with StateStoreError `damaged`, never with a wrong value that
 * its caller's checksum would have caught.
 */
import type { ChunkId, Digest, Entry, FileMode, RelPath, Slot } from '@driftless/protocol';
import type { Fingerprint, LocalEntry } from '../core/local-entry.ts';
import { StateStoreError } from '../ports/state-store.ts';

const tagFile = 1;
const tagExecutable = 2;
const tagDirectory = 3;
const tagSymlink = 4;
const tagTombstone = 5;
const tagPrivate = 6;
const tagPrivateExecutable = 7;
const fileIdentityBytes = 41;

const flagRacy = 1;
const flagOpenToOthers = 2;

const directoryBytes = Uint8Array.of(tagDirectory);

export function encodeStoredSlot(slot: Slot): Uint8Array {
  switch (slot.kind) {
    case 'file': {
      const { digest, size, epoch, refs } = slot.content;
      const bytes = Buffer.allocUnsafe(fileIdentityBytes + 10 + 10 + 10 + refs.ids.length * 32);
      let at = writeFileIdentity(bytes, slot, digest, size);
      at = writeNatural(bytes, at, epoch);
      at = writeNatural(bytes, at, refs.depth);
      at = writeNatural(bytes, at, refs.ids.length);
      for (const id of refs.ids) at += bytes.write(id, at, 'hex');
      return bytes.subarray(0, at);
    }
    case 'directory':
      return directoryBytes;
    case 'symlink':
      return encodeSymlink(slot.target);
    case 'tombstone': {
      const bytes = Buffer.allocUnsafe(1 + 10 + 32);
      bytes[0] = tagTombstone;
      let at = writeNatural(bytes, 1, slot.height);
      if (slot.digest !== null) at += bytes.write(slot.digest, at, 'hex');
      return bytes.subarray(0, at);
    }
  }
}

export function decodeStoredSlot(stored: Uint8Array): Slot {
  const bytes = asBuffer(stored);
  switch (bytes[0]) {
    case tagFile:
    case tagExecutable:
    case tagPrivate:
    case tagPrivateExecutable: {
      const cursor = { at: fileIdentityBytes };
      const epoch = readNatural(bytes, cursor);
      const depth = readNatural(bytes, cursor);
      const count = readNatural(bytes, cursor);
      if (bytes.length !== cursor.at + count * 32) throw damaged();
      const ids: ChunkId[] = [];
      for (let index = 0; index < count; index += 1, cursor.at += 32)
        ids.push(bytes.toString('hex', cursor.at, cursor.at + 32) as ChunkId);
      const content = { digest: digestAt(bytes, 1), size: bytes.readDoubleBE(33), epoch, refs: { depth, ids } };
      return { kind: 'file', content, ...modeOfTag(bytes[0]) };
    }
    case tagDirectory:
      return { kind: 'directory' };
    case tagSymlink:
      return { kind: 'symlink', target: bytes.toString('utf8', 1) };
    case tagTombstone: {
      const cursor = { at: 1 };
      const height = readNatural(bytes, cursor);
      return { kind: 'tombstone', digest: cursor.at === bytes.length ? null : digestAt(bytes, cursor.at), height };
    }
    default:
      throw damaged();
  }
}

export function decodeStoredEntry(stored: Uint8Array): Entry {
  const slot = decodeStoredSlot(stored);
  if (slot.kind === 'tombstone') throw damaged();
  return slot;
}

export function encodeLocal(local: LocalEntry): Uint8Array {
  switch (local.kind) {
    case 'file': {
      const bytes = Buffer.allocUnsafe(fileIdentityBytes + 1 + 8 + Buffer.byteLength(local.fingerprint));
      writeFileIdentity(bytes, local, local.digest, local.size);
      bytes[fileIdentityBytes] = (local.racy ? flagRacy : 0) + (local.openToOthers ? flagOpenToOthers : 0);
      bytes.writeDoubleBE(local.mtimeMs, fileIdentityBytes + 1);
      bytes.write(local.fingerprint, fileIdentityBytes + 9, 'utf8');
      return bytes;
    }
    case 'directory':
      return directoryBytes;
    case 'symlink':
      return encodeSymlink(local.target);
  }
}

export function decodeLocal(stored: Uint8Array): LocalEntry {
  const bytes = asBuffer(stored);
  switch (bytes[0]) {
    case tagFile:
    case tagExecutable:
    case tagPrivate:
    case tagPrivateExecutable:
      if (bytes.length < fileIdentityBytes + 9) throw damaged();
      return {
        kind: 'file',
        digest: digestAt(bytes, 1),
        size: bytes.readDoubleBE(33),
        ...modeOfTag(bytes[0]),
        mtimeMs: bytes.readDoubleBE(fileIdentityBytes + 1),
        fingerprint: bytes.toString('utf8', fileIdentityBytes + 9) as Fingerprint,
        racy: ((bytes[fileIdentityBytes] ?? 0) & flagRacy) !== 0,
        openToOthers: ((bytes[fileIdentityBytes] ?? 0) & flagOpenToOthers) !== 0,
      };
    case tagDirectory:
      return { kind: 'directory' };
    case tagSymlink:
      return { kind: 'symlink', target: bytes.toString('utf8', 1) };
    default:
      throw damaged();
  }
}

/** Whether two stored states are the same to a user; a tombstone counts as absent, where the bytes lie does not count. */
export function sameState(
  a: Uint8Array | null,
  b: Uint8Array | null,
  options: { readonly holdsModes: boolean },
): boolean {
  const absentA = a === null || a[0] === tagTombstone;
  const absentB = b === null || b[0] === tagTombstone;
  if (absentA || absentB) return absentA === absentB;
  const fileA = isStoredFile(a);
  if (fileA !== isStoredFile(b)) return false;
  if (!fileA) return Buffer.compare(a, b) === 0;
  if (options.holdsModes && a[0] !== b[0]) return false;
  return asBuffer(a).compare(b, 1, fileIdentityBytes, 1, fileIdentityBytes) === 0;
}

export function isStoredFile(stored: Uint8Array): boolean {
  const [tag] = stored;
  return tag === tagFile || tag === tagExecutable || tag === tagPrivate || tag === tagPrivateExecutable;
}

/** One slot of a packed list; `mtimeMs` 0 = unknown. */
export interface PackedSlot {
  readonly path: RelPath;
  readonly slot: Slot | null;
  readonly mtimeMs: number;
}

export function packSlots(slots: readonly PackedSlot[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { path, slot, mtimeMs } of slots) {
    const stored = slot === null ? new Uint8Array(0) : encodeStoredSlot(slot);
    const pathBytes = Buffer.byteLength(path);
    const bytes = Buffer.allocUnsafe(10 + pathBytes + 8 + 10 + stored.length);
    let at = writeNatural(bytes, 0, pathBytes);
    at += bytes.write(path, at, 'utf8');
    at = bytes.writeDoubleBE(mtimeMs, at);
    at = writeNatural(bytes, at, stored.length);
    bytes.set(stored, at);
    parts.push(bytes.subarray(0, at + stored.length));
  }
  return Buffer.concat(parts);
}

export function unpackSlots(packed: Uint8Array): PackedSlot[] {
  const bytes = asBuffer(packed);
  const slots: PackedSlot[] = [];
  const cursor = { at: 0 };
  const take = (length: number): number => {
    const start = cursor.at;
    if (start + length > bytes.length) throw damaged();
    cursor.at = start + length;
    return start;
  };
  while (cursor.at < bytes.length) {
    const pathStart = take(readNatural(bytes, cursor));
    const path = bytes.toString('utf8', pathStart, cursor.at) as RelPath;
    const mtimeMs = bytes.readDoubleBE(take(8));
    const storedStart = take(readNatural(bytes, cursor));
    const stored = bytes.subarray(storedStart, cursor.at);
    slots.push({ path, slot: stored.length === 0 ? null : decodeStoredSlot(stored), mtimeMs });
  }
  return slots;
}

/** Byte strings, each behind its length. */
export function packBytes(values: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const value of values) {
    const length = Buffer.allocUnsafe(10);
    parts.push(length.subarray(0, writeNatural(length, 0, value.length)), value);
  }
  return Buffer.concat(parts);
}

export function unpackBytes(packed: Uint8Array): Uint8Array[] {
  const bytes = asBuffer(packed);
  const values: Uint8Array[] = [];
  const cursor = { at: 0 };
  while (cursor.at < bytes.length) {
    const length = readNatural(bytes, cursor);
    if (cursor.at + length > bytes.length) throw damaged();
    values.push(Uint8Array.from(bytes.subarray(cursor.at, cursor.at + length)));
    cursor.at += length;
  }
  return values;
}

export function damaged(): StateStoreError {
  return new StateStoreError('damaged', 'The state store holds a value that this program did not write.');
}

/** As JSON.parse; noise is `damaged`. The caller names the type that it wrote. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw damaged();
  }
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function encodeSymlink(target: string): Uint8Array {
  const bytes = Buffer.allocUnsafe(1 + Buffer.byteLength(target));
  bytes[0] = tagSymlink;
  bytes.write(target, 1, 'utf8');
  return bytes;
}

function modeOfTag(tag: number | undefined): FileMode {
  return {
    executable: tag === tagExecutable || tag === tagPrivateExecutable,
    private: tag === tagPrivate || tag === tagPrivateExecutable,
  };
}

function writeFileIdentity(bytes: Buffer, mode: FileMode, digest: Digest, size: number): number {
  if (mode.private) bytes[0] = mode.executable ? tagPrivateExecutable : tagPrivate;
  else bytes[0] = mode.executable ? tagExecutable : tagFile;
  bytes.write(digest, 1, 'hex');
  return bytes.writeDoubleBE(size, 33);
}

function digestAt(bytes: Buffer, at: number): Digest {
  if (bytes.length < at + 32) throw damaged();
  return bytes.toString('hex', at, at + 32) as Digest;
}

function writeNatural(bytes: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest >= 0x80) {
    bytes[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  bytes[at++] = rest;
  return at;
}

function readNatural(bytes: Buffer, cursor: { at: number }): number {
  let value = 0;
  let scale = 1;
  for (let count = 0; count < 8; count += 1) {
    const byte = bytes[cursor.at++];
    if (byte === undefined) throw damaged();
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
    scale *= 0x80;
  }
  throw damaged();
}
