/** `npm start` as npm runs it: through a shell, which passes no signal on. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { workspaceRoot } from '../../scripts/build.ts';

let directory = '';
const shells: ChildProcess[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'driftless-start-'));
});
afterEach(async () => {
  for (const shell of shells.splice(0)) {
    // The whole group: whatever a failed test left.
    if (shell.pid !== undefined && shell.exitCode === null && shell.signalCode === null)
      process.kill(-shell.pid, 'SIGKILL');
  }
  await rm(directory, { recursive: true, force: true });
});

interface Started {
  readonly shell: ChildProcess;
  /** Resolves with the first line, past or coming, that fits. */
  line(fits: RegExp): Promise<string>;
  /** Resolves when the last process that holds the output is gone: nothing outlived it. */
  readonly allGone: Promise<unknown>;
}

function start(...folders: readonly string[]): Started {
  // The second command keeps the shell from replacing itself, as npm's does on some systems.
  const script = `"${process.execPath}" "${join(workspaceRoot, 'scripts', 'start.ts')}" ${folders.join(' ')}; exit $?`;
  const shell = spawn('/bin/sh', ['-c', script], {
    cwd: workspaceRoot,
    env: { ...process.env, INIT_CWD: directory, DRIFTLESS_DEMO_DIR: join(directory, '.demo') },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  shells.push(shell);
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  for (const stream of [shell.stdout, shell.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      for (const look of [...waiting]) look();
    });
  }
  return {
    shell,
    allGone: once(shell, 'close'),
    line: (fits) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = lines.find((line) => fits.test(line));
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
  };
}

it('keeps the demo folders in sync, and ends with the shell that started it', async () => {
  const started = start();
  await started.line(/laptop .*in sync/);
  expect(await readFile(join(directory, '.demo', 'laptop', 'README.md'), 'utf8')).toContain('Field notes');
  await writeFile(join(directory, '.demo', 'desktop', 'notes', 'boat.md'), 'a boat\n');
  await started.line(/laptop .*received notes\/boat\.md/);
  expect(await readFile(join(directory, '.demo', 'laptop', 'notes', 'boat.md'), 'utf8')).toBe('a boat\n');
  started.shell.kill('SIGKILL');
  await started.allGone;

  // Kept between runs, on the same port.
  const port = await readFile(join(directory, '.demo', 'relay-port'), 'utf8');
  const again = start();
  await again.line(/laptop .*in sync/);
  expect(await readFile(join(directory, '.demo', 'relay-port'), 'utf8')).toBe(port);
  if (again.shell.pid === undefined) throw new Error('it has no process id');
  process.kill(-again.shell.pid, 'SIGINT');
  await again.allGone;
});

it('keeps folders of one’s own in sync, named from where npm was called', async () => {
  await mkdir(join(directory, 'one'));
  await writeFile(join(directory, 'one', 'x'), 'x');
  const started = start('one', 'two', './three');
  await Promise.all([started.line(/two .*received x/), started.line(/three .*received x/)]);
  expect(await readFile(join(directory, 'three', 'x'), 'utf8')).toBe('x');
  started.shell.kill('SIGKILL');
  await started.allGone;
});

it('wants two folders or none', async () => {
  const started = start('one');
  await started.line(/Name two folders or more/);
  await started.allGone;
  expect(started.shell.exitCode).toBe(1);
});
