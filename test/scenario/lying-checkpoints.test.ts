/** What a member says in a checkpoint, and nobody has checked (rules CP1, CP2): a newcomer believes none of it unproved. */
import { bytesToHex, type ChunkId, type Content, hexToBytes, type SealedChunk, utf8ToBytes } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { nodeHashing } from '../../engine/src/node/node-hashing.ts';
import { foreignMember } from './foreign-member.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
let a: Person;
beforeEach(async () => {
  world = createSmallWorld();
  a = world.person('a');
  a.start();
  // So many that a newcomer begins with a checkpoint.
  for (let count = 0; count <= 201; count += 1) {
    a.user.write('counter.txt', `${count}\n`);
    await world.clock.advance(150);
  }
  await world.quiet();
});
afterEach(async () => {
  await world.close();
});

async function publish(index: Uint8Array, sizeSaid = index.length): Promise<ChunkId> {
  const { cipher, session } = await foreignMember(world);
  const chunk: SealedChunk = cipher.sealChunk(index);
  const sealed = hexToBytes(chunk.id);
  const list: SealedChunk = { id: bytesToHex(nodeHashing.sha256(sealed)) as SealedChunk['id'], sealed };
  await session.put([chunk, list]);
  const head = a.store.head();
  if (head === null) throw new Error('no head');
  const pages: Content = {
    digest: bytesToHex(nodeHashing.sha256(index)) as Content['digest'],
    size: sizeSaid,
    epoch: 0,
    refs: { depth: 0, ids: [chunk.id] },
  };
  await session.putCheckpoint(
    cipher.sealCheckpoint({ height: head.height, recordId: head.id, root: a.store.root(), pages }, [list.id]),
  );
  return chunk.id;
}

test.each<[string, string, number?]>([
  ['is no JSON', '['],
  ['lists nothing that is a page', '[null]'],
  ['says nothing of where its page is', `[{"hash":"${'0'.repeat(64)}"}]`],
  ['is said to be larger than any', '[]', 2 ** 50],
])('an index that %s is passed over: the log is read', async (_what, index, sizeSaid) => {
  await publish(utf8ToBytes(index), sizeSaid);
  const c = world.person('c');
  c.start();
  await world.until('c is there', () => c.user.read('counter.txt') === '201\n');
  expect(world.relay.requests.get('getCheckpoint')).toBeGreaterThan(0);
});

/** By a member that keeps the rules. */
async function makeCheckpoint(): Promise<number> {
  const before = world.relay.requests.get('putCheckpoint') ?? 0;
  const asked = { bytesSinceCheckpoint: () => ({ bytes: 2 ** 30, records: 1 }) };
  const { bytesSinceCheckpoint } = a.store;
  Object.assign(a.store, asked);
  a.user.write('counter.txt', 'checkpoint\n');
  await world.until('a checkpoint', () => (world.relay.requests.get('putCheckpoint') ?? 0) > before);
  Object.assign(a.store, { bytesSinceCheckpoint });
  await world.quiet();
  a.user.write('counter.txt', 'after it\n');
  await world.quiet();
  return a.store.lastCheckpoint()?.height ?? 0;
}

test('the one before it is taken', async () => {
  const height = await makeCheckpoint();
  await publish(utf8ToBytes('['));
  const c = world.person('c');
  c.start();
  await world.until('c is there', () => c.user.read('counter.txt') === 'after it\n');
  expect(c.store.lastCheckpoint()?.height).toBe(height);
});

test('one whose chunks the relay lost is passed over as well', async () => {
  await makeCheckpoint();
  world.relay.lost.add(await publish(utf8ToBytes('[]')));
  const c = world.person('c');
  c.start();
  await world.until('c is there', () => c.user.read('counter.txt') === 'after it\n');
});

test('where nothing else leads on, a device that was away waits for another, and begins nothing anew', async () => {
  a.user.write('both.txt', 'one\ntwo\nthree\n');
  const b = world.person('b');
  b.start();
  await world.quiet();
  await b.stop();
  a.user.write('both.txt', 'one by a\ntwo\nthree\n');
  await world.quiet();
  a.user.write('counter.txt', 'meanwhile\n');
  await world.quiet();
  world.relay.floor = a.store.head()?.height ?? 0;
  await publish(utf8ToBytes('['));
  b.user.write('both.txt', 'one\ntwo\nthree by b\n');
  b.start();
  await world.until('it says why it waits', () => b.state()?.reason?.includes('no checkpoint') === true);
  expect(b.store.setting('join')).toBeUndefined();
  await makeCheckpoint();
  await world.until('merged', () => b.user.read('both.txt') === 'one by a\ntwo\nthree by b\n');
  await world.quiet();
  expect(a.user.tree()).toEqual(b.user.tree());
});
