/** A file that is open with unsaved edits stays on disk as the editor believes it to be; what others did waits, and is merged as ever. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(() => world.close());

const lines = 'one\ntwo\nthree\nfour\nfive\n';
const window = 'window';

async function pair(policy: 'ask' | 'keep-both' = 'ask'): Promise<readonly [Person, Person]> {
  const [a, b] = [world.person('a', { policy }), world.person('b', { policy })];
  a.user.write('d/k.txt', lines);
  a.user.write('d/other.txt', '0\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  return [a, b];
}
const hold = (person: Person, ...paths: string[]): void => void person.peer.holdUnsaved(window, paths);
const waitingOf = (person: Person): readonly string[] => person.state()?.waitingPaths?.map(({ path }) => path) ?? [];
const waits = (person: Person, ...paths: string[]): Promise<void> =>
  world.until('it waits', () => waitingOf(person).join() === paths.join());

interface Case {
  readonly change: (a: Person) => void;
  /** What b has once it is given up. */
  readonly after: string | undefined;
}
const cases: Readonly<Record<string, Case>> = {
  'an edit': { change: (a) => a.user.write('d/k.txt', 'by a\n'), after: 'by a\n' },
  'a change of its mode': { change: (a) => a.user.setMode('d/k.txt', 0o755), after: lines },
  'its deletion': { change: (a) => a.user.remove('d/k.txt'), after: undefined },
  'its rename': { change: (a) => a.user.rename('d/k.txt', 'moved.txt'), after: undefined },
  'a directory in its place': {
    change: (a) => {
      a.user.remove('d/k.txt');
      a.user.write('d/k.txt/inside.txt', 'x\n');
    },
    after: undefined,
  },
  'the deletion of its directory': { change: (a) => a.user.remove('d'), after: undefined },
  'a rename of its directory': { change: (a) => a.user.rename('d', 'e'), after: undefined },
  'a file in place of its directory': {
    change: (a) => {
      a.user.remove('d');
      a.user.write('d', 'a file\n');
    },
    after: undefined,
  },
};

test.each(Object.entries(cases))(
  '%s waits for unsaved edits, is said to, and comes when they are given up',
  async (_name, one) => {
    const [a, b] = await pair();
    hold(b, 'd/k.txt');
    const modeBefore = b.user.mode('d/k.txt');
    one.change(a);
    a.user.write('elsewhere.txt', 'x\n');
    await waits(b, 'd/k.txt');
    await world.until('the rest', () => b.user.read('elsewhere.txt') === 'x\n');
    await world.clock.advance(60_000);
    expect(b.user.read('d/k.txt')).toBe(lines);
    expect(b.user.mode('d/k.txt')).toBe(modeBefore);
    expect(b.state()).toMatchObject({ state: 'syncing', waitingForUnsavedEdits: true });
    expect(b.events.filter(({ event }) => event === 'problem')).toEqual([]);
    // Waiting is no work: what is compared again now and then leads to nothing on disk or at the relay.
    const { length } = b.trace;
    await world.clock.advance(60_000);
    expect(b.trace.slice(length).filter((what) => !/^store\.(transaction|deleteTrash)/.test(what))).toEqual([]);
    hold(b);
    await world.quiet();
    expect(b.state()?.waitingForUnsavedEdits).toBe(false);
    expect(b.user.tree()).toEqual(a.user.tree());
    expect(b.user.read('d/k.txt')).toBe(one.after);
  },
);

test('nothing waits where nobody changed anything, and a save goes out', async () => {
  const [a, b] = await pair();
  hold(b, 'd/k.txt');
  await world.quiet();
  expect(b.state()).toMatchObject({ state: 'idle', waitingForUnsavedEdits: false });
  b.user.write('d/k.txt', 'saved and typed on\n');
  await world.until('it is sent', () => a.user.read('d/k.txt') === 'saved and typed on\n');
  await world.quiet();
});

test('what was saved is merged with what waited', async () => {
  const [a, b] = await pair();
  hold(b, 'd/k.txt');
  a.user.write('d/k.txt', lines.replace('one', 'ONE'));
  await waits(b, 'd/k.txt');
  b.user.write('d/k.txt', lines.replace('five', 'FIVE'));
  await world.clock.advance(5_000);
  expect(b.user.read('d/k.txt')).toBe(lines.replace('five', 'FIVE'));
  hold(b);
  await world.quiet();
  expect(a.user.read('d/k.txt')).toBe(lines.replace('one', 'ONE').replace('five', 'FIVE'));
  expect(b.user.tree()).toEqual(a.user.tree());
});

test('what overlaps becomes a conflict once it is saved, and both are kept', async () => {
  const [a, b] = await pair('keep-both');
  hold(b, 'd/k.txt');
  a.user.write('d/k.txt', lines.replace('one', 'by a'));
  await waits(b, 'd/k.txt');
  b.user.write('d/k.txt', lines.replace('one', 'by b'));
  hold(b);
  await world.quiet();
  const texts = Object.values(b.user.tree());
  expect(texts).toContain(lines.replace('one', 'by a'));
  expect(texts).toContain(lines.replace('one', 'by b'));
  expect(a.user.tree()).toEqual(b.user.tree());
});

test('a file that was deleted or renamed elsewhere is kept when it is saved', async () => {
  for (const change of [(a: Person) => a.user.remove('d/k.txt'), (a: Person) => a.user.rename('d/k.txt', 'm.txt')]) {
    world = createSmallWorld();
    const [a, b] = await pair();
    hold(b, 'd/k.txt');
    change(a);
    await waits(b, 'd/k.txt');
    b.user.write('d/k.txt', `${lines}six\n`);
    hold(b);
    await world.quiet();
    expect(Object.values(a.user.tree())).toContain(`${lines}six\n`);
    expect(a.user.tree()).toEqual(b.user.tree());
  }
});

test('a lost connection holds it for 10 s, and one that says it again for as long as it does', async () => {
  const [a, b] = await pair();
  hold(b, 'd/k.txt');
  a.user.write('d/k.txt', 'by a\n');
  await waits(b, 'd/k.txt');
  void b.peer.windowLost(window);
  await world.clock.advance(9_000);
  expect(b.user.read('d/k.txt')).toBe(lines);
  hold(b, 'd/k.txt');
  await world.clock.advance(60_000);
  expect(b.user.read('d/k.txt')).toBe(lines);
  void b.peer.windowLost(window);
  await world.clock.advance(9_900);
  expect(b.user.read('d/k.txt')).toBe(lines);
  await world.clock.advance(200);
  await world.quiet();
  expect(b.user.read('d/k.txt')).toBe('by a\n');
});

test('two windows: what one gives up the other still holds', async () => {
  const [a, b] = await pair();
  hold(b, 'd/k.txt');
  void b.peer.holdUnsaved('another', ['d/k.txt', 'd/other.txt']);
  a.user.write('d/k.txt', 'by a\n');
  await waits(b, 'd/k.txt');
  hold(b);
  await world.clock.advance(5_000);
  expect(b.user.read('d/k.txt')).toBe(lines);
  void b.peer.holdUnsaved('another', ['d/other.txt']);
  await world.quiet();
  expect(b.user.read('d/k.txt')).toBe('by a\n');
});

test('an edit that begins while a change is being applied keeps the file as it is', async () => {
  const [a, b] = await pair();
  let isBegun = false;
  b.folder.before = ({ operation, path }) => {
    if (isBegun || operation !== 'stage' || path !== 'd/k.txt') return;
    isBegun = true;
    hold(b, 'd/k.txt');
  };
  a.user.write('d/k.txt', 'by a\n');
  await waits(b, 'd/k.txt');
  await world.clock.advance(5_000);
  expect(isBegun).toBe(true);
  expect(b.user.read('d/k.txt')).toBe(lines);
  hold(b);
  await world.quiet();
  expect(b.user.read('d/k.txt')).toBe('by a\n');
});

test('the answer to a conflict waits too', async () => {
  const [a, b] = await pair();
  await b.stop();
  a.user.write('d/k.txt', 'by a\n');
  await world.quiet();
  b.user.write('d/k.txt', 'by b\n');
  b.start();
  await world.until('the conflict', () => b.state()?.state === 'conflict');
  hold(b, 'd/k.txt');
  void b.peer.resolve('d/k.txt', 'theirs');
  await waits(b, 'd/k.txt');
  await world.clock.advance(5_000);
  expect(b.user.read('d/k.txt')).toBe('by b\n');
  hold(b);
  await world.quiet();
  expect(b.user.read('d/k.txt')).toBe('by a\n');
  expect(a.user.tree()).toEqual(b.user.tree());
});
