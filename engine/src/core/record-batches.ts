/**
 * Which publish steps travel in one record (rule LOG5): at most 2,000 files or 16 MiB, so that a joiner streams and a save
 * overtakes a first share; a labelled batch (git, a rename) stays whole, up to the record's limit of changes.
 *
 * The steps come in an order whose every prefix is a valid manifest (core/plan.ts), so a cut anywhere is safe.
 */
import { limits } from '@driftless/protocol';
import type { PublishStep } from './plan.ts';

/** Shape: the batches, concatenated, are `steps`; none is empty. Pure. */
export function splitIntoRecords(steps: readonly PublishStep[], whole: boolean): PublishStep[][] {
  const countMax = whole ? limits.changesMax : limits.recordFilesAimed;
  const bytesMax = whole ? Number.POSITIVE_INFINITY : limits.recordBytesAimed;
  const batches: PublishStep[][] = [];
  let batch: PublishStep[] = [];
  let bytes = 0;
  for (const step of steps) {
    const size = bytesOf(step);
    if (batch.length >= countMax || (batch.length > 0 && bytes + size > bytesMax)) {
      batches.push(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(step);
    bytes += size;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

function bytesOf(step: PublishStep): number {
  const local = step.kind === 'publish' ? step.local : step.kind === 'conflict' ? step.row.local : null;
  return local?.kind === 'file' ? local.size : 0;
}
