/**
 * When something that takes no part in sync lies where the room has an entry (rule IG1): this machine cannot place the
 * entry, so the path is pending and shown, and is never taken for agreed on or deleted. Pure words and judgement; who asks
 * are the scan, for a thing that takes no part itself, and apply, for a directory that holds nothing else.
 */
import type { Entry, RelPath } from '@driftless/protocol';
import { liveEntry, sameEntry } from './entry-encoding.ts';
import { isIgnored, type OutOfScopeReason, type Row } from './row.ts';

const nounOf: Readonly<Record<Entry['kind'], string>> = { file: 'file', directory: 'folder', symlink: 'link' };
/** What lies in the way, by the reason for which it takes no part. */
const thingOf: Readonly<Record<OutOfScopeReason, string>> = {
  ignored: 'something ignored',
  'ignored-once-shared': 'something ignored',
  'awaiting-confirmation': 'a file that is published only when you confirm it',
  unstorable: 'something that this disk takes for it',
  'too-large': 'a file that is too large to sync',
  unreadable: 'something that cannot be read',
  'invalid-name': 'something whose name cannot travel',
  'special-file': 'a pipe, socket or device',
  'outside-link': 'a link that leads out of the folder',
  'directory-of-out-of-scope': 'a folder that takes no part',
  unmounted: 'the place of a disk that is not mounted',
};

/**
 * `row` is of a thing on disk that takes no part for `reason`; `hasPlace`: the room's entry would take part here if the path
 * were free. What to show; null when nothing of the room is missing here.
 */
export function inTheWay(row: Row, reason: OutOfScopeReason, hasPlace: boolean): string | null {
  const entry = liveEntry(row.remote);
  // A disk that is away is held and said as a whole.
  if (entry === null || !hasPlace || reason === 'unmounted') return null;
  // The file itself, as the room has it: it grew too large here, or cannot be read.
  if ((reason === 'too-large' || reason === 'unreadable') && sameEntry(row.base, entry)) return null;
  return sentence(entry, `${thingOf[reason]} is in its place`);
}

/** A directory that the room replaced, and in which only what takes no part is left; `first` is one such path, if known, or a disk. */
export function leftoversInTheWay(
  entry: Entry,
  first: { readonly path: RelPath; readonly reason: OutOfScopeReason } | 'disk' | null,
): string {
  if (first === 'disk')
    return `the room has a ${nounOf[entry.kind]} here; a disk is mounted in its place: unmount that, and the ${nounOf[entry.kind]} arrives`;
  if (first === null) return sentence(entry, 'a folder that is not empty is in its place');
  const what = isIgnored(first.reason) ? 'ignored files are' : 'files that are not synced are';
  return sentence(entry, `${what} in its place (${first.path})`);
}

function sentence(entry: Entry, what: string): string {
  return `the room has a ${nounOf[entry.kind]} here; ${what}: move or delete that, and the ${nounOf[entry.kind]} arrives`;
}

/**
 * What was agreed on says nothing about a path that is found free after something else, or nothing that could be read, was
 * there: this machine did not delete the room's entry, it arrives again. A file that was seen to grow, or a directory that
 * was left out, had been the agreed one, and its going is a deletion; a disk that is away is held until somebody confirms just that.
 */
export function forgetsBaseWhenGone({ outOfScope, base }: Row): boolean {
  if (base === null || outOfScope === null || outOfScope === 'too-large' || outOfScope === 'unmounted') return false;
  return outOfScope !== 'directory-of-out-of-scope' || base.kind !== 'directory';
}
