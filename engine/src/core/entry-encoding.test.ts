import type { ChunkId, Slot } from '@driftless/protocol';
import { describe, expect, it } from 'vitest';
import { decodeSlot, encodeSlot, entryTag, liveEntry, sameEntry, sameLocal, variantIdOf } from './entry-encoding.ts';
import { linuxTraits, windowsTraits } from './folder-traits.ts';
import type { Fingerprint, LocalEntry } from './local-entry.ts';
import { deviceOf, digestOf, directory, file, link, rel, sha256 } from './test-support/entries.ts';

const bigFile: Slot = {
  kind: 'file',
  content: {
    digest: digestOf('big'),
    size: 5_000_000_000,
    epoch: 3,
    refs: { depth: 2, ids: [digestOf('1') as string as ChunkId, digestOf('2') as string as ChunkId] },
  },
  executable: true,
  private: true,
};
const slots: readonly (readonly [string, Slot])[] = [
  ['empty file', file('')],
  ['file', file('a')],
  ['executable', file('a', { executable: true })],
  ['private', file('a', { private: true })],
  ['big file', bigFile],
  ['directory', directory],
  ['link', link('../ü/x')],
  ['tombstone of a file', { kind: 'tombstone', digest: digestOf('a'), height: 300 }],
  ['tombstone of a directory', { kind: 'tombstone', digest: null, height: 1 }],
];

describe('canonical encoding of slots (ROOT)', () => {
  it.each(slots)('%s comes back', (_, slot) => {
    expect(decodeSlot(encodeSlot(slot))).toEqual(slot);
  });

  it.each(slots)('%s: a prefix, or one byte more, is garbage', (_, slot) => {
    const bytes = encodeSlot(slot);
    for (let length = 0; length < bytes.length; length += 1)
      expect(decodeSlot(bytes.subarray(0, length))).toBeUndefined();
    expect(decodeSlot(Uint8Array.from([...bytes, 0]))).toBeUndefined();
  });

  it('has golden bytes', () => {
    const hex = (slot: Slot) => Buffer.from(encodeSlot(slot)).toString('hex');
    expect(hex(directory)).toBe('02');
    expect(hex(link('ab'))).toBe('03026162');
    expect(hex({ kind: 'tombstone', digest: null, height: 300 })).toBe('0400ac02');
    expect(hex(file(''))).toBe(`0100${digestOf('')}00000000`);
  });

  it.each([
    ['unknown kind', '05'],
    ['number in a longer form', '0400ac8200'],
    ['flag that is neither 0 nor 1', '0402ac02'],
    ['target that is not UTF-8', '0301ff'],
    ['number beyond 2^53', '0400ffffffffffffff7f'],
    ['33 ids', `0100${digestOf('')}00000021${digestOf('').repeat(33)}`],
    ['list deeper than allowed', `0100${digestOf('')}0000070000`],
  ])('%s is garbage', (_, hex) => {
    expect(decodeSlot(Buffer.from(hex, 'hex'))).toBeUndefined();
  });
});

describe('tags and ids', () => {
  it('differ for all entries of the alphabet', () => {
    const entries = slots.map(([, slot]) => liveEntry(slot)).filter((entry) => entry !== null);
    expect(new Set(entries.map((entry) => entryTag(entry, sha256))).size).toBe(entries.length);
    expect(entryTag(directory, sha256)).toMatch(/^[0-9a-f]{32}$/);
  });

  it('a variant is named by path, device and content', () => {
    const one = { path: rel('a'), device: deviceOf('laptop'), entry: file('x') };
    const ids = [one, { ...one, path: rel('b') }, { ...one, device: deviceOf('desk') }, { ...one, entry: file('y') }];
    expect(new Set(ids.map((variant) => variantIdOf(variant, sha256))).size).toBe(4);
    expect(variantIdOf(one, sha256)).toBe(variantIdOf({ ...one }, sha256));
    expect(variantIdOf(one, sha256)).toMatch(/^[0-9a-f]{16}$/);
  });
});

describe('the same', () => {
  const local = (text: string, executable: boolean, isPrivate = false): LocalEntry => ({
    kind: 'file',
    digest: digestOf(text),
    size: text.length,
    executable,
    private: isPrivate,
    openToOthers: !isPrivate,
    mtimeMs: 1,
    fingerprint: 'f' as Fingerprint,
    racy: false,
  });

  it('looks at what a user sees, not at where the bytes lie', () => {
    const moved = file('a');
    expect(
      sameEntry(file('a'), { ...moved, content: { ...moved.content, epoch: 7, refs: { depth: 0, ids: [] } } }),
    ).toBe(true);
    expect(sameEntry(file('a'), file('b'))).toBe(false);
    expect(sameEntry(file('a'), file('a', { executable: true }))).toBe(false);
    expect(sameEntry(file('a'), file('a', { private: true }))).toBe(false);
    expect(sameEntry(directory, file('a'))).toBe(false);
    expect(sameEntry(link('a'), link('b'))).toBe(false);
    expect(sameEntry(link('a'), link('a'))).toBe(true);
    expect(sameEntry(null, directory)).toBe(false);
    expect(sameEntry(null, null)).toBe(true);
  });

  it('asks for the mode only where the disk holds modes (M5)', () => {
    const entry = file('a', { executable: true });
    expect(sameLocal(local('a', false), entry, linuxTraits)).toBe(false);
    expect(sameLocal(local('a', false), entry, windowsTraits)).toBe(true);
    expect(sameLocal(local('a', true), entry, linuxTraits)).toBe(true);
    expect(sameLocal(local('b', true), entry, linuxTraits)).toBe(false);
    expect(sameLocal(local('a', true, true), entry, linuxTraits)).toBe(false);
    expect(sameLocal(local('a', true, true), entry, windowsTraits)).toBe(true);
    expect(sameLocal({ kind: 'symlink', target: 'a' }, link('a'), linuxTraits)).toBe(true);
    expect(sameLocal({ kind: 'symlink', target: 'a' }, link('b'), linuxTraits)).toBe(false);
    expect(sameLocal({ kind: 'directory' }, directory, linuxTraits)).toBe(true);
    expect(sameLocal(null, directory, linuxTraits)).toBe(false);
    expect(sameLocal(null, null, linuxTraits)).toBe(true);
  });

  it('a tombstone is absent', () => {
    expect(liveEntry({ kind: 'tombstone', digest: null, height: 1 })).toBeNull();
    expect(liveEntry(directory)).toEqual(directory);
    expect(liveEntry(null)).toBeNull();
  });
});
