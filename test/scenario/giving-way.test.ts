/** One slow thing does not hold up the others: commands and small saves go ahead of what takes long. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

async function pair(): Promise<readonly [Person, Person]> {
  const a = world.person('a');
  const b = world.person('b');
  a.user.write('k.txt', '0\n');
  a.user.write('d/other.txt', '0\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  return [a, b];
}
const equal = (a: Person, b: Person): void => expect(b.user.tree()).toEqual(a.user.tree());

describe('a command does not wait for a relay that does not answer', () => {
  test('pause, while a record is under way', async () => {
    const [a, b] = await pair();
    world.relay.isSilent = true;
    a.user.write('k.txt', '1\n');
    await world.clock.advance(200);
    let answered = false;
    void a.peer.pause().then(() => {
      answered = true;
    });
    await world.until('the answer', () => answered, 1_000);
    expect(a.state()?.state).toBe('paused');
    // What was under way may have arrived; what was not is not sent.
    a.user.write('d/other.txt', '1\n');
    world.relay.isSilent = false;
    await world.clock.advance(5_000);
    expect(b.user.read('d/other.txt')).toBe('0\n');
    void a.peer.resume();
    await world.quiet();
    equal(a, b);
    expect(Object.keys(a.user.tree()).filter((path) => path.includes('conflict'))).toEqual([]);
  });

  test('any number of them, while contents are fetched', async () => {
    const [a, b] = await pair();
    await b.stop();
    for (let index = 0; index < 30; index += 1) a.user.write(`d/f${index}.txt`, `${index}\n`.repeat(5_000));
    await world.quiet();
    b.start();
    await world.until('online', () => b.state()?.state === 'syncing');
    world.relay.isSilent = true;
    for (let round = 0; round < 3; round += 1) {
      let answered = 0;
      for (const command of [b.peer.pause, b.peer.resume])
        void command().then(() => {
          answered += 1;
        });
      await world.until('the answers', () => answered === 2, 1_500);
    }
    world.relay.isSilent = false;
    await world.quiet();
    equal(a, b);
  });
});

test('a save goes ahead of a large batch that was found before it', async () => {
  const [a, b] = await pair();
  world.relay.goesAway();
  for (let index = 0; index < 600; index += 1) a.user.write(`a/f${index}.txt`, `${index}\n`);
  await world.until('all is seen', () => a.store.counts().files >= 600);
  a.user.write('k.txt', 'saved\n');
  a.user.write('d/new.txt', 'new\n');
  await world.clock.advance(1_000);
  const before = a.events.length;
  world.relay.returns();
  await world.quiet();
  const sent = a.events.slice(before).flatMap((event) => (event.event === 'sent' ? [event.path] : []));
  expect(sent.slice(0, 2).sort()).toEqual(['d/new.txt', 'k.txt']);
  expect(sent.length).toBeGreaterThanOrEqual(602);
  equal(a, b);
});

describe('a large file is read beside the saves', () => {
  const large = (text: string): string => text.repeat(17 * 1024 * 1024);
  /** Reads of the path wait until the returned function is called. */
  function holdReads(person: Person, held: string): () => void {
    let release: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const open = person.folder.openFile;
    person.folder.openFile = async (path) => {
      if (path === held) await gate;
      return open(path);
    };
    return release;
  }
  const sent = (person: Person, from: number): readonly string[] =>
    person.events.slice(from).flatMap((event) => (event.event === 'sent' ? [event.path] : []));

  test('a save does not wait for it, and nothing is called in sync before it is sent', async () => {
    const [a, b] = await pair();
    const release = holdReads(a, 'large.bin');
    a.user.write('large.bin', large('x'));
    await world.clock.advance(1_000);
    a.user.write('k.txt', 'saved\n');
    await world.until('the save', () => b.user.read('k.txt') === 'saved\n', 2_000);
    await world.clock.advance(1_000);
    const state = a.state();
    release();
    expect(state).toMatchObject({ state: 'syncing', pending: 1 });
    await world.quiet();
    equal(a, b);
  });

  test('one that was renamed travels as a move: nobody lacks it meanwhile', async () => {
    const [a, b] = await pair();
    a.user.write('large.bin', large('x'));
    await world.quiet();
    const release = holdReads(a, 'renamed.bin');
    const before = b.events.length;
    a.user.rename('large.bin', 'renamed.bin');
    await world.clock.advance(15_000);
    a.user.write('k.txt', 'saved\n');
    await world.until('the save', () => b.user.read('k.txt') === 'saved\n', 2_000);
    expect(Object.keys(b.user.tree())).toContain('large.bin');
    release();
    await world.quiet();
    equal(a, b);
    const applied = b.events.slice(before).flatMap((event) => (event.event === 'applied' ? [event.path] : []));
    expect(applied).toEqual(['k.txt', 'large.bin', 'renamed.bin']);
  });

  test('one that goes on being written to does not hold up saves, and its end arrives', async () => {
    const [a, b] = await pair();
    let lines = 0;
    a.user.write('large.log', large('x'));
    a.folder.before = ({ operation, path }) => {
      if (operation !== 'read' || path !== 'large.log' || lines >= 5) return;
      lines += 1;
      a.user.write('large.log', `${large('x')}${lines}`);
    };
    const before = a.events.length;
    await world.clock.advance(300);
    a.user.write('k.txt', 'saved\n');
    await world.until('the save', () => b.user.read('k.txt') === 'saved\n', 2_000);
    expect(sent(a, before)).toEqual(['k.txt']);
    await world.quiet();
    equal(a, b);
  });

  test('a pause ends the reading, and what was not read is found after it', async () => {
    const [a, b] = await pair();
    const release = holdReads(a, 'large.bin');
    a.user.write('large.bin', large('x'));
    await world.clock.advance(1_000);
    void a.peer.pause();
    await world.until('paused', () => a.state()?.state === 'paused');
    release();
    await world.clock.advance(5_000);
    expect(Object.keys(b.user.tree())).not.toContain('large.bin');
    void a.peer.resume();
    await world.quiet();
    equal(a, b);
  });
});
