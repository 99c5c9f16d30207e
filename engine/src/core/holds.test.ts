import { describe, expect, it } from 'vitest';
import { type HoldDraft, type HoldSource, holdInfo, holdOf, pickHold } from './holds.ts';
import { sha256 } from './test-support/entries.ts';

const draft = (subjects: readonly string[], more: Partial<HoldDraft> = {}): HoldDraft => ({
  code: 'mass-deletion-held',
  reason: 'because',
  next: 'do this',
  subjects,
  ...more,
});
const held = (source: HoldSource, ...subjects: string[]) => holdOf(source, draft(subjects), sha256);

describe('the id of a hold', () => {
  const { id } = held('deletions-outgoing', 'a', 'b');
  it('is short, and the same for the same set in any order', () => {
    expect(id).toMatch(/^[0-9a-f]{8}$/);
    expect(held('deletions-outgoing', 'b', 'a', 'b').id).toBe(id);
  });
  it('is another one for more, for less, and for another guard', () => {
    expect(held('deletions-outgoing', 'a', 'b', 'c').id).not.toBe(id);
    expect(held('deletions-outgoing', 'a').id).not.toBe(id);
    expect(held('deletions-incoming', 'a', 'b').id).not.toBe(id);
  });
  it('does not follow from words for people', () =>
    expect(holdOf('deletions-outgoing', draft(['a', 'b'], { reason: 'other words' }), sha256).id).toBe(id));
});

describe('what is shown of a hold', () => {
  it('counts all of its paths and lists the first thousand', () => {
    const many = held('deletions-incoming', ...Array.from({ length: 1_500 }, (_, index) => `f${index}`));
    const info = holdInfo(many);
    expect(info).toMatchObject({ kind: 'deletions', direction: 'incoming', count: 1_500, author: null });
    expect(info.paths).toHaveLength(1_000);
  });
  it('says how much of it no answer brings back', () =>
    expect(holdInfo(holdOf('deletions-outgoing', draft(['a'], { wentForGood: 12 }), sha256)).reason).toBe(
      'because; 12 more are deleted on every machine already, and stay so',
    ));
  it('names paths where what it covers is none', () =>
    expect(holdInfo(holdOf('root', draft(['root 1:2'], { paths: [] }), sha256))).toMatchObject({
      count: 0,
      paths: [],
    }));
});

describe('which hold somebody means', () => {
  const out = held('deletions-outgoing', 'a');
  const incoming = held('deletions-incoming', 'b');
  const disk = held('disk', 'c');
  it.each([
    ['the only one', [out], {}, out],
    ['one of several by its id', [out, incoming, disk], { id: disk.id }, disk],
    ['in capitals too', [out, disk], { id: disk.id.toUpperCase() }, disk],
    ['the only one of its kind', [out, incoming, disk], { kind: 'disk' }, disk],
  ] as const)('%s', (_name, holds, choice, expected) => {
    expect(pickHold(holds, choice)).toEqual({ kind: 'one', held: expected });
  });
  it.each([
    ['nothing is held', [], {}, []],
    ['several are', [out, disk], {}, [out, disk]],
    ['several of the kind are', [out, incoming, disk], { kind: 'deletions' }, [out, incoming]],
    ['the id is an older one', [out], { id: '00000000' }, [out]],
    ['the id is of another kind', [out, disk], { id: out.id, kind: 'disk' }, [out, disk]],
  ] as const)('none when %s', (_name, holds, choice, shown) => {
    expect(pickHold(holds, choice)).toMatchObject({ kind: 'refused', holds: shown });
  });
});
