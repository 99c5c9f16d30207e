/** The real processes: forks the engine, starts the relay detached. Both run on the editor's own Node. */
import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { createMessageConnection, IPCMessageReader, IPCMessageWriter, type Logger } from 'vscode-jsonrpc/node';
import type { EngineProcess } from './host.ts';
import { type RelayStarted, relayPaths } from './relay-host.ts';

/** The reason of a crash stands at the end of what a process prints. */
const lastWordsMax = 2_000;
const relayStartMsMax = 20_000;

export function forkEngine(options: {
  readonly script: string;
  readonly print: (text: string) => void;
  readonly logger: Logger;
}): EngineProcess {
  const child = fork(options.script, [], {
    execArgv: [],
    env: childEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let lastWords = '';
  const listen = (chunk: unknown): void => {
    const text = String(chunk);
    lastWords = (lastWords + text).slice(-lastWordsMax);
    options.print(text);
  };
  child.stdout?.on('data', listen);
  child.stderr?.on('data', listen);
  const connection = createMessageConnection(new IPCMessageReader(child), new IPCMessageWriter(child), options.logger);
  return {
    connection,
    exited: ended(child).then((how) => [how, lastErrorLine(lastWords)].filter((part) => part !== '').join(': ')),
    disconnect: () => {
      if (child.connected) child.disconnect();
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

/** Resolves once the relay listens. Errors: a sentence; a taken port is named. */
export async function startRelayProcess(options: {
  readonly script: string;
  readonly storage: string;
  readonly port: number;
}): Promise<void> {
  const paths = relayPaths(options.storage);
  mkdirSync(paths.folder, { recursive: true, mode: 0o700 });
  const log = openSync(paths.log, isFull(paths.log) ? 'w' : 'a', 0o600);
  const child = fork(options.script, [options.storage], {
    execArgv: [],
    env: childEnvironment(),
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  });
  closeSync(log);
  const exited = ended(child);
  let timer: NodeJS.Timeout | undefined;
  const started = await Promise.race([
    new Promise<RelayStarted>((resolve) => child.once('message', (message) => resolve(message as RelayStarted))),
    exited.then((how): RelayStarted => ({ kind: 'failed', code: 'exited', message: how })),
    new Promise<RelayStarted>((resolve) => {
      timer = setTimeout(
        () => resolve({ kind: 'failed', code: 'late', message: 'it did not answer in time' }),
        relayStartMsMax,
      );
    }),
  ]);
  clearTimeout(timer);
  if (started.kind === 'listening') {
    // From here on it belongs to the machine, not to this window.
    child.disconnect();
    child.unref();
    return;
  }
  child.kill('SIGKILL');
  if (started.code === 'EADDRINUSE') {
    throw new Error(
      `Port ${options.port} is taken by another program. End that one, or choose another port in the setting driftless.hostedRelayPort.`,
    );
  }
  if (started.code === 'EADDRNOTAVAIL')
    throw new Error('This machine does not have the chosen address any more. Host the relay again and choose another.');
  throw new Error(`The relay could not be started: ${started.message}`);
}

/** Begun anew by the next start once it is this large. */
const relayLogBytesMax = 1024 * 1024;

function isFull(file: string): boolean {
  return (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > relayLogBytesMax;
}

function ended(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `ended by ${signal}`));
  });
}

function lastErrorLine(text: string): string {
  return (
    text
      .split('\n')
      .findLast((line) => /^\S*(Error|error)\b/.test(line))
      ?.slice(0, 300) ?? ''
  );
}

/** The editor's own settings for its processes are not for ours. */
function childEnvironment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _options, VSCODE_ESM_ENTRYPOINT: _entry, ...rest } = process.env;
  return { ...rest, ELECTRON_RUN_AS_NODE: '1' };
}
