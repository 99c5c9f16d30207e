/** Stamps that come back without the content that they were seen with (LOG6): a file is what was read, not what its stamps recall. */
import type { Digest, RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fingerprintOf } from '../../engine/src/core/fingerprint.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

/** As reproducible archives stamp all their files. */
const archiveMs = Date.UTC(1985, 9, 26);
function unpack(person: Person, directory: string, text: string): void {
  for (let index = 0; index < 20; index += 1) {
    const path = `${directory}/m${index}.js`;
    person.user.write(path, `${text} ${String(index).padStart(2, '0')}\n`);
    person.user.setModificationTime(path, archiveMs);
  }
}
async function pair(): Promise<readonly [Person, Person]> {
  const [a, b] = [world.person('a'), world.person('b')];
  a.user.write('keep.txt', 'keep\n');
  unpack(a, 'pkg-1.0', 'first version ');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  // Looked at again so late that every stamp counts.
  await a.stop();
  await world.clock.advance(10_000);
  a.start();
  await world.quiet();
  return [a, b];
}

test('a new version is unpacked after the old one went, with its inodes, sizes and times', async () => {
  const [a, b] = await pair();
  a.user.remove('pkg-1.0');
  unpack(a, 'pkg-1.1', 'second version');
  await world.quiet();
  expect(b.user.tree()).toEqual(a.user.tree());
  expect(b.user.read('pkg-1.1/m7.js')).toBe('second version 07\n');
});

test('the same after the deletion was sent', async () => {
  const [a, b] = await pair();
  a.user.remove('pkg-1.0');
  await world.until('deleted', () => b.user.read('pkg-1.0/m7.js') === undefined);
  unpack(a, 'pkg-1.1', 'second version');
  await world.quiet();
  expect(b.user.tree()).toEqual(a.user.tree());
});

test('another file takes inode, size and time of one in the same directory that is gone', async () => {
  const [a, b] = await pair();
  a.user.remove('pkg-1.0/m7.js');
  a.user.write('pkg-1.0/mx.js', 'another version 7\n');
  a.user.setModificationTime('pkg-1.0/mx.js', archiveMs);
  await world.quiet();
  expect(b.user.tree()).toEqual(a.user.tree());
});

test('an old version is swapped in beside the new one by renames alone', async () => {
  const [a, b] = await pair();
  unpack(a, 'old', 'an old version');
  await world.quiet();
  a.user.rename('pkg-1.0', 'aside');
  a.user.rename('old', 'pkg-1.0');
  a.user.rename('aside', 'old');
  await world.quiet();
  expect(b.user.tree()).toEqual(a.user.tree());
  expect(b.user.read('pkg-1.0/m7.js')).toBe('an old version 07\n');
});

test('a digest that does not match when the file is sent is taken again from the disk', async () => {
  const [a, b] = await pair();
  await a.stop();
  const path = 'pkg-1.0/m7.js' as RelPath;
  const local = a.store.row(path)?.local;
  if (local?.kind !== 'file') throw new Error('not scanned');
  a.store.setLocal(path, { ...local, digest: '12'.repeat(32) as Digest });
  a.start();
  await world.quiet();
  expect(a.store.row(path)?.local).toMatchObject({ digest: local.digest });
  expect(b.user.tree()).toEqual(a.user.tree());
});

test.each(['renames it', 'makes it executable'])(
  'a file was scanned in the tick of its last change, and the room %s: it is read again all the same',
  async (what) => {
    const [a, b] = await pair();
    const path = 'pkg-1.0/m7.js' as RelPath;
    const movedPath = what === 'renames it' ? 'pkg-1.0/moved.js' : path;
    b.memory.disk.onChange = () => {};
    b.user.write(path, 'edited version 07\n');
    b.user.setModificationTime(path, archiveMs);
    // As a scan leaves it whose read came between two writes of one tick: the first one's bytes, and stamps that are both's.
    const local = b.store.row(path)?.local;
    const stat = await b.folder.stat(path);
    if (local?.kind !== 'file' || stat === null || stat.kind === 'problem') throw new Error('not there');
    b.store.setLocal(path, { ...local, fingerprint: fingerprintOf(stat), racy: true });
    if (what === 'renames it') a.user.rename(path, movedPath);
    else a.user.setMode(path, 0o755);
    await world.until('the edit travels', () => a.user.read(movedPath) === 'edited version 07\n', 10_000);
    await world.quiet();
    expect(b.user.tree()).toEqual(a.user.tree());
  },
);
