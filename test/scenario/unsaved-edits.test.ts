/** A file that is open with unsaved edits stays on disk as the editor believes it to be; what others did waits, and is merged as ever. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { UnsavedEdit } from '../../engine/src/control.ts';
import { createSeededRandom } from '../../engine/src/testing/seeded-random.ts';
import { createSmallWorld, type Person, type PersonOptions, type SmallWorld } from './small-world.ts';
import { type Editor, openEditor } from './unsaved-editor.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(() => world.close());

const lines = 'one\ntwo\nthree\nfour\nfive\n';
const window = 'window';

async function pair(
  policy: 'ask' | 'keep-both' = 'ask',
  disk: PersonOptions['disk'] = {},
): Promise<readonly [Person, Person]> {
  const [a, b] = [world.person('a', { policy }), world.person('b', { policy, disk })];
  a.user.write('d/k.txt', lines);
  a.user.write('d/other.txt', '0\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  return [a, b];
}
const unknown = (path: string): UnsavedEdit => ({ path, loaded: null, merged: null });
const hold = (person: Person, ...paths: string[]): void => void person.peer.holdUnsaved(window, paths.map(unknown));
const waitingOf = (person: Person): readonly string[] => person.state()?.waitingPaths?.map(({ path }) => path) ?? [];
const waits = (person: Person, ...paths: string[]): Promise<void> =>
  world.until('it waits', () => waitingOf(person).join() === paths.join());

interface Case {
  readonly change: (a: Person) => void;
  /** What b has once it is given up. */
  readonly after: string | undefined;
}
const cases: Readonly<Record<string, Case>> = {
  'an edit': { change: (a) => a.user.write('d/k.txt', 'by a\n'), after: 'by a\n' },
  'a change of its mode': { change: (a) => a.user.setMode('d/k.txt', 0o755), after: lines },
  'its deletion': { change: (a) => a.user.remove('d/k.txt'), after: undefined },
  'its rename': { change: (a) => a.user.rename('d/k.txt', 'moved.txt'), after: undefined },
  'a directory in its place': {
    change: (a) => {
      a.user.remove('d/k.txt');
      a.user.write('d/k.txt/inside.txt', 'x\n');
    },
    after: undefined,
  },
  'the deletion of its directory': { change: (a) => a.user.remove('d'), after: undefined },
  'a rename of its directory': { change: (a) => a.user.rename('d', 'e'), after: undefined },
  'a file in place of its directory': {
    change: (a) => {
      a.user.remove('d');
      a.user.write('d', 'a file\n');
    },
    after: undefined,
  },
};

test.each(Object.entries(cases))(
  '%s waits for unsaved edits, is said to, and comes when they are given up',
  async (_name, one) => {
    const [a, b] = await pair();
    hold(b, 'd/k.txt');
    const modeBefore = b.user.mode('d/k.txt');
    one.change(a);
    a.user.write('elsewhere.txt', 'x\n');
    await waits(b, 'd/k.txt');
    await world.until('the rest', () => b.user.read('elsewhere.txt') === 'x\n');
    await world.clock.advance(60_000);
    expect(b.user.read('d/k.txt')).toBe(lines);
    expect(b.user.mode('d/k.txt')).toBe(modeBefore);
    expect(b.state()).toMatchObject({ state: 'syncing', waitingForUnsavedEdits: true });
    expect(b.events.filter(({ event }) => event === 'problem')).toEqual([]);
    // Waiting is no work: what is compared again now and then leads to nothing on disk or at the relay.
    const { length } = b.trace;
    await world.clock.advance(60_000);
    expect(b.trace.slice(length).filter((what) => !/^store\.(transaction|deleteTrash)/.test(what))).toEqual([]);
    hold(b);
    await world.quiet();
    expect(b.state()?.waitingForUnsavedEdits).toBe(false);
    expect(b.user.tree()).toEqual(a.user.tree());
    expect(b.user.read('d/k.txt')).toBe(one.after);
  },
);

test('a rename of a directory waits for one file of it alone: all else in it comes and goes', async () => {
  const [a, b] = await pair();
  hold(b, 'd/k.txt');
  a.user.write('d/third.txt', '3\n');
  await world.until('all', () => b.user.read('d/third.txt') === '3\n');
  a.user.rename('d', 'e');
  await waits(b, 'd/k.txt');
  b.user.write('e/other.txt', 'saved on b\n');
  b.user.write('e/new.txt', 'new on b\n');
  a.user.write('e/third.txt', 'saved on a\n');
  await world.clock.advance(5_000);
  expect(b.user.read('e/third.txt')).toBe('saved on a\n');
  expect(a.user.read('e/other.txt')).toBe('saved on b\n');
  expect(a.user.read('e/new.txt')).toBe('new on b\n');
  expect(b.user.read('d/k.txt')).toBe(lines);
  b.user.write('d/k.txt', `${lines}six\n`);
  hold(b);
  await world.quiet();
  expect(a.user.read('e/k.txt')).toBe(`${lines}six\n`);
  expect(a.user.tree()).toEqual(b.user.tree());
});

test('nothing waits where nobody changed anything, and a save goes out', async () => {
  const [a, b] = await pair();
  hold(b, 'd/k.txt');
  await world.quiet();
  expect(b.state()).toMatchObject({ state: 'idle', waitingForUnsavedEdits: false });
  b.user.write('d/k.txt', 'saved and typed on\n');
  await world.until('it is sent', () => a.user.read('d/k.txt') === 'saved and typed on\n');
  await world.quiet();
});

test('what was saved is merged with what waited', async () => {
  const [a, b] = await pair();
  hold(b, 'd/k.txt');
  a.user.write('d/k.txt', lines.replace('one', 'ONE'));
  await waits(b, 'd/k.txt');
  b.user.write('d/k.txt', lines.replace('five', 'FIVE'));
  await world.clock.advance(5_000);
  expect(b.user.read('d/k.txt')).toBe(lines.replace('five', 'FIVE'));
  hold(b);
  await world.quiet();
  expect(a.user.read('d/k.txt')).toBe(lines.replace('one', 'ONE').replace('five', 'FIVE'));
  expect(b.user.tree()).toEqual(a.user.tree());
});

test('what overlaps becomes a conflict once it is saved, and both are kept', async () => {
  const [a, b] = await pair('keep-both');
  hold(b, 'd/k.txt');
  a.user.write('d/k.txt', lines.replace('one', 'by a'));
  await waits(b, 'd/k.txt');
  b.user.write('d/k.txt', lines.replace('one', 'by b'));
  hold(b);
  await world.quiet();
  const texts = Object.values(b.user.tree());
  expect(texts).toContain(lines.replace('one', 'by a'));
  expect(texts).toContain(lines.replace('one', 'by b'));
  expect(a.user.tree()).toEqual(b.user.tree());
});

test('a file that was deleted or renamed elsewhere is kept when it is saved', async () => {
  for (const change of [(a: Person) => a.user.remove('d/k.txt'), (a: Person) => a.user.rename('d/k.txt', 'm.txt')]) {
    world = createSmallWorld();
    const [a, b] = await pair();
    hold(b, 'd/k.txt');
    change(a);
    await waits(b, 'd/k.txt');
    b.user.write('d/k.txt', `${lines}six\n`);
    hold(b);
    await world.quiet();
    expect(Object.values(a.user.tree())).toContain(`${lines}six\n`);
    expect(a.user.tree()).toEqual(b.user.tree());
  }
});

test('a lost connection holds it for 10 s, and one that says it again for as long as it does', async () => {
  const [a, b] = await pair();
  hold(b, 'd/k.txt');
  a.user.write('d/k.txt', 'by a\n');
  await waits(b, 'd/k.txt');
  void b.peer.windowLost(window);
  await world.clock.advance(9_000);
  expect(b.user.read('d/k.txt')).toBe(lines);
  hold(b, 'd/k.txt');
  await world.clock.advance(60_000);
  expect(b.user.read('d/k.txt')).toBe(lines);
  void b.peer.windowLost(window);
  await world.clock.advance(9_900);
  expect(b.user.read('d/k.txt')).toBe(lines);
  await world.clock.advance(200);
  await world.quiet();
  expect(b.user.read('d/k.txt')).toBe('by a\n');
});

test('two windows: what one gives up the other still holds', async () => {
  const [a, b] = await pair();
  hold(b, 'd/k.txt');
  void b.peer.holdUnsaved('another', [unknown('d/k.txt'), unknown('d/other.txt')]);
  a.user.write('d/k.txt', 'by a\n');
  await waits(b, 'd/k.txt');
  hold(b);
  await world.clock.advance(5_000);
  expect(b.user.read('d/k.txt')).toBe(lines);
  void b.peer.holdUnsaved('another', [unknown('d/other.txt')]);
  await world.quiet();
  expect(b.user.read('d/k.txt')).toBe('by a\n');
});

test('an edit that begins while a change is being applied keeps the file as it is', async () => {
  const [a, b] = await pair();
  let isBegun = false;
  b.folder.before = ({ operation, path }) => {
    if (isBegun || operation !== 'stage' || path !== 'd/k.txt') return;
    isBegun = true;
    hold(b, 'd/k.txt');
  };
  a.user.write('d/k.txt', 'by a\n');
  await waits(b, 'd/k.txt');
  await world.clock.advance(5_000);
  expect(isBegun).toBe(true);
  expect(b.user.read('d/k.txt')).toBe(lines);
  hold(b);
  await world.quiet();
  expect(b.user.read('d/k.txt')).toBe('by a\n');
});

test('the answer to a conflict waits too', async () => {
  const [a, b] = await pair();
  await b.stop();
  a.user.write('d/k.txt', 'by a\n');
  await world.quiet();
  b.user.write('d/k.txt', 'by b\n');
  b.start();
  await world.until('the conflict', () => b.state()?.state === 'conflict');
  hold(b, 'd/k.txt');
  void b.peer.resolve('d/k.txt', 'theirs');
  await waits(b, 'd/k.txt');
  await world.clock.advance(5_000);
  expect(b.user.read('d/k.txt')).toBe('by b\n');
  hold(b);
  await world.quiet();
  expect(b.user.read('d/k.txt')).toBe('by a\n');
  expect(a.user.tree()).toEqual(b.user.tree());
});

test('a file is held by any of its names where the disk folds them, also from before it is known on', async () => {
  const [a, b] = await pair('ask', { foldsCase: true });
  await b.stop();
  b.loseState();
  b.start();
  hold(b, 'D/K.txt');
  await world.quiet();
  a.user.write('d/k.txt', 'by a\n');
  await waits(b, 'D/K.txt');
  a.user.remove('d');
  await world.clock.advance(60_000);
  expect(b.user.read('d/k.txt')).toBe(lines);
  expect(b.user.read('d/other.txt')).toBeUndefined();
  hold(b);
  await world.quiet();
  expect(b.user.tree()).toEqual({});
});

describe('with an editor that takes in what waits', () => {
  const path = 'd/k.txt';
  const below = (anchor: string, line: string) => (text: string) => text.replace(`${anchor}\n`, `${anchor}\n${line}\n`);
  const looked = async (editor: Editor, what: string, condition: () => boolean): Promise<void> =>
    world.until(what, () => {
      editor.look();
      return condition();
    });

  test('a line of the room comes into the buffer, and the save has both and meets no newer file', async () => {
    const [a, b] = await pair();
    const editor = openEditor(b, path);
    editor.type(below('five', 'by b'));
    a.user.write(path, below('one', 'by a')(lines));
    await looked(editor, 'the line', () => editor.text.includes('by a'));
    expect(editor.text).toBe(below('five', 'by b')(below('one', 'by a')(lines)));
    expect(b.user.read(path)).toBe(lines);
    // The room's line itself is edited before it was ever saved here: it is the same file that goes on.
    editor.type((text) => text.replace('by a', 'by a, and b'));
    editor.save();
    await world.quiet();
    expect(a.user.read(path)).toBe(editor.text);
    expect(a.user.tree()).toEqual(b.user.tree());
    expect(editor.overwrites).toBe(0);
    expect(b.events.filter(({ event }) => event === 'conflict')).toEqual([]);
  });

  test('a file that was opened by another spelling takes it in as well, and what was swapped in is merged', async () => {
    const [a, b] = await pair('ask', { foldsCase: true });
    const editor = openEditor(b, 'D/K.txt');
    editor.type(below('five', 'by b'));
    a.user.write(path, below('one', 'by a')(lines));
    await looked(editor, 'the line', () => editor.text.includes('by a'));
    editor.save();
    await world.quiet();
    expect(a.user.read(path)).toBe(editor.text);
    a.user.write(path, below('two', 'by a again')(editor.text));
    await world.until('the swap', () => b.user.read(path) !== editor.text);
    editor.type(below('four', 'by b again'));
    const typed = editor.text;
    editor.save();
    await world.quiet();
    expect(a.user.read(path)).toBe(below('two', 'by a again')(typed));
    expect(a.user.tree()).toEqual(b.user.tree());
  });

  test('a line that grows in the room while it is merged and saved makes no conflict', async () => {
    const [a, b] = await pair();
    const editor = openEditor(b, path);
    let grown = 'by a';
    for (let round = 0; round < 12; round += 1) {
      grown += '.';
      a.user.write(path, a.user.read(path)?.replace(/one\n(by a\.*\n)?/, `one\n${grown}\n`) ?? '');
      editor.type(below('five', `by b ${round}`));
      await world.clock.advance(100);
      editor.look();
      if (round % 5 === 2) editor.save();
      await world.clock.advance(20);
      editor.look();
    }
    await looked(editor, 'the last', () => editor.text.includes(`${grown}\n`));
    editor.save();
    await world.quiet();
    for (let round = 0; round < 12; round += 1) expect(a.user.read(path)).toContain(`by b ${round}\n`);
    expect(a.user.read(path)).toContain(`${grown}\n`);
    expect(Object.keys(b.user.tree())).toEqual(['d/', 'd/k.txt', 'd/other.txt']);
    expect(b.events.filter(({ event }) => event === 'conflict')).toEqual([]);
    expect(editor.overwrites).toBe(0);
  });

  test('an undo that takes the room’s line out of the buffer does not take it out of the room', async () => {
    const [a, b] = await pair();
    const editor = openEditor(b, path);
    editor.type(below('five', 'by b'));
    a.user.write(path, below('one', 'by a')(lines));
    await looked(editor, 'the line', () => editor.text.includes('by a'));
    editor.undo();
    await world.clock.advance(1_000);
    editor.look();
    // It is not fought over.
    expect(editor.text).not.toContain('by a');
    editor.save();
    await world.quiet();
    expect(a.user.read(path)).toBe(below('five', 'by b')(below('one', 'by a')(lines)));
  });

  test('a line that the relay does not give in time comes in later', async () => {
    const [a, b] = await pair();
    const editor = openEditor(b, path);
    editor.type(below('five', 'by b'));
    a.user.write(path, below('one', 'by a')(lines));
    await waits(b, path);
    // What came along with records is not kept over a restart.
    await b.stop();
    b.start();
    editor.renew();
    await waits(b, path);
    world.relay.isSilent = true;
    editor.look();
    await world.clock.advance(5_000);
    expect(editor.text).not.toContain('by a');
    world.relay.isSilent = false;
    await looked(editor, 'the line', () => editor.text.includes('by a'));
    editor.save();
    await world.quiet();
    expect(a.user.read(path)).toBe(below('five', 'by b')(below('one', 'by a')(lines)));
  });

  test('a swap that wins the race against the first key is merged with what is saved over it', async () => {
    const [a, b] = await pair();
    const editor = openEditor(b, path);
    a.user.write(path, below('one', 'by a')(lines));
    await world.until('the swap', () => b.user.read(path) !== lines);
    editor.type(below('five', 'by b'));
    editor.save();
    expect(editor.overwrites).toBe(1);
    await world.quiet();
    expect(a.user.read(path)).toBe(below('five', 'by b')(below('one', 'by a')(lines)));
    expect(a.user.tree()).toEqual(b.user.tree());
  });

  test.each([
    ['between two replaces of a pass', 'swapIn', false],
    ['between a replace and its commit', 'flushDirectories', false],
    ['between a replace and its commit, and is saved there', 'flushDirectories', true],
  ] as const)('an edit that begins %s is merged with what was swapped in', async (_when, operation, isSavedAtOnce) => {
    const [a, b] = await pair();
    const editor = openEditor(b, path);
    let isBegun = false;
    b.folder.before = (call) => {
      if (isBegun || call.operation !== operation || call.path === path || b.user.read(path) === lines) return;
      isBegun = true;
      editor.type(below('five', 'by b'));
      if (isSavedAtOnce) editor.save();
    };
    a.user.write(path, below('one', 'by a')(lines));
    a.user.write('d/other.txt', '1\n');
    await world.until('the first key', () => isBegun);
    await world.clock.advance(1_000);
    editor.save();
    expect(editor.overwrites).toBe(1);
    await world.quiet();
    expect(a.user.read(path)).toBe(below('five', 'by b')(below('one', 'by a')(lines)));
    expect(a.user.tree()).toEqual(b.user.tree());
  });

  test('a swap of what a checkpoint brought, and no record, is known as well', async () => {
    const a = world.person('a', { policy: 'ask' });
    const another = 'd/another.txt';
    for (const each of [path, another]) a.user.write(each, lines);
    a.start();
    await world.quiet();
    // So long that a newcomer does not read it.
    for (let record = 0; record < 200; record += 1) {
      a.user.write('d/other.txt', `${record}\n`);
      await world.clock.advance(150);
    }
    Object.assign(a.store, { bytesSinceCheckpoint: () => ({ bytes: 2 ** 30, records: 1 }) });
    a.user.write('d/other.txt', 'the last\n');
    await world.until('a checkpoint', () => (world.relay.requests.get('putCheckpoint') ?? 0) > 0, 120_000);
    const b = world.person('b', { policy: 'ask', inviter: a });
    b.start();
    await world.quiet();
    expect(b.store.recordMeta(1)).toBeUndefined();
    const saveOver = async (each: string): Promise<void> => {
      const editor = openEditor(b, each);
      a.user.write(each, below('one', 'by a')(lines));
      await world.until('the swap', () => b.user.read(each) !== lines);
      editor.type(below('five', 'by b'));
      editor.save();
      expect(editor.overwrites).toBe(1);
      await world.quiet();
    };
    await saveOver(path);
    expect(a.user.read(path)).toBe(below('five', 'by b')(below('one', 'by a')(lines)));
    // What it was merged by is not at hand any more: both sides are kept.
    Object.assign(b.store, { cachedContent: () => undefined });
    await saveOver(another);
    expect(a.user.read(another)).toBe(below('one', 'by a')(lines));
    expect(b.user.read(another)).toBe(below('five', 'by b')(lines));
    expect((await a.peer.conflicts()).map((conflict) => conflict.path)).toEqual([another]);
  });

  test('an edit that begins between a save and the commit of its merge is merged with what that brought', async () => {
    const [a, b] = await pair();
    const editor = openEditor(b, path);
    editor.type(below('five', 'by b'));
    a.user.write(path, below('one', 'by a')(lines));
    await waits(b, path);
    let isBegun = false;
    b.folder.before = ({ operation }) => {
      if (isBegun || operation !== 'flushDirectories') return;
      isBegun = true;
      editor.type(below('three', 'by b again'));
    };
    editor.save();
    await world.until('the next key', () => isBegun);
    await world.clock.advance(1_000);
    editor.save();
    await world.quiet();
    expect(a.user.read(path)).toBe(below('three', 'by b again')(below('five', 'by b')(below('one', 'by a')(lines))));
    expect(a.user.tree()).toEqual(b.user.tree());
  });

  test('a replace that a crash cut is merged with what the window saves over it', async () => {
    const [a, b] = await pair();
    const editor = openEditor(b, path);
    b.folder.before = ({ operation }) => {
      if (operation === 'flushDirectories' && b.user.read(path) !== lines) b.kill('kill');
    };
    a.user.write(path, below('one', 'by a')(lines));
    await world.until('the crash', () => b.isDead);
    b.start();
    editor.type(below('five', 'by b'));
    await world.clock.advance(1_000);
    editor.save();
    expect(editor.overwrites).toBe(1);
    await world.quiet();
    expect(a.user.read(path)).toBe(below('five', 'by b')(below('one', 'by a')(lines)));
    expect(a.user.tree()).toEqual(b.user.tree());
  });

  test('what was swapped in while the window was away is merged with what it brings back and saves over it', async () => {
    const [a, b] = await pair();
    const editor = openEditor(b, path);
    editor.type(below('five', 'by b'));
    await world.clock.advance(100);
    await b.stop();
    a.user.write(path, below('one', 'by a')(lines));
    await world.quiet();
    // Another program keeps the folder in sync, and knows of no window.
    b.start();
    await world.until('the swap', () => b.user.read(path) !== lines);
    editor.reload();
    editor.save();
    expect(editor.overwrites).toBe(1);
    await world.quiet();
    expect(a.user.read(path)).toBe(below('five', 'by b')(below('one', 'by a')(lines)));
  });

  test('given up, the room’s version comes as ever', async () => {
    const [a, b] = await pair();
    const editor = openEditor(b, path);
    editor.type(below('five', 'by b'));
    a.user.write(path, below('one', 'by a')(lines));
    await looked(editor, 'the line', () => editor.text.includes('by a'));
    editor.revert();
    await world.quiet();
    editor.look();
    expect(editor.text).toBe(below('one', 'by a')(lines));
    expect(a.user.read(path)).toBe(editor.text);
  });

  test('whatever is interleaved, no line of either side is lost', async () => {
    const met = { saves: 0, merges: 0, overwrites: 0, reloads: 0, kills: 0, reverts: 0, undos: 0 };
    for (let seed = 0; seed < 40; seed += 1) {
      await world.close();
      world = createSmallWorld();
      const random = createSeededRandom(`unsaved ${seed}`);
      const pick = (count: number): number => Math.floor(random.fraction() * count);
      const [a, b] = await pair('keep-both');
      const editor = openEditor(b, path);
      const kept = new Set<string>();
      const anchors = lines.trimEnd().split('\n');
      const anchor = (): string => anchors[pick(anchors.length)] ?? '';
      let count = 0;
      for (let step = 0; step < 24; step += 1) {
        count += 1;
        switch (pick(12)) {
          case 0:
          case 1:
          case 2: {
            const line = `a ${count}`;
            const before = a.user.read(path) ?? '';
            const next = below(anchor(), line)(before);
            if (next !== before) kept.add(line);
            a.user.write(path, next);
            break;
          }
          case 3:
          case 4:
          case 5:
            editor.type(below(anchor(), `b ${count}`));
            break;
          case 6:
          case 7:
            for (const [line] of editor.text.matchAll(/^b \d+$/gm)) kept.add(line);
            editor.save();
            met.saves += 1;
            break;
          case 8:
            if (pick(3) > 0) break;
            editor.revert();
            met.reverts += 1;
            break;
          case 9:
            if (pick(2) > 0) break;
            editor.undo();
            met.undos += 1;
            break;
          case 10:
            if (pick(2) > 0) break;
            editor.reload();
            met.reloads += 1;
            break;
          case 11:
            if (pick(2) > 0) break;
            b.kill('kill');
            b.start();
            editor.renew();
            met.kills += 1;
            break;
        }
        await world.clock.advance(pick(4) * 40);
        const before = editor.text;
        editor.look();
        await world.clock.advance(pick(3) * 10);
        if (editor.isDirty && editor.text !== before) met.merges += 1;
      }
      for (const [line] of editor.text.matchAll(/^b \d+$/gm)) kept.add(line);
      editor.save();
      met.overwrites += editor.overwrites;
      await world.clock.advance(11_000);
      await world.quiet();
      const all = Object.values(b.user.tree()).join('');
      expect({ seed, lost: [...kept].filter((line) => !all.includes(`${line}\n`)) }).toEqual({ seed, lost: [] });
      expect(a.user.tree()).toEqual(b.user.tree());
    }
    for (const [what, times] of Object.entries(met)) expect({ what, met: times > 0 }).toEqual({ what, met: true });
  });
});
