/** Names and numbers of conflict copies (N8, C19, C21): the same bytes make one copy, whoever makes it, whatever is killed. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(() => world.close());

const copiesOf = (one: Person): string[] => Object.keys(one.user.tree()).filter((path) => path.includes('.conflict-'));

/** Three peers that hold one file, of whom b and c are away while all three edit it, b and c alike. */
async function threeApart(): Promise<readonly [Person, Person, Person]> {
  const people = [world.person('a'), world.person('b'), world.person('c')] as const;
  const [a, b, c] = people;
  a.user.write('todo.md', 'one\n');
  for (const one of people) {
    one.start();
    await world.quiet();
  }
  await b.stop();
  await c.stop();
  a.user.write('todo.md', 'by a\n');
  await world.quiet();
  for (const one of [b, c]) one.user.write('todo.md', 'the same twice\n');
  return people;
}

test('two peers that lost with the same bytes leave one copy', async () => {
  const people = await threeApart();
  people[1].start();
  people[2].start();
  await world.quiet();
  for (const one of people) {
    expect(Object.values(one.user.tree()).sort()).toEqual(['by a\n', 'the same twice\n']);
    expect(copiesOf(one)).toEqual(copiesOf(people[0]));
  }
});

test('the same, with the second of them ended at every moment', async () => {
  let died = 0;
  for (let n = 1; ; n += 1) {
    await world.close();
    world = createSmallWorld();
    const people = await threeApart();
    const [, b, c] = people;
    c.killBefore(n, 'kill');
    b.start();
    c.start();
    await world.quiet();
    if (!c.isDead) break;
    died += 1;
    c.start();
    await world.quiet();
    for (const one of people)
      expect(Object.values(one.user.tree()).sort(), `change ${n}`).toEqual(['by a\n', 'the same twice\n']);
  }
  expect(died).toBeGreaterThan(10);
});

test('the same, with the first of them ended at every moment, and the other one there before it is back', async () => {
  let died = 0;
  for (let n = 1; ; n += 1) {
    await world.close();
    world = createSmallWorld();
    const people = await threeApart();
    const [, b, c] = people;
    c.killBefore(n, 'kill');
    c.start();
    await world.quiet();
    if (!c.isDead) break;
    died += 1;
    b.start();
    await world.quiet();
    c.start();
    await world.quiet();
    for (const one of people)
      expect(Object.values(one.user.tree()).sort(), `change ${n}: ${c.trace.at(-1)}`).toEqual([
        'by a\n',
        'the same twice\n',
      ]);
  }
  expect(died).toBeGreaterThan(10);
});

test('a conflict on a conflict copy makes a copy of the file, with one mark', async () => {
  const [a, b] = [world.person('a'), world.person('b')];
  a.user.write('todo.md', 'one\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  for (let round = 0; round < 3; round += 1) {
    await b.stop();
    for (const path of Object.keys(a.user.tree())) a.user.write(path, `a${round} ${path}\n`);
    await world.quiet();
    for (const path of Object.keys(b.user.tree())) b.user.write(path, `b${round} ${path}\n`);
    b.start();
    await world.quiet();
  }
  expect(copiesOf(a)).toHaveLength(7);
  for (const path of copiesOf(a)) expect(path).toMatch(/^todo\.conflict-b-\d{8}-\d{6}-[0-9a-f]{6}(-\d)?\.md$/);
  expect(b.user.tree()).toEqual(a.user.tree());
});

test.each(['mine', 'theirs', 'both'] as const)(
  'a file made private while its conflict is open stays so: %s',
  async (keep) => {
    const [a, b] = [world.person('a', { policy: 'ask' }), world.person('b', { policy: 'ask' })];
    a.user.write('key', 'one\n');
    a.start();
    await world.quiet();
    b.start();
    await world.quiet();
    await b.stop();
    a.user.write('key', 'by a\n');
    await world.quiet();
    b.user.write('key', 'by b\n');
    b.start();
    await world.until('the conflict', () => b.state()?.state === 'conflict');
    await world.quiet();
    a.user.setMode('key', 0o600);
    await world.quiet();
    await world.until('private there', () => b.user.mode('key') === 0o600);
    const answered = b.peer.resolve('key', keep);
    await world.quiet();
    await answered;
    await world.quiet();
    for (const one of [a, b]) {
      expect(one.user.read('key')).toBe(keep === 'mine' ? 'by b\n' : 'by a\n');
      for (const path of Object.keys(one.user.tree())) expect(one.user.mode(path), path).toBe(0o600);
      expect(copiesOf(one)).toHaveLength(keep === 'both' ? 1 : 0);
    }
  },
);
