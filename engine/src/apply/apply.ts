/**
 * Carries out a plan's disk steps (rules DISK1, DISK3, IG3, IG4). Everything is staged and verified first, then swapped in
 * one pass; base advances only after the disk is flushed; a path that fails is a problem of its own.
 *
 * How one thing takes another's place without a loss is the replace journal's; merges and renames have modules of their own.
 */
import type { Digest, Entry, RelPath } from '@driftless/protocol';
import type { StagedContent } from '../content/content-types.ts';
import { isDownloadPart } from '../content/download-parts.ts';
import { problemOf } from '../content/or-fail.ts';
import { liveEntry } from '../core/entry-encoding.ts';
import { modeOf } from '../core/file-mode.ts';
import { leftoversInTheWay } from '../core/in-the-way.ts';
import type { Apply, Conflict, DiskStep } from '../core/plan.ts';
import type { OutOfScopeReason } from '../core/row.ts';
import type { PeerContext } from '../peer-context.ts';
import { FolderError } from '../ports/folder.ts';
import { mergeOne } from './merge.ts';
import { dressFile } from './modes.ts';
import { createMover } from './moves.ts';
import type { Incoming, Outcome, Replacement } from './replace-journal.ts';
import { createStagedShelf } from './staged-shelf.ts';

export interface ApplyOptions {
  readonly signal: AbortSignal;
  /** Large contents that were staged beside the loop. */
  readonly staged: ReadonlyMap<RelPath, StagedContent>;
  readonly onProgress: (files: number) => void;
}
export interface ApplyResult {
  readonly applied: readonly Applied[];
  /** Merges that overlap: to be published as variants. */
  readonly conflicts: readonly Conflict[];
}
interface Applied {
  readonly path: RelPath;
  readonly deleted: boolean;
}

export interface Applier {
  apply(steps: readonly DiskStep[], options: ApplyOptions): Promise<ApplyResult>;
  /** Settles what a crash or an error interrupted, before anything is believed of the disk. */
  settleInterrupted(): Promise<void>;
  /** Some of it could not be settled then: a disk is away, or refuses. */
  readonly hasUnsettled: boolean;
  /** Removes what passes that ended early have staged and nobody waits for any more. */
  dropStaged(isUnwanted: (path: RelPath, digest: Digest) => boolean): Promise<void>;
}

export function createApplier(context: PeerContext): Applier {
  const { parts, contents, journal } = context;
  const { folder, store } = parts;
  const mover = createMover(context);
  /** Staged files of an earlier run lie on a disk that is away. */
  let hasLeftStaged = false;
  const shelf = createStagedShelf(folder);

  /** One pass over a batch of steps. */
  async function apply(steps: readonly DiskStep[], options: ApplyOptions): Promise<ApplyResult> {
    const applied: Applied[] = [];
    const conflicts: Conflict[] = [];
    const staged = await stageAll(steps, options);
    const changes = new Map<RelPath, Replacement>();
    for (const step of steps) {
      const change = step.kind === 'apply' ? replacementOf(step, staged.get(step.path)) : null;
      if (change !== null) changes.set(change.path, change);
    }
    const pass = await journal.open([...changes.values()]);
    const done: Applied[] = [];
    const placed = new Set<RelPath>();
    const commit = async (): Promise<void> => {
      const notDurable = await pass.commit();
      for (const [path, problem] of notDurable) context.fail(path, problem);
      applied.push(...done.splice(0).filter(({ path }) => !notDurable.has(path)));
    };
    try {
      for (const step of inOrder(steps)) {
        options.signal.throwIfAborted();
        // An edit that began since the plan was made.
        if (context.unsaved.hinders(step)) continue;
        switch (step.kind) {
          case 'apply': {
            const change = changes.get(step.path);
            // Its content could not be staged: already reported.
            if (change === undefined) break;
            const outcome = await pass.replace(change);
            if (outcome.kind === 'done') {
              done.push({ path: step.path, deleted: step.to === null });
              placed.add(step.path);
            } else refused(step, outcome);
            break;
          }
          case 'applyMode': {
            const write = await dressFile(context, step.row, step.mode);
            if (write === null) break;
            pass.add(step.path, write);
            done.push({ path: step.path, deleted: false });
            break;
          }
          case 'applyMove':
            await commit();
            if (await mover.applyMove(step, options.signal))
              applied.push({ path: step.fromPath, deleted: true }, { path: step.toPath, deleted: false });
            break;
          case 'merge': {
            await commit();
            const outcome = await mergeOne(context, step);
            if (outcome.kind === 'merged') applied.push({ path: step.path, deleted: false });
            if (outcome.kind === 'clash') conflicts.push(outcome.conflict);
            break;
          }
          case 'moveAside':
            await commit();
            await mover.moveAside(step);
            break;
        }
        options.onProgress(applied.length + done.length);
        await context.pause();
      }
    } catch (error) {
      // What is done is done, and what was not begun is done by a later pass. What was cut keeps its intent and its staged file: the
      // caller settles the journal like after a crash.
      await commit();
      if (!journal.isCut) {
        pass.end();
        for (const path of placed) staged.delete(path);
        keepForLater(steps, staged, options);
      }
      throw error;
    }
    await commit();
    pass.end();
    for (const name of staged.values()) await contents.drop(name);
    return { applied, conflicts };
  }

  /** Kinds that must first lose their directory come after the deletions below it. */
  function inOrder(steps: readonly DiskStep[]): readonly DiskStep[] {
    const isDeletion = (step: DiskStep): boolean => step.kind === 'apply' && step.to === null;
    const replacesDirectory = (step: DiskStep): boolean =>
      step.kind === 'apply' && step.to !== null && step.to.kind !== 'directory' && step.row.local?.kind === 'directory';
    return [
      ...steps.filter((step) => !isDeletion(step) && !replacesDirectory(step)),
      ...steps.filter(isDeletion),
      ...steps.filter(replacesDirectory),
    ];
  }

  /** Fetches and verifies the contents of a pass before any of it becomes visible (rule DISK1). */
  async function stageAll(steps: readonly DiskStep[], options: ApplyOptions): Promise<Map<RelPath, string>> {
    const staged = new Map<RelPath, string>();
    const requests = [];
    for (const step of steps) {
      if (step.kind !== 'apply' || step.to?.kind !== 'file') continue;
      const beside = options.staged.get(step.path);
      if (beside !== undefined) {
        staged.set(step.path, beside.stagedName);
        continue;
      }
      const kept = shelf.take(step.path, step.to.content.digest);
      if (kept === undefined) requests.push({ path: step.path, content: step.to.content });
      else staged.set(step.path, kept.stagedName);
    }
    if (requests.length === 0) return staged;
    try {
      await contents.stage(requests, context.session(), {
        flush: true,
        signal: options.signal,
        onStaged: ({ path, stagedName }) => staged.set(path, stagedName),
        onProgress: () => options.onProgress(staged.size),
        onFailed: (path, problem) => context.fail(path, problemOf(problem)),
      });
    } catch (error) {
      if (!(error instanceof FolderError)) {
        keepForLater(steps, staged, options);
        throw error;
      }
      for (const { path } of requests) if (!staged.has(path)) context.fail(path, error.problem);
    }
    return staged;
  }

  /** The pass ends early: what it staged and did not place. What was staged beside the loop is kept there. */
  function keepForLater(
    steps: readonly DiskStep[],
    staged: ReadonlyMap<RelPath, string>,
    { staged: beside }: ApplyOptions,
  ): void {
    const intended = new Set(store.intents().map(({ stagedName }) => stagedName));
    for (const step of steps) {
      if (step.kind !== 'apply' || step.to?.kind !== 'file') continue;
      const stagedName = staged.get(step.path);
      if (stagedName === undefined || beside.has(step.path) || intended.has(stagedName)) continue;
      shelf.keep({ path: step.path, stagedName }, step.to.content.digest);
    }
  }

  /** null: its content could not be staged. */
  function replacementOf({ path, to, row }: Apply, stagedName: string | undefined): Replacement | null {
    const incoming = incomingOf(to, stagedName);
    if (incoming === null) return null;
    const reason = to === null ? 'deleted' : 'replaced';
    // The room's entry, not `to`: a mode that was changed here is still to be published.
    return { path, before: row.local, incoming, base: liveEntry(row.remote), reason };
  }

  function incomingOf(to: Entry | null, stagedName: string | undefined): Incoming | null {
    if (to === null) return { kind: 'nothing' };
    if (to.kind !== 'file') return to;
    return stagedName === undefined ? null : { kind: 'file', stagedName, digest: to.content.digest, mode: modeOf(to) };
  }

  function refused(step: Apply, outcome: Exclude<Outcome, { kind: 'done' }>): void {
    switch (outcome.kind) {
      case 'changed':
        // Somebody wrote meanwhile: what they wrote is looked at first (F22).
        context.markDirty(step.path, true);
        return;
      case 'not-empty':
        keepDirectory(step, outcome.isMountPoint === true ? 'disk' : null);
        return;
      case 'problem':
        context.fail(step.path, outcome);
    }
  }

  /**
   * A directory that the room deleted or replaced still holds something here: new things are scanned; what is out of scope keeps
   * it (rule IG3), and keeps the room's file from its place (rule IG1). So does a disk that is mounted there: no directory goes from under it.
   * Neither is agreed on while the directory is here.
   */
  function keepDirectory(step: Apply, inIt: 'disk' | null): void {
    const { path } = step;
    for (const row of store.rowsUnder(path))
      if (row.outOfScope === null && row.local !== null) {
        context.markDirty(path, true);
        return;
      }
    if (step.to === null) store.setOutOfScope(path, 'directory-of-out-of-scope');
    else {
      // Whoever made the directory: from here on it is one that the room replaces, as soon as it is empty.
      store.setBase(path, { kind: 'directory' });
      context.fail(path, leftoversInTheWay(step.to, firstLeftOut(path) ?? inIt));
    }
    context.markDirty(path, true);
  }

  function firstLeftOut(directory: RelPath): { readonly path: RelPath; readonly reason: OutOfScopeReason } | null {
    for (const { path, outOfScope } of store.rowsUnder(directory))
      if (outOfScope !== null && outOfScope !== 'directory-of-out-of-scope') return { path, reason: outOfScope };
    return null;
  }

  async function settleInterrupted(): Promise<void> {
    const { settled, unsettled } = await journal.settle();
    await mover.settle();
    // What was staged before belongs to nobody any more, but for what is still to be settled, and what a pass left for the next; parts
    // of large downloads are gone on from.
    const kept = new Set(store.intents().map(({ stagedName }) => stagedName));
    const isLeftOver = (name: string): boolean => !isDownloadPart(name) && !kept.has(name) && !shelf.has(name);
    for (const name of await folder.stagedNames()) if (isLeftOver(name)) await folder.discardStaged(name);
    await contents.discardUnwantedParts();
    for (const path of settled) context.markDirty(path, false);
    for (const { path, problem } of unsettled) if (problem !== null) context.fail(path, problem);
    hasLeftStaged = (await folder.stagedNames()).some(isLeftOver);
  }

  return {
    apply,
    settleInterrupted,
    dropStaged: shelf.drop,
    get hasUnsettled() {
      return journal.hasUnsettled || mover.hasUnsettled || hasLeftStaged;
    },
  };
}
