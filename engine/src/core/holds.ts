/**
 * What waits for a person, as data: a hold has a kind, says what it covers, and has an id that follows from exactly that.
 * When the set grows or shrinks the id is another one, so that nobody confirms what was never shown.
 * Pure; which guard holds what, and what a confirmation sets free, is decided elsewhere.
 */
import { bytesToHex, comparePaths, type Entry, type RelPath } from '@driftless/protocol';
import type { ErrorCode, HoldChoice, HoldInfo, HoldKind } from '../control.ts';
import type { Sha256 } from './sha256.ts';

/** The guards that hold. Confirmations are kept apart by them. */
export type HoldSource =
  | 'root'
  | 'deletions-outgoing'
  | 'deletions-incoming'
  | 'disk'
  | 'scope'
  | 'record'
  | 'checkpoint';

/** What a guard wants held. */
export interface HoldDraft extends Partial<WentBefore> {
  readonly code: ErrorCode;
  readonly reason: string;
  /** What to do next, e.g. a command line. */
  readonly next: string;
  /** What a confirmation sets free: mostly paths, for a root its identity. Not empty. */
  readonly subjects: readonly string[];
  /** For people; without it the subjects are the paths. */
  readonly paths?: readonly string[];
  readonly author?: string | null;
  /** More may follow in a moment: it is held and remembered, but not shown yet, so that what is shown is whole. */
  readonly isGrowing?: boolean;
  /** Of deletions: files of the same burst that had gone for good before it was held. */
  readonly wentEarlier?: number;
  /** Of deletions: files that were there before the burst, for the next run, which finds more or fewer. */
  readonly filesBefore?: number;
}

/** Of deletions: what of the same burst went before anybody was asked. */
export interface WentBefore {
  /** To decline brings it back as well. */
  readonly wentUnasked: readonly WentUnasked[];
  /** How many more there were than are remembered. */
  readonly wentForGood: number;
}

/** `entry`: what was agreed on at that path. `height`: of the record that deleted it; null: it was not sent yet. */
export interface WentUnasked {
  readonly path: string;
  readonly entry: Entry;
  readonly height: number | null;
}

export interface Held extends Omit<HoldDraft, 'paths'> {
  readonly id: string;
  readonly source: HoldSource;
  readonly paths?: readonly string[];
}

/** Enough digits that two holds of one folder do not meet, few enough to be typed. */
const idDigits = 8;
/** Shown of a hold; it covers all of its paths. */
const pathsShownMax = 1_000;

const kinds: Readonly<Record<HoldSource, { readonly kind: HoldKind; readonly direction: HoldInfo['direction'] }>> = {
  root: { kind: 'root', direction: null },
  'deletions-outgoing': { kind: 'deletions', direction: 'outgoing' },
  'deletions-incoming': { kind: 'deletions', direction: 'incoming' },
  disk: { kind: 'disk', direction: 'outgoing' },
  scope: { kind: 'scope', direction: 'outgoing' },
  record: { kind: 'record', direction: 'incoming' },
  checkpoint: { kind: 'checkpoint', direction: 'incoming' },
};

/** Subjects sorted and once each, with the id that they give. */
export function holdOf(source: HoldSource, draft: HoldDraft, sha256: Sha256): Held {
  const subjects = inPathOrder(draft.subjects);
  const text = ['driftless hold 1', source, draft.code, ...subjects].join('\0');
  const id = bytesToHex(sha256(new TextEncoder().encode(text))).slice(0, idDigits);
  return { ...draft, subjects, id, source };
}

/** What is held, and what no answer brings back. */
export const reasonOf = ({ reason, wentForGood = 0 }: Held): string =>
  wentForGood === 0 ? reason : `${reason}; ${wentForGood} more are deleted on every machine already, and stay so`;

export function holdInfo(held: Held): HoldInfo {
  const paths = held.paths ?? held.subjects;
  return {
    id: held.id,
    ...kinds[held.source],
    code: held.code,
    reason: reasonOf(held),
    count: paths.length,
    paths: paths.slice(0, pathsShownMax),
    author: held.author ?? null,
    declinable: isDeclinable(held),
  };
}

export type HoldPick =
  | { readonly kind: 'one'; readonly held: Held }
  | { readonly kind: 'refused'; readonly reason: string; readonly holds: readonly Held[] };

/** The one hold that somebody means. More than one fits: none is. */
export function pickHold(holds: readonly Held[], { id, kind }: HoldChoice): HoldPick {
  if (holds.length === 0) return { kind: 'refused', reason: 'nothing waits for a confirmation', holds };
  const fitting = holds.filter(
    (held) => (id === undefined || held.id === id.toLowerCase()) && (kind === undefined || kindOf(held) === kind),
  );
  const [held] = fitting;
  if (held === undefined) {
    const wanted = [kind === undefined ? '' : `of kind ${kind}`, id === undefined ? '' : `with the id ${id}`];
    const words = wanted.filter((word) => word !== '').join(' ');
    return { kind: 'refused', reason: `nothing ${words} is held; what is held may have changed since`, holds };
  }
  if (fitting.length > 1)
    return {
      kind: 'refused',
      reason: `${fitting.length} things are held; name one of them by its id`,
      holds: fitting,
    };
  return { kind: 'one', held };
}

/** Whether it asks about files that would go: the other answer is that they stay. */
export const isDeclinable = ({ source, code }: Pick<Held, 'source' | 'code'>): boolean =>
  source === 'deletions-outgoing' || source === 'deletions-incoming' || code === 'root-emptied';

const kindOf = (held: Held): HoldKind => kinds[held.source].kind;

function inPathOrder(subjects: readonly string[]): readonly string[] {
  return [...new Set(subjects)].sort((a, b) => comparePaths(a as RelPath, b as RelPath));
}
