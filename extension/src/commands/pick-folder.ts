/** Which folder a command is about: the only one, the chosen one, or a sentence on why there is none. */
import * as vscode from 'vscode';
import type { CommandContext } from '../context.ts';
import type { NamedFolder } from '../present/folder-view.ts';
import { messages } from '../present/messages.ts';
import { presentStatusBar } from '../present/status-bar.ts';

/** undefined: there was none, which was said, or the choice was left. */
export async function pickFolder(
  { folders }: CommandContext,
  options: { readonly title: string; readonly fits: (folder: NamedFolder) => boolean; readonly nothing: string },
): Promise<NamedFolder | undefined> {
  const all = folders.list();
  const fitting = all.filter(options.fits);
  const [only] = fitting;
  if (only === undefined) {
    void vscode.window.showInformationMessage(all.length === 0 ? messages.noFolder : options.nothing);
    return undefined;
  }
  if (fitting.length === 1) return only;
  const items = fitting.map((folder) => ({
    label: folder.name,
    description: presentStatusBar([folder], Date.now())?.accessibleText ?? '',
    detail: folder.dir,
    folder,
  }));
  return (
    await vscode.window.showQuickPick(items, {
      title: options.title,
      placeHolder: 'Which folder?',
      matchOnDetail: true,
    })
  )?.folder;
}

export const isConnected = (folder: NamedFolder): boolean =>
  folder.view.kind !== 'unlinked' && folder.view.kind !== 'restricted';
export const isRunning = (folder: NamedFolder): boolean => folder.view.kind === 'running';
