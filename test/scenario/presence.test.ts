/** Who is there, and whether they have the same: what a relay that lies, and a member that lies, can make of it (rules PRESENCE, TRUTH). */
import { bytesToHex, concatBytes, hexToBytes, type Root } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PeerEvent, VerifyResult } from '../../engine/src/control.ts';
import { createDeviceKey } from '../../engine/src/crypto/device-key.ts';
import { createRoomCipher } from '../../engine/src/crypto/room-cipher.ts';
import { nodeHashing } from '../../engine/src/node/node-hashing.ts';
import { createSeededRandom } from '../../engine/src/testing/seeded-random.ts';
import { createSmallWorld, type Person, roomSecret, type SmallWorld } from './small-world.ts';

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

/** A member who answers everybody, is at the head that they are at, and says that the room is something else there. */
function liarJoins(): { root: Root; readonly device: string } {
  const key = createDeviceKey(new Uint8Array(32).fill(99));
  const cipher = createRoomCipher({
    secret: roomSecret,
    epoch: 0,
    device: key,
    random: createSeededRandom('liar'),
  });
  const run = 'ab'.repeat(8);
  const liar = { root: 'ee'.repeat(32) as Root, device: key.device };
  let n = 0;
  world.relay.passesOn = (sealed) => {
    const said = cipher.openPresence(sealed);
    if (said === undefined) return [];
    n += 1;
    const { height, recordId } = said;
    const who = bytesToHex(nodeHashing.sha256(concatBytes(hexToBytes(said.device), hexToBytes(said.run)))).slice(0, 16);
    const echoes = [{ who, n: said.n }];
    const body = { deviceName: 'liar', run, n, height, recordId, state: 'idle', asks: [], editing: [], echoes };
    world.relay.play(cipher.sealPresence({ ...body, root: liar.root }));
    return [sealed];
  };
  return liar;
}
const alarmsOf = (person: Person): readonly string[] =>
  person.events.flatMap((event: PeerEvent) =>
    event.event === 'problem' && event.reason.includes('has another content of the room') ? [event.reason] : [],
  );
const rejoinsOf = (person: Person): number =>
  person.events.filter((event) => event.event === 'note' && event.note.includes('was damaged')).length;
async function verified(person: Person): Promise<VerifyResult> {
  let result: VerifyResult | undefined;
  void person.peer.verify().then((found) => {
    result = found;
  });
  await world.until('verified', () => result !== undefined);
  return result as VerifyResult;
}

describe('the same head and another root', () => {
  test('of a member that lies: named once, in the status too; nothing is re-joined, and nothing is looked at again', async () => {
    const { a, b } = await pair();
    expect(await verified(a)).toMatchObject({ ok: true, agreeing: ['b'] });
    const liar = liarJoins();
    let pagesRead = 0;
    const { slotsBetween } = a.store.manifest;
    Object.assign(a.store.manifest, {
      slotsBetween: (...range: Parameters<typeof slotsBetween>) => {
        pagesRead += 1;
        return slotsBetween(...range);
      },
    });
    await world.clock.advance(30_000);
    expect(alarmsOf(a)).toEqual([expect.stringContaining(`liar (device ${liar.device.slice(0, 12)})`)]);
    expect(alarmsOf(b)).toHaveLength(1);
    expect(pagesRead).toBe(1);
    await world.clock.advance(600_000);
    expect(alarmsOf(a)).toHaveLength(1);
    expect(pagesRead).toBe(1);
    expect([rejoinsOf(a), rejoinsOf(b)]).toEqual([0, 0]);
    const { problems, peers } = await a.peer.status();
    expect(problems).toEqual([{ path: '', reason: alarmsOf(a)[0] }]);
    expect(peers.map(({ name, agrees }) => [name, agrees])).toEqual(
      expect.arrayContaining([
        ['b', true],
        ['liar', false],
      ]),
    );
    const result = await verified(a);
    expect(result).toMatchObject({ ok: false, agreeing: ['b'], differenceCount: 1 });
    expect(result.differences[0]?.reason).toContain('liar');
    // Work goes on; it is told of no more, and looked at rarely.
    pagesRead = 0;
    for (let save = 0; save < 20; save += 1) {
      a.user.write('contract.txt', `version ${save}`);
      await world.clock.advance(2_000);
    }
    await world.quiet();
    expect(b.user.read('contract.txt')).toBe('version 19');
    expect(alarmsOf(a)).toHaveLength(1);
    expect(pagesRead).toBeLessThanOrEqual(1);
    // It says what the others say: over.
    liar.root = a.store.root();
    await world.clock.advance(31_000);
    expect((await a.peer.status()).problems).toEqual([]);
    expect(await verified(a)).toMatchObject({ ok: true });
  });

  test('of a member that lied, played by the relay when it is away: no alarm', async () => {
    const recorded: Uint8Array[] = [];
    const { a } = await pair();
    liarJoins();
    const { play } = world.relay;
    world.relay.play = (sealed) => void recorded.push(sealed);
    await world.clock.advance(60_000);
    await world.clock.advance(46_000);
    for (const sealed of recorded.slice(0, 2)) play(sealed);
    await world.clock.advance(1_000);
    expect(alarmsOf(a)).toEqual([]);
  });

  test('because one took a good record for void: each names the other, and nothing is lost', async () => {
    const { a, b } = await pair();
    const { rootAfter } = b.store;
    b.store.rootAfter = () => 'ff'.repeat(32) as Root;
    a.user.write('contract.txt', 'version 2');
    await world.until('void', () => b.store.head()?.id === a.store.head()?.id && b.store.root() !== a.store.root());
    b.store.rootAfter = rootAfter;
    await world.clock.advance(30_000);
    expect([alarmsOf(a), alarmsOf(b)]).toEqual([
      [expect.stringContaining('b (device')],
      [expect.stringContaining('a (device')],
    ]);
    expect((await verified(b)).ok).toBe(false);
    expect([a.user.read('contract.txt'), b.user.read('contract.txt')]).toEqual(['version 2', 'version 1']);
  });

  test('because what this machine keeps of the room is damaged: it joins anew by itself, once', async () => {
    const { a, b } = await pair();
    b.user.write('of-b.txt', 'of b');
    await world.quiet();
    const { slotsBetween } = b.store.manifest;
    const { loadManifest, rootAfter } = b.store;
    b.store.rootAfter = () => 'ff'.repeat(32) as Root;
    Object.assign(b.store.manifest, { slotsBetween: () => [] });
    b.store.loadManifest = (options) => {
      Object.assign(b.store.manifest, { slotsBetween });
      Object.assign(b.store, { loadManifest, rootAfter });
      loadManifest(options);
    };
    a.user.write('contract.txt', 'version 2');
    await world.until('it joins anew', () => rejoinsOf(b) === 1);
    await world.until('it has it', () => b.user.read('contract.txt') === 'version 2');
    await world.quiet();
    await world.clock.advance(60_000);
    expect([b.store.root(), b.user.tree()]).toEqual([a.store.root(), a.user.tree()]);
    expect(Object.keys(a.user.tree()).sort()).toEqual(['contract.txt', 'of-b.txt']);
    expect([rejoinsOf(a), rejoinsOf(b), alarmsOf(b).length]).toEqual([0, 1, 0]);
    expect((await a.peer.status()).problems).toEqual([]);
    expect(await verified(b)).toMatchObject({ ok: true, agreeing: ['a'] });
  });
});
