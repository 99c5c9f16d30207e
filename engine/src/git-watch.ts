/**
 * What git is doing in the root's work tree, seen from its files (rules DISK2, LOG6): while `.git/index.lock` lives a
 * checkout is under way and nothing is published, so that it travels as one labelled record; and a burst of deletions that
 * git made is no mass deletion. Reads `.git`, never writes it.
 */
import type { RelPath } from '@driftless/protocol';
import { fingerprintOf } from './core/fingerprint.ts';
import { gitIndexBytesMax, parseGitIndex } from './core/git-index.ts';
import { burstMs, gitExplains } from './core/guards.ts';
import type { PeerContext } from './peer-context.ts';

/** A lock older than this is a leftover of a killed git. */
const lockMsMax = 30_000;
const lockPath = '.git/index.lock' as RelPath;
const headPath = '.git/HEAD' as RelPath;
const indexPath = '.git/index' as RelPath;
/** Setting: HEAD and index as they were when all that git had done was published. */
const seenSetting = 'git-seen';

export interface GitWatch {
  /** What HEAD and the index were when the last run ended, or are at the very first start: what changed since is git at work. */
  begin(): Promise<void>;
  /** git is writing the work tree now: wait for it. */
  busy(): Promise<boolean>;
  /** A label for the batch at hand when HEAD or the index changed since `settled` was last called, else ''. */
  label(): Promise<string>;
  /** The batch at hand was published. */
  settled(): void;
  /** HEAD or the index changed in this burst, also when a part of it was published already, and none of these paths is in the new index. */
  explains(vanished: readonly RelPath[]): Promise<boolean>;
}

export function createGitWatch(context: PeerContext): GitWatch {
  const { folder, clock, store } = context.parts;
  let lockSeenMs: number | null = null;
  let before: { head: string; index: string } | null = null;
  let now = { head: '', index: '' };
  let changedMs = Number.NEGATIVE_INFINITY;

  async function fingerprint(path: RelPath): Promise<string> {
    const stat = await folder.stat(path);
    return stat === null || 'reason' in stat ? '' : fingerprintOf(stat);
  }

  async function look(): Promise<void> {
    now = { head: await fingerprint(headPath), index: await fingerprint(indexPath) };
    before ??= now;
    if (changed()) changedMs = clock.monotonicMs();
  }

  async function busy(): Promise<boolean> {
    const stat = await folder.stat(lockPath);
    if (stat === null || 'reason' in stat) {
      lockSeenMs = null;
      return false;
    }
    lockSeenMs ??= clock.monotonicMs();
    return clock.monotonicMs() - lockSeenMs < lockMsMax;
  }

  const changed = (): boolean => before !== null && (before.head !== now.head || before.index !== now.index);

  async function label(): Promise<string> {
    await look();
    if (!changed()) return '';
    if (before?.head === now.head) return 'git';
    const text = new TextDecoder().decode(await read(headPath, 1_024)).trim();
    const branch = /^ref: refs\/heads\/(.{1,150})$/.exec(text)?.[1];
    return branch === undefined ? 'git checkout' : `git switch ${branch}`;
  }

  async function read(path: RelPath, bytesMax: number): Promise<Uint8Array> {
    const handle = await folder.openFile(path);
    if ('kind' in handle) return new Uint8Array(0);
    try {
      const pieces: Uint8Array[] = [];
      let size = 0;
      while (size < bytesMax) {
        const bytes = await handle.read(Math.min(256 * 1024, bytesMax - size));
        if (bytes.length === 0) break;
        pieces.push(bytes.slice());
        size += bytes.length;
      }
      const whole = new Uint8Array(size);
      let at = 0;
      for (const piece of pieces) {
        whole.set(piece, at);
        at += piece.length;
      }
      return whole;
    } finally {
      await handle.close();
    }
  }

  async function explains(vanished: readonly RelPath[]): Promise<boolean> {
    await look();
    if (clock.monotonicMs() - changedMs > burstMs) return false;
    const indexPaths = parseGitIndex(await read(indexPath, gitIndexBytesMax));
    return gitExplains({ repositories: [{ path: '', changed: true, indexPaths }], vanished });
  }

  return {
    begin: async () => {
      const seen = store.setting(seenSetting);
      if (seen !== undefined) before = JSON.parse(seen) as typeof now;
      await look();
      if (seen === undefined) store.setSetting(seenSetting, JSON.stringify(now));
    },
    busy,
    label,
    settled: () => {
      if (!changed()) return;
      before = now;
      store.setSetting(seenSetting, JSON.stringify(now));
    },
    explains,
  };
}
