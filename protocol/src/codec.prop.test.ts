/** Laws of the codecs: what is encoded comes back; no bytes make a decoder throw; limits and unknown kinds are answers. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes, hexToBytes, utf8ToBytes } from './bytes.ts';
import type { Change, RecordBody } from './change.ts';
import { chunkListsOf, decodeChunkList } from './chunk-list.ts';
import { decodeFrame, encodeFrame } from './codec.ts';
import type { Entry } from './entry.ts';
import type { ChunkId, DeviceId, Digest, EntryTag, RecordId, RelPath, Root, VariantId } from './ids.ts';
import { limits } from './limits.ts';
import type { Message } from './message.ts';
import {
  decodeCheckpointBody,
  decodePresenceBody,
  decodeRecordBody,
  decodeRecordHeader,
  decodeRecordOutline,
  encodeCheckpointBody,
  encodePresenceBody,
  encodeRecordBody,
  encodeRecordHeader,
} from './record-codec.ts';
import { isRelPath } from './rel-path.ts';
import { ok } from './result.ts';
import type { PresenceBody } from './sealed-bodies.ts';
import {
  sampleBody,
  sampleCheckpointBody,
  sampleHeader,
  sampleMessages,
  samplePresenceBody,
} from './testing/samples.ts';

const seed = 20_260_101;
const hexId = <Id extends string>(length = 32): fc.Arbitrary<Id> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes).toString('hex') as Id);
const bytesOf = (maxLength: number) => fc.uint8Array({ maxLength });
const exactly = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const height = fc.nat(Number.MAX_SAFE_INTEGER);
const uint32 = fc.nat(0xffff_ffff);
const head = fc.record({ height, id: hexId<RecordId>() });
const record = fc.record({
  header: fc.uint8Array({ minLength: 1, maxLength: 200 }),
  body: bytesOf(200),
  writerSignature: exactly(64),
});
const chunk = fc.record({ id: hexId<ChunkId>(), sealed: bytesOf(100) });
const chunks = fc.array(chunk, { maxLength: 5 });
const ids = fc.array(hexId<ChunkId>(), { maxLength: 5 });
const kind = <Kind extends Message['kind']>(name: Kind) => fc.constant(name);

const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    kind: kind('hello'),
    clientRandom: exactly(32),
    versions: fc.array(uint32, { maxLength: 16 }),
    features: uint32,
    room: hexId<never>(),
    role: fc.constantFrom('reader' as const, 'writer' as const),
    known: fc.option(head),
    pushCreditBytes: uint32,
  }),
  fc.record({ kind: kind('append'), request: uint32, record, chunks }),
  fc.record({
    kind: kind('stale'),
    request: uint32,
    head: fc.option(head),
    records: fc.array(record, { maxLength: 4 }),
  }),
  fc.record({ kind: kind('chunksPage'), request: uint32, chunks, missing: ids }),
  fc.record({ kind: kind('chunksHeld'), request: uint32, held: fc.array(fc.boolean(), { maxLength: 20 }) }),
  fc.record({ kind: kind('located'), request: uint32, common: fc.option(head), head: fc.option(head) }),
  fc.record({ kind: kind('pushed'), record, chunks }),
  fc.constantFrom(...Object.values(sampleMessages)),
);

const path = fc
  .array(fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme' }), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join('/'))
  .filter((text): text is RelPath => isRelPath(text));
const entry: fc.Arbitrary<Entry> = fc.oneof(
  fc.constant<Entry>({ kind: 'directory' }),
  fc.record({ kind: fc.constant('symlink' as const), target: path }),
  fc.record({
    kind: fc.constant('file' as const),
    executable: fc.boolean(),
    private: fc.boolean(),
    content: fc.record({
      digest: hexId<Digest>(),
      size: fc.integer({ min: 1, max: limits.contentBytesMax }),
      epoch: uint32,
      refs: fc.record({
        depth: fc.nat(limits.refsDepthMax),
        ids: fc.array(hexId<ChunkId>(), { minLength: 1, maxLength: 32 }),
      }),
    }),
  }),
);
const tag = hexId<EntryTag>(16);
const mtimeMs = fc.integer({ min: -8.64e15, max: 8.64e15 });
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), path, entry, mtimeMs, replaces: fc.option(tag) }),
  fc.record({ kind: fc.constant('remove' as const), path, replaces: tag }),
  fc.record({
    kind: fc.constant('mode' as const),
    path,
    mode: fc.record({ executable: fc.boolean(), private: fc.boolean() }),
    replaces: tag,
  }),
  fc.record({ kind: fc.constant('move' as const), fromPath: path, toPath: path, subtree: fc.boolean() }),
  fc.record({ kind: fc.constant('untrack' as const), path, subtree: fc.boolean() }),
  fc.record({ kind: fc.constant('variant' as const), path, entry, mtimeMs, baseDigest: fc.option(hexId<Digest>()) }),
  fc.record({
    kind: fc.constant('resolve' as const),
    path,
    variants: fc.array(hexId<VariantId>(8), { maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('forget' as const), path }),
  fc.record({ kind: fc.constant('skip' as const), record: hexId<RecordId>() }),
);
const body: fc.Arbitrary<RecordBody> = fc.record({
  device: hexId<DeviceId>(),
  deviceName: fc.string({ maxLength: 20 }),
  timeMs: mtimeMs,
  label: fc.string({ maxLength: 20 }),
  massDeletion: fc.constantFrom('none' as const, 'confirmed' as const, 'git' as const),
  root: hexId<Root>(),
  changes: fc.array(change, { maxLength: 6 }),
});

describe('what is encoded comes back', () => {
  test('frames', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: limits.channelsMax }), message, (channel, sent) => {
        expect(decodeFrame(encodeFrame({ channel, message: sent }))).toEqual(ok({ channel, message: sent }));
      }),
      { seed, numRuns: 300 },
    );
  });
  test('record bodies', () => {
    fc.assert(
      fc.property(body, (sent) => {
        expect(decodeRecordBody(encodeRecordBody(sent))).toEqual(ok(sent));
      }),
      { seed, numRuns: 300 },
    );
  });
  test('lists of chunk ids of any length', () => {
    const many = Array.from({ length: 9_001 }, (_, index) => index.toString(16).padStart(64, '0') as ChunkId);
    const lists = chunkListsOf(many);
    expect(lists.length).toBe(3);
    const back = lists.flatMap((list) => {
      const decoded = decodeChunkList(list.sealed);
      return decoded.ok ? decoded.value : [];
    });
    expect(back).toEqual(many);
  });
});

const encoded = [
  ...Object.values(sampleMessages).map((sent) => encodeFrame({ channel: 1, message: sent })),
  encodeRecordHeader(sampleHeader),
  encodeRecordBody(sampleBody),
  encodeCheckpointBody(sampleCheckpointBody),
  encodePresenceBody(samplePresenceBody),
];
/** Throws only when a decoder does. */
const decodeAll = (bytes: Uint8Array): void => {
  for (const decode of [
    decodeFrame,
    decodeRecordHeader,
    decodeRecordBody,
    decodeCheckpointBody,
    decodePresenceBody,
    decodeChunkList,
  ]) {
    expect(typeof decode(bytes).ok).toBe('boolean');
  }
};

describe('no bytes make a decoder throw', () => {
  test('any bytes', () => {
    fc.assert(fc.property(bytesOf(300), decodeAll), { seed, numRuns: 2_000 });
  });
  test('every truncation of every sample', () => {
    for (const bytes of encoded) for (let end = 0; end < bytes.length; end++) decodeAll(bytes.subarray(0, end));
  });
  test('every single flipped bit of every sample', () => {
    for (const bytes of encoded) {
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const flipped = Uint8Array.from(bytes);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        decodeAll(flipped);
      }
    }
  });
  test('deeply nested groups', () => decodeAll(new Uint8Array(1024 * 1024).fill(0x0b)));
});

describe('a presence', () => {
  const fullest: PresenceBody = {
    ...samplePresenceBody,
    deviceName: 'n'.repeat(limits.deviceNameBytesMax),
    n: Number.MAX_SAFE_INTEGER,
    height: Number.MAX_SAFE_INTEGER,
    state: 's'.repeat(limits.labelBytesMax),
    asks: Array.from({ length: limits.presenceAsksMax }, () => 'aa'.repeat(32)),
    echoes: Array.from({ length: limits.presenceEchoesMax }, () => ({
      who: 'bb'.repeat(8),
      n: Number.MAX_SAFE_INTEGER,
    })),
    editing: Array.from({ length: limits.presenceEditingMax }, () => 'cc'.repeat(16)),
  };
  test('at its fullest fits, with its signature, packing and seal', () => {
    const encoded = encodePresenceBody(fullest);
    expect(encoded.length + 64 + 9 + 64 + 12 + 16).toBeLessThanOrEqual(limits.presenceBytesMax);
    expect(decodePresenceBody(encoded)).toEqual(ok(fullest));
  });
  /** Of a length below 128. */
  const lengthDelimited = (number: number, bytes: Uint8Array): Uint8Array => {
    const tag = (number << 3) | 2;
    const tagBytes = tag < 0x80 ? [tag] : [(tag & 0x7f) | 0x80, tag >> 7];
    return concatBytes(Uint8Array.of(...tagBytes, bytes.length), bytes);
  };
  const echo = concatBytes(lengthDelimited(1, new Uint8Array(8)), Uint8Array.of(0x10, 1));
  test.each([
    { what: 'asks', one: lengthDelimited(8, new Uint8Array(32)), good: limits.presenceAsksMax },
    { what: 'echoes', one: lengthDelimited(10, echo), good: limits.presenceEchoesMax },
    { what: 'paths', one: lengthDelimited(11, new Uint8Array(16)), good: limits.presenceEditingMax },
  ])('has up to $good $what', ({ one, good }) => {
    const bare = encodePresenceBody({ ...samplePresenceBody, asks: [], echoes: [], editing: [] });
    const withSome = (count: number) =>
      decodePresenceBody(concatBytes(bare, ...Array.from({ length: count }, () => one)));
    expect(withSome(good).ok).toBe(true);
    expect(withSome(good + 1)).toMatchObject({ ok: false, error: { kind: 'over-limit' } });
  });
  test('is not decoded when it has many fields', () => {
    const unknown = Array.from({ length: 200 }, () => lengthDelimited(90, new Uint8Array()));
    expect(decodePresenceBody(concatBytes(encodePresenceBody(samplePresenceBody), ...unknown))).toMatchObject({
      ok: false,
      error: { kind: 'over-limit', reason: expect.stringContaining('number of unknown fields') },
    });
  });
  test.each([
    ['a root of 31 bytes', 9, 31],
    ['a path of 15 bytes', 11, 15],
    ['an echo of nobody', 10, 0],
  ])('with %s is none', (_, number, length) => {
    const bytes = concatBytes(encodePresenceBody(samplePresenceBody), lengthDelimited(number, new Uint8Array(length)));
    expect(decodePresenceBody(bytes).ok).toBe(false);
  });
});

describe('a frame that is none is an answer', () => {
  const field = (number: number, payload: Uint8Array): Uint8Array => {
    const tagValue = (number << 3) | 2;
    return concatBytes(Uint8Array.of((tagValue & 0x7f) | 0x80, tagValue >> 7, payload.length), payload);
  };
  const channel5 = Uint8Array.of(8, 5);
  const critical = Uint8Array.of(16, 1);
  test.each([
    ['empty bytes', new Uint8Array(0), { kind: 'bad-frame' }],
    ['no message', channel5, { kind: 'bad-frame' }],
    [
      'an unknown message',
      concatBytes(channel5, field(99, hexToBytes('0801'))),
      { kind: 'unknown-optional', channel: 5 },
    ],
    [
      'an unknown critical message',
      concatBytes(channel5, critical, field(99, hexToBytes('0801'))),
      { kind: 'unknown-critical', channel: 5 },
    ],
    [
      'a channel above the limit',
      concatBytes(hexToBytes('08ffff03'), field(39, new Uint8Array(0))),
      { kind: 'over-limit' },
    ],
    ['a frame above the limit', new Uint8Array(limits.frameBytesMax + 1), { kind: 'over-limit' }],
    ['half a million empty chunks', putChunksOf(500_000), { kind: 'over-limit' }],
    ['an id that is too short', concatBytes(channel5, field(23, hexToBytes('120401020304'))), { kind: 'bad-frame' }],
  ])('%s', (_, bytes, error) => {
    expect(decodeFrame(bytes)).toMatchObject({ ok: false, error });
  });

  /** A putChunks frame whose elements are two bytes each. */
  function putChunksOf(count: number): Uint8Array {
    const inner = new Uint8Array(count * 2);
    for (let index = 0; index < inner.length; index += 2) inner[index] = 0x12;
    const size = inner.length;
    const length = Uint8Array.of((size & 0x7f) | 0x80, ((size >> 7) & 0x7f) | 0x80, size >> 14);
    return concatBytes(Uint8Array.of(0xca, 0x01), length, inner);
  }
});

describe('many fields in few bytes are counted before anything is built from them, at every depth (LOG5)', () => {
  /** Of a field number below 16. */
  const within = (number: number, payload: Uint8Array): Uint8Array => {
    const length: number[] = [];
    for (let left = payload.length; ; left = Math.floor(left / 128)) {
      length.push(left < 128 ? left : (left % 128) | 128);
      if (left < 128) break;
    }
    return concatBytes(Uint8Array.of(number * 8 + 2, ...length), payload);
  };
  /** Field 15, which no message here knows: 0. */
  const unknown = (count: number): Uint8Array =>
    new Uint8Array(2 * count).map((_, index) => (index % 2 === 0 ? 15 * 8 : 0));
  /** changes, put, entry, file, content */
  const path = [7, 1, 2, 1, 1];
  test.each(path.map((_, depth) => [depth + 1]))('of a record body, %i messages deep', (depth) => {
    const bomb = path.slice(0, depth).reduceRight((inner, number) => within(number, inner), unknown(2_000_000));
    expect(decodeRecordBody(bomb)).toMatchObject({
      ok: false,
      error: { kind: 'over-limit', reason: expect.stringContaining('number of unknown fields') },
    });
  });
  test('of a record body, known ones', () => {
    const bomb = within(7, within(1, within(2, concatBytes(...Array.from({ length: 6 }, () => flags(1_000_000))))));
    expect(decodeRecordBody(bomb)).toMatchObject({ ok: false, error: { kind: 'over-limit' } });
  });
  /** Empty symlinks of an entry. */
  const flags = (count: number): Uint8Array =>
    new Uint8Array(2 * count).map((_, index) => (index % 2 === 0 ? 3 * 8 + 2 : 0));
  test('of a frame, in a part of a part', () => {
    const chunk = within(2, unknown(400_000));
    // Of a two-byte tag: the message `putChunks`.
    const put = concatBytes(Uint8Array.of(0x08, 5, 0xca), within(0, chunk).fill(0x01, 0, 1));
    expect(decodeFrame(put)).toMatchObject({ ok: false, error: { kind: 'over-limit' } });
  });
  test('of what every version states, beside changes that are none of its business', () => {
    const good = encodeRecordBody({ ...sampleBody, changes: [] });
    expect(decodeRecordOutline(concatBytes(good, within(7, unknown(2_000_000)))).ok).toBe(true);
    expect(decodeRecordOutline(concatBytes(good, unknown(100)))).toMatchObject({ error: { kind: 'over-limit' } });
  });
});

describe('a record body from a later version', () => {
  const change = (bytes: string): Uint8Array => {
    const inner = hexToBytes(bytes);
    return concatBytes(encodeRecordBody(sampleBody), Uint8Array.of(0x3a, inner.length), inner);
  };
  test('with an unknown kind of change needs an update (rule LOG3)', () => {
    expect(decodeRecordBody(change('4a020801'))).toMatchObject({ ok: false, error: { kind: 'update-needed' } });
  });
  test('with an unknown kind of entry needs an update', () => {
    expect(decodeRecordBody(change('0a090a016112047a020801'))).toMatchObject({
      ok: false,
      error: { kind: 'update-needed' },
    });
  });
  test('with an empty change is bad', () => {
    expect(decodeRecordBody(change(''))).toMatchObject({ ok: false, error: { kind: 'bad' } });
  });
  test('with a path that leaves the root is bad', () => {
    const inner = utf8ToBytes('../x');
    const forget = concatBytes(Uint8Array.of(0x42, inner.length + 2, 0x0a, inner.length), inner);
    const bytes = concatBytes(encodeRecordBody(sampleBody), Uint8Array.of(0x3a, forget.length), forget);
    expect(decodeRecordBody(bytes)).toEqual({ ok: false, error: { kind: 'bad', reason: 'an invalid path' } });
  });
});
