/** `untrack` adds a line to an ignore file that is not its own: every other byte of it, and every rule, stays (IG1). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
let a: Person;
beforeEach(() => {
  world = createSmallWorld();
  a = world.person('a');
});
afterEach(() => world.close());

async function untrack(path: string): Promise<{ readonly ok: boolean; readonly message: string }> {
  const asked: { answer?: { readonly ok: boolean; readonly message: string } } = {};
  void a.peer.untrack(path).then((answer) => {
    asked.answer = answer;
  });
  await world.until('an answer', () => asked.answer !== undefined);
  await world.quiet();
  return asked.answer ?? { ok: false, message: '' };
}
const ignoreFile = (): Uint8Array | undefined => a.memory.disk.readWhole('/folder/.driftlessignore');

test('an ignore file that cannot be read is not replaced, and the command changes nothing', async () => {
  a.user.write('.driftlessignore', 'secret.env\n');
  a.user.write('secret.env', 'KEY\n');
  a.user.write('build', 'x\n');
  a.start();
  await world.quiet();
  a.folder.addFault({
    operation: 'openFile',
    path: '.driftlessignore',
    code: 'EACCES',
    times: Number.POSITIVE_INFINITY,
  });
  const refused = await untrack('build');
  expect(refused).toMatchObject({ ok: false });
  expect(refused.message).toMatch(/stays in the room.*permission/);
  a.folder.clearFaults();
  await world.quiet();
  expect(a.user.read('.driftlessignore')).toBe('secret.env\n');
  expect([...a.store.manifest.slotsBetween(null, null)].map(({ path }) => path)).toEqual(['.driftlessignore', 'build']);
  expect(a.store.setting('untracks')).toBeUndefined();
});

test('bytes that are no text, and a last line that nobody ended, stay as they are', async () => {
  const before = Uint8Array.of(0xef, 0xbb, 0xbf, ...new TextEncoder().encode('old\n# '), 0xff, 0xfe, 0x0a, 0x62);
  a.user.write('.driftlessignore', before);
  a.user.write('build', 'x\n');
  a.start();
  await world.quiet();
  expect(await untrack('build')).toMatchObject({ ok: true });
  expect(ignoreFile()).toEqual(Uint8Array.of(...before, ...new TextEncoder().encode('\n/build\n')));
});

test('a second time, and a name with a line break in it: one line each, for that path alone', async () => {
  a.user.write('two\nlines', 'x\n');
  a.user.write('lines', 'stays\n');
  a.start();
  await world.quiet();
  expect(await untrack('two\nlines')).toMatchObject({ ok: true });
  expect(await untrack('two\nlines')).toMatchObject({ ok: false });
  expect(a.user.read('.driftlessignore')).toBe('/two?lines\n');
  expect([...a.store.manifest.slotsBetween(null, null)].map(({ path }) => path)).toEqual(['.driftlessignore', 'lines']);
});

test('a line that a deeper rule undoes takes nothing out, and the wish does not linger', async () => {
  a.user.write('dir/.driftlessignore', '!kept\n');
  a.user.write('dir/kept', 'x\n');
  a.start();
  await world.quiet();
  await untrack('dir/kept');
  expect(a.store.setting('untracks')).toBeUndefined();
  expect(a.events).toContainEqual(expect.objectContaining({ event: 'note', path: 'dir/kept' }));
  expect(a.state()).toMatchObject({ state: 'idle', pending: 0 });
});
