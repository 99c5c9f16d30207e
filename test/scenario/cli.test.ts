/** The command line as a person and a script use it: real processes, real folders, a real relay. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, readdir, readFile, realpath, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { workspaceRoot } from '../../scripts/build.ts';
import { about, createWorld, type DriftlessProcess, inState, launcher, type World } from './driftless-process.ts';

const execute = promisify(execFile);

let world: World;
beforeEach(async () => {
  world = await createWorld();
  await mkdir(world.path('a'));
});
afterEach(() => world.close());

async function startRelay(port = '0'): Promise<{ readonly relay: DriftlessProcess; readonly url: string }> {
  const relay = world.start(['relay', '--port', port, '--data', world.path('relay')], { home: 'relay-home' });
  const { url } = await relay.event((event) => event['event'] === 'listening');
  return { relay, url: String(url) };
}

async function share(url: string, folder = 'a'): Promise<{ readonly peer: DriftlessProcess; readonly invite: string }> {
  const peer = world.start(['share', world.path(folder), '--relay', url, '--name', 'desk', '--json']);
  const { invite } = await peer.event((event) => event['event'] === 'invite');
  return { peer, invite: String(invite) };
}

const join2 = (invite: string, folder = 'b', home = 'home-b'): DriftlessProcess =>
  world.start(['join', '-', world.path(folder), '--name', 'lap', '--json'], { home, input: `${invite}\n` });

describe('a relay', () => {
  it.skipIf(process.platform === 'win32')('opens no inspector to whoever sends it a signal', async () => {
    const { relay, url } = await startRelay();
    relay.child.kill('SIGUSR1');
    await fetch(`${url.replace('ws', 'http')}/healthz`);
    expect(await relay.stop()).toBe(0);
    expect(relay.stderr()).not.toContain('Debugger');
  });

  it('says which key it has when it starts, and shows it later', async () => {
    const relay = world.start(['relay', '--port', '0', '--data', world.path('relay')], { home: 'relay-home' });
    const { key } = await relay.event((event) => event['event'] === 'listening');
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    const shown = await world.run(['relay', '--show-key', '--data', world.path('relay')], { home: 'relay-home' });
    expect(shown).toMatchObject({ code: 0, stdout: `${JSON.stringify({ key })}\n` });
    const none = await world.run(['relay', '--show-key', '--data', world.path('none')], { home: 'relay-home' });
    expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('Start it once') });
  });
});

describe('two folders in sync', () => {
  it('share, join, edit, ask, stop, resume', async () => {
    await writeFile(world.path('a', 'first.txt'), 'one\n');
    const { relay, url } = await startRelay();
    const { peer: a, invite } = await share(url);
    await a.event(inState('idle'));
    const b = join2(invite);
    await b.event(about('applied', 'first.txt'));
    await b.event(inState('idle'));
    expect(await readFile(world.path('b', 'first.txt'), 'utf8')).toBe('one\n');

    const arrives = a.nextEvent(about('applied', 'back.txt'));
    await writeFile(world.path('b', 'back.txt'), 'two\n');
    expect(await arrives).toMatchObject({
      dir: await realpath(world.path('a')),
      time: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    expect(await readFile(world.path('a', 'back.txt'), 'utf8')).toBe('two\n');

    // Asked while they run, through the socket.
    const status = JSON.parse((await world.run(['status', world.path('a'), '--json'])).stdout);
    expect(status).toMatchObject({
      state: 'idle',
      pending: 0,
      conflicts: [],
      problems: [],
      files: 2,
      outOfScope: 0,
      running: true,
      head: { height: expect.any(Number) },
    });
    const verified = await world.run(['verify', world.path('b'), '--json'], { home: 'home-b' });
    expect(verified.code).toBe(0);
    expect(JSON.parse(verified.stdout)).toMatchObject({ ok: true, root: status.root, files: 2 });

    expect(await a.stop('SIGINT')).toBe(0);
    // And while it does not, from the stored state.
    expect(JSON.parse((await world.run(['status', world.path('a'), '--json'])).stdout)).toMatchObject({
      files: 2,
      running: false,
    });
    expect((await world.run(['verify', world.path('a')])).code).toBe(0);
    expect((await world.run(['resume', world.path('a')])).stdout).toContain('when it runs: driftless sync ');

    await writeFile(world.path('b', 'later.txt'), 'three\n');
    await b.event(about('sent', 'later.txt'));
    const again = world.start(['sync', '--json']);
    await again.event(about('applied', 'later.txt'));
    expect(await again.stop()).toBe(0);
    expect(await b.stop()).toBe(0);
    expect(await relay.stop()).toBe(0);
  });

  it('a folder shared without a relay gives its invite at once and pins the relay when it comes', async () => {
    const { relay: first, url } = await startRelay();
    const { port } = new URL(url);
    expect(await first.stop()).toBe(0);
    await writeFile(world.path('a', 'x'), 'x');
    const { peer: a, invite } = await share(url);
    await a.event(inState('offline'));
    expect((await world.run(['invite', world.path('a')])).stderr).toContain("does not name the relay's identity yet");
    await startRelay(port);
    await a.event(inState('idle'));
    const b = join2(invite);
    await b.event(about('applied', 'x'));
    // By now the invite names the relay's key, too.
    const shown = await world.run(['invite', world.path('a')]);
    expect(shown.stderr).not.toContain('identity');
    const pinned = shown.stdout.trim();
    expect(pinned).not.toBe(invite);
    expect(pinned.length).toBeGreaterThan(invite.length);
  });

  it('shares a linked folder again: its invite, and on as sync', async () => {
    const { url } = await startRelay();
    const { peer, invite } = await share(url);
    await peer.event(inState('idle'));
    await peer.stop();
    const again = await share(url);
    expect(JSON.stringify(await roomOf(again.invite))).toBe(JSON.stringify(await roomOf(invite)));
    await again.peer.event(inState('idle'));
  });
});

describe('one process a folder', () => {
  it('refuses a second one and names the first; a killed one is no obstacle', async () => {
    const { url } = await startRelay();
    const { peer: a } = await share(url);
    await a.event(inState('idle'));
    const second = await world.run(['sync', world.path('a'), '--json']);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`process ${a.child.pid}`);

    expect(await a.stop('SIGKILL')).toBeNull();
    expect(JSON.parse((await world.run(['status', world.path('a'), '--json'])).stdout)).toMatchObject({
      running: false,
    });
    const again = world.start(['sync', world.path('a'), '--json']);
    await again.event(inState('idle'));
    expect(JSON.parse((await world.run(['status', world.path('a'), '--json'])).stdout)).toMatchObject({
      running: true,
    });
  });

  it('refuses a folder inside or around a linked one, a home inside the folder, and another home on the same folder', async () => {
    const { url } = await startRelay();
    await mkdir(world.path('a', 'inner'));
    const { peer: a, invite } = await share(url);
    await a.event(inState('idle'));
    for (const dir of [world.path('a', 'inner'), world.path('.')]) {
      const refused = await world.run(['share', dir, '--relay', url, '--json']);
      expect(refused.code).not.toBe(0);
      expect(refused.stderr).toMatch(/which is linked already|lies inside/);
      expect(refused.stdout).toBe('');
    }
    expect((await world.run(['join', '-', world.path('a', 'new'), '--json'], { input: invite })).code).toBe(1);
    await expect(stat(world.path('a', 'new'))).rejects.toThrow('ENOENT');

    await mkdir(world.path('c'));
    const inside = await world.run(['share', world.path('c'), '--relay', url], {
      environment: { DRIFTLESS_HOME: world.path('c', 'home') },
    });
    expect(inside.code).toBe(2);
    expect(inside.stderr).toContain('DRIFTLESS_HOME');

    const other = await world.run(['join', '-', world.path('a'), '--json'], { home: 'home-b', input: invite });
    expect(other.code).toBe(1);
    expect(other.stderr).toContain(`process ${a.child.pid}`);
  });
});

describe('bad input', () => {
  it.each([
    [['sing']],
    [['share']],
    [['share', 'missing', '--relay', 'ws://127.0.0.1:1']],
    [['share', 'a']],
    [['share', 'a', '--relay', 'http://127.0.0.1:1']],
    [['share', 'a', '--relay', 'ws://192.0.2.1:1']],
    [['share', 'a', '--relay', 'ws://127.0.0.1:1', '--on-conflict', 'mine']],
    [['join', 'nonsense', 'b']],
    [['join', '-', 'b']],
    [['sync']],
    [['sync', 'a']],
    [['status', 'a']],
    [['status', 'missing']],
    [['unlink', 'a']],
    [['relay', '--port', 'x']],
    [['relay', '--host', '0.0.0.0', '--port', '0']],
  ])('%j: one line with the next step, exit code 2', async (parameters) => {
    const { code, stdout, stderr } = await world.run(parameters);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    const lines = stderr
      .trim()
      .split('\n')
      .filter((line) => !line.includes('"-" reads it from stdin'));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^driftless: .+/);
    expect(await readdir(world.path('.'))).not.toContain('b');
  });

  it('a taken port is named, exit code 1', async () => {
    const { url } = await startRelay();
    const { port } = new URL(url);
    const second = await world.run(['relay', '--port', port, '--data', world.path('other')]);
    expect(second).toMatchObject({ code: 1, stdout: '' });
    expect(second.stderr).toContain(port);
  });

  it('a home that others can read is refused', async () => {
    await mkdir(world.path('home'));
    await chmod(world.path('home'), 0o755);
    const refused = await world.run(['sync']);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('chmod 700');
  });
});

describe('what stays private', () => {
  it('home 0700, files 0600, and no secret in arguments, output or logs', async () => {
    const { url } = await startRelay();
    await writeFile(world.path('a', 'x'), 'x');
    const { peer: a, invite } = await share(url);
    await a.event(inState('idle'));
    const b = join2(invite);
    await b.event(inState('idle'));
    const { stdout } = await execute('find', [
      world.path('home'),
      world.path('home-b'),
      world.path('relay-home'),
      '-printf',
      '%y %m %p\\n',
    ]);
    const loose = stdout
      .trim()
      .split('\n')
      .filter((line) => !/^(d 700|f 600|s \d+) /.test(line));
    expect(loose).toEqual([]);

    const keys = stdout.split('\n').flatMap((line) => (line.endsWith('/keys.json') ? [line.split(' ')[2] ?? ''] : []));
    expect(keys).toHaveLength(2);
    const secrets: string[] = [];
    for (const path of keys)
      secrets.push(...Object.values(JSON.parse(await readFile(path, 'utf8')) as Record<string, string>));
    const commandLine = await readFile(`/proc/${b.child.pid}/cmdline`, 'utf8').catch(() => '');
    const shown = [commandLine, JSON.stringify(b.told), a.stderr(), b.stderr()].join('\n');
    for (const secret of [...secrets, invite]) expect(shown).not.toContain(secret);
    expect(commandLine).toContain('join');
  });

  it('an invite as an argument works, and warns', async () => {
    const { url } = await startRelay();
    await writeFile(world.path('a', 'x'), 'x');
    const { invite } = await share(url);
    const b = world.start(['join', invite, world.path('b'), '--json'], { home: 'home-b' });
    await b.event(about('applied', 'x'));
    expect(b.stderr()).toContain('seen by other users of this machine');
    expect(b.stderr()).toContain('calls itself "desk" (nothing proves that name)');
  });
});

describe('links', () => {
  it('unlink forgets the link and leaves the files', async () => {
    const { url } = await startRelay();
    await writeFile(world.path('a', 'x'), 'x');
    const { peer: a } = await share(url);
    await a.event(inState('idle'));
    expect((await world.run(['unlink', world.path('a')])).code).toBe(1);
    await a.stop();
    expect((await world.run(['unlink', world.path('a')])).code).toBe(0);
    expect(await readdir(world.path('a'))).toEqual(['x']);
    expect((await world.run(['sync', world.path('a')])).code).toBe(2);
    expect(await readdir(world.path('home', 'folders'))).toEqual([]);
  });

  it('a copied folder is not resumed, and can be linked as a new one', async () => {
    const { url } = await startRelay();
    await writeFile(world.path('a', 'x'), 'x');
    const { peer: a, invite } = await share(url);
    await a.event(inState('idle'));
    await execute('cp', ['-a', world.path('a'), world.path('copy')]);
    const resumed = await world.run(['sync', world.path('copy')]);
    expect(resumed.code).toBe(2);
    expect(resumed.stderr).toContain('copy of');
    const copy = world.start(['join', '-', world.path('copy'), '--name', 'copy', '--json'], { input: invite });
    await copy.event(inState('idle'));
    const arrives = a.nextEvent(about('applied', 'y'));
    await writeFile(world.path('copy', 'y'), 'y');
    await arrives;
    expect(a.told.filter((event) => event['event'] === 'conflict')).toEqual([]);
  });

  it('damaged state is moved aside: the folder joins again and nothing is deleted', async () => {
    const { url } = await startRelay();
    await writeFile(world.path('a', 'x'), 'x');
    const { peer: a } = await share(url);
    await a.event(inState('idle'));
    await a.stop();
    const [id = ''] = await readdir(world.path('home', 'folders'));
    const state = world.path('home', 'folders', id, 'state.sqlite');
    await rm(`${state}-wal`, { force: true });
    await writeFile(state, 'noise'.repeat(2_000));
    const again = world.start(['sync', '--json']);
    expect(await again.event((event) => event['event'] === 'problem')).toMatchObject({
      reason: expect.stringContaining('damaged'),
    });
    await again.event(inState('idle'));
    expect(await readFile(world.path('a', 'x'), 'utf8')).toBe('x');
    expect((await world.run(['verify', world.path('a')])).code).toBe(0);
    expect((await readdir(dirname(state))).some((name) => name.startsWith('state.sqlite.damaged'))).toBe(true);
  });
});

describe('processes', () => {
  it('a peer outlives whoever read its output', async () => {
    const { url } = await startRelay();
    const { peer: a, invite } = await share(url);
    await a.event(inState('idle'));
    a.child.stdout?.destroy();
    const b = join2(invite);
    await b.event(inState('idle'));
    const arrives = b.nextEvent(about('applied', 'after'));
    await writeFile(world.path('a', 'after'), 'x');
    await arrives;
    expect(a.stderr()).toContain('nobody reads the output any more');
    expect(await a.stop()).toBe(0);
  });

  it('the launcher works through links and from any directory, and says what to run when nothing is built', async () => {
    await symlink(launcher, world.path('driftless'));
    const { stdout } = await execute(world.path('driftless'), ['--version'], { cwd: '/' });
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);

    const bare = await bareCheckout();
    const failure = await execute(join(bare, 'bin', 'driftless.mjs'), ['status']).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 2, stderr: expect.stringMatching(/^driftless: not built yet\. Run: .+\n$/) });
  });

  it('what the build puts into node_modules/.bin becomes the program itself: one process, whatever Node is on the path', async () => {
    const { stdout } = await execute(join(workspaceRoot, 'node_modules', '.bin', 'driftless'), ['--version'], {
      env: { PATH: `${await pathWithOldNode()}:/usr/bin:/bin` },
    });
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('a Node that is too old is refused with one sentence, by the launcher and before every npm script', async () => {
    const bare = await bareCheckout();
    await mkdir(join(bare, 'dist'));
    await writeFile(join(bare, 'dist', 'cli.js'), '');
    for (const parameters of [
      [join(bare, 'bin', 'driftless.mjs')],
      ['--import', join(bare, 'bin', 'require-node.mjs'), join(bare, 'dist', 'cli.js')],
    ]) {
      const failure = await execute(process.execPath, ['--import', asOldNode, ...parameters]).catch(
        (error: unknown) => error,
      );
      expect(failure).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/^driftless: needs Node 22\.22 or newer; this is 20\.20\.2 .+\n$/),
      });
    }
  });

  it('on a Node that is too old, the launcher starts the one that came along, which ends with it', async () => {
    const bare = await bareCheckout();
    await mkdir(join(bare, 'dist'));
    await writeFile(
      join(bare, 'dist', 'cli.js'),
      'console.log("on", String(process.argv.slice(2))); process.exitCode = 7;',
    );
    const modules = world.path('checkout', 'node_modules', '.bin');
    await mkdir(modules, { recursive: true });
    await symlink(process.execPath, join(modules, 'node'));
    const ended = await execute(process.execPath, [
      '--import',
      asOldNode,
      join(bare, 'bin', 'driftless.mjs'),
      'a',
      'b',
    ]).catch((error: unknown) => error);
    expect(ended).toMatchObject({ code: 7, stdout: 'on a,b\n', stderr: '' });
    // Killed, it takes the program with it: the pipe that only the program holds comes to its end.
    await writeFile(join(bare, 'dist', 'cli.js'), "console.log('up'); setInterval(() => {}, 1_000);");
    const child = spawn(process.execPath, ['--import', asOldNode, join(bare, 'bin', 'driftless.mjs')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    const closed = once(child.stdout, 'close');
    child.kill('SIGKILL');
    await closed;
  });

  it('a folder moved away while it runs halts the peer, and is taken up again when it returns', async () => {
    const { url } = await startRelay();
    await writeFile(world.path('a', 'x'), 'x');
    const { peer: a } = await share(url);
    await a.event(inState('idle'));
    const halted = a.nextEvent(inState('error'));
    await rename(world.path('a'), world.path('elsewhere'));
    expect(await halted).toMatchObject({ code: 'root-missing' });
    const back = a.nextEvent(inState('idle'));
    await rename(world.path('elsewhere'), world.path('a'));
    await back;
    expect(await readFile(world.path('a', 'x'), 'utf8')).toBe('x');
  });
});

/** The launcher's files in a checkout that has nothing else. */
async function bareCheckout(): Promise<string> {
  const bare = world.path('checkout', 'engine');
  await mkdir(bare, { recursive: true });
  await cp(dirname(launcher), join(bare, 'bin'), { recursive: true });
  await cp(join(workspaceRoot, 'engine', 'package.json'), join(bare, 'package.json'));
  return bare;
}

/** A directory for the path whose `node` starts nothing. */
async function pathWithOldNode(): Promise<string> {
  await mkdir(world.path('old'));
  await writeFile(world.path('old', 'node'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  return world.path('old');
}

/** Preloaded: this Node says that it is an old one, until another is started. */
const asOldNode =
  "data:text/javascript,Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })";

/** The room that an invite names. */
async function roomOf(invite: string): Promise<string> {
  const { parseInvite } = await import('../../engine/src/invite-code.ts');
  const parsed = parseInvite(invite);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value.room;
}
