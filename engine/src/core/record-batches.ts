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
 * `whole`: one git switch or directory rename stays one record, as far as a record can hold it. Otherwise a record is closed at
 * the number of files, or bytes of files, that `size` gives when it is begun; one larger file is a record of its own.
 *
 * Removals never close a record: they are one act, and every machine that they reach measures them, and asks about them, as
 * they arrive. They are a few bytes each, so that the pace of the link is no reason to cut them.
 */
export function* recordBatches(
  steps: readonly PublishStep[],
  options: { readonly whole: boolean; readonly size: () => RecordSize },
): Generator<readonly PublishStep[], void> {
  const sizeMax = (): RecordSize => (options.whole ? unpaced : options.size());
  let most = sizeMax();
  let batch: PublishStep[] = [];
  let bytes = 0;
  let bodyBytes = 0;
  for (const { step, rank } of ranked(steps)) {
    const size = stepBytes(step);
    const inBody = bodyBytesOf(step);
    const { files: filesMax, bytes: bytesMax } =
      rank >= ranks.firstRemoval && rank <= ranks.lastRemoval ? unpaced : most;
    if (
      batch.length > 0 &&
      (batch.length >= filesMax || bytes + size > bytesMax || bodyBytes + inBody > bodyBytesAimed)
    ) {
      yield batch;
      most = sizeMax();
      batch = [];
      bytes = 0;
      bodyBytes = 0;
    }
    batch.push(step);
    bytes += size;
    bodyBytes += inBody;
  }
  if (batch.length > 0) yield batch;
}

const unpaced: RecordSize = { files: limits.changesMax, bytes: Number.POSITIVE_INFINITY };
/** What is said of a step here is an estimate. */
const bodyBytesAimed = limits.bodyBytesMax * 0.75;
const textBytes = (text: string): number => utf8.encode(text).length;
const utf8 = new TextEncoder();

/** About what a step takes in a record's body: paths, digests, and the first references to what it holds. */
function bodyBytesOf(step: PublishStep): number {
  const paths = step.kind === 'publishMove' ? textBytes(step.fromPath) + textBytes(step.toPath) : textBytes(step.path);
  const references = Math.min(limits.refsMax, Math.ceil(stepBytes(step) / limits.chunkBytesMean));
  const target = step.kind === 'publish' && step.local?.kind === 'symlink' ? textBytes(step.local.target) : 0;
  return paths + target + 128 + references * 36;
}

/** Every prefix of the result is valid on the manifest before it, if the whole is. */
export function inPublishOrder(steps: readonly PublishStep[]): readonly PublishStep[] {
  return ranked(steps).map(({ step }) => step);
}

/** What comes first. Removals, and what can only be put where something is removed, lie beside each other: they are one act. */
const ranks = {
  moveAside: 0,
  openedDirectory: 1,
  move: 2,
  put: 3,
  firstRemoval: 4,
  removalBelowFile: 4,
  fileForDirectory: 5,
  removal: 6,
  lastRemoval: 6,
  conflict: 7,
} as const;

function ranked(steps: readonly PublishStep[]) {
  /** Paths that become something else than a directory: what is below them must go first. */
  const closing = new Set<RelPath>();
  /** Directories that moves lead into: they must be there first. */
  const opening = new Set<RelPath>();
  /** Directories that something is removed from. */
  const emptied = new Set<RelPath>();
  for (const step of steps) {
    if (step.kind === 'publish' && step.local !== null && step.local.kind !== 'directory') closing.add(step.path);
    if (step.kind === 'publish' && step.local === null) for (const parent of parentsOf(step.path)) emptied.add(parent);
    if (step.kind === 'publishMove') for (const parent of parentsOf(step.toPath)) opening.add(parent);
  }
  const rankOf = (step: PublishStep): number => {
    switch (step.kind) {
      case 'publishMoveAside':
        return ranks.moveAside;
      case 'publishMove':
        return ranks.move;
      case 'publish':
        if (step.local === null)
          return parentsOf(step.path).some((parent) => closing.has(parent)) ? ranks.removalBelowFile : ranks.removal;
        if (step.local.kind === 'directory') return opening.has(step.path) ? ranks.openedDirectory : ranks.put;
        return emptied.has(step.path) ? ranks.fileForDirectory : ranks.put;
      case 'conflict':
        return ranks.conflict;
    }
  };
  const all = steps.map((step) => ({ step, rank: rankOf(step), path: stepPath(step) }));
  return all.sort((a, b) => {
    if (a.rank !== b.rank) return a.rank - b.rank;
    const order = comparePaths(a.path, b.path);
    return a.rank === ranks.removalBelowFile || a.rank === ranks.removal ? -order : order;
  });
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
