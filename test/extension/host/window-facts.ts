/** What the window shows, as the extension derives it, and what it contributes. */
import * as vscode from 'vscode';
import type { TestApi } from '../../../extension/src/extension.ts';
import { presentStatusBar } from '../../../extension/src/present/status-bar.ts';

export function presentStatusText(api: TestApi): string {
  return presentStatusBar(api.folders.list(), Date.now())?.label ?? '';
}

export function commandsOf(extension: string): readonly string[] {
  const manifest = vscode.extensions.getExtension(extension)?.packageJSON as
    | { readonly contributes: { readonly commands: readonly { readonly command: string }[] } }
    | undefined;
  return (manifest?.contributes.commands ?? []).map((each) => each.command).sort();
}
