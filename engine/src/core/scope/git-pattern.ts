/**
 * One line of an ignore file, compiled to match as git matches it; git itself is the judge (ignore-rules.git.test.ts).
 *
 * No pattern can make matching explode. `**` cuts a pattern into parts; a part spans a fixed number of names, so of all
 * places where it could match, the first is as good as any for what follows, and nothing is tried again behind it. The
 * same holds of `*` within a name. What a byte of the path can cost is known beforehand: `cost`.
 * Source of the meaning: gitignore(5), and what git 2.39 does where the manual is silent.
 * Leaves to others: lines and files (ignore-text.ts), and which of several matching patterns counts.
 */
import { foldAscii } from './byte-text.ts';

export interface GitPattern {
  /** False: the line begins with `!` and takes back in. */
  readonly excludes: boolean;
  /** The line ends with `/`. */
  readonly directoriesOnly: boolean;
  /** Compared with the path below the file's directory; otherwise with the last name alone. */
  readonly wholePath: boolean;
  /** Set when only exactly this text matches. */
  readonly literal: string | null;
  /** Set when exactly the names that end with this text match: `*.log`, the commonest pattern of all. */
  readonly suffix: string | null;
  /** Places that one comparison may have to look at, at most, for each byte of a path. */
  readonly cost: number;
  /** The directory, below the file's own, outside which nothing can match; '' = anywhere. */
  readonly within: string;
  /** Why git never matches it with any path; null = it can match. */
  readonly unmatchable: string | null;
  /** `text` is a byte text, folded if patterns are. */
  matches(text: string): boolean;
}

type Token =
  | { readonly kind: 'text'; readonly text: string }
  /** `?` and `[…]`: one byte, never a slash. null = any. */
  | { readonly kind: 'byte'; readonly set: ByteSet | null }
  /** `*`: anything within a name. */
  | { readonly kind: 'star' };

/** Indexed by byte: 1 if it is in. */
type ByteSet = Readonly<Uint8Array>;

/** What lies between two `**`; all but the last end with a slash. */
interface Part {
  readonly tokens: readonly Token[];
  /** Directories that `**` takes in before it: none may come, any number, or at least one. */
  readonly behind: 'nothing' | 'directories' | 'some directories';
}
interface Parts {
  readonly parts: readonly Part[];
  /** The pattern ends with `**`: whatever follows matches. */
  readonly isOpen: boolean;
}

const slash = '/';
const special = /[*?[\\]/;

/** `line` is a byte text without its line end and without the blanks that git trims; not empty. */
export function compileGitPattern(line: string, { ignoreCase }: { readonly ignoreCase: boolean }): GitPattern {
  const excludes = !line.startsWith('!');
  let body = excludes ? line : line.slice(1);
  const directoriesOnly = body.endsWith(slash);
  if (directoriesOnly) body = body.slice(0, -1);
  const wholePath = body.includes(slash);
  if (wholePath && body.startsWith(slash)) body = body.slice(1);

  const fold = (text: string): string => (ignoreCase ? foldAscii(text) : text);
  const shared = { excludes, directoriesOnly, wholePath };
  const firstSpecial = body.search(special);
  if (firstSpecial < 0) {
    const literal = fold(body);
    return {
      ...shared,
      literal,
      suffix: null,
      cost: 0,
      within: parentOf(body),
      unmatchable: namesNothing(body),
      matches: (text) => text === literal,
    };
  }
  // git compares what precedes the first special character by itself, so that `a**/b` begins anew behind the `a`.
  const prefix = fold(wholePath ? body.slice(0, firstSpecial) : '');
  const within = wholePath ? parentOf(body.slice(0, firstSpecial)) : '';
  const compiled = partsOf(body.slice(prefix.length), { ignoreCase, wholePath });
  if (typeof compiled === 'string')
    return { ...shared, literal: null, suffix: null, cost: 0, within, unmatchable: compiled, matches: () => false };
  const suffix = wholePath ? null : suffixOf(compiled);
  if (suffix !== null)
    return {
      ...shared,
      literal: null,
      suffix,
      cost: 0,
      within,
      unmatchable: null,
      matches: (text) => text.endsWith(suffix),
    };
  return {
    ...shared,
    literal: null,
    suffix: null,
    cost: costOf(compiled),
    within,
    unmatchable: brokenNames(prefix, compiled),
    matches: (text) => text.startsWith(prefix) && matchesParts(compiled, text, prefix.length),
  };
}

function suffixOf({ parts }: Parts): string | null {
  const [first, second, ...others] = parts[0]?.tokens ?? [];
  return first?.kind === 'star' && second?.kind === 'text' && others.length === 0 ? second.text : null;
}

/** A part behind `**` is tried at each directory; what stands behind a star, at each byte of a name. */
function costOf({ parts, isOpen }: Parts): number {
  let cost = 1;
  for (const [index, { tokens, behind }] of parts.entries()) {
    const isTriedOnce = behind === 'nothing' || (index === parts.length - 1 && !isOpen);
    let sinceStar = isTriedOnce ? Number.NEGATIVE_INFINITY : 0;
    for (const token of tokens) {
      if (token.kind === 'star') sinceStar = Math.max(0, sinceStar);
      else sinceStar += token.kind === 'text' ? token.text.length : 1;
      cost = Math.max(cost, sinceStar);
    }
  }
  return cost;
}

/** A path has no empty name, and none that is `.` or `..`. */
function namesNothing(body: string): string | null {
  if (body === '') return 'it names nothing';
  const names = body.split(slash);
  if (names.some((name) => name === '')) return noEmptyNames;
  return names.some((name) => name === '.' || name === '..') ? noDots : null;
}

/** The same of a pattern with wildcards, as far as its texts say so for certain: a slash may also stand in a class. */
function brokenNames(prefix: string, { parts }: Parts): string | null {
  const texts = [
    prefix,
    ...parts.flatMap(({ tokens }) => tokens).map((token) => (token.kind === 'text' ? token.text : '')),
  ];
  if (texts.some((text) => text.includes('//'))) return noEmptyNames;
  return texts.some((text) => /\/\.\.?\//.test(text)) || /^\.\.?\//.test(prefix) ? noDots : null;
}

const noEmptyNames = 'no path has an empty name in it';
const noDots = 'no path has . or .. in it';

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf(slash)));
}

// ── compiling ────────────────────────────────────────────────────────────────────────────────────────────────────────

interface CompileOptions {
  readonly ignoreCase: boolean;
  readonly wholePath: boolean;
}

/** A string: why git never matches it. */
function partsOf(pattern: string, { ignoreCase, wholePath }: CompileOptions): Parts | string {
  const parts: { readonly tokens: Token[]; readonly behind: Part['behind'] }[] = [{ tokens: [], behind: 'nothing' }];
  let tokens = parts[0]?.tokens ?? [];
  const addText = (text: string): void => {
    const last = tokens.at(-1);
    if (last?.kind === 'text') tokens[tokens.length - 1] = { kind: 'text', text: last.text + text };
    else tokens.push({ kind: 'text', text });
  };
  for (let at = 0; at < pattern.length; ) {
    const character = pattern.charAt(at);
    if (character === '\\') {
      if (at + 1 === pattern.length) return 'it ends with a lone backslash';
      // git does not fold what is escaped.
      addText(pattern.charAt(at + 1));
      at += 2;
    } else if (character === '?') {
      tokens.push({ kind: 'byte', set: null });
      at += 1;
    } else if (character === '[') {
      const parsed = parseClass(pattern, at, ignoreCase);
      if (typeof parsed === 'string') return parsed;
      tokens.push({ kind: 'byte', set: parsed.set });
      at = parsed.end;
    } else if (character === '*') {
      const end = endOfStars(pattern, at);
      if (!wholePath || !isDoubleStar(pattern, at, end)) {
        tokens.push({ kind: 'star' });
        at = end;
        continue;
      }
      if (end === pattern.length) return { parts, isOpen: true };
      // An escaped slash behind `**` is one that must be there, so at least one directory comes before it.
      const isEscaped = pattern.charAt(end) === '\\';
      tokens = [];
      parts.push({ tokens, behind: isEscaped ? 'some directories' : 'directories' });
      at = end + (isEscaped ? 2 : 1);
    } else {
      addText(ignoreCase ? foldAscii(character) : character);
      at += 1;
    }
  }
  return { parts, isOpen: false };
}

function endOfStars(pattern: string, start: number): number {
  let end = start;
  while (pattern.charAt(end) === '*') end += 1;
  return end;
}

/** Two stars or more are `**` only as a whole name; elsewhere they are one star. */
function isDoubleStar(pattern: string, start: number, end: number): boolean {
  return (
    end - start >= 2 &&
    (start === 0 || pattern.charAt(start - 1) === slash) &&
    (end === pattern.length || pattern.charAt(end) === slash || pattern.startsWith('\\/', end))
  );
}

const unclosed = 'it has a [ without its ]';

/** `start` is at the `[`; `end` is behind the `]`. */
function parseClass(
  pattern: string,
  start: number,
  ignoreCase: boolean,
): { readonly set: ByteSet; readonly end: number } | string {
  const set = new Uint8Array(256);
  const addRange = (from: number, to: number): void => {
    for (let byte = from; byte <= to; byte += 1) set[byte] = 1;
    // Names were folded to small letters: one is in the range also when its capital is.
    if (ignoreCase)
      for (let byte = 0x61; byte <= 0x7a; byte += 1) if (byte - 32 >= from && byte - 32 <= to) set[byte] = 1;
  };
  let at = start + 1;
  const negated = pattern.charAt(at) === '!' || pattern.charAt(at) === '^';
  if (negated) at += 1;
  /** What a following `-` begins a range with. */
  let previous: number | null = null;
  for (let isFirst = true; isFirst || pattern.charAt(at) !== ']'; isFirst = false) {
    if (at >= pattern.length) return unclosed;
    const named = pattern.startsWith('[:', at) ? namedClass(pattern, at, ignoreCase) : undefined;
    if (typeof named === 'string') return named;
    if (named !== undefined) {
      for (const [byte, isIn] of named.set.entries()) if (isIn === 1) set[byte] = 1;
      previous = null;
      at = named.end;
      continue;
    }
    const next = pattern.charAt(at + 1);
    if (pattern.charAt(at) === '-' && previous !== null && next !== '' && next !== ']') {
      const escapes = next === '\\' ? 1 : 0;
      if (at + 1 + escapes >= pattern.length) return unclosed;
      addRange(previous, pattern.charCodeAt(at + 1 + escapes));
      previous = null;
      at += 2 + escapes;
      continue;
    }
    if (pattern.charAt(at) === '\\') at += 1;
    if (at >= pattern.length) return unclosed;
    previous = pattern.charCodeAt(at);
    // As git: a single capital in a class is not folded, so where names are it matches none.
    set[previous] = 1;
    at += 1;
  }
  return { set: negated ? set.map((isIn) => 1 - isIn) : set, end: at + 1 };
}

/** undefined: `[:` is no named class here, but two characters. `end` is behind the `:]`. */
function namedClass(
  pattern: string,
  start: number,
  ignoreCase: boolean,
): { readonly set: ByteSet; readonly end: number } | string | undefined {
  const end = pattern.indexOf(']', start + 2);
  if (end < 0) return unclosed;
  if (end === start + 2 || pattern.charAt(end - 1) !== ':') return undefined;
  const name = pattern.slice(start + 2, end - 1);
  const isIn = namedClasses.get(name);
  if (isIn === undefined) return `there is no class [:${name}:]`;
  const set = Uint8Array.from({ length: 256 }, (_, byte) => (isIn(byte) ? 1 : 0));
  if (ignoreCase && name === 'upper') for (let byte = 0x61; byte <= 0x7a; byte += 1) set[byte] = 1;
  return { set, end: end + 1 };
}

const within = (from: number, to: number) => (byte: number) => byte >= from && byte <= to;
const isUpper = within(0x41, 0x5a);
const isLower = within(0x61, 0x7a);
const isDigit = within(0x30, 0x39);
const isAlpha = (byte: number): boolean => isUpper(byte) || isLower(byte);
const isAlnum = (byte: number): boolean => isAlpha(byte) || isDigit(byte);
const isGraph = within(0x21, 0x7e);
/** ASCII alone; white space is git's own, without vertical tab and form feed. */
const namedClasses: ReadonlyMap<string, (byte: number) => boolean> = new Map([
  ['alnum', isAlnum],
  ['alpha', isAlpha],
  ['blank', (byte: number) => byte === 0x20 || byte === 0x09],
  ['cntrl', (byte: number) => byte < 0x20 || byte === 0x7f],
  ['digit', isDigit],
  ['graph', isGraph],
  ['lower', isLower],
  ['print', within(0x20, 0x7e)],
  ['punct', (byte: number) => isGraph(byte) && !isAlnum(byte)],
  ['space', (byte: number) => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d],
  ['upper', isUpper],
  ['xdigit', (byte: number) => isDigit(byte) || within(0x41, 0x46)(byte) || within(0x61, 0x66)(byte)],
]);

// ── matching ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function matchesParts({ parts, isOpen }: Parts, text: string, start: number): boolean {
  let place = start;
  for (const [index, part] of parts.entries()) {
    const toTheEnd = index === parts.length - 1 && !isOpen;
    const end = firstEnd(part, text, place, toTheEnd);
    if (end === undefined) return false;
    place = end;
  }
  return true;
}

function firstEnd(part: Part, text: string, place: number, toTheEnd: boolean): number | undefined {
  for (const start of toTheEnd ? lastStarts(part, text, place) : starts(part, text, place)) {
    const end = endOfMatch(part.tokens, text, start, toTheEnd);
    if (end !== undefined) return end;
  }
  return undefined;
}

/** Where a part may begin: at `place` itself, or behind any later slash. */
function* starts({ behind }: Part, text: string, place: number): Generator<number> {
  if (behind !== 'some directories') yield place;
  if (behind === 'nothing') return;
  for (let at = text.indexOf(slash, place); at >= 0; at = text.indexOf(slash, at + 1)) yield at + 1;
}

/** The same for a part that must end with the text: it has as many slashes as the rest of the text. */
function* lastStarts({ behind, tokens }: Part, text: string, place: number): Generator<number> {
  if (behind !== 'some directories') yield place;
  if (behind === 'nothing') return;
  let at = text.length;
  for (let left = slashesIn(tokens); left >= 0; left -= 1) {
    at = text.lastIndexOf(slash, at - 1);
    if (at < place) return;
  }
  yield at + 1;
}

function slashesIn(tokens: readonly Token[]): number {
  let count = 0;
  for (const token of tokens) if (token.kind === 'text') count += token.text.split(slash).length - 1;
  return count;
}

/** Where the first match from `start` on ends; undefined: there is none. */
function endOfMatch(tokens: readonly Token[], text: string, start: number, toTheEnd: boolean): number | undefined {
  let place = start;
  let next = 0;
  /** The last star of this name, and how far it reaches: what is tried again when what follows it does not match. */
  let star: { readonly next: number; end: number } | null = null;
  for (;;) {
    const token = tokens[next];
    if (token === undefined && !(toTheEnd && place < text.length)) return place;
    if (token?.kind === 'star') {
      next += 1;
      star = { next, end: place };
      continue;
    }
    const length = token === undefined ? 0 : matchedLength(token, text, place);
    if (token !== undefined && length > 0) {
      place += length;
      next += 1;
      // A name that is matched to its end is matched in the only way there is.
      if (token.kind === 'text' && token.text.includes(slash)) star = null;
      continue;
    }
    if (star === null || star.end >= text.length || text.charAt(star.end) === slash) return undefined;
    star.end += 1;
    place = star.end;
    next = star.next;
  }
}

/** 0: it does not match here. */
function matchedLength(token: Exclude<Token, { kind: 'star' }>, text: string, place: number): number {
  if (token.kind === 'text') return text.startsWith(token.text, place) ? token.text.length : 0;
  if (place >= text.length || text.charAt(place) === slash) return 0;
  return token.set === null || token.set[text.charCodeAt(place)] === 1 ? 1 : 0;
}
