/** What `explain` says of a path is what is so: of the disk as it is, of what is held, and of a conflict on whichever side. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { rel } from '../../engine/src/core/test-support/entries.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
let a: Person;
let b: Person;
beforeEach(() => {
  world = createSmallWorld();
  [a, b] = [world.person('a', { policy: 'ask' }), world.person('b', { policy: 'ask' })];
});
afterEach(() => world.close());

async function begin(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) a.user.write(path, text);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
}
const lastLine = async (person: Person, path: string): Promise<string> =>
  (await person.peer.explain(path)).lines.at(-1) ?? '';

test('an edit, a deletion and another kind that nobody has looked at yet', async () => {
  await begin({ 'edited.txt': '1\n', 'gone.txt': '1\n', kind: '1\n', 'same.txt': '1\n' });
  void a.peer.pause();
  await world.clock.advance(1_000);
  a.user.write('edited.txt', 'longer\n');
  a.user.remove('gone.txt');
  a.user.remove('kind');
  a.user.write('kind/in', 'x\n');
  for (const path of ['edited.txt', 'gone.txt', 'kind'])
    expect(await lastLine(a, path), path).toMatch(/^the disk has changed since it was looked at last/);
  expect(await lastLine(a, 'same.txt')).toBe('in sync');
});

test('a path that failed: when it is tried again, or that it is due', async () => {
  await begin({ 'f.txt': '1\n' });
  b.folder.addFault({ operation: 'swapIn', code: 'EACCES', times: Number.POSITIVE_INFINITY });
  a.user.write('f.txt', '2\n');
  await world.until('failed', () => b.store.row(rel('f.txt'))?.problem != null);
  const atMs = b.store.row(rel('f.txt'))?.problem?.retryAtMs ?? 0;
  expect(await lastLine(b, 'f.txt')).toContain(
    `failed 1 time, tried again at ${new Date(atMs).toISOString()}: Cannot `,
  );
  void b.peer.pause();
  await world.clock.advance(120_000);
  expect(await lastLine(b, 'f.txt')).toMatch(/^failed \d+ times?, to be tried again: Cannot /);
});

test('a mass deletion, where it was made and where it arrived', async () => {
  a.user.symlink('d/link', '../kept');
  await begin(Object.fromEntries(Array.from({ length: 1_300 }, (_, index) => [`f${index}`, `${index}\n`])));
  a.user.write('kept', 'x\n');
  await world.quiet();
  for (let index = 0; index < 1_300; index += 1) a.user.remove(`f${index}`);
  a.user.remove('d');
  await world.until('held', () => a.state()?.code === 'mass-deletion-held');
  // What is held beside the files, too.
  for (const path of ['f1299', 'd', 'd/link'])
    expect(await lastLine(a, path), path).toMatch(/^held: .*to let it go: driftless confirm .+ [0-9a-f]{8}$/);
  void a.peer.confirm();
  await world.until('held there', () => b.state()?.code === 'mass-deletion-incoming');
  for (const path of ['f999', 'd', 'd/link'])
    expect(await lastLine(b, path), path).toMatch(/^held: .*they are kept here; to let it go: driftless confirm/);
  expect(await lastLine(b, 'kept')).toBe('in sync');
});

test('a conflict, also on the side whose version is in the room', async () => {
  await begin({ 'k.txt': '1\n' });
  await b.stop();
  a.user.write('k.txt', 'by a\n');
  await world.quiet();
  b.user.write('k.txt', 'by b\n');
  b.start();
  await world.until('the conflict', () => a.state()?.conflicts === 1 && b.state()?.conflicts === 1);
  for (const person of [a, b])
    expect(await lastLine(person, 'k.txt')).toMatch(/^an open conflict; see: driftless conflicts/);
});
