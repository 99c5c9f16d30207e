/**
 * What a labelled record brought is applied together (rule DISK1): the files of a checkout wait for those of its large contents
 * that are fetched beside the loop, and so does what can only come after them. Everything else goes on meanwhile. A file that
 * fails is a problem of its own, and is not waited for.
 *
 * Known of this run alone: after a start, or at a join, files are applied as they come.
 */
import type { RelPath } from '@driftless/protocol';
import type { DiskStep } from '../core/plan.ts';
import { ancestorsOf, isAtOrBelow } from '../core/tree-paths.ts';

/** Two of the largest records; beyond, files are applied as they come. */
const pathsMax = 500_000;

export interface WholeRecords {
  /** Paths that records touched, and whether the last one is to be applied as a whole. */
  note(touched: ReadonlyMap<RelPath, boolean>): void;
  /** What is there waits for nothing any more: a later change of it is another one. */
  applied(path: RelPath): void;
  /** `lacks`: a large content that is not staged yet. Returns the steps that may be carried out now. */
  ready(steps: readonly DiskStep[], lacks: ReadonlySet<DiskStep>): readonly DiskStep[];
  /** Nothing is pending. */
  clear(): void;
}

export function createWholeRecords(): WholeRecords {
  const together = new Set<RelPath>();
  const isTogether = (step: DiskStep): boolean => pathsOf(step).some((path) => together.has(path));

  return {
    note: (touched) => {
      for (const [path, isWhole] of touched) {
        if (isWhole) together.add(path);
        else together.delete(path);
      }
      if (together.size > pathsMax) together.clear();
    },
    applied: (path) => together.delete(path),
    ready: (steps, lacks) => {
      const able = steps.filter((step) => !lacks.has(step));
      if (![...lacks].some(isTogether)) return able;
      const waiting = new Set([...steps.filter(isTogether), ...lacks].flatMap(pathsOf));
      const above = new Set<RelPath>();
      for (const path of waiting) for (const parent of ancestorsOf(path)) above.add(parent);
      const dependsOn = (step: DiskStep): boolean =>
        pathsOf(step).some((path) => isAtOrBelow(path, waiting) || above.has(path));
      return able.filter((step) => !isTogether(step) && (makesDirectory(step) || !dependsOn(step)));
    },
    clear: () => together.clear(),
  };
}

const pathsOf = (step: DiskStep): readonly RelPath[] =>
  step.kind === 'applyMove' ? [step.fromPath, step.toPath] : [step.path];

const makesDirectory = (step: DiskStep): boolean =>
  step.kind === 'apply' && step.to?.kind === 'directory' && step.row.local === null;
