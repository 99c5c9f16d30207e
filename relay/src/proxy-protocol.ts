/**
 * The PROXY protocol, versions 1 and 2: how a proxy in front of the relay says which client a connection is of, so that an address
 * means a client and not the proxy (S15). Believed only from proxies that were configured: anybody can write such a header.
 * Source: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt.
 */
import { isIPv4, isIPv6, type Socket } from 'node:net';
import type { Clock } from './clock.ts';

export type ProxyHeader =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'bad' }
  /** `address` is null where the proxy speaks for itself, as in its health checks. */
  | { readonly kind: 'header'; readonly bytes: number; readonly address: string | null };

/** "PROXY TCP6 " and the longest addresses and ports. */
const textBytesMax = 107;
const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
/** Version 2 may append what we do not read (certificates, names). */
const binaryBytesMax = 16 + 2_048;

/** Reads the header at the beginning of what a proxy has sent so far. Never throws. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  const compared = Math.min(bytes.length, signature.length);
  if (bytes.subarray(0, compared).equals(signature.subarray(0, compared))) return parseBinary(bytes);
  return parseText(bytes);
}

function parseText(bytes: Buffer): ProxyHeader {
  const text = bytes.subarray(0, textBytesMax).toString('latin1');
  const end = text.indexOf('\r\n');
  if (!'PROXY '.startsWith(text.slice(0, 6))) return { kind: 'bad' };
  if (end === -1) return bytes.length < textBytesMax ? { kind: 'incomplete' } : { kind: 'bad' };
  const [, family, source = ''] = text.slice(0, end).split(' ');
  const header = { kind: 'header', bytes: end + 2 } as const;
  if (family === 'UNKNOWN') return { ...header, address: null };
  const isAddress = family === 'TCP4' ? isIPv4(source) : family === 'TCP6' && isIPv6(source);
  return isAddress ? { ...header, address: source } : { kind: 'bad' };
}

function parseBinary(bytes: Buffer): ProxyHeader {
  if (bytes.length < 16) return { kind: 'incomplete' };
  const [versionAndCommand, family, length] = [bytes.readUInt8(12), bytes.readUInt8(13), bytes.readUInt16BE(14)];
  const end = 16 + length;
  if (versionAndCommand >> 4 !== 2 || end > binaryBytesMax) return { kind: 'bad' };
  if (bytes.length < end) return { kind: 'incomplete' };
  const [local, proxied] = [0, 1];
  const command = versionAndCommand & 15;
  if (command === local) return { kind: 'header', bytes: end, address: null };
  if (command !== proxied) return { kind: 'bad' };
  switch (family >> 4) {
    case 1:
      return length < 12 ? { kind: 'bad' } : { kind: 'header', bytes: end, address: bytes.subarray(16, 20).join('.') };
    case 2: {
      if (length < 36) return { kind: 'bad' };
      const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(16 + 2 * at).toString(16));
      return { kind: 'header', bytes: end, address: groups.join(':') };
    }
    default:
      return { kind: 'header', bytes: end, address: null };
  }
}

/**
 * Takes the header off a connection of a proxy, whose other bytes stay to be read. Resolves with the client's address (null: the
 * proxy's own), or with undefined, the connection being ended, when there is no header in time.
 */
export function takeProxyHeader(
  socket: Socket,
  { clock, timeoutMs }: { readonly clock: Clock; readonly timeoutMs: number },
): Promise<string | null | undefined> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    const end = (address: string | null | undefined): void => {
      timer.cancel();
      socket.off('data', read);
      socket.off('close', closed);
      socket.pause();
      if (address === undefined) socket.destroy();
      resolve(address);
    };
    const closed = (): void => end(undefined);
    const read = (data: Buffer): void => {
      received = Buffer.concat([received, data]);
      const header = parseProxyHeader(received);
      if (header.kind === 'incomplete') return;
      if (header.kind === 'bad') return end(undefined);
      end(header.address);
      if (received.length > header.bytes) socket.unshift(received.subarray(header.bytes));
    };
    const timer = clock.after(timeoutMs, closed);
    socket.on('data', read);
    socket.on('close', closed);
  });
}
