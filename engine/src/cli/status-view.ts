/** What `driftless status` says, as lines for people: what needs them first, then that all is well, then the facts. Words only. */

import type { HoldInfo, Status } from '../control.ts';
import type { OutOfScopeReason } from '../core/row.ts';
import { shellWord } from '../core/shell-word.ts';
import { lookedText, stateText } from './peer-view.ts';

/** Enough to see what is wrong; `--json` gives all. */
export const shownMax = 20;

export function statusLines(status: Status, dir: string): readonly string[] {
  const peers = status.peers.map(
    (peer) =>
      `${peer.name} (${peer.online ? 'here' : peer.lastSeen === null ? 'never seen' : `last seen ${peer.lastSeen}`})`,
  );
  const looked = lookedText({ ...status, conflicts: status.conflicts.length });
  return [
    `${status.dir}`,
    ...status.holds.flatMap((hold) => holdLines(hold, dir, { isOpen: true }).map((line) => `  ${line}`)),
    ...listed(
      'problem',
      status.problems.map(({ path, reason }) => (path === '' ? reason : `${path}: ${reason}`)),
    ),
    ...listed(
      'conflict',
      status.conflicts.map(({ path }) => path),
    ),
    ...listed('copy', status.conflictCopies),
    ...listed(
      'unsaved',
      (status.waitingPaths ?? []).map(
        ({ path }) => `${path}: changed elsewhere, waits for edits that are not saved here`,
      ),
    ),
    `  state     ${stateLine(status, dir)}`,
    ...looked.map((text) => `  looked    ${text}`),
    `  files     ${filesLine(status)}`,
    `  head      ${status.head === null ? 'none yet' : `${status.head.height}, root ${status.root.slice(0, 16)}`}`,
    `  relay     ${status.relay}`,
    `  peers     ${peers.length === 0 ? 'none seen' : peers.join(', ')}`,
    ...(status.lastChange === null ? [] : [`  last      ${lastChangeLine(status.lastChange)}`]),
  ];
}

function stateLine(status: Status, dir: string): string {
  const now = stateText({ ...status, conflicts: status.conflicts.length }, dir);
  const words = now === '' ? `${status.state}, ${status.pending} pending` : now;
  const but =
    status.state === 'idle' && status.problems.length > 0
      ? `, but for ${plural(status.problems.length, 'problem')}`
      : '';
  return `${words}${but}${status.running ? '' : ' (no peer runs; stored state)'}`;
}

/** For the count: what a folder holds besides. */
const leftOutWords: Readonly<Record<string, string>> = {
  ignored: 'by ignore rules',
  'ignored-once-shared': 'by ignore rules',
  'awaiting-confirmation': 'until somebody confirms them here',
  unstorable: 'by a name that this disk cannot hold',
  'too-large': 'too large',
  unreadable: 'unreadable',
  'invalid-name': 'by a name that cannot travel',
  'special-file': 'pipes, sockets and devices',
  'outside-link': 'links that lead out of the folder',
  unmounted: 'on a disk that is not mounted',
  'directory-of-out-of-scope': 'directories with nothing else in them',
} satisfies Readonly<Record<OutOfScopeReason, string>>;

function filesLine({ files, outOfScope, outOfScopeByReason }: Status): string {
  if (outOfScope === 0) return `${files}`;
  const reasons = Object.entries(outOfScopeByReason).map(
    ([reason, count]) => `${count} ${leftOutWords[reason] ?? reason}`,
  );
  return `${files}; left out: ${reasons.join(', ')}`;
}

const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;

/** What is held, how much, by whom, which paths, and how it is let go. */
export function holdLines(hold: HoldInfo, dir: string, { isOpen }: { readonly isOpen: boolean }): readonly string[] {
  const paths = hold.paths.slice(0, shownMax);
  const by = hold.author === null ? '' : `, by ${hold.author}`;
  const count = hold.count === 0 ? '' : `, ${hold.count} path${hold.count === 1 ? '' : 's'}`;
  return [
    `${isOpen ? 'held      ' : ''}${hold.id} (${hold.kind}${count}${by}): ${hold.reason}`,
    ...paths.map((path) => `    ${path}`),
    ...(hold.count > paths.length ? [`    … and ${hold.count - paths.length} more`] : []),
    ...(isOpen ? [`    let it go with: driftless confirm ${shellWord(dir)} ${hold.id}`] : []),
    ...(isOpen && hold.declinable ? [`    keep them with: driftless decline ${shellWord(dir)} ${hold.id}`] : []),
  ];
}

/** `count`: of all, when `lines` are the first of them. */
export function listed(word: string, lines: readonly string[], count: number = lines.length): readonly string[] {
  const shown = lines.slice(0, shownMax).map((line) => `  ${word.padEnd(9)} ${line}`);
  return count > shown.length ? [...shown, `  … and ${count - shown.length} more`] : shown;
}

function lastChangeLine({ path, by, time }: NonNullable<Status['lastChange']>): string {
  return `${path}${by === null ? '' : ` by ${by}`}, ${time}`;
}
