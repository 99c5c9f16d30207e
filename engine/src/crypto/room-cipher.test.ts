/** SEAL1, SEAL2, LOG2, LOG3, LOG5, CP1, PRESENCE, ADM1: what is sealed opens in its place, and nowhere else. */
import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import {
  admissionMessage,
  bytesToHex,
  type Change,
  type ChunkId,
  concatBytes,
  decodeRecordHeader,
  domains,
  encodeRecordBody,
  encodeRecordHeader,
  err,
  hexToBytes,
  limits,
  noRecordId,
  parseRelPath,
  type RecordBody,
  type RecordCore,
  type RecordHeader,
  type RelPath,
  type Root,
  recordIdOf,
  type SealedRecord,
  utf8ToBytes,
} from '@driftless/protocol';
import { gcm } from '@noble/ciphers/aes.js';
import { ed25519 } from '@noble/curves/ed25519.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { forgeRecord } from '../testing/forged-record.ts';
import { createSeededRandom } from '../testing/seeded-random.ts';
import { createDeviceKey } from './device-key.ts';
import { signingKeyFromSeed } from './ed25519.ts';
import { deriveRoomKeys } from './key-schedule.ts';
import { pack, unpack } from './packing.ts';
import { createRoomCipher } from './room-cipher.ts';
import { selfTestCrypto } from './self-test.ts';

const seed = 20_260_102;
const filled = (byte: number, length = 32): Uint8Array => new Uint8Array(length).fill(byte);
const device = createDeviceKey(filled(9));
const cipherOf = (secret: number, salt = 1) =>
  createRoomCipher({ secret: filled(secret), epoch: 0, device, random: createSeededRandom(salt) });
const cipher = cipherOf(1);
const other = cipherOf(2);
const idAt = (index: number): ChunkId => index.toString(16).padStart(64, '0') as ChunkId;
const pathAt = (index: number): RelPath => {
  const parsed = parseRelPath(`folder/file-${createHash('sha256').update(String(index)).digest('hex')}`);
  if (parsed === undefined) throw new Error('not a path');
  return parsed;
};
const changes = (count: number): readonly Change[] =>
  Array.from({ length: count }, (_, index) => ({
    kind: 'put' as const,
    path: pathAt(index),
    entry: { kind: 'directory' as const },
    mtimeMs: 0,
    replaces: null,
  }));
const bodyOf = (count = 1): RecordBody => ({
  device: device.device,
  deviceName: 'laptop',
  timeMs: 5,
  label: '',
  massDeletion: 'none',
  root: '0'.repeat(64) as Root,
  changes: changes(count),
});
const seal = (count = 1, adds: readonly ChunkId[] = []) =>
  cipher.sealRecord({ height: 1, prev: noRecordId, body: bodyOf(count), adds });
const flip = (bytes: Uint8Array, bit: number): Uint8Array => {
  const copy = Uint8Array.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
};

test('this runtime computes what the standards say', () => expect(selfTestCrypto()).toEqual({ ok: true, value: null }));

describe('chunks (SEAL1)', () => {
  test('any bytes come back, under an id that depends on them and the room alone', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5_000 }), (plain) => {
        const sealed = cipher.sealChunk(plain);
        expect(cipher.openChunk(sealed)).toEqual(plain);
        expect(sealed).toEqual(cipherOf(1, 2).sealChunk(plain));
        expect(sealed.id).toBe(cipher.chunkId(plain));
        expect(other.chunkId(plain)).not.toBe(sealed.id);
      }),
      { seed, numRuns: 200 },
    );
  });
  test('the largest and the most compressible fit their limit', () => {
    for (const plain of [createSeededRandom(3).bytes(limits.chunkBytesMax), filled(0, limits.chunkBytesMax)]) {
      const sealed = cipher.sealChunk(plain);
      expect(sealed.sealed.length).toBeLessThanOrEqual(limits.sealedChunkBytesMax);
      expect(cipher.openChunk(sealed)).toEqual(plain);
    }
  });
  test('no flipped bit opens', () => {
    const { id, sealed } = cipher.sealChunk(utf8ToBytes('some text'));
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      expect(cipher.openChunk({ id, sealed: flip(sealed, bit) })).toBeUndefined();
    }
    for (let end = 0; end < sealed.length; end++) {
      expect(cipher.openChunk({ id, sealed: sealed.subarray(0, end) })).toBeUndefined();
    }
  });
  test('another room or another id does not open it', () => {
    const chunk = cipher.sealChunk(utf8ToBytes('some text'));
    expect(other.openChunk(chunk)).toBeUndefined();
    expect(cipher.openChunk({ ...chunk, id: cipher.chunkId(utf8ToBytes('other')) })).toBeUndefined();
  });
  test('small sizes fall into classes', () => {
    const sizes = new Set<number>();
    for (let length = 1; length < 200; length++) sizes.add(cipher.sealChunk(filled(1, length)).sealed.length);
    expect(sizes.size).toBeLessThanOrEqual(4);
  });
});

describe('packing', () => {
  test('compresses what pays and leaves the rest', () => {
    expect(pack(filled(1, 10_000)).length).toBeLessThan(300);
    expect(pack(createSeededRandom(4).bytes(10_000)).length).toBeLessThan(10_300);
  });
  test('judges a large plain by its middle, and opens it either way', () => {
    const noise = createSeededRandom(5).bytes(32_000);
    const text = filled(0x61, 32_000);
    for (const plain of [concatBytes(text, noise, text), concatBytes(noise, text, noise)]) {
      expect(unpack(pack(plain), plain.length)).toEqual(plain);
    }
    expect(pack(concatBytes(noise, text, noise)).length).toBeLessThan(70_000);
  });
  test('never inflates beyond the stated or the allowed length', () => {
    const bomb = pack(filled(0, 1_000_000));
    expect(unpack(bomb, 999_999)).toBeUndefined();
    const lying = Uint8Array.from(bomb);
    new DataView(lying.buffer).setUint32(1, 10);
    expect(unpack(lying, 1_000_000)).toBeUndefined();
    new DataView(lying.buffer).setUint32(1, 1_000_001);
    expect(unpack(lying, 2_000_000)).toBeUndefined();
  });
  test('any bytes are judged without a throw', () => {
    const packed = pack(filled(7, 2_000));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(packed.length * 8 - 1), (bytes, bit) => {
        unpack(bytes, 1_000);
        unpack(Uint8Array.of(fc.sample(fc.nat(3), { seed, numRuns: 1 })[0] ?? 0, ...bytes), 1_000);
        unpack(flip(packed, bit), 10_000);
      }),
      { seed, numRuns: 500 },
    );
  });
});

describe('records (SEAL2)', () => {
  /** As a reader does: bytes that no writer signed are damage, like a body that is not the signed one. */
  const open = (record: SealedRecord, pieces: readonly Uint8Array[] = []) => {
    const signed = cipher.verifyRecord(record);
    return signed.ok ? cipher.openRecord(signed.value, pieces) : err({ kind: 'damaged', reason: signed.error });
  };
  test('one comes back whole', () => {
    const { id, record, chunks } = seal(3, [idAt(1), idAt(2)]);
    const opened = open(record);
    expect(chunks).toEqual([]);
    expect(opened).toMatchObject({ ok: true, value: { id, body: bodyOf(3), header: { adds: [idAt(1), idAt(2)] } } });
    expect(id).toBe(recordIdOf(record.header));
  });
  test('the same record sealed twice has two ids and two seals', () => {
    const [a, b] = [seal(), seal()];
    expect(a.id).not.toBe(b.id);
    expect(a.record.body).not.toEqual(b.record.body);
  });
  test('a large body is cut into pieces named by their hashes (LOG5)', () => {
    const { record, chunks } = seal(6_000);
    const decoded = decodeRecordHeader(record.header);
    if (!decoded.ok) throw new Error(decoded.error.reason);
    expect(record.body.length).toBe(0);
    expect(chunks.length).toBeGreaterThan(1);
    expect(decoded.value.bodyChunks).toEqual(chunks.map((chunk) => chunk.id));
    for (const { id, sealed } of chunks) {
      expect(sealed.length).toBeLessThanOrEqual(limits.bodyPieceBytesMax);
      expect(createHash('sha256').update(sealed).digest('hex')).toBe(id);
    }
    const pieces = chunks.map((chunk) => chunk.sealed);
    expect(open(record, pieces)).toMatchObject({ ok: true });
    for (const wrong of [[], pieces.slice(1), [...pieces].reverse()]) {
      expect(open(record, wrong)).toMatchObject({ ok: false, error: { kind: 'damaged' } });
    }
  });
  test('pieces that a writer signed, and whose whole it denies, are void: nobody waits for others', () => {
    const { record, chunks } = seal(6_000);
    const lying = withHeader({ bodyHash: filled(9, 32) }, record);
    const pieces = chunks.map((chunk) => chunk.sealed);
    expect(open(lying, pieces)).toMatchObject({ ok: false, error: { kind: 'void' } });
  });
  test('adds beyond the header go to clear list-chunks', () => {
    const adds = Array.from({ length: 10_000 }, (_, index) => idAt(index));
    const { record, chunks } = seal(1, adds);
    const decoded = decodeRecordHeader(record.header);
    if (!decoded.ok) throw new Error(decoded.error.reason);
    expect(decoded.value.adds).toEqual(adds.slice(0, limits.addsInlineMax));
    expect(decoded.value.addsLists).toEqual(chunks.map((chunk) => chunk.id));
    const listed = concatBytes(...chunks.map((chunk) => chunk.sealed));
    expect(bytesToHex(listed)).toBe(adds.slice(limits.addsInlineMax).join(''));
  });
  test('no flipped bit of header, body or signature opens', () => {
    const { record } = seal();
    for (const part of ['header', 'body', 'writerSignature'] as const) {
      for (let bit = 0; bit < record[part].length * 8; bit += part === 'body' ? 1 : 3) {
        const altered = { ...record, [part]: flip(record[part], bit) };
        expect(open(altered)).toMatchObject({ ok: false, error: { kind: 'damaged' } });
      }
    }
  });
  test('another room does not open it', () => {
    expect(other.verifyRecord(seal().record)).toEqual({ ok: false, error: 'it belongs to another room' });
  });
  test('any bytes are judged without a throw', () => {
    const bytes = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(bytes, bytes, bytes, (header, body, writerSignature) => {
        expect(cipher.verifyRecord({ header, body, writerSignature }).ok).toBe(false);
      }),
      { seed, numRuns: 300 },
    );
  });

  const writer = deriveRoomKeys(filled(1), 0).writer;
  /** A record of a later version, as a writer of the room would sign it. */
  const withHeader = (change: Partial<RecordHeader>, record = seal().record): SealedRecord => {
    const decoded = decodeRecordHeader(record.header);
    if (!decoded.ok) throw new Error(decoded.error.reason);
    const header = encodeRecordHeader({ ...decoded.value, ...change });
    const message = concatBytes(domains.writerRecord, hexToBytes(recordIdOf(header)));
    return { ...record, header, writerSignature: writer.sign(message) };
  };
  const beyond = [{ minReader: 99 }, { kind: 2 }, { version: 1 }];
  const place = { height: 1, prev: noRecordId };
  const forged = (core: Partial<RecordCore>, plain = encodeRecordBody(bodyOf()), signature?: Uint8Array) =>
    forgeRecord({
      secret: filled(1),
      device,
      core: { ...place, ...core },
      plain,
      ...(signature === undefined ? {} : { signature }),
    }).record;
  /** Field 7 is a change, whose field 20 no version knows yet. */
  const unknownChange = concatBytes(encodeRecordBody(bodyOf(0)), Uint8Array.of(7 * 8 + 2, 3, 0xa2, 1, 0));
  test.each(beyond)('%j from a writer and an author halts the room (LOG3)', (change) => {
    expect(open(forged({}))).toMatchObject({ ok: true });
    expect(open(forged(change))).toMatchObject({ ok: false, error: { kind: 'update-needed' } });
    expect(open(forged({}, unknownChange))).toMatchObject({ ok: false, error: { kind: 'update-needed' } });
  });
  test.each(beyond)('%j halts nobody unless all else holds (LOG2)', (change) => {
    const isVoid = { ok: false, error: { kind: 'void' } };
    expect(open(withHeader(change))).toMatchObject(isVoid);
    expect(open(forged(change, filled(0, 40)))).toMatchObject(isVoid);
    expect(open(forged(change, encodeRecordBody(bodyOf()), filled(3, 64)))).toMatchObject(isVoid);
    expect(open(forged({}, unknownChange, filled(3, 64)))).toMatchObject(isVoid);
  });
  test('what a later version changes inside changes does not hide who wrote the record', () => {
    const later = concatBytes(
      encodeRecordBody(bodyOf(0)),
      ...Array.from({ length: 1_000 }, () => Uint8Array.of(7 * 8, 1)),
    );
    expect(open(forged({ minReader: 99 }, later))).toMatchObject({ ok: false, error: { kind: 'update-needed' } });
  });
  test('the same from anybody else is damage: a relay cannot halt a room', () => {
    const unsigned = { ...forged({ minReader: 99 }), writerSignature: filled(0, 64) };
    expect(cipher.verifyRecord(unsigned)).toEqual({ ok: false, error: 'no writer of this room signed it' });
  });
  test('a body moved under another header of the same writer is void', () => {
    expect(open(withHeader({ height: 2 }))).toMatchObject({ ok: false, error: { kind: 'void' } });
  });
});

describe('checkpoints and presence', () => {
  const body = {
    height: 4,
    recordId: noRecordId,
    root: '1'.repeat(64) as Root,
    pages: {
      digest: '2'.repeat(64) as never,
      size: 3,
      epoch: 0,
      refs: { depth: 0, ids: [idAt(1)] },
    },
  };
  const checkpoint = cipher.sealCheckpoint(body, [idAt(5)]);
  test('a checkpoint comes back with its author', () => {
    expect(cipher.openCheckpoint(checkpoint)).toEqual({ ...body, device: device.device });
  });
  test.each([
    ['height', { ...checkpoint, height: 5 }],
    ['epoch', { ...checkpoint, epoch: 1 }],
    ['list', { ...checkpoint, lists: [idAt(6)] }],
    ['seal', { ...checkpoint, sealed: flip(checkpoint.sealed, 200) }],
    ['signature', { ...checkpoint, writerSignature: flip(checkpoint.writerSignature, 3) }],
  ])('a checkpoint with another %s does not open', (_, altered) => {
    expect(cipher.openCheckpoint(altered)).toBeUndefined();
  });
  test('another room opens neither', () => {
    expect(other.openCheckpoint(checkpoint)).toBeUndefined();
    expect(other.openPresence(cipher.sealPresence(presence))).toBeUndefined();
  });
  const presence = {
    deviceName: 'laptop',
    run: '0123456789abcdef',
    n: 1,
    height: 4,
    recordId: noRecordId,
    state: 'idle',
    asks: ['ab'.repeat(32)],
    root: body.root,
    echoes: [{ who: 'cd'.repeat(8), n: 7 }],
    editing: ['ef'.repeat(16)],
  };
  test('presence comes back with its author, and no flipped bit does', () => {
    const sealed = cipher.sealPresence(presence);
    expect(cipher.openPresence(sealed)).toEqual({ ...presence, device: device.device });
    for (let bit = 0; bit < sealed.length * 8; bit++) expect(cipher.openPresence(flip(sealed, bit))).toBeUndefined();
  });
});

describe('against independent implementations', () => {
  test('Ed25519 and the room id', () => {
    const keySeed = filled(5);
    const key = signingKeyFromSeed(keySeed);
    expect(key.publicKey).toEqual(ed25519.getPublicKey(keySeed));
    expect(key.sign(utf8ToBytes('m'))).toEqual(ed25519.sign(utf8ToBytes('m'), keySeed));
    const proof = cipher.proveAdmission('writer', filled(3));
    expect(ed25519.verify(proof, admissionMessage(filled(3)), cipher.writerKey)).toBe(true);
    const id = createHash('sha256').update(domains.room).update(cipher.readerKey).update(cipher.writerKey);
    expect(cipher.room).toBe(id.digest('hex'));
  });
  test('AES-256-GCM of a chunk', () => {
    const keys = deriveRoomKeys(filled(1), 0);
    const plain = utf8ToBytes('some text');
    const { id, sealed } = cipher.sealChunk(plain);
    const subkey = subkeyOf(keys.chunk.export(), concatBytes(utf8ToBytes('chunk'), hexToBytes(id)));
    const associated = concatBytes(
      utf8ToBytes('driftless/1/chunk\0'),
      hexToBytes(keys.room),
      filled(0, 4),
      hexToBytes(id),
    );
    expect(gcm(subkey, sealed.subarray(0, 12), associated).decrypt(sealed.subarray(12))).toEqual(pack(plain));
  });

  /** HKDF-SHA-256 of one block, by hand: RFC 5869. */
  function subkeyOf(key: Uint8Array, info: Uint8Array): Uint8Array {
    const hmac = (secret: Uint8Array, ...parts: Uint8Array[]): Uint8Array => {
      const block = concatBytes(secret, filled(0, 64 - secret.length));
      const padded = (byte: number) => block.map((value) => value ^ byte);
      const inner = createHash('sha256')
        .update(concatBytes(padded(0x36), ...parts))
        .digest();
      return Uint8Array.from(
        createHash('sha256')
          .update(concatBytes(padded(0x5c), inner))
          .digest(),
      );
    };
    return hmac(hmac(filled(0), key), info, Uint8Array.of(1));
  }
});

test('keys do not print', () => {
  for (const secret of [cipher, device, deriveRoomKeys(filled(1), 0)]) {
    expect(inspect(secret, { depth: 5, showHidden: true })).toMatch(/^\[\w+: hidden\]$/);
    expect(JSON.stringify(secret)).toMatch(/hidden/);
  }
});
