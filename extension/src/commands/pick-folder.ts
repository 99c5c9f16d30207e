/** Which folder a command is about: the only one, the chosen one, or a sentence on why there is none. */
import type { CommandContext } from '../context.ts';
import type { NamedFolder } from '../present/folder-view.ts';
import { messages } from '../present/messages.ts';
import { presentStatusBar } from '../present/status-bar.ts';
import { pick, tell } from '../window.ts';

/** undefined: there was none, which was said, or the choice was left. */
export async function pickFolder(
  { folders }: CommandContext,
  options: { readonly title: string; readonly fits: (folder: NamedFolder) => boolean; readonly nothing: string },
): Promise<NamedFolder | undefined> {
  const all = folders.list();
  const fitting = all.filter(options.fits);
  const [only] = fitting;
  if (only === undefined) {
    void tell('info', all.length === 0 ? messages.noFolder : options.nothing);
    return undefined;
  }
  if (fitting.length === 1) return only;
  const items = fitting.map((folder) => ({
    label: folder.name,
    description: presentStatusBar([folder], Date.now())?.label ?? '',
    detail: folder.dir,
    folder,
  }));
  return (
    await pick(items, {
      title: options.title,
      placeHolder: 'Which folder?',
    })
  )?.folder;
}

export const isConnected = (folder: NamedFolder): boolean =>
  folder.view.kind !== 'unlinked' && folder.view.kind !== 'restricted';
export const isRunning = (folder: NamedFolder): boolean => folder.view.kind === 'running';
