/** A peer whose own notes of the room are damaged joins anew with its state at hand: what is its user's work stays that (rule TOMB). */
import { closeCodes, type Root } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RequestRefused } from '../../engine/src/ports/room-session.ts';
import { asks, decline, has, pairWithThem, removeThem } from './mass-deletions.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(() => world.close());

/** What `one` keeps of the room is no more what it was: it finds that when the others tell theirs. */
async function damage(one: Person, other: Person): Promise<void> {
  const { loadManifest, rootAfter } = one.store;
  const { slotsBetween } = one.store.manifest;
  one.store.rootAfter = () => 'ff'.repeat(32) as Root;
  Object.assign(one.store.manifest, { slotsBetween: () => [] });
  one.store.loadManifest = (options) => {
    Object.assign(one.store.manifest, { slotsBetween });
    Object.assign(one.store, { loadManifest, rootAfter });
    loadManifest(options);
  };
  other.user.write('news.txt', `news ${world.clock.nowMs()}\n`);
  await world.until('another root', () => one.store.head()?.id === other.store.head()?.id && isDamaged(one, other));
}
const isDamaged = (one: Person, other: Person): boolean => one.store.root() !== other.store.root();
const joinedAnew = (one: Person): number =>
  one.events.filter((event) => event.event === 'note' && event.note.includes('was damaged')).length;
const refuseRecords = (): void => {
  world.relay.refuses = (request) =>
    request === 'append' ? new RequestRefused(closeCodes.overQuota.code, 'for a test') : undefined;
};
const acceptRecords = (): void => {
  world.relay.refuses = () => undefined;
};

async function pair(): Promise<readonly [Person, Person]> {
  const [a, b] = [world.person('a'), world.person('b')];
  a.user.write('kept.txt', 'kept\n');
  a.start();
  b.start();
  await world.quiet();
  return [a, b];
}

test('what was taken back here and is not sent yet is sent, and is nothing that was left behind', async () => {
  const [a, b] = await pair();
  a.user.write('doc.md', 'first\n');
  a.user.write('last.md', 'last\n');
  a.user.write('edited.md', 'first\n');
  a.user.write('live.md', 'first\n');
  a.user.symlink('link', 'kept.txt');
  a.user.makeDirectory('out');
  await world.quiet();
  for (const path of ['doc.md', 'edited.md', 'live.md']) a.user.write(path, 'second\n');
  await world.quiet();
  for (const path of ['doc.md', 'last.md', 'link', 'out']) a.user.remove(path);
  await world.quiet();
  await damage(b, a);
  refuseRecords();
  b.user.write('doc.md', 'first\n');
  b.user.write('last.md', 'last\n');
  b.user.write('edited.md', 'first\n');
  b.user.symlink('link', 'kept.txt');
  b.user.makeDirectory('out');
  await world.until('it joins anew', () => joinedAnew(b) === 1);
  acceptRecords();
  await world.quiet();
  const taken = { 'doc.md': 'first\n', 'last.md': 'last\n', 'edited.md': 'first\n', link: '-> kept.txt', 'out/': '' };
  for (const one of [a, b]) expect(one.user.tree()).toMatchObject({ ...taken, 'live.md': 'second\n' });
});

test('an older version that its user put in place here is an edit, also where the room deleted or changed the file since', async () => {
  const [a, b] = await pair();
  for (const path of ['gone.md', 'changed.md']) a.user.write(path, 'first\n');
  await world.quiet();
  for (const path of ['gone.md', 'changed.md']) a.user.write(path, 'second\n');
  await world.quiet();
  await damage(b, a);
  a.user.remove('gone.md');
  a.user.write('changed.md', 'third\n');
  await world.until('sent', () => a.state()?.state === 'idle' && a.store.counts().pending === 0);
  expect(joinedAnew(b)).toBe(0);
  refuseRecords();
  for (const path of ['gone.md', 'changed.md']) b.user.write(path, 'first\n');
  await world.until('it joins anew', () => joinedAnew(b) === 1);
  acceptRecords();
  await world.quiet();
  for (const one of [a, b]) {
    expect(one.user.read('gone.md')).toBe('first\n');
    const { 'gone.md': _, ...others } = one.user.tree();
    expect(Object.values(others)).toEqual(expect.arrayContaining(['first\n', 'third\n']));
  }
});

test('a deletion that waits for an answer waits on', async () => {
  const [a, b] = await pairWithThem(world, { a: true });
  removeThem(a);
  await asks(world, b, 'mass-deletion-incoming');
  await damage(b, a);
  await world.until('it joins anew', () => joinedAnew(b) === 1);
  await has(world, b, 'news.txt', a.user.read('news.txt') ?? '');
  expect(b.user.read('one/f1.txt')).toBe('one 1\n');
  expect(b.state()?.code).toBe('mass-deletion-incoming');
  await decline(world, b);
  for (const one of [a, b]) expect(one.user.read('one/f1.txt')).toBe('one 1\n');
});
