/**
 * What is signed between a peer and a relay, byte for byte, so that both sides compute it with the same code (rules ADM1,
 * SEAL2, CP1). Every message begins with a domain string of its own: a signature made for one purpose fits no other.
 *
 * The handshake: hello → challenge (signed by the relay over the hello's frame) → proof (signed by the room's admission
 * key over the frames of both) → welcome. Frames are taken whole, as they were sent.
 */
import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';
import { bytesToHex, concatBytes, hexToBytes, uint32ToBytes, uint64ToBytes, utf8ToBytes } from './bytes.ts';
import type { RecordId, RoomId } from './ids.ts';
import type { Challenge } from './message.ts';
import type { SealedCheckpoint } from './record.ts';

/** Each ends with NUL, which no domain contains: none is the beginning of another. */
export const domains = {
  room: utf8ToBytes('driftless/1/room\0'),
  challenge: utf8ToBytes('driftless/1/relay-challenge\0'),
  admission: utf8ToBytes('driftless/1/admission\0'),
  writerRecord: utf8ToBytes('driftless/1/writer-record\0'),
  writerCheckpoint: utf8ToBytes('driftless/1/writer-checkpoint\0'),
} as const;

/** SHA-256 over domain ‖ reader key ‖ writer key of epoch 0. */
export function roomIdOf(readerKey: Uint8Array, writerKey: Uint8Array): RoomId {
  return sha256(concatBytes(domains.room, readerKey, writerKey)).toString('hex') as RoomId;
}

/** What the relay's identity signs. `helloFrame`: the frame that held the hello, as sent. */
export function challengeMessage(helloFrame: Uint8Array, challenge: Omit<Challenge, 'kind' | 'signature'>): Uint8Array {
  const transcript = sha256(
    concatBytes(
      uint32ToBytes(helloFrame.length),
      helloFrame,
      challenge.relayRandom,
      uint32ToBytes(challenge.version),
      uint32ToBytes(challenge.features),
      challenge.relayKey,
    ),
  );
  return concatBytes(domains.challenge, transcript);
}

/** SHA-256 over both frames, each behind its length, and both admission public keys. Versions and role are in the frames. */
export function admissionTranscript(parts: {
  readonly helloFrame: Uint8Array;
  readonly challengeFrame: Uint8Array;
  readonly readerKey: Uint8Array;
  readonly writerKey: Uint8Array;
}): Uint8Array {
  return new Uint8Array(
    sha256(
      concatBytes(
        uint32ToBytes(parts.helloFrame.length),
        parts.helloFrame,
        uint32ToBytes(parts.challengeFrame.length),
        parts.challengeFrame,
        parts.readerKey,
        parts.writerKey,
      ),
    ),
  );
}

/** What the admission key of the hello's role signs. */
export function admissionMessage(transcript: Uint8Array): Uint8Array {
  return concatBytes(domains.admission, transcript);
}

/** What the writer admission key signs beside a header (rule SEAL2). */
export function writerRecordMessage(id: RecordId): Uint8Array {
  return concatBytes(domains.writerRecord, hexToBytes(id));
}

/** What the writer admission key signs over a checkpoint's other fields. */
export function writerCheckpointMessage(checkpoint: Omit<SealedCheckpoint, 'writerSignature'>): Uint8Array {
  const fields = sha256(
    concatBytes(
      uint64ToBytes(checkpoint.height),
      hexToBytes(checkpoint.recordId),
      uint32ToBytes(checkpoint.epoch),
      uint32ToBytes(checkpoint.lists.length),
      hexToBytes(checkpoint.lists.join('')),
      checkpoint.sealed,
    ),
  );
  return concatBytes(domains.writerCheckpoint, fields);
}

/** False also for a key or signature that is none. Never throws. */
export function verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  try {
    return verify(null, message, keyObjectOf(publicKey), signature);
  } catch {
    return false;
  }
}

/** Making a KeyObject costs as much as a verification, and the same few keys come again with every record. */
const keyObjectsMax = 256;
const keyObjects = new Map<string, KeyObject>();

function keyObjectOf(publicKey: Uint8Array): KeyObject {
  const name = bytesToHex(publicKey);
  const known = keyObjects.get(name);
  if (known !== undefined) return known;
  const key = createPublicKey({ key: Buffer.concat([ed25519SpkiPrefix, publicKey]), format: 'der', type: 'spki' });
  // Strangers' keys come too, at a relay: starting over is cheaper than keeping order.
  if (keyObjects.size >= keyObjectsMax) keyObjects.clear();
  keyObjects.set(name, key);
  return key;
}

/** The DER wrapping of a raw Ed25519 public key (RFC 8410). */
const ed25519SpkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

function sha256(bytes: Uint8Array): Buffer {
  return hash('sha256', bytes, 'buffer');
}
