/**
 * Keeps what waits for a person, and what was confirmed, in the state store: so that a stopped peer's holds can be looked at
 * and confirmed too, and a restart forgets neither. A confirmation covers the subjects of one hold as it stood, under the
 * guard that held them, until the guard says that they are over.
 *
 * Leaves to the guards what is held, and to core/holds.ts which hold somebody means.
 */
import type { ConfirmAnswer, HoldChoice, HoldInfo } from '../control.ts';
import {
  type Held,
  type HoldDraft,
  type HoldPick,
  type HoldSource,
  holdInfo,
  holdOf,
  isDeclinable,
  pickHold,
  reasonOf,
} from '../core/holds.ts';
import type { Halt } from '../core/peer-state.ts';
import type { Clock } from '../ports/clock.ts';
import type { Hashing } from '../ports/hashing.ts';
import type { StateStore } from '../ports/state-store.ts';

export interface Holds {
  /** What a guard holds now, in place of what it held before. */
  set(source: HoldSource, drafts: readonly HoldDraft[]): void;
  /** Writes down what grew too fast to be written each time. Called often. */
  keepUp(): void;
  /** What that guard holds, shown or not; of an earlier run too, until it is set anew. */
  of(source: HoldSource): readonly Held[];
  /** Whether somebody let this subject of that guard go. */
  isConfirmed(source: HoldSource, subject: string): boolean;
  hasConfirmed(source: HoldSource): boolean;
  /** A confirmation is used up by what it was for, and ends when that came back by itself. */
  endConfirmed(source: HoldSource, isOver: (subject: string) => boolean): void;
  list(): readonly HoldInfo[];
  /** The first shown hold that covers this path, however many it covers. */
  holding(path: string): HoldInfo | undefined;
  /** What the state of the peer says about it; null while nothing is held. */
  halt(): Halt | null;
  /** Which hold a choice means; nothing is let go. */
  pick(choice: HoldChoice): ConfirmAnswer;
  /** Lets one hold go: exactly what it lists. */
  confirm(choice: HoldChoice): ConfirmAnswer;
  /** Ends one without what it would do: `keep` sees to that, in the same transaction. */
  decline(choice: HoldChoice, keep: (held: Held) => void): ConfirmAnswer;
  /** How many were answered in this run. */
  answers(): number;
}

/** Setting: the holds, as last shown. */
const heldSetting = 'holds';
/** Setting: confirmed subjects by source. */
const confirmedSetting = 'holds-confirmed';
/** A deletion that goes on grows its hold with every look; it is written down no more often than this. */
const writeEveryMs = 1_000;

export function createHolds(parts: {
  readonly store: StateStore;
  readonly hashing: Hashing;
  readonly clock: Clock;
}): Holds {
  const { store, hashing, clock } = parts;
  const held = new Map<HoldSource, readonly Held[]>();
  // What still grew when that run ended is as whole as it will be.
  for (const one of parse<readonly Held[]>(store.setting(heldSetting), []))
    held.set(one.source, [...(held.get(one.source) ?? []), { ...one, isGrowing: false }]);
  const confirmed = new Map<HoldSource, Set<string>>();
  for (const [source, subjects] of Object.entries(
    parse<Partial<Record<HoldSource, readonly string[]>>>(store.setting(confirmedSetting), {}),
  ))
    confirmed.set(source as HoldSource, new Set(subjects));
  let answers = 0;
  let writtenMs = Number.NEGATIVE_INFINITY;
  let written = idsOf(all());

  function all(): readonly Held[] {
    return [...held.values()].flat();
  }
  const shown = (): readonly Held[] => all().filter(({ isGrowing }) => isGrowing !== true);

  function write(isUrgent: boolean): void {
    const now = idsOf(all());
    if (now === written) return;
    // Less than what is written down could be confirmed meanwhile, never more.
    if (!isUrgent && clock.monotonicMs() - writtenMs < writeEveryMs) return;
    writtenMs = clock.monotonicMs();
    written = now;
    store.setSetting(heldSetting, now === '' ? null : JSON.stringify(all()));
  }

  function writeConfirmed(): void {
    const entries = [...confirmed].filter(([, subjects]) => subjects.size > 0);
    store.setSetting(
      confirmedSetting,
      entries.length === 0
        ? null
        : JSON.stringify(Object.fromEntries(entries.map(([source, subjects]) => [source, [...subjects]]))),
    );
  }

  function set(source: HoldSource, drafts: readonly HoldDraft[]): void {
    const before = held.get(source) ?? [];
    if (before.length === 0 && drafts.length === 0) return;
    held.set(
      source,
      drafts.map((draft) => holdOf(source, draft, hashing.sha256)),
    );
    write(before.length !== drafts.length);
  }

  const answerOf = (picked: HoldPick): ConfirmAnswer =>
    picked.kind === 'one'
      ? { ok: true, message: 'confirmed', holds: [holdInfo(picked.held)] }
      : { ok: false, message: picked.reason, holds: picked.holds.map(holdInfo) };

  function decline(choice: HoldChoice, keep: (held: Held) => void): ConfirmAnswer {
    const picked = pickHold(shown(), choice);
    if (picked.kind === 'refused') return answerOf(picked);
    const { held: one } = picked;
    if (!isDeclinable(one))
      return { ok: false, message: `only a held deletion can be declined; here: ${one.next}`, holds: [holdInfo(one)] };
    store.transaction(() => {
      keep(one);
      // That guard remembers what it saw until it is let go: nothing of it is lost any more.
      if (one.source === 'root') letGo(one);
      else drop(one);
    });
    return { ...answerOf(picked), message: 'declined: what would have gone is kept' };
  }

  function confirm(choice: HoldChoice): ConfirmAnswer {
    const picked = pickHold(shown(), choice);
    if (picked.kind === 'one') letGo(picked.held);
    return answerOf(picked);
  }

  function letGo(one: Held): void {
    const { source, subjects } = one;
    const known = confirmed.get(source) ?? new Set();
    for (const subject of subjects) known.add(subject);
    confirmed.set(source, known);
    store.transaction(() => {
      writeConfirmed();
      drop(one);
    });
  }

  function drop(one: Held): void {
    const { source } = one;
    answers += 1;
    held.set(
      source,
      (held.get(source) ?? []).filter((other) => other !== one),
    );
    write(true);
  }

  return {
    set,
    answers: () => answers,
    keepUp: () => write(false),
    of: (source) => held.get(source) ?? [],
    isConfirmed: (source, subject) => confirmed.get(source)?.has(subject) === true,
    hasConfirmed: (source) => (confirmed.get(source)?.size ?? 0) > 0,
    endConfirmed: (source, isOver) => {
      const subjects = confirmed.get(source);
      if (subjects === undefined || subjects.size === 0) return;
      const before = subjects.size;
      for (const subject of subjects) if (isOver(subject)) subjects.delete(subject);
      if (subjects.size !== before) writeConfirmed();
    },
    list: () => shown().map(holdInfo),
    holding: (path) => {
      const one = shown().find(({ subjects }) => subjects.includes(path));
      return one === undefined ? undefined : holdInfo(one);
    },
    halt: () => {
      const [first, ...others] = shown();
      if (first === undefined) return null;
      const { code, next } = first;
      const reason = reasonOf(first);
      return { code, reason: others.length === 0 ? reason : `${reason} (and ${others.length} more held)`, next };
    },
    pick: (choice) => answerOf(pickHold(shown(), choice)),
    confirm,
    decline,
  };
}

const idsOf = (holds: readonly Held[]): string => holds.map(({ id }) => id).join(' ');

function parse<T>(text: string | undefined, otherwise: T): T {
  return text === undefined ? otherwise : (JSON.parse(text) as T);
}
