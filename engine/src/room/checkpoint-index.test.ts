import { bytesToHex, type ChunkId, type Digest, utf8ToBytes } from '@driftless/protocol';
import { expect, test } from 'vitest';
import { checkpointIndexBytesMax, encodeCheckpointIndex, parseCheckpointIndex } from './checkpoint-index.ts';

const hex = (byte: number): string => bytesToHex(new Uint8Array(32).fill(byte));
const page = (byte: number) => ({
  hash: new Uint8Array(32).fill(byte),
  content: {
    digest: hex(byte) as Digest,
    size: 1_000 + byte,
    epoch: 0,
    refs: { depth: 1, ids: [hex(byte) as ChunkId, hex(byte + 1) as ChunkId] },
  },
});

test('what was encoded is parsed, and a room without a page has an index too', () => {
  for (const pages of [[], [page(1)], [page(1), page(2)]])
    expect(parseCheckpointIndex(encodeCheckpointIndex(pages))).toEqual(pages);
});

const with1 = (change: (index: Record<string, unknown>) => unknown): string => {
  const [first] = JSON.parse(new TextDecoder().decode(encodeCheckpointIndex([page(1)]))) as Record<string, unknown>[];
  return JSON.stringify([change(first ?? {})]);
};
const content = page(1).content;

test.each<[string, string]>([
  ['no JSON', '['],
  ['no list', '{"length":1}'],
  ['null', '[null]'],
  ['a hash that is too short', with1((one) => ({ ...one, hash: 'ab' }))],
  ['a hash that is no text', with1((one) => ({ ...one, hash: 1 }))],
  ['no content', with1(({ hash }) => ({ hash }))],
  ['a field more', with1((one) => ({ ...one, more: 1 }))],
  ['a size of nothing', with1((one) => ({ ...one, content: { ...content, size: 0 } }))],
  ['a size beyond any page', with1((one) => ({ ...one, content: { ...content, size: 2 ** 50 } }))],
  ['a size with a fraction', with1((one) => ({ ...one, content: { ...content, size: 1.5 } }))],
  [
    'a depth beyond the bound',
    with1((one) => ({ ...one, content: { ...content, refs: { depth: 7, ids: [hex(1)] } } })),
  ],
  ['a depth that is negative', with1((one) => ({ ...one, content: { ...content, refs: { depth: -1, ids: [] } } }))],
  [
    'too many references',
    with1((one) => ({ ...one, content: { ...content, refs: { depth: 0, ids: Array(33).fill(hex(1)) } } })),
  ],
  [
    'a name of a chunk in capitals',
    with1((one) => ({ ...one, content: { ...content, refs: { depth: 0, ids: ['AB'.repeat(32)] } } })),
  ],
])('%s is no index', (_what, text) => {
  expect(parseCheckpointIndex(utf8ToBytes(text))).toBeUndefined();
});

test('bytes that are no text, or too many, are no index', () => {
  expect(parseCheckpointIndex(Uint8Array.of(0x5b, 0xff, 0x5d))).toBeUndefined();
  expect(parseCheckpointIndex(new Uint8Array(checkpointIndexBytesMax + 1).fill(0x20))).toBeUndefined();
});
