/**
 * The checksum that every row of the state store carries. It finds what a disk or a stray writer damaged; it is no defence
 * against anybody, which is the seal's work.
 */
import { crc32 } from 'node:zlib';

/**
 * CRC-32 of `data`, continuing from `seed`.
 *
 * An empty blob leaves the seed as it is. It is not handed to zlib: SQLite gives empty blobs without memory behind them, and
 * Node before 24.15 answers 0 for such a one, whatever the seed.
 */
export function checksum(data: string | Uint8Array, seed = 0): number {
  return data.length === 0 ? seed : crc32(data, seed);
}
