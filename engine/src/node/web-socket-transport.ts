/** The Transport port on WebSockets. Compression stays off: what it carries is sealed. */
import type { Socket } from 'node:net';
import { limits } from '@driftless/protocol';
import WebSocket from 'ws';
import type { Connection, Transport, TransportHandlers } from '../ports/transport.ts';

const handshakeTimeoutMs = 10_000;
/** A peer that does not answer our close is cut off. */
const closeTimeoutMs = 1_000;

export function createWebSocketTransport(): Transport {
  return { connect };
}

function connect(url: string, handlers: TransportHandlers): Connection {
  let failure: string | undefined;
  let closed = false;
  let closing: NodeJS.Timeout | undefined;
  const waiting = new Set<{ readonly below: number; readonly resolve: () => void }>();

  const finish = (code: number, reason: string): void => {
    if (closed) return;
    closed = true;
    clearTimeout(closing);
    wakeDrained();
    handlers.onClose({ code, reason });
  };

  let socket: WebSocket | undefined;
  const wakeDrained = (): void => {
    for (const waiter of waiting) {
      if (!closed && socket !== undefined && socket.bufferedAmount >= waiter.below) continue;
      waiting.delete(waiter);
      waiter.resolve();
    }
  };
  try {
    socket = new WebSocket(url, {
      perMessageDeflate: false,
      maxPayload: limits.frameBytesMax,
      skipUTF8Validation: true,
      handshakeTimeout: handshakeTimeoutMs,
      followRedirects: false,
    });
  } catch (error) {
    // An address that is none.
    setImmediate(finish, 1006, messageOf(error));
    return { send: () => undefined, bufferedBytes: () => 0, drained: () => Promise.resolve(), close: () => undefined };
  }
  const open = socket;
  let stream: Socket | undefined;
  open.binaryType = 'nodebuffer';
  open.on('upgrade', (response) => {
    stream = response.socket;
  });
  open.on('open', () => {
    // Not before: a listener of ours on the stream would take what came together with the upgrade from ws.
    stream?.setNoDelay(true);
    stream?.on('data', () => handlers.onActivity());
    handlers.onOpen();
  });
  open.on('message', (data, isBinary) => {
    // ws gives a Buffer for binaryType nodebuffer.
    if (isBinary && Buffer.isBuffer(data)) return handlers.onFrame(data);
    failure = 'what answers there is not a Driftless relay (it sent text)';
    open.terminate();
  });
  // 'close' follows every 'error'.
  open.on('error', (error) => {
    failure = messageOf(error);
  });
  open.on('close', (code, reason) => finish(code, failure ?? reason.toString('utf8')));

  return {
    send(bytes) {
      if (open.readyState !== WebSocket.OPEN) return;
      open.send(bytes, { binary: true, compress: false }, wakeDrained);
    },
    bufferedBytes: () => open.bufferedAmount,
    drained: (below) =>
      new Promise((resolve) => {
        waiting.add({ below, resolve });
        wakeDrained();
      }),
    close() {
      if (closed || closing !== undefined) return;
      closing = setTimeout(() => open.terminate(), closeTimeoutMs);
      open.close(1000);
    },
  };
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Happy-eyeballs failures come as an AggregateError whose own message is empty.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join(', ');
  const status = /^Unexpected server response: (\d+)$/.exec(error.message)?.[1];
  if (status === undefined) return error.message;
  // What a relay answers that has as many connections as it takes, or is about to stop; a proxy before it says the same.
  return status === '503' ? 'it takes no more connections at present (HTTP 503)' : `it answered with HTTP ${status}`;
}
