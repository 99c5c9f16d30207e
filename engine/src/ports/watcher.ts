/**
 * Hints that something at or below a path may have changed. Hints may be late, doubled, missing or wrong: a scan is the
 * truth. A watcher that knows that it loses hints says so, and the peer rescans by the clock.
 */
import type { RelPath } from '@driftless/protocol';

export interface WatcherHandlers {
  /** Asked for each directory when it is first seen: what is below an ignored one is not watched. Relative, with `/`. */
  isIgnoredDirectory(path: string): boolean;
  /** `paths` as spelled on disk, '' for the root itself; a directory hint covers what is directly in it, or all below with `deep`. */
  onHint(hint: { readonly path: RelPath | ''; readonly deep: boolean }): void;
  /** Watching works again, or never will for some part (out of watches, a network file system). */
  onDegraded(reason: string | null): void;
}
export interface Watcher {
  /** Resolves when hints from now on are expected to arrive. */
  start(handlers: WatcherHandlers): Promise<void>;
  close(): Promise<void>;
}
