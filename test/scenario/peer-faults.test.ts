/**
 * What a peer does when something hinders it: full disks, refused paths, cut links, answers that come late, folders that empty
 * themselves, conflicts that somebody goes on editing. Nothing is lost, and its state says what is so.
 */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ConfirmAnswer, HoldChoice } from '../../engine/src/control.ts';
import { createHolds } from '../../engine/src/guards/holds.ts';
import { nodeHashing } from '../../engine/src/node/node-hashing.ts';
import { systemError } from '../../engine/src/testing/hooked-disk.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

type Tree = Readonly<Record<string, string>>;

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

const write = (person: Person, files: Tree): void => {
  for (const [path, text] of Object.entries(files)) person.user.write(path, text);
};
const many = (count: number, text: string): Tree =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`d${index % 5}/f${index}.txt`, `${text} ${index}\n`]),
  );
async function pair(
  files: Tree,
  options: Parameters<SmallWorld['person']>[1] = {},
): Promise<readonly [Person, Person]> {
  const a = world.person('a', options);
  const b = world.person('b', options);
  write(a, files);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  return [a, b];
}
/** As `driftless confirm` does while no peer runs. */
const confirmStopped = (person: Person, choice: HoldChoice = {}): ConfirmAnswer =>
  createHolds({ store: person.store, hashing: nodeHashing, clock: world.clock }).confirm(choice);
const equal = (a: Person, b: Person): void => expect(b.user.tree()).toEqual(a.user.tree());
const conflictNames = (person: Person): string[] =>
  Object.keys(person.user.tree()).filter((path) => path.includes('.conflict-'));
/** Hard to compress, cut into many chunks. */
const big = (seed: number, bytes = 3 * 1024 * 1024): string => {
  let state = seed;
  const parts: string[] = [];
  for (let length = 0; length < bytes; length += 8) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    parts.push(state.toString(36).padStart(8, '0').slice(-8));
  }
  return parts.join('');
};
async function openConflict(policy: 'ask' | 'keep-both' = 'ask'): Promise<readonly [Person, Person]> {
  const [a, b] = await pair({ 'a.txt': 'base\n', 'other.txt': 'x\n' }, { policy });
  await b.stop();
  write(a, { 'a.txt': 'by a\n' });
  await world.quiet();
  write(b, { 'a.txt': 'by b\n' });
  b.start();
  if (policy === 'ask') {
    await world.until('conflict', () => a.state()?.state === 'conflict' && b.state()?.state === 'conflict');
    await world.quiet();
  }
  return [a, b];
}

describe('guards', () => {
  test('a folder whose files all went at once halts; nothing is sent; confirmed, they go everywhere', async () => {
    const [a, b] = await pair(many(50, 'x'));
    const before = b.user.tree();
    for (const directory of ['d0', 'd1', 'd2', 'd3', 'd4']) a.user.remove(directory);
    await world.until('halt', () => a.state()?.code === 'root-emptied');
    await world.clock.advance(3_000);
    expect(b.user.tree()).toEqual(before);
    void a.peer.confirm();
    await world.quiet();
    expect(a.user.tree()).toEqual({});
    expect(b.user.tree()).toEqual({});
    expect(b.events.filter((event) => event.event === 'state' && event.state === 'error')).toEqual([]);
  });

  test('the same when a file comes from the room at that moment', async () => {
    const [a, b] = await pair(many(50, 'x'));
    write(b, { 'from-b.txt': 'b\n' });
    const before = b.user.tree();
    for (const directory of ['d0', 'd1', 'd2', 'd3', 'd4']) a.user.remove(directory);
    await world.until('halt', () => a.state()?.code === 'root-emptied');
    expect(a.user.tree()).toEqual({ 'from-b.txt': 'b\n' });
    write(b, { 'another.txt': 'b\n' });
    await world.clock.advance(20_000);
    expect(a.state()?.code).toBe('root-emptied');
    expect(b.user.tree()).toEqual({ ...before, 'another.txt': 'b\n' });
    void a.peer.confirm();
    await world.quiet();
    expect(a.user.tree()).toEqual({ 'from-b.txt': 'b\n', 'another.txt': 'b\n' });
    equal(a, b);
  });

  test('the same when looks see it half done', async () => {
    const [a, b] = await pair(many(50, 'x'));
    const filesOf = (person: Person): string[] =>
      Object.keys(person.user.tree()).filter((path) => path.endsWith('.txt'));
    for (const [index, path] of filesOf(a).entries()) {
      a.user.remove(path);
      if (index % 5 === 0) await world.clock.advance(60);
    }
    await world.until('halt', () => a.state()?.code === 'root-emptied');
    await world.clock.advance(20_000);
    // The first one was a deletion like any other.
    expect(filesOf(b)).toHaveLength(49);
    expect(await a.peer.holds()).toMatchObject([{ kind: 'root', count: 49 }]);
  });

  test('emptied, and copied back slowly: what is still gone stays held', async () => {
    const [a, b] = await pair(many(50, 'x'));
    const before = b.user.tree();
    for (const directory of ['d0', 'd1', 'd2', 'd3', 'd4']) a.user.remove(directory);
    await world.until('halt', () => a.state()?.code === 'root-emptied');
    const files = Object.entries(before).filter(([path]) => path.endsWith('.txt'));
    for (const [path, text] of files.slice(0, 40)) {
      a.user.write(path, text);
      await world.clock.advance(500);
    }
    await world.clock.advance(30_000);
    expect(b.user.tree()).toEqual(before);
    const held = [{ kind: 'root', count: 10, reason: '10 of 50 files in /a are gone' }];
    expect(await a.peer.holds()).toMatchObject(held);
    await a.stop();
    a.start();
    await world.until('halt', () => a.state()?.code === 'root-emptied');
    await world.clock.advance(30_000);
    expect([await a.peer.holds(), b.user.tree()]).toMatchObject([held, before]);
    for (const [path, text] of files.slice(40)) a.user.write(path, text);
    await world.quiet();
    expect(await a.peer.holds()).toEqual([]);
    equal(a, b);
    expect(a.user.tree()).toEqual(before);
  });

  test('emptied of more than the limit: one confirmation is enough', async () => {
    const [a, b] = await pair(many(260, 'x'));
    for (const directory of ['d0', 'd1', 'd2', 'd3', 'd4']) a.user.remove(directory);
    await world.until('halt', () => a.state()?.code === 'root-emptied');
    void a.peer.confirm();
    // What so many deletions are measured against is each machine's own folder: the receiver asks its user too.
    await world.until('asked there', () => b.state()?.code === 'mass-deletion-incoming');
    void b.peer.confirm();
    await world.quiet();
    expect(a.user.tree()).toEqual({});
    expect(b.user.tree()).toEqual({});
  });

  test('a mass deletion is held; brought back, all is well', async () => {
    const [a, b] = await pair({ ...many(400, 'x'), 'keep.txt': 'keep\n' });
    const before = a.user.tree();
    for (const directory of ['d0', 'd1', 'd2', 'd3']) a.user.rename(directory, `../away-${directory}`);
    await world.until('held', () => a.state()?.code === 'mass-deletion-held');
    await world.clock.advance(30_000);
    for (const directory of ['d0', 'd1', 'd2', 'd3']) a.user.rename(`../away-${directory}`, directory);
    await world.quiet();
    expect(a.user.tree()).toEqual(before);
    equal(a, b);
  });

  test('a mass deletion is held; confirmed, it goes through, and the next one is held again', async () => {
    const [a, b] = await pair({ ...many(600, 'x'), 'keep.txt': 'keep\n' });
    for (const directory of ['d0', 'd1', 'd2', 'd3']) a.user.remove(directory);
    await world.until('held', () => a.state()?.code === 'mass-deletion-held');
    // Other work goes on.
    write(a, { 'keep.txt': 'kept\n' });
    await world.until('the edit', () => b.user.read('keep.txt') === 'kept\n');
    expect(Object.keys(b.user.tree()).length).toBe(606);
    void a.peer.confirm();
    await world.until('asked there', () => b.state()?.code === 'mass-deletion-incoming');
    void b.peer.confirm();
    await world.quiet();
    equal(a, b);
    write(a, many(600, 'y'));
    await world.quiet();
    for (const directory of ['d0', 'd1', 'd2', 'd3']) a.user.remove(directory);
    await world.until('held again', () => a.state()?.code === 'mass-deletion-held');
  });

  test('a confirmation with nothing to confirm confirms nothing later', async () => {
    const [a] = await pair({ ...many(400, 'x'), 'keep.txt': 'keep\n' });
    void a.peer.confirm();
    await world.quiet();
    for (const directory of ['d0', 'd1', 'd2', 'd3']) a.user.remove(directory);
    await world.until('held', () => a.state()?.code === 'mass-deletion-held');
  });

  test('files of equal content that only move hold nobody', async () => {
    const files = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`old/f${index}.txt`, 'same\n']));
    const [a, b] = await pair(files);
    for (let index = 0; index < 300; index += 1) a.user.rename(`old/f${index}.txt`, `new/g${index}.txt`);
    a.user.remove('old');
    await world.quiet();
    equal(a, b);
    expect([...a.events, ...b.events].filter((event) => event.event === 'state' && event.state === 'error')).toEqual(
      [],
    );
  });

  test('the folder is away for a moment while hints come: nothing is sent', async () => {
    const [a, b] = await pair(many(30, 'x'));
    const before = b.user.tree();
    a.memory.disk.rename('/folder', '/elsewhere');
    for (const path of Object.keys(before)) a.memory.onHint({ path: path.replace(/\/$/, '') as RelPath, deep: true });
    await world.until('halt', () => a.state()?.code === 'root-missing');
    await world.clock.advance(5_000);
    expect(b.user.tree()).toEqual(before);
    a.memory.disk.rename('/elsewhere', '/folder');
    await world.quiet();
    equal(a, b);
    expect(b.user.tree()).toEqual(before);
  });

  test('another folder in its place halts; confirmed while no peer ran, it is compared as at a join', async () => {
    const [a, b] = await pair({ 'a.txt': 'a\n', 'b.txt': 'b\n' });
    await a.stop();
    a.memory.disk.rename('/folder', '/elsewhere');
    a.memory.disk.makeDirectory('/folder', 0o777);
    write(a, { 'a.txt': 'a\n', 'new.txt': 'new\n' });
    a.start();
    await world.until('halt', () => a.state()?.code === 'root-replaced');
    await a.stop();
    expect(confirmStopped(a)).toMatchObject({ ok: true, holds: [{ kind: 'root', code: 'root-replaced' }] });
    a.start();
    await world.quiet();
    expect(a.user.tree()).toEqual({ 'a.txt': 'a\n', 'b.txt': 'b\n', 'new.txt': 'new\n' });
    equal(a, b);
  });

  test('a confirmed other folder is not the next one: it is asked about again', async () => {
    const [a, b] = await pair({ 'a.txt': 'a\n', 'b.txt': 'b\n' });
    const before = b.user.tree();
    const replaceRoot = (files: Tree): void => {
      a.memory.disk.rename('/folder', `/elsewhere-${Object.keys(files).join('')}`);
      a.memory.disk.makeDirectory('/folder', 0o777);
      write(a, files);
    };
    replaceRoot({ 'one.txt': '1' });
    await world.until('halt', () => a.state()?.code === 'root-replaced');
    await a.stop();
    confirmStopped(a);
    replaceRoot({ 'two.txt': '2' });
    a.start();
    await world.until('halt', () => a.state()?.code === 'root-replaced');
    await world.clock.advance(5_000);
    expect(b.user.tree()).toEqual(before);
  });

  test('a root that was emptied, seen, and not confirmed is still held after a restart', async () => {
    const [a, b] = await pair(many(50, 'x'));
    const before = b.user.tree();
    for (const directory of ['d0', 'd1', 'd2', 'd3', 'd4']) a.user.remove(directory);
    await world.until('halt', () => a.state()?.code === 'root-emptied');
    a.kill();
    a.start();
    await world.until('halt', () => a.state()?.code === 'root-emptied');
    await world.clock.advance(5_000);
    expect(b.user.tree()).toEqual(before);
  });

  test.each(['while no peer runs', 'where nothing is watched'])(
    'what comes back to an emptied folder %s ends it too (D12)',
    async (how) => {
      const files: Record<string, string> = { ...many(20, 'x') };
      for (let index = 0; index < 70; index += 1) files[`top${index}.txt`] = `top ${index}\n`;
      const [a, b] = await pair(files);
      const before = b.user.tree();
      if (how === 'where nothing is watched') {
        a.memory.onHint = () => {};
        a.watcher.refuse('*', 'a network disk');
      }
      for (const path of Object.keys(files)) a.user.remove(path);
      await world.until('halt', () => a.state()?.code === 'root-emptied');
      if (how === 'while no peer runs') await a.stop();
      write(a, files);
      if (how === 'while no peer runs') a.start();
      await world.clock.advance(60_000);
      expect(a.state()?.code).toBeUndefined();
      expect(await a.peer.holds()).toEqual([]);
      expect(a.user.tree()).toEqual(before);
      expect(b.user.tree()).toEqual(before);
    },
  );

  test('what comes back to an emptied folder under other names ends it as well, and is moved in the room', async () => {
    const [a, b] = await pair({ ...many(20, 'x'), 'twin-1.txt': 'twin\n', 'twin-2.txt': 'twin\n' });
    const files = Object.entries(a.user.tree()).filter(([path]) => path.endsWith('.txt'));
    for (const [path] of files) a.user.remove(path);
    await world.until('halt', () => a.state()?.code === 'root-emptied');
    const texts = new Map(files.map(([path]) => [path, b.user.read(path) ?? '']));
    const [last = '', ...others] = [...texts.keys()];
    for (const path of others) a.user.write(`src/${path}`, texts.get(path) ?? '');
    await world.clock.advance(60_000);
    expect(a.state()?.reason).toBe(`1 of ${files.length} files in /a are gone`);
    a.user.write(`src/${last}`, texts.get(last) ?? '');
    await world.quiet();
    expect(await a.peer.holds()).toEqual([]);
    expect(b.user.tree()).toEqual(a.user.tree());
  });

  test('files that went are measured against what was there before, not against newcomers', async () => {
    const [a, b] = await pair(many(400, 'x'));
    for (const directory of ['d0', 'd1', 'd2', 'd3']) a.user.remove(directory);
    for (let index = 0; index < 400; index += 1) a.user.write(`new/n${index}.txt`, `new ${index}`);
    await world.until('held', () => a.state()?.code === 'mass-deletion-held');
    await world.until('the new ones', () => b.user.read('new/n399.txt') === 'new 399');
    await world.clock.advance(20_000);
    expect(a.state()?.code).toBe('mass-deletion-held');
    expect(Object.keys(b.user.tree()).filter((path) => path.startsWith('d') && path.endsWith('.txt')).length).toBe(400);
  });

  test('a confirmation covers what was listed: what goes after it is held on', async () => {
    const [a, b] = await pair(many(500, 'x'));
    for (const directory of ['d0', 'd1', 'd2']) a.user.remove(directory);
    await world.until('held', () => a.state()?.code === 'mass-deletion-held');
    const [first] = await a.peer.holds();
    expect(first).toMatchObject({ kind: 'deletions', direction: 'outgoing', count: 300, author: null });
    a.user.remove('d3');
    let second = first;
    await world.until('another hold', () => {
      void a.peer.holds().then(([hold]) => {
        second = hold;
      });
      return second?.count === 400;
    });
    expect(second?.id).not.toBe(first?.id);
    expect(await a.peer.confirm({ id: first?.id ?? '' })).toMatchObject({ ok: false, holds: [{ id: second?.id }] });
    await world.clock.advance(2_000);
    expect(Object.keys(b.user.tree()).length).toBe(505);
    // Confirmed while no peer runs: what goes before the next start is not covered.
    await a.stop();
    expect(confirmStopped(a)).toMatchObject({ ok: true, holds: [{ count: 400 }] });
    for (let index = 4; index < 254; index += 5) a.user.remove(`d4/f${index}.txt`);
    a.start();
    await world.until('the rest is held', () => a.state()?.code === 'mass-deletion-held');
    expect(await a.peer.holds()).toMatchObject([{ count: 50 }]);
    await world.until('the confirmed ones', () => b.state()?.code === 'mass-deletion-incoming');
    void b.peer.confirm();
    await world.until(
      'there too',
      () => Object.keys(b.user.tree()).filter((path) => path.endsWith('.txt')).length === 100,
    );
  });

  test('a mass deletion that its sender confirmed is asked here once, naming it, and goes on with the rest', async () => {
    const a = world.person('a', { allowMassDelete: true });
    const b = world.person('b');
    write(a, { ...many(400, 'x'), 'keep.txt': 'keep\n' });
    a.start();
    await world.quiet();
    b.start();
    await world.quiet();
    for (const directory of ['d0', 'd1', 'd2', 'd3']) a.user.remove(directory);
    await world.until('held', () => b.state()?.code === 'mass-deletion-incoming' && a.state()?.state === 'idle');
    write(a, { 'keep.txt': 'kept\n' });
    await world.until('the edit', () => b.user.read('keep.txt') === 'kept\n');
    const changes = b.changes;
    await world.clock.advance(20_000);
    expect(b.changes - changes).toBeLessThan(20);
    expect(Object.keys(b.user.tree()).length).toBe(406);
    expect(await b.peer.holds()).toMatchObject([{ kind: 'deletions', direction: 'incoming', count: 320, author: 'a' }]);
    // Also after a restart it is known who did it.
    b.kill();
    b.start();
    await world.until('held', () => b.state()?.code === 'mass-deletion-incoming');
    expect((await b.peer.holds())[0]?.author).toBe('a');
    void b.peer.confirm();
    await world.quiet();
    equal(a, b);
  });

  test('many small deletions of another machine are measured together', async () => {
    const a = world.person('a', { allowMassDelete: true });
    const b = world.person('b');
    write(a, many(400, 'x'));
    a.start();
    await world.quiet();
    b.start();
    await world.quiet();
    for (const directory of ['d0', 'd1', 'd2', 'd3']) {
      a.user.remove(directory);
      await world.clock.advance(2_000);
    }
    await world.until('held', () => b.state()?.code === 'mass-deletion-incoming');
    expect(Object.keys(b.user.tree()).filter((path) => path.endsWith('.txt')).length).toBeGreaterThan(199);
  });

  test('of several holds none is confirmed without saying which', async () => {
    const a = world.person('a');
    const b = world.person('b', { allowMassDelete: true });
    write(a, many(1_000, 'x'));
    a.start();
    await world.quiet();
    b.start();
    await world.quiet();
    await b.stop();
    for (const directory of ['d0', 'd1', 'd2']) a.user.remove(directory);
    await world.until('held', () => a.state()?.code === 'mass-deletion-held');
    b.start();
    for (let index = 0; index < 1_000; index += 1) if (index % 5 > 2) b.user.remove(`d${index % 5}/f${index}.txt`);
    await world.until('both', () => (a.state()?.reason ?? '').includes('1 more held'));
    const refused = await a.peer.confirm();
    expect(refused.ok).toBe(false);
    expect(refused.holds.map(({ direction }) => direction)).toEqual(['outgoing', 'incoming']);
    expect(await a.peer.confirm({ kind: 'deletions' })).toMatchObject({ ok: false });
    expect(await a.peer.confirm({ kind: 'root' })).toMatchObject({ ok: false });
    const incoming = refused.holds[1];
    void a.peer.confirm({ id: incoming?.id ?? '' });
    await world.until(
      'only those',
      () => Object.keys(a.user.tree()).filter((path) => path.endsWith('.txt')).length === 0,
    );
    expect(a.state()?.code).toBe('mass-deletion-held');
    expect(Object.keys(b.user.tree()).filter((path) => path.endsWith('.txt')).length).toBe(600);
  });
});

describe('disk', () => {
  test('a full disk: old version whole, small files go on, and all is well when there is room (D1)', async () => {
    const [a, b] = await pair({ 'big.bin': 'old', 'small.txt': 'old' });
    b.memory.disk.setFreeBytes(20_000);
    write(a, { 'big.bin': big(1, 300_000), 'small.txt': 'new', 'z.txt': 'z' });
    await world.until(
      'disk full, small ones there',
      () => b.state()?.code === 'disk-full' && b.user.read('small.txt') === 'new' && b.user.read('z.txt') === 'z',
    );
    expect(b.user.read('big.bin')).toBe('old');
    write(a, { 'later.txt': 'later' });
    await world.until('later ones too', () => b.user.read('later.txt') === 'later');
    b.memory.disk.setFreeBytes(null);
    await world.quiet();
    equal(a, b);
    expect(b.store.problemRows(10)).toEqual([]);
    expect(await b.folder.stagedNames()).toEqual([]);
  });

  test('a full disk and a large file: nothing half is left lying, and it comes when there is room', async () => {
    const [a, b] = await pair({ 'small.txt': 'old' });
    b.memory.disk.setFreeBytes(1_000_000);
    write(a, { 'big.bin': big(2) });
    await world.until('disk full', () => b.state()?.code === 'disk-full');
    write(a, { 'small.txt': 'new' });
    await world.until('small one', () => b.user.read('small.txt') === 'new');
    b.memory.disk.setFreeBytes(null);
    await world.quiet();
    equal(a, b);
    expect(await b.folder.stagedNames()).toEqual([]);
  });

  test('what the room holds never fills the disk: some room stays, small files go on, and it comes when there is more', async () => {
    const [a, b] = await pair({ 'small.txt': 'old' });
    b.memory.disk.setFreeBytes(4_000_000, 20_000_000);
    write(a, {
      'big.bin': big(4),
      'one.bin': big(5, 900_000),
      'two.bin': big(6, 900_000),
      'three.bin': big(7, 900_000),
      'four.bin': big(8, 900_000),
      'five.bin': big(9, 900_000),
    });
    await world.until('almost full', () => b.state()?.code === 'disk-full');
    write(a, { 'small.txt': 'new' });
    await world.until('small one', () => b.user.read('small.txt') === 'new');
    await world.clock.advance(60_000);
    expect((await b.folder.space('small.txt' as RelPath)).freeBytes).toBeGreaterThanOrEqual(62_500);
    const problems = b.store.problemRows(10).map(({ problem }) => problem?.reason);
    expect(problems).toHaveLength(2);
    expect(problems).toContainEqual(expect.stringMatching(/^Cannot receive "big.bin" .* leaves 976\.6 KiB free\.$/));
    expect(problems).toContain(b.state()?.reason);
    b.memory.disk.setFreeBytes(null);
    await world.quiet();
    equal(a, b);
    expect(b.store.problemRows(10)).toEqual([]);
    expect(await b.folder.stagedNames()).toEqual([]);
  });

  test('on a disk that is almost full saves arrive, and only what is large waits', async () => {
    const [a, b] = await pair({ 'small.txt': 'old' });
    b.memory.disk.setFreeBytes(900_000, 20_000_000);
    write(a, { 'big.bin': big(4), 'small.txt': 'new', 'empty.txt': '' });
    await world.until('small ones', () => b.user.read('small.txt') === 'new' && b.user.read('empty.txt') === '');
    await world.until('said', () => b.state()?.code === 'disk-full');
    expect(b.state()?.reason).toMatch(
      /^Cannot receive "big.bin" \(3\.0 MiB\): its disk has 878\.\d KiB free, and Driftless leaves 976\.6 KiB free\.$/,
    );
    b.memory.disk.setFreeBytes(null);
    await world.quiet();
    equal(a, b);
  });

  test('what does not fit is not fetched, however often it is tried', async () => {
    const [a, b] = await pair({ 'small.txt': 'old' });
    await b.stop();
    b.memory.disk.setFreeBytes(60_000, 20_000_000);
    for (let index = 0; index < 40; index += 1) write(a, { [`${index}.bin`]: big(index, 200_000) });
    write(a, { 'big.bin': big(50) });
    await world.clock.advance(10_000);
    let fetched = 0;
    world.relay.refuses = (request, ids) => {
      if (request === 'get') fetched += ids.length;
      return undefined;
    };
    b.start();
    await world.until('disk full', () => b.state()?.code === 'disk-full');
    await world.clock.advance(600_000);
    expect(b.store.problemRows(100)).toHaveLength(41);
    expect(fetched).toBe(0);
    b.memory.disk.setFreeBytes(null);
    await world.quiet();
    equal(a, b);
  });

  test('a full disk, and the file that needed room is deleted: the error ends', async () => {
    const [a, b] = await pair({ 'small.txt': 'old' });
    b.memory.disk.setFreeBytes(10_000);
    write(a, { 'big.bin': big(3, 300_000) });
    await world.until('disk full', () => b.state()?.code === 'disk-full');
    a.user.remove('big.bin');
    await world.quiet();
    equal(a, b);
  });

  test('one path is refused: it is listed, the others go on, and it is tried again (M8)', async () => {
    const [a, b] = await pair({ 'bad.txt': 'old', 'good.txt': 'old', 'dir/bad.txt': 'old' });
    b.folder.addFault({ operation: 'swapIn', path: 'bad.txt', code: 'EACCES', times: Number.POSITIVE_INFINITY });
    b.folder.addFault({
      operation: 'removeFile',
      path: 'dir/bad.txt',
      code: 'EACCES',
      times: Number.POSITIVE_INFINITY,
    });
    write(a, { 'bad.txt': 'new', 'good.txt': 'new' });
    a.user.remove('dir');
    await world.until('the good one', () => b.user.read('good.txt') === 'new');
    await world.clock.advance(10_000);
    expect(b.store.problemRows(10).map((row) => row.path)).toEqual(['bad.txt', 'dir/bad.txt']);
    expect(b.state()).toMatchObject({ state: 'syncing' });
    expect(b.user.read('bad.txt')).toBe('old');
    expect(b.changes).toBeLessThan(600);
    b.folder.clearFaults();
    await world.quiet();
    equal(a, b);
    expect(b.store.problemRows(10)).toEqual([]);
  });

  test('a large file that cannot be put in its place is put there later', async () => {
    const [a, b] = await pair({ 'big.bin': 'old' });
    b.folder.addFault({ operation: 'swapIn', path: 'big.bin', code: 'EACCES', times: 2 });
    write(a, { 'big.bin': big(4) });
    await world.quiet();
    equal(a, b);
    expect(b.folder.faultsMet).toBe(2);
    expect(await b.folder.stagedNames()).toEqual([]);
  });

  test('a file that cannot be read for a moment when it is sent: nothing stays listed afterwards', async () => {
    const [a, b] = await pair({ 'a.txt': 'old' });
    let opens = 0;
    a.folder.before = ({ operation, path }) => {
      if (operation !== 'openFile' || path !== 'a.txt') return;
      opens += 1;
      // The first look is the scan's, the second the sender's.
      if (opens === 1) a.folder.addFault({ operation: 'openFile', path: 'a.txt', code: 'EIO', from: 2, times: 1 });
    };
    write(a, { 'a.txt': 'new' });
    await world.quiet();
    expect(a.folder.faultsMet).toBe(1);
    expect(a.store.problemRows(10)).toEqual([]);
    equal(a, b);
    const changes = a.changes;
    await world.clock.advance(20_000);
    expect(a.changes - changes).toBeLessThan(20);
  });

  test('a file with a bad sector hinders no other, and goes out when it can be read (D10)', async () => {
    const [a, b] = await pair({ 'a.txt': 'old' });
    let opens = 0;
    a.folder.before = ({ operation, path }) => {
      if (operation !== 'openFile' || path !== 'a.txt') return;
      opens += 1;
      // The scan reads it yet, the sender does not.
      if (opens === 2)
        a.folder.addFault({ operation: 'read', path: 'a.txt', code: 'EIO', times: Number.POSITIVE_INFINITY });
    };
    write(a, { 'a.txt': 'new', 'k.txt': 'k' });
    await world.until('the other', () => b.user.read('k.txt') === 'k', 5_000);
    await world.until('told', () => a.store.problemRows(10).some(({ path }) => path === 'a.txt'));
    await world.clock.advance(10_000);
    expect(a.state()?.code).not.toBe('internal');
    expect(b.user.read('a.txt')).toBe('old');
    a.folder.clearFaults();
    // Where the second reading of a young file met it, it takes no part until the sweep comes by again.
    await world.until('it goes out', () => b.user.read('a.txt') === 'new', 60_000);
    await world.quiet();
    equal(a, b);
    expect(a.store.problemRows(10)).toEqual([]);
  });

  test('a version here that cannot be read is no source for the next one, which arrives all the same (D10)', async () => {
    const [a, b] = await pair({ 'big.bin': big(1) });
    b.folder.addFault({ operation: 'read', path: 'big.bin', code: 'EIO', times: Number.POSITIVE_INFINITY });
    write(a, { 'big.bin': `${big(1)}${big(2)}` });
    await world.until('it', () => b.user.read('big.bin') === a.user.read('big.bin'));
    expect(b.folder.faultsMet).toBeGreaterThan(0);
    b.folder.clearFaults();
    await world.quiet();
    equal(a, b);
  });

  test('an edit in the window between scan and replace is kept (F22)', async () => {
    const [a, b] = await pair({ 'a.txt': 'old\n' });
    b.folder.before = ({ operation, path }) => {
      if (operation === 'swapIn' && path === 'a.txt') {
        b.folder.before = () => {};
        b.user.write('a.txt', 'by b\n');
      }
    };
    write(a, { 'a.txt': 'by a\n' });
    await world.quiet();
    equal(a, b);
    expect(Object.values(b.user.tree()).sort()).toEqual(['by a\n', 'by b\n']);
  });

  test('a folder that cannot be flushed is told, and base does not go ahead', async () => {
    const [a, b] = await pair({ 'a.txt': 'old\n' });
    const before = b.memory.beforeCall;
    let isFlushable = false;
    b.memory.beforeCall = (call) => {
      before(call);
      if (call.operation === 'flushDirectory' && call.path === '/folder' && !isFlushable) throw systemError('EIO');
    };
    write(a, { 'a.txt': 'new\n' });
    await world.until('told', () => b.store.problemRows(5).length === 1);
    await world.clock.advance(5_000);
    expect(b.store.row('a.txt' as RelPath)?.base).not.toEqual(a.store.row('a.txt' as RelPath)?.base);
    isFlushable = true;
    await world.quiet();
    equal(a, b);
    expect(b.store.intents()).toEqual([]);
    expect(b.store.problemRows(5)).toEqual([]);
  });

  test('a trash that cannot be listed stops nobody', async () => {
    const [a, b] = await pair({ 'a.txt': 'old\n' });
    b.folder.addFault({ operation: 'trashItems', code: 'EIO', times: 3 });
    await world.clock.advance(70_000);
    write(a, { 'a.txt': 'new\n' });
    await world.quiet();
    equal(a, b);
    expect(b.folder.faultsMet).toBeGreaterThan(0);
  });

  test('what was replaced leaves the trash after 30 s; what a program still wrote into it comes back (DISK4, F25)', async () => {
    const [a, b] = await pair({ 'a.txt': 'old\n', 'b.txt': 'old b\n' });
    write(a, { 'a.txt': 'new\n', 'b.txt': 'new b\n' });
    await world.quiet();
    const items = await b.folder.trashItems();
    expect(items.length).toBe(2);
    const item = b.store.trash().find((row) => row.path === 'b.txt');
    b.memory.disk.userWrite(`/folder/.driftless/trash/${item?.name ?? ''}`, new TextEncoder().encode('written late\n'));
    await world.clock.advance(120_000);
    await world.quiet();
    expect(await b.folder.trashItems()).toEqual([]);
    expect(b.store.trash()).toEqual([]);
    equal(a, b);
    expect(conflictNames(a).map((name) => a.user.read(name))).toEqual(['written late\n']);
  });
});

describe('large contents', () => {
  test('the room goes on while one is under way: nothing is left of it', async () => {
    const [a, b] = await pair({ 'x.txt': 'x' });
    for (let round = 0; round < 4; round += 1) {
      write(a, { 'big.bin': big(10 + round), [`n${round}.txt`]: 'n' });
      await world.until('it is at the relay', () => a.state()?.state === 'idle');
    }
    a.user.remove('big.bin');
    await world.quiet();
    equal(a, b);
    expect(await b.folder.stagedNames()).toEqual([]);
  });

  test('it is edited here between the download and its place: both are kept', async () => {
    const [a, b] = await pair({ 'big.bin': big(20) });
    b.folder.before = ({ operation, path }) => {
      if (operation === 'swapIn' && path === 'big.bin') {
        b.folder.before = () => {};
        b.user.write('big.bin', 'by b');
      }
    };
    write(a, { 'big.bin': big(21) });
    await world.quiet();
    equal(a, b);
    expect(
      Object.values(a.user.tree())
        .map((text) => text.length)
        .sort(),
    ).toEqual([4, big(21).length].sort());
    expect(await b.folder.stagedNames()).toEqual([]);
  });

  test('the link is cut again and again on the way', async () => {
    const [a, b] = await pair({ 'x.txt': 'x' });
    write(a, { 'big.bin': big(30), 'small.txt': 'small' });
    for (let round = 0; round < 10; round += 1) {
      for (let turn = 0; turn < 3 + round; turn += 1) await world.clock.settle();
      await world.clock.advance(5);
      world.relay.cut();
    }
    await world.quiet();
    equal(a, b);
    expect(await b.folder.stagedNames()).toEqual([]);
  });

  test('it changes while it is sent', async () => {
    const [a, b] = await pair({ 'x.txt': 'x' });
    write(a, { 'big.bin': big(40) });
    await world.until('it is being sent', () => a.trace.some((what) => what.startsWith('relay.put')));
    write(a, { 'big.bin': big(41) });
    await world.quiet();
    equal(a, b);
    expect(b.user.read('big.bin')).toBe(big(41));
  });

  test('paused: nothing is sent or received beside the loop either', async () => {
    const [a, b] = await pair({ 'x.txt': 'x' });
    void a.peer.pause();
    await world.until('paused', () => a.state()?.state === 'paused');
    write(a, { 'big.bin': big(50), 'small.txt': 'small' });
    await world.clock.advance(3_000);
    expect(Object.keys(b.user.tree())).toEqual(['x.txt']);
    void a.peer.resume();
    await world.quiet();
    equal(a, b);
  });

  test('small saves go on overtake it, and it arrives under steady saves', async () => {
    const [a, b] = await pair({ 'x.txt': 'x' });
    write(a, { 'big.bin': big(60) });
    for (let round = 0; round < 40; round += 1) {
      write(a, { 'x.txt': `x ${round}` });
      await world.clock.advance(120);
    }
    await world.until('it is there', () => b.user.read('big.bin') === big(60), 5_000);
    await world.quiet();
    equal(a, b);
  });
});

describe('links', () => {
  test('an acknowledgement is lost, and the file is edited again: no conflict with oneself (SENT, OWN)', async () => {
    const [a, b] = await pair({ 'a.txt': 'one\n' });
    const appends = world.relay.appends;
    write(a, { 'a.txt': 'two\n' });
    for (let turn = 0; world.relay.appends === appends && turn < 10_000; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      if (turn % 20 === 19) await world.clock.advance(1);
    }
    write(a, { 'a.txt': 'three\n' });
    world.relay.cut();
    await world.quiet();
    equal(a, b);
    expect(a.user.tree()).toEqual({ 'a.txt': 'three\n' });
  });

  test('links are cut at every moment while both write', async () => {
    const [a, b] = await pair({ 'a.txt': 'one\n', 'b.txt': 'one\n' });
    for (let round = 0; round < 60; round += 1) {
      write(a, { 'a.txt': `a ${round}\n` });
      write(b, { 'b.txt': `b ${round}\n` });
      for (let turn = 0; turn < round % 13; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      await world.clock.advance(round % 17);
      world.relay.cut();
    }
    await world.quiet();
    expect(a.user.tree()).toEqual({ 'a.txt': 'a 59\n', 'b.txt': 'b 59\n' });
    equal(a, b);
  });

  test('who applied what is told: the author', async () => {
    const [a, b] = await pair({ 'a.txt': 'one\n' });
    write(a, { 'a.txt': 'two\n' });
    await world.quiet();
    expect(b.events.filter((event) => event.event === 'applied').at(-1)).toMatchObject({ path: 'a.txt', by: 'a' });
    expect((await b.peer.status()).lastChange).toMatchObject({ path: 'a.txt', by: 'a' });
    expect((await a.peer.status()).lastChange).toMatchObject({ path: 'a.txt', by: 'a' });
  });

  test('what a killed run had still sent about itself is no second machine', async () => {
    const [a, b] = await pair({ 'a.txt': 'one\n' });
    for (let round = 0; round < 3; round += 1) {
      a.kill();
      a.start();
      await world.quiet();
    }
    equal(a, b);
    expect(a.events.filter((event) => event.event === 'state' && event.state === 'error')).toEqual([]);
  });
});

describe('state from before', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'driftless-state-'));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  test('a state store restored from a backup: no deletion, no conflict with oneself, no old version comes back (P11, OWN)', async () => {
    const a = world.person('a');
    const b = world.person('b', { stateFile: path.join(directory, 'state.db') });
    write(a, { 'a.txt': 'a1\n', 'b.txt': 'b1\n', 'gone.txt': 'gone\n', 'old/name.txt': 'n\n' });
    a.start();
    await world.quiet();
    b.start();
    await world.quiet();
    await b.stop();
    b.withStateFile((file) => copyFileSync(file, `${file}.backup`));
    b.start();
    await world.quiet();
    write(a, { 'a.txt': 'a2\n', 'new.txt': 'new\n' });
    await world.quiet();
    write(b, { 'b.txt': 'b2\n', 'own.txt': 'own\n' });
    b.user.remove('gone.txt');
    b.user.rename('old', 'fresh');
    await world.quiet();
    write(b, { 'b.txt': 'b3\n', 'own.txt': 'own 2\n' });
    await world.quiet();
    const before = a.user.tree();
    await b.stop();
    b.withStateFile((file) => {
      for (const suffix of ['-wal', '-shm']) rmSync(file + suffix, { force: true });
      copyFileSync(`${file}.backup`, file);
    });
    b.start();
    await world.quiet();
    expect(b.user.tree()).toEqual(before);
    equal(a, b);
  });
});

describe('conflicts', () => {
  test('the held file is edited again: the newest content stays here and is the open side', async () => {
    const [a, b] = await openConflict();
    write(b, { 'a.txt': 'by b, again\n' });
    await world.quiet();
    expect(b.user.read('a.txt')).toBe('by b, again\n');
    expect(b.state()?.state).toBe('conflict');
    void b.peer.resolve('a.txt', 'both');
    await world.until('resolved', () => a.state()?.state === 'idle' && b.state()?.state === 'idle');
    await world.quiet();
    equal(a, b);
    expect(Object.values(a.user.tree()).sort()).toEqual(['by a\n', 'by b, again\n', 'x\n']);
  });

  test('the held file is deleted: the room has the path again', async () => {
    const [a, b] = await openConflict();
    b.user.remove('a.txt');
    await world.until('resolved', () => a.state()?.state === 'idle' && b.state()?.state === 'idle');
    await world.quiet();
    equal(a, b);
    expect(a.user.read('a.txt')).toBe('by a\n');
  });

  test('the held file becomes what the room has', async () => {
    const [a, b] = await openConflict();
    write(b, { 'a.txt': 'by a\n' });
    await world.until('resolved', () => a.state()?.state === 'idle' && b.state()?.state === 'idle');
    await world.quiet();
    equal(a, b);
  });

  test('the other side goes on editing while it is open, then answers theirs: its last edit is in the room', async () => {
    const [a, b] = await openConflict();
    write(a, { 'a.txt': 'by a, again\n' });
    void a.peer.resolve('a.txt', 'theirs');
    await world.until('resolved', () => a.state()?.state === 'idle' && b.state()?.state === 'idle');
    await world.quiet();
    equal(a, b);
    const digestKnown = a.user.read('a.txt');
    expect(['by b\n', 'by a, again\n']).toContain(digestKnown);
    expect(a.store.trash().filter((item) => !item.inRecord)).toEqual([]);
  });

  test('both answer at once', async () => {
    for (const [one, two] of [
      ['mine', 'mine'],
      ['theirs', 'theirs'],
      ['mine', 'theirs'],
      ['both', 'theirs'],
      ['both', 'both'],
    ] as const) {
      const [a, b] = await openConflict();
      void a.peer.resolve('a.txt', one);
      void b.peer.resolve('a.txt', two);
      await world.until('resolved', () => a.state()?.state === 'idle' && b.state()?.state === 'idle');
      await world.quiet();
      equal(a, b);
      await world.close();
      world = createSmallWorld();
    }
  });

  test('the room deletes the path while it is held', async () => {
    const [a, b] = await openConflict();
    a.user.remove('a.txt');
    await world.quiet();
    expect(b.user.read('a.txt')).toBe('by b\n');
    void b.peer.resolve('a.txt', 'mine');
    await world.until('resolved', () => a.state()?.state === 'idle' && b.state()?.state === 'idle');
    await world.quiet();
    equal(a, b);
    expect(a.user.read('a.txt')).toBe('by b\n');
  });

  test('state lost while a conflict is open: it is adopted, and ends', async () => {
    const [a, b] = await openConflict();
    await b.stop();
    b.loseState();
    b.start();
    await world.quiet();
    expect(b.user.read('a.txt')).toBe('by b\n');
    expect(b.store.openVariants().length).toBe(1);
    void b.peer.resolve('a.txt', 'both');
    await world.until('resolved', () => a.state()?.state === 'idle' && b.state()?.state === 'idle');
    await world.quiet();
    equal(a, b);
    expect(Object.values(a.user.tree()).sort()).toEqual(['by a\n', 'by b\n', 'x\n']);
  });

  test('an answer that cannot be carried out is listed, tried again, and then done', async () => {
    const [a, b] = await openConflict();
    b.memory.disk.setFreeBytes(0);
    void b.peer.resolve('a.txt', 'both');
    await world.until('listed', () => b.store.problemRows(10).length > 0);
    expect(b.user.read('a.txt')).toBe('by b\n');
    b.memory.disk.setFreeBytes(null);
    await world.until('resolved', () => a.state()?.state === 'idle' && b.state()?.state === 'idle');
    await world.quiet();
    equal(a, b);
    expect(b.store.problemRows(10)).toEqual([]);
  });

  test('counts: open conflicts, not copies', async () => {
    const [a, b] = await openConflict();
    expect(a.state()).toMatchObject({ state: 'conflict', conflicts: 1, pending: 0 });
    expect(b.state()).toMatchObject({ state: 'conflict', conflicts: 1, pending: 0 });
  });
});

describe('scope', () => {
  test('untrack: the path leaves the room and stays on every disk, also on one that was away (IG1)', async () => {
    const [a, b] = await pair({ 'kept.txt': 'k', 'secret.env': 's', 'build/one.o': '1', 'build/two.o': '2' });
    const c = world.person('c');
    c.start();
    await world.quiet();
    await c.stop();
    void a.peer.untrack('secret.env');
    void a.peer.untrack('build');
    await world.until(
      'out of the room',
      () =>
        a.store.manifest.slot('secret.env' as RelPath) === null &&
        a.store.manifest.slot('build/one.o' as RelPath) === null,
    );
    await world.quiet();
    c.start();
    await world.quiet();
    for (const one of [a, b, c]) {
      expect(one.user.tree()).toEqual({
        '.driftlessignore': a.user.read('.driftlessignore'),
        'kept.txt': 'k',
        'secret.env': 's',
        'build/': '',
        'build/one.o': '1',
        'build/two.o': '2',
      });
      expect(one.store.manifest.slot('build/two.o' as RelPath)).toBeNull();
    }
    // It takes no part any more.
    write(a, { 'secret.env': 'changed' });
    await world.quiet();
    expect(b.user.read('secret.env')).toBe('s');
  });

  test('untrack, and the receiver has ignore rules of its own: both hold, and its file stays', async () => {
    const [a, b] = await pair({ 'kept.txt': 'k', 'secret.env': 's' }, { policy: 'ask' });
    await b.stop();
    write(b, { '.driftlessignore': '# mine\n' });
    void a.peer.untrack('secret.env');
    await world.until('out of the room', () => a.store.manifest.slot('secret.env' as RelPath) === null);
    b.start();
    await world.quiet();
    expect(b.user.read('.driftlessignore')).toBe('# mine\n/secret.env\n');
    expect(b.user.read('secret.env')).toBe('s');
    expect(a.user.read('secret.env')).toBe('s');
    expect(a.store.manifest.slot('secret.env' as RelPath)).toBeNull();
  });

  test('a directory that only ignored things keep is not revived', async () => {
    const [a, b] = await pair({ 'pkg/index.js': 'i', 'x.txt': 'x' });
    write(b, { 'pkg/node_modules/lib/a.js': 'a' });
    await world.quiet();
    a.user.remove('pkg');
    await world.quiet();
    expect(a.user.tree()).toEqual({ 'x.txt': 'x' });
    expect(b.user.tree()).toEqual({
      'x.txt': 'x',
      'pkg/': '',
      'pkg/node_modules/': '',
      'pkg/node_modules/lib/': '',
      'pkg/node_modules/lib/a.js': 'a',
    });
    write(b, { 'pkg/new.js': 'n' });
    await world.quiet();
    expect(a.user.tree()).toEqual({ 'x.txt': 'x', 'pkg/': '', 'pkg/new.js': 'n' });
  });

  test('ignored, edited on both sides, and back in scope: both are kept (IG2)', async () => {
    const [a, b] = await pair({ 'x.log': 'one\n', 'x.txt': 'x' });
    write(b, { '.gitignore': '*.log\n' });
    await world.quiet();
    write(a, { 'x.log': 'by a\n' });
    write(b, { 'x.log': 'by b\n' });
    await world.quiet();
    expect(a.user.read('x.log')).toBe('by a\n');
    expect(b.user.read('x.log')).toBe('by b\n');
    b.user.remove('.gitignore');
    await world.quiet();
    equal(a, b);
    expect(Object.values(a.user.tree()).sort()).toEqual(['by a\n', 'by b\n', 'one\n', 'x']);
  });
});
