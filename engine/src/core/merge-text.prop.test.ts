import fc from 'fast-check';
import { diff3Merge } from 'node-diff3';
import { describe, expect, it } from 'vitest';
import { mergeText } from './merge-text.ts';

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
const linesOf = (text: string): string[] => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
const merge = (base: string, ours: string, theirs: string) =>
  mergeText({ base: encode(base), ours: encode(ours), theirs: encode(theirs) });

/** Few different lines: repeats, moves and accidental matches happen all the time. */
const dullText = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', '', '}'), { maxLength: 9 }), fc.constantFrom('\n', '\r\n'), fc.boolean())
  .map(([lines, end, closed]) => lines.join(end) + (closed && lines.length > 0 ? end : ''));

/** A base of distinct lines, and edits of each side that bring distinct new lines (tags 0–2 are shared by both). */
const editArbitrary = fc.constantFrom('keep', 'keep', 'keep', 'keep', 'delete', 'replace', 'insert');
const sideArbitrary = fc.array(fc.tuple(editArbitrary, fc.nat(2), fc.boolean()), { minLength: 8, maxLength: 8 });
const sideText = (edits: readonly (readonly [string, number, boolean])[], name: string) =>
  edits
    .flatMap(([edit, tag, shared], index) => {
      const fresh = `${shared ? 'both' : name} ${index} ${tag}\n`;
      if (edit === 'keep') return [`base ${index}\n`];
      if (edit === 'delete') return [];
      return edit === 'replace' ? [fresh] : [fresh, `base ${index}\n`];
    })
    .join('');
const baseText = Array.from({ length: 8 }, (_, index) => `base ${index}\n`).join('');

describe('laws of the merge', () => {
  it('swapping the sides changes nothing, and merging twice gives the same', () => {
    fc.assert(
      fc.property(dullText, dullText, dullText, (base, ours, theirs) => {
        const result = merge(base, ours, theirs);
        const mirrored = merge(base, theirs, ours);
        expect(merge(base, ours, theirs)).toEqual(result);
        if (result.kind !== 'overlap' || mirrored.kind !== 'overlap') expect(mirrored).toEqual(result);
        else {
          const swapped = mirrored.regions.map((region) => ({ ...region, ours: region.theirs, theirs: region.ours }));
          expect(swapped).toEqual(result.regions);
        }
      }),
      { seed: 20261121, numRuns: 1_500 },
    );
  });

  it('a one-sided change wins whole, to the byte', () => {
    fc.assert(
      fc.property(dullText, dullText, (base, changed) => {
        for (const result of [merge(base, changed, base), merge(base, base, changed), merge(base, changed, changed)]) {
          expect(result.kind === 'merged' ? decode(result.bytes) : result.kind).toBe(changed);
        }
      }),
      { seed: 20261121, numRuns: 300 },
    );
  });

  it('every line is a line of an input, in that input’s order, and lost lines were deleted by a side', () => {
    let mergedSeen = 0;
    let bothChanged = 0;
    fc.assert(
      fc.property(sideArbitrary, sideArbitrary, (oursEdits, theirsEdits) => {
        const ours = sideText(oursEdits, 'ours');
        const theirs = sideText(theirsEdits, 'theirs');
        const result = merge(baseText, ours, theirs);
        if (result.kind !== 'merged') return;
        mergedSeen += 1;
        if (ours !== baseText && theirs !== baseText && ours !== theirs) bothChanged += 1;
        const lines = linesOf(decode(result.bytes));
        expect(new Set(lines).size).toBe(lines.length);
        for (const side of [ours, theirs, baseText].map(linesOf)) {
          const positions = lines.map((line) => side.indexOf(line)).filter((position) => position >= 0);
          expect(positions).toEqual([...positions].sort((a, b) => a - b));
        }
        const known = new Set([...linesOf(ours), ...linesOf(theirs)]);
        for (const line of lines) expect(known.has(line)).toBe(true);
        const base = new Set(linesOf(baseText));
        for (const line of linesOf(ours)) {
          // A line of ours is gone only if it is of the base and theirs deleted it.
          if (!lines.includes(line)) expect(base.has(line) && !linesOf(theirs).includes(line)).toBe(true);
        }
      }),
      { seed: 20261121, numRuns: 2_000 },
    );
    expect(mergedSeen).toBeGreaterThan(150);
    expect(bothChanged).toBeGreaterThan(50);
  });

  it('agrees with node-diff3 on small texts of distinct lines', () => {
    let conflicts = 0;
    let merges = 0;
    fc.assert(
      fc.property(sideArbitrary, sideArbitrary, (oursEdits, theirsEdits) => {
        const ours = sideText(oursEdits, 'ours');
        const theirs = sideText(theirsEdits, 'theirs');
        const oracle = diff3Merge(linesOf(ours), linesOf(baseText), linesOf(theirs), { excludeFalseConflicts: true });
        const oracleConflicts = oracle.some((region) => region.conflict !== undefined);
        const result = merge(baseText, ours, theirs);
        if (oracleConflicts) {
          conflicts += 1;
          expect(result.kind).not.toBe('merged');
        } else if (result.kind === 'merged') {
          merges += 1;
          expect(decode(result.bytes)).toBe(oracle.flatMap((region) => region.ok ?? []).join(''));
        }
      }),
      { seed: 20261121, numRuns: 1_500 },
    );
    expect(conflicts).toBeGreaterThan(100);
    expect(merges).toBeGreaterThan(100);
  });

  it('every merged line of a dull text, line ends aside, is a line of a side', () => {
    let mergedSeen = 0;
    fc.assert(
      fc.property(dullText, dullText, dullText, (base, ours, theirs) => {
        const result = merge(base, ours, theirs);
        if (result.kind !== 'merged') return;
        mergedSeen += 1;
        const bare = (text: string) => linesOf(text).map((line) => line.replace(/\r?\n$/, ''));
        const known = new Set([...bare(ours), ...bare(theirs)]);
        const lines = bare(decode(result.bytes));
        for (const line of lines) expect(known.has(line)).toBe(true);
        expect(lines.length).toBeLessThanOrEqual(bare(ours).length + bare(theirs).length);
      }),
      { seed: 20261121, numRuns: 1_500 },
    );
    expect(mergedSeen).toBeGreaterThan(50);
  });
});
