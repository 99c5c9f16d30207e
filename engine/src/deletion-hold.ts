/**
 * Holds deletions that nobody may have meant, both ways (rule LOG6; D6, F20): what this machine would send, and what it would
 * apply. How much is too much is core/guards.ts, what belongs to one burst core/deletion-guard.ts; here they are asked with what is
 * about to be done, and what is held waits among the holds until somebody answers exactly that.
 */
import type { MassDeletion, RelPath } from '@driftless/protocol';
import { createDeletionGuard, type DeletionGuard, type FileFact, type FileMove } from './core/deletion-guard.ts';
import { liveEntry } from './core/entry-encoding.ts';
import { burstMs, type DeletionVerdict, deletedFilesMax } from './core/guards.ts';
import type { WentBefore } from './core/holds.ts';
import { createDeletionBurst, deletionQuietMs } from './core/pacing/deletion-burst.ts';
import type { DiskStep, Plan, PublishStep } from './core/plan.ts';
import { stepPath } from './core/record-batches.ts';
import type { Row } from './core/row.ts';
import { shellWord } from './core/shell-word.ts';
import { isAtOrBelow, movedPath } from './core/tree-paths.ts';
import type { GitWatch } from './git-watch.ts';
import type { Holds } from './guards/holds.ts';
import { createStandingHold } from './guards/standing-hold.ts';
import { createUnaskedDeletions, type UnaskedDeletions } from './guards/unasked-deletions.ts';
import type { PeerContext } from './peer-context.ts';

/** A move that arrives as new files and later removals takes as long as its contents take on a slow link. */
const incomingReappearedMs = 10 * 60_000;
/** Named in a reason. */
const authorsShownMax = 3;

type Source = 'deletions-outgoing' | 'deletions-incoming';
/** The rows that a plan was made of, so that none is read again. */
type RowOf = (path: RelPath) => Row | undefined;

export interface DeletionHold {
  /** Whether one of the rows to plan has to do with what is held and was left out of them: then all is planned anew. */
  wakes(rows: readonly Row[], areRules: boolean): boolean;
  /** Which publish steps may go out now, and how the record says that a mass deletion was confirmed. */
  judge(
    steps: readonly PublishStep[],
    /** `inDoubt`: paths that seem gone and are not believed yet: they belong to the same burst. */
    /** `isLookDue`: what is gone may not be all that went. */
    look: { readonly inDoubt: number; readonly isLookDue: boolean; readonly rowOf: RowOf },
  ): Promise<{ readonly steps: readonly PublishStep[]; readonly massDeletion: MassDeletion; readonly waitMs: number }>;
  /** Which disk steps of a plan may be carried out now: whatever a record says of itself, what it deletes here is measured here. */
  judgeIncoming(plan: Plan, rowOf: RowOf): { readonly steps: readonly DiskStep[]; readonly waitMs: number };
  /** Files are gone here, and it is not known yet whether that is meant: nothing that is gone is its user's decision. */
  isOpen(): boolean;
  /** What was sent of the burst that goes on here before anybody could be asked. */
  wentBefore(): WentBefore;
  /** Something below this directory is kept although the room deleted it: the directory stays where it is, or would take it along. */
  isKeptAround(directory: RelPath): boolean;
  /** What was held and came back is held no more, and what was confirmed and came back is not confirmed for the next time. */
  endWhatIsOver(): void;
  /** Nothing is left to publish or to apply. */
  nothingLeft(): void;
  /** Everything judged was published: a confirmation is used up. */
  published(): void;
}

export function createDeletionHold(
  context: PeerContext,
  {
    git,
    holds,
    isSettled,
    isOnHeldDisk,
  }: {
    readonly git: GitWatch;
    readonly holds: Holds;
    /** False: it only seems gone, and is looked at again. */
    readonly isSettled: (path: RelPath) => boolean;
    /** What the disk shows there says nothing, and nothing is done there: another guard holds it. */
    readonly isOnHeldDisk: (path: RelPath) => boolean;
  },
): DeletionHold {
  const { parts } = context;
  const { store, clock } = parts;
  const outgoing = createDeletionGuard();
  const incoming = createDeletionGuard({ reappearedMs: incomingReappearedMs });
  const growing = createDeletionBurst();
  const growingIncoming = createDeletionBurst();
  const standing = createStandingHold(store, holds);
  const earlierRun = (...sources: readonly (Source | 'root')[]): WentBefore => {
    const left = sources.flatMap((source) => holds.of(source));
    return {
      wentUnasked: left.flatMap(({ wentUnasked = [] }) => wentUnasked),
      wentForGood: left.reduce((sum, { wentForGood = 0 }) => sum + wentForGood, 0),
    };
  };
  const sent = {
    guard: outgoing,
    unasked: createUnaskedDeletions(earlierRun('root', 'deletions-outgoing')),
  };
  const applied = { guard: incoming, unasked: createUnaskedDeletions(earlierRun('deletions-incoming')) };
  const isHeld = (source: Source): boolean => holds.of(source).length > 0;
  const isShown = (source: Source): boolean => holds.of(source).some((held) => held.isGrowing !== true);
  let wasOutgoingHeld = isHeld('deletions-outgoing');
  let wasIncomingHeld = isHeld('deletions-incoming');
  /** All of a declined burst is back. What goes again a moment later is asked about again. */
  let backSinceMs: number | null = null;
  goOn('deletions-outgoing', outgoing, isStillGone);
  goOn('deletions-incoming', incoming, isToGo);

  /** What an earlier run held is held on, although what is left of that burst may be too little to be asked about. */
  function goOn(source: Source, guard: DeletionGuard, isOpen: (path: RelPath) => boolean): void {
    for (const { subjects, wentEarlier = 0, filesBefore = 0 } of holds.of(source)) {
      const vanished = subjects.flatMap((path): FileFact[] => {
        const base = isOpen(path as RelPath) ? store.row(path as RelPath)?.base : null;
        return base?.kind === 'file' ? [{ path: path as RelPath, digest: base.content.digest }] : [];
      });
      guard.note({ vanished, appeared: [] }, clock.monotonicMs());
      guard.asked({ filesBefore, wentEarlier });
    }
  }

  /** What was never agreed on is no part of what was there before. */
  const filesNow = (): number => store.counts().files - store.unagreedFiles();
  function isHere(path: RelPath): boolean {
    const row = store.row(path);
    return row?.local?.kind === 'file' && row.base?.kind === 'file';
  }
  function isFileHere(path: RelPath): boolean {
    const row = store.row(path);
    return row?.outOfScope === null && row.local?.kind === 'file';
  }
  const isInRoom = (path: RelPath): boolean => liveEntry(store.row(path)?.remote ?? null)?.kind === 'file';

  /** A plan takes in so many rows; a burst is what it is, however many there are. */
  function lostBeyond(
    side: 'local' | 'remote',
    seen: readonly FileFact[],
    moves: readonly { readonly fromPath: RelPath }[],
  ): readonly FileFact[] {
    if (store.counts().pending <= deletedFilesMax) return [];
    const known = new Set(seen.map(({ path }) => path));
    // A move takes along all that lay below.
    const moved = new Set(moves.map(({ fromPath }) => fromPath));
    return store
      .lostFiles({ side, limit: Number.MAX_SAFE_INTEGER })
      .filter(
        ({ path }) =>
          !known.has(path) &&
          !isAtOrBelow(path, moved) &&
          !isOnHeldDisk(path) &&
          (side === 'remote' || isSettled(path)),
      );
  }

  // ── what this machine would send ──

  async function judge(
    steps: readonly PublishStep[],
    { inDoubt, isLookDue, rowOf }: { readonly inDoubt: number; readonly isLookDue: boolean; readonly rowOf: RowOf },
  ): ReturnType<DeletionHold['judge']> {
    const nowMs = clock.monotonicMs();
    if (standing.stands('outgoing')) {
      const appeared = steps.flatMap((step) => appearedHere(step, rowOf));
      outgoing.note({ vanished: [], appeared, moved: movedBy(steps) }, nowMs);
      return { steps, massDeletion: 'none', waitMs: 0 };
    }
    const vanished = steps.flatMap((step): FileFact[] => {
      const base = step.kind === 'publish' && step.local === null ? rowOf(step.path)?.base : null;
      return base?.kind === 'file' && step.kind === 'publish' ? [{ path: step.path, digest: base.content.digest }] : [];
    });
    vanished.push(
      ...lostBeyond(
        'local',
        vanished,
        steps.filter((step) => step.kind === 'publishMove'),
      ),
    );
    const moved = movedBy(steps);
    const appeared = steps.flatMap((step) => appearedHere(step, rowOf));
    for (const path of outgoing.vanishedPaths(nowMs)) {
      const local = store.row(path)?.local;
      if (local?.kind === 'file') appeared.push({ path, digest: local.digest, isNew: false });
    }
    if (vanished.length === 0 && !outgoing.isKept()) {
      growing.released();
      outgoing.note({ vanished, appeared, moved }, nowMs);
      goUnasked(sent, steps.filter(isRemoval), rowOf);
      return { steps, massDeletion: 'none', waitMs: 0 };
    }
    outgoing.note({ vanished, appeared, moved }, nowMs);
    // What is held already git did not do: what it is told later, such as a commit of what is left, is no confirmation.
    const explained = !outgoing.isKept() && (await git.explains(outgoing.vanishedPaths(nowMs)));
    const verdict = outgoing.judge({ filesNow, nowMs, isHere, isThere: isFileHere, explain: () => explained });
    if (verdict.kind === 'held')
      return holdBack(steps, verdict, {
        gone: new Set([...outgoing.vanishedPaths(nowMs), ...vanished.map(({ path }) => path)]),
        nowMs,
        waitMs: () => growing.waitMs(vanished.length + inDoubt, nowMs, { isHeld: true, isLookDue }),
      });
    // What git explains does not wait.
    const waitMs = explained ? 0 : growing.waitMs(vanished.length + inDoubt, nowMs, { isLookDue });
    if (waitMs > 0) return { steps: steps.filter((step) => !isRemoval(step)), massDeletion: 'none', waitMs };
    // What git did is no part of a slip, however little it was.
    if (!explained) goUnasked(sent, steps.filter(isRemoval), rowOf);
    return release(steps, verdict.kind === 'git' ? 'git' : 'none');
  }

  /** Nothing of a larger deletion is known yet, or it is a small one. */
  function goUnasked(
    side: { readonly guard: DeletionGuard; readonly unasked: UnaskedDeletions },
    removals: readonly (PublishStep | DiskStep)[],
    rowOf: RowOf,
  ): void {
    const nowMs = clock.monotonicMs();
    const inBurst = new Set(side.guard.vanishedPaths(nowMs));
    const rows = removals.flatMap((step) => ('path' in step ? (rowOf(step.path) ?? []) : []));
    side.unasked.go(
      // A file that came in the burst as well is no loss.
      rows.filter(({ path, base }) => base?.kind !== 'file' || inBurst.has(path)),
      { nowMs, sinceMs: side.guard.sinceMs(nowMs) },
    );
  }

  function wentBefore({ guard, unasked }: Parameters<typeof goUnasked>[0]): WentBefore {
    const nowMs = clock.monotonicMs();
    // Also one that is held back at its new path: the same answer keeps it there.
    const isThere = (path: RelPath): boolean => isFileHere(path) || isInRoom(path);
    const explained = guard.explained(nowMs, isThere);
    // It comes back under the name that it had before the burst, if that one does.
    const oldNames = guard.oldNames(nowMs, {
      isThere,
      mayStandFor: (path) => unasked.has(path) || isStillGone(path) || isToGo(path),
    });
    return unasked.went({
      sinceMs: guard.sinceMs(nowMs),
      isMoved: (path) => explained.has(path) || oldNames.has(path),
      isStillToGo: (path) => isStillGone(path) || isToGo(path),
    });
  }

  /** What appears here by its user: what it holds, and whether its path is a new one. */
  function appearedHere(step: PublishStep, rowOf: RowOf): FileFact[] {
    if (step.kind !== 'publish' || step.local?.kind !== 'file') return [];
    const row = rowOf(step.path);
    // One whose deletion was declined was here all the time: nothing that goes elsewhere was moved to it.
    return row?.declined === true ? [] : [{ path: step.path, digest: step.local.digest, isNew: row?.base == null }];
  }

  /** Where these steps move files: a directory takes along all that lies below. */
  function movedBy(steps: readonly (PublishStep | DiskStep)[]): readonly FileMove[] {
    return steps.flatMap((step) => {
      if (step.kind !== 'publishMove' && step.kind !== 'applyMove') return [];
      // One that arrives is not carried out yet.
      const lies = step.kind === 'applyMove' ? step.fromPath : step.toPath;
      const top = store.row(lies);
      const rows = [...(top === undefined ? [] : [top]), ...store.rowsUnder(lies)];
      return rows.flatMap(({ path, local }): FileMove[] => {
        if (local?.kind !== 'file') return [];
        const toPath = movedPath(path, lies, step.toPath);
        const goesAlong = step.kind === 'applyMove' && !isInRoom(toPath);
        return [
          { fromPath: movedPath(path, lies, step.fromPath), to: { path: toPath, digest: local.digest }, goesAlong },
        ];
      });
    });
  }

  /** The whole burst is above the limit: of it goes only what somebody confirmed by name. */
  function holdBack(
    steps: readonly PublishStep[],
    { files, filesBefore }: Extract<DeletionVerdict, { kind: 'held' }>,
    {
      gone,
      nowMs,
      waitMs,
    }: {
      /** Also files that came in the burst and went again: they count for nothing, and are held with the rest. */
      readonly gone: ReadonlySet<RelPath>;
      readonly nowMs: number;
      readonly waitMs: () => number;
    },
  ): Awaited<ReturnType<DeletionHold['judge']>> {
    const isConfirmed = (path: RelPath): boolean => isLetGo('deletions-outgoing', path);
    // What was moved a moment before it went lies in the room under its old name as well, and is held back there.
    const oldNames = outgoing.oldNames(nowMs, { isThere: isFileHere, mayStandFor: isStillGone });
    const mayGo = (path: RelPath): boolean => isConfirmed(path) || oldNames.has(path);
    const stillGone = [...gone].filter((path) => isStillGone(path) && !isOnHeldDisk(path) && !oldNames.has(path));
    const counted = new Set(outgoing.vanishedPaths(nowMs));
    const stillCounted = stillGone.filter((path) => counted.has(path)).length;
    const unconfirmed = toList('deletions-outgoing', {
      counted: stillGone.filter((path) => counted.has(path)),
      others: stillGone.filter((path) => !counted.has(path)),
    }).filter((path) => !isConfirmed(path));
    wasOutgoingHeld = true;
    if (parts.allowMassDelete || unconfirmed.length === 0) return release(steps, 'confirmed');
    const reason = `${files} of ${filesBefore} files are gone here; deleting them on every machine is held`;
    const wasShown = isShown('deletions-outgoing');
    const untilShownMs = wasShown ? 0 : waitMs();
    const isGrowing = untilShownMs > 0;
    if (!isGrowing) growing.released();
    if (!isGrowing && !wasShown) parts.onEvent({ event: 'problem', path: '', reason });
    if (isGrowing) outgoing.keep(true);
    else outgoing.asked({ filesBefore });
    holds.set('deletions-outgoing', [
      {
        code: 'mass-deletion-held',
        reason,
        next: `to delete them everywhere: driftless confirm ${shellWord(parts.dir)}; to have them back here: driftless decline ${shellWord(parts.dir)}`,
        subjects: unconfirmed,
        wentEarlier: Math.max(0, files - stillCounted),
        ...wentBefore(sent),
        filesBefore,
        isGrowing,
      },
    ]);
    const sendable = steps.filter(
      (step) => !isRemoval(step) || (step.kind === 'publish' && step.local === null && mayGo(step.path)),
    );
    const isAnyConfirmed = sendable.some((step) => isRemoval(step) && isConfirmed(stepPath(step)));
    if (!isGrowing) {
      const sent = new Set(sendable);
      standing.park(
        'outgoing',
        steps.flatMap((step) => (sent.has(step) || step.kind !== 'publish' ? [] : [step.path])),
      );
    }
    return { steps: sendable, massDeletion: isAnyConfirmed ? 'confirmed' : 'none', waitMs: untilShownMs };
  }

  /** Also a file that takes the place of a directory: it needs the removals below. */
  const isRemoval = (step: PublishStep): boolean =>
    step.kind === 'publish' &&
    (step.local === null || (step.local.kind !== 'directory' && step.remote?.kind === 'directory'));

  /** An answer of its user covers it: of what is gone here, whatever asked. */
  const isLetGo = (source: Source, path: RelPath): boolean =>
    (source === 'deletions-outgoing' ? ([source, 'root', 'disk'] as const) : [source]).some((asked) =>
      holds.isConfirmed(asked, path),
    );

  function isStillGone(path: RelPath): boolean {
    const row = store.row(path);
    return row !== undefined && isGoneHere(row) && !row.declined;
  }

  function release(
    steps: readonly PublishStep[],
    massDeletion: MassDeletion,
  ): Awaited<ReturnType<DeletionHold['judge']>> {
    endOutgoing();
    return { steps, massDeletion, waitMs: 0 };
  }

  function endOutgoing(): void {
    growing.released();
    outgoing.keep(false);
    holds.set('deletions-outgoing', []);
  }

  /** A confirmation ends with what it was for: published by now, or back on the disk. */
  function endConfirmedOutgoing(): void {
    holds.endConfirmed('deletions-outgoing', (path) => !isStillGone(path as RelPath));
  }

  // ── what this machine would apply ──

  function judgeIncoming({ disk, publish }: Plan, rowOf: RowOf): ReturnType<DeletionHold['judgeIncoming']> {
    const nowMs = clock.monotonicMs();
    const removals = disk.flatMap((step): FileFact[] =>
      step.kind === 'apply' && step.to === null && step.row.local?.kind === 'file'
        ? [{ path: step.path, digest: step.row.local.digest }]
        : [],
    );
    const arriving = disk.flatMap((step): FileFact[] =>
      step.kind === 'apply' && step.to?.kind === 'file'
        ? [{ path: step.path, digest: step.to.content.digest, isNew: step.row.local === null }]
        : [],
    );
    const appeared = [...arriving, ...publish.flatMap((step) => appearedHere(step, rowOf))];
    const moved = movedBy([...disk, ...publish]);
    // What arrives is no more a part of what was here before than what its user makes.
    outgoing.note({ vanished: [], appeared: arriving, moved: movedBy(disk) }, nowMs);
    if (standing.stands('incoming')) {
      incoming.note({ vanished: [], appeared, moved }, nowMs);
      return { steps: disk, waitMs: 0 };
    }
    // One that was to go and is edited here by now stays.
    for (const path of incoming.vanishedPaths(nowMs)) {
      const local = store.row(path)?.local;
      if (local?.kind === 'file' && !isToGo(path)) appeared.push({ path, digest: local.digest, isNew: false });
    }
    removals.push(
      ...lostBeyond(
        'remote',
        removals,
        disk.filter((step) => step.kind === 'applyMove'),
      ),
    );
    incoming.note({ vanished: removals, appeared, moved }, nowMs);
    endConfirmedIncoming();
    const isThere = (path: RelPath): boolean => isInRoom(path) || (isFileHere(path) && !isToGo(path));
    // What was moved there a moment before lies here under its old name as well, and is kept there.
    const oldNames = incoming.oldNames(nowMs, { isThere, mayStandFor: isToGo });
    const counted = incoming.vanishedPaths(nowMs).filter((path) => isToGo(path) && !oldNames.has(path));
    const isCounted = new Set(counted);
    // What came in the burst goes with the rest, or stays with it.
    const others = removals
      .map(({ path }) => path)
      .filter((path) => !isCounted.has(path) && !oldNames.has(path) && isToGo(path));
    const toGo = [...counted, ...others];
    const goes = disk.filter((step) => step.kind === 'apply' && step.to === null);
    if (toGo.length === 0 || parts.allowMassDelete) {
      goUnasked(applied, goes, rowOf);
      return releaseIncoming(disk);
    }
    const measured = incoming.judge({
      // Those that are to go are still here.
      filesNow: () => filesNow() - Math.max(removals.length, toGo.length),
      nowMs,
      isHere: (path) => isHere(path) && !isToGo(path),
      isThere,
      explain: () => false,
    });
    const verdict = measured.kind === 'held' ? measured : askedElsewhere(toGo);
    wasIncomingHeld ||= verdict.kind === 'held';
    const isConfirmed = (path: RelPath): boolean => isLetGo('deletions-incoming', path);
    const unconfirmed = toList('deletions-incoming', { counted, others }).filter((path) => !isConfirmed(path));
    if (verdict.kind !== 'held') goUnasked(applied, goes, rowOf);
    if (verdict.kind !== 'held' || unconfirmed.length === 0) return releaseIncoming(disk);
    const waitMs = isShown('deletions-incoming') ? 0 : growingIncoming.waitMs(toGo.length, nowMs, { isHeld: true });
    if (waitMs === 0) {
      growingIncoming.released();
      incoming.asked({ filesBefore: verdict.filesBefore });
    } else incoming.keep(true);
    const author = authorsOf(unconfirmed);
    holds.set('deletions-incoming', [
      {
        code: 'mass-deletion-incoming',
        reason: `${author ?? 'another device'} deleted ${verdict.files} of ${verdict.filesBefore} files; they are kept here`,
        next: `to delete them here too: driftless confirm ${shellWord(parts.dir)}; to bring them back everywhere: driftless decline ${shellWord(parts.dir)}`,
        subjects: unconfirmed,
        author,
        wentEarlier: Math.max(0, verdict.files - counted.length),
        ...wentBefore(applied),
        filesBefore: verdict.filesBefore,
        isGrowing: waitMs > 0,
      },
    ]);
    const kept = new Set(toGo.filter((path) => !isConfirmed(path)));
    const steps = disk.filter(
      (step) =>
        !(step.kind === 'apply' && step.to === null && (step.row.local?.kind !== 'file' || kept.has(step.path))),
    );
    if (waitMs === 0) {
      const carriedOut = new Set(steps);
      standing.park(
        'incoming',
        disk.flatMap((step) => (carriedOut.has(step) || step.kind !== 'apply' ? [] : [step.path])),
      );
    }
    return { steps, waitMs };
  }

  /**
   * Its sender was asked, and may have taken a while to answer: what came with the burst is then long a part of the folder here. That
   * somebody said yes there is no answer here, but this is as large as it was there.
   */
  function askedElsewhere(toGo: readonly RelPath[]): DeletionVerdict {
    if (toGo.length <= deletedFilesMax) return { kind: 'ok' };
    const files = toGo.filter((path) => {
      const remote = store.row(path)?.remote;
      return remote?.kind === 'tombstone' && store.recordMeta(remote.height)?.massDeletion === 'confirmed';
    }).length;
    return files > deletedFilesMax ? { kind: 'held', files, filesBefore: filesNow() } : { kind: 'ok' };
  }

  /**
   * New files of the burst that go as well are held back and kept with the rest. Listed are those that went before somebody was asked, or
   * very many: a program that makes and removes files must not change a question while it is read.
   */
  function toList(
    source: Source,
    { counted, others }: { readonly counted: readonly RelPath[]; readonly others: readonly RelPath[] },
  ): readonly RelPath[] {
    if (others.length > deletedFilesMax) return [...counted, ...others];
    // Answered, and only not gone yet: what else goes is no part of that question any more.
    const isAnswered = counted.length > 0 && counted.every((path) => isLetGo(source, path));
    if (!isShown(source) && !isAnswered) return [...counted, ...others];
    const listed = new Set(holds.of(source).flatMap(({ subjects }) => subjects));
    return [...counted, ...others.filter((path) => listed.has(path))];
  }

  function releaseIncoming(steps: readonly DiskStep[]): ReturnType<DeletionHold['judgeIncoming']> {
    growingIncoming.released();
    incoming.keep(false);
    holds.set('deletions-incoming', []);
    return { steps, waitMs: 0 };
  }

  /** As it was agreed on, and the room has it no more. */
  function isToGo(path: RelPath): boolean {
    const row = store.row(path);
    if (row === undefined || row.outOfScope !== null || row.hold !== null || row.declined) return false;
    if (row.local?.kind !== 'file') return false;
    return liveEntry(row.remote) === null && row.base?.kind === 'file' && row.base.content.digest === row.local.digest;
  }

  /** Names of the devices whose records removed these paths, as far as they are known. */
  function authorsOf(paths: readonly RelPath[]): string | null {
    const names = new Set<string>();
    for (const path of paths) {
      const remote = store.row(path)?.remote;
      const name = remote?.kind === 'tombstone' ? store.recordMeta(remote.height)?.deviceName : undefined;
      if (name !== undefined && name !== '') names.add(name);
      if (names.size > authorsShownMax) break;
    }
    return names.size === 0 ? null : [...names].slice(0, authorsShownMax).join(', ');
  }

  function endConfirmedIncoming(): void {
    holds.endConfirmed('deletions-incoming', (path) => !isToGo(path as RelPath));
  }

  function endWhatIsOver(): void {
    const nowMs = clock.monotonicMs();
    if (!isHeld('deletions-outgoing') && holds.of('root').length === 0) sent.unasked.forgetEarlierRun();
    if (!isHeld('deletions-incoming')) applied.unasked.forgetEarlierRun();
    // By what went, not by what is listed: an answer takes the list away.
    const isAllBack =
      outgoing.isKept() &&
      !outgoing.vanishedPaths(nowMs).some((path) => {
        const row = store.row(path);
        // It may be gone again, and not be looked at yet.
        return row !== undefined && (isGoneHere(row) || !isSettled(path)) && !isOnHeldDisk(path);
      });
    backSinceMs = isAllBack ? (backSinceMs ?? nowMs) : null;
    if (backSinceMs !== null && (isHeld('deletions-outgoing') || nowMs - backSinceMs >= burstMs)) {
      outgoing.clear();
      sent.unasked.clear();
      wasOutgoingHeld = false;
      endOutgoing();
    }
    // What was declined never went from here, so that nothing of it can go again.
    if (incoming.isKept() && !incoming.vanishedPaths(nowMs).some(isToGo)) {
      incoming.clear();
      applied.unasked.clear();
      releaseIncoming([]);
      wasIncomingHeld = false;
    }
    endAnswered();
    endConfirmedOutgoing();
    endConfirmedIncoming();
  }

  /** What was confirmed is as good as gone, also while something else waits. What goes after a moment of quiet is no part of it. */
  function endAnswered(): void {
    const nowMs = clock.monotonicMs();
    const isOver = (source: Source, guard: DeletionGuard, isOpen: (path: RelPath) => boolean): boolean =>
      !isHeld(source) &&
      !guard.isKept() &&
      nowMs - guard.lastMs() >= deletionQuietMs &&
      !guard.vanishedPaths(nowMs).some(isOpen);
    const isOpenHere = (path: RelPath): boolean => isStillGone(path) && !isLetGo('deletions-outgoing', path);
    if (wasOutgoingHeld && isOver('deletions-outgoing', outgoing, isOpenHere)) {
      outgoing.clear();
      sent.unasked.clear();
      wasOutgoingHeld = false;
    }
    const isOpenThere = (path: RelPath): boolean => isToGo(path) && !isLetGo('deletions-incoming', path);
    if (wasIncomingHeld && isOver('deletions-incoming', incoming, isOpenThere)) {
      incoming.clear();
      applied.unasked.clear();
      wasIncomingHeld = false;
    }
  }

  function rested(): void {
    const nowMs = clock.monotonicMs();
    outgoing.rested(nowMs);
    incoming.rested(nowMs);
  }

  return {
    wakes: standing.wakes,
    judge,
    judgeIncoming,
    wentBefore: () => wentBefore(sent),
    isKeptAround: (directory) =>
      holds.of('deletions-incoming').some(({ subjects }) => subjects.some((path) => path.startsWith(`${directory}/`))),
    // Whatever is not sent yet may still be held: with what else goes, or as all that was here.
    isOpen: () =>
      isHeld('deletions-outgoing') ||
      holds.of('root').length > 0 ||
      store.lostFiles({ side: 'local', limit: Number.MAX_SAFE_INTEGER }).some(({ path }) => !isOnHeldDisk(path)),
    endWhatIsOver,
    nothingLeft: () => {
      rested();
      // The burst itself goes on being counted: a slow deletion has such moments. One that was held, and is confirmed and
      // done or came back, is over: but only now, since what went after the confirmation belongs to it.
      if (wasOutgoingHeld) {
        outgoing.clear();
        sent.unasked.clear();
      }
      wasOutgoingHeld = false;
      endOutgoing();
      endConfirmedOutgoing();
      if (wasIncomingHeld) {
        incoming.clear();
        applied.unasked.clear();
      }
      wasIncomingHeld = false;
      releaseIncoming([]);
      endConfirmedIncoming();
    },
    published: () => {
      endConfirmedOutgoing();
      if (store.counts().pending === 0) rested();
    },
  };
}

/** What was declined, and is not back yet, is gone as well. */
const isGoneHere = ({ outOfScope, local, base }: Row): boolean =>
  outOfScope === null && local === null && base?.kind === 'file';
