/**
 * Hints that something at or below a path may have changed. Hints may be late, doubled, missing or wrong: a scan is the
 * truth. A loss that can be known is told (rule HINT); what no watcher can know is found by the sweep.
 *
 * Watches follow the scans: a scan asks for a watch of each directory in scope right before it lists it, so that what comes
 * before the watch is in the list and what comes later is told; what leaves the scope is no longer watched.
 */
import type { RelPath } from '@driftless/protocol';

export interface WatcherHandlers {
  /** Asked by a backend that finds directories by itself: what is below an ignored one is not watched. Relative, with `/`. */
  isIgnoredDirectory(path: string): boolean;
  /** `path` as spelled on disk, '' for the root itself; a directory hint covers what is directly in it, or all below with `deep`. */
  onHint(hint: { readonly path: RelPath | ''; readonly deep: boolean }): void;
  /** Hints were probably lost, nobody knows where: the whole folder must be looked at. */
  onLoss(reason: string): void;
  /** `unwatched` says something else than before. */
  onCoverage(): void;
}

/** Why changes of a place are found by looking alone, and what a person can do about it ('' = nothing). */
export interface WatchProblem {
  readonly reason: string;
  readonly next: string;
}

export interface Unwatched {
  /** Nothing in the folder is watched. */
  readonly everything: WatchProblem | null;
  /** Directories whose own entries are not watched; each below is its own matter. */
  readonly places: ReadonlyMap<RelPath | '', WatchProblem>;
}

export interface Watcher {
  /** Resolves when the watches that are asked for from now on hold. */
  start(handlers: WatcherHandlers): Promise<void>;
  /** From now on changes directly in this directory are told, or it is `unwatched`. A watch that was there before is renewed. */
  watch(directory: RelPath | ''): void;
  /** Neither it nor anything below is watched any more. */
  unwatch(directory: RelPath): void;
  /** Whether `watch` was called for it since it appeared there. */
  isWatched(directory: RelPath | ''): boolean;
  unwatched(): Unwatched;
  close(): Promise<void>;
}
