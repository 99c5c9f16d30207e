import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMessageConnection, SocketMessageReader, SocketMessageWriter } from 'vscode-jsonrpc/node';
import type { ConflictInfo, PeerControl } from '../control.ts';
import type { Log } from '../ports/log.ts';
import { type ControlServer, connectControl, controlSocketPath, serveControl } from './control-socket.ts';

const log: Log = { debug() {}, info() {}, warn() {}, error() {} };
const done = { ok: true, message: 'done' };

/** A name that another machine gave a file. */
const outsideName = 'a\u001b]0;t\u0007\u202e[x](command:y)';

function fakeControl(calls: unknown[][]): PeerControl {
  const noted =
    <Answer>(name: string, answer: Answer) =>
    async (...parameters: unknown[]): Promise<Answer> => {
      calls.push([name, ...parameters]);
      return answer;
    };
  const conflicts: readonly ConflictInfo[] = [{ path: 'a', variants: [], holds: 'mine' }];
  return {
    status: async () => {
      throw new Error('no status today');
    },
    verify: noted('verify', {
      ok: true,
      root: '',
      head: null,
      files: 1,
      bytes: 2,
      differenceCount: 0,
      differences: [],
      leftOut: {},
      leftOutPaths: [],
      agreeing: [],
    }),
    conflicts: noted('conflicts', conflicts),
    resolve: noted('resolve', done),
    conflictSides: noted('conflictSides', { base: null, mine: 'YQ==', theirs: null }),
    explain: async (path) => {
      calls.push(['explain', path]);
      return { lines: [path === outsideName ? path : 'because'] };
    },
    pause: noted('pause', done),
    resume: noted('resume', done),
    holds: noted('holds', []),
    confirm: noted('confirm', { ...done, holds: [] }),
    decline: noted('decline', { ...done, holds: [] }),
    untrack: noted('untrack', done),
    invite: noted('invite', { invite: 'x', pinsRelay: true }),
    trustRelay: noted('trustRelay', done),
    holdUnsaved: noted('holdUnsaved', null),
    windowLost: noted('windowLost', null),
    mergeUnsaved: noted('mergeUnsaved', { kind: 'waits' }),
    savedMerged: noted('savedMerged', null),
  };
}

let directory = '';
const servers: ControlServer[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dl-'));
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  await rm(directory, { recursive: true, force: true });
});

async function serve(calls: unknown[][] = []): Promise<ControlServer> {
  const server = await serveControl({ path: join(directory, 'control.sock'), control: fakeControl(calls), log });
  servers.push(server);
  return server;
}
async function connected(path: string) {
  const control = await connectControl(path);
  if (control === undefined) throw new Error('nobody answers');
  return control;
}

describe('the control socket', () => {
  it('SHOWN: gives programs the very name, and a terminal nothing to obey', async () => {
    const server = await serve();
    const socket = createConnection(server.path);
    let raw = '';
    socket.on('data', (bytes: Buffer) => {
      raw += bytes.toString('utf8');
    });
    const connection = createMessageConnection(new SocketMessageReader(socket), new SocketMessageWriter(socket));
    connection.listen();
    expect(await connection.sendRequest('explain', outsideName)).toEqual({ lines: [outsideName] });
    connection.dispose();
    socket.destroy();
    expect(raw).toContain('a\\u001b]0;t\\u0007\\u202e[x]\\u0028command:y)');
    expect(raw).not.toMatch(/\u202e|\]\(/);
  });

  it('carries every request and its answer', async () => {
    const calls: unknown[][] = [];
    const server = await serve(calls);
    const control = await connected(server.path);
    expect(await control.conflicts()).toEqual([{ path: 'a', variants: [], holds: 'mine' }]);
    expect(await control.resolve('a b', 'both')).toEqual(done);
    expect(await control.explain('x')).toEqual({ lines: ['because'] });
    expect(await control.conflictSides('x')).toEqual({ base: null, mine: 'YQ==', theirs: null });
    expect(await control.invite()).toEqual({ invite: 'x', pinsRelay: true });
    for (const name of ['verify', 'pause', 'resume', 'holds', 'confirm'] as const) await control[name]();
    await control.trustRelay('ab'.repeat(32));
    await control.confirm({ id: '0123abcd', kind: 'root' });
    await control.decline({ id: '0123abcd' });
    expect(calls).toEqual([
      ['conflicts'],
      ['resolve', 'a b', 'both'],
      ['explain', 'x'],
      ['conflictSides', 'x'],
      ['invite'],
      ['verify'],
      ['pause'],
      ['resume'],
      ['holds'],
      ['confirm', {}],
      ['trustRelay', 'ab'.repeat(32)],
      ['confirm', { id: '0123abcd', kind: 'root' }],
      ['decline', { id: '0123abcd' }],
    ]);
    await control.close();
  });

  it('passes failures on as messages', async () => {
    const control = await connected((await serve()).path);
    await expect(control.status()).rejects.toThrow('no status today');
    await control.close();
  });

  it('refuses what is malformed or unknown before it reaches the peer', async () => {
    const calls: unknown[][] = [];
    const socket = createConnection((await serve(calls)).path);
    const raw = createMessageConnection(new SocketMessageReader(socket), new SocketMessageWriter(socket));
    raw.listen();
    await expect(raw.sendRequest('resolve', 'a', 'everything')).rejects.toThrow('malformed');
    await expect(raw.sendRequest('resolve', 'a')).rejects.toThrow('malformed');
    await expect(raw.sendRequest('confirm', { kind: 'everything' })).rejects.toThrow('malformed');
    await expect(raw.sendRequest('confirm', { ids: ['a'] })).rejects.toThrow('malformed');
    await expect(raw.sendRequest('decline', { ids: ['a'] })).rejects.toThrow('malformed');
    await expect(raw.sendRequest('explain', 'x'.repeat(20_000))).rejects.toThrow('malformed');
    await expect(raw.sendRequest('untrack', 7)).rejects.toThrow('malformed');
    await expect(raw.sendRequest('constructor')).rejects.toThrow('unknown request');
    expect(calls).toEqual([]);
    raw.dispose();
    socket.destroy();
  });

  it('what a window has unsaved is its connection’s, and lost with it', async () => {
    const calls: unknown[][] = [];
    let lost: (window: string) => void = () => {};
    const lostWindow = new Promise<string>((resolve) => {
      lost = resolve;
    });
    const control: PeerControl = {
      ...fakeControl(calls),
      windowLost: async (window) => {
        lost(window);
        return null;
      },
    };
    const server = await serveControl({ path: join(directory, 'control.sock'), control, log });
    servers.push(server);
    const [first, second] = [await connected(server.path), await connected(server.path)];
    const edit = { path: 'a.txt', loaded: 'a'.repeat(64), merged: null };
    await first.holdUnsaved('w', [edit]);
    await second.holdUnsaved('w', []);
    const [[, firstWindow] = [], [, secondWindow] = []] = calls;
    expect(calls).toEqual([
      ['holdUnsaved', firstWindow, [edit]],
      ['holdUnsaved', secondWindow, []],
    ]);
    expect(firstWindow).not.toBe(secondWindow);
    await first.close();
    expect(await lostWindow).toBe(firstWindow);
    await second.close();
  });

  it('a window with more unsaved files than are taken has as many of them held, and the log says so once', async () => {
    const calls: unknown[][] = [];
    const warned: unknown[] = [];
    const listening: Log = { ...log, warn: (_event, fields) => warned.push(fields) };
    const path = join(directory, 'control.sock');
    const server = await serveControl({ path, control: fakeControl(calls), log: listening });
    servers.push(server);
    const window = await connected(server.path);
    const edits = Array.from({ length: 20_001 }, (_, index) => ({ path: `f${index}.txt`, loaded: null, merged: null }));
    const most = edits.slice(0, 20_000);
    await window.holdUnsaved('w', most);
    expect(warned).toEqual([]);
    await window.holdUnsaved('w', edits);
    await window.holdUnsaved('w', edits);
    expect(calls.map(([, , taken]) => taken)).toEqual([most, most, most]);
    expect(warned).toEqual([{ held: 20_000 }]);
    await window.close();
  });

  it('survives bytes that are no protocol at all', async () => {
    const server = await serve();
    const socket = createConnection(server.path);
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.end('GET / HTTP/1.1\r\nContent-Length: nonsense\r\n\r\n{]');
    await closed;
    const control = await connected(server.path);
    expect(await control.invite()).toEqual({ invite: 'x', pinsRelay: true });
    await control.close();
  });

  it('takes over a stale socket and leaves none behind', async () => {
    const path = join(directory, 'control.sock');
    const first = await serve();
    // A second server at the path: what a killed process leaves is a socket that nobody answers.
    const second = await serveControl({ path, control: fakeControl([]), log });
    servers.push(second);
    const control = await connected(path);
    expect(await control.pause()).toEqual(done);
    await control.close();
    await second.close();
    await first.close();
    expect(await connectControl(path)).toBeUndefined();
  });

  it('tells a caller whose peer goes away', async () => {
    const silent = createServer();
    const path = join(directory, 'silent.sock');
    await new Promise<void>((resolve) => silent.listen(path, resolve));
    silent.once('connection', (socket) => socket.once('data', () => socket.destroy()));
    const control = await connected(path);
    await expect(control.pause()).rejects.toThrow('went away');
    await control.close();
    await new Promise((resolve) => silent.close(resolve));
  });
});

describe('controlSocketPath', () => {
  it('lies below the home when that is short, in a private directory', async () => {
    const path = await controlSocketPath({ homePath: directory, linkId: 'a', environment: {} });
    expect(dirname(path)).toBe(join(directory, 'run'));
    expect((await stat(dirname(path))).mode & 0o777).toBe(0o700);
  });

  it('stays short for a deep home, and differs between links', async () => {
    const homePath = join(directory, 'x'.repeat(60), 'y'.repeat(60));
    await mkdir(homePath, { recursive: true });
    const runtime = join(directory, 'r');
    const path = await controlSocketPath({ homePath, linkId: 'a', environment: { XDG_RUNTIME_DIR: runtime } });
    expect(dirname(path)).toBe(join(runtime, 'driftless'));
    expect(Buffer.byteLength(path)).toBeLessThanOrEqual(100);
    expect(await controlSocketPath({ homePath, linkId: 'b', environment: { XDG_RUNTIME_DIR: runtime } })).not.toBe(
      path,
    );
  });
});
