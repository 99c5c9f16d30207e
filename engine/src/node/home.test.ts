import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HostError } from '../host-api.ts';
import { assertHomeOutside, homePathOf, isWithin, openHome, readPrivateFile, writePrivateFile } from './home.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'driftless-home-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

describe('homePathOf', () => {
  it.each([
    ['its own variable', { DRIFTLESS_HOME: '/srv/sync' }, 'linux', '/srv/sync'],
    ['the XDG data directory', { XDG_DATA_HOME: '/data' }, 'linux', '/data/driftless'],
    [
      'a relative XDG directory is none',
      { XDG_DATA_HOME: 'data' },
      'linux',
      expect.stringMatching(/\/\.local\/share\/driftless$/),
    ],
    ['the library on macOS', {}, 'darwin', expect.stringMatching(/Application Support\/driftless$/)],
  ] as const)('%s', (_name, environment, platform, expected) => {
    expect(homePathOf(environment, platform)).toEqual(expected);
  });

  it('refuses a relative path', () => {
    expect(() => homePathOf({ DRIFTLESS_HOME: 'here' })).toThrow(expect.objectContaining({ code: 'bad-home' }));
  });
});

describe('the home', () => {
  it('is made 0700, and its files 0600, whatever the umask says', async () => {
    const before = process.umask(0);
    try {
      const home = await openHome(join(directory, 'a', 'home'));
      await writePrivateFile(join(home.path, 'keys'), 'secret');
      expect(await modeOf(home.path)).toBe(0o700);
      expect(await modeOf(home.foldersPath)).toBe(0o700);
      expect(await modeOf(join(home.path, 'keys'))).toBe(0o600);
    } finally {
      process.umask(before);
    }
  });

  it('refuses directories and files that others may read, and says how to close them', async () => {
    const open = join(directory, 'open');
    await mkdir(open);
    await chmod(open, 0o755);
    await expect(openHome(open)).rejects.toThrow(`chmod 700 '${open}'`);

    const home = await openHome(join(directory, 'home'));
    await writeFile(join(home.path, 'keys'), 'secret');
    await chmod(join(home.path, 'keys'), 0o644);
    await expect(readPrivateFile(join(home.path, 'keys'))).rejects.toThrow(HostError);
  });

  it('may not lie inside a synced folder', async () => {
    const home = await openHome(join(directory, 'folder', 'home'));
    expect(() => assertHomeOutside(home, join(directory, 'folder'))).toThrow(HostError);
    expect(() => assertHomeOutside(home, join(directory, 'folder', 'home'))).toThrow(HostError);
    expect(() => assertHomeOutside(home, join(directory, 'other'))).not.toThrow();
  });

  it('gives undefined for a file that is absent', async () => {
    expect(await readPrivateFile(join(directory, 'none'))).toBeUndefined();
  });
});

describe('isWithin', () => {
  it.each([
    ['/a', '/a', true],
    ['/a/b', '/a', true],
    ['/a/..b', '/a', true],
    ['/ab', '/a', false],
    ['/', '/a', false],
    ['/a', '/', true],
  ])('%s in %s: %s', (path, folder, expected) => {
    expect(isWithin(path, folder)).toBe(expected);
  });
});
