/**
 * git as the judge of ignore rules: what `git check-ignore` says of every path of many rule sets, asked in one process.
 * Nothing of this machine's own git settings counts: no system or global configuration, no global excludes file, no
 * `.git/info/exclude`.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface RuleSet {
  readonly name: string;
  /** Ignore files by path; a string is written as UTF-8. */
  readonly files: Readonly<Record<string, string | Uint8Array>>;
  /** A trailing slash makes a directory. */
  readonly paths: readonly string[];
}
export interface GitVerdict {
  readonly ignored: boolean;
  /** The deciding line, below the rule set's directory; null = no line has an opinion. */
  readonly file: string | null;
  readonly line: number;
  readonly pattern: string;
}
export type GitVerdicts = ReadonlyMap<string, GitVerdict>;

/** For each rule set, in order, the verdict on each of its paths. `atRoot`: each set is the root of a work tree; slower. */
export function judgeByGit(
  sets: readonly RuleSet[],
  options: { readonly ignoreCase?: boolean; readonly atRoot?: boolean } = {},
): readonly GitVerdicts[] {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'driftless-ignore-')));
  try {
    const environment = {
      PATH: process.env['PATH'],
      LC_ALL: 'C',
      HOME: join(root, 'home'),
      XDG_CONFIG_HOME: join(root, 'home'),
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
    };
    const git = (args: readonly string[], input?: string): string =>
      execFileSync('git', args, {
        cwd: root,
        env: environment,
        encoding: 'utf8',
        maxBuffer: 2 ** 30,
        ...(input === undefined ? {} : { input }),
      });
    const gitDir = join(root, 'repository.git');
    git(['init', '-q', '--bare', '--template=', gitDir]);
    const ask = (workTree: string, paths: readonly string[]): readonly string[] => {
      const args = [
        ...[
          '-c',
          'core.excludesFile=/dev/null',
          '-c',
          'core.bare=false',
          '-c',
          `core.ignoreCase=${options.ignoreCase ?? false}`,
          '-c',
          'core.precomposeUnicode=false',
        ],
        ...['-C', workTree, `--git-dir=${gitDir}`, `--work-tree=${workTree}`],
        ...['check-ignore', '-z', '-v', '-n', '--no-index', '--stdin'],
      ];
      // Exit code 1: none of them is ignored.
      try {
        return git(args, paths.map((path) => `${path}\0`).join('')).split('\0');
      } catch (error) {
        const { status, stdout } = error as { status?: number; stdout?: string };
        if (status === 1 && typeof stdout === 'string') return stdout.split('\0');
        throw error;
      }
    };
    const trees = sets.map((set, index) => {
      const tree = join(root, 'trees', String(index));
      makeTree(tree, set);
      return tree;
    });
    if (options.atRoot === true)
      return sets.map((set, index) => verdictsOf(ask(trees[index] ?? '', set.paths.map(asAsked)), ''));
    const asked = sets.flatMap((set, index) => set.paths.map((path) => `${index}/${asAsked(path)}`));
    const fields = ask(join(root, 'trees'), asked);
    let at = 0;
    return sets.map((set, index) => {
      const slice = fields.slice(at, at + set.paths.length * 4);
      at += slice.length;
      return verdictsOf(slice, `${index}/`);
    });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const asAsked = (path: string): string => path.replace(/\/$/, '');

function makeTree(tree: string, { paths, files }: RuleSet): void {
  mkdirSync(tree, { recursive: true });
  // Of what is to be judged git asks the disk only whether it is a directory.
  for (const path of paths) if (path.endsWith('/')) mkdirSync(join(tree, path), { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
}

/** Four fields a path: file, line, pattern, path. */
function verdictsOf(fields: readonly string[], prefix: string): GitVerdicts {
  const verdicts = new Map<string, GitVerdict>();
  for (let at = 0; at + 3 < fields.length; at += 4) {
    const [file = '', line = '', pattern = '', path = ''] = fields.slice(at, at + 4);
    verdicts.set(path.slice(prefix.length), {
      ignored: pattern !== '' && !pattern.startsWith('!'),
      file: file === '' ? null : file.slice(prefix.length),
      line: Number(line),
      pattern,
    });
  }
  return verdicts;
}
