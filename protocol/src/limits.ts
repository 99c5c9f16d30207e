/** Every bound of the protocol, with its reason (rules LOG5, LIST). Sizes in bytes, counts as named. */
export const limits = {
  /** Room for about 1,900 chunk ids; a few milliseconds to parse. */
  headerBytesMax: 64 * 1024,
  /** One frame in memory per connection and direction; NATS's default payload limit is the same. */
  frameBytesMax: 1024 * 1024,
  /** What senders aim at, so that a small save never waits long behind a big frame. */
  frameBytesAimed: 512 * 1024,
  /** New chunks that ride along with an append. */
  appendChunkBytesMax: 256 * 1024,
  /** A sealed body above this is stored as pieces of at most bodyPieceBytesMax. */
  bodyInlineBytesMax: 64 * 1024,
  bodyPieceBytesMax: 128 * 1024,
  bodyBytesMax: 64 * 1024 * 1024,
  /** bodyBytesMax and the seal's few bytes, in pieces. */
  bodyPiecesMax: 513,
  changesMax: 250_000,
  /** First share: a record is at most this many files or bytes, so that a joiner streams. */
  recordFilesAimed: 2_000,
  recordBytesAimed: 16 * 1024 * 1024,
  /** `adds` above this go to clear list-chunks of at most listIdsMax ids each. */
  addsInlineMax: 512,
  listIdsMax: 4_000,
  /** With bodyPiecesMax and addsInlineMax, what a header has room for: 4 million chunk ids. */
  addsListsMax: 1_000,
  /** Lists that one request names, however many records it brings: what a relay looks up for it is bounded like one record's. */
  listsPerRequestMax: 1_024,
  chunkBytesMean: 32 * 1024,
  chunkBytesMax: 128 * 1024,
  /** nonce 12 + tag 16 + codec and length 9 + padding, rounded up. */
  sealedChunkBytesMax: 128 * 1024 + 1024,
  refsMax: 32,
  refsDepthMax: 6,
  /** Of one file: what a list of its chunks is bounded by. */
  contentBytesMax: 16 * 1024 ** 3,
  idsPerRequestMax: 4_096,
  chunksPerFrameMax: 2_048,
  recordsPerFrameMax: 1_024,
  headsPerLocateMax: 4_096,
  staleRecordBytesMax: 256 * 1024,
  presenceBytesMax: 2_048,
  /** A quarter of it; the next presence asks for more. */
  presenceAsksMax: 16,
  /** A third of it; when more are heard, they are echoed in turn. */
  presenceEchoesMax: 32,
  presenceEditingMax: 8,
  checkpointSealedBytesMax: 64 * 1024,
  checkpointListsMax: 1_024,
  channelsMax: 1_024,
  pathBytesMax: 4_096,
  nameBytesMax: 255,
  labelBytesMax: 200,
  deviceNameBytesMax: 64,
  detailBytesMax: 300,
  pageEntriesMax: 4_096,
  /** A symlink's target, as most systems limit it. */
  targetBytesMax: 4_096,
  variantsPerResolveMax: 1_024,
  versionsMax: 16,
  /** Unanswered putChunks bytes of one channel. */
  putWindowBytes: 4 * 1024 * 1024,
  pushCreditBytes: 4 * 1024 * 1024,
} as const;
