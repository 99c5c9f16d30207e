/**
 * The relay as a running thing: a listening socket, its connections, one store. Carries
 * the outermost bounds: who may connect, for how long without being let into a room, how many (S14, S15, S19, S23). Loopback
 * unless told otherwise.
 */

import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, STATUS_CODES } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import {
  type AddressInfo,
  type BlockList,
  createServer as createTcpServer,
  isIPv6,
  type Server,
  type Socket,
} from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { closeCodes, limits as protocolLimits } from '@driftless/protocol';
import { WebSocketServer } from 'ws';
import type { RelayParts } from './channel.ts';
import { type Clock, systemClock, type Timer } from './clock.ts';
import { createConnection, type RelayConnection, type SharedBudget } from './connection.ts';
import { createDoor } from './door.ts';
import { createFanOut } from './fan-out.ts';
import { identityFileFor, loadRelayIdentity, newRelayIdentity, type RelayIdentity } from './identity.ts';
import { type RelayLog, silentLog } from './log.ts';
import { makeDirectory } from './make-directory.ts';
import { createMemoryBudget } from './memory-budget.ts';
import { takeProxyHeader } from './proxy-protocol.ts';
import type { Refusal } from './record-check.ts';
import { defaultRelayLimits, type RelayLimits } from './relay-limits.ts';
import { defaultQuotas, type RoomStore, type StoreQuotas } from './store/room-store.ts';
import { sqliteRoomStore } from './store/sqlite-room-store.ts';
import { refusalOf } from './store-refusal.ts';

/** Where the rooms are kept: in a directory of this relay's own, or in a store that was opened already and is closed with it. */
export type RelayStorage =
  | {
      readonly dataDir: string;
      /** Where the identity is kept as well, outside the data: `<homeDir>/relays/`. */
      readonly homeDir?: string;
      /** Instead of the file in homeDir. */
      readonly identityFile?: string;
      /** The built sqlite-store-worker, where this code is bundled. */
      readonly workerUrl?: URL;
    }
  | { readonly store: RoomStore; readonly identity?: RelayIdentity };

export interface RelayOptions {
  readonly storage: RelayStorage;
  readonly host?: string;
  /** 0: any free one. */
  readonly port?: number;
  /** PEM texts. With them the relay speaks wss:// only. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Addresses whose connections begin with a header of the PROXY protocol, and are of the client that it names. */
  readonly proxies?: BlockList;
  readonly quotas?: Partial<StoreQuotas>;
  readonly limits?: Partial<RelayLimits>;
  readonly log?: RelayLog;
  readonly clock?: Clock;
}

export interface RunningRelay {
  /** `ws://host:port`, or `wss://` with TLS. */
  readonly url: string;
  readonly port: number;
  /** What invites pin: raw Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Ends the connections with the code `shutdown`, after the requests in flight, then the store. Idempotent. */
  close(): Promise<void>;
}

const defaultHost = '127.0.0.1';

/** Opens the store, then listens. Rejects with StoreError, or with what the system says of the address. */
export async function createRelay(options: RelayOptions): Promise<RunningRelay> {
  const log = options.log ?? silentLog;
  const { store, identity } = await openStorage(options);
  try {
    return await listen(options, {
      store,
      identity,
      log,
      fanOut: createFanOut(),
      clock: options.clock ?? systemClock,
      limits: { ...defaultRelayLimits, ...options.limits },
      randomBytes: (count) => new Uint8Array(randomBytes(count)),
    });
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function openStorage({
  storage,
  quotas,
  clock,
}: RelayOptions): Promise<{ readonly store: RoomStore; readonly identity: RelayIdentity }> {
  if ('store' in storage) return { store: storage.store, identity: storage.identity ?? newRelayIdentity() };
  const { dataDir, homeDir, identityFile, workerUrl } = storage;
  makeDirectory(dataDir);
  const outside = identityFile ?? (homeDir === undefined ? undefined : identityFileFor({ homeDir, dataDir }));
  // The store first: its lock keeps a second relay from making an identity here at the same time.
  const store = await sqliteRoomStore({
    dataDir,
    quotas: { ...defaultQuotas, ...quotas },
    ...(clock === undefined ? {} : { clock }),
    ...(workerUrl === undefined ? {} : { workerUrl }),
  });
  try {
    const beside = join(dataDir, 'identity.key');
    return { store, identity: loadRelayIdentity(outside === undefined ? [beside] : [outside, beside]) };
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function listen(options: RelayOptions, parts: RelayParts): Promise<RunningRelay> {
  const { log, limits, clock, identity, store } = parts;
  const connections = new Set<RelayConnection>();
  const sockets = createDoor(parts);
  const budget: SharedBudget = { bytes: 0, waiting: new Set() };
  const memory = createMemoryBudget(limits.memoryBytesMax);
  const http =
    options.tls === undefined
      ? createServer()
      : createTlsServer({ ...options.tls, handshakeTimeout: limits.headerTimeoutMs });
  http.headersTimeout = limits.headerTimeoutMs;
  http.requestTimeout = limits.headerTimeoutMs;
  http.keepAliveTimeout = limits.headerTimeoutMs;
  const webSockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: protocolLimits.frameBytesMax,
    maxFragments: limits.fragmentsMax,
    maxBufferedChunks: limits.fragmentsMax,
    skipUTF8Validation: true,
    clientTracking: false,
  });
  let closing: Promise<void> | undefined;
  let sweepTimer: Timer | undefined;

  // With TLS, a socket enters once its handshake is done; until then the handshake's own timeout holds.
  http.on(options.tls === undefined ? 'connection' : 'secureConnection', (tcp: Socket) =>
    sockets.enter(tcp, clients.get(placeOf(tcp)) ?? tcp.remoteAddress ?? ''),
  );
  /** The clients that proxies named, by the proxy's address and port: all that a TLS socket tells of the one beneath it. */
  const clients = new Map<string, string>();
  const front = options.proxies === undefined ? http : behindProxies(options.proxies);
  front.maxConnections = 2 * limits.connectionsMax;
  /** All of them, also those that have sent nothing yet: a proxy before its header, a client before its TLS handshake. */
  const accepted = new Set<Socket>();
  front.on('connection', (tcp: Socket) => {
    accepted.add(tcp);
    tcp.once('close', () => accepted.delete(tcp));
  });

  /** What listens where proxies may connect: takes their headers off, and hands the connections on. */
  function behindProxies(proxies: BlockList): Server {
    return createTcpServer((tcp) => {
      tcp.on('error', (error) => log.debug('socket failed', { reason: error.message }));
      const address = tcp.remoteAddress ?? '';
      if (!proxies.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')) return void http.emit('connection', tcp);
      void takeProxyHeader(tcp, { clock, timeoutMs: limits.headerTimeoutMs }).then((client) => {
        if (client === undefined) {
          if (closing !== undefined) return;
          log.warn('proxy refused', {
            reason: 'no PROXY header: switch it on at the proxy, or do not configure it here',
          });
          return;
        }
        if (client !== null) clients.set(placeOf(tcp), client);
        const place = placeOf(tcp);
        tcp.once('close', () => clients.delete(place));
        http.emit('connection', tcp);
        tcp.resume();
      });
    });
  }
  http.on('clientError', (_error, socket: Duplex) => answer(socket, 400));
  http.on('request', (request, response) => {
    if (isFromPage(request)) return response.writeHead(403, { Connection: 'close' }).end();
    const isHealth = request.url === '/healthz' && (request.method === 'GET' || request.method === 'HEAD');
    const failure = isHealth ? store.health() : null;
    const body = !isHealth ? '' : failure === null ? 'ok\n' : `store: ${failure.code}\n`;
    const headers = { Connection: 'close', 'Content-Type': 'text/plain', 'Content-Length': body.length };
    response.writeHead(!isHealth ? 404 : failure === null ? 200 : 503, headers).end(body);
  });
  http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const tcp = request.socket;
    socket.on('error', (error) => log.debug('upgrade failed', { reason: error.message }));
    if (closing !== undefined) return answer(socket, 503, { code: 'shutdown', detail: '' });
    if (isFromPage(request)) return answer(socket, 403);
    if (!sockets.mayUpgrade(tcp)) {
      return answer(socket, 503, { code: 'overLimit', detail: 'it takes no more connections from one address' });
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      sockets.upgraded(tcp);
      const connection = createConnection({
        socket: webSocket,
        tcp,
        parts,
        budget,
        memory,
        client: sockets.clientOf(tcp),
        helloWaitMs: () => sockets.helloWaitMs(tcp),
        onAdmitted: () => sockets.admitted(tcp),
        onEnded: () => connections.delete(connection),
      });
      connections.add(connection);
    });
  });
  // Peers hear at once that nothing is kept here at present; each later hello is told the reason of that moment.
  store.onFailure((error) => {
    if (closing !== undefined) return;
    log.error('store failed', { code: error.code, reason: error.message });
    const { code, detail } = refusalOf(error);
    for (const connection of connections) connection.failChannels(code, detail);
  });
  webSockets.on('wsClientError', (_error, socket) => answer(socket, 400));

  await new Promise<void>((resolve, reject) => {
    front.once('error', reject);
    front.listen({ host: options.host ?? defaultHost, port: options.port ?? 0 }, () => {
      front.off('error', reject);
      resolve();
    });
  });
  front.on('error', (error) => log.error('listening failed', { reason: error.message }));
  const { address, family, port } = front.address() as AddressInfo;
  const url = `${options.tls === undefined ? 'ws' : 'wss'}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;

  const sweep = (): void => {
    for (const connection of connections) connection.sweep();
    sweepTimer = clock.after(limits.sweepMs, sweep);
  };
  sweepTimer = clock.after(limits.sweepMs, sweep);
  log.info('listening', { port });

  async function close(): Promise<void> {
    log.info('stopping', { connections: connections.size });
    sweepTimer?.cancel();
    const stopped = new Promise<void>((resolve) => front.close(() => resolve()));
    await Promise.all([...connections].map((connection) => connection.shutDown()));
    for (const tcp of accepted) tcp.destroy();
    await stopped;
    await store.close();
    log.info('stopped');
  }

  return {
    url,
    port,
    publicKey: identity.publicKey,
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/**
 * Whether a web page sent it (S14). Only browsers send an Origin, with every WebSocket; peers are programs and send none. Which
 * origin it is says nothing: a page chooses the name under which it reaches a visitor's loopback, and with it its Origin and Host.
 */
const isFromPage = ({ headers }: IncomingMessage): boolean => headers.origin !== undefined;

const placeOf = (tcp: Socket): string => `${tcp.remoteAddress} ${tcp.remotePort}`;

/** Answers on a raw socket, to a peer that may come back with its reason in two headers, and lets it go. */
function answer(socket: Duplex, status: number, refusal?: Refusal): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, 'Connection: close', 'Content-Length: 0'];
  if (refusal !== undefined) {
    lines.push(`Driftless-Code: ${closeCodes[refusal.code].code}`, `Driftless-Reason: ${refusal.detail}`);
  }
  socket.end(`${lines.join('\r\n')}\r\n\r\n`, () => socket.destroy());
}
