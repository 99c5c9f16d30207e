import { limits } from '@driftless/protocol';
import { describe, expect, it } from 'vitest';
import { firstRecordSize, nextRecordSize, type RecordSize } from './record-pace.ts';

/** The size of records after 20 of them over a link and a disk that need so long a file and a MiB. */
function settledOver({ msPerFile, msPerMib }: { readonly msPerFile: number; readonly msPerMib: number }): number {
  let size: RecordSize = firstRecordSize;
  const tookMs = (): number => size.files * msPerFile + (size.bytes / 1024 ** 2) * msPerMib;
  for (let record = 0; record < 20; record += 1) size = nextRecordSize(size, tookMs());
  return tookMs();
}

describe('how much goes into one record', () => {
  it.each([
    ['a local relay', { msPerFile: 0.05, msPerMib: 10 }],
    ['10 Mbit a second', { msPerFile: 0.1, msPerMib: 840 }],
    ['1 Mbit a second', { msPerFile: 0.1, msPerMib: 2_000 }],
    ['a slow disk', { msPerFile: 10, msPerMib: 10 }],
  ])('%s: about half a second each', (_, costs) => {
    expect(settledOver(costs)).toBeLessThan(600);
  });

  it('never beyond the limits of a record, never down to nothing', () => {
    let size: RecordSize = firstRecordSize;
    for (let record = 0; record < 10; record += 1) size = nextRecordSize(size, 0);
    expect(size).toEqual({ files: limits.recordFilesAimed, bytes: limits.recordBytesAimed });
    for (let record = 0; record < 20; record += 1) size = nextRecordSize(size, 100_000);
    expect(size.files).toBeGreaterThan(0);
    expect(size.bytes).toBeGreaterThan(100_000);
  });

  it('one slow answer makes it a quarter, no less', () => {
    expect(nextRecordSize({ files: 400, bytes: 4_000_000 }, 60_000)).toEqual({ files: 100, bytes: 1_000_000 });
  });
});
