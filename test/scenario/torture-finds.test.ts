/** What the torture (test/chaos) found, each reduced to a few lines. */
import { readdirSync, readlinkSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createWorld, type Person, treeOf, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await world.close();
});

/** Both hold `files`; then each changes its folder while the other is paused, and both go on. */
async function apart(files: Record<string, string>, changeA: (a: Person) => void, changeB: (b: Person) => void) {
  const a = await world.share('a', { files });
  const b = await world.join('b', a.invite);
  await world.settled(a, b);
  await b.control.pause();
  await b.until('paused', () => b.state()?.state === 'paused');
  const before = a.events.length;
  changeA(a);
  await a.until(
    'sent',
    () => a.events.slice(before).some((event) => event.event === 'sent') && a.state()?.state === 'idle',
  );
  changeB(b);
  await b.control.resume();
  return { a, b };
}
const copies = (dir: string): string[] => readdirSync(dir).filter((name) => name.includes('.conflict-'));

test('links that point elsewhere on both sides: one copy, then quiet (C4, invariant 19)', async () => {
  const { a, b } = await apart(
    { 'anchor.txt': 'here\n' },
    (one) => symlinkSync('by-a', path.join(one.dir, 'link')),
    (two) => symlinkSync('by-b', path.join(two.dir, 'link')),
  );
  await a.until('the copy', () => copies(a.dir).length > 0);
  await world.settled(a, b);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
  expect(readlinkSync(path.join(a.dir, 'link'))).toBe('by-a');
  expect(copies(a.dir).map((name) => readlinkSync(path.join(a.dir, name)))).toEqual(['by-b']);
});
