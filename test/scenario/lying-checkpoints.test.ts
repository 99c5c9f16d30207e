/** What a member says in a checkpoint, and nobody has checked (rules CP1, CP2): a newcomer believes none of it unproved. */
import {
  bytesToHex,
  type ChunkId,
  type Content,
  concatBytes,
  type Head,
  hexToBytes,
  type RelPath,
  recordIdOf,
  type SealedChunk,
  type Slot,
  utf8ToBytes,
} from '@driftless/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cutPages, pageBytes, pageEntriesOf, pageHash, rootOf, rootOfHashes } from '../../engine/src/core/page-tree.ts';
import { nodeHashing } from '../../engine/src/node/node-hashing.ts';
import type { RoomCipher } from '../../engine/src/ports/room-cipher.ts';
import type { RoomSession } from '../../engine/src/ports/room-session.ts';
import { encodeCheckpointIndex } from '../../engine/src/room/checkpoint-index.ts';
import { type ForeignMember, foreignMember } from './foreign-member.ts';
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
  const head = headOf(a);
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

const emptyBody = { deviceName: 'mallory', timeMs: 0, label: '', massDeletion: 'none', changes: [] } as const;

const sealedBy =
  (cipher: RoomCipher) =>
  (bytes: Uint8Array): { readonly chunk: SealedChunk; readonly content: Content } => {
    const chunk = cipher.sealChunk(bytes);
    const digest = bytesToHex(nodeHashing.sha256(bytes)) as Content['digest'];
    return { chunk, content: { digest, size: bytes.length, epoch: 0, refs: { depth: 0, ids: [chunk.id] } } };
  };

test.each([
  ['an old record, which the relay gives for a later one', { isMadeForIt: false, joinsLate: false, isOld: false }],
  ['a record that its author made for it', { isMadeForIt: true, joinsLate: false, isOld: false }],
  ['the same, where it joined by a checkpoint and wrote since', { isMadeForIt: true, joinsLate: true, isOld: false }],
  ['the same, where its state says nothing of who wrote', { isMadeForIt: true, joinsLate: false, isOld: true }],
  ['the same, where neither does and it joined by a checkpoint', { isMadeForIt: true, joinsLate: true, isOld: true }],
])(
  'one of an old state, on %s, takes nothing from a device that was away',
  async (_what, { isMadeForIt, joinsLate, isOld }) => {
    const b = world.person('b', joinsLate ? { inviter: a } : {});
    a.user.write('again.txt', 'first\n');
    await world.quiet();
    a.user.remove('again.txt');
    await world.quiet();
    const [old, oldRoot] = [a.store.head(), a.store.root()];
    const [page] = cutPages(pageEntriesOf(a.store.manifest, null, null), nodeHashing.sha256);
    if (old === null || page === undefined) throw new Error('no record');
    a.user.write('again.txt', 'second\n');
    if (joinsLate) await makeCheckpoint();
    b.start();
    await world.quiet();
    expect(b.store.recordMeta(1) === undefined).toBe(joinsLate);
    b.user.write('own.txt', 'own\n');
    await world.quiet();
    await a.stop();
    if (isOld) b.store.setSetting('room-authors', null);
    await b.stop();
    const before = b.user.tree();

    const { cipher, device, session } = await foreignMember(world);
    const seal = sealedBy(cipher);
    const made = seal(page.bytes);
    const index = seal(encodeCheckpointIndex([{ hash: page.page.hash, content: made.content }]));
    await session.put([made.chunk, index.chunk]);
    const height = (b.store.head()?.height ?? 0) + 2;
    const own = cipher.sealRecord({
      height,
      prev: old.id,
      adds: [],
      body: { ...emptyBody, device: device.device, root: oldRoot },
    });
    const head = { height, id: isMadeForIt ? own.id : old.id };
    const checkpoint = cipher.sealCheckpoint({ height, recordId: head.id, root: oldRoot, pages: index.content }, []);
    const records = isMadeForIt ? [own.record] : (await session.fetchRecords(old.height - 1, 1)).records;
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
  },
);

// ── one device's word (rule CP2) ─────────────────────────────────────────────────────────────────────────────────────

const planted = 'planted for newcomers only\n';

/** Void for all who follow the log, as its root does not come out; and a checkpoint that is as void. */
async function plant(pathsByPage: readonly (readonly string[])[] = [['counter.txt']]): Promise<void> {
  const member = await foreignMember(world);
  const file = sealedBy(member.cipher)(utf8ToBytes(planted));
  await member.session.put([file.chunk]);
  const slot: Slot = { kind: 'file', content: file.content, executable: false, private: false };
  await plantPages(
    member,
    pathsByPage.map((paths) => pageBytes(paths.map((path) => ({ path: path as RelPath, slot, variants: [] })))),
    [file.chunk.id],
  );
}
async function plantPages(
  { cipher, device, session }: ForeignMember,
  bytesOfPages: readonly Uint8Array[],
  contents: readonly ChunkId[] = [],
): Promise<void> {
  const seal = sealedBy(cipher);
  const pages = bytesOfPages.map((bytes) => ({ ...seal(bytes), hash: pageHash(bytes, nodeHashing.sha256) }));
  const root = rootOfHashes(
    pages.map(({ hash }) => hash),
    nodeHashing.sha256,
  );
  const index = seal(encodeCheckpointIndex(pages.map(({ hash, content }) => ({ hash, content }))));
  const chunks = [...pages, index].map(({ chunk }) => chunk);
  const sealed = concatBytes(...[...contents, ...chunks.map(({ id }) => id)].map(hexToBytes));
  const list: SealedChunk = { id: bytesToHex(nodeHashing.sha256(sealed)) as SealedChunk['id'], sealed };
  await session.put([...chunks, list]);
  const head = headOf(a);
  const { id, record } = cipher.sealRecord({
    height: head.height + 1,
    prev: head.id,
    adds: [],
    body: { ...emptyBody, device: device.device, root },
  });
  expect(await session.append(record, [])).toMatchObject({ kind: 'appended' });
  const body = { height: head.height + 1, recordId: id, root, pages: index.content };
  expect(await session.putCheckpoint(cipher.sealCheckpoint(body, [list.id]))).toEqual([]);
  await world.quiet();
}
function headOf({ store }: Person): Head {
  const head = store.head();
  if (head === null) throw new Error('no head');
  return head;
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
  ['two pages where everybody has one', [['counter.txt'], ['second.txt']]],
  ['its pages in another order', [['second.txt'], ['counter.txt']]],
  ['one path twice', [['counter.txt'], ['counter.txt']]],
])('one that has %s is passed over: the log is read', async (_what, pathsByPage) => {
  await plant(pathsByPage);
  const c = world.person('c');
  c.start();
  await world.until('c is there', () => isHonest(c));
  await world.quiet();
  expect(c.user.tree()).toEqual(a.user.tree());
  expect(c.events.filter(({ event }) => event === 'state')).not.toContainEqual(
    expect.objectContaining({ state: 'error' }),
  );
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

test('of nobody else known, the whole log is read, and nothing is said to be wrong', async () => {
  await makeCheckpoint();
  await a.stop();
  const c = world.person('c');
  c.start();
  await world.until('c is there', () => isHonest(c));
  expect(c.store.recordMeta(1)).toBeDefined();
  expect(c.openTrials()).toBe(0);
  expect(c.events.filter(({ event }) => event === 'state')).not.toContainEqual(
    expect.objectContaining({ state: 'error' }),
  );
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
  expect(c.openTrials()).toBe(0);
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

test('… two forged ones in a row as well', async () => {
  const b = await prunedRoom();
  await plant();
  await plant();
  const c = world.person('c');
  c.start();
  await world.until('c is there', () => isHonest(c));
  await world.quiet();
  expect(c.user.tree()).toEqual(b.user.tree());
});

test('… nor is a true one that a device calls false passed over for good', async () => {
  const b = await prunedRoom();
  await a.stop();
  const { root } = b.store;
  Object.assign(b.store, { root: () => 'ef'.repeat(32) });
  const c = world.person('c');
  c.start();
  await world.until('it says who differs', () => c.state()?.reason?.includes('say different things') === true);
  await world.clock.advance(90_000);
  expect(waits(c)).toBe(true);
  expect(c.user.tree()).toEqual({});
  Object.assign(b.store, { root });
  a.start();
  await world.until('c is there', () => isHonest(c));
});

test('… or until its user trusts that device, which is acted on at once', async () => {
  const b = await prunedRoom();
  await a.stop();
  await b.stop();
  const c = world.person('c');
  c.start();
  await world.until('it waits', () => waits(c));
  await world.clock.advance(120_000);
  expect(await c.peer.holds()).toMatchObject([{ kind: 'checkpoint', count: 0, declinable: false }]);
  expect(await c.peer.confirm({ kind: 'checkpoint' })).toMatchObject({ ok: true });
  await world.until('c is there', () => isHonest(c), 6_000);
  await world.quiet();
  expect(await c.peer.holds()).toEqual([]);
  expect(c.openTrials()).toBe(0);
});

test('while it waits it tells nobody of what it doubts', async () => {
  await prunedRoom();
  await plant();
  const c = world.person('c');
  c.start();
  await world.until('it is doubted', () => c.openTrials() > 0);
  expect(c.store.head()).toBeNull();
  await world.until('a hears of c', () => a.events.some((event) => event.event === 'peer' && event.name === 'c'));
  const [said] = (await a.peer.status()).peers.filter(({ name }) => name === 'c');
  expect(said).toMatchObject({ height: 0 });
});

test('a device that has agreed on something keeps all of it while a relay of another history shows a checkpoint that nobody confirms', async () => {
  const b = await prunedRoom();
  b.user.write('by-b.txt', 'by b, not sent\n');
  const before = { head: b.store.head(), row: b.store.row('counter.txt' as RelPath) };
  await b.stop();
  await plant();
  await a.stop();
  shown = (session) => ({
    ...session,
    welcome: { ...session.welcome, holdsKnown: false },
    locate: async (heads) => ({ ...(await session.locate(heads)), common: null }),
  });
  b.start();
  await world.until('it waits', () => waits(b));
  await world.clock.advance(60_000);
  expect(b.store.row('counter.txt' as RelPath)).toEqual(before.row);
  expect(b.store.head()).toEqual(before.head);
  expect(b.store.setting('join')).toBeUndefined();
  expect(b.user.read('by-b.txt')).toBe('by b, not sent\n');
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
      if (request === 'fetchRecords' && c.openTrials() > 0 && ++seen === cutAt) world.relay.cut();
      return undefined;
    };
    c.start();
    await world.until('c is there', () => isHonest(c));
    expect(seen).toBeGreaterThanOrEqual(cutAt);
    await c.stop();
  }
});

test('a damaged record that nobody has any more, and two devices: the one goes on from the checkpoint of the other', async () => {
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

test.each([
  ['another device was faster', 'stale', 1],
  ['not all of it is here', 'missingChunks', 5],
] as const)(
  'nor does whoever has a head, and begins anew: %s, and the folder is not sent again in each look',
  async (_what, kind, tries) => {
    const b = await prunedRoom();
    await plant();
    await a.stop();
    let seeds = 0;
    let locates = 0;
    shown = (session) => ({
      ...session,
      welcome: { ...session.welcome, head: null, floor: 0, holdsKnown: false, storeId: new Uint8Array(16).fill(9) },
      locate: async (heads) => {
        locates += 1;
        return { ...(await session.locate(heads)), common: null };
      },
      seed: async () => {
        seeds += 1;
        return kind === 'stale' ? { kind } : { kind, ids: [] };
      },
    });
    world.relay.cut();
    await world.until('it waits', () => waits(b));
    await world.clock.advance(120_000);
    expect(seeds).toBe(tries);
    expect(locates).toBeLessThan(25);
    expect(b.store.setting('join')).toBeUndefined();
  },
);

test('what a later record makes up for is not taken over at the record where it was otherwise', async () => {
  a.user.write('d/agreed.txt', 'agreed\n');
  const b = world.person('b');
  b.start();
  await world.quiet();
  await b.stop();
  const member = await foreignMember(world);
  const at = headOf(a).height + 1;
  const entries = [...pageEntriesOf(a.store.manifest, null, null)];
  // Of d/agreed.txt it says that it was deleted; and then comes a change after which nobody has it: from there on the two are the same.
  const forged = entries.map((entry) =>
    entry.path === 'd/agreed.txt' ? { ...entry, slot: { kind: 'tombstone', digest: null, height: 1 } as const } : entry,
  );
  await plantPages(
    member,
    [...cutPages(forged, nodeHashing.sha256)].map(({ bytes }) => bytes),
  );
  const others = entries.filter(({ path }) => path !== 'd' && path !== 'd/agreed.txt');
  const without = rootOf(
    [...cutPages(others, nodeHashing.sha256)].map(({ page }) => page),
    nodeHashing.sha256,
  );
  const head = headOf(a);
  const untrack = member.cipher.sealRecord({
    height: head.height + 1,
    prev: head.id,
    adds: [],
    body: {
      ...emptyBody,
      device: member.device.device,
      changes: [{ kind: 'untrack', path: 'd' as RelPath, subtree: true }],
      root: without,
    },
  });
  expect(await member.session.append(untrack.record, [])).toMatchObject({ kind: 'appended' });
  await world.quiet();
  a.user.write('by-a.txt', 'a\n');
  await world.quiet();
  await a.stop();
  // It says that the log below is gone. Once that was judged, the relay shows nothing beyond the checkpoint any more.
  let wasJudged = false;
  const record = (await member.session.fetchRecords(at - 1, 1)).records[0];
  if (record === undefined) throw new Error('no record');
  const top: Head = { height: at, id: recordIdOf(record.header) };
  shown = (session) => ({
    ...session,
    fetchRecords: async (after, bytesMax) => {
      const page = await session.fetchRecords(after, bytesMax);
      if (after < at && bytesMax > 1) return { ...page, floor: at + 1, records: [] };
      wasJudged ||= b.openTrials() > 0 && page.records.length === 0;
      return wasJudged && b.openTrials() === 0 ? { ...page, head: top, records: [] } : page;
    },
  });
  b.start();
  await world.until('it is judged', () => wasJudged && b.openTrials() === 0);
  await world.until('it says that something is wrong', () => b.state()?.state === 'error');
  await world.clock.advance(60_000);
  expect(b.state()?.state).toBe('error');
  expect(b.user.read('d/agreed.txt')).toBe('agreed\n');
});

test('records of others that are void on top of it count as theirs: a newcomer waits', async () => {
  const member = await foreignMember(world);
  const head = headOf(a);
  const first = member.cipher.sealRecord({
    height: head.height + 1,
    prev: head.id,
    adds: [],
    body: { ...emptyBody, device: member.device.device, root: a.store.root() },
  });
  expect(await member.session.append(first.record, [])).toMatchObject({ kind: 'appended' });
  await world.quiet();
  world.relay.floor = head.height + 1;
  await plant();
  a.user.write('counter.txt', 'after it\n');
  await world.quiet();
  await a.stop();
  const c = world.person('c');
  c.start();
  await world.until('it waits', () => waits(c));
  await world.clock.advance(120_000);
  expect(c.user.tree()).toEqual({});
});

test('while it waits it asks the relay once a second, and acts at once on what a device says', async () => {
  const b = await prunedRoom();
  await a.stop();
  await b.stop();
  const asked = (): number => world.relay.requests.get('getCheckpoint') ?? 0;
  const c = world.person('c');
  c.start();
  await world.until('it is doubted', () => c.openTrials() > 0);
  const before = asked();
  await world.clock.advance(9_000);
  expect(asked() - before).toBeLessThan(12);
  b.start();
  await world.until('c is there', () => isHonest(c), 12_000);
});

test('where others write it looks for older ones more and more rarely', async () => {
  const b = await prunedRoom();
  for (let count = 0; count < 3; count += 1) await makeCheckpoint();
  await b.stop();
  const c = world.person('c');
  c.start();
  await world.until('it waits', () => waits(c));
  const before = c.trials();
  for (let turn = 0; turn < 100; turn += 1) {
    a.user.write('counter.txt', `turn ${turn}\n`);
    await world.clock.advance(5_000);
  }
  expect(waits(c)).toBe(true);
  expect(c.trials() - before).toBeLessThan(25);
});

test('whoever takes a confirmed one over knows the versions that came after it: what was deleted stays deleted', async () => {
  a.user.write('gone.txt', 'first\n');
  const b = world.person('b');
  b.start();
  const c = world.person('c');
  c.start();
  await world.quiet();
  await makeCheckpoint();
  for (const text of ['second\n', 'third\n']) {
    a.user.write('gone.txt', text);
    await world.quiet();
    if (text === 'second\n') await c.stop();
  }
  a.user.remove('gone.txt');
  await world.quiet();
  world.relay.floor = a.store.lastCheckpoint()?.height ?? 0;
  await a.stop();
  c.loseState();
  c.start();
  await world.until('c is there', () => c.state()?.state === 'idle');
  await world.quiet();
  expect(c.store.head()).toEqual(b.store.head());
  for (const { user } of [b, c]) expect(user.read('gone.txt')).toBeUndefined();
});

test('what is not followed to the judged record is given to no relay that lost the room', async () => {
  const b = await prunedRoom();
  await a.stop();
  b.user.write('by-b.txt', 'b again\n');
  await world.quiet();
  await b.stop();
  const c = world.person('c');
  let seeds = 0;
  let isLost = false;
  shown = (session) => ({
    ...session,
    ...(isLost ? { welcome: { ...session.welcome, head: null, floor: 0, holdsKnown: false } } : {}),
    fetchRecords: async (after, bytesMax) => {
      const isFollowing = c.trials() > 0 && c.openTrials() === 0 && c.store.head() !== null;
      if (isFollowing && !isLost) {
        isLost = true;
        world.relay.cut();
      }
      return session.fetchRecords(after, bytesMax);
    },
    seed: async (...given) => {
      seeds += 1;
      return session.seed(...given);
    },
  });
  c.start();
  await world.until('the relay lost it', () => isLost);
  await world.clock.advance(30_000);
  expect(seeds).toBe(0);
  isLost = false;
  shown = (session) => session;
  world.relay.cut();
  await world.until('c is there', () => c.user.read('by-b.txt') === 'b again\n');
  expect(c.store.setting('must-reach')).toBeUndefined();
});
