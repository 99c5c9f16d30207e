/** What a segment file refuses for a moment costs no free place (v05: what is counted is what is stored). */
import { mkdtempSync, readdirSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sampleChunk, sampleRoom } from '../testing/sample-room.ts';
import { looseIdleMs, type RoomStore } from './room-store.ts';
import { sqliteRoomStore } from './sqlite-room-store.ts';

let dataDir: string;
let store: RoomStore;
beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'relay-'));
  // Room for three chunks: each further one takes the place of an older upload.
  store = await sqliteRoomStore({ dataDir, quotas: { roomBytesMax: 400_000, totalBytesMax: 10_000_000 } });
});
afterEach(async () => {
  await store.close();
  rmSync(dataDir, { recursive: true, force: true });
});

test('a file that cannot be opened for a moment keeps its free places', async () => {
  const room = sampleRoom('refused');
  let nowMs = 1;
  const put = async (name: string): Promise<void> => {
    nowMs += 2 * looseIdleMs;
    const chunks = [sampleChunk(name, 120_000)];
    expect(await store.put({ room: room.id, keys: room.keys, chunks, nowMs })).toEqual({ kind: 'stored' });
  };
  const segments = join(dataDir, 'segments');
  const bytes = (): number => readdirSync(segments).reduce((sum, each) => sum + statSync(join(segments, each)).size, 0);
  for (let index = 0; index < 8; index += 1) await put(`before ${index}`);
  const file = join(segments, readdirSync(segments)[0] ?? '');
  const before = bytes();
  for (let round = 0; round < 5; round += 1) {
    // As with too many open files: what is open goes on, and nothing else can be opened.
    renameSync(file, join(dataDir, 'away'));
    symlinkSync(file, file);
    await put(`meanwhile ${round}`);
    rmSync(file);
    renameSync(join(dataDir, 'away'), file);
    for (let index = 0; index < 4; index += 1) await put(`after ${round} ${index}`);
  }
  // What was put meanwhile went behind everything, and no more than that.
  expect(bytes()).toBeLessThanOrEqual(before + 5 * 121_000);
});
