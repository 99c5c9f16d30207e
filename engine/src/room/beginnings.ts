/**
 * Where a peer begins that the log alone does not lead on: a checkpoint is the word of one device for what the room held at a record,
 * and that record may be void for everybody who follows the log. So it is believed when somebody else says the same (rule CP2):
 *
 *   whoever gave the invite, or this device, made it    → at once
 *   another device wrote the record that it stands on, or one that is valid on top of it
 *   another device is here, at a record that was read, with the root that comes out there
 *   nobody but its author ever wrote, as far as anything can be read or is known here → there is nobody to ask
 *   a person says so
 *
 * Devices that are here have a moment to answer. Then the whole log is read, or an older checkpoint is tried; else the peer waits, says
 * so, and looks again. Nothing is changed before one is believed.
 *
 * Leaves to others what is done with it (recover.ts).
 */

import type { Head } from '@driftless/protocol';
import type { Checkpoints, ReadCheckpoint } from '../checkpoints.ts';
import type { Halt } from '../core/peer-state.ts';
import { shellWord } from '../core/shell-word.ts';
import type { Holds } from '../guards/holds.ts';
import type { PeerContext } from '../peer-context.ts';
import type { RoomSession } from '../ports/room-session.ts';
import { type CheckpointTrial, createCheckpointTrial } from './checkpoint-trial.ts';
import { mayKnowOthers } from './known-authors.ts';
import type { SaidRoot } from './other-roots.ts';
import { RecordUnreadable } from './unreadable.ts';

/** A device that is here answers a newcomer at once; what it was busy with may take a while. */
const answersWithinMs = 10_000;
/** Older checkpoints, and who wrote the log, are not looked at in each turn: much is fetched for it. */
const searchAgainMsMin = 30_000;
const searchAgainMsMax = 10 * 60_000;
const olderTriedMax = 8;

export type Beginning =
  /** `confirmedAt`: the record at which it was judged: nothing follows from the checkpoint before that one is taken in. */
  | { readonly kind: 'checkpoint'; readonly checkpoint: ReadCheckpoint; readonly confirmedAt: Head }
  /** The log, from its first record. */
  | { readonly kind: 'log' }
  /** The relay has no checkpoint that leads further than this peer is. */
  | { readonly kind: 'none' }
  | { readonly kind: 'unreadable' }
  /** Somebody may be about to answer: to be asked for again in a moment. */
  | { readonly kind: 'waiting' };

type Progress = (height: number, headHeight: number) => void;

export interface Beginnings {
  /**
   * `above`: the height that this peer stands at; 0: it begins anew.
   *
   * Errors: CheckpointUnconfirmed; what reading the log throws.
   */
  find(session: RoomSession, options: { readonly above: number; readonly onProgress: Progress }): Promise<Beginning>;
  /** This peer stands in the room's log: no question is open any more. */
  over(): void;
  close(): void;
}

/** Nobody says the same, or somebody says otherwise. */
export class CheckpointUnconfirmed extends Error {
  readonly halt: Halt;

  constructor(
    { body, recordBy }: ReadCheckpoint,
    { denier, dir }: { readonly denier: SaidRoot | null; readonly dir: string },
  ) {
    const author = `${recordBy.name} (device ${body.device.slice(0, 12)})`;
    const confirm = `driftless confirm ${shellWord(dir)}; files here may then be replaced, or go to the trash, by what it says`;
    super(
      denier === null
        ? `what this room held at record ${body.height} is the word of ${author} alone, and no other device has confirmed it yet`
        : `${author} and ${denier.name} (device ${denier.device.slice(0, 12)}) say different things of what this room held at record ${body.height}`,
    );
    this.name = 'CheckpointUnconfirmed';
    this.halt = {
      code: 'checkpoint-unconfirmed',
      reason: this.message,
      next:
        denier === null
          ? `start Driftless on a device of this room other than ${recordBy.name}, which confirms it by itself; if there is none, and you trust ${recordBy.name}: ${confirm}`
          : `find out which of the two is right; to go by ${recordBy.name}: ${confirm}`,
    };
  }
}

export function createBeginnings(
  context: PeerContext,
  checkpoints: Pick<Checkpoints, 'read' | 'isAllByItsAuthor'>,
  { holds, here }: { readonly holds: Holds; readonly here: () => readonly SaidRoot[] },
): Beginnings {
  const { parts } = context;
  const { clock, store } = parts;
  /** The newest checkpoint, for as long as it is doubted. */
  let doubted: CheckpointTrial | null = null;
  /** Since when devices can answer, on this connection. */
  let asked: { readonly session: RoomSession; readonly sinceMs: number } | null = null;
  /** `of`: what could make a difference to the last search. */
  let search = { of: '', againMs: Number.NEGATIVE_INFINITY, times: 0 };

  const find: Beginnings['find'] = async (session, { above, onProgress }) => {
    const newest = await checkpoints.read(session, { above, atMost: 0, known: doubted?.checkpoint });
    if (typeof newest === 'string') {
      forget();
      return { kind: newest };
    }
    if (isBelieved(newest)) return believed(newest);
    const trial = trialOf(newest);
    await trial.follow(session, onProgress);
    const { isConfirmed, denier } = judge(trial);
    if (isConfirmed) return believed(newest, trial.head());
    if (asked?.session !== session) asked = { session, sinceMs: clock.monotonicMs() };
    if (denier === null && clock.monotonicMs() - asked.sinceMs < answersWithinMs) return { kind: 'waiting' };
    const { floor } = await session.fetchRecords(0, 1);
    if (above === 0 && floor <= 1) {
      forget();
      return { kind: 'log' };
    }
    const found = await searched(trial, { above, floor, session, onProgress, isDenied: denier !== null });
    if (found !== null) return found;
    const unconfirmed = new CheckpointUnconfirmed(newest, { denier, dir: parts.dir });
    holds.set('checkpoint', [{ ...unconfirmed.halt, subjects: [newest.body.recordId], paths: [] }]);
    throw unconfirmed;
  };

  /** Without asking anybody else. */
  function isBelieved({ body, recordBy }: ReadCheckpoint): boolean {
    const { device, recordId } = body;
    return (
      device === parts.device.device ||
      device === parts.inviter ||
      device !== recordBy.device ||
      holds.isConfirmed('checkpoint', recordId)
    );
  }

  /** What those say who are here. Its own author says nothing new. */
  function judge(trial: CheckpointTrial): { readonly isConfirmed: boolean; readonly denier: SaidRoot | null } {
    const said = here().flatMap((one) => {
      const root = one.device === trial.checkpoint.body.device ? undefined : trial.rootAt(one);
      return root === undefined ? [] : [{ one, isSame: root === one.root }];
    });
    const denier = said.find(({ isSame }) => !isSame)?.one ?? null;
    return { isConfirmed: denier === null && (trial.hasRecordOfAnother || said.length > 0), denier };
  }

  function trialOf(newest: ReadCheckpoint): CheckpointTrial {
    if (doubted !== null && doubted.checkpoint === newest) return doubted;
    doubted?.close();
    doubted = null;
    doubted = createCheckpointTrial(context, newest);
    return doubted;
  }

  /** Another way to begin, where the log begins later. */
  async function searched(
    newest: CheckpointTrial,
    options: {
      readonly above: number;
      readonly floor: number;
      readonly session: RoomSession;
      readonly onProgress: Progress;
      readonly isDenied: boolean;
    },
  ): Promise<Beginning | null> {
    const { above, floor, session, onProgress, isDenied } = options;
    const { checkpoint } = newest;
    const { device: author, height } = checkpoint.body;
    const of = [
      isDenied,
      ...here()
        .flatMap(({ device }) => (device === author ? [] : [device]))
        .sort(),
    ].join(' ');
    const times = of === search.of ? search.times : 0;
    if (of === search.of && clock.monotonicMs() < search.againMs) return null;
    const delayMs = Math.min(searchAgainMsMax, searchAgainMsMin * 2 ** times);
    search = { of, againMs: clock.monotonicMs() + delayMs, times: times + 1 };
    const mayBeAlone =
      !isDenied && newest.isWhole && !newest.hasOthers && !mayKnowOthers(store, [author, parts.device.device]);
    if (mayBeAlone && (await checkpoints.isAllByItsAuthor(checkpoint, Math.max(floor, above + 1), session)))
      return believed(checkpoint, newest.head());
    let atMost = height - 1;
    for (let tried = 0; tried < olderTriedMax && atMost > above; tried += 1) {
      const older = await checkpoints.read(session, { above, atMost });
      if (typeof older === 'string') break;
      if (isBelieved(older)) return believed(older);
      const confirmedAt = await confirmationOf(older, session, onProgress);
      if (confirmedAt !== null) return believed(older, confirmedAt);
      atMost = older.body.height - 1;
    }
    return null;
  }

  async function confirmationOf(
    checkpoint: ReadCheckpoint,
    session: RoomSession,
    onProgress: Progress,
  ): Promise<Head | null> {
    const trial = createCheckpointTrial(context, checkpoint);
    try {
      await trial.follow(session, onProgress);
      return judge(trial).isConfirmed ? trial.head() : null;
    } catch (error) {
      // Asked for again where the newest one is followed.
      if (error instanceof RecordUnreadable) return null;
      throw error;
    } finally {
      trial.close();
    }
  }

  function believed(checkpoint: ReadCheckpoint, confirmedAt?: Head): Beginning {
    forget();
    holds.set('checkpoint', []);
    const { height, recordId: id } = checkpoint.body;
    return { kind: 'checkpoint', checkpoint, confirmedAt: confirmedAt ?? { height, id } };
  }

  function forget(): void {
    doubted?.close();
    doubted = null;
  }

  return {
    find,
    over() {
      forget();
      asked = null;
      search = { of: '', againMs: Number.NEGATIVE_INFINITY, times: 0 };
      holds.set('checkpoint', []);
      holds.endConfirmed('checkpoint', () => true);
    },
    close: forget,
  };
}
