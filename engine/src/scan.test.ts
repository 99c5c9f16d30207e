/** The scan on a real disk in a temporary folder (F21, M8–M15, N5, D10; rules TREE, IG1, IG2). */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { noRecordId, type RecordId, type RelPath, type Slot } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { directory, file, link } from './core/test-support/entries.ts';
import { createHolds } from './guards/holds.ts';
import { createMounts } from './guards/mounts.ts';
import { nodeClock } from './node/node-clock.ts';
import { createNodeFolder } from './node/node-folder.ts';
import { nodeHashing } from './node/node-hashing.ts';
import { openStateStore } from './node/sqlite-state-store.ts';
import { type Folder, FolderError } from './ports/folder.ts';
import type { Log } from './ports/log.ts';
import type { StateStore } from './ports/state-store.ts';
import { createScanner, type Scanner, type ScanResult } from './scan.ts';

const log: Log = { debug() {}, info() {}, warn() {}, error() {} };
const minuteMs = 60_000;

let root = '';
let store: StateStore;
let folder: Folder;
let scanner: Scanner;
/** Contents read by scans so far. */
let reads = 0;
/** Added to the clock: files made a moment ago are then old enough to be trusted by their stamps. */
let laterMs = 0;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'driftless-scan-'));
  store = openStateStore({ file: ':memory:', holdsModes: true });
  folder = createNodeFolder(root);
  reads = 0;
  laterMs = 10 * minuteMs;
  scanner = scannerOver(folder);
});
afterEach(async () => {
  store.close();
  await folder.close();
  execFileSync('chmod', ['-R', 'u+rwx', root]);
  rmSync(root, { recursive: true, force: true });
});

function scannerOver(of: Folder): Scanner {
  const clock = { ...nodeClock, nowMs: () => nodeClock.nowMs() + laterMs };
  const hashing = {
    ...nodeHashing,
    createSha256: () => {
      reads += 1;
      return nodeHashing.createSha256();
    },
  };
  const mounts = createMounts({ dir: root, folder: of, store, holds: createHolds({ store, hashing, clock }) });
  return createScanner({
    folder: of,
    store,
    clock,
    hashing,
    log,
    isScopeConfirmed: () => false,
    fileBytesMax: 1_000,
    pause: async () => {},
    mounts,
  });
}

const rel = (path: string) => path as RelPath;
const at = (path: string) => join(root, path);
function write(path: string, text: string): void {
  mkdirSync(join(at(path), '..'), { recursive: true });
  writeFileSync(at(path), text);
}
const { signal } = new AbortController();
const scanAll = (): Promise<ScanResult> => scanner.scan({ paths: 'all', signal });
const look = (path: string, deep = false): Promise<ScanResult> =>
  scanner.scan({ paths: [{ path: rel(path), deep }], signal });
/** What the store knows of the disk: 'path kind' or 'path !reason'. */
const seen = (): string[] => seenFrom('');
const seenFrom = (path: string): string[] =>
  store.rowsFrom(path as RelPath, 1_000).flatMap(({ path, local, outOfScope }) => {
    if (outOfScope !== null) return [`${path} !${outOfScope}`];
    return local === null ? [] : [`${path} ${local.kind}`];
  });

function arrive(slots: Readonly<Record<string, Slot>>): void {
  const height = (store.head()?.height ?? 0) + 1;
  const head = { height, id: height.toString(16).padStart(64, '0') as RecordId };
  const updates = Object.entries(slots).map(([path, slot]) => ({ path: rel(path), slot }));
  const change = { updates, variantsOpened: [], variantsClosed: [] };
  const empty = new Uint8Array(0);
  const meta = {
    head,
    prev: store.head()?.id ?? noRecordId,
    root: store.rootAfter(change),
    device: '',
    deviceName: '',
    timeMs: 0,
    label: '',
    massDeletion: 'none' as const,
    changes: 1,
    own: false,
  };
  store.commitRecord({
    meta,
    record: { header: empty, body: empty, writerSignature: empty },
    ...change,
    mtimes: new Map(),
    bytes: 0,
  });
}

describe('what is there', () => {
  test('files, folders and links are recorded; a second scan reads and changes nothing (Q1)', async () => {
    write('a/b/x', 'hi');
    mkdirSync(at('empty'));
    symlinkSync('b/x', at('a/link'));
    chmodSync(at('a/b/x'), 0o755);
    const { changed } = await scanAll();
    expect([...changed].sort()).toEqual(['a', 'a/b', 'a/b/x', 'a/link', 'empty']);
    expect(store.row(rel('a/b/x'))?.local).toMatchObject({
      digest: file('hi').content.digest,
      size: 2,
      executable: true,
      racy: false,
    });
    expect(store.row(rel('a/link'))?.local).toEqual(link('b/x'));
    expect(reads).toBe(1);
    expect((await scanAll()).changed).toEqual([]);
    expect(reads).toBe(1);
  });

  test('new content under the same size and modification time is found by the change time', async () => {
    write('a', 'one');
    const { atime, mtime } = statSync(at('a'));
    await scanAll();
    writeFileSync(at('a'), 'two');
    utimesSync(at('a'), atime, mtime);
    expect((await look('a')).changed).toEqual(['a']);
    expect(store.row(rel('a'))?.local).toMatchObject({ digest: file('two').content.digest });
  });

  test('a file hashed too soon after its change is hashed once more', async () => {
    laterMs = 0;
    write('a', 'one');
    await scanAll();
    expect(store.row(rel('a'))?.local).toMatchObject({ racy: true });
    laterMs = 10 * minuteMs;
    expect((await scanAll()).changed).toEqual([]);
    expect(reads).toBe(2);
    expect(store.row(rel('a'))?.local).toMatchObject({ racy: false });
  });

  test('a hint below folders that were never seen takes them in too', async () => {
    write('a/b/c/x', 'hi');
    await look('a/b/c/x');
    expect(seen()).toEqual(['a directory', 'a/b directory', 'a/b/c directory', 'a/b/c/x file']);
  });

  test('a file that changes while it is read is unstable, and nothing is recorded (F21)', async () => {
    write('a', 'one');
    scanner = scannerOver({
      ...folder,
      openFile: async (path) => {
        const opened = await folder.openFile(path);
        if (!('read' in opened)) return opened;
        return {
          ...opened,
          read: async (bytesMax) => {
            writeFileSync(at(path), 'one more');
            return opened.read(bytesMax);
          },
        };
      },
    });
    const result = await scanAll();
    expect(result.unstable).toEqual([{ path: 'a', deep: false }]);
    expect(store.row(rel('a'))).toBeUndefined();
  });
});

const filesOf = (vanished: ScanResult['vanished']): RelPath[] =>
  vanished
    .filter(({ isDirectory }) => !isDirectory)
    .map(({ path }) => path)
    .sort();

describe('what is gone', () => {
  test('a removed subtree, from the hint of one file in it', async () => {
    write('a/b/x', '1');
    write('a/y', '2');
    await scanAll();
    rmSync(at('a'), { recursive: true });
    const { vanished } = await look('a/b/x');
    expect(filesOf(vanished)).toEqual(['a/b/x', 'a/y']);
    expect(seen()).toEqual([]);
  });

  test('a moved folder is recognised: its files are not read again (F2)', async () => {
    for (let index = 0; index < 300; index += 1) write(`old/sub/${index}`, `text ${index}`);
    await scanAll();
    expect(reads).toBe(300);
    renameSync(at('old'), at('new'));
    const result = await scanner.scan({
      paths: [
        { path: rel('new'), deep: true },
        { path: rel('old'), deep: true },
      ],
      signal,
    });
    expect(reads).toBe(300);
    expect(filesOf(result.vanished)).toHaveLength(300);
    expect(result.vanished.filter(({ isDirectory, movedElsewhere }) => !isDirectory && !movedElsewhere)).toEqual([]);
    expect(store.row(rel('new/sub/7'))?.local).toMatchObject({ digest: file('text 7').content.digest });
  });

  test('a file in place of a folder, and back (F13)', async () => {
    write('a/x', '1');
    await scanAll();
    rmSync(at('a'), { recursive: true });
    write('a', 'file');
    await look('a');
    expect(seen()).toEqual(['a file']);
    rmSync(at('a'));
    write('a/x', '1');
    await look('a');
    expect(seen()).toEqual(['a directory', 'a/x file']);
  });

  test('what is emptied, and what appears empty just now, is told (FAST2)', async () => {
    write('a', 'one');
    write('b', '');
    utimesSync(at('b'), 1_000, 1_000);
    await scanAll();
    writeFileSync(at('a'), '');
    write('c', '');
    write('old', '');
    const nowS = (Date.now() + laterMs) / 1_000;
    utimesSync(at('c'), nowS, nowS);
    const result = await scanAll();
    expect([...result.emptied].sort()).toEqual(['a', 'c']);
    expect((await scanAll()).emptied).toEqual([]);
  });

  test('a root that is not there changes nothing (D3)', async () => {
    write('a', 'one');
    await scanAll();
    renameSync(root, `${root}-away`);
    const scan = scanAll();
    await expect(scan).rejects.toBeInstanceOf(FolderError);
    renameSync(`${root}-away`, root);
    expect(seen()).toEqual(['a file']);
  });
});

describe('what takes no part is not absent (IG1)', () => {
  test('pipes, links that lead out, and files too large are left alone and told once (M11, M15, F18)', async () => {
    execFileSync('mkfifo', [at('pipe')]);
    symlinkSync('/etc/passwd', at('absolute'));
    symlinkSync('../outside', at('outside'));
    write('large', 'x'.repeat(1_001));
    const { problems } = await scanAll();
    expect(problems.map(({ path }) => path).sort()).toEqual(['absolute', 'large', 'outside', 'pipe']);
    expect(seen()).toEqual([
      'absolute !outside-link',
      'large !too-large',
      'outside !outside-link',
      'pipe !special-file',
    ]);
    expect((await scanAll()).problems).toEqual([]);
    expect(reads).toBe(0);
  });

  test('a file that cannot be read is a problem, never a deletion; readable again, it goes on from its base (M9, D10)', async () => {
    write('a', 'one');
    await scanAll();
    store.setBase(rel('a'), file('one'));
    const blocked = scannerOver({
      ...folder,
      openFile: async () => ({ kind: 'problem', code: 'EIO', reason: 'Cannot read "a".', diskFull: false }),
    });
    writeFileSync(at('a'), 'two!');
    const result = await blocked.scan({ paths: 'all', signal });
    expect(result.problems).toEqual([{ path: 'a', reason: 'Cannot read "a".' }]);
    expect(result.vanished).toEqual([]);
    expect(seen()).toEqual(['a !unreadable']);
    await scanAll();
    expect(store.row(rel('a'))).toMatchObject({ base: file('one'), local: { digest: file('two!').content.digest } });
  });

  test('a folder that cannot be listed keeps all below it (M9)', async () => {
    write('a/x', 'one');
    await scanAll();
    const blocked = scannerOver({
      ...folder,
      list: async (path) =>
        path === 'a' ? { kind: 'problem', code: 'EACCES', reason: 'no', diskFull: false } : folder.list(path),
    });
    expect((await blocked.scan({ paths: 'all', signal })).vanished).toEqual([]);
    expect(seen()).toEqual(['a !unreadable', 'a/x !unreadable']);
    await scanAll();
    expect(seen()).toEqual(['a directory', 'a/x file']);
  });

  test('names that are not UTF-8 are told and harm nothing (N5)', async () => {
    writeFileSync(Buffer.concat([Buffer.from(`${root}/bad`), Buffer.of(0xff)]), 'x');
    write('good', 'y');
    expect((await scanAll()).problems).toHaveLength(1);
    expect(seen()).toEqual(['good file']);
    expect(scanner.skipped()).toHaveLength(1);
  });

  test('an ignored folder is not descended; an ignore file that changes is obeyed for all below it', async () => {
    write('node_modules/x', '1');
    write('src/a.log', '1');
    write('src/b', '1');
    await scanAll();
    expect(seen()).toEqual(['node_modules !ignored', 'src directory', 'src/a.log file', 'src/b file']);
    store.setBase(rel('src/a.log'), file('1'));
    write('.gitignore', '*.log\n');
    const result = await look('.gitignore');
    expect(result.vanished).toEqual([]);
    expect(seen()).toContain('src/a.log !ignored-once-shared');
    expect(store.row(rel('src/a.log'))?.base ?? null).toBeNull();
    rmSync(at('.gitignore'));
    await look('.gitignore');
    expect(seen()).toContain('src/a.log file');
  });

  test('an ignore file that was applied by others’ hands is obeyed at the next hint below it', async () => {
    write('src/a.log', '1');
    await scanAll();
    write('.gitignore', '*.log\n');
    await look('src/a.log');
    expect(seen()).toContain('src/a.log !ignored');
  });
});

describe('what the room brings (IG1, IG2)', () => {
  test('ignored, too large and unstorable arrivals go out of scope before they are applied', async () => {
    write('.gitignore', 'build/\n');
    await scanAll();
    const large = { ...file('x'), content: { ...file('x').content, size: 5_000 } };
    arrive({ build: directory, 'build/x': file('x'), good: file('y'), large, out: link('../../x') });
    await scanner.scopeArrivals({ nowMs: 0 });
    expect(seen().filter((row) => row.includes('!'))).toEqual([
      'build !ignored',
      'build/x !ignored',
      'large !too-large',
      'out !unstorable',
    ]);
    expect(store.pendingRows({ limit: 9, nowMs: 0 }).map(({ path }) => path)).toEqual(['.gitignore', 'good']);
    // They are not on disk, and a scan does not take that for news.
    expect((await scanAll()).changed).toEqual([]);
    rmSync(at('.gitignore'));
    await look('.gitignore');
    expect(seen().filter((row) => row.includes('!'))).toEqual(['large !too-large', 'out !unstorable']);
  });

  test('ignore files still to be applied are named, and what follows is judged again', async () => {
    await scanAll();
    arrive({ '.gitignore': file('build/\n'), 'build/x': file('x') });
    expect((await scanner.scopeArrivals({ nowMs: 0 })).ignoreFiles).toEqual(['.gitignore']);
    write('.gitignore', 'build/\n');
    expect((await scanner.scopeArrivals({ nowMs: 0 })).changed).toEqual(['build/x']);
    // Edited here only: nothing of it is still to be applied.
    store.setBase(rel('.gitignore'), file('build/\n'));
    arrive({ another: file('x') });
    expect((await scanner.scopeArrivals({ nowMs: 0 })).ignoreFiles).toEqual([]);
  });

  test('everything that arrives is judged, however much it is', async () => {
    write('.gitignore', 'zzz/\n');
    await scanAll();
    const many = Object.fromEntries(Array.from({ length: 2_500 }, (_, index) => [`aaa/${index}`, file('x')]));
    arrive({
      aaa: directory,
      ...many,
      z: directory,
      'z/.git': directory,
      'z/.git/config': file('y'),
      'zzz/x': file('x'),
    });
    await scanner.scopeArrivals({ nowMs: 0 });
    expect(seenFrom('z').filter((row) => row.includes('!'))).toEqual([
      'z/.git !ignored',
      'z/.git/config !ignored',
      'zzz/x !ignored',
    ]);
  });

  test('on a disk that folds case the second spelling is not storable (N6)', async () => {
    const folding: Folder = { ...folder, traits: { ...folder.traits, caseSensitive: false } };
    scanner = scannerOver(folding);
    write('README', 'mine');
    await scanAll();
    arrive({ Readme: file('theirs'), other: file('x'), OTHER: file('y') });
    await scanner.scopeArrivals({ nowMs: 0 });
    expect(seen().filter((row) => row.includes('!'))).toEqual(['Readme !unstorable', 'other !unstorable']);
    expect(readFileSync(at('README'), 'utf8')).toBe('mine');
  });
});

test('an aborted scan throws, and what it recorded is true', async () => {
  write('a', 'one');
  const abort = new AbortController();
  abort.abort(new Error('closing'));
  await expect(scanner.scan({ paths: 'all', signal: abort.signal })).rejects.toThrow('closing');
  expect(seen()).toEqual([]);
});

describe('a scan that is cut', () => {
  test('tells what it has recorded: the next one finds no difference there', async () => {
    write('gone.txt', 'gone');
    write('then.txt', 'then');
    await scanAll();
    rmSync(at('gone.txt'));
    rmSync(at('then.txt'));
    const abort = new AbortController();
    const cutting: Folder = {
      ...folder,
      traits: folder.traits,
      stat: async (path) => {
        if (path === 'x') abort.abort();
        return folder.stat(path);
      },
    };
    scanner = scannerOver(cutting);
    const recorded: ScanResult[] = [];
    const requests = ['gone.txt', 'x', 'z'].map((path) => ({ path: rel(path), deep: false }));
    write('x', 'x');
    write('z', 'z');
    const onCut = async (result: ScanResult): Promise<void> => void recorded.push(result);
    const scan = scanner.scan({ paths: requests, signal: abort.signal, onCut });
    await expect(scan).rejects.toThrow();
    expect(recorded.map(({ vanished }) => vanished.map(({ path }) => path))).toEqual([['gone.txt']]);
  });
});

test('rules are read again where the stamps of an ignore file prove nothing', async () => {
  for (const name of ['a.log', 'b.log']) write(name, name);
  write('.gitignore', 'a.log\n');
  const stamps = await folder.stat(rel('.gitignore'));
  const stat: Folder['stat'] = async (path) => (path === '.gitignore' ? stamps : folder.stat(path));
  scanner = scannerOver({ ...folder, stat });
  laterMs = 0;
  const ignored = (): (string | null | undefined)[] =>
    ['a.log', 'b.log'].map((name) => store.row(rel(name))?.outOfScope);
  await scanAll();
  expect(ignored()).toEqual(['ignored', null]);
  write('.gitignore', 'b.log\n');
  await look('b.log');
  expect(ignored()).toEqual([null, 'ignored']);
});

describe('a directory with the identity of one above it', () => {
  /** Lists `path` with the inode of `like`. */
  const listing = (path: string, like: string): Scanner => {
    const { ino } = statSync(at(like), { bigint: true });
    const forged: Folder = {
      ...folder,
      list: async (within, onEntry) => {
        const listed = await folder.list(within, onEntry);
        if (listed.kind !== 'listed') return listed;
        const isIt = (name: string): boolean => (within === '' ? name : `${within}/${name}`) === path;
        const entries = listed.entries.map((entry) =>
          isIt(entry.name) ? { ...entry, stat: { ...entry.stat, inode: ino } } : entry,
        );
        return { ...listed, entries };
      },
    };
    return scannerOver(forged);
  };

  test('is left alone: the tree contains itself', async () => {
    write('d/c/file', 'x\n');
    const result = await listing('d/c', 'd').scan({ paths: 'all', signal });
    expect(seen()).toEqual(['d directory', 'd/c !special-file']);
    expect(result.problems.map(({ reason }) => reason)).toEqual([expect.stringContaining('contains itself')]);
  });

  test('is looked at once more when it got the number of one that has gone since', async () => {
    write('d/c/file', 'x\n');
    const result = await listing('d', 'd/c').scan({ paths: 'all', signal });
    expect(result.unstable).toEqual([{ path: 'd/c', deep: true }]);
    expect(seen()).not.toContain('d/c !special-file');
    await look('d/c', true);
    expect(seen()).toEqual(['d directory', 'd/c directory', 'd/c/file file']);
  });
});
