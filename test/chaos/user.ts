/**
 * A user who works in one folder: saves, appends, renames, deletes, in a small universe of names where everything meets.
 * Each operation is a handful of system calls with nothing of this process in between, and tells the ledger exactly what it
 * replaced: the swapped-out file is held open, so that what another program put there in the last moment is noticed.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  type Stats,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { contentOf, type FileContent, type Ledger, shaOf } from './ledger.ts';
import type { Chance } from './random.ts';

export const textPaths = [
  'a.txt',
  'b.txt',
  'd1/c.txt',
  'd1/d2/e.txt',
  'd3/f.txt',
  'README',
  'readme',
  `${'n'.repeat(246)}.txt`,
  'caf\u00e9.txt',
  'cafe\u0301.txt',
  'flip',
  'flip/in.txt',
] as const;
const narrowPaths = ['a.txt', 'd1/c.txt', 'd1/d2/e.txt'] as const;
export const bigPaths = ['big.bin', 'd4/big.bin', 'd1/d2/big.bin'] as const;
export const directories = ['d1', 'd1/d2', 'd3', 'd4', 'd5', 'd6'] as const;
export const linkPaths = ['link1', 'd3/link2'] as const;
/** Never touched by anybody: a folder that lost every file halts, by design. */
export const anchors = ['anchor1.txt', 'anchor2.txt', 'anchor3.txt'] as const;

/** Which names an operation concerned, for the judgement of conflict copies. */
export interface Deed {
  readonly text: string;
  readonly paths: readonly string[];
  readonly directories: readonly string[];
  /** The same thing under two names. */
  readonly renamed?: readonly [string, string];
}

export interface User {
  readonly name: string;
  act(): Deed | null;
  /** A named operation at a chosen path. */
  save(path: string): Deed | null;
  big(path: string): Deed | null;
  /** Deletes the conflict copies, as a person tidies up. */
  tidy(): Deed | null;
}

export interface UserOptions {
  readonly name: string;
  readonly dir: string;
  /** On the same disk, outside of every folder. */
  readonly scratch: string;
  readonly ledger: Ledger;
  readonly chance: Chance;
  readonly bigBytes: readonly [number, number];
  /** All work on a few files, so that users meet all the time. */
  readonly narrow?: boolean;
}

interface Seen {
  readonly handle: number;
  readonly content: FileContent;
  readonly bytes: Buffer;
  readonly executable: boolean;
}

let number = 0;

export function createUser({ name, dir, scratch, ledger, chance, bigBytes, narrow = false }: UserOptions): User {
  const at = (path: string): string => join(dir, path);
  const unique = (): string => {
    number += 1;
    return `${name}-${number.toString(36)}-${chance.integer(0, 0x7fffffff).toString(36)}`;
  };
  const deed = (text: string, paths: readonly string[], extra: Partial<Deed> = {}): Deed => ({
    text: `${name}: ${text} ${paths.map(short).join(' → ')}`,
    paths,
    directories: [],
    ...extra,
  });
  const statOf = (path: string): Stats | undefined => {
    try {
      return lstatSync(at(path), { throwIfNoEntry: false });
    } catch (error) {
      // A file where a folder was.
      if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
      throw error;
    }
  };
  const kindAt = (path: string): 'file' | 'directory' | 'link' | 'other' | null => {
    const stat = statOf(path);
    if (stat === undefined) return null;
    return stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'link' : 'other';
  };

  /** Its parents are, or are made, real directories. */
  function ready(path: string): boolean {
    const names = path.split('/').slice(0, -1);
    for (let count = 1; count <= names.length; count += 1) {
      const parent = names.slice(0, count).join('/');
      const kind = kindAt(parent);
      if (kind === null) mkdirSync(at(parent));
      else if (kind !== 'directory') return false;
    }
    return true;
  }

  function look(path: string): Seen | null {
    try {
      const handle = openSync(at(path), constants.O_RDONLY | constants.O_NOFOLLOW);
      const stat = fstatSync(handle);
      if (!stat.isFile()) {
        closeSync(handle);
        return null;
      }
      const bytes = readFileSync(handle);
      return { handle, bytes, content: contentOf(bytes), executable: (stat.mode & 0o100) !== 0 };
    } catch (error) {
      if (['ENOENT', 'ELOOP', 'ENOTDIR', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
      throw error;
    }
  }

  /** The file that was seen has lost its last name by the user's own hand. */
  function settle(path: string, seen: Seen | null, after: FileContent | null): void {
    if (seen === null) return;
    if (fstatSync(seen.handle).nlink === 0) ledger.noteReplaced(name, seen.content, after);
    else ledger.noteRace(path);
    closeSync(seen.handle);
  }

  const freshLine = (): string =>
    `${unique()} ${'lorem ipsum dolor sit amet '.repeat(chance.integer(1, 3))}${chance.integer(0, 1e9)}`;
  function freshText(): string[] {
    const id = unique();
    return [`BEGIN ${id}`, ...Array.from({ length: chance.integer(4, 16) }, freshLine), `END ${id}`];
  }
  function edited(lines: readonly string[]): string[] {
    const next = [...lines];
    const end = next.findIndex((line) => line.startsWith('END '));
    if (!next[0]?.startsWith('BEGIN ') || end < 1) return freshText();
    let inner = end - 1;
    for (let count = chance.integer(1, 3); count > 0; count -= 1) {
      const index = chance.integer(1, Math.max(1, inner));
      const what =
        inner < 2
          ? 'insert'
          : chance.weighted([[5, 'replace'] as const, [3, 'insert'] as const, [2, 'delete'] as const]);
      if (what === 'replace') next[index] = freshLine();
      else if (what === 'insert') {
        next.splice(index, 0, freshLine());
        inner += 1;
      } else {
        next.splice(index, 1);
        inner -= 1;
      }
    }
    return next;
  }
  const bytesOf = (lines: readonly string[]): Buffer => Buffer.from(lines.map((line) => `${line}\n`).join(''));

  /** Writes a temporary file and gives it the name: never half a file for anybody. */
  function replaceWhole(path: string, bytes: Buffer, executable: boolean, seen: Seen | null): boolean {
    const content = contentOf(bytes);
    ledger.noteWritten({ peer: name, path, content, sha: shaOf(bytes) });
    const inFolder = bytes.length < 10_000 && chance.fraction() < 0.3;
    const temporary = inFolder ? at(join(dirname(path), `.tmp-${unique()}`)) : join(scratch, unique());
    const handle = openSync(temporary, 'wx', executable ? 0o755 : 0o644);
    writeSync(handle, bytes);
    closeSync(handle);
    if (seen === null) {
      try {
        linkSync(temporary, at(path));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        ledger.noteUnsure(content);
        return false;
      } finally {
        unlinkSync(temporary);
      }
      return true;
    }
    renameSync(temporary, at(path));
    settle(path, seen, content);
    return true;
  }

  function save(path: string): Deed | null {
    if (!ready(path)) return null;
    const kind = kindAt(path);
    if (kind !== null && kind !== 'file') return null;
    const seen = look(path);
    const lines = seen?.content.kind === 'text' ? edited(seen.content.lines) : freshText();
    return replaceWhole(path, bytesOf(lines), seen?.executable ?? false, seen) ? deed('save', [path]) : null;
  }

  /** Truncates and writes the same file, as a shell does. */
  function write(path: string): Deed | null {
    if (!ready(path)) return null;
    const kind = kindAt(path);
    if (kind === null) return save(path);
    if (kind !== 'file') return null;
    const seen = look(path);
    if (seen === null) return null;
    const bytes = bytesOf(seen.content.kind === 'text' ? edited(seen.content.lines) : freshText());
    const content = contentOf(bytes);
    ledger.noteWritten({ peer: name, path, content, sha: shaOf(bytes) });
    const handle = openSync(`/proc/self/fd/${seen.handle}`, 'r+');
    ftruncateSync(handle, 0);
    writeSync(handle, bytes, 0, bytes.length, 0);
    ledger.noteReplaced(name, seen.content, content);
    if (!isStillAt(path, handle)) ledger.noteUnsure(content);
    closeSync(handle);
    closeSync(seen.handle);
    return deed('write', [path]);
  }

  function isStillAt(path: string, handle: number): boolean {
    return statOf(path)?.ino === fstatSync(handle).ino;
  }

  function append(path: string): Deed | null {
    const seen = look(path);
    if (seen === null) return null;
    if (seen.content.kind !== 'text' || seen.content.lines.length === 0) {
      closeSync(seen.handle);
      return null;
    }
    const line = freshLine();
    const whole: FileContent = { kind: 'text', lines: [...seen.content.lines, line] };
    ledger.noteWritten({ peer: name, path, content: whole, sha: shaOf(bytesOf([...seen.content.lines, line])) });
    const handle = openSync(`/proc/self/fd/${seen.handle}`, 'a');
    writeSync(handle, `${line}\n`);
    ledger.noteTouched(name, seen.content);
    if (!isStillAt(path, handle)) ledger.noteUnsure(whole);
    closeSync(handle);
    closeSync(seen.handle);
    return deed('append', [path]);
  }

  function remove(path: string): Deed | null {
    const kind = kindAt(path);
    if (kind === 'link') {
      const target = readlinkSync(at(path));
      unlinkSync(at(path));
      ledger.noteReplaced(name, { kind: 'link', target }, null);
      return deed('delete', [path]);
    }
    const seen = look(path);
    if (seen === null) return null;
    try {
      unlinkSync(at(path));
    } catch (error) {
      closeSync(seen.handle);
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    settle(path, seen, null);
    return deed('delete', [path]);
  }

  function rename(from: string, to: string): Deed | null {
    if (!ready(to) || kindAt(from) !== 'file') return null;
    const there = kindAt(to);
    if (there !== null && there !== 'file') return null;
    const moved = look(from);
    if (moved === null) return null;
    const replaced = look(to);
    try {
      renameSync(at(from), at(to));
    } catch (error) {
      closeSync(moved.handle);
      if (replaced !== null) closeSync(replaced.handle);
      if (['ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
      throw error;
    }
    ledger.noteTouched(name, moved.content);
    if (!isStillAt(to, moved.handle)) ledger.noteRace(from);
    closeSync(moved.handle);
    settle(to, replaced, moved.content);
    return deed('rename', [from, to], { renamed: [from, to] });
  }

  function big(path: string): Deed | null {
    if (!ready(path)) return null;
    const kind = kindAt(path);
    if (kind !== null && kind !== 'file') return null;
    const seen = look(path);
    const bytes = Buffer.concat([
      Buffer.from(`BINARY ${unique()}\n\0`),
      chance.bytes(chance.integer(bigBytes[0], bigBytes[1])),
    ]);
    if (seen !== null && chance.fraction() < 0.3) return writeInPieces(path, bytes, seen);
    return replaceWhole(path, bytes, seen?.executable ?? false, seen) ? deed(`big(${bytes.length})`, [path]) : null;
  }

  /** In place and in pieces: every state in between is one that somebody may see. */
  function writeInPieces(path: string, bytes: Buffer, seen: Seen): Deed {
    const pieces = 4;
    for (let count = 1; count < pieces; count += 1)
      ledger.noteState(shaOf(bytes.subarray(0, Math.floor((bytes.length * count) / pieces))));
    const content = contentOf(bytes);
    ledger.noteWritten({ peer: name, path, content, sha: shaOf(bytes) });
    const handle = openSync(`/proc/self/fd/${seen.handle}`, 'r+');
    ftruncateSync(handle, 0);
    for (let count = 0; count < pieces; count += 1) {
      const [start, end] = [
        Math.floor((bytes.length * count) / pieces),
        Math.floor((bytes.length * (count + 1)) / pieces),
      ];
      writeSync(handle, bytes, start, end - start, start);
    }
    ledger.noteReplaced(name, seen.content, content);
    if (!isStillAt(path, handle)) ledger.noteUnsure(content);
    closeSync(handle);
    closeSync(seen.handle);
    return deed(`big in place(${bytes.length})`, [path]);
  }

  function burst(): Deed | null {
    const directory = chance.pick(directories);
    const count = chance.integer(10, 40);
    const paths: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const path = `${directory}/burst${index % 20}.txt`;
      if (save(path) !== null) paths.push(path);
    }
    return paths.length === 0 ? null : { ...deed(`burst of ${paths.length} in`, [directory]), paths };
  }

  function copy(from: string, to: string): Deed | null {
    if (!ready(to) || kindAt(to) !== null) return null;
    const seen = look(from);
    if (seen === null) return null;
    closeSync(seen.handle);
    ledger.noteTouched(name, seen.content, true);
    return replaceWhole(to, seen.bytes, seen.executable, null) ? deed('copy', [from, to]) : null;
  }

  function toggleExecutable(path: string): Deed | null {
    const seen = look(path);
    if (seen === null) return null;
    closeSync(seen.handle);
    ledger.noteTouched(name, seen.content);
    chmodSync(at(path), seen.executable ? 0o644 : 0o755);
    return deed(seen.executable ? 'chmod -x' : 'chmod +x', [path]);
  }

  function makeDirectory(path: string): Deed | null {
    if (!ready(path) || kindAt(path) !== null) return null;
    mkdirSync(at(path));
    return deed('mkdir', [path], { directories: [path] });
  }

  function flip(): Deed | null {
    const kind = kindAt('flip');
    if (kind === 'directory') {
      removeTree('flip');
      const after = kindAt('flip') === null ? save('flip') : null;
      return deed(after === null ? 'rm -r' : 'folder to file', ['flip'], { directories: ['flip'] });
    }
    if (kind === 'file' && remove('flip') === null) return null;
    save('flip/in.txt');
    return deed('file to folder', ['flip', 'flip/in.txt'], { directories: ['flip'] });
  }

  function renameDirectory(from: string, to: string): Deed | null {
    if (
      to.startsWith(`${from}/`) ||
      from.startsWith(`${to}/`) ||
      !ready(to) ||
      kindAt(from) !== 'directory' ||
      kindAt(to) !== null
    )
      return null;
    touchBelow(from);
    try {
      renameSync(at(from), at(to));
    } catch (error) {
      if (['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
      throw error;
    }
    touchBelow(to);
    return deed('rename folder', [from, to], { directories: [from, to], renamed: [from, to] });
  }

  function touchBelow(path: string): void {
    for (const file of filesBelow(path)) {
      const seen = look(file);
      if (seen === null) continue;
      ledger.noteTouched(name, seen.content);
      closeSync(seen.handle);
    }
    for (const file of linksBelow(path)) ledger.noteTouched(name, { kind: 'link', target: readlinkSync(at(file)) });
  }
  function namesBelow(path: string, kind: 'file' | 'link' | 'directory'): string[] {
    const found: string[] = [];
    const walk = (below: string): void => {
      for (const entry of readdirSync(at(below), { withFileTypes: true })) {
        const child = below === '' ? entry.name : `${below}/${entry.name}`;
        if (child === '.driftless') continue;
        if (entry.isDirectory()) walk(child);
        if (kind === 'file' ? entry.isFile() : kind === 'link' ? entry.isSymbolicLink() : entry.isDirectory())
          found.push(child);
      }
    };
    walk(path);
    return found;
  }
  const filesBelow = (path: string): string[] => namesBelow(path, 'file');
  const linksBelow = (path: string): string[] => namesBelow(path, 'link');

  function removeDirectory(path: string): Deed | null {
    if (kindAt(path) !== 'directory' || readdirSync(at(path)).length > 0) return null;
    return tryRemoveDirectory(path) ? deed('rmdir', [path], { directories: [path] }) : null;
  }
  function tryRemoveDirectory(path: string): boolean {
    try {
      rmdirSync(at(path));
      return true;
    } catch (error) {
      if (['ENOTEMPTY', 'ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
      throw error;
    }
  }
  function removeTree(path: string): Deed | null {
    if (kindAt(path) !== 'directory') return null;
    const paths = [...filesBelow(path), ...linksBelow(path)];
    for (const file of paths) remove(file);
    for (const directory of namesBelow(path, 'directory')) tryRemoveDirectory(directory);
    tryRemoveDirectory(path);
    return { ...deed('rm -r', [path], { directories: [path] }), paths: [path, ...paths] };
  }

  function link(path: string): Deed | null {
    if (!ready(path)) return null;
    const kind = kindAt(path);
    if (kind !== null && kind !== 'link') return null;
    const target = `target-${unique()}`;
    const before = kind === 'link' ? readlinkSync(at(path)) : null;
    ledger.noteWritten({ peer: name, path, content: { kind: 'link', target }, sha: null });
    const temporary = join(scratch, unique());
    symlinkSync(target, temporary);
    renameSync(temporary, at(path));
    if (before !== null) ledger.noteReplaced(name, { kind: 'link', target: before }, null);
    return deed('link', [path]);
  }

  function tidy(): Deed | null {
    const copies = [...filesBelow(''), ...linksBelow('')].filter((path) => path.includes('.conflict-'));
    for (const path of copies) remove(path);
    return copies.length === 0 ? null : deed(`tidies ${copies.length} copies`, copies);
  }

  const some = (): string => chance.pick(narrow ? narrowPaths : textPaths);
  const known = (): string =>
    chance.fraction() < 0.8
      ? some()
      : (chance.pickFrom(filesBelow('').filter((path) => !anchors.some((anchor) => anchor === path))) ?? 'a.txt');

  function act(): Deed | null {
    const operation = chance.weighted<() => Deed | null>([
      [20, () => save(some())],
      [20, () => write(some())],
      [14, () => append(known())],
      [8, () => remove(known())],
      [8, () => rename(known(), some())],
      [4, () => big(chance.pick(bigPaths))],
      [4, burst],
      [4, () => copy(known(), some())],
      [3, () => toggleExecutable(known())],
      [3, () => makeDirectory(chance.pick(directories))],
      [3, flip],
      [3, () => renameDirectory(chance.pick(directories), chance.pick(directories))],
      [2, () => removeDirectory(chance.pick(directories))],
      [2, () => removeTree(chance.pick(directories))],
      [2, () => link(chance.pick(linkPaths))],
    ]);
    return operation();
  }

  return { name, act, save, big, tidy };
}

const short = (path: string): string => (path.length > 40 ? `${path.slice(0, 20)}…(${path.length})` : path);
