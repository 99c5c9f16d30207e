/**
 * Holds deletions that nobody may have meant, both ways (rule LOG6; D6, F20). The rule itself is
 * core/guards.ts; here it is asked with what is about to be published, and its answer is kept until the user confirms.
 */
import type { MassDeletion } from '@driftless/protocol';
import { createDeletionGuard } from './core/guards.ts';
import { createDeletionBurst } from './core/pacing/deletion-burst.ts';
import type { Halt } from './core/peer-state.ts';
import type { PublishStep } from './core/plan.ts';
import type { GitWatch } from './git-watch.ts';
import type { PeerContext } from './peer-context.ts';

export interface DeletionHold {
  /** Which publish steps may go out now, and how the record says that a mass deletion was confirmed. */
  judge(
    steps: readonly PublishStep[],
    /** Paths that seem gone and are not believed yet: they belong to the same burst. */
    burst: { readonly inDoubt: number },
  ): Promise<{ readonly steps: readonly PublishStep[]; readonly massDeletion: MassDeletion; readonly waitMs: number }>;
  /** Nothing is left to publish: what was held came back. */
  nothingLeft(): void;
  /** Everything judged was published: a confirmation is used up. */
  published(): void;
  /** A record of another peer deletes in mass without saying why: its deletions wait here. */
  holdsIncoming(): boolean;
  halt(): Halt | null;
  confirm(): void;
  confirmNext(): void;
}

export function createDeletionHold(context: PeerContext, git: GitWatch): DeletionHold {
  const { parts } = context;
  const { store, clock } = parts;
  const guard = createDeletionGuard();
  let held: { readonly files: number; readonly filesBefore: number } | null = null;
  const burst = createDeletionBurst();

  /** Also a file that takes the place of a directory: it needs the removals below. */
  const isRemoval = (step: PublishStep): boolean =>
    step.kind === 'publish' &&
    (step.local === null || (step.local.kind !== 'directory' && step.remote?.kind === 'directory'));

  async function judge(
    steps: readonly PublishStep[],
    { inDoubt }: { readonly inDoubt: number },
  ): ReturnType<DeletionHold['judge']> {
    const nowMs = clock.monotonicMs();
    const vanished = steps.flatMap((step) => {
      const base = step.kind === 'publish' && step.local === null ? store.row(step.path)?.base : null;
      return base?.kind === 'file' && step.kind === 'publish' ? [{ path: step.path, digest: base.content.digest }] : [];
    });
    const appeared = steps.flatMap((step) =>
      step.kind === 'publish' && step.local?.kind === 'file' ? [{ path: step.path, digest: step.local.digest }] : [],
    );
    for (const path of guard.vanishedPaths(nowMs)) {
      const local = store.row(path)?.local;
      if (local?.kind === 'file') appeared.push({ path, digest: local.digest });
    }
    if (vanished.length === 0 && held === null) {
      burst.released();
      guard.note({ vanished, appeared, gitChanged: false }, nowMs);
      return { steps, massDeletion: 'none', waitMs: 0 };
    }
    const gitChanged = (await git.label()) !== '';
    guard.note({ vanished, appeared, gitChanged }, nowMs);
    if (parts.allowMassDelete || store.setting('deletion-confirmed') === 'yes') return release(steps, 'confirmed');
    const explained = await git.explains(guard.vanishedPaths(nowMs));
    const verdict = guard.judge({ filesNow: store.counts().files, nowMs, explain: () => explained });
    if (verdict.kind === 'held') {
      if (held === null)
        parts.onEvent({
          event: 'problem',
          path: '',
          reason: `${verdict.files} of ${verdict.filesBefore} files are gone: held until confirmed`,
        });
      held = { files: verdict.files, filesBefore: verdict.filesBefore };
      burst.released();
      return { steps: steps.filter((step) => !isRemoval(step)), massDeletion: 'none', waitMs: 0 };
    }
    // What git explains does not wait.
    const waitMs = explained ? 0 : burst.waitMs(vanished.length + inDoubt, nowMs);
    if (waitMs > 0) return { steps: steps.filter((step) => !isRemoval(step)), massDeletion: 'none', waitMs };
    return release(steps, verdict.kind === 'git' ? 'git' : 'none');
  }

  function release(
    steps: readonly PublishStep[],
    massDeletion: MassDeletion,
  ): Awaited<ReturnType<DeletionHold['judge']>> {
    held = null;
    burst.released();
    return { steps, massDeletion, waitMs: 0 };
  }

  return {
    judge,
    nothingLeft: () => {
      // The burst itself goes on being counted: a slow deletion has such moments.
      const isConfirmed = store.setting('deletion-confirmed') === 'yes';
      if (held !== null || isConfirmed) guard.clear();
      if (isConfirmed) store.setSetting('deletion-confirmed', null);
      held = null;
      burst.released();
    },
    published: () => {
      if (store.setting('deletion-confirmed') === 'yes') {
        store.setSetting('deletion-confirmed', null);
        guard.clear();
      }
    },
    holdsIncoming: () => !parts.allowMassDelete && store.setting('incoming-deletion-held') !== undefined,
    halt: () => {
      if (held !== null)
        return {
          code: 'mass-deletion-held',
          reason: `${held.files} of ${held.filesBefore} files are gone here; deleting them on every machine is held`,
          next: `bring them back, or: driftless confirm ${parts.dir}`,
        };
      if (!parts.allowMassDelete && store.setting('incoming-deletion-held') !== undefined)
        return {
          code: 'mass-deletion-incoming',
          reason: 'another peer deleted most files without a confirmation; they are kept here',
          next: `to delete them here too: driftless confirm ${parts.dir}`,
        };
      return null;
    },
    confirm: () => {
      if (held !== null) store.setSetting('deletion-confirmed', 'yes');
      store.setSetting('incoming-deletion-held', null);
      held = null;
    },
    confirmNext: () => {
      store.setSetting('deletion-confirmed', 'yes');
      store.setSetting('incoming-deletion-held', null);
    },
  };
}
