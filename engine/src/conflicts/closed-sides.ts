/**
 * Who closes a conflict has taken every side of it into account: so the side that this disk holds becomes the base of its path
 * (rule OWN). A file that is still as that side was is unchanged, and follows the room; one that was changed since, be it back to
 * a version that the room once had, is an edit of it, and is merged or asked about like any other.
 *
 * A side that went with a log that the relay lost was closed by nobody: nothing is agreed on by that, and it clashes again.
 */
import type { RelPath, Variant } from '@driftless/protocol';
import { sameLocal } from '../core/entry-encoding.ts';
import type { Row } from '../core/row.ts';
import type { PeerContext } from '../peer-context.ts';

/** Carries out `change`, which brings the room on from a state that this peer knew, within a transaction. */
export function agreeOnClosed(context: PeerContext, paths: Iterable<RelPath>, change: () => void): void {
  const { store, device } = context.parts;
  const held = [...new Set(paths)].flatMap((path) => sideOf(context, store.row(path)) ?? []);
  change();
  for (const { path, id, entry } of held) {
    const open = store.variants(path);
    // Edited while it was open, it went out as another side: the conflict goes on from the base that it had.
    if (!open.some((variant) => variant.id === id || variant.device === device.device)) store.setBase(path, entry);
  }
}

/** The open side that the disk held when its path was held for it; or that it holds since an answer put it there. */
function sideOf({ parts }: PeerContext, row: Row | undefined): Variant | undefined {
  if (row === undefined || row.hold === null) return undefined;
  const { hold, local } = row;
  return parts.store
    .variants(row.path)
    .find((variant) =>
      hold.variant === null ? sameLocal(local, variant.entry, parts.folder.traits) : variant.id === hold.variant,
    );
}
