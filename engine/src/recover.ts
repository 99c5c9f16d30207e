/**
 * From a fresh session to the relay's head (rules RB1–RB4, SEED). Nothing is reconciled before this is done: a head that
 * does not descend from the last pulled one would make the reconcile table itself delete newer work.
 *
 *   relay has no log            → this peer seeds it from its checkpoint and the files on its disk
 *   relay holds our head        → pull
 *   relay went back             → the missing records are appended again, verbatim
 *   relay went another way      → base := the last common manifest; what differs on disk is a local change; nothing is deleted
 *   nothing in common           → a re-join: base is forgotten, what the disk holds is compared with the room
 */
import { type Entry, type Head, noRecordId, type RelPath, type SealedChunk, type Slot } from '@driftless/protocol';
import type { Checkpoints } from './checkpoints.ts';
import { liveEntry, sameEntry } from './core/entry-encoding.ts';
import { leafDigest } from './core/leaf-digest.ts';
import { emptyRoot } from './core/page-tree.ts';
import type { Row } from './core/row.ts';
import type { JoinOwnWork } from './peer/join-own-work.ts';
import type { PeerContext } from './peer-context.ts';
import type { RoomSession } from './ports/room-session.ts';
import { type Beginning, type Beginnings, CheckpointUnconfirmed } from './room/beginnings.ts';
import { knowAuthors } from './room/known-authors.ts';
import { isReached, noteReached, setMustReach } from './room/must-reach.ts';
import { RecordUnreadable } from './room/unreadable.ts';
import type { RoomLog } from './room-log.ts';

/** A newcomer to a log longer than this starts from the newest checkpoint. */
const checkpointWorthRecords = 200;
const recentHeadsMax = 4_096;
/** With the growing pauses between failed turns: some seconds, in which peers that are up leave what they have at the relay. */
const seedTriesMax = 5;

/** Setting, while such a join lasts: the room's history as this peer knew it is not that of the log. */
export const youngerLog = 'younger-log';
/** Setting, for good: this peer has been in a log that did not go on from the room's first one. */
const leftFirstLog = 'left-first-log';

const rejoinWords = {
  'other-history': 'the relay holds another history of this room',
  'own-tree': 'what this machine kept of the room was damaged',
} as const;

/** What disk and room held when the bases were forgotten. */
type KnownBases = Map<RelPath, { readonly base: Entry; readonly room: Slot }>;

export type PullProgress = (phase: string, done: number, total: number) => void;

/** `waiting`: nothing is changed yet, somebody may be about to confirm where to begin: to be asked for again in a moment. */
export type Reached = 'caught-up' | 'waiting';

export interface Recovery {
  /**
   * Brings the remote tree to the relay's head.
   *
   * Errors: CheckpointUnconfirmed (room/beginnings.ts); what reading the log throws.
   */
  catchUp(session: RoomSession, onProgress: PullProgress): Promise<Reached>;
  /** What this peer keeps of the room is damaged: the next time it is taken from the relay anew. */
  distrustOwnTree(): void;
}

export function createRecovery(
  context: PeerContext,
  log: RoomLog,
  checkpoints: Pick<Checkpoints, 'adopt' | 'seed' | 'refill'>,
  {
    beginnings,
    ownWork,
    onRejoin,
  }: {
    readonly beginnings: Beginnings;
    readonly ownWork: JoinOwnWork;
    /** The bases are forgotten: what a join found here, if one is under way, is to be looked for again. */
    readonly onRejoin: () => void;
  },
): Recovery {
  const { parts } = context;
  const { store, hashing } = parts;

  /** In a row, without all contents being found. */
  let seedsTried = 0;
  /** A welcome speaks of the moment of its hello: it is read once. */
  const welcomed = new WeakSet<RoomSession>();

  /** Welcomed to a relay that had lost the room: it has it again, or not all of it is to be had. */
  const isSeedOver = new WeakSet<RoomSession>();

  let isOwnTreeDamaged = false;

  async function catchUp(session: RoomSession, onProgress: PullProgress): Promise<Reached> {
    knowAuthors(store);
    noteReached(store);
    let reached = await reach(session, onProgress);
    // The relay does not show any more what the room's beginning was judged by: it is judged anew.
    if (reached === 'caught-up' && !isReached(store)) reached = await rejoin(session, onProgress, 'other-history');
    if (reached === 'waiting') return reached;
    if (!isReached(store)) throw log.contradicted();
    beginnings.over();
    return reached;
  }

  function adopt({ checkpoint, confirmedAt }: Extract<Beginning, { kind: 'checkpoint' }>): void {
    checkpoints.adopt(checkpoint);
    setMustReach(store, confirmedAt.id === checkpoint.body.recordId ? null : confirmedAt);
  }

  async function reach(session: RoomSession, onProgress: PullProgress): Promise<Reached> {
    if (isOwnTreeDamaged) return rejoin(session, onProgress, 'own-tree');
    if (welcomed.has(session)) return pullOrRejoin(session, onProgress);
    const reached = await greet(session, onProgress);
    if (reached === 'caught-up') welcomed.add(session);
    return reached;
  }

  async function greet(session: RoomSession, onProgress: PullProgress): Promise<Reached> {
    const { welcome } = session;
    const storeId = Buffer.from(welcome.storeId).toString('hex');
    const reached = await meet(session, storeId, onProgress);
    if (reached === 'caught-up') store.setSetting('relay-store', storeId);
    return reached;
  }

  async function meet(session: RoomSession, storeId: string, onProgress: PullProgress): Promise<Reached> {
    const head = store.head();
    const { welcome } = session;
    // What is not known to be the room is given to no relay that lost it.
    if (welcome.head === null && !isReached(store)) return rejoin(session, onProgress, 'other-history');
    if (welcome.head === null && !isSeedOver.has(session))
      return head === null ? 'caught-up' : seedAgain(session, onProgress);
    if (welcome.head === null)
      return head === null ? pullOrRejoin(session, onProgress) : fromLastCommon(session, onProgress);
    if (head === null) {
      const isLong = welcome.floor > 1 || welcome.head.height > checkpointWorthRecords;
      if (isLong && (await begin(session, onProgress)) === 'waiting') return 'waiting';
      return pullOrRejoin(session, onProgress);
    }
    if (!welcome.holdsKnown) return fromLastCommon(session, onProgress);
    const reached = await pullOrRejoin(session, onProgress);
    const knownStore = store.setting('relay-store');
    // The same room in another store: it was refilled by somebody who may not have held everything that we hold.
    if (reached === 'caught-up' && knownStore !== undefined && knownStore !== storeId)
      await checkpoints.refill(session, (done, total) => onProgress('refilling the relay', done, total));
    return reached;
  }

  async function pullOrRejoin(session: RoomSession, onProgress: PullProgress): Promise<Reached> {
    const outcome = await pull(session, onProgress);
    if (outcome === 'caught-up') return outcome;
    if (outcome === 'pruned') {
      const begun = await begin(session, onProgress);
      if (begun === 'waiting') return begun;
      if (begun === 'begun') return pullOrRejoin(session, onProgress);
      // Nothing is begun anew for it: there is no other beginning.
      if (begun === 'unreadable')
        throw new Error(
          'the relay holds no checkpoint of this room that can be read; waiting for a device to make one',
        );
    }
    return fromLastCommon(session, onProgress);
  }

  /** Goes on from a checkpoint, if there is one that is believed. */
  async function begin(
    session: RoomSession,
    onProgress: PullProgress,
  ): Promise<'begun' | 'log' | 'none' | 'unreadable' | 'waiting'> {
    const beginning = await beginningAbove(store.head()?.height ?? 0, session, onProgress);
    if (beginning.kind !== 'checkpoint') return beginning.kind;
    store.transaction(() => adopt(beginning));
    return 'begun';
  }

  const beginningAbove = (
    above: number,
    session: RoomSession,
    onProgress: PullProgress,
  ): ReturnType<Beginnings['find']> =>
    beginnings.find(session, {
      above,
      onProgress: (height, headHeight) => onProgress('checking a checkpoint', height, headHeight),
    });

  /** A damaged record may still be put back, also by whoever made the checkpoint: that is what is said, and asked for. */
  async function beginBeyond(session: RoomSession, onProgress: PullProgress): ReturnType<typeof begin> {
    try {
      return await begin(session, onProgress);
    } catch (error) {
      if (error instanceof CheckpointUnconfirmed || error instanceof RecordUnreadable) return 'waiting';
      throw error;
    }
  }

  /** Beyond a record that nobody puts back leads a checkpoint that was made after it. */
  async function pull(session: RoomSession, onProgress: PullProgress): ReturnType<RoomLog['pull']> {
    const pullOnce = () =>
      log.pull(session, (height, headHeight) => {
        noteReached(store);
        onProgress('reading the log', height, headHeight);
      });
    try {
      return await pullOnce();
    } catch (error) {
      const isStuck = error instanceof RecordUnreadable && error.isLasting;
      if (!isStuck || (await beginBeyond(session, onProgress)) !== 'begun') throw error;
      note(`${error.message}; this peer goes on from a checkpoint made after it`);
      return pullOnce();
    }
  }

  /** Rule RB4: a relay without the room is never "everything deleted". */
  async function seedAgain(session: RoomSession, onProgress: PullProgress): Promise<Reached> {
    if (seedsTried === 0) note('the relay lost this room; it is being refilled from here');
    const outcome = await checkpoints.seed(session, (done, total) => onProgress('refilling the relay', done, total));
    switch (outcome) {
      case 'seeded':
        seedsTried = 0;
        return 'caught-up';
      case 'stale':
        // Another peer was faster: what it seeded is judged as any log is.
        seedsTried = 0;
        isSeedOver.add(session);
        return fromLastCommon(session, onProgress);
      case 'incomplete':
        seedsTried += 1;
        // Another peer may bring the rest to the relay: whoever comes last finds all of it there.
        if (seedsTried < seedTriesMax)
          throw new Error('the relay lost this room, and not all of it is here to refill it; trying again');
        seedsTried = 0;
        isSeedOver.add(session);
        note(
          'the relay lost this room, and some old versions are nowhere any more: the room begins again with what the folders hold',
        );
        return rejoin(session, onProgress, 'other-history');
    }
  }

  async function fromLastCommon(session: RoomSession, onProgress: PullProgress): Promise<Reached> {
    const located = await session.locate(store.recentHeads(recentHeadsMax));
    const { common } = located;
    if (common === null) return rejoin(session, onProgress, 'other-history');
    const wentBack = located.head !== null && located.head.id === common.id;
    if (common.id === store.head()?.id && !wentBack) {
      // It is our head that it holds, and more: that can only follow it.
      if ((await pull(session, onProgress)) !== 'caught-up') throw log.contradicted();
      return 'caught-up';
    }
    if (wentBack && (await appendAgain(session, common))) {
      note('the relay had gone back; its missing records were put back from here');
      return pullOrRejoin(session, onProgress);
    }
    if (!rebase(common)) return rejoin(session, onProgress, 'other-history');
    note(
      `the relay lost history: this peer goes on from record ${common.height}, and what differs on disk counts as changed here`,
    );
    await checkpoints.refill(session, (done, total) => onProgress('refilling the relay', done, total));
    return pullOrRejoin(session, onProgress);
  }

  /** Rule RB2. False: not all is at hand, or others have appended meanwhile. */
  async function appendAgain(session: RoomSession, common: Head): Promise<boolean> {
    const records = store.cachedRecordsAfter(common.height);
    if (records === undefined) return false;
    let refilled = false;
    for (const record of records) {
      for (;;) {
        const answer = await session.append(record, []);
        if (answer.kind === 'appended') break;
        if (answer.kind === 'overQuota') return false;
        // The log went another way. (A record that another peer put back meanwhile is held, and counts as appended.)
        if (answer.kind === 'stale') return false;
        const chunks: SealedChunk[] = answer.ids.flatMap((id) => store.cachedChunk(id) ?? []);
        if (chunks.length > 0) await session.put(chunks);
        if (chunks.length < answer.ids.length) {
          if (refilled) return false;
          await checkpoints.refill(session, () => {});
          refilled = true;
        }
      }
    }
    return true;
  }

  /** Rule RB3, in one transaction: a crash must not find the tree rolled back and the base not. */
  function rebase(common: Head): boolean {
    return store.transaction(() => {
      const changed = store.rollBackTo(common);
      if (changed === false) return false;
      for (const path of changed) {
        const row = store.row(path);
        // What the disk lacks comes back rather than being deleted for all.
        store.setBase(path, row === undefined || row.local === null ? null : liveEntry(row.remote));
        if (row?.outOfScope != null) context.markDirty(path, false);
      }
      for (const sent of store.allSent()) store.deleteSent(sent.id);
      return true;
    });
  }

  /** Where it begins is known before anything is forgotten: a relay that shows a room without a beginning takes nothing from this one. */
  async function rejoin(
    session: RoomSession,
    onProgress: PullProgress,
    why: 'other-history' | 'own-tree',
  ): Promise<Reached> {
    const beginning = await beginningAbove(0, session, onProgress);
    if (beginning.kind === 'waiting') return 'waiting';
    const { floor, head } = await session.fetchRecords(0, 1);
    if (beginning.kind !== 'checkpoint' && head !== null && floor > 1)
      throw new Error('the relay holds a log of this room that has no valid beginning');
    note(
      `${rejoinWords[why]}: folder and room are compared as at a first join; nothing goes but what the room has deleted`,
    );
    const before = store.head()?.height ?? 0;
    const known: KnownBases = new Map();
    store.transaction(() => {
      forgetBases(known);
      for (const sent of store.allSent()) store.deleteSent(sent.id);
      store.loadManifest({
        head: { height: 0, id: noRecordId },
        root: emptyRoot(hashing.sha256),
        slots: [],
        variants: [],
      });
      setMustReach(store, null);
      if (beginning.kind === 'checkpoint') adopt(beginning);
      // A join that is under way stays what it is: what it found here may never have been in the room.
      if (store.setting('join') === undefined) store.setSetting('join', 'rejoin');
      if (why === 'other-history') store.setSetting(youngerLog, 'yes');
    });
    // From here on it is read like any room, however often that is cut.
    isOwnTreeDamaged = false;
    onRejoin();
    const outcome = await pull(session, onProgress);
    if (outcome !== 'caught-up') throw new Error('the relay holds a log of this room that has no valid beginning');
    store.transaction(() => {
      // Where the room holds what this peer last knew of it, an edit made here is an edit, and no conflict; and what the room
      // had deleted goes as any deletion, or waits for the answer that it waited for.
      for (const [path, { base, room }] of known) {
        const row = store.row(path);
        if (row !== undefined && row.local !== null && isSameInRoom(row.remote, room)) store.setBase(path, base);
      }
      if (why === 'own-tree') return;
      // A log that was begun anew, or a return from such a one, goes on from somebody who may have known less than this peer:
      // then an old version is not outdated by it, and both are kept. Certain is only a longer log that was seeded as it was.
      const isAnew = floor <= 1 || (store.head()?.height ?? 0) < before;
      if (isAnew) store.setSetting(leftFirstLog, 'yes');
      store.setSetting(youngerLog, store.setting(leftFirstLog) ?? null);
    });
    return 'caught-up';
  }

  /** What base said is remembered as history: an unchanged old version is brought up to date, not conflicted. */
  function forgetBases(known: KnownBases): void {
    const own: Row[] = [];
    let from: RelPath | '' = '';
    for (;;) {
      const rows = store.rowsFrom(from, 1_000);
      for (const row of rows) {
        const digest = leafDigest(row.base, hashing.sha256);
        if (digest !== null) store.noteHistory(row.path, digest);
        if (ownWork.mayBeMistaken(row)) own.push(row);
        if (row.base !== null && row.local !== null && row.remote !== null)
          known.set(row.path, { base: row.base, room: row.remote });
        store.setBase(row.path, null);
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < 1_000) break;
      from = `${last.path}\u0000` as RelPath;
    }
    ownWork.add(own);
  }

  function note(text: string): void {
    parts.log.warn('recovery', { text });
    parts.onEvent({ event: 'note', path: '', note: text });
  }

  return {
    catchUp,
    distrustOwnTree: () => {
      isOwnTreeDamaged = true;
    },
  };
}

function isSameInRoom(now: Slot | null, before: Slot): boolean {
  if (before.kind === 'tombstone') return now?.kind === 'tombstone' && now.digest === before.digest;
  return sameEntry(liveEntry(now), before);
}
