/**
 * Frames: messages to bytes and back (rules LOG5, ADM2). Every length is checked here, once; behind this edge a message's
 * fields have the shapes that message.ts states. Schema: proto/driftless.proto. Records' insides are in record-codec.ts.
 */
import assert from 'node:assert/strict';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { clipText, plainView } from './bytes.ts';
import type * as wire from './gen/driftless_pb.js';
import {
  FrameSchema,
  HeadSchema,
  SealedCheckpointSchema,
  SealedChunkSchema,
  SealedRecordSchema,
  Role as WireRole,
} from './gen/driftless_pb.js';
import { limits } from './limits.ts';
import type { Frame, Message } from './message.ts';
import type { Head, SealedCheckpoint, SealedChunk, SealedRecord } from './record.ts';
import { err, ok, type Result } from './result.ts';
import {
  attempt,
  bad,
  check,
  checkedBytes,
  checkFields,
  checkLimit,
  type FieldLimits,
  idFrom,
  idsFrom,
  idsToBytes,
  integerFrom,
  integerToWire,
  present,
  sized,
  textFrom,
} from './wire-values.ts';

/** A receiver ignores `unknown-optional`; everything else ends the channel, or for channel 0 the connection. */
export type DecodeError =
  | { readonly kind: 'bad-frame'; readonly reason: string }
  | { readonly kind: 'over-limit'; readonly reason: string }
  | { readonly kind: 'unknown-critical'; readonly channel: number }
  | { readonly kind: 'unknown-optional'; readonly channel: number };

/** The longest list of a message with the fields of its elements, and its few others; of those that a later version may add, a few. */
const frameFields: FieldLimits = { countMax: 4 * limits.headsPerLocateMax, unknownMax: 256 };

/** Asserts every bound: a message over a limit is a mistake of the sender's code. */
export function encodeFrame(frame: Frame): Uint8Array {
  assert(Number.isInteger(frame.channel) && frame.channel >= 0 && frame.channel <= limits.channelsMax);
  // Presence alone may be lost without harm: a receiver that does not know it can ignore it.
  const critical = frame.message.kind !== 'presence';
  const bytes = toBinary(
    FrameSchema,
    create(FrameSchema, { channel: frame.channel, critical, message: messageToWire(frame.message) }),
  );
  assert(bytes.length <= limits.frameBytesMax);
  return bytes;
}

/** Never throws. Byte fields of the result are views into `bytes`. */
export function decodeFrame(bytes: Uint8Array): Result<Frame, DecodeError> {
  const view = plainView(bytes);
  if (view.length > limits.frameBytesMax) return err({ kind: 'over-limit', reason: 'frame over the limit' });
  const decoded = attempt(() => decodeKnown(view));
  if (decoded.ok) return decoded.value;
  const { kind, reason } = decoded.error;
  return err({ kind: kind === 'over-limit' ? 'over-limit' : 'bad-frame', reason });
}

function decodeKnown(bytes: Uint8Array): Result<Frame, DecodeError> {
  checkFields(FrameSchema, bytes, frameFields);
  const frame = fromBinary(FrameSchema, bytes);
  checkLimit(frame.channel, limits.channelsMax, 'channel');
  if (frame.message.case === undefined) {
    // No message at all, as in an empty frame, is not a message of a later version.
    check((frame.$unknown ?? []).length > 0, 'no message');
    return err({ kind: frame.critical ? 'unknown-critical' : 'unknown-optional', channel: frame.channel });
  }
  return ok({ channel: frame.channel, message: messageFromWire(frame.message) });
}

type WireMessage = wire.Frame['message'];
type KnownWireMessage = Exclude<WireMessage, { case: undefined }>;
/** What `create` accepts for the oneof. */
type WireMessageInit =
  NonNullable<Parameters<typeof create<typeof FrameSchema>>[1]> extends infer Init
    ? Init extends { message?: infer Value }
      ? NonNullable<Value>
      : never
    : never;

function messageToWire(message: Message): WireMessageInit {
  switch (message.kind) {
    case 'hello':
      assert(message.versions.length <= limits.versionsMax);
      return {
        case: 'hello',
        value: {
          clientRandom: sized(message.clientRandom, 32),
          versions: [...message.versions],
          features: message.features,
          room: idsToBytes([message.room], 1),
          role: message.role === 'writer' ? WireRole.WRITER : WireRole.READER,
          ...optional('known', headToWire(message.known)),
          pushCreditBytes: message.pushCreditBytes,
        },
      };
    case 'challenge':
      return {
        case: 'challenge',
        value: {
          relayRandom: sized(message.relayRandom, 32),
          relayKey: sized(message.relayKey, 32),
          version: message.version,
          features: message.features,
          signature: sized(message.signature, 64),
        },
      };
    case 'proof':
      return {
        case: 'proof',
        value: {
          readerKey: sized(message.readerKey, 32),
          writerKey: sized(message.writerKey, 32),
          signature: sized(message.signature, 64),
        },
      };
    case 'welcome':
      return {
        case: 'welcome',
        value: {
          ...optional('head', headToWire(message.head)),
          floor: integerToWire(message.floor),
          holdsKnown: message.holdsKnown,
          putWindowBytes: message.putWindowBytes,
          storeId: sized(message.storeId, 16),
        },
      };
    case 'append':
      return {
        case: 'append',
        value: {
          request: message.request,
          record: recordToWire(message.record),
          chunks: chunksToWire(message.chunks),
        },
      };
    case 'appended':
      return { case: 'appended', value: { request: message.request, ...optional('head', headToWire(message.head)) } };
    case 'stale':
      return {
        case: 'stale',
        value: {
          request: message.request,
          ...optional('head', headToWire(message.head)),
          records: recordsToWire(message.records),
        },
      };
    case 'missingChunks':
      return {
        case: 'missingChunks',
        value: { request: message.request, chunkIds: idsToBytes(message.ids, limits.idsPerRequestMax) },
      };
    case 'overQuota':
      return {
        case: 'overQuota',
        value: { request: message.request, what: clipText(message.what, limits.detailBytesMax) },
      };
    case 'fetchRecords':
      return {
        case: 'fetchRecords',
        value: { request: message.request, after: integerToWire(message.after), bytesMax: message.bytesMax },
      };
    case 'recordsPage':
      return {
        case: 'recordsPage',
        value: {
          request: message.request,
          ...optional('head', headToWire(message.head)),
          floor: integerToWire(message.floor),
          records: recordsToWire(message.records),
        },
      };
    case 'locate':
      assert(message.heads.length <= limits.headsPerLocateMax);
      return { case: 'locate', value: { request: message.request, heads: message.heads.map(knownHeadToWire) } };
    case 'located':
      return {
        case: 'located',
        value: {
          request: message.request,
          ...optional('common', headToWire(message.common)),
          ...optional('head', headToWire(message.head)),
        },
      };
    case 'haveChunks':
      return {
        case: 'haveChunks',
        value: { request: message.request, chunkIds: idsToBytes(message.ids, limits.idsPerRequestMax) },
      };
    case 'chunksHeld':
      assert(message.held.length <= limits.idsPerRequestMax);
      return {
        case: 'chunksHeld',
        value: { request: message.request, held: Uint8Array.from(message.held, (held) => (held ? 1 : 0)) },
      };
    case 'putChunks':
      return { case: 'putChunks', value: { request: message.request, chunks: chunksToWire(message.chunks) } };
    case 'chunksStored':
      return { case: 'chunksStored', value: { request: message.request } };
    case 'getChunks':
      return {
        case: 'getChunks',
        value: {
          request: message.request,
          chunkIds: idsToBytes(message.ids, limits.idsPerRequestMax),
          bytesMax: message.bytesMax,
        },
      };
    case 'chunksPage':
      return {
        case: 'chunksPage',
        value: {
          request: message.request,
          chunks: chunksToWire(message.chunks),
          missingIds: idsToBytes(message.missing, limits.idsPerRequestMax),
        },
      };
    case 'putCheckpoint':
      return {
        case: 'putCheckpoint',
        value: { request: message.request, checkpoint: checkpointToWire(message.checkpoint) },
      };
    case 'checkpointStored':
      return { case: 'checkpointStored', value: { request: message.request } };
    case 'getCheckpoint':
      return { case: 'getCheckpoint', value: { request: message.request, atMost: integerToWire(message.atMost) } };
    case 'checkpointFound':
      return {
        case: 'checkpointFound',
        value: {
          request: message.request,
          ...optional('checkpoint', message.checkpoint === null ? undefined : checkpointToWire(message.checkpoint)),
        },
      };
    case 'seed':
      return {
        case: 'seed',
        value: {
          request: message.request,
          checkpoint: checkpointToWire(message.checkpoint),
          records: recordsToWire(message.records),
        },
      };
    case 'seeded':
      return { case: 'seeded', value: { request: message.request, head: knownHeadToWire(message.head) } };
    case 'presence':
      assert(message.sealed.length <= limits.presenceBytesMax);
      return { case: 'presence', value: { sealed: message.sealed } };
    case 'pushed':
      return { case: 'pushed', value: { record: recordToWire(message.record), chunks: chunksToWire(message.chunks) } };
    case 'headMoved':
      return { case: 'headMoved', value: { head: knownHeadToWire(message.head) } };
    case 'credit':
      return { case: 'credit', value: { pushBytes: message.pushBytes } };
    case 'leave':
      return { case: 'leave', value: {} };
    case 'ping':
      return { case: 'ping', value: { token: message.token } };
    case 'pong':
      return { case: 'pong', value: { token: message.token } };
    case 'channelError':
      return {
        case: 'channelError',
        value: {
          request: message.request,
          code: message.code,
          detail: clipText(message.detail, limits.detailBytesMax),
        },
      };
  }
}

function messageFromWire(message: KnownWireMessage): Message {
  switch (message.case) {
    case 'hello': {
      const { value } = message;
      checkLimit(value.versions.length, limits.versionsMax, 'versions');
      return {
        kind: 'hello',
        clientRandom: checkedBytes(value.clientRandom, 32, 'client random'),
        versions: value.versions,
        features: value.features,
        room: idFrom(value.room, 'room'),
        role: roleFrom(value.role),
        known: headFrom(value.known),
        pushCreditBytes: value.pushCreditBytes,
      };
    }
    case 'challenge': {
      const { value } = message;
      return {
        kind: 'challenge',
        relayRandom: checkedBytes(value.relayRandom, 32, 'relay random'),
        relayKey: checkedBytes(value.relayKey, 32, 'relay key'),
        version: value.version,
        features: value.features,
        signature: checkedBytes(value.signature, 64, 'signature'),
      };
    }
    case 'proof': {
      const { value } = message;
      return {
        kind: 'proof',
        readerKey: checkedBytes(value.readerKey, 32, 'reader key'),
        writerKey: checkedBytes(value.writerKey, 32, 'writer key'),
        signature: checkedBytes(value.signature, 64, 'signature'),
      };
    }
    case 'welcome': {
      const { value } = message;
      return {
        kind: 'welcome',
        head: headFrom(value.head),
        floor: integerFrom(value.floor, 'floor'),
        holdsKnown: value.holdsKnown,
        putWindowBytes: value.putWindowBytes,
        storeId: checkedBytes(value.storeId, 16, 'store id'),
      };
    }
    case 'append': {
      const { request, record, chunks } = message.value;
      return { kind: 'append', request, record: recordFrom(record), chunks: chunksFrom(chunks) };
    }
    case 'appended':
      return { kind: 'appended', request: message.value.request, head: knownHeadFrom(message.value.head) };
    case 'stale': {
      const { request, head, records } = message.value;
      return { kind: 'stale', request, head: headFrom(head), records: recordsFrom(records) };
    }
    case 'missingChunks':
      return { kind: 'missingChunks', request: message.value.request, ids: chunkIdsFrom(message.value.chunkIds) };
    case 'overQuota': {
      const { request, what } = message.value;
      return { kind: 'overQuota', request, what: textFrom(what, limits.detailBytesMax, 'what') };
    }
    case 'fetchRecords': {
      const { request, after, bytesMax } = message.value;
      return { kind: 'fetchRecords', request, after: integerFrom(after, 'after'), bytesMax };
    }
    case 'recordsPage': {
      const { request, head, floor, records } = message.value;
      return {
        kind: 'recordsPage',
        request,
        head: headFrom(head),
        floor: integerFrom(floor, 'floor'),
        records: recordsFrom(records),
      };
    }
    case 'locate': {
      const { request, heads } = message.value;
      checkLimit(heads.length, limits.headsPerLocateMax, 'heads');
      return { kind: 'locate', request, heads: heads.map(knownHeadFrom) };
    }
    case 'located': {
      const { request, common, head } = message.value;
      return { kind: 'located', request, common: headFrom(common), head: headFrom(head) };
    }
    case 'haveChunks':
      return { kind: 'haveChunks', request: message.value.request, ids: chunkIdsFrom(message.value.chunkIds) };
    case 'chunksHeld': {
      const { request, held } = message.value;
      checkLimit(held.length, limits.idsPerRequestMax, 'held');
      return { kind: 'chunksHeld', request, held: Array.from(held, (byte) => byte !== 0) };
    }
    case 'putChunks':
      return { kind: 'putChunks', request: message.value.request, chunks: chunksFrom(message.value.chunks) };
    case 'chunksStored':
      return { kind: 'chunksStored', request: message.value.request };
    case 'getChunks': {
      const { request, chunkIds, bytesMax } = message.value;
      return { kind: 'getChunks', request, ids: chunkIdsFrom(chunkIds), bytesMax };
    }
    case 'chunksPage': {
      const { request, chunks, missingIds } = message.value;
      return { kind: 'chunksPage', request, chunks: chunksFrom(chunks), missing: chunkIdsFrom(missingIds) };
    }
    case 'putCheckpoint': {
      const { request, checkpoint } = message.value;
      return { kind: 'putCheckpoint', request, checkpoint: checkpointFrom(present(checkpoint, 'checkpoint')) };
    }
    case 'checkpointStored':
      return { kind: 'checkpointStored', request: message.value.request };
    case 'getCheckpoint': {
      const { request, atMost } = message.value;
      return { kind: 'getCheckpoint', request, atMost: integerFrom(atMost, 'at most') };
    }
    case 'checkpointFound': {
      const { request, checkpoint } = message.value;
      return {
        kind: 'checkpointFound',
        request,
        checkpoint: checkpoint === undefined ? null : checkpointFrom(checkpoint),
      };
    }
    case 'seed': {
      const { request, checkpoint, records } = message.value;
      return {
        kind: 'seed',
        request,
        checkpoint: checkpointFrom(present(checkpoint, 'checkpoint')),
        records: recordsFrom(records),
      };
    }
    case 'seeded':
      return { kind: 'seeded', request: message.value.request, head: knownHeadFrom(message.value.head) };
    case 'presence':
      checkLimit(message.value.sealed.length, limits.presenceBytesMax, 'presence');
      return { kind: 'presence', sealed: message.value.sealed };
    case 'pushed':
      return {
        kind: 'pushed',
        record: recordFrom(message.value.record),
        chunks: chunksFrom(message.value.chunks),
      };
    case 'headMoved':
      return { kind: 'headMoved', head: knownHeadFrom(message.value.head) };
    case 'credit':
      return { kind: 'credit', pushBytes: message.value.pushBytes };
    case 'leave':
      return { kind: 'leave' };
    case 'ping':
      return { kind: 'ping', token: message.value.token };
    case 'pong':
      return { kind: 'pong', token: message.value.token };
    case 'channelError': {
      const { request, code, detail } = message.value;
      return { kind: 'channelError', request, code, detail: textFrom(detail, limits.detailBytesMax, 'detail') };
    }
  }
}

// ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** exactOptionalPropertyTypes: an absent field is left out, not undefined. */
function optional<Name extends string, Value>(name: Name, value: Value | undefined): { readonly [K in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { [K in Name]: Value });
}

function roleFrom(role: WireRole): 'reader' | 'writer' {
  if (role === WireRole.READER) return 'reader';
  if (role === WireRole.WRITER) return 'writer';
  return bad('unknown role');
}

function headToWire(head: Head | null): wire.Head | undefined {
  return head === null ? undefined : knownHeadToWire(head);
}

function knownHeadToWire(head: Head): wire.Head {
  return create(HeadSchema, { height: integerToWire(head.height), id: idsToBytes([head.id], 1) });
}

function headFrom(head: wire.Head | undefined): Head | null {
  return head === undefined ? null : knownHeadFrom(head);
}

function knownHeadFrom(head: wire.Head | undefined): Head {
  const { height, id } = present(head, 'head');
  return { height: integerFrom(height, 'height'), id: idFrom(id, 'record id') };
}

function recordToWire(record: SealedRecord): wire.SealedRecord {
  assert(record.header.length > 0 && record.header.length <= limits.headerBytesMax);
  assert(record.body.length <= limits.bodyInlineBytesMax);
  const { header, body, writerSignature } = record;
  return create(SealedRecordSchema, { header, body, writerSignature: sized(writerSignature, 64) });
}

function recordFrom(record: wire.SealedRecord | undefined): SealedRecord {
  const { header, body, writerSignature } = present(record, 'record');
  check(header.length > 0, 'header is empty');
  checkLimit(header.length, limits.headerBytesMax, 'header');
  checkLimit(body.length, limits.bodyInlineBytesMax, 'body');
  return { header, body, writerSignature: checkedBytes(writerSignature, 64, 'writer signature') };
}

function recordsToWire(records: readonly SealedRecord[]): wire.SealedRecord[] {
  assert(records.length <= limits.recordsPerFrameMax);
  return records.map(recordToWire);
}

function recordsFrom(records: readonly wire.SealedRecord[]): readonly SealedRecord[] {
  checkLimit(records.length, limits.recordsPerFrameMax, 'records');
  return records.map(recordFrom);
}

function chunksToWire(chunks: readonly SealedChunk[]): wire.SealedChunk[] {
  assert(chunks.length <= limits.chunksPerFrameMax);
  return chunks.map(({ id, sealed }) => {
    assert(sealed.length <= limits.sealedChunkBytesMax);
    return create(SealedChunkSchema, { id: idsToBytes([id], 1), sealed });
  });
}

function chunksFrom(chunks: readonly wire.SealedChunk[]): readonly SealedChunk[] {
  checkLimit(chunks.length, limits.chunksPerFrameMax, 'chunks');
  return chunks.map(({ id, sealed }) => {
    checkLimit(sealed.length, limits.sealedChunkBytesMax, 'chunk');
    return { id: idFrom(id, 'chunk id'), sealed };
  });
}

function chunkIdsFrom(bytes: Uint8Array): SealedChunk['id'][] {
  return [...idsFrom<SealedChunk['id']>(bytes, limits.idsPerRequestMax, 'chunk ids')];
}

function checkpointToWire(checkpoint: SealedCheckpoint): wire.SealedCheckpoint {
  assert(checkpoint.sealed.length <= limits.checkpointSealedBytesMax);
  return create(SealedCheckpointSchema, {
    height: integerToWire(checkpoint.height),
    recordId: idsToBytes([checkpoint.recordId], 1),
    epoch: checkpoint.epoch,
    lists: idsToBytes(checkpoint.lists, limits.checkpointListsMax),
    sealed: checkpoint.sealed,
    writerSignature: sized(checkpoint.writerSignature, 64),
  });
}

function checkpointFrom(checkpoint: wire.SealedCheckpoint): SealedCheckpoint {
  checkLimit(checkpoint.sealed.length, limits.checkpointSealedBytesMax, 'checkpoint');
  return {
    height: integerFrom(checkpoint.height, 'height'),
    recordId: idFrom(checkpoint.recordId, 'record id'),
    epoch: checkpoint.epoch,
    lists: idsFrom(checkpoint.lists, limits.checkpointListsMax, 'lists'),
    sealed: checkpoint.sealed,
    writerSignature: checkedBytes(checkpoint.writerSignature, 64, 'writer signature'),
  };
}
