/**
 * What waits for a person, an open conflict, unsaved edits, a held deletion, may wait for days. Meanwhile everything else ends as it
 * does without it: a join, another hold, a confirmation; and what is declined then is kept as at any time.
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

const count = 205;
const files: Readonly<Record<string, string>> = Object.fromEntries(
  Array.from({ length: count }, (_, index) => [`d/f${index}.txt`, `text ${index}\n`]),
);
const write = (person: Person): void => {
  for (const [path, text] of Object.entries(files)) person.user.write(path, text);
};
const asks = (person: Person, code: string): Promise<void> =>
  world.until(`${person.name} asks`, () => person.state()?.code === code);
const later = (): Promise<void> => world.clock.advance(20_000);

async function pair(allowMassDelete = false): Promise<readonly [Person, Person]> {
  const a = world.person('a', { policy: 'ask', allowMassDelete });
  const b = world.person('b', { policy: 'ask' });
  write(a);
  a.user.write('c.txt', 'c\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  return [a, b];
}
const editing = (person: Person, ...paths: readonly string[]): void =>
  void person.peer.holdUnsaved(
    'window',
    paths.map((path) => ({ path, loaded: null, merged: null })),
  );

const waiting = ['nothing', 'a conflict', 'unsaved edits'] as const;
/** Something that waits at one of the two; whose it is, is given back. */
async function letWait(what: (typeof waiting)[number], a: Person, b: Person): Promise<Person> {
  if (what === 'a conflict') {
    a.user.write('c.txt', 'by a\n');
    b.user.write('c.txt', 'by b\n');
    await world.until('conflict', () => (a.state()?.conflicts ?? 0) > 0 && (b.state()?.conflicts ?? 0) > 0);
  }
  if (what === 'unsaved edits') {
    editing(a, 'c.txt');
    b.user.write('c.txt', 'by b\n');
    await world.until('waits', () => a.state()?.waitingForUnsavedEdits === true);
  }
  await world.clock.advance(5_000);
  // A conflict is held at the one that lost the race.
  return what === 'a conflict' && b.store.row('c.txt' as RelPath)?.hold != null ? b : a;
}

describe.each(waiting)('beside %s', (what) => {
  test('a held deletion whose files came back is held no more', async () => {
    const [a, b] = await pair();
    const one = await letWait(what, a, b);
    one.user.remove('d');
    await asks(one, 'mass-deletion-held');
    write(one);
    await later();
    expect(await one.peer.holds()).toEqual([]);
    expect(one.state()?.code).toBeUndefined();
  });

  test('a confirmation ends when the files came back before it was carried out', async () => {
    const [a, b] = await pair();
    const one = await letWait(what, a, b);
    one.user.remove('d');
    await asks(one, 'mass-deletion-held');
    await one.peer.pause();
    expect(await one.peer.confirm()).toMatchObject({ ok: true });
    write(one);
    await one.peer.resume();
    await later();
    one.user.remove('d');
    await later();
    expect(one.state()?.code).toBe('mass-deletion-held');
    for (const person of [a, b]) expect(person === one || person.user.read('d/f0.txt') === 'text 0\n').toBe(true);
  });

  test.each(['made', 'arrived'])(
    'a deletion that was declined where it %s is asked about when it is made again',
    async (where) => {
      const [a, b] = await pair(where === 'arrived');
      const one = where === 'arrived' ? a : await letWait(what, a, b);
      if (where === 'arrived') await letWait(what, b, a);
      const asked = where === 'arrived' ? b : one;
      const code = where === 'arrived' ? 'mass-deletion-incoming' : 'mass-deletion-held';
      for (let round = 0; round < 2; round += 1) {
        one.user.remove('d');
        await asks(asked, code);
        expect(await asked.peer.decline()).toMatchObject({ ok: true });
        await world.until('all is back', () => Object.keys(files).every((path) => one.user.read(path) === files[path]));
        await later();
        expect(await asked.peer.holds()).toEqual([]);
      }
    },
  );
});

describe('a join', () => {
  /** Joins again, with an earlier form of a file that is being edited, and of one that the room deleted. */
  async function joining(what: string): Promise<readonly [Person, Person]> {
    const [a, b] = await pair(true);
    a.user.write('gone.txt', 'gone\n');
    await world.quiet();
    await b.stop();
    a.user.write('c.txt', 'second\n');
    a.user.remove('gone.txt');
    await world.quiet();
    b.loseState();
    b.start();
    if (what !== 'nothing') editing(b, 'c.txt');
    await world.until('compared', () => b.store.row('d/f204.txt' as RelPath)?.base != null);
    await world.clock.advance(10_000);
    return [a, b];
  }

  test.each(['nothing', 'unsaved edits', 'a held deletion'])(
    'does not wait for %s: what is made meanwhile is a file like any other',
    async (what) => {
      const [a, b] = await joining(what);
      if (what === 'a held deletion') {
        b.user.remove('d');
        await asks(b, 'mass-deletion-held');
        editing(b);
        await later();
      }
      expect(b.user.read('gone.txt')).toBeUndefined();
      b.user.write('gone.txt', 'gone\n');
      await later();
      expect(a.user.read('gone.txt')).toBe('gone\n');
      expect(b.user.read('gone.txt')).toBe('gone\n');
      expect(b.store.setting('join')).toBeUndefined();
    },
  );

  test('what is declined while it goes on is kept', async () => {
    const [a, b] = await joining('unsaved edits');
    a.user.remove('d');
    await asks(b, 'mass-deletion-incoming');
    expect(await b.peer.decline()).toMatchObject({ ok: true });
    await later();
    for (const person of [a, b]) expect(person.user.read('d/f0.txt')).toBe('text 0\n');
  });
});

test('a folder is not emptied while most of it is there: a deletion of the room that waits says nothing about it', async () => {
  const a = world.person('a');
  const b = world.person('b');
  for (let index = 0; index < 20; index += 1) a.user.write(`d/f${index}.txt`, `text ${index}\n`);
  a.user.write('c.txt', 'c\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  editing(b, 'c.txt');
  a.user.remove('c.txt');
  await world.clock.advance(20_000);
  for (let index = 0; index < 100; index += 1) a.user.write(`n/n${index}.txt`, `new ${index}\n`);
  await world.until('there', () => b.user.read('n/n99.txt') !== undefined);
  await later();
  b.user.remove('d');
  b.user.remove('c.txt');
  await later();
  expect(b.state()?.code).toBeUndefined();
  expect(a.user.read('d/f0.txt')).toBeUndefined();
});
