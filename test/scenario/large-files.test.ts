/** Large contents: streamed beside the loop, only changed blocks move, small saves overtake (F16, FAST5, W5). */

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
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

test('files above a megabyte are shared, joined, changed in one byte, and arrive whole', async () => {
  const a = await world.share('a', { files: { 'small.txt': 'small\n' } });
  for (let index = 0; index < 4; index += 1) a.write(`big${index}.bin`, randomBytes(3_000_000 + index));
  const b = await world.join('b', a.invite);
  await b.until(
    'big files',
    () => existsSync(path.join(b.dir, 'big3.bin')) && existsSync(path.join(b.dir, 'big0.bin')),
  );
  await world.settled(a, b);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
  const changed = Buffer.from(treeOf(a.dir)['big0.bin'] ?? '', 'base64');
  changed[1_500_000] = (changed[1_500_000] ?? 0) ^ 1;
  a.write('big0.bin', changed);
  await b.until('the changed byte', () => treeOf(b.dir)['big0.bin'] === changed.toString('base64'));
  await world.settled(a, b);
  expect(treeOf(b.dir)).toEqual(treeOf(a.dir));
});
