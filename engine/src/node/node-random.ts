/** The Random port on the system's cryptographic generator. */
import { randomBytes } from 'node:crypto';
import type { Random } from '../ports/random.ts';

export const nodeRandom: Random = {
  bytes: (count) => Uint8Array.from(randomBytes(count)),
  fraction: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
};
