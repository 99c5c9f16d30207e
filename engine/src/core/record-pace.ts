/**
 * How much of a large batch goes into one record, so that a save waits no longer than about half a second for the record
 * before it, whatever the link and the disk: a record that took longer makes the next one smaller. Pure.
 */
import { limits } from '@driftless/protocol';

export interface RecordSize {
  readonly files: number;
  readonly bytes: number;
}

const aimedMs = 500;
/** Moderate, because nothing is known of the link yet; a fast one has the full size after a few records. */
export const firstRecordSize: RecordSize = { files: 500, bytes: 1024 * 1024 };
const filesMin = 20;
const bytesMin = 128 * 1024;
/** One slow answer is no slow link. */
const changeMax = 4;

/** The size of the next record after one of `size` took `tookMs`. */
export function nextRecordSize({ files, bytes }: RecordSize, tookMs: number): RecordSize {
  const factor = Math.min(changeMax, Math.max(1 / changeMax, aimedMs / Math.max(1, tookMs)));
  return {
    files: Math.round(Math.min(limits.recordFilesAimed, Math.max(filesMin, files * factor))),
    bytes: Math.round(Math.min(limits.recordBytesAimed, Math.max(bytesMin, bytes * factor))),
  };
}
