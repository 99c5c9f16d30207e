/**
 * The ignore rules as the user of this machine made them: those in force, without what others changed since the folder was
 * last judged. Asked when a path comes into scope: by a hand on this machine it is a wish; by others' rules, or by nothing that
 * is known, it waits for a confirmation (rule IG1).
 */
import type { RelPath } from '@driftless/protocol';
import type { FolderTraits } from '../core/folder-traits.ts';
import { createIgnoreRules, type IgnoreFileKind, type IgnoreFileTexts } from '../core/ignore-rules.ts';
import type { IgnoreSource } from '../core/scope/ignore-text.ts';
import { ancestorsOf } from '../core/tree-paths.ts';

export interface RuleChange {
  readonly directory: RelPath | '';
  readonly kind: IgnoreFileKind;
  /** undefined: there was none, or it is not known. */
  readonly before: IgnoreSource | undefined;
  /** By a hand on this machine. */
  readonly isOwn: boolean;
}

export interface OwnRules {
  changed(change: RuleChange): void;
  /** Whether the path is in scope by what this machine's user changed. */
  isWish(path: RelPath, isDirectory: boolean): boolean;
  /** All below was judged by the rules in force: from here on they are everybody's. */
  judged(directory: RelPath | ''): void;
}

export function createOwnRules(parts: {
  readonly inForce: (directory: RelPath | '') => IgnoreFileTexts;
  readonly traits: FolderTraits;
}): OwnRules {
  /** What others changed, as it was before; null = there was none. */
  const before = new Map<RelPath | '', Map<IgnoreFileKind, IgnoreSource | null>>();
  const changedHere = new Set<RelPath | ''>();
  const rules = createIgnoreRules({
    traits: parts.traits,
    readIgnoreFile: (directory) => {
      const texts: { -readonly [Kind in IgnoreFileKind]?: IgnoreSource } = { ...parts.inForce(directory) };
      for (const [kind, source] of before.get(directory) ?? []) {
        if (source === null) delete texts[kind];
        else texts[kind] = source;
      }
      return texts;
    },
  });

  return {
    changed: ({ directory, kind, before: source, isOwn }) => {
      const kinds = before.get(directory) ?? new Map<IgnoreFileKind, IgnoreSource | null>();
      // Over what others changed and nobody has judged yet, a change made here takes nothing back: it may have been made on top of it.
      if (isOwn) changedHere.add(directory);
      else if (!kinds.has(kind)) kinds.set(kind, source ?? null);
      before.set(directory, kinds);
      rules.invalidate(directory);
    },
    isWish: (path, isDirectory) => {
      const above: readonly (RelPath | '')[] = [...ancestorsOf(path), ''];
      return above.some((directory) => changedHere.has(directory)) && rules.judge(path, isDirectory).kind === 'in';
    },
    judged: (directory) => {
      const isBelow = (each: RelPath | ''): boolean =>
        directory === '' || each === directory || each.startsWith(`${directory}/`);
      for (const each of before.keys()) if (isBelow(each)) before.delete(each);
      for (const each of changedHere) if (isBelow(each)) changedHere.delete(each);
      rules.invalidate(directory);
    },
  };
}
