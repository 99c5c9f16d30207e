/**
 * A checkpoint read into a store of its own, together with the log on top of it, and judged there: what this peer knows of the room is
 * not touched by it, and nothing of it is told to anybody, before it is believed (rule CP2).
 *
 * Leaves to others whose word is enough, and what happens until somebody has spoken (room/beginnings.ts).
 */
import type { Head, RecordId, Root } from '@driftless/protocol';
import { manifestOf, type ReadCheckpoint } from '../checkpoints.ts';
import type { PeerContext } from '../peer-context.ts';
import type { RoomSession } from '../ports/room-session.ts';
import { createRoomLog } from '../room-log.ts';
import { createSkippedRecords, RecordNotUnderstood } from './skipped-records.ts';
import { RecordUnreadable } from './unreadable.ts';

export interface CheckpointTrial {
  readonly checkpoint: ReadCheckpoint;
  /** Takes in what the relay has on top of it, as far as that can be followed, now or for good. */
  follow(session: RoomSession, onProgress: (height: number, headHeight: number) => void): Promise<void>;
  /**
   * Whether a device other than its author wrote a record on top of it that is valid: it signed the root of the whole manifest, so that
   * from there on this is the room.
   */
  readonly hasRecordOfAnother: boolean;
  /** Whether any other device wrote there, be it void. */
  readonly hasOthers: boolean;
  /** Whether all that the relay has was taken in. */
  readonly isWhole: boolean;
  /** What it comes to at that record; undefined: it is none of those that were taken in. */
  rootAt(record: { readonly height: number; readonly recordId: RecordId | null }): Root | undefined;
  head(): Head;
  close(): void;
}

/** Nothing is decided in a trial: what is left out of the log is what its own records leave out. */
const noHolds = { isConfirmed: () => false, set: () => {}, endConfirmed: () => {} };
const silent = { debug() {}, info() {}, warn() {}, error() {} };

export function createCheckpointTrial(context: PeerContext, checkpoint: ReadCheckpoint): CheckpointTrial {
  const { body, entries } = checkpoint;
  const store = context.parts.openTrialStore();
  const parts = { ...context.parts, store, log: silent, onEvent: () => {} };
  const log = createRoomLog(
    { ...context, parts, session: context.session, markDirty: () => {} },
    createSkippedRecords(parts, { holds: noHolds, pause: context.pause }),
  );
  const start: Head = { height: body.height, id: body.recordId };
  try {
    store.transaction(() => {
      store.loadManifest({ head: start, root: body.root, ...manifestOf(entries) });
      // Whose paths were touched is nobody's question here.
      store.setSetting('join', 'trial');
    });
  } catch (error) {
    store.close();
    throw error;
  }
  let lookedTo = body.height;
  let hasRecordOfAnother = false;
  let hasOthers = false;
  let isWhole = false;

  function look(): void {
    const { height } = head();
    for (let at = lookedTo + 1; at <= height; at += 1) {
      const { device, label } = store.recordMeta(at) ?? { device: '', label: '' };
      if (device === '' || device === body.device) continue;
      hasRecordOfAnother ||= label !== 'void';
      hasOthers ||= device !== context.parts.device.device;
    }
    lookedTo = height;
  }
  const head = (): Head => store.head() ?? start;

  return {
    checkpoint,
    async follow(session, onProgress) {
      try {
        isWhole = false;
        const outcome = await log.pull(session, (height, headHeight) => {
          look();
          onProgress(height, headHeight);
        });
        isWhole = outcome === 'caught-up';
      } catch (error) {
        const isEnd = error instanceof RecordNotUnderstood || (error instanceof RecordUnreadable && error.isLasting);
        if (!isEnd) throw error;
      } finally {
        look();
      }
    },
    get hasRecordOfAnother() {
      return hasRecordOfAnother;
    },
    get hasOthers() {
      return hasOthers;
    },
    get isWhole() {
      return isWhole;
    },
    rootAt({ height, recordId }) {
      if (recordId === start.id) return body.root;
      const record = store.recordMeta(height);
      return record?.head.id === recordId ? record.root : undefined;
    },
    head,
    close: () => store.close(),
  };
}
