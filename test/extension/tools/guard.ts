/**
 * Starts a program of a test and makes its end certain: `node guard.ts <file> <args…>`, spawned by `startGuarded`.
 *
 * The program runs in a process group of its own and carries a mark in its environment that all its descendants inherit, also
 * those that detach themselves. When the guard is told to stop, or its channel to the test ends (a crash, kill -9, Ctrl-C), it
 * ends the group, and then by their ids whatever still carries the mark. Marks are random, so nobody else's process has one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createWriteStream, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const guardFile = fileURLToPath(import.meta.url);
const markName = 'DRIFTLESS_TEST_MARK';
const stopMsName = 'DRIFTLESS_TEST_STOP_MS';
/** A server that was asked to end gets this long; then it is killed. */
const stopMsMax = 5_000;

export interface Guarded {
  /** The program's own process id. */
  readonly pid: number;
  /** Resolves with the program's exit code, or null for a signal; does not mean that its descendants are gone. */
  readonly exited: Promise<number | null>;
  isRunning(): boolean;
  /** Ends the program and all that descends from it. Idempotent; resolves when nothing is left. */
  stop(): Promise<void>;
}

/** Starts `file` with `args` under a guard; its output goes to `logFile`. */
export async function startGuarded(options: {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly logFile: string;
  /** Another time than a server gets to end by itself. */
  readonly stopMs?: number;
}): Promise<Guarded> {
  const log = createWriteStream(options.logFile, { flags: 'a' });
  const guard = spawn(process.execPath, [guardFile, options.file, ...options.args], {
    cwd: options.cwd,
    env: { ...options.env, [markName]: randomUUID(), [stopMsName]: String(options.stopMs ?? stopMsMax) },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true,
  });
  guard.stdout?.pipe(log, { end: false });
  guard.stderr?.pipe(log, { end: false });
  const gone = new Promise<void>((resolve) => guard.once('exit', () => log.end(resolve)));
  let running = true;
  let settle: (code: number | null) => void;
  const exited = new Promise<number | null>((resolve) => {
    settle = resolve;
  });
  const pid = await new Promise<number>((resolve, reject) => {
    guard.on('message', (message: GuardMessage) => {
      if (message.kind === 'started') resolve(message.pid);
      else {
        running = false;
        settle(message.code);
      }
    });
    guard.once('exit', () => {
      running = false;
      settle(null);
      reject(new Error(`${options.file} did not start; see ${options.logFile}`));
    });
  });
  return {
    pid,
    exited,
    isRunning: () => running,
    stop: async () => {
      if (guard.connected) guard.disconnect();
      await gone;
    },
  };
}

type GuardMessage =
  | { readonly kind: 'started'; readonly pid: number }
  | { readonly kind: 'exited'; readonly code: number | null };

if (process.argv[1] === guardFile) guardMain(process.argv[2] ?? '', process.argv.slice(3));

function guardMain(file: string, args: readonly string[]): void {
  const mark = process.env[markName];
  if (mark === undefined || process.send === undefined) throw new Error('the guard is started by startGuarded');
  const child = spawn(file, args, { stdio: ['ignore', 'inherit', 'inherit'], detached: true });
  const tell = (message: GuardMessage) => {
    if (process.connected) process.send?.(message);
  };
  child.once('error', (error) => {
    console.error(error);
    process.exit(1);
  });
  child.once('spawn', () => tell({ kind: 'started', pid: child.pid ?? 0 }));
  child.once('exit', (code) => tell({ kind: 'exited', code }));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.disconnect?.());
  process.once('disconnect', () => void endAll(child, mark).then(() => process.exit(0)));
}

async function endAll(child: ChildProcess, mark: string): Promise<void> {
  signalGroup(child, 'SIGTERM');
  // Also those that left the group.
  for (const pid of descendants(mark)) signal(pid, 'SIGTERM');
  const stopMs = Number(process.env[stopMsName] ?? stopMsMax);
  for (let waitedMs = 0; waitedMs < stopMs && descendants(mark).length > 0; waitedMs += 50) await pause(50);
  signalGroup(child, 'SIGKILL');
  // A process may fork while we look: look until nobody is left.
  for (let round = 0; round < 100; round += 1) {
    const left = descendants(mark);
    if (left.length === 0) return;
    for (const pid of left) signal(pid, 'SIGKILL');
    await pause(20);
  }
}

function signalGroup(child: ChildProcess, name: NodeJS.Signals): void {
  if (child.pid !== undefined) signal(-child.pid, name);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Living processes that carry the mark, without this guard. Empty where there is no /proc; the group is ended there all the same. */
function descendants(mark: string): readonly number[] {
  const wanted = Buffer.from(`${markName}=${mark}`);
  return listProcesses().filter((pid) => {
    if (pid === process.pid) return false;
    try {
      // A defunct process has an empty environment: it is over, only not yet reaped.
      return readFileSync(path.join('/proc', String(pid), 'environ')).includes(wanted);
    } catch {
      return false; // Gone meanwhile, or not ours to read: then it is not ours to end.
    }
  });
}

function listProcesses(): readonly number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
