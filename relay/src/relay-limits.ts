/**
 * Every bound of a running relay that is not one of the protocol's, with its reason. What connections keep in memory (frames being
 * received, requests in flight, answers not yet read) is bounded by memoryBytesMax for all of them together.
 */
export interface RelayLimits {
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  /** Connections of one address that no room has admitted yet. A newcomer beyond it ends the oldest of them. */
  readonly strangersPerAddressMax: number;
  /** The same of all addresses together: the oldest of those that said least, of the address with most of them. */
  readonly strangersMax: number;
  /** Addresses whose budgets are remembered. */
  readonly clientsRememberedMax: number;
  readonly channelsMax: number;
  /** From the TCP connection to the end of the upgrade's headers. */
  readonly headerTimeoutMs: number;
  /** From the upgrade to the first welcome. */
  readonly helloTimeoutMs: number;
  /** All bytes of a WebSocket that no room has admitted yet, whole frames or not. */
  readonly strangerBytesMax: number;
  /** Every refusal is answered this long after its proof: the same time for every reason, and a brake on guessing (ADM2). */
  readonly refusalDelayMs: number;
  /** Refusals after which the connection ends. */
  readonly refusalsMax: number;
  /** Pieces of one message, and of one read: each costs memory beside its bytes. */
  readonly fragmentsMax: number;
  readonly framesPerSecond: number;
  readonly framesBurst: number;
  readonly bytesPerSecond: number;
  readonly bytesBurst: number;
  /** WebSockets of one address that begin. Each costs a millisecond and some 30 KiB; more of them are refused. */
  readonly upgradesPerSecond: number;
  readonly upgradesBurst: number;
  /** Of one address. Each costs a signature, and its proof another; more of them wait. */
  readonly hellosPerSecond: number;
  readonly hellosBurst: number;
  /** Of all addresses together. */
  readonly hellosPerSecondMax: number;
  readonly hellosBurstMax: number;
  readonly presencePerSecond: number;
  readonly presenceBurst: number;
  readonly requestsInFlightMax: number;
  /** Of one connection: frames being worked on and answers being read for it. */
  readonly bytesInFlightMax: number;
  readonly bytesInFlightTotalMax: number;
  /** What all connections keep in memory. Beyond it, the one that holds most of the address that holds most is ended. */
  readonly memoryBytesMax: number;
  /** Answers wait while more than this is buffered for their connection. */
  readonly sendBufferAnswersBytes: number;
  /** Pushed records become `headMoved` while more than this is buffered. */
  readonly sendBufferPushBytes: number;
  /** A connection with more than this buffered is dropped as too slow. */
  readonly sendBufferBytesMax: number;
  readonly sweepMs: number;
  /** Silence after which a ping is sent, and after which the connection is dropped (W6). */
  readonly pingAfterMs: number;
  readonly silenceMsMax: number;
  /** A connection that takes no byte of what is buffered for so long is dropped as too slow. */
  readonly stallMsMax: number;
  /** At close: for requests in flight, then for the peers' answers to the close. */
  readonly drainMsMax: number;
  readonly goodbyeMsMax: number;
}

const mib = 2 ** 20;

export const defaultRelayLimits: RelayLimits = {
  connectionsMax: 10_000,
  // Many machines may share one address behind a router, and all of them do on a loopback test.
  connectionsPerAddressMax: 2_048,
  strangersPerAddressMax: 256,
  // Some 30 KiB each.
  strangersMax: 1_024,
  clientsRememberedMax: 16_384,
  channelsMax: 1_024,
  headerTimeoutMs: 10_000,
  helloTimeoutMs: 15_000,
  // A hello is below 200 bytes, a proof below 150: enough for as many of them as are refused.
  strangerBytesMax: 4 * 1024,
  refusalDelayMs: 100,
  refusalsMax: 8,
  fragmentsMax: 1_024,
  // Far above what a first share needs, far below what would keep the relay from others: over it, the socket waits.
  framesPerSecond: 5_000,
  framesBurst: 10_000,
  bytesPerSecond: 256 * mib,
  bytesBurst: 64 * mib,
  // Peers stay connected, and come back with pauses.
  upgradesPerSecond: 50,
  upgradesBurst: 256,
  // A peer sends one when it connects; an office behind one address some hundred. About half a millisecond each, with the proof.
  hellosPerSecond: 50,
  hellosBurst: 128,
  hellosPerSecondMax: 500,
  hellosBurstMax: 500,
  presencePerSecond: 10,
  presenceBurst: 30,
  requestsInFlightMax: 128,
  bytesInFlightMax: 8 * mib,
  bytesInFlightTotalMax: 96 * mib,
  memoryBytesMax: 192 * mib,
  sendBufferAnswersBytes: mib,
  sendBufferPushBytes: 4 * mib,
  sendBufferBytesMax: 16 * mib,
  sweepMs: 5_000,
  pingAfterMs: 10_000,
  silenceMsMax: 30_000,
  stallMsMax: 120_000,
  drainMsMax: 3_000,
  goodbyeMsMax: 1_000,
};
