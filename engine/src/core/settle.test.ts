import { describe, expect, it } from 'vitest';
import { createSettle, pathsMax, type Settle } from './settle.ts';
import { rel } from './test-support/entries.ts';

const a = rel('a');
const hint = (settle: Settle, nowMs: number, path = a, options: { deep?: boolean; urgent?: boolean } = {}) =>
  settle.hint({ path, deep: options.deep ?? false, urgent: options.urgent ?? false, nowMs });
const paths = (settle: Settle, nowMs: number) => settle.due(nowMs).map(({ path }) => path);

describe('settle (FAST2)', () => {
  it('looks after 3 ms of quiet', () => {
    const settle = createSettle();
    expect(settle.wakeAtMs()).toBeNull();
    hint(settle, 10);
    hint(settle, 12);
    expect(settle.wakeAtMs()).toBe(15);
    expect(paths(settle, 14.9)).toEqual([]);
    expect(settle.due(15)).toEqual([{ path: 'a', deep: false, mayWait: true }]);
    expect([settle.size(), settle.wakeAtMs()]).toEqual([0, null]);
  });

  it('an urgent hint is due at once, also right after a look', () => {
    const settle = createSettle();
    hint(settle, 10);
    hint(settle, 11, a, { urgent: true });
    expect(settle.due(11)).toEqual([{ path: 'a', deep: false, mayWait: false }]);
    hint(settle, 20, a, { urgent: true });
    expect(paths(settle, 20)).toEqual(['a']);
  });

  it('paths settle for themselves, and come in path order', () => {
    const settle = createSettle();
    hint(settle, 0, rel('b'));
    hint(settle, 0, rel('a/x'));
    hint(settle, 0, rel('a'), { deep: true });
    hint(settle, 2, rel('c'));
    expect(settle.due(3)).toEqual([
      { path: 'a', deep: true, mayWait: true },
      { path: 'a/x', deep: false, mayWait: true },
      { path: 'b', deep: false, mayWait: true },
    ]);
    expect(paths(settle, 5)).toEqual(['c']);
  });

  it('a path that never rests is looked at ten times a second', () => {
    const settle = createSettle();
    const looks: number[] = [];
    for (let nowMs = 0; nowMs <= 1_000; nowMs += 1) {
      hint(settle, nowMs);
      if (paths(settle, nowMs).length > 0) looks.push(nowMs);
    }
    expect(looks).toEqual([100, 201, 302, 403, 504, 605, 706, 807, 908]);
  });

  it('saves that follow each other are looked at ten times a second, the first at once, the last for sure', () => {
    const settle = createSettle();
    const looks: number[] = [];
    for (let nowMs = 0; nowMs <= 700; nowMs += 1) {
      if (nowMs < 500 && nowMs % 20 === 0) hint(settle, nowMs);
      if (paths(settle, nowMs).length > 0) looks.push(nowMs);
    }
    expect(looks).toEqual([3, 103, 203, 303, 403, 503]);
    expect(settle.size()).toBe(0);
  });

  it('empty or gone waits 100 ms from the first look', () => {
    const settle = createSettle();
    hint(settle, 0);
    const [first] = settle.due(3);
    if (first === undefined) throw new Error('not due');
    settle.waitForContent(first, 3);
    expect(settle.wakeAtMs()).toBe(103);
    expect(paths(settle, 102)).toEqual([]);
    expect(settle.due(103)).toEqual([{ path: 'a', deep: false, mayWait: false }]);
    expect(settle.size()).toBe(0);
  });

  it('content that comes meanwhile is looked at after its quiet', () => {
    const settle = createSettle();
    hint(settle, 0);
    for (const due of settle.due(3)) settle.waitForContent(due, 3);
    hint(settle, 8);
    expect(settle.wakeAtMs()).toBe(11);
    expect(settle.due(11)).toEqual([{ path: 'a', deep: false, mayWait: true }]);
  });

  it('still empty after further hints: the first deadline stands', () => {
    const settle = createSettle();
    hint(settle, 0);
    for (const due of settle.due(3)) settle.waitForContent(due, 3);
    hint(settle, 50);
    for (const due of settle.due(53)) settle.waitForContent(due, 53);
    expect(settle.wakeAtMs()).toBe(103);
    hint(settle, 102);
    expect(settle.due(103)).toEqual([{ path: 'a', deep: false, mayWait: false }]);
  });

  it('too many paths become one deep look at the root', () => {
    const settle = createSettle();
    for (let index = 0; index <= pathsMax; index += 1) hint(settle, 0, rel(`p${index}`));
    expect(settle.size()).toBe(1);
    expect(settle.due(3)).toEqual([{ path: '', deep: true, mayWait: true }]);
  });
});
