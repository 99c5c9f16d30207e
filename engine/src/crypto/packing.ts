/**
 * What lies inside every seal: codec(1) ‖ length of the plain bytes(4) ‖ length of the payload(4) ‖ payload ‖ zero padding
 * (rule SEAL1). Compression when it pays; padding so that the size of the seal tells less than the size of the content.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';

/** One byte in front of every payload. 2 is reserved for zstd. */
const codecRaw = 0;
const codecDeflateRaw = 1;

const headBytes = 9;
/** Below this, deflate's own overhead eats the gain. */
const compressBytesMin = 256;
/** Larger plains are tried on a piece from their middle first: deflating what is compressed already is most of sealing it. */
const probeFromBytes = 16 * 1024;
const probeBytes = 4 * 1024;
/** What compression must leave at most, to be worth the reader's time. */
const compressedShareMax = 0.95;
/** Sizes up to 4 KiB come in 64 classes; above, the step is at most 6 % of the size. */
const paddingStepSmallBytes = 64;
const paddingSmallBytesMax = 4096;
const paddingStepBytes = 256;

export function pack(plain: Uint8Array): Uint8Array {
  const { codec, payload } = compress(plain);
  const packed = new Uint8Array(paddedLength(headBytes + payload.length));
  const view = new DataView(packed.buffer);
  view.setUint8(0, codec);
  view.setUint32(1, plain.length);
  view.setUint32(5, payload.length);
  packed.set(payload, headBytes);
  return packed;
}

/**
 * undefined when the bytes are not packed ones, or state more than `plainBytesMax`: never inflates beyond what they state.
 * An unknown codec is undefined too: a writer uses one only where `minReader` lets it.
 */
export function unpack(packed: Uint8Array, plainBytesMax: number): Uint8Array | undefined {
  if (packed.length < headBytes) return undefined;
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  const plainBytes = view.getUint32(1);
  const payloadBytes = view.getUint32(5);
  if (plainBytes > plainBytesMax || payloadBytes > packed.length - headBytes) return undefined;
  const payload = packed.subarray(headBytes, headBytes + payloadBytes);
  switch (view.getUint8(0)) {
    case codecRaw:
      return payloadBytes === plainBytes ? payload : undefined;
    case codecDeflateRaw:
      return inflate(payload, plainBytes);
    default:
      return undefined;
  }
}

function compress(plain: Uint8Array): { readonly codec: number; readonly payload: Uint8Array } {
  if (plain.length < compressBytesMin || !isWorthTrying(plain)) return { codec: codecRaw, payload: plain };
  const deflated = deflateRawSync(plain, { level: 1 });
  if (deflated.length > plain.length * compressedShareMax) return { codec: codecRaw, payload: plain };
  return { codec: codecDeflateRaw, payload: deflated };
}

function isWorthTrying(plain: Uint8Array): boolean {
  if (plain.length < probeFromBytes) return true;
  const start = (plain.length - probeBytes) >> 1;
  const probe = plain.subarray(start, start + probeBytes);
  return deflateRawSync(probe, { level: 1 }).length <= probe.length * compressedShareMax;
}

function inflate(payload: Uint8Array, plainBytes: number): Uint8Array | undefined {
  if (plainBytes === 0) return undefined;
  try {
    const plain = inflateRawSync(payload, { maxOutputLength: plainBytes });
    return plain.length === plainBytes ? new Uint8Array(plain.buffer, plain.byteOffset, plain.length) : undefined;
  } catch {
    return undefined;
  }
}

function paddedLength(length: number): number {
  const step = length <= paddingSmallBytesMax ? paddingStepSmallBytes : paddingStepBytes;
  return Math.ceil(length / step) * step;
}
