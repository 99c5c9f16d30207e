/**
 * The status bar item as data, from the views of the window's folders. With several folders the one that needs a person most
 * speaks for all, and the tooltip lists each. It never shows more than is known: a stopped peer is not "in sync" (TRUTH).
 */
import type { PeerState, Status } from '@driftless/engine';
import { type CommandId, commandIds } from '../contributions.ts';
import type { FolderView, NamedFolder } from './folder-view.ts';
import { agoText, plural } from './text.ts';

export interface StatusBarModel {
  readonly icon: string;
  readonly label: string;
  /** One for each folder. */
  readonly tooltips: readonly Tooltip[];
  readonly command: CommandId;
  readonly severity: 'none' | 'warning' | 'error';
}
export interface Tooltip {
  readonly name: string;
  readonly label: string;
  /** Paragraphs: plain text, or a text with a list below it. */
  readonly lines: readonly TooltipLine[];
}
type TooltipLine = string | { readonly text: string; readonly list: readonly string[] };

/** More names say no more. */
const waitingShownMax = 10;

interface FolderPresentation {
  readonly icon: string;
  readonly label: string;
  readonly command: CommandId;
  readonly severity: StatusBarModel['severity'];
  /** The folder with the highest one speaks for the window. */
  readonly urgency: number;
}

/** undefined when the window has no folder. */
export function presentStatusBar(folders: readonly NamedFolder[], nowMs: number): StatusBarModel | undefined {
  const presented = folders.map((folder) => ({ folder, presentation: presentFolder(folder.view) }));
  const [first, ...rest] = presented;
  if (first === undefined) return undefined;
  const loudest = rest.reduce(
    (best, each) => (each.presentation.urgency > best.presentation.urgency ? each : best),
    first,
  );
  const { icon, label, command, severity } = loudest.presentation;
  const connected = presented.filter(({ folder }) => folder.view.kind !== 'unlinked');
  const named = connected.length > 1 && severity !== 'none' ? `${label} (${loudest.folder.name})` : label;
  const shown = connected.length === 0 ? presented.slice(0, 1) : connected;
  return {
    icon,
    label: named,
    tooltips: shown.map(({ folder, presentation }) => ({
      name: folder.name,
      label: presentation.label,
      lines: viewLines(folder.view, nowMs),
    })),
    command,
    severity,
  };
}

function presentFolder(view: FolderView): FolderPresentation {
  switch (view.kind) {
    case 'unlinked':
      return { icon: 'plug', label: 'not connected', command: commandIds.connectPeer, severity: 'none', urgency: 0 };
    case 'restricted':
      return {
        icon: 'shield',
        label: 'waits for trust',
        command: commandIds.showActions,
        severity: 'none',
        urgency: 3,
      };
    case 'starting':
      return { icon: 'sync~spin', label: 'starting', command: commandIds.showActions, severity: 'none', urgency: 4 };
    case 'owned':
      return {
        icon: 'lock',
        label: 'owned by another process',
        command: commandIds.showActions,
        severity: 'none',
        urgency: 5,
      };
    case 'failed':
      return {
        icon: 'error',
        label: 'needs attention',
        command: commandIds.showActions,
        severity: 'error',
        urgency: 9,
      };
    case 'engine-down':
      return {
        icon: 'error',
        label: 'engine stopped',
        command: commandIds.showActions,
        severity: 'error',
        urgency: 10,
      };
    case 'running':
      return presentState(view.state);
  }
}

function presentState(state: PeerState): FolderPresentation {
  const waiting = state.waitingForUnsavedEdits ? ', waiting for your unsaved edits' : '';
  switch (state.state) {
    case 'error':
      return {
        icon: 'error',
        label: errorLabel(state),
        command: commandIds.showActions,
        severity: 'error',
        urgency: 8,
      };
    case 'conflict':
      return {
        icon: 'git-merge',
        label: plural(state.conflicts, 'conflict'),
        command: commandIds.showConflicts,
        severity: 'warning',
        urgency: 7,
      };
    case 'offline':
      return {
        icon: 'debug-disconnect',
        label: withConflicts('offline', state),
        command: commandIds.showActions,
        severity: 'none',
        urgency: 6,
      };
    case 'paused':
      return {
        icon: 'debug-pause',
        label: withConflicts('paused', state),
        command: commandIds.showActions,
        severity: 'none',
        urgency: 5,
      };
    case 'scanning':
    case 'syncing':
      if (waitsOnly(state))
        return {
          icon: 'edit',
          label: withConflicts('waiting for your unsaved edits', state),
          command: commandIds.showActions,
          severity: 'none',
          urgency: 5,
        };
      return {
        icon: 'sync~spin',
        label: withConflicts(`${state.state}${progressText(state)}${waiting}`, state),
        command: commandIds.showActions,
        severity: 'none',
        urgency: 4,
      };
    case 'idle':
      return {
        icon: 'check',
        label: `in sync${waiting}`,
        command: commandIds.showActions,
        severity: 'none',
        urgency: 1,
      };
  }
}

/** Nothing else is to be done. */
function waitsOnly({ progress, pending, waitingPaths = [] }: PeerState): boolean {
  return progress === undefined && waitingPaths.length > 0 && pending <= waitingPaths.length;
}

function errorLabel(state: PeerState): string {
  switch (state.code) {
    case 'mass-deletion-held':
    case 'mass-deletion-incoming':
      return 'deletion held';
    case 'relay-key-changed':
      return 'relay key changed';
    case 'disk-full':
      return 'low disk space';
    case 'update-needed':
      return 'update needed';
    case 'checkpoint-unconfirmed':
      return 'waiting for another device';
    default:
      return 'needs attention';
  }
}

function withConflicts(label: string, state: PeerState): string {
  return state.conflicts === 0 ? label : `${label}, ${plural(state.conflicts, 'conflict')}`;
}

/** Files as n/m, bytes as a percentage, so that the text stays short. */
export function progressText(state: PeerState): string {
  const { progress } = state;
  if (progress === undefined || progress.total === 0) return state.pending > 0 ? ` ${state.pending}` : '';
  if (progress.unit === 'bytes')
    return ` ${Math.floor((100 * Math.min(progress.done, progress.total)) / progress.total)} %`;
  return ` ${progress.done}/${progress.total}`;
}

function viewLines(view: FolderView, nowMs: number): readonly TooltipLine[] {
  switch (view.kind) {
    case 'unlinked':
      return ['Click to share this folder, or to join one that another machine shares.'];
    case 'restricted':
      return ['Syncing starts once you trust this workspace.'];
    case 'starting':
      return [];
    case 'owned':
      return [view.message];
    case 'failed':
      return [view.message];
    case 'engine-down':
      return [`The sync engine stopped: ${view.reason}. It is restarted in ${Math.ceil(view.restartInMs / 1_000)} s.`];
    case 'running':
      return [...stateLines(view.state), ...(view.status === null ? [] : statusLines(view.status, nowMs))];
  }
}

function stateLines(state: PeerState): readonly TooltipLine[] {
  const lines: TooltipLine[] = [];
  if (state.reason !== undefined) lines.push(state.reason);
  if (state.next !== undefined) lines.push(`Next: ${state.next}`);
  if (state.pending > 0) lines.push(`${state.pending} pending`);
  const { waitingPaths = [] } = state;
  if (waitingPaths.length > 0) {
    const names = waitingPaths
      .slice(0, waitingShownMax)
      .map(({ path, version }) => `${path}${version === null ? ' (deleted or renamed there)' : ''}`);
    const more = waitingPaths.length > names.length ? [`… and ${waitingPaths.length - names.length} more`] : [];
    const text = 'Changed on another machine, and you have unsaved edits. Save to merge, or revert:';
    lines.push({ text, list: [...names, ...more] });
  }
  if (state.unwatched !== undefined) {
    const { directories, reason, next } = state.unwatched;
    const what = directories === null ? 'This folder is' : `${directories} of its folders are`;
    lines.push(`${what} not watched, so changes there are found by looking: ${reason}`);
    if (next !== '') lines.push(`Next: ${next}`);
  }
  return lines;
}

function statusLines(status: Status, nowMs: number): readonly TooltipLine[] {
  const lines: TooltipLine[] = [];
  const peers = status.peers.map((peer) => {
    const seen = peer.online
      ? `online${peer.agrees === false ? ', has another content of this folder' : ''}`
      : peer.lastSeen === null
        ? 'not seen yet'
        : `last seen ${agoText(peer.lastSeen, nowMs)}`;
    return `${peer.name}: ${seen}`;
  });
  lines.push(peers.length === 0 ? 'No other peer seen yet.' : { text: 'Peers:', list: peers });
  if (status.lastChange !== null) {
    const { path, by, time } = status.lastChange;
    lines.push(`Last change: ${path}${by === null ? '' : ` by ${by}`}, ${agoText(time, nowMs)}`);
  }
  if (status.head !== null)
    lines.push(
      `Verified to record ${status.head.height} (${status.head.id.slice(0, 8)}), ${plural(status.files, 'file')}`,
    );
  if (status.outOfScope > 0) lines.push(`${plural(status.outOfScope, 'path')} not synced here`);
  if (status.problems.length > 0)
    lines.push(`${plural(status.problems.length, 'problem')}: ${firstOf(status.problems)}`);
  return lines;
}

function firstOf(problems: Status['problems']): string {
  const [first] = problems;
  return first === undefined ? '' : first.path === '' ? first.reason : `${first.path}: ${first.reason}`;
}
