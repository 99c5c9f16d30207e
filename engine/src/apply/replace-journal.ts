/**
 * The only way by which something at a path of the folder is replaced or removed: no other module calls the folder's
 * replacing operations. One protocol, whoever asks for the change:
 *
 *    intent committed → old thing moved aside, new one in its place → directories flushed
 *                     → trash note, base and local committed, and the intent forgotten with them
 *
 * So a process that ends at any moment leaves the old version or the new one, and an intent that tells which: `settle` finds
 * it. That something is missing proves nothing, neither of the path nor of what was staged, because a disk may be away, and
 * somebody may empty `.driftless`: a replace counts as done when something is at the path and what it took lies in the trash, or
 * when exactly what it places is found there; a removal when what it took lies in the trash. A replace that fails puts back what it moved aside
 * before its intent is forgotten; where that cannot be done now, or the disk is away, or the directory cannot be flushed, the
 * intent stays, the path is left alone (`isUnsettled`), and the rest goes on. What lies at the path and was not expected there is
 * never replaced, and comes back if it cannot go back to its place at once. Nor is a file that has unsaved edits in an editor: for
 * whoever asks, it changed.
 *
 * Between the two moves the path is empty, for some fifty microseconds: the folder prepares everything before. A rename over the
 * old file would leave no such moment, but what somebody saves there between the last look and that rename would be
 * gone, with no name and nobody to tell of it. Only an exchange of two names by the system closes both (renameat2 on Linux,
 * renamex_np on macOS, nothing on Windows or FAT), and Node offers none. A program that finds no file for a moment tries again; a
 * lost save is lost.
 *
 * Leaves to others: what is to be replaced and why (the plan, the merge, the conflict keeper, a command), and how long
 * the trash keeps what it holds (the trash keeper).
 */
import { bytesToHex, type Digest, type Entry, type FileMode, type RelPath } from '@driftless/protocol';
import { liveEntry, sameEntry } from '../core/entry-encoding.ts';
import { modeOf } from '../core/file-mode.ts';
import { fingerprintOf, sameButChangeTime } from '../core/fingerprint.ts';
import type { LocalEntry } from '../core/local-entry.ts';
import type { Row } from '../core/row.ts';
import { atOrAbove } from '../core/tree-paths.ts';
import type { UnsavedEdits } from '../guards/unsaved-edits.ts';
import type { SteadyTime } from '../peer/steady-time.ts';
import type { Clock } from '../ports/clock.ts';
import { type Folder, FolderError, type PathProblem, type Stat, type SwapOutcome } from '../ports/folder.ts';
import type { Hashing } from '../ports/hashing.ts';
import type { Random } from '../ports/random.ts';
import type { Intent, StateStore, TrashReason } from '../ports/state-store.ts';
import { readDigest } from '../scan/read-digest.ts';
import { dressOf, expectedOf, localFileOf } from './disk-entry.ts';
import { isRecorded } from './recorded.ts';

/** Setting: `.driftless` was found emptied, so that a staged file that is missing proves nothing. Until the journal is settled. */
export const ownDirectoryEmptied = 'own-directory-emptied';

export interface Replacement {
  readonly path: RelPath;
  /** What the disk must still hold there; anything else is left alone. */
  readonly before: LocalEntry | null;
  readonly incoming: Incoming;
  /** What base becomes once it is done, whether this run or the one after a crash finds that it is. */
  readonly base: Entry | null;
  readonly reason: TrashReason;
  /** False: the local tree learns of it by the scan that follows, as of an edit. */
  readonly isRecorded?: boolean;
  /** Further writes of the transaction in which it becomes so. */
  readonly alongside?: () => void;
}

/** What comes to the path. A staged file is verified and flushed; it stays the caller's to discard unless it was put in its place. */
export type Incoming =
  | {
      readonly kind: 'file';
      readonly stagedName: string;
      readonly digest: Digest;
      readonly mode: FileMode;
      /** A new file gets the other permission bits of this one, where it is. */
      readonly like?: RelPath;
    }
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'directory' }
  | { readonly kind: 'nothing' };

export type Outcome =
  | { readonly kind: 'done'; readonly local: LocalEntry | null }
  /** Somebody else changed the path: it is as they left it and has to be looked at. */
  | { readonly kind: 'changed' }
  /** A directory that should go or give way holds something. */
  | { readonly kind: 'not-empty'; readonly isMountPoint?: true }
  | PathProblem;

/** Several replaces with one commit before the first and one flush after the last. */
export interface ReplacePass {
  /** One of the changes that the pass was opened with. Visible when this returns, believed only after `commit`. */
  replace(change: Replacement): Promise<Outcome>;
  /** Another change of the disk that is done at a path, and whose writes go with the next commit. */
  add(path: RelPath, write: () => void): void;
  /** Flushes the disk, then commits all that was done. Returns what was done and is not durable: it is settled later. */
  commit(): Promise<ReadonlyMap<RelPath, PathProblem>>;
  /** Forgets the intents of changes that were not tried: nothing of them is on the disk. */
  end(): void;
}

export interface ReplaceJournal {
  /** One change, flushed and committed when this returns `done`. */
  replace(change: Replacement): Promise<Outcome>;
  open(changes: readonly Replacement[]): Promise<ReplacePass>;
  /** After another change of the disk, perhaps of a run before. What it did is unsettled where its directory cannot be flushed. */
  flush(paths: readonly RelPath[], options?: { readonly ofEarlierRun: boolean }): Promise<PathProblem | null>;
  /** A replace of this run was cut by an error, or is not durable: `settle` must come before anything is believed of the disk. */
  readonly isCut: boolean;
  /** Finishes or undoes what was cut, by a crash or an error. */
  settle(): Promise<Settlement>;
  /**
   * What was done here, or to a directory above, was cut and can be neither finished nor undone now, or would not survive a power
   * cut: nothing follows from what the disk shows.
   */
  isUnsettled(path: RelPath): boolean;
  readonly hasUnsettled: boolean;
}

export interface Settlement {
  /** To be looked at. */
  readonly settled: readonly RelPath[];
  /** To be settled later, and why; null: the disk is away, which is said by itself. */
  readonly unsettled: readonly { readonly path: RelPath; readonly problem: PathProblem | null }[];
}

/** What became of one intent. `lost`: neither the old version nor the new one is anywhere on this disk. */
type Settled = 'done' | 'undone' | 'lost' | 'away' | PathProblem;
/** `bytes`: only they tell, for staged files may be gone otherwise than by a replace. */
type Proof = 'names' | 'bytes';

export function createReplaceJournal(parts: {
  readonly folder: Folder;
  readonly store: StateStore;
  readonly clock: Clock;
  readonly steadyTime: SteadyTime;
  readonly random: Random;
  readonly hashing: Hashing;
  readonly pause: () => Promise<void>;
  /** The disk that a path lies on is not mounted now, or it is not known yet whether it is the right one. */
  readonly isOutOfReach: (path: RelPath) => Promise<boolean>;
  readonly unsaved: Pick<UnsavedEdits, 'has' | 'replaced'>;
}): ReplaceJournal {
  const { folder, store, clock, steadyTime, random, hashing, pause, isOutOfReach, unsaved } = parts;
  let isCut = false;
  /** Why; null: the disk is away. */
  const unsettled = new Map<RelPath, PathProblem | null>();

  async function replace(change: Replacement): Promise<Outcome> {
    const pass = await open([change]);
    const outcome = await pass.replace(change);
    return (await pass.commit()).get(change.path) ?? outcome;
  }

  async function open(changes: readonly Replacement[]): Promise<ReplacePass> {
    const intents = new Map<RelPath, Intent>();
    for (const change of changes) if (needsIntent(change)) intents.set(change.path, intentOf(change));
    // Known here: an intent of the same path is of a run before, and its aside name would be forgotten with it.
    const earlier = store.intents().filter(({ path }) => intents.has(path));
    if (earlier.length > 0) await settleAll(earlier, 'bytes');
    for (const path of intents.keys()) if (isUnsettled(path)) intents.delete(path);
    if (intents.size > 0)
      store.transaction(() => {
        for (const intent of intents.values()) store.putIntent(intent);
      });
    // A power cut may take the newest commits of the store and leave the disk's. What the room brings is brought again; where
    // base and room are equal, a path that is moved aside and forgotten would be taken for the user's deletion.
    if (changes.some(({ path, before }) => before !== null && isAtRest(store.row(path)))) store.flush();

    let writes: { readonly path: RelPath; readonly write: () => void; readonly replaced?: Incoming }[] = [];
    return {
      replace: (change) =>
        markingCuts(async () => {
          const cut = atOrAbove(change.path, unsettled);
          if (cut !== undefined) return cut ?? diskAway(change.path);
          const intent = intents.get(change.path) ?? null;
          const outcome = await carryOut(change, intent);
          if (outcome.kind !== 'done') {
            await refused(change, intent, outcome);
            intents.delete(change.path);
            return outcome.kind === 'changed' ? { kind: 'changed' } : outcome;
          }
          const local = localAfter(change.incoming, outcome.stat);
          const write = (): void => {
            if (outcome.asideName !== null) note(change.path, change.before, outcome.asideName, change.reason);
            if (intent !== null) store.deleteIntent(change.path);
            moveBase(change.path, change.base);
            if (change.isRecorded !== false) store.setLocal(change.path, local);
            store.setProblem(change.path, null);
            change.alongside?.();
          };
          writes.push({ path: change.path, write, replaced: change.incoming });
          intents.delete(change.path);
          return { kind: 'done', local };
        }),
      add: (path, write) => {
        writes.push({ path, write });
      },
      commit: () =>
        markingCuts(async () => {
          const notDurable = new Map<RelPath, PathProblem>();
          if (writes.length === 0) return notDurable;
          // Flushed before base: what the state store believes applied must survive a power cut.
          const unflushed = await flushAll();
          store.transaction(() => {
            for (const { path, write } of writes) {
              const problem = atOrAbove(path, unflushed);
              if (problem === undefined) write();
              else notDurable.set(path, problem);
            }
          });
          for (const { path, replaced } of writes)
            if (replaced !== undefined && !notDurable.has(path)) tellUnsaved(path, replaced);
          writes = [];
          return notDurable;
        }),
      end: () => {
        if (intents.size === 0) return;
        store.transaction(() => {
          for (const path of intents.keys()) store.deleteIntent(path);
        });
      },
    };
  }

  /**
   * What an editor has loaded may be the version that is replaced now, and it is merged by that when it is saved (rule EDIT2). A peer
   * that joined from a checkpoint, or long ago, knows from this row alone that the room had it.
   */
  function moveBase(path: RelPath, base: Entry | null): void {
    const before = store.row(path)?.base;
    if (before?.kind === 'file') store.noteHistory(path, before.content.digest);
    store.setBase(path, base);
  }

  /** An edit that began while the replace was under way asked rows which did not know of it yet. */
  function tellUnsaved(path: RelPath, placed: Incoming | Intent['places']): void {
    if (placed.kind === 'file') unsaved.replaced(path, placed.digest);
  }

  async function flush(
    paths: readonly RelPath[],
    options?: { readonly ofEarlierRun: boolean },
  ): Promise<PathProblem | null> {
    const unflushed = await flushAll(options?.ofEarlierRun === true ? paths : []);
    for (const path of paths) {
      const problem = atOrAbove(path, unflushed);
      if (problem !== undefined) return problem;
    }
    return null;
  }

  /**
   * A directory that cannot be flushed is a problem of what was done in it: nothing is believed of that, and the rest goes on. It may
   * have been a moment's, so the next turn settles it before it looks at anything; after that it is asked for now and then.
   */
  async function flushAll(ofEarlierRun: Iterable<RelPath> = []): Promise<ReadonlyMap<RelPath, PathProblem>> {
    const unflushed = await folder.flushDirectories(ofEarlierRun);
    for (const [path, problem] of unflushed) {
      isCut ||= !unsettled.has(path);
      unsettled.set(path, problem);
    }
    return unflushed;
  }

  const isUnsettled = (path: RelPath): boolean => atOrAbove(path, unsettled) !== undefined;

  async function markingCuts<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    try {
      return await work();
    } catch (error) {
      isCut = true;
      throw error;
    }
  }

  const intentOf = ({ path, before, incoming, base, reason }: Replacement): Intent => ({
    path,
    before,
    places: placesOf(incoming),
    base,
    reason,
    stagedName: incoming.kind === 'file' ? incoming.stagedName : null,
    asideName: bytesToHex(random.bytes(12)),
  });

  const placesOf = (incoming: Incoming): Intent['places'] => {
    switch (incoming.kind) {
      case 'file':
        return { kind: 'file', mode: modeOf(incoming.mode), digest: incoming.digest };
      case 'symlink':
        return { kind: 'symlink', target: incoming.target };
      case 'directory':
      case 'nothing':
        return { kind: incoming.kind };
    }
  };

  async function carryOut(change: Replacement, intent: Intent | null): Promise<SwapOutcome> {
    const { path, before, incoming } = change;
    if (unsaved.has(path)) return { kind: 'changed' };
    const expected = expectedOf(before);
    const nothingDone: SwapOutcome = { kind: 'done', stat: null, asideName: null };
    if (intent === null) {
      if (incoming.kind === 'directory') return before === null ? folder.makeDirectory(path) : nothingDone;
      return before === null ? nothingDone : folder.removeDirectory(path);
    }
    const { asideName } = intent;
    if (incoming.kind === 'nothing') return folder.removeFile({ path, asideName, expected });
    if (incoming.kind === 'directory') {
      const removed = await folder.removeFile({ path, asideName, expected });
      if (removed.kind !== 'done') return removed;
      const made = await folder.makeDirectory(path);
      // What took the free place keeps it; the file that gave way for the directory is still in the trash.
      if (made.kind === 'changed') return { kind: 'changed', asideName };
      return made.kind === 'done' ? { ...made, asideName: removed.asideName } : made;
    }
    let stillExpected = expected;
    if (before?.kind === 'directory') {
      const removed = await folder.removeDirectory(path);
      if (removed.kind !== 'done') return removed;
      stillExpected = null;
    }
    return incoming.kind === 'symlink'
      ? folder.makeSymlink({ path, target: incoming.target, asideName, expected: stillExpected })
      : folder.swapIn({
          path,
          stagedName: incoming.stagedName,
          asideName,
          expected: stillExpected,
          dress: dressOf(path, { ...incoming, before }),
        });
  }

  function localAfter(incoming: Incoming, stat: Stat | null): LocalEntry | null {
    switch (incoming.kind) {
      case 'nothing':
        return null;
      case 'directory':
        return { kind: 'directory' };
      case 'symlink':
        return { kind: 'symlink', target: incoming.target };
      case 'file':
        return stat === null ? null : localFileOf(stat, { ...incoming, traits: folder.traits }, clock.nowMs());
    }
  }

  /** A failed replace may have left the path empty: what was moved aside is back before its intent is forgotten. */
  async function refused(
    change: Replacement,
    intent: Intent | null,
    outcome: Exclude<SwapOutcome, { kind: 'done' }>,
  ): Promise<void> {
    if (intent === null) return;
    if (outcome.kind === 'problem') {
      await settleAll([intent], 'bytes');
      return;
    }
    store.transaction(() => {
      if (outcome.kind === 'changed' && outcome.asideName !== undefined)
        note(change.path, change.before, outcome.asideName, 'displaced');
      store.deleteIntent(change.path);
    });
  }

  // ── after a crash ─────────────────────────────────────────────────────────────────────────────────────────────────

  async function settle(): Promise<Settlement> {
    const intents = store.intents();
    const begun = new Set([...unsettled.keys(), ...intents.map(({ path }) => path)]);
    unsettled.clear();
    const isEmptied = store.setting(ownDirectoryEmptied) !== undefined;
    await settleAll(intents, isEmptied ? 'bytes' : 'names', { ofEarlierRun: true });
    const settled = [...begun].filter((path) => !isUnsettled(path));
    // What hindered settling is over. A replace of this run that failed keeps its problem: its pauses grow from try to try.
    if (settled.length > 0)
      store.transaction(() => {
        for (const path of settled) store.setProblem(path, null);
      });
    if (isEmptied && unsettled.size === 0) store.setSetting(ownDirectoryEmptied, null);
    isCut = false;
    return {
      settled,
      unsettled: [...unsettled].map(([path, problem]) => ({ path, problem })),
    };
  }

  /** However much lies in the trash: a replace that fails asks about its own item alone. */
  async function settleAll(
    intents: readonly Intent[],
    by: Proof,
    { ofEarlierRun = false }: { readonly ofEarlierRun?: boolean } = {},
  ): Promise<void> {
    const settled = new Map<Intent, { readonly outcome: 'done' | 'undone' | 'lost'; readonly isInTrash: boolean }>();
    for (const intent of intents) {
      const { path, asideName } = intent;
      const outcome = await settleOne(intent, by);
      if (typeof outcome !== 'string') unsettled.set(path, outcome);
      else if (outcome === 'away') unsettled.set(path, null);
      else {
        unsettled.delete(path);
        settled.set(intent, { outcome, isInTrash: (await folder.statTrash(asideName)) !== null });
      }
    }
    const unflushed = await flushAll(ofEarlierRun ? [...settled.keys()].map(({ path }) => path) : []);
    store.transaction(() => {
      for (const [intent, { outcome, isInTrash }] of settled) {
        const { path, before, places, base, asideName, reason } = intent;
        if (atOrAbove(path, unflushed) !== undefined) continue;
        const isDone = outcome === 'done';
        if (isInTrash) note(path, before, asideName, isDone ? reason : 'displaced');
        if (isDone) moveBase(path, base);
        // The scan that follows must not take what was placed for an editor's replace, which would keep the old flag.
        if (isDone && before?.kind === 'file' && places.kind === 'file')
          store.setLocal(path, { ...before, ...places.mode, openToOthers: !places.mode.private });
        // Where base and room are equal the empty path would be taken for its user's deletion: so the room's version comes back.
        if (outcome === 'lost' && isAtRest(store.row(path))) store.setBase(path, null);
        store.deleteIntent(path);
      }
    });
    for (const [{ path, places }, { outcome }] of settled)
      if (outcome === 'done' && atOrAbove(path, unflushed) === undefined) tellUnsaved(path, places);
  }

  async function settleOne(intent: Intent, by: Proof): Promise<Settled> {
    try {
      return (await isOutOfReach(intent.path)) ? 'away' : await settleHere(intent, by);
    } catch (error) {
      // One path that cannot be settled is a problem of that path (M8).
      if (error instanceof FolderError) return error.problem;
      throw error;
    }
  }

  /** Whether the replace happened. If it did not, the path is as it was, or as somebody else left it meanwhile. */
  async function settleHere(intent: Intent, by: Proof): Promise<Settled> {
    const { path, places, stagedName, asideName } = intent;
    if (stagedName !== null) {
      const settled = await folder.settleSwap({ path, stagedName, asideName });
      if (settled !== 'gone') return settled;
    }
    const stat = await folder.stat(path);
    if (stat?.kind === 'problem') return stat;
    const aside = await folder.statTrash(asideName);
    if (aside?.kind === 'problem') return aside;
    if (stat !== null) return (await isPlaced(intent, stat, { aside, by })) ? 'done' : 'undone';
    if (places.kind === 'nothing' && isAsideAsBefore(intent, aside)) return 'done';
    // Moved aside, and nothing came in its place; or what was moved aside was not what should go.
    return putBack(intent, aside);
  }

  /** Something is at the path, and nothing staged is left. Its user may have gone on with what was placed. */
  async function isPlaced(intent: Intent, stat: Stat, { aside, by }: Evidence): Promise<boolean> {
    const { path, places, before } = intent;
    switch (places.kind) {
      case 'nothing':
        return false;
      case 'directory':
        return stat.kind === 'directory';
      case 'symlink':
        return (await folder.readLink(path)) === places.target;
      case 'file': {
        if (before?.kind === 'file' && isFileAs(stat, before)) return false;
        const tookNothing = before === null || before.kind === 'directory';
        if (aside !== null || (tookNothing && by === 'names')) return true;
        return (await digestAt(path)) === places.digest;
      }
    }
  }

  /** null: no file, or one that is being written at this moment. Errors: FolderError. */
  async function digestAt(path: RelPath): Promise<Digest | null> {
    const read = await readDigest(path, { folder, hashing, nowMs: clock.nowMs, afterPiece: pause });
    if (read.kind === 'problem' && isOfDisk(read)) throw new FolderError(read);
    return read.kind === 'read' ? read.digest : null;
  }

  async function putBack({ path, before, asideName }: Intent, aside: Stat | null): Promise<Settled> {
    if (aside === null) return before === null ? 'undone' : 'lost';
    const restored = await folder.restoreTrash({ name: asideName, path });
    return restored.kind === 'problem' && isOfDisk(restored) ? restored : 'undone';
  }

  /** Not an edit that was moved aside together with its name, in the moment before the removal would have found it out. */
  function isAsideAsBefore({ before }: Intent, aside: Stat | null): boolean {
    if (aside === null || before === null) return false;
    return before.kind === 'file' ? isFileAs(aside, before) : aside.kind === before.kind;
  }

  const isFileAs = (stat: Stat, before: Extract<LocalEntry, { kind: 'file' }>): boolean =>
    stat.kind === 'file' && sameButChangeTime(fingerprintOf(stat), before.fingerprint);

  // ── trash ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Bytes that are in no record are kept. Called before the base moves.
   * No stamps are noted: moving aside changed one of them, and an open handle needs no other to write.
   */
  function note(path: RelPath, before: LocalEntry | null, name: string, reason: TrashReason): void {
    const digest = before?.kind === 'file' ? before.digest : null;
    const inRecord = digest === null || isRecorded(store, path, digest);
    store.putTrash({ name, path, digest, fingerprint: '', inRecord, reason, atMs: steadyTime.nowMs() });
  }

  return {
    replace,
    open,
    flush,
    get isCut() {
      return isCut;
    },
    settle,
    isUnsettled,
    get hasUnsettled() {
      return unsettled.size > 0;
    },
  };
}

interface Evidence {
  /** What was moved aside. */
  readonly aside: Stat | null;
  readonly by: Proof;
}

/** The disk's own refusal may be over later; a path that is none any more, because its user made a file of its directory, is not. */
const isOfDisk = ({ code }: PathProblem): boolean => /^E[A-Z0-9]+$/.test(code);

const diskAway = (path: RelPath): PathProblem => ({
  kind: 'problem',
  code: 'disk-away',
  reason: `Cannot change "${path}": the disk that it lies on is not mounted.`,
  diskFull: false,
});

/** Directories are made and removed without an intent: both are safe to repeat. */
function needsIntent({ before, incoming }: Replacement): boolean {
  if (incoming.kind === 'directory') return before !== null && before.kind !== 'directory';
  return incoming.kind !== 'nothing' || (before !== null && before.kind !== 'directory');
}

/** Base and room are equal: nothing but the journal would bring the path back. */
function isAtRest(row: Row | undefined): boolean {
  return row !== undefined && row.base !== null && sameEntry(row.base, liveEntry(row.remote));
}
