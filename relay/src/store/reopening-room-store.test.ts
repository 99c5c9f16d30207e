/** What a store says and does between two lives, with lives made by hand and a clock that stands still. */
import { noRecordId } from '@driftless/protocol';
import { expect, test } from 'vitest';
import { fakeClock } from '../testing/fake-clock.ts';
import { sampleRoom } from '../testing/sample-room.ts';
import { memoryRoomStore } from './memory-room-store.ts';
import {
  type OpenedStore,
  reopenByHandMs,
  reopenFirstMs,
  reopeningRoomStore,
  reopenMaxMs,
} from './reopening-room-store.ts';
import { StoreError, type StoreErrorCode } from './room-store.ts';

const room = sampleRoom('reopening');
const failure = (code: StoreErrorCode) => new StoreError(code, `it is ${code}`);
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Lives that end when told to; the n-th opening does what `openings` says, the last of them for ever. */
function world(openings: readonly (StoreErrorCode | 'opens')[], asked?: () => StoreErrorCode | null) {
  const clock = fakeClock();
  let opened = 0;
  let end: (error: StoreError) => void = () => {};
  const closed: number[] = [];
  const open = async (): Promise<OpenedStore> => {
    const outcome = openings[Math.min(opened, openings.length - 1)] ?? 'opens';
    opened++;
    if (outcome !== 'opens') throw failure(outcome);
    const number = opened;
    const inner = memoryRoomStore({ storeId: new Uint8Array(16).fill(number) });
    return {
      ...inner,
      lookUp: async (...args) => {
        const code = asked?.() ?? null;
        if (code !== null) throw failure(code);
        return inner.lookUp(...args);
      },
      endedUnasked: new Promise((resolve) => {
        end = resolve;
      }),
      close: async () => void closed.push(number),
    };
  };
  return {
    clock,
    closed,
    openings: () => opened,
    open: () => reopeningRoomStore(open, { clock }),
    async end(code: StoreErrorCode) {
      end(failure(code));
      await settled();
    },
    async pass(ms: number) {
      clock.advance(ms);
      await settled();
    },
  };
}

test('it is told once, refused with the reason of the moment, and opened again after a pause', async () => {
  const { open, end, pass, openings } = world(['opens', 'disk-full', 'in-use', 'opens']);
  const store = await open();
  const told: string[] = [];
  store.onFailure(({ code }) => told.push(code));
  await end('failed');
  expect(store.health()?.code).toBe('failed');
  await expect(store.lookUp(room.id, null)).rejects.toMatchObject({ code: 'failed' });
  await pass(reopenFirstMs - 1);
  expect(openings()).toBe(1);
  await pass(1);
  expect(store.health()?.code).toBe('disk-full');
  await expect(store.have(room.id, [])).rejects.toMatchObject({ code: 'disk-full' });
  await pass(2 * reopenFirstMs);
  expect(store.health()?.code).toBe('in-use');
  await pass(4 * reopenFirstMs);
  expect(store.health()).toBeNull();
  expect(store.storeId[0]).toBe(4);
  expect((await store.lookUp(room.id, { height: 1, id: noRecordId })).room).toBeNull();
  expect(told).toEqual(['failed']);
});

test('what stays away is asked for ever more rarely, but never given up', async () => {
  const { open, end, pass, openings } = world(['opens', 'failed']);
  await open();
  await end('failed');
  // Each advance runs one pause to its end only, since opening takes a turn.
  for (let at = 0; at < 40; at++) await pass(reopenMaxMs);
  const before = openings();
  for (let at = 0; at < 10; at++) await pass(reopenMaxMs);
  expect(openings() - before).toBe(10);
});

test('damage stays refused and says so, and is looked at again only now and then', async () => {
  const { open, end, pass, openings } = world(['opens', 'damaged', 'opens']);
  const store = await open();
  await end('failed');
  await pass(reopenFirstMs);
  for (let at = 0; at < 9; at++) await pass(reopenMaxMs);
  expect(openings()).toBe(2);
  expect(store.health()?.code).toBe('damaged');
  // Somebody moved it aside: the peers refill the new one.
  await pass(reopenByHandMs);
  expect(store.health()).toBeNull();
});

test('a medium that fails whatever is asked is opened anew; one fault, or a full disk, is none', async () => {
  let code: StoreErrorCode | null = null;
  const { open, pass, openings, closed } = world(['opens'], () => code);
  const store = await open();
  const ask = () =>
    store.lookUp(room.id, null).then(
      () => 'ok',
      () => 'no',
    );
  for (const next of ['failed', 'failed', null, 'disk-full', 'disk-full', 'disk-full', 'failed', 'failed'] as const) {
    code = next;
    await ask();
  }
  expect(closed).toEqual([]);
  await ask();
  await settled();
  expect(closed).toEqual([1]);
  expect(store.health()?.code).toBe('failed');
  code = null;
  await pass(reopenFirstMs);
  expect(openings()).toBe(2);
  expect(await ask()).toBe('ok');
});

test('a store that dies of every question backs off; closing ends it whatever it waits for', async () => {
  const { open, end, pass, openings, closed } = world(['opens']);
  const store = await open();
  for (let at = 0; at < 8; at++) {
    await end('failed');
    await pass(reopenFirstMs * 2 ** at);
  }
  expect(openings()).toBe(9);
  await store.close();
  await pass(60 * 60_000);
  expect(openings()).toBe(9);
  expect(store.health()?.code).toBe('closed');
  expect(closed).toHaveLength(9);
});
