/**
 * First join of a folder that has content already, and re-join of one whose state was lost (rule TOMB;
 * C25, P9, P11). There is no base: equal contents meet, an outdated content is brought up to date, any other difference is
 * a conflict. But a text that differs in line ends only takes the room's; its own bytes lie in the trash. Else nothing is
 * overwritten, and nothing deleted but, on a re-join, what the room deleted meanwhile, in this version or a later one: files
 * and links to the trash, a directory when nothing stays in it.
 *
 * `supersededAtJoin` is given to reconcile while a join lasts, and afterwards what it said of each file that could not be
 * replaced yet (peer/join-judgements.ts); everything else follows from the table with an empty base.
 */
import type { RelPath } from '@driftless/protocol';
import { liveEntry, sameLocal } from './entry-encoding.ts';
import { parseFingerprint } from './fingerprint.ts';
import type { FolderTraits } from './folder-traits.ts';
import type { LocalEntry } from './local-entry.ts';
import type { Row } from './row.ts';

export type JoinJudgement =
  /** Nothing on either side, or out of scope. */
  | 'nothing'
  | 'equal'
  | 'receive'
  | 'send'
  /** An earlier version of the path: replaced by the room's. */
  | 'update'
  /** It differs in line ends only: the room's bytes are taken, its own lie in the trash. */
  | 'line-ends'
  /** What the room had deleted: to the trash, listed. */
  | 'trash'
  | 'conflict';

type LocalFile = Extract<LocalEntry, { kind: 'file' }>;

/** When the folder was in this room before: while the state that was lost was kept, until it was unlinked, or not at all. */
export type EarlierMembership = 'state-lost' | { readonly leftAtMs: number } | null;

/** How a folder without a head joins, as its state store keeps it from the moment that it is made until the join is over. */
export type JoinKind = 'first' | 'rejoin' | 'return';

export interface EarlierLink {
  /** The root was in this room before this state was made. */
  readonly rejoin: boolean;
  /** Wall clock: when it was unlinked from this very room; null = not that this machine knows. */
  readonly leftAtMs: number | null;
}

/** Of a state that has met no log yet; what it remembers already stays. */
export function rememberHowItJoins(
  state: {
    head(): unknown;
    setting(name: string): string | undefined;
    setSetting(name: string, value: string | null): void;
  },
  { rejoin, leftAtMs }: EarlierLink,
): void {
  if (state.head() !== null || state.setting('join') !== undefined) return;
  const kind: JoinKind = rejoin ? 'rejoin' : leftAtMs === null ? 'first' : 'return';
  state.setSetting('join', kind);
}

/**
 * Whether what lies here was in the folder while that was in the room, by its change time. After an unlinking only what nobody
 * touched since counts: that time is set by the system alone, so that what somebody made or restored in between is theirs,
 * whatever its modification time says.
 */
export function wasInRoomBy(earlier: EarlierMembership): (changedNs: bigint | undefined) => boolean {
  if (earlier === null) return () => false;
  if (earlier === 'state-lost') return () => true;
  return (changedNs) => changedNs !== undefined && changedNs < BigInt(Math.floor(earlier.leftAtMs)) * 1_000_000n;
}

/** As the last scan saw it: of a file alone. */
export function changedNs({ fingerprint }: LocalFile): bigint | undefined {
  return parseFingerprint(fingerprint)?.ctimeNs;
}

/**
 * A rename brings along the times of what lies in a directory, and changes those of the directory: its change time alone, where
 * what comes into it or goes changes both. What somebody did in it afterwards hides that.
 */
export function wasPutThere(
  earlier: EarlierMembership,
  { ctimeNs, mtimeNs }: { readonly ctimeNs: bigint; readonly mtimeNs: bigint },
): boolean {
  return earlier !== null && !wasInRoomBy(earlier)(ctimeNs) && ctimeNs > mtimeNs;
}

/**
 * A link or a directory here that the room may have deleted. Of a directory nothing but its being there tells: where a file was
 * deleted last, it is somebody's.
 */
export function mayBeLeftBehind({ base, local, remote, outOfScope }: Row): boolean {
  if (base !== null || outOfScope !== null || remote?.kind !== 'tombstone') return false;
  return local?.kind === 'symlink' || (local?.kind === 'directory' && remote.digest === null);
}

export interface JoinOptions {
  readonly traits: FolderTraits;
  /** Whether this file or link, as it is, was in the folder while the folder was in the room before. */
  readonly wasInRoom: (row: Row) => boolean;
  /** Whether the room's history holds the content at the path. */
  readonly inHistory: (path: RelPath, local: LocalEntry) => boolean;
  /** Whether a file differs from the room's in line ends only. */
  readonly differsInLineEndsOnly?: (row: Row) => boolean;
}

/** Only a row without a base is judged; any other is ordinary work and `nothing` here. */
export function judgeJoin(row: Row, options: JoinOptions): JoinJudgement {
  const { traits, inHistory, differsInLineEndsOnly = () => false } = options;
  if (row.base !== null || row.outOfScope !== null) return 'nothing';
  const { local, path } = row;
  const remote = liveEntry(row.remote);
  if (local === null) return remote === null ? 'nothing' : 'receive';
  if (remote === null) return wasDeleted(row, options) ? 'trash' : 'send';
  if (sameLocal(local, remote, traits)) return 'equal';
  // Equal bytes with another executable bit are settled by the table, without a conflict.
  if (local.kind === 'file' && remote.kind === 'file' && local.digest === remote.content.digest) return 'equal';
  if (local.kind !== remote.kind || local.kind === 'directory') return 'conflict';
  if (inHistory(path, local)) return 'update';
  return differsInLineEndsOnly(row) ? 'line-ends' : 'conflict';
}

/** The room had this content here, and deleted it, or a later one. A directory has none: see peer/join-left-behind.ts. */
function wasDeleted(row: Row, { wasInRoom, inHistory }: JoinOptions): boolean {
  const { path, local, remote } = row;
  if (local === null || remote?.kind !== 'tombstone') return false;
  const isLast = local.kind === 'file' && local.digest === remote.digest;
  return (isLast || inHistory(path, local)) && wasInRoom(row);
}

/** For reconcile: the local content counts as unchanged, because the room has had it and gone on, or has it with other line ends. */
export function supersededAtJoin(options: JoinOptions): (row: Row) => boolean {
  return (row) => {
    const judgement = judgeJoin(row, options);
    return judgement === 'update' || judgement === 'line-ends' || judgement === 'trash';
  };
}

/** What a join will do, shown before it does anything. Files, and links where something here changes; no directories, except in `conflicts`. */
export interface JoinPreview {
  readonly equal: number;
  readonly receive: number;
  readonly receiveBytes: number;
  readonly send: number;
  readonly sendBytes: number;
  readonly update: number;
  readonly lineEnds: number;
  readonly trash: number;
  readonly conflicts: number;
  /** The first few paths of each kind that changes or sets aside something here. */
  readonly examples: {
    readonly update: readonly RelPath[];
    readonly lineEnds: readonly RelPath[];
    readonly trash: readonly RelPath[];
    readonly conflicts: readonly RelPath[];
  };
}

/** Enough to recognise what is meant; the counts tell the rest. */
const examplesMax = 20;

export async function previewJoin(
  rows: Iterable<Row> | AsyncIterable<Row>,
  options: JoinOptions,
): Promise<JoinPreview> {
  const counts = {
    equal: 0,
    receive: 0,
    receiveBytes: 0,
    send: 0,
    sendBytes: 0,
    update: 0,
    lineEnds: 0,
    trash: 0,
    conflicts: 0,
  };
  const examples = {
    update: [] as RelPath[],
    lineEnds: [] as RelPath[],
    trash: [] as RelPath[],
    conflicts: [] as RelPath[],
  };
  const addExample = (paths: RelPath[], path: RelPath): void => {
    if (paths.length < examplesMax) paths.push(path);
  };
  for await (const row of rows) {
    const remote = liveEntry(row.remote);
    const remoteFile = remote?.kind === 'file' ? remote : undefined;
    const localFile = row.local?.kind === 'file' ? row.local : undefined;
    switch (judgeJoin(row, options)) {
      case 'nothing':
        break;
      case 'equal':
        if (localFile !== undefined) counts.equal += 1;
        break;
      case 'receive':
        if (remoteFile === undefined) break;
        counts.receive += 1;
        counts.receiveBytes += remoteFile.content.size;
        break;
      case 'send':
        if (localFile === undefined) break;
        counts.send += 1;
        counts.sendBytes += localFile.size;
        break;
      case 'update':
        counts.update += 1;
        counts.receiveBytes += remoteFile?.content.size ?? 0;
        addExample(examples.update, row.path);
        break;
      case 'line-ends':
        counts.lineEnds += 1;
        counts.receiveBytes += remoteFile?.content.size ?? 0;
        addExample(examples.lineEnds, row.path);
        break;
      case 'trash':
        counts.trash += 1;
        addExample(examples.trash, row.path);
        break;
      case 'conflict':
        counts.conflicts += 1;
        addExample(examples.conflicts, row.path);
        break;
    }
  }
  return { ...counts, examples };
}
