/** A record as a member of the room may make it with a build of its own: any header, any plain body, properly sealed and signed. */
import { hash } from 'node:crypto';
import {
  clearChunk,
  concatBytes,
  encodeRecordCore,
  encodeRecordHeaderAround,
  limits,
  type RecordCore,
  type RecordId,
  readerVersion,
  recordIdOf,
  recordKindChanges,
  recordVersion,
  type SealedChunk,
  type SealedRecord,
  uint32ToBytes,
  utf8ToBytes,
  writerRecordMessage,
} from '@driftless/protocol';
import { aeadSeal } from '../crypto/aead.ts';
import { deriveRoomKeys, deriveSubkey } from '../crypto/key-schedule.ts';
import { pack } from '../crypto/packing.ts';
import type { DeviceKey } from '../ports/room-cipher.ts';

export interface ForgedRecord {
  readonly id: RecordId;
  readonly record: SealedRecord;
  readonly pieces: readonly SealedChunk[];
}

export function forgeRecord(options: {
  readonly secret: Uint8Array;
  readonly device: DeviceKey;
  readonly core: Pick<RecordCore, 'height' | 'prev'> & Partial<RecordCore>;
  /** Of the body, as it is; not checked. */
  readonly plain: Uint8Array;
  /** Another author's signature than the device's own. */
  readonly signature?: Uint8Array;
}): ForgedRecord {
  const { secret, device, plain } = options;
  const keys = deriveRoomKeys(secret, 0);
  const nonce = hash('sha256', concatBytes(plain, utf8ToBytes(JSON.stringify(options.core))), 'buffer').subarray(0, 16);
  const core = encodeRecordCore({
    version: recordVersion,
    kind: recordKindChanges,
    minReader: readerVersion,
    room: keys.room,
    epoch: 0,
    nonce: new Uint8Array(nonce),
    adds: [],
    addsLists: [],
    ...options.core,
  });
  const signed = concatBytes(
    utf8ToBytes('driftless/1/author\0'),
    hash('sha256', concatBytes(uint32ToBytes(core.length), core, plain), 'buffer'),
  );
  const subkey = (label: string) =>
    deriveSubkey(keys.record, { salt: new Uint8Array(nonce), info: utf8ToBytes(label) });
  const sealed = aeadSeal(
    {
      key: subkey('recordkey'),
      nonce: new Uint8Array(subkey('recordnonce').export()).subarray(0, 12),
      associated: concatBytes(utf8ToBytes('driftless/1/record\0'), core),
    },
    pack(concatBytes(plain, options.signature ?? device.sign(signed))),
  );
  const pieces: SealedChunk[] = [];
  if (sealed.length > limits.bodyInlineBytesMax)
    for (let at = 0; at < sealed.length; at += limits.bodyPieceBytesMax)
      pieces.push(clearChunk(sealed.subarray(at, at + limits.bodyPieceBytesMax)));
  const header = encodeRecordHeaderAround(core, {
    bodyHash: hash('sha256', sealed, 'buffer'),
    bodyChunks: pieces.map(({ id }) => id),
  });
  const id = recordIdOf(header);
  const body = pieces.length > 0 ? new Uint8Array() : sealed;
  return { id, record: { header, body, writerSignature: keys.writer.sign(writerRecordMessage(id)) }, pieces };
}
