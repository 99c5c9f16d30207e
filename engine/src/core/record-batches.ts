/**
 * Cuts what is to be published into records (rule LOG5) and orders it so that each record is valid for itself (rule
 * LOG2): parents before children, a directory's children gone before it, names free before they are taken.
 *
 * Within this order new content comes before removals, so that a rename that was not recognised as one never leaves the
 * room without the bytes between two records.
 * Leaves to others: which contents are left out until they are uploaded (FAST5), and making changes of steps.
 */
import { comparePaths, limits, type RelPath } from '@driftless/protocol';
import type { PublishStep } from './plan.ts';
import type { RecordSize } from './record-pace.ts';

/**
 * `whole`: one git switch or directory rename stays one record, up to limits.changesMax steps. Otherwise a record is closed at
 * the number of files, or bytes of files, that `size` gives when it is begun; one larger file is a record of its own.
 */
export function* recordBatches(
  steps: readonly PublishStep[],
  options: { readonly whole: boolean; readonly size: () => RecordSize },
): Generator<readonly PublishStep[], void> {
  const sizeMax = (): RecordSize =>
    options.whole ? { files: limits.changesMax, bytes: Number.POSITIVE_INFINITY } : options.size();
  let most = sizeMax();
  let batch: PublishStep[] = [];
  let bytes = 0;
  for (const step of inPublishOrder(steps)) {
    const size = stepBytes(step);
    if (batch.length > 0 && (batch.length >= most.files || bytes + size > most.bytes)) {
      yield batch;
      most = sizeMax();
      batch = [];
      bytes = 0;
    }
    batch.push(step);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

/** Every prefix of the result is valid on the manifest before it, if the whole is. */
export function inPublishOrder(steps: readonly PublishStep[]): readonly PublishStep[] {
  /** Paths that become something else than a directory: what is below them must go first. */
  const closing = new Set<RelPath>();
  /** Directories that moves lead into: they must be there first. */
  const opening = new Set<RelPath>();
  for (const step of steps) {
    if (step.kind === 'publish' && step.local !== null && step.local.kind !== 'directory') closing.add(step.path);
    if (step.kind === 'publishMove') for (const parent of parentsOf(step.toPath)) opening.add(parent);
  }
  const rankOf = (step: PublishStep): number => {
    switch (step.kind) {
      case 'publishMoveAside':
        return 0;
      case 'publishMove':
        return 2;
      case 'publish':
        if (step.local === null) return parentsOf(step.path).some((parent) => closing.has(parent)) ? 3 : 5;
        return step.local.kind === 'directory' && opening.has(step.path) ? 1 : 4;
      case 'conflict':
        return 6;
    }
  };
  const ranked = steps.map((step) => ({ step, rank: rankOf(step), path: stepPath(step) }));
  ranked.sort((a, b) => {
    if (a.rank !== b.rank) return a.rank - b.rank;
    const order = comparePaths(a.path, b.path);
    return a.rank === 3 || a.rank === 5 ? -order : order;
  });
  return ranked.map(({ step }) => step);
}

/** Bytes of the content that a step sends. */
export function stepBytes(step: PublishStep): number {
  switch (step.kind) {
    case 'publish':
      return step.local?.kind === 'file' ? step.local.size : 0;
    case 'conflict':
      return step.row.local?.kind === 'file' ? step.row.local.size : 0;
    case 'publishMove':
    case 'publishMoveAside':
      return 0;
  }
}

export function stepPath(step: PublishStep): RelPath {
  return step.kind === 'publishMove' ? step.toPath : step.path;
}

/** The directories above a path, nearest last. */
function parentsOf(path: RelPath): readonly RelPath[] {
  const parents: RelPath[] = [];
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) parents.push(path.slice(0, at) as RelPath);
  return parents;
}
