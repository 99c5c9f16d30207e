/** SHA-256, one-shot and streaming. Pure; the same bytes on every platform. */
export interface Sha256Stream {
  update(bytes: Uint8Array): void;
  digest(): Uint8Array;
}
export interface Hashing {
  sha256(bytes: Uint8Array): Uint8Array;
  createSha256(): Sha256Stream;
}
