/**
 * Names of things on the wire. Inside the program every 32-byte id is 64 lower-case hex characters, branded, so that it
 * can be a map key and cannot be mistaken for another id; it becomes bytes only in a codec.
 */
declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** SHA-256 over epoch 0's admission public keys. */
export type RoomId = Branded<string, 'RoomId'>;
/** SHA-256 over the bytes of a record's header (rule LOG1): the token of append. */
export type RecordId = Branded<string, 'RecordId'>;
/** Keyed hash of a chunk's plain bytes, or plain SHA-256 for clear list-chunks and pieces of a sealed body. */
export type ChunkId = Branded<string, 'ChunkId'>;
/** A device's Ed25519 public key. */
export type DeviceId = Branded<string, 'DeviceId'>;
/** SHA-256 of a file's plain bytes. Only ever inside a seal. */
export type Digest = Branded<string, 'Digest'>;
/** Hash of a manifest's page tree. Only ever inside a seal. */
export type Root = Branded<string, 'Root'>;
/** First 16 bytes, as 32 hex characters, of the SHA-256 of an entry's canonical encoding; what a change says that it replaces. */
export type EntryTag = Branded<string, 'EntryTag'>;
/** 16 hex characters; names one open variant of a path. */
export type VariantId = Branded<string, 'VariantId'>;
/** A validated path relative to the root: rule NAME. Made only by `parseRelPath`. */
export type RelPath = Branded<string, 'RelPath'>;

const hex64 = /^[0-9a-f]{64}$/;

const parser =
  <Id extends string>(shape: RegExp) =>
  (text: string): Id | undefined =>
    shape.test(text) ? (text as Id) : undefined;

export const parseDeviceId: (text: string) => DeviceId | undefined = parser<DeviceId>(hex64);
export const parseRoomId: (text: string) => RoomId | undefined = parser<RoomId>(hex64);
export const parseChunkId: (text: string) => ChunkId | undefined = parser<ChunkId>(hex64);

/** The `prev` of a log's first record. */
export const noRecordId = '0'.repeat(64) as RecordId;
