/** How many paths one look takes in decides how fast things go, never what follows: the same with a few at a time (IG1, IG2, LOG6). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

/** Far fewer than any test moves. */
const few = 7;
const files = (directory: string, count: number): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `${directory}/d${index % 3}/f${String(index).padStart(3, '0')}`,
      `${directory} ${index}\n`,
    ]),
  );
const write = ({ user }: Person, of: Readonly<Record<string, string>>): void => {
  for (const [path, text] of Object.entries(of)) user.write(path, text);
};
async function pair(of: Readonly<Record<string, string>>): Promise<readonly [Person, Person]> {
  const [a, b] = [world.person('a', { rowsPerPlan: few }), world.person('b', { rowsPerPlan: few })];
  write(a, of);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  expect(b.user.tree()).toEqual(a.user.tree());
  return [a, b];
}
const lastChanges = (person: Person): number => person.store.recordMeta(person.store.head()?.height ?? 0)?.changes ?? 0;

test('an ignore rule holds for everything that arrives, also behind the first rows', async () => {
  const [a, b] = await pair({ '.gitignore': 'zzz/\n*.tmp\n', 'a.txt': 'a\n' });
  await b.stop();
  a.user.write('.gitignore', '# none\n');
  write(a, { ...files('aaa', 40), ...files('zzz', 20), 'mmm/x.tmp': 'x\n' });
  await world.quiet();
  expect(a.store.manifest.slot('zzz/d0/f000' as never)).not.toBeNull();
  // This machine has a rule of its own by then.
  a.user.write('.gitignore', 'zzz/\n*.tmp\n');
  await world.quiet();
  b.start();
  await world.quiet();
  const tree = b.user.tree();
  expect(Object.keys(tree).filter((path) => path.startsWith('zzz/') || path.endsWith('.tmp'))).toEqual([]);
  expect(Object.keys(tree).filter((path) => path.startsWith('aaa/') && !path.endsWith('/'))).toHaveLength(40);
});

test('an ignore file behind the first rows is applied before them', async () => {
  const [a, b] = await pair({ 'a.txt': 'a\n' });
  await b.stop();
  write(a, { ...files('aaa', 20), 'zzz/.gitignore': '*.log\n', 'zzz/x.txt': 'x\n' });
  await world.quiet();
  b.user.write('zzz/here.log', 'mine\n');
  b.start();
  await world.quiet();
  expect(b.user.read('zzz/x.txt')).toBe('x\n');
  expect(b.user.read('zzz/here.log')).toBe('mine\n');
  expect(a.user.read('zzz/here.log')).toBeUndefined();
});

test('the rename of a large directory is one change, whatever lies before and behind it', async () => {
  const [a, b] = await pair({ ...files('mmm', 60), 'keep.txt': 'keep\n' });
  a.user.rename('mmm', 'zzz');
  await world.quiet();
  expect(b.user.tree()).toEqual(a.user.tree());
  expect(lastChanges(a)).toBe(1);
  a.user.rename('zzz', 'bbb');
  await world.quiet();
  expect(b.user.tree()).toEqual(a.user.tree());
  expect(lastChanges(a)).toBe(1);
});

test('the rename of nearly all there is is a rename, and no mass deletion', async () => {
  const [a, b] = await pair({ ...files('mmm', 320), 'keep.txt': 'keep\n' });
  a.user.rename('mmm', 'zzz');
  await world.quiet();
  expect(b.user.tree()).toEqual(a.user.tree());
  expect(lastChanges(a)).toBe(1);
  expect([...a.events, ...b.events].filter((event) => event.event === 'problem')).toEqual([]);
});

test('renamed while the other side added more than one look takes in', async () => {
  const [a, b] = await pair({ ...files('mmm', 30), 'keep.txt': 'keep\n' });
  await b.stop();
  write(b, files('added', 30));
  a.user.rename('mmm', 'zzz');
  await world.quiet();
  b.start();
  await world.quiet();
  expect(b.user.tree()).toEqual(a.user.tree());
  expect(Object.keys(b.user.tree()).filter((path) => path.startsWith('mmm'))).toEqual([]);
});

test('a mass deletion is counted as a whole, and held', async () => {
  const [a, b] = await pair({ ...files('mmm', 320), ...files('keep', 100) });
  a.user.remove('mmm');
  await world.until('held', () => a.state()?.code === 'mass-deletion-held');
  await world.clock.advance(30_000);
  expect(a.state()?.code).toBe('mass-deletion-held');
  expect(Object.keys(b.user.tree()).filter((path) => path.startsWith('mmm/'))).not.toHaveLength(0);
  expect(b.user.read('mmm/d0/f000')).toBe('mmm 0\n');
});

test('a checkout is one record, however much it changes', async () => {
  const [a, b] = await pair(files('mmm', 30));
  await a.stop();
  write(a, { '.git/HEAD': 'ref: refs/heads/main\n', '.git/index': 'one' });
  a.start();
  await world.quiet();
  const heightBefore = a.store.head()?.height ?? 0;
  a.user.write('.git/HEAD', 'ref: refs/heads/other\n');
  a.user.write('.git/index', 'another');
  for (const path of Object.keys(files('mmm', 30))) a.user.write(path, 'of the other branch\n');
  write(a, files('nnn', 30));
  await world.quiet();
  expect(b.user.read('nnn/d0/f000')).toBe('nnn 0\n');
  const [label, height] = [a.store.recordMeta(heightBefore + 1)?.label, a.store.head()?.height];
  expect({ label, height }).toEqual({ label: 'git switch other', height: heightBefore + 1 });
});

test('what comes in its place comes before anything goes, at the sender and at the receiver', async () => {
  const [a, b] = await pair({ ...files('mmm', 30), 'keep.txt': 'keep\n' });
  await b.stop();
  await a.stop();
  // Renamed and edited: no content says that these are the same files.
  a.user.remove('mmm');
  write(a, Object.fromEntries(Object.keys(files('aaa', 30)).map((path) => [path, `edited ${path}\n`])));
  const [sentBefore, appliedBefore] = [a.events.length, b.events.length];
  a.start();
  await world.until('sent', () => a.state()?.state === 'idle' && a.store.counts().pending === 0);
  b.start();
  await world.quiet();
  expect(b.user.tree()).toEqual(a.user.tree());
  const order = (person: Person, kind: 'sent' | 'applied', from: number): string =>
    person.events
      .slice(from)
      .flatMap((event) => (event.event === kind ? [event.deleted === true ? '-' : '+'] : []))
      .join('');
  expect(order(a, 'sent', sentBefore)).toMatch(/^\++-+$/);
  expect(order(b, 'applied', appliedBefore)).toMatch(/^\++-+$/);
});

test('more large files than a look takes in do not hide a small one behind them', async () => {
  const [a, b] = await pair({ 'k.txt': 'k\n' });
  const { promise: gate, resolve: release } = Promise.withResolvers<void>();
  const { stage } = b.folder;
  b.folder.stage = async (options) => {
    if (options.near.endsWith('.bin')) await gate;
    return stage(options);
  };
  const large = (index: number): string => `${index}`.repeat(1_200_000);
  for (let index = 0; index < few + 2; index += 1) a.user.write(`a${index}.bin`, large(index));
  await world.until('all are sent', () => a.state()?.pending === 0);
  a.user.write('z.txt', 'small\n');
  await world.until('the small one', () => b.user.read('z.txt') === 'small\n', 5_000);
  expect(b.user.read('a0.bin')).toBeUndefined();
  release();
  await world.quiet();
  expect(b.user.tree()).toEqual(a.user.tree());
});
