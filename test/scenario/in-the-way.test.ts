/**
 * Something that takes no part in sync lies where the room has an entry (IG1): the path is pending and shown, never agreed on,
 * never deleted for the others; everything else goes on; and the entry arrives by itself when the place is free.
 */
import type { RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

type Act = (person: Person) => void;
const nothing: Act = () => {};

async function pair(prepare: Act): Promise<readonly [Person, Person]> {
  const [a, b] = [world.person('a'), world.person('b', { fileBytesMax: 1_000 })];
  prepare(a);
  a.user.write('keep.txt', 'keep\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  return [a, b];
}
const isShown = (person: Person, path: string): boolean =>
  person.store.problemRows(10).some((row) => row.path === path) && person.store.counts().pending > 0;
/** It pauses between files: the clock goes on meanwhile. */
async function verifies(person: Person): Promise<boolean> {
  let ok: boolean | undefined;
  person.peer.verify().then(
    (result) => {
      ok = result.ok;
    },
    () => undefined,
  );
  await world.until('verified', () => ok !== undefined);
  return ok === true;
}
async function stuck(a: Person, b: Person, path: string): Promise<void> {
  await world.until(`${path} is shown`, () => isShown(b, path));
  a.user.write('other.txt', 'goes on\n');
  await world.until('the rest goes on', () => b.user.read('other.txt') === 'goes on\n');
  await world.until('a is at rest', () => a.state()?.state === 'idle');
  expect(b.state()?.state).toBe('syncing');
  expect((await b.peer.status()).problems).toContainEqual({
    path,
    reason: expect.stringMatching(/^the room has a .* here;/),
  });
  expect(await verifies(b)).toBe(false);
}
async function equalAfter(act: () => void, a: Person, b: Person): Promise<void> {
  const before = a.user.tree();
  act();
  await world.quiet();
  expect(a.user.tree()).toEqual(before);
  expect(b.user.tree()).toEqual(before);
  expect(b.store.problemRows(10)).toEqual([]);
  expect(await verifies(b)).toBe(true);
}

const shared: Act = ({ user }) => {
  user.write('.gitignore', '*.class\nout/\n');
  user.write('archive/x.txt', 'x\n');
  user.write('archive/deep/y.txt', 'y\n');
};
const becomesFile: Act = ({ user }) => {
  user.remove('archive');
  user.write('archive', 'now a file\n');
};

describe('in a directory that the room replaced by a file', () => {
  const leftovers: readonly { readonly name: string; readonly put: Act; readonly clear: Act }[] = [
    {
      name: 'an ignored file',
      put: ({ user }) => user.write('archive/Y.class', 'built'),
      clear: ({ user }) => user.remove('archive'),
    },
    {
      name: 'an ignored file, and the directory stays, empty',
      put: ({ user }) => user.write('archive/Y.class', 'built'),
      clear: ({ user }) => user.remove('archive/Y.class'),
    },
    {
      name: 'an ignored file deep inside, and empty directories stay',
      put: ({ user }) => user.write('archive/deep/er/Y.class', 'built'),
      clear: ({ user }) => user.remove('archive/deep/er/Y.class'),
    },
    {
      name: 'an ignored file in a directory made here',
      put: ({ user }) => user.write('archive/target/Y.class', 'built'),
      clear: ({ user }) => user.remove('archive/target'),
    },
    {
      name: 'a pipe',
      put: ({ user }) => user.pipe('archive/pipe'),
      clear: ({ user }) => user.remove('archive/pipe'),
    },
    {
      name: 'a link that leads out',
      put: ({ user }) => user.symlink('archive/out', '/elsewhere'),
      clear: ({ user }) => user.remove('archive'),
    },
    {
      name: 'a repository of its own',
      put: ({ user }) => user.write('archive/deep/.git/HEAD', 'ref: refs/heads/main\n'),
      clear: ({ user }) => user.remove('archive/deep/.git'),
    },
    {
      name: 'a file that is too large',
      put: ({ user }) => user.write('archive/large', 'x'.repeat(2_000)),
      clear: ({ user }) => user.rename('archive', '../away'),
    },
  ];
  test.each(leftovers)('$name', async ({ put, clear }) => {
    const [a, b] = await pair(shared);
    put(b);
    await world.quiet();
    becomesFile(a);
    await stuck(a, b, 'archive');
    await equalAfter(() => clear(b), a, b);
    expect(b.user.read('archive')).toBe('now a file\n');
  });

  test('the same with a restart, and cleared while nothing runs', async () => {
    const [a, b] = await pair(shared);
    b.user.write('archive/Y.class', 'built');
    await world.quiet();
    becomesFile(a);
    await stuck(a, b, 'archive');
    await b.stop();
    b.start();
    await stuck(a, b, 'archive');
    await b.stop();
    b.user.remove('archive');
    await equalAfter(() => b.start(), a, b);
  });

  test('the room takes the file away again: the leftovers stay, and their end is nobody’s deletion', async () => {
    const [a, b] = await pair(shared);
    b.user.write('archive/Y.class', 'built');
    await world.quiet();
    becomesFile(a);
    await stuck(a, b, 'archive');
    a.user.remove('archive');
    await world.quiet();
    expect(b.user.read('archive/Y.class')).toBe('built');
    a.user.write('archive', 'again\n');
    await stuck(a, b, 'archive');
    await equalAfter(() => b.user.remove('archive'), a, b);
  });

  test('the room makes a directory of it again', async () => {
    const [a, b] = await pair(shared);
    b.user.write('archive/Y.class', 'built');
    await world.quiet();
    becomesFile(a);
    await stuck(a, b, 'archive');
    a.user.remove('archive');
    a.user.write('archive/new.txt', 'new\n');
    await world.quiet();
    expect(b.user.read('archive/new.txt')).toBe('new\n');
    expect(b.user.read('archive/Y.class')).toBe('built');
  });

  test('something in scope is made in it: both are kept, the file under a conflict name', async () => {
    const [a, b] = await pair(shared);
    b.user.write('archive/Y.class', 'built');
    await world.quiet();
    becomesFile(a);
    await stuck(a, b, 'archive');
    b.user.write('archive/mine.txt', 'mine\n');
    await world.quiet();
    const tree = a.user.tree();
    expect(tree['archive/mine.txt']).toBe('mine\n');
    expect(
      Object.entries(tree).filter(([path, text]) => path.startsWith('archive.conflict-') && text === 'now a file\n'),
    ).toHaveLength(1);
  });
});

describe('at the path itself', () => {
  const things: readonly { readonly name: string; readonly put: Act; readonly make: Act; readonly path: string }[] = [
    {
      name: 'a pipe',
      put: ({ user }) => user.pipe('thing'),
      make: ({ user }) => user.write('thing', 'file\n'),
      path: 'thing',
    },
    {
      name: 'a pipe, and the room has a directory',
      put: ({ user }) => user.pipe('thing'),
      make: ({ user }) => user.write('thing/deep/x.txt', 'x\n'),
      path: 'thing',
    },
    {
      name: 'a link that leads out, and the room has a directory',
      put: ({ user }) => user.symlink('thing', '/elsewhere'),
      make: ({ user }) => user.write('thing/deep/x.txt', 'x\n'),
      path: 'thing',
    },
    {
      name: 'a file that is too large',
      put: ({ user }) => user.write('thing', 'x'.repeat(2_000)),
      make: ({ user }) => user.write('thing', 'small\n'),
      path: 'thing',
    },
    {
      name: 'a directory that is ignored, as no file of its name is',
      put: ({ user }) => user.write('out/o.txt', 'built'),
      make: ({ user }) => user.write('out', 'file\n'),
      path: 'out',
    },
    {
      name: 'a directory of ignored things that was made here',
      put: ({ user }) => user.write('thing/Y.class', 'built'),
      make: ({ user }) => user.write('thing', 'file\n'),
      path: 'thing',
    },
    {
      name: 'a directory of ignored things, and the room moves a file there',
      put: ({ user }) => user.write('thing/Y.class', 'built'),
      make: ({ user }) => user.rename('archive/x.txt', 'thing'),
      path: 'thing',
    },
  ];
  test.each(things)('$name', async ({ put, make, path }) => {
    const [a, b] = await pair(shared);
    put(b);
    await world.quiet();
    make(a);
    await stuck(a, b, path);
    await equalAfter(() => b.user.remove(path), a, b);
  });

  test.each(things)('$name, met by a first join', async ({ put, make, path }) => {
    const [a, b] = [world.person('a'), world.person('b', { fileBytesMax: 1_000 })];
    shared(a);
    make(a);
    put(b);
    a.start();
    await world.until('shared', () => a.state()?.state === 'idle' && a.store.head() !== null);
    b.start();
    await stuck(a, b, path);
    expect(a.user.tree()).not.toHaveProperty(`${path}.conflict`);
    await equalAfter(() => b.user.remove(path), a, b);
  });

  test.each(things)('$name, met again after the state was lost', async ({ put, make, path }) => {
    const [a, b] = await pair(shared);
    put(b);
    await world.quiet();
    make(a);
    await stuck(a, b, path);
    await b.stop();
    b.loseState();
    b.start();
    await stuck(a, b, path);
    await equalAfter(() => b.user.remove(path), a, b);
  });

  test('a synced directory makes way for a link that leads out: it is shown, and comes back when the link goes', async () => {
    const [a, b] = await pair(shared);
    b.user.rename('archive', '../away');
    b.user.symlink('archive', '/away');
    await stuck(a, b, 'archive');
    await equalAfter(() => b.user.remove('archive'), a, b);
  });

  test('a synced file makes way for a pipe: it comes back when the pipe goes', async () => {
    const [a, b] = await pair(shared);
    b.user.remove('archive/x.txt');
    b.user.pipe('archive/x.txt');
    await stuck(a, b, 'archive/x.txt');
    await equalAfter(() => b.user.remove('archive/x.txt'), a, b);
  });
});

describe('what takes no part is judged again when the room changes it', () => {
  test('too large for this machine, then small enough', async () => {
    const [a, b] = await pair(nothing);
    a.user.write('data', 'x'.repeat(2_000));
    await world.quiet();
    expect(b.store.row('data' as RelPath)?.outOfScope).toBe('too-large');
    a.user.write('data', 'small\n');
    await world.quiet();
    expect(b.user.read('data')).toBe('small\n');
  });

  test('a directory is moved to where only ignored things lie: they meet', async () => {
    const [a, b] = await pair(shared);
    b.user.write('moved/Y.class', 'built');
    b.user.write('archive/Z.class', 'built');
    await world.quiet();
    a.user.rename('archive', 'moved');
    await world.quiet();
    expect(b.user.tree()).toMatchObject({
      'moved/x.txt': 'x\n',
      'moved/deep/y.txt': 'y\n',
      'moved/Y.class': 'built',
      'archive/Z.class': 'built',
    });
    expect(b.user.read('archive/x.txt')).toBeUndefined();
    expect(a.user.tree()).not.toHaveProperty('archive/');
  });

  test('a directory that the room deleted goes when the last ignored thing in it goes', async () => {
    const [a, b] = await pair(shared);
    b.user.write('archive/deep/Z.class', 'built');
    await world.quiet();
    a.user.remove('archive');
    await world.quiet();
    expect(b.user.read('archive/deep/Z.class')).toBe('built');
    await equalAfter(() => b.user.remove('archive/deep/Z.class'), a, b);
  });
});
