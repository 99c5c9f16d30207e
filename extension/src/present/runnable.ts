/** Files that run code here, of a room that a folder joins: the notification and the list behind it. */
import type { PeerEvent } from '@driftless/engine';
import { plural } from './text.ts';

export type RunnableEvent = Extract<PeerEvent, { readonly event: 'runnable' }>;

export function presentRunnable(
  folderName: string,
  { files, count }: RunnableEvent,
): { readonly text: string; readonly detail: readonly string[] } {
  const more = count - files.length;
  return {
    text: `The room that ${folderName} joins has ${plural(count, 'file')} that can run code on this machine. Look at them before you trust the folder, open a terminal in it, or run a task.`,
    detail: [...files.map(({ path, why }) => `${path}: ${why}`), ...(more > 0 ? [`… and ${more} more`] : [])],
  };
}
