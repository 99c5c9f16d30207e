/** PRESENCE, CLONE: whom a board shows as here, whatever a relay passes on, keeps back and plays again. */
import type { Root } from '@driftless/protocol';
import { beforeEach, describe, expect, test } from 'vitest';
import type { PeerEvent } from './control.ts';
import { createDeviceKey } from './crypto/device-key.ts';
import { createRoomCipher } from './crypto/room-cipher.ts';
import { nodeHashing } from './node/node-hashing.ts';
import type { RoomCipher } from './ports/room-cipher.ts';
import { createPresenceBoard, type PresenceBoard, type PresenceContext } from './presence.ts';
import { createFakeClock, type FakeClock } from './testing/fake-clock.ts';
import { createSeededRandom } from './testing/seeded-random.ts';

const secret = new Uint8Array(32).fill(1);
const head = { height: 7, id: '07'.repeat(32) as never };
const root = '11'.repeat(32) as Root;

interface Device {
  readonly name: string;
  readonly board: PresenceBoard;
  readonly cipher: RoomCipher;
  /** What it sent, newest last. */
  readonly sent: Uint8Array[];
  readonly events: PeerEvent[];
  isConnected: boolean;
}
let clock: FakeClock;
let runs = 0;
beforeEach(() => {
  clock = createFakeClock();
});

function device(name: string, settings = new Map<string, string>()): Device {
  runs += 1;
  const key = createDeviceKey(new Uint8Array(32).fill(name.charCodeAt(0)));
  const random = createSeededRandom(`${name} ${runs}`);
  const cipher = createRoomCipher({ secret, epoch: 0, device: key, random });
  const made = { name, cipher, sent: [] as Uint8Array[], events: [] as PeerEvent[], isConnected: true };
  const context: PresenceContext = {
    parts: {
      device: key,
      deviceName: name,
      cipher,
      random,
      clock,
      hashing: nodeHashing,
      store: {
        setting: (at) => settings.get(at),
        setSetting: (at, value) => {
          if (value === null) settings.delete(at);
          else settings.set(at, value);
        },
        head: () => head,
        root: () => root,
      },
      onEvent: (event) => made.events.push(event),
    },
    session: () => (made.isConnected ? { sendPresence: (sealed) => made.sent.push(sealed) } : null),
  };
  return Object.assign(made, { board: createPresenceBoard(context, { asks: () => [], answer: () => {} }, () => {}) });
}

/** What it says now, if it says anything. */
function says(one: Device): Uint8Array | undefined {
  const before = one.sent.length;
  one.board.announce('idle');
  return one.sent[before];
}
/** Until nobody has anything to say at once. */
function meet(...all: readonly Device[]): number {
  for (let messages = 0; ; ) {
    const said = all.flatMap((one) => {
      const sealed = says(one);
      return sealed === undefined ? [] : [{ one, sealed }];
    });
    if (said.length === 0) return messages;
    messages += said.length;
    for (const { one, sealed } of said) for (const other of all) if (other !== one) other.board.take(sealed);
  }
}
const hereOf = (one: Device): readonly string[] =>
  one.board
    .peers()
    .filter(({ online }) => online)
    .map(({ name }) => name);

describe('who is here', () => {
  test('two who meet see each other within three presences, and fall silent', () => {
    const [a, b] = [device('a'), device('b')];
    says(b);
    const first = says(a);
    b.board.take(first as Uint8Array);
    expect(hereOf(b)).toEqual([]);
    const answer = says(b);
    a.board.take(answer as Uint8Array);
    expect(hereOf(a)).toEqual(['b']);
    const second = says(a);
    b.board.take(second as Uint8Array);
    expect(hereOf(b)).toEqual(['a']);
    expect([says(a), says(b)]).toEqual([undefined, undefined]);
    expect(a.events).toEqual([{ event: 'peer', name: 'b', online: true }]);
  });

  test('they stay so by what they say every fifteen seconds, and no longer than that', async () => {
    const [a, b] = [device('a'), device('b')];
    meet(a, b);
    for (let passed = 0; passed < 20; passed += 1) {
      await clock.advance(15_000);
      expect(meet(a, b)).toBe(2);
      expect([hereOf(a), hereOf(b)]).toEqual([['b'], ['a']]);
    }
    await clock.advance(45_001);
    expect([hereOf(a), hereOf(b)]).toEqual([[], []]);
  });

  test('who hears, and is not heard, is not here; nor is anybody without a relay', async () => {
    const [a, b] = [device('a'), device('b')];
    for (let passed = 0; passed < 10; passed += 1) {
      const said = says(a);
      if (said !== undefined) b.board.take(said);
      says(b);
      await clock.advance(15_000);
    }
    expect([hereOf(a), hereOf(b)]).toEqual([[], []]);
    meet(a, b);
    expect(hereOf(a)).toEqual(['b']);
    a.isConnected = false;
    expect(hereOf(a)).toEqual([]);
  });

  test('more than one presence can name see each other', async () => {
    const all = Array.from({ length: 35 }, (_, index) => device(String.fromCharCode(0x41 + index)));
    for (let passedMs = 0; passedMs < 60_000; passedMs += 5_000) {
      meet(...all);
      await clock.advance(5_000);
    }
    for (const one of all) expect(hereOf(one)).toHaveLength(34);
  });
});

describe('a relay that plays presences again', () => {
  test('shows nobody as here, from whichever run they are, whoever took them down (v09)', async () => {
    const recorded: Uint8Array[] = [];
    const a = device('a');
    for (let run = 0; run < 3; run += 1) {
      const b = device('b');
      meet(a, b);
      recorded.push(...b.sent);
      await clock.advance(60_000);
    }
    expect(hereOf(a)).toEqual([]);
    for (let round = 0; round < 12; round += 1) {
      for (const sealed of recorded) a.board.take(sealed);
      says(a);
      expect(hereOf(a)).toEqual([]);
      await clock.advance(20_000);
    }
    // Nor to a new process of the same device, which has not heard any of them.
    const again = device('a');
    for (const sealed of recorded) again.board.take(sealed);
    says(again);
    for (const sealed of recorded) again.board.take(sealed);
    expect(again.board.peers()).toEqual([]);
  });

  test('within the 45 seconds it shows who was there in them, as they were last', async () => {
    const [a, b] = [device('a'), device('b')];
    meet(a, b);
    const early = b.sent.at(-1) as Uint8Array;
    await clock.advance(15_000);
    meet(a, b);
    await clock.advance(29_000);
    a.board.take(early);
    expect(hereOf(a)).toEqual(['b']);
    await clock.advance(2_000);
    a.board.take(early);
    expect(hereOf(a)).toEqual([]);
  });

  test('makes nobody talk without end', async () => {
    const b = device('b');
    const recorded = Array.from({ length: 200 }, () => {
      b.board.reset();
      const sealed = says(device('b'));
      return sealed as Uint8Array;
    });
    const a = device('a');
    for (const [index, sealed] of recorded.entries()) {
      a.board.take(sealed);
      says(a);
      if (index % 20 === 19) await clock.advance(1_000);
    }
    expect(a.sent.length).toBeLessThanOrEqual(12);
  });

  test('makes no clone of an earlier run; a second process that hears this one is one (CLONE)', async () => {
    const earlier = device('a');
    const b = device('b');
    meet(earlier, b);
    const recorded = [...earlier.sent];
    const a = device('a');
    for (let round = 0; round < 10; round += 1) {
      for (const sealed of recorded) a.board.take(sealed);
      says(a);
      expect(a.board.cloned).toBe(false);
      await clock.advance(5_000);
    }
    meet(a, device('a'));
    expect(a.board.cloned).toBe(true);
    await clock.advance(46_000);
    expect(a.board.cloned).toBe(false);
  });
});

test('what is not known to be the room yet is told to nobody', () => {
  const [known, doubting] = [device('k'), device('d', new Map([['must-reach', '{"height":9,"id":"09"}']]))];
  const said = ({ cipher, sent }: Device) => cipher.openPresence(sent.at(-1) ?? new Uint8Array());
  for (const one of [known, doubting]) says(one);
  expect(said(known)).toMatchObject({ height: 7, recordId: head.id });
  expect(said(doubting)).toMatchObject({ height: 0, recordId: null });
});
