/** A replace that a crash cut and that cannot be finished now is the matter of its path alone (M8): nothing follows from the path, and everything else goes on. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

async function pair(): Promise<readonly [Person, Person]> {
  const [a, b] = [world.person('a'), world.person('b')];
  for (const [path, text] of Object.entries({ 'one.txt': 'one\n', 'two.txt': 'two\n', 'dir/three.txt': 'three\n' }))
    a.user.write(path, text);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  return [a, b];
}

/** Ends `b` in the replace of one.txt, before its n-th change; false when it has fewer. */
async function cutInReplace(a: Person, b: Person, nth: number): Promise<boolean> {
  await b.stop();
  a.user.write('one.txt', 'one, better\n');
  await world.quiet();
  b.start();
  b.folder.before = ({ operation, path }) => {
    if (operation === 'swapIn' && path === 'one.txt') b.killBefore(nth, 'kill');
  };
  await world.until('dead or at rest', () => b.isDead || b.state()?.state === 'idle');
  return b.isDead;
}

test('a path that cannot be settled now waits, is shown, and neither reverted nor deleted; the others go on', async () => {
  for (let nth = 1; ; nth += 1) {
    world = createSmallWorld();
    const [a, b] = await pair();
    if (!(await cutInReplace(a, b, nth))) break;
    const isOpen = b.store.intents().length > 0;
    b.start();
    b.folder.addFault({ operation: 'settleSwap', code: 'EACCES', times: Number.POSITIVE_INFINITY });
    a.user.write('two.txt', 'two, better\n');
    b.user.write('dir/three.txt', 'three, better\n');
    await world.until('the others', () => b.user.read('two.txt') === 'two, better\n');
    await world.until('the others', () => a.user.read('dir/three.txt') === 'three, better\n');
    await world.clock.advance(30_000);
    expect(a.user.read('one.txt')).toBe('one, better\n');
    if (isOpen) {
      expect(b.store.problemRows(5)).toMatchObject([
        { path: 'one.txt', problem: { reason: expect.stringContaining('permission is denied') } },
      ]);
      expect(b.state()?.code).toBeUndefined();
    }
    b.folder.clearFaults();
    await world.until('settled', () => b.store.intents().length === 0 && b.store.problemRows(5).length === 0);
    await world.quiet();
    expect(b.user.tree()).toEqual(a.user.tree());
    expect(b.user.read('one.txt')).toBe('one, better\n');
    expect(await b.folder.stagedNames()).toEqual([]);
    await world.close();
  }
});

test.each(['gone', 'edited'])(
  'somebody emptied .driftless while a replace was cut, and the path is %s',
  async (what) => {
    let opened = 0;
    for (let nth = 1; ; nth += 1) {
      world = createSmallWorld();
      const [a, b] = await pair();
      if (!(await cutInReplace(a, b, nth))) break;
      opened += b.store.intents().length;
      const isOpen = b.store.intents().length > 0;
      const isReplaced = b.user.read('one.txt') === 'one, better\n';
      b.user.remove('.driftless');
      if (what === 'gone' && b.user.read('one.txt') !== undefined) b.user.remove('one.txt');
      if (what === 'edited') b.user.write('one.txt', 'edited here\n');
      b.start();
      await world.quiet();
      const texts = Object.values(a.user.tree());
      expect(b.user.tree()).toEqual(a.user.tree());
      // The room's edit is not beaten by a deletion that it never met, nor overwritten by an edit of what was there before it.
      if (isOpen && !isReplaced) expect(texts).toContain('one, better\n');
      if (what === 'edited') expect(texts).toContain('edited here\n');
      await world.close();
    }
    expect(opened).toBeGreaterThan(2);
  },
);

test('what was placed, and edited by its user before the next start, is an ordinary edit', async () => {
  for (let nth = 1; ; nth += 1) {
    world = createSmallWorld();
    const [a, b] = await pair();
    if (!(await cutInReplace(a, b, nth))) break;
    const isReplaced = b.user.read('one.txt') === 'one, better\n';
    if (isReplaced) b.user.write('one.txt', 'one, better, and edited\n');
    b.start();
    await world.quiet();
    const text = isReplaced ? 'one, better, and edited\n' : 'one, better\n';
    expect(b.user.tree()).toEqual({ 'dir/': '', 'dir/three.txt': 'three\n', 'one.txt': text, 'two.txt': 'two\n' });
    expect(a.user.tree()).toEqual(b.user.tree());
    await world.close();
  }
});
