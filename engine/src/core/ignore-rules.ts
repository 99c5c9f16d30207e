/**
 * Which paths take no part in sync because of rules (rule IG1): gitignore syntax, by the package `ignore`
 * for single patterns, composed here over nested files.
 *
 * A path is judged from the root down: nothing below an excluded directory can come back. At each level the first of
 * these that has an opinion decides:
 *   1. version control folders, and `.driftless` at the root: out, always
 *   2. `.driftlessignore`, nearest directory first; the last matching line of a file counts; `!` takes back in
 *   3. the defaults below
 *   4. `.gitignore`, nearest directory first
 * So `!node_modules` in `.driftlessignore` overrides a default, while the `!*` of a `.gitignore` does not.
 * Leaves to others: reading the files, and saying when one changed (IG2).
 */
import { ownDirectoryName, type RelPath, utf8ToBytes } from '@driftless/protocol';
import ignore from 'ignore';
import { clashKey } from './folder-name.ts';
import type { FolderTraits } from './folder-traits.ts';

export const ignoreFileNames = { driftless: '.driftlessignore', git: '.gitignore' } as const;

/** Larger than any ignore file that people write; what is beyond does not count and is warned of. */
export const ignoreFileBytesMax = 256 * 1024;
export const ignorePatternsMax = 2_000;
export const ignorePatternBytesMax = 1_024;
/** Each `**` inside a pattern multiplies the ways to match a deep path; behind the last one nothing is tried again. */
export const ignoreDoubleStarsMax = 2;

/** Always out: another tool's database, which breaks when it is copied in pieces (F20). `.git` may be a file, too. */
const versionControlNames: ReadonlySet<string> = new Set(['.git', '.hg', '.svn', '.bzr', '.jj', '_darcs']);

/** Out unless `.driftlessignore` says otherwise. */
export const defaultIgnorePatterns: readonly string[] = [
  'node_modules/',
  // vim: backup, swap, probe
  '*~',
  '.*.sw?',
  '4913',
  // Emacs: lock, auto-save
  '.#*',
  '\\#*#',
  // Office and LibreOffice: owner and work files
  '~$*',
  '~WRD*',
  '~WRL*',
  '.~lock.*#',
  // JetBrains and GNOME: safe writes
  '*___jb_tmp___',
  '*___jb_old___',
  '.goutputstream-*',
  // network and FUSE disks: files deleted while open
  '.nfs????????*',
  '.fuse_hidden*',
  // litter of desktops
  '.DS_Store',
  '._*',
  '.Spotlight-V100',
  '.Trashes',
  '.Trash-*',
  'Thumbs.db',
  'ehthumbs.db',
  'desktop.ini',
  '$RECYCLE.BIN/',
  'System Volume Information/',
];

export interface IgnoreRulesOptions {
  /** Texts of the ignore files directly in a directory ('' = root); asked once a directory until `invalidate`. */
  readonly readIgnoreFile: (directory: RelPath | '') => { readonly driftless?: string; readonly git?: string };
  readonly traits: FolderTraits;
}

export interface IgnoreRules {
  isIgnored(path: RelPath, isDirectory: boolean): boolean;
  /** An ignore file in `directory` appeared, changed or went, or the directory itself did: all at and below it is asked again. */
  invalidate(directory: RelPath | ''): void;
  /** Lines that do not count because they broke a bound, for people. */
  warnings(): readonly { readonly directory: RelPath | ''; readonly reason: string }[];
}

/** Cost of a question: its parents' answers are kept, then the rules of the files above it. */
export function createIgnoreRules(options: IgnoreRulesOptions): IgnoreRules {
  const { traits } = options;
  const defaults = parsePatterns(defaultIgnorePatterns.join('\n'), traits).matcher;
  const directories = new Map<RelPath | '', DirectoryState>();
  const warningsByDirectory = new Map<RelPath | '', readonly string[]>();

  const readRules = (directory: RelPath | '', above: readonly DirectoryRules[]): readonly DirectoryRules[] => {
    const texts = options.readIgnoreFile(directory);
    const driftless = parsePatterns(texts.driftless ?? '', traits);
    const git = parsePatterns(texts.git ?? '', traits);
    const reasons = [
      ...driftless.reasons.map((reason) => `${ignoreFileNames.driftless}: ${reason}`),
      ...git.reasons.map((reason) => `${ignoreFileNames.git}: ${reason}`),
    ];
    if (reasons.length > 0) warningsByDirectory.set(directory, reasons);
    if (driftless.matcher === null && git.matcher === null) return above;
    return [{ directory, driftless: driftless.matcher, git: git.matcher }, ...above];
  };

  const stateOf = (directory: RelPath | ''): DirectoryState => {
    const known = directories.get(directory);
    if (known !== undefined) return known;
    let state: DirectoryState;
    if (directory === '') {
      state = { ignored: false, rules: readRules('', []) };
    } else {
      const parent = stateOf(parentOf(directory));
      const ignored = parent.ignored || judge(directory, true, parent.rules);
      // Below an excluded directory no rule is asked any more, so none is read.
      state = ignored ? excluded : { ignored, rules: readRules(directory, parent.rules) };
    }
    directories.set(directory, state);
    return state;
  };

  const judge = (path: RelPath, isDirectory: boolean, rules: readonly DirectoryRules[]): boolean => {
    if (isAlwaysIgnored(path, traits)) return true;
    for (const { directory, driftless } of rules) {
      const verdict = driftless?.(below(path, directory), isDirectory);
      if (verdict !== undefined) return verdict;
    }
    if (defaults?.(path, isDirectory) === true) return true;
    for (const { directory, git } of rules) {
      const verdict = git?.(below(path, directory), isDirectory);
      if (verdict !== undefined) return verdict;
    }
    return false;
  };

  return {
    isIgnored(path, isDirectory) {
      if (isDirectory) return stateOf(path).ignored;
      const parent = stateOf(parentOf(path));
      return parent.ignored || judge(path, false, parent.rules);
    },
    invalidate(directory) {
      for (const map of [directories, warningsByDirectory]) {
        if (directory === '') map.clear();
        else for (const key of map.keys()) if (key === directory || key.startsWith(`${directory}/`)) map.delete(key);
      }
    },
    warnings: () =>
      [...warningsByDirectory].flatMap(([directory, reasons]) => reasons.map((reason) => ({ directory, reason }))),
  };
}

/** Names that no rule can take back in, in any spelling that this disk takes for them. */
export function isAlwaysIgnored(path: RelPath, traits: FolderTraits): boolean {
  const slash = path.lastIndexOf('/');
  const name = diskName(path.slice(slash + 1), traits);
  return versionControlNames.has(name) || (slash < 0 && name === ownDirectoryName);
}

interface DirectoryRules {
  readonly directory: RelPath | '';
  readonly driftless: Matcher | null;
  readonly git: Matcher | null;
}
interface DirectoryState {
  readonly ignored: boolean;
  /** Of this directory and those above it, nearest first. */
  readonly rules: readonly DirectoryRules[];
}
const excluded: DirectoryState = { ignored: true, rules: [] };

/** true: out; false: taken back in; undefined: no opinion. `path` is relative to the file's directory. */
type Matcher = (path: string, isDirectory: boolean) => boolean | undefined;

/**
 * One file's patterns. The package would also exclude what lies below a directory that this one file excludes, though a
 * stronger file may have taken that directory back in. It does not do so for negated patterns, and those tell whether
 * they match a path itself: so lines of one sign that follow each other become one set, all negated, and the last set
 * that matches decides with its sign.
 */
function parsePatterns(
  text: string,
  traits: FolderTraits,
): { readonly matcher: Matcher | null; readonly reasons: readonly string[] } {
  const { patterns, reasons } = boundedPatterns(text);
  const sets: PatternSet[] = [];
  for (const pattern of patterns) {
    const excludes = !pattern.startsWith('!');
    const body = excludes ? pattern : pattern.slice(1);
    const last = sets.at(-1);
    if (last?.excludes === excludes) last.bodies.push(body);
    else sets.push(createPatternSet(excludes, body, traits));
  }
  if (sets.length === 0) return { matcher: null, reasons };
  sets.reverse();
  const matcher: Matcher = (path, isDirectory) => {
    const asked = isDirectory ? `${path}/` : path;
    return sets.find((set) => set.matches(asked))?.excludes;
  };
  return { matcher, reasons };
}

interface PatternSet {
  readonly excludes: boolean;
  readonly bodies: string[];
  matches(path: string): boolean;
}

/** The package remembers every path that it was asked: it is made anew after this many, so that it cannot grow for ever. */
const questionsMax = 10_000;

function createPatternSet(excludes: boolean, first: string, traits: FolderTraits): PatternSet {
  const bodies = [first];
  let questions = questionsMax;
  let compiled: ReturnType<typeof ignore> | undefined;
  return {
    excludes,
    bodies,
    matches(path) {
      if (compiled === undefined || questions >= questionsMax) {
        compiled = ignore({ ignorecase: !traits.caseSensitive, allowRelativePaths: true });
        compiled.add(bodies.map((body) => ({ pattern: `!${body}` })));
        questions = 0;
      }
      questions += 1;
      return compiled.test(path).unignored;
    },
  };
}

function boundedPatterns(text: string): { readonly patterns: readonly string[]; readonly reasons: readonly string[] } {
  const reasons: string[] = [];
  let readable = text;
  if (text.length > ignoreFileBytesMax) {
    reasons.push(`only the first ${ignoreFileBytesMax} characters count`);
    readable = text.slice(0, ignoreFileBytesMax);
  }
  const patterns: string[] = [];
  let refused = 0;
  const lines = (readable.startsWith('\uFEFF') ? readable.slice(1) : readable).split(/\r?\n/);
  for (const line of lines) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    if (patterns.length === ignorePatternsMax) {
      reasons.push(`only the first ${ignorePatternsMax} patterns count`);
      break;
    }
    if (utf8ToBytes(line).length > ignorePatternBytesMax || costlyDoubleStars(line) > ignoreDoubleStarsMax)
      refused += 1;
    else patterns.push(line);
  }
  if (refused > 0) reasons.push(`${refused} patterns are too long or have too many **`);
  return { patterns, reasons };
}

/** Runs of two or more stars, but for one at the very end. */
function costlyDoubleStars(pattern: string): number {
  return pattern.replace(/\*{2,}\/?\s*$/, '').match(/\*{2,}/g)?.length ?? 0;
}

/** A name as such a disk compares it: folded, and without what HFS+ and Windows do not see. */
function diskName(name: string, traits: FolderTraits): string {
  if (traits.caseSensitive && !traits.foldsUnicode && !traits.windowsNames) return name;
  let seen = clashKey(name, traits);
  // HFS+ leaves these out when it compares names: `.g\u200cit` opens `.git`.
  if (traits.foldsUnicode) seen = seen.replace(/\u200c|\u200d|[\u200e\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g, '');
  if (traits.windowsNames) {
    seen = seen.replace(/(?::.*|[. ]+)$/, '');
    // The short name that Windows gives to `.git`.
    if (/^git~\d+$/.test(seen)) return '.git';
  }
  return seen;
}

function parentOf(path: RelPath): RelPath | '' {
  return path.slice(0, Math.max(0, path.lastIndexOf('/'))) as RelPath | '';
}

function below(path: RelPath, directory: RelPath | ''): string {
  return directory === '' ? path : path.slice(directory.length + 1);
}
