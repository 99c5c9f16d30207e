/**
 * At a join only: which files here differ from the room's in their line ends alone (C26). The judgement needs the bytes of
 * both, so it is made before the rows are judged, and remembered by content. What it means is core/first-join.ts; later
 * flips of line ends are ordinary edits.
 */
import type { Content, RelPath } from '@driftless/protocol';
import { ChunksMissing, ContentDamaged } from '../content/content-types.ts';
import { liveEntry } from '../core/entry-encoding.ts';
import { canDifferInLineEndsOnly, differInLineEndsOnly } from '../core/line-ends.ts';
import type { LocalEntry } from '../core/local-entry.ts';
import { mergeBytesMax } from '../core/merge-text.ts';
import type { Row } from '../core/row.ts';
import type { PeerContext } from '../peer-context.ts';
import type { RoomSession } from '../ports/room-session.ts';

export interface JoinLineEnds {
  /** Reads what must be read of these rows. Errors: those of the session. */
  look(rows: Iterable<Row> | AsyncIterable<Row>, session: RoomSession): Promise<void>;
  /** As far as it was looked at. */
  differsInLineEndsOnly(row: Row): boolean;
  /** Files that took the room's line ends, counted when they did. */
  noteApplied(path: RelPath): void;
  /** The join is over: how many, or 0. */
  end(): number;
}

type LocalFile = Extract<LocalEntry, { kind: 'file' }>;
interface Candidate {
  readonly path: RelPath;
  readonly local: LocalFile;
  readonly content: Content;
}

/** A join of a large clone looks at so many at a time: they are small, and each may be a fetch. */
const looksAtOnce = 8;
/** Setting: how many, so that a join that was interrupted tells all. */
const countSetting = 'join-line-ends';

export function createJoinLineEnds(context: PeerContext): JoinLineEnds {
  const { contents, parts } = context;
  const { store } = parts;
  /** By path: the two digests that were compared, and the answer. */
  const verdicts = new Map<RelPath, { readonly pair: string; readonly isSame: boolean }>();

  async function look(rows: Iterable<Row> | AsyncIterable<Row>, session: RoomSession): Promise<void> {
    const candidates: Candidate[] = [];
    for await (const row of rows) {
      const candidate = candidateOf(row);
      if (candidate !== undefined) candidates.push(candidate);
    }
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let one = candidates[next++]; one !== undefined; one = candidates[next++]) {
        const { path, local, content } = one;
        const pair = pairOf(local, content);
        if (verdicts.get(path)?.pair === pair) continue;
        verdicts.set(path, { pair, isSame: await compare(path, local, content, session) });
        await context.pause();
      }
    };
    await Promise.all(Array.from({ length: looksAtOnce }, worker));
  }

  async function compare(path: RelPath, local: LocalFile, content: Content, session: RoomSession): Promise<boolean> {
    const ours = await contents.prepareSmall(path, local);
    const bytes = ours.kind === 'prepared' ? ours.prepared.bytes : null;
    if (bytes === null || !canDifferInLineEndsOnly(bytes, content.size)) return false;
    try {
      return differInLineEndsOnly(bytes, await contents.bytesOf(content, session));
    } catch (error) {
      // Then it is a conflict as any, and nothing is replaced.
      if (error instanceof ChunksMissing || error instanceof ContentDamaged) return false;
      throw error;
    }
  }

  return {
    look,
    differsInLineEndsOnly: (row) => {
      const candidate = candidateOf(row);
      if (candidate === undefined) return false;
      const verdict = verdicts.get(row.path);
      return verdict?.pair === pairOf(candidate.local, candidate.content) && verdict.isSame;
    },
    noteApplied: (path) => {
      if (verdicts.get(path)?.isSame !== true) return;
      verdicts.delete(path);
      store.setSetting(countSetting, String(Number(store.setting(countSetting) ?? '0') + 1));
    },
    end: () => {
      verdicts.clear();
      const count = Number(store.setting(countSetting) ?? '0');
      if (count > 0) store.setSetting(countSetting, null);
      return count;
    },
  };
}

const pairOf = (local: LocalFile, content: Content): string => `${local.digest} ${content.digest}`;

/** Files on both sides with nothing agreed on, different and small enough to be merged. */
function candidateOf({ path, base, local, remote, outOfScope, hold }: Row): Candidate | undefined {
  const entry = liveEntry(remote);
  if (base !== null || outOfScope !== null || hold !== null) return undefined;
  if (local?.kind !== 'file' || entry?.kind !== 'file' || local.digest === entry.content.digest) return undefined;
  if (Math.max(local.size, entry.content.size) > mergeBytesMax) return undefined;
  return { path, local, content: entry.content };
}
