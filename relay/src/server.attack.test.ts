/**
 * What a relay does with those that mean harm or are broken, byte for byte over real sockets (S3–S5, S14, S15, S18, S19, W6, P6).
 * After each attack a peer in good standing is still served. Time that has to pass is a fake clock's.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { closeCodes, limits as protocolLimits } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { parseProxies } from './config.ts';
import type { RelayLimits } from './relay-limits.ts';
import { createRelay, type RunningRelay } from './server.ts';
import { memoryRoomStore } from './store/memory-room-store.ts';
import { type RoomStore, StoreError } from './store/room-store.ts';
import { type FakeClock, fakeClock } from './testing/fake-clock.ts';
import { listChunk, type SampleRecord, sampleChunk, sampleRoom } from './testing/sample-room.ts';
import { type TestPeer, testPeer } from './testing/test-peer.ts';

const room = sampleRoom('one');
let relay: RunningRelay;
let clock: FakeClock;
let open: { close(): void }[];

beforeEach(() => {
  open = [];
  clock = fakeClock();
});
afterEach(async () => {
  for (const one of open) one.close();
  // Goodbyes to peers that do not answer wait for the clock.
  const closed = relay.close();
  clock.advance(60_000);
  await closed;
});

async function start(limits: Partial<RelayLimits> = {}, store: RoomStore = newStore()): Promise<void> {
  relay = await createRelay({ storage: { store }, clock, limits });
}
const newStore = (): RoomStore => memoryRoomStore({ storeId: new Uint8Array(16) });

async function connect(): Promise<TestPeer> {
  const peer = await testPeer(relay.url);
  open.push(peer);
  return peer;
}
async function entered(): Promise<TestPeer> {
  const peer = await connect();
  await peer.enter(1, room);
  return peer;
}
/** A bare socket that has sent `bytes`. */
async function raw(bytes: string | Uint8Array = ''): Promise<RawSocket> {
  const socket = connectTcp(relay.port, '127.0.0.1');
  const read: Buffer[] = [];
  socket.on('data', (data) => read.push(data));
  socket.on('error', () => {});
  const ended = new Promise<string>((resolve) =>
    socket.on('close', () => resolve(Buffer.concat(read).toString('latin1'))),
  );
  await new Promise((resolve) => socket.once('connect', resolve));
  if (bytes.length > 0) socket.write(bytes);
  open.push({ close: () => socket.destroy() });
  const received = async (text: string): Promise<void> => {
    while (!Buffer.concat(read).toString('latin1').includes(text))
      await new Promise((resolve) => socket.once('data', resolve));
  };
  return { socket, ended, received };
}
interface RawSocket {
  readonly socket: Socket;
  /** All that was received, once the connection has ended. */
  readonly ended: Promise<string>;
  received(text: string): Promise<void>;
}
const upgradeRequest = (extra = ''): string =>
  `GET / HTTP/1.1\r\nHost: 127.0.0.1:${relay.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${extra}\r\n`;
async function upgraded(): Promise<RawSocket> {
  const attacker = await raw(upgradeRequest());
  await attacker.received('\r\n\r\n');
  return attacker;
}
/** A masked frame with a mask of zeroes: `head` is the first byte. */
const frame = (head: number, payload: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([head, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
const binary = 0x82;
/** The code of a WebSocket close frame among the bytes received. */
function closeCodeIn(received: string): number {
  const bytes = Buffer.from(received.slice(received.indexOf('\r\n\r\n') + 4), 'latin1');
  expect(bytes[0]).toBe(0x88);
  return bytes.readUInt16BE(2);
}
/** A store whose `have` waits until opened. */
function gatedStore() {
  const store = newStore();
  let isOpen = false;
  const held: (() => void)[] = [];
  let notify: () => void = () => {};
  return {
    store: {
      ...store,
      async have(...args: Parameters<RoomStore['have']>) {
        if (!isOpen) {
          await new Promise<void>((resolve) => {
            held.push(resolve);
            notify();
          });
        }
        return store.have(...args);
      },
    },
    waiting: () => held.length,
    async reached(count: number) {
      while (held.length < count) {
        await new Promise<void>((resolve) => {
          notify = resolve;
        });
      }
    },
    open() {
      isOpen = true;
      for (const resume of held) resume();
    },
  };
}

async function expectHealthy(): Promise<void> {
  const peer = await entered();
  peer.send(0, { kind: 'ping', token: 9 });
  expect(await peer.next(0)).toEqual({ kind: 'pong', token: 9 });
}
/** Waits for `connection` to end, while the clock passes the moments that a goodbye may take. */
async function cutOff<Value>(ended: Promise<Value>, stepMs = 1_000): Promise<Value> {
  let over = false;
  const done = ended.finally(() => {
    over = true;
  });
  while (!over) {
    clock.advance(stepMs);
    await Promise.race([done, new Promise((resolve) => setImmediate(resolve))]);
  }
  return done;
}

describe('HTTP', () => {
  beforeEach(() => start());

  test.each([
    ['GET', '/healthz', 200, 'ok\n'],
    ['POST', '/healthz', 404, ''],
    ['GET', '/', 404, ''],
    ['GET', '/../../etc/passwd', 404, ''],
    ['GET', '/%00%2e%2e/identity.key', 404, ''],
    ['DELETE', '/healthz?x', 404, ''],
  ])('S19: %s %s is answered with %d', async (method, path, status, body) => {
    const { ended } = await raw(`${method} ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    const answer = await ended;
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer.split('\r\n\r\n')[1]).toBe(body);
  });

  test.each([
    ['noise', '\x00\x01\x02\xff\r\n\r\n'],
    ['a header without end', `GET / HTTP/1.1\r\nX: ${'a'.repeat(100_000)}`],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['an upgrade without a key', 'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'],
    ['an upgrade to something else', 'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n'],
  ])('S19: %s gets a plain refusal and the end', async (_, bytes) => {
    const { ended } = await raw(bytes);
    expect(await ended).toMatch(/^HTTP\/1.1 4\d\d [^\n]*\r\n/);
    await expectHealthy();
  });

  test.each([
    ['another page', 'https://evil.example', undefined],
    ['an opaque origin', 'null', undefined],
    ['no origin in words', '', undefined],
    ['this very address', 'this', undefined],
    ['a name that was bound to this address (DNS rebinding)', 'http://evil.example:1', 'evil.example:1'],
  ])('S14: what a browser sends is refused: %s', async (_, origin, host) => {
    const sent = origin === 'this' ? `http://127.0.0.1:${relay.port}` : origin;
    const request = upgradeRequest(`Origin: ${sent}\r\n`);
    const { ended } = await raw(host === undefined ? request : request.replace(/Host: .*\r/, `Host: ${host}\r`));
    expect(await ended).toMatch(/^HTTP\/1.1 403 /);
    const health = await raw(`GET /healthz HTTP/1.1\r\nHost: x\r\nOrigin: ${sent}\r\n\r\n`);
    expect(await health.ended).toMatch(/^HTTP\/1.1 403 /);
    await expectHealthy();
  });
});

describe('time limits', () => {
  test.each([
    ['says nothing', ''],
    ['sends its headers too slowly', 'GET / HTTP/1.1\r\nHost: x\r\n'],
  ])('S15: who %s is cut off', async (_, bytes) => {
    await start();
    const { ended } = await raw(bytes);
    await expectHealthy();
    clock.advance(10_000);
    expect(await ended).toBe('');
  });

  test('S15: who joins no room in time is cut off, with a code', async () => {
    await start();
    const [idle, member] = [await connect(), await entered()];
    clock.advance(15_000);
    expect(await idle.closed).toBe(4_000 + closeCodes.timeout.code);
    member.send(0, { kind: 'ping', token: 1 });
    expect(await member.next(0)).toEqual({ kind: 'pong', token: 1 });
  });

  test('W6: a peer that answers no ping is dropped, one that does stays', async () => {
    await start();
    const member = await entered();
    const dead = new WebSocket(relay.url, { autoPong: false });
    const gone = new Promise((resolve) => dead.on('close', resolve));
    await new Promise((resolve) => dead.once('open', resolve));
    open.push({ close: () => dead.terminate() });
    for (let passedMs = 0; passedMs < 45_000; passedMs += 5_000) {
      clock.advance(5_000);
      member.send(0, { kind: 'ping', token: passedMs });
      await member.next(0);
    }
    expect(await gone).toBeGreaterThan(1_000);
    await expectHealthy();
  });
});

describe('frames', () => {
  beforeEach(() => start({ channelsMax: 3, fragmentsMax: 50 }));
  const badFrame = 4_000 + closeCodes.badFrame.code;

  test.each([
    ['text', frame(0x81, Buffer.from('hello')), badFrame],
    ['an empty frame', frame(binary, new Uint8Array(0)), badFrame],
    ['noise', frame(binary, sampleChunk('noise').sealed), badFrame],
    ['a tag without a value', frame(binary, new Uint8Array([0x0a])), badFrame],
    ['a length beyond the end', frame(binary, new Uint8Array([0x1a, 0xff, 0xff, 0xff, 0xff, 0x0f])), badFrame],
    ['a frame without a mask', Buffer.from([0x82, 0x01, 0x00]), 1002],
    ['a compressed frame', frame(0xc2, new Uint8Array([1])), 1002],
    ['a claim of 2^52 bytes', Buffer.from([0x82, 0xff, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 1009],
    ['a claim of a byte over the limit', Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1, 0, 0, 0, 0]), 1009],
    [
      'fragments without end',
      Buffer.concat([frame(0x02, new Uint8Array(1)), ...Array<Buffer>(60).fill(frame(0x00, new Uint8Array(1)))]),
      1008,
    ],
    [
      'empty fragments without end',
      Buffer.concat([frame(0x02, new Uint8Array(0)), ...Array<Buffer>(60).fill(frame(0x00, new Uint8Array(0)))]),
      1008,
    ],
  ])('S3, S5: %s ends the connection', async (_, bytes, code) => {
    const attacker = await upgraded();
    attacker.socket.write(bytes);
    expect(closeCodeIn(await cutOff(attacker.ended))).toBe(code);
    await expectHealthy();
  });

  test('S3: large frames are for those whom a room let in', async () => {
    const stranger = await connect();
    stranger.sendBytes(new Uint8Array(5_000));
    expect(await cutOff(stranger.closed)).toBe(badFrame);
    const member = await entered();
    member.send(1, { kind: 'putChunks', request: 1, chunks: [sampleChunk('a', 100_000)] });
    expect(await member.next(1)).toEqual({ kind: 'chunksStored', request: 1 });
    member.sendBytes(new Uint8Array(protocolLimits.frameBytesMax + 1));
    expect(await member.closed).toBe(1009);
  });

  test('v13: a stranger is measured while its frame comes, not when it is whole', async () => {
    const attacker = await upgraded();
    const claim = Buffer.from([binary, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0]);
    attacker.socket.write(Buffer.concat([claim, new Uint8Array(5_000)]));
    expect(closeCodeIn(await cutOff(attacker.ended))).toBe(badFrame);
    await expectHealthy();
  });

  test('v13: what a stranger sends beyond that is not read', async () => {
    const attacker = await upgraded();
    attacker.socket.write(
      Buffer.concat([Buffer.from([binary, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0]), new Uint8Array(5_000)]),
    );
    // Far more than the system's own buffers take: the relay would have to read for all of it to be on its way.
    let isSent = false;
    attacker.socket.write(new Uint8Array(64 * 2 ** 20), () => {
      isSent = attacker.socket.bytesWritten > 0 && !attacker.socket.destroyed;
    });
    await attacker.received('too many bytes');
    await expectHealthy();
    expect(isSent).toBe(false);
    await cutOff(attacker.ended);
  });

  test('v13: many small frames of a stranger count like a large one', async () => {
    const attacker = await upgraded();
    const ping = frame(0x89, new Uint8Array(100));
    attacker.socket.write(Buffer.concat(Array<Buffer>(60).fill(ping)));
    attacker.socket.on('data', () => {});
    expect(await cutOff(attacker.ended)).toContain('too many bytes before any room was joined');
    await expectHealthy();
  });

  test('S5: whatever bytes come, the relay goes on', async () => {
    for (let seed = 0; seed < 60; seed++) {
      const peer = await connect();
      const noise = sampleChunk(`seed ${seed}`, 1 + seed * 3).sealed;
      // Every other begins like a frame of a channel, so that more of it is looked at.
      peer.sendBytes(seed % 2 === 0 ? noise : Buffer.concat([Buffer.from([0x08, 0x01]), noise]));
      peer.send(0, { kind: 'ping', token: seed });
      await Promise.race([peer.closed, peer.next(0)]);
      peer.close();
    }
    await expectHealthy();
  });

  test('only so many channels', async () => {
    const peer = await connect();
    for (let channel = 1; channel <= 3; channel++) await peer.enter(channel, sampleRoom(String(channel)));
    peer.send(4, { kind: 'leave' });
    expect(await peer.closed).toBe(4_000 + closeCodes.overLimit.code);
  });

  test('S6: guessing ends the connection', async () => {
    const peer = await connect();
    for (let guess = 1; guess <= 8; guess++) {
      const answer = peer.join(1, room, { role: 'reader' });
      // The refusal waits for the clock.
      expect(await cutOff(answer, 5)).toMatchObject({ code: closeCodes.refused.code });
    }
    expect(await peer.closed).toBe(4_000 + closeCodes.refused.code);
  });
});

describe('requests that ask for more work than they are long', () => {
  const chunk = sampleChunk('one');
  const list = listChunk([chunk.id]);

  test.each([
    ['lists', { addsLists: Array(1_000).fill(list.id) }],
    ['chunks', { adds: [chunk.id, chunk.id] }],
    ['pieces of its body', { bodyChunks: [list.id, list.id] }],
  ])('v04: a record that names %s twice is refused before the store looks at it', async (_, fields) => {
    await start();
    const peer = await entered();
    peer.send(1, { kind: 'putChunks', request: 1, chunks: [chunk, list] });
    await peer.next(1);
    peer.send(1, { kind: 'append', request: 2, record: room.record(null, fields).record, chunks: [] });
    expect(await peer.next(1)).toMatchObject({
      kind: 'channelError',
      request: 2,
      code: closeCodes.badRecord.code,
      detail: expect.stringContaining('twice'),
    });
    await expectHealthy();
  });

  test('v04: so is a checkpoint that names a list twice', async () => {
    await start();
    const peer = await entered();
    const first = room.record(null);
    const checkpoint = room.checkpoint(first, Array(1_000).fill(list.id));
    peer.send(1, { kind: 'seed', request: 1, checkpoint, records: [first.record] });
    expect(await peer.next(1)).toMatchObject({ detail: expect.stringContaining('twice') });
    peer.send(1, { kind: 'putCheckpoint', request: 2, checkpoint });
    expect(await peer.next(1)).toMatchObject({ detail: expect.stringContaining('twice') });
  });
});

describe('crowds', () => {
  test('S15: strangers crowd out one another, never a peer', async () => {
    await start({ strangersPerAddressMax: 3 });
    const member = await entered();
    const crowd = [];
    for (let n = 0; n < 4; n++) {
      crowd.push(await raw());
      // The door has seen it once an answer to a later request is here.
      member.send(0, { kind: 'ping', token: n });
      await member.next(0);
    }
    expect(await crowd[0]?.ended).toBe('');
    expect(crowd[3]?.socket.destroyed).toBe(false);
    await expectHealthy();
  });

  test('v13: who says nothing makes room for who does', async () => {
    await start({ strangersPerAddressMax: 3 });
    const handshaking = [await upgraded(), await connect()];
    for (let n = 0; n < 6; n++) {
      const silent = await raw();
      const health = await raw('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
      expect(await health.ended).toContain('200 OK');
      await silent.ended;
    }
    const [first, second] = handshaking;
    if (first === undefined || second === undefined || !('enter' in second)) throw new Error('no connections');
    expect(first).toMatchObject({ socket: { destroyed: false } });
    await second.enter(1, room);
  });

  test('v13: strangers of all addresses together are so many and no more', async () => {
    await start({ strangersMax: 2 });
    const member = await entered();
    const crowd = [];
    for (let n = 0; n < 3; n++) {
      crowd.push(await raw());
      member.send(0, { kind: 'ping', token: n });
      await member.next(0);
    }
    expect(await crowd[0]?.ended).toBe('');
    await expectHealthy();
  });

  test('v13: what connections hold in memory has one bound, however many they are', async () => {
    await start({ memoryBytesMax: 1_000_000 });
    const hoarders = [];
    for (let n = 0; n < 20; n++) {
      const hoarder = await entered();
      hoarders.push(hoarder);
      // A message that is not whole: a first fragment, and no other.
      hoarder.socket.send(new Uint8Array(100_000), { fin: false, binary: true });
    }
    const ended = await Promise.all(
      hoarders.slice(0, 10).map(async (hoarder) => {
        hoarder.send(0, { kind: 'ping', token: 1 });
        return hoarder.closed;
      }),
    );
    expect(ended).toHaveLength(10);
    await expectHealthy();
  });

  test('only so many admitted connections an address', async () => {
    await start({ connectionsPerAddressMax: 2 });
    await entered();
    await entered();
    await expect(connect()).rejects.toThrow('503');
  });

  test('a full relay makes room for newcomers at the strangers’ cost', async () => {
    await start({ connectionsMax: 3 });
    const member = await entered();
    const [first] = [await raw(), await raw()];
    await expectHealthy();
    expect(await first.ended).toBe('');
    member.send(0, { kind: 'ping', token: 1 });
    expect(await member.next(0)).toEqual({ kind: 'pong', token: 1 });
  });
});

describe('behind a proxy', () => {
  const proxied = (client: string, bytes = ''): string => `PROXY TCP4 ${client} 127.0.0.1 1 2\r\n${bytes}`;
  async function startBehind(limits: Partial<RelayLimits>, proxy = '127.0.0.1'): Promise<void> {
    relay = await createRelay({ storage: { store: newStore() }, clock, limits, proxies: parseProxies(proxy) });
  }

  test('v13: an address is the client that the proxy names', async () => {
    await startBehind({ strangersPerAddressMax: 2 });
    const other = await raw(proxied('192.0.2.9', upgradeRequest()));
    await other.received('101 Switching Protocols');
    const crowd = [];
    for (let n = 0; n < 3; n++) {
      const one = await raw(proxied('192.0.2.1', upgradeRequest()));
      await one.received('101 Switching Protocols');
      crowd.push(one);
    }
    expect(await crowd[0]?.ended).toContain('101');
    expect(other.socket.destroyed).toBe(false);
    const health = await raw(proxied('192.0.2.2', 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'));
    expect(await health.ended).toContain('200 OK');
  });

  test('an IPv4 client is one client however its proxy writes it, and not all of them are one', async () => {
    const written = (ipv4: string): Buffer => {
      const mapped = `00000000000000000000ffff${ipv4}`;
      return Buffer.from(`0d0a0d0a000d0a515549540a21210024${mapped}${mapped}00010002`, 'hex');
    };
    await startBehind({ strangersPerAddressMax: 1 });
    const upgrade = Buffer.from(upgradeRequest());
    const one = await raw(Buffer.concat([written('c0000201'), upgrade]));
    await one.received('101 Switching Protocols');
    const other = await raw(Buffer.concat([written('c0000202'), upgrade]));
    await other.received('101 Switching Protocols');
    expect(one.socket.destroyed).toBe(false);
    await raw(proxied('192.0.2.1'));
    expect(await one.ended).toContain('101');
    expect(other.socket.destroyed).toBe(false);
  });

  test.each([
    ['bytes that come one by one', 1],
    ['bytes that come at once', 1_000],
  ])('a header is taken off, %s, and nothing else', async (_, piece) => {
    await startBehind({});
    const request = proxied('192.0.2.1', 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    const { socket, ended } = await raw();
    for (let at = 0; at < request.length; at += piece) socket.write(request.slice(at, at + piece));
    expect(await ended).toContain('200 OK');
  });

  test('a proxy that says nothing of its client is refused, at once or in time', async () => {
    await startBehind({});
    const without = await raw(upgradeRequest());
    expect(await without.ended).toBe('');
    const silent = await raw();
    // The relay has seen it once a later one is answered.
    const health = await raw(proxied('192.0.2.2', 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'));
    await health.ended;
    clock.advance(10_000);
    expect(await silent.ended).toBe('');
  });

  test('who is no configured proxy cannot say who it is', async () => {
    await startBehind({}, '192.0.2.0/24');
    const { ended } = await raw(proxied('192.0.2.1', upgradeRequest()));
    expect(await ended).toMatch(/^HTTP\/1.1 400 /);
    await expectHealthy();
  });
});

describe('floods', () => {
  test('frames above the rate wait for time to pass', async () => {
    await start({ framesPerSecond: 10, framesBurst: 20 });
    const peer = await entered();
    for (let token = 0; token < 50; token++) peer.send(0, { kind: 'ping', token });
    let answered = 0;
    const counting = (async () => {
      for (; answered < 50; answered++) await peer.next(0);
    })();
    const other = await entered();
    other.send(0, { kind: 'ping', token: 0 });
    await other.next(0);
    // The burst, less the two frames of the handshake.
    expect(answered).toBeLessThanOrEqual(18);
    await cutOff(counting);
    expect(answered).toBe(50);
  });

  test('v13: hellos above the rate of an address wait, whatever connections they come on: each costs a signature', async () => {
    await start({ hellosPerSecond: 1, hellosBurst: 3 });
    const peers = [await connect(), await connect(), await connect()];
    for (const peer of peers) await peer.enter(1, room);
    // A new connection is no new budget.
    for (const peer of peers) peer.close();
    const late = await connect();
    let isIn = false;
    const entering = late.enter(1, room).then(() => {
      isIn = true;
    });
    late.send(0, { kind: 'ping', token: 1 });
    const health = await raw('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    await health.ended;
    expect(isIn).toBe(false);
    await cutOff(entering);
    expect(isIn).toBe(true);
  });

  test('v13: WebSockets that begin above the rate of an address are refused, with a code', async () => {
    await start({ upgradesPerSecond: 1, upgradesBurst: 2 });
    for (let n = 0; n < 2; n++) (await entered()).close();
    const { ended } = await raw(upgradeRequest());
    expect(await ended).toContain(`Driftless-Code: ${closeCodes.overLimit.code}`);
    clock.advance(1_000);
    await expectHealthy();
  });

  test('v13: so do those of all addresses together', async () => {
    await start({ hellosPerSecondMax: 1, hellosBurstMax: 1 });
    await entered();
    const late = await connect();
    let isIn = false;
    const entering = late.enter(1, room).then(() => {
      isIn = true;
    });
    const health = await raw('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    await health.ended;
    expect(isIn).toBe(false);
    await cutOff(entering);
    expect(isIn).toBe(true);
  });

  test('requests above the bound wait for those before them', async () => {
    const gate = gatedStore();
    await start({ requestsInFlightMax: 5 }, gate.store);
    const peer = await entered();
    for (let request = 1; request <= 40; request++) peer.send(1, { kind: 'haveChunks', request, ids: [] });
    await gate.reached(5);
    await expectHealthy();
    expect(gate.waiting()).toBe(5);
    gate.open();
    for (let request = 1; request <= 40; request++) expect(await peer.next(1)).toMatchObject({ request });
  });

  test('who does not read is dropped, and holds nobody up', async () => {
    await start({ sendBufferBytesMax: 300_000, sendBufferPushBytes: 2 ** 30 });
    const [author, sleeper] = [await entered(), await connect()];
    await sleeper.enter(1, room, { pushCreditBytes: 2 ** 26 });
    let gone = false;
    void sleeper.closed.then(() => {
      gone = true;
    });
    sleeper.socket.pause();
    let last: SampleRecord | null = null;
    // Far more than the system's own buffers take.
    for (let n = 0; n < 400 && !gone; n++) {
      last = room.record(last, { label: String(n), body: new Uint8Array(60_000) });
      author.send(1, { kind: 'append', request: 1, record: last.record, chunks: [] });
      expect((await author.next(1)).kind).toBe('appended');
      clock.advance(10);
    }
    clock.advance(1_000);
    sleeper.socket.resume();
    expect([1006, 4_000 + closeCodes.slow.code]).toContain(await sleeper.closed);
    await expectHealthy();
  });

  test('who reads slowly is told that the head moved, instead of being sent it', async () => {
    await start({ sendBufferPushBytes: 0 });
    const [author, slow] = [await entered(), await connect()];
    await slow.enter(1, room, { pushCreditBytes: 2 ** 26 });
    slow.socket.pause();
    let last: SampleRecord | null = null;
    for (let n = 0; n < 200; n++) {
      last = room.record(last, { label: String(n), body: new Uint8Array(60_000) });
      author.send(1, { kind: 'append', request: 1, record: last.record, chunks: [] });
      expect((await author.next(1)).kind).toBe('appended');
    }
    slow.socket.resume();
    const told = await slow.nextOf(1, 'headMoved');
    expect(told.head.height).toBeGreaterThan(1);
    slow.send(1, { kind: 'fetchRecords', request: 1, after: told.head.height - 1, bytesMax: 1 });
    expect(await slow.nextOf(1, 'recordsPage')).toMatchObject({ records: { length: 1 }, head: { height: 200 } });
  });
});

describe('the store', () => {
  test('S18: what it cannot store is an error for that request; the relay stays up', async () => {
    const store = newStore();
    let full = true;
    await start(
      {},
      {
        ...store,
        append: (request) =>
          full ? Promise.reject(new StoreError('disk-full', 'the disk is full')) : store.append(request),
      },
    );
    const peer = await entered();
    const first = room.record(null);
    peer.send(1, { kind: 'append', request: 1, record: first.record, chunks: [] });
    expect(await peer.next(1)).toMatchObject({
      kind: 'channelError',
      request: 1,
      code: closeCodes.overQuota.code,
      detail: expect.stringContaining('disk is full'),
    });
    full = false;
    peer.send(1, { kind: 'append', request: 2, record: first.record, chunks: [] });
    expect(await peer.next(1)).toMatchObject({ kind: 'appended', request: 2 });
  });

  test('close answers what is in flight first', async () => {
    const gate = gatedStore();
    await start({}, gate.store);
    const peer = await entered();
    peer.send(1, { kind: 'haveChunks', request: 1, ids: [] });
    await gate.reached(1);
    const closed = relay.close();
    gate.open();
    expect(await peer.next(1)).toMatchObject({ kind: 'chunksHeld', request: 1 });
    expect(await peer.closed).toBe(4_000 + closeCodes.shutdown.code);
    await closed;
  });
});

describe('close waits for nobody who has said nothing', () => {
  const proxies = parseProxies('127.0.0.1');
  /** Enough for a handshake that is never begun. */
  const tls = { cert: '', key: '' };
  const header = 'PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\n';
  test.each([
    ['a proxy before its header', { proxies }, ''],
    ['a proxy within its header', { proxies }, header.slice(0, 9)],
    ['a client before its TLS handshake', { tls }, ''],
    ['a client of a proxy before its TLS handshake', { proxies, tls }, header],
    ['a client before its request', {}, ''],
  ])('%s', async (_, options, said) => {
    relay = await createRelay({ storage: { store: newStore() }, clock, ...options });
    const silent = await raw(said);
    // The relay has seen it once it has ended a later one.
    await (await raw(`${said}neither header, handshake nor request\r\n\r\n`)).ended;
    await relay.close();
    expect(await silent.ended).toBe('');
  });
});

test('P6: kill -9, start again: the same relay with every acknowledged record', async () => {
  // The relay of this test is a process of its own.
  await start();
  const directory = await mkdtemp(join(tmpdir(), 'driftless-relay-'));
  const program = join(import.meta.dirname, 'testing/run-relay.ts');
  const spawnRelay = async () => {
    const child = spawn(process.execPath, [program, directory], { stdio: ['pipe', 'pipe', 'inherit'] });
    const exited = new Promise((resolve) => child.once('exit', resolve));
    const lines = createInterface({ input: child.stdout });
    const [url] = await new Promise<string[]>((resolve) => lines.once('line', (line) => resolve([line])));
    return { child, exited, url: url ?? '' };
  };
  try {
    const first = await spawnRelay();
    const peer = await testPeer(first.url);
    open.push(peer);
    const { storeId } = await peer.enter(1, room);
    let last: SampleRecord | null = null;
    for (let n = 1; n <= 10; n++) {
      last = room.record(last, { label: String(n) });
      peer.send(1, { kind: 'append', request: n, record: last.record, chunks: [] });
      expect(await peer.next(1)).toMatchObject({ kind: 'appended', request: n });
    }
    first.child.kill('SIGKILL');
    expect(await peer.closed).toBe(1006);
    await first.exited;

    const second = await spawnRelay();
    const again = await testPeer(second.url);
    open.push(again);
    expect(await again.enter(1, room)).toMatchObject({ head: { height: 10, id: last?.id }, storeId });
    second.child.stdin.end();
    expect(await again.closed).toBe(4_000 + closeCodes.shutdown.code);
    expect(await second.exited).toBe(0);
  } finally {
    await rm(directory, { recursive: true });
  }
});
