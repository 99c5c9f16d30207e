/** Between what the trees say of a path and what the folder port asks and answers. Pure. */
import type { Digest, FileMode, RelPath } from '@driftless/protocol';
import { conflictOriginal } from '../core/conflict-name.ts';
import { modeOf } from '../core/file-mode.ts';
import { fingerprintOf, tickMs } from '../core/fingerprint.ts';
import type { FolderTraits } from '../core/folder-traits.ts';
import type { LocalEntry } from '../core/local-entry.ts';
import type { Dress, Expected, Stat } from '../ports/folder.ts';

/** What the folder must still hold for a change to go ahead: what the last scan saw. */
export function expectedOf(local: LocalEntry | null): Expected {
  if (local === null) return null;
  switch (local.kind) {
    case 'file':
      return { kind: 'file', fingerprint: local.fingerprint, digest: local.digest, isRacy: local.racy };
    case 'directory':
      return { kind: 'directory' };
    case 'symlink':
      return { kind: 'symlink', target: local.target };
  }
}

/** A file as it was just written, moved or dressed. `wasRacy`: its bytes were believed by stamps that prove nothing. */
export const localFileOf = (
  stat: Stat,
  {
    digest,
    mode,
    traits,
    wasRacy = false,
  }: {
    readonly digest: Digest;
    readonly mode: FileMode;
    readonly traits: FolderTraits;
    readonly wasRacy?: boolean;
  },
  nowMs: number,
): LocalEntry => ({
  kind: 'file',
  digest,
  size: stat.size,
  // As far as the umask let it be; a disk without modes keeps what was agreed (M5).
  executable: traits.holdsModes ? stat.executable : mode.executable,
  private: mode.private,
  openToOthers: stat.openToOthers,
  mtimeMs: Number(stat.mtimeNs / 1_000_000n),
  fingerprint: fingerprintOf(stat),
  // We wrote and verified these bytes ourselves: a later write by somebody else has a later modification time, but for the tick.
  racy: wasRacy || Number(stat.mtimeNs / 1_000_000n) > nowMs - tickMs(stat),
});

/** How a file at `path` is dressed by an entry's mode: a conflict copy like its original (M18). */
export const dressOf = (
  path: RelPath,
  { mode, before, like }: { readonly mode: FileMode; readonly before: LocalEntry | null; readonly like?: RelPath },
): Dress => ({
  mode: modeOf(mode),
  wasPrivate: before?.kind === 'file' && before.private,
  like: like ?? conflictOriginal(path),
});
