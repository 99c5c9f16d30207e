/** What a member says in a checkpoint, and nobody has checked (rules CP1, CP2): a newcomer believes none of it unproved. */
import {
  bytesToHex,
  type ChunkId,
  type Content,
  concatBytes,
  hexToBytes,
  type RelPath,
  type SealedChunk,
  type Slot,
  utf8ToBytes,
} from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pageBytes, pageHash, rootOfHashes } from '../../engine/src/core/page-tree.ts';
import { nodeHashing } from '../../engine/src/node/node-hashing.ts';
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
  const c = world.person('c', { inviter: a });
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

// ── one device's word (rule CP2) ─────────────────────────────────────────────────────────────────────────────────────

const planted = 'planted for newcomers only\n';

/** Void for all who follow the log, as its root does not come out; and a checkpoint that is as void. */
async function plant(): Promise<void> {
  const { cipher, device, session } = await foreignMember(world);
  const seal = (bytes: Uint8Array): { readonly chunk: SealedChunk; readonly content: Content } => {
    const chunk = cipher.sealChunk(bytes);
    const digest = bytesToHex(nodeHashing.sha256(bytes)) as Content['digest'];
    return { chunk, content: { digest, size: bytes.length, epoch: 0, refs: { depth: 0, ids: [chunk.id] } } };
  };
  const file = seal(utf8ToBytes(planted));
  const slot: Slot = { kind: 'file', content: file.content, executable: false, private: false };
  const bytes = pageBytes([{ path: 'counter.txt' as RelPath, slot, variants: [] }]);
  const page = seal(bytes);
  const hash = pageHash(bytes, nodeHashing.sha256);
  const root = rootOfHashes([hash], nodeHashing.sha256);
  const index = seal(encodeCheckpointIndex([{ hash, content: page.content }]));
  const ids = [file, page, index].map(({ chunk }) => chunk.id);
  const sealed = concatBytes(...ids.map(hexToBytes));
  const list: SealedChunk = { id: bytesToHex(nodeHashing.sha256(sealed)) as SealedChunk['id'], sealed };
  await session.put([file.chunk, page.chunk, index.chunk, list]);
  const head = a.store.head();
  if (head === null) throw new Error('no head');
  const { id, record } = cipher.sealRecord({
    height: head.height + 1,
    prev: head.id,
    adds: [],
    body: {
      device: device.device,
      deviceName: 'mallory',
      timeMs: 0,
      label: '',
      massDeletion: 'none',
      changes: [],
      root,
    },
  });
  expect(await session.append(record, [])).toMatchObject({ kind: 'appended' });
  const body = { height: head.height + 1, recordId: id, root, pages: index.content };
  expect(await session.putCheckpoint(cipher.sealCheckpoint(body, [list.id]))).toEqual([]);
  await world.quiet();
}
const isHonest = (person: Person): boolean => person.user.read('counter.txt') === a.user.read('counter.txt');
const waits = (person: Person): boolean => person.state()?.code === 'checkpoint-unconfirmed';

test('a checkpoint on a record that is void for all others is not the room: the log is read', async () => {
  await plant();
  const c = world.person('c', { inviter: a });
  c.start();
  await world.until('c is there', () => c.user.read('counter.txt') !== undefined);
  await world.quiet();
  expect(isHonest(c)).toBe(true);
  expect(c.user.tree()).toEqual(a.user.tree());
  expect(await c.peer.verify()).toMatchObject({ ok: true });
});

test.each([
  ['of whoever gave the invite', { invited: true, record: false }],
  ['on which another device wrote', { invited: false, record: true }],
])('one %s is believed: only what came after it is read', async (_whose, { invited, record }) => {
  const height = await makeCheckpoint();
  if (record) {
    const b = world.person('b');
    b.start();
    await world.until('b is there', () => isHonest(b));
    b.user.write('by-b.txt', 'b\n');
    await world.quiet();
    await b.stop();
  }
  await a.stop();
  const before = world.relay.requests.get('fetchRecords') ?? 0;
  const c = world.person('c', invited ? { inviter: a } : {});
  c.start();
  await world.until('c is there', () => isHonest(c));
  await world.quiet();
  expect(c.store.recordMeta(height - 1)).toBeUndefined();
  expect((world.relay.requests.get('fetchRecords') ?? 0) - before).toBeLessThan(10);
});

test('of nobody else known, the whole log is read', async () => {
  await makeCheckpoint();
  await a.stop();
  const c = world.person('c');
  c.start();
  await world.until('c is there', () => isHonest(c));
  expect(c.store.recordMeta(1)).toBeDefined();
});

/** The log before it is gone, and two devices wrote in what is left. */
async function prunedRoom(): Promise<Person> {
  const b = world.person('b');
  b.start();
  await world.quiet();
  b.user.write('by-b.txt', 'b\n');
  await world.quiet();
  world.relay.floor = a.store.head()?.height ?? 0;
  await makeCheckpoint();
  await world.quiet();
  return b;
}

test('where the log is gone a newcomer waits for another device, touches nothing and says so', async () => {
  const b = await prunedRoom();
  const { height } = a.store.lastCheckpoint() ?? { height: 0 };
  // The last record is by whoever made the checkpoint.
  expect(a.store.head()?.height).toBeGreaterThanOrEqual(height);
  await a.stop();
  await b.stop();
  const c = world.person('c');
  c.user.write('counter.txt', 'mine\n');
  c.user.write('own.txt', 'own\n');
  c.start();
  await world.until('it waits', () => waits(c));
  await world.clock.advance(60_000);
  expect(waits(c)).toBe(true);
  expect(c.user.tree()).toEqual({ 'counter.txt': 'mine\n', 'own.txt': 'own\n' });
  b.start();
  await world.until('confirmed', () => c.user.read('by-b.txt') === 'b\n');
  await world.quiet();
  expect(c.store.setting('doubted-checkpoint')).toBeUndefined();
  expect(b.user.read('own.txt')).toBe('own\n');
});

test('… but not where one device alone has written: there is nobody to ask', async () => {
  await makeCheckpoint();
  world.relay.floor = 150;
  await a.stop();
  const c = world.person('c');
  c.start();
  await world.until('c is there', () => isHonest(c));
});

test('… and a forged one is passed over as soon as a device says otherwise: an older one is the room', async () => {
  const b = await prunedRoom();
  await plant();
  const c = world.person('c');
  c.start();
  await world.until('c is there', () => isHonest(c));
  await world.quiet();
  expect(c.user.tree()).toEqual(b.user.tree());
  expect(await a.peer.status()).toMatchObject({ state: 'idle' });
});

test('… nor is a true one that a device calls false passed over for good', async () => {
  const b = await prunedRoom();
  await a.stop();
  const { root } = b.store;
  Object.assign(b.store, { root: () => 'ef'.repeat(32) });
  const c = world.person('c');
  c.start();
  const told = (): number =>
    c.events.filter((event) => event.event === 'note' && event.note.includes('passed over')).length;
  await world.until('it is passed over', () => told() > 0);
  await world.clock.advance(90_000);
  expect(told()).toBe(1);
  expect(c.user.tree()).toEqual({});
  Object.assign(b.store, { root });
  a.start();
  await world.until('c is there', () => isHonest(c));
});

// ── honest rooms, whose newcomers need not wait ──────────────────────────────────────────────────────────────────────

test('a second device is here at the head: what came before the checkpoint is not read', async () => {
  const b = world.person('b');
  b.start();
  await world.quiet();
  await makeCheckpoint();
  const c = world.person('c');
  c.start();
  await world.until('c is there', () => isHonest(c));
  expect(c.store.recordMeta(1)).toBeUndefined();
});

test('whoever began the room loses its state, and only the other device wrote beside it', async () => {
  const b = await prunedRoom();
  await b.stop();
  b.loseState();
  b.start();
  await world.until('b is there', () => b.state()?.state === 'idle');
});

test('a newcomer is invited by one who is away, whose record stands on an older checkpoint', async () => {
  world.relay.floor = await makeCheckpoint();
  const b = world.person('b');
  b.start();
  await world.quiet();
  b.user.write('by-b.txt', 'b\n');
  await world.quiet();
  await makeCheckpoint();
  await b.stop();
  const c = world.person('c', { inviter: b });
  c.start();
  await world.until('c is there', () => isHonest(c) && c.user.read('by-b.txt') === 'b\n');
});

test('killed at any moment, it comes to the same', async () => {
  const b = world.person('b');
  b.start();
  await world.quiet();
  world.relay.floor = await makeCheckpoint();
  b.user.write('by-b.txt', 'b\n');
  await world.quiet();
  await a.stop();
  await b.stop();
  for (let n = 1; ; n += 1) {
    const c = world.person(String.fromCharCode('c'.charCodeAt(0) + n - 1));
    c.killBefore(n, 'kill');
    c.start();
    await world.until('killed, or there', () => c.isDead || c.state()?.state === 'idle');
    const wasKilled = c.isDead;
    if (wasKilled) c.start();
    await world.until(`${n}: there`, () => c.user.read('by-b.txt') === 'b\n');
    await c.stop();
    if (!wasKilled) break;
  }
});

test('nor does it wait for ever when its link was cut while it looked who wrote the log', async () => {
  const height = await makeCheckpoint();
  world.relay.floor = height - 20;
  await a.stop();
  for (const cutAt of [1, 2, 3, 4]) {
    const c = world.person(String.fromCharCode('c'.charCodeAt(0) + cutAt));
    let seen = 0;
    world.relay.refuses = (request) => {
      if (request === 'fetchRecords' && c.store.setting('doubted-checkpoint') !== undefined && ++seen === cutAt)
        world.relay.cut();
      return undefined;
    };
    c.start();
    await world.until('c is there', () => isHonest(c));
    await c.stop();
  }
});

test('a damaged record that everybody lost, and two devices: the one goes on from the checkpoint of the other', async () => {
  const b = world.person('b', { inviter: a });
  b.start();
  await world.quiet();
  await a.stop();
  b.user.write('counter.txt', 'by b\n');
  await world.quiet();
  const damaged = b.store.head();
  if (damaged === null) throw new Error('no head');
  Object.assign(b.store, { bytesSinceCheckpoint: () => ({ bytes: 2 ** 30, records: 1 }) });
  b.user.write('counter.txt', 'by b, and a checkpoint\n');
  await world.until('a checkpoint', () => (world.relay.requests.get('putCheckpoint') ?? 0) > 0);
  await b.stop();
  b.loseState();
  world.relay.damaged.add(damaged.id);
  a.start();
  await world.until(
    'a is there',
    () => isHonest(b) && a.user.read('counter.txt')?.startsWith('by b') === true,
    600_000,
  );
});

// ── a relay that makes use of the doubt ──────────────────────────────────────────────────────────────────────────────

test.each([
  ['none of the log', 0],
  ['its first hundred records', 100],
])(
  'a relay says that the log is gone, and then gives a device that was away %s: nothing is deleted',
  async (_what, records) => {
    a.user.write('by-a.txt', 'a\n');
    const b = world.person('b');
    b.start();
    await world.quiet();
    b.user.write('by-b.txt', 'b\n');
    await world.quiet();
    await b.stop();
    await makeCheckpoint();
    const before = b.user.tree();
    const last = a.store.recordMeta(records)?.head ?? null;
    world.relay.floor = a.store.head()?.height ?? 0;
    await a.stop();
    shown = (session) => ({
      ...session,
      fetchRecords: async (after, bytesMax) => {
        if (after === 0) world.relay.floor = 0;
        const page = await session.fetchRecords(after, bytesMax);
        if (world.relay.floor !== 0) return page;
        return { ...page, head: last, records: page.records.slice(0, Math.max(0, records - after)) };
      },
    });
    b.start();
    await world.clock.advance(120_000);
    expect(Object.keys(b.user.tree())).toEqual(Object.keys(before));
  },
);

test('who doubts a checkpoint does not give it to a relay that lost the room', async () => {
  const b = await prunedRoom();
  await plant();
  await a.stop();
  await b.stop();
  const c = world.person('c');
  c.start();
  await world.until('it waits', () => waits(c));
  let seeds = 0;
  shown = (session) => ({
    ...session,
    welcome: { ...session.welcome, head: null, floor: 0, holdsKnown: false, storeId: new Uint8Array(16).fill(9) },
    seed: (...given) => {
      seeds += 1;
      return session.seed(...given);
    },
  });
  world.relay.cut();
  await world.clock.advance(60_000);
  expect(seeds).toBe(0);
  expect(c.user.read('counter.txt')).not.toBe(planted);
});
