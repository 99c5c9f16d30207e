/**
 * "Sync: Copy Invite", and what is said when a folder was shared. The invite goes to the clipboard when somebody asks for it, and nowhere
 * else; in particular into no link: the system hands one on as a program's argument, and browsers and chats keep it.
 */
import * as vscode from 'vscode';
import { inviteRequest } from '../channel.ts';
import type { CommandContext } from '../context.ts';
import type { NamedFolder } from '../present/folder-view.ts';
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
  await copy(context, folder);
}

/** Returns at once; the message stays until it is closed. */
export function offerInvite(
  context: CommandContext,
  folder: NamedFolder,
  { note }: { readonly note: string | undefined },
): void {
  const text = [messages.shared(folder.name), note].filter((part) => part !== undefined).join(' ');
  tell('info', text, 'Copy Invite').then((answer) => {
    if (answer !== undefined) copy(context, folder).catch(context.log.failed);
  }, context.log.failed);
}

/** As it is now: from the moment on that the relay has answered it names the relay's identity. */
async function copy({ host }: CommandContext, folder: NamedFolder): Promise<void> {
  const { invite, pinsRelay } = await host.request(inviteRequest, { dir: folder.dir });
  await vscode.env.clipboard.writeText(invite);
  void tell(pinsRelay ? 'info' : 'warning', messages.inviteCopied(pinsRelay));
}
