/** The Transport port on real sockets: whole frames both ways, and a reason for every way in which a server is none. */
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { closeCodes, limits } from '@driftless/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import type { ConnectionRefusal } from '../ports/transport.ts';
import { createWebSocketTransport } from './web-socket-transport.ts';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

const listen = async (server: Server | ReturnType<typeof createNetServer>): Promise<string> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => new Promise((resolve) => server.close(() => resolve())));
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
};
const webSocketServer = async (onSocket: (socket: WebSocket) => void): Promise<string> => {
  const server = createServer();
  new WebSocketServer({ server }).on('connection', (socket) => {
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  return listen(server);
};

/** Connects and collects what happens until the connection ends. */
const run = (url: string, options: { readonly frames?: readonly Uint8Array[]; readonly closeAfter?: number } = {}) =>
  new Promise<{
    readonly opened: boolean;
    readonly frames: Uint8Array[];
    readonly activity: number;
    readonly reason: string;
    readonly refusal: ConnectionRefusal | undefined;
  }>((resolve) => {
    const frames: Uint8Array[] = [];
    let opened = false;
    let activity = 0;
    const connection = createWebSocketTransport().connect(url, {
      onOpen: () => {
        opened = true;
        for (const frame of options.frames ?? []) connection.send(frame);
      },
      onActivity: () => {
        activity += 1;
      },
      onFrame: (bytes) => {
        frames.push(Uint8Array.from(bytes));
        if (frames.length === options.closeAfter) connection.close();
      },
      onClose: ({ reason, refusal }) => resolve({ opened, frames, activity, reason, refusal }),
    });
  });

test('frames arrive whole and in order, and a close ends it', async () => {
  const url = await webSocketServer((socket) => socket.on('message', (data) => socket.send(data as Buffer)));
  const frames = [new Uint8Array(3).fill(1), new Uint8Array(limits.frameBytesMax).fill(2), new Uint8Array(0)];
  const outcome = await run(url, { frames, closeAfter: 3 });
  expect(outcome.frames).toEqual(frames);
  expect(outcome.activity).toBeGreaterThan(0);
});

test('drained resolves when the socket took the bytes, and when the connection ended', async () => {
  const url = await webSocketServer((socket) => socket.on('message', () => socket.close()));
  await new Promise<void>((resolve) => {
    const connection = createWebSocketTransport().connect(url, {
      onOpen: async () => {
        connection.send(new Uint8Array(1_000_000));
        await connection.drained(1);
        expect(connection.bufferedBytes()).toBe(0);
      },
      onActivity: () => undefined,
      onFrame: () => undefined,
      onClose: () => void connection.drained(1).then(resolve),
    });
  });
});

test.each<[string, () => Promise<string>, string]>([
  [
    'no server',
    async () => {
      const server = createNetServer();
      const url = await listen(server);
      await cleanups.pop()?.();
      return url;
    },
    'nothing listens there (connect ECONNREFUSED',
  ],
  ['an address that is none', async () => 'nonsense', 'Invalid URL'],
  ['a captive portal', () => listen(createServer((_, response) => response.end('<html>'))), '200'],
  [
    'a server that talks something else',
    () => listen(createNetServer((socket) => socket.end('220 smtp\r\n', () => socket.destroySoon()))),
    'Parse',
  ],
  ['text frames', () => webSocketServer((socket) => socket.send('hello')), 'not a Driftless relay'],
  [
    'a frame above the limit',
    () => webSocketServer((socket) => socket.send(new Uint8Array(limits.frameBytesMax + 1))),
    'Max payload',
  ],
])('%s gives a reason', async (_, start, reason) => {
  expect((await run(await start())).reason).toContain(reason);
});

describe('a refusal has a code', () => {
  const { overLimit, overQuota, shutdown } = closeCodes;
  const httpServer = (status: number, headers: Readonly<Record<string, string>> = {}) =>
    listen(
      createServer().on('upgrade', (_, socket) => {
        const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
        socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n${lines.join('')}\r\n`);
      }),
    );

  test.each<[string, () => Promise<string>, ConnectionRefusal | undefined, string]>([
    [
      'the relay says why, in our words',
      () => httpServer(503, { 'Driftless-Code': String(overQuota.code), 'Driftless-Reason': '[x](command:y)' }),
      { code: overQuota.code, detail: '' },
      overQuota.meaning,
    ],
    [
      'a proxy says that it is too much',
      () => httpServer(503),
      { code: overLimit.code, detail: 'HTTP 503, perhaps from a proxy before it' },
      'HTTP 503',
    ],
    [
      'a relay that is about to stop',
      () => httpServer(503, { 'Driftless-Code': String(shutdown.code) }),
      undefined,
      'stopping',
    ],
    ['a proxy whose relay is away', () => httpServer(502), undefined, 'HTTP 502'],
    ['a server that knows no such code', () => httpServer(403, { 'Driftless-Code': '99' }), undefined, 'HTTP 403'],
    [
      'a connection ended with a code',
      () => webSocketServer((socket) => socket.close(4_000 + overLimit.code, '[x](command:y)')),
      { code: overLimit.code, detail: '' },
      overLimit.meaning,
    ],
    [
      'a relay that stops',
      () => webSocketServer((socket) => socket.close(4_000 + shutdown.code, '[x](command:y)')),
      undefined,
      shutdown.meaning,
    ],
  ])('%s', async (_, start, refusal, reason) => {
    const outcome = await run(await start());
    expect(outcome.refusal).toEqual(refusal);
    expect(outcome.reason).toContain(reason);
    expect(JSON.stringify(outcome)).not.toContain('command:');
  });
});
