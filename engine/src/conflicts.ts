/**
 * Open conflicts at this peer, which are data of the room: carries out what a person chose, or the policy, for the
 * paths that are held, and notices what others resolved. What a choice means is core/resolution.ts; copies are written to
 * the disk first and published, with the resolve, in one record (rule LOG6).
 */
import type { Entry, RelPath, Variant } from '@driftless/protocol';
import { dressFile } from './apply/modes.ts';
import { createConflictCopies } from './conflicts/copies.ts';
import { isRetryDue } from './core/backoff.ts';
import { liveEntry, sameEntry, sameLocal } from './core/entry-encoding.ts';
import { mergedMode, modeOfFile, sameMode } from './core/file-mode.ts';
import type { LocalEntry } from './core/local-entry.ts';
import type { PublishStep } from './core/plan.ts';
import { type ResolutionStep, resolveByChoice, resolveByPolicy } from './core/resolution.ts';
import type { Row } from './core/row.ts';
import { parentPath } from './core/tree-paths.ts';
import type { PeerContext } from './peer-context.ts';
import type { ExtraChange } from './publish.ts';

/** Resolutions that go into one record. */
const resolutionsPerRecordMax = 200;

/** What one conflict needs: its steps and its close go out together or not at all (rule LOG6). */
export interface ConflictWork {
  readonly steps: readonly PublishStep[];
  readonly extra: readonly ExtraChange[];
}

export interface ConflictKeeper {
  /**
   * What is to be published for held paths now; disk work of it is done already. Paths that are not `settled` wait for their scan;
   * while `isDeletionOpen`, those that are gone here wait with all else that went.
   */
  settle(look: {
    readonly settled: (path: RelPath) => boolean;
    readonly isDeletionOpen: () => boolean;
  }): Promise<readonly ConflictWork[]>;
  /** Variants of this device that no hold of it belongs to any more: closed by `settle` too. */
  hasOrphans(): boolean;
  /** The variant that this disk holds at a path, if it holds one. */
  ownVariant(row: Row): Variant | undefined;
}

export function createConflictKeeper(context: PeerContext): ConflictKeeper {
  const { parts } = context;
  const copies = createConflictCopies(context);
  const { folder, store, clock } = parts;

  const ownVariant = (row: Row): Variant | undefined => {
    const variants = store.variants(row.path);
    // An answer was given for what the disk held then: while it is carried out the disk may hold another side already.
    if (row.hold?.variant != null || row.hold?.choice != null)
      return variants.find((variant) => variant.id === row.hold?.variant);
    return variants.find((variant) => sameLocal(row.local, variant.entry, folder.traits));
  };

  async function settle({
    settled,
    isDeletionOpen,
  }: Parameters<ConflictKeeper['settle']>[0]): Promise<readonly ConflictWork[]> {
    const found: ConflictWork[] = [];
    // What was brought back into a directory that the room has no more: by the plan the directory goes into the room, and first.
    const add = (path: RelPath, work: ConflictWork | null): void => {
      if (work !== null && (work.steps.length === 0 || isDirectoryInRoom(path))) found.push(work);
    };
    // Asked once: a disk that is held may hold very many files.
    let isOpen: boolean | undefined;
    const mayBeAskedAbout = (): boolean => {
      isOpen ??= isDeletionOpen();
      return isOpen;
    };
    for (const row of store.heldRows()) {
      // What this machine cannot see now says nothing about what its user decided.
      if (
        row.outOfScope !== null ||
        !settled(row.path) ||
        context.journal.isUnsettled(row.path) ||
        (row.problem !== null && !isRetryDue(row.problem, clock.nowMs()))
      )
        continue;
      if (found.length >= resolutionsPerRecordMax) break;
      // It may have gone with a deletion that nobody meant: its user decides about all of that at once, or about this one by name.
      if (row.local === null && !row.declined && row.hold?.choice === null && mayBeAskedAbout()) continue;
      add(row.path, await settleOne(row));
      await context.pause();
    }
    for (const variant of orphans()) {
      if (!settled(variant.path) || found.length >= resolutionsPerRecordMax) break;
      add(variant.path, await settleOrphan(variant));
      await context.pause();
    }
    return found;
  }

  function isDirectoryInRoom(path: RelPath): boolean {
    const parent = parentPath(path);
    return parent === undefined || liveEntry(store.manifest.slot(parent))?.kind === 'directory';
  }

  /**
   * Nobody but its author closes a variant unasked, and the author forgot it: its file made way for a directory, or its state
   * was lost. A disk that holds its content at the path finds the same conflict again by itself.
   */
  function orphans(): Variant[] {
    return store.openVariants().filter(({ path, device, entry }) => {
      if (device !== parts.device.device) return false;
      const row = store.row(path);
      if (row?.hold != null || row?.outOfScope != null) return false;
      if (sameLocal(row?.local ?? null, entry, folder.traits)) return sameEntry(liveEntry(row?.remote ?? null), entry);
      return parts.policy !== 'ask' || isInFolder(entry);
    });
  }
  const isInFolder = (entry: Entry): boolean =>
    entry.kind === 'file' && store.localFilesByDigest(entry.content.digest, 1).length > 0;

  async function settleOrphan(variant: Variant): Promise<ConflictWork | null> {
    const { path, id, entry } = variant;
    const steps: PublishStep[] = [];
    if (!isInFolder(entry) && !sameEntry(liveEntry(store.manifest.slot(path)), entry)) {
      const copy = await copies.write(path, variant);
      if (copy === null) return null;
      if (copy !== 'there') steps.push(copy);
    }
    return { steps, extra: [closeOf(path, [id])] };
  }

  const closeOf = (path: RelPath, variants: readonly Variant['id'][]): ExtraChange => ({
    change: { kind: 'resolve', path, variants },
    outcome: [],
  });

  async function settleOne(row: Row): Promise<ConflictWork | null> {
    const { path, hold } = row;
    if (hold === null) return null;
    const variants = store.variants(path);
    if (await followMode(row)) return null;
    const own = ownVariant(row);
    if (own === undefined && (hold.variant !== null || variants.length === 0)) {
      release(row);
      return null;
    }
    const isAnsweredWhileGone = row.local === null && hold.choice !== null;
    if (own !== undefined && row.local === null && (isAnsweredWhileGone ? hold.choice !== 'theirs' : row.declined)) {
      // Its deletion was declined, or its side is to stay: the conflict is as it was before the file went.
      await copies.bringBack(row, own);
      return null;
    }
    if (own !== undefined && !isAnsweredWhileGone && !sameLocal(row.local, own.entry, folder.traits))
      return movedOn(row, own);
    // Edited here since the room had it: into the room first, so that no answer replaces the only copy.
    if (own === undefined && !isInRoom(row, variants)) {
      if (sameEntry(liveEntry(row.remote), row.base))
        return {
          steps: [{ kind: 'publish', path, local: row.local, remote: row.remote, revives: false }],
          extra: [],
        };
      store.setHold(path, null);
      return null;
    }
    const input = {
      variants,
      ownVariant: own?.id ?? null,
      remote: liveEntry(row.remote),
      remoteMtimeMs: row.remoteMtimeMs,
    };
    const plan = hold.choice === null ? resolveByPolicy(input, parts.policy) : resolveByChoice(input, hold.choice);
    return plan.length > 0 ? carryOut(row, plan) : null;
  }

  /** The mode is no part of the conflict: a held file gets what the room agrees on, before anything else. True: it changed. */
  async function followMode(row: Row): Promise<boolean> {
    const { base, local } = row;
    const remote = liveEntry(row.remote);
    if (local?.kind !== 'file' || remote?.kind !== 'file' || !folder.traits.holdsModes) return false;
    const mode = mergedMode(modeOfFile(base), local, remote);
    if (sameMode(mode, local)) return false;
    const write = await dressFile(context, row, mode);
    if (write === null) return true;
    const problem = await context.journal.flush([row.path]);
    if (problem === null) store.transaction(write);
    else context.fail(row.path, problem);
    context.markDirty(row.path, false);
    return true;
  }

  const isInRoom = ({ local, base, remote }: Row, variants: readonly Variant[]): boolean =>
    local === null ||
    local.kind === 'directory' ||
    [base, liveEntry(remote), ...variants.map(({ entry }) => entry)].some((entry) =>
      sameLocal(local, entry, folder.traits),
    );

  /** It was closed, or is gone with a lost log: by then the base says what the content here is to the room (closed-sides.ts). */
  function release({ path, local }: Row): void {
    store.transaction(() => {
      store.setHold(path, null);
      store.setProblem(path, null);
      if (local === null) store.setBase(path, null);
    });
    parts.onEvent({ event: 'resolved', path });
  }

  /** The held file changed since its variant was published. */
  function movedOn(row: Row, own: Variant): ConflictWork {
    const { path, local } = row;
    const isSettled =
      local === null || sameLocal(local, liveEntry(row.remote), folder.traits) || local.kind === 'directory';
    // Equal to the room's entry by the user's own hand, or gone, and then the room's entry comes: `release` ends the hold.
    const steps: PublishStep[] = isSettled ? [] : [{ kind: 'conflict', path, reason: 'overlap', row }];
    return { steps, extra: [closeOf(path, [own.id])] };
  }

  /** null: what it has to put on the disk could not be put there now. */
  async function carryOut(row: Row, plan: readonly ResolutionStep[]): Promise<ConflictWork | null> {
    const { path } = row;
    const steps: PublishStep[] = [];
    const extra: ExtraChange[] = [];
    let local: LocalEntry | null = row.local;
    for (const step of plan) {
      switch (step.kind) {
        case 'write-copy': {
          const copy = await copies.write(path, step.variant);
          if (copy === null) return null;
          if (copy !== 'there') steps.push(copy);
          break;
        }
        case 'take-variant': {
          // Placed in an earlier turn, when its directory was not in the room yet.
          const isThere = sameLocal(row.local, step.variant.entry, folder.traits);
          const taken = isThere ? row.local : await copies.take(row, step.variant);
          if (taken === null) return null;
          local = taken;
          break;
        }
        case 'take-remote':
          // Follows from the close: the hold ends, the content here is the base, the room's entry replaces it.
          break;
        case 'publish-local':
          steps.push({ kind: 'publish', path, local, remote: row.remote, revives: false });
          break;
        case 'close':
          extra.push(closeOf(path, step.variants));
          break;
      }
    }
    return { steps, extra };
  }

  return {
    settle,
    hasOrphans: () => orphans().length > 0,
    ownVariant,
  };
}
