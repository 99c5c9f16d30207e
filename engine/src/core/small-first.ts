/**
 * What to send to a relay that has just refused contents: as much of the smallest as fits one append, which takes it whole or
 * leaves nothing behind. So a small save never waits for room that only a larger file needs (rule REFUSED).
 */

import type { PublishStep } from './plan.ts';
import { stepBytes } from './record-batches.ts';

/**
 * Steps without content stay, except removals while content is left out: what a rename removes must not be gone before it has
 * arrived. Contents above `largeBytesMin` stay as well: they are uploaded one by one, beside.
 */
export function smallFirst(
  steps: readonly PublishStep[],
  { bytesMax, largeBytesMin }: { readonly bytesMax: number; readonly largeBytesMin: number },
): readonly PublishStep[] {
  const contents = steps
    .filter((step) => stepBytes(step) > 0 && stepBytes(step) <= largeBytesMin)
    .sort((a, b) => stepBytes(a) - stepBytes(b));
  const chosen = new Set<PublishStep>();
  let bytes = 0;
  for (const step of contents) {
    bytes += stepBytes(step);
    if (chosen.size > 0 && bytes > bytesMax) break;
    chosen.add(step);
  }
  const isRemoval = (step: PublishStep): boolean => step.kind === 'publish' && step.local === null;
  return steps.filter((step) =>
    stepBytes(step) > 0 && stepBytes(step) <= largeBytesMin
      ? chosen.has(step)
      : !isRemoval(step) || chosen.size === contents.length,
  );
}
