/** What a folder's loss must not become: roots that vanish, empty or change, and mass deletions (D3–D6, F20). */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, unlinkSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ErrorCode } from '../../engine/src/control.ts';
import { createFileSecrets } from '../../engine/src/node/file-secrets.ts';
import { createFolderHost } from '../../engine/src/node/folder-host.ts';
import { openHome } from '../../engine/src/node/home.ts';
import { createWorld, type Person, treeOf, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await world.close();
});

const many = (count: number): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`dir${index % 7}/file${index}.txt`, `text ${index}\n`]),
  );
const halted = (person: Person, code: ErrorCode): Promise<void> =>
  person.until(code, () => person.state()?.code === code);
/** As `rm -rf` does, entry by entry, with or without our own directory. */
function empty(dir: string, { marker }: { readonly marker: boolean }): void {
  for (const name of readdirSync(dir))
    if (marker || name !== '.driftless') rmSync(path.join(dir, name), { recursive: true });
}

/** Asks what is asked on the command line while no peer runs. */
async function whileStopped<T>(
  person: Person,
  ask: (control: Awaited<ReturnType<ReturnType<typeof createFolderHost>['control']>>) => Promise<T>,
): Promise<T> {
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const home = await openHome(person.home);
  const host = createFolderHost({ home, secrets: createFileSecrets(home), ownerKind: 'cli', environment: {}, log });
  const control = await host.control(person.dir);
  try {
    return await ask(control);
  } finally {
    await control.close();
    await host.close();
  }
}

async function two(files: Record<string, string>): Promise<{ a: Person; b: Person; before: Record<string, string> }> {
  const a = await world.share('a', { files });
  const b = await world.join('b', a.invite);
  await world.settled(a, b);
  return { a, b, before: treeOf(b.dir) };
}

test('an emptied folder halts, and goes on by itself when the files come back', async () => {
  const { a, b, before } = await two(many(30));
  const saved = path.join(world.root, 'saved');
  cpSync(a.dir, saved, { recursive: true });
  // In one stroke: a scan that sees it half done is another story.
  await a.stop();
  empty(a.dir, { marker: false });
  await a.start();
  await halted(a, 'root-emptied');
  expect(treeOf(b.dir)).toEqual(before);
  for (const name of readdirSync(saved))
    if (name !== '.driftless') cpSync(path.join(saved, name), path.join(a.dir, name), { recursive: true });
  await a.until('idle', () => a.state()?.state === 'idle');
  await world.settled(a, b);
  expect(treeOf(a.dir)).toEqual(before);
  expect(treeOf(b.dir)).toEqual(before);
});

test('a folder wiped with its marker halts however few files it held; a confirmation lets it go', async () => {
  const { a, b, before } = await two({ 'one.txt': '1\n', 'two.txt': '2\n' });
  empty(a.dir, { marker: true });
  await halted(a, 'root-emptied');
  expect(treeOf(b.dir)).toEqual(before);
  await a.control.confirm();
  await b.until('gone', () => readdirSync(b.dir).every((name) => name === '.driftless'));
  await world.settled(a, b);
});

test('a replaced folder that is confirmed while no peer runs is compared like a first join', async () => {
  const { a, b, before } = await two(many(20));
  await a.stop();
  renameSync(a.dir, `${a.dir}-old`);
  mkdirSync(a.dir);
  a.write('other.txt', 'other\n');
  await a.start();
  await halted(a, 'root-replaced');
  await a.stop();
  await whileStopped(a, (control) => control.confirm());
  await a.start();
  await b.until('the new file', () => existsSync(path.join(b.dir, 'other.txt')));
  await world.settled(a, b);
  expect(treeOf(a.dir)).toEqual({ ...before, 'other.txt': treeOf(b.dir)['other.txt'] });
});

test('of a deletion that is held nothing goes out before it is confirmed', async () => {
  const { a, b, before } = await two(many(400));
  for (let index = 0; index < 300; index += 1) unlinkSync(path.join(a.dir, `dir${index % 7}/file${index}.txt`));
  await halted(a, 'mass-deletion-held');
  a.write('beside.txt', 'goes on\n');
  await b.until('the rest goes on', () => existsSync(path.join(b.dir, 'beside.txt')));
  const { 'beside.txt': _beside, ...rest } = treeOf(b.dir);
  expect(rest).toEqual(before);
  await a.control.confirm();
  await halted(b, 'mass-deletion-incoming');
  await b.control.confirm();
  await b.until('deleted', () => textFilesOf(b) === 101);
  await world.settled(a, b);
});

const git = (dir: string, ...rest: string[]): void =>
  void execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@example.org', ...rest], {
    cwd: dir,
    stdio: 'ignore',
  });
/** A branch `main` with one file, and `big`, checked out, with 300 more. */
function makeTwoBranches(person: Person, below: string, ...initOptions: string[]): void {
  const dir = path.join(person.dir, below);
  git(dir, 'init', '-q', '-b', 'main', ...initOptions);
  git(dir, 'add', '-A');
  git(dir, 'commit', '-qm', 'one');
  git(dir, 'checkout', '-qb', 'big');
  for (const [file, text] of Object.entries(many(300))) person.write(path.join(below, file), text);
  git(dir, 'add', '-A');
  git(dir, 'commit', '-qm', 'two');
}
/** By name alone: it is asked after each of some hundred events. */
const textFilesOf = (person: Person): number =>
  readdirSync(person.dir, { recursive: true }).filter((file) => /^(?!\.git\/).*\.(txt|md)$/.test(String(file))).length;
const hadErrors = (...people: Person[]): boolean =>
  people.some(({ events }) => events.some((event) => event.event === 'state' && event.state === 'error'));

// In the folder itself, in a repository inside it, and in one whose `.git` is a file, as a submodule's is.
for (const [where, below, initOptions] of [
  ['', '', []],
  [' in a repository inside the folder', 'inner', []],
  [' in a submodule', 'module', ['--separate-git-dir', '../.git/modules/module']],
] as const)
  test(`what git took away${where} needs no confirmation, also when it did so while no peer ran`, async () => {
    const a = await world.share('a', { files: { [path.join(below, 'readme.md')]: 'hello\n' } });
    if (below === 'module') mkdirSync(path.join(a.dir, '.git/modules'), { recursive: true });
    makeTwoBranches(a, below, ...initOptions);
    // A receiver measures for itself: this one was told to let it happen.
    const b = await world.join('b', a.invite, { allowMassDelete: true });
    await b.until('all files', () => textFilesOf(b) === 301);
    await world.settled(a, b);
    const inside = path.join(a.dir, below);
    git(inside, 'checkout', '-q', 'main');
    await b.until('main', () => textFilesOf(b) === 1);
    git(inside, 'checkout', '-q', 'big');
    await b.until('big', () => textFilesOf(b) === 301);
    await world.settled(a, b);
    await a.stop();
    git(inside, 'checkout', '-q', 'main');
    await a.start();
    await b.until('main again', () => textFilesOf(b) === 1);
    await world.settled(a, b);
    expect(hadErrors(a, b)).toBe(false);
  });

// git keeps these files: its index names each of them, or a directory for all of them.
for (const flag of ['--no-sparse-index', '--sparse-index'])
  test(`what a sparse checkout hides is not deleted for all (${flag})`, async () => {
    const files = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`docs/f${index}.txt`, `${index}\n`]));
    const a = await world.share('a', { files: { ...files, 'src/x.txt': 'x\n' } });
    git(a.dir, 'init', '-q', '-b', 'main');
    git(a.dir, 'add', '-A');
    git(a.dir, 'commit', '-qm', 'one');
    const b = await world.join('b', a.invite, { allowMassDelete: true });
    await world.settled(a, b);
    git(a.dir, 'sparse-checkout', 'set', '--cone', flag, 'src');
    await halted(a, 'mass-deletion-held');
    expect(textFilesOf(b)).toBe(301);
    expect(await a.control.holds()).toMatchObject([{ kind: 'deletions', direction: 'outgoing', count: 300 }]);
  });

for (const when of ['while it runs', 'while it is away'])
  test(`a commit of what is left after a held deletion is no confirmation of it (${when})`, async () => {
    const a = await world.share('a', { files: { 'readme.md': 'hello\n' } });
    makeTwoBranches(a, '');
    const b = await world.join('b', a.invite, { allowMassDelete: true });
    await b.until('all files', () => textFilesOf(b) === 301);
    await world.settled(a, b);
    for (let index = 0; index < 7; index += 1) rmSync(path.join(a.dir, `dir${index}`), { recursive: true });
    await halted(a, 'mass-deletion-held');
    const isAway = when === 'while it is away';
    if (isAway) await a.stop();
    git(a.dir, 'add', '-A');
    git(a.dir, 'commit', '-qm', 'three');
    if (isAway) await a.start();
    a.write('beside.txt', 'goes on\n');
    await b.until('the rest goes on', () => existsSync(path.join(b.dir, 'beside.txt')));
    expect(textFilesOf(b)).toBe(302);
    expect(a.state()?.code).toBe('mass-deletion-held');
  });

test('a start without .driftless goes on', async () => {
  const { a, b } = await two({ 'one.txt': '1\n' });
  await a.stop();
  rmSync(path.join(a.dir, '.driftless'), { recursive: true });
  await a.start();
  b.write('two.txt', '2\n');
  await a.until('the new file', () => existsSync(path.join(a.dir, 'two.txt')));
  await world.settled(a, b);
});

test("a relay's new key that is trusted while no peer runs is taken at the next start", async () => {
  const { a, before } = await two({ 'one.txt': '1\n' });
  await a.stop();
  await world.stopRelay();
  for (const name of ['relay', 'relay-home']) rmSync(path.join(world.root, name), { recursive: true, force: true });
  await world.startRelay();
  await a.start();
  await halted(a, 'relay-key-changed');
  const key = a.state()?.relayKey ?? '';
  await a.stop();
  await whileStopped(a, (control) => control.trustRelay(key));
  await a.start();
  await world.settled(a);
  expect(treeOf(a.dir)).toEqual(before);
});

test('verify and explain of a stopped folder look at the disk, by the ignore rules on it', async () => {
  const { a } = await two({ 'one.txt': '1\n', '.gitignore': '*.log\n' });
  await a.stop();
  a.write('new.txt', 'new\n');
  a.write('new.log', 'left out\n');
  const { verified, explained } = await whileStopped(a, async (control) => ({
    verified: await control.verify(),
    explained: await control.explain('new.log'),
  }));
  expect(verified).toMatchObject({ ok: false, differences: [{ path: 'new.txt' }] });
  expect(explained.lines).toEqual([
    'ignored by .gitignore:1: *.log',
    'to sync it, change that line, or add !/new.log to .driftlessignore',
  ]);
});
