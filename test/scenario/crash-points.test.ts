/**
 * A peer is ended before every single change that it makes (of the disk, of its state store, at the relay), by a kill and by
 * a power cut, and started again with what was left. Whatever the moment: nothing is lost, no conflict with oneself, whole
 * files only, nothing of ours is left over, everybody ends equal, and another run changes nothing (P1–P3, C21, Q1; rules SENT,
 * OWN, INTENT, MERGE, DISK1; invariants 1, 2, 5, 8, 10, 16).
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RelPath } from '@driftless/protocol';
import { expect, test } from 'vitest';
import type { Keep } from '../../engine/src/control.ts';
import { liveEntry } from '../../engine/src/core/entry-encoding.ts';
import { createSmallWorld, type Ending, type Person, type SmallWorld } from './small-world.ts';

type Tree = Readonly<Record<string, string>>;

interface CrashCase {
  readonly policy?: 'ask' | 'keep-both';
  /** Brings a and b to where the act begins; the victim may be running or not. */
  readonly before: (world: SmallWorld, a: Person, b: Person) => Promise<void>;
  readonly victim: 'a' | 'b';
  /** What the victim is ended in. Starts it if it does not run; comes to rest unless it dies. */
  readonly act: (world: SmallWorld, a: Person, b: Person) => Promise<void>;
  /** What both folders hold afterwards; names of conflict copies are cut to `name.conflict`. */
  readonly expected: Tree;
  /** What only one of them holds. */
  readonly own?: Readonly<Record<string, Tree>>;
}

const write = (person: Person, files: Tree): void => {
  for (const [path, text] of Object.entries(files)) person.user.write(path, text);
};
/** Conflict names hold a time: only the fact counts. On another disk inside the folder the trash lies there, for its 30 s. */
const withoutStamps = (tree: Tree): Tree =>
  Object.fromEntries(
    Object.entries(tree)
      .filter(([path]) => !path.includes('.driftless-trash-'))
      .map(([path, text]) => [path.replace(/\.conflict-[a-z]+-\d{8}-\d{6}-[0-9a-f]{6}/, '.conflict'), text]),
  );

async function inStep(world: SmallWorld, a: Person, b: Person, files: Tree): Promise<void> {
  write(a, files);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
}

/** Runs the case once to count the victim's changes, then once for each of them. Returns how often somebody died. */
async function crashEverywhere(crashCase: CrashCase, how: Ending): Promise<number> {
  let died = 0;
  // A cut differs from a kill only where something is not flushed: every other point tells.
  for (let n = 1; ; n += how === 'kill' ? 1 : 2) {
    const world = createSmallWorld();
    const stateDir = mkdtempSync(join(tmpdir(), 'driftless-state-'));
    try {
      const options = { policy: crashCase.policy ?? 'keep-both' } as const;
      const [a, b] = (['a', 'b'] as const).map((name) =>
        world.person(name, how === 'disk-ahead' ? { ...options, stateFile: join(stateDir, name) } : options),
      ) as [Person, Person];
      await crashCase.before(world, a, b);
      const victim = crashCase.victim === 'a' ? a : b;
      const from = victim.trace.length;
      victim.killBefore(n, how);
      await crashCase.act(world, a, b);
      const isKilled = victim.isDead;
      const where = isKilled ? `${how} before change ${n}: ${victim.trace.at(-1) ?? ''}` : 'no crash';
      try {
        if (isKilled) {
          died += 1;
          victim.start();
          await crashCase.act(world, a, b);
        }
        await check(world, [a, b], crashCase);
      } catch (error) {
        const events = victim.events.filter(({ event }) => event !== 'state').slice(-12);
        throw new Error(
          `${where}\nafter: ${victim.trace.slice(from).slice(-60).join(' · ')}\nevents: ${JSON.stringify(events)}\n${error instanceof Error ? error.message : String(error)}`,
          { cause: error },
        );
      }
      if (!isKilled) return died;
    } finally {
      await world.close();
      rmSync(stateDir, { recursive: true });
    }
  }
}

async function check(world: SmallWorld, people: readonly Person[], { expected, own }: CrashCase): Promise<void> {
  await world.quiet();
  const treeOf = (one: Person): Tree => ({ ...expected, ...own?.[one.name] });
  for (const one of people) {
    expect(withoutStamps(one.user.tree()), `folder of ${one.name}`).toEqual(treeOf(one));
    expect(await one.folder.stagedNames(), `staged by ${one.name}`).toEqual([]);
    expect(one.store.intents(), `intents of ${one.name}`).toEqual([]);
    expect(one.store.problemRows(10), `problems of ${one.name}`).toEqual([]);
    expect(one.state()).toMatchObject({ state: 'idle', pending: 0, conflicts: 0 });
  }
  // Another run finds nothing to do.
  const heads = people.map((one) => one.store.head()?.id);
  for (const one of people) await one.stop();
  const traces = people.map((one) => one.trace.length);
  for (const one of people) one.start();
  await world.quiet();
  expect(people.map((one) => one.store.head()?.id)).toEqual(heads);
  for (const [index, one] of people.entries()) {
    const touched = one.trace
      .slice(traces[index])
      .filter((change) => !change.startsWith('store.') && !change.includes('.driftless'));
    expect(touched, `second run of ${one.name}`).toEqual([]);
    expect(withoutStamps(one.user.tree())).toEqual(treeOf(one));
  }
}

/** A batch with everything in it. */
const beforeBatch: Tree = {
  'edit.txt': 'one\n',
  'gone.txt': 'gone\n',
  'dir/one.txt': 'in one\n',
  'dir/two.txt': 'in two\n',
  'old.txt': 'renamed\n',
  'becomes-dir': 'a file\n',
  'becomes-file/child.txt': 'child\n',
  'going/deep/file.txt': 'deep\n',
  'run.sh': 'echo\n',
};
function changeEverything(person: Person): void {
  const { user } = person;
  user.replace('edit.txt', 'two\n');
  user.remove('gone.txt');
  user.rename('dir', 'moved');
  user.rename('old.txt', 'new.txt');
  user.remove('becomes-dir');
  user.write('becomes-dir/inside.txt', 'inside\n');
  user.remove('becomes-file');
  user.write('becomes-file', 'now a file\n');
  user.remove('going');
  user.setMode('run.sh', 0o755);
  user.symlink('link', 'edit.txt');
  user.makeDirectory('empty');
  user.write('made/fresh.txt', 'fresh\n');
}
const afterBatch: Tree = {
  'edit.txt': 'two\n',
  'moved/': '',
  'moved/one.txt': 'in one\n',
  'moved/two.txt': 'in two\n',
  'new.txt': 'renamed\n',
  'becomes-dir/': '',
  'becomes-dir/inside.txt': 'inside\n',
  'becomes-file': 'now a file\n',
  'run.sh': 'echo\n',
  link: '-> edit.txt',
  'empty/': '',
  'made/': '',
  'made/fresh.txt': 'fresh\n',
};
/** Above what travels with its record, of few different chunks. */
const large = (name: string): string => `${name}\n`.repeat(300_000);
const lines = 'one\ntwo\nthree\nfour\nfive\nsix\nseven\n';

/** Until at rest or dead: for acts whose victim runs already. */
async function atRestOrDead(world: SmallWorld, victim: Person): Promise<void> {
  await world.until(
    'the act is over',
    () => victim.isDead || (victim.state()?.state === 'idle' && victim.store.counts().pending === 0),
  );
  if (!victim.isDead) await world.quiet();
}
const startAndRest =
  (name: 'a' | 'b') =>
  async (world: SmallWorld, a: Person, b: Person): Promise<void> => {
    const victim = name === 'a' ? a : b;
    if (victim.isDead) victim.start();
    await world.until('rest or death', () => victim.isDead || victim.state()?.state === 'idle');
    await atRestOrDead(world, victim);
  };

const cases: Readonly<Record<string, CrashCase>> = {
  'applies a batch': {
    before: async (world, a, b) => {
      await inStep(world, a, b, beforeBatch);
      await b.stop();
      changeEverything(a);
      await world.quiet();
    },
    victim: 'b',
    act: startAndRest('b'),
    expected: afterBatch,
  },
  'publishes a batch': {
    before: async (world, a, b) => {
      await inStep(world, a, b, beforeBatch);
      await b.stop();
      changeEverything(b);
    },
    victim: 'b',
    act: startAndRest('b'),
    expected: afterBatch,
  },
  merges: {
    before: async (world, a, b) => {
      await inStep(world, a, b, { 'a.txt': lines, 'dir/b.txt': lines });
      await b.stop();
      write(a, { 'a.txt': lines.replace('one', 'ONE'), 'dir/b.txt': lines.replace('one', 'ONE') });
      await world.quiet();
      write(b, { 'a.txt': lines.replace('seven', 'SEVEN'), 'dir/b.txt': lines.replace('seven', 'SEVEN') });
    },
    victim: 'b',
    act: startAndRest('b'),
    expected: {
      'a.txt': lines.replace('one', 'ONE').replace('seven', 'SEVEN'),
      'dir/': '',
      'dir/b.txt': lines.replace('one', 'ONE').replace('seven', 'SEVEN'),
    },
  },
  'keeps both': {
    before: async (world, a, b) => {
      await inStep(world, a, b, { 'a.txt': 'base\n' });
      await b.stop();
      write(a, { 'a.txt': 'by a\n' });
      await world.quiet();
      write(b, { 'a.txt': 'by b\n' });
    },
    victim: 'b',
    act: startAndRest('b'),
    expected: { 'a.txt': 'by a\n', 'a.conflict.txt': 'by b\n' },
  },
  'keeps both links': {
    before: async (world, a, b) => {
      a.user.symlink('link', 'base');
      await inStep(world, a, b, { base: 'base\n' });
      await b.stop();
      a.user.remove('link');
      a.user.symlink('link', 'by-a');
      await world.quiet();
      b.user.remove('link');
      b.user.symlink('link', 'by-b');
    },
    victim: 'b',
    act: startAndRest('b'),
    expected: { base: 'base\n', link: '-> by-a', 'link.conflict': '-> by-b' },
  },
  'takes a path out of the room': {
    before: async (world, a, b) => {
      await inStep(world, a, b, { '.driftlessignore': 'secret.env\n', 'build/out': 'x\n' });
      write(a, { 'secret.env': 'KEY OF A\n' });
      write(b, { 'secret.env': 'KEY OF B\n' });
      await world.quiet();
    },
    victim: 'a',
    act: async (world, a) => {
      if (a.isDead) a.start();
      await atRestOrDead(world, a);
      // Who was refused, or was not answered and still sees it in the room, asks again.
      while (!a.isDead && liveEntry(a.store.manifest.slot('build' as RelPath)) !== null) {
        let isDone: boolean | undefined;
        void a.peer.untrack('build').then(
          ({ ok }) => {
            isDone = ok;
          },
          () => {
            isDone = false;
          },
        );
        await world.until('an answer or death', () => a.isDead || isDone !== undefined);
        if (isDone === true) break;
      }
      await world.until(
        'gone from the room, or dead',
        () => a.isDead || a.store.manifest.slot('build' as RelPath) === null,
      );
      await atRestOrDead(world, a);
    },
    expected: { '.driftlessignore': 'secret.env\n/build/\n', 'build/': '', 'build/out': 'x\n' },
    own: { a: { 'secret.env': 'KEY OF A\n' }, b: { 'secret.env': 'KEY OF B\n' } },
  },
  'follows a move with an edit of its own': {
    before: async (world, a, b) => {
      await inStep(world, a, b, {
        'dir/one.txt': lines,
        'dir/two.txt': 'two\n',
        'old.txt': lines.replace('one', 'old'),
      });
      await b.stop();
      a.user.rename('dir', 'moved');
      a.user.rename('old.txt', 'new.txt');
      await world.quiet();
      write(b, { 'dir/one.txt': `${lines}edited\n`, 'old.txt': `${lines}edited too\n` });
    },
    victim: 'b',
    act: startAndRest('b'),
    expected: {
      'moved/': '',
      'moved/one.txt': `${lines}edited\n`,
      'moved/two.txt': 'two\n',
      'new.txt': `${lines}edited too\n`,
    },
  },
  'follows a move onto another disk with an edit of its own': {
    before: async (world, a, b) => {
      await inStep(world, a, b, { 'disk/one.txt': lines, 'disk/dir/two.txt': `two\n${lines}`, 'disk/stays': 'x\n' });
      await b.stop();
      b.memory.disk.mount('/folder/disk');
      a.user.rename('disk/one.txt', 'one.txt');
      a.user.rename('disk/dir', 'dir');
      await world.quiet();
      write(b, { 'disk/one.txt': `${lines}edited\n` });
    },
    victim: 'b',
    act: startAndRest('b'),
    expected: {
      'dir/': '',
      'dir/two.txt': `two\n${lines}`,
      'disk/': '',
      'disk/stays': 'x\n',
      'one.txt': `${lines}edited\n`,
    },
  },
  'replaces a large file': {
    before: async (world, a, b) => {
      await inStep(world, a, b, { 'big.bin': large('one'), 'small.txt': 'x\n' });
      await b.stop();
      write(a, { 'big.bin': large('two'), 'small.txt': 'y\n' });
      await world.quiet();
    },
    victim: 'b',
    act: startAndRest('b'),
    expected: { 'big.bin': large('two'), 'small.txt': 'y\n' },
  },
  'sends a large file': {
    before: async (world, a, b) => {
      await inStep(world, a, b, { 'small.txt': 'x\n' });
      await b.stop();
      write(b, { 'big.bin': large('one'), 'small.txt': 'y\n' });
    },
    victim: 'b',
    act: startAndRest('b'),
    expected: { 'big.bin': large('one'), 'small.txt': 'y\n' },
  },
  'joins with content of its own': {
    before: async (world, a, b) => {
      write(a, { 'same.txt': 'same\n', 'a.txt': 'a\n', 'both.txt': 'by a\n', 'dir/x.txt': 'x\n' });
      a.start();
      await world.quiet();
      write(b, { 'same.txt': 'same\n', 'b.txt': 'b\n', 'both.txt': 'by b\n', 'dir/y.txt': 'y\n' });
    },
    victim: 'b',
    act: startAndRest('b'),
    expected: {
      'same.txt': 'same\n',
      'a.txt': 'a\n',
      'b.txt': 'b\n',
      'both.txt': 'by a\n',
      'both.conflict.txt': 'by b\n',
      'dir/': '',
      'dir/x.txt': 'x\n',
      'dir/y.txt': 'y\n',
    },
  },
  'joins again after its state was lost': {
    before: async (world, a, b) => {
      await inStep(world, a, b, {
        'kept.txt': 'kept\n',
        'deleted.txt': 'deleted\n',
        'edited.txt': 'old\n',
        'dir/deep.txt': 'deep\n',
      });
      await b.stop();
      a.user.remove('deleted.txt');
      write(a, { 'edited.txt': 'new\n' });
      await world.quiet();
      b.loseState();
      write(b, { 'mine.txt': 'mine\n' });
    },
    victim: 'b',
    act: startAndRest('b'),
    expected: {
      'kept.txt': 'kept\n',
      'edited.txt': 'new\n',
      'mine.txt': 'mine\n',
      'dir/': '',
      'dir/deep.txt': 'deep\n',
    },
  },
};

/** Where the disk is changed a power cut differs from a kill. */
const isOnDisk = (name: string): boolean => /applies|merges|keeps|follows|replaces|joins with|takes/.test(name);
/** What replaces a file that room and disk agree on: nothing but the journal would bring it back. */
const isAtRest = (name: string): boolean => /takes a path out|answers a conflict/.test(name);
for (const how of ['kill', 'power-cut', 'disk-ahead'] as const) {
  const isTried = { kill: () => true, 'power-cut': isOnDisk, 'disk-ahead': isAtRest }[how];
  test.each(Object.entries(cases).filter(([name]) => isTried(name)))(
    `${how}: a peer that %s`,
    async (_name, crashCase) => {
      expect(await crashEverywhere(crashCase, how)).toBeGreaterThan(5);
    },
  );
}

/** One change fails and the process goes on: the disk says EIO, or the state store has no room (D2, D10). */
test.each(Object.entries(cases).filter(([name]) => /applies|publishes|merges|keeps|joins with|takes/.test(name)))(
  'a failure at any change: a peer that %s',
  async (_name, crashCase) => {
    for (let n = 1; ; n += 2) {
      const world = createSmallWorld();
      const a = world.person('a');
      const b = world.person('b');
      try {
        await crashCase.before(world, a, b);
        const victim = crashCase.victim === 'a' ? a : b;
        victim.failAt(n);
        await crashCase.act(world, a, b);
        if (!victim.hasFailed) {
          expect(n).toBeGreaterThan(5);
          return;
        }
        await check(world, [a, b], crashCase);
      } catch (error) {
        throw new Error(
          `failure at change ${n}: ${b.trace.slice(-60).join(' · ')}\n${JSON.stringify(b.events.slice(-12))}\n${error instanceof Error ? error.message : String(error)}`,
          { cause: error },
        );
      } finally {
        await world.close();
      }
    }
  },
);

const resolutions: readonly (readonly ['a' | 'b', Keep, { readonly main: 'a' | 'b'; readonly copy?: 'b' }])[] = [
  ['b', 'mine', { main: 'b' }],
  ['b', 'theirs', { main: 'a' }],
  ['b', 'both', { main: 'a', copy: 'b' }],
  ['a', 'mine', { main: 'a' }],
  ['a', 'theirs', { main: 'b' }],
  ['a', 'both', { main: 'a', copy: 'b' }],
];
/** What the two sides made of one name, and how a tree shows it. */
const sides = {
  files: {
    make: ({ user }: Person, by: string) => user.write('a.txt', `by ${by}\n`),
    shown: (by: string) => `by ${by}\n`,
  },
  links: {
    make: ({ user }: Person, by: string) => {
      if (user.read('a.txt') !== undefined || 'a.txt' in user.tree()) user.remove('a.txt');
      user.symlink('a.txt', `by-${by}`);
    },
    shown: (by: string) => `-> by-${by}`,
  },
} as const;
test.each(
  (['files', 'links'] as const).flatMap((kind) =>
    resolutions.map(([victim, keep, left]) => [victim, keep, kind, left] as const),
  ),
)('kill: %s, who answers a conflict with %s, of %s', async (victimName, keep, kind, left) => {
  const { make, shown } = sides[kind];
  const died = await crashEverywhere(
    {
      policy: 'ask',
      before: async (world, a, b) => {
        make(a, 'both');
        await inStep(world, a, b, { 'other.txt': 'x\n' });
        await b.stop();
        make(a, 'a');
        await world.quiet();
        make(b, 'b');
        b.start();
        await world.until(
          'the conflict on both',
          () => a.state()?.state === 'conflict' && b.state()?.state === 'conflict',
        );
        await world.quiet();
      },
      victim: victimName,
      act: async (world, a, b) => {
        const victim = victimName === 'a' ? a : b;
        if (victim.isDead) return;
        await world.until(
          'rest or death',
          () => victim.isDead || ['idle', 'conflict'].includes(victim.state()?.state ?? ''),
        );
        // After a crash the answer may be known or not; a person who still sees the conflict answers again.
        if (!victim.isDead) await world.clock.advance(500);
        if (victim.isDead) return;
        if (victim.store.openVariants().length > 0) void victim.peer.resolve('a.txt', keep).catch(() => undefined);
        await world.until(
          'resolved or dead',
          () => victim.isDead || (victim.store.openVariants().length === 0 && victim.state()?.state === 'idle'),
        );
        if (!victim.isDead) await world.quiet();
      },
      expected: {
        'a.txt': shown(left.main),
        ...(left.copy === undefined ? {} : { 'a.conflict.txt': shown(left.copy) }),
        'other.txt': 'x\n',
      },
    },
    'kill',
  );
  expect(died).toBeGreaterThan(3);
});
