import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseGitIndex } from './git-index.ts';
import { ascii, gitIndexOf, u32 } from './test-support/git-index-bytes.ts';

const paths = ['.gitignore', 'README.md', 'src/a.ts', 'src/ab.ts', 'src/deep/überlang.ts', 'z'];

describe('a git index', () => {
  for (const version of [2, 3, 4])
    for (const idBytes of [20, 32])
      it(`version ${version}, ${idBytes}-byte ids`, () => {
        expect([...(parseGitIndex(gitIndexOf(paths, { version, idBytes })) ?? [])]).toEqual(paths);
      });
  it('an empty one', () => expect(parseGitIndex(gitIndexOf([]))?.size).toBe(0));
  it('extended flags, and extensions that are skipped', () => {
    const options = { version: 3, extended: true, extensions: [['TREE', new Uint8Array(13)]] } as const;
    expect([...(parseGitIndex(gitIndexOf(paths, options)) ?? [])]).toEqual(paths);
  });
  it('long common prefixes of version 4', () => {
    const long = ['a'.repeat(400), `${'a'.repeat(20)}b`];
    expect([...(parseGitIndex(gitIndexOf(long, { version: 4 })) ?? [])]).toEqual(long);
  });
  it('a split index is not whole: no answer', () => {
    expect(parseGitIndex(gitIndexOf(paths, { extensions: [['link', new Uint8Array(20)]] }))).toBeUndefined();
  });
  it('an unknown version: no answer', () => expect(parseGitIndex(gitIndexOf(paths, { version: 5 }))).toBeUndefined());

  it('garbage, cut or flipped, is an answer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        parseGitIndex(noise);
        parseGitIndex(Uint8Array.from([...ascii('DIRC'), ...u32(2), ...noise]));
        parseGitIndex(Uint8Array.from([...ascii('DIRC'), ...u32(4), ...u32(0xffff_ffff), ...noise]));
      }),
      { seed: 4_711, numRuns: 300 },
    );
    const whole = gitIndexOf(paths, { version: 4 });
    for (let length = 0; length < whole.length; length += 1)
      expect(parseGitIndex(whole.subarray(0, length))?.size ?? 0).toBeLessThanOrEqual(paths.length);
    expect(parseGitIndex(whole.subarray(0, 80))).toBeUndefined();
  });
});
