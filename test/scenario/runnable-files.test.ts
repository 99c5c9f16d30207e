/** A join names the files of the room that run code where they lie, before it brings them and when they are here; a share does not. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createWorld, type Person, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(() => world.close());

const told = (person: Person) =>
  person.events.flatMap((event) =>
    event.event === 'runnable'
      ? [`${event.when} ${event.files.map(({ path }) => path).join(' ')}`]
      : event.event === 'applied'
        ? [`applied ${event.path}`]
        : [],
  );

test('the first peer of a room is told nothing, the second what it gets, before and after', async () => {
  const files = { '.vscode/tasks.json': '{}', 'sub/.envrc': 'true', 'main.ts': '1', '.husky/pre-commit': 'true' };
  const a = await world.share('a', { files });
  const b = await world.join('b', a.invite);
  await world.settled(a, b);
  expect(told(a)).toEqual([]);
  const names = '.husky/pre-commit .vscode/tasks.json sub/.envrc';
  const [first, ...rest] = told(b);
  expect(first).toBe(`joining ${names}`);
  expect(rest.filter((line) => line.startsWith('joined'))).toEqual([`joined ${names}`]);
  expect(rest.at(-1)).toBe(`joined ${names}`);
});

test('a room without any says nothing', async () => {
  const a = await world.share('a', { files: { 'main.ts': '1', '.vscode/extensions.json': '{}' } });
  const b = await world.join('b', a.invite);
  await world.settled(a, b);
  expect(told(b).filter((line) => line.startsWith('join'))).toEqual([]);
});
