/**
 * Renames on this disk: of what the room moved, so that it need not be fetched and edits made here go along, and of a file
 * that makes way for a directory. A disk may refuse a rename that another allows: a mount point, a directory that may not be
 * written, one in which a program has a file open, one of a lower layer of an overlay. Whatever it says, a directory's entries then move one by one, each
 * with its own answer; a file that must go to another disk (EXDEV) moves as a copy and a removal.
 *
 * Known at every moment, also after a crash: a file is under its old name, under its new one, or under both; never under none. Where a
 * rename failed, plan-rows.ts sees to that: the old name goes last.
 */
import { bytesToHex, type Entry, type RelPath } from '@driftless/protocol';
import { isRetryDue } from '../core/backoff.ts';
import { conflictName } from '../core/conflict-name.ts';
import { modeOf } from '../core/file-mode.ts';
import { fingerprintOf } from '../core/fingerprint.ts';
import { leafDigest } from '../core/leaf-digest.ts';
import type { LocalEntry } from '../core/local-entry.ts';
import type { ApplyMove, MoveAside } from '../core/plan.ts';
import type { Row } from '../core/row.ts';
import type { PeerContext } from '../peer-context.ts';
import { FolderError, type PathProblem, type Stat, type SwapOutcome } from '../ports/folder.ts';
import { expectedOf, localFileOf } from './disk-entry.ts';

export interface Mover {
  /** False: it stayed where it was, wholly or in part; what is left is looked at again. */
  applyMove(step: ApplyMove, signal: AbortSignal): Promise<boolean>;
  moveAside(step: MoveAside): Promise<void>;
  /** After a crash, and for what could not be settled since: the trees follow a rename that the disk has and they have not. */
  settle(): Promise<void>;
  readonly hasUnsettled: boolean;
}

/** Setting: renames that are about to happen, or whose end is not certain yet (rule INTENT). */
const movesUnderWay = 'move-under-way';
type LocalFile = Extract<LocalEntry, { kind: 'file' }>;
interface Names {
  readonly fromPath: RelPath;
  readonly toPath: RelPath;
  /** The trees do not follow: what was agreed on stays with the old name. */
  readonly isAside?: true;
}
interface Move extends Names {
  /** Where the old name lies for a moment, in the trash. */
  readonly asideName: string;
}

type Renamed =
  | SwapOutcome
  /** Done, and not believed before `settle` has found it durable. */
  | { readonly kind: 'not-durable'; readonly problem: PathProblem };

const isOfAnotherDisk = (outcome: Renamed): boolean => outcome.kind === 'problem' && outcome.code === 'EXDEV';

function problemIn(outcome: Renamed): PathProblem | null {
  if (outcome.kind === 'not-durable') return outcome.problem;
  return outcome.kind === 'problem' ? outcome : null;
}

export function createMover(context: PeerContext): Mover {
  const { journal, parts, contents } = context;
  const { folder, store, clock, random, hashing } = parts;

  /** More than one where an earlier one cannot be settled yet. An earlier version wrote one alone. */
  const underWay = (): readonly Move[] => [JSON.parse(store.setting(movesUnderWay) ?? '[]') as Move | Move[]].flat();
  const setUnderWay = (moves: readonly Move[]): void =>
    store.setSetting(movesUnderWay, moves.length === 0 ? null : JSON.stringify(moves));
  const end = (move: Move): void => setUnderWay(underWay().filter(({ asideName }) => asideName !== move.asideName));
  function begin(names: Names): Move {
    const move = { ...names, asideName: bytesToHex(random.bytes(12)) };
    setUnderWay([...underWay(), move]);
    return move;
  }

  async function applyMove(step: ApplyMove, signal: AbortSignal): Promise<boolean> {
    const names: Names = { fromPath: step.fromPath, toPath: step.toPath };
    const row = store.row(step.fromPath);
    if (row === undefined || row.local === null) return false;
    const outcome = await renameWithTrees(names, row.local);
    if (row.local.kind === 'directory' && outcome.kind === 'problem') return moveEntries(names, row, signal);
    return concluded(names, row.local, outcome);
  }

  /** Base follows: what was agreed on under the old name is agreed on under the new one. */
  function renameWithTrees(names: Names, local: LocalEntry): Promise<Renamed> {
    const { toPath } = names;
    return rename(names, local, (stat) => {
      moveTrees(names);
      if (stat === null || local.kind !== 'file') return;
      const seen = { digest: local.digest, mode: local, traits: folder.traits, wasRacy: local.racy };
      store.setLocal(toPath, localFileOf(stat, seen, clock.nowMs()));
    });
  }

  function moveTrees({ fromPath, toPath }: Names): void {
    store.moveLocalAndBase(fromPath, toPath);
    context.moved(fromPath, toPath);
  }

  /** Journaled until `follow` is committed with its end, or nothing was done. */
  async function rename(names: Names, local: LocalEntry, follow: (stat: Stat | null) => void): Promise<Renamed> {
    const { fromPath, toPath } = names;
    const move = begin(names);
    const expected = expectedOf(local);
    const outcome = await folder.rename({ fromPath, toPath, asideName: move.asideName, expected });
    if (outcome.kind !== 'done') {
      end(move);
      return outcome;
    }
    // Done and not durable: what the trees believe must survive a power cut, so `settle` goes on from here.
    const problem = await journal.flush([fromPath, toPath]);
    if (problem !== null) return { kind: 'not-durable', problem };
    store.transaction(() => {
      end(move);
      follow(outcome.stat);
    });
    return outcome;
  }

  /** A file that cannot be renamed is copied. */
  async function concluded(names: Names, local: LocalEntry, outcome: Renamed): Promise<boolean> {
    const { fromPath, toPath } = names;
    if (local.kind === 'file' && isOfAnotherDisk(outcome)) return moveByCopy(names, local);
    context.markDirty(toPath, true);
    if (outcome.kind === 'done') return true;
    context.markDirty(fromPath, true);
    const problem = problemIn(outcome);
    if (problem !== null) context.fail(fromPath, problem);
    return false;
  }

  /**
   * What is out of scope, on a disk that is held, or open in an editor stays, and keeps its directory; empty ones are removed by the
   * next round, as the room has it.
   */
  async function moveEntries({ fromPath, toPath }: Names, row: Row, signal: AbortSignal): Promise<boolean> {
    let allMoved = await makeDirectory(toPath, row);
    for (const below of [...store.rowsUnder(fromPath)]) {
      signal.throwIfAborted();
      if (!allMoved && store.row(toPath)?.local?.kind !== 'directory') break;
      if (below.outOfScope !== null || below.local === null) continue;
      const names: Names = {
        fromPath: below.path,
        toPath: `${toPath}${below.path.slice(fromPath.length)}` as RelPath,
      };
      if (await mustStay(names)) {
        allMoved = false;
        continue;
      }
      const moved =
        below.local.kind === 'directory'
          ? await moveDirectoryAlone(names, below)
          : await concluded(names, below.local, await renameWithTrees(names, below.local));
      allMoved &&= moved;
      await context.pause();
    }
    context.markDirty(fromPath, true);
    return allMoved;
  }

  /** A whole directory takes a disk along, held or not; one entry alone would leave it. */
  async function mustStay({ fromPath, toPath }: Names): Promise<boolean> {
    if (context.unsaved.isAround(fromPath) || context.unsaved.isAround(toPath)) return true;
    return (await context.isOutOfReach(fromPath)) || (await context.isOutOfReach(toPath));
  }

  /** One that was only made here goes with the rest: as if the room had known and deleted it. */
  async function moveDirectoryAlone({ fromPath, toPath }: Names, row: Row): Promise<boolean> {
    const isMade = await makeDirectory(toPath, row);
    if (isMade && row.base === null && row.remote === null) store.setBase(fromPath, { kind: 'directory' });
    return isMade;
  }

  async function makeDirectory(path: RelPath, from: Row): Promise<boolean> {
    const outcome = await journal.replace({
      path,
      before: null,
      incoming: { kind: 'directory' },
      base: from.base,
      reason: 'replaced',
    });
    if (outcome.kind === 'problem') context.fail(path, outcome);
    if (outcome.kind !== 'done') context.markDirty(path, true);
    return outcome.kind === 'done';
  }

  /** Two replaces, each whole in itself: the new name first. */
  async function moveByCopy(names: Names, local: LocalFile): Promise<boolean> {
    const { fromPath, toPath } = names;
    const stagedName = bytesToHex(random.bytes(8));
    const base = store.row(fromPath)?.base ?? null;
    const move = begin(names);
    const copied = await contents.stageCopy({ path: fromPath, name: stagedName, near: toPath, bytes: local.size });
    try {
      if (copied.kind === 'problem') context.fail(fromPath, copied);
      if (copied.kind === 'copied' && copied.digest === local.digest) {
        const made = await journal.replace({
          path: toPath,
          before: null,
          incoming: { kind: 'file', stagedName, digest: local.digest, mode: modeOf(local), like: fromPath },
          base: names.isAside === true ? null : base,
          reason: 'replaced',
        });
        if (made.kind === 'problem') context.fail(fromPath, made);
        if (made.kind === 'done') return await removeOld(move, local, base);
      }
      context.markDirty(fromPath, false);
      context.markDirty(toPath, false);
      return false;
    } finally {
      if (!journal.isCut) {
        end(move);
        await folder.discardStaged(stagedName);
      }
    }
  }

  /** Until it is over base stays with the old name too: `settle` moves it along as after any rename. */
  async function removeOld(move: Move, local: LocalFile, base: Entry | null): Promise<boolean> {
    const { fromPath, toPath } = move;
    const removed = await journal.replace({
      path: fromPath,
      before: local,
      incoming: { kind: 'nothing' },
      base,
      reason: 'replaced',
      alongside: () => {
        end(move);
        if (move.isAside !== true) store.setBase(fromPath, null);
      },
    });
    if (removed.kind === 'problem') context.fail(fromPath, removed);
    context.markDirty(fromPath, false);
    context.markDirty(toPath, false);
    return removed.kind === 'done';
  }

  /** A local file makes way for the room's directory: an ordinary rename, found again by the scan under both names. */
  async function moveAside(step: MoveAside): Promise<void> {
    const row = store.row(step.path);
    const local = row?.local ?? null;
    if (local === null || local.kind === 'directory') return;
    // What is to come below a held file asks for it, and is not what failed.
    if (row?.problem != null && !isRetryDue(row.problem, clock.nowMs())) return;
    const toPath = conflictName({
      path: step.path,
      peerName: parts.deviceName,
      timeMs: clock.nowMs(),
      digest: leafDigest(local, hashing.sha256),
      taken: (path) => store.row(path)?.local != null || store.manifest.slot(path) !== null,
      traits: folder.traits,
      sha256: hashing.sha256,
    });
    const names: Names = { fromPath: step.path, toPath, isAside: true };
    const outcome = await rename(names, local, () => {});
    const isCopied = isOfAnotherDisk(outcome) && local.kind === 'file' && (await moveByCopy(names, local));
    const problem = isOfAnotherDisk(outcome) ? null : problemIn(outcome);
    if (problem !== null) context.fail(step.path, problem);
    if (outcome.kind === 'done' || isCopied) {
      store.setHold(step.path, null);
      parts.onEvent({
        event: 'note',
        path: step.path,
        note: `the file makes way for a directory and is now ${toPath}`,
      });
    }
    context.markDirty(step.path, false);
    context.markDirty(toPath, false);
  }

  // ── after a crash ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Each by itself: one whose disk is away or refuses waits, and holds up no other. */
  async function settle(): Promise<void> {
    for (const move of underWay()) {
      // A path that is missing because its disk is tells nothing.
      if ((await context.isOutOfReach(move.fromPath)) || (await context.isOutOfReach(move.toPath))) continue;
      const problem = await settleOne(move);
      if (problem !== null) context.fail(move.fromPath, problem);
    }
  }

  async function settleOne(move: Move): Promise<PathProblem | null> {
    const { fromPath, toPath } = move;
    try {
      const isDone = await isMoved(move);
      await settleOldName(move);
      const problem = await journal.flush([fromPath, toPath], { ofEarlierRun: true });
      if (problem !== null) return problem;
      store.transaction(() => {
        store.setProblem(fromPath, null);
        if (isDone && move.isAside !== true) moveTrees(move);
        end(move);
      });
      context.markDirty(fromPath, true);
      context.markDirty(toPath, true);
      return null;
    } catch (error) {
      if (error instanceof FolderError) return error.problem;
      throw error;
    }
  }

  /** An old name that a rename moved aside: of the moved file itself, or of what somebody saved over it in that moment. */
  async function settleOldName({ fromPath, asideName }: Move): Promise<void> {
    const stat = await folder.statTrash(asideName);
    if (stat === null) return;
    if (stat.kind === 'problem') throw new FolderError(stat);
    if (stat.kind === 'symlink' || (stat.kind === 'file' && stat.links > 1)) return folder.discardTrash(asideName);
    const restored = await folder.restoreTrash({ name: asideName, path: fromPath });
    if (restored.kind === 'done') return;
    // The name is taken again: it comes back beside it.
    store.putTrash({
      name: asideName,
      path: fromPath,
      digest: null,
      fingerprint: '',
      inRecord: false,
      reason: 'displaced',
      atMs: context.steadyTime.nowMs(),
    });
  }

  /** Errors: FolderError. */
  async function isMoved({ fromPath, toPath, asideName }: Move): Promise<boolean> {
    const local = store.row(fromPath)?.local ?? null;
    const [from, to] = [await folder.stat(fromPath), await folder.stat(toPath)];
    for (const stat of [from, to]) if (stat?.kind === 'problem') throw new FolderError(stat);
    if (local === null || to === null) return false;
    if (from === null) return true;
    // Under both names: the new one was made, the old one not yet taken away.
    if (local.kind !== 'file' || from.kind !== 'file' || to.kind !== 'file') return false;
    if (from.inode === to.inode && from.device === to.device) {
      const expected = { kind: 'file', fingerprint: fingerprintOf(from) } as const;
      return (await folder.rename({ fromPath, toPath, asideName, expected })).kind === 'done';
    }
    // A copy, known to the trees already or not.
    const known = store.row(toPath)?.local ?? null;
    if (known !== null && !(known.kind === 'file' && known.digest === local.digest)) return false;
    if ((await digestAt(toPath)) !== local.digest) return false;
    const removed = await journal.replace({
      path: fromPath,
      before: local,
      incoming: { kind: 'nothing' },
      base: store.row(fromPath)?.base ?? null,
      reason: 'replaced',
      isRecorded: false,
    });
    return removed.kind === 'done';
  }

  async function digestAt(path: RelPath): Promise<string | null> {
    const handle = await folder.openFile(path);
    if ('kind' in handle) return null;
    try {
      const hash = hashing.createSha256();
      for (;;) {
        const bytes = await handle.read(256 * 1024);
        if (bytes.length === 0) return bytesToHex(hash.digest());
        hash.update(bytes);
        await context.pause();
      }
    } finally {
      await handle.close();
    }
  }

  return {
    applyMove,
    moveAside,
    settle,
    get hasUnsettled() {
      return store.setting(movesUnderWay) !== undefined;
    },
  };
}
