/** A relay and its peers over real sockets: what peers get from it (LOG1, LOG4, PR1, SEED, ADM1, ADM2, PRESENCE). */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  challengeMessage,
  closeCodes,
  encodeFrame,
  type Message,
  noRecordId,
  limits as protocolLimits,
  protocolVersion,
  type SealedChunk,
  verifyEd25519,
} from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createRelay, type RelayOptions, type RunningRelay } from './server.ts';
import { memoryRoomStore } from './store/memory-room-store.ts';
import { reopenFirstMs } from './store/reopening-room-store.ts';
import { StoreError } from './store/room-store.ts';
import { fakeClock } from './testing/fake-clock.ts';
import { clearChunk, listChunk, type SampleRecord, sampleChunk, sampleRoom } from './testing/sample-room.ts';
import { type TestPeer, testPeer } from './testing/test-peer.ts';

const room = sampleRoom('one');
const other = sampleRoom('two');
let relay: RunningRelay;
let peers: TestPeer[];

beforeEach(async () => {
  peers = [];
  relay = await start();
});
afterEach(async () => {
  for (const peer of peers) peer.close();
  await relay.close();
});

const start = (options: Partial<RelayOptions> = {}): Promise<RunningRelay> =>
  createRelay({
    storage: { store: memoryRoomStore({ storeId: new Uint8Array(16).fill(3) }) },
    ...options,
    limits: { refusalDelayMs: 1, goodbyeMsMax: 100, ...options.limits },
  });
async function connect(): Promise<TestPeer> {
  const peer = await testPeer(relay.url);
  peers.push(peer);
  return peer;
}
async function entered(channel = 1, into = room): Promise<TestPeer> {
  const peer = await connect();
  await peer.enter(channel, into);
  return peer;
}
function append(
  peer: TestPeer,
  entry: SampleRecord,
  chunks: readonly SealedChunk[] = [],
  channel = 1,
): Promise<Message> {
  peer.send(channel, { kind: 'append', request: 5, record: entry.record, chunks });
  return peer.next(channel);
}
const headOf = ({ height, id }: SampleRecord) => ({ height, id });
const refused = {
  kind: 'channelError',
  request: 0,
  code: closeCodes.refused.code,
  detail: 'no such room, or not allowed',
};

describe('handshake', () => {
  test('ADM1: the challenge is signed by the relay over the hello, its random and its key', async () => {
    const peer = await connect();
    const hello = {
      kind: 'hello',
      clientRandom: new Uint8Array(32),
      versions: [protocolVersion],
      features: 0,
      room: room.id,
      role: 'writer',
      known: null,
      pushCreditBytes: 0,
    } as const;
    const helloFrame = encodeFrame({ channel: 9, message: hello });
    peer.sendBytes(helloFrame);
    const challenge = await peer.nextOf(9, 'challenge');
    expect(challenge.relayKey).toEqual(relay.publicKey);
    expect(verifyEd25519(relay.publicKey, challengeMessage(helloFrame, challenge), challenge.signature)).toBe(true);
    peer.sendBytes(encodeFrame({ channel: 10, message: hello }));
    expect((await peer.nextOf(10, 'challenge')).relayRandom).not.toEqual(challenge.relayRandom);
  });

  test('a writer of an unknown room is welcomed, with no head', async () => {
    const peer = await connect();
    expect(await peer.enter(1, room, { known: { height: 3, id: noRecordId } })).toEqual({
      kind: 'welcome',
      head: null,
      floor: 0,
      holdsKnown: false,
      putWindowBytes: protocolLimits.putWindowBytes,
      storeId: new Uint8Array(16).fill(3),
    });
  });

  test('a reader is let into a room with a log, may read, and may not write', async () => {
    const writer = await entered();
    const first = room.record(null);
    await append(writer, first);
    const reader = await connect();
    expect(await reader.enter(1, room, { role: 'reader', known: headOf(first) })).toMatchObject({ holdsKnown: true });
    reader.send(1, { kind: 'fetchRecords', request: 1, after: 0, bytesMax: 1_000 });
    expect(await reader.next(1)).toMatchObject({ kind: 'recordsPage', records: [first.record] });
    expect(await append(reader, room.record(first))).toMatchObject({
      kind: 'channelError',
      request: 5,
      code: closeCodes.refused.code,
    });
    reader.send(1, { kind: 'putChunks', request: 6, chunks: [sampleChunk('a')] });
    expect(await reader.next(1)).toMatchObject({ kind: 'channelError', request: 6, code: closeCodes.refused.code });
  });

  test.each<[string, Parameters<TestPeer['join']>[2]]>([
    ['a reader of an unknown room', { role: 'reader' }],
    ['a wrong signature', { tamper: (proof) => ({ ...proof, signature: new Uint8Array(64) }) }],
    [
      "another room's keys",
      { tamper: (proof) => ({ ...proof, readerKey: other.keys.reader, writerKey: other.keys.writer }) },
    ],
    ['swapped keys', { tamper: (proof) => ({ ...proof, readerKey: proof.writerKey, writerKey: proof.readerKey }) }],
    ['keys that are none', { tamper: (proof) => ({ ...proof, writerKey: new Uint8Array(32).fill(255) }) }],
  ])('ADM2: %s gets the one answer for all refusals', async (_, options) => {
    const peer = await connect();
    expect(await peer.join(1, room, options)).toEqual(refused);
    // The connection goes on, and the channel may begin anew.
    await peer.enter(1, room);
  });

  test('ADM1: a proof does not open a second time', async () => {
    const peer = await connect();
    let stolen: Message | undefined;
    await peer.join(1, room, { tamper: (proof) => (stolen = proof) });
    const again = await peer.join(2, room, { tamper: (proof) => stolen ?? proof });
    expect(stolen).toBeDefined();
    expect(again).toEqual(refused);
  });

  test('a version that is not spoken here is said so', async () => {
    const peer = await connect();
    const hello = { kind: 'hello', clientRandom: new Uint8Array(32), versions: [99], features: 0 } as const;
    peer.send(1, { ...hello, room: room.id, role: 'writer', known: null, pushCreditBytes: 0 });
    expect(await peer.next(1)).toMatchObject({ kind: 'channelError', request: 0, code: closeCodes.version.code });
  });

  test.each<[string, Message]>([
    [
      'a proof first',
      { kind: 'proof', readerKey: room.keys.reader, writerKey: room.keys.writer, signature: new Uint8Array(64) },
    ],
    ['a request first', { kind: 'locate', request: 1, heads: [] }],
    ["a relay's message", { kind: 'headMoved', head: { height: 1, id: noRecordId } }],
  ])('%s ends the channel only', async (_, message) => {
    const peer = await connect();
    peer.send(1, message);
    expect(await peer.next(1)).toMatchObject({ kind: 'channelError', request: 0, code: closeCodes.badRequest.code });
    peer.send(0, { kind: 'ping', token: 4 });
    expect(await peer.next(0)).toEqual({ kind: 'pong', token: 4 });
  });
});

describe('records', () => {
  test('LOG4: an append is acknowledged, and pushed with its chunks to the others of the room only', async () => {
    const [author, reader, stranger] = [await entered(), await entered(), await entered(1, other)];
    const chunk = sampleChunk('small');
    const first = room.record(null, { adds: [chunk.id] });
    expect(await append(author, first, [chunk])).toEqual({ kind: 'appended', request: 5, head: headOf(first) });
    expect(await reader.next(1)).toEqual({ kind: 'pushed', record: first.record, chunks: [chunk] });
    for (const peer of [author, stranger]) {
      peer.send(1, { kind: 'locate', request: 8, heads: [] });
      // The next message, so nothing was pushed before it.
      expect(await peer.next(1)).toMatchObject({ kind: 'located', request: 8 });
    }
  });

  test('pushes come in the order of the log, while many append', async () => {
    const [one, two, reader] = [await entered(), await entered(), await entered()];
    let last: SampleRecord | null = null;
    for (let n = 0; n < 20; n++) {
      const next: SampleRecord = room.record(last, { label: String(n) });
      const author: TestPeer = n % 2 === 0 ? one : two;
      author.send(1, { kind: 'append', request: n + 1, record: next.record, chunks: [] });
      await author.nextOf(1, 'appended');
      expect((await reader.nextOf(1, 'pushed')).record.header).toEqual(next.record.header);
      last = next;
    }
  });

  test('PR1: a stale append brings what it missed', async () => {
    const [one, two] = [await entered(), await entered()];
    const first = room.record(null, { label: 'first' });
    await append(one, first);
    await two.nextOf(1, 'pushed');
    expect(await append(two, room.record(null, { label: 'late' }))).toEqual({
      kind: 'stale',
      request: 5,
      head: headOf(first),
      records: [first.record],
    });
  });

  test('GC1: chunks that lack are named', async () => {
    const peer = await entered();
    const chunk = sampleChunk('absent');
    expect(await append(peer, room.record(null, { adds: [chunk.id] }))).toEqual({
      kind: 'missingChunks',
      request: 5,
      ids: [chunk.id],
    });
  });

  const flipped = (bytes: Uint8Array): Uint8Array =>
    bytes.map((byte, index) => (index === bytes.length - 1 ? byte ^ 1 : byte));
  const good = room.record(null);
  test.each([
    ['a header that does not decode', { ...good.record, header: new Uint8Array([1, 2, 3]) }, 'badRecord'],
    ['another room', other.record(null).record, 'badRecord'],
    ['another body', { ...good.record, body: new Uint8Array(5) }, 'badRecord'],
    ['a wrong signature', { ...good.record, writerSignature: flipped(good.record.writerSignature) }, 'badRecord'],
    [
      'a body where pieces are named',
      { ...room.record(null, { bodyChunks: [sampleChunk('p').id] }).record, body: new Uint8Array(1) },
      'badRecord',
    ],
    ['an unknown kind', room.record(null, { kind: 2 }).record, 'unknownCritical'],
    ['a later version', room.record(null, { version: 9 }).record, 'unknownCritical'],
  ] as const)('LOG1: a record with %s is refused, and the channel goes on', async (_, record, code) => {
    const peer = await entered();
    peer.send(1, { kind: 'append', request: 5, record, chunks: [] });
    expect(await peer.next(1)).toMatchObject({ kind: 'channelError', request: 5, code: closeCodes[code].code });
    expect(await append(peer, good)).toMatchObject({ kind: 'appended' });
  });

  test('LOG5: more inline chunks than an append may carry are refused', async () => {
    const peer = await entered();
    const chunks = [1, 2, 3].map((n) => sampleChunk(`${n}`, 100_000));
    expect(await append(peer, room.record(null), chunks)).toMatchObject({
      kind: 'channelError',
      code: closeCodes.badRequest.code,
    });
  });

  test('when the credit is out, the head is announced once, until the peer fetches or grants', async () => {
    const author = await entered();
    const reader = await connect();
    await reader.enter(1, room, { pushCreditBytes: 0 });
    let last: SampleRecord | null = null;
    const grow = async (label: string): Promise<SampleRecord> => {
      last = room.record(last, { label });
      expect((await append(author, last)).kind).toBe('appended');
      return last;
    };
    const [first, second] = [await grow('1'), await grow('2')];
    expect(await reader.next(1)).toEqual({ kind: 'headMoved', head: headOf(first) });
    reader.send(1, { kind: 'fetchRecords', request: 1, after: 0, bytesMax: 100_000 });
    expect(await reader.next(1)).toMatchObject({ kind: 'recordsPage', head: headOf(second), records: { length: 2 } });
    const third = await grow('3');
    expect(await reader.next(1)).toEqual({ kind: 'headMoved', head: headOf(third) });
    reader.send(1, { kind: 'credit', pushBytes: 100_000 });
    reader.send(1, { kind: 'locate', request: 2, heads: [] });
    await reader.nextOf(1, 'located');
    const fourth = await grow('4');
    expect(await reader.next(1)).toEqual({ kind: 'pushed', record: fourth.record, chunks: [] });
  });

  test('SEED: a lost log begins again at its checkpoint, once', async () => {
    const [peer, witness] = [await entered(), await entered()];
    const page = sampleChunk('page');
    const list = listChunk([page.id]);
    const at40 = room.record({ height: 39, id: room.record(null).id });
    const checkpoint = room.checkpoint(at40, [list.id]);
    const seed = (): Promise<Message> => {
      peer.send(1, { kind: 'seed', request: 2, checkpoint, records: [at40.record] });
      return peer.next(1);
    };
    expect(await seed()).toEqual({ kind: 'missingChunks', request: 2, ids: [list.id] });
    peer.send(1, { kind: 'putChunks', request: 3, chunks: [list] });
    await peer.nextOf(1, 'chunksStored');
    expect(await seed()).toEqual({ kind: 'missingChunks', request: 2, ids: [page.id] });
    peer.send(1, { kind: 'putChunks', request: 4, chunks: [page] });
    await peer.nextOf(1, 'chunksStored');
    expect(await seed()).toEqual({ kind: 'seeded', request: 2, head: headOf(at40) });
    expect(await witness.next(1)).toMatchObject({ kind: 'pushed', record: at40.record });
    expect(await seed()).toMatchObject({ kind: 'stale', head: headOf(at40) });
  });

  test('CP1: checkpoints are stored if a writer signed them, and found', async () => {
    const peer = await entered();
    const first = room.record(null);
    await append(peer, first);
    const list = listChunk([]);
    peer.send(1, { kind: 'putChunks', request: 1, chunks: [list] });
    await peer.nextOf(1, 'chunksStored');
    const checkpoint = room.checkpoint(first, [list.id]);
    peer.send(1, { kind: 'putCheckpoint', request: 2, checkpoint: { ...checkpoint, epoch: 4 } });
    expect(await peer.next(1)).toMatchObject({ kind: 'channelError', request: 2, code: closeCodes.badRecord.code });
    peer.send(1, { kind: 'getCheckpoint', request: 3, atMost: 0 });
    expect(await peer.next(1)).toEqual({ kind: 'checkpointFound', request: 3, checkpoint: null });
    peer.send(1, { kind: 'putCheckpoint', request: 4, checkpoint });
    expect(await peer.next(1)).toEqual({ kind: 'checkpointStored', request: 4 });
    peer.send(1, { kind: 'getCheckpoint', request: 5, atMost: 1 });
    expect(await peer.next(1)).toEqual({ kind: 'checkpointFound', request: 5, checkpoint });
  });

  test('chunks: have, put, get', async () => {
    const peer = await entered();
    const [held, absent] = [clearChunk(sampleChunk('held', 90_000).sealed), sampleChunk('absent')];
    peer.send(1, { kind: 'putChunks', request: 1, chunks: [held] });
    expect(await peer.next(1)).toEqual({ kind: 'chunksStored', request: 1 });
    peer.send(1, { kind: 'haveChunks', request: 2, ids: [absent.id, held.id] });
    expect(await peer.next(1)).toEqual({ kind: 'chunksHeld', request: 2, held: [false, true] });
    peer.send(1, { kind: 'getChunks', request: 3, ids: [absent.id, held.id], bytesMax: 500_000 });
    expect(await peer.next(1)).toEqual({ kind: 'chunksPage', request: 3, chunks: [held], missing: [absent.id] });
  });

  test('over quota is an answer, and the relay goes on', async () => {
    await relay.close();
    const quotas = { roomBytesMax: 1_000, totalBytesMax: 10_000 };
    relay = await start({ storage: { store: memoryRoomStore({ storeId: new Uint8Array(16), quotas }) } });
    const peer = await entered();
    peer.send(1, { kind: 'putChunks', request: 1, chunks: [sampleChunk('large', 2_000)] });
    expect(await peer.next(1)).toMatchObject({ kind: 'overQuota', request: 1 });
    expect(await append(peer, room.record(null))).toMatchObject({ kind: 'appended' });
  });
});

describe('channels', () => {
  test('ADM2: two rooms on one connection do not mix', async () => {
    const both = await connect();
    await both.enter(1, room);
    await both.enter(2, other);
    const [inOne, inTwo] = [await entered(1, room), await entered(1, other)];
    const [first, second] = [room.record(null), other.record(null)];
    await append(inOne, first);
    await append(inTwo, second);
    expect(await both.next(2)).toMatchObject({ kind: 'pushed', record: second.record });
    expect(await both.next(1)).toMatchObject({ kind: 'pushed', record: first.record });
  });

  test('after leave nothing more is pushed, and the channel can be used for another room', async () => {
    const [author, leaver] = [await entered(), await entered()];
    leaver.send(1, { kind: 'leave' });
    await leaver.enter(1, other);
    await append(author, room.record(null));
    await append(await entered(1, other), other.record(null));
    expect(await leaver.next(1)).toMatchObject({ kind: 'pushed', record: other.record(null).record });
  });

  test('PRESENCE: passed on to the others of the room, within a rate, and to nobody later', async () => {
    const [one, two, stranger] = [await entered(), await entered(), await entered(1, other)];
    const sealed = new Uint8Array([1, 2, 3]);
    for (let n = 0; n < 200; n++) one.send(1, { kind: 'presence', sealed });
    one.send(1, { kind: 'locate', request: 1, heads: [] });
    await one.nextOf(1, 'located');
    const first = room.record(null);
    await append(one, first);
    let heard = 0;
    for (;;) {
      const message = await two.next(1);
      if (message.kind === 'pushed') break;
      expect(message).toEqual({ kind: 'presence', sealed });
      heard++;
    }
    expect(heard).toBeGreaterThan(0);
    expect(heard).toBeLessThan(100);
    stranger.send(1, { kind: 'locate', request: 1, heads: [] });
    expect((await stranger.next(1)).kind).toBe('located');
    const late = await entered();
    late.send(1, { kind: 'locate', request: 1, heads: [] });
    expect((await late.next(1)).kind).toBe('located');
  });
});

describe('a store that fails', () => {
  const healthOf = async (): Promise<readonly [number, string]> => {
    const answer = await fetch(`${relay.url.replace(/^ws/, 'http')}/healthz`);
    return [answer.status, await answer.text()];
  };

  test('its thread dies: /healthz says so, its peers hear of it, and so does who comes later; it opens its data again', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'driftless-relay-'));
    const clock = fakeClock();
    try {
      await relay.close();
      const workerUrl = new URL('./testing/dying-store-worker.ts', import.meta.url);
      const limits = { silenceMsMax: Number.MAX_SAFE_INTEGER, helloTimeoutMs: Number.MAX_SAFE_INTEGER };
      relay = await start({ storage: { dataDir: dir, workerUrl }, clock, limits });
      const writer = await entered();
      const idle = await entered();
      expect(await healthOf()).toEqual([200, 'ok\n']);
      const told = idle.next(1);
      const asked = append(writer, room.record(null));
      const failed = { kind: 'channelError', code: closeCodes.storeFailed.code };
      expect(await asked).toMatchObject(failed);
      expect(await told).toMatchObject({ ...failed, request: 0 });
      expect(await healthOf()).toEqual([503, 'store: failed\n']);
      expect(await (await connect()).join(1, room)).toMatchObject({ ...failed, request: 0 });
      // The same data, whose lock the dead thread has let go.
      await vi.waitFor(
        async () => {
          clock.advance(reopenFirstMs);
          expect(await healthOf()).toEqual([200, 'ok\n']);
        },
        { timeout: 15_000 },
      );
      expect(await append(await entered(), room.record(null))).toMatchObject({ kind: 'appended' });
    } finally {
      await relay.close();
      await rm(dir, { recursive: true });
    }
  });

  test.each([
    ['a full disk', 'disk-full', closeCodes.overQuota.code],
    ['too much at once', 'busy', closeCodes.overLimit.code],
    ['anything else', 'failed', closeCodes.storeFailed.code],
  ] as const)('%s has a code of its own', async (_, code, answered) => {
    await relay.close();
    const store = memoryRoomStore({ storeId: new Uint8Array(16).fill(4) });
    const failing = { ...store, append: () => Promise.reject(new StoreError(code, 'no')) };
    relay = await start({ storage: { store: failing } });
    expect(await append(await entered(), room.record(null))).toMatchObject({ kind: 'channelError', code: answered });
    expect((await healthOf())[0]).toBe(200);
  });
});

describe('start and stop', () => {
  test('close says goodbye with a code, twice is once, and the address is free again', async () => {
    const peer = await entered();
    await Promise.all([relay.close(), relay.close()]);
    expect(await peer.closed).toBe(4_000 + closeCodes.shutdown.code);
    relay = await start({ port: relay.port });
    await entered();
  });

  test('an address in use is reported', async () => {
    await expect(start({ port: relay.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  test('on a directory: rooms, store id and identity outlive a restart; the identity outlives the data (RB4)', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'driftless-relay-'));
    try {
      await relay.close();
      const storage = { dataDir: join(dir, 'data'), homeDir: join(dir, 'home') };
      relay = await start({ storage });
      const identity = relay.publicKey;
      expect((await stat(join(storage.dataDir, 'identity.key'))).mode & 0o777).toBe(0o600);
      expect((await stat(join(storage.dataDir, 'relay.sqlite'))).mode & 0o777).toBe(0o600);
      expect((await stat(join(storage.homeDir, 'relays'))).mode & 0o777).toBe(0o700);
      const first = room.record(null);
      const peer = await connect();
      const { storeId } = await peer.enter(1, room);
      await append(peer, first);
      await relay.close();

      relay = await start({ storage });
      expect(relay.publicKey).toEqual(identity);
      expect(await (await connect()).enter(1, room)).toMatchObject({ storeId, head: headOf(first) });
      await relay.close();

      await rm(storage.dataDir, { recursive: true });
      relay = await start({ storage });
      expect(relay.publicKey).toEqual(identity);
      const refill = await (await connect()).enter(1, room);
      expect(refill.head).toBeNull();
      expect(refill.storeId).not.toEqual(storeId);
      await relay.close();

      relay = await start({ storage: { ...storage, dataDir: join(dir, 'other') } });
      expect(relay.publicKey).not.toEqual(identity);
      await relay.close();
      // Nothing but sealed bytes and ids: the public keys of the room are as much as the relay knows.
      expect((await readFile(join(storage.dataDir, 'relay.sqlite'))).includes('PRIVATE KEY')).toBe(false);
    } finally {
      await relay.close();
      await rm(dir, { recursive: true });
    }
  });
});
