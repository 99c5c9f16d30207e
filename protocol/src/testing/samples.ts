/** One example of everything that has a wire form, with every field set, for golden bytes and as seeds of properties. */
import type { Change, RecordBody } from '../change.ts';
import type { Content } from '../entry.ts';
import type { ChunkId, DeviceId, Digest, EntryTag, RecordId, RelPath, RoomId, Root, VariantId } from '../ids.ts';
import type { Message } from '../message.ts';
import type { Head, RecordHeader, SealedCheckpoint, SealedChunk, SealedRecord } from '../record.ts';
import { parseRelPath } from '../rel-path.ts';
import type { CheckpointBody, PresenceBody } from '../sealed-bodies.ts';

const id = <Id extends string>(byte: string, length = 32): Id => byte.repeat(length) as Id;
const bytes = (byte: number, length: number): Uint8Array => new Uint8Array(length).fill(byte);
export const path = (text: string): RelPath => {
  const parsed = parseRelPath(text);
  if (parsed === undefined) throw new Error(`not a path: ${text}`);
  return parsed;
};

const head: Head = { height: 7, id: id<RecordId>('07') };
const record: SealedRecord = { header: bytes(1, 3), body: bytes(2, 4), writerSignature: bytes(3, 64) };
const chunk: SealedChunk = { id: id<ChunkId>('0c'), sealed: bytes(4, 5) };
const checkpoint: SealedCheckpoint = {
  height: 7,
  recordId: id<RecordId>('07'),
  epoch: 0,
  lists: [id<ChunkId>('0d'), id<ChunkId>('0e')],
  sealed: bytes(5, 6),
  writerSignature: bytes(6, 64),
};

/** The type keeps it complete: a new message without a sample does not compile. */
export const sampleMessages: { readonly [Kind in Message['kind']]: Message & { readonly kind: Kind } } = {
  hello: {
    kind: 'hello',
    clientRandom: bytes(1, 32),
    versions: [1, 2],
    features: 5,
    room: id<RoomId>('aa'),
    role: 'writer',
    known: head,
    pushCreditBytes: 1000,
  },
  challenge: {
    kind: 'challenge',
    relayRandom: bytes(2, 32),
    relayKey: bytes(3, 32),
    version: 1,
    features: 4,
    signature: bytes(4, 64),
  },
  proof: { kind: 'proof', readerKey: bytes(5, 32), writerKey: bytes(6, 32), signature: bytes(7, 64) },
  welcome: { kind: 'welcome', head, floor: 3, holdsKnown: true, putWindowBytes: 4_194_304, storeId: bytes(8, 16) },
  append: { kind: 'append', request: 1, record, chunks: [chunk] },
  appended: { kind: 'appended', request: 1, head },
  stale: { kind: 'stale', request: 2, head, records: [record, record] },
  missingChunks: { kind: 'missingChunks', request: 3, ids: [id<ChunkId>('0c'), id<ChunkId>('0d')] },
  overQuota: { kind: 'overQuota', request: 4, what: 'room bytes' },
  fetchRecords: { kind: 'fetchRecords', request: 5, after: 6, bytesMax: 524_288 },
  recordsPage: { kind: 'recordsPage', request: 5, head, floor: 1, records: [record] },
  locate: { kind: 'locate', request: 6, heads: [head, { height: 6, id: id<RecordId>('06') }] },
  located: { kind: 'located', request: 6, common: { height: 6, id: id<RecordId>('06') }, head },
  haveChunks: { kind: 'haveChunks', request: 7, ids: [id<ChunkId>('0c')] },
  chunksHeld: { kind: 'chunksHeld', request: 7, held: [true, false, true] },
  putChunks: { kind: 'putChunks', request: 8, chunks: [chunk, chunk] },
  chunksStored: { kind: 'chunksStored', request: 8 },
  getChunks: { kind: 'getChunks', request: 9, ids: [id<ChunkId>('0c')], bytesMax: 262_144 },
  chunksPage: { kind: 'chunksPage', request: 9, chunks: [chunk], missing: [id<ChunkId>('0d')] },
  putCheckpoint: { kind: 'putCheckpoint', request: 10, checkpoint },
  checkpointStored: { kind: 'checkpointStored', request: 10 },
  getCheckpoint: { kind: 'getCheckpoint', request: 11, atMost: 9 },
  checkpointFound: { kind: 'checkpointFound', request: 11, checkpoint },
  seed: { kind: 'seed', request: 12, checkpoint, records: [record] },
  seeded: { kind: 'seeded', request: 12, head },
  presence: { kind: 'presence', sealed: bytes(9, 10) },
  pushed: { kind: 'pushed', record, chunks: [chunk] },
  headMoved: { kind: 'headMoved', head },
  credit: { kind: 'credit', pushBytes: 65_536 },
  leave: { kind: 'leave' },
  ping: { kind: 'ping', token: 77 },
  pong: { kind: 'pong', token: 77 },
  channelError: { kind: 'channelError', request: 13, code: 6, detail: 'too many requests' },
};

export const sampleHeader: RecordHeader = {
  version: 1,
  kind: 1,
  minReader: 1,
  room: id<RoomId>('aa'),
  epoch: 0,
  height: 8,
  prev: id<RecordId>('07'),
  nonce: bytes(1, 16),
  bodyHash: bytes(2, 32),
  bodyChunks: [id<ChunkId>('0b')],
  adds: [id<ChunkId>('0c'), id<ChunkId>('0d')],
  addsLists: [id<ChunkId>('0e')],
};

const content: Content = {
  digest: id<Digest>('d1'),
  size: 70_000,
  epoch: 0,
  refs: { depth: 1, ids: [id<ChunkId>('0c'), id<ChunkId>('0d')] },
};
const tag = id<EntryTag>('e1', 16);

export const sampleChanges: { readonly [Kind in Change['kind']]: Change & { readonly kind: Kind } } = {
  put: {
    kind: 'put',
    path: path('src/ä.ts'),
    entry: { kind: 'file', content, executable: true, private: true },
    mtimeMs: 1_760_000_000_123,
    replaces: tag,
  },
  remove: { kind: 'remove', path: path('old.txt'), replaces: tag },
  mode: { kind: 'mode', path: path('run.sh'), mode: { executable: true, private: true }, replaces: tag },
  move: { kind: 'move', fromPath: path('a'), toPath: path('b/c'), subtree: true },
  untrack: { kind: 'untrack', path: path('build'), subtree: true },
  variant: {
    kind: 'variant',
    path: path('link'),
    entry: { kind: 'symlink', target: '../elsewhere' },
    mtimeMs: -1,
    baseDigest: id<Digest>('d2'),
  },
  resolve: { kind: 'resolve', path: path('link'), variants: [id<VariantId>('f1', 8), id<VariantId>('f2', 8)] },
  forget: { kind: 'forget', path: path('gone') },
  skip: { kind: 'skip', record: id<RecordId>('5c') },
};

export const sampleBody: RecordBody = {
  device: id<DeviceId>('de'),
  deviceName: 'laptop',
  timeMs: 1_760_000_000_456,
  label: 'git switch',
  massDeletion: 'git',
  root: id<Root>('99'),
  changes: Object.values(sampleChanges),
};

export const sampleCheckpointBody: CheckpointBody = {
  height: 7,
  recordId: id<RecordId>('07'),
  root: id<Root>('99'),
  pages: content,
  device: id<DeviceId>('de'),
};

export const samplePresenceBody: PresenceBody = {
  device: id<DeviceId>('de'),
  deviceName: 'laptop',
  run: '0123456789abcdef',
  n: 3,
  height: 7,
  recordId: id<RecordId>('07'),
  state: 'idle',
  asks: [id<Digest>('d1'), id<ChunkId>('0c')],
  root: id<Root>('99'),
  echoes: [
    { who: '1122334455667788', n: 4 },
    { who: '99aabbccddeeff00', n: 300 },
  ],
  editing: ['0f'.repeat(16)],
};
