/** What waits for a person, in words: the line in a list of several, and the question about one with its answers. */
import type { HoldInfo, HoldKind } from '@driftless/engine';

const pathsShownMax = 12;

const labels: Readonly<Record<HoldKind, string>> = {
  deletions: 'Deletions',
  root: 'The folder itself',
  disk: 'A disk inside the folder',
  scope: 'Files that would be sent for the first time',
  record: 'A change of a later version of Driftless',
  checkpoint: 'What one device alone says of the room',
};

export interface HoldText {
  readonly item: { readonly label: string; readonly description: string; readonly detail: string };
  readonly question: string;
  readonly detail: readonly string[];
  /** The buttons beside Cancel. The first is what Enter presses: where files would go, the one that keeps them. */
  readonly answers: readonly HoldAnswer[];
}
export interface HoldAnswer {
  readonly label: string;
  readonly does: 'confirm' | 'decline';
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
    question: questionOf(hold, label, folderName),
    detail: [hold.reason, ...(shown.length > 0 ? ['', ...shown] : []), ...(more > 0 ? [`… and ${more} more`] : [])],
    answers: answersOf(hold),
  };
}

function questionOf({ kind, declinable }: HoldInfo, label: string, folderName: string): string {
  if (kind === 'checkpoint') return `Believe one device alone about what ${folderName} should hold?`;
  return `${label}: ${declinable ? `delete them, or keep them in ${folderName}` : `confirm what ${folderName} holds back`}?`;
}

function answersOf({ declinable, direction }: HoldInfo): readonly HoldAnswer[] {
  if (!declinable) return [{ label: 'Confirm', does: 'confirm' }];
  const [keep, remove] =
    direction === 'incoming' ? ['Bring Back Everywhere', 'Delete Here Too'] : ['Bring Back Here', 'Delete Everywhere'];
  return [
    { label: keep, does: 'decline' },
    { label: remove, does: 'confirm' },
  ];
}
