/** Codes of `channelError`, and of WebSocket closes (4,000 + code), in one place. `retry` says whether coming back later can help. */
export const closeCodes = {
  badFrame: { code: 1, retry: false, meaning: 'a frame did not decode or broke a limit' },
  unknownCritical: { code: 2, retry: false, meaning: 'a critical message of an unknown kind; update Driftless' },
  refused: { code: 3, retry: false, meaning: 'no such room, or not allowed' },
  version: { code: 4, retry: false, meaning: 'no protocol version in common' },
  badRecord: { code: 5, retry: false, meaning: 'a record whose header, signature or chain does not hold' },
  overLimit: { code: 6, retry: true, meaning: 'too much at once: rate, channels or requests in flight' },
  overQuota: { code: 7, retry: true, meaning: 'the room or the relay is full' },
  slow: { code: 8, retry: true, meaning: 'the peer did not read fast enough' },
  timeout: { code: 9, retry: true, meaning: 'no hello in time' },
  shutdown: { code: 10, retry: true, meaning: 'the relay is stopping' },
  storeFailed: { code: 11, retry: true, meaning: 'the relay could not store; its log says why' },
  badRequest: { code: 12, retry: false, meaning: 'a request that does not fit the channel state' },
} as const;

export type CloseName = keyof typeof closeCodes;
