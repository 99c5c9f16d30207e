import { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { checksum } from './checksum.ts';

test('an empty blob leaves the seed as it is, also one that comes from SQLite', () => {
  const database = new DatabaseSync(':memory:');
  try {
    const { blob } = database.prepare("SELECT x'' AS blob").get() as { blob: Uint8Array };
    expect(blob).toHaveLength(0);
    expect(checksum(blob, 5)).toBe(5);
    expect(checksum(new Uint8Array(0), 5)).toBe(5);
    expect(checksum('', 5)).toBe(5);
    expect(checksum('')).toBe(0);
  } finally {
    database.close();
  }
});

test('anything else is what zlib says, piece by piece or as a whole', () => {
  expect(checksum('a text')).toBe(crc32('a text'));
  expect(checksum('text', checksum('a '))).toBe(crc32('a text'));
});
