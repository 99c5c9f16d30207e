/** One slow thing does not hold up the others: commands and small saves go ahead of what takes long. */
import type { RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { firstRecordSize } from '../../engine/src/core/record-pace.ts';
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

  test('every other one, while a record is under way', async () => {
    const [a, b] = await pair();
    world.relay.isSilent = true;
    a.user.write('k.txt', '1\n');
    await world.clock.advance(200);
    const { status, conflicts, explain, holds, verify, invite, resolve, untrack, confirm } = a.peer;
    const answered: string[] = [];
    const asked: Readonly<Record<string, () => Promise<unknown>>> = {
      status,
      conflicts,
      explain: () => explain('k.txt'),
      holds,
      verify,
      invite,
      resolve: () => resolve('k.txt', 'mine'),
      untrack: () => untrack('d/other.txt'),
      confirm: () => confirm(),
    };
    for (const [name, ask] of Object.entries(asked)) void ask().then(() => answered.push(name));
    await world.until('the answers', () => answered.length === Object.keys(asked).length);
    expect(a.state()?.state).not.toBe('idle');
    world.relay.isSilent = false;
    await world.quiet();
    expect(b.user.read('k.txt')).toBe(a.user.read('k.txt'));
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

test('the sides of a conflict are what is here, when the relay does not answer', async () => {
  const [a, b] = [world.person('a', { policy: 'ask' }), world.person('b', { policy: 'ask' })];
  a.user.write('k.txt', 'one\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  await b.stop();
  a.user.write('k.txt', 'by a\n');
  await world.quiet();
  b.user.write('k.txt', 'by b\n');
  b.start();
  await world.until('the conflict', () => b.state()?.state === 'conflict');
  await world.quiet();
  // What came along with records is not kept over a restart.
  await b.stop();
  b.start();
  await world.until('the conflict again', () => b.state()?.state === 'conflict');
  world.relay.isSilent = true;
  let sides: unknown;
  void b.peer.conflictSides('k.txt').then((answer) => {
    sides = answer;
  });
  await world.until('the answer', () => sides !== undefined, 5_000);
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  expect(sides).toEqual({ base: base64('one\n'), mine: base64('by b\n'), theirs: null, missing: ['theirs'] });
  world.relay.isSilent = false;
  expect((await b.peer.conflictSides('k.txt')).theirs).toBe(base64('by a\n'));
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
  const sent = sentBy(a, before);
  expect(sent.slice(0, 2).sort()).toEqual(['d/new.txt', 'k.txt']);
  expect(sent.length).toBeGreaterThanOrEqual(602);
  equal(a, b);
});

test('a save goes ahead of the rename of a large directory, which stays one move', async () => {
  const [a, b] = await pair();
  for (let index = 0; index < 600; index += 1) a.user.write(`big/f${index}.txt`, `${index}\n`);
  await world.quiet();
  const before = a.events.length;
  const appends = world.relay.appends;
  a.user.rename('big', 'moved');
  a.user.write('k.txt', 'saved\n');
  await world.quiet();
  expect(sentBy(a, before)[0]).toBe('k.txt');
  expect(world.relay.appends - appends).toBe(2);
  equal(a, b);
});

const sentBy = (person: Person, from: number): readonly string[] =>
  person.events.slice(from).flatMap((event) => (event.event === 'sent' ? [event.path] : []));

function onAppend(act: () => void): void {
  world.relay.refuses = (request) => {
    if (request === 'append') act();
    return undefined;
  };
}

test('a save goes into the next record of a large batch that a slow link is taking', async () => {
  const [a, b] = await pair();
  const before = a.events.length;
  const appends = world.relay.appends;
  // Each record hangs until the link has taken it.
  onAppend(() => {
    world.relay.isSilent = true;
  });
  // More bytes than two records hold.
  const files = 100;
  for (let index = 0; index < files; index += 1) a.user.write(`a/f${index}.txt`, `${index % 10}\n`.repeat(200_000));
  await world.until('the first record is on its way', () => world.relay.appends > appends);
  a.user.write('k.txt', 'saved\n');
  await world.clock.advance(1_000);
  world.relay.isSilent = false;
  await world.until('the next record is on its way', () => world.relay.appends > appends + 1);
  onAppend(() => {});
  world.relay.isSilent = false;
  await world.quiet();
  const sent = sentBy(a, before);
  expect(sent.length).toBeGreaterThan(files);
  expect(sent.indexOf('k.txt')).toBeGreaterThan(0);
  expect(sent.indexOf('k.txt')).toBeLessThan(files / 2);
  equal(a, b);
});

describe('a command does not wait for what is being prepared', () => {
  /** Each file takes a moment to be read. */
  function readSlowly(person: Person): void {
    const open = person.folder.openFile;
    person.folder.openFile = async (path) => {
      await new Promise<void>((resolve) => world.clock.after(10, resolve));
      return open(path);
    };
  }
  test('a first share stops where it is, and goes on from there', async () => {
    const a = world.person('a');
    for (let index = 0; index < 700; index += 1) a.user.write(`d${index % 7}/f${index}.txt`, `${index}\n`);
    let isPaused = false;
    onAppend(() => {
      onAppend(() => {});
      void a.peer.pause().then(() => {
        isPaused = true;
      });
    });
    a.start();
    await world.until('paused', () => isPaused);
    const sent = sentBy(a, 0).length;
    expect(sent).toBeLessThanOrEqual(firstRecordSize.files);
    await world.clock.advance(5_000);
    expect(sentBy(a, 0)).toHaveLength(sent);
    void a.peer.resume();
    await world.quiet();
    expect(sentBy(a, 0)).toHaveLength(707);
  });

  test('a checkout, which is one record, is prepared anew after it', async () => {
    const [a, b] = await pair();
    await a.stop();
    a.user.write('.git/HEAD', 'ref: refs/heads/main\n');
    a.user.write('.git/index', 'one');
    a.start();
    await world.quiet();
    readSlowly(a);
    a.user.write('.git/HEAD', 'ref: refs/heads/other\n');
    for (let index = 0; index < 300; index += 1) a.user.write(`d/f${index}.txt`, `${index}\n`);
    const [head, before] = [a.store.head()?.height ?? 0, a.events.length];
    await world.until('it is being prepared', () => a.state()?.progress?.phase === 'sending');
    let isPaused = false;
    void a.peer.pause().then(() => {
      isPaused = true;
    });
    await world.until('paused', () => isPaused);
    expect(sentBy(a, before)).toEqual([]);
    void a.peer.resume();
    await world.quiet();
    expect(a.store.head()?.height).toBe(head + 1);
    expect(b.user.read('d/f299.txt')).toBe('299\n');
  });
});

/** A has a repository; reads of its large file, once that is known, wait until the returned function is called. */
async function withRepository(large: string) {
  const [a, b] = await pair();
  await a.stop();
  a.user.write('.git/HEAD', 'ref: refs/heads/main\n');
  a.user.write('.git/index', 'one');
  // Sent by the next record: from there on it is what was there before.
  a.user.write('k.txt', '1\n');
  a.start();
  await world.quiet();
  const { promise: gate, resolve: release } = Promise.withResolvers<void>();
  const open = a.folder.openFile;
  let isHeld = false;
  a.folder.openFile = async (path) => {
    if (path === large && !isHeld && a.store.row(path as RelPath)?.local != null) {
      isHeld = true;
      await gate;
    }
    return open(path);
  };
  return { a, b, release, isUploading: () => isHeld };
}

describe('a checkout with a large file, which is one record', () => {
  /** A has checked something out, and its large file is on its way. */
  async function checkedOut(): Promise<{ readonly a: Person; readonly b: Person; readonly release: () => void }> {
    const { a, b, release } = await withRepository('new/large.bin');
    a.user.write('.git/HEAD', 'ref: refs/heads/other\n');
    a.user.write('new/large.bin', '1'.repeat(1_500_000));
    a.user.write('d/other.txt', 'switched\n');
    await world.until('it is known', () => a.store.row('new/large.bin' as RelPath)?.local != null);
    await world.clock.advance(3_000);
    return { a, b, release };
  }
  const lastLabel = (person: Person): string | undefined =>
    person.store.recordMeta(person.store.head()?.height ?? 0)?.label;

  test('a save does not wait for it, nor does a command', async () => {
    const { a, b, release } = await checkedOut();
    const head = a.store.head()?.height ?? 0;
    a.user.write('k.txt', 'saved\n');
    await world.until('the save', () => b.user.read('k.txt') === 'saved\n', 1_500);
    // What depends on the checkout does.
    a.user.write('new/later.txt', 'later\n');
    let isPaused = false;
    void a.peer.pause().then(() => {
      isPaused = true;
    });
    await world.until('paused', () => isPaused, 1_000);
    void a.peer.resume();
    await world.clock.advance(5_000);
    expect([b.user.read('d/other.txt'), b.user.read('new/later.txt')]).toEqual(['0\n', undefined]);
    expect(a.state()?.state).toBe('syncing');
    release();
    await world.quiet();
    expect([a.store.head()?.height, lastLabel(a)]).toEqual([head + 2, 'git switch other']);
    expect(b.user.read('new/large.bin')).toBe('1'.repeat(1_500_000));
    expect([b.user.read('d/other.txt'), b.user.read('new/later.txt')]).toEqual(['switched\n', 'later\n']);
  });

  test('goes out without it when somebody goes on writing into it', async () => {
    const { a, b, release } = await checkedOut();
    a.user.write('new/large.bin', '2'.repeat(1_500_000));
    await world.until('the rest', () => b.user.read('d/other.txt') === 'switched\n', 5_000);
    expect(lastLabel(a)).toBe('git switch other');
    release();
    await world.quiet();
    expect(b.user.read('new/large.bin')).toBe('2'.repeat(1_500_000));
  });
});

describe('a large file of its user holds up nothing that git does', () => {
  const video = 'x'.repeat(3_000_000);

  test.each([
    ['stages it', 'refs/heads/main', 'git'],
    ['checks something out', 'refs/heads/other', 'git switch other'],
  ])('when git %s while it is on its way', async (_what, branch, label) => {
    const { a, b, release, isUploading } = await withRepository('video.bin');
    a.user.write('video.bin', video);
    await world.until('the upload is under way', isUploading);
    if (!branch.endsWith('main')) a.user.write('.git/HEAD', `ref: ${branch}\n`);
    a.user.write('.git/index', 'two');
    a.user.write('k.txt', 'written\n');
    a.user.write('d/other.txt', 'written\n');
    await world.until('it', () => b.user.read('d/other.txt') === 'written\n', 3_000);
    expect(b.user.read('k.txt')).toBe('written\n');
    expect(a.store.recordMeta(a.store.head()?.height ?? 0)?.label).toBe(label);
    expect(a.state()?.state).toBe('syncing');
    release();
    await world.quiet();
    expect(b.user.read('video.bin')).toBe(video);
  });

  test('when git stages it as soon as it is there', async () => {
    const { a, b, release } = await withRepository('video.bin');
    a.user.write('video.bin', video);
    a.user.write('.git/index', 'two');
    a.user.write('k.txt', 'saved with it\n');
    await world.until('the save', () => b.user.read('k.txt') === 'saved with it\n', 3_000);
    release();
    await world.quiet();
    expect(b.user.read('video.bin')).toBe(video);
  });
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
    expect(sentBy(a, before)).toEqual(['k.txt']);
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
