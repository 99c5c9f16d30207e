/**
 * The loop of a peer: hints → settle → scan → reconcile → disk steps and records → base. One turn at a time, all of it
 * state-based: whatever a crash, a cut or a stale head interrupts, the next turn looks at the three trees again.
 *
 *      hint, push, timer, command ──► wake ──► turn ──► nothing left to do ──► sleep
 *
 *   turn: commands · root check · scan what is dirty · take in the room's records · reconcile · disk · publish · conflicts
 *
 * Decisions are made in core/ and in the verbs; this file only orders them and turns outcomes into one honest state
 * (rules RB1, DISK2, FAST1, FAST2, FAST5, PR4, W6).
 */
import { clipText, limits, type MassDeletion, type RelPath } from '@driftless/protocol';
import { createApplier } from './apply/apply.ts';
import { createReplaceJournal } from './apply/replace-journal.ts';
import { createTrashKeeper } from './apply/trash-keeper.ts';
import { createCheckpoints } from './checkpoints.ts';
import { createConflictKeeper } from './conflicts.ts';
import { largeContentBytesMin, type StagedContent } from './content/content-types.ts';
import { createContents } from './contents.ts';
import type { PeerState } from './control.ts';
import { createControl } from './control-service.ts';
import { backoffDelayMs, pathBackoff, staleDelayMs } from './core/backoff.ts';
import { liveEntry, sameLocal } from './core/entry-encoding.ts';
import {
  type EarlierMembership,
  type JoinOptions,
  previewJoin,
  supersededAtJoin,
  wasInRoomBy,
} from './core/first-join.ts';
import { leafDigest } from './core/leaf-digest.ts';
import { derivePeerState, type Halt } from './core/peer-state.ts';
import { type Apply, conflictWords, type DiskStep, type Plan, type PublishStep } from './core/plan.ts';
import { reconcile } from './core/reconcile.ts';
import { recordBatches } from './core/record-batches.ts';
import type { Row } from './core/row.ts';
import { createDeletionHold } from './deletion-hold.ts';
import { createDownloads } from './downloads.ts';
import { createGitWatch } from './git-watch.ts';
import { createPause } from './pause.ts';
import type { Peer, PeerParts } from './peer-api.ts';
import { type PeerContext, RoomHalted } from './peer-context.ts';
import { FolderError } from './ports/folder.ts';
import { RequestRefused, type RoomSession, SessionEnded } from './ports/room-session.ts';
import { StateStoreError } from './ports/state-store.ts';
import { createPresenceBoard } from './presence.ts';
import { createPublisher, DraftVoid } from './publish.ts';
import { createRecovery, youngerLog } from './recover.ts';
import { createRelayFeed } from './relay-feed.ts';
import { createRoomLog } from './room-log.ts';
import { createRootGuard, RootReplaced } from './root-guard.ts';
import { createSecondLooks } from './scan/second-look.ts';
import { createSettler } from './scan/settler.ts';
import { createScanner, type ScanRequest } from './scan.ts';
import { agedTombstones } from './tombstones.ts';

/** Rows looked at together: large enough for the rename of a big directory to be seen whole. */
const rowsPerPlanMax = 50_000;
/** Files applied in one pass, so that state and progress move on during a big join. */
const applyFilesPerPass = 2_000;
/** Rule PR4. */
const recordIntervalMs = 100;
const progressEveryMs = 250;
/** Paths that keep changing do not hold up what git did for longer. */
const gitWaitMsMax = 1_000;
const rescanEveryMs = 10 * 60_000;
/** Without hints (no watches left, a network file system) the disk is looked at more often. */
const degradedRescanEveryMs = 10_000;
const rootCheckEveryMs = 2_000;
/** The trash is looked through when something may go, but never in every turn. */
const trashEveryMsMin = 5_000;
const trashEveryMsMax = 60_000;
/** After a checkpoint that failed. */
const checkpointRetryMs = 60_000;
/** How long a room without space is left alone. */
const quotaRetryMs = 15_000;
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
  let quota: Halt | null = null;
  /** A step of the loop itself met a full disk. */
  let diskFull = false;
  /** Paths that failed for want of room, and have not been tried with success since. */
  const withoutRoom = new Set<RelPath>();
  let scanning = false;
  let working = false;
  let progress: PeerState['progress'] | null = null;
  let degraded: string | null = null;
  let fullScanDueMs = 0;
  /** The journal of the run before is settled, and its staged files are gone. */
  let isSettled = false;
  let isRecalled = false;
  /** The session that the turn under way began with. */
  let turnSession: RoomSession | null = null;
  let checkpointing = false;
  /** A checkpoint was made: a good moment to let aged tombstones go. */
  let tombstonesDue = false;
  let checkpointDueMs = 0;
  let trashDueMs = 0;
  let lastRecordMs = Number.NEGATIVE_INFINITY;
  /** A labelled record was taken in: its large contents are not left behind (rule DISK1). */
  let wholeRecord = false;
  /** Since when a checkout waits for its last paths. */
  let gitWaitMs: number | null = null;
  let lastStateText = '';
  let lastProgressMs = Number.NEGATIVE_INFINITY;
  let lastLastingText = '';
  let lastToldMs = Number.NEGATIVE_INFINITY;
  const commands: (() => Promise<void>)[] = [];
  let running: Promise<void> | null = null;
  /** Work beside the loop; waited for before the parts are closed. */
  const beside = new Set<Promise<void>>();

  let wakeUp: (() => void) | null = null;
  let woken = false;
  const wake = (): void => {
    woken = true;
    wakeUp?.();
  };

  const feed = createRelayFeed(parts, {
    wake,
    onOnline: () => presence.reset(),
    onOffline: () => {
      try {
        tellState();
      } catch (error) {
        diagnostics.warn('state-not-told', { reason: String(error) });
      }
    },
    command: (work) => {
      commands.push(work);
    },
  });
  const settler = createSettler(clock);
  const journal = createReplaceJournal(parts);
  const context: PeerContext = {
    parts,
    journal,
    pause,
    signal: closing.signal,
    get contents() {
      return contents;
    },
    session: () => feed.answering(),
    // Not woken: the loop sleeps no longer than until the path is due, and must not turn until then.
    markDirty: (path, deep) => {
      settler.hint(path, deep);
    },
    fail: (path, problem) => {
      const { reason, diskFull: isFull } = typeof problem === 'string' ? { reason: problem, diskFull: false } : problem;
      if (isFull) withoutRoom.add(path);
      else withoutRoom.delete(path);
      const attempts = (store.row(path)?.problem?.attempts ?? 0) + 1;
      const delayMs = backoffDelayMs(attempts - 1, parts.random.fraction(), pathBackoff);
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
    onDistrusted: (path) => settler.hint(path, false),
  });
  const roomLog = createRoomLog(context);
  const publisher = createPublisher(context, roomLog, wake);
  const downloads = createDownloads(context, {
    runBeside,
    onProgress: (next) => {
      progress = next;
    },
    wake,
  });
  const applier = createApplier(context);
  const checkpoints = createCheckpoints(context);
  const recovery = createRecovery(context, roomLog, checkpoints);
  const presence = createPresenceBoard(context);
  const trash = createTrashKeeper(context);
  const git = createGitWatch(context);
  const rootGuard = createRootGuard(context);
  const deletions = createDeletionHold(context, git);
  const conflicts = createConflictKeeper(context);
  const scanner = createScanner({
    folder,
    store,
    clock,
    hashing: parts.hashing,
    log: diagnostics,
    fileBytesMax: parts.fileBytesMax,
    pause,
  });
  const secondLooks = createSecondLooks({ clock, store, settler, isIgnored: scanner.isIgnored });

  // ── state ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  function peerState(): PeerState {
    const counts = store.counts();
    const open = new Set(store.openVariants().map((variant) => variant.path));
    return derivePeerState({
      halt:
        halt ??
        feed.refusal ??
        quota ??
        deletions.halt() ??
        (isDiskFull() ? diskFullHalt : null) ??
        (presence.cloned ? clonedHalt : null),
      paused: isPaused(),
      online: feed.answering() !== null,
      scanning: scanning || fullScanDueMs <= clock.monotonicMs(),
      offlineReason: feed.offlineReason,
      busy:
        working ||
        !feed.caughtUp ||
        feed.headMoved ||
        feed.hasPushed ||
        publisher.uploadsUnderWay > 0 ||
        downloads.size > 0,
      pending: counts.pending + settler.size,
      conflicts: Math.max(counts.held, open.size),
      progress,
      watchingByRescan: degraded !== null,
      waitingForUnsavedEdits: false,
    });
  }
  function isDiskFull(): boolean {
    for (const path of withoutRoom) if (store.row(path)?.problem == null) withoutRoom.delete(path);
    return diskFull || withoutRoom.size > 0;
  }
  const isPaused = (): boolean => store.setting('paused') === 'yes';

  /** Called for every file of long work: the state is not even derived more often than it is told. */
  function tellProgress(): void {
    const nowMs = clock.monotonicMs();
    if (nowMs - lastProgressMs < progressEveryMs) return;
    lastProgressMs = nowMs;
    tellState();
  }

  /** A change of state is told at once, of numbers a few times a second: the loop looks again within rootCheckEveryMs. */
  function tellState(): void {
    const state = peerState();
    const text = JSON.stringify(state);
    if (text === lastStateText) return;
    const { pending: _pending, progress: _progress, ...lasting } = state;
    const lastingText = JSON.stringify(lasting);
    const nowMs = clock.monotonicMs();
    if (lastingText === lastLastingText && nowMs - lastToldMs < progressEveryMs) return;
    lastStateText = text;
    lastLastingText = lastingText;
    lastToldMs = nowMs;
    parts.onEvent({ event: 'state', ...state });
  }

  // ── a turn ────────────────────────────────────────────────────────────────────────────────────────────────────────

  async function turn(): Promise<void> {
    turnSession = feed.session;
    if (!isRecalled) recall();
    isRecalled = true;
    for (const sealed of feed.takePresences()) presence.take(sealed);
    for (const command of commands.splice(0)) await command();
    let rootHalt = await rootGuard.check();
    if (rootHalt?.code === 'root-emptied' && halt?.code === 'root-emptied') {
      // Files that come back end it by themselves.
      await scanDirty();
      rootHalt = await rootGuard.check();
    }
    if (rootHalt !== null) {
      if (halt === null || halt.code !== rootHalt.code) fullScanDueMs = 0;
      halt = rootHalt;
      return;
    }
    if (halt !== null && isRootHalt(halt)) {
      halt = null;
      fullScanDueMs = 0;
    }
    if (!isSettled || journal.isCut) {
      await applier.settleInterrupted();
      await git.begin();
      isSettled = true;
    }
    if (halt !== null) return;
    if (isPaused()) {
      publisher.abortUploads();
      await downloads.drop(() => true);
      return;
    }
    const emptied = await scanDirty();
    if (emptied !== null) {
      halt = emptied;
      return;
    }
    if (context.session() !== null) await takeIn();
    if (context.session() !== null && feed.caughtUp) await carryOut();
  }
  const isRootHalt = ({ code }: Halt): boolean =>
    code === 'root-missing' || code === 'root-replaced' || code === 'root-emptied';

  /** A halt: what was seen must not be acted on. */
  async function scanDirty(): Promise<Halt | null> {
    const full = clock.monotonicMs() >= fullScanDueMs;
    const taken = full ? [] : settler.take();
    try {
      return full || taken.length > 0 ? await scan(full ? 'all' : taken) : null;
    } catch (error) {
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
      const result = await scanner.scan({
        paths,
        signal: closing.signal,
        onProgress: (files) => {
          progress = { phase: 'scanning', done: files, total: Math.max(files, store.counts().files), unit: 'files' };
          if (files > 1_000) tellProgress();
        },
      });
      if (full) fullScanDueMs = clock.monotonicMs() + (degraded === null ? rescanEveryMs : degradedRescanEveryMs);
      for (const request of result.unstable) settler.unstable(request);
      secondLooks.judge({ ...result, requests: full ? [] : paths, lookedMs });
      for (const { path, reason } of result.problems) parts.onEvent({ event: 'problem', path, reason });
      // Files can be gone because the folder is: looked at once more before anybody hears of it (D5).
      const rootHalt = result.vanished.length > 0 ? await rootGuard.check() : null;
      // Nor is it said of files that may be back in a moment.
      return rootHalt ?? (settler.doubted().length > 0 ? null : rootGuard.judgeScan());
    } finally {
      scanning = false;
      progress = null;
    }
  }

  /** Brings the remote tree to the relay's head. */
  async function takeIn(): Promise<void> {
    const current = context.session();
    if (current === null) return;
    if (!feed.caughtUp) {
      working = true;
      tellState();
      await recovery.catchUp(current, (phase, done, total) => {
        progress = { phase, done, total, unit: 'records' };
        tellProgress();
      });
      progress = null;
      // A session that began meanwhile begins anew.
      if (feed.session !== current) return;
      feed.caughtUp = true;
      previewFirstJoin();
    }
    const pushed = feed.takePushed();
    try {
      for (const { record, chunks } of pushed.records) {
        contents.takePushed(chunks);
        const outcome = await roomLog.take(record);
        if (outcome.kind === 'gap') feed.headMoved = true;
      }
    } finally {
      if (pushed.bytes > 0) current.grantPushCredit(pushed.bytes);
    }
    if (feed.headMoved) {
      feed.headMoved = false;
      const outcome = await roomLog.pull(current, () => {});
      if (outcome !== 'caught-up') {
        feed.caughtUp = false;
        wake();
      }
    }
    const head = store.head();
    if (head !== null && (store.recordMeta(head.height)?.label ?? '') !== '') wholeRecord = true;
  }

  async function carryOut(): Promise<void> {
    const current = context.session();
    if (current === null) return;
    // What the room brought and this machine leaves out must be known before it is applied; ignore files come first (rules IG1, IG2).
    const { ignoreFiles } = await scanner.scopeArrivals({ nowMs: clock.nowMs() });
    const pending = store.pendingRows({ limit: rowsPerPlanMax, nowMs: clock.nowMs() });
    const rows =
      ignoreFiles.length === 0
        ? pending
        : pending.filter((row) => ignoreFiles.some((path) => path === row.path || path.startsWith(`${row.path}/`)));
    const held = store.heldRows();
    await downloads.drop((path, digest) => {
      const row = store.row(path);
      const wanted = liveEntry(row?.remote ?? null);
      return (
        row?.outOfScope != null ||
        row?.hold != null ||
        wanted?.kind !== 'file' ||
        wanted.content.digest !== digest ||
        (row?.local?.kind === 'file' && row.local.digest === digest)
      );
    });
    if (rows.length === 0 && held.length === 0 && !conflicts.hasUntracks() && !conflicts.hasOrphans()) {
      deletions.nothingLeft();
      // What still fails is tried again later: it is no part of the join any more.
      if (store.setting('join') !== undefined) {
        store.setSetting('join', null);
        store.setSetting(youngerLog, null);
      }
      await afterwards(current);
      return;
    }
    working = true;
    tellState();
    const plan = reconcile({
      rows,
      view: store,
      traits: folder.traits,
      mergeable: isMergeable,
      ...(store.setting('join') === undefined ? {} : { superseded: supersededAtJoin(joinOptions()) }),
      settled: (path) => !settler.has(path),
    });
    store.transaction(() => {
      for (const { kind, path } of plan.scope) scopeStep(kind, path);
      for (const { path } of plan.agree) agree(path);
    });
    for (const { path, note } of plan.notes) parts.onEvent({ event: 'note', path, note });
    const clashes = await applyDisk(plan);
    if (context.session() !== current) return;
    // One that both sides changed is first published as any conflict, and then waits like any.
    if (ignoreFiles.length > 0 && plan.disk.length > 0 && clashes.length === 0) {
      // Their rules hold from here on, for what is on disk and for what else arrived.
      for (const path of ignoreFiles)
        settler.hint(path.includes('/') ? (path.slice(0, path.lastIndexOf('/')) as RelPath) : '', true);
      wake();
      return;
    }
    await publishPlan(plan, clashes, current);
    if (context.session() !== current) return;
    await settleConflicts(current);
    await afterwards(current);
  }

  const joinOptions = (): JoinOptions => ({
    traits: folder.traits,
    wasInRoom: wasInRoomBy(earlierMembership()),
    inHistory: (path, local) => {
      // An open side of a conflict is not outdated.
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
  function previewFirstJoin(): void {
    if (store.setting('join') === undefined) return;
    const preview = previewJoin(
      store.pendingRows({ limit: rowsPerPlanMax, nowMs: Number.MAX_SAFE_INTEGER }),
      joinOptions(),
    );
    const { equal, receive, send, update, trash: trashed, conflicts: clashes } = preview;
    parts.onEvent({
      event: 'note',
      path: '',
      note: `joining: ${equal} equal, ${receive} to receive, ${send} to send, ${update} brought up to date, ${trashed} to the trash, ${clashes} conflicts; nothing is overwritten`,
    });
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

  const isMergeable = (row: Row): boolean => {
    const remote = liveEntry(row.remote);
    return (
      row.local?.kind === 'file' &&
      remote?.kind === 'file' &&
      row.base?.kind === 'file' &&
      Math.max(row.local.size, remote.content.size, row.base.content.size) <= largeContentBytesMin
    );
  };

  // ── disk ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Returns the merges that overlapped: they are published as variants. */
  async function applyDisk(plan: Plan): Promise<PublishStep[]> {
    const holdDeletions = deletions.holdsIncoming();
    const steps = plan.disk.filter((step) => !(holdDeletions && step.kind === 'apply' && step.to === null));
    const ready: DiskStep[] = [];
    const staged = new Map<RelPath, StagedContent>();
    for (const step of steps) {
      if (
        step.kind === 'apply' &&
        step.to?.kind === 'file' &&
        step.to.content.size > largeContentBytesMin &&
        !wholeRecord
      ) {
        const beside = downloads.stagedFor(step);
        if (beside === undefined) continue;
        staged.set(step.path, beside);
      }
      ready.push(step);
    }
    const clashes: PublishStep[] = [];
    for (let start = 0; start < ready.length; ) {
      // Deletions come last and in one go with what precedes them only when the whole plan fits one pass.
      const batch = ready.slice(start, start + applyFilesPerPass);
      start += batch.length;
      const result = await applier.apply(batch, {
        signal: closing.signal,
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
        const by = roomLog.authorOf(path);
        parts.onEvent({ event: 'applied', path, ...(by === undefined ? {} : { by }), ...(deleted ? { deleted } : {}) });
      }
      const lastApplied = result.applied.at(-1);
      if (lastApplied !== undefined) {
        rootGuard.noteApplied();
        noteLastChange(lastApplied.path, roomLog.authorOf(lastApplied.path) ?? '');
      }
      clashes.push(...result.conflicts);
      if (settler.due() || context.session() === null) break;
    }
    progress = null;
    return clashes;
  }

  function noteLastChange(path: string, by: string): void {
    store.setSetting('last-change', JSON.stringify({ path, by, time: new Date(clock.nowMs()).toISOString() }));
  }

  function runBeside(work: Promise<void>): void {
    const ended: Promise<void> = work.finally(() => beside.delete(ended));
    beside.add(ended);
  }

  // ── records ───────────────────────────────────────────────────────────────────────────────────────────────────────

  async function publishPlan(plan: Plan, clashes: readonly PublishStep[], current: RoomSession): Promise<void> {
    const steps = [...plan.publish, ...clashes].filter((step) => !('path' in step && publisher.uploading(step.path)));
    const extra = await conflicts.untracks();
    if (steps.length === 0 && extra.length === 0) return;
    if (await git.busy()) {
      settler.wakeIn(100);
      return;
    }
    const label = await git.label();
    // A checkout is one record: what it touched last is looked at first (rule DISK2).
    if (label !== '' && settler.size > 0) {
      gitWaitMs ??= clock.monotonicMs();
      if (clock.monotonicMs() - gitWaitMs < gitWaitMsMax) {
        settler.wakeIn(20);
        return;
      }
    }
    gitWaitMs = null;
    const judged = await deletions.judge(steps, { inDoubt: settler.doubted().length });
    const sendable = judged.steps;
    if (judged.waitMs > 0) settler.wakeIn(judged.waitMs);
    const whole = label !== '' && sendable.length > 1;
    const batches = [...recordBatches(sendable, { whole })];
    if (batches.length === 0 && extra.length > 0) batches.push([]);
    for (const [index, batch] of batches.entries()) {
      const sinceMs = clock.monotonicMs() - lastRecordMs;
      if (sinceMs < recordIntervalMs && batch.length < 500) {
        settler.wakeIn(recordIntervalMs - sinceMs);
        return;
      }
      const published = await publishBatch(
        batch,
        index === 0 ? extra : [],
        current,
        whole || label !== '' ? label : '',
        judged.massDeletion,
        whole,
      );
      if (published === 'again') return;
      lastRecordMs = clock.monotonicMs();
      // Saves made meanwhile overtake the rest of a first share.
      if (index < batches.length - 1 && (settler.due() || feed.hasPushed)) {
        wake();
        return;
      }
    }
    git.settled();
    deletions.published();
  }

  async function publishBatch(
    batch: readonly PublishStep[],
    extra: Parameters<typeof publisher.publish>[1],
    current: RoomSession,
    label: string,
    massDeletion: MassDeletion,
    whole: boolean,
    allOrNothing = false,
  ): Promise<'appended' | 'nothing' | 'again'> {
    const outcome = await publisher.publish(batch, extra, {
      session: current,
      label,
      massDeletion,
      whole,
      allOrNothing,
      onProgress: (files) => {
        progress = { phase: 'sending', done: files, total: batch.length, unit: 'files' };
        if (batch.length > 100) tellProgress();
      },
    });
    progress = null;
    switch (outcome.kind) {
      case 'appended':
        quota = null;
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
        return 'nothing';
      case 'stale':
        feed.headMoved ||= outcome.isBehind;
        // Random within two round trips, so that equal peers do not meet again and again (rule PR4).
        settler.wakeIn(staleDelayMs(roundTripMsGuess, parts.random.fraction()));
        return 'again';
      case 'gap':
        feed.caughtUp = false;
        wake();
        return 'again';
      case 'over-quota':
        quota = {
          code: 'refused',
          reason: `the relay has no room left: ${outcome.what}`,
          next: 'make room at the relay or raise its quota; this peer tries again',
        };
        settler.wakeIn(quotaRetryMs);
        return 'again';
    }
  }

  async function settleConflicts(current: RoomSession): Promise<void> {
    const work = await conflicts.settle((path) => !settler.has(path));
    if (work.extra.length === 0 && work.steps.length === 0) return;
    if ((await publishBatch(work.steps, work.extra, current, '', 'none', true, true)) === 'appended') wake();
  }

  /** Nothing urgent is left: checkpoint, trash. */
  async function afterwards(current: RoomSession): Promise<void> {
    if (store.counts().pending > 0) return;
    wholeRecord = false;
    if (tombstonesDue) {
      tombstonesDue = false;
      const aged = await agedTombstones(context);
      if (aged.length > 0) await publishBatch([], aged, current, '', 'none', true, true);
    }
    if (checkpointing || clock.monotonicMs() < checkpointDueMs) return;
    checkpointing = true;
    // Beside the loop: saves do not wait for it (rule CP4).
    runBeside(
      checkpoints
        .makeIfDue(current)
        .then((made) => {
          if (!made) return;
          diagnostics.info('checkpoint-made');
          tombstonesDue = true;
          wake();
        })
        .catch((error: unknown) => {
          checkpointDueMs = clock.monotonicMs() + checkpointRetryMs;
          if (!closing.signal.aborted) diagnostics.warn('checkpoint-failed', { reason: String(error) });
        })
        .finally(() => {
          checkpointing = false;
        }),
    );
  }

  // ── running ───────────────────────────────────────────────────────────────────────────────────────────────────────

  async function run(): Promise<void> {
    await startUp();
    let failures = 0;
    while (!closing.signal.aborted) {
      woken = false;
      try {
        await turn();
        failures = 0;
        diskFull = false;
      } catch (error) {
        failures += 1;
        onTurnFailed(error, failures);
      }
      working = false;
      turnSession = null;
      progress = downloads.size > 0 ? progress : null;
      if (closing.signal.aborted) break;
      tellState();
      let delayMs = rootCheckEveryMs;
      try {
        delayMs = Math.min(presence.announce(peerState().state), await nextDelayMs());
      } catch (error) {
        failures += 1;
        onTurnFailed(error, failures);
      }
      if (!woken) await sleep(delayMs);
    }
  }

  /** What was asked for while no peer ran. */
  function recall(): void {
    if (store.setting('confirm-next') !== undefined) {
      store.setSetting('confirm-next', null);
      rootGuard.confirmNext();
      deletions.confirmNext();
    }
    if (store.setting('trust-next') !== undefined) {
      store.setSetting('trust-next', null);
      feed.trustNextKey();
    }
    if (store.head() === null && store.setting('join') === undefined)
      store.setSetting('join', parts.rejoin ? 'rejoin' : parts.leftAtMs === null ? 'first' : 'return');
  }

  async function startUp(): Promise<void> {
    await parts.watcher.start({
      isIgnoredDirectory: (path) => scanner.isIgnored(path as RelPath, true),
      onHint: ({ path, deep }) => {
        settler.hint(path, deep);
        wake();
        feed.nudge();
      },
      onDegraded: (reason) => {
        degraded = reason;
        fullScanDueMs = 0;
        wake();
      },
    });
    // Closed meanwhile: a link opened now would outlive the store.
    if (!closing.signal.aborted) feed.open();
  }

  function onTurnFailed(error: unknown, failures: number): void {
    if (closing.signal.aborted) return;
    if (error instanceof SessionEnded) {
      // The one that this turn worked with: another may have begun meanwhile.
      if (feed.session === turnSession) {
        feed.dropSession();
      }
      return;
    }
    if (error instanceof RootReplaced) {
      forgetBases();
      return;
    }
    if (error instanceof RoomHalted) {
      halt = {
        code: error.code,
        reason: error.message,
        next: error.code === 'update-needed' ? 'update Driftless' : 'see the log; restart Driftless',
      };
      return;
    }
    // What was begun on the disk may not be in the trees: settled like after a crash (rule INTENT).
    isSettled = false;
    if (
      (error instanceof FolderError && error.problem.diskFull) ||
      (error instanceof StateStoreError && error.code === 'disk-full')
    ) {
      feed.caughtUp = false;
      diskFull = true;
      settler.wakeIn(5_000);
      return;
    }
    // Records that were being taken in may be missed: the log is asked again.
    feed.caughtUp = false;
    // Anything else is tried again with growing pauses, and shown: never silent, never a tight loop.
    diagnostics.error('turn-failed', {
      reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
      failures,
    });
    if (failures === 1 || error instanceof DraftVoid || error instanceof RequestRefused)
      parts.onEvent({ event: 'problem', path: '', reason: error instanceof Error ? error.message : String(error) });
    if (failures >= 3) fullScanDueMs = 0;
    settler.wakeIn(Math.min(30_000, 200 * 2 ** Math.min(failures, 8)));
  }

  /** A confirmed new root: nothing that was agreed on with the old one holds for it. */
  function forgetBases(): void {
    store.transaction(() => {
      for (let from: RelPath | '' = ''; ; ) {
        const rows = store.rowsFrom(from, 1_000);
        for (const row of rows) store.setBase(row.path, null);
        const last = rows.at(-1);
        if (last === undefined || rows.length < 1_000) break;
        from = `${last.path}\u0000` as RelPath;
      }
      store.setSetting('join', 'first');
    });
    fullScanDueMs = 0;
  }

  async function nextDelayMs(): Promise<number> {
    const nowMs = clock.nowMs();
    const retryAtMs = store.nextRetryAtMs();
    if (halt === null && clock.monotonicMs() >= trashDueMs)
      trashDueMs =
        clock.monotonicMs() +
        Math.min(trashEveryMsMax, Math.max(trashEveryMsMin, (await trash.sweep()) ?? trashEveryMsMax));
    return Math.max(
      1,
      Math.min(
        settler.nextDelayMs() ?? Number.POSITIVE_INFINITY,
        Math.max(0, fullScanDueMs - clock.monotonicMs()),
        retryAtMs === undefined || isPaused() ? Number.POSITIVE_INFINITY : Math.max(0, retryAtMs - nowMs),
        Math.max(0, trashDueMs - clock.monotonicMs()),
        rootCheckEveryMs,
      ),
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

  const command = (work: () => Promise<void>): Promise<void> =>
    new Promise((resolve, reject) => {
      closing.signal.addEventListener('abort', () => reject(new Error('sync of this folder has ended')), {
        once: true,
      });
      commands.push(() => work().then(resolve, reject));
      wake();
      feed.nudge();
    });

  const control = createControl(parts, {
    scanner,
    contents,
    command,
    state: peerState,
    peers: () => presence.peers(),
    session: () => context.session(),
    markDirty: context.markDirty,
    pause,
    running: true,
    onConfirm: () => {
      if (rootGuard.confirm()) deletions.confirmNext();
      deletions.confirm();
      fullScanDueMs = 0;
    },
    onTrustRelay: () => feed.trustRefusedKey(),
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
        };
        try {
          tellState();
        } catch {
          // What it failed on may be the store itself: then the reason is all there is to tell.
          parts.onEvent({
            event: 'state',
            state: 'error',
            ...halt,
            pending: 0,
            conflicts: 0,
            watchingByRescan: false,
            waitingForUnsavedEdits: false,
          });
        }
      });
    },
    close: async () => {
      if (!closing.signal.aborted) closing.abort();
      wake();
      publisher.abortUploads();
      feed.close();
      downloads.abort();
      await running;
      await Promise.allSettled(beside);
      await publisher.uploadsEnded();
      await parts.watcher.close();
      await folder.close();
      store.flush();
      store.close();
    },
  };
}
const diskFullHalt: Halt = {
  code: 'disk-full',
  reason: 'the disk is full',
  next: 'make room; what is missing is tried again by itself',
};
const clonedHalt: Halt = {
  code: 'cloned',
  reason: 'another machine uses the identity of this folder (a copied home or a restored image)',
  next: 'unlink this folder and join it again',
};
