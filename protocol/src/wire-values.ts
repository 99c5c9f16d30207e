/**
 * Checked conversions between wire fields and inner values, shared by the codecs. Inside a codec a violation is thrown as
 * `Malformed` and turned into an answer at its edge by `attempt`: nothing else is thrown on any input.
 */
import assert from 'node:assert/strict';
import type { DescMessage } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from './bytes.ts';
import { err, ok, type Result } from './result.ts';

export class Malformed extends Error {
  readonly kind: 'bad' | 'over-limit' | 'update-needed';
  constructor(kind: 'bad' | 'over-limit' | 'update-needed', reason: string) {
    super(reason);
    this.kind = kind;
  }
}

export interface DecodeFailure {
  readonly kind: 'bad' | 'over-limit' | 'update-needed';
  readonly reason: string;
}

/** Runs a decoder over bytes from outside. The protobuf library throws on truncation and wrong wire types: those are `bad`. */
export function attempt<Value>(decode: () => Value): Result<Value, DecodeFailure> {
  try {
    return ok(decode());
  } catch (error) {
    if (error instanceof Malformed) return err({ kind: error.kind, reason: error.message });
    return err({ kind: 'bad', reason: 'malformed bytes' });
  }
}

export function bad(reason: string): never {
  throw new Malformed('bad', reason);
}

export function check(condition: boolean, reason: string): asserts condition {
  if (!condition) bad(reason);
}

export function checkLimit(count: number, max: number, what: string): void {
  if (count > max) throw new Malformed('over-limit', `${what} over the limit`);
}

export function checkedBytes(bytes: Uint8Array, length: number, what: string): Uint8Array {
  check(bytes.length === length, `${what} has a wrong length`);
  return bytes;
}

/** Lower-case hex of exactly `length` bytes. The caller's type names the id. */
export function idFrom<Id extends string>(bytes: Uint8Array, what: string, length = 32): Id {
  return bytesToHex(checkedBytes(bytes, length, what)) as Id;
}

/** Concatenated ids, apart. Each is a string of its own, so that keeping one does not keep all. */
export function idsFrom<Id extends string>(
  bytes: Uint8Array,
  countMax: number,
  what: string,
  length = 32,
): readonly Id[] {
  check(bytes.length % length === 0, `${what} has a wrong length`);
  checkLimit(bytes.length / length, countMax, what);
  const ids: Id[] = [];
  for (let offset = 0; offset < bytes.length; offset += length) {
    ids.push(bytesToHex(bytes.subarray(offset, offset + length)) as Id);
  }
  return ids;
}

export function idsToBytes(ids: readonly string[], countMax: number): Uint8Array {
  assert(ids.length <= countMax);
  return hexToBytes(ids.join(''));
}

export function sized(bytes: Uint8Array, length: number): Uint8Array {
  assert.equal(bytes.length, length);
  return bytes;
}

/** Heights, sizes, counts. */
export function integerFrom(value: bigint, what: string): number {
  check(value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER), `${what} is out of range`);
  return Number(value);
}

export function integerToWire(value: number): bigint {
  assert(Number.isSafeInteger(value) && value >= 0);
  return BigInt(value);
}

/** A wall clock's milliseconds; clocks and disks may say anything, so what is no integer is cut down, never refused. */
export function timeToWire(value: number): bigint {
  if (!Number.isFinite(value)) return 0n;
  return BigInt(Math.trunc(Math.min(Math.max(value, -timeMsMax), timeMsMax)));
}

export function timeFrom(value: bigint, what: string): number {
  check(value >= -BigInt(timeMsMax) && value <= BigInt(timeMsMax), `${what} is out of range`);
  return Number(value);
}
/** The range of a Date. */
const timeMsMax = 8.64e15;

export function textFrom(text: string, bytesMax: number, what: string): string {
  checkLimit(text.length, bytesMax, what);
  checkLimit(utf8ToBytes(text).length, bytesMax, what);
  return text;
}

export function present<Value>(value: Value | undefined, what: string): Value {
  if (value === undefined) bad(`${what} is missing`);
  return value;
}

export interface FieldLimits {
  /** Fields at all depths together. */
  readonly countMax: number;
  /** Those among them that this version does not know: each is kept as an object of its own, many times its bytes. */
  readonly unknownMax: number;
}

/**
 * Counts the fields of an encoded message, at every depth that the decoder goes to, without building anything: so that many empty
 * or unknown ones in few bytes cannot make it allocate far more than those bytes.
 */
export function checkFields(schema: DescMessage, bytes: Uint8Array, { countMax, unknownMax }: FieldLimits): void {
  const reader = new BinaryReader(bytes);
  let count = 0;
  let unknown = 0;
  const walk = (message: DescMessage, end: number): void => {
    check(end <= reader.len, 'malformed bytes');
    while (reader.pos < end) {
      count += 1;
      checkLimit(count, countMax, 'number of fields');
      const [number, wireType] = reader.tag();
      const field = message.fields.find((each) => each.number === number);
      if (field === undefined) {
        unknown += 1;
        checkLimit(unknown, unknownMax, 'number of unknown fields');
      }
      if (field?.message !== undefined && wireType === WireType.LengthDelimited) {
        const length = reader.uint32();
        walk(field.message, reader.pos + length);
      } else reader.skip(wireType, number);
    }
  };
  walk(schema, reader.len);
}

/** The encoded message as if this field of it were not there. */
export function withoutField(bytes: Uint8Array, left: number): Uint8Array {
  const reader = new BinaryReader(bytes);
  const kept: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [number, wireType] = reader.tag();
    reader.skip(wireType, number);
    if (number !== left) kept.push(bytes.subarray(start, reader.pos));
  }
  return concatBytes(...kept);
}
