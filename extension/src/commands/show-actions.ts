/** What a click on the status bar opens: the actions that make sense now. */
import * as vscode from 'vscode';
import type { CommandContext } from '../context.ts';
import { messages, presentActions } from '../present/messages.ts';
import { presentStatusBar } from '../present/status-bar.ts';
import { pick } from '../window.ts';
import { pickFolder } from './pick-folder.ts';

export async function showActions(context: CommandContext): Promise<void> {
  const folder = await pickFolder(context, {
    title: 'Sync',
    fits: ({ view }) => view.kind !== 'unlinked',
    nothing: messages.noConnectedFolder,
  });
  if (folder === undefined) return;
  const state = presentStatusBar([folder], Date.now());
  const placeHolder =
    folder.view.kind === 'owned' || folder.view.kind === 'failed'
      ? folder.view.message
      : `${folder.name}: ${state?.label ?? ''}`;
  const item = await pick(presentActions(folder.view), { title: 'Sync', placeHolder });
  if (item !== undefined) await vscode.commands.executeCommand(item.command);
}
