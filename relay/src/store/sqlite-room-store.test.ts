/** What only a store on a disk can get wrong: crashes, full and damaged disks, other versions, other processes, the clock. */
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { decodeRecordHeader, noRecordId, recordIdOf, type SealedChunk } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { clearChunk, type SampleRecord, sampleChunk, sampleRoom } from '../testing/sample-room.ts';
import { schemaVersion } from './migrations.ts';
import { looseIdleMs, type RoomStore } from './room-store.ts';
import { sqliteRoomStore } from './sqlite-room-store.ts';

const room = sampleRoom('one');
let dataDir: string;
let stores: RoomStore[];
const databaseFile = (): string => join(dataDir, 'relay.sqlite');

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'driftless-store-'));
  stores = [];
});
afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await rm(dataDir, { recursive: true });
});

async function open(databasePagesMax?: number): Promise<RoomStore> {
  const store = await sqliteRoomStore({ dataDir, ...(databasePagesMax === undefined ? {} : { databasePagesMax }) });
  stores.push(store);
  return store;
}
function pageCount(): number {
  const database = new DatabaseSync(databaseFile());
  const row = database.prepare('PRAGMA page_count').get();
  database.close();
  return Number(row?.['page_count']);
}
const append = (store: RoomStore, entry: SampleRecord, chunks: readonly SealedChunk[] = [], nowMs = 1) =>
  store.append({ room: room.id, keys: room.keys, entry, chunks, nowMs });
const put = (store: RoomStore, chunks: readonly SealedChunk[]) =>
  store.put({ room: room.id, keys: room.keys, chunks, nowMs: 1 });

test('kill -9 in the middle of appends leaves whole ones only, and every acknowledged one (LOG4, P6)', async () => {
  const program = join(import.meta.dirname, '../testing/append-until-killed.ts');
  const child = spawn(process.execPath, [program, dataDir], { stdio: ['ignore', 'pipe', 'inherit'] });
  let acknowledged = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged = Number(line);
    // The lines that were in the pipe already still count.
    if (acknowledged === 25) child.kill('SIGKILL');
  }
  expect(acknowledged).toBeGreaterThanOrEqual(25);

  const store = await open();
  const killed = sampleRoom('killed');
  let height = 0;
  let prev = noRecordId;
  for (;;) {
    const page = await store.records(killed.id, { after: height, bytesMax: 1 });
    const [record] = page.records;
    if (record === undefined) break;
    const header = decodeRecordHeader(record.header);
    if (!header.ok) throw new Error('a stored header does not decode');
    expect(header.value).toMatchObject({ height: height + 1, prev });
    height++;
    prev = recordIdOf(record.header);
    const ids = [sampleChunk(`small ${height}`).id, sampleChunk(`large ${height}`).id, ...header.value.addsLists];
    expect(await store.get(killed.id, ids, 1_000_000)).toMatchObject({ missing: [], chunks: { length: 3 } });
  }
  expect(height).toBeGreaterThanOrEqual(acknowledged);
  const next = killed.record({ height, id: prev }, { label: 'after' });
  expect((await store.append({ room: killed.id, keys: killed.keys, entry: next, chunks: [], nowMs: 1 })).kind).toBe(
    'appended',
  );
});

test('a full disk is an error for what does not fit; nothing is half stored, and the store goes on', async () => {
  const roomy = await open();
  const first = room.record(null);
  await append(roomy, first);
  await roomy.close();
  const pages = pageCount();
  const store = await open(pages + 40);
  const [large, small] = [sampleChunk('in the database', 64 * 1024), sampleChunk('in a segment', 100_000)];
  const fat = room.record(first, { label: 'fat', adds: [large.id, small.id] });
  const body = sampleChunk('body', 60_000).sealed;
  const outcomes = await Promise.allSettled([
    append(store, room.record(first, { label: 'fatter', body }), [large, small, sampleChunk('more', 64 * 1024)]),
    store.lookUp(room.id, null),
  ]);
  expect(outcomes[0]).toMatchObject({ status: 'rejected', reason: { code: 'disk-full', retryable: true } });
  expect(outcomes[1]).toMatchObject({ status: 'fulfilled', value: { room: { head: { height: 1 } } } });
  expect(await store.have(room.id, [large.id, small.id])).toEqual([false, false]);
  // A small one still fits, and once there is room, so does the rest.
  const slim = room.record(first, { label: 'slim' });
  expect((await append(store, slim)).kind).toBe('appended');
  await store.close();
  const enlarged = await open();
  expect((await append(enlarged, fat, [large, small])).kind).toBe('stale');
  expect(await put(enlarged, [large, small])).toEqual({ kind: 'stored' });
  expect(await enlarged.get(room.id, [small.id, large.id], 1_000_000)).toEqual({ chunks: [small, large], missing: [] });
});

test('one operation that fails does not spoil the others of its turn', async () => {
  const first = await open();
  await first.close();
  const pages = pageCount();
  const store = await open(pages + 12);
  const fits = room.record(null);
  const outcomes = await Promise.allSettled([
    append(store, fits),
    put(store, [sampleChunk('a', 64_000), sampleChunk('b', 64_000)]),
    append(store, room.record(fits, { label: 'next' })),
  ]);
  expect(outcomes.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect((await store.lookUp(room.id, null)).room?.head?.height).toBe(2);
});

describe('segment files', () => {
  const [one, other] = [sampleChunk('one', 100_000), sampleChunk('other', 110_000)];
  const segmentFile = (): string => join(dataDir, 'segments', readdirSync(join(dataDir, 'segments'))[0] ?? '');

  test('a torn tail is cut and written over', async () => {
    const store = await open();
    await put(store, [one]);
    await store.close();
    appendFileSync(segmentFile(), 'the beginning of a chunk that was never acknowledged');
    const again = await open();
    await put(again, [other]);
    expect(await again.get(room.id, [one.id, other.id], 1_000_000)).toEqual({ chunks: [one, other], missing: [] });
    expect(readFileSync(segmentFile()).length).toBe(210_000);
  });

  test.each([
    ['bytes that changed', () => writeSync(openSync(segmentFile(), 'r+'), 'x', 50)],
    ['bytes that are gone', () => truncateSync(segmentFile(), 40_000)],
  ])('GC5: %s are missing, not wrong, until they are put again', async (_, damage) => {
    const store = await open();
    await put(store, [one]);
    await store.close();
    damage();
    const again = await open();
    expect(await again.get(room.id, [one.id], 1_000_000)).toEqual({ chunks: [], missing: [one.id] });
    expect(await again.have(room.id, [one.id])).toEqual([false]);
    await put(again, [one, other]);
    expect(await again.get(room.id, [one.id, other.id], 1_000_000)).toEqual({ chunks: [one, other], missing: [] });
  });
});

describe.each([
  ['is lost', (file: string) => rmSync(file)],
  [
    'cannot be opened',
    (file: string) => {
      rmSync(file);
      mkdirSync(file);
    },
  ],
])('a segment file that %s costs what it held and nothing else', (_, damage) => {
  const quotas = { roomBytesMax: 400_000, totalBytesMax: 10_000_000 };
  const segmentFile = (): string => join(dataDir, 'segments', readdirSync(join(dataDir, 'segments'))[0] ?? '');

  test.each([
    ['free places in it', 4],
    ['room behind its end', 3],
  ])('with %s', async (_, puts) => {
    const before = await sqliteRoomStore({ dataDir, quotas });
    stores.push(before);
    const old = Array.from({ length: puts }, (_, at) => sampleChunk(`old ${at}`, 120_000));
    // From the fourth on, an upload that nobody goes on with gives way.
    for (const [at, chunk] of old.entries())
      await before.put({ room: room.id, keys: room.keys, chunks: [chunk], nowMs: 1 + at * 2 * looseIdleMs });
    await before.close();
    damage(segmentFile());

    const after = await sqliteRoomStore({ dataDir, quotas });
    stores.push(after);
    const other = sampleRoom('other');
    const fresh = [sampleChunk('fits', 110_000), sampleChunk('another', 110_000)];
    for (const chunk of fresh)
      expect(await after.put({ room: other.id, keys: other.keys, chunks: [chunk], nowMs: 1 })).toEqual({
        kind: 'stored',
      });
    expect(
      await after.get(
        other.id,
        fresh.map(({ id }) => id),
        1_000_000,
      ),
    ).toEqual({ chunks: fresh, missing: [] });
    const last = old.at(-1);
    if (last === undefined) throw new Error('nothing was put');
    expect(await after.get(room.id, [last.id], 1_000_000)).toEqual({ chunks: [], missing: [last.id] });
    await after.put({ room: room.id, keys: room.keys, chunks: [last], nowMs: 100 * looseIdleMs });
    expect(await after.get(room.id, [last.id], 1_000_000)).toEqual({ chunks: [last], missing: [] });
  });
});

test('GC5: a chunk that the medium cannot read is missing, and the others of the same request are served', async () => {
  const [large, small] = [sampleChunk('large', 100_000), sampleChunk('small', 1_000)];
  const store = await open();
  await put(store, [large, small]);
  await store.close();
  const file = join(dataDir, 'segments', readdirSync(join(dataDir, 'segments'))[0] ?? '');
  rmSync(file);
  // Opens, and fails to be read.
  mkdirSync(file);
  const again = await open();
  expect(await again.get(room.id, [large.id, small.id], 1_000_000)).toEqual({ chunks: [small], missing: [large.id] });
  expect(await again.have(room.id, [large.id, small.id])).toEqual([false, true]);
  expect(again.health()).toBeNull();
});

test('LOG2: a record whose bytes the medium changed is put back by whoever has it', async () => {
  const store = await open();
  const first = room.record(null);
  await append(store, first);
  await append(store, room.record(first));
  await store.close();
  const database = new DatabaseSync(databaseFile());
  database.exec("UPDATE records SET body = x'00', signature = zeroblob(64) WHERE height = 1");
  database.close();
  const again = await open();
  const head = { height: 1, id: first.id };
  expect((await again.records(room.id, { after: 0, bytesMax: 1 })).records).not.toEqual([first.record]);
  expect(await append(again, first)).toEqual({ kind: 'held', head, restored: true });
  expect((await again.records(room.id, { after: 0, bytesMax: 1 })).records).toEqual([first.record]);
  expect(await append(again, first)).toEqual({ kind: 'held', head, restored: false });
});

test('P18: data of a newer schema is refused and left untouched', async () => {
  const store = await open();
  await store.close();
  const database = new DatabaseSync(databaseFile());
  database.exec(`PRAGMA user_version = ${schemaVersion + 1}`);
  database.close();
  const before = readFileSync(databaseFile());
  await expect(sqliteRoomStore({ dataDir })).rejects.toMatchObject({
    code: 'newer',
    message: expect.stringContaining('update Driftless'),
  });
  expect(readFileSync(databaseFile()).equals(before)).toBe(true);
});

test.each([
  ['noise', (file: string) => writeFileSync(file, sampleChunk('noise', 20_000).sealed)],
  [
    'a page of zeroes',
    (file: string) => {
      const handle = openSync(file, 'r+');
      writeSync(handle, new Uint8Array(4_096), 0, 4_096, 4_096);
    },
  ],
])('P10: a damaged database (%s) is refused with the next step', async (_, damage) => {
  const store = await open();
  await append(store, room.record(null));
  await store.close();
  damage(databaseFile());
  await expect(sqliteRoomStore({ dataDir })).rejects.toMatchObject({
    code: 'damaged',
    message: expect.stringContaining('move the directory aside'),
  });
});

test('a second relay on the same directory is refused', async () => {
  const store = await open();
  await append(store, room.record(null));
  await expect(sqliteRoomStore({ dataDir })).rejects.toMatchObject({ code: 'in-use' });
  expect((await store.lookUp(room.id, null)).room?.head?.height).toBe(1);
});

test('CLOCK: stamps are max(previous, now)', async () => {
  const store = await open();
  let last = room.record(null);
  await append(store, last, [], 5_000);
  for (const nowMs of [4_000, 7_000, 1]) {
    last = room.record(last, { label: `at ${nowMs}` });
    await append(store, last, [], nowMs);
  }
  await store.close();
  const copy = join(dataDir, 'copy.sqlite');
  copyFileSync(databaseFile(), copy);
  const database = new DatabaseSync(copy);
  const stamps = database.prepare('SELECT stamp_ms FROM records ORDER BY height').all();
  database.close();
  expect(stamps.map((row) => row['stamp_ms'])).toEqual([5_000, 5_000, 7_000, 7_000]);
});

test('what was dropped leaves room in the segment files, which do not grow by what takes its place', async () => {
  const quotas = { roomBytesMax: 500_000, totalBytesMax: 10_000_000 };
  const opened = async (): Promise<RoomStore> => {
    const store = await sqliteRoomStore({ dataDir, quotas });
    stores.push(store);
    return store;
  };
  const segmentBytes = (): number =>
    readdirSync(join(dataDir, 'segments')).reduce(
      (sum, name) => sum + readFileSync(join(dataDir, 'segments', name)).length,
      0,
    );
  let store = await opened();
  let newest: readonly SealedChunk[] = [];
  for (let round = 0; round < 12; round++) {
    newest = [0, 1, 2].map((at) => sampleChunk(`${round} ${at}`, 100_000 - at * 1_000));
    const nowMs = (round + 1) * 2 * looseIdleMs;
    expect((await store.put({ room: room.id, keys: room.keys, chunks: newest, nowMs })).kind).toBe('stored');
    if (round % 4 !== 3) continue;
    await store.close();
    store = await opened();
  }
  expect(segmentBytes()).toBeLessThan(1_000_000);
  const found = await store.get(
    room.id,
    newest.map(({ id }) => id),
    1_000_000,
  );
  expect(found.chunks).toEqual(newest);
});

test('places in segment files are used again whole, whatever replaces or outlasts what (v05)', async () => {
  const quotas = { roomBytesMax: 1_000_000, totalBytesMax: 1_000_000 };
  const store = await sqliteRoomStore({ dataDir, quotas });
  stores.push(store);
  const segmentBytes = (): number =>
    readdirSync(join(dataDir, 'segments')).reduce(
      (sum, name) => sum + readFileSync(join(dataDir, 'segments', name)).length,
      0,
    );
  const putAt = (chunks: readonly SealedChunk[], nowMs: number) =>
    store.put({ room: room.id, keys: room.keys, chunks, nowMs });
  // Junk under the names of clear chunks, which then come.
  for (let round = 0; round < 6; round++) {
    const small = clearChunk(sampleChunk(`small ${round}`, 2).sealed);
    expect((await putAt([{ id: small.id, sealed: sampleChunk(`junk ${round}`, 131_000).sealed }], 1)).kind).toBe(
      'stored',
    );
    expect((await putAt([small], 1)).kind).toBe('stored');
  }
  expect(segmentBytes()).toBeLessThanOrEqual(2 * 131_000);
  // Large ones give way to ones that leave a rest, and those to large ones again.
  let nowMs = 1;
  for (let round = 0; round < 10; round++) {
    nowMs += 2 * looseIdleMs;
    const bytes = round % 2 === 0 ? 131_000 : 66_000;
    const chunks = Array.from({ length: round % 2 === 0 ? 6 : 12 }, (_, n) => sampleChunk(`${round} ${n}`, bytes));
    for (const chunk of chunks) expect((await putAt([chunk], nowMs)).kind).toBe('stored');
  }
  expect(segmentBytes()).toBeLessThanOrEqual(1.5 * quotas.totalBytesMax);
});
