/** A record that no version here understands stops a room only until somebody leaves it out (rules LOG2, LOG3). */
import { concatBytes, encodeRecordBody, type RecordCore, type RecordId, type Root } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { forgeRecord } from '../../engine/src/testing/forged-record.ts';
import { type ForeignMember, foreignMember } from './foreign-member.ts';
import { createSmallWorld, type Person, roomSecret, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
let a: Person;
let b: Person;
let member: ForeignMember;
beforeEach(async () => {
  world = createSmallWorld();
  a = world.person('a');
  b = world.person('b');
  a.user.write('a.txt', 'before');
  a.start();
  b.start();
  await world.quiet();
  member = await foreignMember(world);
});
afterEach(async () => {
  await world.close();
});

const bodyOf = (root: Root, changes: Parameters<typeof encodeRecordBody>[0]['changes'] = []): Uint8Array =>
  encodeRecordBody({
    device: member.device.device,
    deviceName: 'mallory',
    timeMs: 0,
    label: '',
    massDeletion: 'none',
    root,
    changes,
  });

/** Behind what the relay holds. */
async function append(plain: Uint8Array, core: Partial<RecordCore> = {}): Promise<RecordId> {
  const { head } = await member.session.fetchRecords(0, 1);
  if (head === null) throw new Error('no head');
  const place = { height: head.height + 1, prev: head.id };
  const { id, record, pieces } = forgeRecord({
    secret: roomSecret,
    device: member.device,
    core: { ...place, ...core },
    plain,
  });
  expect((await member.session.append(record, pieces)).kind).toBe('appended');
  return id;
}
const isStuck = (person: Person) => (): boolean => person.state()?.code === 'update-needed';
const holdOf = async (person: Person) => (await person.peer.holds()).find(({ kind }) => kind === 'record');
async function confirm(person: Person): Promise<void> {
  const hold = await holdOf(person);
  expect((await person.peer.confirm({ id: hold?.id ?? '' })).ok).toBe(true);
}
async function goesOn(...everybody: readonly Person[]): Promise<void> {
  await world.until('it goes on', () => everybody.every((person) => person.state()?.state === 'idle'), 120_000);
  a.user.write('after.txt', 'after');
  await world.quiet();
  for (const person of everybody) {
    expect(person.user.read('after.txt')).toBe('after');
    expect(person.store.root()).toBe(a.store.root());
    expect(await holdOf(person)).toBeUndefined();
  }
}

/** Field 7 is a change, whose field 20 no version knows yet. */
const unknownChange = Uint8Array.of(7 * 8 + 2, 3, 0xa2, 1, 0);
test.each<readonly [string, () => Promise<RecordId>]>([
  ['of a later version', () => append(bodyOf(a.store.root()), { minReader: 999 })],
  ['with an unknown change', () => append(concatBytes(bodyOf(a.store.root()), unknownChange))],
])('a record %s stops all, says whose it is, and is left out for all when one of them says so', async (_, send) => {
  await send();
  a.user.write('a.txt', 'made meanwhile');
  await world.until('stuck', () => isStuck(a)() && isStuck(b)());
  expect(a.state()?.reason).toContain('mallory');
  expect(a.state()?.next).toContain('driftless confirm');
  await world.clock.advance(120_000);
  expect(b.user.read('a.txt')).toBe('before');
  await confirm(b);
  await goesOn(a, b);
  expect(b.user.read('a.txt')).toBe('made meanwhile');
  // Who comes later goes the same way, and is asked nothing.
  const c = world.person('c');
  c.start();
  await world.quiet();
  expect(c.store.root()).toBe(a.store.root());
});

test('two of them, and what was made of them, are left out together', async () => {
  await append(bodyOf(a.store.root()), { minReader: 999 });
  await append(bodyOf(a.store.root()), { minReader: 999 });
  await append(
    bodyOf('0'.repeat(64) as Root, [{ kind: 'remove', path: 'a.txt' as never, replaces: '0'.repeat(32) as never }]),
  );
  await world.until('stuck', () => isStuck(a)() && isStuck(b)());
  await confirm(a);
  await goesOn(a, b);
  expect(b.user.read('a.txt')).toBe('before');
});

test('the decision outlives a restart, and two who decide the same do not get in each other’s way', async () => {
  await append(bodyOf(a.store.root()), { minReader: 999 });
  await world.until('stuck', () => isStuck(a)() && isStuck(b)());
  await a.stop();
  a.start();
  await world.until('stuck again', isStuck(a));
  expect(await holdOf(a)).toBeDefined();
  await Promise.all([confirm(a), confirm(b)]);
  await goesOn(a, b);
});

test('what only looks like such a change leaves nothing out', async () => {
  const root = a.store.root();
  await append(bodyOf(root, [{ kind: 'skip', record: a.store.head()?.id ?? ('' as RecordId) }]));
  await world.quiet();
  const stuck = await append(bodyOf(root), { minReader: 999 });
  await append(bodyOf('1'.repeat(64) as Root, [{ kind: 'skip', record: stuck }]));
  await append(bodyOf(root, [{ kind: 'skip', record: '2'.repeat(64) as RecordId }]));
  await world.until('stuck', () => isStuck(a)() && isStuck(b)());
  await world.clock.advance(120_000);
  expect(isStuck(a)()).toBe(true);
  await confirm(a);
  await goesOn(a, b);
});
