/**
 * Which paths take no part in sync because of rules (rule IG1): git's syntax and git's meaning, composed over nested files.
 *
 * A path is judged from the root down: nothing below an excluded directory can come back. At each level the first of
 * these that has an opinion decides:
 *   1. version control folders and `.driftless`: out, always (scope/always-ignored.ts)
 *   2. `.driftlessignore`, nearest directory first; the last matching line of a file counts; `!` takes back in
 *   3. the defaults (scope/default-ignores.ts)
 *   4. `.gitignore`, nearest directory first
 * So `!node_modules` in `.driftlessignore` overrides a default, while the `!*` of a `.gitignore` does not.
 * Where a file is not understood to its end, a path that it could match, and that nothing puts out for certain, is `unknown`.
 * Leaves to others: what one file says (scope/ignore-text.ts), reading the files, and saying when one changed (IG2).
 */
import type { RelPath } from '@driftless/protocol';
import type { FolderTraits } from './folder-traits.ts';
import { isAlwaysIgnoredName } from './scope/always-ignored.ts';
import { createDefaultIgnores } from './scope/default-ignores.ts';
import {
  comparedName,
  type IgnoreRemark,
  type IgnoreSource,
  type IgnoreText,
  type NameFolding,
  parseIgnoreText,
} from './scope/ignore-text.ts';

export const ignoreFileNames = { driftless: '.driftlessignore', git: '.gitignore' } as const;
export type IgnoreFileKind = keyof typeof ignoreFileNames;

export function isIgnoreFileName(path: RelPath): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return name === ignoreFileNames.driftless || name === ignoreFileNames.git;
}

export type IgnoreFileTexts = { readonly [Kind in IgnoreFileKind]?: IgnoreSource };

export interface IgnoreRulesOptions {
  /** The ignore files directly in a directory ('' = root); asked once a directory until `invalidate`. */
  readonly readIgnoreFile: (directory: RelPath | '') => IgnoreFileTexts;
  readonly traits: FolderTraits;
}

/** What decided about a path, or about a directory that it lies in. */
export type IgnoreReason =
  /** Version control, or our own directory: no rule takes it back in. */
  | { readonly kind: 'always' }
  | { readonly kind: 'default'; readonly pattern: string }
  /** `line` 0: what could not be read of the file. */
  | { readonly kind: 'rule'; readonly file: RelPath; readonly line: number; readonly pattern: string };

export interface IgnoreVerdict {
  /** `unknown`: something that is not understood could match it; it takes part only if it did before. */
  readonly kind: 'in' | 'out' | 'unknown';
  /** null: nothing has an opinion. */
  readonly reason: IgnoreReason | null;
  /** The path that was decided about: the asked one, or the outermost excluded directory above it. */
  readonly at: RelPath | '';
}

export interface IgnoreRules {
  judge(path: RelPath, isDirectory: boolean): IgnoreVerdict;
  /** Whether it is out for certain. */
  isIgnored(path: RelPath, isDirectory: boolean): boolean;
  /** An ignore file in `directory` appeared, changed or went, or the directory itself did: all at and below it is asked again. */
  invalidate(directory: RelPath | ''): void;
  /** Lines that do not do what they look like, for people. */
  remarks(): readonly (IgnoreRemark & { readonly file: RelPath })[];
}

/** Cost of a question: its parents' answers are kept, then the rules of the files above it. */
export function createIgnoreRules(options: IgnoreRulesOptions): IgnoreRules {
  const { traits } = options;
  const folding: NameFolding = { ignoreCase: !traits.caseSensitive, foldsUnicode: traits.foldsUnicode };
  const defaultFor = createDefaultIgnores(folding);
  const directories = new Map<RelPath | '', DirectoryState>();
  const remarksByDirectory = new Map<RelPath | '', readonly (IgnoreRemark & { readonly file: RelPath })[]>();

  const readRules = (directory: RelPath | '', above: readonly DirectoryRules[]): readonly DirectoryRules[] => {
    const sources = options.readIgnoreFile(directory);
    const driftless = parse(directory, 'driftless', sources);
    const git = parse(directory, 'git', sources);
    const remarks = [driftless, git].flatMap(
      (file) => file?.text.remarks.map((remark) => ({ ...remark, file: file.path })) ?? [],
    );
    if (remarks.length > 0) remarksByDirectory.set(directory, remarks);
    if (isWithoutRules(driftless) && isWithoutRules(git)) return above;
    return [{ prefixLength: comparedPrefix(directory, folding), driftless, git }, ...above];
  };
  const parse = (directory: RelPath | '', kind: IgnoreFileKind, sources: IgnoreFileTexts): RuleFile | null => {
    const source = sources[kind];
    if (source === undefined) return null;
    const path = (directory === '' ? '' : `${directory}/`) + ignoreFileNames[kind];
    return { path: path as RelPath, text: parseIgnoreText(source, folding) };
  };

  const stateOf = (directory: RelPath | ''): DirectoryState => {
    const known = directories.get(directory);
    if (known !== undefined) return known;
    let state: DirectoryState;
    if (directory === '') {
      state = { verdict: rootVerdict, rules: readRules('', []) };
    } else {
      const parent = stateOf(parentOf(directory));
      const verdict = parent.verdict.kind === 'out' ? parent.verdict : judgeAlone(directory, true, parent.rules);
      // Below an excluded directory no rule is asked any more, so none is read.
      state = { verdict, rules: verdict.kind === 'out' ? [] : readRules(directory, parent.rules) };
    }
    directories.set(directory, state);
    return state;
  };

  const judgeAlone = (path: RelPath, isDirectory: boolean, rules: readonly DirectoryRules[]): IgnoreVerdict => {
    if (isAlwaysIgnoredName(path.slice(path.lastIndexOf('/') + 1)))
      return { kind: 'out', reason: { kind: 'always' }, at: path };
    const compared = comparedName(path, folding);
    const name = compared.slice(compared.lastIndexOf('/') + 1);
    let unknown: IgnoreReason | null = null;
    const ask = (kind: IgnoreFileKind): IgnoreVerdict | null => {
      for (const { prefixLength, [kind]: file } of rules) {
        const line = file?.text.find(compared.slice(prefixLength), name, isDirectory) ?? null;
        if (file === null || line === null) continue;
        const reason: IgnoreReason = { kind: 'rule', file: file.path, line: line.line, pattern: line.pattern };
        if (line.verdict !== 'unknown') return { kind: line.verdict, reason, at: path };
        // Something weaker may still put it out for certain; nothing weaker can take it in for certain.
        unknown ??= reason;
      }
      return null;
    };
    const orUnknown = (verdict: IgnoreVerdict): IgnoreVerdict =>
      unknown === null || verdict.kind === 'out' ? verdict : { kind: 'unknown', reason: unknown, at: path };

    const byDriftless = ask('driftless');
    if (byDriftless !== null) return orUnknown(byDriftless);
    const pattern = defaultFor(name, isDirectory);
    if (pattern !== undefined) return { kind: 'out', reason: { kind: 'default', pattern }, at: path };
    return orUnknown(ask('git') ?? { kind: 'in', reason: null, at: path });
  };

  const judge = (path: RelPath, isDirectory: boolean): IgnoreVerdict => {
    if (isDirectory) return stateOf(path).verdict;
    const parent = stateOf(parentOf(path));
    return parent.verdict.kind === 'out' ? parent.verdict : judgeAlone(path, false, parent.rules);
  };

  return {
    judge,
    isIgnored: (path, isDirectory) => judge(path, isDirectory).kind === 'out',
    invalidate(directory) {
      for (const map of [directories, remarksByDirectory]) {
        if (directory === '') map.clear();
        else for (const key of map.keys()) if (key === directory || key.startsWith(`${directory}/`)) map.delete(key);
      }
    },
    remarks: () => [...remarksByDirectory.values()].flat(),
  };
}

interface RuleFile {
  readonly path: RelPath;
  readonly text: IgnoreText;
}
interface DirectoryRules {
  /** Of the directory and its slash, in the form in which paths are compared. */
  readonly prefixLength: number;
  readonly driftless: RuleFile | null;
  readonly git: RuleFile | null;
}
interface DirectoryState {
  readonly verdict: IgnoreVerdict;
  /** Of this directory and those above it, nearest first. */
  readonly rules: readonly DirectoryRules[];
}
const rootVerdict: IgnoreVerdict = { kind: 'in', reason: null, at: '' };

function isWithoutRules(file: RuleFile | null): boolean {
  return file === null || file.text.isEmpty;
}

function comparedPrefix(directory: RelPath | '', folding: NameFolding): number {
  return directory === '' ? 0 : comparedName(directory, folding).length + 1;
}

function parentOf(path: RelPath): RelPath | '' {
  return path.slice(0, Math.max(0, path.lastIndexOf('/'))) as RelPath | '';
}
