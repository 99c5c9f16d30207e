/** What ends a question about a deletion, and what does not: its answer, and nothing that happens beside it (rule LOG6; D6). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  asks,
  confirmStopped,
  decline,
  directories,
  has,
  isGone,
  pairWithThem,
  removeThem,
  writeThem,
} from './mass-deletions.ts';
import { createSmallWorld, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(() => world.close());

test.each([false, true])(
  'what waits where it arrives is kept while the room renames its directory (restarted: %s)',
  async (isRestarted) => {
    const [a, b] = await pairWithThem(world, { a: true });
    removeThem(a);
    await asks(world, b, 'mass-deletion-incoming');
    if (isRestarted) {
      await b.stop();
      b.start();
      await asks(world, b, 'mass-deletion-incoming');
    }
    // More than were there, so that the directory as a whole is the renamed one.
    for (let index = 0; index < 260; index += 1) a.user.write(`one/g${index}.txt`, `g ${index}\n`);
    await has(world, b, 'one/g259.txt', 'g 259\n');
    const [question] = await b.peer.holds();
    a.user.rename('one', 'uno');
    await has(world, b, 'uno/g259.txt', 'g 259\n');
    await world.clock.advance(60_000);
    expect(await b.peer.holds()).toEqual([question]);
    expect(question?.count).toBe(240);
    await decline(world, b);
    for (const { user } of [a, b])
      expect([user.read('one/f5.txt'), user.read('uno/g5.txt')]).toEqual(['one 5\n', 'g 5\n']);
  },
);

test('a confirmed question is over: what is deleted a moment later is no part of it', async () => {
  const [a, b] = await pairWithThem(world, { a: true }, { 'else.txt': 'else\n' });
  a.user.remove('one/f1.txt');
  await isGone(world, b, 'one/f1.txt');
  removeThem(a);
  await asks(world, b, 'mass-deletion-incoming');
  expect(await b.peer.confirm()).toMatchObject({ ok: true });
  await isGone(world, b, 'three/f79.txt');
  await world.clock.advance(2_000);
  a.user.remove('else.txt');
  await isGone(world, b, 'else.txt');
  expect(await b.peer.holds()).toEqual([]);
});

test('… also while a conflict is open beside it', async () => {
  const a = world.person('a', { policy: 'ask', allowMassDelete: true });
  const b = world.person('b', { policy: 'ask' });
  writeThem(a);
  for (const path of ['else.txt', 'both.txt']) a.user.write(path, `${path}\n`);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  await b.stop();
  a.user.write('both.txt', 'by a\n');
  await world.quiet();
  b.user.write('both.txt', 'by b\n');
  b.start();
  await world.until('a conflict', () => b.store.heldRows().length > 0);
  await world.clock.advance(60_000);
  removeThem(b);
  await asks(world, b, 'mass-deletion-held');
  expect(await b.peer.confirm()).toMatchObject({ ok: true });
  await isGone(world, a, 'three/f79.txt');
  await world.clock.advance(2_000);
  b.user.remove('else.txt');
  await isGone(world, a, 'else.txt');
  expect(await b.peer.holds()).toEqual([]);
});

test.each([
  ['runs', false],
  ['is stopped', true],
])('… or while a deletion waits for an editor there (answered while it %s)', async (_how, isStopped) => {
  const [a, b] = await pairWithThem(world, { a: true }, { 'else.txt': 'else\n', 'open.txt': 'open\n' });
  await b.peer.holdUnsaved('window', [{ path: 'open.txt', loaded: null, merged: null }]);
  a.user.remove('open.txt');
  await world.clock.advance(20_000);
  removeThem(a);
  await asks(world, b, 'mass-deletion-incoming');
  if (isStopped) {
    await b.stop();
    confirmStopped(world, b);
    b.start();
    await b.peer.holdUnsaved('window', [{ path: 'open.txt', loaded: null, merged: null }]);
  } else expect(await b.peer.confirm()).toMatchObject({ ok: true });
  await isGone(world, b, 'three/f79.txt');
  await world.clock.advance(isStopped ? 2_000 : 60_000);
  a.user.remove('else.txt');
  await isGone(world, b, 'else.txt');
  expect(await b.peer.holds()).toEqual([]);
});

test('a program that keeps the last ten of its files is no mass deletion, however long it runs', async () => {
  const [a, b] = await pairWithThem(world);
  for (let turn = 0; turn < 320; turn += 1) {
    a.user.write(`cam/${turn}.ts`, `segment ${turn}\n`);
    if (turn >= 10) a.user.remove(`cam/${turn - 10}.ts`);
    await world.clock.advance(2_000);
  }
  for (const { events } of [a, b])
    expect(events.filter((event) => event.event === 'state' && event.state === 'error')).toEqual([]);
  await isGone(world, b, 'cam/300.ts');
});

test('where it arrives it is asked about also if its sender took a while to answer, and much came with it', async () => {
  const [a, b] = await pairWithThem(world);
  for (let index = 0; index < 240; index += 1) a.user.write(`new/n${index}.txt`, `new ${index}\n`);
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  await has(world, b, 'new/n239.txt', 'new 239\n');
  await world.clock.advance(60_000);
  expect(await a.peer.confirm()).toMatchObject({ ok: true });
  await asks(world, b, 'mass-deletion-incoming');
  expect(await b.peer.holds()).toMatchObject([{ count: 240, author: 'a' }]);
  for (const directory of directories) expect(b.user.read(`${directory}/f7.txt`)).toBe(`${directory} 7\n`);
});

test('a program that goes on deleting old files hides nothing that is made and deleted meanwhile', async () => {
  const logs = Array.from({ length: 40 }, (_, index) => `log/${index}.log`);
  const [a] = await pairWithThem(world, {}, Object.fromEntries(logs.map((path) => [path, `${path}\n`])));
  const goOn = async (times: number): Promise<void> => {
    for (const path of logs.splice(0, times)) {
      a.user.remove(path);
      await world.clock.advance(5_000);
    }
  };
  await goOn(3);
  for (let index = 0; index < 400; index += 1) a.user.write(`work/w${index}.txt`, `work ${index}\n`);
  await goOn(10);
  a.user.remove('work');
  await asks(world, a, 'mass-deletion-held');
  expect(await a.peer.holds()).toMatchObject([{ count: 400 }]);
});
