import { isRelPath, utf8ToBytes } from '@driftless/protocol';
import { describe, expect, it } from 'vitest';
import { type ConflictNameInput, conflictName } from './conflict-name.ts';
import { linuxTraits } from './folder-traits.ts';
import { digestOf, rel, sha256 } from './test-support/entries.ts';

const digest = digestOf('x');
const six = digest.slice(0, 6);
const input = (over: Partial<ConflictNameInput>): ConflictNameInput => ({
  path: rel('a.txt'),
  peerName: 'laptop',
  timeMs: Date.UTC(2026, 10, 21, 7, 5, 9, 999),
  digest,
  taken: () => false,
  traits: linuxTraits,
  sha256,
  ...over,
});
const mark = `.conflict-laptop-20261121-070509-${six}`;

describe('conflict names', () => {
  it.each([
    ['a.txt', `a${mark}.txt`],
    ['d/e/a.txt', `d/e/a${mark}.txt`],
    ['a', `a${mark}`],
    ['.env', `.env${mark}`],
    ['.env.local', `.env${mark}.local`],
    ['a.tar.gz', `a.tar${mark}.gz`],
    ['a.', `a.${mark}`],
    ['d.x/a', `d.x/a${mark}`],
    ['é.md', `é${mark}.md`],
  ])('%s', (path, expected) => {
    expect(conflictName(input({ path: rel(path) }))).toBe(expected);
  });

  it.each([
    ['Jürg’s Mac Book/../x', 'JrgsMacBookx'],
    ['a_b-c', 'a_b-c'],
    ['x'.repeat(64), 'x'.repeat(20)],
    ['日本', 'peer'],
    ['', 'peer'],
  ])('peer %j is %s', (peerName, part) => {
    expect(conflictName(input({ peerName }))).toBe(`a.conflict-${part}-20261121-070509-${six}.txt`);
  });

  it.each([
    [Number.NaN, '00000000-000000'],
    [8.64e15, '00000000-000000'],
    [-1, '19691231-235959'],
    [1.5, '19700101-000000'],
  ])('time %d is %s (M3)', (timeMs, part) => {
    expect(conflictName(input({ timeMs }))).toBe(`a.conflict-laptop-${part}-${six}.txt`);
  });

  it('a taken name gets a number (N8)', () => {
    const taken = new Set([`a${mark}.txt`, `a${mark}-2.txt`]);
    expect(conflictName(input({ taken: (path) => taken.has(path) }))).toBe(`a${mark}-3.txt`);
  });

  it('says so when nothing is ever free', () => {
    expect(() => conflictName(input({ taken: () => true }))).toThrow(/no free/);
  });

  it('shortens the middle of a long stem and keeps the suffix (F14)', () => {
    const long = rel(`${'s'.repeat(125)}${'e'.repeat(126)}.txt`);
    const name = conflictName(input({ path: long }));
    expect(utf8ToBytes(name).length).toBe(255);
    expect(name).toMatch(/^s+~[0-9a-f]{8}~e+\.conflict-laptop-/);
    expect(name.endsWith(`${mark}.txt`)).toBe(true);
    expect(conflictName(input({ path: rel(`${'s'.repeat(126)}${'e'.repeat(125)}.txt`) }))).not.toBe(name);
    expect(conflictName(input({ path: name, taken: (path) => path === name }))).not.toBe(name);
  });

  it('never splits a character, and keeps within the limit of path and disk', () => {
    const wide = conflictName(input({ path: rel(`${'😀'.repeat(62)}.txt`) }));
    expect(isRelPath(wide)).toBe(true);
    expect(wide).toMatch(/^😀+~[0-9a-f]{8}~😀+\.conflict/u);
    const parent = Array.from({ length: 15 }, () => 'd'.repeat(255)).join('/');
    const deep = conflictName(input({ path: rel(`${parent}/${'n'.repeat(255)}`) }));
    expect(isRelPath(deep)).toBe(true);
    const full = `${Array.from({ length: 15 }, () => 'd'.repeat(255)).join('/')}/${'e'.repeat(250)}`;
    const above = conflictName(input({ path: rel(`${full}/abcd`) }));
    expect(isRelPath(above)).toBe(true);
    expect(above.startsWith(`${parent}/abcd.conflict`)).toBe(true);
    const small = conflictName(input({ path: rel('n'.repeat(143)), traits: { ...linuxTraits, nameBytesMax: 143 } }));
    expect(utf8ToBytes(small).length).toBe(143);
  });
});
