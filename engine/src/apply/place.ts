/**
 * Brings an entry's bytes to a path outside the plan: a conflict copy, a chosen side, what a declined deletion took. The directories
 * above are made where both sides have none; what lies there is never replaced unless it is what `before` says.
 */
import type { Entry, FileEntry, RelPath } from '@driftless/protocol';
import { problemOf } from '../content/or-fail.ts';
import { modeOf } from '../core/file-mode.ts';
import type { LocalEntry } from '../core/local-entry.ts';
import type { Row } from '../core/row.ts';
import { ancestorsOf } from '../core/tree-paths.ts';
import type { PeerContext } from '../peer-context.ts';
import type { StateStore } from '../ports/state-store.ts';
import type { Incoming, Outcome } from './replace-journal.ts';

export interface Placement {
  /** What fails is a problem of this path. */
  readonly held: RelPath;
  readonly path: RelPath;
  readonly entry: Entry;
  readonly before: LocalEntry | null;
  /** What is agreed on there afterwards. */
  readonly base: Entry | null;
  /** Its bytes, where they were fetched before. */
  readonly stagedName?: string;
}

/** `changed`: it is not as `before` says, and is looked at again. `failed` is reported. */
export type Placed = LocalEntry | 'changed' | 'failed';

export type Place = (placement: Placement) => Promise<Placed>;

export function createPlace(context: PeerContext): Place {
  const { parts, contents, journal } = context;
  const { store } = parts;

  const place: Place = async ({ held, path, entry, before, base, stagedName: fetched }) => {
    const put = async (incoming: Incoming): Promise<Placed> => {
      if (!(await makeDirectories(held, path))) return 'failed';
      return placed(held, path, await journal.replace({ path, before, incoming, base, reason: 'replaced' }));
    };
    if (entry.kind === 'directory') return 'failed';
    const hindrance = hindranceAbove(store, path);
    if (hindrance !== null) {
      context.fail(held, hindrance.reason);
      return 'failed';
    }
    if (entry.kind === 'symlink') return put(entry);
    const stagedName = fetched ?? (await stageOne(held, path, entry));
    if (stagedName === null) return 'failed';
    try {
      return await put({ kind: 'file', stagedName, digest: entry.content.digest, mode: modeOf(entry) });
    } finally {
      await contents.drop(stagedName);
    }
  };

  /** Both sides may have deleted them, and no plan brings them back. Whether all are there. */
  async function makeDirectories(held: RelPath, path: RelPath): Promise<boolean> {
    for (const directory of [...ancestorsOf(path)].reverse()) {
      const above = store.row(directory);
      if (above !== undefined && isDirectory(above)) continue;
      if (above !== undefined && isLeftOut(above)) store.setOutOfScope(directory, null);
      const made = await journal.replace({
        path: directory,
        before: null,
        incoming: { kind: 'directory' },
        // Made here: the room gets it, or has it as well.
        base: null,
        reason: 'replaced',
      });
      if (typeof placed(held, directory, made) === 'string') return false;
    }
    return true;
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

/** Why the directories above a path can be neither used nor made: something else lies there, or it cannot be seen for now. */
export function hindranceAbove(
  store: Pick<StateStore, 'row'>,
  path: RelPath,
): { readonly kind: 'blocked' | 'unseen'; readonly reason: string } | null {
  for (const directory of ancestorsOf(path)) {
    const row = store.row(directory);
    if (row === undefined || isDirectory(row) || isLeftOut(row)) continue;
    if (isUnseen(row))
      return { kind: 'unseen', reason: `${directory} cannot be read: once it can, this file is put in place` };
    if (row.outOfScope === null && row.local === null) continue;
    const next = 'move or rename what is there, and this file can be put in place';
    return { kind: 'blocked', reason: `${directory} is no folder here: ${next}` };
  }
  return null;
}

export const isUnseen = ({ outOfScope }: Row): boolean => outOfScope === 'unreadable' || outOfScope === 'unmounted';

const isDirectory = ({ outOfScope, local }: Row): boolean => outOfScope === null && local?.kind === 'directory';
const isLeftOut = ({ outOfScope }: Row): boolean => outOfScope === 'directory-of-out-of-scope';
