/**
 * Cuts contents at places that the bytes themselves name, so that an insertion moves few boundaries (rule LIST). The table
 * is keyed by the room: boundaries do not tell a relay which known file this is.
 * Source: FastCDC (Xia et al., USENIX ATC 2016), gear hash with normalised chunking: a harder mask before the aimed
 * size and an easier one behind it keep sizes near the mean.
 * Leaves to others: naming, compressing and sealing chunks.
 */
import { limits } from '@driftless/protocol';

/** Below this nothing is cut. A quarter of the mean, as the paper advises: hardly any cut is skipped. */
export const chunkBytesMin = 8 * 1024;
/** Where the mask turns easier. Chosen so that the mean comes out at limits.chunkBytesMean (measured: 1.0 ± 0.05). */
const chunkBytesAimed = 27 * 1024;
/** The gear hash is shifted left a bit a byte, so its top bits depend on the most bytes: masks look there. */
const maskBefore = 0xffff_8000 | 0; // 17 bits
const maskBehind = 0xfff8_0000 | 0; // 13 bits

export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Shape: ranges tile `[0, bytes.length)` in order; every range but the last is chunkBytesMin … limits.chunkBytesMax long;
 * empty input gives no range. Pure: all peers of a room cut alike.
 * Asserts that `table` has 256 numbers.
 */
export function chunkRanges(bytes: Uint8Array, table: Uint32Array): readonly ByteRange[] {
  const cutter = createCutter(table);
  const ranges: ByteRange[] = [];
  let start = 0;
  for (let end = cutter.next(bytes, 0); end !== null; end = cutter.next(bytes, start)) {
    ranges.push({ start, end });
    start = end;
  }
  if (start < bytes.length) ranges.push({ start, end: bytes.length });
  return ranges;
}

/** The same cuts for a content that comes in pieces. Memory: one chunk. */
export interface Chunker {
  /**
   * Takes in the next piece and gives the chunks that it completes. A chunk may be a view of `bytes`, or of memory that the
   * next call uses again: seal or copy it before.
   */
  push(bytes: Uint8Array): Iterable<Uint8Array>;
  /** The last chunk, or null when nothing is left. The chunker is fresh again afterwards. */
  finish(): Uint8Array | null;
}

export function createChunker(table: Uint32Array): Chunker {
  const cutter = createCutter(table);
  const held = new Uint8Array(limits.chunkBytesMax);
  let heldLength = 0;
  const hold = (bytes: Uint8Array) => {
    held.set(bytes, heldLength);
    heldLength += bytes.length;
  };
  return {
    *push(bytes) {
      let start = 0;
      for (let end = cutter.next(bytes, 0); end !== null; end = cutter.next(bytes, start)) {
        const part = bytes.subarray(start, end);
        start = end;
        if (heldLength === 0) {
          yield part;
          continue;
        }
        hold(part);
        const chunk = held.subarray(0, heldLength);
        heldLength = 0;
        yield chunk;
      }
      hold(bytes.subarray(start));
    },
    finish() {
      const chunk = heldLength === 0 ? null : held.slice(0, heldLength);
      heldLength = 0;
      cutter.reset();
      return chunk;
    },
  };
}

interface Cutter {
  /** Goes on at `bytes[offset]`; the offset behind the chunk's last byte, or null when the chunk does not end in `bytes`. */
  next(bytes: Uint8Array, offset: number): number | null;
  reset(): void;
}

function createCutter(table: Uint32Array): Cutter {
  if (table.length !== 256) throw new RangeError('a gear table has 256 numbers');
  // Signed numbers stay in the machine's small integers: twice as fast.
  const gear = Int32Array.from(table);
  let length = 0;
  let hash = 0;

  return {
    next(bytes, offset) {
      const available = bytes.length - offset;
      const skipped = Math.min(available, Math.max(0, chunkBytesMin - length));
      // Positions in `bytes` at which the mask changes and at which the chunk must end.
      const aimed = Math.min(bytes.length, offset - length + chunkBytesAimed);
      const last = Math.min(bytes.length, offset - length + limits.chunkBytesMax);
      let at = offset + skipped;
      let value = hash;
      for (; at < aimed; at += 1) {
        value = ((value << 1) + (gear[bytes[at] as number] as number)) | 0;
        if ((value & maskBefore) === 0) return cutAt(at + 1);
      }
      for (; at < last; at += 1) {
        value = ((value << 1) + (gear[bytes[at] as number] as number)) | 0;
        if ((value & maskBehind) === 0) return cutAt(at + 1);
      }
      length += at - offset;
      hash = value;
      return length === limits.chunkBytesMax ? cutAt(at) : null;
    },
    reset() {
      length = 0;
      hash = 0;
    },
  };

  function cutAt(end: number): number {
    length = 0;
    hash = 0;
    return end;
  }
}
