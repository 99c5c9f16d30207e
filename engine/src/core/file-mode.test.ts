/** Whether permission bits say something about a file, and which bits it gets (M5, M7, M18; docs/decisions/0008). */
import type { FileMode } from '@driftless/protocol';
import { describe, expect, it } from 'vitest';
import { dressedBits, mergedMode, type SeenFile, scannedMode } from './file-mode.ts';
import type { Fingerprint } from './local-entry.ts';

const at = (fingerprint: string, openToOthers: boolean): SeenFile => ({
  fingerprint: fingerprint as Fingerprint,
  executable: false,
  openToOthers,
});
const known = (isPrivate: boolean, seen: SeenFile): SeenFile & FileMode => ({ ...seen, private: isPrivate });
/** size.mtime.ctime.inode */
const before = '3.10.10.7';
const touched = '3.10.20.7';
const written = '4.20.20.7';
const replaced = '4.20.20.8';
const [open, closed] = [true, false];

describe('what a scan makes of permission bits', () => {
  const table: readonly (readonly [string, SeenFile, (SeenFile & FileMode) | undefined, boolean | null, boolean])[] = [
    ['made without bits for others', at(before, closed), undefined, null, true],
    ['made with them', at(before, open), undefined, null, false],
    ['made again where a private one was agreed on', at(before, open), undefined, true, true],
    ['made again, closed, where an open one was agreed on', at(before, closed), undefined, false, false],
    ['chmod 600', at(touched, closed), known(false, at(before, open)), false, true],
    ['written and chmod 600', at(written, closed), known(false, at(before, open)), false, true],
    ['replaced by a 0600 file', at(replaced, closed), known(false, at(before, open)), false, false],
    ['chmod 644', at(touched, open), known(true, at(before, closed)), true, false],
    ['written and chmod 644', at(written, open), known(true, at(before, closed)), true, true],
    ['replaced by a 0644 file', at(replaced, open), known(true, at(before, closed)), true, true],
    [
      'another file with the same stamps',
      { ...at(touched, open), isOther: true },
      known(true, at(before, closed)),
      true,
      true,
    ],
    ['edited in place', at(written, closed), known(true, at(before, closed)), true, true],
    ['edited in place, closed by the umask alone', at(written, closed), known(false, at(before, closed)), false, false],
    ['still open after a dressing that failed', at(written, open), known(true, at(before, open)), true, true],
  ];
  it.each(table)('%s', (_, seen, last, agreed, expected) => {
    const mode = agreed === null ? undefined : { executable: false, private: agreed };
    expect(scannedMode(seen, last, mode).private).toBe(expected);
  });
});

describe('permission bits', () => {
  const plain: FileMode = { executable: false, private: false };
  const x: FileMode = { executable: true, private: false };
  const p: FileMode = { executable: false, private: true };
  const xp: FileMode = { executable: true, private: true };
  const table: readonly (readonly [string, FileMode, number | null, boolean, number, number])[] = [
    ['new', plain, null, false, 0o022, 0o644],
    ['new under a strict umask', plain, null, false, 0o077, 0o600],
    ['new and executable', x, null, false, 0o022, 0o755],
    ['new and private', p, null, false, 0o002, 0o600],
    ['new, private and executable', xp, null, false, 0o002, 0o700],
    ['group write stays', plain, 0o664, false, 0o022, 0o664],
    ['closed here by its user', plain, 0o600, false, 0o022, 0o600],
    ['closed here, executable from now on', x, 0o600, false, 0o022, 0o700],
    ['executable for some stays so', x, 0o754, false, 0o022, 0o754],
    ['no longer executable', plain, 0o755, false, 0o022, 0o644],
    ['private from now on', p, 0o664, false, 0o022, 0o600],
    ['read-only and private', p, 0o444, false, 0o022, 0o400],
    ['no longer private', plain, 0o600, true, 0o022, 0o644],
    ['no longer private, executable', x, 0o700, true, 0o027, 0o750],
    ['set-id and sticky bits never', x, 0o7755, false, 0o022, 0o755],
  ];
  it.each(table)('%s', (_, mode, bits, wasPrivate, umask, expected) => {
    const found = dressedBits({ mode, umask, replaced: bits === null ? null : { bits, private: wasPrivate } });
    expect(found.toString(8)).toBe(expected.toString(8));
  });
});

it('modes merge flag by flag; without a base, set wins', () => {
  const mode = (text: string): FileMode => ({ executable: text.includes('x'), private: text.includes('p') });
  expect(mergedMode(mode(''), mode('x'), mode('p'))).toEqual(mode('xp'));
  expect(mergedMode(mode('xp'), mode('p'), mode('x'))).toEqual(mode(''));
  expect(mergedMode(undefined, mode('x'), mode('p'))).toEqual(mode('xp'));
});
