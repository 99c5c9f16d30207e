/**
 * What strangers can do to a relay: how long a save between two healthy peers takes, and how much memory the relay needs, while it
 * is attacked in all known ways at once, beside the same without attack. Relay and peers are real processes, built before; the
 * attackers, each with an address of its own, are in this one and take as much of the machine as they get (Linux: memory is read
 * from /proc, and all of 127.0.0.0/8 is this machine).
 *
 *   node bench/strangers.ts [seconds with, and without, attack]
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ChunkId, features, type Message, protocolVersion } from '@driftless/protocol';
import { clearChunk, listChunk, type SampleRecord, sampleChunk, sampleRoom } from '../relay/src/testing/sample-room.ts';
import { type TestPeer, testPeer } from '../relay/src/testing/test-peer.ts';
import { about, createWorld, type DriftlessProcess, inState } from '../test/scenario/driftless-process.ts';

const [seconds = 30] = process.argv.slice(2).map(Number);
const savesApartMs = 200;
/** An attacker that was thrown out comes back after this. */
const comesBackMs = 250;
const slowestMs = 60_000;
const halfFrame = new Uint8Array(2 ** 20 - 1);

const stopped = new AbortController();
const isOn = (): boolean => !stopped.signal.aborted;
/** How often each attack was carried out: a bench whose attacks do nothing shows nothing. */
const attacks: Record<string, number> = {};
const count = (attack: string): void => {
  attacks[attack] = (attacks[attack] ?? 0) + 1;
};

const world = await createWorld();
try {
  const relay = world.start(['relay', '--port', '0', '--data', world.path('relay')], { home: 'relay-home' });
  const { url } = await relay.event((event) => event['event'] === 'listening');
  const address = String(url);
  mkdirSync(world.path('a'));
  const a = world.start(['share', world.path('a'), '--relay', address, '--json'], { home: 'a-home' });
  const { invite } = await a.event((event) => event['event'] === 'invite');
  const b = world.start(['join', '-', world.path('b'), '--json'], { home: 'b-home', input: `${invite}\n` });
  await Promise.all([a.event(inState('idle')), b.event(inState('idle'))]);

  const calm = await measure(relay, b);
  const attackers = attackersOf(address);
  const attacked = await measure(relay, b);
  stopped.abort();
  await Promise.allSettled(attackers);

  const ratio = (name: 'msP50' | 'msP99' | 'relayMbMax'): number => Number((attacked[name] / calm[name]).toFixed(2));
  console.log(
    JSON.stringify({
      bench: 'strangers',
      seconds,
      calm,
      attacked,
      attackedPerCalm: { msP50: ratio('msP50'), msP99: ratio('msP99'), relayMbMax: ratio('relayMbMax') },
      attacks,
    }),
  );
} finally {
  stopped.abort();
  await world.close();
}
process.exit(0);

interface Measured {
  readonly saves: number;
  /** Saves that had not arrived after slowestMs. */
  readonly lost: number;
  readonly msP50: number;
  readonly msP99: number;
  readonly relayMbMax: number;
}

async function measure(relay: DriftlessProcess, b: DriftlessProcess): Promise<Measured> {
  const times: number[] = [];
  let lost = 0;
  let relayMbMax = 0;
  for (const untilMs = performance.now() + seconds * 1_000; performance.now() < untilMs; ) {
    const file = `file${times.length % 50}.ts`;
    const startMs = performance.now();
    const arrived = b.nextEvent(about('applied', file));
    writeFileSync(world.path('a', file), `export const saved = ${startMs};\n`);
    const isHere = await Promise.race([arrived.then(() => true), sleep(slowestMs, false, { ref: false })]);
    if (!isHere) lost++;
    times.push(performance.now() - startMs);
    relayMbMax = Math.max(relayMbMax, residentMb(relay.child.pid));
    await sleep(savesApartMs);
  }
  times.sort((one, other) => one - other);
  const at = (part: number): number => Number((times[Math.floor(times.length * part)] ?? 0).toFixed(1));
  return { saves: times.length, lost, msP50: at(0.5), msP99: at(0.99), relayMbMax: Math.round(relayMbMax) };
}

/** Of the process and what it started: the launcher may have started another Node. */
function residentMb(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const own = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  return Math.max(own, ...children.map((child) => residentMb(Number(child))));
}

// ── attacks ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function attackersOf(url: string): Promise<void>[] {
  const port = Number(new URL(url).port);
  return [
    again(() => nameOneChunkOften(url, '127.0.0.2')),
    again(() => nameManyChunks(url, '127.0.0.3')),
    again(() => fillUnderFalseNames(url, '127.0.0.4')),
    again(() => sendHellos(url, '127.0.0.6')),
    again(() => comeFromPage(port, '127.0.0.7')),
    ...Array.from({ length: 200 }, () => again(() => sendHalfFrame(port, '127.0.0.5'))),
    ...Array.from({ length: 300 }, () => again(() => saySilence(port, '127.0.0.8'))),
  ];
}

/** Each time it is thrown out, or done, it comes again. */
async function again(attack: () => Promise<void>): Promise<void> {
  while (isOn()) {
    await attack().catch(() => count('thrownOut'));
    await sleep(comesBackMs);
  }
}

async function ask(peer: TestPeer, message: Message): Promise<Message> {
  peer.send(1, message);
  return peer.next(1);
}

/** v04: a header of some kilobytes that names one list of one chunk 1,000 times. */
async function nameOneChunkOften(url: string, from: string): Promise<void> {
  const room = sampleRoom(from);
  const peer = await testPeer(url, {}, from);
  try {
    await peer.enter(1, room);
    const chunk = sampleChunk('one', 10);
    const list = listChunk(Array<ChunkId>(4_000).fill(chunk.id));
    await ask(peer, { kind: 'putChunks', request: 1, chunks: [chunk, list] });
    const { record } = room.record(null, { addsLists: Array<ChunkId>(1_000).fill(list.id) });
    while (isOn()) {
      await ask(peer, { kind: 'append', request: 2, record, chunks: [] });
      count('oneChunkOften');
    }
  } finally {
    peer.close();
  }
}

/** v04: the same with what cannot be refused: lists that differ, of chunks that are there. */
async function nameManyChunks(url: string, from: string): Promise<void> {
  const room = sampleRoom(`${from} ${attacks['manyChunks'] ?? 0}`);
  const peer = await testPeer(url, {}, from);
  try {
    await peer.enter(1, room);
    const chunks = Array.from({ length: 2_000 }, (_, n) => sampleChunk(String(n), 1));
    const ids = chunks.map(({ id }) => id);
    await ask(peer, { kind: 'putChunks', request: 1, chunks });
    const lists = Array.from({ length: 40 }, (_, by) => listChunk([...ids.slice(by), ...ids.slice(0, by)]));
    for (const list of lists) await ask(peer, { kind: 'putChunks', request: 1, chunks: [list] });
    let last: SampleRecord | null = null;
    while (isOn()) {
      last = room.record(last, { addsLists: lists.map(({ id }) => id) });
      await ask(peer, { kind: 'append', request: 2, record: last.record, chunks: [] });
      count('manyChunks');
    }
  } finally {
    peer.close();
  }
}

/** v05: junk under the names of clear chunks, which then come; and chunks of no bytes. */
async function fillUnderFalseNames(url: string, from: string): Promise<void> {
  const room = sampleRoom(from);
  const peer = await testPeer(url, {}, from);
  try {
    await peer.enter(1, room);
    while (isOn()) {
      const n = attacks['falseNames'] ?? 0;
      const small = clearChunk(sampleChunk(`small ${n}`, 2).sealed);
      const junk = { id: small.id, sealed: new Uint8Array(randomBytes(131_000)) };
      await ask(peer, { kind: 'putChunks', request: 1, chunks: [junk] });
      await ask(peer, { kind: 'putChunks', request: 2, chunks: [small, sampleChunk(`empty ${n}`, 0)] });
      count('falseNames');
    }
  } finally {
    peer.close();
  }
}

/** v13: a signature each. */
async function sendHellos(url: string, from: string): Promise<void> {
  const peer = await testPeer(url, {}, from);
  try {
    for (let channel = 1; channel <= 20 && isOn(); channel++) {
      peer.send(channel, {
        kind: 'hello',
        clientRandom: new Uint8Array(32),
        versions: [protocolVersion],
        features,
        room: sampleRoom('nobody').id,
        role: 'writer',
        known: null,
        pushCreditBytes: 0,
      });
      await peer.next(channel);
      count('hellos');
    }
  } finally {
    peer.close();
  }
}

async function dial(port: number, from: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from });
  await once(socket, 'connect', { signal: stopped.signal });
  return socket;
}
/** Resolves when the relay has ended it. */
async function ended(socket: Socket): Promise<void> {
  try {
    socket.resume();
    await once(socket, 'close', { signal: stopped.signal });
  } finally {
    socket.destroy();
  }
}
function upgrade(extra = ''): string {
  return `GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${extra}\r\n`;
}

/** v13: all but the last byte of a frame of a megabyte. */
async function sendHalfFrame(port: number, from: string): Promise<void> {
  const socket = await dial(port, from);
  // Written to whatever becomes of it.
  socket.on('error', () => count('thrownOut'));
  socket.write(upgrade());
  await once(socket, 'data', { signal: stopped.signal });
  const head = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0]);
  socket.write(head);
  socket.write(halfFrame);
  count('halfFrames');
  await ended(socket);
}

/** v13: connections that say nothing. */
async function saySilence(port: number, from: string): Promise<void> {
  const socket = await dial(port, from);
  socket.on('error', () => count('thrownOut'));
  count('silences');
  await ended(socket);
}

/** v10: a page under a name that was bound to this machine. */
async function comeFromPage(port: number, from: string): Promise<void> {
  const socket = await dial(port, from);
  socket.on('error', () => count('thrownOut'));
  socket.write(upgrade('Origin: http://x\r\n'));
  count('pages');
  await ended(socket);
}
