/**
 * A checkpoint is the word of one device for what the room holds at a record, and that record may be void for everybody who follows the
 * log. What was loaded from one is neither acted on nor passed on before a second device says the same (rule CP2): by a record of its own
 * that comes out on top of it, or by its presence at the same head. The device that gave the invite is believed, and so is this one.
 *
 * Leaves to others what to do as long as nobody says so (recover.ts).
 */
import type { CheckpointBody, DeviceId, RecordId, Root } from '@driftless/protocol';
import type { Halt } from '../core/peer-state.ts';
import type { PeerParts } from '../peer-api.ts';
import type { StateStore } from '../ports/state-store.ts';

/** Loaded, and confirmed by nobody yet. */
export interface DoubtedCheckpoint {
  readonly height: number;
  readonly recordId: RecordId;
  readonly root: Root;
  readonly device: DeviceId;
}

export interface CheckpointWord {
  /** It is about to be loaded, in the same transaction. `recordBy`: whose record it stands on. */
  given(checkpoint: CheckpointBody, recordBy: DeviceId): void;
  doubted(): DoubtedCheckpoint | undefined;
  /** A record of that device is taken in, in the same transaction. */
  recordBy(device: DeviceId, height: number): void;
  /** Whether one of another device was valid on top of it. */
  isRecordOfAnother(doubted: DoubtedCheckpoint): boolean;
  confirm(): void;
  /** Another device says otherwise: not to be loaded again, until all that were rejected are pardoned. Returns whether that is new. */
  reject(): boolean;
  pardon(): void;
  isRejected(record: RecordId): boolean;
  /** What it said is forgotten with it. */
  forget(): void;
}

/** Setting: the checkpoint that is not confirmed yet, as JSON. */
const doubtedSetting = 'doubted-checkpoint';

/** Whether what this peer knows of the room may be told to others, and compared with what they say. */
export function isRoomKnown(store: Pick<StateStore, 'setting'>): boolean {
  return store.setting(doubtedSetting) === undefined;
}

export function createCheckpointWord(
  { store, device: own, inviter }: Pick<PeerParts, 'store' | 'device' | 'inviter'>,
  /** In the transaction that believes it. */
  onConfirmed: () => void,
): CheckpointWord {
  /** By the record that it stands on; false: pardoned. */
  const rejected = new Map<RecordId, boolean>();

  function doubted(): DoubtedCheckpoint | undefined {
    const text = store.setting(doubtedSetting);
    return text === undefined ? undefined : (JSON.parse(text) as DoubtedCheckpoint);
  }

  function confirm(): void {
    store.transaction(() => {
      store.setSetting(doubtedSetting, null);
      onConfirmed();
    });
  }

  return {
    given({ height, recordId, root, device }, recordBy) {
      // Who wrote the record signed its root as well.
      if (device === own.device || device === inviter || device !== recordBy) confirm();
      else store.setSetting(doubtedSetting, JSON.stringify({ height, recordId, root, device }));
    },
    doubted,
    recordBy(device, height) {
      const one = doubted();
      if (one !== undefined && device !== one.device && height > one.height) confirm();
    },
    isRecordOfAnother({ height, device }) {
      for (let at = height + 1; at <= (store.head()?.height ?? 0); at += 1) {
        const record = store.recordMeta(at);
        if (record !== undefined && record.label !== 'void' && record.device !== device) return true;
      }
      return false;
    },
    confirm,
    reject() {
      const one = doubted();
      if (one === undefined) return false;
      const isNew = !rejected.has(one.recordId);
      rejected.set(one.recordId, true);
      return isNew;
    },
    pardon() {
      for (const record of rejected.keys()) rejected.set(record, false);
    },
    isRejected: (record) => rejected.get(record) === true,
    forget: () => store.setSetting(doubtedSetting, null),
  };
}

export class CheckpointUnconfirmed extends Error {
  readonly halt: Halt;

  constructor({ height, device }: DoubtedCheckpoint) {
    super(
      `what the room held at record ${height} is the word of one device (${device.slice(0, 12)}) alone, and the log before it cannot be read`,
    );
    this.name = 'CheckpointUnconfirmed';
    this.halt = {
      code: 'checkpoint-unconfirmed',
      reason: this.message,
      next: `start Driftless on a third device of this room, which confirms it by itself; nothing is sent or applied until then`,
    };
  }
}
