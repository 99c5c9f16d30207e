/** What is put back in its place for a conflict needs its directories, which both sides may have deleted (IG1, IG3, LOG6). */
import type { RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

const path = 'one/deep/new.txt' as RelPath;
const sides = { loser: 'by the loser\n', other: 'by the other\n' };

/** An open conflict two directories below the root. The disk of the loser holds a side of its own, the other one's the room's. */
async function withConflict(): Promise<readonly [Person, Person]> {
  const loser = world.person('loser', { policy: 'ask' });
  const other = world.person('other', { policy: 'ask' });
  for (const name of ['one/f.txt', 'one/deep/f.txt', 'stays.txt', 'stays too.txt']) loser.user.write(name, `${name}\n`);
  loser.user.write('.gitignore', '*.log\n');
  loser.start();
  await world.quiet();
  other.start();
  await world.quiet();
  await loser.peer.pause();
  loser.user.write(path, sides.loser);
  other.user.write(path, sides.other);
  await world.until('sent', () => other.store.manifest.slot(path) !== null);
  await resume(loser);
  await world.until('conflict', () => loser.state()?.conflicts === 1 && other.state()?.conflicts === 1);
  await world.quiet();
  return [loser, other];
}
async function resume({ peer }: Person): Promise<void> {
  const resumed = peer.resume();
  await world.clock.advance(100);
  await resumed;
}
async function answers(person: Person, keep: 'mine' | 'theirs' | 'both'): Promise<void> {
  const answered = person.peer.resolve(path, keep);
  await world.clock.advance(100);
  expect(await answered).toMatchObject({ ok: true });
}
const problemsOf = ({ events }: Person): readonly string[] =>
  events.flatMap((event) => (event.event === 'problem' ? [event.reason] : []));
async function allIsDecided(...persons: readonly Person[]): Promise<void> {
  await world.quiet();
  for (const person of persons) {
    expect(await person.peer.conflicts()).toEqual([]);
    expect(await person.peer.verify()).toMatchObject({ ok: true });
  }
}

test.each(['theirs', 'both'] as const)(
  'while the loser is away the directory goes, and the other one answers "%s": the side is there, and its directories',
  async (keep) => {
    const [loser, other] = await withConflict();
    await loser.stop();
    other.user.remove('one');
    await world.quiet();
    let placed = 0;
    other.folder.before = (call) => {
      if (call.operation === 'swapIn' && call.path === path) placed += 1;
    };
    await answers(other, keep);
    await world.until('it is decided', () => other.state()?.conflicts === 0);
    await world.quiet();
    expect(other.user.read(path)).toBe(sides.loser);
    expect(problemsOf(other)).toEqual([]);
    expect(placed).toBe(1);
    loser.start();
    await allIsDecided(loser, other);
    expect(loser.user.tree()).toEqual(other.user.tree());
  },
);

test.each(['mine', 'both'] as const)(
  'the directory is gone in the room, and only ignored files keep it here: "%s" brings the side back on both',
  async (keep) => {
    const [loser, other] = await withConflict();
    loser.user.write('one/deep/x.log', 'log\n');
    await loser.peer.pause();
    for (const name of ['one/f.txt', 'one/deep/f.txt', path]) loser.user.remove(name);
    other.user.remove('one');
    await world.until('sent', () => other.store.manifest.slot('one' as RelPath)?.kind === 'tombstone');
    await answers(loser, keep);
    await resume(loser);
    await world.until('it is decided', () => loser.state()?.conflicts === 0);
    await allIsDecided(loser, other);
    expect([loser.user.read(path), other.user.read(path)]).toEqual([sides.loser, sides.loser]);
    expect(loser.user.read('one/deep/x.log')).toBe('log\n');
    expect(problemsOf(loser)).toEqual([]);
  },
);

test.each([
  ['a file', ({ user }: Person): void => user.write('one', 'a file\n')],
  ['a link', ({ user }: Person): void => user.symlink('one', 'stays.txt')],
] as const)(
  '%s has taken the place of the directory: it stays, is told of, and the answer is kept until it goes',
  async (_what, take) => {
    const [loser, other] = await withConflict();
    await loser.peer.pause();
    loser.user.remove('one');
    take(loser);
    other.user.remove('one');
    await world.until('sent', () => other.store.manifest.slot('one' as RelPath)?.kind === 'tombstone');
    await answers(loser, 'mine');
    await resume(loser);
    const told = 'one is no folder here: move or rename what is there, and this file can be put in place';
    await world.until('it is told', () => problemsOf(loser).includes(told));
    await world.until('nothing is done', () => loser.state()?.state === 'conflict');
    loser.user.rename('one', 'elsewhere');
    await world.until('it is decided', () => loser.state()?.conflicts === 0);
    await allIsDecided(loser, other);
    expect([loser.user.read(path), other.user.read(path)]).toEqual([sides.loser, sides.loser]);
    expect(other.user.tree()).toEqual(loser.user.tree());
    expect(Object.keys(other.user.tree())).toContain('elsewhere');
  },
);
