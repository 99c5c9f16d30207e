/** Which files of the room run code where they lie (core/runnable-files.ts), for the join that brings them: once before, once after. */
import type { PeerEvent } from '../control.ts';
import { liveEntry } from '../core/entry-encoding.ts';
import { whyItRuns } from '../core/runnable-files.ts';
import type { Pause } from '../pause.ts';
import type { StateStore } from '../ports/state-store.ts';
import { allRows, breathing } from './plan-rows.ts';

type RunnableEvent = Extract<PeerEvent, { readonly event: 'runnable' }>;

/** Enough to see what it is about; the count tells the rest. */
const filesShownMax = 50;

/** `joining`: those that are to come, or are here; `joined`: those that are here. undefined: none. */
export async function runnableFiles(
  store: Pick<StateStore, 'rowsFrom'>,
  when: RunnableEvent['when'],
  pause: Pause,
): Promise<RunnableEvent | undefined> {
  const files: { readonly path: string; readonly why: string }[] = [];
  let count = 0;
  for await (const { path, remote, local, outOfScope } of breathing(allRows(store), pause)) {
    const why = whyItRuns(path);
    const entry = liveEntry(remote);
    if (why === undefined || entry === null || entry.kind === 'directory' || outOfScope !== null) continue;
    if (when === 'joined' && local === null) continue;
    count += 1;
    if (files.length < filesShownMax) files.push({ path, why });
  }
  return count === 0 ? undefined : { event: 'runnable', when, files, count };
}
