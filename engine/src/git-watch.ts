/**
 * What git is doing in the folder's work trees, seen from its files (rules DISK2, LOG6): while an `index.lock` lives a
 * checkout is under way and nothing is published, so that it travels as one labelled record; and a burst of deletions that
 * git made is no mass deletion. A folder may hold repositories inside it, submodules among them: each is asked about what
 * lies in it. Reads git's files, never writes them; what git explains is decided by core/guards.ts.
 */
import type { RelPath } from '@driftless/protocol';
import { fingerprintOf } from './core/fingerprint.ts';
import { gitIndexBytesMax, parseGitIndex } from './core/git-index.ts';
import { burstMs, type GitRepository, gitExplains, repositoryOf } from './core/guards.ts';
import type { PeerContext } from './peer-context.ts';

/** A lock older than this is a leftover of a killed git. */
const lockMsMax = 30_000;
/** Setting: HEAD and index of each repository as they were when all that git had done was published. */
const seenSetting = 'git-seen';
/** The label while HEAD is as it was: staged, committed or pulled. That much can be done beside a large file of one's own at any time. */
export const indexLabel = 'git';
/** Repositories that are watched; what a checkout deletes in another one is asked about. */
const repositoriesMax = 1_000;
/** Of a `.git` that is a file and names the directory, and of HEAD. */
const smallFileBytesMax = 4_096;

type WorkTree = RelPath | '';

export interface GitWatch {
  /** What HEAD and the index were when the last run ended, or are at the very first start: what changed since is git at work. */
  begin(): Promise<void>;
  /** A scan met repositories: as they are now they were before the next checkout. */
  noteRepositories(workTrees: readonly WorkTree[]): Promise<void>;
  /** git is writing the work tree around one of these paths now: wait for it. */
  busy(paths: readonly RelPath[]): Promise<boolean>;
  /** A label for the batch at hand when HEAD or the index around it changed since `settled` was last called, else ''. HEAD's goes first. */
  label(paths: readonly RelPath[]): Promise<string>;
  /** The batch at hand was published. */
  settled(): void;
  /** HEAD or the index changed in this burst, also when a part of it was published already, and none of these paths is in the new index. */
  explains(vanished: readonly RelPath[]): Promise<boolean>;
}

interface Stamps {
  readonly head: string;
  readonly index: string;
}

interface Repository {
  readonly workTree: WorkTree;
  /** Where HEAD and the index lie; null: outside the folder, where nothing is read. */
  readonly directory: RelPath | null;
  before: Stamps;
  now: Stamps;
  changedMs: number;
}

export function createGitWatch(context: PeerContext): GitWatch {
  const { folder, clock, store } = context.parts;
  /** By work tree. The root's is always here, whether it is a repository or not. */
  const repositories = new Map<WorkTree, Repository>();
  const lockSeenMs = new Map<WorkTree, number>();

  const hasChanged = ({ before, now }: Repository): boolean => before.head !== now.head || before.index !== now.index;

  async function begin(): Promise<void> {
    const text = store.setting(seenSetting);
    const seen = parseSeen(text);
    for (const workTree of new Set<WorkTree>(['', ...seen.keys()])) await add(workTree, seen.get(workTree));
    if (text === undefined) remember();
  }

  async function add(workTree: WorkTree, before: Stamps | undefined): Promise<void> {
    if (repositories.size >= repositoriesMax) return;
    const directory = await gitDirectoryOf(workTree);
    const now = await stampsOf(directory);
    const repository = { workTree, directory, before: before ?? now, now, changedMs: Number.NEGATIVE_INFINITY };
    repositories.set(workTree, repository);
    if (hasChanged(repository)) repository.changedMs = clock.monotonicMs();
  }

  async function noteRepositories(workTrees: readonly WorkTree[]): Promise<void> {
    const unknown = workTrees.filter((workTree) => !repositories.has(workTree));
    for (const workTree of unknown) await add(workTree, undefined);
    if (unknown.length > 0) remember();
  }

  /** The root's, and those around these paths. */
  function around(paths: readonly RelPath[]): readonly Repository[] {
    const found = new Set<WorkTree>(['']);
    if (repositories.size > 1) for (const path of paths) found.add(repositoryOf(path, repositories) ?? '');
    return [...found].flatMap((workTree) => repositories.get(workTree) ?? []);
  }

  async function look(repository: Repository): Promise<void> {
    repository.now = await stampsOf(repository.directory);
    if (hasChanged(repository)) repository.changedMs = clock.monotonicMs();
  }

  async function busy(paths: readonly RelPath[]): Promise<boolean> {
    let isBusy = false;
    for (const { workTree, directory } of around(paths)) {
      if (directory === null || !(await isThere(`${directory}/index.lock` as RelPath))) {
        lockSeenMs.delete(workTree);
        continue;
      }
      const nowMs = clock.monotonicMs();
      const sinceMs = lockSeenMs.get(workTree) ?? nowMs;
      lockSeenMs.set(workTree, sinceMs);
      isBusy ||= nowMs - sinceMs < lockMsMax;
    }
    return isBusy;
  }

  async function label(paths: readonly RelPath[]): Promise<string> {
    let text = '';
    for (const repository of around(paths)) {
      await look(repository);
      if ((text === '' || text === indexLabel) && hasChanged(repository)) text = await labelOf(repository);
    }
    return text;
  }

  async function labelOf({ directory, before, now }: Repository): Promise<string> {
    if (directory === null || before.head === now.head) return indexLabel;
    const text = new TextDecoder().decode(await read(`${directory}/HEAD` as RelPath, smallFileBytesMax)).trim();
    const branch = /^ref: refs\/heads\/(.{1,150})$/.exec(text)?.[1];
    return branch === undefined ? 'git checkout' : `git switch ${branch}`;
  }

  function settled(): void {
    let isNews = false;
    for (const repository of repositories.values()) {
      if (!hasChanged(repository)) continue;
      repository.before = repository.now;
      isNews = true;
    }
    if (isNews) remember();
  }

  function remember(): void {
    const seen = [...repositories.values()].map(({ workTree, before }) => [workTree, before] as const);
    store.setSetting(seenSetting, JSON.stringify({ workTrees: seen }));
  }

  async function explains(vanished: readonly RelPath[]): Promise<boolean> {
    const asked: GitRepository[] = [];
    const concerned = new Set(around(vanished));
    for (const repository of repositories.values()) {
      // Those that nothing vanished from are named too: a path belongs to the innermost.
      const isAround = concerned.has(repository);
      if (isAround) await look(repository);
      const changed = isAround && clock.monotonicMs() - repository.changedMs <= burstMs;
      const indexPaths = changed ? await indexOf(repository) : undefined;
      asked.push({ path: repository.workTree, changed, indexPaths });
    }
    return gitExplains({ repositories: asked, vanished });
  }

  async function indexOf({ directory }: Repository): Promise<ReadonlySet<string> | undefined> {
    return directory === null
      ? undefined
      : parseGitIndex(await read(`${directory}/index` as RelPath, gitIndexBytesMax));
  }

  // ── git's files ──

  /** Its `.git`: the directory, or what a file of that name says (a submodule, a linked work tree). */
  async function gitDirectoryOf(workTree: WorkTree): Promise<RelPath | null> {
    const path = (workTree === '' ? '.git' : `${workTree}/.git`) as RelPath;
    const stat = await folder.stat(path);
    if (stat === null || stat.kind !== 'file') return path;
    const text = new TextDecoder().decode(await read(path, smallFileBytesMax));
    const target = /^gitdir: (.+?)\s*$/m.exec(text)?.[1];
    return target === undefined ? null : insideRoot(workTree, target, folder.rootPath);
  }

  async function stampsOf(directory: RelPath | null): Promise<Stamps> {
    if (directory === null) return { head: '', index: '' };
    return {
      head: await fingerprint(`${directory}/HEAD` as RelPath),
      index: await fingerprint(`${directory}/index` as RelPath),
    };
  }

  async function fingerprint(path: RelPath): Promise<string> {
    const stat = await folder.stat(path);
    return stat === null || 'reason' in stat ? '' : fingerprintOf(stat);
  }

  async function isThere(path: RelPath): Promise<boolean> {
    const stat = await folder.stat(path);
    return stat !== null && !('reason' in stat);
  }

  async function read(path: RelPath, bytesMax: number): Promise<Uint8Array> {
    const handle = await folder.openFile(path);
    if ('kind' in handle) return new Uint8Array(0);
    try {
      const pieces: Uint8Array[] = [];
      let size = 0;
      while (size < bytesMax) {
        const bytes = await handle.read(Math.min(256 * 1024, bytesMax - size));
        if (bytes.length === 0) break;
        pieces.push(bytes.slice());
        size += bytes.length;
      }
      const whole = new Uint8Array(size);
      let at = 0;
      for (const piece of pieces) {
        whole.set(piece, at);
        at += piece.length;
      }
      return whole;
    } finally {
      await handle.close();
    }
  }

  return { begin, noteRepositories, busy, label, settled, explains };
}

/** As `remember` writes it; version 0.1.0 knew the root's alone. */
function parseSeen(text: string | undefined): ReadonlyMap<WorkTree, Stamps> {
  if (text === undefined) return new Map();
  const value = JSON.parse(text) as Stamps | { readonly workTrees: readonly (readonly [WorkTree, Stamps])[] };
  return 'workTrees' in value ? new Map(value.workTrees) : new Map([['' as const, value]]);
}

/** A target as git writes it, as a path below the root; null: it lies outside. */
function insideRoot(workTree: WorkTree, target: string, rootPath: string): RelPath | null {
  const slashed = target.replaceAll('\\', '/');
  const root = `${rootPath.replaceAll('\\', '/')}/`;
  const isAbsolute = /^(\/|[A-Za-z]:\/)/.test(slashed);
  if (isAbsolute && !slashed.startsWith(root)) return null;
  const inside: string[] = isAbsolute || workTree === '' ? [] : workTree.split('/');
  for (const part of (isAbsolute ? slashed.slice(root.length) : slashed).split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') inside.push(part);
    else if (inside.pop() === undefined) return null;
  }
  return inside.length === 0 ? null : (inside.join('/') as RelPath);
}
