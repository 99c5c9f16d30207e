/**
 * Conflict copies: the file beside a path that holds what lost there. Made on disk first, then published with the change that
 * closes the conflict. The same bytes make one copy of a path, whoever makes it: a peer that lost with the bytes of another
 * finds that one's copy in the room.
 */
import type { Entry, FileEntry, RelPath, Variant } from '@driftless/protocol';
import type { Incoming, Outcome } from '../apply/replace-journal.ts';
import { problemOf } from '../content/or-fail.ts';
import { conflictName, conflictOriginal, copiesOf } from '../core/conflict-name.ts';
import { liveEntry } from '../core/entry-encoding.ts';
import { modeOf } from '../core/file-mode.ts';
import { leafDigest } from '../core/leaf-digest.ts';
import type { LocalEntry } from '../core/local-entry.ts';
import type { PublishStep } from '../core/plan.ts';
import type { Row } from '../core/row.ts';
import { ancestorsOf } from '../core/tree-paths.ts';
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
  const { parts, contents, journal } = context;
  const { folder, store, hashing } = parts;
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

  /** Brings an entry's bytes to a path that must be as `before` says. What fails is a problem of the held path. */
  async function place(options: {
    readonly held: RelPath;
    readonly path: RelPath;
    readonly entry: Entry;
    readonly before: LocalEntry | null;
    readonly base: Entry | null;
  }): Promise<LocalEntry | null> {
    const { held, path, entry, before, base } = options;
    const put = async (incoming: Incoming): Promise<LocalEntry | null> =>
      (await hasDirectories(held, path))
        ? placed(held, path, await journal.replace({ path, before, incoming, base, reason: 'replaced' }))
        : null;
    if (entry.kind === 'directory') return null;
    if (entry.kind === 'symlink') return put(entry);
    const stagedName = await stageOne(held, path, entry);
    if (stagedName === null) return null;
    try {
      return await put({ kind: 'file', stagedName, digest: entry.content.digest, mode: modeOf(entry) });
    } finally {
      // Nothing when it is in its place. A replace that was cut is settled by what is staged.
      if (!journal.isCut) await folder.discardStaged(stagedName);
    }
  }

  /** Both sides may have deleted them, and no plan brings them back: a path that is held asks for none. */
  async function hasDirectories(held: RelPath, path: RelPath): Promise<boolean> {
    for (const directory of [...ancestorsOf(path)].reverse()) {
      const above = store.row(directory);
      const isLeftOut = above?.outOfScope === 'directory-of-out-of-scope';
      if (above?.outOfScope === null && above.local?.kind === 'directory') continue;
      if (above !== undefined && !isLeftOut && (above.outOfScope !== null || above.local !== null)) {
        context.fail(
          held,
          `${directory} is no folder here: move or rename what is there, and this file can be put in place`,
        );
        return false;
      }
      if (isLeftOut) store.setOutOfScope(directory, null);
      const made = await journal.replace({
        path: directory,
        before: null,
        incoming: { kind: 'directory' },
        // Made here: the room gets it, or has it as well.
        base: null,
        reason: 'replaced',
      });
      if (placed(held, directory, made) === null) return false;
    }
    return true;
  }

  async function stageOne(held: RelPath, path: RelPath, entry: FileEntry): Promise<string | null> {
    let stagedName: string | null = null;
    await contents.stage([{ path, content: entry.content }], context.session(), {
      flush: true,
      signal: context.signal,
      onStaged: (staged) => {
        stagedName = staged.stagedName;
      },
      onProgress: () => {},
      onFailed: (_path, problem) => context.fail(held, problemOf(problem)),
    });
    return stagedName;
  }

  function placed(held: RelPath, path: RelPath, outcome: Outcome): LocalEntry | null {
    if (outcome.kind === 'done') return outcome.local;
    if (outcome.kind === 'problem') context.fail(held, outcome);
    context.markDirty(path, false);
    return null;
  }

  return { write, take, bringBack };
}
