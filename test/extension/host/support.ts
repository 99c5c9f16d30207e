/** For the suites in the extension host. */
import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { extensionId } from '../../../extension/src/contributions.ts';
import type { TestApi } from '../../../extension/src/extension.ts';
import type { FolderView } from '../../../extension/src/present/folder-view.ts';

const conditionMsMax = 30_000;

export async function activated(): Promise<TestApi> {
  const extension = vscode.extensions.getExtension<TestApi | undefined>(extensionId);
  assert.ok(extension, 'the extension is there');
  const api = await extension.activate();
  assert.ok(api, 'it hands its parts to tests');
  return api;
}

export function workspaceDir(): string {
  const folder = vscode.workspace.workspaceFolders?.[0];
  assert.ok(folder, 'the window has a folder');
  return folder.uri.fsPath;
}

export function viewOf(api: TestApi): FolderView {
  const view = api.folders.find(workspaceDir())?.view;
  assert.ok(view, 'the folder is known');
  return view;
}

/** Resolves with the first value that `look` finds, looking again at every change that the window's parts announce. */
export function eventually<Value>(api: TestApi, what: string, look: () => Value | undefined): Promise<Value> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      clearTimeout(timer);
      for (const each of listening) each.dispose();
      finish();
    };
    const check = (): void => {
      const value = look();
      if (value !== undefined) settle(() => resolve(value));
    };
    const listening = [api.host.onDidChangeState(check), api.folders.onDidChange(check)];
    const timer = setTimeout(
      () =>
        settle(() =>
          reject(
            new Error(
              `did not come: ${what}; engine ${JSON.stringify(api.host.state)}, folders ${JSON.stringify(api.folders.list())}`,
            ),
          ),
        ),
      conditionMsMax,
    );
    check();
  });
}
