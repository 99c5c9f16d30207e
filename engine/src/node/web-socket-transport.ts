/**
 * The Transport port on WebSockets. Compression stays off: what it carries is sealed. Of what the other side says in HTTP, TLS or a close
 * only codes are believed, in words of our own: nothing has proved yet that it is the relay (rule SHOWN).
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { closeCodes, limits } from '@driftless/protocol';
import WebSocket from 'ws';
import { isLinkTrouble, meaningOf, withDetail } from '../core/refusal.ts';
import type { Connection, ConnectionRefusal, Transport, TransportHandlers } from '../ports/transport.ts';

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

  let refusal: ConnectionRefusal | undefined;
  const finish = (reason: string): void => {
    if (closed) return;
    closed = true;
    clearTimeout(closing);
    wakeDrained();
    handlers.onClose({ reason, ...(refusal === undefined ? {} : { refusal }) });
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
    setImmediate(finish, messageOf(error));
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
  // No upgrade: a relay, or a proxy before it, that does not want it, or something else altogether.
  open.on('unexpected-response', (request, response) => {
    refusal = refusalOf(response);
    failure = refusal === undefined ? awayReason(response) : withDetail(meaningOf(refusal.code), refusal.detail);
    response.destroy();
    request.destroy();
    open.terminate();
  });
  // 'close' follows every 'error'.
  open.on('error', (error) => {
    failure ??= messageOf(error);
  });
  open.on('close', (status) => {
    const code = status - 4_000;
    if (isCloseCode(code) && !isLinkTrouble(code)) refusal = { code, detail: '' };
    finish(failure ?? (isCloseCode(code) ? meaningOf(code) : ''));
  });

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
  const { code } = error as NodeJS.ErrnoException;
  // Its message quotes the certificate.
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `its certificate is for another machine (${code})`;
  const words = code === undefined ? undefined : noConnectionWords.get(code);
  return words === undefined ? error.message : `${words} (${error.message})`;
}

const noConnectionWords: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'nothing listens there'],
  ['ECONNRESET', 'it cut the connection'],
  ['ENOTFOUND', 'there is no machine of that name'],
  ['EAI_AGAIN', 'its name cannot be looked up now'],
  ['ETIMEDOUT', 'it does not answer'],
  ['EHOSTUNREACH', 'there is no way to it'],
  ['ENETUNREACH', 'there is no network to it'],
]);

/** A relay says why in a header; a proxy before it says no more than that it is too much. */
function refusalOf({ statusCode, headers }: IncomingMessage): ConnectionRefusal | undefined {
  const code = Number(headers['driftless-code']);
  if (isCloseCode(code)) return isLinkTrouble(code) ? undefined : { code, detail: '' };
  if (statusCode !== 503 && statusCode !== 429) return undefined;
  return { code: closeCodes.overLimit.code, detail: `HTTP ${statusCode}, perhaps from a proxy before it` };
}

function awayReason({ statusCode, headers }: IncomingMessage): string {
  const code = Number(headers['driftless-code']);
  return isCloseCode(code) ? meaningOf(code) : `it answered with HTTP ${statusCode}`;
}

const isCloseCode = (code: number): boolean => Object.values(closeCodes).some((entry) => entry.code === code);
