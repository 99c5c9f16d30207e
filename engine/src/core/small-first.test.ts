import type { RelPath } from '@driftless/protocol';
import { describe, expect, test } from 'vitest';
import type { PublishStep } from './plan.ts';
import { smallFirst } from './small-first.ts';

const file = (path: string, size: number): PublishStep =>
  ({ kind: 'publish', path: path as RelPath, local: { kind: 'file', size } }) as PublishStep;
const removal = (path: string): PublishStep => ({ kind: 'publish', path: path as RelPath, local: null }) as PublishStep;
const directory = (path: string): PublishStep =>
  ({ kind: 'publish', path: path as RelPath, local: { kind: 'directory' } }) as PublishStep;

describe('what is sent to a relay that refused contents', () => {
  test.each<[string, PublishStep[], string[]]>([
    ['all that fits', [file('a', 10), file('b', 20)], ['a', 'b']],
    ['the smallest', [file('a', 90), file('b', 20), file('c', 30)], ['b', 'c']],
    ['one that fits nowhere, when nothing is smaller', [file('a', 300), file('b', 400)], ['a']],
    ['large ones, which go beside', [file('a', 5_000), file('b', 90), file('c', 90)], ['a', 'b']],
    [
      'directories, but no removal before the rest',
      [removal('x'), directory('d'), file('a', 90), file('b', 80)],
      ['d', 'b'],
    ],
    ['removals with the last of the contents', [removal('x'), file('a', 90)], ['x', 'a']],
    ['empty files with anything', [file('a', 0), file('b', 90), file('c', 91)], ['a', 'b']],
  ])('%s', (_, steps, sent) => {
    expect(
      smallFirst(steps, { bytesMax: 100, largeBytesMin: 1_000 }).map((step) => 'path' in step && step.path),
    ).toEqual(sent);
  });
});
