import { mkdir, mkdtemp, readdir, readFile, readlink, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeviceId } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { PeerEvent } from '../control.ts';
import type { FolderHost, Link } from '../host-api.ts';
import type { Invite } from '../invite.ts';
import { encodeInvite, parseInvite } from '../invite-code.ts';
import type { Log } from '../ports/log.ts';
import { createFileSecrets } from './file-secrets.ts';
import { createFolderHost, type FolderHostOptions } from './folder-host.ts';
import { openHome } from './home.ts';
import { parseMarker } from './markers.ts';
import { nodeClock } from './node-clock.ts';
import { openStateStore } from './sqlite-state-store.ts';

const log: Log = { debug() {}, info() {}, warn() {}, error() {} };
/** Nobody listens there: links need no relay. */
const urls = ['ws://127.0.0.1:9'];
const device = { name: 'desk', policy: 'keep-both' } as const;

let directory = '';
const hosts: FolderHost[] = [];
beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'driftless-host-')));
  for (const name of ['a', 'b']) await mkdir(join(directory, name));
});
afterEach(async () => {
  for (const host of hosts.splice(0)) await host.close();
  await rm(directory, { recursive: true, force: true });
});

const path = (...names: string[]): string => join(directory, ...names);

async function hostAt(name = 'home', options: Partial<FolderHostOptions> = {}): Promise<FolderHost> {
  const home = await openHome(path(name));
  const secrets = createFileSecrets(home);
  const host = createFolderHost({ home, secrets, ownerKind: 'cli', environment: {}, log, ...options });
  hosts.push(host);
  return host;
}

const share = (host: FolderHost, name = 'a') => host.share({ dir: path(name), urls, ...device });

describe('share', () => {
  it('makes a room and a link, without a relay, and marks the folder', async () => {
    const host = await hostAt();
    const { link, invite } = await share(host);
    expect(link).toMatchObject({ dir: path('a'), urls, relayKey: null, rejoin: false, name: 'desk' });
    expect(invite).toMatch(/^driftless1-/);
    expect(await host.links()).toEqual([link]);
    const marker = parseMarker(await readFile(path('a', '.driftless', 'marker'), 'utf8'));
    expect(marker).toEqual({ room: link.room, link: link.marker });
  });

  it('on a linked folder gives that link, with the address that it was given now', async () => {
    const host = await hostAt();
    const { link, invite } = await share(host);
    expect(await share(host)).toEqual({ link, invite, pinsRelay: false });
    const moved = await host.share({ dir: path('a'), urls: ['ws://127.0.0.1:10'], ...device });
    expect(moved.link).toEqual({ ...link, urls: ['ws://127.0.0.1:10'] });
    expect(await host.links()).toEqual([moved.link]);
  });

  it('knows a folder by its real path', async () => {
    const host = await hostAt();
    const { link } = await share(host);
    await symlink(path('a'), path('alias'));
    expect(await host.linkOf(path('alias'))).toEqual(link);
    expect(await host.linkOf(`${path('b')}/../a/`)).toEqual(link);
    expect(await host.linkOf(path('b'))).toBeUndefined();
  });

  it.each([
    ['a missing folder', 'missing', urls, 'bad-dir'],
    ['a file', 'file', urls, 'bad-dir'],
    ['an address that leaves the machine in the clear', 'a', ['ws://192.0.2.1:1'], 'plain-refused'],
    ['no address', 'a', [], 'bad-url'],
    ['a folder around the home', '.', urls, 'bad-home'],
  ])('refuses %s', async (_name, dir, given, code) => {
    await writeFile(path('file'), '');
    const host = await hostAt();
    await expect(host.share({ dir: path(dir), urls: given, ...device })).rejects.toMatchObject({
      name: 'HostError',
      code,
    });
    expect(await host.links()).toEqual([]);
  });

  it('refuses folders inside and around linked ones, of another home as well', async () => {
    const host = await hostAt();
    await mkdir(path('outer', 'inner', 'core'), { recursive: true });
    await share(host, 'outer/inner');
    await expect(share(host, 'outer')).rejects.toMatchObject({ code: 'nested' });
    await expect(share(host, 'outer/inner/core')).rejects.toMatchObject({ code: 'nested' });
    await expect(share(await hostAt('other-home'), 'outer/inner/core')).rejects.toMatchObject({ code: 'nested' });
  });
});

describe('join', () => {
  it('makes a missing folder, as a device of its own', async () => {
    const host = await hostAt();
    const { link: shared, invite } = await share(host);
    const link = await host.join({ invite: ` ${invite}\n`, dir: path('new', 'deep'), ...device, name: 'lap' });
    expect(link).toMatchObject({ dir: path('new', 'deep'), room: shared.room, name: 'lap', rejoin: false });
    expect(link.id).not.toBe(shared.id);
    expect((await host.links()).map((each) => each.dir)).toEqual([path('a'), path('new', 'deep')]);
  });

  it('says that a file is in the way', async () => {
    const host = await hostAt();
    const { invite } = await share(host);
    await writeFile(path('file'), 'x');
    for (const dir of [path('file'), path('file', 'below')])
      await expect(host.join({ invite, dir, ...device, name: 'lap' })).rejects.toThrow(
        /a file is in the way\. Move it/,
      );
  });

  it('again with the same room goes on; with another one it is refused', async () => {
    const host = await hostAt();
    const { invite } = await share(host);
    const link = await host.join({ invite, dir: path('b'), ...device });
    expect(await host.join({ invite, dir: path('b'), ...device })).toEqual(link);
    await mkdir(path('c'));
    const other = await share(host, 'c');
    await expect(host.join({ invite: other.invite, dir: path('b'), ...device })).rejects.toMatchObject({
      code: 'linked',
    });
  });

  it('of a linked folder changes its relay only by an invite with the secret, and no pin at all', async () => {
    const host = await hostAt();
    const { link, invite } = await share(host);
    const parsed = parseInvite(invite);
    if (!parsed.ok) throw new Error(parsed.error);
    const elsewhere = { ...parsed.value, urls: ['ws://127.0.0.1:6666'] };
    const [one, other] = [1, 2].map((byte) => new Uint8Array(32).fill(byte)) as [Uint8Array, Uint8Array];
    const joinWith = (given: Invite): Promise<Link> =>
      host.join({ invite: encodeInvite(given), dir: path('a'), ...device });
    await expect(joinWith({ ...elsewhere, secret: one })).rejects.toMatchObject({ code: 'bad-invite' });
    expect(await host.links()).toEqual([link]);
    const pinned = await joinWith({ ...elsewhere, relayKey: one });
    expect(pinned).toMatchObject({ urls: elsewhere.urls, relayKey: '01'.repeat(32) });
    expect(await joinWith({ ...elsewhere, relayKey: other })).toEqual(pinned);
    const third = 'ab'.repeat(32) as DeviceId;
    expect(await joinWith({ ...elsewhere, device: third })).toEqual({ ...pinned, inviter: third });
    expect(await joinWith({ ...elsewhere, device: null })).toEqual({ ...pinned, inviter: third });
  });

  it('of a folder that was in the room before is a re-join', async () => {
    const host = await hostAt();
    const { invite } = await share(host);
    await host.join({ invite, dir: path('b'), ...device });
    await host.close();
    const other = await hostAt('other-home');
    const link = await other.join({ invite, dir: path('b'), ...device });
    expect(link.rejoin).toBe(true);
  });

  it('is a first join until it began, whoever opens the new state before', async () => {
    const host = await hostAt();
    const { invite } = await share(host);
    const { id } = await host.join({ invite, dir: path('b'), ...device });
    await (await host.control(path('b'))).close();
    const state = openStateStore({
      file: join((await openHome(path('home'))).foldersPath, id, 'state.sqlite'),
      holdsModes: true,
    });
    const kind = state.setting('join');
    state.close();
    expect(kind).toBe('first');
  });

  it('refuses what is no whole invite, and makes nothing', async () => {
    const host = await hostAt();
    const { invite } = await share(host);
    for (const code of ['', 'nonsense', invite.slice(0, -3), `${invite}x`]) {
      await expect(host.join({ invite: code, dir: path('new'), ...device })).rejects.toMatchObject({
        code: 'bad-invite',
      });
    }
    expect(await readdir(directory)).not.toContain('new');
  });
});

describe('a refused command changes nothing', () => {
  const everything = async (): Promise<Record<string, string>> => {
    const files: Record<string, string> = {};
    for (const entry of await readdir(directory, { recursive: true, withFileTypes: true }))
      if (entry.isFile() && !entry.name.startsWith('state.sqlite') && entry.name !== 'links.lock')
        files[join(entry.parentPath, entry.name)] = await readFile(join(entry.parentPath, entry.name), 'utf8');
    return files;
  };

  it.each(['share', 'join'] as const)('%s of a folder that another home runs', async (command) => {
    const host = await hostAt();
    const { invite } = await share(host);
    const running = await host.open(path('a'), { onEvent: () => undefined, log });
    const other = await hostAt('other-home');
    const before = await everything();
    const refused = command === 'share' ? share(other) : other.join({ invite, dir: path('a'), ...device, name: 'lap' });
    await expect(refused).rejects.toMatchObject({ code: 'owned' });
    expect(await everything()).toEqual(before);
    expect(await other.links()).toEqual([]);
    await running.close();
  });

  it('share with other addresses when the keys are gone', async () => {
    const host = await hostAt();
    const { link } = await share(host);
    await host.close();
    const folders = (await openHome(path('home'))).foldersPath;
    await rm(join(folders, link.id, 'keys.json'));
    const again = await hostAt();
    const before = await everything();
    const refused = again.share({ dir: path('a'), urls: ['ws://127.0.0.1:10'], ...device });
    await expect(refused).rejects.toMatchObject({ code: 'missing-secret' });
    expect(await everything()).toEqual(before);
    // Nor does it go on holding the folder: another process may unlink it.
    await (await hostAt()).unlink(path('a'));
  });

  it.each(['share', 'join'] as const)('%s with other addresses while the folder runs', async (command) => {
    const host = await hostAt();
    const { link, invite } = await share(host);
    const elsewhere = await host.share({ dir: path('b'), urls: ['ws://127.0.0.1:10'], ...device });
    const running = await host.open(path('a'), { onEvent: () => undefined, log });
    const other = await hostAt();
    const refused =
      command === 'share'
        ? other.share({ dir: path('a'), urls: ['ws://127.0.0.1:10'], ...device })
        : other.join({ invite, dir: path('a'), ...device });
    await expect(refused).rejects.toMatchObject({ code: 'owned' });
    await expect(other.join({ invite: elsewhere.invite, dir: path('a'), ...device })).rejects.toMatchObject({
      code: 'linked',
    });
    expect((await other.links()).find(({ id }) => id === link.id)?.urls).toEqual(urls);
    await running.close();
  });

  it('a join that fails at its last step leaves no link, no folder and the marker that was there', async () => {
    const { invite } = await share(await hostAt());
    const home = await openHome(path('other-home'));
    const secrets = createFileSecrets(home);
    const host = await hostAt('other-home', {
      secrets: {
        ...secrets,
        set: async (id, keys) => {
          await secrets.set(id, keys);
          // Where the link's file is to be.
          await mkdir(join(home.foldersPath, id, 'link.json'));
        },
      },
    });
    await mkdir(path('b', '.driftless'));
    await writeFile(path('b', '.driftless', 'marker'), 'of another link');
    for (const dir of [path('b'), path('new', 'deep')])
      await expect(host.join({ invite, dir, ...device })).rejects.toThrow();
    expect(await readFile(path('b', '.driftless', 'marker'), 'utf8')).toBe('of another link');
    expect(await readdir(directory)).not.toContain('new');
    expect(await readdir(home.foldersPath)).toEqual([]);
  });
});

describe('unlink', () => {
  it.runIf(process.platform === 'linux')('holds nothing open below what it removes, and can be repeated', async () => {
    const attempts: string[] = [];
    const host = await hostAt('home', {
      removeDirectory: async (own) => {
        const open = await Promise.all(
          (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
        );
        // As Windows does.
        if (open.some((file) => file.startsWith(own))) throw Object.assign(new Error('EBUSY'), { code: 'EBUSY' });
        attempts.push(own);
        await rm(join(own, 'marker'));
        if (attempts.length === 1) throw Object.assign(new Error('EPERM: scanned'), { code: 'EPERM' });
        await rm(own, { recursive: true });
      },
    });
    await share(host);
    await expect(host.unlink(path('a'))).rejects.toMatchObject({
      name: 'HostError',
      message: expect.stringContaining('is still linked: EPERM: scanned'),
    });
    expect(await host.links()).toHaveLength(1);
    await writeFile(path('a', '.driftless', 'marker'), '');
    await host.unlink(path('a'));
    expect(await host.links()).toEqual([]);
    expect(await readdir(path('a'))).toEqual([]);
  });

  it('is remembered: the folder that joins the same room again was in it', async () => {
    const host = await hostAt();
    const { invite } = await share(host);
    await host.join({ invite, dir: path('b'), ...device });
    await host.unlink(path('b'));
    expect((await host.join({ invite, dir: path('b'), ...device })).leftAtMs).toEqual(expect.any(Number));
    expect((await host.join({ invite, dir: path('c'), ...device })).leftAtMs).toBeNull();
  });

  it('is remembered by the clock of its disk: what is touched from then on is newer, however our clock goes', async () => {
    const host = await hostAt();
    const { invite } = await share(host);
    await host.join({ invite, dir: path('b'), ...device });
    const nowMs = vi.spyOn(nodeClock, 'nowMs').mockImplementation(() => Date.now() + 60_000);
    await host.unlink(path('b'));
    await writeFile(path('b', 'touched'), 'x');
    const { ctimeMs } = await stat(path('b', 'touched'));
    const { leftAtMs } = await host.join({ invite, dir: path('b'), ...device });
    nowMs.mockRestore();
    expect(leftAtMs).toBeLessThanOrEqual(Math.floor(ctimeMs));
    expect(leftAtMs).toBeGreaterThan(Math.floor(ctimeMs) - 60_000);
  });

  it('takes link, keys and the folder’s own directory away', async () => {
    const host = await hostAt();
    await writeFile(path('a', 'x'), 'x');
    await share(host);
    await host.unlink(path('a'));
    expect(await host.links()).toEqual([]);
    expect(await readdir(path('a'))).toEqual(['x']);
    expect(await readdir(path('home', 'folders'))).toEqual([]);
    await expect(host.unlink(path('a'))).rejects.toMatchObject({ code: 'not-linked' });
  });

  it('keeps bytes that are in no record', async () => {
    const host = await hostAt();
    await share(host);
    await mkdir(path('a', '.driftless', 'trash'), { recursive: true });
    await writeFile(path('a', '.driftless', 'trash', 'only-copy'), 'x');
    await host.unlink(path('a'));
    expect(await readFile(path('a', '.driftless', 'trash', 'only-copy'), 'utf8')).toBe('x');
  });

  it('is refused while the folder is in use', async () => {
    const host = await hostAt();
    await share(host);
    const running = await host.open(path('a'), { onEvent: () => undefined, log });
    await expect(host.unlink(path('a'))).rejects.toMatchObject({ code: 'owned' });
    await running.close();
    await host.unlink(path('a'));
  });
});

describe('open', () => {
  it('runs a peer once, and answers through the control while it runs and after', async () => {
    const host = await hostAt();
    await share(host);
    const events: PeerEvent[] = [];
    const running = await host.open(path('a'), { onEvent: (event) => events.push(event), log });
    await expect((await hostAt()).open(path('a'), { onEvent: () => undefined, log })).rejects.toMatchObject({
      code: 'owned',
      message: expect.stringContaining(`process ${process.pid}`),
    });
    const live = await (await hostAt()).control(path('a'));
    expect(await live.status()).toMatchObject({ dir: path('a'), running: true });
    await live.close();
    await running.close();
    await running.close();
    const stored = await host.control(path('a'));
    expect(await stored.status()).toMatchObject({ dir: path('a'), running: false });
    await stored.close();
    const again = await host.open(path('a'), { onEvent: () => undefined, log });
    await again.close();
  });

  it('of a folder below a linked one names that one', async () => {
    const host = await hostAt();
    await share(host);
    await mkdir(path('a', 'src'));
    await expect(host.control(path('a', 'src'))).rejects.toThrow(`lies inside ${path('a')}, which is linked`);
  });

  it('needs a link and its keys', async () => {
    const host = await hostAt();
    await expect(host.open(path('a'), { onEvent: () => undefined, log })).rejects.toMatchObject({ code: 'not-linked' });
    const { link } = await share(host);
    await rm(path('home', 'folders', link.id, 'keys.json'));
    await expect(host.open(path('a'), { onEvent: () => undefined, log })).rejects.toMatchObject({
      code: 'missing-secret',
    });
  });
});
