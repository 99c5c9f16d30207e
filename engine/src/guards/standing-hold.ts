/**
 * A mass deletion may wait for its answer for days. What it holds back is parked in the state store meanwhile, so that a save costs
 * the same as ever, and is looked at again as a whole as soon as anything has to do with it: one of its rows changed, more went,
 * one of its contents appeared elsewhere, the rules of what takes part changed, or somebody answered.
 *
 * Leaves to others what is held (deletion-hold.ts).
 */
import type { Entry, RelPath } from '@driftless/protocol';
import { liveEntry } from '../core/entry-encoding.ts';
import { isIgnoreFileName } from '../core/ignore-rules.ts';
import type { LocalEntry } from '../core/local-entry.ts';
import type { Row } from '../core/row.ts';
import type { StateStore } from '../ports/state-store.ts';
import type { Holds } from './holds.ts';

type Side = 'outgoing' | 'incoming';

export interface StandingHold {
  /** Somebody was asked about these, and what is left of the plan goes on without them. */
  park(side: Side, paths: readonly RelPath[]): void;
  /** All of that side's burst is parked, as it was judged. */
  stands(side: Side): boolean;
  /**
   * Whether one of these has to do with what is parked: then nothing is any more, and all is to be looked at again.
   * `areRules`: they are ignore files that are about to be applied.
   */
  wakes(rows: readonly Row[], areRules: boolean): boolean;
}

export function createStandingHold(
  store: Pick<StateStore, 'park' | 'unpark' | 'parked' | 'isParkedContent'>,
  holds: Pick<Holds, 'answers'>,
): StandingHold {
  const sides = new Set<Side>();
  let parked = 0;
  let answers = 0;
  /** Ignore files that were there to be planned at the last look: one that only waits says nothing new. */
  let rules: ReadonlySet<string> = new Set();
  // An earlier run's: judged anew by this one.
  store.unpark();

  const isTouched = (): boolean => store.parked() !== parked || holds.answers() !== answers;
  function isRelated({ base, local, remote }: Row): boolean {
    const entry = liveEntry(remote);
    // What goes on the other side is judged there: it may wait for days itself, and is no part of this question.
    if (base !== null && ((local === null && sides.has('outgoing')) || (entry === null && sides.has('incoming'))))
      return true;
    const before = base?.kind === 'file' ? base.content.digest : null;
    const digests = [
      ...(local?.kind === 'file' ? [local.digest] : []),
      ...(entry?.kind === 'file' ? [entry.content.digest] : []),
    ];
    return digests.some((digest) => digest !== before && store.isParkedContent(digest));
  }

  function areNewRules(rows: readonly Row[], areRules: boolean): boolean {
    const found = rows.filter(({ path }) => isIgnoreFileName(path));
    if (areRules) return found.length > 0;
    const before = rules;
    rules = new Set(found.map(stateOf));
    return [...rules].some((state) => !before.has(state));
  }

  return {
    park(side, paths) {
      store.park(paths);
      sides.add(side);
      parked = store.parked();
      answers = holds.answers();
    },
    stands: (side) => sides.has(side),
    wakes(rows, areRules) {
      const isNews = areNewRules(rows, areRules);
      if (sides.size === 0 || !(isNews || isTouched() || rows.some(isRelated))) return false;
      sides.clear();
      store.unpark();
      return true;
    },
  };
}

const stateOf = ({ path, base, local, remote }: Row): string =>
  [path, contentOf(base), contentOf(local), contentOf(liveEntry(remote))].join('\0');

function contentOf(side: Entry | LocalEntry | null): string {
  if (side?.kind !== 'file') return side?.kind ?? 'none';
  return 'digest' in side ? side.digest : side.content.digest;
}
