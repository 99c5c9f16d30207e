/** What a machine leaves out stays as it is, here and elsewhere, and comes back when it can (IG1, IG2, S2). */
import { existsSync, mkdirSync, readdirSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createWorld, treeOf, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await world.close();
});

test('a directory that is a link to elsewhere is left out with all that arrives below it, until it is a directory again', async () => {
  const a = await world.share('a', { files: { 'd/old.txt': '1\n', 'top.txt': 'top\n' } });
  const b = await world.join('b', a.invite);
  await world.settled(a, b);
  await b.stop();
  const elsewhere = path.join(world.root, 'elsewhere');
  mkdirSync(elsewhere);
  renameSync(path.join(b.dir, 'd'), path.join(elsewhere, 'd'));
  symlinkSync(path.join(elsewhere, 'd'), path.join(b.dir, 'd'));
  await b.start();
  const isShown = async (): Promise<boolean> =>
    (await b.control.status()).problems.some(({ path, reason }) => path === 'd' && reason.includes('leads out'));
  await b.until('it is shown, and no longer in sync', () => b.state()?.state === 'syncing' && b.state()?.pending === 1);
  expect(await isShown()).toBe(true);
  a.write('d/old.txt', '2\n');
  a.write('d/new.txt', 'new\n');
  a.write('last.txt', 'last\n');
  await b.until('the rest goes on', () => existsSync(path.join(b.dir, 'last.txt')));
  expect(readdirSync(path.join(elsewhere, 'd'))).toEqual(['old.txt']);
  expect((await b.control.status()).outOfScopePaths).toContainEqual({ path: 'd/new.txt', reason: 'outside-link' });
  unlinkSync(path.join(b.dir, 'd'));
  renameSync(path.join(elsewhere, 'd'), path.join(b.dir, 'd'));
  await b.until('what waited', () => existsSync(path.join(b.dir, 'd/new.txt')));
  await world.settled(a, b);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
  expect(a.read('d/old.txt')).toBe('2\n');
});
