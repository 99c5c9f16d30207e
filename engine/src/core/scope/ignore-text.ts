/**
 * A whole ignore file: its lines as git reads them, its patterns in an order that is quick to ask, and what people should
 * be told of lines that do not do what they look like.
 *
 * A file that cannot be understood to its end is never taken for one without rules: what it could match is `unknown`, and
 * what is unknown is not published (rule IG1).
 * Leaves to others: what one pattern matches (git-pattern.ts), and how files count against each other (ignore-rules.ts).
 */
import { utf8ToBytes } from '@driftless/protocol';
import { bytesToByteText, byteTextOf, byteTextToText, foldAscii } from './byte-text.ts';
import { compileGitPattern, type GitPattern } from './git-pattern.ts';

/** More is not read: larger than any ignore file that people write, and small enough to be kept for many directories. */
export const ignoreFileBytesMax = 1024 * 1024;
/**
 * What a question may cost for each byte of the path, all patterns of one file together (git-pattern.ts `cost`). Names,
 * paths and endings of names are looked up and cost nothing; most other wildcards cost 1. No file that people write comes near, but
 * anybody in the room can write one.
 */
export const ignoreCostMax = 8 * 1024;
/** Lines told to people, for each kind of remark. */
const remarksPerFileMax = 20;

export type LineVerdict = 'out' | 'in' | 'unknown';

export interface IgnoreLine {
  readonly verdict: LineVerdict;
  /** From 1; 0 = no line of the file, but what was not read of it. */
  readonly line: number;
  /** As people wrote it. */
  readonly pattern: string;
}
/** What people should know of a line, or of the whole file (`line` 0). */
export interface IgnoreRemark {
  readonly line: number;
  readonly pattern: string;
  readonly reason: string;
}

export interface IgnoreText {
  readonly isEmpty: boolean;
  /**
   * The line that counts for a path, or null. `unknown` is the answer only where no line known for certain puts the path out.
   * Both are byte texts; `path` is relative to the file's directory.
   */
  find(path: string, name: string, isDirectory: boolean): IgnoreLine | null;
  readonly remarks: readonly IgnoreRemark[];
}

/** How the disk compares names. */
export interface NameFolding {
  /** ASCII letters alone, as git's core.ignoreCase. */
  readonly ignoreCase: boolean;
  /** Names that differ only in their Unicode form are one: they are compared in the composed form, as git does there. */
  readonly foldsUnicode: boolean;
}
export interface IgnoreSource {
  readonly bytes: Uint8Array;
  /** Set when the file holds more than these bytes, or could not be read: why, for people. What is missing is unknown. */
  readonly incomplete?: string;
}

interface Rule extends IgnoreLine {
  readonly index: number;
  readonly directoriesOnly: boolean;
  readonly compiled: Pick<GitPattern, 'wholePath' | 'matches'>;
}

export function parseIgnoreText({ bytes, incomplete }: IgnoreSource, folding: NameFolding): IgnoreText {
  const { remarks, remark } = createRemarks();
  const literalNames = new Map<string, Rule[]>();
  const literalPaths = new Map<string, Rule[]>();
  const suffixes = new Map<string, Rule[]>();
  /** Newest first: the last line that matches counts. */
  const others: Rule[] = [];
  let index = 0;
  let cost = 0;

  const add = (line: number, shown: string, pattern: GitPattern): void => {
    index += 1;
    if (pattern.unmatchable !== null) {
      remark('unmatchable', { line, pattern: shown, reason: `matches nothing, as in git: ${pattern.unmatchable}` });
      return;
    }
    const { excludes, directoriesOnly, wholePath, literal, suffix } = pattern;
    const rule: Rule = {
      verdict: excludes ? 'out' : 'in',
      line,
      pattern: shown,
      index,
      directoriesOnly,
      compiled: pattern,
    };
    const lookedUp = literal ?? suffix;
    if (lookedUp !== null) {
      const byText = suffix !== null ? suffixes : wholePath ? literalPaths : literalNames;
      // The last line counts; before one for directories alone, also the last for everything.
      const before = directoriesOnly ? byText.get(lookedUp)?.filter((earlier) => !earlier.directoriesOnly) : [];
      byText.set(lookedUp, [rule, ...(before ?? [])]);
      return;
    }
    cost += pattern.cost;
    if (cost <= ignoreCostMax) others.push(rule);
    else {
      remark('costly', {
        line,
        pattern: shown,
        reason: `is not applied, because the file has too many patterns with wildcards: what it could match ${unpublished}`,
      });
      // Taking back in what might be out is left undone; taking out is assumed of all that it could match.
      if (excludes) others.push(unknownRule({ line, pattern: shown, index, within: pattern.within }));
    }
  };

  for (const { line, text } of linesOf(bytes, folding, remark))
    add(line, byteTextToText(text) ?? shownBytes(text), compileGitPattern(text, folding));
  if (incomplete !== undefined) {
    remark('incomplete', { line: 0, pattern: '', reason: `${incomplete}: what it could match ${unpublished}` });
    others.push(unknownRule({ line: 0, pattern: '', index: index + 1, within: '' }));
  }
  others.reverse();
  const suffixLengths = [...new Set([...suffixes.keys()].map(({ length }) => length))];
  return {
    isEmpty: literalNames.size + literalPaths.size + suffixes.size + others.length === 0,
    remarks: remarks(),
    find: (path, name, isDirectory) => {
      const literals = [literalNames.get(name), literalPaths.get(path)];
      for (const length of suffixLengths) literals.push(suffixes.get(name.slice(-length)));
      return lastMatch({ literals, others, path, name, isDirectory });
    },
  };
}

const unpublished = 'stays unpublished';

function unknownRule(rule: {
  readonly line: number;
  readonly pattern: string;
  readonly index: number;
  readonly within: string;
}): Rule {
  const { within, ...shown } = rule;
  const matches = within === '' ? () => true : (path: string) => path.startsWith(`${within}/`);
  return { ...shown, verdict: 'unknown', directoriesOnly: false, compiled: { wholePath: true, matches } };
}

function lastMatch(question: {
  readonly literals: readonly (readonly Rule[] | undefined)[];
  readonly others: readonly Rule[];
  readonly path: string;
  readonly name: string;
  readonly isDirectory: boolean;
}): IgnoreLine | null {
  const { literals, others, path, name, isDirectory } = question;
  let found: Rule | null = null;
  for (const rules of literals) {
    const rule = rules?.find(({ directoriesOnly }) => isDirectory || !directoriesOnly);
    if (rule !== undefined && (found === null || rule.index > found.index)) found = rule;
  }
  let unknown: Rule | null = null;
  for (const rule of others) {
    if (found !== null && rule.index < found.index) break;
    if (rule.directoriesOnly && !isDirectory) continue;
    if (!rule.compiled.matches(rule.compiled.wholePath ? path : name)) continue;
    if (rule.verdict !== 'unknown') {
      found = rule;
      break;
    }
    unknown ??= rule;
  }
  return unknown !== null && found?.verdict !== 'out' ? unknown : found;
}

// ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────────────

type Remark = (kind: string, remark: IgnoreRemark) => void;

/** Byte texts, without line ends and the blanks that git trims; comments and blank lines are left out. */
function* linesOf(
  bytes: Uint8Array,
  { foldsUnicode }: NameFolding,
  remark: Remark,
): Generator<{ readonly line: number; readonly text: string }> {
  let line = 0;
  for (const raw of rawLinesOf(textOf(bytes, remark))) {
    line += 1;
    if (raw.startsWith('#')) continue;
    const nul = raw.indexOf('\0');
    const text = withoutTrailingSpaces(nul < 0 ? raw : raw.slice(0, nul));
    if (nul >= 0)
      remark('nul', { line, pattern: shownBytes(text), reason: 'ends, as in git, at a NUL character in its line' });
    const decoded = byteTextToText(text);
    if (decoded === undefined)
      remark('encoding', {
        line,
        pattern: shownBytes(text),
        reason: 'is not valid UTF-8: it is compared byte by byte, as in git',
      });
    if (text === '') continue;
    yield { line, text: foldsUnicode && decoded !== undefined ? byteTextOf(decoded.normalize('NFC')) : text };
  }
}

/**
 * git finds no rules in a text of two bytes a character (what Windows PowerShell writes). Its author meant some, so here
 * they hold: leaving out what git would show is the safe one of the two.
 */
function textOf(bytes: Uint8Array, remark: Remark): string {
  if (utf16Of(bytes) !== undefined) {
    const reason = 'is UTF-16: its rules hold here, but git reads none of them; save it as UTF-8';
    remark('encoding', { line: 0, pattern: '', reason });
  }
  return ignoreByteText(bytes);
}

function utf16Of([first, second]: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  return first === 0xfe && second === 0xff ? 'utf-16be' : undefined;
}

/** The text of an ignore file as its rules are read, without a byte-order mark. */
export function ignoreByteText(bytes: Uint8Array): string {
  const utf16 = utf16Of(bytes);
  if (utf16 !== undefined) return bytesToByteText(utf8ToBytes(new TextDecoder(utf16).decode(bytes)));
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return bytesToByteText(hasMark ? bytes.subarray(3) : bytes);
}

/** The lines of a byte text without their line ends: one carriage return belongs to the line end, as in git. */
export function rawLinesOf(text: string): readonly string[] {
  const lines = text.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

/** Spaces alone, and not one that a backslash escapes. */
export function withoutTrailingSpaces(line: string): string {
  let end = 0;
  for (let at = 0; at < line.length; at += 1) {
    if (line[at] === '\\') {
      // A lone backslash at the end: git trims nothing.
      if (at + 1 >= line.length) return line;
      at += 1;
    } else if (line[at] === ' ') continue;
    end = at + 1;
  }
  return line.slice(0, end);
}

function shownBytes(byteText: string): string {
  return byteText.replace(
    /[^\x20-\x7e]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

function createRemarks(): { readonly remarks: () => readonly IgnoreRemark[]; readonly remark: Remark } {
  const byKind = new Map<string, { kept: IgnoreRemark[]; count: number }>();
  return {
    remark: (kind, remark) => {
      const known = byKind.get(kind) ?? { kept: [], count: 0 };
      byKind.set(kind, known);
      known.count += 1;
      if (known.kept.length < remarksPerFileMax) known.kept.push(remark);
    },
    remarks: () =>
      [...byKind.values()].flatMap(({ kept, count }) => {
        const [first] = kept;
        const more = count - kept.length;
        if (first === undefined || more === 0) return kept;
        return [
          ...kept,
          {
            line: 0,
            pattern: '',
            reason: `${more} more lines are like line ${first.line}: ${first.pattern} ${first.reason}`,
          },
        ];
      }),
  };
}

/** What the patterns of a file are compared with. */
export function comparedName(text: string, { ignoreCase, foldsUnicode }: NameFolding): string {
  const byteText = byteTextOf(foldsUnicode ? text.normalize('NFC') : text);
  return ignoreCase ? foldAscii(byteText) : byteText;
}
