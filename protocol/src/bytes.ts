/** Small helpers on byte arrays. All pure; results never share memory with a pool that others write to. */

const textEncoder = new TextEncoder();
/** Refuses malformed UTF-8 and keeps a leading U+FEFF: names are kept exactly as spelled (rule NAME). */
const textDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function bytesToHex(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('hex');
}

/** Asserts an even number of hexadecimal characters: ids reach this only through their parsers. */
export function hexToBytes(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length / 2);
  const written = asBuffer(bytes).write(hex, 'hex');
  if (written * 2 !== hex.length) throw new RangeError('not hexadecimal');
  return bytes;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareBytes(a, b) === 0;
}

/** Lexicographic by unsigned byte; negative, zero or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

/** UTF-8 of a text; a lone surrogate becomes U+FFFD. */
export function utf8ToBytes(text: string): Uint8Array {
  return textEncoder.encode(text);
}

/** undefined when the bytes are not valid UTF-8. */
export function bytesToUtf8(bytes: Uint8Array): string | undefined {
  try {
    return textDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * Well-formed text of at most `bytesMax` bytes of UTF-8, cut between characters. Encoders do this to names and labels: whoever
 * computes something from a text that others receive (a variant's device name is in the root) clips it first.
 */
export function clipText(text: string, bytesMax: number): string {
  const wellFormed = text.toWellFormed();
  if (wellFormed.length * 3 <= bytesMax || utf8ToBytes(wellFormed).length <= bytesMax) return wellFormed;
  let bytes = 0;
  let kept = '';
  for (const character of wellFormed) {
    bytes += utf8ToBytes(character).length;
    if (bytes > bytesMax) break;
    kept += character;
  }
  return kept;
}

/** Big-endian, for lengths and numbers inside hashed transcripts. */
export function uint32ToBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

export function uint64ToBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

/** A view of the same memory as a plain Uint8Array, also when a Buffer was given. */
export function plainView(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
