/** Hashing by the platform's crypto. */
import { createHash, hash } from 'node:crypto';
import type { Hashing } from '../ports/hashing.ts';

export const nodeHashing: Hashing = {
  sha256: (bytes) => hash('sha256', bytes, 'buffer'),
  createSha256: () => {
    const stream = createHash('sha256');
    return {
      update: (bytes) => {
        stream.update(bytes);
      },
      digest: () => stream.digest(),
    };
  },
};
