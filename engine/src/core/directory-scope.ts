/**
 * When a directory that reconcile had put out of scope, because only what is out of scope kept it (rule IG3), belongs there
 * no longer. Asked by the scan of it, and when a record touches its path. Reconcile itself takes it back (a scope step
 * `enters`) when something in scope below needs it.
 */
import type { Slot } from '@driftless/protocol';
import { liveEntry } from './entry-encoding.ts';
import type { LocalEntry } from './local-entry.ts';

export interface DirectoryScopeFacts {
  /** What the disk has at the path, whatever the row says. */
  readonly local: LocalEntry['kind'] | null;
  /** Whether that is a directory with anything in it. */
  readonly hasChildren: boolean;
  readonly remote: Slot | null;
}

/** False: outOfScope := null and local := what the disk has; the next round judges it as create/create (rule IG2). */
export function staysOutOfScope({ local, hasChildren, remote }: DirectoryScopeFacts): boolean {
  // Once the room has something there, the directory is one that it knows, or stands in the way of it.
  if (local === 'directory') return hasChildren && liveEntry(remote) === null;
  // A file or link has taken its place: work like any other.
  if (local !== null) return false;
  // Gone here; the room may still hold it for others.
  return liveEntry(remote)?.kind === 'directory';
}
