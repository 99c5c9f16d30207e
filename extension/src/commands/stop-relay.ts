/** "Sync: Stop the Relay on This Machine". */
import * as vscode from 'vscode';
import type { CommandContext } from '../context.ts';

export async function stopRelay({ relay }: CommandContext): Promise<void> {
  const go = await vscode.window.showWarningMessage(
    'Stop the relay on this machine?',
    {
      modal: true,
      detail: 'Folders that meet there are offline until it is hosted again. What it stores stays on this machine.',
    },
    'Stop It',
  );
  if (go !== 'Stop It') return;
  const outcome = await relay.stop();
  void vscode.window.showInformationMessage(
    outcome === 'stopped' ? 'The relay is stopped.' : 'No relay runs on this machine.',
  );
}
