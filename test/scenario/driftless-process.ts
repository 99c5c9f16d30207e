/**
 * Real Driftless processes for tests: started through the committed launcher, as a person would, each told apart by its JSON
 * lines. `createWorld` gives fresh directories and ends, at its close, every process that was started in it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildCommandLine, workspaceRoot } from '../../scripts/build.ts';

export const launcher = join(workspaceRoot, 'engine', 'bin', 'driftless.mjs');

export type Told = Readonly<Record<string, unknown>>;

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface DriftlessProcess {
  readonly child: ChildProcess;
  /** Every JSON line so far. */
  readonly told: readonly Told[];
  readonly stderr: () => string;
  /** The first event, past or coming, that fits. Rejects when the process ends before it. */
  event(fits: (event: Told) => boolean): Promise<Told>;
  /** As `event`, but only of what is told from now on. */
  nextEvent(fits: (event: Told) => boolean): Promise<Told>;
  /** Sends the signal, and resolves with the exit code when the process is gone. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  readonly exited: Promise<number | null>;
}

export interface World {
  readonly path: (...names: string[]) => string;
  /** Runs a command to its end. */
  run(parameters: readonly string[], options?: RunOptions): Promise<Finished>;
  /** Starts a command that goes on. */
  start(parameters: readonly string[], options?: RunOptions): DriftlessProcess;
  close(): Promise<void>;
}

export interface RunOptions {
  /** Name of the home directory within the world. Default: 'home'. */
  readonly home?: string;
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Once for all worlds of this process. */
let built: Promise<void> | undefined;

/** `program`: another build than this checkout's, which is then not built. */
export async function createWorld({ program = launcher }: { readonly program?: string } = {}): Promise<World> {
  if (program === launcher) built ??= buildCommandLine();
  await built;
  const directory = await mkdtemp(join(tmpdir(), 'driftless-world-'));
  const path = (...names: string[]): string => join(directory, ...names);
  const children = new Set<ChildProcess>();

  const launch = (parameters: readonly string[], options: RunOptions): ChildProcess => {
    const child = spawn(program, parameters, {
      cwd: directory,
      env: { ...process.env, DRIFTLESS_HOME: path(options.home ?? 'home'), ...options.environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    children.add(child);
    child.once('exit', () => children.delete(child));
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input ?? '');
    return child;
  };

  return {
    path,
    async run(parameters, options = {}) {
      const child = launch(parameters, options);
      let [stdout, stderr] = ['', ''];
      child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      const [code] = (await once(child, 'close')) as [number | null];
      return { code, stdout, stderr };
    },
    start: (parameters, options = {}) => follow(launch(parameters, options)),
    async close() {
      const ended = [...children].map((child) => once(child, 'exit'));
      for (const child of children) child.kill('SIGKILL');
      await Promise.all(ended);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function follow(child: ChildProcess): DriftlessProcess {
  const told: Told[] = [];
  const waiting = new Set<() => void>();
  let stderr = '';
  let ended = false;
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      told.push(JSON.parse(line) as Told);
      for (const look of [...waiting]) look();
    });
  }
  const exited = new Promise<number | null>((resolve) => {
    child.once('close', (code) => {
      ended = true;
      resolve(code);
      for (const look of [...waiting]) look();
    });
  });

  const waitFrom = (start: number, fits: (event: Told) => boolean): Promise<Told> =>
    new Promise((resolve, reject) => {
      let seen = start;
      const look = (): void => {
        for (; seen < told.length; seen += 1) {
          const event = told[seen];
          if (event === undefined || !fits(event)) continue;
          waiting.delete(look);
          resolve(event);
          return;
        }
        if (!ended) return;
        waiting.delete(look);
        reject(
          new Error(
            `the process ended before the event; it told ${JSON.stringify(told.slice(-5))} and wrote ${stderr}`,
          ),
        );
      };
      waiting.add(look);
      look();
    });

  return {
    child,
    told,
    stderr: () => stderr,
    event: (fits) => waitFrom(0, fits),
    nextEvent: (fits) => waitFrom(told.length, fits),
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      return exited;
    },
    exited,
  };
}

/** Fits a state event of that name. */
export const inState =
  (state: string) =>
  (event: Told): boolean =>
    event['event'] === 'state' && event['state'] === state;

/** Fits an event of that kind about that path. */
export const about =
  (kind: string, path: string) =>
  (event: Told): boolean =>
    event['event'] === kind && event['path'] === path;
