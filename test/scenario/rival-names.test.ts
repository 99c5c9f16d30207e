/** Names that a disk takes for one (N2, N6): the second is left out and named, comes when the first goes, and is no loop without end. */
import type { RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { VerifyResult } from '../../engine/src/control.ts';
import { createSmallWorld, type Person, type PersonOptions, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

async function pair(
  files: Readonly<Record<string, string>>,
  disk: NonNullable<PersonOptions['disk']> = { foldsCase: true },
): Promise<readonly [Person, Person]> {
  const [a, b] = [world.person('a'), world.person('b', { disk })];
  for (const [path, text] of Object.entries(files)) a.user.write(path, text);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  return [a, b];
}
async function verified(person: Person): Promise<VerifyResult> {
  let result: VerifyResult | undefined;
  person.peer.verify().then(
    (found) => {
      result = found;
    },
    () => undefined,
  );
  await world.until('verified', () => result !== undefined);
  return result as VerifyResult;
}
const scopeOf = (person: Person, path: string) => person.store.row(path as RelPath)?.outOfScope ?? null;
const rivals = { 'd/README': 'first\n', 'd/Readme': 'second\n', 'keep.txt': 'keep\n' };

test('the second name is counted and named, also by verify', async () => {
  const [, b] = await pair(rivals);
  expect(b.user.read('d/README')).toBe('first\n');
  expect(scopeOf(b, 'd/Readme')).toBe('unstorable');
  const result = await verified(b);
  expect(result).toMatchObject({ ok: true, leftOut: { unstorable: 1 } });
  expect(result.leftOutPaths.map(({ path }) => path)).toEqual(['d/Readme']);
});

test('it is named however much the ignore rules leave out', async () => {
  const [, b] = await pair({ 'zzz/README': 'first\n', 'zzz/Readme': 'second\n' });
  for (let index = 0; index < 1_100; index += 1) b.store.setOutOfScope(`aaa/${index}.tmp` as RelPath, 'ignored');
  expect((await b.peer.status()).problems.map(({ path }) => path)).toContain('zzz/Readme');
});

describe('it comes when the first goes', () => {
  const ways: readonly { readonly name: string; readonly go: (a: Person, b: Person) => void }[] = [
    { name: 'deleted elsewhere', go: (a) => a.user.remove('d/README') },
    { name: 'renamed elsewhere', go: (a) => a.user.rename('d/README', 'd/other') },
    { name: 'deleted here', go: (_a, b) => b.user.remove('d/README') },
    { name: 'renamed here', go: (_a, b) => b.user.rename('d/README', 'd/other') },
  ];
  test.each(ways)('$name', async ({ go }) => {
    const [a, b] = await pair(rivals);
    go(a, b);
    await world.quiet();
    expect(b.user.tree()).toEqual(a.user.tree());
    expect(b.user.read('d/Readme')).toBe('second\n');
    expect(scopeOf(b, 'd/Readme')).toBeNull();
  });

  test('whichever of the two it is', async () => {
    const [a, b] = await pair({ 'd/Readme': 'first\n' });
    a.user.write('d/README', 'second\n');
    await world.quiet();
    expect(scopeOf(b, 'd/README')).toBe('unstorable');
    a.user.remove('d/Readme');
    await world.quiet();
    expect(b.user.tree()).toEqual(a.user.tree());
  });

  test('a directory, with all that is in it', async () => {
    const [a, b] = await pair({ 'Docs/x.txt': 'x\n', 'docs/deep/y.txt': 'y\n' });
    expect(scopeOf(b, 'docs/deep/y.txt')).toBe('unstorable');
    a.user.remove('Docs');
    await world.quiet();
    expect(b.user.tree()).toEqual(a.user.tree());
    expect(b.user.read('docs/deep/y.txt')).toBe('y\n');
  });

  test('while nothing runs here', async () => {
    const [a, b] = await pair(rivals);
    await b.stop();
    b.user.remove('d/README');
    b.start();
    await world.quiet();
    expect(b.user.tree()).toEqual(a.user.tree());
  });
});

describe('the disk takes more names for one than we know (ß and ss)', () => {
  const disk = { foldsCase: true, foldsUnicode: true, foldsFurther: (name: string) => name.replaceAll('ß', 'ss') };

  test('the second is left out, named, and not tried without end', async () => {
    const [a, b] = await pair({ 'strasse.txt': 'first\n', 'straße.txt': 'second\n', 'keep.txt': 'keep\n' }, disk);
    expect(b.user.read('strasse.txt')).toBe('first\n');
    expect(scopeOf(b, 'straße.txt')).toBe('unstorable');
    expect(a.user.read('straße.txt')).toBe('second\n');
    expect((await verified(b)).leftOutPaths.map(({ path }) => path)).toEqual(['straße.txt']);
    // Nothing but what a peer at rest does now and then.
    const changes = b.changes;
    await world.clock.advance(30_000);
    expect(b.changes - changes).toBeLessThan(5);
    await b.stop();
    b.start();
    await world.quiet();
    expect(scopeOf(b, 'straße.txt')).toBe('unstorable');
    expect(a.user.tree()).toMatchObject({ 'strasse.txt': 'first\n', 'straße.txt': 'second\n' });
    a.user.remove('strasse.txt');
    await world.quiet();
    expect(b.user.tree()).toEqual(a.user.tree());
  });

  test('in a directory whose disk folds, while the root’s does not', async () => {
    const insideOnly = (name: string): string => (name.startsWith('Rival') ? name.toLowerCase() : name);
    const [a, b] = await pair({ 'rival.txt': 'first\n', 'zzz.txt': 'z\n' }, { foldsFurther: insideOnly });
    a.user.write('Rival.txt', 'second\n');
    await world.quiet();
    expect(b.user.read('rival.txt')).toBe('first\n');
    expect(scopeOf(b, 'Rival.txt')).toBe('unstorable');
    await b.stop();
    b.start();
    await world.quiet();
    expect(a.user.tree()).toMatchObject({ 'rival.txt': 'first\n', 'Rival.txt': 'second\n' });
    expect(Object.keys(a.user.tree()).filter((path) => path.includes('conflict'))).toEqual([]);
  });
});
