/**
 * The loop of a peer: hints → settle → scan → reconcile → disk steps and records → base. One turn at a time, all of it
 * state-based: whatever a crash, a cut or a stale head interrupts, the next turn looks at the three trees again.
 *
 *      hint, push, timer, command ──► wake ──► turn ──► nothing left to do ──► sleep
 *
 *   turn: commands · root check · scan what is dirty · take in the room's records · reconcile · disk · publish · conflicts
 *
 * Decisions are made in core/ and in the verbs, when to turn in peer/schedule.ts, what a failed turn leads to in
 * peer/turn-failure.ts; this file only orders them and turns outcomes into one honest state
 * (rules RB1, DISK2, FAST1, FAST2, FAST5, PR4, W6).
 */
import { clipText, type Entry, limits, type MassDeletion, type RelPath } from '@driftless/protocol';
import { createApplier } from './apply/apply.ts';
import { createBringBack } from './apply/bring-back.ts';
import { createReplaceJournal } from './apply/replace-journal.ts';
import { createTrashKeeper } from './apply/trash-keeper.ts';
import { createWholeRecords } from './apply/whole-records.ts';
import { createCheckpoints } from './checkpoints.ts';
import { createUntracks } from './conflicts/untracks.ts';
import { createConflictKeeper } from './conflicts.ts';
import { largeContentBytesMin, type StagedContent } from './content/content-types.ts';
import { type PathFault, problemOf } from './content/or-fail.ts';
import { createContents } from './contents.ts';
import type { PeerState } from './control.ts';
import { createControl } from './control-service.ts';
import { backoffDelayMs, pathBackoff, staleDelayMs } from './core/backoff.ts';
import { liveEntry, sameLocal } from './core/entry-encoding.ts';
import {
  type EarlierMembership,
  type JoinOptions,
  previewJoin,
  rememberHowItJoins,
  supersededAtJoin,
} from './core/first-join.ts';
import { leafDigest } from './core/leaf-digest.ts';
import { mayMerge } from './core/merge-text.ts';
import { burstFilesMin, deletionQuietMs } from './core/pacing/deletion-burst.ts';
import { derivePeerState, errorOf, type Halt } from './core/peer-state.ts';
import { type Apply, conflictWords, type DiskStep, type Plan, type PublishStep } from './core/plan.ts';
import { reconcile } from './core/reconcile.ts';
import { recordBatches, stepBytes, stepPath } from './core/record-batches.ts';
import { firstRecordSize, nextRecordSize } from './core/record-pace.ts';
import type { Row } from './core/row.ts';
import { smallFirst } from './core/small-first.ts';
import { ancestorsOf, parentPath } from './core/tree-paths.ts';
import { createDeletionHold } from './deletion-hold.ts';
import { createDownloads } from './downloads.ts';
import { createGitWatch, indexLabel } from './git-watch.ts';
import { createHeldFiles } from './guards/held-files.ts';
import { createHolds } from './guards/holds.ts';
import { createMounts } from './guards/mounts.ts';
import { createScopeHold } from './guards/scope-hold.ts';
import { createUnsavedEdits } from './guards/unsaved-edits.ts';
import { createPause } from './pause.ts';
import { createCommands } from './peer/commands.ts';
import { createFreshSaves } from './peer/fresh-saves.ts';
import { createGivingWay } from './peer/giving-way.ts';
import { createJoinJudgements } from './peer/join-judgements.ts';
import { createJoinLeftBehind } from './peer/join-left-behind.ts';
import { createJoinLineEnds } from './peer/join-line-ends.ts';
import { createJoinOwnWork } from './peer/join-own-work.ts';
import {
  allPendingRows,
  beforeRemovals,
  breathing,
  type Look,
  planRows,
  rowsPerPlanAimed,
  rowsWithParents,
  withSaves,
} from './peer/plan-rows.ts';
import { runnableFiles } from './peer/runnable-files.ts';
import { createSchedule, type Situation, type Work } from './peer/schedule.ts';
import { createSteadyTime } from './peer/steady-time.ts';
import { failureOf, noRoomHalt } from './peer/turn-failure.ts';
import type { Peer, PeerParts } from './peer-api.ts';
import type { PeerContext } from './peer-context.ts';
import { RequestRefused, type RoomSession } from './ports/room-session.ts';
import { createPresenceBoard } from './presence.ts';
import { createWaitingCheckout } from './publish/waiting-checkout.ts';
import { createPublisher } from './publish.ts';
import { createRecovery, youngerLog } from './recover.ts';
import { createRelayFeed, trustedRelayKey } from './relay-feed.ts';
import { CheckpointUnconfirmed, createBeginnings } from './room/beginnings.ts';
import { createLostContents } from './room/lost-contents.ts';
import { createOtherRoots } from './room/other-roots.ts';
import { createRefusals, type RefusableWork, type RelayTrouble } from './room/refusals.ts';
import { createSkippedRecords, RecordNotUnderstood } from './room/skipped-records.ts';
import { RecordUnreadable } from './room/unreadable.ts';
import { createRoomLog } from './room-log.ts';
import { createRootGuard } from './root-guard.ts';
import { createArrivingRules } from './scan/arriving-rules.ts';
import { createLargeReads } from './scan/hash-large.ts';
import { createSecondLooks } from './scan/second-look.ts';
import { createSettler } from './scan/settler.ts';
import { createSweep } from './scan/sweep.ts';
import { createScanner, type ScanRequest, type ScanResult } from './scan.ts';
import { agedTombstones } from './tombstones.ts';

/** Files applied in one pass, so that state and progress move on during a big join. */
const applyFilesPerPass = 2_000;
/** Rule PR4. */
const recordIntervalMs = 100;
const progressEveryMs = 250;
/** Paths that keep changing do not hold up what git did for longer. */
const gitWaitMsMax = 1_000;
/**
 * The room is compared with the disk again although nothing asks for it: soon while that costs next to nothing, else after
 * this many times what it took.
 */
const planEveryMsMin = 2_000;
const planEveryMsMax = 15 * 60_000;
const planRestPerWork = 500;
/** So many rows or steps take a while: what a person just did goes ahead of them. */
const largePlanMin = 500;
/** Hints that are lost again and again cost no more than a fifth of the time. */
const rescanPauses = 4;
/** A deletion that goes on for longer is asked about in parts. */
const looksForLossesMax = 10;
const rootCheckEveryMs = 2_000;
const settleEveryMs = 10_000;
/** Whether somebody has said what this peer waits to hear. */
const confirmedLookMs = 1_000;
/** The trash is looked through when something may go, but never in every turn. */
const trashEveryMsMin = 5_000;
const trashEveryMsMax = 60_000;
/** After a checkpoint that failed. */
const checkpointRetryMs = 60_000;
/** Paths that wait for room at the relay and are not asked with: the smallest are, and let the others go on (rule REFUSED). */
const refusedRetryMs = pathBackoff.maxMs;
const refusedAskedWithMax = 32;
/** No longer than a local network's; a slower one makes peers meet once more, not for ever. */
const roundTripMsGuess = 10;

export function createPeer(given: PeerParts): Peer {
  // As it travels: a longer name would be cut on the way, and a variant's author is part of the manifest's root.
  const parts: PeerParts = { ...given, deviceName: clipText(given.deviceName, limits.deviceNameBytesMax) };
  const { store, folder, clock, log: diagnostics } = parts;
  const closing = new AbortController();
  const pause = createPause(clock);

  // ── what the turns share ──────────────────────────────────────────────────────────────────────────────────────────

  let halt: Halt | null = null;
  /** What is shown while failed turns are tried again. */
  let backOffHalt: Halt | null = null;
  /** Paths that failed for want of room, and have not been tried with success since. */
  const withoutRoom = new Map<RelPath, string>();
  let scanning = false;
  let working = false;
  let progress: PeerState['progress'] | null = null;
  /** Files went unheard of: how many more looks at everything may follow, for as long as each finds that many more went. */
  let looksForLosses = 0;
  /** The last scan of everything. */
  let fullScan = { endMs: Number.NEGATIVE_INFINITY, tookMs: 0 };
  /** The journal of the run before is settled, and its staged files are gone. */
  let isJournalSettled = false;
  /** When what could not be settled is tried again: a disk that is away may be back. */
  let settleAgainMs = 0;
  /** The join whose preview was told: once, however often its turns are cut, and links with them. */
  let joinTold: string | undefined;
  /** That join brings files that run code where they lie. */
  let bringsRunnable = false;
  /** The watcher, the sweep and the link to the relay. */
  let isStarted = false;
  /** The session that the turn under way began with. */
  let turnSession: RoomSession | null = null;
  let checkpointing = false;
  /** Until then the room is not asked for: somebody may be about to say where to begin. */
  let roomLookMs = 0;
  /** A checkpoint was made: a good moment to let aged tombstones go. */
  let tombstonesDue = false;
  let checkpointDueMs = 0;
  let sweepingTrash = false;
  let lastRecordMs = Number.NEGATIVE_INFINITY;
  let recordSize = firstRecordSize;
  const fresh = createFreshSaves(store);
  let gaveWayToSaves = false;
  /** The plan at hand is over many rows. */
  let isLargePlan = false;
  /** All that is due is in the plan at hand, or shall be in the next one. */
  let isWholePlan = true;
  let wantsWholePlan = false;
  /** Since when a checkout waits for its last paths. */
  let gitWaitMs: number | null = null;
  let lastStateText = '';
  let lastProgressMs = Number.NEGATIVE_INFINITY;
  let lastLastingText = '';
  let lastToldMs = Number.NEGATIVE_INFINITY;
  /** Something on disk, in the room or in what is known of them is different from before the turn. */
  let isFruitful = false;
  /** This turn put something in its place, or into the room. */
  let isUnderWay = false;
  const commands = createCommands();
  let running: Promise<void> | null = null;
  /** Work beside the loop; waited for before the parts are closed. */
  const beside = new Set<Promise<void>>();

  let wakeUp: (() => void) | null = null;
  let woken = false;
  const wake = (): void => {
    woken = true;
    wakeUp?.();
  };
  const schedule = createSchedule();
  const givingWay = createGivingWay(clock);
  const nowMs = (): number => clock.monotonicMs();
  /** The loop's own wish: what it did is to be gone on with. */
  const planAgain = (): void => {
    schedule.again('plan', nowMs());
    wake();
  };
  /** Until a wait with a name is over. */
  const planAfter = (delayMs: number): void => schedule.after('plan', delayMs, nowMs());
  /** Now, or as soon as it may be. */
  const isFullScanWanted = (): boolean => schedule.isAsked('all', Number.MAX_VALUE);
  const lookAtAll = (): void => schedule.input('all', nowMs());
  function hintsLost(): void {
    const notBeforeMs = fullScan.endMs + rescanPauses * fullScan.tookMs;
    schedule.after('all', notBeforeMs - nowMs(), nowMs());
    wake();
  }

  const feed = createRelayFeed(parts, {
    onNews: () => {
      schedule.input('plan', nowMs());
      wake();
    },
    onPresence: wake,
    asTurnsSeeIt: (session) => givingWay.session(session),
    onOnline: () => {
      presence.reset();
      // Another relay perhaps, or the same with more room: whatever was refused is asked for anew.
      context.refusals.forget();
      commands.add(async () => roomFound());
    },
    onOffline: () => {
      try {
        tellState();
      } catch (error) {
        diagnostics.warn('state-not-told', { reason: String(error) });
      }
    },
    command: (work) => {
      commands.add(work);
      givingWay.ask();
    },
  });
  const settler = createSettler(clock);
  const isOutOfReach = (path: RelPath): Promise<boolean> => mounts.isOutOfReach(path);
  const steadyTime = createSteadyTime(clock, store);
  const unsaved = createUnsavedEdits({
    clock,
    store,
    traits: folder.traits,
    onReleased: (paths) => {
      // What was saved is seen before what waited is done.
      for (const path of paths) settler.hint(path, false);
      schedule.input('plan', nowMs());
      wake();
    },
  });
  const journal = createReplaceJournal({
    ...parts,
    pause,
    steadyTime,
    isOutOfReach,
    unsaved,
  });
  const context: PeerContext = {
    parts,
    journal,
    unsaved,
    pause,
    isOutOfReach,
    moved: (fromPath, toPath) => mounts.moved(fromPath, toPath),
    signal: closing.signal,
    steadyTime,
    get contents() {
      return contents;
    },
    session: () => feed.answering(),
    lastingSession: () => feed.lasting(),
    // Not woken: the loop sleeps no longer than until the path is due, and must not turn until then.
    markDirty: (path, deep) => {
      settler.hint(path, deep);
    },
    refusals: createRefusals({
      clock,
      random: parts.random,
      hasProblem: (path) => store.row(path)?.problem != null,
    }),
    fail: (path, problem) => {
      // It takes no part any more: a problem of such a row would mean that it is in the way of the room's.
      if (store.row(path)?.outOfScope != null) return;
      const { reason, ...fault }: PathFault =
        typeof problem === 'string' ? { reason: problem, diskFull: false } : problem;
      if (fault.diskFull) withoutRoom.set(path, reason);
      else withoutRoom.delete(path);
      const attempts = (store.row(path)?.problem?.attempts ?? 0) + 1;
      const delayMs =
        fault.refused === undefined
          ? backoffDelayMs(attempts - 1, parts.random.fraction(), pathBackoff)
          : context.refusals.refusedPath(path, fault.refused.work, fault.refused.refusal);
      const wanted = wantedAt(path);
      if (fault.isLost === true && wanted?.kind === 'file') lost.ask(wanted.content.digest);
      if (store.row(path)?.problem?.reason !== reason) parts.onEvent({ event: 'problem', path, reason });
      store.setProblem(path, { reason, attempts, retryAtMs: clock.nowMs() + delayMs });
    },
  };
  const contents = createContents({
    folder,
    store,
    cipher: parts.cipher,
    hashing: parts.hashing,
    random: parts.random,
    clock,
    pause,
    underWay: parts.bytesUnderWay,
    onDistrusted: (path) => settler.hint(path, false),
    isWished: (digest) => bringBack.isWished(digest),
  });
  const holds = createHolds(parts);
  const roomLog = createRoomLog(context, createSkippedRecords(parts, { holds, pause }));
  const publisher = createPublisher(context, roomLog, planAgain);
  const downloads = createDownloads(context, {
    runBeside,
    onProgress: (next) => {
      progress = next;
    },
    wake: planAgain,
  });
  const applier = createApplier(context);
  const wholeRecords = createWholeRecords();
  const waitingCheckout = createWaitingCheckout((path) => liveEntry(store.manifest.slot(path))?.kind === 'directory');
  const checkpoints = createCheckpoints(context);
  const judgements = createJoinJudgements(store, parts.hashing.sha256);
  const ownWork = createJoinOwnWork(store, parts.hashing.sha256, (row) => judgements.supersededSince()(row));
  const beginnings = createBeginnings(context, checkpoints, { holds, here: () => presence.here() });
  const recovery = createRecovery(context, roomLog, checkpoints, {
    beginnings,
    ownWork,
    onRejoin: () => {
      joinTold = undefined;
    },
  });
  const lost = createLostContents(context, runBeside);
  const otherRoots = createOtherRoots(context, {
    runBeside,
    onDamaged: () => {
      commands.add(async () => {
        recovery.distrustOwnTree();
        feed.caughtUp = false;
      });
      wake();
    },
  });
  const presence = createPresenceBoard(context, lost, otherRoots.compare);
  const trash = createTrashKeeper(context);
  const git = createGitWatch(context);
  const mounts = createMounts({ ...parts, holds });
  const rootGuard = createRootGuard(context, holds, mounts, () => deletions.wentBefore());
  const deletions = createDeletionHold(context, {
    git,
    holds,
    isSettled: (path) => isSettled(path),
    isOnHeldDisk: (path) => isHeldOnDisk(path),
  });
  const conflicts = createConflictKeeper(context);
  /** By a save, or a command: a turn that can stop between two steps does. */
  const isWaitedFor = (): boolean => settler.due() || commands.waiting > 0;
  const bringBack = createBringBack(context, {
    isIgnored: (path) =>
      scanner.isIgnored(path, false) || [...ancestorsOf(path)].some((directory) => scanner.isIgnored(directory, true)),
    isAway: (path) => isHeldOnDisk(path),
    mayTouch: (path) => isSettled(path) && !unsaved.has(path),
    downloads,
    givesWay: isWaitedFor,
  });
  /** What the room has at a path, or what is to come back to it. */
  const wantedAt = (path: RelPath): Entry | null =>
    liveEntry(store.row(path)?.remote ?? null) ?? bringBack.wished(path);
  const lineEnds = createJoinLineEnds(context);
  const leftBehind = createJoinLeftBehind(context, earlierMembership, ownWork);
  const large = createLargeReads({
    folder,
    hashing: parts.hashing,
    clock,
    log: diagnostics,
    signal: closing.signal,
    runBeside,
    onReady: (path) => {
      settler.hint(path, false);
      wake();
    },
    onProgress: tellProgress,
  });
  const isSettled = (path: RelPath): boolean => !settler.has(path) && !large.holds(path);
  /** Nothing may follow from what the disk shows there. */
  const isHeldOnDisk = (path: RelPath): boolean => mounts.isHeld(path) || journal.isUnsettled(path);
  const heldFiles = createHeldFiles({ folder, log: diagnostics });
  const scanner = createScanner({
    folder,
    store,
    clock,
    hashing: parts.hashing,
    log: diagnostics,
    fileBytesMax: parts.fileBytesMax,
    isScopeConfirmed: (path) => holds.isConfirmed('scope', path),
    heldFiles,
    pause,
    large,
    mounts,
    watches: parts.watcher,
    sights: {
      listed: (directory, listed) => sweep.listed(directory, listed),
      uncertain: (path) => sweep.uncertain(path),
      recorded: (path, file) => sweep.recorded(path, file),
    },
  });
  const sweep = createSweep({
    folder,
    store,
    clock,
    log: diagnostics,
    pause,
    watcher: parts.watcher,
    fileBytesMax: parts.fileBytesMax,
    signal: closing.signal,
    mayRun: () =>
      (halt === null || rootGuard.awaitsFiles()) &&
      !isPaused() &&
      !scanning &&
      !isFullScanWanted() &&
      !schedule.isBackingOff(nowMs()),
    rulesChanged: scanner.rulesChanged,
    isWaiting: (path) => !isSettled(path),
    hint: (path, deep) => {
      settler.hint(path, deep);
      wake();
    },
    onLoss: () => {
      looksForLosses = looksForLossesMax;
      hintsLost();
    },
  });
  const scopeHold = createScopeHold({ dir: parts.dir, store, holds, files: heldFiles });
  const arrivingRules = createArrivingRules({ store, contents, setRoomText: scanner.setRoomText });
  const secondLooks = createSecondLooks({ clock, store, settler, isIgnored: scanner.isIgnored });
  const untracks = createUntracks({
    folder,
    marker: parts.marker,
    store,
    clock,
    hashing: parts.hashing,
    contents,
    journal,
    isIgnored: async (path) => (await scanner.explain(path)).length > 0,
    markDirty: context.markDirty,
    onProblem: (path, error) => context.fail(path, problemOf(error)),
    onNote: (path, note) => parts.onEvent({ event: 'note', path, note }),
  });

  // ── state ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  function peerState(): PeerState {
    const counts = store.counts();
    const open = new Set(store.openVariants().map((variant) => variant.path));
    return derivePeerState({
      halt:
        halt ??
        feed.refusal ??
        context.refusals.halt() ??
        holds.halt() ??
        backOffHalt ??
        noRoom() ??
        (presence.cloned ? clonedHalt : null),
      paused: isPaused(),
      online: feed.answering() !== null,
      scanning: scanning || isFullScanWanted(),
      offlineReason: feed.offlineReason,
      busy:
        working ||
        !feed.caughtUp ||
        feed.headMoved ||
        feed.hasPushed ||
        publisher.uploadsUnderWay > 0 ||
        untracks.hasAny() ||
        downloads.size > 0,
      pending: counts.pending + settler.size + large.size + bringBack.count(),
      conflicts: Math.max(counts.held, open.size),
      progress,
      unwatched: unwatchedPlaces(),
      sweep: { periodMs: sweep.periodMs(), lookedAtMs: sweep.lookedAtMs() },
      waitingPaths: unsaved.waiting(),
    });
  }
  /** What fails may be the store, from which the state is derived: then the reason is all there is to tell. */
  function stateToTell(): PeerState {
    try {
      return peerState();
    } catch (error) {
      if (backOffHalt === null) throw error;
      return bareState(backOffHalt);
    }
  }
  function unwatchedPlaces(): PeerState['unwatched'] | null {
    const { everything, places } = parts.watcher.unwatched();
    if (everything !== null) return { directories: null, ...everything };
    for (const problem of places.values()) return { directories: places.size, ...problem };
    return null;
  }
  function noRoom(): Halt | null {
    for (const path of withoutRoom.keys()) if (store.row(path)?.problem == null) withoutRoom.delete(path);
    const [reason] = withoutRoom.values();
    return reason === undefined ? null : noRoomHalt(reason);
  }
  const isPaused = (): boolean => store.setting('paused') === 'yes';

  /** Called for every file of long work: the state is not even derived more often than it is told. */
  function tellProgress(): void {
    if (nowMs() - lastProgressMs < progressEveryMs) return;
    lastProgressMs = nowMs();
    tellState();
  }

  /** A change of state is told at once, of numbers a few times a second. Returns how it is. */
  function tellState(): PeerState {
    const state = stateToTell();
    // A look at the folder that found nothing is no news.
    const { wholeFolderLookedAt: _lookedAt, sweepPeriodMs: _period, ...news } = state;
    const text = JSON.stringify(news);
    if (text === lastStateText) return state;
    const { pending: _pending, progress: _progress, ...lasting } = news;
    const lastingText = JSON.stringify(lasting);
    if (lastingText === lastLastingText && nowMs() - lastToldMs < progressEveryMs) {
      schedule.after('tell', progressEveryMs, nowMs());
      return state;
    }
    lastStateText = text;
    lastLastingText = lastingText;
    lastToldMs = nowMs();
    parts.onEvent({ event: 'state', ...state });
    return state;
  }

  // ── a turn ────────────────────────────────────────────────────────────────────────────────────────────────────────

  async function turn(): Promise<void> {
    turnSession = feed.session;
    for (const sealed of feed.takePresences()) {
      presence.take(sealed);
      // It may say what this peer waits to hear.
      roomLookMs = 0;
    }
    const isAsked = await runCommands();
    if (!isStarted && !schedule.isBackingOff(nowMs())) {
      recall();
      await startUp();
      isStarted = true;
    }
    if (closing.signal.aborted) return;
    const beginMs = nowMs();
    const due = schedule.begin(beginMs, situation(beginMs));
    if ((due.size === 0 && !isAsked) || schedule.isBackingOff(beginMs) || !(await isRootThere(due))) return;
    if (!isJournalSettled || journal.isCut || (applier.hasUnsettled && nowMs() >= settleAgainMs)) {
      settleAgainMs = nowMs() + settleEveryMs;
      await applier.settleInterrupted();
      if (!isJournalSettled) await git.begin();
      isJournalSettled = true;
    }
    await untracks.resume();
    // Paused too: what a program goes on writing into what was replaced would be lost with it.
    if (due.has('trash')) sweepTrash();
    holds.keepUp();
    if (halt !== null) return;
    if (isPaused()) {
      publisher.abortUploads();
      for (const path of large.drop()) settler.hint(path, false);
      await downloads.drop(() => true);
      await applier.dropStaged(() => true);
      return;
    }
    const looked = due.has('all') || due.has('paths');
    if (looked) {
      halt = await scanDirty(due.has('all'));
      if (halt !== null) return;
    }
    if (!looked && !due.has('plan')) return;
    // A room whose log is refused is left alone; the disk is not (rule RUN).
    if (!context.refusals.mayTry('room')) return;
    const startMs = nowMs();
    const fromMs = clock.nowMs();
    if (context.session() !== null) await takeIn();
    if (context.session() !== null && feed.caughtUp) await carryOut();
    context.refusals.done('room');
    planLater(nowMs() - startMs, fromMs);
    // Until nothing is left: only then are a join, a burst and a batch over.
    if (isFruitful) planAgain();
  }

  async function runCommands(): Promise<boolean> {
    const isAsked = commands.waiting > 0;
    if (isAsked) {
      isFruitful = true;
      schedule.input('plan', nowMs());
      await commands.run();
    }
    // Those who ask from here on wait for what follows.
    givingWay.begin();
    if (commands.waiting > 0) givingWay.ask();
    return isAsked;
  }

  function situation(atMs: number): Situation {
    return {
      halt: halt === null ? 'none' : rootGuard.awaitsFiles() ? 'emptied' : 'halted',
      paused: isPaused(),
      online: feed.answering() !== null,
      pathsAtMs: atMs + (settler.nextDelayMs() ?? Number.POSITIVE_INFINITY),
      roomWaits: (!feed.caughtUp || feed.headMoved || feed.hasPushed) && atMs >= roomLookMs,
    };
  }

  /** Before anything is believed or changed: false halts. */
  async function isRootThere(due: ReadonlySet<Work>): Promise<boolean> {
    schedule.after('root', rootCheckEveryMs, nowMs());
    let rootHalt = await rootGuard.check();
    if (rootHalt !== null && rootGuard.awaitsFiles()) {
      // Files that come back end it by themselves, also those that no event told of: they came while no peer ran, or unwatched.
      await scanDirty(due.has('all'));
      rootHalt = await rootGuard.check();
    }
    if (rootHalt !== null) {
      if (halt?.code !== rootHalt.code) isFruitful = true;
      halt = rootHalt;
      return false;
    }
    if (halt !== null && isRootHalt(halt)) {
      halt = null;
      isFruitful = true;
      lookAtAll();
    }
    // Mounting and unmounting make no events.
    for (const path of await mounts.changed()) settler.hint(path, true);
    return true;
  }

  /** In long work: sockets and timers have their turn, and whoever waits for the turn to end. */
  async function breathe(): Promise<void> {
    await pause();
    closing.signal.throwIfAborted();
    givingWay.signal.throwIfAborted();
  }

  const turnSignal = (): AbortSignal => AbortSignal.any([closing.signal, givingWay.signal]);

  /**
   * When the next comparison is due if nothing asks for one: for a path's retry, or to be sure. Retries since `fromMs` count: one
   * that came due while this comparison ran was no part of it.
   */
  function planLater(tookMs: number, fromMs: number): void {
    schedule.check('plan', Math.max(planEveryMsMin, Math.min(planEveryMsMax, tookMs * planRestPerWork)), nowMs());
    const retryAtMs = store.nextRetryAtMs(fromMs);
    if (retryAtMs !== undefined) planAfter(Math.max(0, retryAtMs - clock.nowMs()));
  }

  const foldsNames = !folder.traits.caseSensitive || folder.traits.foldsUnicode;
  const isRootHalt = ({ code }: Halt): boolean =>
    code === 'root-missing' || code === 'root-replaced' || code === 'root-emptied';

  /** A halt: what was seen must not be acted on. */
  async function scanDirty(full: boolean): Promise<Halt | null> {
    const taken = full ? [] : settler.take();
    isFruitful ||= full || taken.length > 0;
    try {
      return full || taken.length > 0 ? await scan(full ? 'all' : taken) : null;
    } catch (error) {
      sweep.scanFailed();
      // What was to be looked at has not been.
      for (const { path, deep } of taken) settler.hint(path, deep);
      throw error;
    }
  }

  async function scan(paths: 'all' | readonly ScanRequest[]): Promise<Halt | null> {
    const full = paths === 'all';
    if (full) settler.clear();
    scanning = true;
    tellState();
    try {
      const lookedMs = clock.monotonicMs();
      const requests = full ? [] : paths;
      const result = await scanner.scan({
        paths,
        signal: turnSignal(),
        onCut: (seen) => takeNote(seen, { requests, lookedMs }),
        // The preview of a join counts what is equal: nothing may be unread then.
        readsAll: store.setting('join') !== undefined,
        onProgress: (files) => {
          progress = { phase: 'scanning', done: files, total: Math.max(files, store.counts().files), unit: 'files' };
          if (files > 1_000) tellProgress();
        },
      });
      if (!full) fresh.note(paths, result.changed);
      await takeNote(result, { requests, lookedMs });
      if (full) {
        fullScan = { endMs: clock.monotonicMs(), tookMs: clock.monotonicMs() - lookedMs };
        sweep.lookedAtAll();
        const isFirst = looksForLosses === looksForLossesMax;
        const isGoingOn = result.vanished.length >= (isFirst ? 1 : burstFilesMin);
        looksForLosses = isGoingOn ? Math.max(0, looksForLosses - 1) : 0;
        if (looksForLosses > 0) schedule.after('all', Math.max(deletionQuietMs, fullScan.tookMs), nowMs());
      }
      await git.noteRepositories(result.repositories);
      for (const path of mounts.judge()) settler.hint(path, true);
      // Files can be gone because the folder is: looked at once more before anybody hears of it (D5).
      const rootHalt = result.vanished.length > 0 ? await rootGuard.check() : null;
      // Nor is it said of files that may be back in a moment.
      return rootHalt ?? (settler.doubted().length > 0 ? null : rootGuard.judgeScan());
    } finally {
      scanning = false;
      progress = null;
    }
  }

  /** What follows from rows that a scan wrote, whether it came to its end or not. */
  async function takeNote(
    result: ScanResult,
    look: { readonly requests: readonly ScanRequest[]; readonly lookedMs: number },
  ): Promise<void> {
    for (const request of result.unstable) settler.unstable(request);
    secondLooks.judge({ ...result, ...look });
    if (result.awaitingChanged || !scopeHold.hasLooked) await scopeHold.look();
    tryAnew(result.changed);
    for (const { path, reason } of result.problems) parts.onEvent({ event: 'problem', path, reason });
  }

  /** What failed with other bytes says nothing about these: a new save has its own first try. */
  function tryAnew(changed: readonly RelPath[]): void {
    for (const path of changed) {
      const row = store.row(path);
      if (row?.problem != null && row.outOfScope === null) store.setProblem(path, null);
    }
  }

  /** Brings the remote tree to the relay's head. */
  async function takeIn(): Promise<void> {
    const current = context.session();
    if (current === null || nowMs() < roomLookMs) return;
    if (!feed.caughtUp) {
      working = true;
      tellState();
      const reached = await recovery.catchUp(current, (phase, done, total) => {
        progress = { phase, done, total, unit: 'records' };
        tellProgress();
      });
      progress = null;
      // A session that began meanwhile begins anew.
      if (feed.session !== current) return;
      if (reached === 'waiting') {
        roomLookMs = nowMs() + confirmedLookMs;
        planAfter(confirmedLookMs);
        return;
      }
      arrivingRules.lookAgain();
      await previewFirstJoin(current);
      if (feed.session !== current) return;
      feed.caughtUp = true;
      isFruitful = true;
    }
    const pushed = feed.takePushed();
    try {
      for (const { record, chunks } of pushed.records) {
        contents.takePushed(chunks);
        const outcome = await roomLog.take(record);
        if (outcome.kind === 'gap') feed.headMoved = true;
        else isFruitful = true;
      }
    } finally {
      if (pushed.bytes > 0) current.grantPushCredit(pushed.bytes);
    }
    if (feed.headMoved) {
      feed.headMoved = false;
      const before = store.head()?.id;
      feed.caughtUp = (await roomLog.pull(current, () => {})) === 'caught-up';
      isFruitful ||= store.head()?.id !== before;
    }
  }

  async function carryOut(): Promise<void> {
    const current = context.session();
    if (current === null) return;
    isUnderWay = false;
    // What the room brought and this machine leaves out must be known before it is applied; ignore files come first (rules IG1, IG2).
    const arrivals = await scanner.scopeArrivals({ nowMs: clock.nowMs() });
    unsaved.rebase((path) => isSettled(path) && !isHeldOnDisk(path));
    const ignoreFiles = arrivingRules.unknown([...arrivals.ignoreFiles, ...roomLog.takeTouchedRules()]);
    for (const path of arrivingRules.release()) hintRules(path);
    if (await bringBack.resume()) isFruitful = true;
    const look: Look = {
      aimed: wantsWholePlan ? Number.POSITIVE_INFINITY : (parts.rowsPerPlan ?? rowsPerPlanAimed),
      nowMs: clock.nowMs(),
      isHeld: ({ path }) => isHeldOnDisk(path),
      pause: breathe,
    };
    const { rows, whole } =
      ignoreFiles.length > 0
        ? rowsWithParents(store, ignoreFiles, look)
        : withSaves(store, await planRows(store, look), fresh.paths(), look);
    deletions.endWhatIsOver();
    // What it wakes is judged by the rules from the start of a turn on.
    if (deletions.wakes(rows, ignoreFiles.length > 0) && ignoreFiles.length === 0) {
      planAgain();
      return;
    }
    isLargePlan = rows.length >= largePlanMin;
    isWholePlan = whole;
    wantsWholePlan = false;
    if (isLargePlan) await breathe();
    const held = store.heldRows();
    const isUnwanted = (path: RelPath, digest: string): boolean => {
      const row = store.row(path);
      const wanted = wantedAt(path);
      return (
        row?.outOfScope != null ||
        row?.hold != null ||
        wanted?.kind !== 'file' ||
        wanted.content.digest !== digest ||
        (row?.local?.kind === 'file' && row.local.digest === digest)
      );
    };
    publisher.endOutdated();
    await downloads.drop(isUnwanted);
    await applier.dropStaged(isUnwanted);
    await contents.discardUnwantedParts();
    // What waits for a person may wait for days, an open conflict, an unsaved edit or a held deletion: it is none of the join's.
    const isJoined = ignoreFiles.length === 0 && rows.every(({ path }) => unsaved.has(path));
    if (isJoined && store.setting('join') !== undefined) await endJoin();
    const isAllPlanned = rows.length === 0 && ignoreFiles.length === 0 && store.parked() === 0;
    if (isAllPlanned) deletions.nothingLeft();
    if (isAllPlanned && held.length === 0 && !untracks.hasAny() && !conflicts.hasOrphans()) {
      nothingExtra();
      judgements.forgetSettled();
      await afterwards(current);
      return;
    }
    working = true;
    tellState();
    if (store.setting('join') !== undefined) await lineEnds.look(rows, current);
    const plan = reconcile({
      rows,
      view: store,
      traits: folder.traits,
      mergeable: mayMerge,
      superseded: store.setting('join') === undefined ? judgements.supersededSince() : supersededAtJoin(joinOptions()),
      settled: (path) => isSettled(path) && !unsaved.isUndecided(path),
      staysOnDisk: (path) => unsaved.isAround(path) || deletions.isKeptAround(path),
    });
    if (isLargePlan) await breathe();
    const known = new Map(rows.map((row) => [row.path, row]));
    for (const { path } of plan.bases) known.delete(path);
    const rowOf = (path: RelPath): Row | undefined => known.get(path) ?? store.row(path);
    store.transaction(() => {
      for (const { path, base } of plan.bases) store.setBase(path, base);
      for (const { kind, path } of plan.scope) scopeStep(kind, path);
      for (const { path } of plan.agree) agree(path);
    });
    for (const { path, note } of plan.notes) parts.onEvent({ event: 'note', path, note });
    const clashes = await applyDisk(plan, rowOf);
    judgements.forgetSettled();
    if (context.session() !== current) return;
    if (ignoreFiles.length > 0) {
      // One that both sides changed, and that cannot be united, is published as any conflict.
      if (clashes.length > 0) await publishPlan(plan, clashes, rowOf, current);
      if (context.session() !== current) return;
      // Their rules hold from here on, on disk or from the room, for what is on disk and for what else arrived.
      await arrivingRules.take(ignoreFiles, current);
      for (const path of ignoreFiles) hintRules(path);
      return;
    }
    await publishPlan(plan, clashes, rowOf, current);
    if (context.session() !== current) return;
    await settleConflicts(current);
    await afterwards(current);
  }

  async function endJoin(): Promise<void> {
    // What still fails is tried again later, as it was judged.
    const left = breathing(allPendingRows(store, Number.MAX_SAFE_INTEGER), breathe);
    const judged = await judgements.judge(left, joinOptions());
    store.transaction(() => {
      judgements.keep(judged);
      ownWork.end();
      store.setSetting('join', null);
      store.setSetting(youngerLog, null);
    });
    joinTold = undefined;
    if (bringsRunnable) await tellRunnable('joined');
    const count = lineEnds.end();
    if (count === 0) return;
    parts.onEvent({
      event: 'note',
      path: '',
      note: `joined: ${count} ${count === 1 ? 'file' : 'files'} took the room's line ends; what was here lies in .driftless/trash for 30 days. With "* text=auto eol=lf" in .gitattributes, git checks out the same bytes everywhere`,
    });
  }

  /** All that an ignore file is about is judged again. */
  function hintRules(path: RelPath): void {
    settler.hint(parentPath(path) ?? '', true);
  }

  const joinOptions = (): JoinOptions => ({
    traits: folder.traits,
    wasInRoom: leftBehind.wasInRoom,
    differsInLineEndsOnly: lineEnds.differsInLineEndsOnly,
    inHistory: (path, local) => {
      // An open side of a conflict is not outdated, nor what somebody took back.
      if (ownWork.has({ path, local })) return false;
      if (store.variants(path).some((variant) => sameLocal(local, variant.entry, folder.traits))) return false;
      const digest = leafDigest(local, parts.hashing.sha256);
      return digest !== null && store.setting(youngerLog) === undefined && store.inHistory(path, digest);
    },
  });

  function earlierMembership(): EarlierMembership {
    const join = store.setting('join');
    if (join === 'rejoin') return 'state-lost';
    return join === 'return' && parts.leftAtMs !== null ? { leftAtMs: parts.leftAtMs } : null;
  }

  /** What a first join, or a re-join, is about to do, told before it does anything. */
  async function previewFirstJoin(current: RoomSession): Promise<void> {
    const join = store.setting('join');
    if (join === undefined || join === joinTold) return;
    const pendingRows = (): AsyncIterable<Row> => breathing(allPendingRows(store, Number.MAX_SAFE_INTEGER), breathe);
    // What the room had before says nothing of a log that may know less than this peer did.
    if (store.setting(youngerLog) === undefined) await leftBehind.look(pendingRows());
    await lineEnds.look(pendingRows(), current);
    const preview = await previewJoin(pendingRows(), joinOptions());
    const { equal, receive, send, update, lineEnds: otherLineEnds, trash: trashed, conflicts: clashes } = preview;
    const inLineEnds =
      otherLineEnds === 0
        ? ''
        : `${otherLineEnds} that differ in line ends only (the room's are taken, those here go to .driftless/trash), `;
    parts.onEvent({
      event: 'note',
      path: '',
      note: `joining: ${equal} equal, ${receive} to receive, ${send} to send, ${update} brought up to date, ${inLineEnds}${trashed} to the trash, ${clashes} conflicts; nothing ${otherLineEnds === 0 ? '' : 'else '}is overwritten`,
    });
    // Whoever begins a room has only files of its own.
    bringsRunnable = await tellRunnable('joining');
    joinTold = join;
  }

  /** Returns whether there were any. */
  async function tellRunnable(when: 'joining' | 'joined'): Promise<boolean> {
    const runnable = await runnableFiles(store, when, breathe);
    if (runnable !== undefined) parts.onEvent(runnable);
    return runnable !== undefined;
  }

  function scopeStep(kind: 'leaves' | 'enters', path: RelPath): void {
    const row = store.row(path);
    if (row === undefined) return;
    if (kind === 'leaves') {
      store.setBase(path, liveEntry(row.remote));
      store.setOutOfScope(path, 'directory-of-out-of-scope');
    } else {
      store.setOutOfScope(path, null);
      store.setBase(path, null);
      settler.hint(path, false);
    }
  }

  function agree(path: RelPath): void {
    const row = store.row(path);
    if (row === undefined) return;
    store.setBase(path, liveEntry(row.remote));
    store.setProblem(path, null);
  }

  // ── disk ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Returns the merges that overlapped: they are published as variants. */
  async function applyDisk(plan: Plan, rowOf: RowOf): Promise<PublishStep[]> {
    const { steps: judged, waitMs } = deletions.judgeIncoming(plan, rowOf);
    const steps = judged.filter((step) => !unsaved.hinders(step));
    if (waitMs > 0) planAfter(waitMs);
    const lacks = new Set<DiskStep>();
    const staged = new Map<RelPath, StagedContent>();
    for (const step of steps) {
      if (step.kind !== 'apply' || step.to?.kind !== 'file' || step.to.content.size <= largeContentBytesMin) continue;
      const beside = downloads.stagedFor({ path: step.path, content: step.to.content });
      if (beside === undefined) lacks.add(step);
      else staged.set(step.path, beside);
    }
    wholeRecords.note(roomLog.takeTouched());
    const possible = wholeRecords.ready(steps, lacks);
    const ready = isWholePlan ? possible : beforeRemovals(possible);
    const clashes: PublishStep[] = [];
    for (let start = 0; start < ready.length; ) {
      // Deletions come last and in one go with what precedes them only when the whole plan fits one pass.
      const batch = ready.slice(start, start + applyFilesPerPass);
      start += batch.length;
      const result = await applier.apply(batch, {
        signal: turnSignal(),
        staged,
        onProgress: (files) => {
          progress = { phase: 'applying', done: start - batch.length + files, total: ready.length, unit: 'files' };
          if (ready.length > 100) tellProgress();
        },
      });
      // What was staged beside the loop is used up, also where it could not be put in its place.
      for (const { path } of batch.filter((step): step is Apply => step.kind === 'apply'))
        if (staged.has(path)) downloads.used(path);
      for (const { path, deleted } of result.applied) {
        wholeRecords.applied(path);
        lineEnds.noteApplied(path);
        const by = roomLog.authorOf(path);
        // Another spelling may have waited for the name.
        if (deleted && foldsNames) settler.hint(path, false);
        parts.onEvent({ event: 'applied', path, ...(by === undefined ? {} : { by }), ...(deleted ? { deleted } : {}) });
      }
      const lastApplied = result.applied.at(-1);
      if (lastApplied !== undefined) {
        isFruitful = true;
        isUnderWay = true;
        rootGuard.noteBrought(batch.flatMap((step) => (makesFile(step) ? [step.path] : [])));
        for (const step of batch) if (step.kind === 'applyMove') sweep.moved(step.fromPath, step.toPath);
        noteLastChange(lastApplied.path, roomLog.authorOf(lastApplied.path) ?? null);
      }
      clashes.push(...result.conflicts);
      if (isWaitedFor() || context.session() === null) {
        planAgain();
        break;
      }
    }
    progress = null;
    // What waits for a confirmation may have come along under another name.
    if (ready.some(({ kind }) => kind === 'applyMove')) await scopeHold.look();
    return clashes;
  }

  function noteLastChange(path: string, by: string | null): void {
    store.setSetting('last-change', JSON.stringify({ path, by, time: new Date(clock.nowMs()).toISOString() }));
  }

  /** What nobody waits for must not end the process when it fails. */
  function runBeside(work: Promise<void>): void {
    const ended: Promise<void> = work
      .catch((error: unknown) => {
        if (!closing.signal.aborted) diagnostics.warn('work-beside-failed', { reason: String(error) });
      })
      .finally(() => beside.delete(ended));
    beside.add(ended);
  }

  // ── records ───────────────────────────────────────────────────────────────────────────────────────────────────────

  async function publishPlan(
    plan: Plan,
    clashes: readonly PublishStep[],
    rowOf: RowOf,
    current: RoomSession,
  ): Promise<void> {
    const all = [...plan.publish, ...clashes];
    const isReady = (step: PublishStep): boolean => !('path' in step && publisher.uploading(step.path));
    const ready = all.filter(isReady);
    const extra = context.refusals.mayTry('extra') ? await untracks.changes() : [];
    if (ready.length === 0 && extra.length === 0) return;
    const paths = all.map(stepPath);
    if (await git.busy(paths)) {
      planAfter(100);
      return;
    }
    // A first share is never one record, whatever git does meanwhile (rule LOG5).
    const isJoining = store.setting('join') !== undefined;
    const label = isJoining ? '' : await git.label(paths);
    // A checkout is one record, however much it changed.
    if (label !== '' && !isWholePlan) {
      wantsWholePlan = true;
      planAgain();
      return;
    }
    // A checkout is one record: what it touched last is looked at first (rule DISK2).
    if (label !== '' && settler.size + large.size > 0) {
      gitWaitMs ??= clock.monotonicMs();
      if (clock.monotonicMs() - gitWaitMs < gitWaitMsMax) {
        planAfter(20);
        return;
      }
    }
    gitWaitMs = null;
    const steps = label === '' ? ready : all.filter((step) => isReady(step) || waitingCheckout.lacks(stepPath(step)));
    const judged = await deletions.judge(steps, {
      inDoubt: settler.doubted().length,
      isLookDue: looksForLosses > 0,
      rowOf,
    });
    const sendable = context.refusals.isSendingRefused
      ? smallFirst(judged.steps, { bytesMax: limits.appendChunkBytesMax / 2, largeBytesMin: largeContentBytesMin })
      : isWholePlan
        ? judged.steps
        : beforeRemovals(judged.steps);
    if (isLargePlan) await breathe();
    if (judged.waitMs > 0) planAfter(judged.waitMs);
    const whole = label !== '' && sendable.length > 1;
    if (sendable.length === 0 && extra.length === 0) return sentAll();
    const sinceMs = nowMs() - lastRecordMs;
    if (sinceMs < recordIntervalMs && sendable.length < largePlanMin) {
      planAfter(recordIntervalMs - sinceMs);
      return;
    }
    // A save that came while so much was looked at is looked at before it is sent, once.
    if (isLargePlan && !whole && settler.due() && !gaveWayToSaves) {
      gaveWayToSaves = true;
      planAgain();
      return;
    }
    gaveWayToSaves = false;
    // What is large goes for itself where nothing was checked out.
    if (label === '' || label === indexLabel) waitingCheckout.ended();
    else if (waitingCheckout.waits({ label, steps: sendable, lacking: publisher.uploadAhead(sendable) })) {
      const saves = waitingCheckout.savedSince(sendable);
      if (saves.length === 0) return;
      if ((await publishBatch(saves, [], current, '', 'none')) === 'refused') waitForRoom(saves);
      lastRecordMs = nowMs();
      return;
    }
    const sent = new Set<PublishStep>();
    let isFirst = true;
    for (const batch of batchesOf(sendable, whole)) {
      const startMs = nowMs();
      const published = await publishBatch(batch, isFirst ? extra : [], current, label, judged.massDeletion);
      if (published === 'refused') {
        return waitForRoom(judged.steps.filter((step) => !sent.has(step)));
      }
      if (published === 'again') return;
      for (const step of batch) sent.add(step);
      isFirst = false;
      lastRecordMs = nowMs();
      // What has to be one record says nothing about how much of the rest should be.
      if (!whole && batch.length > 1 && batch.length <= recordSize.files)
        recordSize = nextRecordSize(recordSize, lastRecordMs - startMs);
      // Saves made meanwhile overtake the rest of a first share.
      if (sent.size < sendable.length && (isWaitedFor() || feed.hasPushed)) {
        planAgain();
        return;
      }
    }
    // The next smallest, until one is refused.
    if (sendable.length < judged.steps.length) planAgain();
    sentAll();
  }

  function sentAll(): void {
    waitingCheckout.ended();
    fresh.clear();
    git.settled();
    deletions.published();
  }

  /** Nothing of these went out. The smallest are what the relay is asked with again, and what they find takes the others along. */
  function waitForRoom(steps: readonly PublishStep[]): void {
    const refusal = context.refusals.latest('send');
    if (refusal === undefined) return;
    const { reason } = problemOf(refusal);
    const isRemoval = (step: PublishStep): boolean => step.kind === 'publish' && step.local === null;
    const last = (step: PublishStep): number => (isRemoval(step) ? Number.POSITIVE_INFINITY : stepBytes(step));
    const waiting = [...steps].sort((a, b) => (last(a) === last(b) ? 0 : last(a) < last(b) ? -1 : 1));
    store.transaction(() => {
      for (const [index, step] of waiting.entries()) {
        const askedMs = context.refusals.refusedPath(stepPath(step), 'send', refusal);
        const retryAtMs = clock.nowMs() + (index < refusedAskedWithMax && !isRemoval(step) ? askedMs : refusedRetryMs);
        for (const path of step.kind === 'publishMove' ? [step.fromPath, step.toPath] : [step.path])
          store.setProblem(path, { reason, attempts: (store.row(path)?.problem?.attempts ?? 0) + 1, retryAtMs });
      }
    });
  }

  /** There is room again: everything that waited for it is tried at once. */
  function roomFound(): void {
    const paths = context.refusals.release();
    if (paths.length === 0) return;
    store.transaction(() => {
      for (const path of paths) {
        const problem = store.row(path)?.problem;
        if (problem != null) store.setProblem(path, { ...problem, retryAtMs: 0 });
      }
    });
    planAgain();
  }

  /** Told once, when it begins. */
  function refused(work: RefusableWork, refusal: RelayTrouble): number {
    if (context.refusals.latest(work)?.message !== refusal.message)
      parts.onEvent({ event: 'problem', path: '', reason: problemOf(refusal).reason });
    return context.refusals.refused(work, refusal);
  }

  /** Saves that were just made go first when much else is to be sent: they depend on none of it. */
  function* batchesOf(steps: readonly PublishStep[], whole: boolean): Generator<readonly PublishStep[], void> {
    const fitsOne =
      steps.length <= recordSize.files && steps.reduce((sum, step) => sum + stepBytes(step), 0) <= recordSize.bytes;
    const isFirst = whole || (fitsOne && !isLargePlan) ? () => false : fresh.isOne;
    const saves = steps.filter(isFirst);
    // No steps at all: what else goes into the record has to have one.
    if (saves.length > 0 || steps.length === 0) yield saves;
    const rest = saves.length === 0 ? steps : steps.filter((step) => !isFirst(step));
    yield* recordBatches(rest, { whole, size: () => recordSize });
  }

  async function publishBatch(
    batch: readonly PublishStep[],
    extra: Parameters<typeof publisher.publish>[1],
    current: RoomSession,
    label: string,
    massDeletion: MassDeletion,
    /** Given: all or nothing goes out, and these are the steps that hindered it. */
    left: Set<PublishStep> | null = null,
  ): Promise<'appended' | 'nothing' | 'again' | 'refused'> {
    const waitedForRoom = batch.some((step) => context.refusals.isRefused(stepPath(step)));
    const outcome = await publisher.publish(batch, extra, {
      session: current,
      label,
      massDeletion,
      allOrNothing: left !== null,
      signal: turnSignal(),
      onProgress: (files) => {
        progress = { phase: 'sending', done: files, total: batch.length, unit: 'files' };
        if (batch.length > 100) tellProgress();
      },
    });
    progress = null;
    switch (outcome.kind) {
      case 'appended':
        isFruitful = true;
        isUnderWay = true;
        context.refusals.done('send');
        if (left !== null || extra.length > 0) context.refusals.done('extra');
        if (waitedForRoom) roomFound();
        for (const { path, deleted } of outcome.paths)
          parts.onEvent(deleted ? { event: 'sent', path, deleted } : { event: 'sent', path });
        for (const step of batch)
          if (step.kind === 'conflict')
            parts.onEvent({
              event: 'conflict',
              path: step.path,
              reason: conflictWords[step.reason],
              device: parts.deviceName,
            });
        if (outcome.paths.length > 0) noteLastChange(outcome.paths[0]?.path ?? '', parts.deviceName);
        return 'appended';
      case 'nothing':
        for (const step of outcome.left) left?.add(step);
        return 'nothing';
      case 'stale':
        feed.headMoved ||= outcome.isBehind;
        isFruitful = true;
        // Random within two round trips, so that equal peers do not meet again and again (rule PR4).
        planAfter(staleDelayMs(roundTripMsGuess, parts.random.fraction()));
        return 'again';
      case 'gap':
        feed.caughtUp = false;
        return 'again';
      case 'outdated':
        isFruitful = true;
        planAgain();
        return 'again';
      case 'refused':
        if (left === null) planAfter(refused('send', outcome.refusal));
        if (left !== null || extra.length > 0) planAfter(refused('extra', outcome.refusal));
        return 'refused';
    }
  }

  async function settleConflicts(current: RoomSession): Promise<void> {
    if (!context.refusals.mayTry('extra')) return;
    let work = await conflicts.settle({
      settled: (path) => isSettled(path) && !isHeldOnDisk(path) && !unsaved.has(path),
      isDeletionOpen: () => looksForLosses > 0 || deletions.isOpen(),
    });
    if (work.length === 0) return nothingExtra();
    // Once more without those that cannot go out now: large contents that are on their way, a file that is being written.
    for (let attempt = 0; attempt < 2 && work.length > 0; attempt += 1) {
      const steps = work.flatMap((one) => one.steps);
      const left = new Set<PublishStep>();
      const extra = work.flatMap((one) => one.extra);
      const outcome = await publishBatch(steps, extra, current, '', 'none', left);
      if (outcome === 'appended') planAgain();
      if (outcome !== 'nothing' || left.size === 0) return;
      work = work.filter((one) => !one.steps.some((step) => left.has(step)));
    }
  }

  /** What was refused is not to be said any more: somebody else did it, or nobody wants it now. */
  function nothingExtra(): void {
    if (!untracks.hasAny() && !tombstonesDue) context.refusals.done('extra');
  }

  /** Nothing urgent is left: checkpoint, trash. */
  async function afterwards(current: RoomSession): Promise<void> {
    // What fails, is held or waits may do so for ever: only work that goes on comes first.
    const { pending } = store.counts();
    if (isUnderWay && pending > 0) return;
    if (pending === 0) wholeRecords.clear();
    if (tombstonesDue && context.refusals.mayTry('extra')) {
      const aged = await agedTombstones(context);
      const forgotten = aged.length === 0 || (await publishBatch([], aged, current, '', 'none', new Set()));
      tombstonesDue = forgotten === 'again' || forgotten === 'refused';
    }
    if (checkpointing || clock.monotonicMs() < checkpointDueMs || !context.refusals.mayTry('checkpoint')) return;
    const lasting = context.lastingSession();
    if (lasting === null) return;
    checkpointing = true;
    // Beside the loop: saves do not wait for it (rule CP4).
    runBeside(
      checkpoints
        .makeIfDue(lasting)
        .then((made) => {
          context.refusals.done('checkpoint');
          if (!made) return;
          diagnostics.info('checkpoint-made');
          tombstonesDue = true;
          planAgain();
        })
        .catch((error: unknown) => {
          checkpointDueMs = clock.monotonicMs() + checkpointRetryMs;
          if (error instanceof RequestRefused) refused('checkpoint', error);
          if (!closing.signal.aborted) diagnostics.warn('checkpoint-failed', { reason: String(error) });
        })
        .finally(() => {
          checkpointing = false;
        }),
    );
  }

  // ── running ───────────────────────────────────────────────────────────────────────────────────────────────────────

  async function run(): Promise<void> {
    let failures = 0;
    while (!closing.signal.aborted) {
      woken = false;
      isFruitful = false;
      let delayMs = 0;
      try {
        await turn();
        givingWay.ended();
        const endMs = nowMs();
        schedule.ended(endMs, situation(endMs), { fruitless: !isFruitful });
        working = false;
        turnSession = null;
        progress = downloads.size > 0 ? progress : null;
        if (closing.signal.aborted) break;
        if (!schedule.isBackingOff(nowMs())) {
          // What has not been tried since, because it may not run now, is not known to be over.
          if (!schedule.owes()) failures = 0;
          backOffHalt = null;
        }
        delayMs = sleepMs();
      } catch (error) {
        givingWay.ended();
        working = false;
        failures = onTurnFailed(error, failures);
        turnSession = null;
        progress = null;
        if (closing.signal.aborted) break;
        delayMs = sleepMsAfterFailure();
      }
      if (!woken) await sleep(delayMs);
    }
  }

  /** Tells how it is, and how long nothing is due. */
  function sleepMs(): number {
    const { state } = tellState();
    schedule.after('presence', presence.announce(state), nowMs());
    const atMs = nowMs();
    return schedule.nextDelayMs(atMs, situation(atMs));
  }

  /** What failed may be what tells: the store. */
  function sleepMsAfterFailure(): number {
    try {
      return sleepMs();
    } catch (error) {
      diagnostics.warn('state-not-told', { reason: String(error) });
      return rootCheckEveryMs;
    }
  }

  /** What was asked for while no peer ran. */
  function recall(): void {
    const relayKey = store.setting(trustedRelayKey);
    if (relayKey !== undefined) {
      store.setSetting(trustedRelayKey, null);
      feed.trust(relayKey);
    }
    rememberHowItJoins(store, parts);
    judgements.forgetSettled();
  }

  async function startUp(): Promise<void> {
    // Watches follow the rules in force, the first ones too.
    await scanner.loadRootRules();
    await heldFiles.load();
    await parts.watcher.start({
      isIgnoredDirectory: (path) => scanner.isIgnored(path as RelPath, true),
      onHint: ({ path, deep }) => {
        settler.hint(path, deep);
        wake();
        feed.nudge();
      },
      onLoss: hintsLost,
      onCoverage: () => {
        sweep.coverageChanged();
        wake();
      },
    });
    // Closed meanwhile: a link opened now would outlive the store.
    if (closing.signal.aborted) return;
    for (const work of ['root', 'all', 'trash'] as const) schedule.input(work, nowMs());
    // After the scan was asked for: until that one watches the directories, a sweep has nothing to look at.
    runBeside(sweep.run());
    feed.open();
  }

  /** Returns how many turns in a row have failed. */
  function onTurnFailed(error: unknown, failuresBefore: number): number {
    if (closing.signal.aborted) return failuresBefore;
    if (
      error instanceof RequestRefused ||
      error instanceof RecordUnreadable ||
      error instanceof RecordNotUnderstood ||
      error instanceof CheckpointUnconfirmed
    ) {
      // The journal and pushed records may have been cut short by it; the disk goes on being looked at.
      isJournalSettled = false;
      feed.headMoved = true;
      schedule.failed(nowMs(), 0);
      if (error instanceof RecordUnreadable) {
        for (const id of error.asks) lost.ask(id);
        if (error.wantsOtherConnection) {
          diagnostics.warn('record-unreadable', { reason: error.message });
          turnSession?.distrust(error.message);
          return failuresBefore;
        }
      }
      planAfter(refused('room', error));
      return failuresBefore;
    }
    const failures = failuresBefore + 1;
    const failure = failureOf(error, failures);
    if (failure.settlesJournal) isJournalSettled = false;
    if (failure.asksLogAgain) feed.caughtUp = false;
    if (failure.isFinal) halt = failure.halt;
    else backOffHalt = failure.halt;
    schedule.failed(nowMs(), failure.backOffMs);
    // The session that this turn worked with: another may have begun meanwhile.
    if (failure.kind === 'session-ended' && feed.session === turnSession) feed.dropSession();
    if (failure.kind !== 'internal') return failure.backOffMs > 0 ? failures : failuresBefore;
    diagnostics.error('turn-failed', {
      reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
      failures,
    });
    if (failures === 1) parts.onEvent({ event: 'problem', path: '', reason: failure.reason });
    // What several turns failed on may be that the trees do not say what the disk holds.
    if (failures >= 3) lookAtAll();
    return failures;
  }

  /** Beside the loop: a large file in the trash may have to be read. */
  function sweepTrash(): void {
    if (sweepingTrash) return;
    sweepingTrash = true;
    let nextMs: number | null = null;
    runBeside(
      trash
        .sweep()
        .then((dueInMs) => {
          nextMs = dueInMs;
        })
        .catch((error: unknown) => {
          if (!closing.signal.aborted) diagnostics.warn('trash-not-swept', { reason: String(error) });
        })
        .finally(() => {
          sweepingTrash = false;
          const delayMs = Math.min(trashEveryMsMax, Math.max(trashEveryMsMin, nextMs ?? trashEveryMsMax));
          schedule.after('trash', delayMs, nowMs());
          wake();
        }),
    );
  }

  async function sleep(delayMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = clock.after(delayMs, resolve);
      wakeUp = () => {
        timer.cancel();
        resolve();
      };
    });
    wakeUp = null;
  }

  const command = (work: () => Promise<void>): Promise<void> => {
    const done = commands.ask(work);
    givingWay.ask();
    wake();
    feed.nudge();
    return done;
  };

  const control = createControl(parts, {
    scanner,
    contents,
    untracks,
    command,
    state: peerState,
    peers: () => presence.peers(),
    roomProblems: () => otherRoots.problems(),
    session: () => context.lastingSession(),
    readAgain: (path) => sweep.readAgain(path),
    pause,
    running: true,
    holds,
    unsaved: {
      ...unsaved,
      hold: (window, edits) => {
        unsaved.hold(window, edits);
        // What waits is told.
        wake();
      },
    },
    isOnHeldDisk: isHeldOnDisk,
    // What was answered is looked at once more before it is acted on.
    onAnswered: () => {
      lookAtAll();
      schedule.input('root', nowMs());
      // It may have been about the room, which is asked rarely meanwhile.
      context.refusals.done('room');
      roomLookMs = 0;
    },
    onTrustRelay: feed.trust,
  });

  return {
    ...control,
    start: () => {
      running ??= run().catch((error: unknown) => {
        diagnostics.error('peer-stopped', {
          reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
        });
        halt = {
          code: 'internal',
          reason: `the peer stopped: ${error instanceof Error ? error.message : String(error)}`,
          next: 'see the log; restart Driftless',
          stopped: true,
        };
        backOffHalt = halt;
        commands.end();
        try {
          tellState();
        } catch (telling) {
          diagnostics.warn('state-not-told', { reason: String(telling) });
        }
      });
    },
    close: async () => {
      closing.abort();
      commands.end();
      wake();
      publisher.abortUploads();
      feed.close();
      downloads.abort();
      await running;
      await Promise.allSettled(beside);
      await publisher.uploadsEnded();
      beginnings.close();
      await parts.watcher.close();
      await folder.close();
      store.flush();
      store.close();
    },
  };
}

/** As the plan at hand sees it. */
type RowOf = (path: RelPath) => Row | undefined;

const makesFile = (step: DiskStep): step is Apply =>
  step.kind === 'apply' && step.row.local === null && step.to?.kind === 'file';

const bareState = (halt: Halt): PeerState => ({
  state: 'error',
  ...errorOf(halt),
  pending: 0,
  conflicts: 0,
  watchingByRescan: false,
  waitingForUnsavedEdits: false,
});
const clonedHalt: Halt = {
  code: 'cloned',
  reason: 'another machine uses the identity of this folder (a copied home or a restored image)',
  next: 'unlink this folder and join it again',
};
