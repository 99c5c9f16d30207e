/**
 * What is out unless a `.driftlessignore` says otherwise. Names for temporary files match files (and links) alone, in the
 * form in which their programs make them: `4913`, `project~` and `~$budget` are directories that people make.
 */
import { compileGitPattern, type GitPattern } from './git-pattern.ts';

interface DefaultIgnore {
  readonly pattern: string;
  readonly of: 'files' | 'directories';
}

const files = (...patterns: readonly string[]): readonly DefaultIgnore[] =>
  patterns.map((pattern) => ({ pattern, of: 'files' }));
const directories = (...patterns: readonly string[]): readonly DefaultIgnore[] =>
  patterns.map((pattern) => ({ pattern, of: 'directories' }));

/** Of a user by number; `.Trash-1000-to-sort` is somebody's. */
const trashes = Array.from({ length: 10 }, (_, more) => `.Trash-[0-9]${'[0-9]'.repeat(more)}`);

export const defaultIgnores: readonly DefaultIgnore[] = [
  ...directories('node_modules'),
  // vim: backup, swap (from `p` backwards, ten deep: `.swf` is a film), probe
  ...files('*~', '.*.sw[g-p]', '4913'),
  // Emacs: lock, auto-save
  ...files('.#*', '\\#*#'),
  // Office and LibreOffice: owner and work files
  ...files('~$*', '~WRD*.tmp', '~WRL*.tmp', '.~lock.*#'),
  // JetBrains and GNOME: safe writes
  ...files('*___jb_tmp___', '*___jb_old___', '.goutputstream-*'),
  // network and FUSE disks: files deleted while open
  ...files('.nfs????????*', '.fuse_hidden*'),
  // litter of desktops
  ...files('.DS_Store', '._*', 'Thumbs.db', 'ehthumbs.db', 'desktop.ini'),
  ...directories('.Spotlight-V100', '.Trashes', ...trashes, '$RECYCLE.BIN', 'System Volume Information'),
];

/** The pattern of the default that matches this name, as it would stand in an ignore file; undefined: none does. */
export function createDefaultIgnores(folding: {
  readonly ignoreCase: boolean;
}): (name: string, isDirectory: boolean) => string | undefined {
  const compiled: readonly (DefaultIgnore & { readonly compiled: GitPattern })[] = defaultIgnores.map((each) => ({
    ...each,
    compiled: compileGitPattern(each.pattern, folding),
  }));
  return (name, isDirectory) => {
    const found = compiled.find((each) => (each.of === 'directories') === isDirectory && each.compiled.matches(name));
    if (found === undefined) return undefined;
    return found.of === 'directories' ? `${found.pattern}/` : found.pattern;
  };
}
