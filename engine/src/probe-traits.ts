/**
 * Asks a disk what it can hold, because the platform does not tell: a Mac may have a case-sensitive volume, Linux may mount
 * a FAT stick or an NTFS share.
 */
import type { FolderTraits } from './core/folder-traits.ts';
import { isDiskError } from './disk-problem.ts';
import type { Disk } from './ports/disk.ts';

/**
 * Makes and removes a few probe files in `directory` (our own `.driftless/`).
 *
 * Errors: those of the disk, when not even a plain file can be made.
 */
export function probeTraits(disk: Disk, directory: string, platformTraits: FolderTraits): FolderTraits {
  const exists = (name: string): boolean => disk.lstat(`${directory}/${name}`) !== undefined;
  const withFile = <Answer>(name: string, ask: (path: string) => Answer): Answer => {
    const path = `${directory}/${name}`;
    if (exists(name)) disk.unlink(path);
    disk.create(path, 0o600).close();
    try {
      return ask(path);
    } finally {
      disk.unlink(path);
    }
  };
  const holds = (name: string): boolean => canDo(() => withFile(name, () => exists(name)));

  const bits = withFile('probe-mode', (path) => {
    const none = { holds: false, hidesOthers: false };
    if (disk.platform === 'win32') return none;
    const shown = (mode: number): number => {
      disk.setMode(path, mode);
      return disk.lstat(path)?.mode ?? 0;
    };
    return unlessDiskError(none, () => {
      const open = shown(0o755);
      return { holds: (open & 0o100) !== 0 && (shown(0o600) & 0o177) === 0, hidesOthers: (open & 0o077) === 0 };
    });
  });

  return {
    ...platformTraits,
    caseSensitive: withFile('probe-case', () => !exists('PROBE-CASE')),
    foldsUnicode: withFile('probe-\u00e9', () => exists('probe-e\u0301')),
    holdsModes: bits.holds,
    newFilesPrivate: bits.holds && ((disk.umask & 0o077) === 0o077 || bits.hidesOthers),
    symlinks: canDo(() => {
      const path = `${directory}/probe-link`;
      if (exists('probe-link')) disk.unlink(path);
      disk.symlink('probe-target', path);
      disk.unlink(path);
      return true;
    }),
    // On Windows itself `probe:a` would make a stream of the file `probe`, so there the platform decides.
    windowsNames: platformTraits.windowsNames || !holds('probe:a'),
    reservedSeparators: platformTraits.windowsNames || !holds('probe\\a') ? ['\\'] : [],
  };
}

function canDo(act: () => boolean): boolean {
  return unlessDiskError(false, act);
}

function unlessDiskError<Answer>(otherwise: Answer, act: () => Answer): Answer {
  try {
    return act();
  } catch (error) {
    if (!isDiskError(error)) throw error;
    return otherwise;
  }
}
