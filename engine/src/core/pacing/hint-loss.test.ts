import { expect, test } from 'vitest';
import { hintLoss, queueEventsDefault } from './hint-loss.ts';

test.each<[string, number, number, number, boolean]>([
  ['a quiet turn', 0, 0, queueEventsDefault, false],
  ['a build', 5_000, 0, queueEventsDefault, false],
  ['a full queue', 16_384, 0, queueEventsDefault, true],
  ['a queue half full: events of ended watches are not counted', 8_192, 0, queueEventsDefault, true],
  ['a system with a short queue', 64, 0, 128, true],
  ['a system with a long one: not waited for', 8_192, 0, 1_000_000, true],
  ['a busy machine', 100, 2_500, queueEventsDefault, false],
  ['a stall, and then many events', 1_024, 2_500, queueEventsDefault, true],
  ['a stopped process', 0, 10_000, queueEventsDefault, true],
])('%s', (_name, events, lateMs, queueEventsMax, isLost) => {
  expect(hintLoss({ events, lateMs, queueEventsMax }) !== null).toBe(isLost);
});
