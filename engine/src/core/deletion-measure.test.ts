import { describe, expect, it } from 'vitest';
import { type Stay, worstMoment } from './deletion-measure.ts';
import { burstMs, deletedFilesMax } from './guards.ts';

const over = deletedFilesMax + 1;
const nothing = { lost: [], moved: [], here: [], old: 0, wentEarlier: 0 };
const stays = (count: number, sinceMs: number, toMs: number, atRestMs = Number.POSITIVE_INFINITY): Stay[] =>
  Array.from({ length: count }, () => ({ sinceMs, atRestMs, toMs }));
const [always, still] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];

describe('a folder is measured at one moment', () => {
  it('with what was always there', () =>
    expect(worstMoment({ ...nothing, lost: stays(over, always, 5), old: 10 })).toEqual({
      files: over,
      filesBefore: over + 10,
    }));
  it('and not by files that were never there together', () => {
    const ring = Array.from({ length: 1_000 }, (_, turn) => stays(1, turn * 1_000, (turn + 20) * 1_000)).flat();
    expect(worstMoment({ ...nothing, lost: ring, old: 100 })).toBeNull();
  });
  it('without what came in the ten seconds before', () => {
    const lost = stays(over, always, burstMs);
    expect(worstMoment({ ...nothing, lost, here: stays(over, 1, still) })).toEqual({ files: over, filesBefore: over });
    expect(worstMoment({ ...nothing, lost, here: stays(over, 0, still) })).toBeNull();
  });
  it('or with it, if it is that what went', () =>
    expect(worstMoment({ ...nothing, lost: stays(over, 90, 100), old: 5 })).toMatchObject({ files: over }));
  it('or as it was when nothing was left to do', () => {
    const lost = stays(over, 0, 1_000, 500);
    expect(worstMoment({ ...nothing, lost, here: stays(over, 600, still) })).toMatchObject({ files: over });
    expect(worstMoment({ ...nothing, lost, here: stays(over, 400, still, 500) })).toBeNull();
  });
  it('what was moved was there, and is no loss', () =>
    expect(worstMoment({ ...nothing, lost: stays(over, always, 5), moved: stays(over, always, 5) })).toBeNull());
});
