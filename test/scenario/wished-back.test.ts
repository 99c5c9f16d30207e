/** What a declined deletion had taken unasked comes back whatever hinders it for a while, and holds up nothing (rule LOG6; D6). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSeededRandom } from '../../engine/src/testing/seeded-random.ts';
import { noise, stagedBytes } from './large-contents.ts';
import { asks, has, isGone, pairWithThem, removeThem } from './mass-deletions.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(() => world.close());

/** These went before A was asked about the rest. */
async function askedAfter(paths: readonly string[], more: Readonly<Record<string, string>> = {}) {
  const [a, b] = await pairWithThem(world, {}, more);
  for (const path of paths) {
    a.user.remove(path);
    await isGone(world, b, path);
  }
  removeThem(a);
  await asks(world, a, 'mass-deletion-held');
  return [a, b] as const;
}
const notesOf = ({ events }: Person, path: string): readonly unknown[] =>
  events.filter((event) => event.event === 'note' && event.path === path);

test.each(['itself', 'above'])('its folder cannot be read at the answer, %s: it comes once it can', async (which) => {
  const path = which === 'itself' ? 'keep/k0.txt' : 'keep/deep/k0.txt';
  const [a, b] = await askedAfter([path], { [path]: 'k0\n', 'keep/k1.txt': 'k1\n' });
  a.folder.addFault({ operation: 'list', path: 'keep', code: 'EACCES', times: 1 });
  expect(await a.peer.decline()).toMatchObject({ ok: true });
  await world.clock.advance(120_000);
  a.watcher.hint('keep', { deep: true });
  await world.clock.advance(120_000);
  await world.quiet();
  expect(notesOf(a, path)).toEqual([]);
  for (const { user } of [a, b]) expect([user.read(path), user.read('one/f2.txt')]).toEqual(['k0\n', 'one 2\n']);
});

test('somebody begins to write at its path before it is there: it waits, and what they save stays', async () => {
  const [a, b] = await askedAfter(['keep/k0.txt'], { 'keep/k0.txt': 'k0\n', 'keep/k1.txt': 'k1\n' });
  let isEdited = false;
  const stage = a.folder.stage;
  a.folder.stage = (options) => {
    if (options.near === 'keep/k0.txt' && !isEdited) {
      isEdited = true;
      void a.peer.holdUnsaved('window', [{ path: 'keep/k0.txt', loaded: null, merged: null }]);
    }
    return stage(options);
  };
  expect(await a.peer.decline()).toMatchObject({ ok: true });
  await world.clock.advance(20_000);
  expect(isEdited).toBe(true);
  expect(notesOf(a, 'keep/k0.txt')).toEqual([]);
  expect(a.user.read('keep/k0.txt')).toBeUndefined();
  void a.peer.holdUnsaved('window', []);
  await world.quiet();
  for (const { user } of [a, b]) expect(user.read('keep/k0.txt')).toBe('k0\n');
});

test('a save goes out while a large file comes back', async () => {
  const large = Buffer.from(createSeededRandom('large').bytes(1_500_000)).toString('base64');
  const [a, b] = await askedAfter(['large.bin'], { 'large.bin': large });
  let release: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const stage = a.folder.stage;
  a.folder.stage = async (options) => {
    if (options.near === 'large.bin') await gate;
    return stage(options);
  };
  expect(await a.peer.decline()).toMatchObject({ ok: true });
  try {
    await has(world, a, 'one/f2.txt', 'one 2\n');
    a.user.write('save.txt', 'a save\n');
    await has(world, b, 'save.txt', 'a save\n');
    expect(a.state()).toMatchObject({ state: 'syncing' });
  } finally {
    release();
  }
  await world.quiet();
  for (const { user } of [a, b]) expect(user.read('large.bin')).toBe(large);
});

test.each(['goes on running', 'ends in between'])(
  'over a link that is cut again and again a large file that comes back is fetched once: its peer %s',
  async (what) => {
    const large = noise(1, 3_000_000);
    const [a, b] = await askedAfter(['large.bin'], { 'large.bin': large });
    const chunks = new Map<string, number>();
    let gets = 0;
    let cuts = 0;
    world.relay.refuses = (request, ids) => {
      if (request !== 'get') return undefined;
      gets += 1;
      for (const id of ids) chunks.set(id, (chunks.get(id) ?? 0) + 1);
      // One window comes through, the next is cut.
      if (gets % 2 === 0 && cuts < 8) {
        cuts += 1;
        world.relay.cut();
      }
      return undefined;
    };
    expect(await a.peer.decline()).toMatchObject({ ok: true });
    if (what === 'ends in between') {
      await world.until('the first cut', () => cuts === 1 && (stagedBytes(a)[0] ?? 0) > 0);
      await a.stop();
      a.start();
    }
    await world.quiet();
    for (const { user } of [a, b]) expect(user.read('large.bin') === large).toBe(true);
    expect(cuts).toBeGreaterThan(0);
    expect(stagedBytes(a)).toEqual([]);
    // A window that was cut is asked for again, no more.
    expect(Math.max(...chunks.values())).toBeLessThan(5);
  },
);
