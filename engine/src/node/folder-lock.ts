/**
 * One process a folder (P15). The lock is the operating system's, taken through an empty SQLite file: it ends with its
 * process however that ends, so that nothing is ever stale and no process id is ever mistaken for another (they repeat after
 * a reboot, and differ between containers). Who holds it stands in a file beside it, for people and for finding its socket.
 */
import { closeSync, openSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { HostError } from '../host-api.ts';
import { codeOf, type Home, readPrivateFile, writePrivateFile } from './home.ts';
import { loadSqlite } from './sql-db.ts';

/** Linking takes milliseconds; 10 s cover a slow disk. */
const homeLockPollMs = 50;
const homeLockAttemptsMax = 200;

export type OwnerKind = 'cli' | 'extension';

export interface Owner {
  readonly pid: number;
  readonly kind: OwnerKind;
  /** Where it answers control requests; null while it only looks at the stored state. */
  readonly socketPath: string | null;
}
export interface FolderLock {
  /** Says where the owner answers from now on. */
  announce(socketPath: string): Promise<void>;
  /** Lets go of the file inside the folder, and keeps the lock of the link: the folder's own directory can then be removed. */
  leaveFolder(): Promise<void>;
  release(): Promise<void>;
}

const ownerSchema = z.object({
  pid: z.number().int(),
  kind: z.enum(['cli', 'extension']),
  socketPath: z.string().nullable(),
});

/**
 * Takes the lock of a link's state directory and, when the folder holds a `.driftless` directory, that of the folder too, so
 * that two homes of one machine cannot both run it. Resolves with 'taken' when another process, or this one, holds either.
 */
export async function takeFolderLock(options: {
  readonly stateDirectory: string;
  /** `.driftless` of the folder. */
  readonly folderDirectory: string;
  readonly kind: OwnerKind;
}): Promise<FolderLock | 'taken'> {
  const own = lockFile(join(options.stateDirectory, 'owner.lock'));
  if (own === 'taken') return 'taken';
  const shared = lockFolderFile(join(options.folderDirectory, 'owner.lock'));
  if (shared === 'taken') {
    own.close();
    return 'taken';
  }
  const held = shared === 'none' ? [own] : [own, shared];
  const write = async (socketPath: string | null): Promise<void> => {
    const text = `${JSON.stringify({ pid: process.pid, kind: options.kind, socketPath } satisfies Owner)}\n`;
    await writePrivateFile(join(options.stateDirectory, 'owner.json'), text);
    // In the folder it only serves the message of another home; a full or read-only disk must not stop the peer here.
    if (shared !== 'none')
      await writePrivateFile(join(options.folderDirectory, 'owner.json'), text).catch(() => undefined);
  };
  const closeAll = (): void => {
    for (const file of held.splice(0)) file.close();
  };
  const leaveFolder = async (): Promise<void> => {
    if (shared === 'none' || !held.includes(shared)) return;
    await rm(join(options.folderDirectory, 'owner.json'), { force: true }).catch(() => undefined);
    held.splice(held.indexOf(shared), 1);
    shared.close();
  };
  try {
    await write(null);
  } catch (error) {
    closeAll();
    throw error;
  }
  return {
    announce: write,
    leaveFolder,
    async release() {
      if (held.length === 0) return;
      await leaveFolder();
      await rm(join(options.stateDirectory, 'owner.json'), { force: true }).catch(() => undefined);
      closeAll();
    },
  };
}

/** Who last said that it holds the lock. Only meaningful while the lock is taken. */
export async function readOwner(directory: string): Promise<Owner | undefined> {
  const text = await readPrivateFile(join(directory, 'owner.json'));
  if (text === undefined) return undefined;
  try {
    return ownerSchema.parse(JSON.parse(text));
  } catch {
    // Being replaced by a newer owner, or damaged: the lock itself is what counts.
    return undefined;
  }
}

/** Runs `work` while no other process of this user makes or ends links, so that two cannot link one folder. */
export async function withHomeLock<Value>(home: Home, work: () => Promise<Value>): Promise<Value> {
  const path = join(home.path, 'links.lock');
  for (let attempt = 0; ; attempt += 1) {
    const lock = lockFile(path);
    if (lock !== 'taken') {
      try {
        return await work();
      } finally {
        lock.close();
      }
    }
    if (attempt === homeLockAttemptsMax)
      throw new HostError('owned', 'Another Driftless process is linking a folder right now. Try again.');
    await new Promise((resolve) => setTimeout(resolve, homeLockPollMs));
  }
}

/** The lock inside the folder is the second line: a folder that cannot hold one (missing, read-only, full) has none. */
function lockFolderFile(path: string): DatabaseSync | 'taken' | 'none' {
  try {
    return lockFile(path);
  } catch {
    return 'none';
  }
}

function lockFile(path: string): DatabaseSync | 'taken' {
  try {
    // Only made here, never opened again by hand: closing any handle of the file would end this process's lock on it.
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
  const database = new (loadSqlite().DatabaseSync)(path, { timeout: 0 });
  try {
    // A journal in memory: the file stays empty and alone.
    database.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database.close();
    if (isBusy(error)) return 'taken';
    throw error;
  }
}

/** SQLITE_BUSY is 5, SQLITE_LOCKED 6. */
const isBusy = (error: unknown): boolean =>
  error instanceof Error && 'errcode' in error && (error.errcode === 5 || error.errcode === 6);
