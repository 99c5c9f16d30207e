/**
 * Carries out a plan's disk steps (rules DISK1, DISK3, DISK4, INTENT, MERGE, IG3, IG4). Everything is staged and verified
 * first, then swapped in one pass; base advances only after the disk is flushed; a path that fails is a problem of its own.
 *
 * Orders that hold here: verified before visible · staged before applied · INTENT before each replace · flushed before base.
 * Never over bytes that no scan saw: the folder compares what it moves aside, and `changed` means scan again.
 */
import { bytesToHex, type Digest, type Entry, type RelPath } from '@driftless/protocol';
import { ChunksMissing, ContentDamaged, type StagedContent } from '../content/content-types.ts';
import { downloadPrefix } from '../content/stage-large.ts';
import { conflictName } from '../core/conflict-name.ts';
import { liveEntry } from '../core/entry-encoding.ts';
import { fingerprintOf, sameButChangeTime } from '../core/fingerprint.ts';
import { leafDigest } from '../core/leaf-digest.ts';
import type { LocalEntry } from '../core/local-entry.ts';
import { mergeText } from '../core/merge-text.ts';
import type { Apply, ApplyMode, ApplyMove, Conflict, DiskStep, Merge, MoveAside } from '../core/plan.ts';
import type { Row } from '../core/row.ts';
import type { PeerContext } from '../peer-context.ts';
import { type Expected, FolderError, type Stat, type SwapOutcome } from '../ports/folder.ts';
import type { Intent, TrashRow } from '../ports/state-store.ts';

export interface ApplyOptions {
  /** Merges and fetches need the relay; null leaves such steps for later. */
  readonly signal: AbortSignal;
  /** Large contents that were staged beside the loop. */
  readonly staged: ReadonlyMap<RelPath, StagedContent>;
  readonly onProgress: (files: number) => void;
}
export interface ApplyResult {
  readonly applied: readonly { readonly path: RelPath; readonly deleted: boolean }[];
  /** Merges that overlap: to be published as variants. */
  readonly conflicts: readonly Conflict[];
}

export interface Applier {
  apply(steps: readonly DiskStep[], options: ApplyOptions): Promise<ApplyResult>;
  /** Settles the replaces that a crash interrupted (rule INTENT). Called once, before the first scan. */
  settleIntents(): Promise<void>;
}

/** Setting: the rename that is about to happen (rule INTENT). */
const moveUnderWay = 'move-under-way';
/** Parts of large downloads that a new run finds and keeps. */
const downloadPartsMax = 4;

/** What the folder must still hold for a step to go ahead: what the last scan saw. */
export function expectedOf(local: LocalEntry | null): Expected {
  if (local === null) return null;
  switch (local.kind) {
    case 'file':
      return { kind: 'file', fingerprint: local.fingerprint };
    case 'directory':
      return { kind: 'directory' };
    case 'symlink':
      return { kind: 'symlink', target: local.target };
  }
}

export const localFileOf = (stat: Stat, digest: Digest, nowMs: number): LocalEntry => ({
  kind: 'file',
  digest,
  size: stat.size,
  executable: stat.executable,
  mtimeMs: Number(stat.mtimeNs / 1_000_000n),
  fingerprint: fingerprintOf(stat),
  racy: Number(stat.mtimeNs / 1_000_000n) > nowMs - tickMs(stat),
});

/**
 * We wrote and verified these bytes ourselves; a later write by somebody else has a later modification time, unless it falls
 * into the same tick of the file system's clock. Whole seconds tell of a coarse one (FAT, HFS+).
 */
const tickMs = (stat: Stat): number => (stat.mtimeNs % 1_000_000_000n === 0n ? 2_000 : 50);

/** What a path's failure is shown as. */
export const problemOf = (error: unknown): { readonly reason: string; readonly diskFull: boolean } =>
  error instanceof FolderError
    ? error.problem
    : { reason: error instanceof Error ? error.message : String(error), diskFull: false };

export function createApplier(context: PeerContext): Applier {
  const { parts, contents } = context;
  const { folder, store, clock, random, hashing } = parts;

  const newAsideName = (): string => bytesToHex(random.bytes(12));

  /** One pass over a batch of steps. */
  async function apply(steps: readonly DiskStep[], options: ApplyOptions): Promise<ApplyResult> {
    const applied: { path: RelPath; deleted: boolean }[] = [];
    const conflicts: Conflict[] = [];
    const failed = (path: RelPath, problem: unknown): void => context.fail(path, problemOf(problem));

    const staged = await stageAll(steps, options, failed);
    const journal = new Map<RelPath, Intent>();
    const begin = (path: RelPath, incoming: Entry | null, stagedName: string | null): Intent => {
      const intent: Intent = { path, incoming, stagedName, asideName: newAsideName() };
      journal.set(path, intent);
      return intent;
    };
    // The room's entry is what base becomes, also where an executable bit that was changed here is still to be published.
    for (const step of steps)
      if (
        step.kind === 'apply' &&
        needsSwap(step) &&
        (step.to === null || step.to.kind !== 'file' || staged.has(step.path))
      )
        begin(step.path, liveEntry(step.row.remote), staged.get(step.path) ?? null);
    // Committed before the first replace; one commit for the whole pass is before each of them.
    store.transaction(() => {
      for (const intent of journal.values()) store.putIntent(intent);
    });

    const done: { commit: () => void; applied: ApplyResult['applied'] }[] = [];
    /** Flushed before base: what the state store believes applied must survive a power cut. */
    const settle = async (): Promise<void> => {
      if (done.length === 0) return;
      await folder.flushDirectories();
      store.transaction(() => {
        for (const { commit } of done) commit();
      });
      for (const one of done) applied.push(...one.applied);
      done.length = 0;
    };
    try {
      // Kinds that must first lose their directory come after the deletions below it.
      const replacesDirectory = (step: Apply): boolean =>
        step.to !== null && step.to.kind !== 'directory' && step.row.local?.kind === 'directory';
      const passes: ((step: DiskStep) => boolean)[] = [
        (step) => step.kind !== 'apply' || (step.to !== null && !replacesDirectory(step)),
        (step) => step.kind === 'apply' && step.to === null,
        (step) => step.kind === 'apply' && replacesDirectory(step),
      ];
      for (const inPass of passes) {
        for (const step of steps) {
          if (!inPass(step)) continue;
          options.signal.throwIfAborted();
          switch (step.kind) {
            case 'apply': {
              const intent = journal.get(step.path) ?? null;
              const outcome = await applyOne(step, intent);
              if (outcome === null) break;
              if (outcome.kind === 'done') {
                done.push({
                  commit: () => commitApplied(step, outcome, intent),
                  applied: [{ path: step.path, deleted: step.to === null }],
                });
                break;
              }
              await refused(outcome, intent, step);
              break;
            }
            case 'applyMode': {
              const commit = await applyMode(step);
              if (commit !== null) done.push({ commit, applied: [{ path: step.path, deleted: false }] });
              break;
            }
            case 'applyMove':
              await settle();
              if (await applyMove(step))
                applied.push({ path: step.fromPath, deleted: true }, { path: step.toPath, deleted: false });
              break;
            case 'merge': {
              await settle();
              const conflict = await merge(step, failed);
              if (conflict === 'merged') applied.push({ path: step.path, deleted: false });
              else if (conflict !== null) conflicts.push(conflict);
              break;
            }
            case 'moveAside':
              await settle();
              await moveAside(step);
              break;
          }
          options.onProgress(applied.length + done.length);
          await context.pause();
        }
      }
    } finally {
      // What is done is done. What was cut keeps its intent and its staged file: the caller settles the journal like after a crash.
      await settle();
    }
    // Left are steps that were not carried out: nothing of them is on the disk.
    store.transaction(() => {
      for (const path of journal.keys()) store.deleteIntent(path);
    });
    for (const name of staged.values()) await folder.discardStaged(name);
    return { applied, conflicts };
  }

  /** Fetches and verifies the contents of a pass before any of it becomes visible (rule DISK1). */
  async function stageAll(
    steps: readonly DiskStep[],
    options: ApplyOptions,
    failed: (path: RelPath, problem: unknown) => void,
  ): Promise<Map<RelPath, string>> {
    const staged = new Map<RelPath, string>();
    const requests = [];
    for (const step of steps) {
      if (step.kind !== 'apply' || step.to?.kind !== 'file') continue;
      const beside = options.staged.get(step.path);
      if (beside !== undefined) {
        staged.set(step.path, beside.stagedName);
        continue;
      }
      requests.push({ path: step.path, content: step.to.content, executable: step.to.executable });
    }
    if (requests.length === 0) return staged;
    try {
      await contents.stage(requests, context.session(), {
        flush: true,
        signal: options.signal,
        onStaged: ({ path, stagedName }) => staged.set(path, stagedName),
        onProgress: () => options.onProgress(staged.size),
        onFailed: failed,
      });
    } catch (error) {
      if (!(error instanceof FolderError)) throw error;
      for (const { path } of requests) if (!staged.has(path)) context.fail(path, error.problem);
    }
    return staged;
  }

  /** Only files and links are replaced; directories are made and removed without a journal: both are safe to repeat. */
  const needsSwap = ({ to, row }: Apply): boolean =>
    to === null ? row.local !== null && row.local.kind !== 'directory' : to.kind !== 'directory';

  /** null: nothing was done and nothing is wrong (its content could not be staged: already reported). */
  async function applyOne(step: Apply, intent: Intent | null): Promise<SwapOutcome | null> {
    const { path, to, row } = step;
    const expected = expectedOf(row.local);
    if (to === null) {
      if (row.local === null) return { kind: 'done', stat: null, asideName: null };
      if (row.local.kind === 'directory') return folder.removeDirectory(path);
      return intent === null ? null : folder.removeFile({ path, asideName: intent.asideName, expected });
    }
    if (to.kind === 'directory') {
      if (row.local?.kind === 'directory') return { kind: 'done', stat: null, asideName: null };
      if (row.local !== null) {
        const removed = await folder.removeFile({ path, asideName: newAsideName(), expected });
        if (removed.kind !== 'done') return removed;
        if (removed.asideName !== null) noteTrash(row, removed.asideName, 'replaced');
      }
      return folder.makeDirectory(path);
    }
    if (intent === null) return null;
    let stillExpected = expected;
    if (row.local?.kind === 'directory') {
      const removed = await folder.removeDirectory(path);
      if (removed.kind !== 'done') return removed;
      stillExpected = null;
    }
    if (to.kind === 'symlink')
      return folder.makeSymlink({ path, target: to.target, asideName: intent.asideName, expected: stillExpected });
    return intent.stagedName === null
      ? null
      : folder.swapIn({ path, stagedName: intent.stagedName, asideName: intent.asideName, expected: stillExpected });
  }

  function commitApplied(step: Apply, outcome: Extract<SwapOutcome, { kind: 'done' }>, intent: Intent | null): void {
    const { path, to } = step;
    if (outcome.asideName !== null) noteTrash(step.row, outcome.asideName, to === null ? 'deleted' : 'replaced');
    if (intent !== null) store.deleteIntent(path);
    // The room's entry, not `to`: an executable bit that was changed here is still to be published.
    store.setBase(path, liveEntry(step.row.remote));
    store.setLocal(path, localAfter(to, outcome.stat));
    store.setProblem(path, null);
  }

  function localAfter(to: Entry | null, stat: Stat | null): LocalEntry | null {
    if (to === null) return null;
    if (to.kind === 'directory') return { kind: 'directory' };
    if (to.kind === 'symlink') return { kind: 'symlink', target: to.target };
    return stat === null ? null : localFileOf(stat, to.content.digest, clock.nowMs());
  }

  /** The replaced bytes: in the room's history when they are the base's (or an own variant's), else kept (rule DISK4). */
  function noteTrash(row: Row, name: string, reason: string): void {
    const local = row.local;
    const base = row.base;
    const digest = local?.kind === 'file' ? local.digest : null;
    // During a join it is not certain that the log which this peer remembers is the one that the relay holds.
    const isRemembered = (found: Digest): boolean =>
      store.setting('join') === undefined && store.inHistory(row.path, found);
    const inRecord =
      local === null ||
      local.kind !== 'file' ||
      (base?.kind === 'file' && base.content.digest === digest) ||
      isRemembered(local.digest);
    const item: TrashRow = {
      name,
      path: row.path,
      digest,
      // Racy stamps prove nothing: such an item is read once more before it goes.
      fingerprint: local?.kind === 'file' && !local.racy ? local.fingerprint : '',
      inRecord,
      reason,
      atMs: clock.nowMs(),
    };
    store.putTrash(item);
  }

  /** A failed replace may have left the path empty: what was moved aside is back before its intent is forgotten (rule INTENT). */
  async function dropIntent(intent: Intent, outcome: Exclude<SwapOutcome, { kind: 'done' }>): Promise<void> {
    if (outcome.kind === 'problem') await settleOne(intent);
    store.deleteIntent(intent.path);
  }

  async function refused(
    outcome: Exclude<SwapOutcome, { kind: 'done' }>,
    intent: Intent | null,
    step: Apply,
  ): Promise<void> {
    const { path } = step;
    if (intent !== null) await dropIntent(intent, outcome);
    switch (outcome.kind) {
      case 'changed':
        // An unexpected version that could not go back lies in the trash: its bytes differ from the scanned ones, so it comes back from there (F23).
        if (outcome.asideName !== undefined) noteTrash(step.row, outcome.asideName, 'changed');
        // Somebody wrote meanwhile: what they wrote is looked at first (F22).
        context.markDirty(path, true);
        return;
      case 'not-empty':
        keepDirectory(step);
        return;
      case 'problem':
        context.fail(path, outcome);
    }
  }

  /** A directory that the room deleted still holds something here: out of scope things keep it (rule IG3), new ones are scanned. */
  function keepDirectory(step: Apply): void {
    const { path } = step;
    for (const row of store.rowsUnder(path))
      if (row.outOfScope === null && row.local !== null) {
        context.markDirty(path, true);
        return;
      }
    store.transaction(() => {
      store.setBase(path, liveEntry(store.manifest.slot(path)));
      store.setOutOfScope(path, 'directory-of-out-of-scope');
    });
    context.markDirty(path, true);
  }

  /** What is to be committed once the disk is flushed; null when nothing was changed. */
  async function applyMode(step: ApplyMode): Promise<(() => void) | null> {
    const { path, row } = step;
    const outcome = await folder.setExecutable({ path, executable: step.executable, expected: expectedOf(row.local) });
    if (outcome.kind === 'problem') context.fail(path, outcome);
    if (outcome.kind !== 'done') {
      context.markDirty(path, false);
      return null;
    }
    return () => {
      store.setBase(path, liveEntry(row.remote));
      if (row.local?.kind === 'file' && outcome.stat !== null)
        store.setLocal(path, localFileOf(outcome.stat, row.local.digest, clock.nowMs()));
      store.setProblem(path, null);
    };
  }

  async function applyMove(step: ApplyMove): Promise<boolean> {
    const row = store.row(step.fromPath);
    if (row === undefined || row.local === null) return false;
    store.setSetting(moveUnderWay, JSON.stringify({ fromPath: step.fromPath, toPath: step.toPath }));
    const outcome = await folder.rename({
      fromPath: step.fromPath,
      toPath: step.toPath,
      expected: expectedOf(row.local),
    });
    if (outcome.kind !== 'done') {
      store.setSetting(moveUnderWay, null);
      context.markDirty(step.fromPath, true);
      context.markDirty(step.toPath, true);
      if (outcome.kind === 'problem') context.fail(step.fromPath, outcome);
      return false;
    }
    await folder.flushDirectories();
    // base of both names follows: what was agreed on under the old name is agreed on under the new one.
    store.transaction(() => {
      store.setSetting(moveUnderWay, null);
      store.moveLocalAndBase(step.fromPath, step.toPath);
      if (outcome.stat !== null && row.local?.kind === 'file')
        store.setLocal(step.toPath, localFileOf(outcome.stat, row.local.digest, clock.nowMs()));
    });
    context.markDirty(step.toPath, true);
    return true;
  }

  /** Rule MERGE: first to the disk with base := remote, then published as an ordinary edit by the next round. */
  async function merge(
    step: Merge,
    failed: (path: RelPath, problem: unknown) => void,
  ): Promise<Conflict | 'merged' | null> {
    const { path, row } = step;
    const { local, base } = row;
    const remote = liveEntry(row.remote);
    if (local?.kind !== 'file' || remote?.kind !== 'file') return null;
    const overlap: Conflict = { kind: 'conflict', path, reason: 'overlap', row };
    if (base?.kind !== 'file') return { ...overlap, reason: 'create-create' };
    const session = context.session();
    // Whether base can still be had only the relay can say.
    if (session === null) return null;
    let stagedName: string | null = null;
    let isJournaled = false;
    try {
      const ours = await contents.prepareSmall(path, local);
      if (ours.kind === 'moved') {
        context.markDirty(path, false);
        return null;
      }
      if (ours.kind === 'problem') {
        context.fail(path, ours);
        return null;
      }
      const oursBytes = ours.prepared.bytes;
      if (oursBytes === null) return { ...overlap, reason: 'too-large' };
      const baseBytes = await contents.bytesOf(base.content, session).catch((error: unknown) => {
        if (error instanceof ChunksMissing || error instanceof ContentDamaged) return null;
        throw error;
      });
      if (baseBytes === null) return { ...overlap, reason: 'no-base' };
      const theirsBytes = await contents.bytesOf(remote.content, session);
      const merged = mergeText({ base: baseBytes, ours: oursBytes, theirs: theirsBytes });
      if (merged.kind === 'overlap') return overlap;
      if (merged.kind === 'unmergeable') return { ...overlap, reason: 'binary' };
      const executable = local.executable !== base.executable ? local.executable : remote.executable;
      stagedName = await contents.stageBytes(path, merged.bytes, executable);
      const intent: Intent = { path, incoming: remote, stagedName, asideName: newAsideName() };
      isJournaled = true;
      store.putIntent(intent);
      const outcome = await folder.swapIn({
        path,
        stagedName,
        asideName: intent.asideName,
        expected: expectedOf(local),
      });
      if (outcome.kind !== 'done') {
        await dropIntent(intent, outcome);
        isJournaled = false;
        if (outcome.kind === 'problem') context.fail(path, outcome);
        else context.markDirty(path, false);
        return null;
      }
      await folder.flushDirectories();
      store.transaction(() => {
        if (outcome.asideName !== null)
          store.putTrash({
            name: outcome.asideName,
            path,
            digest: local.digest,
            fingerprint: local.fingerprint,
            inRecord: false,
            reason: 'merged',
            atMs: clock.nowMs(),
          });
        store.setBase(path, remote);
        if (outcome.stat !== null)
          store.setLocal(
            path,
            localFileOf(outcome.stat, bytesToHex(hashing.sha256(merged.bytes)) as Digest, clock.nowMs()),
          );
        store.setProblem(path, null);
        store.deleteIntent(path);
        store.cacheContent(remote.content.digest, theirsBytes, clock.nowMs());
      });
      return 'merged';
    } catch (error) {
      // A journaled replace that was cut is settled like after a crash: its staged file says how far it came.
      if (isJournaled) throw error;
      if (!(error instanceof ChunksMissing || error instanceof ContentDamaged || error instanceof FolderError))
        throw error;
      failed(path, error);
      return null;
    } finally {
      if (stagedName !== null && !isJournaled) await folder.discardStaged(stagedName);
    }
  }

  /** A local file makes way for the room's directory: an ordinary rename, found again by the scan under both names. */
  async function moveAside(step: MoveAside): Promise<void> {
    const row = store.row(step.path);
    const local = row?.local ?? null;
    if (local === null || local.kind === 'directory') return;
    const toPath = conflictName({
      path: step.path,
      peerName: parts.deviceName,
      timeMs: clock.nowMs(),
      digest: leafDigest(local, hashing.sha256),
      taken: (path) => store.row(path)?.local != null || store.manifest.slot(path) !== null,
      traits: folder.traits,
      sha256: hashing.sha256,
    });
    const outcome = await folder.rename({ fromPath: step.path, toPath, expected: expectedOf(local) });
    if (outcome.kind === 'problem') context.fail(step.path, outcome);
    if (outcome.kind === 'done') {
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

  async function settleIntents(): Promise<void> {
    const intents = store.intents();
    const happened = new Set<Intent>();
    for (const intent of intents) if ((await settleOne(intent)) === 'done') happened.add(intent);
    const moved = await settleMove();
    await folder.flushDirectories();
    store.transaction(() => {
      for (const intent of intents) {
        const { path, incoming, asideName } = intent;
        if (happened.has(intent)) {
          const row = store.row(path);
          if (row !== undefined && row.local !== null) noteTrash(row, asideName, 'replaced');
          store.setBase(path, incoming);
        }
        store.deleteIntent(path);
      }
      if (moved !== null) store.moveLocalAndBase(moved.fromPath, moved.toPath);
      store.setSetting(moveUnderWay, null);
    });
    // What was staged by a run before belongs to nobody any more; parts of large downloads are gone on from.
    let partsKept = 0;
    for (const name of await folder.stagedNames())
      if (!name.startsWith(downloadPrefix) || ++partsKept > downloadPartsMax) await folder.discardStaged(name);
    for (const { path } of intents) context.markDirty(path, false);
  }

  async function settleOne(intent: Intent): Promise<'done' | 'undone'> {
    const { path, stagedName, asideName, incoming } = intent;
    if (stagedName !== null) {
      const settled = await folder.settleSwap({ path, stagedName, asideName });
      // No staged file can also mean that somebody emptied `.driftless`: then the path is as the last scan saw it.
      return settled === 'done' && (await isAsScanned(path)) ? 'undone' : settled;
    }
    // Deletions and links have no staged file: what is on disk now says whether they happened.
    const stat = await folder.stat(path);
    if (incoming === null) return stat === null ? 'done' : 'undone';
    if (incoming.kind === 'symlink' && (await folder.readLink(path)) === incoming.target) return 'done';
    if (stat === null) {
      // The old thing was moved aside and the link was not made: put it back.
      const restored = await folder.restoreTrash({ name: asideName, path });
      if (restored.kind === 'done') await folder.discardTrash(asideName);
    }
    return 'undone';
  }

  async function isAsScanned(path: RelPath): Promise<boolean> {
    const local = store.row(path)?.local ?? null;
    const stat = await folder.stat(path);
    if (local === null) return stat === null;
    return (
      local.kind === 'file' &&
      stat !== null &&
      stat.kind === 'file' &&
      sameButChangeTime(fingerprintOf(stat), local.fingerprint)
    );
  }

  /** A rename that the disk has and the trees have not: they follow, so that what was edited under the old name is no new file. */
  async function settleMove(): Promise<ApplyMove | null> {
    const text = store.setting(moveUnderWay);
    if (text === undefined) return null;
    const { fromPath, toPath } = JSON.parse(text) as Pick<ApplyMove, 'fromPath' | 'toPath'>;
    const [from, there] = [await folder.stat(fromPath), await folder.stat(toPath)];
    if (there === null || there.kind === 'problem' || store.row(fromPath)?.local == null) return null;
    if (from === null) return { kind: 'applyMove', fromPath, toPath };
    // One file under both names: the new one was made, the old one not yet taken away.
    if (from.kind !== 'file' || there.kind !== 'file' || from.inode !== there.inode || from.device !== there.device)
      return null;
    const asideName = newAsideName();
    const removed = await folder.removeFile({
      path: fromPath,
      asideName,
      expected: { kind: 'file', fingerprint: fingerprintOf(from) },
    });
    if (removed.kind !== 'done') return null;
    await folder.discardTrash(asideName);
    return { kind: 'applyMove', fromPath, toPath };
  }

  return { apply, settleIntents };
}
