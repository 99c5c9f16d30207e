/**
 * What its user made, changed or took back here and the room has not had from here yet, when this peer joins anew although its state
 * is there (recover.ts). The bases are forgotten then, and an old version that somebody took back would look like one that was left
 * behind. So would what came back, after an unlinking, with the directory that it lies in (join-left-behind.ts). Written down by path
 * and content until the join is over; what is made meanwhile is judged as at any join.
 */
import type { Digest, RelPath } from '@driftless/protocol';
import { leafDigest } from '../core/leaf-digest.ts';
import type { LocalEntry } from '../core/local-entry.ts';
import type { Row } from '../core/row.ts';
import type { Sha256 } from '../core/sha256.ts';
import type { StateStore } from '../ports/state-store.ts';

type Place = Pick<Row, 'path' | 'local'>;

export interface JoinOwnWork {
  /** Whether a join could take it for something else, were it not written down. Asked before the bases are forgotten. */
  mayBeMistaken(row: Row): boolean;
  /** In the transaction in which it could not be told any more. */
  add(places: readonly Place[]): void;
  has(place: Place): boolean;
  /** In the transaction that ends the join. */
  end(): void;
}

const ownWork = 'join-own-work';

export function createJoinOwnWork(
  store: Pick<StateStore, 'setting' | 'setSetting' | 'inHistory'>,
  sha256: Sha256,
  /** It waits since an earlier join, which judged it outdated (join-judgements.ts). */
  isLeftUndone: (row: Row) => boolean,
): JoinOwnWork {
  /** As stored; undefined: to be read. null: a directory. */
  let known: ReadonlyMap<RelPath, Digest | null> | undefined;
  const all = (): ReadonlyMap<RelPath, Digest | null> => {
    known ??= new Map(JSON.parse(store.setting(ownWork) ?? '[]') as [RelPath, Digest | null][]);
    return known;
  };
  const digestOf = (local: LocalEntry): Digest | null => leafDigest(local, sha256);

  return {
    mayBeMistaken(row) {
      const { path, base, local, remote, outOfScope } = row;
      if (local === null || outOfScope !== null) return false;
      const digest = digestOf(local);
      if (base?.kind === local.kind && leafDigest(base, sha256) === digest) return false;
      // During a join a missing base says nothing.
      if (base === null && (store.setting('join') !== undefined || isLeftUndone(row))) return false;
      return remote?.kind === 'tombstone' || (digest !== null && store.inHistory(path, digest));
    },
    add(places) {
      if (places.length === 0) return;
      const next = new Map(all());
      for (const { path, local } of places) if (local !== null) next.set(path, digestOf(local));
      known = undefined;
      store.setSetting(ownWork, JSON.stringify([...next]));
    },
    has({ path, local }) {
      const digest = all().get(path);
      return digest !== undefined && local !== null && digest === digestOf(local);
    },
    end() {
      known = undefined;
      store.setSetting(ownWork, null);
    },
  };
}
