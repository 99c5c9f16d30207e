import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  fingerprintOf,
  isRacy,
  parseFingerprint,
  provesSameContent,
  racyWindowMs,
  type Stamps,
  sameButChangeTime,
} from './fingerprint.ts';
import type { Fingerprint } from './local-entry.ts';

const stamps: Stamps = { size: 5, mtimeNs: 1_000_000_000n, ctimeNs: 2_000_000_000n, inode: 7n };
const anyStamps = fc.record({
  size: fc.nat(),
  mtimeNs: fc.bigInt(-(2n ** 62n), 2n ** 62n),
  ctimeNs: fc.bigInt(-(2n ** 62n), 2n ** 62n),
  inode: fc.bigInt(0n, 2n ** 64n - 1n),
});

describe('fingerprint', () => {
  test('parsing gives back what was put in, also for stamps before 1970 (M3)', () => {
    fc.assert(
      fc.property(anyStamps, (some) => {
        expect(parseFingerprint(fingerprintOf(some))).toEqual(some);
      }),
      { seed: 1 },
    );
  });

  test('anything else is not parsed, and equals nothing', () => {
    for (const text of ['', '1.2.3', 'a.b.c.d', '1.2.3.4.5', '-1.2.3.4', `${'9'.repeat(40)}.1.1.1`]) {
      expect(parseFingerprint(text)).toBeUndefined();
      expect(sameButChangeTime(text as Fingerprint, text as Fingerprint)).toBe(false);
    }
  });

  test.each([
    { title: 'change time', other: { ctimeNs: 3n }, same: true },
    { title: 'size', other: { size: 6 }, same: false },
    { title: 'modification time', other: { mtimeNs: 3n }, same: false },
    { title: 'inode', other: { inode: 8n }, same: false },
  ])('a different $title: same but change time is $same', ({ other, same }) => {
    const changed = fingerprintOf({ ...stamps, ...other });
    expect(changed).not.toBe(fingerprintOf(stamps));
    expect(sameButChangeTime(fingerprintOf(stamps), changed)).toBe(same);
  });

  test.each([
    { title: 'all stamps as they were', other: {}, racy: false, proof: true },
    { title: 'all stamps as they were, and racy', other: {}, racy: true, proof: false },
    { title: 'inode, size and modification time as they were', other: { ctimeNs: 3n }, racy: false, proof: false },
    { title: 'another inode', other: { inode: 8n }, racy: false, proof: false },
  ])('$title: proves the content: $proof', ({ other, racy, proof }) => {
    expect(
      provesSameContent({ fingerprint: fingerprintOf(stamps), racy }, fingerprintOf({ ...stamps, ...other })),
    ).toBe(proof);
  });

  test.each([
    { title: 'changed just before', mtimeMs: 10_000, ctimeMs: 10_000, racy: true },
    { title: 'changed long before', mtimeMs: 0, ctimeMs: 0, racy: false },
    { title: 'old modification time, changed just before (touch -d)', mtimeMs: 0, ctimeMs: 10_000, racy: true },
    { title: 'a disk without change times', mtimeMs: 10_000, ctimeMs: 0, racy: true },
    { title: 'stamped 2099 long ago', mtimeMs: 4e12, ctimeMs: 0, racy: false },
    { title: 'a clock that ran a little ahead', mtimeMs: 0, ctimeMs: 10_500 + racyWindowMs, racy: true },
  ])('hashed at 10.5 s, $title: racy is $racy', ({ mtimeMs, ctimeMs, racy }) => {
    const some = { ...stamps, mtimeNs: BigInt(mtimeMs) * 1_000_000n, ctimeNs: BigInt(ctimeMs) * 1_000_000n };
    expect(isRacy(some, 10_500)).toBe(racy);
  });
});
