/**
 * Sealing and opening with the keys of one room (rules SEAL1, SEAL2, LOG1–LOG3, LOG5, CP1, PRESENCE, ADM1). Whether a
 * record's changes are valid against the chain is not judged here, only whether it is a writer's authentic one.
 *
 * Everything sealed is bound to room, epoch and purpose by its associated data, and to its place by what only that place
 * has: a chunk to its id, a record to its header, a checkpoint to its record.
 */
import assert from 'node:assert/strict';
import { createHmac, hash, type KeyObject } from 'node:crypto';
import {
  admissionMessage,
  type ChunkId,
  chunkListsOf,
  clearChunk,
  clearChunkIdOf,
  concatBytes,
  decodeCheckpointBody,
  decodePresenceBody,
  decodeRecordBody,
  decodeRecordHeader,
  decodeRecordOutline,
  encodeCheckpointBody,
  encodePresenceBody,
  encodeRecordBody,
  encodeRecordCore,
  encodeRecordHeaderAround,
  equalBytes,
  err,
  hexToBytes,
  limits,
  ok,
  type RecordHeader,
  type RecordOutline,
  type Result,
  readerVersion,
  recordCoreOf,
  recordIdOf,
  recordKindChanges,
  recordVersion,
  type SealedCheckpoint,
  type SealedChunk,
  type SealedRecord,
  uint32ToBytes,
  uint64ToBytes,
  utf8ToBytes,
  verifyEd25519,
  writerCheckpointMessage,
  writerRecordMessage,
} from '@driftless/protocol';
import type { Random } from '../ports/random.ts';
import type {
  CheckpointBody,
  DeviceKey,
  OpenedRecord,
  OpenRecordError,
  PresenceBody,
  RoomCipher,
  SealRecordInput,
  SealRecordOutput,
  SignedRecord,
} from '../ports/room-cipher.ts';
import { aeadNonceBytes, aeadOpen, aeadSeal } from './aead.ts';
import { hidden } from './hidden.ts';
import { deriveRoomKeys, deriveSubkey } from './key-schedule.ts';
import { pack, unpack } from './packing.ts';

const signatureBytes = 64;
const noBytes = new Uint8Array(0);

/** Associated data and signed messages each begin with one of these. */
const domains = {
  chunk: utf8ToBytes('driftless/1/chunk\0'),
  record: utf8ToBytes('driftless/1/record\0'),
  author: utf8ToBytes('driftless/1/author\0'),
  checkpoint: utf8ToBytes('driftless/1/checkpoint\0'),
  checkpointAuthor: utf8ToBytes('driftless/1/checkpoint-author\0'),
  presence: utf8ToBytes('driftless/1/presence\0'),
  presenceAuthor: utf8ToBytes('driftless/1/presence-author\0'),
} as const;
const chunkLabel = utf8ToBytes('chunk');
const recordLabel = utf8ToBytes('record');

export interface RoomCipherOptions {
  /** 32 bytes. */
  readonly secret: Uint8Array;
  readonly epoch: 0;
  readonly device: DeviceKey;
  readonly random: Random;
}

export function createRoomCipher({ secret, epoch, device, random }: RoomCipherOptions): RoomCipher {
  const keys = deriveRoomKeys(secret, epoch);
  const { room } = keys;
  /** Room and epoch, in the associated data of everything but records, whose header holds them. */
  const place = concatBytes(hexToBytes(room), uint32ToBytes(epoch));

  // ── chunks ──

  function chunkId(plain: Uint8Array): ChunkId {
    return createHmac('sha256', keys.chunkId).update(plain).digest('hex') as ChunkId;
  }

  function chunkSeal(id: ChunkId, nonce: Uint8Array) {
    const idBytes = hexToBytes(id);
    const info = concatBytes(chunkLabel, idBytes);
    return {
      key: deriveSubkey(keys.chunk, { salt: noBytes, info }),
      nonce,
      associated: concatBytes(domains.chunk, place, idBytes),
    };
  }

  function sealChunk(plain: Uint8Array): SealedChunk {
    assert(plain.length <= limits.chunkBytesMax);
    const id = chunkId(plain);
    const packed = pack(plain);
    // Synthetic: equal plaintexts give equal seals, unequal ones (another compressor) never share a nonce.
    const nonce = createHmac('sha256', keys.nonce).update(packed).digest().subarray(0, aeadNonceBytes);
    return { id, sealed: concatBytes(nonce, aeadSeal(chunkSeal(id, nonce), packed)) };
  }

  function openChunk({ id, sealed }: SealedChunk): Uint8Array | undefined {
    if (sealed.length > limits.sealedChunkBytesMax) return undefined;
    const packed = openWithNonce(sealed, (nonce) => chunkSeal(id, nonce));
    const plain = packed && unpack(packed, limits.chunkBytesMax);
    // The seal proves a member made it; only the id proves that it is what was asked for.
    return plain !== undefined && chunkId(plain) === id ? plain : undefined;
  }

  // ── records ──

  function recordSeal(core: Uint8Array, nonce: Uint8Array) {
    const subkey = (label: string): KeyObject =>
      deriveSubkey(keys.record, { salt: nonce, info: concatBytes(recordLabel, utf8ToBytes(label)) });
    return {
      key: subkey('key'),
      // Key and nonce both follow from the header's 128 random bits: each seal has its own.
      nonce: new Uint8Array(subkey('nonce').export()).subarray(0, aeadNonceBytes),
      associated: concatBytes(domains.record, core),
    };
  }

  function sealRecord({ height, prev, body, adds }: SealRecordInput): SealRecordOutput {
    assert.equal(body.device, device.device);
    const nonce = random.bytes(16);
    const addsLists = chunkListsOf(adds.slice(limits.addsInlineMax));
    const core = encodeRecordCore({
      version: recordVersion,
      kind: recordKindChanges,
      minReader: readerVersion,
      room,
      epoch,
      height,
      prev,
      nonce,
      adds: adds.slice(0, limits.addsInlineMax),
      addsLists: addsLists.map((list) => list.id),
    });
    const plain = encodeRecordBody(body);
    const signature = device.sign(authorMessage(domains.author, core, plain));
    const sealed = aeadSeal(recordSeal(core, nonce), pack(concatBytes(plain, signature)));
    const pieces = sealed.length > limits.bodyInlineBytesMax ? piecesOf(sealed) : [];
    const header = encodeRecordHeaderAround(core, {
      bodyHash: hash('sha256', sealed, 'buffer'),
      bodyChunks: pieces.map((piece) => piece.id),
    });
    const id = recordIdOf(header);
    return {
      id,
      record: {
        header,
        body: pieces.length > 0 ? noBytes : sealed,
        writerSignature: keys.writer.sign(writerRecordMessage(id)),
      },
      chunks: [...pieces, ...addsLists],
    };
  }

  function verifyRecord(record: SealedRecord): Result<SignedRecord, string> {
    const decoded = decodeRecordHeader(record.header);
    if (!decoded.ok) return err('its header does not decode');
    if (decoded.value.room !== room) return err('it belongs to another room');
    const id = recordIdOf(record.header);
    if (!verifyEd25519(keys.writer.publicKey, writerRecordMessage(id), record.writerSignature))
      return err('no writer of this room signed it');
    return ok({ id, header: decoded.value, headerBytes: record.header, body: record.body });
  }

  function openRecord(record: SignedRecord, pieces: readonly Uint8Array[]): Result<OpenedRecord, OpenRecordError> {
    const voided = (reason: string) => err({ kind: 'void' as const, reason });
    const { id, header } = record;
    const core = recordCoreOf(record.headerBytes);
    assert(core !== undefined);
    if (header.epoch !== epoch) return voided('it belongs to another key period');
    const sealed = header.bodyChunks.length > 0 ? concatBytes(...pieces) : record.body;
    if (!equalBytes(hash('sha256', sealed, 'buffer'), header.bodyHash)) {
      // Pieces that are what their signed names say are the writer's: the contradiction is its own.
      if (header.bodyChunks.length > 0 && piecesAreNamed(header.bodyChunks, pieces))
        return voided('its body and the pieces of it contradict each other');
      return err({ kind: 'damaged', reason: 'its body is not the one that its writer signed' });
    }
    const packed = aeadOpen(recordSeal(core, header.nonce), sealed);
    const signed = packed && unpack(packed, limits.bodyBytesMax + signatureBytes);
    if (signed === undefined || signed.length < signatureBytes) return voided('its body does not open');

    const { plain, signature } = splitSigned(signed);
    const isByAuthor = ({ device: author }: RecordOutline): boolean =>
      verifyEd25519(hexToBytes(author), authorMessage(domains.author, core, plain), signature);
    // Halts whoever reads it: so only what a device of the room demonstrably wrote (rule LOG2).
    const notUnderstood = (what: string) => {
      const outline = decodeRecordOutline(plain);
      if (!outline.ok) return voided(`its body does not decode: ${outline.error.reason}`);
      return isByAuthor(outline.value) ? updateNeeded(what, outline.value.deviceName) : voided(unsigned);
    };
    const beyond = beyondReader(header);
    if (beyond !== null) return notUnderstood(beyond);
    const body = decodeRecordBody(plain);
    if (!body.ok) {
      if (body.error.kind === 'update-needed') return notUnderstood(`a record holds ${body.error.reason}`);
      return voided(`its body does not decode: ${body.error.reason}`);
    }
    return isByAuthor(body.value) ? ok({ id, header, body: body.value }) : voided(unsigned);
  }

  // ── checkpoints and presence ──

  function checkpointPlace(checkpoint: Pick<SealedCheckpoint, 'height' | 'recordId' | 'lists'>): Uint8Array {
    const lists = hash('sha256', hexToBytes(checkpoint.lists.join('')), 'buffer');
    return concatBytes(place, uint64ToBytes(checkpoint.height), hexToBytes(checkpoint.recordId), lists);
  }

  function sealCheckpoint(body: Omit<CheckpointBody, 'device'>, lists: readonly ChunkId[]): SealedCheckpoint {
    const { height, recordId } = body;
    const bound = checkpointPlace({ height, recordId, lists });
    const plain = encodeCheckpointBody({ ...body, device: device.device });
    const signature = device.sign(authorMessage(domains.checkpointAuthor, bound, plain));
    const sealed = sealWithNonce(
      { key: keys.checkpoint, associated: concatBytes(domains.checkpoint, bound), nonce: random.bytes(aeadNonceBytes) },
      concatBytes(plain, signature),
    );
    const unsigned = { height, recordId, epoch, lists, sealed };
    return { ...unsigned, writerSignature: keys.writer.sign(writerCheckpointMessage(unsigned)) };
  }

  function openCheckpoint(checkpoint: SealedCheckpoint): CheckpointBody | undefined {
    if (checkpoint.epoch !== epoch) return undefined;
    const message = writerCheckpointMessage(checkpoint);
    if (!verifyEd25519(keys.writer.publicKey, message, checkpoint.writerSignature)) return undefined;
    const bound = checkpointPlace(checkpoint);
    const associated = concatBytes(domains.checkpoint, bound);
    const packed = openWithNonce(checkpoint.sealed, (nonce) => ({ key: keys.checkpoint, nonce, associated }));
    const signed = packed && unpack(packed, limits.checkpointSealedBytesMax);
    if (signed === undefined || signed.length < signatureBytes) return undefined;
    const { plain, signature } = splitSigned(signed);
    const body = decodeCheckpointBody(plain);
    if (!body.ok) return undefined;
    const { device: author, height, recordId } = body.value;
    if (height !== checkpoint.height || recordId !== checkpoint.recordId) return undefined;
    const authentic = verifyEd25519(
      hexToBytes(author),
      authorMessage(domains.checkpointAuthor, bound, plain),
      signature,
    );
    return authentic ? body.value : undefined;
  }

  const presenceAssociated = concatBytes(domains.presence, place);

  function sealPresence(body: Omit<PresenceBody, 'device'>): Uint8Array {
    const plain = encodePresenceBody({ ...body, device: device.device });
    const signature = device.sign(authorMessage(domains.presenceAuthor, place, plain));
    const nonce = random.bytes(aeadNonceBytes);
    return sealWithNonce({ key: keys.presence, nonce, associated: presenceAssociated }, concatBytes(plain, signature));
  }

  function openPresence(sealed: Uint8Array): PresenceBody | undefined {
    if (sealed.length > limits.presenceBytesMax) return undefined;
    const packed = openWithNonce(sealed, (nonce) => ({
      key: keys.presence,
      nonce,
      associated: presenceAssociated,
    }));
    const signed = packed && unpack(packed, limits.presenceBytesMax);
    if (signed === undefined || signed.length < signatureBytes) return undefined;
    const { plain, signature } = splitSigned(signed);
    const body = decodePresenceBody(plain);
    if (!body.ok) return undefined;
    const message = authorMessage(domains.presenceAuthor, place, plain);
    return verifyEd25519(hexToBytes(body.value.device), message, signature) ? body.value : undefined;
  }

  return hidden('RoomCipher', {
    room,
    epoch,
    readerKey: keys.reader.publicKey,
    writerKey: keys.writer.publicKey,
    gearTable: keys.gearTable,
    chunkId,
    sealChunk,
    openChunk,
    sealRecord,
    verifyRecord,
    openRecord,
    sealCheckpoint,
    openCheckpoint,
    sealPresence,
    openPresence,
    proveAdmission: (role, transcriptHash) =>
      (role === 'writer' ? keys.writer : keys.reader).sign(admissionMessage(transcriptHash)),
  } satisfies RoomCipher);
}

const unsigned = "its author's signature does not hold";

/** Why this build cannot take such a record in, by its header alone; null: it can. */
function beyondReader({ minReader, version, kind }: RecordHeader): string | null {
  if (minReader > readerVersion) return `a record needs reader version ${minReader}`;
  // Its root was made of other bytes: nothing can be checked against it. No released build wrote such a record.
  if (version < recordVersion)
    return 'the room is of an earlier format, from before the first release: share the folder anew';
  return kind === recordKindChanges ? null : `a record is of kind ${kind}`;
}

function updateNeeded(reason: string, author: string) {
  return err({ kind: 'update-needed' as const, reason, author });
}

/** domain ‖ SHA-256(length of the place ‖ place ‖ body): what a device signs inside a seal. */
function authorMessage(domain: Uint8Array, place: Uint8Array, body: Uint8Array): Uint8Array {
  const digest = hash('sha256', concatBytes(uint32ToBytes(place.length), place, body), 'buffer');
  return concatBytes(domain, digest);
}

function splitSigned(signed: Uint8Array) {
  const end = signed.length - signatureBytes;
  return { plain: signed.subarray(0, end), signature: signed.subarray(end) };
}

interface Seal {
  readonly key: KeyObject;
  readonly nonce: Uint8Array;
  readonly associated: Uint8Array;
}

function sealWithNonce(seal: Seal, plain: Uint8Array): Uint8Array {
  return concatBytes(seal.nonce, aeadSeal(seal, pack(plain)));
}

/** Packed bytes, or undefined. */
function openWithNonce(sealed: Uint8Array, sealFor: (nonce: Uint8Array) => Seal): Uint8Array | undefined {
  if (sealed.length < aeadNonceBytes) return undefined;
  return aeadOpen(sealFor(sealed.subarray(0, aeadNonceBytes)), sealed.subarray(aeadNonceBytes));
}

/** Rule LOG5: a large sealed body travels and is stored as pieces. */
function piecesOf(sealed: Uint8Array): readonly SealedChunk[] {
  const pieces: SealedChunk[] = [];
  for (let start = 0; start < sealed.length; start += limits.bodyPieceBytesMax) {
    pieces.push(clearChunk(sealed.subarray(start, start + limits.bodyPieceBytesMax)));
  }
  return pieces;
}

function piecesAreNamed(ids: readonly ChunkId[], pieces: readonly Uint8Array[]): boolean {
  return ids.length === pieces.length && pieces.every((piece, index) => clearChunkIdOf(piece) === ids[index]);
}
