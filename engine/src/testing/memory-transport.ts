/**
 * The Transport port within one process: whole frames, in order, delivered in a later turn. A test holds the server's end
 * and can stall, cut or refuse.
 */
import type { Connection, ConnectionRefusal, Transport, TransportHandlers } from '../ports/transport.ts';

/** The server's end of one connection. */
export interface ServerEnd {
  readonly url: string;
  /** Frames from the client, in order. Set before the first turn ends. */
  onFrame: (bytes: Uint8Array) => void;
  onClose: () => void;
  send(bytes: Uint8Array): void;
  close(reason?: string, refusal?: ConnectionRefusal): void;
  /** Frames neither arrive nor leave while stalled; nothing is lost. Buffered bytes of the client grow. */
  stall(): void;
  resume(): void;
}

export interface MemoryTransport extends Transport {
  /** How many times a client has tried to connect. */
  readonly attempts: number;
  /** Ends of connections that are open now. */
  readonly open: ReadonlySet<ServerEnd>;
}

/** `accept` is called for every attempt; returning false refuses it. */
export function createMemoryTransport(accept: (end: ServerEnd) => boolean): MemoryTransport {
  let attempts = 0;
  const open = new Set<ServerEnd>();

  function connect(url: string, handlers: TransportHandlers): Connection {
    attempts += 1;
    let state: 'connecting' | 'open' | 'closed' = 'connecting';
    let stalled = false;
    let buffered = 0;
    const toServer: Uint8Array[] = [];
    const toClient: Uint8Array[] = [];
    const waiting: { readonly below: number; readonly resolve: () => void }[] = [];

    const wakeDrained = (): void => {
      for (const waiter of [...waiting]) {
        if (buffered >= waiter.below && state !== 'closed') continue;
        waiting.splice(waiting.indexOf(waiter), 1);
        waiter.resolve();
      }
    };
    const end = (reason: string, refusal?: ConnectionRefusal): void => {
      if (state === 'closed') return;
      state = 'closed';
      open.delete(server);
      buffered = 0;
      wakeDrained();
      setImmediate(() => {
        server.onClose();
        handlers.onClose({ reason, ...(refusal === undefined ? {} : { refusal }) });
      });
    };
    const deliver = (): void => {
      while (state === 'open' && !stalled) {
        const up = toServer.shift();
        if (up !== undefined) {
          buffered -= up.length;
          server.onFrame(up);
        }
        const down = state === 'open' ? toClient.shift() : undefined;
        if (down !== undefined) {
          handlers.onActivity();
          handlers.onFrame(down);
        }
        if (up === undefined && down === undefined) break;
      }
      wakeDrained();
    };

    const server: ServerEnd = {
      url,
      onFrame: () => undefined,
      onClose: () => undefined,
      send(bytes) {
        if (state !== 'open') return;
        toClient.push(Uint8Array.from(bytes));
        setImmediate(deliver);
      },
      close: (reason = 'closed by the server', refusal) => end(reason, refusal),
      stall() {
        stalled = true;
      },
      resume() {
        stalled = false;
        setImmediate(deliver);
      },
    };
    setImmediate(() => {
      if (state !== 'connecting') return;
      if (!accept(server)) return end('refused');
      state = 'open';
      open.add(server);
      handlers.onOpen();
    });
    return {
      send(bytes) {
        if (state !== 'open') return;
        buffered += bytes.length;
        toServer.push(Uint8Array.from(bytes));
        setImmediate(deliver);
      },
      bufferedBytes: () => buffered,
      drained: (below) =>
        new Promise((resolve) => {
          waiting.push({ below, resolve });
          wakeDrained();
        }),
      close: () => end('closed by the client'),
    };
  }

  return {
    connect,
    get attempts() {
      return attempts;
    },
    open,
  };
}
