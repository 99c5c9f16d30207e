/**
 * Names that never take part, whatever the rules and the room say (rule IG1). A version control's database breaks when it is copied in
 * pieces, and its settings run commands (F20); our own directory holds what was deleted. The rules leave these out, and the
 * folder refuses every write to them.
 *
 * Judged alike on all machines, by what any file system takes for the same name, and not by what the root's own does: a folder
 * holds disks of other kinds (a stick, a share, a drive of Windows under WSL, a directory of ext4 that folds case). Git
 * refuses such names everywhere for the same reason (core.protectNTFS, CVE-2019-1353).
 */
import { ownDirectoryName } from '@driftless/protocol';

const names: readonly string[] = ['.git', '.hg', '.svn', '.bzr', '.jj', '_darcs', ownDirectoryName];
const alwaysIgnored: ReadonlySet<string> = new Set(names);

/**
 * The short names that Windows gives to them: the first six letters and a number, or, from the fifth name that begins alike, two
 * letters, four digits and a number.
 */
const shortName = new RegExp(
  `^(?:${names
    .map((name) => name.replace('.', ''))
    .flatMap((stem) => [stem.slice(0, 6), `${stem.slice(0, 2)}[0-9a-f]{4}`])
    .join('|')})~\\d+$`,
);

/** Whether one of the names on the way to `path`, or its own, is such a name. */
export function isBelowAlwaysIgnored(path: string): boolean {
  return path.split('/').some(isAlwaysIgnoredName);
}

export function isAlwaysIgnoredName(name: string): boolean {
  const seen = asAnyDiskSees(name);
  return alwaysIgnored.has(seen) || shortName.test(seen);
}

/** HFS+ and ext4 do not see what is invisible, disks fold case and forms, and Windows drops dots and spaces at the end, and streams. */
function asAnyDiskSees(name: string): string {
  const folded = isAscii(name) ? name.toLowerCase() : fold(name);
  return folded.replace(/[. ]*(?::.*)?$/s, '');
}

/** Small, large, small: `ẞ` becomes `ss`, and `ı` becomes `i`. */
function fold(name: string): string {
  const visible = name.normalize('NFKC').replace(/\p{Default_Ignorable_Code_Point}/gu, '');
  return visible.toLowerCase().toUpperCase().toLowerCase();
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}
