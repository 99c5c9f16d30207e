/**
 * What every Folder must do, real or simulated: the promises in `engine/src/ports/folder.ts` and the situations of files, names,
 * modes and links that it answers for (F14, F22, F23, M5–M15, N9, S2, INTENT, DISK3, DISK4, IG4, NAME).
 */
import { bytesToHex, type Digest, type FileMode, parseRelPath, type RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fingerprintOf } from '../../engine/src/core/fingerprint.ts';
import { nodeHashing } from '../../engine/src/node/node-hashing.ts';
import type {
  Dress,
  Expected,
  Folder,
  FolderError,
  ReadHandle,
  Stat,
  SwapOutcome,
} from '../../engine/src/ports/folder.ts';
import { type DiskCall, systemError } from '../../engine/src/testing/hooked-disk.ts';
import type { FolderUser } from '../../engine/src/testing/memory-folder.ts';

export interface FolderWorld {
  readonly folder: Folder;
  readonly user: FolderUser;
  /** Called before each system call of `folder`, until `reopen`. */
  onCall(before: (call: DiskCall) => void): void;
  /** A new process on the same disk; hooks are gone. */
  reopen(): Folder;
  /** path → content in the trash. */
  trashContents(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** Not a system error: nothing may handle it, as nothing handles a kill. */
class Killed extends Error {}

export const relPath = (text: string): RelPath => {
  const path = parseRelPath(text);
  if (path === undefined) throw new Error(`not a path: ${text}`);
  return path;
};

export async function readAll(handle: ReadHandle): Promise<string> {
  const parts: string[] = [];
  for (;;) {
    const bytes = await handle.read(64 * 1024);
    if (bytes.length === 0) break;
    parts.push(new TextDecoder().decode(bytes));
  }
  await handle.close();
  return parts.join('');
}

export function describeFolderContract(name: string, createWorld: () => Promise<FolderWorld>): void {
  describe(`${name} as a Folder`, () => {
    let world: FolderWorld;
    let folder: Folder;
    beforeEach(async () => {
      world = await createWorld();
      folder = world.folder;
      await folder.initialise('{"marker":1}');
    });
    afterEach(async () => {
      await folder.close();
      await world.close();
    });

    const statOf = async (path: string): Promise<Stat> => {
      const stat = await folder.stat(relPath(path));
      if (stat === null || 'reason' in stat) throw new Error(`no stat of ${path}`);
      return stat;
    };
    const asScanned = async (path: string): Promise<Expected> => ({
      kind: 'file',
      fingerprint: fingerprintOf(await statOf(path)),
    });
    const digestOf = (text: string): Digest => bytesToHex(nodeHashing.sha256(new TextEncoder().encode(text))) as Digest;
    const stage = async (stagedName: string, content: string, options: { near: string }): Promise<void> => {
      const writer = await folder.stage({ name: stagedName, near: relPath(options.near) });
      await writer.write(new TextEncoder().encode(content));
      await writer.commit({ flush: true });
    };
    const dressBy = ({
      executable = false,
      private: isPrivate = false,
      ...rest
    }: Partial<FileMode> & Partial<Dress>) => ({
      mode: { executable, private: isPrivate },
      wasPrivate: false,
      ...rest,
    });
    const swap = async (
      path: string,
      content: string,
      expected: Expected,
      given: Partial<FileMode> & Partial<Dress> = {},
    ): Promise<SwapOutcome> => {
      await stage('staged-1', content, { near: path });
      const dress = dressBy(given);
      return folder.swapIn({ path: relPath(path), stagedName: 'staged-1', asideName: 'aside-1', expected, dress });
    };
    const open = async (path: string): Promise<ReadHandle> => {
      const opened = await folder.openFile(relPath(path));
      if (!('read' in opened)) throw new Error(`cannot open ${path}: ${JSON.stringify(opened)}`);
      return opened;
    };

    describe('root and listing', () => {
      test('the marker comes back, also to the next process; own files are private', async () => {
        expect(await folder.root()).toMatchObject({ kind: 'present', marker: '{"marker":1}' });
        folder = world.reopen();
        expect(await folder.root()).toMatchObject({ kind: 'present', marker: '{"marker":1}' });
        expect(world.user.mode('.driftless')).toBe(0o700);
        expect(world.user.mode('.driftless/marker')).toBe(0o600);
        expect(world.user.mode('.driftless/stage')).toBe(0o700);
        expect(world.user.read('.driftless/.gitignore')).toBe('*\n');
      });

      test('lists in bytewise order without .driftless', async () => {
        for (const path of ['b', 'a.txt', 'é', 'Z', '\u{1f600}', '\uff5e', 'dir/inner']) world.user.write(path, 'x');
        const listed = await folder.list('');
        expect(listed.kind === 'listed' && listed.entries.map((entry) => entry.name)).toEqual([
          'Z',
          'a.txt',
          'b',
          'dir',
          'é',
          '\uff5e',
          '\u{1f600}',
        ]);
        expect(listed.kind === 'listed' && listed.entries.find((entry) => entry.name === 'dir')?.stat.kind).toBe(
          'directory',
        );
      });

      test('tells absent and not-a-directory apart', async () => {
        world.user.write('file', 'x');
        world.user.makeDirectory('dir');
        world.user.symlink('link', 'dir');
        expect(await folder.list(relPath('nothing'))).toEqual({ kind: 'absent' });
        expect(await folder.list(relPath('file'))).toEqual({ kind: 'not-a-directory' });
        expect(await folder.list(relPath('link'))).toEqual({ kind: 'not-a-directory' });
        expect(await folder.list(relPath('file/below'))).toEqual({ kind: 'absent' });
      });

      test('a user file that only looks like one of our hidden files is an ordinary file (N9)', async () => {
        world.user.write('.driftless-stage-mine', 'x');
        world.user.write('dir/.driftless-trash-mine', 'x');
        const listed = await folder.list('');
        expect(listed.kind === 'listed' && listed.entries.map((entry) => entry.name)).toEqual([
          '.driftless-stage-mine',
          'dir',
        ]);
      });
    });

    describe('reading', () => {
      test('reads a file in parts, and at a place', async () => {
        world.user.write('file', 'abcdefgh');
        const handle = await open('file');
        expect(new TextDecoder().decode(await handle.read(3))).toBe('abc');
        expect(new TextDecoder().decode(await handle.readAt(6, 100))).toBe('gh');
        expect(new TextDecoder().decode(await handle.read(100))).toBe('defgh');
        expect((await handle.read(100)).length).toBe(0);
        expect((await handle.stat()).size).toBe(8);
        await handle.close();
      });

      test('never follows a link, neither at the end nor on the way (M10, M11)', async () => {
        world.user.write('real/file', 'secret');
        world.user.symlink('link', 'real/file');
        world.user.symlink('linked-dir', 'real');
        expect(await folder.openFile(relPath('link'))).toMatchObject({ kind: 'problem' });
        expect(await folder.openFile(relPath('linked-dir/file'))).toEqual({ kind: 'absent' });
        expect(await folder.stat(relPath('linked-dir/file'))).toBeNull();
        expect(await folder.readLink(relPath('link'))).toBe('real/file');
        expect(await folder.readLink(relPath('real/file'))).toBeNull();
        expect(await folder.openFile(relPath('gone'))).toEqual({ kind: 'absent' });
      });
    });

    describe('swapIn', () => {
      test('creates with missing parents, and the stat is the one that a scan will see', async () => {
        const outcome = await swap('a/b/new', 'content', null);
        expect(world.user.read('a/b/new')).toBe('content');
        expect(outcome).toEqual({ kind: 'done', stat: await statOf('a/b/new'), asideName: null });
        expect(await folder.stagedNames()).toEqual([]);
      });

      test('replaces what was scanned; the old bytes are in the trash', async () => {
        world.user.write('file', 'old');
        const outcome = await swap('file', 'new', await asScanned('file'));
        expect(outcome).toEqual({ kind: 'done', stat: await statOf('file'), asideName: 'aside-1' });
        expect(world.user.read('file')).toBe('new');
        expect(await world.trashContents()).toEqual(['old']);
      });

      test.each([
        { title: 'an edit in place', edit: (user: FolderUser) => user.write('file', 'edited by the user') },
        { title: 'an edit by rename', edit: (user: FolderUser) => user.replace('file', 'edited by the user') },
        { title: 'a deletion', edit: (user: FolderUser) => user.remove('file') },
        {
          title: 'a directory instead',
          edit: (user: FolderUser) => {
            user.remove('file');
            user.write('file/inner', 'x');
          },
        },
        {
          title: 'a link instead',
          edit: (user: FolderUser) => {
            user.remove('file');
            user.symlink('file', 'elsewhere');
          },
        },
      ])('after the scan, $title is left alone', async ({ edit }) => {
        world.user.write('file', 'old');
        const expected = await asScanned('file');
        edit(world.user);
        const tree = world.user.tree();
        expect(await swap('file', 'new', expected)).toEqual({ kind: 'changed' });
        expect(world.user.tree()).toEqual(tree);
        expect(await world.trashContents()).toEqual([]);
      });

      test('a rewrite of the same length with its modification time restored is seen, by whichever operation', async () => {
        const at = Date.UTC(2020, 0, 1);
        world.user.write('file', 'old');
        world.user.setModificationTime('file', at);
        const expected = { ...(await asScanned('file')), digest: digestOf('old') } as Expected;
        world.user.write('file', 'OLD');
        world.user.setModificationTime('file', at);
        expect(await swap('file', 'new', expected)).toEqual({ kind: 'changed' });
        const removal = { path: relPath('file'), asideName: 'aside-2', expected };
        expect(await folder.removeFile(removal)).toEqual({ kind: 'changed' });
        expect(await folder.makeSymlink({ ...removal, target: 'elsewhere' })).toEqual({ kind: 'changed' });
        expect(
          await folder.rename({
            fromPath: relPath('file'),
            toPath: relPath('renamed'),
            asideName: 'old-name',
            expected,
          }),
        ).toEqual({
          kind: 'changed',
        });
        expect(await folder.setMode({ path: relPath('file'), dress: dressBy({ executable: true }), expected })).toEqual(
          {
            kind: 'changed',
          },
        );
        expect(world.user.tree()).toEqual({ file: 'OLD' });
        expect(await world.trashContents()).toEqual([]);
      });

      test('where stamps prove nothing the bytes do: another mode, another name, or a scan within one tick', async () => {
        world.user.write('file', 'old');
        const scanned = await asScanned('file');
        const racy = { ...scanned, isRacy: true } as Expected;
        expect(await swap('file', 'new', racy)).toEqual({ kind: 'changed' });
        await folder.discardStaged('staged-1');
        expect(await swap('file', 'new', { ...racy, digest: digestOf('OLD') } as Expected)).toEqual({
          kind: 'changed',
        });
        await folder.discardStaged('staged-1');
        world.user.setMode('file', 0o600);
        expect(await swap('file', 'new', scanned)).toEqual({ kind: 'changed' });
        await folder.discardStaged('staged-1');
        expect(world.user.read('file')).toBe('old');
        expect(await swap('file', 'new', { ...scanned, digest: digestOf('old') } as Expected)).toMatchObject({
          kind: 'done',
        });
        expect(await world.trashContents()).toEqual(['old']);
      });

      test.each([
        '.git',
        '.git/config',
        'sub/.git/hooks/x',
        'sub/.driftless/marker',
        '.Driftless/trash/x',
        'GIT~1/config',
        'DRIFTL~1/marker',
        '.git. /config',
        '.git::$DATA',
        '.g\u200cit/config',
      ])('what never takes part is not written to, whatever was planned (IG1): %j', async (text) => {
        const path = relPath(text);
        world.user.write('file', 'x');
        await stage('staged-2', 'x', { near: 'file' });
        const file = await asScanned('file');
        expect(await folder.removeFile({ path: relPath('file'), asideName: 'in-trash', expected: file })).toMatchObject(
          { kind: 'done' },
        );
        world.user.write('file', 'x');
        const expected = await asScanned('file');
        const dress = dressBy({});
        const before = world.user.tree();
        const writes: Record<string, () => Promise<unknown>> = {
          swapIn: () => folder.swapIn({ path, stagedName: 'staged-2', asideName: 'aside-2', expected: null, dress }),
          removeFile: () => folder.removeFile({ path, asideName: 'aside-2', expected }),
          removeDirectory: () => folder.removeDirectory(path),
          makeDirectory: () => folder.makeDirectory(path),
          makeSymlink: () => folder.makeSymlink({ path, target: 'file', asideName: 'aside-2', expected: null }),
          setMode: () => folder.setMode({ path, dress, expected }),
          'rename to': () => folder.rename({ fromPath: relPath('file'), toPath: path, asideName: 'aside-2', expected }),
          'rename from': () => folder.rename({ fromPath: path, toPath: relPath('b'), asideName: 'aside-2', expected }),
          restoreTrash: () => folder.restoreTrash({ name: 'in-trash', path }),
          stageCopy: () => folder.stageCopy({ path: relPath('file'), name: 'staged-3', near: path }),
          stage: () => folder.stage({ name: 'staged-3', near: path }).catch((error: FolderError) => error.problem),
        };
        for (const [name, write] of Object.entries(writes))
          expect([name, await write()]).toEqual([
            name,
            expect.objectContaining({ kind: 'problem', code: 'reserved-name', diskFull: false }),
          ]);
        expect(world.user.tree()).toEqual(before);
        expect(await folder.stagedNames()).toEqual(['staged-2']);
      });

      test('what appeared where nothing was is left alone', async () => {
        world.user.write('file', 'theirs');
        expect(await swap('file', 'new', null)).toEqual({ kind: 'changed' });
        expect(world.user.read('file')).toBe('theirs');
      });

      test('takes the place of an empty directory, and of a link with the expected target', async () => {
        world.user.makeDirectory('dir');
        expect(await swap('dir', 'new', { kind: 'directory' })).toMatchObject({ kind: 'done', asideName: null });
        world.user.symlink('link', 'target');
        expect(await swap('link', 'new', { kind: 'symlink', target: 'other' })).toEqual({ kind: 'changed' });
        await folder.discardStaged('staged-1');
        expect(await swap('link', 'new', { kind: 'symlink', target: 'target' })).toMatchObject({ kind: 'done' });
        expect(world.user.tree()).toEqual({ dir: 'new', link: 'new' });
      });

      test('never takes the place of a directory with content (IG4)', async () => {
        world.user.write('dir/inner', 'x');
        expect(await swap('dir', 'new', { kind: 'directory' })).toEqual({ kind: 'not-empty' });
        expect(world.user.tree()).toEqual({ 'dir/': '', 'dir/inner': 'x' });
      });

      test('keeps the mode of the replaced file, but no special bit (M6, M7)', async () => {
        for (const [mode, result] of [
          [0o444, 0o444],
          [0o600, 0o600],
          [0o664, 0o664],
          [0o666, 0o666],
          [0o4755, 0o644],
        ] as const) {
          const path = `file-${mode.toString(8)}`;
          world.user.write(path, 'old');
          world.user.setMode(path, mode);
          expect((await swap(path, 'new', await asScanned(path))).kind).toBe('done');
          expect(world.user.mode(path)?.toString(8)).toBe(result.toString(8));
          await folder.discardTrash('aside-1');
        }
      });

      test('+x follows the content, within the umask (M5)', async () => {
        await swap('script', '#!', null, { executable: true });
        expect(world.user.mode('script')).toBe(0o755);
        world.user.setMode('script', 0o700);
        await swap('script', '#!2', await asScanned('script'), { executable: true });
        expect(world.user.mode('script')).toBe(0o700);
        await folder.discardTrash('aside-1');
        await swap('script', 'text', await asScanned('script'));
        expect(world.user.mode('script')).toBe(0o600);
      });

      test('a private file has no bits for others, whatever it replaces; opened again, the umask decides (M18)', async () => {
        await swap('key', '1', null, { private: true });
        expect(world.user.mode('key')).toBe(0o600);
        await swap('key', '2', await asScanned('key'), { private: true, executable: true, wasPrivate: true });
        expect(world.user.mode('key')).toBe(0o700);
        await folder.discardTrash('aside-1');
        await swap('key', '3', await asScanned('key'), { wasPrivate: true });
        expect(world.user.mode('key')).toBe(0o644);
        await folder.discardTrash('aside-1');
        world.user.setMode('key', 0o664);
        await swap('key', '4', await asScanned('key'), { private: true });
        expect(world.user.mode('key')).toBe(0o600);
      });

      test('a new file like another has no wider bits; private goes first (M18)', async () => {
        world.user.write('file', 'x');
        world.user.setMode('file', 0o640);
        await swap('copy', 'y', null, { like: relPath('file') });
        expect(world.user.mode('copy')).toBe(0o640);
        await swap('secret', 'z', null, { like: relPath('file'), private: true });
        expect(world.user.mode('secret')).toBe(0o600);
        await swap('alone', 'a', null, { like: relPath('nothing') });
        expect(world.user.mode('alone')).toBe(0o644);
      });

      test('at no moment is a private file, or its staged one, open to others (M18)', async () => {
        const seen = new Set<string>();
        let names: readonly string[] = [];
        world.onCall((call) => {
          for (const path of ['key', ...names]) {
            const mode = world.user.mode(path);
            if (mode !== undefined && (mode & 0o077) !== 0) seen.add(`${call.operation} ${path} ${mode.toString(8)}`);
          }
        });
        names = ['.driftless/stage/staged-1'];
        await swap('key', '1', null, { private: true });
        await swap('key', '2', await asScanned('key'), { private: true, wasPrivate: true });
        expect([...seen]).toEqual([]);
      });

      test('a hard link keeps its content under its other name (M14)', async () => {
        world.user.write('one', 'old');
        await folder.rename({
          fromPath: relPath('one'),
          toPath: relPath('two'),
          asideName: 'old-name',
          expected: await asScanned('one'),
        });
        await swap('two', 'new', await asScanned('two'));
        expect(world.user.read('two')).toBe('new');
      });

      test.each(['dir/file', 'dir/deep/er/file'])('refuses a linked parent of %s (S2)', async (path) => {
        world.user.makeDirectory('elsewhere');
        world.user.symlink('dir', 'elsewhere');
        expect(await swap(path, 'new', null)).toMatchObject({ kind: 'problem', code: 'symlinked-parent' });
        expect(world.user.tree()).toEqual({ dir: '-> elsewhere', 'elsewhere/': '' });
      });

      test('refuses a file as parent, our own directory, and paths that are none', async () => {
        world.user.write('file', 'x');
        expect(await swap('file/below', 'new', null)).toMatchObject({
          kind: 'problem',
          code: 'parent-is-no-directory',
        });
        for (const path of ['../out', '/abs', '.driftless/marker', 'a/../../out']) {
          const outcome = await folder.swapIn({
            path: path as RelPath,
            stagedName: 'staged-1',
            asideName: 'aside-1',
            expected: null,
            dress: dressBy({}),
          });
          expect(outcome).toMatchObject({ kind: 'problem', code: 'outside-root' });
        }
        expect(world.user.tree()).toEqual({ file: 'x' });
      });

      test('names of stage and trash cannot lead elsewhere', async () => {
        await expect(folder.stage({ name: '../marker', near: relPath('a') })).rejects.toThrow(RangeError);
        await expect(folder.discardStaged('../marker')).rejects.toThrow(RangeError);
        await expect(
          folder.swapIn({
            path: relPath('a'),
            stagedName: 's',
            asideName: '../../out',
            expected: null,
            dress: dressBy({}),
          }),
        ).rejects.toThrow(RangeError);
      });

      test('a name of 255 bytes 60 directories deep (F14)', async () => {
        const path = `${'d/'.repeat(60)}${'é'.repeat(127)}x`;
        expect((await swap(path, 'deep', null)).kind).toBe('done');
        expect(world.user.read(path)).toBe('deep');
        expect((await swap(path, 'deeper', await asScanned(path))).kind).toBe('done');
        expect(world.user.read(path)).toBe('deeper');
      });

      test('a problem leaves the old version whole (D1)', async () => {
        world.user.write('file', 'old');
        const expected = await asScanned('file');
        await stage('staged-1', 'new', { near: 'file' });
        world.onCall((call) => {
          if (call.operation === 'link' && call.toPath?.endsWith('/file') && call.path.includes('/stage/'))
            throw systemError('ENOSPC');
        });
        const outcome = await folder.swapIn({
          path: relPath('file'),
          stagedName: 'staged-1',
          asideName: 'aside-1',
          expected,
          dress: dressBy({}),
        });
        expect(outcome).toMatchObject({ kind: 'problem', code: 'ENOSPC', diskFull: true });
        expect(world.user.tree()).toEqual({ file: 'old' });
        expect(await world.trashContents()).toEqual([]);
      });

      test('without hard links it still replaces and never overwrites what it sees', async () => {
        world.onCall((call) => {
          if (call.operation === 'link') throw systemError('EPERM');
        });
        world.user.write('file', 'old');
        expect((await swap('file', 'new', await asScanned('file'))).kind).toBe('done');
        expect(world.user.read('file')).toBe('new');
        expect(await swap('file', 'newer', null)).toEqual({ kind: 'changed' });
        expect(world.user.read('file')).toBe('new');
        expect(await world.trashContents()).toEqual(['old']);
      });
    });

    describe('an edit at any moment of swapIn (F23)', () => {
      const edits: readonly { readonly title: string; readonly edit: (user: FolderUser) => void }[] = [
        { title: 'in place', edit: (user) => user.write('file', 'precious words of the user') },
        { title: 'by rename', edit: (user) => user.replace('file', 'precious words of the user') },
        {
          title: 'as a new directory',
          edit: (user) => {
            if (user.mode('file') !== undefined) user.remove('file');
            user.write('file/inner', 'precious words of the user');
          },
        },
      ];

      test.each(edits)('$title: no byte of the user is lost, and none is taken for ours', async ({ edit }) => {
        let edited = 0;
        let done = 0;
        for (let moment = 0; ; moment++) {
          await world.close();
          world = await createWorld();
          folder = world.folder;
          await folder.initialise('m');
          world.user.write('file', 'old');
          const expected = await asScanned('file');
          await stage('staged-1', 'new', { near: 'file' });
          let calls = 0;
          world.onCall(() => {
            if (calls++ === moment) {
              edit(world.user);
              edited++;
            }
          });
          const outcome = await folder.swapIn({
            path: relPath('file'),
            stagedName: 'staged-1',
            asideName: 'aside-1',
            expected,
            dress: dressBy({}),
          });
          if (moment >= calls) break;
          world.onCall(() => {});
          const trash = await world.trashContents();
          const kept = [...Object.values(world.user.tree()), ...trash];
          expect(kept, `moment ${moment}: ${outcome.kind}`).toContain('precious words of the user');
          if (outcome.kind === 'done') {
            done++;
            const now = await folder.stat(relPath('file'));
            if (world.user.read('file') !== 'new' && now !== null && 'size' in now && outcome.stat !== null) {
              expect(fingerprintOf(now), `moment ${moment}`).not.toBe(fingerprintOf(outcome.stat));
            }
          } else {
            // Bytes that stay in the trash are named, so that the peer can give them back.
            expect(outcome, `moment ${moment}`).toEqual(
              trash.length === 0 ? { kind: 'changed' } : { kind: 'changed', asideName: 'aside-1' },
            );
          }
        }
        expect(edited).toBeGreaterThan(10);
        expect(done).toBeGreaterThan(0);
      });
    });

    describe('a kill at any moment of swapIn (INTENT)', () => {
      test.each([
        { title: 'over a file', before: 'old' },
        { title: 'where nothing was', before: undefined },
      ])('$title: settleSwap tells which version it is, and it is whole', async ({ before }) => {
        const outcomes = { done: 0, undone: 0, gone: 0 };
        for (let moment = 0; ; moment++) {
          await world.close();
          world = await createWorld();
          folder = world.folder;
          await folder.initialise('m');
          if (before !== undefined) world.user.write('dir/file', before);
          const expected = before === undefined ? null : await asScanned('dir/file');
          await stage('staged-1', 'new', { near: 'dir/file' });
          let calls = 0;
          world.onCall(() => {
            if (calls++ >= moment) throw new Killed();
          });
          const swapping = folder.swapIn({
            path: relPath('dir/file'),
            stagedName: 'staged-1',
            asideName: 'aside-1',
            expected,
            dress: dressBy({}),
          });
          const isKilled = await swapping.then(
            () => false,
            (error: unknown) => error instanceof Killed,
          );
          if (!isKilled) break;
          expect([before, 'new', undefined]).toContain(world.user.read('dir/file'));

          folder = world.reopen();
          const settled = await folder.settleSwap({
            path: relPath('dir/file'),
            stagedName: 'staged-1',
            asideName: 'aside-1',
          });
          outcomes[settled]++;
          const isUndone = settled === 'undone';
          expect(world.user.read('dir/file'), `moment ${moment}`).toBe(isUndone ? before : 'new');
          expect(await world.trashContents()).toEqual(!isUndone && before !== undefined ? [before] : []);
          expect(await folder.stagedNames()).toEqual(isUndone ? ['staged-1'] : []);
          // Settling again changes nothing.
          expect(
            await folder.settleSwap({ path: relPath('dir/file'), stagedName: 'staged-1', asideName: 'aside-1' }),
          ).toBe(isUndone ? 'undone' : 'gone');
          expect(world.user.read('dir/file')).toBe(isUndone ? before : 'new');
        }
        expect(outcomes.undone).toBeGreaterThan(3);
        expect(outcomes.done).toBeGreaterThan(0);
        expect(outcomes.gone).toBeGreaterThan(0);
      });

      test('a kill at any moment of settleSwap itself, after one of swapIn', async () => {
        let combinations = 0;
        for (let first = 0; ; first++) {
          let isSwapWhole = false;
          for (let second = 0; ; second++) {
            await world.close();
            world = await createWorld();
            folder = world.folder;
            await folder.initialise('m');
            world.user.write('file', 'old');
            const expected = await asScanned('file');
            await stage('staged-1', 'new', { near: 'file' });
            const killAt = (moment: number): void => {
              let calls = 0;
              world.onCall(() => {
                if (calls++ >= moment) throw new Killed();
              });
            };
            killAt(first);
            const names = { path: relPath('file'), stagedName: 'staged-1', asideName: 'aside-1' };
            isSwapWhole = await folder.swapIn({ ...names, expected, dress: dressBy({}) }).then(
              () => true,
              () => false,
            );
            folder = world.reopen();
            killAt(second);
            const isSettled = await folder.settleSwap(names).then(
              () => true,
              () => false,
            );
            folder = world.reopen();
            const settled = await folder.settleSwap(names);
            expect(world.user.read('file'), `moments ${first}, ${second}`).toBe(settled === 'undone' ? 'old' : 'new');
            combinations++;
            if (isSettled || isSwapWhole) break;
          }
          if (isSwapWhole) break;
        }
        expect(combinations).toBeGreaterThan(20);
      });
    });

    describe('removing, directories, links, modes', () => {
      test('removeFile moves the expected file to the trash, anything else stays', async () => {
        world.user.write('file', 'old');
        const expected = await asScanned('file');
        world.user.write('file', 'edited');
        expect(await folder.removeFile({ path: relPath('file'), asideName: 'aside-1', expected })).toEqual({
          kind: 'changed',
        });
        expect(world.user.read('file')).toBe('edited');
        const removed = await folder.removeFile({
          path: relPath('file'),
          asideName: 'aside-1',
          expected: await asScanned('file'),
        });
        expect(removed).toEqual({ kind: 'done', stat: null, asideName: 'aside-1' });
        expect(world.user.tree()).toEqual({});
        expect(await world.trashContents()).toEqual(['edited']);
        expect(await folder.removeFile({ path: relPath('file'), asideName: 'aside-2', expected })).toEqual({
          kind: 'changed',
        });
      });

      test('removeDirectory is never recursive (IG4)', async () => {
        world.user.write('dir/inner', 'x');
        expect(await folder.removeDirectory(relPath('dir'))).toEqual({ kind: 'not-empty' });
        world.user.remove('dir/inner');
        expect((await folder.removeDirectory(relPath('dir'))).kind).toBe('done');
        expect((await folder.removeDirectory(relPath('dir'))).kind).toBe('done');
        world.user.write('file', 'x');
        expect(await folder.removeDirectory(relPath('file'))).toEqual({ kind: 'changed' });
      });

      test('makeDirectory makes parents and accepts one that is there', async () => {
        expect((await folder.makeDirectory(relPath('a/b/c'))).kind).toBe('done');
        expect((await folder.makeDirectory(relPath('a/b/c'))).kind).toBe('done');
        world.user.write('file', 'x');
        expect(await folder.makeDirectory(relPath('file'))).toEqual({ kind: 'changed' });
        expect(world.user.tree()).toEqual({ 'a/': '', 'a/b/': '', 'a/b/c/': '', file: 'x' });
      });

      test('makeSymlink makes, replaces what is expected, and nothing else (M13)', async () => {
        const make = (target: string, expected: Expected): Promise<SwapOutcome> =>
          folder.makeSymlink({ path: relPath('link'), target, asideName: 'aside-1', expected });
        expect((await make('one', null)).kind).toBe('done');
        expect(await make('two', null)).toEqual({ kind: 'changed' });
        expect(await make('two', { kind: 'symlink', target: 'zero' })).toEqual({ kind: 'changed' });
        expect((await make('two', { kind: 'symlink', target: 'one' })).kind).toBe('done');
        expect(world.user.tree()).toEqual({ link: '-> two' });
      });

      test('setMode changes only that, and only what was scanned', async () => {
        world.user.write('file', 'x');
        const expected = await asScanned('file');
        expect(await folder.setMode({ path: relPath('file'), dress: dressBy({ executable: true }), expected })).toEqual(
          {
            kind: 'done',
            stat: await statOf('file'),
            asideName: null,
          },
        );
        expect(world.user.mode('file')).toBe(0o755);
        const again = { path: relPath('file'), expected: await asScanned('file') };
        await folder.setMode({ ...again, dress: dressBy({ private: true }) });
        expect(world.user.mode('file')).toBe(0o600);
        expect(await folder.setMode({ ...again, dress: dressBy({}) })).toEqual({ kind: 'changed' });
        const once = { path: relPath('file'), expected: await asScanned('file') };
        await folder.setMode({ ...once, dress: dressBy({ wasPrivate: true }) });
        expect(world.user.mode('file')).toBe(0o644);
        world.user.write('file', 'edited');
        expect(await folder.setMode({ path: relPath('file'), dress: dressBy({}), expected })).toEqual({
          kind: 'changed',
        });
      });

      test('rename moves files, links and directories to free names only', async () => {
        world.user.write('file', 'x');
        world.user.symlink('link', 'target');
        world.user.write('dir/inner', 'y');
        world.user.write('taken', 'z');
        const move = (from: string, to: string, expected: Expected): Promise<SwapOutcome> =>
          folder.rename({ fromPath: relPath(from), toPath: relPath(to), asideName: 'old-name', expected });
        const expected = await asScanned('file');
        expect(await move('file', 'taken', expected)).toEqual({ kind: 'changed' });
        expect(await move('dir', 'taken', { kind: 'directory' })).toEqual({ kind: 'changed' });
        expect(await move('file', 'new/place', expected)).toEqual({
          kind: 'done',
          stat: await statOf('new/place'),
          asideName: null,
        });
        expect((await move('link', 'new/link', { kind: 'symlink', target: 'target' })).kind).toBe('done');
        expect((await move('dir', 'new/dir', { kind: 'directory' })).kind).toBe('done');
        expect(await move('file', 'again', expected)).toEqual({ kind: 'changed' });
        expect(world.user.tree()).toEqual({
          'new/': '',
          'new/dir/': '',
          'new/dir/inner': 'y',
          'new/link': '-> target',
          'new/place': 'x',
          taken: 'z',
        });
        expect(await world.trashContents()).toEqual([]);
      });

      test('a rename that this disk refuses changes nothing, and says so', async () => {
        world.user.write('file', 'x');
        world.user.write('dir/inner', 'y');
        const tree = world.user.tree();
        world.onCall(({ operation, path }) => {
          if ((operation === 'rename' || operation === 'link') && !path.includes('.driftless'))
            throw systemError('EXDEV');
        });
        const move = (from: string, expected: Expected): Promise<SwapOutcome> =>
          folder.rename({ fromPath: relPath(from), toPath: relPath('new'), asideName: 'old-name', expected });
        expect(await move('file', await asScanned('file'))).toMatchObject({ kind: 'problem', code: 'EXDEV' });
        expect(await move('dir', { kind: 'directory' })).toMatchObject({ kind: 'problem', code: 'EXDEV' });
        expect(world.user.tree()).toEqual(tree);
        expect(await folder.stageCopy({ path: relPath('file'), name: 'copy-1', near: relPath('new') })).toEqual({
          kind: 'copied',
          digest: digestOf('x'),
        });
        expect(await folder.stageCopy({ path: relPath('gone'), name: 'copy-2', near: relPath('new') })).toEqual({
          kind: 'absent',
        });
        expect(await folder.stagedNames()).toEqual(['copy-1']);
      });

      test('a rename that was cut between its two names is finished by another', async () => {
        world.user.write('from', 'x');
        const expected = await asScanned('from');
        world.onCall(({ operation, path }) => {
          if (operation === 'rename' && path.endsWith('/from')) throw new Killed();
        });
        const names = { fromPath: relPath('from'), toPath: relPath('to'), asideName: 'old-name', expected };
        await expect(folder.rename(names)).rejects.toBeInstanceOf(Killed);
        expect(world.user.tree()).toEqual({ from: 'x', to: 'x' });
        folder = world.reopen();
        expect((await folder.rename({ ...names, expected: await asScanned('from') })).kind).toBe('done');
        expect(world.user.tree()).toEqual({ to: 'x' });
        expect(await world.trashContents()).toEqual([]);
      });

      test('an edit at any moment of rename loses nothing', async () => {
        let edited = 0;
        for (let moment = 0; ; moment++) {
          await world.close();
          world = await createWorld();
          folder = world.folder;
          await folder.initialise('m');
          world.user.write('from', 'old');
          const expected = await asScanned('from');
          let calls = 0;
          world.onCall(() => {
            if (calls++ !== moment) return;
            world.user.replace('from', 'precious words of the user');
            edited++;
          });
          await folder.rename({ fromPath: relPath('from'), toPath: relPath('to'), asideName: 'old-name', expected });
          const callsOfRename = calls;
          world.onCall(() => {});
          const kept = [...Object.values(world.user.tree()), ...(await world.trashContents())];
          if (moment < callsOfRename) expect(kept, `moment ${moment}`).toContain('precious words of the user');
          else break;
        }
        expect(edited).toBeGreaterThan(5);
      });
    });

    describe('stage, trash, flushing', () => {
      test('staged files can be listed, read, discarded, aborted', async () => {
        await stage('one', 'content', { near: 'file' });
        expect(await folder.stagedNames()).toEqual(['one']);
        const opened = await folder.openStaged('one');
        expect('read' in opened && (await readAll(opened))).toBe('content');
        expect(await folder.statStaged('one')).toMatchObject({ kind: 'file', size: 7, links: 1 });
        await folder.discardStaged('one');
        await folder.discardStaged('one');
        expect(await folder.statStaged('one')).toBeNull();
        const writer = await folder.stage({ name: 'two', near: relPath('file') });
        await writer.write(new Uint8Array(3));
        await writer.abort();
        expect(await folder.stagedNames()).toEqual([]);
        expect(await folder.openStaged('one')).toEqual({ kind: 'absent' });
      });

      test('staging a name twice is refused, so that no two downloads share a file', async () => {
        await stage('one', 'content', { near: 'file' });
        await expect(folder.stage({ name: 'one', near: relPath('file') })).rejects.toMatchObject({
          problem: { code: 'EEXIST' },
        });
      });

      test('stage comes back after a `git clean` took .driftless', async () => {
        world.user.remove('.driftless');
        expect(await folder.root()).toMatchObject({ kind: 'present', marker: null });
        expect((await swap('file', 'new', null)).kind).toBe('done');
      });

      test('trash can be listed, read, restored and discarded; restoring never overwrites', async () => {
        world.user.write('file', 'old');
        await folder.removeFile({ path: relPath('file'), asideName: 'gone-1', expected: await asScanned('file') });
        expect((await folder.trashItems()).map((item) => item.name)).toEqual(['gone-1']);
        const opened = await folder.openTrash('gone-1');
        expect('read' in opened && (await readAll(opened))).toBe('old');
        world.user.write('file', 'other');
        expect(await folder.restoreTrash({ name: 'gone-1', path: relPath('file') })).toEqual({ kind: 'changed' });
        expect((await folder.restoreTrash({ name: 'gone-1', path: relPath('back/file') })).kind).toBe('done');
        expect(world.user.tree()).toEqual({ 'back/': '', 'back/file': 'old', file: 'other' });
        expect(await folder.stagedNames()).toEqual([]);
        await folder.discardTrash('gone-1');
        await folder.discardTrash('gone-1');
        expect(await folder.trashItems()).toEqual([]);
      });

      test('a directory that cannot be flushed keeps no other from it, and is a failure only where names may be lost', async () => {
        const flushed: string[] = [];
        const refused = new Map<string, string>();
        await swap('a/b/one', 'x', null);
        await swap('c/two', 'x', null);
        await folder.flushDirectories();
        world.onCall((call) => {
          if (call.operation !== 'flushDirectory') return;
          const path = call.path.slice(folder.rootPath.length);
          const code = refused.get(path);
          if (code !== undefined) throw systemError(code);
          flushed.push(path);
        });
        // Its mode changed meanwhile: the nearest one above that may be opened is flushed, which writes its names too.
        refused.set('/a/b', 'EACCES').set('/a', 'EACCES').set('/c', 'EINVAL');
        for (const path of ['a/b/three', 'c/four']) await swap(path, 'x', null);
        await folder.flushDirectories();
        expect(flushed).toContain('');
        // The disk itself fails: told of what was changed there, and asked for again with the next flush.
        refused.clear();
        refused.set('/a/b', 'EIO');
        for (const path of ['a/b/five', 'c/six']) await swap(path, 'x', null);
        flushed.length = 0;
        const unflushed = await folder.flushDirectories();
        expect([...unflushed]).toMatchObject([['a/b/five', { kind: 'problem', code: 'EIO' }]]);
        expect(flushed).toContain('/c');
        refused.clear();
        flushed.length = 0;
        expect([...(await folder.flushDirectories())]).toEqual([]);
        expect(flushed).toEqual(['/a/b']);
      });

      test('a directory that is made, or emptied into the trash, is as durable as the one above it, or the trash', async () => {
        const refused = new Set<string>();
        world.onCall(({ operation, path }) => {
          if (operation === 'flushDirectory' && refused.has(path.slice(folder.rootPath.length)))
            throw systemError('EIO');
        });
        const unflushedPaths = async (): Promise<string[]> => [...(await folder.flushDirectories()).keys()].sort();
        refused.add('/a');
        await swap('a/new/one', 'x', null);
        await swap('b/two', 'x', null);
        expect(await unflushedPaths()).toEqual(['a/new']);
        refused.clear();
        expect(await unflushedPaths()).toEqual([]);
        refused.add('/.driftless/trash');
        await folder.removeFile({ path: relPath('b/two'), asideName: 'two', expected: await asScanned('b/two') });
        await swap('b/three', 'x', null);
        expect(await unflushedPaths()).toEqual(['b/two']);
      });

      test('what an earlier run changed is flushed for the asking, up to the root', async () => {
        const flushed: string[] = [];
        await swap('a/b/one', 'x', null);
        folder = world.reopen();
        world.onCall(({ operation, path }) => {
          if (operation === 'flushDirectory') flushed.push(path.slice(folder.rootPath.length));
        });
        await folder.flushDirectories([relPath('a/b/one')]);
        expect(flushed.sort()).toEqual(['', '/.driftless/trash', '/a', '/a/b']);
      });

      test('flushDirectories flushes each changed directory once', async () => {
        await folder.flushDirectories();
        const flushed: string[] = [];
        world.onCall((call) => {
          if (call.operation === 'flushDirectory') flushed.push(call.path.slice(folder.rootPath.length));
        });
        await swap('a/one', 'x', null);
        await swap('a/two', 'x', null);
        await folder.flushDirectories();
        expect(flushed.sort()).toEqual(['', '/a']);
        await folder.flushDirectories();
        expect(flushed.length).toBe(2);
      });

      test('free space is a number', async () => {
        const { device, freeBytes, totalBytes } = await folder.space(relPath('not/there/yet'));
        expect(freeBytes).toBeGreaterThan(0);
        expect(totalBytes).toBeGreaterThanOrEqual(freeBytes);
        expect(await folder.root()).toMatchObject({ device: String(device) });
      });
    });
  });
}
