/**
 * Ignore files of the room that this disk does not hold yet. They are applied before everything else (rule IG2); one that cannot
 * be (something is in its way, the disk refuses it, its content is not to be had) must neither hold back the rest nor be
 * left out of account: its rules are taken from the room and hold here beside those on disk, until its place is free.
 *
 * Leaves to others: what both texts together mean (ignore-files), and applying the file when it can be.
 */
import type { Digest, FileEntry, RelPath } from '@driftless/protocol';
import { ChunksMissing, ContentDamaged } from '../content/content-types.ts';
import type { Contents } from '../contents.ts';
import { liveEntry, sameEntry } from '../core/entry-encoding.ts';
import { isIgnoreFileName } from '../core/ignore-rules.ts';
import { isIgnored } from '../core/row.ts';
import { type IgnoreSource, ignoreFileBytesMax } from '../core/scope/ignore-text.ts';
import type { RoomSession } from '../ports/room-session.ts';
import type { StateStore } from '../ports/state-store.ts';

export interface ArrivingRules {
  /**
   * Of the given ignore files, and of those asked about before, the ones whose rules do not hold here in any form yet: nothing
   * else may go on before.
   */
  unknown(paths: readonly RelPath[]): readonly RelPath[];
  /** After they were tried: the rules of those that are still not on disk are fetched. Errors: SessionEnded. */
  take(paths: readonly RelPath[], session: RoomSession): Promise<void>;
  /** The room's whole tree may be another: what failed, waits in a conflict or has something in its way is found anew. */
  lookAgain(): void;
  /** Lets go what the disk holds by now; returns those paths. */
  release(): readonly RelPath[];
}

export function createArrivingRules(parts: {
  readonly store: StateStore;
  readonly contents: Pick<Contents, 'bytesOf'>;
  readonly setRoomText: (path: RelPath, source: IgnoreSource | null) => void;
}): ArrivingRules {
  const { store, contents, setRoomText } = parts;
  /** Contents whose rules hold here from the room. */
  const taken = new Map<RelPath, Digest>();
  const candidates = new Set<RelPath>();
  let isToLookAgain = true;

  /** null: the disk holds it, the room does not have it, or it takes no part here by the rules themselves. */
  function wantedOf(path: RelPath): FileEntry | null {
    const row = store.row(path);
    const entry = liveEntry(row?.remote ?? null);
    if (row === undefined || entry?.kind !== 'file' || isIgnored(row.outOfScope)) return null;
    return row.hold === null && sameEntry(row.base, entry) ? null : entry;
  }

  async function sourceOf({ content }: FileEntry, session: RoomSession): Promise<IgnoreSource> {
    const nothing = new Uint8Array();
    if (content.size > ignoreFileBytesMax)
      return { bytes: nothing, incomplete: 'is too large, and is not on this disk' };
    try {
      return { bytes: await contents.bytesOf(content, session) };
    } catch (error) {
      if (!(error instanceof ChunksMissing || error instanceof ContentDamaged)) throw error;
      return { bytes: nothing, incomplete: `is not on this disk, and cannot be fetched (${error.message})` };
    }
  }

  function lookForHindered(): void {
    if (!isToLookAgain) return;
    isToLookAgain = false;
    const hindered = [...store.problemRows(Number.MAX_SAFE_INTEGER), ...store.heldRows()].map(({ path }) => path);
    for (const path of [...hindered, ...store.outOfScopePaths()]) if (isIgnoreFileName(path)) candidates.add(path);
  }

  return {
    unknown: (paths) => {
      lookForHindered();
      for (const path of paths) candidates.add(path);
      const unknown: RelPath[] = [];
      for (const path of candidates) {
        const wanted = wantedOf(path);
        if (wanted === null) candidates.delete(path);
        else if (taken.get(path) !== wanted.content.digest) unknown.push(path);
      }
      return unknown;
    },
    lookAgain: () => {
      isToLookAgain = true;
    },
    take: async (paths, session) => {
      for (const path of paths) {
        const wanted = wantedOf(path);
        if (wanted === null) continue;
        setRoomText(path, await sourceOf(wanted, session));
        taken.set(path, wanted.content.digest);
      }
    },
    release: () => {
      const released = [...taken.keys()].filter((path) => wantedOf(path) === null);
      for (const path of released) {
        taken.delete(path);
        setRoomText(path, null);
      }
      return released;
    },
  };
}
