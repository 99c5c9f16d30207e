/**
 * Invites that whoever started this editor handed over, so that its folders connect without questions: `DRIFTLESS_INVITES` names a JSON
 * file `{ "<folder>": "<invite>" }`, which only its owner may read. `npm run start:vscode` uses it; so can the set-up of a container.
 * A workspace cannot set it, and an untrusted one is not connected.
 */
import { readFileSync, statSync } from 'node:fs';
import type { CancellationToken } from 'vscode-jsonrpc/node';
import type { Disposable } from './emitter.ts';
import type { Folders } from './folders.ts';

export type HandedInvites = ReadonlyMap<string, string>;

const fileBytesMax = 1024 * 1024;

/** Empty when nothing is handed over. Errors: a sentence that names the file and quotes nothing of it. */
export function readHandedInvites(file: string | undefined): HandedInvites {
  if (file === undefined || file === '') return new Map();
  const { mode, size } = statSync(file);
  if (process.platform !== 'win32' && (mode & 0o077) !== 0)
    throw new Error(`${file} is open to other users and holds keys. Run: chmod 600 '${file}'`);
  if (size > fileBytesMax) throw new Error(`${file} is too large to be a list of invites.`);
  const invites = parseInvites(readFileSync(file, 'utf8'));
  if (invites === undefined) throw new Error(`${file} is not a JSON object of folders and invites.`);
  return invites;
}

function parseInvites(text: string): HandedInvites | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return new Map(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
  } catch {
    return undefined;
  }
}

/** Connects each handed folder once: when it is linked to nothing, or when its keys are in another profile. */
export function connectHanded(options: {
  readonly folders: Folders;
  readonly invites: HandedInvites;
  readonly isTrusted: () => boolean;
  readonly report: (error: unknown) => void;
}): Disposable {
  const { folders, invites, isTrusted, report } = options;
  const waiting = new Map(invites);
  const look = (): void => {
    if (!isTrusted()) return;
    for (const { dir, view } of folders.list()) {
      const invite = waiting.get(dir);
      const keysAreElsewhere = view.kind === 'failed' && view.code === 'missing-secret';
      if (invite === undefined || !(view.kind === 'unlinked' || keysAreElsewhere)) continue;
      waiting.delete(dir);
      connect(dir, invite, keysAreElsewhere).catch(report);
    }
  };
  const connect = async (dir: string, invite: string, keysAreElsewhere: boolean): Promise<void> => {
    if (keysAreElsewhere) await folders.disconnect(dir);
    await folders.join({ dir, invite, allowPlain: false }, notCancelled);
  };
  const listening = folders.onDidChange(look);
  look();
  return listening;
}

const notCancelled: CancellationToken = {
  isCancellationRequested: false,
  onCancellationRequested: () => ({ dispose: () => undefined }),
};
