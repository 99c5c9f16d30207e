/** What the extension says, in sentences with the next step. */
import type { PeerState } from '@driftless/engine';
import { type CommandId, commandIds } from '../contributions.ts';
import type { FolderView } from './folder-view.ts';
import { plural } from './text.ts';

export const messages = {
  noFolder: 'Open a folder first: Driftless keeps workspace folders in sync.',
  noConnectedFolder: 'No folder of this window is connected. Run "Sync: Connect Peer" first.',
  notTrusted: 'Syncing starts once you trust this workspace.',
  noConflicts: 'There are no conflicts.',
  noConflictOpen: 'No conflict is open. Run "Sync: Show Conflicts" and choose one.',
  noFileToExplain: 'Open a file of a connected folder first, then ask what Driftless does with it.',
  alreadyConnected: (name: string) =>
    `${name} is connected already. Run "Sync: Copy Invite" to add another machine, or "Sync: Disconnect Folder" first.`,
  shared: (name: string) =>
    `${name} is shared. Another machine joins with its invite, which is as secret as a password: whoever has it can read and write this folder.`,
  inviteCopied: (pinsRelay: boolean) =>
    `The invite is on the clipboard. On the other machine run "Sync: Connect Peer", "Join with an invite", and paste it. Whoever has it can read and write this folder: send it privately, and copy something else afterwards.${pinsRelay ? '' : " It does not name the relay's identity yet: copy it again once the relay has answered, or the other machine trusts the relay that it meets first."}`,
  joined: (name: string) => `${name} is connected.`,
  runnableCame: (name: string, count: number) =>
    `${name} has joined, with ${plural(count, 'file')} that can run code here: the log names them.`,
  disconnected: (name: string) => `${name} is disconnected. Its files stay as they are.`,
  missingSecret: (name: string) =>
    `The keys of ${name} are not in this VS Code: they are kept by the profile, or browser, that connected it. Join again with an invite from another machine; no file is lost.`,
  engineDown: (reason: string) => `The sync engine of this window stopped: ${reason}. It is restarted by itself.`,
  conflictFound: (count: number) =>
    `${plural(count, 'file')} changed on two machines in ways that do not merge. Both versions are kept until you choose.`,
  openConflict: (path: string) => `${path}: their version on the left, yours on the right. Which one stays?`,
} as const;

/** Actions that make sense for a folder now: what a click on the status bar offers. */
export function presentActions(
  view: FolderView,
): readonly { readonly command: CommandId; readonly label: string; readonly detail?: string }[] {
  const always = [{ command: commandIds.showLog, label: 'Show Log' }];
  switch (view.kind) {
    case 'unlinked':
      return [{ command: commandIds.connectPeer, label: 'Connect Peer' }, ...always];
    case 'restricted':
    case 'starting':
    case 'owned':
      return always;
    case 'engine-down':
      return [{ command: commandIds.resume, label: 'Restart the Engine Now', detail: view.reason }, ...always];
    case 'failed':
      return view.code === 'missing-secret'
        ? [
            { command: commandIds.disconnectFolder, label: 'Disconnect, to Join Again', detail: view.message },
            ...always,
          ]
        : [
            { command: commandIds.resume, label: 'Try Again', detail: view.message },
            { command: commandIds.disconnectFolder, label: 'Disconnect Folder' },
            ...always,
          ];
    case 'running':
      return [
        ...stateActions(view.state),
        { command: commandIds.copyInvite, label: 'Copy Invite' },
        { command: commandIds.disconnectFolder, label: 'Disconnect Folder' },
        ...always,
      ];
  }
}

function stateActions(
  state: PeerState,
): readonly { readonly command: CommandId; readonly label: string; readonly detail?: string }[] {
  const reason = state.reason === undefined ? {} : { detail: state.reason };
  const conflicts =
    state.conflicts === 0 ? [] : [{ command: commandIds.showConflicts, label: `Show Conflicts (${state.conflicts})` }];
  const flow =
    state.state === 'paused'
      ? { command: commandIds.resume, label: 'Resume' }
      : { command: commandIds.pause, label: 'Pause' };
  if (state.state !== 'error') return [...conflicts, flow];
  if (state.code === 'relay-key-changed')
    return [{ command: commandIds.trustRelay, label: 'Trust Relay', ...reason }, ...conflicts, flow];
  if (
    state.code === 'mass-deletion-held' ||
    state.code === 'mass-deletion-incoming' ||
    state.code === 'root-emptied' ||
    state.code === 'root-replaced' ||
    state.code === 'disk-held' ||
    state.code === 'scope-held'
  ) {
    return [{ command: commandIds.confirmHeld, label: 'Review Held Changes', ...reason }, ...conflicts, flow];
  }
  return [{ command: commandIds.resume, label: 'Try Again', ...reason }, ...conflicts, flow];
}
