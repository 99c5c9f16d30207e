/** What holds of a folder on any disk is the contract's (test/contract); here, what it asks of its disk. */
import type { RelPath } from '@driftless/protocol';
import { describe, expect, test } from 'vitest';
import { createMemoryFolder } from './testing/memory-folder.ts';

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
