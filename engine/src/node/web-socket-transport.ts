/** The Transport port on WebSockets. Compression stays off: what it carries is sealed. */
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

  let socket: WebSocket;
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
  socket.binaryType = 'nodebuffer';
  socket.on('upgrade', (response) => {
    response.socket.setNoDelay(true);
    response.socket.on('data', () => handlers.onActivity());
  });
  socket.on('open', () => handlers.onOpen());
  socket.on('message', (data, isBinary) => {
    // ws gives a Buffer for binaryType nodebuffer.
    if (isBinary && Buffer.isBuffer(data)) return handlers.onFrame(data);
    failure = 'what answers there is not a Driftless relay (it sent text)';
    socket.terminate();
  });
  // 'close' follows every 'error'.
  socket.on('error', (error) => {
    failure = messageOf(error);
  });
  socket.on('close', (code, reason) => finish(code, failure ?? reason.toString('utf8')));

  const wakeDrained = (): void => {
    for (const waiter of waiting) {
      if (!closed && socket.bufferedAmount >= waiter.below) continue;
      waiting.delete(waiter);
      waiter.resolve();
    }
  };

  return {
    send(bytes) {
      if (socket.readyState !== WebSocket.OPEN) return;
      socket.send(bytes, { binary: true, compress: false }, wakeDrained);
    },
    bufferedBytes: () => socket.bufferedAmount,
    drained: (below) =>
      new Promise((resolve) => {
        waiting.add({ below, resolve });
        wakeDrained();
      }),
    close() {
      if (closed || closing !== undefined) return;
      closing = setTimeout(() => socket.terminate(), closeTimeoutMs);
      socket.close(1000);
    },
  };
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Happy-eyeballs failures come as an AggregateError whose own message is empty.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join(', ');
  return error.message;
}
