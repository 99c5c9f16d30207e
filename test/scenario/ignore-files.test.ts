/**
 * What a folder leaves out by its rules: as git would, at every machine, also while an ignore file cannot be read, is too
 * large or changes under others' hands; and that people are told which rule it was (IG1, IG2, IG5).
 */
import type { RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ignoreFileBytesMax } from '../../engine/src/core/scope/ignore-text.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

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
const isInRoom = (person: Person, path: string): boolean =>
  person.store.manifest.slot(path as RelPath)?.kind === 'file';
const problemsOf = async (person: Person) =>
  (await person.peer.status()).problems.map(({ path, reason }) => `${path}: ${reason}`);

describe('rules that are not understood to their end', () => {
  test('an ignore file that is too large: its first lines hold, new files below its directory stay here, the rest goes on', async () => {
    const [a, b] = await pair({ 'd/shared.txt': '1\n', 'top.txt': '1\n' });
    const padding = `# ${'x'.repeat(1_020)}\n`.repeat(1 + ignoreFileBytesMax / 1_024);
    write(a, { 'd/.gitignore': `*.key\n${padding}secret.txt\n` });
    await world.quiet();
    write(a, { 'd/a.key': 'k', 'd/secret.txt': 's', 'd/e/new.txt': 'n', 'new.txt': 'n' });
    write(a, { 'd/shared.txt': '2\n', 'top.txt': '2\n' });
    write(b, { 'd/from-b.txt': 'b\n' });
    await world.quiet();
    expect(b.user.read('new.txt')).toBe('n');
    expect([b.user.read('d/shared.txt'), b.user.read('top.txt')]).toEqual(['2\n', '2\n']);
    for (const path of ['d/a.key', 'd/secret.txt', 'd/e/new.txt', 'd/from-b.txt'])
      expect([path, isInRoom(a, path)]).toEqual([path, false]);
    expect(await problemsOf(a)).toContainEqual(
      expect.stringMatching(/^d\/\.gitignore: is too large.*stays unpublished/),
    );
    expect((await a.peer.explain('d/secret.txt')).lines.join('\n')).toContain('d/.gitignore');

    write(a, { 'd/.gitignore': '*.key\nsecret.txt\n' });
    // At b it is another machine's rule that takes its file in: it is asked first.
    await world.until('b asks', () => b.state()?.code === 'scope-held');
    expect((await b.peer.holds()).map(({ paths }) => paths)).toEqual([['d/from-b.txt']]);
    await b.peer.confirm();
    await world.quiet();
    expect(a.user.tree()).toMatchObject({ 'd/from-b.txt': 'b\n' });
    expect(b.user.tree()).toMatchObject({ 'd/e/new.txt': 'n' });
    expect([isInRoom(a, 'd/a.key'), isInRoom(a, 'd/secret.txt')]).toEqual([false, false]);
    expect(await problemsOf(a)).toEqual([]);
  });

  test('an ignore file that cannot be read: what it left out until now stays out, and nothing new below it is published', async () => {
    const [a, b] = await pair({ 'd/.gitignore': '*.key\n', 'd/shared.txt': '1\n', 'top.txt': '1\n' });
    write(a, { 'd/a.key': 'k' });
    await world.quiet();
    a.folder.addFault({ operation: 'openFile', path: 'd/.gitignore', code: 'EACCES', times: Number.POSITIVE_INFINITY });
    write(a, { 'd/.gitignore': '*.key\nnew.txt\n' });
    await world.clock.advance(500);
    write(a, { 'd/b.key': 'k', 'd/new.txt': 'n', 'd/shared.txt': '2\n', 'new.txt': 'n' });
    await world.until('the rest', () => b.user.read('new.txt') === 'n' && b.user.read('d/shared.txt') === '2\n');
    for (const path of ['d/a.key', 'd/b.key', 'd/new.txt']) expect(isInRoom(a, path)).toBe(false);
    expect(await problemsOf(a)).toContainEqual(expect.stringMatching(/^d\/\.gitignore: cannot be read/));
    a.folder.clearFaults();
    write(a, { 'd/.gitignore': '*.key\n' });
    await world.quiet();
    expect(b.user.read('d/new.txt')).toBe('n');
    expect([isInRoom(a, 'd/a.key'), isInRoom(a, 'd/b.key')]).toEqual([false, false]);
  });

  test('lines that match nothing in git match nothing here, and are named', async () => {
    const [a, b] = await pair({ '.gitignore': '*.log\nsrc[\n', 'src[': 's', 'a.log': 'l' });
    expect(b.user.tree()).toEqual({ '.gitignore': '*.log\nsrc[\n', 'src[': 's' });
    expect(await problemsOf(a)).toEqual([
      '.gitignore: line 2: src[ matches nothing, as in git: it has a [ without its ]',
    ]);
  });
});

describe('the rule is named', () => {
  test.each([
    [
      'build/x/y.o',
      'ignored by .gitignore:2: build/, which leaves out the directory build',
      'add !/build/ to .driftlessignore',
    ],
    ['sub/a.tmp', 'ignored by sub/.gitignore:1: *.tmp', 'add !/sub/a.tmp to .driftlessignore'],
    ['secret', 'ignored by .driftlessignore:1: /secret', 'change that line'],
    [
      'node_modules/x.js',
      'ignored by a default: node_modules/, which leaves out the directory node_modules',
      'add !/node_modules/ to .driftlessignore',
    ],
    ['.git/config', 'not synced: version control folders and .driftless are never synced', ''],
  ])('%s', async (path, rule, back) => {
    const files = { '.gitignore': '# x\nbuild/\n', 'sub/.gitignore': '*.tmp\n', '.driftlessignore': '/secret\n' };
    const [a] = await pair({ ...files, [path]: 'x' });
    const { lines } = await a.peer.explain(path);
    expect(lines[0]).toContain(rule);
    expect(lines.join('\n')).toContain(back);
  });

  test('status names it for each path that is left out', async () => {
    const [a] = await pair({ '.gitignore': 'build/\n', 'build/x': 'x', 'a~': 'x' });
    expect((await a.peer.status()).outOfScopePaths).toEqual([
      { path: 'a~', reason: 'ignored', rule: 'a default: *~' },
      { path: 'build', reason: 'ignored', rule: '.gitignore:1: build/' },
    ]);
  });
});

describe('two machines change an ignore file while apart', () => {
  async function apart(files: Tree, byA: () => void, byB: () => void, a: Person, b: Person): Promise<void> {
    write(a, files);
    a.start();
    await world.quiet();
    b.start();
    await world.quiet();
    await b.stop();
    byA();
    await world.quiet();
    byB();
    b.start();
    await world.quiet();
  }

  test.each(['keep-both', 'ask', 'newest'] as const)(
    '%s: each adds a line: what either left out stays where it is, and is said',
    async (policy) => {
      const [a, b] = [world.person('a', { policy }), world.person('b', { policy })];
      await apart(
        { '.gitignore': '*.log\n', k: 'k' },
        () => write(a, { '.gitignore': '*.log\nbuild/\n', 'build/secret-a': 'a' }),
        () => write(b, { '.gitignore': '*.log\ndist/\n', 'dist/big-b': 'b', 'build/from-b': 'b', 'new-b': 'b' }),
        a,
        b,
      );
      const shared = { '.gitignore': '*.log\nbuild/\ndist/\n', k: 'k', 'new-b': 'b' };
      expect(a.user.tree()).toEqual({ ...shared, 'build/': '', 'build/secret-a': 'a' });
      expect(b.user.tree()).toEqual({ ...shared, 'build/': '', 'build/from-b': 'b', 'dist/': '', 'dist/big-b': 'b' });
      expect([...(await a.peer.conflicts()), ...(await b.peer.conflicts())]).toEqual([]);
      expect(b.events).toContainEqual({ event: 'note', path: '.gitignore', note: expect.stringContaining('"!" line') });
      write(a, { 'dist/a': 'a' });
      write(b, { 'build/b': 'b', 'c.log': 'l' });
      await world.quiet();
      for (const path of ['dist/a', 'build/b', 'c.log']) expect([path, isInRoom(a, path)]).toEqual([path, false]);
    },
  );

  test('each makes one before they ever met', async () => {
    const [a, b] = [world.person('a'), world.person('b')];
    write(a, { '.driftlessignore': 'secret-a\n', 'secret-a': 'a', 'a.txt': 'a' });
    write(b, { '.driftlessignore': 'secret-b\n!*.log\n', 'secret-b': 'b', 'secret-a': 'of b' });
    a.start();
    await world.quiet();
    b.start();
    await world.quiet();
    expect(a.user.read('.driftlessignore')).toBe(b.user.read('.driftlessignore'));
    expect(a.user.read('.driftlessignore')?.split('\n')).toEqual(
      expect.arrayContaining(['secret-a', 'secret-b', expect.stringMatching(/^#.*!\*\.log$/)]),
    );
    for (const path of ['secret-a', 'secret-b']) expect([path, isInRoom(a, path)]).toEqual([path, false]);
    expect(b.user.read('secret-a')).toBe('of b');
    expect(Object.keys(a.user.tree()).sort()).toEqual(['.driftlessignore', 'a.txt', 'secret-a']);
  });

  test('one deletes a line, the other adds one: nothing comes into scope', async () => {
    const [a, b] = [world.person('a'), world.person('b')];
    await apart(
      { '.gitignore': 'secret\n*.log\n', k: 'k' },
      () => write(a, { '.gitignore': '*.log\n' }),
      () => write(b, { '.gitignore': 'secret\n*.log\nx\n', secret: 'b' }),
      a,
      b,
    );
    expect(a.user.read('.gitignore')).toBe('secret\n*.log\nx\n');
    expect(isInRoom(a, 'secret')).toBe(false);
  });
});

describe('an ignore file of the room that this disk cannot take', () => {
  const forever = { times: Number.POSITIVE_INFINITY };
  test.each<readonly [string, (b: Person) => void]>([
    [
      'the disk refuses it',
      (b) => b.folder.addFault({ operation: 'swapIn', path: '.gitignore', code: 'EACCES', ...forever }),
    ],
    ['its content cannot be staged', (b) => b.folder.addFault({ operation: 'commit', code: 'EIO', ...forever })],
    ['a directory of ignored things is in its way', (b) => write(b, { '.gitignore/node_modules/x': 'x' })],
    ['a pipe is in its way', (b) => b.user.pipe('.gitignore')],
    ['a link that leads out is in its way', (b) => b.user.symlink('.gitignore', '/etc/hosts')],
  ])('%s: its rules hold all the same, and the rest goes on', async (_, hinder) => {
    const [a, b] = await pair({ 'k.txt': 'k', 'd/k.txt': 'k' });
    hinder(b);
    await world.clock.advance(1_000);
    write(a, { '.gitignore': 'build/\n*.key\n', 'a.txt': 'a', 'd/k.txt': 'edited' });
    await world.clock.advance(3_000);
    b.folder.clearFaults();
    b.folder.addFault({ operation: 'swapIn', path: '.gitignore', code: 'EACCES', ...forever });
    write(b, { 'build/o': 'o', 'd/a.key': 'k', 'new.txt': 'n', 'k.txt': 'by b' });
    await world.until('the rest, here', () => b.user.read('a.txt') === 'a' && b.user.read('d/k.txt') === 'edited');
    await world.until('the rest, there', () => a.user.read('new.txt') === 'n' && a.user.read('k.txt') === 'by b');
    await world.clock.advance(5_000);
    for (const path of ['build/o', 'd/a.key']) expect([path, isInRoom(a, path)]).toEqual([path, false]);
    expect((await b.peer.explain('d/a.key')).lines.join('\n')).toContain('.gitignore:2: *.key');
    // A restart changes nothing of it.
    await b.stop();
    b.start();
    b.folder.addFault({ operation: 'swapIn', path: '.gitignore', code: 'EACCES', ...forever });
    write(b, { 'e/b.key': 'k', 'more.txt': 'm' });
    await world.until('more', () => a.user.read('more.txt') === 'm');
    for (const path of ['build/o', 'd/a.key', 'e/b.key']) expect([path, isInRoom(a, path)]).toEqual([path, false]);
  });
});
