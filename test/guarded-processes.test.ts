/** The tools' guard: nothing that a test starts outlives it, also when the test is killed and when a program detaches itself. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startGuarded } from './extension/tools/guard.ts';

const guardUrl = pathToFileURL(
  path.join(path.dirname(fileURLToPath(import.meta.url)), 'extension/tools/guard.ts'),
).href;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'driftless-guard-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** What is deaf is deaf after a moment as after the time that servers get. */
const stopMs = 100;

/** Starts a detached child that ignores SIGTERM, writes both process ids, and stays. */
const program = `
  const { spawn } = require('node:child_process');
  const child = spawn(process.execPath, ['-e', 'process.on("SIGTERM", () => {}); console.log("ready"); setInterval(() => {}, 1000)'], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  child.stdout.once('data', () => console.log('pids ' + process.pid + ' ' + child.pid));
  child.unref();
  setInterval(() => {}, 1000);
`;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // One that has ended and waits to be reaped still has a number, but no environment.
    return readFileSync(`/proc/${pid}/environ`).length > 0;
  } catch {
    return false;
  }
}

async function pidsIn(logFile: string): Promise<readonly number[]> {
  for (;;) {
    const found = /pids (\d+) (\d+)/.exec(read(logFile));
    if (found !== null) return [Number(found[1]), Number(found[2])];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

async function gone(pids: readonly number[]): Promise<void> {
  while (pids.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe.runIf(process.platform === 'linux')('a guarded program', () => {
  it('ends with everything that descends from it, also what detached itself and is deaf to SIGTERM', async () => {
    const logFile = path.join(dir, 'log');
    const guarded = await startGuarded({
      file: process.execPath,
      args: ['-e', program],
      env: process.env,
      logFile,
      stopMs,
    });
    const pids = await pidsIn(logFile);
    expect(pids[0]).toBe(guarded.pid);
    expect(pids.every(isAlive)).toBe(true);
    await guarded.stop();
    await guarded.stop();
    expect(pids.filter(isAlive)).toEqual([]);
    expect(guarded.isRunning()).toBe(false);
  });

  it('ends when the one that started it is killed', async () => {
    const logFile = path.join(dir, 'log');
    const script = `
      const { startGuarded } = await import(${JSON.stringify(guardUrl)});
      await startGuarded({ file: process.execPath, args: ['-e', ${JSON.stringify(program)}], env: process.env, logFile: ${JSON.stringify(logFile)}, stopMs: ${stopMs} });
    `;
    const starter = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
    const pids = await pidsIn(logFile);
    starter.kill('SIGKILL');
    await gone(pids);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it('tells its exit code, and says why it did not start', async () => {
    const guarded = await startGuarded({
      file: process.execPath,
      args: ['-e', 'process.exit(7)'],
      env: process.env,
      logFile: path.join(dir, 'log'),
    });
    expect(await guarded.exited).toBe(7);
    await guarded.stop();
    await expect(
      startGuarded({ file: path.join(dir, 'nothing'), args: [], env: process.env, logFile: path.join(dir, 'log') }),
    ).rejects.toThrow(/did not start/);
  });
});
