/** "Sync: Show Conflicts", and the choices for the one that is open. */
import type { Keep } from '@driftless/engine';
import type { CommandContext } from '../context.ts';
import { messages } from '../present/messages.ts';
import { pick, tell } from '../window.ts';
import { isRunning } from './pick-folder.ts';

export async function showConflicts({ conflicts, folders }: CommandContext): Promise<void> {
  if (!folders.list().some(isRunning)) {
    void tell('info', messages.noConnectedFolder);
    return;
  }
  const rows = await conflicts.list();
  if (rows.length === 0) {
    void tell('info', messages.noConflicts);
    return;
  }
  const row = await pick(rows, {
    title: 'Sync: Show Conflicts',
    placeHolder: 'Which conflict?',
  });
  if (row !== undefined) await conflicts.show(row);
}

export async function acceptActive({ conflicts }: CommandContext, keep: Keep): Promise<void> {
  const target = conflicts.active();
  if (target === undefined) void tell('info', messages.noConflictOpen);
  else await conflicts.resolve(target, keep);
}
