/** The commands that ask one thing of one folder's peer: pause, resume, confirm, trust, explain, disconnect. */
import path from 'node:path';
import type { ControlAnswer, HoldInfo } from '@driftless/engine';
import * as vscode from 'vscode';
import {
  actionRequest,
  confirmRequest,
  declineRequest,
  explainRequest,
  holdsRequest,
  type PlainAction,
  trustRelayRequest,
} from '../channel.ts';
import type { CommandContext } from '../context.ts';
import type { NamedFolder } from '../present/folder-view.ts';
import { presentHold } from '../present/hold.ts';
import { messages } from '../present/messages.ts';
import { trustQuestion } from '../present/trust-relay.ts';
import { ask, pick, tell, tellBriefly } from '../window.ts';
import { isConnected, isRunning, pickFolder } from './pick-folder.ts';

export async function pause(context: CommandContext): Promise<void> {
  const folder = await pickFolder(context, {
    title: 'Sync: Pause',
    fits: isRunning,
    nothing: messages.noConnectedFolder,
  });
  if (folder !== undefined) await act(context, folder, 'pause');
}

/** Also what "Try Again" means for a folder that is not running. */
export async function resume(context: CommandContext): Promise<void> {
  const folder = await pickFolder(context, {
    title: 'Sync: Resume',
    fits: isConnected,
    nothing: messages.noConnectedFolder,
  });
  if (folder === undefined) return;
  if (folder.view.kind === 'running') await act(context, folder, 'resume');
  else context.folders.retry(folder.dir);
}

/** Shows what is held, one at a time: what is confirmed is exactly what was shown. */
export async function confirmHeld(context: CommandContext): Promise<void> {
  const title = 'Sync: Review Held Changes';
  const nothing = 'Nothing is held for you to confirm.';
  const held = ({ view }: NamedFolder): boolean => view.kind === 'running' && view.state.state === 'error';
  const folder = await pickFolder(context, { title, fits: held, nothing });
  if (folder === undefined) return;
  const holds = await context.folders.ask(holdsRequest, { dir: folder.dir });
  if (holds.length === 0) {
    void tell('info', nothing);
    return;
  }
  const hold = holds.length === 1 ? holds[0] : await pickHold(title, holds);
  if (hold === undefined) return;
  const { question, detail, answers } = presentHold(hold, folder.name);
  const chosen = await ask({ text: question, detail, answers: answers.map(({ label }) => label) });
  const answer = answers.find(({ label }) => label === chosen);
  if (answer === undefined) return;
  const request = answer.does === 'decline' ? declineRequest : confirmRequest;
  const { ok, message } = await context.folders.ask(request, { dir: folder.dir, id: hold.id });
  if (ok) tellBriefly(message);
  else void tell('warning', message);
}

async function pickHold(title: string, holds: readonly HoldInfo[]): Promise<HoldInfo | undefined> {
  const items = holds.map((hold) => ({ ...presentHold(hold, '').item, hold }));
  return (await pick(items, { title, placeHolder: 'Several things are held. Which one?' }))?.hold;
}

export async function trustRelay(context: CommandContext): Promise<void> {
  const folder = await pickFolder(context, {
    title: 'Sync: Trust Relay',
    fits: (named) => trustQuestion(named) !== undefined,
    nothing: 'No relay has changed its key.',
  });
  const question = folder === undefined ? undefined : trustQuestion(folder);
  if (folder === undefined || question === undefined) return;
  const { text, detail, key } = question;
  const go = await ask({ text, detail, answers: ['Trust the New Key'] });
  if (go === 'Trust the New Key') tellAnswer(await context.folders.ask(trustRelayRequest, { dir: folder.dir, key }));
}

export async function disconnectFolder(context: CommandContext): Promise<void> {
  const folder = await pickFolder(context, {
    title: 'Sync: Disconnect Folder',
    fits: isConnected,
    nothing: messages.noConnectedFolder,
  });
  if (folder === undefined) return;
  const go = await ask({
    text: `Disconnect ${folder.name}?`,
    detail: [
      'Its files stay as they are, here and on the other machines. To connect it again you need an invite from one of those.',
    ],
    answers: ['Disconnect'],
  });
  if (go !== 'Disconnect') return;
  await context.folders.disconnect(folder.dir);
  void tell('info', messages.disconnected(folder.name));
}

/** From the palette it is about the active editor, from a menu about what was clicked. */
export async function explainFile(context: CommandContext, clicked?: unknown): Promise<void> {
  const uri = clicked instanceof vscode.Uri ? clicked : vscode.window.activeTextEditor?.document.uri;
  const folder = uri === undefined ? undefined : folderOf(context, uri);
  if (uri === undefined || folder === undefined) {
    void tell('info', messages.noFileToExplain);
    return;
  }
  const relative = path.relative(folder.dir, uri.fsPath).split(path.sep).join('/');
  const { lines } = await context.folders.ask(explainRequest, { dir: folder.dir, path: relative });
  await ask({ text: relative, detail: lines, answers: [] });
}

function folderOf({ folders }: CommandContext, uri: vscode.Uri): NamedFolder | undefined {
  const dir = vscode.workspace.getWorkspaceFolder(uri)?.uri.fsPath;
  const folder = dir === undefined ? undefined : folders.find(dir);
  return folder !== undefined && isRunning(folder) ? folder : undefined;
}

async function act({ folders }: CommandContext, folder: NamedFolder, action: PlainAction): Promise<void> {
  tellAnswer(await folders.ask(actionRequest, { dir: folder.dir, action }));
}

function tellAnswer({ ok, message }: ControlAnswer): void {
  if (ok) tellBriefly(message);
  else void tell('warning', message);
}
