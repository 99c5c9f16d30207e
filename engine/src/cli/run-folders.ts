/** Keeps linked folders in sync in the foreground until told to stop: what share, join and sync end in. */
import type { ConflictPolicy } from '../control.ts';
import { type FolderHost, HostError } from '../host-api.ts';
import type { Log } from '../ports/log.ts';
import type { Output } from './output.ts';
import { createPeerView } from './peer-view.ts';
import type { Stop } from './stop.ts';
import { exitCodes } from './usage-error.ts';

export interface RunFoldersOptions {
  readonly host: FolderHost;
  readonly dirs: readonly string[];
  readonly policy?: ConflictPolicy;
  readonly allowMassDelete: boolean;
  readonly output: Output;
  readonly log: Log;
  readonly stop: Stop;
}

/** Resolves with the exit code. One folder that cannot run does not stop the others. Errors: that of the only folder. */
export async function runFolders(options: RunFoldersOptions): Promise<number> {
  const { host, dirs, output, log, stop } = options;
  const view = createPeerView(output, { nowMs: Date.now });
  const alive = new Set<string>();
  let failures = 0;
  for (const dir of dirs) {
    try {
      const link = await host.linkOf(dir);
      const shown = link?.dir ?? dir;
      alive.add(shown);
      await host.open(dir, {
        ...(options.policy === undefined ? {} : { policy: options.policy }),
        allowMassDelete: options.allowMassDelete,
        log,
        onEvent: (event) => {
          view.onEvent(shown, event);
          // Nothing comes of this peer any more: it must not look like one that goes on. Whatever else is wrong heals while it runs.
          if (event.event === 'state' && event.stopped === true && alive.delete(shown)) {
            failures += 1;
            if (alive.size === 0) stop.wish();
          }
        },
      });
    } catch (error) {
      alive.delete((await host.linkOf(dir))?.dir ?? dir);
      if (dirs.length === 1 || !(error instanceof HostError)) {
        await host.close();
        throw error;
      }
      failures += 1;
      output.warn(`driftless: ${error.message}`);
    }
  }
  if (alive.size > 0) await stop.wished;
  await stop.finish(async () => {
    await host.close();
    view.close();
  });
  return failures === 0 ? exitCodes.ok : exitCodes.failed;
}
