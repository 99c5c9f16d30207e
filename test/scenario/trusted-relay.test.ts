/** Which identity of the relay is trusted: the one that somebody named, and no other. */
import { bytesToHex } from '@driftless/protocol';
import { beforeEach, expect, test } from 'vitest';
import { createDeviceKey } from '../../engine/src/crypto/device-key.ts';
import { createRoomCipher } from '../../engine/src/crypto/room-cipher.ts';
import type { RelayClient, RoomSession, RoomSessionHandlers } from '../../engine/src/ports/room-session.ts';
import { createRelayFeed, type RelayFeed } from '../../engine/src/relay-feed.ts';
import { createSeededRandom } from '../../engine/src/testing/seeded-random.ts';
import { createMemoryRelay } from './memory-relay.ts';

const pinned = new Uint8Array(32).fill(1);
const [shown, other] = [new Uint8Array(32).fill(2), new Uint8Array(32).fill(3)].map(bytesToHex) as [string, string];
const random = createSeededRandom('relay feed');
const cipher = createRoomCipher({
  secret: random.bytes(32),
  epoch: 0,
  device: createDeviceKey(random.bytes(32)),
  random,
});

let feed: RelayFeed;
let relay: RoomSessionHandlers;
let triedWith: (Uint8Array | null)[];
let kept: string[];
beforeEach(() => {
  [triedWith, kept] = [[], []];
  const client: Pick<RelayClient, 'open'> = {
    open: ({ relayKey }, handlers) => {
      triedWith.push(relayKey);
      relay = handlers;
      return { nudge: () => {}, close: () => {} };
    },
  };
  feed = createRelayFeed(
    {
      dir: '/notes',
      urls: ['ws://127.0.0.1:4747'],
      relayKey: pinned,
      cipher,
      relay: { ...client, close: async () => {} },
      store: { head: () => null },
      onRelayKey: (key) => kept.push(bytesToHex(key)),
    },
    {
      onNews: () => {},
      onPresence: () => {},
      onOnline: () => {},
      onOffline: () => {},
      asTurnsSeeIt: (session) => session,
      command: (work) => void work(),
    },
  );
  feed.open();
});
const refuse = (relayKey: string): void =>
  relay.onRefused({ code: 'relay-key-changed', reason: 'another identity', next: '', relayKey });

test('the command to paste names the identity that is shown', () => {
  refuse(shown);
  expect(feed.refusal?.next).toContain(`driftless trust-relay /notes ${shown}`);
});
test('what is shown is pinned when it is named', () => {
  refuse(shown);
  expect(feed.trust(shown)).toBe(true);
  expect([kept, triedWith.map((key) => key && bytesToHex(key))]).toEqual([[shown], [bytesToHex(pinned), shown]]);
});
test('another one that the relay shows by the time of the answer is not', () => {
  refuse(shown);
  refuse(other);
  expect(feed.trust(shown)).toBe(false);
  expect([kept, triedWith.length]).toEqual([[], 1]);
});
test('one that was named before it is shown is pinned then', () => {
  expect(feed.trust(shown)).toBe(false);
  refuse(other);
  expect(kept).toEqual([]);
  refuse(shown);
  expect(kept).toEqual([shown]);
});

test('one that was offered once is forgotten when the known relay answers', async () => {
  refuse(shown);
  const session = await new Promise<RoomSession>((onOnline) => {
    createMemoryRelay()
      .client()
      .open({ urls: ['ws://memory'], relayKey: null, cipher }, { ...relay, onOnline });
  });
  relay.onOnline(session);
  kept = [];
  expect(feed.refusal).toBeNull();
  expect(feed.trust(shown)).toBe(false);
  expect([kept, triedWith.length]).toEqual([[], 1]);
});
