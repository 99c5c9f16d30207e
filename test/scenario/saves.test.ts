/**
 * Saves that pass through a moment in which the file is empty or gone (rule FAST2): what was in between never travels, the first
 * time as little as every later time, whether the moment is seen by a hint of the path, of its directory, or by a rescan.
 */
import type { RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
let a: Person;
let b: Person;
beforeEach(async () => {
  world = createSmallWorld();
  a = world.person('a');
  b = world.person('b');
  a.user.write('dir/out.json', 'v0\n');
  a.user.write('other.txt', 'x\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
});
afterEach(async () => {
  await world.close();
});

/** What `b` holds at the path in each millisecond that passes. */
async function watchFor(ms: number): Promise<Set<string | undefined>> {
  const seen = new Set<string | undefined>();
  for (let passedMs = 0; passedMs < ms; passedMs += 1) {
    await world.clock.advance(1);
    seen.add(b.user.read('dir/out.json'));
  }
  return seen;
}

/** The two steps of a save, and what else is done with the path's old content. */
const saves: readonly [string, () => void, (text: string) => void][] = [
  ['truncates, then writes', () => a.user.write('dir/out.json', ''), (text) => a.user.write('dir/out.json', text)],
  [
    'renames to x~, then creates',
    () => a.user.rename('dir/out.json', 'dir/out.json~'),
    (text) => {
      a.user.write('dir/out.json', text);
      a.user.remove('dir/out.json~');
    },
  ],
  [
    'renames to x.bak, then creates',
    () => a.user.rename('dir/out.json', 'dir/out.json.bak'),
    (text) => a.user.write('dir/out.json', text),
  ],
];
const hints: readonly [string, () => void][] = [
  ['hints of the path', () => {}],
  [
    'hints of its directory alone',
    () => {
      const whole = a.memory.onHint;
      a.memory.onHint = ({ path }) => {
        if (path.startsWith('dir')) whole({ path: 'dir' as RelPath, deep: false });
      };
    },
  ],
];

describe.each(saves)('a program that %s', (_save, begin, finish) => {
  test.each(hints)('seen by %s: no other content is ever seen by others', async (_hint, listen) => {
    listen();
    for (let save = 1; save <= 6; save += 1) {
      begin();
      const seen = await watchFor(50);
      finish(`v${save}\n`);
      for (const content of await watchFor(400)) seen.add(content);
      expect([...seen]).toEqual([`v${save - 1}\n`, `v${save}\n`]);
      await world.clock.advance(1_500);
    }
  });
});

test('a program that removes its file and writes it again later: the deletion travels once, then never', async () => {
  for (let save = 1; save <= 4; save += 1) {
    a.user.remove('dir/out.json');
    const seen = await watchFor(70);
    a.user.write('dir/out.json', `v${save}\n`);
    for (const content of await watchFor(400)) seen.add(content);
    expect(seen.has(undefined)).toBe(save === 1);
    expect(b.user.read('dir/out.json')).toBe(`v${save}\n`);
  }
});

test('a build that removes its directory and makes it again at once sends no deletion', async () => {
  for (let round = 1; round <= 4; round += 1) {
    a.user.remove('dir');
    const seen = await watchFor(20);
    a.user.write('dir/out.json', `v${round}\n`);
    for (const content of await watchFor(400)) seen.add(content);
    expect([...seen]).toEqual([`v${round - 1}\n`, `v${round}\n`]);
  }
});

test('a file that is written as soon as it was made travels once, and soon', async () => {
  a.user.write('new.txt', '');
  await world.clock.advance(10);
  a.user.write('new.txt', 'text\n');
  const before = a.events.length;
  await world.clock.advance(40);
  expect(b.user.read('new.txt')).toBe('text\n');
  expect(a.events.slice(before).filter(({ event }) => event === 'sent')).toHaveLength(1);
});

test('a single deletion, and a rename, are not held up', async () => {
  a.user.rename('other.txt', 'renamed.txt');
  await world.clock.advance(25);
  expect(b.user.tree()).toMatchObject({ 'renamed.txt': 'x\n' });
  expect(b.user.read('other.txt')).toBeUndefined();
  await world.clock.advance(1_000);
  a.user.remove('renamed.txt');
  await world.clock.advance(60);
  expect(b.user.read('renamed.txt')).toBeUndefined();
});
