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

export interface Recovery {
  /** Brings the remote tree to the relay's head. */
  catchUp(session: RoomSession, onProgress: PullProgress): Promise<void>;
  /** What this peer keeps of the room is damaged: the next time it is taken from the relay anew. */
  distrustOwnTree(): void;
}

export function createRecovery(
  context: PeerContext,
  log: RoomLog,
  checkpoints: Checkpoints,
  {
    ownWork,
    onRejoin,
  }: {
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

  let isOwnTreeDamaged = false;

  async function catchUp(session: RoomSession, onProgress: PullProgress): Promise<void> {
    if (isOwnTreeDamaged) {
      isOwnTreeDamaged = false;
      await rejoin(session, onProgress, 'own-tree');
      return;
    }
    if (welcomed.has(session)) {
      await pullOrRejoin(session, onProgress);
      return;
    }
    await greet(session, onProgress);
    welcomed.add(session);
  }

  async function greet(session: RoomSession, onProgress: PullProgress): Promise<void> {
    const head = store.head();
    const { welcome } = session;
    const storeId = Buffer.from(welcome.storeId).toString('hex');
    const knownStore = store.setting('relay-store');
    if (welcome.head === null) {
      if (head !== null) await seedAgain(session, onProgress);
    } else if (head === null) {
      if (welcome.floor > 1 || welcome.head.height > checkpointWorthRecords) await checkpoints.loadNewest(session);
      await pullOrRejoin(session, onProgress);
    } else if (welcome.holdsKnown) {
      await pullOrRejoin(session, onProgress);
      // The same room in another store: it was refilled by somebody who may not have held everything that we hold.
      if (knownStore !== undefined && knownStore !== storeId)
        await checkpoints.refill(session, (done, total) => onProgress('refilling the relay', done, total));
    } else await fromLastCommon(session, onProgress);
    store.setSetting('relay-store', storeId);
  }

  async function pullOrRejoin(session: RoomSession, onProgress: PullProgress): Promise<void> {
    const outcome = await pull(session, onProgress);
    if (outcome === 'caught-up') return;
    if (outcome === 'pruned') {
      const loaded = await checkpoints.loadNewest(session);
      if (loaded === 'loaded') {
        await pullOrRejoin(session, onProgress);
        return;
      }
      // Nothing is begun anew for it: there is no other beginning.
      if (loaded === 'unreadable')
        throw new Error(
          'the relay holds no checkpoint of this room that can be read; waiting for a device to make one',
        );
    }
    await fromLastCommon(session, onProgress);
  }

  /** Beyond a record that nobody puts back leads a checkpoint that was made after it. */
  async function pull(session: RoomSession, onProgress: PullProgress): ReturnType<RoomLog['pull']> {
    const pullOnce = () => log.pull(session, (height, headHeight) => onProgress('reading the log', height, headHeight));
    try {
      return await pullOnce();
    } catch (error) {
      const isStuck = error instanceof RecordUnreadable && error.isLasting;
      if (!isStuck || (await checkpoints.loadNewest(session)) !== 'loaded') throw error;
      note(`${error.message}; this peer goes on from a checkpoint made after it`);
      return pullOnce();
    }
  }

  /** Rule RB4: a relay without the room is never "everything deleted". */
  async function seedAgain(session: RoomSession, onProgress: PullProgress): Promise<void> {
    if (seedsTried === 0) note('the relay lost this room; it is being refilled from here');
    const outcome = await checkpoints.seed(session, (done, total) => onProgress('refilling the relay', done, total));
    switch (outcome) {
      case 'seeded':
        seedsTried = 0;
        return;
      case 'stale':
        // Another peer was faster: what it seeded is judged as any log is.
        seedsTried = 0;
        return fromLastCommon(session, onProgress);
      case 'incomplete':
        seedsTried += 1;
        // Another peer may bring the rest to the relay: whoever comes last finds all of it there.
        if (seedsTried < seedTriesMax)
          throw new Error('the relay lost this room, and not all of it is here to refill it; trying again');
        seedsTried = 0;
        note(
          'the relay lost this room, and some old versions are nowhere any more: the room begins again with what the folders hold',
        );
        return rejoin(session, onProgress, 'other-history');
    }
  }

  async function fromLastCommon(session: RoomSession, onProgress: PullProgress): Promise<void> {
    const located = await session.locate(store.recentHeads(recentHeadsMax));
    const { common } = located;
    if (common === null) {
      await rejoin(session, onProgress, 'other-history');
      return;
    }
    const wentBack = located.head !== null && located.head.id === common.id;
    if (common.id === store.head()?.id && !wentBack) {
      // It is our head that it holds, and more: that can only follow it.
      if ((await pull(session, onProgress)) !== 'caught-up') throw log.contradicted();
      return;
    }
    if (wentBack && (await appendAgain(session, common))) {
      note('the relay had gone back; its missing records were put back from here');
      await pullOrRejoin(session, onProgress);
      return;
    }
    if (!rebase(common)) {
      await rejoin(session, onProgress, 'other-history');
      return;
    }
    note(
      `the relay lost history: this peer goes on from record ${common.height}, and what differs on disk counts as changed here`,
    );
    await checkpoints.refill(session, (done, total) => onProgress('refilling the relay', done, total));
    await pullOrRejoin(session, onProgress);
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

  async function rejoin(
    session: RoomSession,
    onProgress: PullProgress,
    why: 'other-history' | 'own-tree',
  ): Promise<void> {
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
      // A join that is under way stays what it is: what it found here may never have been in the room.
      if (store.setting('join') === undefined) store.setSetting('join', 'rejoin');
      if (why === 'other-history') store.setSetting(youngerLog, 'yes');
    });
    onRejoin();
    await checkpoints.loadNewest(session);
    const outcome = await pull(session, onProgress);
    if (outcome !== 'caught-up') throw new Error('the relay holds a log of this room that has no valid beginning');
    const { floor } = await session.fetchRecords(0, 1);
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
