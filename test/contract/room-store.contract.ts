/**
 * What every RoomStore promises (relay/src/store/room-store.ts), run alike for each implementation. Rules LOG1, LOG4, GC1, GC2,
 * GC5, SEED, CP3, PR1, CLOCK; what only a durable store can show is asked of those that can be opened again.
 */
import { limits, noRecordId, type SealedChunk } from '@driftless/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { recordBytes, rowBytes } from '../../relay/src/store/bytes.ts';
import { checkpointsKeptMax, looseIdleMs, type RoomStore, type StoreQuotas } from '../../relay/src/store/room-store.ts';
import {
  clearChunk,
  listChunk,
  type SampleRecord,
  type SampleRoom,
  sampleChunk,
  sampleRoom,
} from '../../relay/src/testing/sample-room.ts';

export interface StoreUnderTest {
  open(quotas?: StoreQuotas): Promise<RoomStore>;
  cleanUp(): Promise<void>;
}

/** `durable`: what `open` gives after `close` is the same store. */
export function roomStoreContract(
  name: string,
  { durable, create }: { readonly durable: boolean; readonly create: () => Promise<StoreUnderTest> },
): void {
  describe(name, () => {
    let under: StoreUnderTest;
    let store: RoomStore;
    const room = sampleRoom('one');

    beforeEach(async () => {
      under = await create();
      store = await under.open();
    });
    afterEach(async () => {
      await store.close();
      await under.cleanUp();
    });

    const append = (entry: SampleRecord, chunks: readonly SealedChunk[] = [], nowMs = 1_000) =>
      store.append({ room: room.id, keys: room.keys, entry, chunks, nowMs });
    const put = (chunks: readonly SealedChunk[], into: SampleRoom = room) =>
      store.put({ room: into.id, keys: into.keys, chunks, nowMs: 1_000 });
    const headOf = ({ height, id }: SampleRecord) => ({ height, id });
    async function chain(length: number): Promise<readonly SampleRecord[]> {
      const entries: SampleRecord[] = [];
      for (let n = 0; n < length; n++) {
        const entry = room.record(entries.at(-1) ?? null, { label: String(n) });
        expect((await append(entry)).kind).toBe('appended');
        entries.push(entry);
      }
      return entries;
    }
    const at = (entries: readonly SampleRecord[], index: number): SampleRecord => {
      const entry = entries.at(index);
      if (entry === undefined) throw new Error(`no record ${index}`);
      return entry;
    };

    test('an unknown room is unknown in every answer', async () => {
      expect(await store.lookUp(room.id, null)).toEqual({ room: null, holdsKnown: true });
      expect(await store.lookUp(room.id, { height: 1, id: noRecordId })).toEqual({ room: null, holdsKnown: false });
      expect(await store.records(room.id, { after: 0, bytesMax: 1_000 })).toEqual({
        head: null,
        floor: 0,
        records: [],
      });
      expect(await store.locate(room.id, [{ height: 1, id: noRecordId }])).toEqual({ common: null, head: null });
      expect(await store.checkpoint(room.id, 0)).toBeNull();
      const { id } = sampleChunk('a');
      expect(await store.have(room.id, [id])).toEqual([false]);
      expect(await store.get(room.id, [id], 1_000)).toEqual({ chunks: [], missing: [id] });
    });

    test('LOG1: the first append makes the room, with the keys it was given', async () => {
      const first = room.record(null);
      expect(await append(first)).toEqual({ kind: 'appended', head: headOf(first) });
      const known = await store.lookUp(room.id, headOf(first));
      expect(known).toEqual({
        room: { keys: room.keys, epoch: 0, head: headOf(first), floor: 1 },
        holdsKnown: true,
      });
    });

    test.each([
      ['another height', { height: 3 }],
      ['another prev', { prev: sampleRoom('two').record(null).id }],
      ['a height and prev of the past', { height: 1, prev: noRecordId }],
      ['an older epoch', { epoch: 7 }],
    ])('LOG1: %s is stale, and changes nothing', async (_, fields) => {
      const [first] = await chain(1);
      if (first === undefined) throw new Error('no chain');
      const chunk = sampleChunk('along');
      const outcome = await append(room.record(first, { label: 'late', ...fields }), [chunk]);
      expect(outcome).toMatchObject({ kind: 'stale', head: headOf(first) });
      expect(await store.have(room.id, [chunk.id])).toEqual([false]);
      expect((await store.lookUp(room.id, null)).room?.head).toEqual(headOf(first));
    });

    test('LOG2: a record that the log holds is held, wherever its head is by now; nothing changes', async () => {
      const [first, second] = await chain(2);
      if (first === undefined || second === undefined) throw new Error('no chain');
      const before = await store.records(room.id, { after: 0, bytesMax: 100_000 });
      expect(await append(first)).toEqual({ kind: 'held', head: headOf(first), restored: false });
      expect(await append(second)).toEqual({ kind: 'held', head: headOf(second), restored: false });
      expect(await store.records(room.id, { after: 0, bytesMax: 100_000 })).toEqual(before);
    });

    test('LOG1: a record on a prev in a room without a log is stale with no head', async () => {
      expect(await append(room.record({ height: 4, id: room.record(null).id }))).toEqual({
        kind: 'stale',
        head: null,
        records: [],
      });
      expect((await store.lookUp(room.id, null)).room?.head ?? null).toBeNull();
    });

    test('LOG1: of 30 concurrent appends at one head, exactly one is accepted', async () => {
      const [first] = await chain(1);
      const rivals = Array.from({ length: 30 }, (_, n) => room.record(first ?? null, { label: `rival ${n}` }));
      const outcomes = await Promise.all(rivals.map((rival) => append(rival)));
      const winners = rivals.filter((_, index) => outcomes[index]?.kind === 'appended');
      expect(winners).toHaveLength(1);
      expect(outcomes.filter((outcome) => outcome.kind === 'stale')).toHaveLength(29);
      const page = await store.records(room.id, { after: 0, bytesMax: 1_000_000 });
      expect(page.records.map((record) => record.header)).toEqual(
        [first, winners[0]].map((entry) => entry?.record.header),
      );
    });

    test('PR1: stale carries the records since prev', async () => {
      const entries = await chain(4);
      const late = room.record(at(entries, 1), { label: 'late' });
      expect(await append(late)).toEqual({
        kind: 'stale',
        head: headOf(at(entries, 3)),
        records: entries.slice(2).map((entry) => entry.record),
      });
    });

    test('PR1: records since prev stay within their bound', async () => {
      const first = room.record(null);
      await append(first);
      let last = first;
      for (let n = 0; n < 6; n++) {
        last = room.record(last, { label: String(n), body: sampleChunk(`body ${n}`, 60_000).sealed });
        expect((await append(last)).kind).toBe('appended');
      }
      const outcome = await append(room.record(first, { label: 'late' }));
      if (outcome.kind !== 'stale') throw new Error(outcome.kind);
      expect(outcome.records.length).toBe(4);
      const bytes = outcome.records.reduce((sum, record) => sum + recordBytes(record), 0);
      expect(bytes).toBeLessThanOrEqual(limits.staleRecordBytesMax);
      expect(outcome.head).toEqual(headOf(last));
    });

    test('records come in order, as many as fit, at least one', async () => {
      const entries = await chain(5);
      const one = recordBytes(at(entries, 0).record);
      const page = (after: number, bytesMax: number) => store.records(room.id, { after, bytesMax });
      expect((await page(0, 1)).records).toEqual([at(entries, 0).record]);
      expect((await page(1, 2 * one)).records).toEqual([at(entries, 1).record, at(entries, 2).record]);
      expect((await page(3, 1_000_000)).records).toEqual([at(entries, 3).record, at(entries, 4).record]);
      expect(await page(5, 1_000_000)).toEqual({ head: headOf(at(entries, 4)), floor: 1, records: [] });
      expect((await page(77, 1_000_000)).records).toEqual([]);
    });

    test('GC1: an append that lacks chunks names them and stores nothing', async () => {
      const [held, along, absent] = [sampleChunk('held'), sampleChunk('along'), sampleChunk('absent')];
      await put([held]);
      const entry = room.record(null, { adds: [held.id, along.id, absent.id] });
      expect(await append(entry, [along])).toEqual({ kind: 'missing', ids: [absent.id] });
      expect(await store.have(room.id, [held.id, along.id])).toEqual([true, false]);
      expect((await store.lookUp(room.id, null)).room?.head ?? null).toBeNull();
      await put([absent]);
      expect((await append(entry, [along])).kind).toBe('appended');
      expect(await store.have(room.id, [along.id])).toEqual([true]);
    });

    test('GC1: pieces of the body and what lists add are needed too', async () => {
      const [piece, one, other] = [
        clearChunk(sampleChunk('piece', 500).sealed),
        sampleChunk('one'),
        sampleChunk('other'),
      ];
      const list = listChunk([one.id, other.id]);
      const entry = room.record(null, { bodyChunks: [piece.id], addsLists: [list.id] });
      expect(await append(entry)).toEqual({ kind: 'missing', ids: [piece.id, list.id] });
      await put([piece, list, one]);
      expect(await append(entry)).toEqual({ kind: 'missing', ids: [other.id] });
      expect((await append(entry, [other])).kind).toBe('appended');
    });

    test('GC1: a list along with its append is read like a stored one', async () => {
      const one = sampleChunk('one');
      const list = listChunk([one.id]);
      const entry = room.record(null, { addsLists: [list.id] });
      expect(await append(entry, [list])).toEqual({ kind: 'missing', ids: [one.id] });
      expect((await append(entry, [list, one])).kind).toBe('appended');
    });

    test('GC5: wrong bytes under the name of a clear chunk do not count, and give way to the right ones', async () => {
      const piece = clearChunk(sampleChunk('piece', 500).sealed);
      const forged = { id: piece.id, sealed: sampleChunk('forged', 400).sealed };
      await put([forged]);
      const entry = room.record(null, { bodyChunks: [piece.id] });
      expect(await append(entry)).toEqual({ kind: 'missing', ids: [piece.id] });
      await put([piece]);
      await put([forged]);
      expect((await store.get(room.id, [piece.id], 1_000)).chunks).toEqual([piece]);
      expect((await append(entry)).kind).toBe('appended');
    });

    test('GC5: otherwise the first put of an id wins', async () => {
      const chunk = sampleChunk('a');
      await put([chunk]);
      await put([{ id: chunk.id, sealed: sampleChunk('b').sealed }]);
      expect((await store.get(room.id, [chunk.id], 1_000)).chunks).toEqual([chunk]);
    });

    test('chunks of all sizes come back as they were, in the order asked, within the bound', async () => {
      const chunks = [0, 1, 64 * 1024, 64 * 1024 + 1, 128 * 1024].map((bytes) => sampleChunk(`${bytes}`, bytes));
      await put(chunks);
      const absent = sampleChunk('absent').id;
      const ids = [absent, ...chunks.map((chunk) => chunk.id)];
      expect(await store.have(room.id, ids)).toEqual([false, true, true, true, true, true]);
      expect(await store.get(room.id, ids, 1_000_000)).toEqual({ chunks, missing: [absent] });
      const [first, second, third] = chunks;
      expect(await store.get(room.id, ids, 70_000)).toEqual({ chunks: [first, second, third], missing: [absent] });
      expect((await store.get(room.id, ids.slice(5), 10)).chunks).toEqual([chunks[4]]);
    });

    test('rooms know nothing of one another', async () => {
      const other = sampleRoom('two');
      const chunk = sampleChunk('a');
      await put([chunk], other);
      expect(await append(room.record(null, { adds: [chunk.id] }))).toEqual({ kind: 'missing', ids: [chunk.id] });
      await chain(1);
      expect((await store.lookUp(other.id, null)).room).toMatchObject({ head: null, floor: 0, keys: other.keys });
    });

    test('locate finds the newest common record, whatever the order asked', async () => {
      const entries = await chain(5);
      const foreign = { height: 4, id: noRecordId };
      const heads = [headOf(at(entries, 1)), foreign, headOf(at(entries, 2)), { height: 9, id: noRecordId }];
      expect(await store.locate(room.id, heads)).toEqual({
        common: headOf(at(entries, 2)),
        head: headOf(at(entries, 4)),
      });
      expect((await store.locate(room.id, [foreign])).common).toBeNull();
    });

    test('CP3: the newest checkpoints are kept, at least two, and found from above', async () => {
      const entries = await chain(checkpointsKeptMax + 2);
      const list = listChunk([sampleChunk('page').id]);
      await put([list]);
      for (const entry of entries) {
        const checkpoint = room.checkpoint(entry, [list.id]);
        expect(await store.putCheckpoint({ room: room.id, checkpoint, nowMs: 1 })).toEqual({ kind: 'stored' });
      }
      expect(checkpointsKeptMax).toBeGreaterThanOrEqual(2);
      expect(await store.checkpoint(room.id, 0)).toEqual(room.checkpoint(at(entries, -1), [list.id]));
      expect(await store.checkpoint(room.id, at(entries, -2).height)).toEqual(
        room.checkpoint(at(entries, -2), [list.id]),
      );
      expect(await store.checkpoint(room.id, 2)).toBeNull();
    });

    test('GC2: a checkpoint needs its record and its lists', async () => {
      const [first] = await chain(1);
      if (first === undefined) throw new Error('no chain');
      const list = listChunk([]);
      const stray = room.record(first, { label: 'never appended' });
      const putCheckpoint = (entry: SampleRecord) =>
        store.putCheckpoint({ room: room.id, checkpoint: room.checkpoint(entry, [list.id]), nowMs: 1 });
      expect(await putCheckpoint(stray)).toEqual({ kind: 'unknownRecord' });
      expect(await putCheckpoint(first)).toEqual({ kind: 'missing', ids: [list.id] });
      await put([list]);
      expect(await putCheckpoint(first)).toEqual({ kind: 'stored' });
    });

    describe('SEED', () => {
      const list = listChunk([sampleChunk('page').id]);
      const before = room.record({ height: 41, id: room.record(null).id }, { label: 'of the lost log' });
      const next = room.record(before, { label: 'next' });
      const seed = (entries: readonly SampleRecord[], first = before) =>
        store.seed({
          room: room.id,
          keys: room.keys,
          checkpoint: room.checkpoint(first, [list.id]),
          entries,
          nowMs: 1,
        });

      test('a log may begin at any height, and goes on from there', async () => {
        await put([list]);
        expect(await seed([before, next])).toEqual({ kind: 'seeded', head: headOf(next) });
        expect((await store.lookUp(room.id, headOf(before))).holdsKnown).toBe(true);
        expect((await store.lookUp(room.id, null)).room).toMatchObject({ head: headOf(next), floor: 42 });
        expect((await store.records(room.id, { after: 41, bytesMax: 1_000_000 })).records).toHaveLength(2);
        // Records below the floor are not there: the answer says where the log begins.
        expect(await store.records(room.id, { after: 3, bytesMax: 1_000_000 })).toMatchObject({
          floor: 42,
          records: [],
        });
        expect(await store.checkpoint(room.id, 0)).toEqual(room.checkpoint(before, [list.id]));
        expect((await append(room.record(next, { label: 'later' }))).kind).toBe('appended');
      });

      test('never where a log is', async () => {
        await put([list]);
        const [first] = await chain(1);
        expect(await seed([before])).toMatchObject({ kind: 'stale', head: { height: 1, id: first?.id } });
      });

      test.each([
        ['no record', []],
        ['another record first', [next]],
        ['a gap', [before, room.record(next)]],
      ])('not with %s', async (_, entries) => {
        await put([list]);
        expect((await seed(entries)).kind).toBe('broken');
        expect((await store.lookUp(room.id, null)).room?.head ?? null).toBeNull();
      });

      test('not without the lists, nor without what later records add', async () => {
        expect(await seed([before])).toEqual({ kind: 'missing', ids: [list.id] });
        await put([list]);
        const chunk = sampleChunk('added');
        const adding = room.record(before, { adds: [chunk.id] });
        expect(await seed([before, adding])).toEqual({ kind: 'missing', ids: [chunk.id] });
        await put([chunk]);
        expect((await seed([before, adding])).kind).toBe('seeded');
      });
    });

    test('quotas: what would go over is refused and leaves everything as it was', async () => {
      await store.close();
      store = await under.open({ roomBytesMax: 4_500, totalBytesMax: 7_000 });
      const [small, large] = [sampleChunk('small', 2_000), sampleChunk('large', 2_000)];
      const first = room.record(null, { adds: [small.id] });
      expect((await append(first, [small])).kind).toBe('appended');
      expect(await put([large])).toMatchObject({ kind: 'overQuota', what: expect.stringContaining('room') });
      expect(await append(room.record(first, { body: large.sealed }))).toMatchObject({ kind: 'overQuota' });
      // What is there already costs nothing again.
      expect((await put([small])).kind).toBe('stored');
      expect((await append(room.record(first))).kind).toBe('appended');
      const [two, three] = [sampleRoom('two'), sampleRoom('three')];
      expect((await put([sampleChunk('x', 1_500)], two)).kind).toBe('stored');
      expect(await put([sampleChunk('y', 1_500)], three)).toMatchObject({
        kind: 'overQuota',
        what: expect.stringContaining('relay'),
      });
      expect(await store.have(room.id, [small.id, large.id])).toEqual([true, false]);
    });

    test('quotas: a row counts, also one of no bytes, and so does a room (v05)', async () => {
      await store.close();
      store = await under.open({ roomBytesMax: 10 * rowBytes, totalBytesMax: 15 * rowBytes });
      const empty = (count: number) => Array.from({ length: count }, (_, n) => sampleChunk(`empty ${n}`, 0));
      expect(await put(empty(10))).toMatchObject({ kind: 'overQuota', what: expect.stringContaining('room') });
      expect(await put(empty(9))).toEqual({ kind: 'stored' });
      for (const name of ['a', 'b']) expect(await put(empty(1), sampleRoom(name))).toEqual({ kind: 'stored' });
      expect(await put(empty(1), sampleRoom('c'))).toMatchObject({ what: expect.stringContaining('relay') });
      const record = sampleRoom('d').record(null);
      const append = { room: sampleRoom('d').id, keys: room.keys, entry: record, chunks: [], nowMs: 1 };
      expect(await store.append(append)).toMatchObject({ kind: 'overQuota' });
    });

    test('quotas: a chunk that is replaced counts as what takes its place, no less and no more (v05)', async () => {
      await store.close();
      store = await under.open({ roomBytesMax: 2_000 + 3 * rowBytes, totalBytesMax: 100_000 });
      const small = clearChunk(sampleChunk('small', 1).sealed);
      for (let round = 0; round < 3; round++) {
        await put([{ id: small.id, sealed: sampleChunk('junk', 1_999).sealed }]);
        await put([small]);
      }
      expect((await put([sampleChunk('a', 2_000)])).kind).toBe('overQuota');
      expect((await put([sampleChunk('b', 1_999)])).kind).toBe('stored');
    });

    test('a relay full of what no record names makes room for other rooms, once nobody goes on with it', async () => {
      await store.close();
      store = await under.open({ roomBytesMax: 100_000, totalBytesMax: 100_000 });
      const idler = sampleRoom('idler');
      const junk = Array.from({ length: 9 }, (_, n) => sampleChunk(`junk ${n}`, 10_000));
      await put(junk, idler);
      const save = sampleChunk('save', 20_000);
      const first = room.record(null, { adds: [save.id] });
      expect((await append(first, [save], looseIdleMs)).kind).toBe('overQuota');
      expect((await append(first, [save], 1_001 + looseIdleMs)).kind).toBe('appended');
      const held = await store.have(
        idler.id,
        junk.map(({ id }) => id),
      );
      expect(held.filter(Boolean)).toHaveLength(7);
    });

    test('a request that names very much holds up no other room, and comes out the same (v04)', async () => {
      const other = sampleRoom('other');
      const chunks = Array.from({ length: 2_000 }, (_, n) => sampleChunk(String(n), 0));
      const ids = chunks.map(({ id }) => id);
      const lists = Array.from({ length: 20 }, (_, by) => listChunk([...ids.slice(by), ...ids.slice(0, by)]));
      await put(chunks);
      await put(lists);
      await put([sampleChunk('a')], other);
      const answered: string[] = [];
      const noted = async <Answer>(name: string, answer: Promise<Answer>): Promise<Answer> => {
        const value = await answer;
        answered.push(name);
        return value;
      };
      const entry = room.record(null, { addsLists: lists.map(({ id }) => id) });
      const [appended, , held] = await Promise.all([
        noted('long', append(entry)),
        noted('of its room', store.have(room.id, ids.slice(0, 1))),
        noted('of another room', store.have(other.id, [sampleChunk('a').id])),
      ]);
      expect(appended.kind).toBe('appended');
      expect(held).toEqual([true]);
      // In memory nothing waits.
      expect(answered).toEqual(
        durable ? ['of another room', 'long', 'of its room'] : ['long', 'of its room', 'of another room'],
      );
    });

    describe('what no record names gives way when there is no room', () => {
      const parts = ['a', 'b', 'c'].map((name) => sampleChunk(name, 70_000));
      const [partA, partB, partC] = parts as [SealedChunk, SealedChunk, SealedChunk];
      const putAt = (chunks: readonly SealedChunk[], nowMs: number) =>
        store.put({ room: room.id, keys: room.keys, chunks, nowMs });
      const held = (...chunks: readonly SealedChunk[]) =>
        store.have(
          room.id,
          chunks.map(({ id }) => id),
        );
      beforeEach(async () => {
        await store.close();
        store = await under.open({ roomBytesMax: 220_000, totalBytesMax: 10_000_000 });
        for (const [at, part] of parts.entries()) expect((await putAt([part], at)).kind).toBe('stored');
      });

      test('to a record, the oldest first, but never what the record itself names', async () => {
        const save = sampleChunk('save', 50_000);
        const first = room.record(null, { adds: [save.id, partA.id] });
        expect((await append(first, [save])).kind).toBe('appended');
        expect(await held(partA, partB, partC, save)).toEqual([true, false, true, true]);
        // What is named stays from then on: there is room for one part more, and no more.
        const next = sampleChunk('next', 50_000);
        expect((await append(room.record(first, { adds: [next.id] }), [next])).kind).toBe('appended');
        const second = room.record(first, { adds: [next.id] });
        expect((await append(room.record(second, { body: new Uint8Array(150_000) }))).kind).toBe('overQuota');
        expect(await held(partA, save, next)).toEqual([true, true, true]);
      });

      test('to another upload only once nobody goes on with them', async () => {
        const other = sampleChunk('other', 70_000);
        expect((await putAt([other], 1_000)).kind).toBe('overQuota');
        expect((await putAt([other], looseIdleMs)).kind).toBe('overQuota');
        // Somebody asks about one: that upload goes on.
        expect(await held(partA)).toEqual([true]);
        expect((await putAt([other], looseIdleMs + 1_000)).kind).toBe('stored');
        expect(await held(partA, partB, partC, other)).toEqual([true, false, true, true]);
      });

      test('and never what a checkpoint is about to list', async () => {
        expect(await store.keep(room.id, [partA.id, partB.id, sampleChunk('none').id])).toEqual([true, true, false]);
        expect((await putAt([sampleChunk('one', 70_000)], 10 * looseIdleMs)).kind).toBe('stored');
        expect((await putAt([sampleChunk('two', 70_000)], 10 * looseIdleMs)).kind).toBe('overQuota');
        expect(await held(partA, partB, partC)).toEqual([true, true, false]);
      });

      test('and comes back by a put of whoever still needs it', async () => {
        const save = sampleChunk('save', 50_000);
        await append(room.record(null, { adds: [save.id] }), [save]);
        expect(await held(partA)).toEqual([false]);
        const first = room.record(null, { adds: [save.id] });
        expect(await append(room.record(first, { adds: [partA.id] }))).toEqual({ kind: 'missing', ids: [partA.id] });
        expect((await append(room.record(first, { adds: [partA.id] }), [partA])).kind).toBe('appended');
        expect((await store.get(room.id, [partA.id], 200_000)).chunks).toEqual([partA]);
      });
    });

    test('a closed store says so, and closing twice is closing once', async () => {
      await store.close();
      await store.close();
      await expect(put([sampleChunk('a')])).rejects.toMatchObject({ code: 'closed' });
    });

    if (!durable) return;

    test('LOG4: what was answered is there after opening again', async () => {
      const { storeId } = store;
      const [small, large] = [sampleChunk('small'), sampleChunk('large', 100_000)];
      const first = room.record(null, { adds: [small.id, large.id] });
      await append(first, [small, large]);
      const list = listChunk([small.id]);
      await put([list]);
      await store.putCheckpoint({ room: room.id, checkpoint: room.checkpoint(first, [list.id]), nowMs: 1 });
      await store.close();
      store = await under.open();
      expect(store.storeId).toEqual(storeId);
      expect((await store.lookUp(room.id, headOf(first))).holdsKnown).toBe(true);
      expect((await store.records(room.id, { after: 0, bytesMax: 1 })).records).toEqual([first.record]);
      expect(await store.get(room.id, [large.id, small.id], 1_000_000)).toEqual({
        chunks: [large, small],
        missing: [],
      });
      expect(await store.checkpoint(room.id, 0)).toEqual(room.checkpoint(first, [list.id]));
      expect((await append(room.record(first, { label: 'next' }))).kind).toBe('appended');
    });
  });
}
