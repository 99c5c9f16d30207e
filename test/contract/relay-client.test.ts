/**
 * The real relay client, over real sockets, against the real relay on its embedded store: what the two sides make of one
 * protocol. The client alone is tested with a scripted relay beside it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Change,
  type ChunkId,
  type Head,
  limits,
  noRecordId,
  parseRelPath,
  type RelPath,
  type Root,
  type SealedChunk,
  type SealedRecord,
} from '@driftless/protocol';
import { createRelay, type RunningRelay } from '@driftless/relay';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createDeviceKey } from '../../engine/src/crypto/device-key.ts';
import { createRoomCipher } from '../../engine/src/crypto/room-cipher.ts';
import { nodeClock } from '../../engine/src/node/node-clock.ts';
import { nodeRandom } from '../../engine/src/node/node-random.ts';
import { createWebSocketTransport } from '../../engine/src/node/web-socket-transport.ts';
import type { DeviceKey, RoomCipher } from '../../engine/src/ports/room-cipher.ts';
import type { RelayClient, RoomLink, RoomSession } from '../../engine/src/ports/room-session.ts';
import { createRelayClient } from '../../engine/src/relay-client.ts';

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
let dataDir: string;
let relay: RunningRelay;
const clients: RelayClient[] = [];

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'driftless-relay-'));
  relay = await createRelay({ storage: { dataDir }, port: 0 });
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await relay.close();
  rmSync(dataDir, { recursive: true, force: true });
});

interface Online {
  readonly session: RoomSession;
  readonly cipher: RoomCipher;
  readonly device: DeviceKey;
  readonly link: RoomLink;
  readonly pushed: { readonly record: SealedRecord; readonly chunks: readonly SealedChunk[] }[];
  /** Resolves with what the next event of that kind tells. */
  next(event: 'pushed' | 'presence' | 'offline' | 'online' | 'refused'): Promise<unknown>;
}

async function connect(
  options: { readonly secret?: number; readonly relayKey?: Uint8Array | null } = {},
): Promise<Online> {
  const client = createRelayClient({
    transport: createWebSocketTransport(),
    clock: nodeClock,
    random: nodeRandom,
    log,
  });
  clients.push(client);
  const device = createDeviceKey(nodeRandom.bytes(32));
  const secret = new Uint8Array(32).fill(options.secret ?? 1);
  const cipher = createRoomCipher({ secret, epoch: 0, device, random: nodeRandom });
  const pushed: Online['pushed'] = [];
  const waiting = new Map<string, (value: unknown) => void>();
  const tell = (event: string, value: unknown): void => {
    waiting.get(event)?.(value);
    waiting.delete(event);
  };
  const next = (event: string) => new Promise<unknown>((resolve) => waiting.set(event, resolve));
  const first = Promise.race([next('online'), next('refused')]);
  const link = client.open(
    { urls: [relay.url], relayKey: options.relayKey ?? null, cipher },
    {
      onOnline: (session) => tell('online', session),
      onPushed: (record, chunks) => {
        pushed.push({ record, chunks });
        tell('pushed', record);
      },
      onHeadMoved: () => undefined,
      onPresence: (sealed) => tell('presence', sealed),
      onOffline: (reason) => tell('offline', reason),
      onResponsive: () => undefined,
      onRefused: (refusal) => tell('refused', refusal),
      known: () => null,
    },
  );
  const session = (await first) as RoomSession;
  return { session, cipher, device, link, pushed, next };
}

const path = (text: string): RelPath => {
  const parsed = parseRelPath(text);
  if (parsed === undefined) throw new Error('not a path');
  return parsed;
};
const opened = (cipher: RoomCipher, record: SealedRecord, pieces: readonly Uint8Array[] = []) => {
  const signed = cipher.verifyRecord(record);
  return signed.ok ? cipher.openRecord(signed.value, pieces) : signed;
};

const sealAt = ({ cipher, device }: Online, prev: Head | null, adds: readonly ChunkId[] = [], count = 1) => {
  const changes = Array.from({ length: count }, (_, index): Change => {
    const name = path(`d/${index}-${Buffer.from(nodeRandom.bytes(20)).toString('hex')}`);
    return { kind: 'put', path: name, entry: { kind: 'directory' }, mtimeMs: 0, replaces: null };
  });
  return cipher.sealRecord({
    height: (prev?.height ?? 0) + 1,
    prev: prev?.id ?? noRecordId,
    body: {
      device: device.device,
      deviceName: 'x',
      timeMs: 0,
      label: '',
      massDeletion: 'none',
      root: '0'.repeat(64) as Root,
      changes,
    },
    adds,
  });
};

test('a save with its chunk along is stored, pushed and opened by another peer', async () => {
  const a = await connect();
  expect(a.session.relayKey).toEqual(relay.publicKey);
  expect(a.session.welcome).toMatchObject({ head: null, holdsKnown: true });
  const b = await connect({ relayKey: relay.publicKey });
  const chunk = a.cipher.sealChunk(new Uint8Array(1_000).fill(5));
  const sealed = sealAt(a, null, [chunk.id]);
  const arrived = b.next('pushed');
  const answer = await a.session.append(sealed.record, [chunk]);
  expect(answer).toMatchObject({ kind: 'appended', head: { height: 1, id: sealed.id } });
  await arrived;
  const [got] = b.pushed;
  expect(got && opened(b.cipher, got.record)).toMatchObject({ ok: true, value: { id: sealed.id } });
  expect(got?.chunks.map((along) => b.cipher.openChunk(along)?.length)).toEqual([1_000]);
});

test('a second append at one head is stale, with the record in between', async () => {
  const [a, b] = [await connect(), await connect()];
  const first = sealAt(a, null);
  await a.session.append(first.record, []);
  const answer = await b.session.append(sealAt(b, null).record, []);
  expect(answer).toMatchObject({ kind: 'stale', head: { height: 1, id: first.id } });
  expect(answer.kind === 'stale' && answer.records.length).toBe(1);
  expect(await b.session.locate([{ height: 1, id: first.id }])).toMatchObject({ common: { height: 1, id: first.id } });
  const page = await b.session.fetchRecords(0, limits.frameBytesAimed);
  expect(page.records.map((record) => opened(b.cipher, record).ok)).toEqual([true]);
});

test('a body in pieces and long adds go up as chunks first, and come back', async () => {
  const a = await connect();
  const chunks = Array.from({ length: 700 }, (_, index) =>
    a.cipher.sealChunk(new Uint8Array(600).fill(index & 255).fill(index >> 8, 0, 1)),
  );
  const sealed = sealAt(
    a,
    null,
    chunks.map((chunk) => chunk.id),
    12_000,
  );
  expect(sealed.chunks.length).toBeGreaterThan(2);
  expect(await a.session.append(sealed.record, [])).toMatchObject({ kind: 'missingChunks' });
  await a.session.put([...chunks, ...sealed.chunks]);
  expect(await a.session.append(sealed.record, [])).toMatchObject({ kind: 'appended' });
  const b = await connect();
  const { records } = await b.session.fetchRecords(0, limits.frameBytesAimed);
  const pieces = new Map<string, Uint8Array>();
  const ids = sealed.chunks.map((chunk) => chunk.id);
  expect(await b.session.get(ids, (chunk) => void pieces.set(chunk.id, chunk.sealed))).toEqual([]);
  const ordered = ids.map((id) => pieces.get(id) ?? new Uint8Array(0));
  const [record] = records;
  expect(record && opened(b.cipher, record, ordered.slice(0, ids.length - 1))).toMatchObject({ ok: true });
});

test('40 MB go up and down whole, while small requests are answered', async () => {
  const a = await connect();
  const chunks = Array.from({ length: 400 }, () => a.cipher.sealChunk(nodeRandom.bytes(100_000)));
  let small = 0;
  const put = a.session.put(chunks);
  while (small < 5) {
    await a.session.have([noRecordId as string as ChunkId]);
    small += 1;
  }
  await put;
  expect(await a.session.have(chunks.map((chunk) => chunk.id))).toEqual(chunks.map(() => true));
  const b = await connect();
  let bytes = 0;
  const missing = await b.session.get(
    [...chunks.map((chunk) => chunk.id), noRecordId as string as ChunkId],
    (chunk) => {
      bytes += b.cipher.openChunk(chunk)?.length ?? 0;
    },
  );
  expect(bytes).toBe(400 * 100_000);
  expect(missing).toEqual([noRecordId]);
});

test('presence reaches the others', async () => {
  const [a, b] = [await connect(), await connect()];
  const arrived = b.next('presence');
  const body = {
    deviceName: 'a',
    run: '0'.repeat(16),
    n: 1,
    height: 0,
    recordId: null,
    state: 'idle',
    asks: [],
    root: '0'.repeat(64) as Root,
    echoes: [],
    editing: [],
  };
  a.session.sendPresence(a.cipher.sealPresence(body));
  expect(b.cipher.openPresence((await arrived) as Uint8Array)).toMatchObject(body);
});

test('a relay that stops and comes back on its port is found again, with its log', async () => {
  const a = await connect();
  const first = sealAt(a, null);
  await a.session.append(first.record, []);
  const offline = a.next('offline');
  const { port } = relay;
  await relay.close();
  expect(await offline).toContain('relay');
  const online = a.next('online');
  relay = await createRelay({ storage: { dataDir }, port });
  a.link.nudge();
  const session = (await online) as RoomSession;
  expect(session.welcome.head).toEqual({ height: 1, id: first.id });
});
