/** An engine process for tests: the other end of a channel in memory, whose end and answers the test decides. */
import { PassThrough } from 'node:stream';
import {
  createMessageConnection,
  type MessageConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-jsonrpc/node';
import { helloRequest } from '../channel.ts';
import type { EngineProcess } from '../host.ts';

export interface FakeEngine {
  readonly process: EngineProcess;
  /** The engine's own end of the channel; already answers `hello` unless `silent`. */
  readonly connection: MessageConnection;
  readonly killed: () => boolean;
  readonly disconnected: () => boolean;
  exit(reason: string): void;
}

export function createChannel(): { readonly extension: MessageConnection; readonly engine: MessageConnection } {
  const toEngine = new PassThrough();
  const toExtension = new PassThrough();
  return {
    extension: createMessageConnection(new StreamMessageReader(toExtension), new StreamMessageWriter(toEngine)),
    engine: createMessageConnection(new StreamMessageReader(toEngine), new StreamMessageWriter(toExtension)),
  };
}

export function createFakeEngine(options: {
  readonly pid: number;
  readonly hello?: 'answers' | 'fails';
  readonly endsOnDisconnect?: boolean;
}): FakeEngine {
  const { extension, engine } = createChannel();
  let end: (reason: string) => void = () => undefined;
  const exited = new Promise<string>((resolve) => {
    end = resolve;
  });
  let killed = false;
  let disconnected = false;
  engine.onRequest(helloRequest, () => {
    if (options.hello === 'fails') throw new Error('the home cannot be opened');
    return { node: 'v24.0.0', pid: options.pid };
  });
  engine.listen();
  return {
    connection: engine,
    killed: () => killed,
    disconnected: () => disconnected,
    exit: (reason) => end(reason),
    process: {
      connection: extension,
      exited,
      disconnect: () => {
        disconnected = true;
        if (options.endsOnDisconnect !== false) end('exit code 0');
      },
      kill: () => {
        killed = true;
        end('ended by SIGKILL');
      },
    },
  };
}

/** Timers that fire when the test says so. */
export interface ManualTimers {
  readonly after: (ms: number, body: () => void) => () => void;
  readonly waiting: () => readonly number[];
  /** Fires all that wait now, shortest first. */
  fire(): void;
}

export function createManualTimers(): ManualTimers {
  let entries: { readonly ms: number; readonly body: () => void }[] = [];
  return {
    after: (ms, body) => {
      const entry = { ms, body };
      entries.push(entry);
      return () => {
        entries = entries.filter((each) => each !== entry);
      };
    },
    waiting: () => entries.map(({ ms }) => ms),
    fire: () => {
      const due = entries.sort((a, b) => a.ms - b.ms);
      entries = [];
      for (const { body } of due) body();
    },
  };
}
