import type { PeerEvent } from '@driftless/engine';
import { describe, expect, it } from 'vitest';
import { type CancellationToken, ResponseError } from 'vscode-jsonrpc/node';
import {
  closeRequest,
  joinRequest,
  openRequest,
  type RefusalData,
  refusalCode,
  shareRequest,
  statusRequest,
  unlinkRequest,
} from './channel.ts';
import { createEmitter } from './emitter.ts';
import { createFolders, type Folders, type FoldersParts } from './folders.ts';
import { EngineDown, type EngineHost, type EngineState } from './host.ts';
import { createManualTimers, type ManualTimers } from './testing/fake-engine.ts';
import { peerState, status } from './testing/status.ts';

const notCancelled: CancellationToken = {
  isCancellationRequested: false,
  onCancellationRequested: () => ({ dispose: () => undefined }),
};
const refusal = (code: RefusalData['code'], message: string) =>
  new ResponseError<RefusalData>(refusalCode, message, { code });
const settled = async () => {
  for (let round = 0; round < 30; round += 1) await Promise.resolve();
};

interface World {
  readonly folders: Folders;
  readonly calls: string[];
  /** What the engine answers by method; an Error is thrown. */
  readonly answers: Map<string, unknown>;
  readonly timers: ManualTimers;
  readonly remembered: Map<string, boolean>;
  engine(state: EngineState): void;
  setTrusted(value: boolean): void;
  view(dir?: string): string;
}

function createWorld(linked: readonly string[] = ['/a'], parts: Partial<FoldersParts> = {}): World {
  const calls: string[] = [];
  const answers = new Map<string, unknown>([
    [openRequest.method, {}],
    [closeRequest.method, null],
    [shareRequest.method, {}],
    [joinRequest.method, {}],
    [unlinkRequest.method, null],
    [statusRequest.method, status()],
  ]);
  const changed = createEmitter<EngineState>();
  let state: EngineState = { kind: 'running', pid: 1, node: 'v24' };
  let trusted = true;
  const host: EngineHost = {
    get state() {
      return state;
    },
    onDidChangeState: changed.event,
    request: async (type, params) => {
      const { dir } = params as { readonly dir: string };
      calls.push(`${type.method} ${dir}`);
      const answer = answers.get(`${type.method} ${dir}`) ?? answers.get(type.method);
      if (answer instanceof Error) throw answer;
      return answer as never;
    },
    restartNow: () => void calls.push('restartNow'),
    close: async () => undefined,
  };
  const timers = createManualTimers();
  const remembered = new Map(linked.map((dir) => [dir, true]));
  const folders = createFolders({
    host,
    mayBeLinked: (dir) => remembered.get(dir) === true,
    remember: (dir, isLinked) => void remembered.set(dir, isLinked),
    isTrusted: () => trusted,
    policy: () => 'ask',
    deviceName: () => 'laptop',
    unsaved: () => [],
    after: timers.after,
    ...parts,
  });
  return {
    folders,
    calls,
    answers,
    timers,
    remembered,
    engine: (next) => {
      state = next;
      changed.fire(next);
    },
    setTrusted: (value) => {
      trusted = value;
    },
    view: (dir = '/a') => {
      const view = folders.find(dir)?.view;
      return view?.kind === 'running' ? `running ${view.state.state}` : (view?.kind ?? 'gone');
    },
  };
}

const a = { name: 'a', dir: '/a' };
const b = { name: 'b', dir: '/b' };
const stateEvent = (state: 'idle' | 'syncing' | 'offline'): PeerEvent => ({ event: 'state', ...peerState({ state }) });

describe('folders of a window', () => {
  it('opens a folder that is linked, and leaves others alone', async () => {
    const world = createWorld();
    world.folders.update([a, b]);
    await settled();
    expect(world.calls).toEqual(['open /a', 'status /a']);
    expect([world.view('/a'), world.view('/b')]).toEqual(['running idle', 'unlinked']);
  });

  it('starts nothing in an untrusted window, and all of it once trusted', async () => {
    const world = createWorld();
    world.setTrusted(false);
    world.folders.update([a]);
    await settled();
    expect([world.view(), world.calls]).toEqual(['restricted', []]);
    world.setTrusted(true);
    world.folders.retry('/a');
    await settled();
    expect(world.view()).toBe('running idle');
  });

  it('follows what the peer tells', async () => {
    const world = createWorld();
    world.folders.update([a]);
    await settled();
    world.answers.set(statusRequest.method, new Error('busy'));
    world.folders.take({ dir: '/a', events: [stateEvent('syncing')], leftOut: 0 });
    expect(world.view()).toBe('running syncing');
    world.folders.take({ dir: '/a', events: [{ event: 'applied', path: 'x' }, stateEvent('offline')], leftOut: 0 });
    expect(world.view()).toBe('running offline');
  });

  it('keeps the newer state when a status that was asked earlier arrives later', async () => {
    const world = createWorld();
    world.folders.update([a]);
    await settled();
    world.timers.fire();
    world.answers.set(statusRequest.method, status({ state: 'idle' }));
    world.folders.take({ dir: '/a', events: [stateEvent('idle')], leftOut: 0 });
    world.folders.take({ dir: '/a', events: [stateEvent('syncing')], leftOut: 0 });
    await settled();
    expect(world.view()).toBe('running syncing');
  });

  it('asks for the status at most once per pause, however much happens', async () => {
    const world = createWorld();
    world.folders.update([a]);
    await settled();
    for (let index = 0; index < 50; index += 1)
      world.folders.take({ dir: '/a', events: [stateEvent('syncing')], leftOut: 0 });
    await settled();
    expect(world.calls.filter((call) => call === 'status /a')).toHaveLength(1);
    world.timers.fire();
    await settled();
    expect(world.calls.filter((call) => call === 'status /a')).toHaveLength(2);
  });

  it('shows a crash of the engine for every open folder, and opens them again', async () => {
    const world = createWorld(['/a', '/b']);
    world.folders.update([a, b]);
    await settled();
    world.engine({ kind: 'waiting', reason: 'boom', crashes: 1, restartInMs: 500 });
    expect([world.view('/a'), world.view('/b')]).toEqual(['engine-down', 'engine-down']);
    world.calls.length = 0;
    world.engine({ kind: 'starting' });
    world.engine({ kind: 'running', pid: 2, node: 'v24' });
    await settled();
    expect(world.calls).toEqual(['open /a', 'open /b', 'status /a', 'status /b']);
    expect([world.view('/a'), world.view('/b')]).toEqual(['running idle', 'running idle']);
  });

  it('does not let an answer of the dead engine stand', async () => {
    const world = createWorld();
    world.answers.set(openRequest.method, new EngineDown('boom'));
    world.engine({ kind: 'waiting', reason: 'boom', crashes: 1, restartInMs: 500 });
    world.folders.update([a]);
    await settled();
    expect(world.view()).toBe('engine-down');
  });

  it('says who owns a folder, looks again with growing pauses, and takes over', async () => {
    const world = createWorld();
    world.answers.set(openRequest.method, refusal('owned', '/a is kept in sync by VS Code (process 7).'));
    world.folders.update([a]);
    await settled();
    const view = world.folders.find('/a')?.view;
    expect(view).toEqual({ kind: 'owned', message: '/a is kept in sync by VS Code (process 7).' });
    const pauses: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      pauses.push(...world.timers.waiting());
      world.timers.fire();
      await settled();
    }
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
    world.answers.set(openRequest.method, {});
    world.timers.fire();
    await settled();
    expect(world.view()).toBe('running idle');
  });

  it('forgets a link that the engine does not know', async () => {
    const world = createWorld();
    world.answers.set(openRequest.method, refusal('not-linked', 'no'));
    world.folders.update([a]);
    await settled();
    expect(world.view()).toBe('unlinked');
    expect(world.remembered.get('/a')).toBe(false);
  });

  it('keeps the code of a refusal: missing keys need other words than a broken state', async () => {
    const world = createWorld();
    world.answers.set(openRequest.method, refusal('missing-secret', 'no keys'));
    world.folders.update([a]);
    await settled();
    expect(world.folders.find('/a')?.view).toEqual({ kind: 'failed', code: 'missing-secret', message: 'no keys' });
  });

  it('shares, and the folder is open then', async () => {
    const world = createWorld([]);
    world.folders.update([a]);
    await world.folders.share({ dir: '/a', urls: ['ws://127.0.0.1:1'], allowPlain: false }, notCancelled);
    await settled();
    expect(world.view()).toBe('running idle');
    expect(world.remembered.get('/a')).toBe(true);
  });

  it('leaves the folder as it was when joining is refused', async () => {
    const world = createWorld([]);
    world.folders.update([a]);
    world.answers.set(joinRequest.method, refusal('plain-refused', 'plain'));
    await expect(world.folders.join({ dir: '/a', invite: 'x', allowPlain: false }, notCancelled)).rejects.toThrow(
      'plain',
    );
    expect(world.view()).toBe('unlinked');
  });

  it('disconnects, and stays open when that fails', async () => {
    const world = createWorld();
    world.folders.update([a]);
    await settled();
    world.answers.set(unlinkRequest.method, refusal('owned', 'owned'));
    await expect(world.folders.disconnect('/a')).rejects.toThrow('owned');
    await settled();
    expect(world.view()).toBe('running idle');
    world.answers.set(unlinkRequest.method, null);
    await world.folders.disconnect('/a');
    expect([world.view(), world.remembered.get('/a')]).toEqual(['unlinked', false]);
  });

  it('closes a folder that left the window, and ignores what it still tells', async () => {
    const world = createWorld();
    world.folders.update([a]);
    await settled();
    world.folders.update([]);
    world.folders.take({ dir: '/a', events: [stateEvent('syncing')], leftOut: 0 });
    expect(world.view()).toBe('gone');
    expect(world.calls).toContain('close /a');
  });

  it('passes events on after the views took them in', async () => {
    const world = createWorld();
    world.folders.update([a]);
    await settled();
    const seen: string[] = [];
    world.folders.onDidTell(({ events }) => seen.push(`${world.view()} ${events.length}`));
    world.folders.take({ dir: '/a', events: [{ event: 'sent', path: 'x' }, stateEvent('syncing')], leftOut: 0 });
    expect(seen).toEqual(['running syncing 2']);
  });
});
