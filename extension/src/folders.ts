/**
 * The window's folders and what each is doing: opens those that are linked, follows what their peers tell, opens them again
 * after the engine was restarted, and waits its turn where another process owns the folder. Knows nothing of vscode.
 */
import type { ConflictPolicy, PeerEvent, PeerState, Status, UnsavedEdit } from '@driftless/engine';
import { type CancellationToken, type RequestType, ResponseError } from 'vscode-jsonrpc/node';
import {
  closeRequest,
  type EventBatch,
  holdUnsavedRequest,
  joinRequest,
  openRequest,
  type RefusalData,
  refusalCode,
  shareRequest,
  statusRequest,
  unlinkRequest,
} from './channel.ts';
import { createEmitter, type Disposable, type Event } from './emitter.ts';
import { EngineDown, type EngineHost } from './host.ts';
import type { FolderView, NamedFolder } from './present/folder-view.ts';

export interface WorkspaceFolder {
  readonly name: string;
  readonly dir: string;
}

export interface FolderEvents {
  readonly folder: NamedFolder;
  readonly events: readonly PeerEvent[];
}

export interface Folders extends Disposable {
  readonly onDidChange: Event<void>;
  /** Everything that peers tell, after the views took it in. */
  readonly onDidTell: Event<FolderEvents>;
  list(): readonly NamedFolder[];
  find(dir: string): NamedFolder | undefined;
  /** The window has these folders now: linked ones are opened, gone ones closed. */
  update(folders: readonly WorkspaceFolder[]): void;
  take(batch: EventBatch): void;
  /** Tries again what failed, is owned elsewhere, or waits for trust. */
  retry(dir: string): void;
  share(
    options: { readonly dir: string; readonly urls: readonly string[]; readonly allowPlain: boolean },
    token: CancellationToken,
  ): Promise<void>;
  join(
    options: { readonly dir: string; readonly invite: string; readonly allowPlain: boolean },
    token: CancellationToken,
  ): Promise<void>;
  disconnect(dir: string): Promise<void>;
  /** A request about a folder. */
  ask<Params, Answer>(type: RequestType<Params, Answer, RefusalData>, params: Params): Promise<Answer>;
}

export interface FoldersParts {
  readonly host: EngineHost;
  /** Whether the folder carries signs of a link; cheap, so that a window without any starts no engine. */
  readonly mayBeLinked: (dir: string) => boolean;
  readonly remember: (dir: string, linked: boolean) => void;
  readonly isTrusted: () => boolean;
  readonly policy: (dir: string) => ConflictPolicy;
  readonly deviceName: () => string;
  /** What this window has unsaved in a folder. */
  readonly unsaved: (dir: string) => readonly UnsavedEdit[];
  readonly after: (ms: number, body: () => void) => () => void;
}

/** A reload's old engine is gone within a second; a second window may stay for days. */
const ownedRetryMsMin = 1_000;
const ownedRetryMsMax = 15_000;
/** A status is for the tooltip: this often is enough while much happens. */
const statusEveryMs = 300;

interface FolderRecord {
  readonly name: string;
  readonly dir: string;
  view: FolderView;
  wanted: boolean;
  /** Steps with every attempt, so that the end of an older one changes nothing. */
  attempt: number;
  ownedRetryMs: number;
  cancelRetry: () => void;
  status: 'fresh' | 'asked' | 'asked-again';
}

export function createFolders(parts: FoldersParts): Folders {
  const { host } = parts;
  const changed = createEmitter<void>();
  const told = createEmitter<FolderEvents>();
  const records = new Map<string, FolderRecord>();
  let disposed = false;

  const show = (record: FolderRecord, view: FolderView): void => {
    record.view = view;
    changed.fire();
  };

  const openParams = (dir: string) => ({ dir, policy: parts.policy(dir), unsaved: parts.unsaved(dir) });

  const open = async (record: FolderRecord): Promise<void> => {
    record.cancelRetry();
    record.attempt += 1;
    const { attempt } = record;
    if (!parts.isTrusted()) return show(record, { kind: 'restricted' });
    record.wanted = true;
    // A folder that another process owns stays shown so while we look again.
    if (record.view.kind !== 'owned') show(record, { kind: 'starting' });
    try {
      await host.request(openRequest, openParams(record.dir));
      if (record.attempt === attempt) opened(record);
    } catch (error) {
      if (record.attempt === attempt && !disposed) refused(record, error);
    }
  };

  const opened = (record: FolderRecord): void => {
    record.wanted = true;
    record.ownedRetryMs = ownedRetryMsMin;
    parts.remember(record.dir, true);
    if (record.view.kind !== 'running') show(record, { kind: 'starting' });
    refreshStatus(record);
  };

  const refused = (record: FolderRecord, error: unknown): void => {
    if (error instanceof EngineDown) return followEngine(record);
    const code = refusalOf(error);
    const message = error instanceof Error ? error.message : String(error);
    if (code === 'not-linked') {
      record.wanted = false;
      parts.remember(record.dir, false);
      return show(record, { kind: 'unlinked' });
    }
    if (code !== 'owned') return show(record, { kind: 'failed', code: code ?? 'internal', message });
    show(record, { kind: 'owned', message });
    // Whoever owns it may be another one than before.
    host.request(holdUnsavedRequest, { dir: record.dir, edits: parts.unsaved(record.dir) }).catch(() => undefined);
    record.cancelRetry = parts.after(record.ownedRetryMs, () => void open(record));
    record.ownedRetryMs = Math.min(ownedRetryMsMax, record.ownedRetryMs * 2);
  };

  const followEngine = (record: FolderRecord): void => {
    const { state } = host;
    if (state.kind === 'waiting')
      show(record, { kind: 'engine-down', reason: state.reason, restartInMs: state.restartInMs });
  };

  const engineChanged = host.onDidChangeState((state) => {
    for (const record of records.values()) {
      if (!record.wanted) continue;
      if (state.kind === 'waiting') {
        record.attempt += 1;
        record.cancelRetry();
        record.status = 'fresh';
        followEngine(record);
      } else if (state.kind === 'running' && record.view.kind === 'engine-down') void open(record);
    }
  });

  const refreshStatus = (record: FolderRecord): void => {
    if (record.status !== 'fresh') {
      record.status = 'asked-again';
      return;
    }
    record.status = 'asked';
    const { attempt } = record;
    const finish = (status: Status | undefined): void => {
      if (record.attempt !== attempt || disposed) return;
      // An event that came meanwhile is newer than this status: keep its state.
      if (status !== undefined)
        show(record, {
          kind: 'running',
          state:
            record.status === 'asked-again' && record.view.kind === 'running'
              ? record.view.state
              : stateOf(status, record.view),
          status,
        });
      const again = record.status === 'asked-again';
      parts.after(statusEveryMs, () => {
        if (record.attempt !== attempt) return;
        const more = again || record.status === 'asked-again';
        record.status = 'fresh';
        if (more) refreshStatus(record);
      });
    };
    // Without an answer the state alone is shown; a gone engine is shown by its own event.
    host.request(statusRequest, { dir: record.dir }).then(finish, () => finish(undefined));
  };

  const begin = (dir: string): FolderRecord => {
    const record = records.get(dir);
    if (record === undefined) throw new Error(`${dir} is not a folder of this window`);
    record.cancelRetry();
    record.attempt += 1;
    record.status = 'fresh';
    return record;
  };

  /** Share and join leave the folder open, or as it was. */
  const connect = async <Answer>(dir: string, work: () => Promise<Answer>): Promise<Answer> => {
    const record = begin(dir);
    const { attempt, view, wanted } = record;
    show(record, { kind: 'starting' });
    record.wanted = true;
    try {
      const answer = await work();
      if (record.attempt === attempt) opened(record);
      return answer;
    } catch (error) {
      if (record.attempt === attempt) {
        record.wanted = wanted;
        show(record, view);
        // The link may have been made before the step that failed or was cancelled.
        if (parts.mayBeLinked(dir)) void open(record);
      }
      throw error;
    }
  };

  const forget = (record: FolderRecord): void => {
    record.attempt += 1;
    record.wanted = false;
    record.cancelRetry();
    records.delete(record.dir);
  };

  return {
    onDidChange: changed.event,
    onDidTell: told.event,
    list: () => [...records.values()],
    find: (dir) => records.get(dir),
    update(folders) {
      const dirs = new Set(folders.map((folder) => folder.dir));
      for (const record of [...records.values()]) {
        if (dirs.has(record.dir)) continue;
        const { wanted } = record;
        forget(record);
        // An engine that is down has nothing open.
        if (wanted) host.request(closeRequest, { dir: record.dir }).catch(() => undefined);
      }
      for (const { name, dir } of folders) {
        if (records.has(dir)) continue;
        const record: FolderRecord = {
          name,
          dir,
          view: { kind: 'unlinked' },
          wanted: false,
          attempt: 0,
          ownedRetryMs: ownedRetryMsMin,
          cancelRetry: () => undefined,
          status: 'fresh',
        };
        records.set(dir, record);
        if (parts.mayBeLinked(dir)) void open(record);
      }
      changed.fire();
    },
    take({ dir, events }) {
      const record = records.get(dir);
      if (record === undefined || !record.wanted) return;
      for (const event of events) {
        if (event.event === 'state') {
          const { event: _name, ...state } = event;
          record.view = { kind: 'running', state, status: record.view.kind === 'running' ? record.view.status : null };
        }
      }
      changed.fire();
      told.fire({ folder: record, events });
      refreshStatus(record);
    },
    retry(dir) {
      const record = records.get(dir);
      if (record === undefined) return;
      host.restartNow();
      if (record.view.kind !== 'running' && record.view.kind !== 'engine-down') void open(begin(dir));
    },
    async share({ dir, urls, allowPlain }, token) {
      await connect(dir, () =>
        host.request(shareRequest, { ...openParams(dir), urls, allowPlain, name: parts.deviceName() }, token),
      );
    },
    async join({ dir, invite, allowPlain }, token) {
      await connect(dir, () =>
        host.request(joinRequest, { ...openParams(dir), invite, allowPlain, name: parts.deviceName() }, token),
      );
    },
    async disconnect(dir) {
      const record = begin(dir);
      try {
        await host.request(unlinkRequest, { dir });
      } catch (error) {
        if (refusalOf(error) !== 'not-linked') {
          void open(record);
          throw error;
        }
      }
      record.wanted = false;
      parts.remember(dir, false);
      show(record, { kind: 'unlinked' });
    },
    ask: (type, params) => host.request(type, params),
    dispose() {
      disposed = true;
      engineChanged.dispose();
      for (const record of [...records.values()]) forget(record);
    },
  };
}

/** The code of a refusal that the engine gave, or undefined for any other failure. */
export function refusalOf(error: unknown): string | undefined {
  if (!(error instanceof ResponseError) || error.code !== refusalCode) return undefined;
  const data = error.data as RefusalData | undefined;
  return data?.code;
}

function stateOf(status: Status, view: FolderView): PeerState {
  const {
    state,
    code,
    reason,
    next,
    pending,
    conflicts,
    watchingByRescan,
    unwatched,
    waitingForUnsavedEdits,
    waitingPaths,
  } = status;
  const progress = view.kind === 'running' ? view.state.progress : undefined;
  return {
    state,
    ...(code === undefined ? {} : { code }),
    ...(reason === undefined ? {} : { reason }),
    ...(next === undefined ? {} : { next }),
    ...(progress === undefined || state === 'idle' ? {} : { progress }),
    pending,
    conflicts: conflicts.length,
    watchingByRescan,
    ...(unwatched === undefined ? {} : { unwatched }),
    waitingForUnsavedEdits,
    ...(waitingPaths === undefined ? {} : { waitingPaths }),
  };
}
