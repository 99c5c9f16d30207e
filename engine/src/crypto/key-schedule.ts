/**
 * Everything that follows from a room's secret of one epoch: HKDF-SHA-256 with a label for each purpose (SPEC: key
 * schedule). No key has two uses.
 */
import assert from 'node:assert/strict';
import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { concatBytes, type RoomId, roomIdOf, uint32ToBytes, utf8ToBytes } from '@driftless/protocol';
import { type SigningKey, signingKeyFromSeed } from './ed25519.ts';
import { hidden } from './hidden.ts';

export interface RoomKeys {
  readonly room: RoomId;
  readonly epoch: number;
  readonly record: KeyObject;
  readonly chunk: KeyObject;
  readonly chunkId: KeyObject;
  readonly nonce: KeyObject;
  readonly checkpoint: KeyObject;
  readonly presence: KeyObject;
  /** Admission key pairs: they prove membership to the relay and sign what is written. */
  readonly reader: SigningKey;
  readonly writer: SigningKey;
  readonly gearTable: Uint32Array;
}

const salt = utf8ToBytes('driftless/1/room-secret');

/** `secret`: 32 random bytes of this epoch. The room's id is fixed by epoch 0's admission keys. */
export function deriveRoomKeys(secret: Uint8Array, epoch: number): RoomKeys {
  assert.equal(secret.length, 32);
  // A room's id comes from epoch 0; later epochs need it handed over with their secret.
  assert.equal(epoch, 0);
  const root = createSecretKey(secret);
  const derive = (label: string, length = 32): Uint8Array => {
    const info = concatBytes(utf8ToBytes(`${label}\0`), uint32ToBytes(epoch));
    return new Uint8Array(hkdfSync('sha256', root, salt, info, length));
  };
  const key = (label: string): KeyObject => createSecretKey(derive(label));
  const reader = signingKeyFromSeed(derive('admission-reader'));
  const writer = signingKeyFromSeed(derive('admission-writer'));
  return hidden('RoomKeys', {
    room: roomIdOf(reader.publicKey, writer.publicKey),
    epoch,
    record: key('record'),
    chunk: key('chunk'),
    chunkId: key('chunk-id'),
    nonce: key('nonce'),
    checkpoint: key('checkpoint'),
    presence: key('presence'),
    reader,
    writer,
    gearTable: gearTableFrom(derive('gear', 1024)),
  });
}

/** A key for one use below an epoch key, e.g. one record's or one chunk's. */
export function deriveSubkey(
  key: KeyObject,
  derivation: { readonly salt: Uint8Array; readonly info: Uint8Array },
): KeyObject {
  return createSecretKey(new Uint8Array(hkdfSync('sha256', key, derivation.salt, derivation.info, 32)));
}

/** 256 big-endian numbers. */
function gearTableFrom(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Uint32Array.from({ length: 256 }, (_, index) => view.getUint32(index * 4));
}
