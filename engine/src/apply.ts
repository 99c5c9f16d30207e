/**
 * Carries out a plan's disk steps (rules DISK1, DISK3, DISK4, INTENT, MERGE, IG3, IG4). Everything is staged and verified
 * first, then swapped in one pass; base advances only after the disk is flushed; a path that fails is a problem of its own.
 *
 * Orders that hold here: verified before visible · staged before applied · INTENT before each replace · flushed before base.
 * Never over bytes that no scan saw: the folder compares what it moves aside, and `changed` means scan again.
 */
import { type Digest, type Entry, type RelPath, bytesToHex } from '@driftless/protocol';
import { conflictName } from './core/conflict-name.ts';
import { liveEntry } from './core/entry-encoding.ts';
import { fingerprintOf } from './core/fingerprint.ts';
import { leafDigest } from './core/leaf-digest.ts';
import type { LocalEntry } from './core/local-entry.ts';
import { mergeText } from './core/merge-text.ts';
import type { Apply, ApplyMode, ApplyMove, Conflict, DiskStep, Merge, MoveAside } from './core/plan.ts';
import type { Row } from './core/row.ts';
import { ChunksMissing, ContentDamaged, type StagedContent } from './contents.ts';
import type { PeerContext } from './peer-context.ts';
import { type Expected, type Stat, type SwapOutcome, FolderError } from './ports/folder.ts';
import type { Intent, TrashRow } from './ports/state-store.ts';

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
  readonly diskFull: boolean;
}

export interface Applier {
  apply(steps: readonly DiskStep[], options: ApplyOptions): Promise<ApplyResult>;
  /** Settles the replaces that a crash interrupted (rule INTENT). Called once, before the first scan. */
  settleIntents(): Promise<void>;
}

type Expectation = Expected;

/** What the folder must still hold for a step to go ahead: what the last scan saw. */
export function expectedOf(local: LocalEntry | null): Expectation {
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
  // We wrote and verified these bytes ourselves, but somebody else may write within the same tick: the next scan hashes once more.
  racy: Number(stat.ctimeNs / 1_000_000n) > nowMs - 2_000,
});

export function createApplier(context: PeerContext): Applier {
  const { parts, contents } = context;
  const { folder, store, clock, random, hashing } = parts;

  const newAsideName = (): string => bytesToHex(random.bytes(12));

  /** One pass over a batch of steps. */
  async function apply(steps: readonly DiskStep[], options: ApplyOptions): Promise<ApplyResult> {
    const applied: { path: RelPath; deleted: boolean }[] = [];
    const conflicts: Conflict[] = [];
    let diskFull = false;
    const failed = (path: RelPath, problem: unknown): void => {
      const full = problem instanceof FolderError && problem.problem.diskFull;
      diskFull ||= full;
      context.fail(path, problem instanceof Error ? problem.message : String(problem));
    };

    const staged = await stageAll(steps, options, failed, (full) => {
      diskFull ||= full;
    });
    const journal = new Map<RelPath, Intent>();
    const begin = (path: RelPath, incoming: Entry | null, stagedName: string | null): Intent => {
      const intent: Intent = { path, incoming, stagedName, asideName: newAsideName() };
      journal.set(path, intent);
      return intent;
    };
    for (const step of steps) if (step.kind === 'apply' && needsSwap(step) && (step.to === null || step.to.kind !== 'file' || staged.has(step.path))) begin(step.path, step.to, staged.get(step.path) ?? null);
    // Committed before the first replace; one commit for the whole pass is before each of them.
    store.transaction(() => {
      for (const intent of journal.values()) store.putIntent(intent);
    });

    const done: { step: Apply; outcome: Extract<SwapOutcome, { kind: 'done' }>; intent: Intent }[] = [];
    const settle = (): void => {
      if (done.length === 0) return;
      store.transaction(() => {
        for (const { step, outcome, intent } of done) commitApplied(step, outcome, intent);
      });
      for (const { step } of done) applied.push({ path: step.path, deleted: step.to === null });
      done.length = 0;
    };
    try {
      // Kinds that must first lose their directory come after the deletions below it.
      const replacesDirectory = (step: Apply): boolean => step.to !== null && step.to.kind !== 'directory' && step.row.local?.kind === 'directory';
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
              const intent = journal.get(step.path);
              const outcome = await applyOne(step, intent ?? null);
              if (outcome === null) break;
              if (outcome.kind === 'done' && intent !== undefined) done.push({ step, outcome, intent });
              else if (outcome.kind === 'done') {
                settleWithoutIntent(step, outcome);
                applied.push({ path: step.path, deleted: step.to === null });
              } else {
                if (outcome.kind === 'problem') diskFull ||= outcome.diskFull;
                refused(step.path, outcome, intent ?? null, step);
              }
              break;
            }
            case 'applyMode':
              if (await applyMode(step)) applied.push({ path: step.path, deleted: false });
              break;
            case 'applyMove':
              settle();
              if (await applyMove(step)) applied.push({ path: step.fromPath, deleted: true }, { path: step.toPath, deleted: false });
              break;
            case 'merge': {
              settle();
              const conflict = await merge(step, failed);
              if (conflict === 'merged') applied.push({ path: step.path, deleted: false });
              else if (conflict !== null) conflicts.push(conflict);
              break;
            }
            case 'moveAside':
              settle();
              await moveAside(step);
              break;
          }
          options.onProgress(applied.length + done.length);
          await context.pause();
        }
      }
    } finally {
      // Flushed before base: what the state store believes applied must survive a power cut.
      await folder.flushDirectories();
      settle();
      store.transaction(() => {
        for (const intent of journal.values()) if (store.intents().length > 0) store.deleteIntent(intent.path);
      });
      for (const name of staged.values()) await folder.discardStaged(name);
    }
    return { applied, conflicts, diskFull };
  }

  /** Fetches and verifies the contents of a pass before any of it becomes visible (rule DISK1). */
  async function stageAll(
    steps: readonly DiskStep[],
    options: ApplyOptions,
    failed: (path: RelPath, problem: unknown) => void,
    onDiskFull: (full: boolean) => void,
  ): Promise<Map<RelPath, string>> {
    const staged = new Map<RelPath, string>();
    for (const { path, stagedName } of options.staged.values()) staged.set(path, stagedName);
    const requests = [];
    for (const step of steps) {
      if (step.kind !== 'apply' || step.to?.kind !== 'file' || staged.has(step.path)) continue;
      requests.push({ path: step.path, content: step.to.content, executable: step.to.executable });
    }
    if (requests.length === 0) return staged;
    try {
      await contents.stage(requests, context.session(), {
        // A few files are flushed one by one; a mass of them is flushed together before base advances.
        flush: true,
        signal: options.signal,
        onStaged: ({ path, stagedName }) => staged.set(path, stagedName),
        onProgress: () => options.onProgress(staged.size),
        onFailed: failed,
      });
    } catch (error) {
      if (!(error instanceof FolderError)) throw error;
      onDiskFull(error.problem.diskFull);
      for (const { path } of requests) if (!staged.has(path)) context.fail(path, error.problem.reason);
    }
    return staged;
  }

  /** Only files and links are replaced; directories are made and removed without a journal: both are safe to repeat. */
  const needsSwap = ({ to, row }: Apply): boolean => (to === null ? row.local !== null && row.local.kind !== 'directory' : to.kind !== 'directory');

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
    if (to.kind === 'symlink') return folder.makeSymlink({ path, target: to.target, asideName: intent.asideName, expected: stillExpected });
    return intent.stagedName === null ? null : folder.swapIn({ path, stagedName: intent.stagedName, asideName: intent.asideName, expected: stillExpected });
  }

  function commitApplied(step: Apply, outcome: Extract<SwapOutcome, { kind: 'done' }>, intent: Intent): void {
    if (outcome.asideName !== null) noteTrash(step.row, outcome.asideName, step.to === null ? 'deleted' : 'replaced');
    settleWithoutIntent(step, outcome);
    store.deleteIntent(intent.path);
  }

  function settleWithoutIntent(step: Apply, outcome: Extract<SwapOutcome, { kind: 'done' }>): void {
    const { path, to } = step;
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
    const inRecord =
      local === null || local.kind !== 'file' || (base?.kind === 'file' && base.content.digest === digest) || store.inHistory(row.path, local.digest);
    const item: TrashRow = {
      name,
      path: row.path,
      digest,
      fingerprint: local?.kind === 'file' ? local.fingerprint : '',
      inRecord,
      reason,
      atMs: clock.nowMs(),
    };
    store.putTrash(item);
  }

  function refused(path: RelPath, outcome: Exclude<SwapOutcome, { kind: 'done' }>, intent: Intent | null, step: Apply): void {
    if (intent !== null) store.deleteIntent(path);
    switch (outcome.kind) {
      case 'changed':
        // Somebody wrote meanwhile: what they wrote is looked at first (F22).
        context.markDirty(path, true);
        return;
      case 'not-empty':
        keepDirectory(step);
        return;
      case 'problem':
        context.fail(path, outcome.reason);
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
      store.setBase(path, null);
      store.setOutOfScope(path, 'directory-of-out-of-scope');
    });
    context.markDirty(path, true);
  }

  async function applyMode(step: ApplyMode): Promise<boolean> {
    const { path, row } = step;
    const outcome = await folder.setExecutable({ path, executable: step.executable, expected: expectedOf(row.local) });
    if (outcome.kind === 'problem') context.fail(path, outcome.reason);
    if (outcome.kind !== 'done') {
      context.markDirty(path, false);
      return false;
    }
    store.transaction(() => {
      store.setBase(path, liveEntry(row.remote));
      if (row.local?.kind === 'file' && outcome.stat !== null) store.setLocal(path, localFileOf(outcome.stat, row.local.digest, clock.nowMs()));
      store.setProblem(path, null);
    });
    return true;
  }

  async function applyMove(step: ApplyMove): Promise<boolean> {
    const row = store.row(step.fromPath);
    if (row === undefined || row.local === null) return false;
    const outcome = await folder.rename({ fromPath: step.fromPath, toPath: step.toPath, expected: expectedOf(row.local) });
    if (outcome.kind !== 'done') {
      context.markDirty(step.fromPath, true);
      context.markDirty(step.toPath, true);
      if (outcome.kind === 'problem') context.fail(step.fromPath, outcome.reason);
      return false;
    }
    // base of both names follows: what was agreed on under the old name is agreed on under the new one.
    store.transaction(() => {
      store.moveLocalAndBase(step.fromPath, step.toPath);
      if (outcome.stat !== null && row.local?.kind === 'file') store.setLocal(step.toPath, localFileOf(outcome.stat, row.local.digest, clock.nowMs()));
    });
    context.markDirty(step.toPath, true);
    return true;
  }

  /** Rule MERGE: first to the disk with base := remote, then published as an ordinary edit by the next round. */
  async function merge(step: Merge, failed: (path: RelPath, problem: unknown) => void): Promise<Conflict | 'merged' | null> {
    const { path, row } = step;
    const { local, base } = row;
    const remote = liveEntry(row.remote);
    if (local?.kind !== 'file' || remote?.kind !== 'file') return null;
    const overlap: Conflict = { kind: 'conflict', path, reason: 'overlap', row };
    if (base?.kind !== 'file') return { ...overlap, reason: 'create-create' };
    const session = context.session();
    try {
      const ours = await contents.prepareSmall(path, local);
      if (ours.kind === 'moved') {
        context.markDirty(path, false);
        return null;
      }
      if (ours.kind === 'problem') {
        failed(path, new Error(ours.reason));
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
      const stagedName = await contents.stageBytes(path, merged.bytes, executable);
      const intent: Intent = { path, incoming: remote, stagedName, asideName: newAsideName() };
      store.putIntent(intent);
      const outcome = await folder.swapIn({ path, stagedName, asideName: intent.asideName, expected: expectedOf(local) });
      if (outcome.kind !== 'done') {
        store.deleteIntent(path);
        await folder.discardStaged(stagedName);
        if (outcome.kind === 'problem') failed(path, new Error(outcome.reason));
        else context.markDirty(path, false);
        return null;
      }
      await folder.flushDirectories();
      store.transaction(() => {
        if (outcome.asideName !== null)
          store.putTrash({ name: outcome.asideName, path, digest: local.digest, fingerprint: local.fingerprint, inRecord: false, reason: 'merged', atMs: clock.nowMs() });
        store.setBase(path, remote);
        if (outcome.stat !== null) store.setLocal(path, localFileOf(outcome.stat, bytesToHex(hashing.sha256(merged.bytes)) as Digest, clock.nowMs()));
        store.setProblem(path, null);
        store.deleteIntent(path);
        store.cacheContent(remote.content.digest, theirsBytes, clock.nowMs());
      });
      return 'merged';
    } catch (error) {
      if (!(error instanceof ChunksMissing || error instanceof ContentDamaged || error instanceof FolderError)) throw error;
      failed(path, error);
      return null;
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
    if (outcome.kind === 'problem') context.fail(step.path, outcome.reason);
    if (outcome.kind === 'done') {
      store.setHold(step.path, null);
      parts.onEvent({ event: 'note', path: step.path, note: `the file makes way for a directory and is now ${toPath}` });
    }
    context.markDirty(step.path, false);
    context.markDirty(toPath, false);
  }

  async function settleIntents(): Promise<void> {
    for (const intent of store.intents()) {
      const { path, stagedName, asideName, incoming } = intent;
      const settled = await settleOne(intent);
      store.transaction(() => {
        if (settled === 'done') {
          const row = store.row(path);
          if (row !== undefined && row.local !== null) noteTrash(row, asideName, 'replaced');
          store.setBase(path, incoming);
        }
        store.deleteIntent(path);
      });
      if (settled === 'undone' && stagedName !== null) await folder.discardStaged(stagedName);
      context.markDirty(path, false);
    }
    await folder.flushDirectories();
  }

  async function settleOne(intent: Intent): Promise<'done' | 'undone'> {
    const { path, stagedName, asideName, incoming } = intent;
    if (stagedName !== null) return folder.settleSwap({ path, stagedName, asideName });
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

  return { apply, settleIntents };
}
