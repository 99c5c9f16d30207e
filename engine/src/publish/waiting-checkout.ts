/**
 * A checkout is one record, and its large contents go to the relay before that, beside the loop. What is saved meanwhile is no
 * part of it, and does not wait for it.
 */
import { comparePaths, type Digest, type RelPath } from '@driftless/protocol';
import type { PublishStep } from '../core/plan.ts';
import { ancestorsOf, isAtOrBelow, parentPath } from '../core/tree-paths.ts';

/** The next record of git's doing, as planned now. */
export interface Checkout {
  readonly label: string;
  readonly steps: readonly PublishStep[];
  /** The large contents of these that are on their way to the relay. */
  readonly lacking: ReadonlyMap<RelPath, Digest>;
}

export interface WaitingCheckout {
  /** Whether it waits for one of those that it lacked at first: a file that goes on changing is sent for itself. */
  waits(checkout: Checkout): boolean;
  /** Whether the large content there is one of those: what else is on its way to the relay is its user's, and no part of it. */
  lacks(path: RelPath): boolean;
  /** What came since it began to wait, and depends on none of what was there then. */
  savedSince(steps: readonly PublishStep[]): readonly PublishStep[];
  /** It went out, or is none. */
  ended(): void;
}

interface Waiting {
  readonly label: string;
  readonly lacked: ReadonlyMap<RelPath, Digest>;
  readonly paths: ReadonlySet<RelPath>;
  readonly above: ReadonlySet<RelPath>;
}

export function createWaitingCheckout(isRoomDirectory: (path: RelPath) => boolean): WaitingCheckout {
  let waiting: Waiting | null = null;

  function begin({ label, steps, lacking }: Checkout): Waiting {
    const paths = new Set(steps.flatMap(pathsOf));
    const above = new Set([...paths].flatMap((path) => [...ancestorsOf(path)]));
    return { label, lacked: lacking, paths, above };
  }

  return {
    waits: (checkout) => {
      if (checkout.lacking.size === 0) return false;
      // Git went on: what it wrote since is no save, but part of the whole.
      if (waiting?.label !== checkout.label) waiting = begin(checkout);
      const { lacked } = waiting;
      return [...checkout.lacking].some(([path, digest]) => lacked.get(path) === digest);
    },
    lacks: (path) => waiting?.lacked.has(path) === true,
    savedSince: (steps) => {
      if (waiting === null) return [];
      const { paths, above } = waiting;
      const saves: Publish[] = [];
      const made = new Set<RelPath>();
      for (const step of steps.filter(isSave).sort((a, b) => comparePaths(a.path, b.path))) {
        if (isAtOrBelow(step.path, paths) || above.has(step.path)) continue;
        // One below what was renamed, or took the place of a file, needs that first.
        const parent = parentPath(step.path);
        if (parent !== undefined && !made.has(parent) && !isRoomDirectory(parent)) continue;
        if (step.local.kind === 'directory') made.add(step.path);
        saves.push(step);
      }
      return saves;
    },
    ended: () => {
      waiting = null;
    },
  };
}

const pathsOf = (step: PublishStep): readonly RelPath[] =>
  step.kind === 'publishMove' ? [step.fromPath, step.toPath] : [step.path];

type Publish = Extract<PublishStep, { kind: 'publish' }>;
type Save = Publish & { readonly local: NonNullable<Publish['local']> };

/** A deletion is judged with whatever goes at the same time, and stays with it; so does what takes the place of another kind. */
const isSave = (step: PublishStep): step is Save =>
  step.kind === 'publish' &&
  step.local !== null &&
  (step.remote === null || (step.local.kind !== 'directory' && step.remote.kind !== 'directory'));
