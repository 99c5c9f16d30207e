/** Shows the status bar model. */
import * as vscode from 'vscode';
import type { Folders } from './folders.ts';
import { presentStatusBar } from './present/status-bar.ts';

export function createStatusBar(folders: Folders): vscode.Disposable {
  const item = vscode.window.createStatusBarItem('driftless.status', vscode.StatusBarAlignment.Left, 50);
  item.name = 'Driftless';
  const render = (): void => {
    const model = presentStatusBar(folders.list(), Date.now());
    if (model === undefined) return item.hide();
    item.text = model.text;
    item.tooltip = new vscode.MarkdownString(model.tooltip);
    item.command = model.command;
    item.accessibilityInformation = { label: model.accessibleText };
    item.backgroundColor =
      model.severity === 'none' ? undefined : new vscode.ThemeColor(`statusBarItem.${model.severity}Background`);
    item.show();
  };
  const listening = folders.onDidChange(render);
  render();
  return {
    dispose: () => {
      listening.dispose();
      item.dispose();
    },
  };
}
