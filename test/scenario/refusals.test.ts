/**
 * A relay that refuses: by a quota, a full disk, a store that fails, one chunk that it cannot read. Each refusal is a state with a
 * reason and a next step, costs little while it lasts, holds back only what it concerns, and ends by itself (rule REFUSED).
 */
import { closeCodes } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RequestRefused } from '../../engine/src/ports/room-session.ts';
import { noise } from './large-contents.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

async function pair(files: Readonly<Record<string, string>>): Promise<readonly [Person, Person]> {
  const [a, b] = [world.person('a'), world.person('b')];
  for (const [path, text] of Object.entries(files)) a.user.write(path, text);
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  return [a, b];
}
const asked = (): number => [...world.relay.requests.values()].reduce((sum, count) => sum + count, 0);
const full = {
  state: 'error',
  code: 'relay-full',
  reason: expect.stringContaining('no room left'),
  next: expect.stringContaining('quota'),
};
const refusal = (name: keyof typeof closeCodes): RequestRefused =>
  new RequestRefused(closeCodes[name].code, 'for a test');

describe('a full relay', () => {
  test('a large file waits with a reason, small saves go on, nothing is asked in a loop, and room ends it', async () => {
    const [a, b] = await pair({ 'k.txt': 'k' });
    world.relay.quotas.roomBytesMax = 500_000;
    const big = noise(1, 1_500_000);
    a.user.write('big.bin', big);
    await world.until('said', () => a.state()?.code === 'relay-full');
    expect(a.state()).toMatchObject(full);
    a.user.write('small.txt', 'small');
    await world.until('the small save', () => b.user.read('small.txt') === 'small');
    expect(a.state()).toMatchObject(full);
    await world.clock.advance(60_000);
    const before = asked();
    await world.clock.advance(120_000);
    // Twice a minute and a few each; presence is no request.
    expect(asked() - before).toBeLessThan(30);
    expect(a.events.filter((event) => event.event === 'problem').length).toBeLessThan(4);
    world.relay.quotas.roomBytesMax = 100_000_000;
    await world.until('room', () => b.user.read('big.bin') === big, 60_000);
    await world.quiet();
    expect(a.store.problemRows(9)).toEqual([]);
  });

  test('of many files the smallest go first, the others wait together', async () => {
    const [a, b] = await pair({ 'k.txt': 'k' });
    world.relay.quotas.roomBytesMax = 150_000;
    for (let index = 0; index < 12; index += 1) a.user.write(`d/f${index}.bin`, noise(index, 50_000));
    a.user.write('d/z.txt', 'z');
    a.user.remove('k.txt');
    await world.until('said', () => a.state()?.code === 'relay-full');
    await world.until('the smallest', () => b.user.read('d/z.txt') === 'z', 90_000);
    await world.clock.advance(60_000);
    const before = asked();
    await world.clock.advance(120_000);
    expect(asked() - before).toBeLessThan(40);
    expect(a.state()).toMatchObject(full);
    world.relay.quotas.roomBytesMax = 100_000_000;
    await world.until('room', () => a.state()?.state === 'idle', 60_000);
    await world.quiet();
    expect(b.user.tree()).toEqual(a.user.tree());
    expect(Object.keys(b.user.tree())).not.toContain('k.txt');
  });

  test('the file that does not fit is deleted, or becomes small: the state ends at once', async () => {
    const [a, b] = await pair({ 'k.txt': 'k' });
    world.relay.quotas.roomBytesMax = 500_000;
    for (const path of ['one.bin', 'two.bin']) a.user.write(path, noise(2, 1_500_000));
    await world.until('said', () => a.state()?.code === 'relay-full');
    a.user.remove('one.bin');
    a.user.write('two.bin', 'small by now');
    await world.until('idle', () => a.state()?.state === 'idle', 5_000);
    await world.quiet();
    expect(b.user.tree()).toEqual({ 'k.txt': 'k', 'two.bin': 'small by now' });
  });
});

test('what another machine did meanwhile is refused no more: the close of a conflict', async () => {
  const [a, b] = [world.person('a', { policy: 'ask' }), world.person('b', { policy: 'ask' })];
  a.user.write('x.txt', '0');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  world.relay.goesAway();
  a.user.write('x.txt', 'by a');
  b.user.write('x.txt', 'by b');
  await world.clock.advance(1_000);
  world.relay.returns();
  await world.quiet();
  world.relay.refuses = (request) => (request === 'append' ? refusal('overQuota') : undefined);
  void a.peer.resolve('x.txt', 'both');
  await world.until('said', () => a.state()?.code === 'relay-full');
  world.relay.refuses = () => undefined;
  void b.peer.resolve('x.txt', 'mine');
  await world.until('resolved there', () => b.store.openVariants().length === 0, 400);
  await world.quiet();
  expect(a.state()?.state).toBe('idle');
});

describe('a relay that fails', () => {
  test('appends that it cannot store: said, not remembered for ever, and sent when it can', async () => {
    const [a, b] = await pair({ 'k.txt': 'k' });
    world.relay.refuses = (request) => (request === 'append' ? refusal('storeFailed') : undefined);
    a.user.write('k.txt', 'new');
    await world.until('said', () => a.state()?.code === 'relay-failed');
    await world.clock.advance(120_000);
    const before = asked();
    await world.clock.advance(120_000);
    expect(asked() - before).toBeLessThan(40);
    expect(a.store.allSent().length).toBeLessThan(2);
    expect(a.state()).toMatchObject({ state: 'error', code: 'relay-failed', next: expect.stringContaining('log') });
    world.relay.refuses = () => undefined;
    await world.until('sent', () => b.user.read('k.txt') === 'new', 60_000);
    await world.quiet();
  });

  test('a log that it cannot read: said, and read when it can', async () => {
    const [a, b] = await pair({ 'k.txt': 'k' });
    await b.stop();
    a.user.write('k.txt', 'new');
    await world.quiet();
    world.relay.refuses = (request) => (request === 'fetchRecords' ? refusal('overLimit') : undefined);
    b.start();
    await world.until('said', () => b.state()?.code === 'relay-busy');
    const before = asked();
    await world.clock.advance(120_000);
    expect(asked() - before).toBeLessThan(60);
    world.relay.refuses = () => undefined;
    await world.until('read', () => b.user.read('k.txt') === 'new', 60_000);
    await world.quiet();
  });

  test.each([
    ['small files', 3_000],
    ['large files', 1_200_000],
  ])('one chunk that it cannot read fails one path only: %s', async (_, bytes) => {
    const [a, b] = await pair({ 'k.txt': 'k' });
    const lost = new Set<string>();
    world.relay.refuses = (request, ids) =>
      request === 'get' && ids.some((id) => lost.has(id)) ? refusal('storeFailed') : undefined;
    await b.stop();
    for (const path of ['bad.bin', 'good.bin', 'other.bin']) a.user.write(path, noise(path.length, bytes));
    await world.quiet();
    const slot = a.store.row('bad.bin' as never)?.remote;
    const content = slot?.kind === 'file' ? slot.content : undefined;
    for (const id of content?.refs.ids ?? []) lost.add(id);
    b.start();
    await world.until(
      'the others',
      () => b.user.read('other.bin') !== undefined && b.user.read('good.bin') !== undefined,
    );
    await world.until('said', () => b.state()?.code === 'relay-failed');
    expect(b.store.problemRows(9).map((row) => row.path)).toEqual(['bad.bin']);
    const before = asked();
    await world.clock.advance(120_000);
    expect(asked() - before).toBeLessThan(60);
    lost.clear();
    await world.until('all', () => b.user.read('bad.bin') !== undefined, 90_000);
    await world.quiet();
    expect(b.user.tree()).toEqual(a.user.tree());
  });

  test('the requests that it refused before a cut are asked again at once in the next session', async () => {
    const [a, b] = await pair({ 'k.txt': 'k' });
    world.relay.quotas.roomBytesMax = 100_000;
    a.user.write('big.bin', noise(3, 2_000_000));
    await world.until('said', () => a.state()?.code === 'relay-full');
    await world.clock.advance(120_000);
    world.relay.quotas.roomBytesMax = 100_000_000;
    world.relay.cut();
    await world.until('there', () => b.user.read('big.bin') !== undefined, 1_000);
    await world.quiet();
  });
});

describe('one path that fails for ever', () => {
  test('stops neither checkpoints nor the rest of its room', async () => {
    const [a, b] = await pair({ 'k.txt': 'k' });
    b.folder.addFault({ operation: 'swapIn', path: 'bad.txt', code: 'EACCES', times: Number.POSITIVE_INFINITY });
    a.user.write('bad.txt', 'bad');
    await world.until('it fails', () => b.store.problemRows(9).length === 1);
    Object.assign(b.store, { bytesSinceCheckpoint: () => ({ bytes: 2 ** 30, records: 1 }) });
    b.user.write('good.txt', 'good');
    await world.until('the rest', () => a.user.read('good.txt') === 'good');
    await world.until('a checkpoint', () => (world.relay.requests.get('putCheckpoint') ?? 0) > 0, 120_000);
    expect(b.store.problemRows(9).map((row) => row.path)).toEqual(['bad.txt']);
  });

  test('an ignore file that cannot be placed holds back only what it may leave out', async () => {
    const [a, b] = await pair({ 'd/k.txt': 'k', 'k.txt': 'k' });
    b.folder.addFault({ operation: 'swapIn', path: 'd/.gitignore', code: 'EACCES', times: Number.POSITIVE_INFINITY });
    a.user.write('d/.gitignore', 'secret.txt\n');
    await world.until('it fails', () => b.store.problemRows(9).length === 1);
    b.user.write('d/secret.txt', 'secret');
    b.user.write('d/k.txt', 'edited');
    b.user.write('other.txt', 'other');
    a.user.write('k.txt', 'new');
    await world.until('the rest', () => a.user.read('other.txt') === 'other' && a.user.read('d/k.txt') === 'edited');
    await world.until('both ways', () => b.user.read('k.txt') === 'new');
    await world.clock.advance(30_000);
    expect(a.user.read('d/secret.txt')).toBeUndefined();
    b.folder.clearFaults();
    await world.quiet();
    expect(a.user.read('d/secret.txt')).toBeUndefined();
    expect(b.user.read('d/.gitignore')).toBe('secret.txt\n');
  });
});
