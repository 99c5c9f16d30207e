/** What holds of a folder on any disk is the contract's (test/contract); here, what it asks of its disk. */
import { bytesToHex, type Digest, type RelPath } from '@driftless/protocol';
import { describe, expect, test } from 'vitest';
import { fingerprintOf } from './core/fingerprint.ts';
import { nodeHashing } from './node/node-hashing.ts';
import { createMemoryFolder, type FolderUser } from './testing/memory-folder.ts';

const at = (depth: number): RelPath => `${'d/'.repeat(depth)}end.txt` as RelPath;

describe('a path far down', () => {
  const deepFolder = (depth: number) => {
    const memory = createMemoryFolder({ nowMs: () => 0 });
    memory.user.write(at(depth), 'end');
    let calls = 0;
    memory.beforeCall = () => {
      calls += 1;
    };
    return { folder: memory.folder, user: memory.user, calls: () => calls };
  };

  test('costs no more to look at, to read and to list than one near the root', async () => {
    const costOf = async (depth: number): Promise<number> => {
      const { folder, calls } = deepFolder(depth);
      const before = calls();
      await folder.stat(at(depth));
      await folder.list(at(depth).slice(0, -'/end.txt'.length) as RelPath);
      const handle = await folder.openFile(at(depth));
      if ('read' in handle) await handle.close();
      return calls() - before;
    };
    expect(await costOf(150)).toBeLessThanOrEqual(await costOf(4));
  });

  test('is not reached through a link on the way', async () => {
    const { folder, user } = deepFolder(12);
    user.rename('d/d/d', 'elsewhere');
    user.symlink('d/d/d', '../../elsewhere');
    expect(await folder.stat(at(12))).not.toMatchObject({ kind: 'file' });
    expect(await folder.openFile(at(12))).not.toHaveProperty('read');
    expect(await folder.makeDirectory(`${at(12).slice(0, -'/end.txt'.length)}/new` as RelPath)).toMatchObject({
      kind: 'problem',
      code: 'symlinked-parent',
    });
  });
});

describe('a file that is replaced', () => {
  const path = 'out.json' as RelPath;
  const saved = { executable: false, private: false, openToOthers: true };

  async function swapWith(options: { readonly ageMs: number; readonly edit?: (user: FolderUser) => void }) {
    let nowMs = Date.UTC(2026, 0, 1);
    const memory = createMemoryFolder({ nowMs: () => nowMs });
    const { folder } = memory;
    await folder.initialise('marker');
    memory.user.write(path, 'old');
    const writer = await folder.stage({ name: 'staged', near: path });
    await writer.write(new TextEncoder().encode('new'));
    await writer.commit({ flush: false });
    nowMs += options.ageMs;
    const stat = await folder.stat(path);
    if (stat?.kind !== 'file') throw new Error('it is there');
    let isEmpty = false;
    const whileEmpty: string[] = [];
    memory.beforeCall = ({ operation, path: from, toPath }) => {
      if (operation === 'file.read' && !isEmpty) options.edit?.(memory.user);
      if (operation === 'link' && toPath === `/folder/${path}`) isEmpty = false;
      if (isEmpty) whileEmpty.push(operation);
      if (operation === 'rename' && from === `/folder/${path}`) isEmpty = true;
    };
    const outcome = await folder.swapIn({
      path,
      stagedName: 'staged',
      asideName: 'aside',
      expected: {
        kind: 'file',
        fingerprint: fingerprintOf(stat),
        digest: bytesToHex(nodeHashing.sha256(new TextEncoder().encode('old'))) as Digest,
        isRacy: true,
      },
      dress: { mode: saved, wasPrivate: false, like: null },
    });
    return { outcome, whileEmpty, user: memory.user };
  }

  test('is read where it lies: its path is empty for three looks and a link', async () => {
    const { outcome, whileEmpty, user } = await swapWith({ ageMs: 10_000 });
    expect(outcome).toMatchObject({ kind: 'done' });
    expect(whileEmpty).toEqual(['lstat', 'lstat', 'lstat']);
    expect(user.read(path)).toBe('new');
  });

  test('is read once more aside when a write could leave no trace', async () => {
    const { outcome, whileEmpty } = await swapWith({ ageMs: 0 });
    expect(outcome).toMatchObject({ kind: 'done' });
    expect(whileEmpty).toContain('file.read');
  });

  for (const [how, edit] of [
    ['in place', (user) => user.write(path, 'OLD')],
    ['by a rename over it', (user) => user.replace(path, 'OLD')],
    [
      'with its time restored',
      (user) => {
        user.write(path, 'OLD');
        user.setModificationTime(path, Date.UTC(2026, 0, 1));
      },
    ],
    ['by removing it', (user) => user.remove(path)],
  ] satisfies [string, (user: FolderUser) => void][])
    test(`is left alone when somebody changes it while it is read (${how})`, async () => {
      let isDone = false;
      const { outcome, user } = await swapWith({
        ageMs: 10_000,
        edit: (user) => {
          if (!isDone) edit(user);
          isDone = true;
        },
      });
      expect(outcome).toEqual({ kind: 'changed' });
      expect(user.read(path)).toBe(how === 'by removing it' ? undefined : 'OLD');
    });
});
