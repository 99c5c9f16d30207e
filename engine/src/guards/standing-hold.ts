/**
 * A mass deletion may wait for its answer for days. What it holds back is parked in the state store meanwhile, so that a save costs
 * the same as ever, and is looked at again as a whole as soon as anything has to do with it: one of its rows changed, more went,
 * one of its contents appeared elsewhere, the rules of what takes part changed, or somebody answered.
 *
 * Leaves to others what is held (deletion-hold.ts).
 */
import type { RelPath } from '@driftless/protocol';
import { liveEntry } from '../core/entry-encoding.ts';
import { isIgnoreFileName } from '../core/ignore-rules.ts';
import type { Row } from '../core/row.ts';
import type { StateStore } from '../ports/state-store.ts';
import type { Holds } from './holds.ts';

type Side = 'outgoing' | 'incoming';

export interface StandingHold {
  /** Somebody was asked about these, and what is left of the plan goes on without them. */
  park(side: Side, paths: readonly RelPath[]): void;
  /** All of that side's burst is parked, as it was judged. */
  stands(side: Side): boolean;
  /** Whether one of these has to do with what is parked: then nothing is any more, and all is to be looked at again. */
  wakes(rows: readonly Row[]): boolean;
}

export function createStandingHold(
  store: Pick<StateStore, 'park' | 'unpark' | 'parked' | 'isParkedContent'>,
  holds: Pick<Holds, 'answers'>,
): StandingHold {
  const sides = new Set<Side>();
  let parked = 0;
  let answers = 0;
  // An earlier run's: judged anew by this one.
  store.unpark();

  const isTouched = (): boolean => store.parked() !== parked || holds.answers() !== answers;
  function isRelated({ path, base, local, remote }: Row): boolean {
    const entry = liveEntry(remote);
    if (base !== null && (local === null || entry === null)) return true;
    if (isIgnoreFileName(path)) return true;
    const before = base?.kind === 'file' ? base.content.digest : null;
    const digests = [
      ...(local?.kind === 'file' ? [local.digest] : []),
      ...(entry?.kind === 'file' ? [entry.content.digest] : []),
    ];
    return digests.some((digest) => digest !== before && store.isParkedContent(digest));
  }

  return {
    park(side, paths) {
      store.park(paths);
      sides.add(side);
      parked = store.parked();
      answers = holds.answers();
    },
    stands: (side) => sides.has(side),
    wakes(rows) {
      if (sides.size === 0 || !(isTouched() || rows.some(isRelated))) return false;
      sides.clear();
      store.unpark();
      return true;
    },
  };
}
