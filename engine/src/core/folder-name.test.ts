import { describe, expect, it } from 'vitest';
import { clashKey, linkReason, storableReason } from './folder-name.ts';
import { type FolderTraits, linuxTraits, macTraits, windowsTraits } from './folder-traits.ts';
import { rel } from './test-support/entries.ts';

describe('names that a disk cannot hold', () => {
  const everywhere = [
    'a',
    '.env',
    '-rf',
    'a b',
    'é',
    'e\u0301',
    '…',
    'console',
    'com',
    'com10',
    'nul-',
    'aux_',
    '.nul',
    '😀',
    'a.b.c',
  ];
  const onlyWindowsRefuses = [
    'CON',
    'nul.txt',
    'Aux.tar.gz',
    'com1',
    'LPT9.log',
    'com¹',
    'conin$',
    'nul .txt',
    'a.',
    'a ',
    'a:b',
    'f:stream',
    'a\nb',
    'a*',
    'what?',
    '"q"',
    'a|b',
    '<a>',
    'back\\slash',
    'ok/nul/ok',
    '\u0001',
  ];
  it.each(everywhere)('%j fits everywhere', (name) => {
    for (const traits of [linuxTraits, macTraits, windowsTraits]) expect(storableReason(rel(name), traits)).toBeNull();
  });
  it.each(onlyWindowsRefuses)('%j fits on Linux and macOS, not on Windows (N4)', (name) => {
    expect(storableReason(rel(name), linuxTraits)).toBeNull();
    expect(storableReason(rel(name), macTraits)).toBeNull();
    expect(storableReason(rel(name), windowsTraits)).toMatch(/\S/);
  });
  it('counts bytes, not characters (F14)', () => {
    const short: FolderTraits = { ...linuxTraits, nameBytesMax: 143, pathBytesMax: 300 };
    expect(storableReason(rel('n'.repeat(255)), linuxTraits)).toBeNull();
    expect(storableReason(rel('é'.repeat(128)), linuxTraits)).toMatch(/255 bytes/);
    expect(storableReason(rel('n'.repeat(144)), short)).toMatch(/143 bytes/);
    expect(storableReason(rel(Array.from({ length: 3 }, () => 'n'.repeat(100)).join('/')), short)).toMatch(/300 bytes/);
  });
});

describe('links (M10, M11)', () => {
  it.each([
    ['a/l', 'x', true],
    ['a/l', '../x', true],
    ['a/l', './x/./y', true],
    ['a/l', '..', true],
    ['a/l', '../..', false],
    ['l', '..', false],
    ['l', '../x', false],
    ['a/b/l', 'c/../../../..', false],
    ['a/b/l', 'c/../d', false],
    ['l', '/etc/passwd', false],
    ['l', 'C:\\x', false],
    ['l', '\\\\server\\x', false],
    ['l', '', false],
    ['l', 'a\0b', false],
  ])('%s to %j travels: %s', (path, target, travels) => {
    expect(linkReason(rel(path), target, linuxTraits) === null).toBe(travels);
    expect(linkReason(rel(path), target, windowsTraits)).not.toBeNull();
  });
});

describe('twins', () => {
  const same: readonly (readonly [string, string, { linux: boolean; mac: boolean; windows: boolean }])[] = [
    ['a', 'a', { linux: true, mac: true, windows: true }],
    ['README', 'readme', { linux: false, mac: true, windows: true }],
    ['src/a', 'Src/a', { linux: false, mac: true, windows: true }],
    ['é', 'e\u0301', { linux: false, mac: true, windows: false }],
    ['É', 'e\u0301', { linux: false, mac: true, windows: false }],
    ['É', 'é', { linux: false, mac: true, windows: true }],
    ['ΣΑΣ', 'σας', { linux: false, mac: true, windows: true }],
    ['ß', 'ss', { linux: false, mac: false, windows: false }],
    ['a', 'b', { linux: false, mac: false, windows: false }],
  ];
  it.each(same)('%j and %j', (a, b, expected) => {
    const twins = (traits: FolderTraits) => clashKey(a, traits) === clashKey(b, traits);
    expect({ linux: twins(linuxTraits), mac: twins(macTraits), windows: twins(windowsTraits) }).toEqual(expected);
  });
});
