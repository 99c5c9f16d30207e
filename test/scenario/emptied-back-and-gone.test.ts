/** Files of an emptied folder that come back for a while are gone when they are gone (D12). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

test.each(['under other names', 'at their paths'])(
  'files of an emptied folder that come back %s and go again are asked about as before',
  async (how) => {
    const a = world.person('a');
    const b = world.person('b');
    const files = Array.from({ length: 30 }, (_, index) => [`d${index % 5}/f${index}.txt`, `text ${index}\n`] as const);
    for (const [path, text] of files) a.user.write(path, text);
    a.start();
    await world.quiet();
    b.start();
    await world.quiet();
    for (let index = 0; index < 5; index += 1) a.user.remove(`d${index}`);
    await world.until('halt', () => a.state()?.code === 'root-emptied');
    const [last, ...others] = files;
    if (last === undefined) throw new Error('no files');
    const nameOf = (path: string): string => (how === 'at their paths' ? path : `unpacked/${path}`);
    // Unpacked from a backup, at first in the wrong place.
    for (const [path, text] of others) a.user.write(nameOf(path), text);
    await world.clock.advance(10_000);
    for (const [path] of others) a.user.remove(nameOf(path));
    await world.clock.advance(10_000);
    a.user.write(...last);
    await world.clock.advance(60_000);
    const left = Object.keys(b.user.tree()).filter((path) => path.endsWith('.txt')).length;
    expect({ left, code: a.state()?.code }).toEqual({ left: 30, code: 'root-emptied' });
  },
);
