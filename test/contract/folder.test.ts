/** Both folders are held to one contract; beside it, what only a real disk or only a simulated one can show. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fingerprintOf } from '../../engine/src/core/fingerprint.ts';
import { nodeDisk } from '../../engine/src/node/node-disk.ts';
import { createNodeFolder } from '../../engine/src/node/node-folder.ts';
import type { Folder } from '../../engine/src/ports/folder.ts';
import { type DiskCall, hookDisk } from '../../engine/src/testing/hooked-disk.ts';
import { createMemoryFolder, type FolderUser, type MemoryFolder } from '../../engine/src/testing/memory-folder.ts';
import { describeFolderContract, type FolderWorld, readAll, relPath } from './folder.contract.ts';

const dress = { mode: { executable: false, private: false }, wasPrivate: false };

async function trashOf(folder: Folder): Promise<readonly string[]> {
  const contents: string[] = [];
  for (const { name, stat } of await folder.trashItems()) {
    if (stat?.kind !== 'file') continue;
    const opened = await folder.openTrash(name);
    if ('read' in opened) contents.push(await readAll(opened));
  }
  return contents.sort();
}

function createNodeUser(root: string): FolderUser {
  const absolute = (path: string): string => join(root, path);
  let lastTemporary = 0;
  const write = (path: string, content: string | Uint8Array): void => {
    mkdirSync(dirname(absolute(path)), { recursive: true });
    writeFileSync(absolute(path), content);
  };
  return {
    write,
    replace: (path, content) => {
      lastTemporary += 1;
      write(`${path}.tmp${lastTemporary}`, content);
      renameSync(absolute(`${path}.tmp${lastTemporary}`), absolute(path));
    },
    remove: (path) => rmSync(absolute(path), { recursive: true }),
    rename: (fromPath, toPath) => {
      mkdirSync(dirname(absolute(toPath)), { recursive: true });
      renameSync(absolute(fromPath), absolute(toPath));
    },
    makeDirectory: (path) => {
      mkdirSync(absolute(path), { recursive: true });
    },
    symlink: (path, target) => symlinkSync(target, absolute(path)),
    setModificationTime: (path, atMs) => utimesSync(absolute(path), atMs / 1_000, atMs / 1_000),
    pipe: (path) => {
      mkdirSync(dirname(absolute(path)), { recursive: true });
      execFileSync('mkfifo', [absolute(path)]);
    },
    setMode: (path, mode) => chmodSync(absolute(path), mode),
    mode: (path) => {
      const stat = lstatSync(absolute(path), { throwIfNoEntry: false });
      return stat === undefined ? undefined : stat.mode & 0o7777;
    },
    read: (path) =>
      existsSync(absolute(path)) && lstatSync(absolute(path)).isFile()
        ? readFileSync(absolute(path), 'utf8')
        : undefined,
    tree: () => {
      const found: [string, string][] = [];
      const visit = (prefix: string): void => {
        for (const entry of readdirSync(absolute(prefix), { withFileTypes: true })) {
          const path = prefix + entry.name;
          if (path === '.driftless') continue;
          if (entry.isDirectory()) {
            found.push([`${path}/`, '']);
            visit(`${path}/`);
          } else if (entry.isSymbolicLink()) found.push([path, `-> ${readlinkSync(absolute(path))}`]);
          else found.push([path, readFileSync(absolute(path), 'utf8')]);
        }
      };
      visit('');
      return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
    },
  };
}

async function createNodeWorld(): Promise<FolderWorld> {
  const root = mkdtempSync(join(tmpdir(), 'driftless-folder-'));
  let before: (call: DiskCall) => void = () => {};
  const open = (): Folder => createNodeFolder(root, { disk: hookDisk(nodeDisk, (call) => before(call)) });
  let folder = open();
  return {
    folder,
    user: createNodeUser(root),
    onCall: (hook) => {
      before = hook;
    },
    reopen: () => {
      before = () => {};
      folder = open();
      return folder;
    },
    trashContents: () => trashOf(folder),
    close: async () => rmSync(root, { recursive: true, force: true }),
  };
}

async function createMemoryWorld(): Promise<FolderWorld> {
  const memory = createMemoryFolder();
  return {
    folder: memory.folder,
    user: memory.user,
    onCall: (hook) => {
      memory.beforeCall = hook;
    },
    reopen: () => memory.kill(),
    trashContents: () => trashOf(memory.folder),
    close: async () => {},
  };
}

describeFolderContract('node folder', createNodeWorld);
describeFolderContract('memory folder', createMemoryWorld);

describe('node folder on a real disk', () => {
  let root: string;
  let folder: Folder;
  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'driftless-folder-'));
    folder = createNodeFolder(root);
    await folder.initialise('m');
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const isPosix = process.platform !== 'win32';

  test.runIf(process.platform === 'linux')(
    'invalid UTF-8 is listed, escaped, and never U+FFFD (N5, NAME)',
    async () => {
      const bytes = Buffer.concat([Buffer.from(`${root}/a`), Buffer.from([0xff, 0x5c, 0x62])]);
      writeFileSync(bytes, 'x');
      writeFileSync(join(root, '\ufffd'), 'a name that is really so');
      const listed = await folder.list('');
      expect(listed).toMatchObject({ kind: 'listed', invalidNames: ['a\\xff\\x5cb'] });
      expect(listed.kind === 'listed' && listed.entries.map((entry) => entry.name)).toEqual(['\ufffd']);
    },
  );

  test.runIf(isPosix)('a FIFO never blocks and is of kind other (M15)', async () => {
    execFileSync('mkfifo', [join(root, 'pipe')]);
    const listed = await folder.list('');
    expect(listed.kind === 'listed' && listed.entries.map(({ name, stat }) => [name, stat.kind])).toEqual([
      ['pipe', 'other'],
    ]);
    expect(await folder.openFile(relPath('pipe'))).toMatchObject({ kind: 'problem', code: 'special-file' });
  });

  test.runIf(isPosix)('a FIFO that takes the place of a file at the last moment does not block either', async () => {
    writeFileSync(join(root, 'file'), 'x');
    const disk = hookDisk(nodeDisk, ({ operation, path }) => {
      if (operation !== 'openForReading' || !path.endsWith('/file')) return;
      rmSync(path);
      execFileSync('mkfifo', [path]);
    });
    expect(await createNodeFolder(root, { disk }).openFile(relPath('file'))).toMatchObject({
      kind: 'problem',
      code: 'special-file',
    });
  });

  test.runIf(isPosix)('both names of a hard link are seen; replacing one leaves the other (M14)', async () => {
    writeFileSync(join(root, 'one'), 'old');
    linkSync(join(root, 'one'), join(root, 'two'));
    const stat = await folder.stat(relPath('one'));
    if (stat === null || 'reason' in stat) throw new Error('no stat');
    expect(stat.links).toBe(2);
    const writer = await folder.stage({ name: 's', near: relPath('one') });
    await writer.write(Buffer.from('new'));
    await writer.commit({ flush: true });
    const expected = { kind: 'file', fingerprint: fingerprintOf(stat) } as const;
    expect((await folder.swapIn({ path: relPath('one'), stagedName: 's', asideName: 't', expected, dress })).kind).toBe(
      'done',
    );
    expect(readFileSync(join(root, 'one'), 'utf8')).toBe('new');
    expect(readFileSync(join(root, 'two'), 'utf8')).toBe('old');
  });

  test('an applied file has the present time, however long ago it was staged (DISK3)', async () => {
    const nowMs = Date.UTC(2031, 4, 5);
    const late = createNodeFolder(root, { nowMs: () => nowMs });
    const writer = await late.stage({ name: 's', near: relPath('file') });
    await writer.commit({ flush: false });
    utimesSync(join(root, '.driftless/stage/s'), 1, 1);
    await late.swapIn({ path: relPath('file'), stagedName: 's', asideName: 't', expected: null, dress });
    expect(lstatSync(join(root, 'file')).mtimeMs).toBeCloseTo(nowMs, -1);
  });

  test('a missing root is told apart and never made anew (D3)', async () => {
    rmSync(root, { recursive: true });
    expect(await folder.root()).toEqual({ kind: 'missing' });
    expect(await folder.list('')).toEqual({ kind: 'absent' });
    expect(await folder.makeDirectory(relPath('dir'))).toMatchObject({ kind: 'problem', code: 'root-missing' });
    await expect(folder.stage({ name: 's', near: relPath('file') })).rejects.toMatchObject({
      problem: { code: 'ENOENT' },
    });
    expect(existsSync(root)).toBe(false);
    writeFileSync(root, 'a file');
    expect(await folder.root()).toEqual({ kind: 'not-a-directory' });
  });

  test.runIf(isPosix)('a link in place of .driftless is not written through (S2)', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'driftless-outside-'));
    rmSync(join(root, '.driftless'), { recursive: true });
    symlinkSync(outside, join(root, '.driftless'));
    await expect(folder.initialise('m')).rejects.toMatchObject({ problem: { code: 'ENOTDIR' } });
    await expect(folder.stage({ name: 's', near: relPath('file') })).rejects.toMatchObject({
      problem: { code: 'ENOTDIR' },
    });
    expect(readdirSync(outside)).toEqual([]);
    rmSync(outside, { recursive: true });
  });

  test('a path longer than the system takes is a problem of that path (F14)', async () => {
    const path = relPath(`${'d'.repeat(200)}/`.repeat(20) + 'file'.padEnd(70, 'x'));
    const outcome = await folder.makeDirectory(path);
    expect(outcome).toMatchObject({ kind: 'problem', code: 'ENAMETOOLONG' });
  });

  test('probes leave nothing behind', () => {
    expect(readdirSync(join(root, '.driftless')).sort()).toEqual(['.gitignore', 'marker', 'stage', 'trash']);
  });
});

describe('memory folder in other worlds', () => {
  let memory: MemoryFolder;
  let folder: Folder;
  beforeEach(async () => {
    memory = createMemoryFolder();
    folder = memory.folder;
    await folder.initialise('m');
    memory.disk.flushAll();
  });

  const replace = async (path: string, content: string, flush = true): Promise<string> => {
    const stat = await folder.stat(relPath(path));
    const expected =
      stat === null || 'reason' in stat ? null : ({ kind: 'file', fingerprint: fingerprintOf(stat) } as const);
    const writer = await folder.stage({ name: 's', near: relPath(path) });
    await writer.write(new TextEncoder().encode(content));
    await writer.commit({ flush });
    return (await folder.swapIn({ path: relPath(path), stagedName: 's', asideName: 't', expected, dress })).kind;
  };

  test('on a mount point inside the root, stage and trash lie hidden beside the target (DISK4)', async () => {
    memory.user.write('mnt/file', 'old');
    memory.disk.mount('/folder/mnt');
    expect(await replace('mnt/file', 'new')).toBe('done');
    expect(memory.user.read('mnt/file')).toBe('new');
    const listed = await folder.list(relPath('mnt'));
    expect(listed.kind === 'listed' && listed.entries.map((entry) => entry.name)).toEqual(['file']);
    expect(memory.user.read('mnt/.driftless-trash-t')).toBe('old');
    expect(await folder.stat(relPath('mnt/.driftless-trash-t'))).toBeNull();
    expect(await trashOf(folder)).toEqual(['old']);
    await folder.discardTrash('t');
    expect(memory.user.tree()).toEqual({ 'mnt/': '', 'mnt/file': 'new' });
    expect(await folder.trashItems()).toEqual([]);
  });

  test('free space is that of the disk on which the file is staged', async () => {
    memory.user.write('mnt/file', 'old');
    memory.disk.mount('/folder/mnt');
    memory.disk.space = async (path) =>
      path.startsWith('/folder/mnt') ? { freeBytes: 1, totalBytes: 2 } : { freeBytes: 3, totalBytes: 4 };
    const inner = await folder.space(relPath('mnt/new/file'));
    const root = await folder.space(relPath('beside/file'));
    expect(inner).toMatchObject({ freeBytes: 1, totalBytes: 2 });
    expect(root).toMatchObject({ freeBytes: 3, totalBytes: 4 });
    expect(inner.device).not.toBe(root.device);
  });

  test('a mount that came after staging: the staged file is carried over', async () => {
    memory.user.write('mnt/file', 'old');
    const stat = await folder.stat(relPath('mnt/file'));
    if (stat === null || 'reason' in stat) throw new Error('no stat');
    const writer = await folder.stage({ name: 's', near: relPath('mnt/file') });
    await writer.write(new TextEncoder().encode('new'));
    await writer.commit({ flush: true });
    memory.disk.mount('/folder/mnt');
    const expected = { kind: 'file', fingerprint: fingerprintOf(stat) } as const;
    expect(
      (await folder.swapIn({ path: relPath('mnt/file'), stagedName: 's', asideName: 't', expected, dress })).kind,
    ).toBe('done');
    expect(memory.user.read('mnt/file')).toBe('new');
    expect(await folder.stagedNames()).toEqual([]);
    await folder.discardTrash('t');
    expect(memory.user.tree()).toEqual({ 'mnt/': '', 'mnt/file': 'new' });
  });

  test('after a power cut the file is the old or the new one, whole; flushed, it is the new one', async () => {
    memory.user.write('file', 'old');
    expect(await replace('file', 'new')).toBe('done');
    folder = memory.powerCut();
    expect(memory.user.read('file')).toBe('old');
    expect(await folder.settleSwap({ path: relPath('file'), stagedName: 's', asideName: 't' })).toBe('undone');
    await folder.discardStaged('s');
    expect(await replace('file', 'new')).toBe('done');
    await folder.flushDirectories();
    memory.powerCut();
    expect(memory.user.read('file')).toBe('new');
  });

  test('a disk that folds case and Unicode is recognised, and a change of case is a rename', async () => {
    memory = createMemoryFolder({ foldsCase: true, foldsUnicode: true });
    folder = memory.folder;
    await folder.initialise('m');
    expect(folder.traits).toMatchObject({
      caseSensitive: false,
      foldsUnicode: true,
      holdsModes: true,
      newFilesPrivate: false,
      symlinks: true,
    });
    memory.user.write('readme', 'x');
    const stat = await folder.stat(relPath('readme'));
    if (stat === null || 'reason' in stat) throw new Error('no stat');
    const expected = { kind: 'file', fingerprint: fingerprintOf(stat) } as const;
    expect(
      (await folder.rename({ fromPath: relPath('readme'), toPath: relPath('README'), asideName: 'old-name', expected }))
        .kind,
    ).toBe('done');
    expect(memory.user.tree()).toEqual({ README: 'x' });
    expect(await folder.makeDirectory(relPath('.Driftless/stage'))).toMatchObject({
      kind: 'problem',
      code: 'reserved-name',
    });
  });

  test('a full disk is a problem that says so, and the old version stays (D1)', async () => {
    memory.user.write('file', 'old');
    memory.disk.setFreeBytes(2);
    const writer = await folder.stage({ name: 's', near: relPath('file') });
    await expect(writer.write(new Uint8Array(10))).rejects.toMatchObject({
      problem: { code: 'ENOSPC', diskFull: true },
    });
    await writer.abort();
    expect(memory.user.tree()).toEqual({ file: 'old' });
    expect(await folder.stagedNames()).toEqual([]);
  });

  test('hints tell of changes of the user and of the folder itself, never of .driftless', async () => {
    const hints: string[] = [];
    memory.onHint = ({ path, deep }) => hints.push(deep ? `${path} deep` : path);
    memory.user.write('dir/file', 'x');
    memory.user.rename('dir', 'other');
    await replace('other/new', 'y');
    expect(new Set(hints)).toEqual(new Set(['dir', 'dir/file', 'dir deep', 'other deep', 'other/new']));
  });
});
