/**
 * Canonical bytes of what a manifest holds at a path, what follows from them (tags, ids of variants), and the three
 * notions of "the same". One value has one encoding, so that equal manifests have equal roots (rule ROOT).
 *
 * Encoding: a kind byte, then
 *   1 file       mode (1 executable + 2 private), digest 32, size, epoch, depth, count of ids, ids of 32
 *   2 directory
 *   3 symlink    target
 *   4 tombstone  0|1, digest 32 if 1, height
 * Numbers are the shortest form of byte-codec's `natural`; texts are UTF-8 behind their byte length.
 * Leaves to others: whether the ids belong to the digest (content-refs and whoever fetches).
 */
import {
  bytesToHex,
  type ChunkId,
  type DeviceId,
  type Digest,
  type Entry,
  type EntryTag,
  limits,
  type RelPath,
  type Slot,
  type Variant,
  type VariantId,
} from '@driftless/protocol';
import { ByteReader, ByteWriter } from './byte-codec.ts';
import { sameMode } from './file-mode.ts';
import type { FolderTraits } from './folder-traits.ts';
import type { LocalEntry } from './local-entry.ts';
import type { Sha256 } from './sha256.ts';

const kindFile = 1;
const kindDirectory = 2;
const kindSymlink = 3;
const kindTombstone = 4;

const modeExecutable = 1;
const modePrivate = 2;

const entryTagDomain = 'driftless entry tag 1';
const variantIdDomain = 'driftless variant id 1';
/** A target longer than the longest path cannot be inside the root. */
const targetBytesMax = limits.pathBytesMax;

export function encodeSlot(slot: Slot): Uint8Array {
  const writer = new ByteWriter(128);
  writeSlot(writer, slot);
  return writer.finish();
}

/** The slot whose encoding is exactly `bytes`, or undefined. */
export function decodeSlot(bytes: Uint8Array): Slot | undefined {
  const reader = new ByteReader(bytes);
  const slot = readSlot(reader);
  return reader.failed || !reader.atEnd ? undefined : slot;
}

/** What a change says that it replaces. */
export function entryTag(entry: Entry, sha256: Sha256): EntryTag {
  const writer = new ByteWriter(160);
  writer.text(entryTagDomain);
  writeSlot(writer, entry);
  return bytesToHex(sha256(writer.finish()).subarray(0, 16)) as EntryTag;
}

/** One device's content at one path has one id: the same conflict found again after a crash is the same variant. */
export function variantIdOf(
  variant: { readonly path: RelPath; readonly device: DeviceId; readonly entry: Entry },
  sha256: Sha256,
): VariantId {
  const writer = new ByteWriter(256);
  writer.text(variantIdDomain);
  writer.text(variant.path);
  writer.hex(variant.device);
  writeSlot(writer, variant.entry);
  return bytesToHex(sha256(writer.finish()).subarray(0, 8)) as VariantId;
}

/** A tombstone counts as absent. */
export function liveEntry(slot: Slot | null): Entry | null {
  return slot === null || slot.kind === 'tombstone' ? null : slot;
}

/** Equal as a user sees it: where the bytes lie (epoch, refs) does not matter. null = absent. */
export function sameEntry(a: Entry | null, b: Entry | null): boolean {
  if (a === null || b === null) return a === b;
  switch (a.kind) {
    case 'file':
      return (
        b.kind === 'file' &&
        a.content.digest === b.content.digest &&
        a.content.size === b.content.size &&
        sameMode(a, b)
      );
    case 'directory':
      return b.kind === 'directory';
    case 'symlink':
      return b.kind === 'symlink' && a.target === b.target;
  }
}

/** Equal but for the mode. */
export function sameContent(a: Entry, b: Entry): boolean {
  if (a.kind === 'file' && b.kind === 'file') return a.content.digest === b.content.digest;
  return a.kind !== 'file' && sameEntry(a, b);
}

/** Whether what the disk holds is the entry. The mode counts only where the disk holds modes (M5). */
export function sameLocal(local: LocalEntry | null, entry: Entry | null, traits: FolderTraits): boolean {
  if (local === null || entry === null) return local === entry;
  switch (local.kind) {
    case 'file':
      return (
        entry.kind === 'file' &&
        local.digest === entry.content.digest &&
        local.size === entry.content.size &&
        (!traits.holdsModes || sameMode(local, entry))
      );
    case 'directory':
      return entry.kind === 'directory';
    case 'symlink':
      return entry.kind === 'symlink' && local.target === entry.target;
  }
}

export function writeSlot(writer: ByteWriter, slot: Slot): void {
  switch (slot.kind) {
    case 'file': {
      const { digest, size, epoch, refs } = slot.content;
      writer.u8(kindFile);
      writer.u8((slot.executable ? modeExecutable : 0) + (slot.private ? modePrivate : 0));
      writer.hex(digest);
      writer.natural(size);
      writer.natural(epoch);
      writer.natural(refs.depth);
      writer.natural(refs.ids.length);
      for (const id of refs.ids) writer.hex(id);
      return;
    }
    case 'directory':
      writer.u8(kindDirectory);
      return;
    case 'symlink':
      writer.u8(kindSymlink);
      writer.text(slot.target);
      return;
    case 'tombstone':
      writer.u8(kindTombstone);
      writeOptionalDigest(writer, slot.digest);
      writer.natural(slot.height);
      return;
  }
}

/** Meaningless when `reader.failed` afterwards. */
export function readSlot(reader: ByteReader): Slot {
  switch (reader.u8()) {
    case kindFile:
      return readFile(reader);
    case kindDirectory:
      return { kind: 'directory' };
    case kindSymlink:
      return { kind: 'symlink', target: reader.text(targetBytesMax) };
    case kindTombstone:
      return {
        kind: 'tombstone',
        digest: readOptionalDigest(reader),
        height: reader.natural(Number.MAX_SAFE_INTEGER),
      };
    default:
      reader.fail();
      return { kind: 'directory' };
  }
}

/** A variant without its path, which the page states already. */
export function writeVariant(writer: ByteWriter, variant: Variant): void {
  writer.hex(variant.id);
  writeSlot(writer, variant.entry);
  writer.hex(variant.device);
  writer.text(variant.deviceName);
  writer.float(variant.timeMs);
  writer.float(variant.mtimeMs);
  writeOptionalDigest(writer, variant.baseDigest);
}

/** Meaningless when `reader.failed` afterwards. */
export function readVariant(reader: ByteReader, path: RelPath): Variant {
  const id = reader.hex(8) as VariantId;
  const slot = readSlot(reader);
  if (slot.kind === 'tombstone') reader.fail();
  const entry: Entry = liveEntry(slot) ?? { kind: 'directory' };
  const device = reader.hex(32) as DeviceId;
  const deviceName = reader.text(limits.deviceNameBytesMax);
  const timeMs = reader.float();
  const mtimeMs = reader.float();
  const baseDigest = readOptionalDigest(reader);
  return { id, path, entry, device, deviceName, timeMs, mtimeMs, baseDigest };
}

function readFile(reader: ByteReader): Slot {
  const mode = reader.u8();
  if (mode > modeExecutable + modePrivate) reader.fail();
  const digest = reader.hex(32) as Digest;
  const size = reader.natural(limits.contentBytesMax);
  const epoch = reader.natural(0xffff_ffff);
  const depth = reader.natural(limits.refsDepthMax);
  const count = reader.natural(limits.refsMax);
  const ids: ChunkId[] = [];
  for (let index = 0; index < count; index += 1) ids.push(reader.hex(32) as ChunkId);
  const content = { digest, size, epoch, refs: { depth, ids } };
  return { kind: 'file', content, executable: (mode & modeExecutable) !== 0, private: (mode & modePrivate) !== 0 };
}

function writeOptionalDigest(writer: ByteWriter, digest: Digest | null): void {
  writer.u8(digest === null ? 0 : 1);
  if (digest !== null) writer.hex(digest);
}

function readOptionalDigest(reader: ByteReader): Digest | null {
  return readFlag(reader) ? (reader.hex(32) as Digest) : null;
}

function readFlag(reader: ByteReader): boolean {
  const byte = reader.u8();
  if (byte > 1) reader.fail();
  return byte === 1;
}
