/**
 * Keeps the engine process of this window running, and says when it does not. The engine is a process of its own, so that
 * its crash costs no unsaved edit and its work never holds up the editor.
 *
 *     stopped ──request──► starting ──hello──► running ──exit──► waiting ──delay──► starting
 *
 * A crash is shown with its reason. Restarts back off, and the delay falls back once an engine has run for a while. Closing
 * ends the channel, on which the engine closes its folders and exits; one that does not is killed.
 */
import {
  type CancellationToken,
  ConnectionError,
  ErrorCodes,
  type MessageConnection,
  type RequestType,
  ResponseError,
} from 'vscode-jsonrpc/node';
import { helloRequest } from './channel.ts';
import { createEmitter, type Event } from './emitter.ts';

export type EngineState =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'starting' }
  | { readonly kind: 'running'; readonly pid: number; readonly node: string }
  | { readonly kind: 'waiting'; readonly reason: string; readonly crashes: number; readonly restartInMs: number };

/** One engine process. */
export interface EngineProcess {
  readonly connection: MessageConnection;
  /** Resolves with a sentence on why it ended. */
  readonly exited: Promise<string>;
  /** Ends the channel: the engine closes its folders and exits. */
  disconnect(): void;
  kill(): void;
}

export interface EngineHost {
  readonly state: EngineState;
  readonly onDidChangeState: Event<EngineState>;
  /** Starts the engine if it is stopped. Errors: EngineDown while it is not running; the engine's own refusals. */
  request<Params, Answer, Failure>(
    type: RequestType<Params, Answer, Failure>,
    params: Params,
    token?: CancellationToken,
  ): Promise<Answer>;
  /** Starts now what waits for its restart. */
  restartNow(): void;
  /** Resolves when the process is gone. Idempotent. */
  close(): Promise<void>;
}

/** The engine is not there to answer; it is being restarted. */
export class EngineDown extends Error {
  constructor(reason: string) {
    super(`The sync engine is not running (${reason}). It is restarted by itself; try again in a moment.`);
    this.name = 'EngineDown';
  }
}

export interface EngineHostParts {
  readonly start: () => EngineProcess;
  /** Called for each new engine before it is told anything: registers what answers its own requests. */
  readonly serve: (connection: MessageConnection) => void;
  /** Calls back after `ms`; the answer cancels. */
  readonly after: (ms: number, body: () => void) => () => void;
  readonly nowMs: () => number;
}

const restartDelayMsMin = 500;
const restartDelayMsMax = 30_000;
/** An engine that lived this long did not crash for the reason of the one before. */
const healthyMs = 60_000;
/** Closing a folder finishes the step under way; VS Code itself gives an extension 5 s to deactivate. */
const closeMsMax = 4_000;

export function createEngineHost(parts: EngineHostParts): EngineHost {
  const changed = createEmitter<EngineState>();
  let state: EngineState = { kind: 'stopped' };
  let engine:
    | { readonly process: EngineProcess; readonly ready: Promise<void>; readonly startedAtMs: number }
    | undefined;
  let crashes = 0;
  let cancelRestart: () => void = () => undefined;
  let closing: Promise<void> | undefined;

  const enter = (next: EngineState): void => {
    state = next;
    changed.fire(next);
  };

  const start = (): void => {
    cancelRestart();
    const process = parts.start();
    const { connection } = process;
    let helloFailure: string | undefined;
    parts.serve(connection);
    connection.onError(() => process.kill());
    connection.listen();
    enter({ kind: 'starting' });
    const ready = Promise.race([
      connection.sendRequest(helloRequest, null),
      process.exited.then((reason) => {
        throw new EngineDown(reason);
      }),
    ]).then(
      ({ pid, node }) => enter({ kind: 'running', pid, node }),
      (error: unknown) => {
        helloFailure = error instanceof Error ? error.message : String(error);
        process.kill();
        throw error;
      },
    );
    // Whoever asked sees the failure; the supervisor below sees the exit.
    ready.catch(() => undefined);
    engine = { process, ready, startedAtMs: parts.nowMs() };
    void process.exited.then((reason) => ended(process, helloFailure ?? reason));
  };

  const ended = (process: EngineProcess, reason: string): void => {
    process.connection.dispose();
    if (engine?.process !== process) return;
    const livedMs = parts.nowMs() - engine.startedAtMs;
    engine = undefined;
    if (closing !== undefined) return enter({ kind: 'stopped' });
    crashes = livedMs >= healthyMs ? 1 : crashes + 1;
    const restartInMs = Math.min(restartDelayMsMax, restartDelayMsMin * 2 ** Math.min(crashes - 1, 10));
    enter({ kind: 'waiting', reason, crashes, restartInMs });
    cancelRestart = parts.after(restartInMs, start);
  };

  const close = async (): Promise<void> => {
    cancelRestart();
    const current = engine;
    if (current === undefined) return enter({ kind: 'stopped' });
    current.process.disconnect();
    const cancelKill = parts.after(closeMsMax, () => current.process.kill());
    await current.process.exited;
    cancelKill();
  };

  return {
    get state() {
      return state;
    },
    onDidChangeState: changed.event,
    async request(type, params, token) {
      if (closing !== undefined) throw new EngineDown('this window is closing');
      if (state.kind === 'waiting') throw new EngineDown(state.reason);
      if (engine === undefined) start();
      const current = engine;
      if (current === undefined) throw new EngineDown('it could not be started');
      await current.ready;
      const { connection, exited } = current.process;
      const gone = exited.then((reason): never => {
        throw new EngineDown(reason);
      });
      // An ended connection rejects what was pending on it; whoever asked is told why it ended.
      const answer = send(connection, type, params, token).catch((error: unknown) => {
        if (isConnectionEnd(error)) return gone;
        throw error;
      });
      return await Promise.race([answer, gone]);
    },
    restartNow() {
      if (state.kind === 'waiting' && closing === undefined) start();
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}

function isConnectionEnd(error: unknown): boolean {
  return (
    error instanceof ConnectionError ||
    (error instanceof ResponseError && error.code === ErrorCodes.PendingResponseRejected)
  );
}

/** The library's overloads tell a missing token from an undefined one. */
function send<Params, Answer, Failure>(
  connection: MessageConnection,
  type: RequestType<Params, Answer, Failure>,
  params: Params,
  token: CancellationToken | undefined,
): Promise<Answer> {
  return token === undefined
    ? connection.sendRequest(type, params as never)
    : connection.sendRequest(type, params as never, token);
}
