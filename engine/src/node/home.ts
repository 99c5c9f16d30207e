/**
 * Where this machine keeps its links, keys and state: one directory for the user, `$DRIFTLESS_HOME` or the platform's data
 * directory. Directories are 0700 and files 0600, made with that mode; looser ones are refused, because the room secret lies
 * in them (S20). The home may not lie inside a synced folder: see `assertHomeOutside`.
 *
 *     <home>/folders/<link id>/link.json   what is linked (links.ts)
 *                              keys.json   room secret and device seed (file-secrets.ts)
 *                              owner.lock  held while a process runs the folder (folder-lock.ts)
 *                              owner.json  who that is, and where it answers
 *                              state/      the state store
 */
import { constants, type Stats } from 'node:fs';
import { lstat, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { HostError } from '../host-api.ts';

export interface Home {
  readonly path: string;
  readonly foldersPath: string;
}

/** The home that the environment asks for. Makes nothing. Errors: HostError 'bad-home' for a relative $DRIFTLESS_HOME. */
export function homePathOf(environment: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform): string {
  const { DRIFTLESS_HOME: chosen, XDG_DATA_HOME: data, LOCALAPPDATA: local } = environment;
  if (chosen !== undefined && chosen !== '') {
    if (!isAbsolute(chosen)) {
      throw new HostError('bad-home', `DRIFTLESS_HOME is "${chosen}", which is not an absolute path. Set it to one.`);
    }
    return resolve(chosen);
  }
  if (platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'driftless');
  if (platform === 'win32') return join(local ?? join(homedir(), 'AppData', 'Local'), 'driftless');
  return join(data !== undefined && isAbsolute(data) ? data : join(homedir(), '.local', 'share'), 'driftless');
}

/** Makes the home if it is missing. Errors: HostError 'bad-home' when it is open to others or cannot be made. */
export async function openHome(path: string): Promise<Home> {
  const home = { path, foldersPath: join(path, 'folders') };
  await makePrivateDirectory(home.path);
  await makePrivateDirectory(home.foldersPath);
  return home;
}

/** Makes `path` with mode 0700, and its parents as the umask says. One that exists must be a directory of ours that others cannot enter. */
export async function makePrivateDirectory(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') {
      throw new HostError('bad-home', `${path} cannot be made: ${messageOf(error)}.`, error);
    }
  }
  const directory = await stat(path);
  if (!directory.isDirectory())
    throw new HostError('bad-home', `${path} is not a directory. Move it away, or set DRIFTLESS_HOME.`);
  assertPrivate(path, directory, '700');
}

/** Errors: HostError 'bad-home' when others may read `path`, or it is another user's. Windows keeps such rights elsewhere. */
export function assertPrivate(path: string, found: Stats, mode: '700' | '600'): void {
  if (process.platform === 'win32') return;
  if (process.getuid !== undefined && found.uid !== process.getuid()) {
    throw new HostError('bad-home', `${path} belongs to another user. Set DRIFTLESS_HOME to a directory of your own.`);
  }
  if ((found.mode & 0o077) !== 0) {
    throw new HostError('bad-home', `${path} is open to other users and holds keys. Run: chmod ${mode} '${path}'`);
  }
}

/** Replaces a file whole: 0600 from its first moment, flushed, then renamed over the old one. */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.new`;
  await rm(temporary, { force: true });
  const file = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await flushDirectory(dirname(path));
}

/** undefined when it is absent. Errors: HostError 'bad-home' when others may read it. */
export async function readPrivateFile(path: string): Promise<string | undefined> {
  try {
    assertPrivate(path, await lstat(path), '600');
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether `path` is `directory` or lies below it. Both absolute and real. */
export function isWithin(path: string, directory: string): boolean {
  const below = relative(directory, path);
  return below === '' || !(below === '..' || below.startsWith(`..${sep}`) || isAbsolute(below));
}

/** Errors: HostError 'bad-home' when the home would itself be synced, keys and all. */
export function assertHomeOutside(home: Home, dir: string): void {
  if (isWithin(home.path, dir)) {
    throw new HostError(
      'bad-home',
      `${home.path} lies inside ${dir}, so keys would be synced. Set DRIFTLESS_HOME to a place outside of it.`,
    );
  }
}

export const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** A rename is durable only with its directory. Windows has no such call. */
async function flushDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
