/** A directory that was renamed on two machines while they were apart (C11): one set of files, edits at their places. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(() => world.close());

const numbers = Array.from({ length: 12 }, (_, index) => index);
const filesOf = (one: Person): Record<string, string> =>
  Object.fromEntries(Object.entries(one.user.tree()).filter(([path]) => !path.endsWith('/')));

/** a and b hold `old/sub/f0…` and are stopped. */
async function pairApart(): Promise<{ a: Person; b: Person }> {
  const [a, b] = [world.person('a'), world.person('b')];
  for (const index of numbers) a.user.write(`old/sub/f${index}.txt`, `f${index}\n`);
  a.user.write('old/same.txt', 'f1\n');
  a.user.write('old/empty', '');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  await a.stop();
  await b.stop();
  return { a, b };
}

/** a goes first: its names are the room's. */
async function meet(a: Person, b: Person): Promise<Record<string, string>> {
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  expect(b.user.tree()).toEqual(a.user.tree());
  return filesOf(a);
}

const expected = (name: string, changes: Readonly<Record<string, string | null>>): Record<string, string> => {
  const files: Record<string, string> = { [`${name}/same.txt`]: 'f1\n', [`${name}/empty`]: '' };
  for (const index of numbers) files[`${name}/sub/f${index}.txt`] = `f${index}\n`;
  for (const [path, text] of Object.entries(changes)) {
    if (text === null) delete files[`${name}/${path}`];
    else files[`${name}/${path}`] = text;
  }
  return files;
};
const byA = (a: Person, name: string): void => {
  a.user.rename('old', name);
  a.user.write(`${name}/sub/f1.txt`, 'edited at a\n');
  a.user.write(`${name}/sub/made-at-a`, 'new\n');
  a.user.remove(`${name}/sub/f3.txt`);
};
const byB = (b: Person, name: string): void => {
  b.user.rename('old', name);
  b.user.write(`${name}/sub/f2.txt`, 'edited at b\n');
  b.user.write(`${name}/made-at-b`, 'new\n');
  b.user.remove(`${name}/sub/f4.txt`);
};
const both = {
  'sub/f1.txt': 'edited at a\n',
  'sub/f2.txt': 'edited at b\n',
  'sub/made-at-a': 'new\n',
  'made-at-b': 'new\n',
  'sub/f3.txt': null,
  'sub/f4.txt': null,
};

test('to the same name, one file edited on one side', async () => {
  const { a, b } = await pairApart();
  a.user.rename('old', 'new');
  b.user.rename('old', 'new');
  b.user.write('new/sub/f2.txt', 'edited at b\n');
  expect(await meet(a, b)).toEqual(expected('new', { 'sub/f2.txt': 'edited at b\n' }));
});

test('to the same name, with edits, new files and deletions on both sides', async () => {
  const { a, b } = await pairApart();
  byA(a, 'new');
  byB(b, 'new');
  expect(await meet(a, b)).toEqual(expected('new', both));
});

test('to two names: the first one stays, with edits, new files and deletions of both sides', async () => {
  const { a, b } = await pairApart();
  byA(a, 'name-of-a');
  byB(b, 'name-of-b');
  expect(await meet(a, b)).toEqual(expected('name-of-a', both));
});

test('a single file, renamed alike and edited on either side', async () => {
  const { a, b } = await pairApart();
  for (const one of [a, b]) one.user.rename('old/sub/f5.txt', 'five.txt');
  a.user.write('five.txt', 'edited at a\n');
  for (const one of [a, b]) one.user.rename('old/sub/f6.txt', 'six.txt');
  b.user.write('six.txt', 'edited at b\n');
  const files = await meet(a, b);
  expect(files['five.txt']).toBe('edited at a\n');
  expect(files['six.txt']).toBe('edited at b\n');
  expect(Object.keys(files)).toHaveLength(numbers.length + 2);
});

test.each([1, 4, 7])('the second machine is ended at any moment of it, from change %i on', async (first) => {
  let died = 0;
  for (let n = first; ; n += 9) {
    await world.close();
    world = createSmallWorld();
    const { a, b } = await pairApart();
    byA(a, 'name-of-a');
    byB(b, 'name-of-b');
    a.start();
    await world.quiet();
    b.killBefore(n, n % 2 === 0 ? 'kill' : 'power-cut');
    b.start();
    await world.quiet();
    if (!b.isDead) break;
    died += 1;
    b.start();
    await world.quiet();
    expect(filesOf(a), `change ${n}: ${b.trace.at(-1)}`).toEqual(expected('name-of-a', both));
    expect(b.user.tree()).toEqual(a.user.tree());
  }
  expect(died).toBeGreaterThan(3);
});
