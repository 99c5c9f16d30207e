/** A mapped file is read once more whatever else comes and goes (F10). */
import type { RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fingerprintOf } from '../../engine/src/core/fingerprint.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
let a: Person;
let b: Person;
beforeEach(async () => {
  world = createSmallWorld();
  a = world.person('a');
  b = world.person('b');
  for (const path of ['dir/one.txt', 'dir/two.txt', 'top.txt']) a.user.write(path, `${path}\n`);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
});
afterEach(async () => {
  await world.close();
});

/** As a mapped file does: the row of `a` has the stamps of what is there, and the content of before. */
function changeWithoutStamps(path: string, text: string): void {
  const row = a.store.row(path as RelPath);
  a.user.write(path, text);
  const stat = a.memory.disk.lstat(`/folder/${path}`);
  if (row?.local?.kind !== 'file' || stat == null) throw new Error('no file');
  a.store.setLocal(path as RelPath, { ...row.local, fingerprint: fingerprintOf(stat), racy: false });
}

test.each(['nothing else happens', 'a program makes and removes a file every second'])(
  'where nothing is watched, what a mapped file holds is found within five minutes, while %s',
  async (what) => {
    a.watcher.refuse('*', 'a network disk');
    a.memory.onHint = () => {};
    await world.clock.advance(60_000);
    let round = 0;
    const second = async (): Promise<void> => {
      if (what !== 'nothing else happens') {
        a.user.write(`dir/spool-${round}.txt`, `${round}\n`);
        if (round > 0) a.user.remove(`dir/spool-${round - 1}.txt`);
        round += 1;
      }
      await world.clock.advance(1_000);
    };
    for (let seconds = 0; seconds < 30; seconds += 1) await second();
    a.user.write('top.txt', 'aaaa\n');
    for (let seconds = 0; seconds < 60 && b.user.read('top.txt') !== 'aaaa\n'; seconds += 1) await second();
    expect(b.user.read('top.txt')).toBe('aaaa\n');
    changeWithoutStamps('top.txt', 'bbbb\n');
    for (let seconds = 0; seconds < 300 && b.user.read('top.txt') !== 'bbbb\n'; seconds += 1) await second();
    expect(b.user.read('top.txt')).toBe('bbbb\n');
  },
);
