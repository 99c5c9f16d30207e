/**
 * Merges the room's version of a text into what an editor holds unsaved, as the few edits that make the difference: so that cursor,
 * selection and scroll stay where they are. By the same merge as on disk (merge-text.ts), and only what that merges cleanly.
 */
import { bytesToUtf8, utf8ToBytes } from '@driftless/protocol';
import { diffArrays } from 'diff';
import { mergeText } from './merge-text.ts';

/** Replaces the characters from `start` up to `end`, in UTF-16 units of the text before all edits. */
export interface TextEdit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Lines that differ between a buffer and its merge; beyond, one edit is as good as many. */
const editLengthMax = 2_000;

/** In order, apart from one another. undefined: the two sides overlap, or are no text. An editor's text has no byte-order mark. */
export function mergeIntoBuffer(input: {
  readonly base: Uint8Array;
  readonly text: string;
  readonly theirs: Uint8Array;
}): readonly TextEdit[] | undefined {
  const { text } = input;
  const result = mergeText({
    base: withoutMark(input.base),
    ours: utf8ToBytes(text),
    theirs: withoutMark(input.theirs),
  });
  const merged = result.kind === 'merged' ? bytesToUtf8(result.bytes) : undefined;
  return merged === undefined ? undefined : editsBetween(text, merged);
}

function withoutMark(bytes: Uint8Array): Uint8Array {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

export function editsBetween(before: string, after: string): readonly TextEdit[] {
  const parts = diffArrays(linesOf(before), linesOf(after), { maxEditLength: editLengthMax });
  if (parts === undefined) return narrowed(before, { start: 0, end: before.length, text: after });
  const edits: TextEdit[] = [];
  let at = 0;
  let open: TextEdit | undefined;
  for (const { value, added, removed } of parts) {
    const text = value.join('');
    if (!added && !removed) {
      if (open !== undefined) edits.push(...narrowed(before, open));
      open = undefined;
      at += text.length;
      continue;
    }
    open ??= { start: at, end: at, text: '' };
    if (added) open = { ...open, text: open.text + text };
    else {
      at += text.length;
      open = { ...open, end: at };
    }
  }
  if (open !== undefined) edits.push(...narrowed(before, open));
  return edits;
}

/** Each with its line end. */
const linesOf = (text: string): string[] => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

/** Without what both texts begin and end with; none when nothing is left. No character of two units is cut, and no line end. */
function narrowed(before: string, { start, end, text }: TextEdit): readonly TextEdit[] {
  const old = before.slice(start, end);
  const shorter = Math.min(old.length, text.length);
  let front = 0;
  while (front < shorter && old[front] === text[front]) front += 1;
  while (front > 0 && (cutsApart(old, front) || cutsApart(text, front))) front -= 1;
  let back = 0;
  while (back < shorter - front && old[old.length - 1 - back] === text[text.length - 1 - back]) back += 1;
  while (back > 0 && (cutsApart(old, old.length - back) || cutsApart(text, text.length - back))) back -= 1;
  const kept = text.slice(front, text.length - back);
  if (kept === '' && front + back === old.length) return [];
  return [{ start: start + front, end: end - back, text: kept }];
}

function cutsApart(text: string, at: number): boolean {
  return /^(?:[\ud800-\udbff][\udc00-\udfff]|\r\n)$/.test(text.slice(at - 1, at + 1));
}
