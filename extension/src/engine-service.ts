/**
 * The engine's side of the channel: answers the extension's requests with a FolderHost, keeps the peers of this window's
 * folders running, and tells what they do. Knows neither vscode nor how the host is built (engine-process.ts does that).
 */
import type {
  FolderHost,
  HostErrorCode,
  LinkSecrets,
  Log,
  PeerControl,
  RunningFolder,
  SecretStore,
  UnsavedEdit,
} from '@driftless/engine';
import { type CancellationToken, type MessageConnection, ResponseError } from 'vscode-jsonrpc/node';
import { createAttached } from './attached.ts';
import {
  actionRequest,
  cancelledCode,
  closeRequest,
  confirmRequest,
  conflictSidesRequest,
  conflictsRequest,
  declineRequest,
  eventsNotification,
  explainRequest,
  helloRequest,
  holdsRequest,
  holdUnsavedRequest,
  type InvitePreview,
  inviteRequest,
  joinRequest,
  type LinkFacts,
  type LogLine,
  linkOfRequest,
  logNotification,
  mergeUnsavedRequest,
  type OpenParams,
  openRequest,
  previewInviteRequest,
  type RefusalData,
  refusalCode,
  resolveRequest,
  savedMergedRequest,
  secretDeleteRequest,
  secretGetRequest,
  secretSetRequest,
  shareRequest,
  statusRequest,
  trustRelayRequest,
  unlinkRequest,
  verifyRequest,
} from './channel.ts';
import { createEventGatherer, type EventGatherer } from './event-batch.ts';

export interface EngineServiceParts {
  readonly connection: MessageConnection;
  /** Checks the platform and opens the home; its failure is the answer to `hello`. */
  readonly openHost: () => Promise<FolderHost>;
  readonly log: Log;
  /** Calls back after `ms`. */
  readonly after: (ms: number, body: () => void) => void;
  readonly previewInvite: (text: string) => InvitePreview;
}

export interface EngineService {
  /** Closes every folder. Idempotent. */
  close(): Promise<void>;
}

/** What peers tell is passed on this often: below what a person notices, far above what IPC costs. */
const eventsEveryMs = 40;

export function serveEngine({ connection, openHost, log, after, previewInvite }: EngineServiceParts): EngineService {
  const folders = new Map<string, Promise<RunningFolder>>();
  let hostOpened: Promise<FolderHost> | undefined;
  let closed: Promise<void> | undefined;

  const host = (): Promise<FolderHost> => {
    hostOpened ??= openHost();
    return hostOpened;
  };

  const open = ({ dir, policy, unsaved }: OpenParams): Promise<RunningFolder> => {
    const known = folders.get(dir);
    if (known !== undefined) return known;
    const events = createEventGatherer();
    let scheduled = false;
    const flush = (): void => {
      scheduled = false;
      tell(dir, events);
    };
    const opening = host().then((opened) =>
      opened.open(dir, {
        policy,
        unsaved,
        log,
        onEvent: (event) => {
          events.add(event);
          if (scheduled) return;
          scheduled = true;
          after(eventsEveryMs, flush);
        },
      }),
    );
    folders.set(dir, opening);
    opening.catch(() => folders.delete(dir));
    return opening;
  };

  const tell = (dir: string, events: EventGatherer): void => {
    const batch = events.take();
    if (batch !== undefined && folders.has(dir))
      notify(() => connection.sendNotification(eventsNotification, { dir, ...batch }));
  };

  const control = async (dir: string): Promise<PeerControl> => {
    const folder = await folders.get(dir);
    if (folder === undefined) throw refusal('not-linked', `${dir} is not connected in this window.`);
    return folder.control;
  };

  const attached = createAttached(host);
  /** Whoever keeps the folder in sync hears what this window has unsaved. */
  const holdUnsaved = async (dir: string, edits: readonly UnsavedEdit[]): Promise<null> => {
    const folder = await folders.get(dir);
    return folder === undefined ? attached.hold(dir, edits) : folder.holdUnsaved(edits);
  };

  const closeFolder = async (dir: string): Promise<void> => {
    const folder = folders.get(dir);
    folders.delete(dir);
    // One that never opened has nothing to close.
    const opened = await folder?.catch(() => undefined);
    await opened?.close();
  };

  const unlink = async (dir: string): Promise<null> => {
    await closeFolder(dir);
    await (await host()).unlink(dir);
    return null;
  };

  /** Whoever cancels a share or a join finds the folder as it was. */
  const openOrUndo = async (params: OpenParams, token: CancellationToken): Promise<void> => {
    const { dir } = params;
    if (!token.isCancellationRequested) await open(params);
    if (!token.isCancellationRequested) return;
    await unlink(dir);
    throw new ResponseError(cancelledCode, 'Cancelled.');
  };

  connection.onRequest(helloRequest, async () => {
    await host();
    return { node: process.version, pid: process.pid };
  });
  connection.onRequest(linkOfRequest, ({ dir }) => answer(async () => facts(await (await host()).linkOf(dir))));
  connection.onRequest(openRequest, (params) => answer(async () => linkFacts((await open(params)).link)));
  connection.onRequest(closeRequest, ({ dir }) =>
    answer(async () => {
      await closeFolder(dir);
      return null;
    }),
  );
  connection.onRequest(shareRequest, (params, token) =>
    answer(async () => {
      const { link } = await (await host()).share(params);
      await openOrUndo(params, token);
      return linkFacts(link);
    }),
  );
  connection.onRequest(joinRequest, (params, token) =>
    answer(async () => {
      const link = await (await host()).join(params);
      await openOrUndo(params, token);
      return linkFacts(link);
    }),
  );
  connection.onRequest(unlinkRequest, ({ dir }) => answer(() => unlink(dir)));
  // The running peer's invite carries the relay's key, which may have become known since the link was made.
  connection.onRequest(inviteRequest, ({ dir }) =>
    answer(async () => (folders.has(dir) ? (await control(dir)).invite() : (await host()).invite(dir))),
  );
  connection.onRequest(previewInviteRequest, ({ text }) => previewInvite(text));
  connection.onRequest(statusRequest, ({ dir }) => answer(async () => (await control(dir)).status()));
  connection.onRequest(verifyRequest, ({ dir }) => answer(async () => (await control(dir)).verify()));
  connection.onRequest(conflictsRequest, ({ dir }) => answer(async () => (await control(dir)).conflicts()));
  connection.onRequest(resolveRequest, ({ dir, path, keep }) =>
    answer(async () => (await control(dir)).resolve(path, keep)),
  );
  connection.onRequest(explainRequest, ({ dir, path }) => answer(async () => (await control(dir)).explain(path)));
  connection.onRequest(conflictSidesRequest, ({ dir, path }) =>
    answer(async () => (await control(dir)).conflictSides(path)),
  );
  connection.onRequest(holdsRequest, ({ dir }) => answer(async () => (await control(dir)).holds()));
  connection.onRequest(confirmRequest, ({ dir, id }) => answer(async () => (await control(dir)).confirm({ id })));
  connection.onRequest(declineRequest, ({ dir, id }) => answer(async () => (await control(dir)).decline({ id })));
  connection.onRequest(holdUnsavedRequest, ({ dir, edits }) => answer(() => holdUnsaved(dir, edits)));
  connection.onRequest(mergeUnsavedRequest, ({ dir, path, text, merged }) =>
    answer(async () => (await control(dir)).mergeUnsaved(path, text, merged)),
  );
  connection.onRequest(savedMergedRequest, ({ dir, path, version }) =>
    answer(async () => (await control(dir)).savedMerged(path, version)),
  );
  connection.onRequest(trustRelayRequest, ({ dir, key }) => answer(async () => (await control(dir)).trustRelay(key)));
  connection.onRequest(actionRequest, ({ dir, action }) => answer(async () => (await control(dir))[action]()));

  return {
    close() {
      closed ??= (async () => {
        await Promise.all([...folders.keys()].map(closeFolder));
        await attached.close();
        await (await hostOpened?.catch(() => undefined))?.close();
      })();
      return closed;
    },
  };

  /** Refusals that a person can act on keep their code; anything else is a fault and is logged as one. */
  async function answer<Answer>(body: () => Promise<Answer>): Promise<Answer> {
    try {
      return await body();
    } catch (error) {
      if (error instanceof ResponseError) throw error;
      if (isHostError(error)) throw refusal(error.code, error.message);
      log.error('a request failed', {
        reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
      throw error;
    }
  }
}

/** A window that is gone hears nothing, and needs not: the channel's end is what this process acts on. */
function notify(send: () => Promise<void>): void {
  Promise.resolve()
    .then(send)
    .catch(() => undefined);
}

function refusal(code: HostErrorCode, message: string): ResponseError<RefusalData> {
  return new ResponseError(refusalCode, message, { code });
}

function isHostError(error: unknown): error is Error & { readonly code: HostErrorCode } {
  return error instanceof Error && error.name === 'HostError' && 'code' in error;
}

function facts(link: LinkFacts | undefined): LinkFacts | null {
  return link === undefined ? null : linkFacts(link);
}

function linkFacts({ id, dir, room, urls, name }: LinkFacts): LinkFacts {
  return { id, dir, room, urls, name };
}

/** Keys in the editor's secret storage, which only the extension can reach. */
export function createChannelSecrets(connection: MessageConnection): SecretStore {
  return {
    async get(linkId) {
      const text = await connection.sendRequest(secretGetRequest, { linkId });
      return text === null ? undefined : { roomSecret: bytesOf(text.roomSecret), deviceSeed: bytesOf(text.deviceSeed) };
    },
    async set(linkId, secrets: LinkSecrets) {
      await connection.sendRequest(secretSetRequest, {
        linkId,
        secrets: { roomSecret: textOf(secrets.roomSecret), deviceSeed: textOf(secrets.deviceSeed) },
      });
    },
    async delete(linkId) {
      await connection.sendRequest(secretDeleteRequest, { linkId });
    },
  };
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

/** Lines wait for the next batch; an engine that cannot stop talking loses lines, counted, not memory. */
const logLinesMax = 200;

/** A log that the extension's log channel shows. */
export function createChannelLog(connection: MessageConnection, after: (ms: number, body: () => void) => void): Log {
  let lines: LogLine[] = [];
  let leftOut = 0;
  let scheduled = false;
  const flush = (): void => {
    scheduled = false;
    const batch = { lines, leftOut };
    lines = [];
    leftOut = 0;
    notify(() => connection.sendNotification(logNotification, batch));
  };
  const write =
    (level: LogLine['level']) =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      if (lines.length < logLinesMax) lines.push({ level, event, fields });
      else leftOut += 1;
      if (scheduled) return;
      scheduled = true;
      after(eventsEveryMs, flush);
    };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}
