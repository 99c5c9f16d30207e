/**
 * The room's log as this peer takes it in: judges every record from the chain itself (rules LOG2, LOG3, RB1, OWN) and
 * advances the remote tree by whole records (rule TREE). Never touches the disk, local or base, except that an own record
 * advances base for its paths, and one that closes a conflict does for the side that is held here.
 */
import {
  type ChunkId,
  clearChunkIdOf,
  decodeRecordHeader,
  limits,
  noRecordId,
  type RecordBody,
  type RecordHeader,
  type RecordId,
  type RelPath,
  recordIdOf,
  type SealedChunk,
  type SealedRecord,
  type Variant,
} from '@driftless/protocol';
import { agreeOnClosed } from './conflicts/closed-sides.ts';
import { type AppliedChanges, applyChanges } from './core/apply-changes.ts';
import { isIgnoreFileName } from './core/ignore-rules.ts';
import { leafDigest } from './core/leaf-digest.ts';
import { type PeerContext, RoomHalted } from './peer-context.ts';
import type { RoomSession } from './ports/room-session.ts';
import type { CommitRecord, SentAppend } from './ports/state-store.ts';
import { noteAuthor } from './room/known-authors.ts';
import { RecordNotUnderstood, type SkippedRecords } from './room/skipped-records.ts';
import { RecordUnreadable } from './room/unreadable.ts';

const fetchBytes = 512 * 1024;
/** Paths whose last author is remembered. */
const authorsMax = 50_000;
/** Chunks of records up to this size are kept sealed, so that a rolled-back relay can get them again (rule RB2). */
const cachedRecordChunkBytesMax = 1024 * 1024;

export type TakeOutcome =
  /** The head moved to this record. */
  | { readonly kind: 'taken'; readonly own: boolean }
  | { readonly kind: 'known' }
  /** It does not follow our head: pull, or find the last common record. */
  | { readonly kind: 'gap' };

export interface RoomLog {
  take(record: SealedRecord): Promise<TakeOutcome>;
  /** Fetches until the relay's head is reached. `gap`: the relay's log does not continue ours. */
  pull(
    session: RoomSession,
    onProgress: (height: number, headHeight: number) => void,
  ): Promise<'caught-up' | 'gap' | 'pruned'>;
  /** What the relay gives does not follow the head that it says it holds. */
  contradicted(): RecordUnreadable;
  /** Name of the device whose record touched a path last, as far as this run took it in. */
  authorOf(path: RelPath): string | undefined;
  /** Ignore files that records of others changed since this was asked last, in scope here or not. */
  takeTouchedRules(): readonly RelPath[];
  /** What records of others touched since this was asked last, but for those of a join; true: the last of them was labelled. */
  takeTouched(): ReadonlyMap<RelPath, boolean>;
  /** Commits a record that this peer appended and the relay acknowledged. */
  commitOwn(options: {
    readonly sent: SentAppend;
    readonly header: RecordHeader;
    readonly body: RecordBody;
    readonly applied: AppliedChanges;
    readonly chunks: readonly SealedChunk[];
  }): void;
}

export function createRoomLog(context: PeerContext, skips: SkippedRecords): RoomLog {
  const { parts } = context;
  const { store, cipher, hashing } = parts;
  const authors = new Map<RelPath, string>();
  const touchedRules = new Set<RelPath>();
  /** Whether by a labelled record. */
  const recentlyTouched = new Map<RelPath, boolean>();
  /** Reads of the head's successor that failed in a row. */
  let failed = { after: noRecordId, times: 0 };

  async function take(record: SealedRecord): Promise<TakeOutcome> {
    const head = store.head() ?? { height: 0, id: noRecordId };
    if (isTaken(record)) return { kind: 'known' };
    const signed = cipher.verifyRecord(record);
    if (!signed.ok) throw unreadable('damaged', signed.error, [head.id]);
    const { id, header } = signed.value;
    if (header.height <= head.height) return { kind: store.recordMeta(header.height) === undefined ? 'known' : 'gap' };
    if (header.height !== head.height + 1 || header.prev !== head.id) return { kind: 'gap' };
    const skip = skips.at(header.height);
    // What it claims was made of what is left out with it.
    if (skip?.kind === 'passed-over')
      return takeVoid({
        id,
        header,
        record,
        device: '',
        deviceName: '',
        reason: 'it was left out on every machine',
        own: false,
      });

    const opened = cipher.openRecord(signed.value, await bodyPieces(header));
    const sent = store.sent(id);
    if (!opened.ok) {
      if (opened.error.kind === 'update-needed') {
        const { reason, author } = opened.error;
        const error = new RecordNotUnderstood({
          record: { height: header.height, id },
          reason,
          author,
          dir: parts.dir,
        });
        skips.stuckAt(error);
        throw error;
      }
      if (opened.error.kind === 'damaged') throw unreadable('damaged', opened.error.reason, [head.id]);
      return takeVoid({
        id,
        header,
        record,
        device: '',
        deviceName: '',
        reason: opened.error.reason,
        own: sent !== undefined,
      });
    }
    const { body } = opened.value;
    const applied = applyChanges({
      view: store.manifest,
      changes: body.changes,
      height: header.height,
      device: body.device,
      deviceName: body.deviceName,
      timeMs: body.timeMs,
      sha256: hashing.sha256,
      ...(skip === null ? {} : { skippable: skip.record }),
    });
    if (!applied.ok)
      return takeVoid({
        id,
        header,
        record,
        device: body.device,
        deviceName: body.deviceName,
        reason: applied.error.reason,
        own: sent !== undefined,
      });
    const commit = commitOf({ id, header, body, record, applied: applied.value, own: sent !== undefined });
    if (store.rootAfter(commit) !== body.root)
      return takeVoid({
        id,
        header,
        record,
        device: body.device,
        deviceName: body.deviceName,
        reason: 'its root does not come out',
        own: sent !== undefined,
      });
    store.transaction(() => {
      const untracked = untrackedBy(body);
      commitAgreeing(commit);
      for (const path of untracked) store.setBase(path, null);
      noteHistory(body);
      if (sent === undefined) noteTouched(body, applied.value.touched);
      if (sent !== undefined) acknowledge(sent, applied.value.variantsOpened);
      dropOvertaken(header.height);
      noteAuthor(store, { height: header.height, device: body.device });
    });
    lookAtLeftOut(applied.value.touched);
    if (sent === undefined)
      for (const variant of applied.value.variantsOpened)
        parts.onEvent({
          event: 'conflict',
          path: variant.path,
          reason: 'both sides changed it',
          device: variant.deviceName,
        });
    return { kind: 'taken', own: sent !== undefined };
  }

  /** Whatever else came with its header is not looked at. */
  function isTaken({ header }: SealedRecord): boolean {
    const decoded = decodeRecordHeader(header);
    if (!decoded.ok || decoded.value.height > (store.head()?.height ?? 0)) return false;
    return store.recordMeta(decoded.value.height)?.head.id === recordIdOf(header);
  }

  function unreadable(
    kind: 'damaged' | 'incomplete',
    reason: string,
    asks: readonly (ChunkId | RecordId)[],
  ): RecordUnreadable {
    const { height, id } = store.head() ?? { height: 0, id: noRecordId };
    failed = { after: id, times: failed.after === id ? failed.times + 1 : 1 };
    return new RecordUnreadable({ height: height + 1, reason, kind, asks, times: failed.times });
  }

  async function bodyPieces(header: RecordHeader): Promise<Uint8Array[]> {
    if (header.bodyChunks.length === 0) return [];
    const pieces = new Map<string, Uint8Array>();
    for (const id of header.bodyChunks) {
      const cached = store.cachedChunk(id);
      if (cached !== undefined && clearChunkIdOf(cached.sealed) === id) pieces.set(id, cached.sealed);
    }
    const wanted = header.bodyChunks.filter((id) => !pieces.has(id));
    const damaged: ChunkId[] = [];
    if (wanted.length > 0)
      await context.session()?.get(wanted, ({ id, sealed }) => {
        if (clearChunkIdOf(sealed) === id) pieces.set(id, sealed);
        else damaged.push(id);
      });
    if (damaged.length > 0) throw unreadable('damaged', 'a piece of its body is another one', damaged);
    const lost = header.bodyChunks.filter((id) => !pieces.has(id));
    if (lost.length > 0) throw unreadable('incomplete', 'a piece of its body is not there', lost);
    return header.bodyChunks.map((id) => pieces.get(id) ?? new Uint8Array(0));
  }

  /** Rule LOG2: changes nothing, is a link of the chain, and is shown. */
  function takeVoid(options: {
    readonly id: RecordId;
    readonly header: RecordHeader;
    readonly record: SealedRecord;
    readonly device: string;
    readonly deviceName: string;
    readonly reason: string;
    readonly own: boolean;
  }): TakeOutcome {
    const { id, header, record, device, deviceName, reason, own } = options;
    parts.log.warn('void-record', { height: header.height, reason, device });
    store.transaction(() => {
      store.commitRecord({
        meta: {
          head: { height: header.height, id },
          prev: header.prev,
          root: store.root(),
          device,
          deviceName,
          timeMs: 0,
          label: 'void',
          massDeletion: 'none',
          changes: 0,
          own,
        },
        record,
        updates: [],
        mtimes: new Map(),
        variantsOpened: [],
        variantsClosed: [],
        bytes: record.header.length + record.body.length,
      });
      if (own) store.deleteSent(id);
      noteAuthor(store, { height: header.height, device });
    });
    parts.onEvent({
      event: 'problem',
      path: '',
      reason: `record ${header.height}${deviceName === '' ? '' : ` by ${deviceName}`} is void: ${reason}`,
    });
    // A record of ours that nobody can take would be made again for ever: this engine is at fault, and says so.
    if (own) throw new RoomHalted(`a record of this peer is void: ${reason}`);
    return { kind: 'taken', own };
  }

  function commitOf(options: {
    readonly id: RecordId;
    readonly header: RecordHeader;
    readonly body: RecordBody;
    readonly record: SealedRecord;
    readonly applied: AppliedChanges;
    readonly own: boolean;
  }): CommitRecord {
    const { id, header, body, record, applied, own } = options;
    return {
      meta: {
        head: { height: header.height, id },
        prev: header.prev,
        root: body.root,
        device: body.device,
        deviceName: body.deviceName,
        timeMs: body.timeMs,
        label: body.label,
        massDeletion: body.massDeletion,
        changes: body.changes.length,
        own,
      },
      record,
      updates: applied.updates,
      mtimes: applied.mtimes,
      variantsOpened: applied.variantsOpened,
      variantsClosed: applied.variantsClosed,
      bytes: record.header.length + record.body.length + header.bodyChunks.length * limits.bodyPieceBytesMax,
    };
  }

  function commitAgreeing(commit: CommitRecord): void {
    const closed = commit.variantsClosed.map(({ path }) => path);
    agreeOnClosed(context, closed, () => store.commitRecord(commit));
  }

  /** An untracked path leaves the room and no disk (rule IG1): nothing is agreed on any more, so nothing follows for the disk. */
  function untrackedBy(body: RecordBody): readonly RelPath[] {
    const paths: RelPath[] = [];
    for (const change of body.changes) {
      if (change.kind !== 'untrack') continue;
      paths.push(change.path);
      if (change.subtree) for (const { path } of store.manifest.slotsUnder(change.path)) paths.push(path);
    }
    return paths;
  }

  /** What takes no part here is judged by what the room has there, too: whether it is in the way, or whether it may come now. */
  function lookAtLeftOut(touched: readonly RelPath[]): void {
    for (const path of touched) if (store.row(path)?.outOfScope != null) context.markDirty(path, false);
  }

  function noteTouched(body: RecordBody, touched: readonly RelPath[]): void {
    for (const path of touched) {
      authors.delete(path);
      authors.set(path, body.deviceName);
      if (isIgnoreFileName(path)) touchedRules.add(path);
    }
    if (store.setting('join') === undefined) for (const path of touched) recentlyTouched.set(path, body.label !== '');
    for (const path of authors.keys()) {
      if (authors.size <= authorsMax) break;
      authors.delete(path);
    }
  }

  /** Contents that the room has held at a path: an old one met later, at a join or after a conflict, is no edit. */
  function noteHistory(body: RecordBody): void {
    for (const change of body.changes)
      if (change.kind === 'put' || change.kind === 'variant') {
        const digest = leafDigest(change.entry, hashing.sha256);
        if (digest !== null) store.noteHistory(change.path, digest);
      }
  }

  /** Rule OWN: what was sent is the new base, whatever the disk holds now. */
  function acknowledge(sent: SentAppend, variants: readonly Variant[]): void {
    for (const { path, entry } of sent.outcome) {
      store.setBase(path, entry);
      store.setProblem(path, null);
    }
    for (const variant of variants) {
      // What it failed for before is over: a refusal of it would be shown for ever.
      store.setProblem(variant.path, null);
      const hold = store.row(variant.path)?.hold ?? null;
      store.setHold(variant.path, { variant: variant.id, choice: hold?.variant === variant.id ? hold.choice : null });
    }
    store.deleteSent(sent.id);
    noteMerged(sent);
  }

  /** The bytes that a merge replaced are in no record until the merge is: now it is (rule MERGE). */
  function noteMerged(sent: SentAppend): void {
    const paths = new Set<RelPath>(sent.outcome.map(({ path }) => path));
    for (const item of store.unrecordedTrash())
      if (item.reason === 'merged' && paths.has(item.path)) store.putTrash({ ...item, inRecord: true });
  }

  /** An append that was made for a height which another record holds now can never be accepted any more. */
  function dropOvertaken(height: number): void {
    for (const sent of store.allSent()) if (sent.height <= height) store.deleteSent(sent.id);
  }

  async function takeOrSkip(record: SealedRecord, session: RoomSession): Promise<TakeOutcome> {
    try {
      return await take(record);
    } catch (error) {
      if (!(error instanceof RecordNotUnderstood) || (await skips.find(session)) === 'none') throw error;
      return take(record);
    }
  }

  async function pull(
    session: RoomSession,
    onProgress: (height: number, headHeight: number) => void,
  ): Promise<'caught-up' | 'gap' | 'pruned'> {
    for (;;) {
      const after = store.head()?.height ?? 0;
      const page = await session.fetchRecords(after, fetchBytes);
      if (page.head === null || page.head.height < after) return after === 0 ? 'caught-up' : 'gap';
      if (page.head.height === after) {
        if (page.head.id !== store.head()?.id && after !== 0) return 'gap';
        skips.over();
        return 'caught-up';
      }
      if (page.floor > after + 1) return 'pruned';
      if (page.records.length === 0) throw unreadable('damaged', 'it is not given', [store.head()?.id ?? noRecordId]);
      for (const record of page.records) {
        const outcome = await takeOrSkip(record, session);
        if (outcome.kind === 'gap') return 'gap';
        onProgress(store.head()?.height ?? 0, page.head.height);
        await context.pause();
      }
    }
  }

  function commitOwn(options: {
    readonly sent: SentAppend;
    readonly header: RecordHeader;
    readonly body: RecordBody;
    readonly applied: AppliedChanges;
    readonly chunks: readonly SealedChunk[];
  }): void {
    const { sent, header, body, applied, chunks } = options;
    store.transaction(() => {
      const untracked = untrackedBy(body);
      commitAgreeing(commitOf({ id: sent.id, header, body, record: sent.record, applied, own: true }));
      for (const path of untracked) store.setBase(path, null);
      noteHistory(body);
      acknowledge(sent, applied.variantsOpened);
      dropOvertaken(header.height);
      noteAuthor(store, { height: header.height, device: body.device });
      if (chunks.reduce((bytes, chunk) => bytes + chunk.sealed.length, 0) <= cachedRecordChunkBytesMax)
        for (const chunk of chunks) store.cacheChunk(chunk);
    });
    lookAtLeftOut(applied.touched);
  }

  function takeTouchedRules(): readonly RelPath[] {
    const paths = [...touchedRules];
    touchedRules.clear();
    return paths;
  }

  function takeTouched(): ReadonlyMap<RelPath, boolean> {
    const touched = new Map(recentlyTouched);
    recentlyTouched.clear();
    return touched;
  }

  return {
    take,
    pull,
    contradicted: () => unreadable('damaged', 'it does not follow the one before', [store.head()?.id ?? noRecordId]),
    commitOwn,
    authorOf: (path) => authors.get(path),
    takeTouchedRules,
    takeTouched,
  };
}
