/**
 * A record that this build does not understand is never void, and nothing can be judged behind it: the room waits for an update
 * (rule LOG3). So that nobody stops a room for good, a change `skip` that names it leaves it out for everybody, with all that
 * lies between the two; who did not understand it goes on from the root before it (rule LOG2). A person decides that, and
 * then this peer appends the change. Not only directly behind it, or two such records in a row would be out of reach again.
 *
 * Leaves to others: committing what is left out as links of the chain (room-log.ts).
 */
import { closeCodes, type Head, type RecordId } from '@driftless/protocol';
import type { Halt } from '../core/peer-state.ts';
import { shellWord } from '../core/shell-word.ts';
import type { Holds } from '../guards/holds.ts';
import type { PeerParts } from '../peer-api.ts';
import { RequestRefused, type RoomSession } from '../ports/room-session.ts';

const fetchBytes = 512 * 1024;

export class RecordNotUnderstood extends Error {
  readonly halt: Halt;
  readonly record: Head;

  constructor(options: {
    readonly record: Head;
    readonly reason: string;
    readonly author: string;
    readonly dir: string;
  }) {
    const { record, reason, author, dir } = options;
    super(`record ${record.height}${author === '' ? '' : ` by ${author}`}: ${reason}`);
    this.name = 'RecordNotUnderstood';
    this.record = record;
    this.halt = {
      code: 'update-needed',
      reason: this.message,
      next: `update Driftless; or, to leave out that record and what came after it on every machine: driftless confirm ${shellWord(dir)}`,
    };
  }
}

export interface SkippedRecords {
  /** Nothing is judged from this record on. */
  stuckAt(error: RecordNotUnderstood): void;
  /** Looks for the change that leaves it out, and appends it where a person here has decided so. */
  find(session: RoomSession): Promise<'found' | 'none'>;
  /** The record to be left out by the one at this height, or to be passed over because it lies before that. */
  at(height: number): { readonly kind: 'passed-over' } | { readonly kind: 'skip'; readonly record: RecordId } | null;
  /** Everything up to the relay's head was judged. */
  over(): void;
}

interface Stuck {
  readonly error: RecordNotUnderstood;
  /** The last record that was looked at. */
  seen: Head;
  /** Height of the change that leaves it out. */
  skippedAt: number | null;
}

export function createSkippedRecords(
  { store, cipher, device, deviceName, clock }: PeerParts,
  {
    holds,
    pause,
  }: { readonly holds: Pick<Holds, 'isConfirmed' | 'set' | 'endConfirmed'>; readonly pause: () => Promise<void> },
): SkippedRecords {
  let stuck: Stuck | null = null;

  async function look(session: RoomSession, at: Stuck): Promise<boolean> {
    for (;;) {
      const page = await session.fetchRecords(at.seen.height, fetchBytes);
      if (page.records.length === 0) return false;
      for (const record of page.records) {
        const signed = cipher.verifyRecord(record);
        if (!signed.ok || signed.value.header.prev !== at.seen.id) {
          // Damaged, or of another history by now: from the beginning, the next time.
          at.seen = at.error.record;
          return false;
        }
        const { id, header } = signed.value;
        // The change is alone in its record, and small.
        const opened = header.bodyChunks.length > 0 ? null : cipher.openRecord(signed.value, []);
        at.seen = { height: header.height, id };
        if (opened === null || !opened.ok) continue;
        const { changes, root } = opened.value.body;
        const [change] = changes;
        if (changes.length !== 1 || change?.kind !== 'skip') continue;
        // Void for everybody else as well.
        if (change.record !== at.error.record.id || root !== store.root()) continue;
        at.skippedAt = header.height;
        return true;
      }
      await pause();
    }
  }

  async function append(session: RoomSession, { error, seen }: Stuck): Promise<void> {
    const height = seen.height + 1;
    const { id, record, chunks } = cipher.sealRecord({
      height,
      prev: seen.id,
      body: {
        device: device.device,
        deviceName,
        timeMs: clock.nowMs(),
        label: '',
        massDeletion: 'none',
        root: store.root(),
        changes: [{ kind: 'skip', record: error.record.id }],
      },
      adds: [],
    });
    store.putSent({ id, height, record, outcome: [], variants: [] });
    const answer = await session.append(record, chunks);
    if (answer.kind === 'overQuota') throw new RequestRefused(closeCodes.overQuota.code, answer.what);
  }

  return {
    stuckAt: (error) => {
      if (stuck?.error.record.id !== error.record.id) stuck = { error, seen: error.record, skippedAt: null };
      if (holds.isConfirmed('record', error.record.id)) return;
      holds.set('record', [{ ...error.halt, subjects: [error.record.id], paths: [], author: null }]);
    },
    find: async (session) => {
      if (stuck === null) return 'none';
      if (await look(session, stuck)) return 'found';
      if (!holds.isConfirmed('record', stuck.error.record.id)) return 'none';
      await append(session, stuck);
      return (await look(session, stuck)) ? 'found' : 'none';
    },
    at: (height) => {
      if (stuck === null || stuck.skippedAt === null || height > stuck.skippedAt) return null;
      return height === stuck.skippedAt ? { kind: 'skip', record: stuck.error.record.id } : { kind: 'passed-over' };
    },
    over: () => {
      stuck = null;
      holds.set('record', []);
      holds.endConfirmed('record', () => true);
    },
  };
}
