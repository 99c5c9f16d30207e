/** A deletion whose first files went before it was known for a large one, or that took new files along (rule LOG6; D6). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSeededRandom } from '../../engine/src/testing/seeded-random.ts';
import {
  asks,
  decline,
  declineStopped,
  declineWhilePaused,
  directories,
  has,
  isGone,
  pairWithThem,
  removeThem,
  writeThem,
} from './mass-deletions.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(() => world.close());

const pair = (isAllowed = false): Promise<readonly [Person, Person]> => pairWithThem(world, { a: isAllowed });
const contents = ({ user }: Person): readonly string[] =>
  Object.entries(user.tree())
    .flatMap(([path, text]) => (path.endsWith('/') ? [] : [text]))
    .sort();

// ── what comes back, and what does not ───────────────────────────────────────────────────────────────────────────────

test('a file that was deleted an hour before the folder is emptied stays deleted', async () => {
  const [a, b] = await pair();
  a.user.remove('one/f1.txt');
  await world.quiet();
  await world.clock.advance(3_600_000);
  removeThem(a);
  a.user.remove('stays.txt');
  await asks(world, a, 'root-emptied');
  await decline(world, a);
  expect(b.user.read('one/f2.txt')).toBe('one 2\n');
  for (const { user } of [a, b]) expect(user.read('one/f1.txt')).toBeUndefined();
});

test('of an emptied folder the first file is one of it, however the list changes while it is held', async () => {
  const [a, b] = await pair();
  const before = a.user.tree();
  a.user.remove('one/f1.txt');
  await isGone(world, b, 'one/f1.txt');
  removeThem(a);
  a.user.remove('stays.txt');
  await asks(world, a, 'root-emptied');
  await world.clock.advance(20_000);
  a.user.write('stays.txt', 'stays\n');
  await world.clock.advance(20_000);
  expect(await a.peer.holds()).toMatchObject([{ code: 'root-emptied', count: 239 }]);
  await decline(world, a);
  for (const { user } of [a, b]) expect(user.tree()).toEqual(before);
});

test('nor is it brought back because links came and went since', async () => {
  const [a, b] = await pair();
  a.user.remove('one/f1.txt');
  await world.quiet();
  for (let round = 0; round < 8; round += 1) {
    a.user.symlink('lock', 'stays.txt');
    await world.clock.advance(3_000);
    a.user.remove('lock');
    await world.clock.advance(3_000);
  }
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  await decline(world, a);
  for (const { user } of [a, b]) expect(user.read('one/f1.txt')).toBeUndefined();
});

test('what its user made and deleted within the burst does not come back', async () => {
  const [a, b] = await pair();
  a.user.remove('one/f1.txt');
  await isGone(world, b, 'one/f1.txt');
  a.user.write('scratch.tmp', 'scratch\n');
  await has(world, b, 'scratch.tmp', 'scratch\n');
  a.user.remove('scratch.tmp');
  await isGone(world, b, 'scratch.tmp');
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  await decline(world, a);
  expect(b.user.read('scratch.tmp')).toBeUndefined();
  expect(b.user.read('one/f1.txt')).toBe('one 1\n');
});

test('what is ignored by now is neither written here nor sent', async () => {
  const [a, b] = await pair();
  a.user.write('dist/out.js', 'built\n');
  await world.quiet();
  a.user.remove('dist');
  await isGone(world, b, 'dist');
  a.user.write('.gitignore', 'dist/\n');
  await has(world, b, '.gitignore', 'dist/\n');
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  await decline(world, a);
  for (const { user } of [a, b]) expect(user.mode('dist')).toBeUndefined();
  expect(a.events).toContainEqual(expect.objectContaining({ event: 'note', path: 'dist/out.js' }));
});

test('what lies in its place by now stays, and it is said', async () => {
  const [a, b] = await pair();
  a.user.write('alone/file.txt', 'alone\n');
  await world.quiet();
  a.user.remove('alone');
  await isGone(world, b, 'alone');
  a.user.write('alone', 'a file by now\n');
  await has(world, b, 'alone', 'a file by now\n');
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  expect(await a.peer.decline()).toMatchObject({ ok: true });
  await has(world, b, 'three/f79.txt', 'three 79\n');
  const isSaid = (): boolean => a.events.some((event) => event.event === 'note' && event.path === 'alone/file.txt');
  await world.until('it is said', isSaid);
  await world.quiet();
  expect(a.user.read('alone')).toBe('a file by now\n');
  // Nothing of it is left: the next deletion is one of its own.
  a.user.remove('two/f5.txt');
  await isGone(world, b, 'two/f5.txt');
});

test('on a disk that takes two names for one, the newer one stays', async () => {
  const [, b] = await pair();
  const c = world.person('c', { disk: { foldsCase: true } });
  c.start();
  await world.quiet();
  c.user.write('Readme.txt', 'old\n');
  await world.quiet();
  c.user.remove('Readme.txt');
  await isGone(world, b, 'Readme.txt');
  c.user.write('readme.txt', 'new\n');
  await has(world, b, 'readme.txt', 'new\n');
  removeThem(c);
  await asks(world, c, 'mass-deletion-held');
  await decline(world, c);
  // Young files are read a second time.
  await world.clock.advance(60_000);
  const before = c.changes;
  await world.clock.advance(10_000);
  expect(c.changes).toBe(before);
  expect(c.user.read('readme.txt')).toBe('new\n');
});

test('of a disk inside that is away at the answer, once it is there', async () => {
  const a = world.person('a');
  const b = world.person('b');
  writeThem(a);
  for (let index = 0; index < 5; index += 1) a.user.write(`data/p${index}.txt`, `photo ${index}\n`);
  a.user.write('stays.txt', 'stays\n');
  a.memory.disk.mount('/folder/data');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  a.user.remove('data/p1.txt');
  await isGone(world, b, 'data/p1.txt');
  const mountAgain = a.memory.disk.unmount('/folder/data');
  removeThem(a);
  const heldOf = async (): Promise<string | undefined> =>
    (await a.peer.holds()).find(({ kind }) => kind === 'deletions')?.id;
  await world.until('asks', () => (a.store.setting('holds') ?? '').includes('mass-deletion-held'));
  await world.clock.advance(5_000);
  expect(await a.peer.decline({ id: (await heldOf()) ?? '' })).toMatchObject({ ok: true });
  await has(world, a, 'three/f79.txt', 'three 79\n');
  await world.clock.advance(30_000);
  mountAgain();
  await world.clock.advance(60_000);
  await world.quiet();
  for (const { user } of [a, b]) expect(user.read('data/p1.txt')).toBe('photo 1\n');
});

test('one whose deletion the relay had not acknowledged before the folder was emptied', async () => {
  const [a, b] = await pair();
  const before = a.user.tree();
  world.relay.isSilent = true;
  a.user.remove('one/f1.txt');
  await world.clock.advance(300);
  world.relay.goesAway();
  world.relay.isSilent = false;
  await world.clock.advance(2_000);
  removeThem(a);
  a.user.remove('stays.txt');
  await asks(world, a, 'root-emptied');
  expect(await a.peer.decline()).toMatchObject({ ok: true });
  await world.clock.advance(5_000);
  world.relay.returns();
  await world.quiet();
  for (const { user } of [a, b]) expect(user.tree()).toEqual(before);
});

test.each([
  ['a disk that is full', 'disk'],
  ['a relay that gives no contents', 'relay'],
])('however long it takes: after ten minutes of %s', async (_what, where) => {
  const [a, b] = await pair();
  const [first, other] = ['first', 'other'].map((name) =>
    Buffer.from(createSeededRandom(name).bytes(1_500_000)).toString('base64'),
  ) as [string, string];
  a.user.write('one/first.bin', first);
  a.user.write('two/other.bin', other);
  await world.quiet();
  a.user.remove('one/first.bin');
  await isGone(world, b, 'one/first.bin');
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  // The small files fit.
  if (where === 'disk') a.memory.disk.setFreeBytes(500_000);
  else world.relay.losesChunks = true;
  expect(await a.peer.decline()).toMatchObject({ ok: true });
  await world.clock.advance(600_000);
  if (where === 'disk') a.memory.disk.setFreeBytes(null);
  else world.relay.losesChunks = false;
  await world.clock.advance(180_000);
  await world.quiet();
  for (const { user } of [a, b])
    expect([user.read('one/first.bin'), user.read('two/other.bin')]).toEqual([first, other]);
});

test.each([
  ['where it arrived', 'mass-deletion-incoming'],
  ['of a folder that was emptied', 'root-emptied'],
])(
  'not what a deletion took that was confirmed after a restart, weeks before the next one is declined, %s',
  async (_where, code) => {
    const [a, b] = await pair(code === 'mass-deletion-incoming');
    const asked = code === 'mass-deletion-incoming' ? b : a;
    a.user.remove('one/f1.txt');
    await isGone(world, b, 'one/f1.txt');
    removeThem(a);
    if (code === 'root-emptied') a.user.remove('stays.txt');
    await asks(world, asked, code);
    await asked.stop();
    asked.start();
    await asks(world, asked, code);
    expect(await asked.peer.confirm()).toMatchObject({ ok: true });
    if (asked === a && b.state()?.code === undefined) await world.until('b asks', () => b.state()?.code !== undefined);
    if (asked === a) expect(await b.peer.confirm()).toMatchObject({ ok: true });
    await isGone(world, b, 'one/f2.txt');
    await world.quiet();
    await world.clock.advance(3_600_000);
    for (let index = 0; index < 240; index += 1) a.user.write(`p/f${index}.txt`, `p ${index}\n`);
    await world.quiet();
    await world.clock.advance(3_600_000);
    a.user.remove('p');
    await asks(world, asked, code);
    await decline(world, asked);
    for (const { user } of [a, b])
      expect([user.read('p/f5.txt'), user.read('one/f1.txt'), user.read('one/f2.txt')]).toEqual([
        'p 5\n',
        undefined,
        undefined,
      ]);
  },
);

test('nor one that another machine made again meanwhile, and deleted', async () => {
  const [a, b] = await pair();
  a.user.remove('one/f1.txt');
  await isGone(world, b, 'one/f1.txt');
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  await declineWhilePaused(world, a);
  b.user.write('one/f1.txt', 'made again by b\n');
  await world.clock.advance(60_000);
  b.user.remove('one/f1.txt');
  await world.clock.advance(60_000);
  await a.peer.resume();
  await world.quiet();
  expect([b.user.read('one/f2.txt'), b.user.read('one/f1.txt')]).toEqual(['one 2\n', undefined]);
});

// ── beside what others do meanwhile ──────────────────────────────────────────────────────────────────────────────────

test.each(['there', 'here'])('its directory is renamed %s before it is back', async (where) => {
  const [a, b] = await pair();
  for (let index = 0; index < 6; index += 1) a.user.write(`dir/g${index}.txt`, `g ${index}\n`);
  await world.quiet();
  const before = contents(a);
  a.user.remove('dir/g1.txt');
  await isGone(world, b, 'dir/g1.txt');
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  await declineWhilePaused(world, a);
  (where === 'there' ? b : a).user.rename('dir', 'moved');
  await world.clock.advance(3_000);
  await a.peer.resume();
  await world.quiet();
  expect(contents(a)).toEqual(before);
  expect(a.user.tree()).toEqual(b.user.tree());
});

test.each(['paused', 'stopped'])(
  'a directory is renamed there before what is declined while %s is back',
  async (how) => {
    const [a, b] = await pair();
    const before = contents(a);
    for (const directory of directories)
      for (let index = 1; index < 80; index += 1) a.user.remove(`${directory}/f${index}.txt`);
    await asks(world, a, 'mass-deletion-held');
    if (how === 'stopped') await a.stop();
    else {
      await declineWhilePaused(world, a);
      a.kill();
    }
    b.user.rename('one', 'uno');
    await world.clock.advance(3_000);
    if (how === 'stopped') declineStopped(world, a);
    a.start();
    if (how === 'paused') await a.peer.resume();
    await world.quiet();
    for (const person of [a, b]) expect(contents(person)).toEqual(before);
  },
);

// ── new files that go with the rest ──────────────────────────────────────────────────────────────────────────────────

test.each([
  ['made', 'where it was made', false],
  ['made', 'where it arrives', true],
  ['moved into it', 'where it was made', false],
])('a file that was %s a moment before is listed and kept with the rest, %s', async (how, _where, allowMassDelete) => {
  const [a, b] = await pair(allowMassDelete);
  a.user.remove('one/f1.txt');
  await isGone(world, b, 'one/f1.txt');
  if (how === 'made') a.user.write('one/notes.md', 'my work\n');
  else a.user.rename('stays.txt', 'one/notes.md');
  const text = how === 'made' ? 'my work\n' : 'stays\n';
  await has(world, b, 'one/notes.md', text);
  a.user.write('else.txt', 'else\n');
  removeThem(a);
  const asked = allowMassDelete ? b : a;
  await asks(world, asked, allowMassDelete ? 'mass-deletion-incoming' : 'mass-deletion-held');
  expect((await asked.peer.holds())[0]?.paths).toContain('one/notes.md');
  expect(b.user.read('one/notes.md')).toBe(text);
  await decline(world, asked);
  for (const { user } of [a, b])
    expect([user.read('one/notes.md'), user.read('one/f2.txt')]).toEqual([text, 'one 2\n']);
});

test.each([
  ['where they are deleted', false],
  ['where they arrive', true],
])(
  'very many files that were made while the question stands, and go, are asked about as well, %s',
  async (_where, allowMassDelete) => {
    const [a, b] = await pair(allowMassDelete);
    const asked = allowMassDelete ? b : a;
    removeThem(a);
    await asks(world, asked, allowMassDelete ? 'mass-deletion-incoming' : 'mass-deletion-held');
    await world.clock.advance(600_000);
    for (let index = 0; index < 210; index += 1) a.user.write(`new/f${index}.txt`, `new ${index}\n`);
    await has(world, b, 'new/f209.txt', 'new 209\n');
    await world.clock.advance(60_000);
    a.user.remove('new');
    await world.clock.advance(90_000);
    expect((await asked.peer.holds())[0]?.paths).toContain('new/f0.txt');
    await decline(world, asked);
    for (const { user } of [a, b])
      expect([user.read('new/f0.txt'), user.read('one/f2.txt')]).toEqual(['new 0\n', 'one 2\n']);
  },
);

test('of an emptied folder one file comes back, and goes again as another comes: the list is of what is gone', async () => {
  const a = world.person('a');
  const b = world.person('b');
  for (let index = 0; index < 12; index += 1) a.user.write(`d/f${index}.txt`, `${index}\n`);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  const before = a.user.tree();
  a.user.remove('d');
  await asks(world, a, 'root-emptied');
  a.user.write('d/f1.txt', '1\n');
  await world.clock.advance(20_000);
  expect(await a.peer.holds()).toMatchObject([{ count: 11 }]);
  a.user.remove('d/f1.txt');
  a.user.write('d/f2.txt', '2\n');
  await world.clock.advance(30_000);
  expect((await a.peer.holds())[0]?.paths).toContain('d/f1.txt');
  await decline(world, a);
  expect(b.user.tree()).toEqual(before);
});

test.each(['confirmed', 'declined'])(
  'a question stays as it is while a program makes and removes files of its own, and is %s',
  async (answer) => {
    const [a, b] = await pair();
    removeThem(a);
    await asks(world, a, 'mass-deletion-held');
    const [hold] = await a.peer.holds();
    const names = ['one.pid', 'two.pid'];
    for (const name of names) {
      a.user.write(name, `${name}\n`);
      await has(world, b, name, `${name}\n`);
      a.user.remove(name);
      await world.clock.advance(2_000);
    }
    expect((await a.peer.holds())[0]?.id).toBe(hold?.id);
    const id = hold?.id ?? '';
    if (answer === 'declined') {
      expect(await a.peer.decline({ id })).toMatchObject({ ok: true });
      await world.quiet();
      // They were held back with the rest.
      for (const { user } of [a, b]) expect(names.map((name) => user.read(name))).toEqual(['one.pid\n', 'two.pid\n']);
      return;
    }
    expect(await a.peer.confirm({ id })).toMatchObject({ ok: true, holds: [{ count: 240 }] });
    await asks(world, b, 'mass-deletion-incoming');
    expect(await b.peer.confirm()).toMatchObject({ ok: true });
    await isGone(world, b, 'one/f1.txt');
    for (const name of names) await isGone(world, b, name);
  },
);

test('an answer holds for as long as one of its files cannot go: what a program makes and removes is no new question', async () => {
  const [a, b] = await pair(true);
  await world.clock.advance(60_000);
  removeThem(a);
  await asks(world, b, 'mass-deletion-incoming');
  a.user.write('one.pid', 'pid\n');
  await has(world, b, 'one.pid', 'pid\n');
  a.user.remove('one.pid');
  await world.clock.advance(5_000);
  b.folder.addFault({ operation: 'removeFile', path: 'one/f3.txt', code: 'EACCES', times: Number.POSITIVE_INFINITY });
  expect(await b.peer.confirm()).toMatchObject({ ok: true, holds: [{ count: 240 }] });
  await isGone(world, b, 'one/f4.txt');
  await world.clock.advance(120_000);
  expect(await b.peer.holds()).toEqual([]);
  expect(b.user.read('one.pid')).toBeUndefined();
  b.folder.clearFaults();
  await world.clock.advance(120_000);
  await world.quiet();
  expect(b.user.read('one/f3.txt')).toBeUndefined();
});

test('one whose last edit never came here comes back as it was here', async () => {
  const [a, b] = await pair(true);
  await b.peer.pause();
  a.user.write('one/f1.txt', 'never seen by b\n');
  await world.clock.advance(5_000);
  a.user.remove('one/f1.txt');
  await world.clock.advance(5_000);
  await b.peer.resume();
  await isGone(world, b, 'one/f1.txt');
  removeThem(a);
  await asks(world, b, 'mass-deletion-incoming');
  await decline(world, b);
  for (const { user } of [a, b]) expect(user.read('one/f1.txt')).toBe('one 1\n');
});
