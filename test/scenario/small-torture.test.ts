/**
 * The torture in the small world: people work on two or three folders at random while peers are killed, lose power or rest, links
 * are cut and the relay is away or silent. Each seed is the same run every time, on any machine. Real processes, by the wall
 * clock and from fresh seeds, are left to `npm run chaos`.
 *
 * Demanded: at every moment only contents that somebody wrote; in the end everybody equal, what nobody replaced or removed still
 * there, nothing of ours left over, and another run that changes nothing. Of one who worked alone, every folder is as
 * theirs (invariants 1, 2, 5, 8, 10, 16).
 */
import { expect, test } from 'vitest';
import { type Chance, createChance } from '../chaos/random.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

const seeds = Array.from({ length: 8 }, (_, index) => 20_261_128 + index);
const episodes = 3;
const stepsPerEpisode = 30;

/** What a tree holds beside content: directories and links are made by people, and cost no bytes. */
const isContent = (path: string, text: string): boolean => !path.endsWith('/') && !text.startsWith('-> ');
const contentsOf = (person: Person): string[] =>
  Object.entries(person.user.tree())
    .filter(([path, text]) => isContent(path, text))
    .map(([, text]) => text);

interface Run {
  readonly chance: Chance;
  readonly world: SmallWorld;
  readonly people: readonly Person[];
  readonly written: Set<string>;
  /** What a user replaced or removed while it lay before them. */
  readonly replaced: Set<string>;
  readonly trace: string[];
}

const names = ['one.txt', 'two.txt', 'three', 'd/one.txt', 'd/two.txt', 'd/deep/three.txt', 'e/four.txt', 'e'] as const;

function act(run: Run, person: Person): void {
  const { chance, written, replaced, trace } = run;
  const { user } = person;
  const tree = user.tree();
  const holds = (path: string): 'file' | 'directory' | 'nothing' =>
    path in tree ? 'file' : `${path}/` in tree ? 'directory' : 'nothing';
  const isBelowFile = (path: string): boolean =>
    [...path.matchAll(/\//g)].some(({ index }) => holds(path.slice(0, index)) === 'file');
  const leaves = (path: string): void => {
    for (const [each, text] of Object.entries(tree))
      if ((each === path || each.startsWith(`${path}/`)) && isContent(each, text)) replaced.add(text);
  };
  const path = chance.pick(names);
  const note = (what: string): void => void trace.push(`${person.name} ${what}`);
  const write = (how: 'write' | 'replace'): void => {
    if (holds(path) === 'directory' || isBelowFile(path)) return;
    // In place a link would be followed.
    if (how === 'write' && tree[path]?.startsWith('-> ')) return;
    leaves(path);
    const text = `${person.name} ${written.size}\n`;
    written.add(text);
    user[how](path, text);
    note(`${how} ${path}`);
  };
  chance.weighted<() => void>([
    [6, () => write('write')],
    [6, () => write('replace')],
    [
      3,
      () => {
        if (holds(path) === 'nothing') return;
        leaves(path);
        user.remove(path);
        note(`remove ${path}`);
      },
    ],
    [
      4,
      () => {
        const from = chance.pickFrom(Object.keys(tree))?.replace(/\/$/, '');
        if (from === undefined || from === 'anchor' || from === path || path.startsWith(`${from}/`)) return;
        if (from.startsWith(`${path}/`) || isBelowFile(path)) return;
        if (holds(path) === 'directory' || (holds(path) === 'file' && holds(from) === 'directory')) return;
        leaves(path);
        user.rename(from, path);
        note(`rename ${from} ${path}`);
      },
    ],
    [
      1,
      () => {
        if (holds(path) !== 'nothing' || isBelowFile(path)) return;
        user.symlink(path, `to-${chance.integer(1, 3)}`);
        note(`symlink ${path}`);
      },
    ],
  ])();
}

function fault({ chance, world, people, trace }: Run): void {
  const { relay } = world;
  const person = chance.pick(people as [Person, ...Person[]]);
  const how = chance.pick(['kill', 'power-cut'] as const);
  const [name, carryOut] = chance.weighted<readonly [string, () => unknown]>([
    [4, [`${how} of ${person.name} later`, () => person.killBefore(chance.integer(1, 40), how)]],
    [2, [`${how} of ${person.name}`, () => person.kill(how)]],
    [6, ['start of all', () => people.filter((one) => one.isDead).map((one) => one.start())]],
    [3, ['cut', () => relay.cut()]],
    [2, ['away', () => relay.goesAway()]],
    [3, ['back', () => relay.returns()]],
    [2, ['silent', () => Object.assign(relay, { isSilent: true })]],
    [3, ['not silent', () => Object.assign(relay, { isSilent: false })]],
  ]);
  trace.push(name);
  carryOut();
}

async function untilAllRest({ world, people }: Run): Promise<void> {
  world.relay.isSilent = false;
  world.relay.returns();
  for (const one of people) {
    one.killBefore(Number.POSITIVE_INFINITY, 'kill');
    if (one.isDead) one.start();
  }
  await world.quiet();
}

async function judge(run: Run, alone: Person | null): Promise<void> {
  const { world, people, written, replaced } = run;
  const expected = alone?.user.tree();
  await untilAllRest(run);
  const tree = expected ?? people[0]?.user.tree() ?? {};
  for (const one of people) {
    expect(one.user.tree(), `folder of ${one.name}`).toEqual(tree);
    expect(await one.folder.stagedNames(), `staged by ${one.name}`).toEqual([]);
    expect(one.store.intents(), `intents of ${one.name}`).toEqual([]);
    expect(one.state(), one.name).toMatchObject({ state: 'idle', pending: 0, conflicts: 0 });
  }
  const held = new Set(Object.values(tree));
  expect([...written].filter((text) => !replaced.has(text) && !held.has(text))).toEqual([]);

  const heads = people.map((one) => one.store.head()?.id);
  for (const one of people) await one.stop();
  for (const one of people) one.start();
  await world.quiet();
  expect(people.map((one) => one.store.head()?.id)).toEqual(heads);
  for (const one of people) expect(one.user.tree()).toEqual(tree);
}

test.each(seeds)('seed %i: equal, nothing lost, nothing invented, quiet', async (seed) => {
  const chance = createChance(seed);
  const world = createSmallWorld();
  const people = ['a', 'b', 'c'].slice(0, chance.integer(2, 3)).map((name) => world.person(name));
  const run: Run = { chance, world, people, written: new Set(['anchor\n']), replaced: new Set(), trace: [] };
  try {
    people[0]?.user.write('anchor', 'anchor\n');
    await untilAllRest(run);
    for (let episode = 1; episode <= episodes; episode += 1) {
      run.trace.push(`── episode ${episode}`);
      const alone = chance.fraction() < 0.3 ? chance.pick(people as [Person, ...Person[]]) : null;
      for (let step = 0; step < stepsPerEpisode; step += 1) {
        if (chance.fraction() < 0.25) fault(run);
        act(run, alone ?? chance.pick(people as [Person, ...Person[]]));
        await world.clock.advance(chance.pick([0, 0, 5, 40, 300, 1_200]));
        for (const one of people)
          for (const text of contentsOf(one)) expect(run.written.has(text), `${text} at ${one.name}`).toBe(true);
      }
      await judge(run, alone);
    }
  } catch (error) {
    throw new Error(`${run.trace.join('\n')}\n${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  } finally {
    await world.close();
  }
});
