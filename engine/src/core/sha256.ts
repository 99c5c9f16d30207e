/** Hashing as the pure core takes it: a synchronous function given by a composition root. Result: 32 bytes. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array;
