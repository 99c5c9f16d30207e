/**
 * Links and directories that the room deleted while this folder was away (rule TOMB). Their rows have no stamps, so the disk is
 * asked whether they were here then.
 *
 * A directory holds no bytes that could be lost. So one that was here is agreed on again, for good, and goes like any that the
 * room deletes: when nothing stays in it (rules IG3, IG4), also after the join and after a crash. Of links and files no base is
 * made: what no record may hold would count as agreed on.
 */
import type { RelPath } from '@driftless/protocol';
import { changedNs, type EarlierMembership, mayBeLeftBehind, wasInRoomBy, wasPutThere } from '../core/first-join.ts';
import type { Row } from '../core/row.ts';
import { ancestorsOf } from '../core/tree-paths.ts';
import type { PeerContext } from '../peer-context.ts';
import type { Stat } from '../ports/folder.ts';
import type { JoinOwnWork } from './join-own-work.ts';

export interface JoinLeftBehind {
  /** At the beginning of a join, with all that is pending. */
  look(rows: AsyncIterable<Row>): Promise<void>;
  /** For JoinOptions. */
  wasInRoom(row: Row): boolean;
}

export function createJoinLeftBehind(
  { parts: { folder, store } }: PeerContext,
  earlier: () => EarlierMembership,
  ownWork: JoinOwnWork,
): JoinLeftBehind {
  /** By path: the target of a link that was here. */
  const links = new Map<RelPath, string>();

  return {
    async look(rows) {
      links.clear();
      const membership = earlier();
      if (membership === null) return;
      const wasHere = wasInRoomBy(membership);
      const directories: RelPath[] = [];
      const own: Row[] = [];
      const putThere = new Map<RelPath, boolean>();
      const isPutThere = async (path: RelPath): Promise<boolean> => {
        const known = putThere.get(path);
        if (known !== undefined) return known;
        const stat = await folder.stat(path);
        const is = stat !== null && stat.kind === 'directory' && wasPutThere(membership, stat);
        putThere.set(path, is);
        return is;
      };
      for await (const row of rows) {
        const { path, local } = row;
        if (local === null || row.base !== null || row.outOfScope !== null || row.remote?.kind !== 'tombstone')
          continue;
        let isBrought = local.kind === 'directory' && (await isPutThere(path));
        for (const above of ancestorsOf(path)) isBrought ||= await isPutThere(above);
        if (isBrought) {
          own.push(row);
          continue;
        }
        if (!mayBeLeftBehind(row) || ownWork.has(row)) continue;
        const stat = await folder.stat(path);
        if (stat === null || stat.kind === 'problem') continue;
        if (local?.kind === 'symlink' && wasHere(stat.ctimeNs)) links.set(path, local.target);
        if (local?.kind === 'directory' && wasHere(madeNs(stat))) directories.push(path);
      }
      store.transaction(() => {
        // Written down: what arrives in such a directory hides how it came.
        ownWork.add(own);
        for (const path of directories) store.setBase(path, { kind: 'directory' });
      });
    },
    wasInRoom(row) {
      if (ownWork.has(row)) return false;
      const { path, local } = row;
      if (local?.kind === 'file') return wasInRoomBy(earlier())(changedNs(local));
      return local?.kind === 'symlink' && links.get(path) === local.target;
    },
  };
}

/** A directory also changes when something in it does, such as the litter of a file browser. */
const madeNs = ({ bornNs, ctimeNs }: Stat): bigint => (bornNs > 0n ? bornNs : ctimeNs);
