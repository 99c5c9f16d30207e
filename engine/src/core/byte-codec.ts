/**
 * The few primitives of the canonical encodings (entry-encoding, page-tree): one value has exactly one form, so that
 * equal values hash alike. Reading never throws: the first failure sticks, and `failed` is asked once at the end.
 * The wire's own codec is in the protocol package.
 */
import { bytesToHex, bytesToUtf8, utf8ToBytes } from '@driftless/protocol';

export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  /** A natural number up to 2^53−1, seven bits a byte, least significant first, in its shortest form. */
  natural(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a natural number: ${value}`);
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  /** A finite number as IEEE 754, big-endian; negative zero is written as zero. */
  float(value: number): void {
    if (!Number.isFinite(value)) throw new RangeError(`not a finite number: ${value}`);
    this.#reserve(8);
    new DataView(this.#bytes.buffer).setFloat64(this.#length, value === 0 ? 0 : value);
    this.#length += 8;
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** Lower-case hex characters as bytes. The length is the reader's knowledge. */
  hex(text: string): void {
    this.#reserve(text.length / 2);
    // Locals: this loop is where most of a page's encoding goes.
    const bytes = this.#bytes;
    let at = this.#length;
    for (let index = 0; index < text.length; index += 2) {
      bytes[at++] = (hexDigit(text.charCodeAt(index)) << 4) | hexDigit(text.charCodeAt(index + 1));
    }
    this.#length = at;
  }

  /** UTF-8, its byte length before it. */
  text(value: string): void {
    const start = this.#length;
    this.#reserve(value.length + 8);
    this.natural(value.length);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let index = 0; index < value.length; index += 1) {
      const code = value.charCodeAt(index);
      if (code > 0x7f) {
        // Not ASCII after all: begin again, by the encoder.
        this.#length = start;
        const encoded = utf8ToBytes(value);
        this.natural(encoded.length);
        this.bytes(encoded);
        return;
      }
      bytes[at++] = code;
    }
    this.#length = at;
  }

  /** The bytes so far, copied. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** The bytes so far, valid until the next write: for hashing. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array;
  #offset = 0;
  #failed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** True once something did not fit. Values read after that are zeros and empty. */
  get failed(): boolean {
    return this.#failed;
  }

  get atEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  fail(): void {
    this.#failed = true;
  }

  u8(): number {
    return this.#take(1)[0] ?? 0;
  }

  natural(max: number): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 8; count += 1) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      scale *= 0x80;
      if (byte < 0x80) {
        // A last byte of zero would be a second form of the same number.
        if ((byte === 0 && count > 0) || value > max) break;
        return this.#failed ? 0 : value;
      }
    }
    this.fail();
    return 0;
  }

  float(): number {
    const bytes = this.#take(8);
    if (this.#failed) return 0;
    const value = new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0);
    if (!Number.isFinite(value) || Object.is(value, -0)) this.fail();
    return value;
  }

  hex(byteCount: number): string {
    return bytesToHex(this.#take(byteCount));
  }

  text(bytesMax: number): string {
    const length = this.natural(bytesMax);
    const text = bytesToUtf8(this.#take(length));
    if (text === undefined) this.fail();
    return text ?? '';
  }

  #take(count: number): Uint8Array {
    if (this.#failed || this.#bytes.length - this.#offset < count) {
      this.fail();
      return new Uint8Array(0);
    }
    const taken = this.#bytes.subarray(this.#offset, this.#offset + count);
    this.#offset += count;
    return taken;
  }
}

function hexDigit(code: number): number {
  return code <= 57 ? code - 48 : code - 87;
}
