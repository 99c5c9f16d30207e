/**
 * Three-way merge of a text by lines (rule MERGE; C1). Deterministic and symmetric: the same three inputs give the same
 * bytes on every peer, and swapping the sides changes nothing but their names.
 *
 * It merges only what is beyond doubt: changes that touch, without a line between them that all three share, overlap, as
 * in git; equal changes are one. It never invents a line, and where both sides brought the same new line to different
 * places, it does not merge.
 * Line ends: lines are compared without them, and they are merged for themselves, a line and a side at a time, so that
 * one side's change of all line ends does not meet the other's edits. A byte-order mark is merged for itself, too. A missing
 * newline at the end belongs to the last line.
 * Bounds: not a clock but the number of edits, so that all machines give up alike. Past them it is a conflict.
 * Source: diff3 (Khanna, Kunal, Pierce, "A Formal Investigation of Diff3", 2007) over jsdiff's Myers diff.
 */
import { bytesToUtf8, equalBytes, utf8ToBytes } from '@driftless/protocol';
import { diffArrays } from 'diff';
import { liveEntry } from './entry-encoding.ts';
import type { Row } from './row.ts';

/** Above this a text is not merged (rule BASE keeps bases up to here). */
export const mergeBytesMax = 1024 * 1024;
/** Lines that one side may add and remove together. Cost grows with its square: about half a second at the limit. */
const editLengthMax = 2_000;
/** Lines × edits: keeps a file of very many short lines as cheap as one of few. */
const diffWorkMax = 40_000_000;

export interface LineRange {
  readonly start: number;
  readonly end: number;
}
/** Where both sides changed the same place, in lines from 0, ends excluded. */
export interface OverlapRegion {
  readonly base: LineRange;
  readonly ours: LineRange;
  readonly theirs: LineRange;
}
export type MergeResult =
  | { readonly kind: 'merged'; readonly bytes: Uint8Array }
  | { readonly kind: 'overlap'; readonly regions: readonly OverlapRegion[] }
  | { readonly kind: 'unmergeable'; readonly reason: UnmergeableReason };
/** `binary`: NUL bytes, or not UTF-8. `too-different`: past the bounds. `would-duplicate`: one new line, two places. */
export type UnmergeableReason = 'binary' | 'too-large' | 'too-different' | 'would-duplicate';

export function mergeText(input: {
  readonly base: Uint8Array;
  readonly ours: Uint8Array;
  readonly theirs: Uint8Array;
}): MergeResult {
  const { base, ours, theirs } = input;
  if (equalBytes(ours, theirs) || equalBytes(base, theirs)) return { kind: 'merged', bytes: ours };
  if (equalBytes(base, ours)) return { kind: 'merged', bytes: theirs };
  // Known here: both sides changed, and differently.
  if ([base, ours, theirs].some((bytes) => bytes.length > mergeBytesMax)) return unmergeable('too-large');
  const lines = new Map<string, number>();
  const baseText = parseText(base, lines);
  const oursText = parseText(ours, lines);
  const theirsText = parseText(theirs, lines);
  if (baseText === undefined || oursText === undefined || theirsText === undefined) return unmergeable('binary');
  const oursHunks = hunksOf(baseText.keys, oursText.keys);
  const theirsHunks = hunksOf(baseText.keys, theirsText.keys);
  if (oursHunks === undefined || theirsHunks === undefined) return unmergeable('too-different');
  return mergeParsed({ base: baseText, ours: oursText, theirs: theirsText }, oursHunks, theirsHunks);
}

/** Whether these bytes are a text that could be merged. */
export function isMergeable(bytes: Uint8Array): boolean {
  return bytes.length <= mergeBytesMax && !bytes.includes(0) && bytesToUtf8(bytes) !== undefined;
}

/** Whether the sizes of a path's contents leave that open. */
export function mayMerge({ base, local, remote }: Row): boolean {
  const entry = liveEntry(remote);
  if (local?.kind !== 'file' || entry?.kind !== 'file') return false;
  const baseSize = base?.kind === 'file' ? base.content.size : 0;
  return Math.max(local.size, entry.content.size, baseSize) <= mergeBytesMax;
}

type LineEnd = '' | '\n' | '\r\n';

interface ParsedText {
  readonly hasMark: boolean;
  readonly contents: readonly string[];
  readonly ends: readonly LineEnd[];
  /** Equal numbers: equal lines, line ends aside; but a last line without any differs from one with. */
  readonly keys: readonly number[];
  /** The more frequent line end; null when no line has one. */
  readonly style: LineEnd | null;
}
interface Texts {
  readonly base: ParsedText;
  readonly ours: ParsedText;
  readonly theirs: ParsedText;
}
/** Lines `base` of the base became lines `side`. */
interface Hunk {
  readonly base: LineRange;
  readonly side: LineRange;
}

function parseText(bytes: Uint8Array, keysByLine: Map<string, number>): ParsedText | undefined {
  const decoded = bytes.includes(0) ? undefined : bytesToUtf8(bytes);
  if (decoded === undefined) return undefined;
  const hasMark = decoded.startsWith('\uFEFF');
  const text = hasMark ? decoded.slice(1) : decoded;
  const contents: string[] = [];
  const ends: LineEnd[] = [];
  const keys: number[] = [];
  let crlfCount = 0;
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start);
    const isLast = newline < 0;
    const isCrlf = !isLast && newline > start && text[newline - 1] === '\r';
    const content = text.slice(start, isLast ? text.length : isCrlf ? newline - 1 : newline);
    const keyed = isLast ? content : `${content}\n`;
    const key = keysByLine.get(keyed) ?? keysByLine.size;
    keysByLine.set(keyed, key);
    contents.push(content);
    ends.push(isLast ? '' : isCrlf ? '\r\n' : '\n');
    keys.push(key);
    if (isCrlf) crlfCount += 1;
    start = isLast ? text.length : newline + 1;
  }
  const lfCount = ends.filter((end) => end === '\n').length;
  const style = crlfCount + lfCount === 0 ? null : crlfCount > lfCount ? '\r\n' : '\n';
  return { hasMark, contents, ends, keys, style };
}

/** What a side changed, in order; between two hunks lies at least one line that is the same. undefined: past the bounds. */
function hunksOf(base: readonly number[], side: readonly number[]): readonly Hunk[] | undefined {
  const shorter = Math.min(base.length, side.length);
  let front = 0;
  while (front < shorter && base[front] === side[front]) front += 1;
  let back = 0;
  while (back < shorter - front && base[base.length - 1 - back] === side[side.length - 1 - back]) back += 1;
  const baseMiddle = base.slice(front, base.length - back);
  const sideMiddle = side.slice(front, side.length - back);
  if (baseMiddle.length === 0 && sideMiddle.length === 0) return [];
  if (baseMiddle.length === 0 || sideMiddle.length === 0) {
    return [hunkAt(front, baseMiddle.length, front, sideMiddle.length)];
  }
  const lineCount = baseMiddle.length + sideMiddle.length;
  const maxEditLength = Math.min(editLengthMax, Math.floor(diffWorkMax / lineCount));
  const parts = diffArrays(baseMiddle, sideMiddle, { maxEditLength });
  if (parts === undefined) return undefined;
  const hunks: Hunk[] = [];
  let baseAt = front;
  let sideAt = front;
  let removed = 0;
  let added = 0;
  const close = () => {
    if (removed + added > 0) hunks.push(hunkAt(baseAt - removed, removed, sideAt - added, added));
    removed = 0;
    added = 0;
  };
  for (const part of parts) {
    if (part.removed) {
      removed += part.count;
      baseAt += part.count;
    } else if (part.added) {
      added += part.count;
      sideAt += part.count;
    } else {
      close();
      baseAt += part.count;
      sideAt += part.count;
    }
  }
  close();
  return hunks;
}

function hunkAt(baseStart: number, removed: number, sideStart: number, added: number): Hunk {
  return {
    base: { start: baseStart, end: baseStart + removed },
    side: { start: sideStart, end: sideStart + added },
  };
}

function mergeParsed(texts: Texts, oursHunks: readonly Hunk[], theirsHunks: readonly Hunk[]): MergeResult {
  const output = createOutput(texts);
  const regions: OverlapRegion[] = [];
  let baseAt = 0;
  let oursNext = 0;
  let theirsNext = 0;
  // How far each side is ahead of the base, in lines, before the next hunk.
  let oursShift = 0;
  let theirsShift = 0;
  for (;;) {
    const start = Math.min(
      oursHunks[oursNext]?.base.start ?? Number.POSITIVE_INFINITY,
      theirsHunks[theirsNext]?.base.start ?? Number.POSITIVE_INFINITY,
    );
    const common = Math.min(start, texts.base.keys.length);
    for (; baseAt < common; baseAt += 1) output.shared(baseAt, baseAt + oursShift, baseAt + theirsShift);
    if (start === Number.POSITIVE_INFINITY) break;

    // Takes in every hunk of either side that begins before, or right at, the end of those taken in already.
    const oursStart = start + oursShift;
    const theirsStart = start + theirsShift;
    const oursFirst = oursNext;
    const theirsFirst = theirsNext;
    let end = start;
    for (let grown = true; grown; ) {
      grown = false;
      for (let hunk = oursHunks[oursNext]; hunk !== undefined && hunk.base.start <= end; hunk = oursHunks[oursNext]) {
        end = Math.max(end, hunk.base.end);
        oursShift = hunk.side.end - hunk.base.end;
        oursNext += 1;
        grown = true;
      }
      for (
        let hunk = theirsHunks[theirsNext];
        hunk !== undefined && hunk.base.start <= end;
        hunk = theirsHunks[theirsNext]
      ) {
        end = Math.max(end, hunk.base.end);
        theirsShift = hunk.side.end - hunk.base.end;
        theirsNext += 1;
        grown = true;
      }
    }
    const ours: LineRange = { start: oursStart, end: end + oursShift };
    const theirs: LineRange = { start: theirsStart, end: end + theirsShift };
    if (theirsNext === theirsFirst) output.oneSided('ours', ours);
    else if (oursNext === oursFirst) output.oneSided('theirs', theirs);
    else if (sameLines(texts.ours, ours, texts.theirs, theirs)) output.alike(ours, theirs);
    else regions.push({ base: { start, end }, ours, theirs });
    baseAt = end;
  }
  if (regions.length > 0) return { kind: 'overlap', regions };
  return output.finish();
}

function createOutput(texts: Texts) {
  const { base, ours, theirs } = texts;
  const style = merged(base.style, ours.style, theirs.style) ?? '\n';
  const parts: string[] = [];
  /** Copies of each line in the output that came from one side alone. */
  const added = new Map<number, number>();

  return {
    /** A line that all three have: its line end is merged for itself. */
    shared(baseAt: number, oursAt: number, theirsAt: number): void {
      const end = merged(base.ends[baseAt] ?? '', ours.ends[oursAt] ?? '', theirs.ends[theirsAt] ?? '');
      parts.push(base.contents[baseAt] ?? '', end);
    },
    /** One side's lines. Line ends of that side's style become the result's; odd ones stay as they are. */
    oneSided(name: 'ours' | 'theirs', range: LineRange): void {
      const side = texts[name];
      for (let at = range.start; at < range.end; at += 1) {
        const end = side.ends[at] ?? '';
        const key = side.keys[at] ?? -1;
        added.set(key, (added.get(key) ?? 0) + 1);
        parts.push(side.contents[at] ?? '', end !== '' && end === side.style ? style : end);
      }
    },
    /** Both sides made the same of this place. */
    alike(oursRange: LineRange, theirsRange: LineRange): void {
      for (let index = 0; index < oursRange.end - oursRange.start; index += 1) {
        const oursEnd = ours.ends[oursRange.start + index] ?? '';
        const theirsEnd = theirs.ends[theirsRange.start + index] ?? '';
        parts.push(ours.contents[oursRange.start + index] ?? '', oursEnd === theirsEnd ? oursEnd : style);
      }
    },
    finish(): MergeResult {
      if (duplicates(texts, added)) return unmergeable('would-duplicate');
      const mark = merged(base.hasMark, ours.hasMark, theirs.hasMark) ? '\uFEFF' : '';
      return { kind: 'merged', bytes: utf8ToBytes(mark + parts.join('')) };
    },
  };
}

/**
 * Whether a line that is at most once in each input would be twice in the result: both sides brought it, or moved it, to
 * places of their own. Lines without a letter or digit (blank ones, brackets) may well come from both.
 */
function duplicates(texts: Texts, added: ReadonlyMap<number, number>): boolean {
  const counts = { base: countsOf(texts.base), ours: countsOf(texts.ours), theirs: countsOf(texts.theirs) };
  for (const [key, count] of added) {
    if (count < 2 || !counts.ours.has(key) || !counts.theirs.has(key)) continue;
    if ([counts.base, counts.ours, counts.theirs].some((side) => (side.get(key) ?? 0) > 1)) continue;
    const at = texts.ours.keys.indexOf(key);
    if (/[\p{L}\p{N}]/u.test(texts.ours.contents[at] ?? '')) return true;
  }
  return false;
}

function countsOf(text: ParsedText): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const key of text.keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

/** Three-way merge of one value that has two possible forms: one side at least agrees with the base, or both with each other. */
function merged<Value>(base: Value, ours: Value, theirs: Value): Value {
  if (ours === theirs) return ours;
  if (ours === base) return theirs;
  return theirs === base ? ours : base;
}

function sameLines(ours: ParsedText, oursRange: LineRange, theirs: ParsedText, theirsRange: LineRange): boolean {
  const count = oursRange.end - oursRange.start;
  if (count !== theirsRange.end - theirsRange.start) return false;
  for (let index = 0; index < count; index += 1) {
    if (ours.keys[oursRange.start + index] !== theirs.keys[theirsRange.start + index]) return false;
  }
  return true;
}

function unmergeable(reason: UnmergeableReason): MergeResult {
  return { kind: 'unmergeable', reason };
}
