import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseGitIndex } from './git-index.ts';

interface IndexOptions {
  readonly version?: number;
  readonly idBytes?: number;
  readonly extensions?: readonly (readonly [string, Uint8Array])[];
  readonly extended?: boolean;
}

/** An index as git writes it, with zeros for what is not read. */
function indexOf(paths: readonly string[], options: IndexOptions = {}): Uint8Array {
  const { version = 2, idBytes = 20, extensions = [], extended = false } = options;
  const bytes: number[] = [...ascii('DIRC'), ...u32(version), ...u32(paths.length)];
  let previous: number[] = [];
  for (const path of paths) {
    const start = bytes.length;
    const name = [...new TextEncoder().encode(path)];
    bytes.push(...new Array<number>(40 + idBytes).fill(0), extended ? 0x40 : 0, Math.min(name.length, 0xff));
    if (extended) bytes.push(0, 0);
    if (version === 4) {
      let kept = 0;
      while (kept < previous.length && kept < name.length && previous[kept] === name[kept]) kept += 1;
      bytes.push(...offset(previous.length - kept), ...name.slice(kept), 0);
      previous = name;
    } else {
      bytes.push(...name, 0);
      while ((bytes.length - start) % 8 !== 0) bytes.push(0);
    }
  }
  for (const [name, content] of extensions) bytes.push(...ascii(name), ...u32(content.length), ...content);
  return Uint8Array.from([...bytes, ...new Array<number>(idBytes).fill(7)]);
}

const ascii = (text: string): number[] => [...text].map((letter) => letter.charCodeAt(0));
const u32 = (value: number): number[] => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
function offset(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let rest = value >> 7; rest > 0; rest >>= 7) {
    rest -= 1;
    bytes.unshift(0x80 | (rest & 0x7f));
  }
  return bytes;
}

const paths = ['.gitignore', 'README.md', 'src/a.ts', 'src/ab.ts', 'src/deep/überlang.ts', 'z'];

describe('a git index', () => {
  for (const version of [2, 3, 4])
    for (const idBytes of [20, 32])
      it(`version ${version}, ${idBytes}-byte ids`, () => {
        expect([...(parseGitIndex(indexOf(paths, { version, idBytes })) ?? [])]).toEqual(paths);
      });
  it('an empty one', () => expect(parseGitIndex(indexOf([]))?.size).toBe(0));
  it('extended flags, and extensions that are skipped', () => {
    const options = { version: 3, extended: true, extensions: [['TREE', new Uint8Array(13)]] } as const;
    expect([...(parseGitIndex(indexOf(paths, options)) ?? [])]).toEqual(paths);
  });
  it('long common prefixes of version 4', () => {
    const long = ['a'.repeat(400), `${'a'.repeat(20)}b`];
    expect([...(parseGitIndex(indexOf(long, { version: 4 })) ?? [])]).toEqual(long);
  });
  it('a split index is not whole: no answer', () => {
    expect(parseGitIndex(indexOf(paths, { extensions: [['link', new Uint8Array(20)]] }))).toBeUndefined();
  });
  it('an unknown version: no answer', () => expect(parseGitIndex(indexOf(paths, { version: 5 }))).toBeUndefined());

  it('garbage, cut or flipped, is an answer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        parseGitIndex(noise);
        parseGitIndex(Uint8Array.from([...ascii('DIRC'), ...u32(2), ...noise]));
        parseGitIndex(Uint8Array.from([...ascii('DIRC'), ...u32(4), ...u32(0xffff_ffff), ...noise]));
      }),
      { seed: 4_711, numRuns: 300 },
    );
    const whole = indexOf(paths, { version: 4 });
    for (let length = 0; length < whole.length; length += 1)
      expect(parseGitIndex(whole.subarray(0, length))?.size ?? 0).toBeLessThanOrEqual(paths.length);
    expect(parseGitIndex(whole.subarray(0, 80))).toBeUndefined();
  });
});
