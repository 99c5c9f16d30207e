/**
 * A peer that can do nothing rests (rule RUN): whatever it waits for, it turns a few times a minute, says why it waits, and
 * goes on by itself when what hindered it is over. Turns are counted by the timers that the loop sets.
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

const minuteMs = 60_000;
/** Two for each look at the root, which all other checks go along with, and a few of presence, retries and the background sweep. */
const timersPerMinuteMax = 90;

async function shared(files = 3): Promise<Person> {
  const a = world.person('a');
  for (let index = 0; index < files; index += 1) a.user.write(`d/f${index}.txt`, `${index}\n`);
  a.start();
  await world.quiet();
  return a;
}
/** After what began the state has come to rest. */
async function expectRest(): Promise<void> {
  await world.clock.advance(5_000);
  const before = world.clock.timersSet;
  // In steps, so that a loop without end fails within a moment.
  for (let passedMs = 0; passedMs < minuteMs; passedMs += 1_000) {
    await world.clock.advance(1_000);
    expect(world.clock.timersSet - before).toBeLessThan(timersPerMinuteMax);
  }
}
const fail = (person: Person, path: string): void =>
  person.folder.addFault({ operation: 'openFile', path, code: 'EACCES', times: Number.POSITIVE_INFINITY });

describe('a peer that waits, rests', () => {
  test('in sync', async () => {
    await shared();
    await expectRest();
  });

  test('offline, with an edit', async () => {
    const a = await shared();
    world.relay.goesAway();
    a.user.write('d/f0.txt', 'edited\n');
    await expectRest();
    expect(a.state()?.state).toBe('offline');
    world.relay.returns();
    await world.quiet();
    expect(a.store.counts().pending).toBe(0);
  });

  test('offline, with a path that is to be tried again', async () => {
    const a = await shared();
    const b = world.person('b');
    b.start();
    await world.quiet();
    b.folder.addFault({ operation: 'swapIn', code: 'EACCES', times: Number.POSITIVE_INFINITY });
    a.user.write('d/f0.txt', 'edited\n');
    await world.until('the failure', () => b.store.row('d/f0.txt' as RelPath)?.problem != null);
    world.relay.goesAway();
    await expectRest();
    b.folder.clearFaults();
    world.relay.returns();
    await world.quiet();
    expect(b.user.tree()).toEqual(a.user.tree());
  });

  test('paused, with an edit; and started while paused', async () => {
    const a = await shared();
    const paused = a.peer.pause();
    await world.until('paused', () => a.state()?.state === 'paused');
    await paused;
    a.user.write('d/f0.txt', 'edited\n');
    await expectRest();
    await a.stop();
    a.start();
    await expectRest();
    expect(a.state()?.state).toBe('paused');
    void a.peer.resume();
    await world.quiet();
    expect(a.store.counts().pending).toBe(0);
  });

  test('the folder is missing, with an edit before it went', async () => {
    const a = await shared();
    a.user.write('d/f0.txt', 'edited\n');
    a.folder.addFault({ operation: 'root', code: 'ENOENT', times: Number.POSITIVE_INFINITY });
    await expectRest();
    expect(a.state()?.code).toBe('root-missing');
    a.folder.clearFaults();
    await world.quiet();
    expect(a.store.counts().pending).toBe(0);
  });

  test('every file is gone', async () => {
    const a = await shared(50);
    a.user.remove('d');
    await expectRest();
    expect(a.state()?.code).toBe('root-emptied');
  });

  test('deletions are held, and a path fails', async () => {
    const a = await shared(500);
    for (let index = 0; index < 400; index += 1) a.user.remove(`d/f${index}.txt`);
    a.user.write('d/f450.txt', 'edited\n');
    fail(a, 'd/f450.txt');
    await expectRest();
    expect(a.state()?.code).toBe('mass-deletion-held');
  });

  test('deletions of another machine are held', async () => {
    const a = await shared(300);
    const b = world.person('b');
    b.start();
    await world.quiet();
    for (let index = 0; index < 210; index += 1) a.user.remove(`d/f${index}.txt`);
    await world.until('asked', () => a.state()?.code === 'mass-deletion-held');
    void a.peer.confirm();
    await world.until('asked there', () => b.state()?.code === 'mass-deletion-incoming');
    await a.stop();
    await expectRest();
    expect(b.state()?.code).toBe('mass-deletion-incoming');
  });

  test('a disk is away', async () => {
    const a = world.person('a');
    for (let index = 0; index < 50; index += 1) a.user.write(`data/f${index}.txt`, `${index}\n`);
    a.user.write('top.txt', 'top\n');
    a.memory.disk.mount('/folder/data');
    a.start();
    await world.quiet();
    a.memory.disk.unmount('/folder/data');
    await expectRest();
    expect(a.state()?.code).toBe('disk-held');
  });

  test('what others took back into the room waits to be confirmed', async () => {
    const a = await shared();
    const b = world.person('b');
    b.start();
    a.user.write('.gitignore', '*.local\n');
    await world.quiet();
    for (let index = 0; index < 50; index += 1) b.user.write(`d/${index}.local`, `${index}\n`);
    await world.quiet();
    a.user.write('.gitignore', '');
    await world.until('asked', () => b.state()?.code === 'scope-held');
    await a.stop();
    await expectRest();
    expect(b.state()?.code).toBe('scope-held');
  });

  test('a fault of its own that lasts is told with its reason and when it is tried again, and heals by itself', async () => {
    const a = await shared();
    const { pendingRows } = a.store;
    a.store.pendingRows = () => {
      throw new Error('a value that this program did not write');
    };
    a.user.write('d/f0.txt', 'edited\n');
    await world.until('told', () => a.state()?.code === 'internal');
    // Growing pauses, however much goes on meanwhile.
    for (let round = 0; round < 20; round += 1) {
      await world.clock.advance(3_000);
      a.user.write('d/f1.txt', `${round}\n`);
    }
    await expectRest();
    expect(a.state()).toMatchObject({ state: 'error', next: 'next try in 30 s; the log says more' });
    expect(a.state()?.reason).toContain('a value that this program did not write');
    // Whoever runs it must not take it for ended.
    expect(a.state()).not.toHaveProperty('stopped');
    a.store.pendingRows = pendingRows;
    await world.quiet();
    expect(a.store.counts().pending).toBe(0);
  });
});

test('a path that cannot be replaced is tried more and more rarely, and said once', async () => {
  const a = await shared();
  const b = world.person('b');
  b.start();
  await world.quiet();
  b.folder.addFault({ operation: 'swapIn', path: 'd/f0.txt', code: 'EACCES', times: Number.POSITIVE_INFINITY });
  a.user.write('d/f0.txt', 'edited\n');
  await world.until('the failure', () => b.store.problemRows(1).length === 1);
  await world.clock.advance(5 * minuteMs);
  expect(b.folder.faultsMet).toBeLessThan(16);
  expect(b.events.filter(({ event }) => event === 'problem')).toHaveLength(1);
  b.folder.clearFaults();
  await world.quiet();
  expect(b.user.read('d/f0.txt')).toBe('edited\n');
});

describe('the clock of the machine is wrong', () => {
  test('a path that failed while it was a year ahead is tried again', async () => {
    const a = await shared();
    const b = world.person('b');
    b.start();
    await world.quiet();
    const rightMs = world.clock.nowMs();
    world.clock.setWallClock(rightMs + 365 * 24 * 3_600_000);
    b.folder.addFault({ operation: 'swapIn', code: 'EACCES', times: Number.POSITIVE_INFINITY });
    a.user.write('d/f0.txt', 'edited\n');
    await world.until('the failure', () => b.store.row('d/f0.txt' as RelPath)?.problem != null);
    world.clock.setWallClock(rightMs);
    b.folder.clearFaults();
    await world.until('the edit', () => b.user.tree()['d/f0.txt'] === a.user.tree()['d/f0.txt'], 120_000);
  });

  test('a clock that is a year ahead for a while empties no trash', async () => {
    const a = await shared();
    const rightMs = world.clock.nowMs();
    a.user.write('.driftless/trash/kept', 'bytes in no record\n');
    a.store.putTrash({
      name: 'kept',
      path: 'd/f0.txt' as RelPath,
      digest: null,
      fingerprint: '',
      inRecord: false,
      reason: 'replaced',
      atMs: rightMs,
    });
    world.clock.setWallClock(rightMs + 365 * 24 * 3_600_000);
    await world.clock.advance(180_000);
    await a.stop();
    a.start();
    await world.clock.advance(180_000);
    expect(a.store.trash().map(({ name }) => name)).toEqual(['kept']);
    expect(a.user.read('.driftless/trash/kept')).toBe('bytes in no record\n');
  });
});
