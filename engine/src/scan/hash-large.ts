/**
 * Large files are read for their digest beside the loop, so that no save waits for gigabytes (rule FAST5). A scan that meets
 * one asks here: what was read of exactly this version is answered, else it begins to be read, and its path is looked at again
 * when it has been. Until then the path is not settled, and nor is one that is gone and whose file this may be: a large file
 * that was renamed travels as a move.
 *
 * A file that goes on being written to is given up within some megabytes and tried again after pauses that grow.
 */
import type { RelPath } from '@driftless/protocol';
import { fingerprintOf } from '../core/fingerprint.ts';
import type { Fingerprint } from '../core/local-entry.ts';
import { createPause } from '../pause.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Folder, PathProblem } from '../ports/folder.ts';
import type { Hashing } from '../ports/hashing.ts';
import type { Log } from '../ports/log.ts';
import { type ReadDigest, readDigest } from './read-digest.ts';

/** Two hide the disk's latency. */
const readsAtOnceMax = 2;
/** Shorter slices than the turn's, which goes first. */
const sliceMs = 2;
const firstWaitMs = 200;
const waitMsMax = 60_000;
/** Files remembered for what was read of them, and for having changed meanwhile. */
const rememberedMax = 1_000;

export interface LargeFile {
  readonly path: RelPath;
  readonly fingerprint: Fingerprint;
  readonly inode: bigint;
  /** The path that this file seems to have had until a moment ago. */
  readonly fromPath: RelPath | undefined;
}

export interface LargeReads {
  /** null: not yet; the path will be looked at again. */
  outcomeOf(file: LargeFile): ReadDigest | PathProblem | null;
  /** It has been read, and `outcomeOf` has not been asked since. */
  hasRead(path: RelPath): boolean;
  /** A file with this inode is gone from `path`: perhaps it is being read under another name. */
  noteGone(path: RelPath, inode: bigint): void;
  /** Nothing may follow from what is known of the path. */
  holds(path: RelPath): boolean;
  /** Files that are being read, or wait for it. */
  readonly size: number;
  /** Ends all reads; their paths are to be looked at again. */
  drop(): readonly RelPath[];
}

interface Read {
  readonly file: LargeFile;
  readonly goneFrom: Set<RelPath>;
  state: 'queued' | 'reading' | 'resting';
  rest: Timer | null;
}

export function createLargeReads(options: {
  readonly folder: Folder;
  readonly hashing: Hashing;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly runBeside: (work: Promise<void>) => void;
  /** The path is to be looked at: it was read, or may be tried again. */
  readonly onReady: (path: RelPath) => void;
  readonly onProgress: (path: RelPath, bytes: number) => void;
}): LargeReads {
  const { folder, hashing, clock, log, signal, runBeside, onReady, onProgress } = options;
  const reads = new Map<RelPath, Read>();
  /** What has been read and not been asked for yet: the next look at the path does. */
  const outcomes = new Map<RelPath, ReadDigest | PathProblem>();
  /** How often in a row a file changed while it was read. */
  const restless = new Map<RelPath, number>();
  const pause = createPause(clock, sliceMs);
  let atWork = 0;

  function outcomeOf(file: LargeFile): ReadDigest | PathProblem | null {
    if (reads.has(file.path)) return null;
    const outcome = outcomes.get(file.path);
    outcomes.delete(file.path);
    if (outcome?.kind === 'problem') return outcome;
    if (outcome !== undefined && fingerprintOf(outcome.stat) === file.fingerprint) return outcome;
    const goneFrom = new Set(file.fromPath === undefined ? [] : [file.fromPath]);
    reads.set(file.path, { file, goneFrom, state: 'queued', rest: null });
    work();
    return null;
  }

  function work(): void {
    for (const read of reads.values()) {
      if (atWork >= readsAtOnceMax) return;
      if (read.state !== 'queued') continue;
      read.state = 'reading';
      atWork += 1;
      runBeside(
        carryOut(read)
          .catch((error: unknown) => failed(read, error))
          .finally(() => {
            atWork -= 1;
            if (!signal.aborted) work();
          }),
      );
    }
  }

  /** Not for the file's sake, whose problems are answers: whoever is told of the progress failed, for a moment perhaps. */
  function failed(read: Read, error: unknown): void {
    if (signal.aborted || reads.get(read.file.path) !== read) return;
    log.warn('large-read-failed', { reason: String(error) });
    restAfter(read, firstWaitMs);
  }

  async function carryOut(read: Read): Promise<void> {
    const { path } = read.file;
    const beganMs = clock.monotonicMs();
    const outcome = await readDigest(path, {
      folder,
      hashing,
      nowMs: clock.nowMs,
      afterPiece: async (bytes) => {
        onProgress(path, bytes);
        await pause();
        signal.throwIfAborted();
        if (reads.get(path) !== read) throw new Error('nobody waits for it any more');
      },
    });
    if (reads.get(path) !== read || signal.aborted) return;
    if (outcome.kind === 'changed') return restAfter(read, clock.monotonicMs() - beganMs);
    restless.delete(path);
    if (outcomes.size >= rememberedMax) outcomes.clear();
    outcomes.set(path, outcome);
    end(read);
  }

  /** Looked at together, so that a rename is seen as one. */
  function end(read: Read): void {
    reads.delete(read.file.path);
    for (const path of [...read.goneFrom, read.file.path]) onReady(path);
  }

  function restAfter(read: Read, tookMs: number): void {
    const { path } = read.file;
    const times = (restless.get(path) ?? 0) + 1;
    if (restless.size >= rememberedMax) restless.clear();
    restless.set(path, times);
    read.state = 'resting';
    const waitMs = Math.min(waitMsMax, Math.max(firstWaitMs, tookMs) * 2 ** Math.min(times - 1, 10));
    read.rest = clock.after(waitMs, () => end(read));
  }

  return {
    outcomeOf,
    hasRead: (path) => outcomes.has(path),
    noteGone: (path, inode) => {
      for (const { file, goneFrom } of reads.values())
        if (file.inode === inode && file.path !== path) goneFrom.add(path);
    },
    holds: (path) => {
      if (reads.has(path)) return true;
      for (const { goneFrom } of reads.values()) if (goneFrom.has(path)) return true;
      return false;
    },
    get size() {
      return reads.size;
    },
    drop: () => {
      const paths = [...reads.keys()];
      for (const { rest } of reads.values()) rest?.cancel();
      reads.clear();
      outcomes.clear();
      return paths;
    },
  };
}
