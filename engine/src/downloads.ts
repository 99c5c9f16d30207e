/**
 * Large contents are fetched beside the loop, a few at a time, so that small saves overtake them (rule FAST5). A finished one
 * lies staged until the loop puts it in its place; one that nobody waits for any more is dropped.
 */
import type { RelPath } from '@driftless/protocol';
import type { StagedContent, StageRequest } from './content/content-types.ts';
import { problemOf } from './content/or-fail.ts';
import type { PeerState } from './control.ts';
import type { PeerContext } from './peer-context.ts';
import { SessionEnded } from './ports/room-session.ts';

const atOnceMax = 2;

export interface Downloads {
  readonly size: number;
  /** The content of this path, if it lies staged; else its download is started, or waits for its turn. */
  stagedFor(request: StageRequest): StagedContent | undefined;
  /** The staged file was used, or could not be: a later need starts anew. */
  used(path: RelPath): void;
  /** Ends those that nobody waits for any more, and removes what they staged. */
  drop(isUnwanted: (path: RelPath, digest: string) => boolean): Promise<void>;
  /** At close: nothing is waited for. */
  abort(): void;
}

interface Download {
  readonly digest: string;
  readonly abort: AbortController;
  stagedName: string | null;
}

export function createDownloads(
  context: PeerContext,
  options: {
    readonly runBeside: (work: Promise<void>) => void;
    readonly onProgress: (progress: PeerState['progress'] | null) => void;
    readonly wake: () => void;
  },
): Downloads {
  const { contents, parts } = context;
  const { runBeside, onProgress, wake } = options;
  const downloads = new Map<RelPath, Download>();

  const underWay = (): number => [...downloads.values()].filter(({ stagedName }) => stagedName === null).length;

  function stagedFor({ path, content }: StageRequest): StagedContent | undefined {
    const known = downloads.get(path);
    if (known?.digest === content.digest)
      return known.stagedName === null ? undefined : { path, stagedName: known.stagedName };
    if (underWay() < atOnceMax) start({ path, content });
    return undefined;
  }

  function start({ path, content }: StageRequest): void {
    const download: Download = { digest: content.digest, abort: new AbortController(), stagedName: null };
    const isCurrent = (): boolean => downloads.get(path) === download;
    downloads.set(path, download);
    let received = 0;
    runBeside(
      contents
        .stage([{ path, content }], context.lastingSession(), {
          flush: true,
          signal: AbortSignal.any([download.abort.signal, context.signal]),
          onStaged: ({ stagedName }) => {
            if (isCurrent()) download.stagedName = stagedName;
            else runBeside(contents.drop(stagedName));
          },
          onProgress: (bytes) => {
            received += bytes;
            onProgress({ phase: `receiving ${path}`, done: received, total: content.size, unit: 'bytes' });
          },
          onFailed: (failedPath, problem) => {
            if (!context.signal.aborted && isCurrent()) context.fail(failedPath, problemOf(problem));
          },
        })
        .catch((error: unknown) => {
          if (download.abort.signal.aborted || context.signal.aborted) return;
          parts.log.info('download-ended', { reason: String(error) });
          // With the session it begins again; anything else is the matter of this path, which waits before it is tried again.
          if (!(error instanceof SessionEnded) && isCurrent()) context.fail(path, problemOf(error));
        })
        .then(() => contents.discardUnwantedParts())
        .catch((error: unknown) => parts.log.info('parts-not-discarded', { reason: String(error) }))
        .finally(() => {
          onProgress(null);
          if (download.stagedName === null && isCurrent()) downloads.delete(path);
          wake();
        }),
    );
  }

  async function drop(isUnwanted: (path: RelPath, digest: string) => boolean): Promise<void> {
    for (const [path, download] of downloads) {
      if (!isUnwanted(path, download.digest)) continue;
      download.abort.abort();
      downloads.delete(path);
      if (download.stagedName !== null) await contents.drop(download.stagedName);
    }
  }

  return {
    get size() {
      return downloads.size;
    },
    stagedFor,
    used: (path) => {
      downloads.delete(path);
    },
    drop,
    abort: () => {
      for (const download of downloads.values()) download.abort.abort();
    },
  };
}
