/**
 * The control interface of a running peer for other processes of the same user: JSON-RPC over a Unix socket in a 0700
 * directory, or a named pipe on Windows. Every request is validated here, so that the peer sees only well-formed ones; every
 * value is plain JSON. Only the process that holds the folder's lock may serve, so that a socket found in the way is stale.
 */
import { createHash, randomUUID } from 'node:crypto';
import { lstat, rm } from 'node:fs/promises';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { shownJson, utf8ToBytes } from '@driftless/protocol';
import {
  type ContentTypeEncoder,
  createMessageConnection,
  type MessageConnection,
  ResponseError,
  SocketMessageReader,
  SocketMessageWriter,
} from 'vscode-jsonrpc/node';
import { z } from 'zod';
import type { PeerControl } from '../control.ts';
import { mergeBytesMax } from '../core/merge-text.ts';
import type { Log } from '../ports/log.ts';
import { codeOf, makePrivateDirectory, messageOf } from './home.ts';

/** `sun_path` holds 104 bytes on macOS and 108 on Linux, with its end. */
const socketPathBytesMax = 100;
/** Each is a command of the same user; enough for any number of shells, small enough to stay cheap. */
const connectionsMax = 64;
const connectMsMax = 3_000;
const pathCharactersMax = 16_384;
/**
 * Files that one window has open unsaved: a replacement in a whole project leaves thousands. Of more than that these are held, for none
 * would be if they were refused, and the log says so.
 */
const unsavedPathsMax = 20_000;

/** Whoever looks at the socket with a terminal sees what the peer tells, and nothing else (rule SHOWN); programs read the same values. */
const shownJsonEncoder: ContentTypeEncoder = {
  name: 'application/json',
  encode: async (message) => utf8ToBytes(shownJson(message)),
};

const invalidParams = -32_602;
const failed = -32_000;

const pathSchema = z.string().min(1).max(pathCharactersMax);
const windowSchema = z.string().max(64);
const digestSchema = z.string().regex(/^[0-9a-f]{64}$/);
const editSchema = z.strictObject({
  path: pathSchema,
  loaded: digestSchema.nullable(),
  merged: digestSchema.nullable(),
});
/** One more than is held tells that there are more. */
const editsSchema = z.preprocess(
  (edits) => (Array.isArray(edits) ? edits.slice(0, unsavedPathsMax + 1) : edits),
  z.array(editSchema),
);
const keepSchema = z.enum(['mine', 'theirs', 'both']);
const choiceSchema = z
  .strictObject({
    id: z.string().max(64).optional(),
    kind: z.enum(['deletions', 'root', 'disk', 'scope', 'record', 'checkpoint']).optional(),
  })
  .transform(({ id, kind }) => ({ ...(id === undefined ? {} : { id }), ...(kind === undefined ? {} : { kind }) }));

/** Every request: how its parameters must look, and what it does. The names are those of PeerControl. */
const methods: {
  readonly [Name in keyof PeerControl]: (control: PeerControl, parameters: readonly unknown[]) => Promise<unknown>;
} = {
  status: (control) => control.status(),
  verify: (control) => control.verify(),
  conflicts: (control) => control.conflicts(),
  resolve: (control, [path, keep]) => control.resolve(pathSchema.parse(path), keepSchema.parse(keep)),
  conflictSides: (control, [path]) => control.conflictSides(pathSchema.parse(path)),
  explain: (control, [path]) => control.explain(pathSchema.parse(path)),
  pause: (control) => control.pause(),
  resume: (control) => control.resume(),
  holds: (control) => control.holds(),
  confirm: (control, [choice]) => control.confirm(choiceSchema.parse(choice ?? {})),
  decline: (control, [choice]) => control.decline(choiceSchema.parse(choice ?? {})),
  untrack: (control, [path]) => control.untrack(pathSchema.parse(path)),
  invite: (control) => control.invite(),
  trustRelay: (control, [key]) => control.trustRelay(z.string().max(64).parse(key)),
  holdUnsaved: (control, [window, edits]) => control.holdUnsaved(windowSchema.parse(window), editsSchema.parse(edits)),
  windowLost: (control, [window]) => control.windowLost(windowSchema.parse(window)),
  mergeUnsaved: (control, [path, text, merged]) =>
    control.mergeUnsaved(
      pathSchema.parse(path),
      z.string().max(mergeBytesMax).parse(text),
      digestSchema.nullable().parse(merged),
    ),
  savedMerged: (control, [path, merged]) => control.savedMerged(pathSchema.parse(path), digestSchema.parse(merged)),
};

export interface ControlServer {
  readonly path: string;
  close(): Promise<void>;
}

/**
 * Where a link's socket lies: below the home when that is short enough, else in a private directory for sockets of this
 * user. The directory is made. At most 100 bytes.
 */
export async function controlSocketPath(options: {
  readonly homePath: string;
  readonly linkId: string;
  readonly environment: NodeJS.ProcessEnv;
}): Promise<string> {
  const name = createHash('sha256').update(`${options.homePath}\0${options.linkId}`).digest('hex').slice(0, 16);
  if (process.platform === 'win32') return `\\\\.\\pipe\\driftless-${name}`;
  const { XDG_RUNTIME_DIR: runtime } = options.environment;
  const user = String(process.getuid?.() ?? userInfo().username);
  const directories = [
    join(options.homePath, 'run'),
    ...(runtime === undefined || runtime === '' ? [] : [join(runtime, 'driftless')]),
    join(tmpdir(), `driftless-${user}`),
    join('/tmp', `driftless-${user}`),
  ];
  for (const directory of directories) {
    const path = join(directory, `${name}.sock`);
    if (Buffer.byteLength(path) > socketPathBytesMax) continue;
    await makePrivateDirectory(directory);
    return path;
  }
  throw new Error('no directory for a control socket has a short enough path');
}

/** Answers at `path` until closed. The caller holds the folder's lock. */
export async function serveControl(options: {
  readonly path: string;
  readonly control: PeerControl;
  readonly log: Log;
}): Promise<ControlServer> {
  if (process.platform !== 'win32') await removeStaleSocket(options.path);
  const open = new Set<MessageConnection>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    open.add(answer(socket, options, (connection) => open.delete(connection)));
  });
  server.maxConnections = connectionsMax;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.path, resolve);
  });
  server.on('error', (error) => options.log.warn('control socket failed', { reason: error.message }));
  return {
    path: options.path,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const connection of open) connection.dispose();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Over a socket a window is its connection: nobody else speaks for it, and what it said ends with it. */
function ofWindow(control: PeerControl, window: string, log: Log): PeerControl {
  let hadTooMany = false;
  return {
    ...control,
    holdUnsaved(_name, edits) {
      const hasTooMany = edits.length > unsavedPathsMax;
      // Once: a window says what it has with every change.
      if (hasTooMany && !hadTooMany) {
        log.warn(
          'a window has too many unsaved files: what is beyond is synced as if it were saved; save some of them',
          {
            held: unsavedPathsMax,
          },
        );
      }
      hadTooMany = hasTooMany;
      return control.holdUnsaved(window, edits.slice(0, unsavedPathsMax));
    },
    windowLost: () => control.windowLost(window),
  };
}

function answer(
  socket: Socket,
  { control: shared, log }: { readonly control: PeerControl; readonly log: Log },
  onClose: (connection: MessageConnection) => void,
): MessageConnection {
  const connection = createMessageConnection(
    new SocketMessageReader(socket),
    new SocketMessageWriter(socket, { contentTypeEncoder: shownJsonEncoder }),
  );
  const window = randomUUID();
  const control = ofWindow(shared, window, log);
  connection.onClose(() => {
    void shared.windowLost(window);
    onClose(connection);
  });
  connection.onError(([error]) => {
    log.debug('control connection ended', { reason: error.message });
    socket.destroy();
  });
  connection.onRequest(async (method: string, parameters: unknown) => {
    const call = Object.hasOwn(methods, method) ? methods[method as keyof PeerControl] : undefined;
    if (call === undefined)
      return new ResponseError(
        -32_601,
        `unknown request "${method.slice(0, 60)}": another version of Driftless is running`,
      );
    const list = Array.isArray(parameters) ? parameters : parameters === undefined ? [] : [parameters];
    try {
      return await call(control, list);
    } catch (error) {
      if (error instanceof z.ZodError) return new ResponseError(invalidParams, 'malformed request');
      return new ResponseError(failed, messageOf(error));
    }
  });
  connection.listen();
  return connection;
}

export interface RemoteControl extends PeerControl {
  close(): Promise<void>;
}

/** The control of the peer that answers at `path`; undefined when nobody does. Calls reject when it ends meanwhile. */
export async function connectControl(path: string): Promise<RemoteControl | undefined> {
  const socket = await connect(path);
  if (socket === undefined) return undefined;
  const connection = createMessageConnection(new SocketMessageReader(socket), new SocketMessageWriter(socket));
  connection.onError(() => socket.destroy());
  const ended = new Promise<never>((_resolve, reject) => {
    connection.onClose(() => reject(new Error('the running peer went away before it answered; try again')));
  });
  // Requests race against it; without one under way its rejection concerns nobody.
  ended.catch(() => undefined);
  connection.listen();
  const call = <Answer>(method: keyof PeerControl, ...parameters: readonly unknown[]): Promise<Answer> =>
    Promise.race([connection.sendRequest<Answer>(method, ...parameters), ended]);

  return {
    status: () => call('status'),
    verify: () => call('verify'),
    conflicts: () => call('conflicts'),
    resolve: (conflictPath, keep) => call('resolve', conflictPath, keep),
    conflictSides: (conflictPath) => call('conflictSides', conflictPath),
    explain: (explained) => call('explain', explained),
    pause: () => call('pause'),
    resume: () => call('resume'),
    holds: () => call('holds'),
    confirm: (choice = {}) => call('confirm', choice),
    decline: (choice = {}) => call('decline', choice),
    untrack: (untracked) => call('untrack', untracked),
    invite: () => call('invite'),
    trustRelay: (key) => call('trustRelay', key),
    holdUnsaved: (window, paths) => call('holdUnsaved', window, paths),
    windowLost: (window) => call('windowLost', window),
    mergeUnsaved: (path, text, merged) => call('mergeUnsaved', path, text, merged),
    savedMerged: (path, merged) => call('savedMerged', path, merged),
    async close() {
      connection.dispose();
      socket.destroy();
    },
  };
}

function connect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    const giveUp = setTimeout(() => {
      socket.destroy();
      resolve(undefined);
    }, connectMsMax);
    socket.once('connect', () => {
      clearTimeout(giveUp);
      resolve(socket);
    });
    // Nobody listens, or nothing is there: for the caller the same, nobody answers.
    socket.on('error', () => {
      clearTimeout(giveUp);
      resolve(undefined);
    });
  });
}

async function removeStaleSocket(path: string): Promise<void> {
  try {
    if (!(await lstat(path)).isSocket()) throw new Error(`${path} is in the way of the control socket. Remove it.`);
    await rm(path, { force: true });
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}
