import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createRelayHost,
  parseRelayConfig,
  parseRelayRunning,
  type RelayHost,
  relayPaths,
  relayUrl,
  relayUrls,
} from './relay-host.ts';

let storage: string;
beforeEach(() => {
  storage = mkdtempSync(path.join(tmpdir(), 'driftless-relay-host-'));
});
afterEach(() => rmSync(storage, { recursive: true }));

interface World {
  readonly host: RelayHost;
  readonly alive: Set<number>;
  readonly ended: number[];
  starts: number;
  answering: boolean;
  startFailure: Error | undefined;
}

function createWorld(): World {
  const alive = new Set<number>();
  const ended: number[] = [];
  const world: World = {
    alive,
    ended,
    starts: 0,
    answering: true,
    startFailure: undefined,
    host: createRelayHost({
      storage,
      start: async () => {
        world.starts += 1;
        if (world.startFailure !== undefined) throw world.startFailure;
        running(500 + world.starts);
        alive.add(500 + world.starts);
      },
      isAlive: (pid) => alive.has(pid),
      end: (pid) => {
        ended.push(pid);
        alive.delete(pid);
      },
      answers: async () => world.answering,
      pause: async () => undefined,
    }),
  };
  return world;
}

const paths = () => relayPaths(storage);
function running(pid: number): void {
  mkdirSync(paths().folder, { recursive: true });
  writeFileSync(paths().running, JSON.stringify({ pid, urls: ['ws://127.0.0.1:4747'] }));
}
const loopback = { host: '127.0.0.1', port: 4747 };

describe('hosted relay', () => {
  it('is not started by windows while none is wanted', async () => {
    const world = createWorld();
    expect(await world.host.resume()).toBeUndefined();
    expect(world.starts).toBe(0);
  });

  it('is started when chosen, and found by later windows', async () => {
    const world = createWorld();
    expect(await world.host.host(loopback)).toEqual({ pid: 501, urls: ['ws://127.0.0.1:4747'] });
    expect(await world.host.resume()).toEqual({ pid: 501, urls: ['ws://127.0.0.1:4747'] });
    expect(world.starts).toBe(1);
    expect(statSync(paths().config).mode & 0o777).toBe(0o600);
  });

  it('is started again by the next window when it is gone', async () => {
    const world = createWorld();
    await world.host.host(loopback);
    world.alive.clear();
    expect((await world.host.resume())?.pid).toBe(502);
  });

  it('is not taken for another process that has its number by now', async () => {
    const world = createWorld();
    await world.host.host(loopback);
    world.answering = false;
    await expect(world.host.resume()).rejects.toThrow(/does not answer/);
    expect(await world.host.stop()).toBe('none');
    expect(world.ended).toEqual([]);
  });

  it('ends before it is started with another choice, and goes on with the same one', async () => {
    const world = createWorld();
    await world.host.host(loopback);
    await world.host.host(loopback);
    expect([world.starts, world.ended]).toEqual([1, []]);
    await world.host.host({ host: '10.0.0.1', port: 4747 });
    expect([world.starts, world.ended]).toEqual([2, [501]]);
  });

  it('tells why it does not start, and is not tried by every window then', async () => {
    const world = createWorld();
    world.startFailure = new Error('Port 4747 is taken by another program.');
    await expect(world.host.host(loopback)).rejects.toThrow(/Port 4747 is taken/);
    expect(await world.host.resume()).toBeUndefined();
  });

  it('is the one of the other window, when both started one at once', async () => {
    const world = createWorld();
    world.startFailure = new Error('taken');
    running(77);
    world.alive.add(77);
    expect((await world.host.host(loopback)).pid).toBe(77);
  });

  it('stops and stays stopped; its data stay', async () => {
    const world = createWorld();
    await world.host.host(loopback);
    mkdirSync(paths().data);
    expect(await world.host.stop()).toBe('stopped');
    expect(world.ended).toEqual([501]);
    expect(await world.host.resume()).toBeUndefined();
    expect(statSync(paths().data).isDirectory()).toBe(true);
  });

  it('keeps its choice as JSON', async () => {
    await createWorld().host.host(loopback);
    expect(parseRelayConfig(readFileSync(paths().config, 'utf8'))).toEqual(loopback);
  });
});

describe('records of the hosted relay', () => {
  it.each([
    '',
    '{',
    'null',
    '[]',
    '{"host":"","port":1}',
    '{"host":"a","port":0}',
    '{"host":"a","port":1.5}',
    '{"host":"a","port":"1"}',
  ])('config %j is none', (text) => {
    expect(parseRelayConfig(text)).toBeUndefined();
  });
  it.each([
    '',
    '{"pid":0,"urls":["a"]}',
    '{"pid":-5,"urls":["a"]}',
    '{"pid":1,"urls":[]}',
    '{"pid":1,"urls":[1]}',
    '{"pid":1}',
  ])('running %j is none', (text) => {
    expect(parseRelayRunning(text)).toBeUndefined();
  });
  it('addresses: what it listens on, or all that reach it', () => {
    expect(relayUrls(loopback)).toEqual(['ws://127.0.0.1:4747']);
    expect(relayUrls({ host: '0.0.0.0', port: 1 }).at(-1)).toBe('ws://127.0.0.1:1');
    expect(relayUrl('fd00::1', 4747)).toBe('ws://[fd00::1]:4747');
  });
});
