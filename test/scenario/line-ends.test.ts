/** Two clones of one repository that differ in line ends (C26): no conflicts at the join, ordinary edits afterwards. */
import { closeCodes } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RequestRefused } from '../../engine/src/ports/room-session.ts';
import { createMemoryRelay } from './memory-relay.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(() => world.close());

const notesOf = (one: Person): string[] =>
  one.events.flatMap((event) => (event.event === 'note' ? [`${event.path}: ${event.note}`] : []));
const crlf = (text: string): string => text.replaceAll('\n', '\r\n');

test.each(['keep-both', 'ask'] as const)(
  'a join takes the line ends of the room, and says how many: %s',
  async (policy) => {
    const [a, b] = [world.person('a', { policy }), world.person('b', { policy })];
    const texts: Record<string, string> = { 'mixed.txt': 'x\r\ny\nz\r\n', 'crlf.txt': 'one\r\ntwo\r\n' };
    for (let index = 0; index < 30; index += 1) texts[`src/f${index}.txt`] = `line ${index}\nsecond\n`;
    for (const [path, text] of Object.entries(texts)) {
      a.user.write(path, text);
      b.user.write(path, text === crlf(text) ? text.replaceAll('\r\n', '\n') : crlf(text.replaceAll('\r\n', '\n')));
    }
    b.user.write('crlf.txt', 'one\ntwo\n');
    b.user.setMode('src/f7.txt', 0o600);
    a.user.write('binary', 'x\0\n');
    b.user.write('binary', 'x\0\r\n');
    a.start();
    await world.quiet();
    b.start();
    await world.until('the line ends of the room', () => b.user.read('src/f29.txt') === 'line 29\nsecond\n');
    await world.quiet();
    for (const one of [a, b]) expect(one.user.tree()).toMatchObject(texts);
    // What is no text stays a conflict.
    expect(b.state()?.conflicts).toBe(policy === 'ask' ? 1 : 0);
    expect(Object.keys(b.user.tree()).filter((path) => path.includes('.conflict-'))).toHaveLength(
      policy === 'ask' ? 0 : 1,
    );
    expect(notesOf(b).find((note) => note.includes('joining:'))).toMatch(
      /32 that differ in line ends only.* 1 conflicts/,
    );
    if (policy === 'keep-both')
      expect(notesOf(b).find((note) => note.includes('joined:'))).toMatch(
        /32 files took the room's line ends.*\.gitattributes/,
      );
    // Theirs are in no record: they stay in the trash.
    const kept = b.store.trash().filter(({ inRecord }) => !inRecord);
    expect(kept.map(({ path }) => path).sort()).toEqual(Object.keys(texts).sort());
    expect([a.user.mode('src/f7.txt'), b.user.mode('src/f7.txt')]).toEqual([0o600, 0o600]);
  },
);

test('what a join is about to do is told once, and rightly, whatever is refused or cut meanwhile', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  for (const [index, path] of ['one.txt', 'two.txt', 'three.txt'].entries()) {
    a.user.write(path, `${index}\nx\n`);
    b.user.write(path, crlf(`${index}\nx\n`));
  }
  a.start();
  await world.quiet();
  let refusals = 0;
  world.relay.refuses = (request) => {
    if (request !== 'get' || refusals > 0) return undefined;
    refusals += 1;
    return new RequestRefused(closeCodes.overLimit.code, 'for a test');
  };
  b.start();
  let cuts = 0;
  b.folder.before = ({ operation }) => {
    if (operation !== 'swapIn' || cuts > 0) return;
    cuts += 1;
    world.relay.cut();
  };
  await world.until('the line ends of the room', () => b.user.read('two.txt') === '1\nx\n');
  await world.quiet();
  expect([refusals, cuts]).toEqual([1, 1]);
  const told = notesOf(b).filter((note) => note.includes('joining:'));
  expect(told).toEqual([expect.stringMatching(/3 that differ in line ends only.* 0 conflicts/)]);
  expect(b.user.tree()).toEqual(a.user.tree());
});

test('what only a log that is lost has had stays in the trash', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  a.user.write('f.txt', crlf('one\ntwo\n'));
  a.start();
  await world.quiet();
  await a.stop();
  // The relay has lost everything, and b begins the room anew.
  const another = createMemoryRelay();
  world.relay.client = another.client;
  b.user.write('f.txt', 'one\ntwo\n');
  b.start();
  await world.quiet();
  a.start();
  await world.until('the line ends of the room', () => a.user.read('f.txt') === 'one\ntwo\n');
  await world.clock.advance(10 * 60_000);
  expect((await a.folder.trashItems()).map(({ stat }) => stat?.size)).toEqual([crlf('one\ntwo\n').length]);
  // As soon as the room has those bytes, whatever their path, nothing needs keeping.
  b.user.write('windows.txt', crlf('one\ntwo\n'));
  await world.quiet();
  await world.clock.advance(2 * 60_000);
  expect(await a.folder.trashItems()).toEqual([]);
});

test('later flips are ordinary edits, and said once', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  for (const path of ['one.txt', 'two.txt']) a.user.write(path, 'x\ny\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  a.user.write('one.txt', 'x\nyy\n');
  await world.quiet();
  expect(notesOf(a).filter((note) => note.includes('line ends'))).toEqual([]);
  for (const path of ['one.txt', 'two.txt']) {
    a.user.write(path, crlf(a.user.read(path) ?? ''));
    await world.quiet();
  }
  expect(b.user.tree()).toEqual({ 'one.txt': 'x\r\nyy\r\n', 'two.txt': 'x\r\ny\r\n' });
  const said = notesOf(a).filter((note) => note.includes('line ends'));
  expect(said).toHaveLength(1);
  expect(said[0]).toMatch(/^one\.txt: only its line ends changed.*\.gitattributes/);
});
