import { expect, test } from 'vitest';
import { createFairQueue } from './fair-queue.ts';

/** The key is the item's first letter. */
function queueOf(items: readonly string[]) {
  const queue = createFairQueue<string>();
  for (const item of items) queue.add(item.slice(0, 1), item);
  return queue;
}

test('keys take turns, whatever one of them has waiting; its own items stay in order', () => {
  const queue = queueOf(['a1', 'a2', 'a3', 'a4', 'b1', 'c1', 'b2']);
  const taken: string[] = [];
  for (let next = queue.next(); next !== undefined; next = queue.next()) {
    taken.push(next.item);
    queue.finish(next.key);
  }
  expect(taken).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'a4']);
  expect(queue.size).toBe(0);
});

test('what needs more than one turn stays before the others of its key, and behind all other keys', () => {
  const queue = queueOf(['a1', 'a2', 'b1', 'c1']);
  const turns = Array.from({ length: 5 }, () => queue.next()?.item);
  expect(turns).toEqual(['a1', 'b1', 'c1', 'a1', 'b1']);
  expect(queue.size).toBe(4);
  queue.finish('a');
  expect(Array.from({ length: 2 }, () => queue.next()?.item)).toEqual(['c1', 'a2']);
});
