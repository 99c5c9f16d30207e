/**
 * What was ignored on a machine until somebody else changed the rules is not published before it is confirmed there,
 * secret-looking names one by one; and what the user of that machine changes in the rules is their own wish (IG1).
 */
import type { RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';
import { openEditor } from './unsaved-editor.ts';

type Tree = Readonly<Record<string, string>>;

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

const write = (person: Person, files: Tree): void => {
  for (const [path, text] of Object.entries(files)) person.user.write(path, text);
};
async function pair(files: Tree): Promise<readonly [Person, Person]> {
  const a = world.person('a');
  const b = world.person('b');
  write(a, files);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  return [a, b];
}
const inRoom = (person: Person, path: string): boolean => person.store.manifest.slot(path as RelPath)?.kind === 'file';
const heldAt = async (person: Person): Promise<readonly (readonly string[])[]> =>
  (await person.peer.holds()).map(({ kind, paths }) => {
    expect(kind).toBe('scope');
    return paths;
  });
const isAsking = (person: Person) => (): boolean => person.state()?.code === 'scope-held';
/** Long enough for every retry and second look. */
const later = (): Promise<void> => world.clock.advance(15_000);

describe('another machine takes back in what this one ignores', () => {
  test('it waits here; the rest goes on; each secret-looking name alone; confirmed, exactly that is published', async () => {
    const [a, b] = await pair({ '.gitignore': '.env\n*.local\n', 'x.txt': 'x' });
    write(b, { '.env': 'AWS_SECRET=hunter2', 'one.local': '1', 'd/two.local': '2' });
    await world.quiet();
    write(a, { '.driftlessignore': '!.env\n!*.local\n' });
    await world.until('b asks', isAsking(b));
    write(b, { 'x.txt': 'edited' });
    await later();
    expect(a.user.read('x.txt')).toBe('edited');
    expect(await heldAt(b)).toEqual([['.env'], ['d/two.local', 'one.local']]);
    for (const path of ['.env', 'one.local', 'd/two.local']) expect([path, inRoom(a, path)]).toEqual([path, false]);
    expect((await b.peer.explain('.env')).lines.join('\n')).toContain('driftless confirm');

    const [secret, others] = await b.peer.holds();
    expect((await b.peer.confirm()).ok).toBe(false);
    await b.peer.confirm({ id: others?.id ?? '' });
    await world.until(
      'the confirmed ones',
      () => a.user.read('d/two.local') === '2' && a.user.read('one.local') === '1',
    );
    await later();
    expect(inRoom(a, '.env')).toBe(false);
    await b.peer.confirm({ id: secret?.id ?? '' });
    await world.quiet();
    expect(a.user.read('.env')).toBe('AWS_SECRET=hunter2');
    expect(await b.peer.holds()).toEqual([]);
  });

  test.each<readonly [string, Tree, (a: Person) => void, readonly (readonly string[])[]]>([
    [
      'a line goes',
      { '.gitignore': 'secret.txt\nout\n' },
      (a) => write(a, { '.gitignore': '' }),
      [['secret.txt'], ['out/a', 'out/d/b']],
    ],
    ['the file goes', { '.gitignore': 'out/\n' }, (a) => a.user.remove('.gitignore'), [['out/a', 'out/d/b']]],
    [
      'a directory comes back in, but for its own rules',
      { '.gitignore': 'out/\n' },
      (a) => write(a, { '.driftlessignore': '!out/\n', '.gitignore': 'out/\nb\n' }),
      [['out/a']],
    ],
    [
      'a default is overridden',
      {},
      (a) => write(a, { '.driftlessignore': '!node_modules/\n' }),
      [['node_modules/m/i.js']],
    ],
  ])('%s', async (_, rules, change, held) => {
    const [a, b] = await pair({ ...rules, 'k.txt': 'k' });
    write(b, { 'secret.txt': 's', 'out/a': 'a', 'out/d/b': 'b', 'node_modules/m/i.js': 'i' });
    await world.quiet();
    const before = new Set(Object.keys(a.user.tree()));
    change(a);
    await world.until('b asks', isAsking(b));
    await later();
    expect(await heldAt(b)).toEqual(held);
    for (const path of held.flat()) expect([path, inRoom(a, path), before.has(path)]).toEqual([path, false, false]);
    // A restart forgets nothing, and asks the same.
    const ids = (await b.peer.holds()).map(({ id }) => id);
    await b.stop();
    b.start();
    await world.until('b asks again', isAsking(b));
    await later();
    expect((await b.peer.holds()).map(({ id }) => id)).toEqual(ids);
    for (const path of held.flat()) expect([path, inRoom(a, path)]).toEqual([path, false]);
  });

  test('a file that an editor takes away and puts back still waits', async () => {
    const [a, b] = await pair({ '.gitignore': '.env\n', 'x.txt': 'x' });
    write(b, { '.env': '1' });
    await world.quiet();
    write(a, { '.driftlessignore': '!.env\n' });
    await world.until('b asks', isAsking(b));
    for (let round = 0; round < 3; round += 1) {
      b.user.remove('.env');
      await world.clock.advance(40 * (round + 1));
      b.user.write('.env', `saved ${round}`);
      await later();
      b.user.replace('.env', `replaced ${round}`);
      await later();
    }
    expect(inRoom(a, '.env')).toBe(false);
    expect(await heldAt(b)).toEqual([['.env']]);
    b.user.remove('.env');
    await world.quiet();
    expect(await b.peer.holds()).toEqual([]);
  });

  test('the room has a file of that name too: neither goes over the other, and nothing of this one is published', async () => {
    const [a, b] = await pair({ '.gitignore': '.env\n', 'x.txt': 'x' });
    write(b, { '.env': 'of b' });
    await world.quiet();
    write(a, { '.driftlessignore': '!.env\n', '.env': 'of a', 'free.env': 'free' });
    await world.until('b asks', isAsking(b));
    await later();
    expect(b.user.read('.env')).toBe('of b');
    expect(b.user.read('free.env')).toBe('free');
    expect(a.user.read('.env')).toBe('of a');
    expect(b.store.problemRows(10)).toMatchObject([
      { path: '.env', problem: { reason: expect.stringContaining('only when you confirm it is in its place') } },
    ]);
    expect((await b.peer.explain('.env')).lines.join('\n')).toContain('in its place');
    expect(a.store.openVariants()).toEqual([]);
    expect(Object.keys(a.user.tree()).filter((path) => path.includes('conflict'))).toEqual([]);
  });

  test.each<readonly [string, Tree, (a: Person) => void]>([
    ['a line that takes it back in', {}, (a) => write(a, { '.driftlessignore': '*.tmp\n!.env\n' })],
    [
      'a line that goes',
      { '.gitignore': '', '.driftlessignore': '*.tmp\n.env\n' },
      (a) => write(a, { '.driftlessignore': '*.tmp\n' }),
    ],
  ])('merged into an editor of the rules, and saved with what was typed there: %s', async (_, rules, change) => {
    const [a, b] = await pair({ '.gitignore': '.env\n', '.driftlessignore': '*.tmp\n', ...rules, 'k.txt': 'k' });
    write(b, { '.env': 'SECRET' });
    await world.quiet();
    const editor = openEditor(b, '.driftlessignore');
    editor.type((text) => `# typed\n${text}`);
    change(a);
    const theirs = a.user.read('.driftlessignore');
    await world.until('it is in the buffer', () => {
      editor.look();
      return editor.text === `# typed\n${theirs}`;
    });
    editor.save();
    await world.until('the save', () => a.user.read('.driftlessignore')?.startsWith('# typed') === true);
    await later();
    expect(a.user.read('.driftlessignore')).toBe(editor.text);
    expect(inRoom(a, '.env')).toBe(false);
    expect(await heldAt(b)).toEqual([['.env']]);
  });

  test('rules of both that were united, and then a line of one of them', async () => {
    const [a, b] = await pair({ '.gitignore': '.env\n', 'k.txt': 'k' });
    write(b, { '.env': 'SECRET' });
    await world.quiet();
    await b.stop();
    write(a, { '.driftlessignore': '!.env\n' });
    await world.quiet();
    write(b, { '.driftlessignore': '*.tmp\n' });
    b.start();
    await world.quiet();
    expect(inRoom(a, '.env')).toBe(false);
    const united = a.user.read('.driftlessignore') ?? '';
    expect(united).toContain('*.tmp');
    write(a, { '.driftlessignore': `${united}!.env\n` });
    await world.until('b asks', isAsking(b));
    await later();
    expect(inRoom(a, '.env')).toBe(false);
    expect(await heldAt(b)).toEqual([['.env']]);
  });

  test('a directory that others rename out of reach of a rule', async () => {
    const [a, b] = await pair({ '.gitignore': '/d/secret\n/d/out/\n', 'd/a.txt': 'a', 'd/b.txt': 'b' });
    write(b, { 'd/secret': 's', 'd/out/x/y': 'y' });
    await world.quiet();
    a.user.rename('d', 'e');
    await world.until('the rename', () => b.user.read('e/a.txt') === 'a');
    await later();
    const held = (await heldAt(b)).flat();
    for (const path of Object.keys(b.user.tree()).filter((each) => /secret|out\/x\/y/.test(each))) {
      expect([path, inRoom(a, path)]).toEqual([path, false]);
      if (path.startsWith('e/')) expect(held).toContain(path);
    }
  });

  test('at a join: what the folder ignored before is asked about', async () => {
    const a = world.person('a');
    const b = world.person('b');
    write(a, { '.driftlessignore': '!.env\n!dist/\n', 'x.txt': 'x' });
    write(b, { '.gitignore': '.env\ndist/\n', '.env': 's', 'dist/app.js': 'd', 'y.txt': 'y' });
    a.start();
    await world.quiet();
    b.start();
    await world.until('b asks', isAsking(b));
    await later();
    expect(a.user.read('y.txt')).toBe('y');
    expect(await heldAt(b)).toEqual([['.env'], ['dist/app.js']]);
    expect([inRoom(a, '.env'), inRoom(a, 'dist/app.js')]).toEqual([false, false]);
  });

  test('also while the user of this machine changes another rule', async () => {
    const [a, b] = await pair({ '.gitignore': '.env\nx\n', 'k.txt': 'k' });
    write(b, { '.env': 's', x: 'x' });
    await world.quiet();
    await b.stop();
    write(a, { '.driftlessignore': '!.env\n' });
    await world.quiet();
    b.start();
    write(b, { '.gitignore': '# mine\n.env\n' });
    await world.until('b asks', isAsking(b));
    await later();
    expect(await heldAt(b)).toEqual([['.env']]);
    expect([inRoom(a, '.env'), inRoom(a, 'x')]).toEqual([false, true]);
  });

  test.each<readonly [string, Tree, (a: Person) => void]>([
    ['a line goes', { '.gitignore': '.env\nout\n' }, (a) => write(a, { '.gitignore': '' })],
    ['the file goes', { '.gitignore': '.env\nout\n' }, (a) => a.user.remove('.gitignore')],
  ])('its state is lost meanwhile, and no rule tells any more: %s', async (_, rules, change) => {
    const [a, b] = await pair({ ...rules, 'k.txt': 'k' });
    write(b, { '.env': 's', 'out/a': 'a' });
    await world.quiet();
    change(a);
    await world.until('b asks', isAsking(b));
    await b.stop();
    b.loseState();
    // Also renamed while nobody looked.
    b.user.rename('out', 'renamed');
    b.start();
    write(b, { 'new.txt': 'n' });
    await world.until('the rest', () => a.user.read('new.txt') === 'n');
    await later();
    expect(await heldAt(b)).toEqual([['.env'], ['renamed/a']]);
    expect([inRoom(a, '.env'), inRoom(a, 'renamed/a')]).toEqual([false, false]);
  });

  test.each<readonly [string, (b: Person) => void, readonly string[]]>([
    ['to another name', (b) => b.user.rename('d/.env', 'd/prod.txt'), ['d/prod.txt']],
    ['with its directory', (b) => b.user.rename('d', 'e'), ['e/.env']],
    [
      'into a new directory, and the directory too',
      (b) => {
        write(b, { 'n/x': 'x' });
        b.user.rename('d/.env', 'n/env');
        b.user.rename('n', 'm');
      },
      ['m/env'],
    ],
    ['onto a file that all have', (b) => b.user.rename('d/.env', 'k.txt'), ['k.txt']],
  ])('renamed by its user, it waits under the new name: %s', async (_, rename, held) => {
    for (const isRunning of [true, false]) {
      const [a, b] = await pair({ '.gitignore': '.env\n', 'k.txt': 'k', 'd/other': 'o' });
      write(b, { 'd/.env': 'SECRET' });
      await world.quiet();
      write(a, { '.gitignore': '' });
      await world.until('b asks', isAsking(b));
      if (!isRunning) await b.stop();
      rename(b);
      if (!isRunning) b.start();
      await later();
      write(b, { 'new.txt': 'n' });
      await world.until('the rest', () => a.user.read('new.txt') === 'n');
      await later();
      expect([isRunning, await heldAt(b)]).toEqual([isRunning, [held]]);
      expect(Object.values(a.user.tree())).not.toContain('SECRET');
      const [hold] = await b.peer.holds();
      await b.peer.confirm({ id: hold?.id ?? '' });
      await world.until('it is published', () => Object.values(a.user.tree()).includes('SECRET'));
      await world.close();
      world = createSmallWorld();
    }
  });

  test('its state is lost meanwhile: it is asked again', async () => {
    const [a, b] = await pair({ '.gitignore': '.env\n', 'k.txt': 'k' });
    write(b, { '.env': 's' });
    await world.quiet();
    write(a, { '.driftlessignore': '!.env\n' });
    await world.until('b asks', isAsking(b));
    await b.stop();
    b.loseState();
    b.start();
    write(b, { 'new.txt': 'n' });
    await world.until('the rest', () => a.user.read('new.txt') === 'n');
    await later();
    expect(inRoom(a, '.env')).toBe(false);
    expect(await heldAt(b)).toEqual([['.env']]);
  });

  test('killed before any of its changes from the arrival of the rule on, it never publishes', async () => {
    for (let kill = 1; ; kill += 1) {
      const [a, b] = await pair({ '.gitignore': '.env\nout/\n', 'x.txt': 'x' });
      write(b, { '.env': 's', 'out/a/b': 'b' });
      await world.quiet();
      b.killBefore(kill, 'kill');
      write(a, { '.driftlessignore': '!.env\n!out/\n' });
      await world.until('b asks, or died', () => b.isDead || isAsking(b)());
      await later();
      const isOver = !b.isDead;
      if (!isOver) b.start();
      await world.until('b asks', isAsking(b));
      await later();
      expect([kill, await heldAt(b)]).toEqual([kill, [['.env'], ['out/a/b']]]);
      expect([inRoom(a, '.env'), inRoom(a, 'out/a/b')]).toEqual([false, false]);
      await world.close();
      if (isOver) {
        expect(kill).toBeGreaterThan(5);
        world = createSmallWorld();
        return;
      }
      world = createSmallWorld();
    }
  });
});

describe('nobody is asked', () => {
  test('about what the user of this machine takes back in', async () => {
    const [a, b] = await pair({ '.gitignore': '.env\nout/\nx\n', 'k.txt': 'k' });
    write(b, { '.env': 's', 'out/d/a': 'a', x: 'x' });
    await world.quiet();
    write(b, { '.gitignore': 'x\n' });
    await world.quiet();
    expect(a.user.tree()).toMatchObject({ '.env': 's', 'out/d/a': 'a' });
    await b.stop();
    b.user.remove('.gitignore');
    b.start();
    await world.quiet();
    expect(a.user.read('x')).toBe('x');
  });

  test('about what was in scope before', async () => {
    const [a, b] = await pair({ 'd/a.txt': 'a', 'b.cfg': 'b' });
    write(a, { '.gitignore': 'd/\n*.cfg\n' });
    await world.quiet();
    write(b, { 'b.cfg': 'edited', 'd/new.txt': 'made while it was ignored' });
    await world.quiet();
    expect(a.user.read('b.cfg')).toBe('b');
    a.user.remove('.gitignore');
    await world.until('b asks about the new one alone', isAsking(b));
    await later();
    expect(await heldAt(b)).toEqual([['d/new.txt']]);
    expect(Object.values(a.user.tree())).toContain('edited');
  });

  test('about a file that comes from the room to a free path', async () => {
    const [a, b] = await pair({ '.gitignore': '.env\n' });
    write(a, { '.env': 's', '.gitignore': '' });
    await world.quiet();
    expect(b.user.read('.env')).toBe('s');
  });

  test('about what is ignored again', async () => {
    const [a, b] = await pair({ '.gitignore': '.env\n' });
    write(b, { '.env': 's' });
    await world.quiet();
    write(a, { '.driftlessignore': '!.env\n' });
    await world.until('b asks', isAsking(b));
    a.user.remove('.driftlessignore');
    await world.quiet();
    expect(await b.peer.holds()).toEqual([]);
    write(a, { '.driftlessignore': '!.env\n' });
    await world.until('b asks again', isAsking(b));
    expect(inRoom(a, '.env')).toBe(false);
  });
});

test('what waits on a disk inside the folder still waits when the disk was away', async () => {
  const [a, b] = await pair({ '.driftlessignore': 'data/\n', 'x.txt': 'x' });
  write(b, { 'data/key.pem': 'secret', 'data/photo.jpg': 'photo' });
  b.memory.disk.mount('/folder/data');
  write(a, { '.driftlessignore': '# nothing\n' });
  await world.until('b asks', isAsking(b));
  const mountAgain = b.memory.disk.unmount('/folder/data');
  b.memory.onHint({ path: 'data' as RelPath, deep: true });
  await later();
  mountAgain();
  b.memory.onHint({ path: 'data' as RelPath, deep: true });
  await later();
  expect(inRoom(a, 'data/key.pem')).toBe(false);
  expect(inRoom(a, 'data/photo.jpg')).toBe(false);
  expect(await heldAt(b)).toEqual([['data/key.pem'], ['data/photo.jpg']]);
});
