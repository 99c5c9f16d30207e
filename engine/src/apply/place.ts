/**
 * Brings an entry's bytes to a path outside the plan: a conflict copy, a chosen side, what a declined deletion took. The directories
 * above are made where both sides have none; what lies there is never replaced unless it is what `before` says.
 */
import type { Entry, FileEntry, RelPath } from '@driftless/protocol';
import { problemOf } from '../content/or-fail.ts';
import { modeOf } from '../core/file-mode.ts';
import type { LocalEntry } from '../core/local-entry.ts';
import { ancestorsOf } from '../core/tree-paths.ts';
import type { PeerContext } from '../peer-context.ts';
import type { Incoming, Outcome } from './replace-journal.ts';

export interface Placement {
  /** What fails is a problem of this path. */
  readonly held: RelPath;
  readonly path: RelPath;
  readonly entry: Entry;
  readonly before: LocalEntry | null;
  /** What is agreed on there afterwards. */
  readonly base: Entry | null;
}

/** `changed`: it is not as `before` says, and is looked at again. `blocked`: a place above it is no directory. `blocked` and `failed` are reported. */
export type Placed = LocalEntry | 'changed' | 'blocked' | 'failed';

export type Place = (placement: Placement) => Promise<Placed>;

export function createPlace(context: PeerContext): Place {
  const { parts, contents, journal } = context;
  const { folder, store } = parts;

  const place: Place = async ({ held, path, entry, before, base }) => {
    const put = async (incoming: Incoming): Promise<Placed> => {
      const missing = await makeDirectories(held, path);
      if (missing !== null) return missing;
      return placed(held, path, await journal.replace({ path, before, incoming, base, reason: 'replaced' }));
    };
    if (entry.kind === 'directory') return 'failed';
    if (entry.kind === 'symlink') return put(entry);
    const stagedName = await stageOne(held, path, entry);
    if (stagedName === null) return 'failed';
    try {
      return await put({ kind: 'file', stagedName, digest: entry.content.digest, mode: modeOf(entry) });
    } finally {
      // Nothing when it is in its place. A replace that was cut is settled by what is staged.
      if (!journal.isCut) await folder.discardStaged(stagedName);
    }
  };

  /** Both sides may have deleted them, and no plan brings them back. null: all are there. */
  async function makeDirectories(held: RelPath, path: RelPath): Promise<'blocked' | 'failed' | null> {
    for (const directory of [...ancestorsOf(path)].reverse()) {
      const above = store.row(directory);
      const isLeftOut = above?.outOfScope === 'directory-of-out-of-scope';
      if (above?.outOfScope === null && above.local?.kind === 'directory') continue;
      if (above !== undefined && !isLeftOut && (above.outOfScope !== null || above.local !== null)) {
        context.fail(
          held,
          `${directory} is no folder here: move or rename what is there, and this file can be put in place`,
        );
        return 'blocked';
      }
      if (isLeftOut) store.setOutOfScope(directory, null);
      const made = await journal.replace({
        path: directory,
        before: null,
        incoming: { kind: 'directory' },
        // Made here: the room gets it, or has it as well.
        base: null,
        reason: 'replaced',
      });
      if (typeof placed(held, directory, made) === 'string') return 'failed';
    }
    return null;
  }

  async function stageOne(held: RelPath, path: RelPath, entry: FileEntry): Promise<string | null> {
    let stagedName: string | null = null;
    await contents.stage([{ path, content: entry.content }], context.session(), {
      flush: true,
      signal: context.signal,
      onStaged: (staged) => {
        stagedName = staged.stagedName;
      },
      onProgress: () => {},
      onFailed: (_path, problem) => context.fail(held, problemOf(problem)),
    });
    return stagedName;
  }

  function placed(held: RelPath, path: RelPath, outcome: Outcome): Placed {
    if (outcome.kind === 'done') return outcome.local ?? 'changed';
    context.markDirty(path, false);
    if (outcome.kind !== 'problem') return 'changed';
    context.fail(held, outcome);
    return 'failed';
  }

  return place;
}
