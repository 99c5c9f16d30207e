/**
 * The ignore files of a folder as the rules need them: read from disk ahead of the question, and again only when their
 * stamps changed. Says which directories were judged by rules that are no more, so that a scan looks at them again.
 *
 * Leaves to others: what the rules mean (core/ignore-rules), and applying ignore files first (rule IG2).
 */
import { bytesToUtf8, type RelPath } from '@driftless/protocol';
import { fingerprintOf } from './core/fingerprint.ts';
import { createIgnoreRules, ignoreFileBytesMax, ignoreFileNames } from './core/ignore-rules.ts';
import { ancestorsOf } from './core/tree-paths.ts';
import type { Folder, ListedEntry, Stat } from './ports/folder.ts';
import type { Log } from './ports/log.ts';
import type { StateStore } from './ports/state-store.ts';

export interface IgnoreFiles {
  isIgnored(path: RelPath, isDirectory: boolean): boolean;
  /** Lines that do not count, for people. */
  warnings(): readonly { readonly path: RelPath | ''; readonly reason: string }[];
  /** Another number than before: some rule changed. */
  version(): number;
  /** Directories whose rules changed since their subtree was last judged, outermost first. */
  stale(): readonly (RelPath | '')[];
  /** The subtree of `directory` is being judged by the present rules. */
  judged(directory: RelPath | ''): void;
  /** One piece of work: each directory's files are looked at once in it. */
  look(): IgnoreLook;
}

export interface IgnoreLook {
  /** Makes sure that the rules of `directory` and of those above it are the ones on disk. */
  load(directory: RelPath | ''): Promise<void>;
  /** The same for a directory that was just listed; those above it are loaded. */
  loadListed(directory: RelPath | '', entries: readonly ListedEntry[]): Promise<void>;
}

interface LoadedFiles {
  /** Stamps of both files. */
  readonly key: string;
  readonly driftless?: string;
  readonly git?: string;
}
const noFiles: LoadedFiles = { key: ' ' };

const names: readonly string[] = Object.values(ignoreFileNames);

export function isIgnoreFileName(path: RelPath): boolean {
  return names.includes(path.slice(path.lastIndexOf('/') + 1));
}

export function createIgnoreFiles(parts: {
  readonly folder: Folder;
  readonly store: StateStore;
  readonly log: Log;
}): IgnoreFiles {
  const { folder, store, log } = parts;
  /** Directories with ignore files only. */
  const loaded = new Map<RelPath | '', LoadedFiles>();
  const stale = new Set<RelPath | ''>();
  let version = 0;
  const rules = createIgnoreRules({
    readIgnoreFile: (directory) => loaded.get(directory) ?? noFiles,
    traits: folder.traits,
  });

  function look(): IgnoreLook {
    const looked = new Set<RelPath | ''>();

    async function load(directory: RelPath | ''): Promise<void> {
      if (looked.has(directory)) return;
      const above: (RelPath | '')[] = directory === '' ? [] : [...ancestorsOf(directory), ''];
      for (const each of [directory, ...above].reverse()) {
        if (looked.has(each)) continue;
        looked.add(each);
        const [driftless, git] = isKnownDirectory(each) ? await statBoth(each) : [undefined, undefined];
        await take(each, driftless, git);
      }
    }

    async function loadListed(directory: RelPath | '', entries: readonly ListedEntry[]): Promise<void> {
      looked.add(directory);
      const statOf = (name: string) => entries.find((entry) => entry.name === name)?.stat;
      await take(directory, statOf(ignoreFileNames.driftless), statOf(ignoreFileNames.git));
    }

    return { load, loadListed };
  }

  /** A directory that no scan has seen has no rules that were asked for; the scan that finds it loads them. */
  function isKnownDirectory(directory: RelPath | ''): boolean {
    return directory === '' || store.row(directory)?.local?.kind === 'directory' || loaded.has(directory);
  }

  async function statBoth(directory: RelPath | ''): Promise<readonly [Stat | undefined, Stat | undefined]> {
    return [await statFile(directory, ignoreFileNames.driftless), await statFile(directory, ignoreFileNames.git)];
  }

  async function statFile(directory: RelPath | '', name: string): Promise<Stat | undefined> {
    const stat = await folder.stat(pathIn(directory, name));
    return stat === null || stat.kind === 'problem' ? undefined : stat;
  }

  async function take(directory: RelPath | '', driftless: Stat | undefined, git: Stat | undefined): Promise<void> {
    // A link or directory of that name holds no rules.
    const key = `${stampsOf(driftless)} ${stampsOf(git)}`;
    const before = loaded.get(directory) ?? noFiles;
    if (key === before.key) return;
    const driftlessText =
      driftless?.kind === 'file' ? await read(directory, ignoreFileNames.driftless, before.driftless) : undefined;
    const gitText = git?.kind === 'file' ? await read(directory, ignoreFileNames.git, before.git) : undefined;
    const files: LoadedFiles = {
      key,
      ...(driftlessText === undefined ? {} : { driftless: driftlessText }),
      ...(gitText === undefined ? {} : { git: gitText }),
    };
    if (key === noFiles.key) loaded.delete(directory);
    else loaded.set(directory, files);
    if (files.driftless === before.driftless && files.git === before.git) return;
    rules.invalidate(directory);
    stale.add(directory);
    version += 1;
  }

  /** An unreadable file leaves the rules as they were: better than publishing what was left out until now. */
  async function read(directory: RelPath | '', name: string, before: string | undefined): Promise<string | undefined> {
    const path = pathIn(directory, name);
    const opened = await folder.openFile(path);
    if (!('read' in opened)) {
      if (opened.kind === 'absent') return undefined;
      log.warn('ignore-file-unreadable', { reason: opened.reason });
      return before;
    }
    try {
      const bytes = await opened.readAt(0, ignoreFileBytesMax);
      return bytesToUtf8(bytes) ?? new TextDecoder().decode(bytes);
    } finally {
      await opened.close();
    }
  }

  return {
    isIgnored: rules.isIgnored,
    warnings: () => rules.warnings().map(({ directory, reason }) => ({ path: directory, reason })),
    version: () => version,
    stale: () => [...stale].sort((a, b) => a.length - b.length),
    judged: (directory) => {
      stale.delete(directory);
    },
    look,
  };
}

function stampsOf(stat: Stat | undefined): string {
  return stat?.kind === 'file' ? fingerprintOf(stat) : '';
}

function pathIn(directory: RelPath | '', name: string): RelPath {
  return (directory === '' ? name : `${directory}/${name}`) as RelPath;
}
