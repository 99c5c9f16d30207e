/**
 * What goes on beside the turns of the loop, and what fails in one, hold up nothing else: transfers go on while a turn gives way
 * to a command, a file that is not wanted any more makes way for the next, one conflict does not wait for another, and a peer
 * whose start or whose bookkeeping fails goes on trying.
 */
import { closeCodes, type RelPath } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RequestRefused } from '../../engine/src/ports/room-session.ts';
import { StateStoreError } from '../../engine/src/ports/state-store.ts';
import { noise } from './large-contents.ts';
import { createSmallWorld, type Person, type PersonOptions, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

async function pair(options: PersonOptions = {}): Promise<readonly [Person, Person]> {
  const [a, b] = [world.person('a', options), world.person('b', options)];
  a.user.write('k.txt', '0\n');
  a.user.write('x.txt', '0\n');
  a.user.write('y.txt', '0\n');
  a.start();
  await world.quiet();
  b.start();
  await world.quiet();
  return [a, b];
}
const problemsOf = (person: Person): readonly string[] =>
  person.events.flatMap((event) => (event.event === 'problem' ? [`${event.path}: ${event.reason}`] : []));

describe('a turn that gives way to a command', () => {
  /** From the first request of this kind on, the relay is silent. */
  function silentFrom(request: 'put' | 'get'): () => boolean {
    let isSilent = false;
    world.relay.refuses = (asked) => {
      if (asked === request && !isSilent) {
        isSilent = true;
        world.relay.isSilent = true;
      }
      return undefined;
    };
    return () => isSilent;
  }
  async function cutATurn(person: Person, save: string): Promise<void> {
    person.user.write('x.txt', save);
    await world.clock.advance(200);
    let isAnswered = false;
    void person.peer.resume().then(() => {
      isAnswered = true;
    });
    await world.until('the answer', () => isAnswered, 1_500);
    world.relay.isSilent = false;
    await world.quiet();
  }

  test('does not fail the upload beside it', async () => {
    const [a, b] = await pair();
    const isSilent = silentFrom('put');
    a.user.write('big.bin', noise(1, 1_800_000));
    await world.until('the upload', isSilent);
    const before = world.relay.requests.get('put') ?? 0;
    await cutATurn(a, 'saved\n');
    expect(b.user.read('x.txt')).toBe('saved\n');
    expect(b.user.read('big.bin')?.length).toBe(1_800_000);
    expect(problemsOf(a)).toEqual([]);
    // It went on where it was.
    expect((world.relay.requests.get('put') ?? 0) - before).toBeLessThan(4);
  });

  test('does not fail the download beside it', async () => {
    const [a, b] = await pair();
    const isSilent = silentFrom('get');
    a.user.write('big.bin', noise(1, 1_800_000));
    await world.until('the download', isSilent);
    await cutATurn(b, 'saved\n');
    expect(a.user.read('x.txt')).toBe('saved\n');
    expect(b.user.read('big.bin')?.length).toBe(1_800_000);
    expect(problemsOf(b)).toEqual([]);
  });
});

describe('a large file that is being sent and is not wanted any more makes way for the next', () => {
  const table: readonly (readonly [string, (a: Person) => void, string | undefined])[] = [
    ['it is deleted', (a) => a.user.remove('big.bin'), undefined],
    ['it is another by now', (a) => a.user.replace('big.bin', 'small by now'), 'small by now'],
  ];
  for (const [name, act, after] of table)
    test(name, async () => {
      const [a, b] = await pair();
      const before = world.relay.requests.get('put') ?? 0;
      const puts = (): number => (world.relay.requests.get('put') ?? 0) - before;
      world.relay.refuses = (request) => {
        if (request === 'put' && puts() === 1) world.relay.isSilent = true;
        return undefined;
      };
      a.user.write('big.bin', noise(1, 6_500_000));
      await world.until('its first window is being sent', () => puts() === 1);
      act(a);
      await world.clock.advance(1_000);
      a.user.write('next.bin', noise(2, 1_200_000));
      world.relay.refuses = () => undefined;
      world.relay.isSilent = false;
      await world.quiet();
      expect(b.user.read('big.bin')).toBe(after);
      expect(b.user.read('next.bin')?.length).toBe(1_200_000);
      // Its other windows were not sent.
      expect(puts()).toBeLessThan(4);
      expect(problemsOf(a)).toEqual([]);
    });
});

describe('sides of conflicts', () => {
  const sizesAt = (person: Person): Readonly<Record<string, number>> =>
    Object.fromEntries(
      person.store
        .openVariants()
        .map(({ path, entry }) => [path, entry.kind === 'file' ? entry.content.size : 0] as const)
        .sort(),
    );

  test('a large one, or one that the relay refuses, holds back neither saves nor other conflicts', async () => {
    const [a, b] = await pair({ policy: 'ask' });
    world.relay.goesAway();
    for (const path of ['x.txt', 'y.txt']) {
      a.user.write(path, 'by a\n');
      b.user.write(path, 'by b\n');
    }
    await world.clock.advance(1_000);
    world.relay.returns();
    await world.quiet();
    expect(a.state()).toMatchObject({ state: 'conflict', conflicts: 2 });
    const holder = b.store.heldRows().some(({ hold }) => hold?.variant != null) ? b : a;
    world.relay.refuses = (request) =>
      request === 'put' ? new RequestRefused(closeCodes.overQuota.code, 'for a test') : undefined;
    holder.user.write('x.txt', noise(3, 1_500_000));
    holder.user.write('y.txt', 'once more\n');
    await world.until('the small one', () => sizesAt(a)['y.txt'] === 10 && sizesAt(b)['y.txt'] === 10, 10_000);
    expect(sizesAt(a)).toEqual({ 'x.txt': 5, 'y.txt': 10 });
    world.relay.refuses = () => undefined;
    await world.until('the large one', () => sizesAt(a)['x.txt'] === 1_500_000 && sizesAt(b)['x.txt'] === 1_500_000);
    await world.quiet();
    expect(a.state()).toMatchObject({ state: 'conflict', conflicts: 2 });
  });
});

describe('what fails in the peer itself', () => {
  test('a start that fails is tried again: said, with commands answered meanwhile', async () => {
    const [a, b] = [world.person('a'), world.person('b')];
    a.user.write('k.txt', 'k');
    a.start();
    await world.quiet();
    const { start } = b.watcher;
    let starts = 0;
    b.watcher.start = async (handlers) => {
      starts += 1;
      if (starts < 4) throw new Error('no room to watch');
      return start(handlers);
    };
    b.start();
    await world.until('said', () => b.state()?.code === 'internal');
    expect(b.state()).toMatchObject({ reason: 'sync failed: no room to watch' });
    expect(b.state()).not.toHaveProperty('stopped');
    let isPaused = false;
    void b.peer.pause().then(() => {
      isPaused = true;
    });
    await world.until('the answer', () => isPaused, 100);
    void b.peer.resume();
    await world.quiet();
    expect(b.user.tree()).toEqual(a.user.tree());
    expect(starts).toBe(4);
  });

  test.each([
    ['the state store is full', 'disk-full'],
    ['its own directory cannot be read', 'internal'],
  ])('a start while %s', async (reason, code) => {
    const [a, b] = [world.person('a'), world.person('b')];
    a.user.write('k.txt', 'k');
    b.user.write('mine.txt', 'm');
    a.start();
    await world.quiet();
    const { setSetting } = b.store;
    const isFull = code === 'disk-full';
    if (isFull)
      b.store.setSetting = () => {
        throw new StateStoreError('disk-full', reason);
      };
    b.start();
    if (!isFull) b.folder.addFault({ operation: 'readOwn', code: 'EIO', times: Number.POSITIVE_INFINITY });
    await world.until('said', () => b.state()?.code === code);
    await world.clock.advance(60_000);
    expect(b.state()).toMatchObject({ state: 'error', code });
    let isAnswered = false;
    void b.peer
      .pause()
      .catch(() => undefined)
      .then(() => {
        isAnswered = true;
      });
    await world.until('the answer', () => isAnswered, 1_000);
    b.folder.clearFaults();
    b.store.setSetting = setSetting;
    void b.peer.resume();
    await world.quiet();
    expect(b.user.tree()).toEqual({ 'k.txt': 'k', 'mine.txt': 'm' });
    expect(a.user.tree()).toEqual(b.user.tree());
  });

  test('an upload whose failure cannot be written down ends neither the process nor the uploads behind it', async () => {
    const [a, b] = await pair();
    const { setProblem } = a.store;
    let thrown = 0;
    a.store.setProblem = (path, problem) => {
      if (path === 'big.bin' && problem !== null && thrown === 0) {
        thrown += 1;
        throw new StateStoreError('disk-full', 'no room for the state');
      }
      return setProblem(path, problem);
    };
    let refusals = 0;
    world.relay.refuses = (request) => {
      if (request !== 'put' || refusals > 0) return undefined;
      refusals += 1;
      return new RequestRefused(closeCodes.overQuota.code, 'for a test');
    };
    a.user.write('big.bin', noise(1, 1_200_000));
    a.user.write('next.bin', noise(2, 1_200_000));
    await world.until('it failed', () => thrown === 1);
    await world.until('both', () => b.user.read('big.bin') !== undefined && b.user.read('next.bin') !== undefined);
    await world.quiet();
    expect(a.store.row('big.bin' as RelPath)?.problem ?? null).toBeNull();
  });

  test('a failure that lasts is told once, however often the relay goes away between its tries', async () => {
    const [a] = await pair();
    const { pendingRows } = a.store;
    a.store.pendingRows = () => {
      throw new Error('a value that this program did not write');
    };
    a.user.write('x.txt', 'edited\n');
    await world.until('told', () => a.state()?.code === 'internal');
    for (let round = 0; round < 4; round += 1) {
      world.relay.goesAway();
      await world.clock.advance(40_000);
      expect(a.state()?.state).toBe('offline');
      world.relay.returns();
      await world.until('tried again', () => a.state()?.code === 'internal');
    }
    expect(problemsOf(a)).toEqual([': a value that this program did not write']);
    a.store.pendingRows = pendingRows;
    await world.quiet();
  });
});
