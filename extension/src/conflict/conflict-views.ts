/**
 * Opens a conflict in VS Code's diff editor (theirs ↔ mine), knows which one is open, and carries out the choice. A choice goes
 * through the engine, which closes the conflict on every peer.
 */
import path from 'node:path';
import type { ConflictInfo, ConflictSides, Keep } from '@driftless/engine';
import * as vscode from 'vscode';
import { conflictSidesRequest, conflictsRequest, resolveRequest } from '../channel.ts';
import { conflictOpenContext } from '../contributions.ts';
import type { Folders } from '../folders.ts';
import { type ConflictRow, diffTitle, presentConflicts } from '../present/conflict-list.ts';
import { messages } from '../present/messages.ts';
import { plural } from '../present/text.ts';
import { openDiff, tell, tellBriefly } from '../window.ts';
import { type ConflictDocuments, isBinary } from './conflict-documents.ts';
import { type ConflictTarget, conflictUri, parseConflictUri } from './conflict-uri.ts';

export interface ConflictViews extends vscode.Disposable {
  /** Open conflicts of all running folders. */
  list(): Promise<readonly ConflictRow[]>;
  show(target: ConflictTarget): Promise<void>;
  /** Closes what shows a conflict that is settled. */
  closeSettled(target: ConflictTarget): Promise<void>;
  /** The conflict that the active editor shows. */
  active(): ConflictTarget | undefined;
  resolve(target: ConflictTarget, keep: Keep): Promise<void>;
  showNext(): Promise<void>;
}

const choices: readonly { readonly label: string; readonly keep: Keep }[] = [
  { label: 'Accept Mine', keep: 'mine' },
  { label: 'Accept Theirs', keep: 'theirs' },
  { label: 'Keep Both', keep: 'both' },
];

export function createConflictViews(options: {
  readonly folders: Folders;
  readonly documents: ConflictDocuments;
  readonly report: (error: unknown) => void;
}): ConflictViews {
  const { folders, documents, report } = options;

  const active = (): ConflictTarget | undefined => targetOf(vscode.window.tabGroups.activeTabGroup.activeTab);
  const updateContext = (): void =>
    void vscode.commands.executeCommand('setContext', conflictOpenContext, active() !== undefined);
  const listening = [
    vscode.window.tabGroups.onDidChangeTabs(updateContext),
    vscode.window.tabGroups.onDidChangeTabGroups(updateContext),
  ];

  const list = async (): Promise<readonly ConflictRow[]> => {
    const running = folders.list().filter(({ view }) => view.kind === 'running');
    const rows = await Promise.all(
      running.map(async ({ dir, name }) => {
        const conflicts = await folders.ask(conflictsRequest, { dir });
        return presentConflicts({ dir, folderName: running.length > 1 ? name : null, conflicts, nowMs: Date.now() });
      }),
    );
    return rows.flat();
  };

  const show = async (target: ConflictTarget): Promise<void> => {
    const [conflicts, sides] = await Promise.all([
      folders.ask(conflictsRequest, { dir: target.dir }),
      folders.ask(conflictSidesRequest, target),
    ]);
    const conflict = conflicts.find((each) => each.path === target.path);
    if (conflict === undefined) {
      void tell('info', `${target.path} is no conflict any more.`);
      return;
    }
    documents.refresh(target);
    await openDiff(conflictUri(target, 'theirs'), mineUri(target, conflict, sides), diffTitle(target.path));
    void tell('info', messages.openConflict(target.path), ...choices.map(({ label }) => label)).then((label) => {
      const choice = choices.find((each) => each.label === label);
      if (choice !== undefined) resolve(target, choice.keep).catch(report);
    });
  };

  const resolve = async (target: ConflictTarget, keep: Keep): Promise<void> => {
    const file = path.join(target.dir, target.path);
    // What is being typed is neither version: it may not be decided over.
    if (
      vscode.workspace.textDocuments.some(
        (document) => document.isDirty && document.uri.scheme === 'file' && document.uri.fsPath === file,
      )
    ) {
      void tell('warning', `${target.path} has unsaved edits. Save or revert them first, then choose.`);
      return;
    }
    const answer = await folders.ask(resolveRequest, { dir: target.dir, path: target.path, keep });
    if (!answer.ok) {
      void tell('warning', answer.message);
      return;
    }
    await closeSettled(target);
    const left = (await list()).filter((row) => !isSame(row, target));
    if (left.length === 0) {
      tellBriefly(answer.message);
      return;
    }
    void tell('info', `${answer.message} ${plural(left.length, 'conflict')} left.`, 'Next Conflict').then((label) => {
      if (label !== undefined) showNext().catch(report);
    });
  };

  const closeSettled = async (target: ConflictTarget): Promise<void> => {
    const open = vscode.window.tabGroups.all
      .flatMap((group) => group.tabs)
      .filter((tab) => isSame(targetOf(tab), target));
    // In one with unsaved edits somebody is typing.
    await vscode.window.tabGroups.close(open.filter((tab) => !tab.isDirty));
  };

  const showNext = async (): Promise<void> => {
    const rows = await list();
    const current = active();
    const at = rows.findIndex((row) => isSame(row, current));
    const next = rows[(at + 1) % rows.length];
    if (next === undefined) void tell('info', messages.noConflicts);
    else await show(next);
  };

  return {
    list,
    show,
    closeSettled,
    active,
    resolve,
    showNext,
    dispose: () => {
      for (const each of listening) each.dispose();
    },
  };
}

/** The file itself while it holds my version, so that it can be edited in place; else a document that shows it. */
function mineUri(target: ConflictTarget, conflict: ConflictInfo, sides: ConflictSides): vscode.Uri {
  const onDisk = conflict.holds === 'mine' && sides.mine !== null && !isBinary(Buffer.from(sides.mine, 'base64'));
  return onDisk ? vscode.Uri.file(path.join(target.dir, target.path)) : conflictUri(target, 'mine');
}

function targetOf(tab: vscode.Tab | undefined): ConflictTarget | undefined {
  return tab?.input instanceof vscode.TabInputTextDiff ? parseConflictUri(tab.input.original) : undefined;
}

function isSame(one: ConflictTarget | undefined, other: ConflictTarget | undefined): boolean {
  return one !== undefined && other !== undefined && one.dir === other.dir && one.path === other.path;
}
