/**
 * Files that were ignored on this machine until somebody else changed the rules (rule IG1). They wait, out of scope, until they
 * are confirmed here: those whose names look like secrets one by one, all others together. What waits is a matter of the rows
 * alone, so a restart forgets nothing; here it is only told, and confirmations that were carried out are ended.
 *
 * Leaves to others: which paths wait (the scan), and the asking (holds).
 */
import type { RelPath } from '@driftless/protocol';
import type { HoldDraft } from '../core/holds.ts';
import { isSecretLooking } from '../core/scope/secret-names.ts';
import { shellWord } from '../core/shell-word.ts';
import type { StateStore } from '../ports/state-store.ts';
import type { HeldFiles } from './held-files.ts';
import type { Holds } from './holds.ts';

export interface ScopeHold {
  /** In this run. */
  readonly hasLooked: boolean;
  /** Tells what waits now. Called when a scan changed it. */
  look(): Promise<void>;
}

export function createScopeHold(parts: {
  readonly dir: string;
  readonly store: StateStore;
  readonly holds: Holds;
  readonly files: HeldFiles;
}): ScopeHold {
  const { dir, store, holds, files } = parts;
  let hasLooked = false;

  function draftOf(subjects: readonly RelPath[], reason: string): HoldDraft {
    return {
      code: 'scope-held',
      reason,
      next: `to publish ${subjects.length === 1 ? 'it' : 'them'}: driftless confirm ${shellWord(dir)}; to keep ${subjects.length === 1 ? 'it' : 'them'} here, add a line to .driftlessignore`,
      subjects,
    };
  }

  return {
    get hasLooked() {
      return hasLooked;
    },
    look: async () => {
      hasLooked = true;
      const waiting = store.outOfScopePaths('awaiting-confirmation');
      const secrets = waiting.filter(isSecretLooking);
      const others = waiting.filter((path) => !isSecretLooking(path));
      const drafts = secrets.map((path) =>
        draftOf(
          [path],
          `${path} looks like a secret: it was ignored here until another machine changed the ignore rules, and is not published`,
        ),
      );
      const [first] = others;
      if (first !== undefined) {
        const what = others.length === 1 ? `${first} was` : `${others.length} files were`;
        drafts.push(
          draftOf(
            others,
            `${what} ignored here until another machine changed the ignore rules, and ${others.length === 1 ? 'is' : 'are'} not published`,
          ),
        );
      }
      holds.set('scope', drafts);
      await files.keep(waiting);
      const isWaiting = new Set<string>(waiting);
      holds.endConfirmed('scope', (path) => !isWaiting.has(path));
    },
  };
}
