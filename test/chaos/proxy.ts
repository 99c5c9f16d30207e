/**
 * A TCP proxy in front of the relay, one for each peer, that fails as networks do: cut at any byte, half-open (connected, and
 * nothing passes), slow, away. Loopback only.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

export type LinkMode =
  | { readonly kind: 'pass' }
  /** Connections are refused, and those that exist are cut. */
  | { readonly kind: 'down' }
  /** Connected, but no byte passes and none is lost: a dead path without FIN. */
  | { readonly kind: 'stall' }
  | { readonly kind: 'slow'; readonly bytesPerSecond: number };

export interface LinkProxy {
  readonly port: number;
  setMode(mode: LinkMode): void;
  /** Cuts all connections after that many more bytes, in the middle of whatever they belong to. */
  cutAfter(bytes: number): void;
  /** Resolves when that many more bytes have passed, in both directions together. */
  passed(bytes: number): Promise<void>;
  close(): Promise<void>;
}

const tickMs = 20;
/** What a stalled or slow link holds before it stops reading. */
const heldBytesMax = 256 * 1024;

interface Pipe {
  readonly from: Socket;
  readonly to: Socket;
  readonly held: Buffer[];
  heldBytes: number;
}

export async function createProxy(
  targetPort: () => number,
  tap: (bytes: Uint8Array) => void = () => {},
): Promise<LinkProxy> {
  let mode: LinkMode = { kind: 'pass' };
  let bytesUntilCut = Number.POSITIVE_INFINITY;
  let bytesPassed = 0;
  const waiting = new Set<{ readonly atBytes: number; readonly resolve: () => void }>();
  const pipes = new Set<Pipe>();

  const cut = (): void => {
    for (const { from, to } of pipes) {
      from.destroy();
      to.destroy();
    }
    pipes.clear();
    bytesUntilCut = Number.POSITIVE_INFINITY;
  };

  const count = (bytes: number): void => {
    bytesPassed += bytes;
    for (const waiter of waiting) {
      if (bytesPassed < waiter.atBytes) continue;
      waiting.delete(waiter);
      waiter.resolve();
    }
  };
  const forward = (pipe: Pipe, bytes: Buffer): void => {
    count(Math.min(bytes.length, bytesUntilCut));
    if (bytes.length < bytesUntilCut) {
      bytesUntilCut -= bytes.length;
      pipe.to.write(bytes);
      return;
    }
    pipe.to.write(bytes.subarray(0, bytesUntilCut), () => cut());
    bytesUntilCut = Number.POSITIVE_INFINITY;
  };

  const release = (pipe: Pipe, bytesMax: number): void => {
    let left = bytesMax;
    while (left > 0) {
      const first = pipe.held.shift();
      if (first === undefined) break;
      const now = first.subarray(0, left);
      if (now.length < first.length) pipe.held.unshift(first.subarray(now.length));
      pipe.heldBytes -= now.length;
      left -= now.length;
      forward(pipe, now);
    }
    if (pipe.heldBytes < heldBytesMax) pipe.from.resume();
  };

  const join = (from: Socket, to: Socket): void => {
    const pipe: Pipe = { from, to, held: [], heldBytes: 0 };
    pipes.add(pipe);
    from.on('data', (bytes: Buffer) => {
      tap(bytes);
      if (mode.kind === 'pass' && pipe.heldBytes === 0) return forward(pipe, bytes);
      pipe.held.push(bytes);
      pipe.heldBytes += bytes.length;
      if (pipe.heldBytes >= heldBytesMax) from.pause();
    });
    from.on('error', () => to.destroy());
    from.on('close', () => {
      pipes.delete(pipe);
      // A dead path brings no end either.
      if (mode.kind !== 'stall') to.destroy();
    });
  };

  const server: Server = createServer((client) => {
    if (mode.kind === 'down') {
      client.destroy();
      return;
    }
    const relay = connect(targetPort(), '127.0.0.1');
    join(client, relay);
    join(relay, client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const timer = setInterval(() => {
    if (mode.kind === 'stall' || mode.kind === 'down') return;
    const bytes = mode.kind === 'slow' ? Math.ceil((mode.bytesPerSecond * tickMs) / 1_000) : Number.POSITIVE_INFINITY;
    for (const pipe of pipes) release(pipe, bytes);
  }, tickMs);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');

  return {
    port: address.port,
    setMode(next) {
      // What stalled is not delivered late: such a path has lost its connection state.
      if (next.kind === 'down' || mode.kind === 'stall') cut();
      mode = next;
    },
    cutAfter(bytes) {
      bytesUntilCut = Math.max(1, bytes);
    },
    passed: (bytes) =>
      new Promise((resolve) => {
        waiting.add({ atBytes: bytesPassed + bytes, resolve });
      }),
    async close() {
      clearInterval(timer);
      cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
