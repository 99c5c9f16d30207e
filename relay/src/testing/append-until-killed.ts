/** For tests, run as a process: appends to a store in argv[2] until killed, printing each height once it was acknowledged. */
import { sqliteRoomStore } from '../store/sqlite-room-store.ts';
import { listChunk, type SampleRecord, sampleChunk, sampleRoom } from './sample-room.ts';

const dataDir = process.argv[2];
if (dataDir === undefined) throw new Error('which directory?');
const room = sampleRoom('killed');
const store = await sqliteRoomStore({ dataDir });
let last: SampleRecord | null = null;
// Each append brings a chunk for the database and one for a segment file.
for (let n = 1; ; n++) {
  const chunks = [sampleChunk(`small ${n}`, 1_000), sampleChunk(`large ${n}`, 70_000)];
  const list = listChunk(chunks.map((chunk) => chunk.id));
  const entry: SampleRecord = room.record(last, { label: String(n), addsLists: [list.id] });
  const outcome = await store.append({ room: room.id, keys: room.keys, entry, chunks: [...chunks, list], nowMs: n });
  if (outcome.kind !== 'appended') throw new Error(`append ${n}: ${outcome.kind}`);
  process.stdout.write(`${n}\n`);
  last = entry;
}
