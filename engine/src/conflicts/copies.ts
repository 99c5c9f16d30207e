/**
 * Conflict copies: the file beside a path that holds what lost there. Made on disk first, then published with the change that
 * closes the conflict. The same bytes make one copy of a path, whoever makes it: a peer that lost with the bytes of another
 * finds that one's copy in the room.
 */
import type { Entry, RelPath, Variant } from '@driftless/protocol';
import { createPlace, type Placement } from '../apply/place.ts';
import { conflictName, conflictOriginal, copiesOf } from '../core/conflict-name.ts';
import { liveEntry } from '../core/entry-encoding.ts';
import { leafDigest } from '../core/leaf-digest.ts';
import type { LocalEntry } from '../core/local-entry.ts';
import type { PublishStep } from '../core/plan.ts';
import type { Row } from '../core/row.ts';
import type { PeerContext } from '../peer-context.ts';

export interface ConflictCopies {
  /** null: could not be written now (reported); 'there': the room has such a copy already. */
  write(held: RelPath, variant: Variant): Promise<PublishStep | 'there' | null>;
  /** The held path becomes the variant's content; null as above. */
  take(row: Row, variant: Variant): Promise<LocalEntry | null>;
  /** The held path is as it was before it went, and the conflict as open; null as above. */
  bringBack(row: Row, own: Variant): Promise<LocalEntry | null>;
}

export function createConflictCopies(context: PeerContext): ConflictCopies {
  const { parts, journal } = context;
  const { folder, store, hashing } = parts;
  const placeEntry = createPlace(context);
  const inRoom = (path: RelPath): Entry | null => liveEntry(store.manifest.slot(path));
  const localAt = (path: RelPath): LocalEntry | null => store.row(path)?.local ?? null;

  async function write(held: RelPath, variant: Variant): Promise<PublishStep | 'there' | null> {
    const entry = asPrivateAs(held, variant.entry);
    if (entry.kind === 'directory') return null;
    const path = nameOf(held, variant);
    const known = localAt(path);
    if (isInRoom(held, entry)) return 'there';
    // It could be gone again, and then be taken for deleted: the problem that the held path has says why it waits.
    if (journal.isUnsettled(path)) return null;
    if (known !== null && sameBytes(known, entry))
      return { kind: 'publish', path, local: known, remote: null, revives: false };
    const local = await place({ held, path, entry, before: null, base: inRoom(path) });
    return local === null ? null : { kind: 'publish', path, local, remote: null, revives: false };
  }

  const take = ({ path, local, remote }: Row, { entry }: Variant): Promise<LocalEntry | null> =>
    place({ held: path, path, entry: asPrivateAs(path, entry), before: local, base: liveEntry(remote) });

  const bringBack = ({ path, local, base }: Row, { entry }: Variant): Promise<LocalEntry | null> =>
    place({ held: path, path, entry: asPrivateAs(path, entry), before: local, base });

  /** The first name that is free, or is this very copy's. */
  const nameOf = (held: RelPath, variant: Variant): RelPath =>
    conflictName({
      path: held,
      peerName: variant.deviceName,
      timeMs: variant.timeMs,
      digest: leafDigest(variant.entry as Exclude<Entry, { kind: 'directory' }>, hashing.sha256),
      taken: (candidate) =>
        !sameBytes(localAt(candidate), variant.entry) && (localAt(candidate) !== null || inRoom(candidate) !== null),
      traits: folder.traits,
      sha256: hashing.sha256,
    });

  const sameBytes = (a: Entry | LocalEntry | null, b: Entry): boolean =>
    a !== null && a.kind === b.kind && leafDigest(a, hashing.sha256) === leafDigest(b, hashing.sha256);

  /** Under whichever device's name, and from whichever time. */
  function isInRoom(held: RelPath, entry: Entry): boolean {
    const original = conflictOriginal(held) ?? held;
    const { after, to } = copiesOf(original);
    for (const { path, slot } of store.manifest.slotsBetween(after, to))
      if (conflictOriginal(path) === original && sameBytes(liveEntry(slot), entry)) return true;
    return false;
  }

  /** A copy is never open to more people than its file: a variant may be older than the flag. */
  function asPrivateAs(held: RelPath, entry: Entry): Entry {
    const room = inRoom(held);
    return entry.kind === 'file' && room?.kind === 'file' && room.private ? { ...entry, private: true } : entry;
  }

  async function place(placement: Placement): Promise<LocalEntry | null> {
    const placed = await placeEntry(placement);
    return typeof placed === 'string' ? null : placed;
  }

  return { write, take, bringBack };
}
