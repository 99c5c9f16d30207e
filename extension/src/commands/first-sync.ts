/** Shows how the first sync of a folder goes, until its peer rests. Cancelling pauses it. */
import { actionRequest } from '../channel.ts';
import type { CommandContext } from '../context.ts';
import { progressText } from '../present/status-bar.ts';
import { withProgress } from '../window.ts';

/** A small folder is done before a person could read a notification about it. */
const quietMs = 1_500;

export async function followFirstSync({ folders, log }: CommandContext, dir: string): Promise<void> {
  const working = (): boolean => {
    const view = folders.find(dir)?.view;
    return (
      view?.kind === 'starting' ||
      (view?.kind === 'running' && (view.state.state === 'scanning' || view.state.state === 'syncing'))
    );
  };
  if (await rests(folders.onDidChange, working, quietMs)) return;
  const name = folders.find(dir)?.name ?? dir;
  await withProgress({ title: `First sync of ${name}`, cancellable: true }, async (token, say) => {
    const report = folders.onDidChange(() => {
      const view = folders.find(dir)?.view;
      if (view?.kind === 'running') say(`${view.state.state}${progressText(view.state)} (Cancel pauses)`);
    });
    token.onCancellationRequested(() => {
      folders
        .ask(actionRequest, { dir, action: 'pause' })
        .catch((error: unknown) => log.write('error', `pausing ${dir} failed: ${String(error)}`));
    });
    await rests(folders.onDidChange, working);
    report.dispose();
  });
}

/** Resolves true when `working` no longer holds, false when it still does after `withinMs`. */
function rests(
  changes: (listener: () => void) => { dispose(): void },
  working: () => boolean,
  withinMs?: number,
): Promise<boolean> {
  if (!working()) return Promise.resolve(true);
  return new Promise((resolve) => {
    const settle = (answer: boolean): void => {
      listening.dispose();
      clearTimeout(timer);
      resolve(answer);
    };
    const listening = changes(() => {
      if (!working()) settle(true);
    });
    const timer = withinMs === undefined ? undefined : setTimeout(() => settle(false), withinMs);
  });
}
