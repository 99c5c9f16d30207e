/** Randomness: cryptographic in production, seeded in the simulator. */
export interface Random {
  bytes(count: number): Uint8Array;
  /** In [0, 1). */
  fraction(): number;
}
