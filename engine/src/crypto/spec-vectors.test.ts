/** The test vectors and tables of protocol/SPEC.md are what the code computes. */
import { readFileSync } from 'node:fs';
import {
  bytesToHex,
  clearChunkIdOf,
  closeCodes,
  limits,
  noRecordId,
  type RecordBody,
  type Root,
  utf8ToBytes,
} from '@driftless/protocol';
import { describe, expect, test } from 'vitest';
import { createDeviceKey } from './device-key.ts';
import { pack } from './packing.ts';
import { createRoomCipher } from './room-cipher.ts';

const spec = readFileSync(new URL('../../../protocol/SPEC.md', import.meta.url), 'utf8');
const filled = (byte: number, length = 32): Uint8Array => new Uint8Array(length).fill(byte);

function vectors(): readonly (readonly [string, string])[] {
  const device = createDeviceKey(filled(9));
  const random = { bytes: (count: number) => filled(7, count), fraction: () => 0 };
  const cipher = createRoomCipher({ secret: filled(1), epoch: 0, device, random });
  const plain = utf8ToBytes('hello, driftless\n');
  const chunk = cipher.sealChunk(plain);
  const body: RecordBody = {
    device: device.device,
    deviceName: 'laptop',
    timeMs: 1_760_000_000_000,
    label: '',
    massDeletion: 'none',
    root: '0'.repeat(64) as Root,
    changes: [],
  };
  const { id, record } = cipher.sealRecord({ height: 1, prev: noRecordId, body, adds: [chunk.id] });
  const presence = {
    deviceName: 'laptop',
    run: '0123456789abcdef',
    n: 1,
    height: 1,
    recordId: id,
    state: 'idle',
    asks: [],
    root: body.root,
    echoes: [{ who: '0011223344556677', n: 1 }],
    editing: [],
  };
  return [
    ['device', device.device],
    ['reader key', bytesToHex(cipher.readerKey)],
    ['writer key', bytesToHex(cipher.writerKey)],
    ['room', cipher.room],
    ['gear 0, 255', `${cipher.gearTable[0]?.toString(16)} ${cipher.gearTable[255]?.toString(16)}`],
    ['plain', bytesToHex(plain)],
    ['packed', bytesToHex(pack(plain))],
    ['chunk id', chunk.id],
    ['chunk sealed', bytesToHex(chunk.sealed)],
    ['clear chunk id of plain', clearChunkIdOf(plain)],
    ['record nonce', '07'.repeat(16)],
    ['record header', bytesToHex(record.header)],
    ['record id', id],
    ['record body', bytesToHex(record.body)],
    ['writer signature', bytesToHex(record.writerSignature)],
    ['presence nonce', '07'.repeat(12)],
    ['presence sealed', bytesToHex(cipher.sealPresence(presence))],
    ['admission proof over 03…03', bytesToHex(cipher.proveAdmission('writer', filled(3)))],
  ];
}

test('the test vectors', () => {
  const block = /```vectors\n([\s\S]*?)```/.exec(spec)?.[1];
  expect(block?.trim()).toBe(
    vectors()
      .map(([name, value]) => `${name}: ${value}`)
      .join('\n'),
  );
});

describe('the tables', () => {
  test.each(Object.entries(limits))('limit %s', (name, value) => {
    expect(spec).toContain(`\n| ${name} | ${value} | `);
  });
  test.each(Object.entries(closeCodes))('close code %s', (name, { code, retry, meaning }) => {
    expect(spec).toContain(`\n| ${code} | ${name} | ${retry ? 'yes' : 'no'} | ${meaning} |`);
  });
});
