import { describe, expect, it } from 'vitest';
import { digestOf, rel } from './test-support/entries.ts';
import { pairTwins } from './twins.ts';

const empty = (...paths: string[]) => paths.map((path) => ({ path: rel(path), digest: digestOf('') }));

describe('which of equal files became which', () => {
  it('goes by the longest common end of their paths', () =>
    expect(
      pairTwins(
        empty('a/__init__.py', 'a/x/__init__.py', 'b/x/__init__.py'),
        empty('old/b/x/__init__.py', 'old/a/x/__init__.py'),
      ),
    ).toEqual(
      new Map([
        ['a/x/__init__.py', 'old/a/x/__init__.py'],
        ['b/x/__init__.py', 'old/b/x/__init__.py'],
      ]),
    ));
  it('takes any where no name fits, each once', () =>
    expect(pairTwins(empty('a', 'b', 'c'), empty('x', 'y'))).toEqual(
      new Map([
        ['a', 'x'],
        ['b', 'y'],
      ]),
    ));
  it('never pairs other bytes', () =>
    expect(pairTwins(empty('a'), [{ path: rel('a'), digest: digestOf('x') }])).toEqual(new Map()));
});
