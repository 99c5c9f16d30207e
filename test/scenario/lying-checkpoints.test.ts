/** What a member says in a checkpoint, and nobody has checked (rules CP1, CP2): a newcomer believes none of it unproved. */
import { bytesToHex, type ChunkId, type Content, hexToBytes, type SealedChunk, utf8ToBytes } from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cutPages, pageEntriesOf } from '../../engine/src/core/page-tree.ts';
import { nodeHashing } from '../../engine/src/node/node-hashing.ts';
import type { RoomCipher } from '../../engine/src/ports/room-cipher.ts';
import type { RoomSession } from '../../engine/src/ports/room-session.ts';
import { encodeCheckpointIndex } from '../../engine/src/room/checkpoint-index.ts';
import { foreignMember } from './foreign-member.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
let a: Person;
/** What a relay of its own making shows of a session. */
let shown: (session: RoomSession) => RoomSession;
beforeEach(async () => {
  world = createSmallWorld();
  shown = (session) => session;
  const { client } = world.relay;
  world.relay.client = (hooks) => ({
    ...client(hooks),
    open: (options, handlers) =>
      client(hooks).open(options, { ...handlers, onOnline: (session) => handlers.onOnline(shown(session)) }),
  });
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

const sealedBy =
  (cipher: RoomCipher) =>
  (bytes: Uint8Array): { readonly chunk: SealedChunk; readonly content: Content } => {
    const chunk = cipher.sealChunk(bytes);
    const digest = bytesToHex(nodeHashing.sha256(bytes)) as Content['digest'];
    return { chunk, content: { digest, size: bytes.length, epoch: 0, refs: { depth: 0, ids: [chunk.id] } } };
  };

test('one that stands on an old record, which the relay gives for a later one, is none: a device that was away loses nothing by it', async () => {
  const b = world.person('b');
  a.user.write('again.txt', 'first\n');
  await world.quiet();
  a.user.remove('again.txt');
  await world.quiet();
  const [old, oldRoot] = [a.store.head(), a.store.root()];
  const [page] = cutPages(pageEntriesOf(a.store.manifest, null, null), nodeHashing.sha256);
  if (old === null || page === undefined) throw new Error('no record');
  a.user.write('again.txt', 'second\n');
  b.start();
  await world.quiet();
  await a.stop();
  await b.stop();
  const before = b.user.tree();

  const { cipher, session } = await foreignMember(world);
  const seal = sealedBy(cipher);
  const made = seal(page.bytes);
  const index = seal(encodeCheckpointIndex([{ hash: page.page.hash, content: made.content }]));
  await session.put([made.chunk, index.chunk]);
  const head = { height: (b.store.head()?.height ?? 0) + 2, id: old.id };
  const checkpoint = cipher.sealCheckpoint(
    { height: head.height, recordId: old.id, root: oldRoot, pages: index.content },
    [],
  );
  const { records } = await session.fetchRecords(old.height - 1, 1);
  let asked = 0;
  shown = (given) => ({
    ...given,
    welcome: { ...given.welcome, head, floor: head.height, holdsKnown: true },
    getCheckpoint: async () => {
      asked += 1;
      return checkpoint;
    },
    fetchRecords: async (after, bytesMax) => ({
      ...(await given.fetchRecords(after, bytesMax)),
      head,
      floor: head.height,
      records: after === head.height - 1 ? records.slice(0, 1) : [],
    }),
  });
  world.relay.floor = head.height;
  b.start();
  await world.until('it is asked for', () => asked > 0);
  await world.clock.advance(60_000);
  expect(b.user.tree()).toEqual(before);
  expect(b.store.head()).not.toEqual(head);
});
