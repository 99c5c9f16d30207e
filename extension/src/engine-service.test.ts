import type {
  FolderHost,
  LinkSecrets,
  Log,
  OpenOptions,
  PeerControl,
  RunningFolder,
  UnsavedEdit,
} from '@driftless/engine';
import { describe, expect, it } from 'vitest';
import { CancellationTokenSource, type MessageConnection } from 'vscode-jsonrpc/node';
import {
  actionRequest,
  closeRequest,
  type EventBatch,
  eventsNotification,
  helloRequest,
  holdUnsavedRequest,
  joinRequest,
  linkOfRequest,
  logNotification,
  openRequest,
  previewInviteRequest,
  type SecretText,
  secretDeleteRequest,
  secretGetRequest,
  secretSetRequest,
  shareRequest,
  statusRequest,
  unlinkRequest,
} from './channel.ts';
import { createChannelLog, createChannelSecrets, type EngineService, serveEngine } from './engine-service.ts';
import { refusalOf } from './folders.ts';
import { createChannel, createManualTimers, type ManualTimers } from './testing/fake-engine.ts';
import { peerState, status } from './testing/status.ts';

const silent: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

class FakeHostError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = 'HostError';
    this.code = code;
  }
}

interface World {
  readonly extension: MessageConnection;
  readonly service: EngineService;
  readonly calls: string[];
  readonly timers: ManualTimers;
  readonly opened: Map<string, OpenOptions>;
  readonly failures: Map<string, Error>;
}

function createWorld(openHost?: () => Promise<FolderHost>): World {
  const calls: string[] = [];
  const opened = new Map<string, OpenOptions>();
  const failures = new Map<string, Error>();
  const call = (name: string): void => {
    calls.push(name);
    const failure = failures.get(name);
    if (failure !== undefined) throw failure;
  };
  const link = {
    id: 'id',
    room: 'room',
    urls: ['ws://127.0.0.1:1'],
    relayKey: null,
    inviter: null,
    name: 'laptop',
    policy: 'ask' as const,
    marker: 'm',
    rejoin: false,
    leftAtMs: null,
    createdAt: '',
  };
  const control = (dir: string): PeerControl =>
    ({
      status: async () => {
        call(`status ${dir}`);
        return status({ dir });
      },
      pause: async () => {
        call(`pause ${dir}`);
        return { ok: true, message: 'paused' };
      },
    }) as unknown as PeerControl;
  const host = {
    linkOf: async (dir: string) => (dir === '/a' ? { ...link, dir } : undefined),
    share: async ({ dir }: { readonly dir: string }) => {
      call(`share ${dir}`);
      return { link: { ...link, dir }, invite: 'invite' };
    },
    join: async ({ dir }: { readonly dir: string }) => {
      call(`join ${dir}`);
      return { ...link, dir };
    },
    unlink: async (dir: string) => call(`unlink ${dir}`),
    attach: async (dir: string) => {
      call(`attach ${dir}`);
      return {
        holdUnsaved: async (_window: string, edits: readonly UnsavedEdit[]) => {
          call(`hold there ${dir} ${edits.map(({ path }) => path).join()}`);
          return null;
        },
        close: async () => call(`detach ${dir}`),
      };
    },
    open: async (dir: string, options: OpenOptions): Promise<RunningFolder> => {
      call(`open ${dir}`);
      opened.set(dir, options);
      return {
        link: { ...link, dir },
        control: control(dir),
        holdUnsaved: async (edits) => {
          call(`hold ${dir} ${edits.map(({ path }) => path).join()}`);
          return null;
        },
        close: async () => call(`close ${dir}`),
      };
    },
    close: async () => call('close host'),
  } as unknown as FolderHost;
  const { extension, engine } = createChannel();
  const timers = createManualTimers();
  const service = serveEngine({
    connection: engine,
    openHost: openHost ?? (async () => host),
    log: silent,
    after: (ms, body) => void timers.after(ms, body),
    previewInvite: (text) =>
      text === 'good' ? { kind: 'valid', from: 'desktop', urls: [] } : { kind: 'invalid', reason: 'no' },
  });
  engine.listen();
  extension.listen();
  return { extension, service, calls, timers, opened, failures };
}

const open = (world: World, dir = '/a') =>
  world.extension.sendRequest(openRequest, { dir, policy: 'ask', unsaved: [] });

describe('engine service', () => {
  it('answers hello when its host is open, and says why when it cannot be', async () => {
    expect(await createWorld().extension.sendRequest(helloRequest, null)).toEqual({
      node: process.version,
      pid: process.pid,
    });
    const broken = createWorld(async () => {
      throw new FakeHostError('bad-home', 'the home is open to others');
    });
    await expect(broken.extension.sendRequest(helloRequest, null)).rejects.toThrow(/open to others/);
  });

  it('opens a folder once, and closes it', async () => {
    const world = createWorld();
    await Promise.all([open(world), open(world)]);
    expect(world.calls).toEqual(['open /a']);
    await world.extension.sendRequest(closeRequest, { dir: '/a' });
    expect(world.calls).toEqual(['open /a', 'close /a']);
    await open(world);
    expect(world.calls.at(-1)).toBe('open /a');
  });

  it('says what the window has unsaved to the folder it runs, with the opening already', async () => {
    const world = createWorld();
    const edits = [{ path: 'x.txt', loaded: null, merged: null }];
    await world.extension.sendRequest(openRequest, { dir: '/a', policy: 'ask', unsaved: edits });
    expect(world.opened.get('/a')?.unsaved).toEqual(edits);
    await world.extension.sendRequest(holdUnsavedRequest, { dir: '/a', edits });
    expect(world.calls).toEqual(['open /a', 'hold /a x.txt']);
  });

  it('says it to another process that owns the folder, through one connection that lasts as long as the edits', async () => {
    const world = createWorld();
    const edits = [{ path: 'x.txt', loaded: null, merged: null }];
    await world.extension.sendRequest(holdUnsavedRequest, { dir: '/b', edits: [] });
    expect(world.calls).toEqual([]);
    await world.extension.sendRequest(holdUnsavedRequest, { dir: '/b', edits });
    await world.extension.sendRequest(holdUnsavedRequest, { dir: '/b', edits });
    await world.extension.sendRequest(holdUnsavedRequest, { dir: '/b', edits: [] });
    expect(world.calls).toEqual([
      'attach /b',
      'hold there /b x.txt',
      'hold there /b x.txt',
      'hold there /b ',
      'detach /b',
    ]);
    world.failures.set('hold there /b x.txt', new Error('the running peer went away'));
    await world.extension.sendRequest(holdUnsavedRequest, { dir: '/b', edits });
    world.failures.clear();
    world.calls.length = 0;
    await world.extension.sendRequest(holdUnsavedRequest, { dir: '/b', edits });
    expect(world.calls).toEqual(['attach /b', 'hold there /b x.txt']);
  });

  it('gives nothing of a link but plain facts', async () => {
    const world = createWorld();
    expect(await world.extension.sendRequest(linkOfRequest, { dir: '/a' })).toEqual({
      id: 'id',
      dir: '/a',
      room: 'room',
      urls: ['ws://127.0.0.1:1'],
      name: 'laptop',
    });
    expect(await world.extension.sendRequest(linkOfRequest, { dir: '/b' })).toBeNull();
  });

  it('passes a refusal on with its code, and opens again after one', async () => {
    const world = createWorld();
    world.failures.set('open /a', new FakeHostError('owned', 'owned by process 7'));
    const error = await open(world).catch((reason: unknown) => reason);
    expect(refusalOf(error)).toBe('owned');
    expect((error as Error).message).toBe('owned by process 7');
    world.failures.clear();
    await open(world);
  });

  it('gathers events, and sends them as one batch', async () => {
    const world = createWorld();
    const batches: EventBatch[] = [];
    const arrived = new Promise<void>((resolve) => {
      world.extension.onNotification(eventsNotification, (batch) => {
        batches.push(batch);
        resolve();
      });
    });
    await open(world);
    const { onEvent } = world.opened.get('/a') ?? {};
    onEvent?.({ event: 'state', ...peerState({ state: 'syncing' }) });
    onEvent?.({ event: 'applied', path: 'x' });
    onEvent?.({ event: 'state', ...peerState() });
    expect(world.timers.waiting()).toHaveLength(1);
    world.timers.fire();
    await arrived;
    expect(batches).toEqual([
      {
        dir: '/a',
        leftOut: 0,
        events: [
          { event: 'applied', path: 'x' },
          { event: 'state', ...peerState() },
        ],
      },
    ]);
  });

  it('shares and joins into an open folder', async () => {
    const world = createWorld();
    const base = { policy: 'ask' as const, name: 'laptop', allowPlain: false, unsaved: [] };
    expect(await world.extension.sendRequest(shareRequest, { ...base, dir: '/a', urls: [] })).toMatchObject({
      dir: '/a',
    });
    expect(await world.extension.sendRequest(joinRequest, { ...base, dir: '/b', invite: 'x' })).toMatchObject({
      dir: '/b',
    });
    expect(world.calls).toEqual(['share /a', 'open /a', 'join /b', 'open /b']);
  });

  it('undoes a join that was cancelled', async () => {
    const world = createWorld();
    const source = new CancellationTokenSource();
    const joining = world.extension.sendRequest(
      joinRequest,
      { policy: 'ask', unsaved: [], name: 'n', allowPlain: false, dir: '/a', invite: 'x' },
      source.token,
    );
    source.cancel();
    await expect(joining).rejects.toThrow('Cancelled.');
    expect(world.calls.at(-1)).toBe('unlink /a');
    expect(
      refusalOf(await world.extension.sendRequest(statusRequest, { dir: '/a' }).catch((error: unknown) => error)),
    ).toBe('not-linked');
  });

  it('asks the peer of the folder, and refuses what is not open', async () => {
    const world = createWorld();
    expect(
      refusalOf(await world.extension.sendRequest(statusRequest, { dir: '/a' }).catch((error: unknown) => error)),
    ).toBe('not-linked');
    await open(world);
    expect(await world.extension.sendRequest(statusRequest, { dir: '/a' })).toMatchObject({ dir: '/a', state: 'idle' });
    expect(await world.extension.sendRequest(actionRequest, { dir: '/a', action: 'pause' })).toEqual({
      ok: true,
      message: 'paused',
    });
  });

  it('closes a folder before it is unlinked', async () => {
    const world = createWorld();
    await open(world);
    await world.extension.sendRequest(unlinkRequest, { dir: '/a' });
    expect(world.calls).toEqual(['open /a', 'close /a', 'unlink /a']);
  });

  it('previews invites', async () => {
    const world = createWorld();
    expect(await world.extension.sendRequest(previewInviteRequest, { text: 'good' })).toEqual({
      kind: 'valid',
      from: 'desktop',
      urls: [],
    });
    expect(await world.extension.sendRequest(previewInviteRequest, { text: 'bad' })).toEqual({
      kind: 'invalid',
      reason: 'no',
    });
  });

  it('closes every folder, then the host, once', async () => {
    const world = createWorld();
    await open(world, '/a');
    await open(world, '/b');
    await Promise.all([world.service.close(), world.service.close()]);
    expect(world.calls).toEqual(['open /a', 'open /b', 'close /a', 'close /b', 'close host']);
  });
});

describe('channel secrets', () => {
  it('keep keys with the extension, byte for byte', async () => {
    const { extension, engine } = createChannel();
    const kept = new Map<string, SecretText>();
    extension.onRequest(secretGetRequest, ({ linkId }) => kept.get(linkId) ?? null);
    extension.onRequest(secretSetRequest, ({ linkId, secrets }) => {
      kept.set(linkId, secrets);
      return null;
    });
    extension.onRequest(secretDeleteRequest, ({ linkId }) => {
      kept.delete(linkId);
      return null;
    });
    extension.listen();
    engine.listen();
    const store = createChannelSecrets(engine);
    const secrets: LinkSecrets = {
      roomSecret: Uint8Array.from({ length: 32 }, (_, index) => index * 8),
      deviceSeed: new Uint8Array(32).fill(255),
    };
    expect(await store.get('x')).toBeUndefined();
    await store.set('x', secrets);
    expect(await store.get('x')).toEqual(secrets);
    await store.delete('x');
    expect(await store.get('x')).toBeUndefined();
  });
});

describe('channel log', () => {
  it('sends lines in batches, and counts what is too much', async () => {
    const { extension, engine } = createChannel();
    const timers = createManualTimers();
    const log = createChannelLog(engine, (ms, body) => void timers.after(ms, body));
    const arrived = new Promise<{ readonly lines: readonly unknown[]; readonly leftOut: number }>((resolve) =>
      extension.onNotification(logNotification, resolve),
    );
    engine.listen();
    extension.listen();
    for (let index = 0; index < 250; index += 1) log.info(`line ${index}`, { index });
    timers.fire();
    const batch = await arrived;
    expect(batch.lines).toHaveLength(200);
    expect(batch.lines[0]).toEqual({ level: 'info', event: 'line 0', fields: { index: 0 } });
    expect(batch.leftOut).toBe(50);
  });
});
