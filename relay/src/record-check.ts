/**
 * What a relay checks of a record or a checkpoint before the store sees it: that the header decodes and belongs here, that an
 * inline body is the one that it names, and that a writer of the room signed it (rules LOG1, LOG5, SEAL2, CP1). Whether it follows
 * the head is decided in the store's transaction; whether it is valid, by every reader.
 */
import { hash } from 'node:crypto';
import {
  type CloseName,
  decodeRecordHeader,
  equalBytes,
  err,
  limits,
  ok,
  type Result,
  type RoomId,
  recordIdOf,
  recordKindChanges,
  recordVersion,
  type SealedCheckpoint,
  type SealedRecord,
  verifyEd25519,
  writerCheckpointMessage,
  writerRecordMessage,
} from '@driftless/protocol';
import type { RecordToStore } from './store/room-store.ts';

export interface Refusal {
  readonly code: CloseName;
  readonly detail: string;
}

export function checkRecord(
  record: SealedRecord,
  { room, writerKey }: { readonly room: RoomId; readonly writerKey: Uint8Array },
): Result<RecordToStore, Refusal> {
  const decoded = decodeRecordHeader(record.header);
  if (!decoded.ok) return badRecord('its header does not decode');
  const header = decoded.value;
  if (header.version > recordVersion || header.kind !== recordKindChanges) {
    return err({
      code: 'unknownCritical',
      detail: 'a record of a kind that this relay does not know: update the relay',
    });
  }
  if (header.room !== room) return badRecord('it belongs to another room');
  if (header.bodyChunks.length > 0 ? record.body.length > 0 : !isBodyOf(record, header.bodyHash)) {
    return badRecord('its body is not the one that its header names');
  }
  if ([header.bodyChunks, header.adds, header.addsLists].some(namesTwice)) return badRecord('it names a chunk twice');
  const id = recordIdOf(record.header);
  if (!verifyEd25519(writerKey, writerRecordMessage(id), record.writerSignature)) {
    return badRecord('no writer of the room signed it');
  }
  const { height, prev, epoch, bodyChunks, adds, addsLists } = header;
  return ok({ record, id, height, prev, epoch, bodyChunks, adds, addsLists });
}

/** What is wrong with a checkpoint, before the store sees it. */
export function refusalOfCheckpoint(checkpoint: SealedCheckpoint, writerKey: Uint8Array): Refusal | undefined {
  if (namesTwice(checkpoint.lists)) {
    return { code: 'badRecord', detail: 'the checkpoint is refused: it names a list twice' };
  }
  if (!verifyEd25519(writerKey, writerCheckpointMessage(checkpoint), checkpoint.writerSignature)) {
    return { code: 'badRecord', detail: 'no writer of the room signed the checkpoint' };
  }
  return undefined;
}

/** Lists of ids are sets: who names one chunk a thousand times asks for a thousand times the work. */
const namesTwice = (ids: readonly string[]): boolean => new Set(ids).size < ids.length;

function isBodyOf({ body }: SealedRecord, bodyHash: Uint8Array): boolean {
  return body.length <= limits.bodyInlineBytesMax && equalBytes(hash('sha256', body, 'buffer'), bodyHash);
}

const badRecord = (reason: string): { readonly ok: false; readonly error: Refusal } =>
  err({ code: 'badRecord', detail: `the record is refused: ${reason}` });
