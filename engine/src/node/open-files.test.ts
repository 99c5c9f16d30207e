/** Which files other processes hold open for writing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openForWriting } from './open-files.ts';

test.runIf(process.platform === 'linux')(
  'a file that another process writes is told, also under another name',
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'driftless-open-'));
    const names = ['written', 'read', 'closed'].map((name) => join(dir, name));
    for (const name of names) writeFileSync(name, 'x');
    const [written = '', read = ''] = names;
    const child = spawn(
      process.execPath,
      [
        '-e',
        `fs.openSync(${JSON.stringify(written)}, 'a'); fs.openSync(${JSON.stringify(read)}); console.log('open'); setInterval(() => {}, 1000)`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    try {
      await once(child.stdout, 'data');
      renameSync(written, `${written}-aside`);
      const files = [`${written}-aside`, read, join(dir, 'closed')];
      expect([...(await openForWriting(files))]).toEqual([`${written}-aside`]);
      child.kill('SIGKILL');
      await once(child, 'exit');
      expect([...(await openForWriting(files))]).toEqual([]);
    } finally {
      child.kill('SIGKILL');
      rmSync(dir, { recursive: true });
    }
  },
);

test('where nothing is told nothing is open', async () => {
  expect([...(await openForWriting(['/a'], '/nowhere'))]).toEqual([]);
});
