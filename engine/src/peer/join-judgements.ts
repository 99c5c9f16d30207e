/**
 * What a join judged outdated here and could not replace before it was over (a full disk, a file that is in use, a relay
 * that refuses): written down by path and content, so that each later try decides the same, also after a restart. An edit
 * made meanwhile is another content and an ordinary edit; a file made after the join is judged by the table alone.
 *
 * Leaves to others: the judgement itself (core/first-join.ts), when a join is over, and the tries.
 */
import type { Digest, RelPath } from '@driftless/protocol';
import { type JoinOptions, supersededAtJoin } from '../core/first-join.ts';
import { leafDigest } from '../core/leaf-digest.ts';
import type { Row } from '../core/row.ts';
import type { Sha256 } from '../core/sha256.ts';
import type { StateStore } from '../ports/state-store.ts';

type Judged = ReadonlyMap<RelPath, Digest>;

export interface JoinJudgements {
  /** The join is over: which of these rows, all that are still pending, stay outdated. */
  judge(rows: AsyncIterable<Row>, options: JoinOptions): Promise<Judged>;
  /** Replaces what earlier joins left. In the transaction that ends the join. */
  keep(judged: Judged): void;
  /** After a join, for reconcile. */
  supersededSince(): (row: Row) => boolean;
  /** Before the disk is looked at again: the same bytes made anew are somebody's work. */
  forgetSettled(): void;
}

export function createJoinJudgements(
  store: Pick<StateStore, 'superseded' | 'replaceSuperseded' | 'forgetSettledSuperseded'>,
  sha256: Sha256,
): JoinJudgements {
  /** As stored; undefined: to be read. */
  let known: Judged | undefined;
  const all = (): Judged => {
    known ??= store.superseded();
    return known;
  };

  return {
    async judge(rows, options) {
      const isSuperseded = supersededAtJoin(options);
      const judged = new Map<RelPath, Digest>();
      for await (const row of rows) {
        const digest = leafDigest(row.local, sha256);
        if (digest !== null && isSuperseded(row)) judged.set(row.path, digest);
      }
      return judged;
    },
    keep(judged) {
      known = undefined;
      store.replaceSuperseded(judged);
    },
    supersededSince() {
      const judged = all();
      return ({ path, base, local, outOfScope }) => {
        if (base !== null || outOfScope !== null) return false;
        const digest = judged.get(path);
        return digest !== undefined && digest === leafDigest(local, sha256);
      };
    },
    forgetSettled() {
      if (all().size > 0 && store.forgetSettledSuperseded()) known = undefined;
    },
  };
}
