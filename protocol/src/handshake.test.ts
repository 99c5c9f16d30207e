/** Rule ADM1: what is signed depends on every part of the handshake, and each purpose has its own message. */
import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { bytesToHex, utf8ToBytes } from './bytes.ts';
import {
  admissionMessage,
  admissionTranscript,
  challengeMessage,
  domains,
  roomIdOf,
  verifyEd25519,
  writerCheckpointMessage,
  writerRecordMessage,
} from './handshake.ts';
import { sampleMessages } from './testing/samples.ts';

const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const parts = { helloFrame: key(1), challengeFrame: key(2), readerKey: key(3), writerKey: key(4) };

describe('a transcript', () => {
  test.each(Object.keys(parts))('depends on the %s', (name) => {
    const other = admissionTranscript({ ...parts, [name]: key(9) });
    expect(other).not.toEqual(admissionTranscript(parts));
  });
  test('tells apart where one frame ends and the next begins', () => {
    const shifted = {
      ...parts,
      helloFrame: parts.helloFrame.subarray(0, 31),
      challengeFrame: new Uint8Array(33).fill(2),
    };
    expect(admissionTranscript(shifted)).not.toEqual(admissionTranscript(parts));
  });
  test.each(['relayRandom', 'relayKey'] as const)('of a challenge depends on %s', (name) => {
    const { challenge } = sampleMessages;
    expect(challengeMessage(key(1), { ...challenge, [name]: key(9) })).not.toEqual(challengeMessage(key(1), challenge));
  });
  test.each(['version', 'features'] as const)('of a challenge depends on %s', (name) => {
    const { challenge } = sampleMessages;
    expect(challengeMessage(key(1), { ...challenge, [name]: 99 })).not.toEqual(challengeMessage(key(1), challenge));
  });
});

test('a room id depends on which key is whose', () => {
  expect(roomIdOf(key(1), key(2))).not.toBe(roomIdOf(key(2), key(1)));
});

test('a checkpoint signature covers every field', () => {
  const { checkpoint } = sampleMessages.putCheckpoint;
  const message = bytesToHex(writerCheckpointMessage(checkpoint));
  const others = [
    { ...checkpoint, height: 8 },
    { ...checkpoint, epoch: 1 },
    { ...checkpoint, lists: checkpoint.lists.slice(1) },
    { ...checkpoint, sealed: new Uint8Array(6) },
    { ...checkpoint, recordId: sampleMessages.locate.heads[1]?.id ?? checkpoint.recordId },
  ];
  for (const other of others) expect(bytesToHex(writerCheckpointMessage(other))).not.toBe(message);
});

test('every purpose has a domain of its own that begins no other', () => {
  const names = Object.values(domains).map(bytesToHex);
  for (const [index, name] of names.entries()) {
    for (const [other, longer] of names.entries()) if (other !== index) expect(longer.startsWith(name)).toBe(false);
  }
  expect(admissionMessage(key(1)).subarray(0, domains.admission.length)).toEqual(domains.admission);
  expect(writerRecordMessage(sampleMessages.headMoved.head.id).length).toBe(domains.writerRecord.length + 32);
});

describe('a signature', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
  const message = utf8ToBytes('message');
  const signature = new Uint8Array(sign(null, message, privateKey));
  test('holds', () => expect(verifyEd25519(raw, message, signature)).toBe(true));
  test('does not hold for another message', () => expect(verifyEd25519(raw, key(1), signature)).toBe(false));
  test.each([
    ['a key of another length', new Uint8Array(31), signature],
    ['a key that is no point', new Uint8Array(32).fill(0xff), signature],
    ['a signature of another length', raw, signature.subarray(1)],
    ['zeros', new Uint8Array(32), new Uint8Array(64)],
  ])('does not hold, and nothing is thrown, for %s', (_, publicBytes, signatureBytes) => {
    expect(verifyEd25519(publicBytes, message, signatureBytes)).toBe(false);
  });
});
