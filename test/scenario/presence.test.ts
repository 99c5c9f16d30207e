/** Who is there, and whether they have the same: what a relay that lies, and a member that lies, can make of it (rules PRESENCE, TRUTH). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSmallWorld, type Person, type SmallWorld } from './small-world.ts';

let world: SmallWorld;
beforeEach(() => {
  world = createSmallWorld();
});
afterEach(async () => {
  await world.close();
});

async function pair(): Promise<{ readonly a: Person; readonly b: Person }> {
  const [a, b] = [world.person('a'), world.person('b')];
  a.user.write('contract.txt', 'version 1');
  a.start();
  b.start();
  await world.quiet();
  return { a, b };
}
/** As `driftless status` shows it. */
async function hereOf(person: Person): Promise<readonly string[]> {
  const { peers } = await person.peer.status();
  return peers.filter(({ online }) => online).map(({ name }) => name);
}

describe('a relay', () => {
  test('that is honest: two peers see each other at once, and as long as both run', async () => {
    const { a, b } = await pair();
    expect([await hereOf(a), await hereOf(b)]).toEqual([['b'], ['a']]);
    await world.clock.advance(600_000);
    expect([await hereOf(a), await hereOf(b)]).toEqual([['b'], ['a']]);
    await b.stop();
    await world.clock.advance(46_000);
    expect(await hereOf(a)).toEqual([]);
    b.start();
    await world.quiet();
    expect([await hereOf(a), await hereOf(b)]).toEqual([['b'], ['a']]);
  });

  test('that plays what it took down shows nobody as here, and keeps nobody busy (v09)', async () => {
    const recorded: Uint8Array[] = [];
    world.relay.passesOn = (sealed) => {
      recorded.push(sealed);
      return [sealed];
    };
    const { a, b } = await pair();
    for (let run = 0; run < 3; run += 1) {
      await world.clock.advance(30_000);
      await b.stop();
      await world.clock.advance(50_000);
      b.start();
      await world.quiet();
    }
    await b.stop();
    await world.clock.advance(46_000);
    expect(await hereOf(a)).toEqual([]);
    world.relay.passesOn = () => [];
    const before = world.relay.presences;
    for (let minute = 0; minute < 5; minute += 1) {
      for (const sealed of recorded) {
        world.relay.play(sealed);
        await world.clock.advance(60_000 / recorded.length);
        expect(await hereOf(a)).toEqual([]);
      }
    }
    expect(world.relay.presences - before).toBeLessThan(320);
    // A new process has heard none of them, and its own earlier ones are among them: no clone, nobody here.
    await a.stop();
    a.start();
    await world.quiet();
    for (const sealed of [...recorded, ...recorded]) world.relay.play(sealed);
    await world.clock.advance(10_000);
    for (const sealed of recorded) world.relay.play(sealed);
    await world.clock.advance(1_000);
    expect(await hereOf(a)).toEqual([]);
    expect(a.state()?.state).toBe('idle');
  });

  test('that keeps presences back shows nobody as here', async () => {
    const { a, b } = await pair();
    world.relay.passesOn = () => [];
    await world.clock.advance(46_000);
    expect([await hereOf(a), await hereOf(b)]).toEqual([[], []]);
    world.relay.passesOn = (sealed) => [sealed];
    await world.clock.advance(30_000);
    expect([await hereOf(a), await hereOf(b)]).toEqual([['b'], ['a']]);
  });

  test('that gives one presence for another, or bytes of its own, shows nobody as here', async () => {
    let last: Uint8Array | undefined;
    const { a, b } = await pair();
    const early: Uint8Array[] = [];
    world.relay.passesOn = (sealed) => {
      const before = last;
      last = sealed;
      early.push(sealed);
      return [...(before === undefined ? [] : [before]), ...early.slice(0, 2), new Uint8Array(2_000).fill(7)];
    };
    await world.clock.advance(61_000);
    // Two who announce in turn have each other's last one: at most one interval old. What is older is nobody.
    world.relay.passesOn = () => early.slice(0, 4);
    await world.clock.advance(61_000);
    expect([await hereOf(a), await hereOf(b)]).toEqual([[], []]);
  });
});
