/** Private files and executable bits between whole peers (M5, M18). Permission bits are those of the simulated disk, umask 022. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(() => world.close());

const modes = (one: Person, ...paths: string[]): string[] =>
  paths.map((path) => one.user.mode(path)?.toString(8) ?? 'absent');
const copiesOf = (one: Person): string[] => Object.keys(one.user.tree()).filter((path) => path.includes('.conflict-'));

/** Two peers with a private key and a plain file, in sync. */
async function pair(): Promise<{ a: Person; b: Person }> {
  const [a, b] = [world.person('a'), world.person('b')];
  a.user.write('key', 'one\ntwo\nthree\nfour\nfive\n');
  a.user.setMode('key', 0o600);
  a.user.write('plain', 'p\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  return { a, b };
}

test('a private file arrives private, an executable one 0700, any other by the umask', async () => {
  const { a, b } = await pair();
  a.user.write('run', '#!');
  a.user.setMode('run', 0o700);
  a.user.write('shared', 's');
  a.user.setMode('shared', 0o664);
  await world.quiet();
  expect(modes(b, 'key', 'plain', 'run', 'shared')).toEqual(['600', '644', '700', '644']);
});

test('an update keeps the bits of the file here', async () => {
  const { a, b } = await pair();
  b.user.setMode('plain', 0o664);
  await world.quiet();
  a.user.write('plain', 'p2\n');
  await world.quiet();
  expect([b.user.read('plain'), ...modes(b, 'plain'), ...modes(a, 'plain')]).toEqual(['p2\n', '664', '644']);
});

test('an editor that replaces a private file does not open it, here or there, at once or offline', async () => {
  const { a, b } = await pair();
  a.user.replace('key', 'edited\n');
  expect(modes(a, 'key')).toEqual(['644']);
  await world.quiet();
  expect([b.user.read('key'), ...modes(a, 'key'), ...modes(b, 'key')]).toEqual(['edited\n', '600', '600']);
  await b.stop();
  b.user.replace('key', 'edited while nothing ran\n');
  b.start();
  await world.quiet();
  expect([a.user.read('key'), ...modes(a, 'key'), ...modes(b, 'key')]).toEqual([
    'edited while nothing ran\n',
    '600',
    '600',
  ]);
});

test('a chmod sets and clears it, alone or while the other side edits', async () => {
  const { a, b } = await pair();
  b.user.setMode('key', 0o644);
  a.user.setMode('plain', 0o600);
  await world.quiet();
  expect([modes(a, 'key', 'plain'), modes(b, 'key', 'plain')]).toEqual([
    ['644', '600'],
    ['644', '600'],
  ]);
  await b.stop();
  a.user.setMode('key', 0o600);
  b.user.write('key', 'edited at b\n');
  await world.quiet();
  b.start();
  await world.quiet();
  expect([a.user.read('key'), ...modes(a, 'key'), ...modes(b, 'key')]).toEqual(['edited at b\n', '600', '600']);
  expect(copiesOf(a)).toEqual([]);
});

test('what is merged keeps the flag of either side', async () => {
  const { a, b } = await pair();
  a.user.setMode('key', 0o644);
  a.user.write('plain', '1\n2\n3\n4\n5\n');
  await world.quiet();
  await b.stop();
  a.user.write('plain', '1 a\n2\n3\n4\n5\n');
  a.user.setMode('plain', 0o600);
  b.user.write('plain', '1\n2\n3\n4\n5 b\n');
  await world.quiet();
  b.start();
  await world.quiet();
  expect(b.user.read('plain')).toBe('1 a\n2\n3\n4\n5 b\n');
  expect([a.user.read('plain'), ...modes(a, 'plain'), ...modes(b, 'plain')]).toEqual([
    b.user.read('plain'),
    '600',
    '600',
  ]);
});

test.each([
  { title: 'private before', at: 'before' },
  { title: 'made private by the winner', at: 'a' },
  { title: 'made private by the loser', at: 'b' },
])('a conflict copy has no wider permissions than its file: $title', async ({ at }) => {
  const { a, b } = await pair();
  a.user.write('file', 'base\n');
  if (at === 'before') a.user.setMode('file', 0o600);
  await world.quiet();
  await b.stop();
  a.user.write('file', 'by a\n');
  if (at === 'a') a.user.setMode('file', 0o600);
  b.user.write('file', 'by b\n');
  if (at === 'b') b.user.setMode('file', 0o600);
  await world.quiet();
  b.start();
  await world.quiet();
  expect(copiesOf(b)).toHaveLength(1);
  expect(copiesOf(a)).toEqual(copiesOf(b));
  for (const one of [a, b]) expect(modes(one, ...copiesOf(one))).toEqual(['600']);
  if (at !== 'b') for (const one of [a, b]) expect(modes(one, 'file')).toEqual(['600']);
});

test('a conflict copy gets the bits of its file, also where it arrives', async () => {
  const { a, b } = await pair();
  a.user.setMode('plain', 0o640);
  b.user.setMode('plain', 0o640);
  await world.quiet();
  await b.stop();
  a.user.write('plain', 'by a\n');
  b.user.write('plain', 'by b\n');
  await world.quiet();
  b.start();
  await world.quiet();
  for (const one of [a, b]) expect(modes(one, 'plain', ...copiesOf(one))).toEqual(['640', '640']);
});

test('moves, and files that come back from a deletion, stay private', async () => {
  const { a, b } = await pair();
  a.user.rename('key', 'moved/key');
  await world.quiet();
  expect(modes(b, 'moved/key')).toEqual(['600']);
  await b.stop();
  a.user.remove('moved');
  b.user.replace('moved/key', 'edited at b\n');
  await world.quiet();
  b.start();
  await world.quiet();
  expect([a.user.read('moved/key'), ...modes(a, 'moved/key'), ...modes(b, 'moved/key')]).toEqual([
    'edited at b\n',
    '600',
    '600',
  ]);
});

test('a private file whose mode cannot be changed is synced, and told', async () => {
  const { a, b } = await pair();
  a.folder.addFault({ operation: 'setMode', code: 'EPERM', times: Number.POSITIVE_INFINITY });
  a.user.replace('key', 'edited\n');
  await world.quiet();
  expect(b.user.read('key')).toBe('edited\n');
  expect(modes(a, 'key')).toEqual(['644']);
  expect(modes(b, 'key')).toEqual(['600']);
  expect((await a.peer.status()).problems.map(({ path }) => path)).toEqual(['key']);
  const verifying = a.peer.verify();
  await world.quiet();
  expect((await verifying).differences.map(({ path }) => path)).toEqual(['key']);
  // As soon as it can be, it is.
  a.folder.clearFaults();
  a.user.write('key', 'edited again\n');
  await world.quiet();
  expect(modes(a, 'key')).toEqual(['600']);
  expect((await a.peer.status()).problems).toEqual([]);
});

test.each([
  { title: 'made private', from: 0o644, to: 0o600 },
  { title: 'opened', from: 0o600, to: 0o644 },
])(
  'a peer that ends at any moment of an update believes the room, not the bits that it half set: $title',
  async (way) => {
    let died = 0;
    for (let n = 1; ; n += 1) {
      await world.close();
      world = createSmallWorld();
      const [a, b] = [world.person('a'), world.person('b')];
      a.user.write('file', 'old\n');
      a.user.setMode('file', way.from);
      a.start();
      await world.quiet();
      b.start();
      await world.quiet();
      await b.stop();
      a.user.setMode('file', way.to);
      await world.quiet();
      a.user.write('file', 'new\n');
      await world.quiet();
      b.killBefore(n, n % 2 === 0 ? 'kill' : 'power-cut');
      b.start();
      await world.until('dead or at rest', () => b.isDead || b.user.read('file') === 'new\n');
      await world.quiet();
      if (!b.isDead) break;
      died += 1;
      b.start();
      await world.quiet();
      for (const one of [a, b])
        expect([one.user.read('file'), ...modes(one, 'file')], `change ${n}: ${b.trace.at(-1)}`).toEqual([
          'new\n',
          way.to.toString(8),
        ]);
    }
    expect(died).toBeGreaterThan(10);
  },
);
