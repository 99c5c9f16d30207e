/**
 * The reconcile table for one path seen alone. What its neighbours ask of it (children that stay,
 * parents that are missing, renames) is settled by reconcile.ts afterwards.
 */
import type { Entry, FileEntry, FileMode } from '@driftless/protocol';
import { liveEntry, sameEntry, sameLocal } from './entry-encoding.ts';
import { mergedMode, modeOf, modeOfFile, sameMode } from './file-mode.ts';
import type { FolderTraits } from './folder-traits.ts';
import { isIgnoreFileName } from './ignore-rules.ts';
import type { LocalEntry } from './local-entry.ts';
import type { ConflictReason } from './plan.ts';
import type { Row } from './row.ts';

export type Decision =
  | { readonly kind: 'none' }
  /** Both sides are equal: only the base is behind. */
  | { readonly kind: 'agree' }
  | { readonly kind: 'apply'; readonly to: Entry | null; readonly note?: string }
  | { readonly kind: 'applyMode'; readonly mode: FileMode }
  | { readonly kind: 'merge' }
  /** The room takes what the disk has. */
  | { readonly kind: 'publish'; readonly revives: boolean; readonly note?: string }
  | { readonly kind: 'conflict'; readonly reason: ConflictReason }
  /** A directory on one side, a file or link on the other. The file moves: on the disk, or in the room. */
  | { readonly kind: 'moveAside' }
  | { readonly kind: 'publishMoveAside' };

export interface DecideOptions {
  readonly traits: FolderTraits;
  /** Whether both sides' contents may be merged. Asked only when both changed a file that has a base, or an ignore file. */
  readonly mergeable: (row: Row) => boolean;
  /** At a join, and until that is settled: the local content is one that the room has had and replaced, so it counts as unchanged (first-join.ts). */
  readonly superseded?: (row: Row) => boolean;
}

/** `row` is in scope and not held. Pure; symmetric in the two sides but for who carries out what. */
export function decide(row: Row, { traits, mergeable, superseded = () => false }: DecideOptions): Decision {
  const { base, local } = row;
  const remote = liveEntry(row.remote);
  const behind = superseded(row);
  const localChanged = !sameLocal(local, base, traits) && !behind;
  const remoteChanged = !sameEntry(remote, base) || behind;

  if (!localChanged && !remoteChanged) return { kind: 'none' };
  // At least one side changed. Equal changes on both sides only move the base: never a conflict (C3, C6, C22).
  if (sameLocal(local, remote, traits)) return { kind: 'agree' };
  // The sides differ. If only one changed, it wins whole.
  if (row.declined && local === null && !remoteChanged) return { kind: 'apply', to: remote };
  if (row.declined && remote === null && !localChanged) return { kind: 'publish', revives: true };
  if (!localChanged) return behind ? catchUp(row, traits) : applyRemote(local, remote);
  if (!remoteChanged) return { kind: 'publish', revives: false };

  // Both changed, to different things: at most one of them is a deletion, and an edit beats a deletion (C5).
  if (local === null)
    return { kind: 'apply', to: remote, note: 'edited in the room after it was deleted here: it came back' };
  if (remote === null)
    return { kind: 'publish', revives: true, note: 'deleted in the room after it was edited here: it is kept' };

  // Both live, both changed, different. Two directories would have been equal.
  if (remote.kind === 'directory') return { kind: 'moveAside' };
  if (local.kind === 'directory') return { kind: 'publishMoveAside' };
  if (local.kind !== remote.kind) return { kind: 'conflict', reason: 'kind' };
  if (local.kind === 'file' && remote.kind === 'file') return decideFiles({ row, local, remote, traits, mergeable });
  // Two links to different targets.
  return { kind: 'conflict', reason: base === null ? 'create-create' : 'binary' };
}

interface TwoFiles extends DecideOptions {
  readonly row: Row;
  readonly local: Extract<LocalEntry, { kind: 'file' }>;
  readonly remote: FileEntry;
}

/** Content and mode are two values: a change of one composes with a change of the other. The mode is settled first. */
function decideFiles({ row, local, remote, traits, mergeable }: TwoFiles): Decision {
  const { base } = row;
  const localMode = traits.holdsModes ? modeOf(local) : modeOf(remote);
  // Without a base every new file of this disk would make the room's private, where its umask does.
  const said = base === null && traits.newFilesPrivate ? { ...localMode, private: remote.private } : localMode;
  const mode = mergedMode(modeOfFile(base), said, remote);
  const applyMode: Decision = { kind: 'applyMode', mode };

  // Equal contents, different modes, both changed since the base: the mode alone travels, first to the disk.
  if (local.digest === remote.content.digest)
    return sameMode(mode, localMode) ? { kind: 'publish', revives: false } : applyMode;
  // Contents differ. The room's content with the flags that were changed here; the next round publishes those.
  if (base?.kind === 'file' && local.digest === base.content.digest)
    return { kind: 'apply', to: { ...remote, ...mode } };
  // What is published, merged or set aside from here on bears the room's flags.
  if (!sameMode(mode, localMode)) return applyMode;
  if (base?.kind !== 'file') {
    // Rules are united, also where nobody knows what they began with.
    const isUnited = isIgnoreFileName(row.path) && mergeable(row);
    return isUnited ? { kind: 'merge' } : { kind: 'conflict', reason: 'create-create' };
  }
  // Only the mode changed in the room, to what it is here: the content follows.
  if (remote.content.digest === base.content.digest) return { kind: 'publish', revives: false };
  return mergeable(row) ? { kind: 'merge' } : { kind: 'conflict', reason: 'binary' };
}

/** At a join: the room's content; what is private here stays so, for nobody agreed on anything yet. */
function catchUp({ base, local, remote }: Row, traits: FolderTraits): Decision {
  const entry = liveEntry(remote);
  if (local?.kind !== 'file' || entry?.kind !== 'file' || !traits.holdsModes) return { kind: 'apply', to: entry };
  const isPrivate = traits.newFilesPrivate ? entry.private : mergedMode(modeOfFile(base), local, entry).private;
  return { kind: 'apply', to: { ...entry, private: isPrivate } };
}

/** What an `applyMode` makes of the base: the flags are agreed on, the content only where both sides have it. */
export function agreedAfterMode({ base, local, remote }: Row): Entry | null {
  const entry = liveEntry(remote);
  if (entry?.kind !== 'file' || local?.kind !== 'file') return base;
  if (local.digest === entry.content.digest) return entry;
  return base?.kind === 'file' ? { ...base, ...modeOf(entry) } : base;
}

function applyRemote(local: LocalEntry | null, remote: Entry | null): Decision {
  if (local?.kind === 'file' && remote?.kind === 'file' && local.digest === remote.content.digest)
    return { kind: 'applyMode', mode: modeOf(remote) };
  return { kind: 'apply', to: remote };
}
