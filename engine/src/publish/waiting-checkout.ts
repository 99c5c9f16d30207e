/**
 * A checkout is one record, and its large contents go to the relay before that, beside the loop. What is saved meanwhile is no
 * part of it, and does not wait for it.
 */
import type { Digest, RelPath } from '@driftless/protocol';
import type { PublishStep } from '../core/plan.ts';
import { ancestorsOf, isAtOrBelow } from '../core/tree-paths.ts';

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

export function createWaitingCheckout(): WaitingCheckout {
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
    savedSince: (steps) => {
      if (waiting === null) return [];
      const { paths, above } = waiting;
      return steps.filter((step) => isSave(step) && !isAtOrBelow(step.path, paths) && !above.has(step.path));
    },
    ended: () => {
      waiting = null;
    },
  };
}

const pathsOf = (step: PublishStep): readonly RelPath[] =>
  step.kind === 'publishMove' ? [step.fromPath, step.toPath] : [step.path];

/** A deletion is judged with whatever goes at the same time, and stays with it. */
const isSave = (step: PublishStep): step is Extract<PublishStep, { kind: 'publish' }> =>
  step.kind === 'publish' && step.local !== null;
