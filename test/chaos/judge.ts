/** Looks at folders and says what is wrong with them: see FAULTS in the words of each complaint. */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { contentOf, type FileContent, type Ledger, shaOf, type Tag, tagKeys } from './ledger.ts';
import type { Deed } from './user.ts';

export interface Thing {
  readonly kind: 'file' | 'directory' | 'link' | 'other';
  readonly sha: string;
  readonly executable: boolean;
  readonly content: FileContent | null;
  /** Inode and stamps: another value means that somebody rewrote it. */
  readonly stamps: string;
}
export type Tree = ReadonlyMap<string, Thing>;

export interface Eye {
  /** Everything but `.driftless`. Reads again only what has other stamps than at the last look. */
  look(dir: string): Tree;
}

export function createEye(): Eye {
  const seen = new Map<string, Thing>();
  return {
    look(dir) {
      const tree = new Map<string, Thing>();
      const walk = (below: string): void => {
        let names: string[];
        try {
          names = readdirSync(join(dir, below));
        } catch {
          // Gone since it was listed.
          return;
        }
        for (const name of names.sort()) {
          const path = below === '' ? name : `${below}/${name}`;
          if (path === '.driftless') continue;
          const stat = lstatSync(join(dir, path), { throwIfNoEntry: false, bigint: true });
          if (stat === undefined) continue;
          const stamps = `${stat.ino}.${stat.size}.${stat.mtimeNs}.${stat.ctimeNs}`;
          if (stat.isDirectory()) {
            tree.set(path, { kind: 'directory', sha: '', executable: false, content: null, stamps: String(stat.ino) });
            walk(path);
            continue;
          }
          const known = seen.get(`${dir}/${path}`);
          const thing = known?.stamps === stamps ? known : examine(join(dir, path), stamps);
          if (thing === null) continue;
          seen.set(`${dir}/${path}`, thing);
          tree.set(path, thing);
        }
      };
      walk('');
      return tree;
    },
  };
}

function examine(file: string, stamps: string): Thing | null {
  try {
    const stat = lstatSync(file);
    if (stat.isSymbolicLink()) {
      const target = readlinkSync(file);
      return { kind: 'link', sha: `-> ${target}`, executable: false, content: { kind: 'link', target }, stamps };
    }
    if (!stat.isFile()) return { kind: 'other', sha: '', executable: false, content: null, stamps };
    const bytes = readFileSync(file);
    return {
      kind: 'file',
      sha: shaOf(bytes),
      executable: (stat.mode & 0o100) !== 0,
      content: contentOf(bytes),
      stamps,
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** null: whole, and nothing that nobody wrote (invariants 3 and 8). */
export function inventionIn(path: string, { kind, content, sha }: Thing, ledger: Ledger): string | null {
  if (kind === 'other') return `${path} is neither file, folder nor link`;
  if (content === null || ledger.wasWritten(sha)) return null;
  if (content.kind === 'link')
    return ledger.tag(sha) === undefined ? `${path} is a link that nobody made: ${sha}` : null;
  if (content.kind === 'binary') return `${path} holds bytes that nobody wrote (${sha.slice(0, 12)})`;
  if (content.lines.length === 0) return null;
  const strange = content.lines.find((line) => ledger.tag(line) === undefined);
  if (strange !== undefined) return `${path} holds a line that nobody wrote: ${JSON.stringify(strange.slice(0, 80))}`;
  if (new Set(content.lines).size !== content.lines.length) return `${path} holds a line twice`;
  const first = content.lines[0] ?? '';
  const ends = content.lines.filter((line) => line.startsWith('END '));
  if (ends.length !== 1 || ends[0] !== `END ${first.slice('BEGIN '.length)}`)
    return `${path} is cut, or mixed of two: it begins with ${first} and has ${ends.join(', ') || 'no end'}`;
  return null;
}

export const differences = (trees: readonly { readonly name: string; readonly tree: Tree }[]): string[] => {
  const found: string[] = [];
  const [first, ...others] = trees;
  if (first === undefined) return found;
  for (const other of others)
    for (const path of new Set([...first.tree.keys(), ...other.tree.keys()])) {
      const [mine, theirs] = [describe(first.tree.get(path)), describe(other.tree.get(path))];
      if (mine !== theirs) found.push(`${path}: ${mine} at ${first.name}, ${theirs} at ${other.name}`);
    }
  return found;
};
function describe(thing: Thing | undefined): string {
  return thing === undefined ? 'nothing' : `${thing.kind}${thing.executable ? '+x' : ''} ${thing.sha.slice(0, 16)}`;
}

export const isCopyName = (path: string): boolean =>
  /\.conflict-[A-Za-z0-9_-]{1,20}-\d{8}-\d{6}-[0-9a-f]{6}/.test(path);

/** Invariant 2: what was written and ended by nobody is somewhere in sight. */
export function lostTags(trees: readonly Tree[], ledger: Ledger): Tag[] {
  const inSight = new Set<string>();
  for (const tree of trees)
    for (const { content } of tree.values()) if (content !== null) for (const key of tagKeys(content)) inSight.add(key);
  return [...ledger.tags]
    .filter(([key, tag]) => tag.ended.size === 0 && !tag.unsure && !inSight.has(key))
    .map(([, tag]) => tag);
}

/** The user whose version a conflict copy is, and of which path. */
function copyOf(path: string): { readonly original: string; readonly peer: string } | null {
  const found = /^(.*)\.conflict-([A-Za-z0-9_-]{1,20})-\d{8}-\d{6}-[0-9a-f]{6}(.*)$/.exec(path);
  const [, before, peer, after] = found ?? [];
  return before === undefined || peer === undefined ? null : { original: `${before}${after ?? ''}`, peer };
}

/**
 * Invariant 4: what one user ended, and nobody else handled, is at no ordinary path. Where that user's version lost a conflict it is in
 * a copy, and what it had ended stays at the path: the other side had merged it.
 */
export function resurrected(tree: Tree, ledger: Ledger): string[] {
  const found: string[] = [];
  const isEndedInCopy = (original: string, key: string, by: string): boolean =>
    [...tree].some(([path, { content }]) => {
      const copy = copyOf(path);
      if (content === null || copy?.original !== original || copy.peer !== by) return false;
      const keys = tagKeys(content);
      const since = ledger.tag(key)?.episode ?? 0;
      return !keys.includes(key) && keys.some((one) => (ledger.tag(one)?.episode ?? -1) >= since);
    });
  for (const [path, { content }] of tree) {
    if (content === null || isCopyName(path)) continue;
    // Somebody else's edit, if only of its mode, brings a deleted file back, with what it was merged with (C5).
    const isAlive = tagKeys(content).some((key) => {
      const tag = ledger.tag(key);
      return tag !== undefined && (tag.ended.size === 0 || [...tag.touched].some((peer) => !tag.ended.has(peer)));
    });
    for (const key of tagKeys(content)) {
      const tag = ledger.tag(key);
      if (tag === undefined || tag.ended.size !== 1 || tag.unsure || tag.copied || (tag.endedWhole && isAlive))
        continue;
      const [by] = tag.ended;
      if (by !== undefined && [...tag.touched].every((peer) => peer === by) && !isEndedInCopy(path, key, by))
        found.push(`${path} holds "${tag.what}" of ${tag.path}, which ${by} had ended`);
    }
  }
  return found;
}

export interface DoneDeed extends Deed {
  readonly peer: string;
}

/** Invariant 5: copies, new since the last quiet, of a path that only one user worked on since. */
export function spuriousCopies(options: {
  readonly before: Tree;
  readonly after: Tree;
  readonly deeds: readonly DoneDeed[];
}): string[] {
  const { before, after, deeds } = options;
  const parents = new Map<string, string>();
  const groupOf = (path: string): string => {
    const parent = parents.get(path);
    return parent === undefined ? path : groupOf(parent);
  };
  for (const { renamed } of deeds) {
    if (renamed === undefined) continue;
    const [a, b] = [groupOf(renamed[0]), groupOf(renamed[1])];
    if (a !== b) parents.set(a, b);
  }
  const found: string[] = [];
  // A renamed folder takes its old copies along.
  const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
  const namesBefore = new Set([...before.keys()].map(nameOf));
  for (const path of after.keys()) {
    if (namesBefore.has(nameOf(path)) || !isCopyName(path) || path.includes('nnnnnnnn')) continue;
    const original = path.replace(/\.conflict-[A-Za-z0-9_-]{1,20}-\d{8}-\d{6}-[0-9a-f]{6}(-\d+)?/g, '');
    const group = groupOf(original);
    const peers = new Set<string>();
    for (const { peer, paths, directories } of deeds) {
      const concerns = (name: string): boolean =>
        groupOf(name) === group || original.startsWith(`${name}/`) || name.startsWith(`${original}/`);
      // A renamed folder takes along what others do below it, under whatever name that is by then.
      if (paths.some(concerns) || directories.length > 0) peers.add(peer);
    }
    if (peers.size < 2) found.push(`${path}, though only ${[...peers].join() || 'nobody'} worked on ${original}`);
  }
  return found;
}
