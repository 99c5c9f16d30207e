import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createSchedule, type Schedule, type Situation, terms, type Work, works } from './schedule.ts';

const never = Number.POSITIVE_INFINITY;
const situationOf = (given: Partial<Situation> = {}): Situation => ({
  halt: 'none',
  paused: false,
  online: true,
  pathsAtMs: never,
  roomWaits: false,
  ...given,
});
const everySituation: readonly Situation[] = (['none', 'emptied', 'halted'] as const).flatMap((halt) =>
  [false, true].flatMap((paused) =>
    [false, true].flatMap((online) =>
      [never, 0].flatMap((pathsAtMs) =>
        [false, true].map((roomWaits) => ({ halt, paused, online, pathsAtMs, roomWaits })),
      ),
    ),
  ),
);

/** Fails when a work begins sooner than its floor after it was begun, twice in a row. */
function createFloorJudge(): (begun: ReadonlySet<Work>, nowMs: number) => void {
  const lastMs = new Map<Work, number>();
  const shortInARow = new Map<Work, number>();
  return (begun, nowMs) => {
    for (const work of begun) {
      const isShort = nowMs - (lastMs.get(work) ?? Number.NEGATIVE_INFINITY) < terms[work].floorMs;
      const short = isShort ? (shortInARow.get(work) ?? 0) + 1 : 0;
      expect(short, `${work} began again too soon, twice in a row, at ${nowMs} ms`).toBeLessThan(2);
      shortInARow.set(work, short);
      lastMs.set(work, nowMs);
    }
  };
}

/** What the loop does, but that no work ever leads to anything and all of it wants to go on. Gives the times of its turns. */
function turnForNothing(schedule: Schedule, situation: Situation, untilMs: number): readonly number[] {
  const judge = createFloorJudge();
  const turns: number[] = [];
  for (let nowMs = 0; nowMs < untilMs; nowMs += schedule.nextDelayMs(nowMs, situation)) {
    turns.push(nowMs);
    expect(turns.length).toBeLessThan(10_000);
    judge(schedule.begin(nowMs, situation), nowMs);
    for (const work of works) schedule.again(work, nowMs);
    schedule.ended(nowMs, situation, { fruitless: true });
  }
  return turns;
}

describe('no state makes a hot loop', () => {
  for (const situation of everySituation)
    for (const backsOff of [false, true])
      test(`${JSON.stringify(situation)}${backsOff ? ', backing off' : ''}`, () => {
        const schedule = createSchedule();
        for (const work of works) schedule.input(work, 0);
        if (backsOff) schedule.failed(0, 30_000);
        const turns = turnForNothing(schedule, situation, 120_000);
        // In the end each work runs once in two seconds at most.
        const inLastMinute = turns.filter((atMs) => atMs >= 60_000).length;
        expect(inLastMinute).toBeLessThanOrEqual(works.length * 31);
      });

  test('any course of requests, situations and failures: no work runs for nothing below its floor, twice in a row', () => {
    const step = fc.record({
      situation: fc.constantFrom(...everySituation),
      asks: fc.array(fc.tuple(fc.constantFrom(...works), fc.constantFrom('again', 'after', 'check'), fc.nat(50)), {
        maxLength: 4,
      }),
      failedMs: fc.option(fc.constantFrom(0, 400, 30_000)),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 3, maxLength: 60 }), (steps) => {
        const schedule = createSchedule();
        const judge = createFloorJudge();
        for (const work of works) schedule.input(work, 0);
        let nowMs = 0;
        for (const { situation, asks, failedMs } of steps) {
          nowMs += schedule.nextDelayMs(nowMs, situation);
          judge(schedule.begin(nowMs, situation), nowMs);
          for (const [work, how, delayMs] of asks)
            if (how === 'again') schedule.again(work, nowMs);
            else schedule[how](work, delayMs, nowMs);
          if (failedMs === null) schedule.ended(nowMs, situation, { fruitless: true });
          else schedule.failed(nowMs, failedMs);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('what may run', () => {
  const dueIn = (situation: Partial<Situation>, backsOff = false): readonly Work[] => {
    const schedule = createSchedule();
    if (backsOff) schedule.failed(0, 1_000);
    for (const work of works) schedule.input(work, 0);
    return [...schedule.due(0, situationOf({ pathsAtMs: 0, roomWaits: true, ...situation }))];
  };
  const table: readonly (readonly [string, readonly Work[], readonly Work[]])[] = [
    ['nothing hinders', dueIn({}), works],
    ['offline', dueIn({ online: false }), ['root', 'paths', 'all', 'trash', 'tell']],
    ['paused', dueIn({ paused: true }), ['root', 'trash', 'presence', 'tell']],
    ['halted', dueIn({ halt: 'halted' }), ['root', 'presence', 'tell']],
    ['the root is empty', dueIn({ halt: 'emptied' }), ['root', 'paths', 'all', 'presence', 'tell']],
    ['backing off', dueIn({}, true), ['presence', 'tell']],
    ['backing off, offline', dueIn({ online: false }, true), ['tell']],
  ];
  for (const [name, due, expected] of table) test(name, () => expect(due).toEqual(expected));

  test('what waits for its turn is due as soon as it may run', () => {
    const schedule = createSchedule();
    schedule.input('all', 0);
    schedule.input('plan', 0);
    const paused = situationOf({ paused: true });
    expect(schedule.nextDelayMs(1_000, paused)).toBeGreaterThan(1_000);
    expect(schedule.nextDelayMs(1_000, situationOf())).toBe(0);
    expect([...schedule.due(1_000, situationOf())]).toEqual(['all', 'plan']);
  });

  test('a check waits for a turn that is made for something else, and is done once', () => {
    const schedule = createSchedule();
    schedule.check('plan', 2_000, 0);
    expect(schedule.nextDelayMs(2_500, situationOf())).toBeGreaterThan(10_000);
    expect(schedule.due(1_999, situationOf()).size).toBe(0);
    schedule.input('root', 2_500);
    expect([...schedule.begin(2_500, situationOf())]).toEqual(['root', 'plan']);
    schedule.ended(2_500, situationOf(), { fruitless: true });
    expect(schedule.due(60_000, situationOf()).size).toBe(0);
  });

  test('a failed turn is tried again when its back-off is over, and not before, whatever comes meanwhile', () => {
    const schedule = createSchedule();
    schedule.input('all', 0);
    schedule.begin(0, situationOf());
    schedule.failed(0, 400);
    schedule.input('plan', 10);
    const situation = situationOf({ pathsAtMs: 10, roomWaits: true });
    expect(schedule.nextDelayMs(10, situation)).toBe(390);
    expect(schedule.due(399, situation).size).toBe(0);
    expect([...schedule.due(400, situation)]).toEqual(['paths', 'all', 'plan']);
  });

  test('work that ran for nothing before it failed is tried again when the back-off is over, too', () => {
    const schedule = createSchedule();
    const lastMs = turnForNothing(schedule, situationOf({ roomWaits: true }), 60_000).at(-1) ?? 0;
    const situation = situationOf({ roomWaits: true });
    const failsMs = lastMs + schedule.nextDelayMs(lastMs, situation);
    schedule.input('plan', failsMs);
    expect(schedule.begin(failsMs, situation).has('plan')).toBe(true);
    schedule.failed(failsMs, 400);
    expect(schedule.due(failsMs + 399, situation).has('plan')).toBe(false);
    expect(schedule.due(failsMs + 400, situation).has('plan')).toBe(true);
  });

  test('a failure is over when what failed has been done, and not by a turn that could not do it', () => {
    const schedule = createSchedule();
    expect(schedule.owes()).toBe(false);
    schedule.input('plan', 0);
    schedule.begin(0, situationOf());
    schedule.failed(0, 400);
    expect(schedule.owes()).toBe(true);
    const offline = situationOf({ online: false });
    schedule.input('root', 500);
    schedule.begin(500, offline);
    schedule.ended(500, offline, { fruitless: true });
    expect(schedule.owes()).toBe(true);
    schedule.begin(600, situationOf());
    schedule.ended(600, situationOf(), { fruitless: true });
    expect(schedule.owes()).toBe(false);
  });

  test('work that a pause cut short is due again after it', () => {
    const schedule = createSchedule();
    schedule.input('all', 0);
    schedule.begin(0, situationOf());
    schedule.ended(5, situationOf({ paused: true }), { fruitless: true });
    expect([...schedule.due(10, situationOf())]).toEqual(['all']);
  });
});

describe('what leads to something goes on at once', () => {
  test('the loop’s own wish after a fruitful run has no floor', () => {
    const schedule = createSchedule();
    schedule.again('plan', 0);
    for (let turn = 0; turn < 10; turn += 1) {
      expect(schedule.nextDelayMs(0, situationOf())).toBe(0);
      expect(schedule.begin(0, situationOf()).has('plan')).toBe(true);
      schedule.again('plan', 0);
      schedule.ended(0, situationOf(), { fruitless: false });
    }
  });

  test('input does not wait for the floor of what ran for nothing', () => {
    const schedule = createSchedule();
    const lastMs = turnForNothing(schedule, situationOf(), 60_000).at(-1) ?? 0;
    schedule.input('plan', lastMs);
    expect(schedule.nextDelayMs(lastMs, situationOf())).toBe(0);
  });

  test('looks for what no event told of do not slow down what follows them', () => {
    const schedule = createSchedule();
    for (let nowMs = 0; nowMs < 60_000; nowMs += 2_000) {
      schedule.after('plan', 2_000, nowMs);
      schedule.begin(nowMs + 2_000, situationOf());
      schedule.ended(nowMs + 2_000, situationOf(), { fruitless: true });
    }
    schedule.again('plan', 62_000);
    expect(schedule.nextDelayMs(62_000, situationOf())).toBe(0);
  });
});
