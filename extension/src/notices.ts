/**
 * What is said without being asked: a conflict was found, the engine crashed, a peer needs a decision, the keys are missing. Once
 * per occasion, with the action that helps; the status bar keeps saying it.
 */
import * as vscode from 'vscode';
import type { CommandContext } from './context.ts';
import { commandIds } from './contributions.ts';
import type { NamedFolder } from './present/folder-view.ts';
import { messages, presentActions } from './present/messages.ts';
import { presentRunnable, type RunnableEvent } from './present/runnable.ts';
import { ask, tell, tellBriefly } from './window.ts';

/** The first crash may be an accident that nobody noticed; the same one again is worth words. Shown at the first and then each so many. */
const crashesBetweenNotices = 5;

export function createNotices({ folders, host, conflicts, log }: CommandContext): vscode.Disposable {
  const said = new Map<string, string>();
  let conflictNoticeOpen = false;

  const report = (error: unknown): void => log.failed(error);

  const offer = (text: string, actions: readonly { readonly label: string; readonly command: string }[]): void => {
    tell('warning', text, ...actions.map(({ label }) => label)).then((label) => {
      const action = actions.find((each) => each.label === label);
      if (action !== undefined) void vscode.commands.executeCommand(action.command);
    }, report);
  };

  /** What needs words about this folder now, as one value: new words are said, the same ones not again. */
  const occasion = ({ name, view }: NamedFolder): string => {
    if (view.kind === 'failed')
      return view.code === 'missing-secret' ? messages.missingSecret(name) : `${name}: ${view.message}`;
    if (view.kind === 'owned') return view.message;
    if (view.kind === 'running' && view.state.state === 'error') return `${name}: ${view.state.reason ?? 'stopped'}`;
    return '';
  };

  const look = (): void => {
    for (const folder of folders.list()) {
      // The old engine of a reloaded window owns its folders for a moment more: not worth words yet.
      const text = folder.view.kind === 'owned' && !said.has(`owned ${folder.dir}`) ? '' : occasion(folder);
      if (folder.view.kind === 'owned') said.set(`owned ${folder.dir}`, '');
      else if (folder.view.kind !== 'starting') said.delete(`owned ${folder.dir}`);
      if (text === (said.get(folder.dir) ?? '')) continue;
      said.set(folder.dir, text);
      if (text !== '') offer(text, presentActions(folder.view).slice(0, 2));
    }
  };

  const conflictFound = (target: { readonly dir: string; readonly path: string }): void => {
    if (conflictNoticeOpen) return;
    conflictNoticeOpen = true;
    const view = folders.find(target.dir)?.view;
    const count = view?.kind === 'running' ? Math.max(1, view.state.conflicts) : 1;
    tell('warning', messages.conflictFound(count), 'Show Conflict').then((label) => {
      conflictNoticeOpen = false;
      if (label !== undefined) conflicts.show(target).catch(report);
    }, report);
  };

  /** Before the files are here; when they are, the same is in the log, and said in passing. */
  const runnableFound = (name: string, event: RunnableEvent): void => {
    if (event.when === 'joined') return tellBriefly(messages.runnableCame(name, event.count));
    const { text, detail } = presentRunnable(name, event);
    tell('warning', text, 'Show Files').then((label) => {
      if (label !== undefined) return ask({ text, detail, answers: [] });
    }, report);
  };

  const listening = [
    folders.onDidChange(look),
    folders.onDidTell(({ folder, events }) => {
      const found = events.find((event) => event.event === 'conflict');
      if (found?.event === 'conflict') conflictFound({ dir: folder.dir, path: found.path });
      for (const event of events) {
        if (event.event === 'runnable') runnableFound(folder.name, event);
        if (event.event === 'resolved') conflicts.closeSettled({ dir: folder.dir, path: event.path }).catch(report);
      }
    }),
    host.onDidChangeState((state) => {
      if (state.kind !== 'waiting') return;
      log.write('error', `the engine stopped: ${state.reason}; restart in ${state.restartInMs} ms`);
      if (state.crashes % crashesBetweenNotices === 1)
        offer(messages.engineDown(state.reason), [{ label: 'Show Log', command: commandIds.showLog }]);
    }),
  ];
  return {
    dispose: () => {
      for (const each of listening) each.dispose();
    },
  };
}
