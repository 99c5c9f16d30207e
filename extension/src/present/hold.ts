/** What waits for a person, in words: the line in a list of several, and the question about one with its answers. */
import type { HoldInfo, HoldKind } from '@driftless/engine';

const pathsShownMax = 12;

const labels: Readonly<Record<HoldKind, string>> = {
  deletions: 'Deletions',
  root: 'The folder itself',
  disk: 'A disk inside the folder',
  scope: 'Files that would be sent for the first time',
  growth: 'A burst of new files',
};

export interface HoldText {
  readonly item: { readonly label: string; readonly description: string; readonly detail: string };
  readonly question: string;
  readonly detail: string;
  /** Of the button that lets it go; null: there is no other answer than to leave it. */
  readonly confirm: string;
  readonly decline: string | null;
}

export function presentHold(hold: HoldInfo, folderName: string): HoldText {
  const shown = hold.paths.slice(0, pathsShownMax);
  const more = hold.count - shown.length;
  const label =
    hold.kind !== 'deletions' || hold.direction === null
      ? labels[hold.kind]
      : `${labels.deletions} ${hold.direction === 'incoming' ? 'from another machine' : 'made here'}`;
  return {
    item: { label, description: `${hold.count === 0 ? '' : `${hold.count} · `}${hold.id}`, detail: hold.reason },
    question: `${label}: ${hold.declinable ? `delete them, or keep them in ${folderName}` : `confirm what ${folderName} holds back`}?`,
    detail: [hold.reason, '', ...shown, ...(more > 0 ? [`… and ${more} more`] : [])].join('\n').trimEnd(),
    ...answersOf(hold),
  };
}

function answersOf({ declinable, direction }: HoldInfo): Pick<HoldText, 'confirm' | 'decline'> {
  if (!declinable) return { confirm: 'Confirm', decline: null };
  return direction === 'incoming'
    ? { confirm: 'Delete Here Too', decline: 'Bring Back Everywhere' }
    : { confirm: 'Delete Everywhere', decline: 'Bring Back Here' };
}
