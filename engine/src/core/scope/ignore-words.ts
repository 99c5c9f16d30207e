/** How people are told which rule leaves a path out, and the way back in. */
import type { RelPath } from '@driftless/protocol';
import { type IgnoreReason, type IgnoreVerdict, ignoreFileNames } from '../ignore-rules.ts';

/** A line of an ignore file at the root that matches this path; a line end in a name can only be matched by `?`. */
export function ignoreLineFor(path: string, isDirectory: boolean): string {
  const escaped = path.replace(/[\\*?[\]!#]/g, '\\$&').replace(/[\r\n]/g, '?');
  return `/${escaped.replace(/ $/, '\\ ')}${isDirectory ? '/' : ''}`;
}

/** `.gitignore:3: build/`, or `a default: node_modules/`. */
export function ruleWords(reason: IgnoreReason): string {
  switch (reason.kind) {
    case 'always':
      return 'version control folders and .driftless are never synced';
    case 'default':
      return `a default: ${reason.pattern}`;
    case 'rule':
      return reason.line === 0 ? `${reason.file}` : `${reason.file}:${reason.line}: ${reason.pattern}`;
  }
}

/** Sentences, the first without its subject: "ignored by …". `isDirectory` of the path that was asked about. */
export function verdictWords(
  path: RelPath,
  isDirectory: boolean,
  { kind, reason, at }: IgnoreVerdict,
): readonly string[] {
  if (reason === null || kind === 'in') return [];
  if (reason.kind === 'always') return [`not synced: ${ruleWords(reason)}, whatever the rules say`];
  if (kind === 'unknown' && reason.kind === 'rule') {
    const what =
      reason.line === 0
        ? `${reason.file}, which is not read to its end,`
        : `${ruleWords(reason)}, which is not applied,`;
    return [`not published: ${what} could match it`, `to sync it, repair ${reason.file}`];
  }
  const above = at === path ? '' : `, which leaves out the directory ${at}`;
  const isStrongest = reason.kind === 'rule' && reason.file.endsWith(ignoreFileNames.driftless);
  const back = `add !${ignoreLineFor(at, isDirectory || at !== path)} to ${ignoreFileNames.driftless}`;
  const change = isStrongest ? 'change that line' : reason.kind === 'rule' ? `change that line, or ${back}` : back;
  return [`ignored by ${ruleWords(reason)}${above}`, `to sync it, ${change}`];
}
