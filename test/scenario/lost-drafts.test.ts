/** What the relay lets go of between the upload and the record that names it is made again, whatever it stands for (rule GC5). */
import type { ChunkId } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { noise } from './large-contents.ts';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

const problemsOf = (person: Person): readonly string[] =>
  person.events.flatMap((event) => (event.event === 'problem' ? [`${event.path}: ${event.reason}`] : []));
const saidCodes = (person: Person): readonly string[] =>
  person.events.flatMap((event) => (event.event === 'state' && event.code !== undefined ? [event.code] : []));

/** At each of the first `times` appends that follow an upload, what was uploaded so far is gone. Returns how often that was. */
function losesUploads(times: number, then: () => void = () => {}): () => number {
  const uploaded = new Set<ChunkId>();
  let lost = 0;
  world.relay.refuses = (request, ids) => {
    if (request === 'put') for (const id of ids) uploaded.add(id);
    if (request === 'append' && uploaded.size > 0 && lost < times) {
      lost += 1;
      for (const id of uploaded) world.relay.lost.add(id);
      then();
    }
    return undefined;
  };
  return () => lost;
}

describe('chunks that the relay let go of before their record came', () => {
  test('a large file: made again, a part at a time', async () => {
    const [a, b] = [world.person('a'), world.person('b')];
    a.start();
    b.start();
    await world.quiet();
    const lost = losesUploads(1);
    const content = noise(1, 4_500_000);
    a.user.write('big.bin', content);
    await world.until('it is there', () => b.user.read('big.bin') === content);
    await world.quiet();
    expect(lost()).toBe(1);
    expect(world.relay.largestPutBytes).toBeLessThan(2_700_000);
    expect(problemsOf(a)).toEqual([]);
  });

  test('a side of a conflict', async () => {
    const [a, b] = [world.person('a', { policy: 'ask' }), world.person('b', { policy: 'ask' })];
    a.user.write('big.bin', noise(1, 1_500_000));
    a.start();
    await world.quiet();
    const lost = losesUploads(1);
    b.user.write('big.bin', noise(2, 1_500_000));
    b.start();
    await world.until('the conflict', () => a.store.openVariants().length === 1);
    await world.quiet();
    expect(lost()).toBe(1);
    expect(problemsOf(b)).toEqual([]);
    expect(saidCodes(b)).not.toContain('internal');
  });

  test.each([
    ['another by now', noise(2, 1_600_000)],
    ['gone', null],
  ])('of a file that is %s: what is here now is sent, and no turn fails', async (_, now) => {
    const [a, b] = [world.person('a'), world.person('b')];
    a.start();
    b.start();
    await world.quiet();
    const lost = losesUploads(1, () => {
      if (now === null) a.user.remove('big.bin');
      else a.user.write('big.bin', now);
      a.user.write('small.txt', 'small\n');
    });
    a.user.write('big.bin', noise(1, 1_500_000));
    await world.until('the other save', () => b.user.read('small.txt') === 'small\n');
    await world.quiet();
    expect(lost()).toBe(1);
    expect(b.user.tree()).toEqual(
      now === null ? { 'small.txt': 'small\n' } : { 'big.bin': now, 'small.txt': 'small\n' },
    );
    expect(problemsOf(a)).toEqual([]);
  });

  test('again and again: said of the relay, and over when it keeps them', async () => {
    const [a, b] = [world.person('a'), world.person('b')];
    a.start();
    b.start();
    await world.quiet();
    losesUploads(Number.POSITIVE_INFINITY);
    const content = noise(1, 1_500_000);
    a.user.write('big.bin', content);
    await world.until('said', () => a.state()?.code === 'relay-failed');
    a.user.write('small.txt', 'small\n');
    await world.until('the other save', () => b.user.read('small.txt') === 'small\n');
    world.relay.refuses = () => undefined;
    await world.until('it is there', () => b.user.read('big.bin') === content);
    await world.quiet();
    expect(saidCodes(a)).not.toContain('internal');
  });
});
