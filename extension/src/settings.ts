/** The extension's settings, read where they are needed. */
import { hostname } from 'node:os';
import type { ConflictPolicy } from '@driftless/engine';
import * as vscode from 'vscode';
import { type SettingId, settingIds } from './contributions.ts';

export const settings = {
  relayUrl: (): string => read<string>(settingIds.relayUrl, '').trim(),
  deviceName: (): string => read<string>(settingIds.deviceName, '').trim().slice(0, 64) || hostname(),
  hostedRelayPort: (): number => read<number>(settingIds.hostedRelayPort, 4747),
  onConflict: (dir: string): ConflictPolicy => {
    const value = read<string>(settingIds.onConflict, 'ask', vscode.Uri.file(dir));
    return value === 'keep-both' || value === 'newest' ? value : 'ask';
  },
};

function read<Value>(id: SettingId, fallback: Value, scope?: vscode.Uri): Value {
  return vscode.workspace.getConfiguration(undefined, scope).get<Value>(id) ?? fallback;
}
