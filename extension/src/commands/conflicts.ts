/** "Sync: Show Conflicts", and the choices for the one that is open. */
import type { Keep } from '@driftless/engine';
import * as vscode from 'vscode';
import type { CommandContext } from '../context.ts';
import { messages } from '../present/messages.ts';
import { isRunning } from './pick-folder.ts';

export async function showConflicts({ conflicts, folders }: CommandContext): Promise<void> {
  if (!folders.list().some(isRunning)) {
    void vscode.window.showInformationMessage(messages.noConnectedFolder);
    return;
  }
  const rows = await conflicts.list();
  if (rows.length === 0) {
    void vscode.window.showInformationMessage(messages.noConflicts);
    return;
  }
  const row = await vscode.window.showQuickPick(rows, {
    title: 'Sync: Show Conflicts',
    placeHolder: 'Which conflict?',
    matchOnDescription: true,
  });
  if (row !== undefined) await conflicts.show(row);
}

export async function acceptActive({ conflicts }: CommandContext, keep: Keep): Promise<void> {
  const target = conflicts.active();
  if (target === undefined) void vscode.window.showInformationMessage(messages.noConflictOpen);
  else await conflicts.resolve(target, keep);
}
