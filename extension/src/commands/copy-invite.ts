/** "Sync: Copy Invite", and what is said whenever an invite was made. The invite goes to the clipboard and nowhere else. */
import * as vscode from 'vscode';
import { inviteRequest } from '../channel.ts';
import type { CommandContext } from '../context.ts';
import { extensionId } from '../contributions.ts';
import { messages } from '../present/messages.ts';
import { tell } from '../window.ts';
import { isConnected, pickFolder } from './pick-folder.ts';

export async function copyInvite(context: CommandContext): Promise<void> {
  const folder = await pickFolder(context, {
    title: 'Sync: Copy Invite',
    fits: isConnected,
    nothing: messages.noConnectedFolder,
  });
  if (folder === undefined) return;
  const { invite } = await context.host.request(inviteRequest, { dir: folder.dir });
  await offerInvite(invite);
}

/** Returns once it is on the clipboard; the message stays until it is closed. */
export async function offerInvite(invite: string, note?: string): Promise<void> {
  await vscode.env.clipboard.writeText(invite);
  const text = note === undefined ? messages.inviteCopied : `${messages.inviteCopied} ${note}`;
  void tell('info', text, 'Copy as Link').then(async (answer) => {
    if (answer === undefined) return;
    await vscode.env.clipboard.writeText(`${vscode.env.uriScheme}://${extensionId}/join#${invite}`);
    void tell('info', messages.inviteCopiedAsLink);
  });
}
