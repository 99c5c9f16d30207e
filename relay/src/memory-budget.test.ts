import { expect, test } from 'vitest';
import { createMemoryBudget } from './memory-budget.ts';

test('what is over the budget ends the largest holder of the client that holds most, and nobody else', () => {
  const budget = createMemoryBudget(1_000);
  const ended: string[] = [];
  const join = (client: string, name: string) => budget.join(client, () => ended.push(name));
  const honest = join('honest', 'honest');
  honest.hold(300);
  const hoard = Array.from({ length: 20 }, (_, n) => join('stranger', `stranger ${n}`));
  for (const [n, share] of hoard.entries()) share.hold(40 + (n === 7 ? 5 : 0));
  expect(ended[0]).toBe('stranger 7');
  expect(ended).not.toContain('honest');
  expect(budget.heldBytes).toBeLessThanOrEqual(1_000);
});

test('what is let go counts no more, once', () => {
  const budget = createMemoryBudget(100);
  const share = budget.join('a', () => {});
  share.hold(80);
  share.release(30);
  expect(budget.heldBytes).toBe(50);
  share.leave();
  share.leave();
  share.hold(70);
  share.release(10);
  expect(budget.heldBytes).toBe(0);
});

test('one that asks for more than there is ends itself', () => {
  const budget = createMemoryBudget(100);
  let isEnded = false;
  const share = budget.join('a', () => {
    isEnded = true;
  });
  share.hold(101);
  expect([isEnded, budget.heldBytes]).toEqual([true, 0]);
});
