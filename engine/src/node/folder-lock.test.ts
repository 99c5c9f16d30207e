import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type FolderLock, readOwner, takeFolderLock, withHomeLock } from './folder-lock.ts';
import { openHome } from './home.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'driftless-lock-'));
  for (const name of ['state', 'other-state', 'folder']) await mkdir(join(directory, name), { mode: 0o700 });
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const take = (state = 'state', folder = 'folder') =>
  takeFolderLock({ stateDirectory: join(directory, state), folderDirectory: join(directory, folder), kind: 'cli' });

function taken(lock: FolderLock | 'taken'): FolderLock {
  if (lock === 'taken') throw new Error('the lock is taken');
  return lock;
}

it('is held once, even within one process, and says by whom', async () => {
  const lock = taken(await take());
  expect(await take()).toBe('taken');
  expect(await readOwner(join(directory, 'state'))).toEqual({ pid: process.pid, kind: 'cli', socketPath: null });
  await lock.announce('/run/socket');
  expect(await readOwner(join(directory, 'state'))).toMatchObject({ socketPath: '/run/socket' });
  await lock.release();
  await lock.release();
  expect(await readOwner(join(directory, 'state'))).toBeUndefined();
  await taken(await take()).release();
});

it('is the folder’s as well: another home cannot run it at the same time', async () => {
  const lock = taken(await take());
  expect(await take('other-state')).toBe('taken');
  expect(await readOwner(join(directory, 'folder'))).toMatchObject({ pid: process.pid });
  await lock.release();
  await taken(await take('other-state')).release();
});

it('needs no folder to be there', async () => {
  const lock = taken(await take('state', 'gone'));
  expect(await take('state', 'gone')).toBe('taken');
  await lock.release();
});

it('leaves empty private files and nothing else', async () => {
  const lock = taken(await take());
  expect(await readdir(join(directory, 'state'))).toEqual(['owner.json', 'owner.lock']);
  const found = await stat(join(directory, 'state', 'owner.lock'));
  expect([found.size, found.mode & 0o777]).toEqual([0, 0o600]);
  await lock.release();
});

it('ends with a process that is killed', async () => {
  const script = `
    const { takeFolderLock } = await import(${JSON.stringify(new URL('./folder-lock.ts', import.meta.url).href)});
    globalThis.lock = await takeFolderLock(${JSON.stringify({ stateDirectory: join(directory, 'state'), folderDirectory: join(directory, 'folder'), kind: 'extension' })});
    process.stdout.write('held');
    setInterval(() => undefined, 1_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  expect(await take()).toBe('taken');
  expect(await readOwner(join(directory, 'state'))).toEqual({ pid: child.pid, kind: 'extension', socketPath: null });
  child.kill('SIGKILL');
  await once(child, 'exit');
  await taken(await take()).release();
});

it('lets one process at a time make links', async () => {
  const home = await openHome(join(directory, 'home'));
  const order: string[] = [];
  const work = (name: string) => async (): Promise<void> => {
    order.push(`${name} begins`);
    await new Promise((resolve) => setImmediate(resolve));
    order.push(`${name} ends`);
  };
  await Promise.all([withHomeLock(home, work('a')), withHomeLock(home, work('b'))]);
  expect(order).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
});
