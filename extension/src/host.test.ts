import { describe, expect, it } from 'vitest';
import { linkOfRequest } from './channel.ts';
import { createEngineHost, EngineDown, type EngineHost, type EngineHostParts, type EngineState } from './host.ts';
import { createFakeEngine, createManualTimers, type FakeEngine, type ManualTimers } from './testing/fake-engine.ts';

interface World {
  readonly host: EngineHost;
  readonly engines: FakeEngine[];
  readonly timers: ManualTimers;
  readonly clock: { nowMs: number };
  readonly states: EngineState[];
}

function createWorld(
  options: Partial<Omit<Parameters<typeof createFakeEngine>[0], 'pid'>> & Partial<EngineHostParts> = {},
): World {
  const engines: FakeEngine[] = [];
  const timers = createManualTimers();
  const clock = { nowMs: 0 };
  const host = createEngineHost({
    start: () => {
      const engine = createFakeEngine({ ...options, pid: 100 + engines.length });
      engine.connection.onRequest(linkOfRequest, () => null);
      engines.push(engine);
      return engine.process;
    },
    serve: () => undefined,
    after: timers.after,
    nowMs: () => clock.nowMs,
    ...options,
  });
  const states: EngineState[] = [];
  host.onDidChangeState((state) => states.push(state));
  return { host, engines, timers, clock, states };
}

const ask = (host: EngineHost) => host.request(linkOfRequest, { dir: '/a' });
const kinds = (states: readonly EngineState[]) => states.map((state) => state.kind);
/** Lets promises that are settled already run their course. */
const settled = async () => {
  for (let round = 0; round < 20; round += 1) await Promise.resolve();
};

describe('engine host', () => {
  it('starts no engine before it is asked for something', () => {
    const { host, engines } = createWorld();
    expect(host.state.kind).toBe('stopped');
    expect(engines).toHaveLength(0);
  });

  it('starts one engine for many requests, and asks nothing before hello was answered', async () => {
    const { host, engines, states } = createWorld();
    expect(await Promise.all([ask(host), ask(host), ask(host)])).toEqual([null, null, null]);
    expect(engines).toHaveLength(1);
    expect(kinds(states)).toEqual(['starting', 'running']);
    expect(host.state).toEqual({ kind: 'running', pid: 100, node: 'v24.0.0' });
  });

  it('shows a crash with its reason and starts another engine after a delay', async () => {
    const { host, engines, timers } = createWorld();
    await ask(host);
    engines[0]?.exit('exit code 9: Error: boom');
    await settled();
    expect(host.state).toEqual({ kind: 'waiting', reason: 'exit code 9: Error: boom', crashes: 1, restartInMs: 500 });
    await expect(ask(host)).rejects.toThrow(/boom/);
    timers.fire();
    expect(engines).toHaveLength(2);
    expect(await ask(host)).toBeNull();
  });

  it('tells those who wait for an answer that the engine is gone', async () => {
    const { host, engines } = createWorld();
    await ask(host);
    engines[0]?.connection.onRequest(linkOfRequest, () => new Promise<never>(() => undefined));
    const asking = ask(host);
    await settled();
    engines[0]?.exit('ended by SIGKILL');
    await expect(asking).rejects.toBeInstanceOf(EngineDown);
  });

  it('waits longer after each crash, up to a bound, and starts over after a healthy life', async () => {
    const { host, engines, timers, clock } = createWorld();
    const delays: number[] = [];
    await ask(host);
    for (let crash = 0; crash < 9; crash += 1) {
      engines.at(-1)?.exit('exit code 1');
      await settled();
      if (host.state.kind === 'waiting') delays.push(host.state.restartInMs);
      timers.fire();
      await ask(host);
    }
    expect(delays).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    clock.nowMs += 60_000;
    engines.at(-1)?.exit('exit code 1');
    await settled();
    expect(host.state).toMatchObject({ kind: 'waiting', restartInMs: 500 });
  });

  it('treats an engine that cannot begin as crashed, with what it said', async () => {
    const { host, engines } = createWorld({ hello: 'fails' });
    await expect(ask(host)).rejects.toThrow(/home cannot be opened/);
    await settled();
    expect(engines[0]?.killed()).toBe(true);
    expect(host.state).toMatchObject({ kind: 'waiting', crashes: 1 });
    expect(host.state.kind === 'waiting' && host.state.reason).toMatch(/home cannot be opened/);
  });

  it('restarts at once when told to', async () => {
    const { host, engines, timers } = createWorld();
    await ask(host);
    engines[0]?.exit('exit code 1');
    await settled();
    host.restartNow();
    expect(engines).toHaveLength(2);
    expect(timers.waiting()).toEqual([]);
    expect(await ask(host)).toBeNull();
  });

  it('closes by ending the channel, waits for the end, and starts nothing any more', async () => {
    const { host, engines } = createWorld();
    await ask(host);
    await host.close();
    await host.close();
    expect(engines[0]?.disconnected()).toBe(true);
    expect(engines[0]?.killed()).toBe(false);
    await settled();
    expect(host.state.kind).toBe('stopped');
    await expect(ask(host)).rejects.toBeInstanceOf(EngineDown);
    expect(engines).toHaveLength(1);
  });

  it('kills an engine that does not end', async () => {
    const { host, engines, timers } = createWorld({ endsOnDisconnect: false });
    await ask(host);
    const closing = host.close();
    await settled();
    expect(timers.waiting()).toEqual([4_000]);
    timers.fire();
    await closing;
    expect(engines[0]?.killed()).toBe(true);
  });

  it('serves each engine anew', async () => {
    let served = 0;
    const { host, engines, timers } = createWorld({
      serve: () => {
        served += 1;
      },
    });
    await ask(host);
    engines[0]?.exit('exit code 1');
    await settled();
    timers.fire();
    await ask(host);
    expect(served).toBe(2);
  });
});
