/**
 * An ignore file that both sides changed: their lines are united. What either side left out, the result leaves out; so a merge
 * never widens what is synced (rule IG1).
 *
 * Why it is so: within a file the last matching line counts. Let a path be out on one side, by a line P. Every `!` line of the
 * result is a line of both sides, so those that match the path come before P on that side, and P is put behind them. Where
 * no line of that side matches, no `!` line of the result does.
 * The price: a line that one side deleted stays while the other changed the file, and a `!` line that one side added is
 * kept as a comment. Both can be done again in a file that nobody else is changing.
 * Symmetric: both sides make the same of it. Bounds: time grows with the lines, and with their differences up to a limit.
 */
import { diffArrays } from 'diff';
import { byteTextToBytes } from './byte-text.ts';
import { ignoreByteText, rawLinesOf, withoutTrailingSpaces } from './ignore-text.ts';

/** Beyond, the layout is given up: one side's lines, then what the other has besides. */
const editLengthMax = 1_000;
const onesided = '# not in force, because only one side had this line: ';

export function uniteIgnoreFiles(input: {
  /** null: none, or not known any more. */
  readonly base: Uint8Array | null;
  readonly ours: Uint8Array;
  readonly theirs: Uint8Array;
}): Uint8Array {
  const texts = [ignoreByteText(input.ours), ignoreByteText(input.theirs)].sort();
  const [first = [], second = []] = texts.map(rawLinesOf);
  const baseLines = new Set(input.base === null ? [] : rawLinesOf(ignoreByteText(input.base)).map(keyOf));
  const shared = new Set(first.filter(isTakingBack).map(keyOf));
  for (const key of shared) if (!second.some((line) => keyOf(line) === key)) shared.delete(key);

  /** `!` lines that only one side has: deleted by the other, or not known to it. */
  const harmless = (lines: readonly string[]): readonly string[] =>
    lines.flatMap((line) => {
      if (!isTakingBack(line) || shared.has(keyOf(line))) return [line];
      return baseLines.has(keyOf(line)) ? [] : [onesided + line];
    });
  const united = withRulesBehind(onceEach(interleave(harmless(first), harmless(second))), [first, second]);
  const lineEnd = texts.every(hasWindowsLineEnds) ? '\r\n' : '\n';
  return byteTextToBytes(united.map((line) => line + lineEnd).join(''));
}

const isTakingBack = (line: string): boolean => line.startsWith('!');
const isRule = (line: string): boolean => line !== '' && !line.startsWith('#');
/** Lines with equal keys mean the same. */
const keyOf = (line: string): string => (isRule(line) ? withoutTrailingSpaces(line) : line);
const hasWindowsLineEnds = (text: string): boolean => text.includes('\r\n') && !/(^|[^\r])\n/.test(text);

/** Lines of both in the order of both, as far as they have one. */
function interleave(first: readonly string[], second: readonly string[]): readonly string[] {
  const parts = diffArrays(first.map(keyOf), second.map(keyOf), { maxEditLength: editLengthMax });
  if (parts !== undefined) return parts.flatMap(({ value }) => value);
  const known = new Set(first.map(keyOf));
  return [...first.map(keyOf), ...second.map(keyOf).filter((line) => !known.has(line))];
}

/** Of equal rules one stays: the last of those that leave out, the first of those that take back in. */
function onceEach(lines: readonly string[]): readonly string[] {
  const kept = new Map<string, number>();
  for (const [index, line] of lines.entries()) if (!isTakingBack(line) || !kept.has(line)) kept.set(line, index);
  return lines.filter((line, index) => !isRule(line) || kept.get(line) === index);
}

/** Puts each rule behind the `!` lines that came before it on either side. */
function withRulesBehind(lines: readonly string[], sides: readonly (readonly string[])[]): readonly string[] {
  const places = placesOf(lines);
  const late = new Set<string>();
  for (const side of sides) {
    let behind = -1;
    const lastPlaces = placesOf(side.map(keyOf));
    for (const [index, line] of side.entries()) {
      const key = keyOf(line);
      // Only where a line stands last does it count.
      if (!isRule(line) || lastPlaces.get(key) !== index) continue;
      const place = places.get(key) ?? -1;
      if (isTakingBack(line)) behind = Math.max(behind, place);
      else if (place < behind) late.add(key);
    }
  }
  return [...lines.filter((line) => !late.has(line)), ...lines.filter((line) => late.has(line))];
}

function placesOf(lines: readonly string[]): ReadonlyMap<string, number> {
  return new Map(lines.map((line, index) => [line, index]));
}
