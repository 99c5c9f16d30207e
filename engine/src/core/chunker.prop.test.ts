import { type ChunkId, type Content, limits } from '@driftless/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkBytesMin, chunkRanges, createChunker } from './chunker.ts';
import { expandRefs, parseList, refsOfIds } from './content-refs.ts';
import { digestOf } from './test-support/entries.ts';

const table = Uint32Array.from(numbers(1, 256));
const otherTable = Uint32Array.from(numbers(2, 256));

describe('chunks (LIST)', () => {
  const big = bytesOf(7, 6_000_000);

  it('tile the content, within the bounds, with the mean aimed at', () => {
    const ranges = chunkRanges(big, table);
    expect(ranges[0]?.start).toBe(0);
    expect(ranges.at(-1)?.end).toBe(big.length);
    ranges.forEach((range, index) => {
      if (index > 0) expect(range.start).toBe(ranges[index - 1]?.end);
      const length = range.end - range.start;
      expect(length).toBeLessThanOrEqual(limits.chunkBytesMax);
      if (index < ranges.length - 1) expect(length).toBeGreaterThanOrEqual(chunkBytesMin);
    });
    const mean = big.length / ranges.length;
    expect(mean).toBeGreaterThan(limits.chunkBytesMean * 0.9);
    expect(mean).toBeLessThan(limits.chunkBytesMean * 1.1);
  });

  it.each([
    ['nothing', 0, []],
    ['one byte', 1, [1]],
    ['the minimum', chunkBytesMin, [chunkBytesMin]],
    ['zeros are cut at the maximum', 300_000, [131_072, 262_144, 300_000]],
    ['zeros that end with a chunk', 262_144, [131_072, 262_144]],
  ])('%s', (_, length, ends) => {
    const noCuts = Uint32Array.from({ length: 256 }, () => 0x55555555);
    expect(chunkRanges(new Uint8Array(length), noCuts).map(({ end }) => end)).toEqual(ends);
  });

  it('an insertion moves few boundaries', () => {
    const inserted = new Uint8Array(big.length + 3);
    inserted.set(big.subarray(0, 3_000_000));
    inserted.set(big.subarray(3_000_000), 3_000_003);
    const pieces = (bytes: Uint8Array) =>
      chunkRanges(bytes, table).map(({ start, end }) =>
        digestOf(Buffer.from(bytes.subarray(start, end)).toString('latin1')),
      );
    const before = new Set(pieces(big));
    expect(pieces(inserted).filter((piece) => !before.has(piece)).length).toBeLessThanOrEqual(3);
  });

  it('another room cuts elsewhere', () => {
    const ends = new Set(chunkRanges(big, table).map(({ end }) => end));
    const shared = chunkRanges(big, otherTable).filter(({ end }) => ends.has(end));
    expect(shared.length).toBeLessThan(3);
  });

  it('come out alike when the content comes in pieces of any size', () => {
    const chunker = createChunker(table);
    let several = 0;
    fc.assert(
      fc.property(
        fc.nat(400_000),
        fc.array(fc.integer({ min: 0, max: 90_000 }), { minLength: 1, maxLength: 20 }),
        fc.nat(1_000_000),
        (length, sizes, from) => {
          const content = big.subarray(from, from + length);
          const chunks: Uint8Array[] = [];
          let at = 0;
          for (let turn = 0; at < content.length; turn += 1) {
            const size = (sizes[turn % sizes.length] ?? 0) + 1;
            for (const chunk of chunker.push(content.subarray(at, at + size))) chunks.push(chunk.slice());
            at += size;
          }
          const last = chunker.finish();
          if (last !== null) chunks.push(last);
          if (chunks.length > 2) several += 1;
          const expected = chunkRanges(content, table).map(({ start, end }) => content.subarray(start, end));
          expect(chunks.map((chunk) => chunk.length)).toEqual(expected.map((chunk) => chunk.length));
          expect(Buffer.concat(chunks).equals(content)).toBe(true);
        },
      ),
      { seed: 20261121, numRuns: 60 },
    );
    expect(several).toBeGreaterThan(20);
  });

  it('refuses a table of another size', () => {
    expect(() => chunkRanges(big, new Uint32Array(255))).toThrow(/256/);
  });
});

describe('references (LIST)', () => {
  const idsOf = (count: number, seed = 3): ChunkId[] => {
    const random = bytesOf(seed, count * 32);
    return Array.from(
      { length: count },
      (_, index) => Buffer.from(random.subarray(index * 32, index * 32 + 32)).toString('hex') as ChunkId,
    );
  };
  const store = () => {
    const lists = new Map<ChunkId, Uint8Array>();
    const sealList = (plain: Uint8Array): ChunkId => {
      const id = digestOf(Buffer.from(plain).toString('latin1')) as string as ChunkId;
      lists.set(id, plain.slice());
      return id;
    };
    const openLists = async (ids: readonly ChunkId[]) =>
      new Map(ids.flatMap((id) => (lists.has(id) ? [[id, lists.get(id) as Uint8Array] as const] : [])));
    return { lists, sealList, openLists };
  };
  const contentOf = (refs: Content['refs'], size: number): Content => ({ digest: digestOf('c'), size, epoch: 0, refs });

  it.each([
    [0, 0],
    [1, 0],
    [32, 0],
    [33, 1],
    [5_000, 1],
    [40_000, 2],
  ])('%d ids come back from depth %d', async (count, depth) => {
    const { lists, sealList, openLists } = store();
    const ids = idsOf(count);
    const refs = refsOfIds(ids, sealList);
    expect(refs.depth).toBe(depth);
    expect(refs.ids.length).toBeLessThanOrEqual(limits.refsMax);
    for (const plain of lists.values()) expect(plain.length).toBeLessThanOrEqual(limits.chunkBytesMax);
    const expanded = await expandRefs(contentOf(refs, count * 32_000), openLists);
    expect(expanded).toMatchObject({ kind: 'expanded', ids });
    if (expanded.kind === 'expanded') expect(new Set(expanded.listIds)).toEqual(new Set(lists.keys()));
  });

  it('one changed chunk of many makes one new list a level', () => {
    const { lists, sealList } = store();
    const ids = idsOf(40_000);
    refsOfIds(ids, sealList);
    const before = lists.size;
    expect(before).toBeGreaterThan(30);
    refsOfIds(ids.with(20_000, idsOf(1, 9)[0] as ChunkId), sealList);
    expect(lists.size - before).toBeLessThanOrEqual(4);
  });

  it('equal chunks in a row are listed as often as they are', async () => {
    const { sealList, openLists } = store();
    const ids = Array.from({ length: 10_000 }, () => '0'.repeat(64) as ChunkId);
    const refs = refsOfIds(ids, sealList);
    expect(await expandRefs(contentOf(refs, 10_000 * 131_072), openLists)).toMatchObject({ kind: 'expanded', ids });
  });

  it('a few lists that name each other over and over are no content, whatever its size says', async () => {
    const { sealList, openLists } = store();
    const full = (id: string): Uint8Array => Buffer.from(id.repeat(4_096), 'hex');
    const top = sealList(full(sealList(full(idsOf(1)[0] as string))));
    const refs = { depth: 2, ids: Array.from({ length: 32 }, () => top) };
    for (const size of [1_000_000, limits.contentBytesMax, Number.MAX_SAFE_INTEGER])
      expect(await expandRefs(contentOf(refs, size), openLists)).toMatchObject({ kind: 'garbage' });
  });

  it('what is missing or wrong is an answer', async () => {
    const { lists, sealList, openLists } = store();
    const refs = refsOfIds(idsOf(5_000), sealList);
    const size = 5_000 * 32_000;
    expect(await expandRefs(contentOf(refs, 1_000_000), openLists)).toMatchObject({ kind: 'garbage' });
    expect(await expandRefs(contentOf({ ...refs, depth: 2 }, size), openLists)).toMatchObject({ kind: 'missing' });
    expect(await expandRefs(contentOf({ ...refs, depth: 7 }, size), openLists)).toMatchObject({ kind: 'garbage' });
    expect(await expandRefs(contentOf({ depth: 0, ids: [] }, 5), openLists)).toMatchObject({ kind: 'garbage' });
    expect(await expandRefs(contentOf({ depth: 0, ids: idsOf(1) }, 0), openLists)).toMatchObject({ kind: 'garbage' });
    const first = refs.ids[0] as ChunkId;
    lists.set(first, new Uint8Array(33));
    expect(await expandRefs(contentOf(refs, size), openLists)).toMatchObject({ kind: 'garbage' });
    lists.delete(first);
    expect(await expandRefs(contentOf(refs, size), openLists)).toEqual({ kind: 'missing', ids: [first] });
    expect(parseList(new Uint8Array(0))).toBeUndefined();
  });

  it('a list that names itself again and again ends', async () => {
    const self = 'a'.repeat(64) as ChunkId;
    const plain = Buffer.from(self.repeat(4_096), 'hex');
    const openLists = async () => new Map([[self, plain]]);
    expect(await expandRefs(contentOf({ depth: 6, ids: [self] }, 1e9), openLists)).toMatchObject({ kind: 'garbage' });
  });
});

/** xorshift: the same bytes everywhere. */
function bytesOf(seed: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const words = new Uint32Array(bytes.buffer, 0, length >> 2);
  let index = 0;
  for (const word of numbers(seed, words.length)) words[index++] = word;
  return bytes;
}

function* numbers(seed: number, count: number): Generator<number> {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  for (let index = 0; index < count; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    yield Math.imul(state, 0x85ebca6b) >>> 0;
  }
}
