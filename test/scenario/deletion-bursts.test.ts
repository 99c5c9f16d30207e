/**
 * Who deletes much at once is asked once, on each machine, about all of it: however long it takes, whoever is away or killed
 * meanwhile (D6, LOG6). And what is held stays held until somebody lets it go or brings it back.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

const pathOf = (index: number): string => `d${index % 5}/f${index}.txt`;
const filesOf = (person: Person): number =>
  Object.keys(person.user.tree()).filter((path) => path.endsWith('.txt')).length;
const remove = (person: Person, from: number, to: number): void => {
  for (let index = from; index < to; index += 1) person.user.remove(pathOf(index));
};
const isHeldAt = (person: Person): boolean =>
  person.state()?.code === 'mass-deletion-held' || person.state()?.code === 'mass-deletion-incoming';
/** How often a hold began to be shown. */
function timesAsked(person: Person): number {
  let times = 0;
  let wasHeld = false;
  for (const event of person.events) {
    if (event.event !== 'state') continue;
    const isHeld = event.code === 'mass-deletion-held' || event.code === 'mass-deletion-incoming';
    if (isHeld && !wasHeld) times += 1;
    wasHeld = isHeld;
  }
  return times;
}

async function share(count: number): Promise<Person> {
  const a = world.person('a');
  for (let index = 0; index < count; index += 1) a.user.write(pathOf(index), `text ${index}\n`);
  a.start();
  await world.quiet();
  return a;
}
async function join(name: string, options: Parameters<SmallWorld['person']>[1] = {}): Promise<Person> {
  const person = world.person(name, options);
  person.start();
  await world.quiet();
  return person;
}
async function confirm(person: Person, count: number): Promise<void> {
  await world.until('asked', () => isHeldAt(person));
  expect(await person.peer.holds()).toMatchObject([{ kind: 'deletions', count }]);
  void person.peer.confirm();
}

test('one burst is one record, and asked about once on each machine', async () => {
  const a = await share(700);
  const b = await join('b');
  const { height } = a.store.head() ?? { height: 0 };
  remove(a, 0, 600);
  await confirm(a, 600);
  await confirm(b, 600);
  await world.quiet();
  expect(a.store.head()?.height).toBe(height + 1);
  expect([filesOf(a), filesOf(b)]).toEqual([100, 100]);
  expect([timesAsked(a), timesAsked(b)]).toEqual([1, 1]);
});

// Whether or not so many come at once that they wait for each other before anything is held.
for (const [waves, files, everyMs] of [
  [25, 30, 800],
  [50, 10, 900],
] as const)
  test(`a deletion that goes on and on is asked about when it is over (${files} files every ${everyMs} ms)`, async () => {
    const a = await share(800);
    const b = await join('b');
    for (let wave = 0; wave < waves; wave += 1) {
      remove(a, wave * files, (wave + 1) * files);
      await world.clock.advance(everyMs);
      if (wave < waves - 1) expect(isHeldAt(a)).toBe(false);
    }
    await world.until('asked', () => isHeldAt(a));
    const [hold] = await a.peer.holds();
    // What went before it was a mass deletion went as any other.
    expect(hold?.count).toBe(filesOf(b) - filesOf(a));
    void a.peer.confirm();
    await world.until('asked there, or done', () => isHeldAt(b) || filesOf(b) === filesOf(a));
    if (isHeldAt(b)) void b.peer.confirm();
    await world.quiet();
    expect(b.user.tree()).toEqual(a.user.tree());
    expect(timesAsked(a)).toBe(1);
    expect(timesAsked(b)).toBeLessThanOrEqual(1);
  });

test('a program that never stops deleting is shown after a while as far as it got', async () => {
  const a = await share(300);
  remove(a, 0, 201);
  for (let index = 201; index < 270; index += 1) {
    await world.clock.advance(900);
    remove(a, index, index + 1);
  }
  expect(isHeldAt(a)).toBe(true);
});

for (const how of ['a minute passes', 'it is killed', 'it is stopped in peace'] as const) {
  const pass = async (person: Person): Promise<void> => {
    if (how === 'it is killed') person.kill();
    if (how === 'it is stopped in peace') await person.stop();
    if (person.isDead) person.start();
    await world.clock.advance(60_000);
  };

  test(`what is left of a burst is held on, where it was made, when ${how}`, async () => {
    const a = await share(300);
    const b = await join('b', { allowMassDelete: true });
    remove(a, 0, 150);
    await world.until('a few', () => filesOf(b) === 150);
    remove(a, 150, 250);
    await world.until('held', () => isHeldAt(a));
    await pass(a);
    expect(isHeldAt(a)).toBe(true);
    expect(filesOf(b)).toBe(150);
    expect(await a.peer.holds()).toMatchObject([{ count: 100 }]);
    void a.peer.confirm();
    await world.quiet();
    expect([filesOf(a), filesOf(b)]).toEqual([50, 50]);
  });

  test(`what is left of a burst is held on, where it arrived, when ${how}`, async () => {
    const a = world.person('a', { allowMassDelete: true });
    for (let index = 0; index < 300; index += 1) a.user.write(pathOf(index), `text ${index}\n`);
    a.start();
    await world.quiet();
    const b = await join('b');
    remove(a, 0, 150);
    await world.until('a few', () => filesOf(b) === 150);
    remove(a, 150, 250);
    await world.until('held', () => isHeldAt(b));
    await pass(b);
    expect(isHeldAt(b)).toBe(true);
    expect(filesOf(b)).toBe(150);
    expect(await b.peer.holds()).toMatchObject([{ count: 100 }]);
    void b.peer.confirm();
    await world.quiet();
    expect([filesOf(a), filesOf(b)]).toEqual([50, 50]);
  });
}

test('killed while it goes on: what is gone by then is held by the next run', async () => {
  const a = await share(500);
  const b = await join('b', { allowMassDelete: true });
  remove(a, 0, 150);
  await world.until('a few', () => filesOf(b) === 350);
  remove(a, 150, 260);
  await world.until('seen', () => a.store.counts().files === 240);
  await world.clock.advance(500);
  expect(isHeldAt(a)).toBe(false);
  a.kill();
  a.start();
  await world.until('held', () => isHeldAt(a));
  await world.clock.advance(30_000);
  expect(filesOf(b)).toBe(350);
});

test('what was held and came back while nothing ran is held no more', async () => {
  const a = await share(300);
  const b = await join('b');
  remove(a, 0, 250);
  await world.until('held', () => isHeldAt(a));
  a.kill();
  for (let index = 0; index < 250; index += 1) a.user.write(pathOf(index), `text ${index}\n`);
  a.start();
  await world.quiet();
  expect(await a.peer.holds()).toEqual([]);
  expect(filesOf(b)).toBe(300);
});

const newcomers = (person: Person, name: string): void => {
  for (let index = 0; index < 400; index += 1) person.user.write(`${name}/n${index}.new`, `${name} ${index}\n`);
};

// With 400 newcomers that everybody has by then, 250 files are less than half.
for (const whom of ['sender', 'receiver'] as const)
  for (const when of ['in the same burst', 'a minute later', 'while it is away'] as const)
    test(`what is held at the ${whom} stays held when newcomers come ${when} and it is stopped and killed`, async () => {
      const a = world.person('a', { allowMassDelete: whom === 'receiver' });
      for (let index = 0; index < 300; index += 1) a.user.write(pathOf(index), `text ${index}\n`);
      a.start();
      await world.quiet();
      const b = await join('b');
      const holder = whom === 'sender' ? a : b;
      if (when === 'in the same burst') newcomers(a, 'vendor');
      remove(a, 0, 250);
      await world.until('held', () => isHeldAt(holder));
      if (when === 'a minute later') {
        await world.clock.advance(60_000);
        newcomers(a, 'vendor');
      }
      await world.clock.advance(30_000);
      const [before] = await holder.peer.holds();
      for (const ending of ['stopped', 'killed']) {
        if (ending === 'stopped') await holder.stop();
        else holder.kill();
        if (when === 'while it is away') newcomers(holder, ending);
        holder.start();
        await world.clock.advance(60_000);
        expect(isHeldAt(holder)).toBe(true);
        expect(await holder.peer.holds()).toEqual([before]);
        expect(filesOf(b)).toBe(300);
      }
      void holder.peer.confirm();
      if (whom === 'sender') {
        await world.until('asked there, or done', () => isHeldAt(b) || filesOf(b) === 50);
        if (isHeldAt(b)) void b.peer.confirm();
      }
      await world.quiet();
      expect(b.user.tree()).toEqual(a.user.tree());
      expect(filesOf(b)).toBe(50);
    });

for (const whom of ['sender', 'receiver'] as const)
  test(`of what is held at the ${whom} some comes back: the rest is held on, also by the next run`, async () => {
    const a = world.person('a', { allowMassDelete: whom === 'receiver' });
    for (let index = 0; index < 300; index += 1) a.user.write(pathOf(index), `text ${index}\n`);
    a.start();
    await world.quiet();
    const b = await join('b');
    const holder = whom === 'sender' ? a : b;
    remove(a, 0, 250);
    await world.until('held', () => isHeldAt(holder));
    const bringBack = (from: number, to: number): void => {
      for (let index = from; index < to; index += 1) a.user.write(pathOf(index), `text ${index}\n`);
    };
    bringBack(0, 150);
    await world.clock.advance(60_000);
    expect(await holder.peer.holds()).toMatchObject([{ kind: 'deletions', count: 100 }]);
    holder.kill();
    bringBack(150, 200);
    holder.start();
    await world.clock.advance(60_000);
    expect(await holder.peer.holds()).toMatchObject([{ kind: 'deletions', count: 50 }]);
    expect(filesOf(b)).toBe(300);
    bringBack(200, 250);
    await world.quiet();
    expect(await holder.peer.holds()).toEqual([]);
    expect(filesOf(b)).toBe(300);
  });

for (const whom of ['sender', 'receiver'] as const)
  for (const point of [1, 2, 3, 5, 8])
    test(`the ${whom} is killed ${point} changes after the confirmation: nobody is asked again`, async () => {
      const a = await share(400);
      const b = await join('b');
      remove(a, 0, 300);
      await world.until('asked', () => isHeldAt(a));
      if (whom === 'sender') a.killBefore(point, 'kill');
      a.peer.confirm().catch(() => {});
      if (whom === 'sender') await world.until('killed', () => a.isDead || isHeldAt(b));
      if (a.isDead) a.start();
      // Killed before the confirmation was written down, it was not given.
      await world.until('asked there', () => isHeldAt(b) || isHeldAt(a));
      if (isHeldAt(a)) void a.peer.confirm();
      await world.until('asked there', () => isHeldAt(b));
      if (whom === 'receiver') b.killBefore(point, 'kill');
      expect(await b.peer.holds()).toMatchObject([{ count: 300 }]);
      b.peer.confirm().catch(() => {});
      if (whom === 'receiver') await world.until('killed', () => b.isDead || filesOf(b) === 100);
      if (b.isDead) b.start();
      await world.until('done, or not confirmed', () => isHeldAt(b) || filesOf(b) === 100);
      if (point > 2) expect(isHeldAt(b)).toBe(false);
      else void b.peer.confirm();
      await world.quiet();
      expect([filesOf(a), filesOf(b)]).toEqual([100, 100]);
    });

test('who was away is asked once about all of it, and who joins in the middle too', async () => {
  const a = await share(400);
  const b = await join('b');
  await b.stop();
  remove(a, 0, 300);
  await world.until('asked', () => isHeldAt(a));
  const c = world.person('c');
  c.start();
  await world.until('c holds it all', () => filesOf(c) === 400);
  void a.peer.confirm();
  await confirm(c, 300);
  b.start();
  await confirm(b, 300);
  await world.quiet();
  expect([a, b, c].map(filesOf)).toEqual([100, 100, 100]);
  expect([a, b, c].map(timesAsked)).toEqual([1, 1, 1]);
});

/** Rows that the store hands out, until `stop`. */
function countRows(person: Person): { readonly stop: () => number } {
  const { store } = person;
  const questions = ['row', 'pendingRows', 'goneRows', 'arrivingRows', 'lostFiles', 'rowsUnder', 'heldRows'] as const;
  const originals = questions.map((name) => [name, store[name]] as const);
  let rows = 0;
  for (const [name, ask] of originals)
    Object.assign(store, {
      [name]: (...given: readonly never[]) => {
        const answer: unknown = Reflect.apply(ask, store, given);
        if (name === 'row') {
          rows += 1;
          return answer;
        }
        const found = [...(answer as Iterable<unknown>)];
        rows += found.length;
        return found;
      },
    });
  return {
    stop: () => {
      for (const [name, ask] of originals) Object.assign(store, { [name]: ask });
      return rows;
    },
  };
}

test.each(['where it was made', 'where it arrived'])(
  'a save costs what it always did while a deletion waits for its answer, %s',
  async (where) => {
    const count = 1_500;
    const a = await share(count);
    a.user.write('k', 'one\n');
    const b = await join('b');
    await world.quiet();
    remove(a, 0, count);
    await world.until('asked', () => isHeldAt(a));
    if (where === 'where it arrived') {
      void a.peer.confirm();
      await world.until('asked there', () => isHeldAt(b));
    }
    const held = where === 'where it arrived' ? b : a;
    await world.clock.advance(20_000);
    const counted = countRows(held);
    for (const [index, person] of [a, b, a, b].entries()) {
      const other = person === a ? b : a;
      person.user.write('k', `${index}\n`);
      await world.until('the save', () => other.user.read('k') === `${index}\n`);
    }
    expect(counted.stop()).toBeLessThan(count);
    // It is no less held, and what is answered holds for all of it.
    expect(await held.peer.holds()).toMatchObject([{ kind: 'deletions', count }]);
    void held.peer.confirm();
    await world.until('gone', () => filesOf(held) === 0 && held.state()?.pending === 0);
  },
);

/** It may wait as long as the answer does: for unsaved edits, here. */
test.each([
  ['a deletion in the room', 'late.txt'],
  ['an ignore file', '.gitignore'],
])('nor does it cost more while %s waits beside it', async (what, path) => {
  const count = 400;
  const a = await share(count);
  a.user.write('k', 'one\n');
  a.user.write(path, '*.log\n');
  const b = await join('b');
  await world.quiet();
  void b.peer.holdUnsaved('window', [{ path, loaded: null, merged: null }]);
  if (what === 'an ignore file') a.user.write(path, '*.log\n*.tmp\n');
  else a.user.remove(path);
  await world.until('waits', () => b.state()?.waitingForUnsavedEdits === true);
  remove(b, 0, count);
  await world.until('asked', () => isHeldAt(b));
  await world.clock.advance(20_000);
  const counted = countRows(b);
  for (let index = 0; index < 4; index += 1) {
    b.user.write('k', `${index}\n`);
    await world.until('the save', () => a.user.read('k') === `${index}\n`);
  }
  expect(counted.stop()).toBeLessThan(count);
  expect(await b.peer.holds()).toMatchObject([{ kind: 'deletions', count }]);
});

test('of what waits for an answer, what comes back elsewhere counts as moved', async () => {
  const a = await share(700);
  const b = await join('b');
  remove(a, 0, 600);
  await world.until('asked', () => isHeldAt(a));
  for (let index = 0; index < 600; index += 1) a.user.write(`moved/f${index}.txt`, `text ${index}\n`);
  await world.until('no longer', () => !isHeldAt(a));
  await world.quiet();
  expect([filesOf(a), filesOf(b)]).toEqual([700, 700]);
  expect(timesAsked(b)).toBe(0);
  expect(b.user.read('d0/f0.txt')).toBeUndefined();
});
