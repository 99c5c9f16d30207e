/** The relay client against a scripted relay and a clock that moves when told (rules ADM1, ADM2, W5, W6, W10). */
import {
  type ChunkId,
  closeCodes,
  type Head,
  limits,
  type Message,
  noRecordId,
  type SealedChunk,
} from '@driftless/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { createDeviceKey } from './crypto/device-key.ts';
import { createRoomCipher } from './crypto/room-cipher.ts';
import type { Log } from './ports/log.ts';
import { RequestRefused, type RoomSession, type RoomSessionHandlers, SessionEnded } from './ports/room-session.ts';
import { createRelayClient } from './relay-client.ts';
import { createFakeClock } from './testing/fake-clock.ts';
import { createFakeRelay } from './testing/fake-relay.ts';
import { createSeededRandom } from './testing/seeded-random.ts';

const noLog: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const url = 'ws://relay';
const known: Head = { height: 4, id: noRecordId };

interface World {
  readonly clock: ReturnType<typeof createFakeClock>;
  readonly relay: ReturnType<typeof createFakeRelay>;
  readonly client: ReturnType<typeof createRelayClient>;
  readonly events: string[];
  /** Of the refusals, as people are told. */
  readonly reasons: readonly string[];
  session(): RoomSession;
  open(options?: {
    readonly room?: number;
    readonly relayKey?: Uint8Array | null;
    readonly urls?: readonly string[];
  }): ReturnType<ReturnType<typeof createRelayClient>['open']>;
}

const worlds: World[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.client.close();
});

function createWorld(): World {
  const clock = createFakeClock();
  const relay = createFakeRelay();
  const random = createSeededRandom(1);
  const client = createRelayClient({ transport: relay.transport, clock, random, log: noLog });
  const events: string[] = [];
  const reasons: string[] = [];
  let latest: RoomSession | undefined;
  const handlers: RoomSessionHandlers = {
    onOnline(session) {
      latest = session;
      events.push('online');
    },
    onPushed: (_, chunks) => events.push(`pushed ${chunks.length}`),
    onHeadMoved: (head) => events.push(`head ${head.height}`),
    onPresence: (sealed) => events.push(`presence ${sealed.length}`),
    onOffline: (reason) => events.push(`offline: ${reason}`),
    onResponsive: () => events.push('responsive'),
    onRefused: ({ code, reason }) => {
      events.push(`refused: ${code}`);
      reasons.push(reason);
    },
    known: () => known,
  };
  const world: World = {
    clock,
    relay,
    client,
    events,
    reasons,
    session() {
      if (latest === undefined) throw new Error('never online');
      return latest;
    },
    open({ room = 1, relayKey = null, urls = [url] } = {}) {
      const device = createDeviceKey(new Uint8Array(32).fill(9));
      const cipher = createRoomCipher({ secret: new Uint8Array(32).fill(room), epoch: 0, random, device });
      return client.open({ urls, relayKey, cipher }, handlers);
    },
  };
  worlds.push(world);
  return world;
}

async function onlineWorld(): Promise<World> {
  const world = createWorld();
  world.open();
  await world.clock.settle();
  await world.clock.settle();
  expect(world.events).toEqual(['online']);
  return world;
}
const chunkOf = (number: number, bytes: number): SealedChunk => ({
  id: number.toString(16).padStart(64, '0') as ChunkId,
  sealed: new Uint8Array(bytes).fill(number),
});
const sentKinds = (world: World): string[] => world.relay.received.map(({ message }) => message.kind);
const sent = <Kind extends Message['kind']>(world: World, kind: Kind) =>
  world.relay.received.map(({ message }) => message).filter((m): m is Message & { kind: Kind } => m.kind === kind);

describe('the handshake', () => {
  test('proves membership, tells the known head, and gives a session with the relay key', async () => {
    const world = await onlineWorld();
    expect(sentKinds(world)).toEqual(['hello', 'proof']);
    expect(sent(world, 'hello')[0]).toMatchObject({ known, role: 'writer', pushCreditBytes: limits.pushCreditBytes });
    expect(world.session().relayKey).toEqual(world.relay.key.publicKey);
  });
  test('goes on with the pinned key', async () => {
    const world = createWorld();
    world.open({ relayKey: world.relay.key.publicKey });
    await world.clock.advance(10);
    expect(world.events).toEqual(['online']);
  });
  test('stops before the proof at another key than the pinned one', async () => {
    const world = createWorld();
    world.open({ relayKey: new Uint8Array(32) });
    await world.clock.advance(10);
    expect(world.events).toEqual(['refused: relay-key-changed']);
    expect(sentKinds(world)).toEqual(['hello', 'leave']);
  });
  test('pins the first key for the life of the link', async () => {
    const world = await onlineWorld();
    world.relay.rekey(2);
    for (const end of world.relay.transport.open) end.close();
    await world.clock.advance(1_000);
    expect(world.events.at(-1)).toBe('refused: relay-key-changed');
  });
  test('ends at a relay signature that does not hold', async () => {
    const world = createWorld();
    world.relay.script = (message) =>
      message.kind === 'hello'
        ? {
            kind: 'challenge',
            relayRandom: new Uint8Array(32),
            relayKey: world.relay.key.publicKey,
            version: 1,
            features: 0,
            signature: new Uint8Array(64),
          }
        : undefined;
    world.open();
    await world.clock.advance(10);
    expect(world.events[0]).toContain("the relay's signature does not hold");
    expect(sentKinds(world)).toEqual(['hello']);
  });
  test('a refusal is told, and asked again much later', async () => {
    const world = createWorld();
    world.relay.script = (message) =>
      message.kind === 'proof'
        ? { kind: 'channelError', request: 0, code: closeCodes.refused.code, detail: '' }
        : undefined;
    world.open();
    await world.clock.advance(10);
    expect(world.events).toEqual(['refused: refused']);
    await world.clock.advance(10_000);
    expect(sent(world, 'hello').length).toBe(1);
    world.relay.script = () => undefined;
    await world.clock.advance(30_000);
    expect(world.events.at(-1)).toBe('online');
  });
  test.each([
    ['hello', 1],
    ['proof', 1],
    ['hello', 0],
    ['proof', 0],
  ] as const)(
    'SHOWN v11: what answers %s on channel %d has proved nothing, and its words are not shown',
    async (kind, channel) => {
      const world = createWorld();
      const detail = 'your key has expired: [Renew it](command:workbench.action.terminal.sendSequence)';
      world.relay.script = (message) => {
        if (message.kind !== kind) return undefined;
        const error: Message = { kind: 'channelError', request: 0, code: closeCodes.refused.code, detail };
        if (channel === 1) return error;
        world.relay.send(0, error);
        return [];
      };
      world.open();
      await world.clock.advance(100);
      expect(world.events[0]).toBe('refused: refused');
      expect(world.reasons[0]).toBe(closeCodes.refused.meaning);
    },
  );
  test('a nudge asks again at once, though not in a tight loop', async () => {
    const world = createWorld();
    world.relay.script = (message) =>
      message.kind === 'proof'
        ? { kind: 'channelError', request: 0, code: closeCodes.refused.code, detail: '' }
        : undefined;
    const link = world.open();
    await world.clock.advance(10);
    for (let count = 0; count < 100; count++) link.nudge();
    await world.clock.advance(10);
    expect(sent(world, 'hello').length).toBe(1);
    await world.clock.advance(6_000);
    link.nudge();
    await world.clock.advance(10);
    expect(sent(world, 'hello').length).toBe(2);
  });
});

describe('a server that is no relay (W10)', () => {
  test.each<[string, Uint8Array]>([
    ['garbage', new Uint8Array([0xff, 0xff, 0xff])],
    ['text', new TextEncoder().encode('HTTP/1.1 200 OK')],
    ['an oversize frame', new Uint8Array(limits.frameBytesMax + 1)],
    ['nothing', new Uint8Array(0)],
  ])('that sends %s gives a reason, and another try later', async (_, bytes) => {
    const world = createWorld();
    world.relay.script = (_message, end) => {
      end.send(bytes);
      return 'silence';
    };
    world.open();
    await world.clock.advance(20);
    expect(world.events).toEqual([expect.stringContaining('not a Driftless relay')]);
    world.relay.script = () => undefined;
    await world.clock.advance(1_000);
    expect(world.events.at(-1)).toBe('online');
  });
  test('that says nothing is given up', async () => {
    const world = createWorld();
    world.relay.script = () => 'silence';
    world.open();
    await world.clock.advance(20_000);
    expect(world.events[0]).toContain('not a Driftless relay');
  });
  test('any relay message at any point of the handshake is survived', async () => {
    const head = { height: 1, id: noRecordId };
    const messages: readonly Message[] = [
      {
        kind: 'hello',
        clientRandom: new Uint8Array(32),
        versions: [],
        features: 0,
        room: noRecordId as never,
        role: 'reader',
        known: null,
        pushCreditBytes: 0,
      },
      { kind: 'welcome', head, floor: 1, holdsKnown: false, putWindowBytes: 0, storeId: new Uint8Array(16) },
      { kind: 'appended', request: 1, head },
      { kind: 'chunksHeld', request: 0, held: [] },
      { kind: 'headMoved', head },
      { kind: 'presence', sealed: new Uint8Array(0) },
      { kind: 'leave' },
      { kind: 'pong', token: 1 },
      ...[0, 1].flatMap((request) =>
        [...Object.values(closeCodes).map(({ code }) => code), 99].map(
          (code): Message => ({ kind: 'channelError', request, code, detail: 'x' }),
        ),
      ),
    ];
    for (const at of ['hello', 'proof']) {
      for (const message of messages) {
        const world = createWorld();
        world.relay.script = (received) => (received.kind === at ? message : undefined);
        world.open();
        await world.clock.advance(20);
        await world.client.close();
      }
    }
  });
});

describe('signs of life (W6)', () => {
  test('pings every two seconds', async () => {
    const world = await onlineWorld();
    await world.clock.advance(10_000);
    expect(sent(world, 'ping').length).toBe(5);
    expect(world.events).toEqual(['online']);
  });
  test('five seconds of silence are offline; an answer is responsive again', async () => {
    const world = await onlineWorld();
    for (const end of world.relay.transport.open) end.stall();
    await world.clock.advance(5_000);
    expect(world.events).toEqual(['online', 'offline: the relay is not answering']);
    for (const end of world.relay.transport.open) end.resume();
    await world.clock.advance(100);
    expect(world.events.at(-1)).toBe('responsive');
    expect(world.relay.transport.attempts).toBe(1);
  });
  test('thirty seconds without progress end the connection, and a new one is made', async () => {
    const world = await onlineWorld();
    for (const end of world.relay.transport.open) end.stall();
    await world.clock.advance(29_000);
    expect(world.relay.transport.attempts).toBe(1);
    await world.clock.advance(5_000);
    expect(world.relay.transport.attempts).toBe(2);
    expect(world.events.at(-1)).toBe('online');
  });
});

describe('reconnecting', () => {
  test('backs off with growing pauses up to 20 s while nothing answers', async () => {
    const world = createWorld();
    world.relay.reachable = false;
    world.open();
    await world.clock.advance(10 * 60_000);
    const { attempts } = world.relay.transport;
    expect(attempts).toBeGreaterThan(20);
    expect(attempts).toBeLessThan(60);
    expect(world.events).toEqual(['offline: cannot reach ws://relay: refused']);
  });
  test('a relay that answers and takes no connection is a refusal, not a relay that is away, and heals by itself', async () => {
    const world = createWorld();
    world.relay.reachable = false;
    world.relay.refusal = { code: closeCodes.overLimit.code, detail: 'too many connections' };
    world.open();
    await world.clock.advance(60_000);
    expect(new Set(world.events)).toEqual(new Set(['refused: relay-busy']));
    expect(world.relay.transport.attempts).toBeLessThan(15);
    world.relay.refusal = undefined;
    await world.clock.advance(30_000);
    expect(world.events.at(-1)).toBe('offline: cannot reach ws://relay: refused');
    world.relay.reachable = true;
    await world.clock.advance(30_000);
    expect(world.events.at(-1)).toBe('online');
  });
  test.each([
    ['a connection that the relay ends with a code', closeCodes.overLimit.code, 'refused: relay-busy'],
    ['one that it ends because its store failed', closeCodes.storeFailed.code, 'refused: relay-failed'],
  ])('%s is a refusal', async (_, code, told) => {
    const world = await onlineWorld();
    for (const end of world.relay.transport.open) end.close('gone', { code, detail: 'gone' });
    await world.clock.advance(100);
    expect(world.events).toEqual(['online', told]);
    await world.clock.advance(10_000);
    expect(world.events.at(-1)).toBe('online');
  });
  test('a code on the connection itself says the same', async () => {
    const world = await onlineWorld();
    world.relay.send(0, { kind: 'channelError', request: 0, code: closeCodes.overQuota.code, detail: 'full' });
    await world.clock.advance(100);
    expect(world.events).toEqual(['online', 'refused: relay-full']);
  });
  test('comes back within a second after a good connection was cut', async () => {
    const world = await onlineWorld();
    await world.clock.advance(60_000);
    for (const end of world.relay.transport.open) end.close();
    await world.clock.advance(1_000);
    expect(world.events).toEqual(['online', expect.stringContaining('offline: connection to'), 'online']);
  });
  test('a nudge ends the pause; a thousand nudges make few attempts', async () => {
    const world = createWorld();
    world.relay.reachable = false;
    const link = world.open();
    await world.clock.advance(5 * 60_000);
    world.relay.reachable = true;
    link.nudge();
    await world.clock.advance(600);
    expect(world.events.at(-1)).toBe('online');
    const before = world.relay.transport.attempts;
    world.relay.reachable = false;
    for (const end of world.relay.transport.open) end.close();
    for (let count = 0; count < 1_000; count++) {
      link.nudge();
      await world.clock.advance(1);
    }
    expect(world.relay.transport.attempts - before).toBeLessThanOrEqual(3);
  });
  test('addresses are tried in order', async () => {
    const world = createWorld();
    const tried: string[] = [];
    world.relay.reachable = true;
    world.relay.script = (message, end) => {
      if (message.kind === 'hello') tried.push(end.url);
      return undefined;
    };
    world.open({ urls: ['ws://first', 'ws://second'] });
    await world.clock.advance(50);
    expect(tried).toEqual(['ws://first']);
  });
});

describe('rooms', () => {
  test('share one connection, a channel each, and leave it one by one', async () => {
    const world = createWorld();
    const links = [world.open({ room: 1 }), world.open({ room: 2 })];
    await world.clock.advance(10);
    expect(world.relay.transport.attempts).toBe(1);
    expect(world.events).toEqual(['online', 'online']);
    expect(new Set(world.relay.received.map(({ channel }) => channel))).toEqual(new Set([1, 2]));
    links[0]?.close();
    await world.clock.advance(10);
    expect(sentKinds(world).at(-1)).toBe('leave');
    expect(world.relay.transport.open.size).toBe(1);
    links[1]?.close();
    links[1]?.close();
    await world.clock.advance(10);
    expect(world.relay.transport.open.size).toBe(0);
  });
  test('get what the relay passes on', async () => {
    const world = await onlineWorld();
    world.relay.send(1, { kind: 'headMoved', head: { height: 9, id: noRecordId } });
    world.relay.send(1, { kind: 'presence', sealed: new Uint8Array(5) });
    world.relay.send(7, { kind: 'headMoved', head: { height: 1, id: noRecordId } });
    await world.clock.settle();
    expect(world.events.slice(1)).toEqual(['head 9', 'presence 5']);
  });
});

describe('requests', () => {
  const record = { header: new Uint8Array(10), body: new Uint8Array(10), writerSignature: new Uint8Array(64) };

  test('an append gets its answer', async () => {
    const world = await onlineWorld();
    world.relay.script = (message) =>
      message.kind === 'append' ? { kind: 'appended', request: message.request, head: known } : undefined;
    expect(await world.session().append(record, [])).toMatchObject({ kind: 'appended', head: known });
  });
  test('a refusal rejects the one request', async () => {
    const world = await onlineWorld();
    world.relay.script = (message) =>
      message.kind === 'fetchRecords'
        ? { kind: 'channelError', request: message.request, code: 6, detail: 'slowly' }
        : undefined;
    await expect(world.session().fetchRecords(0, 1000)).rejects.toBeInstanceOf(RequestRefused);
    expect(await world.session().have([])).toEqual([]);
  });
  test('a cut rejects what is under way with SessionEnded, and everything later too', async () => {
    const world = await onlineWorld();
    const session = world.session();
    const pending = expect(session.append(record, [])).rejects.toBeInstanceOf(SessionEnded);
    await world.clock.settle();
    for (const end of world.relay.transport.open) end.close();
    await world.clock.settle();
    await pending;
    await expect(session.have([chunkOf(1, 1).id])).rejects.toBeInstanceOf(SessionEnded);
  });
  test('an answer of a wrong kind ends the connection, not the process', async () => {
    const world = await onlineWorld();
    world.relay.script = (message) =>
      message.kind === 'append' ? { kind: 'chunksStored', request: message.request } : undefined;
    const pending = expect(world.session().append(record, [])).rejects.toBeInstanceOf(SessionEnded);
    await world.clock.advance(20);
    await pending;
    expect(world.events[1]).toContain('no place');
  });
});

describe('chunks', () => {
  test('are put in frames of bounded size within the window, with progress', async () => {
    const world = await onlineWorld();
    const chunks = Array.from({ length: 200 }, (_, index) => chunkOf(index + 1, 20_000));
    let progress = 0;
    await world.session().put(chunks, { onProgress: (bytes) => (progress += bytes) });
    expect(world.relay.chunks.size).toBe(200);
    expect(progress).toBeGreaterThanOrEqual(200 * 20_000);
    const frames = sent(world, 'putChunks');
    expect(frames.length).toBeGreaterThan(4);
    for (const { chunks: batch } of frames) {
      expect(batch.reduce((total, chunk) => total + chunk.sealed.length, 0)).toBeLessThanOrEqual(
        limits.frameBytesAimed,
      );
    }
  });
  test('wait for answers once the window is full, while small requests go through', async () => {
    const world = await onlineWorld();
    world.relay.script = (message) => (message.kind === 'putChunks' ? 'silence' : undefined);
    const put = world.session().put(Array.from({ length: 2_000 }, (_, index) => chunkOf(index + 1, 20_000)));
    const rejected = expect(put).rejects.toBeInstanceOf(SessionEnded);
    await world.clock.advance(1_000);
    const bytes = sent(world, 'putChunks')
      .flatMap((m) => m.chunks)
      .reduce((total, chunk) => total + chunk.sealed.length, 0);
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThanOrEqual(512 * 1024);
    expect(await world.session().have([chunkOf(1, 1).id])).toEqual([false]);
    for (const end of world.relay.transport.open) end.close();
    await rejected;
  });
  test('a small append overtakes bulk that waits for the socket', async () => {
    const world = await onlineWorld();
    for (const end of world.relay.transport.open) end.stall();
    const put = expect(
      world.session().put(Array.from({ length: 100 }, (_, index) => chunkOf(index + 1, 100_000))),
    ).resolves.toBeUndefined();
    await world.clock.settle();
    const held = world.session().have([chunkOf(500, 1).id]);
    for (const end of world.relay.transport.open) end.resume();
    await put;
    expect(await held).toEqual([false]);
    const kinds = sentKinds(world).slice(2);
    expect(kinds.indexOf('haveChunks')).toBeLessThan(8);
    expect(kinds.filter((kind) => kind === 'putChunks').length).toBeGreaterThan(20);
  });
  test('an aborted put stops, and says so once what was under way has ended', async () => {
    const world = await onlineWorld();
    const abort = new AbortController();
    world.relay.script = (message) => {
      if (message.kind === 'putChunks') abort.abort(new Error('enough'));
      return undefined;
    };
    const put = world.session().put(
      Array.from({ length: 500 }, (_, index) => chunkOf(index + 1, 20_000)),
      { signal: abort.signal },
    );
    await expect(put).rejects.toThrow('enough');
    expect(world.relay.chunks.size).toBeLessThan(100);
  });
  test('are got in pieces, one at a time, and the missing ones named', async () => {
    const world = await onlineWorld();
    const chunks = Array.from({ length: 150 }, (_, index) => chunkOf(index + 1, 30_000));
    for (const chunk of chunks) world.relay.chunks.set(chunk.id, chunk.sealed);
    const absent = [chunkOf(900, 1).id, chunkOf(901, 1).id];
    const got = new Set<string>();
    let atOnce = 0;
    const missing = await world.session().get([...chunks.map((chunk) => chunk.id), ...absent], async (chunk) => {
      atOnce += 1;
      expect(atOnce).toBe(1);
      await Promise.resolve();
      got.add(chunk.id);
      atOnce -= 1;
    });
    expect(got.size).toBe(150);
    expect(missing).toEqual(absent);
  });
  test('a consumer that throws ends the get with its error', async () => {
    const world = await onlineWorld();
    world.relay.chunks.set(chunkOf(1, 1).id, new Uint8Array(1));
    const get = world.session().get([chunkOf(1, 1).id], () => {
      throw new Error('disk full');
    });
    await expect(get).rejects.toThrow('disk full');
  });
  test('other chunks than were asked for end the connection', async () => {
    const world = await onlineWorld();
    world.relay.script = (message) =>
      message.kind === 'getChunks'
        ? { kind: 'chunksPage', request: message.request, chunks: [chunkOf(99, 1)], missing: [] }
        : undefined;
    await expect(world.session().get([chunkOf(1, 1).id], () => {})).rejects.toBeInstanceOf(SessionEnded);
  });
});

test('credit is given back in parts, not for each record', async () => {
  const world = await onlineWorld();
  for (let count = 0; count < 1_000; count++) world.session().grantPushCredit(1_024);
  await world.clock.settle();
  const credits = sent(world, 'credit');
  expect(credits.length).toBe(1);
  expect(credits[0]?.pushBytes).toBe(limits.pushCreditBytes / 8);
});
