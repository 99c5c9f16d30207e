/** The Random port from a seed: the same seed gives the same sequence. For tests and the simulator; never for keys. */
import { createHash } from 'node:crypto';
import type { Random } from '../ports/random.ts';

export function createSeededRandom(seed: number | string): Random {
  let counter = 0;
  let block = Buffer.alloc(0);
  const take = (count: number): Buffer => {
    const blocks = [block];
    for (let length = block.length; length < count; length += 32) {
      blocks.push(createHash('sha256').update(`${seed}:${counter}`).digest());
      counter += 1;
    }
    block = Buffer.concat(blocks);
    const taken = block.subarray(0, count);
    block = block.subarray(count);
    return taken;
  };
  return {
    bytes: (count) => Uint8Array.from(take(count)),
    fraction: () => take(6).readUIntBE(0, 6) / 2 ** 48,
  };
}
