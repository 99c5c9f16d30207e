/**
 * Checkpoints: the pages of the manifest at a height, as ordinary chunks (rules CP1–CP4, GC2), made in slices off the hot
 * path, loaded by a peer that is new or was away for long, and the seed of a relay that lost the room (rule SEED).
 */
import {
  bytesToHex,
  type CheckpointBody,
  type ChunkId,
  type Content,
  comparePaths,
  concatBytes,
  type DeviceId,
  decodeRecordHeader,
  equalBytes,
  type Head,
  hexToBytes,
  limits,
  type RecordBody,
  recordIdOf,
  type SealedCheckpoint,
  type SealedChunk,
  type SealedRecord,
} from '@driftless/protocol';
import { agreeOnClosed } from './conflicts/closed-sides.ts';
import { ChunksMissing, ContentDamaged } from './content/content-types.ts';
import { chunkRanges } from './core/chunker.ts';
import { refsOfIds } from './core/content-refs.ts';
import { liveEntry } from './core/entry-encoding.ts';
import type { Page } from './core/manifest-view.ts';
import { cutPages, type PageEntry, pageBytes, pageEntriesOf, pageHash, parsePage, rootOf } from './core/page-tree.ts';
import type { Row } from './core/row.ts';
import type { PeerContext } from './peer-context.ts';
import type { RoomSession } from './ports/room-session.ts';
import {
  checkpointIndexBytesMax,
  encodeCheckpointIndex,
  type IndexedPage,
  parseCheckpointIndex,
} from './room/checkpoint-index.ts';
import { heldContent } from './room/held-content.ts';
import { authorsUnknown } from './room/known-authors.ts';
import { isReached } from './room/must-reach.ts';

/** Rule CP3. */
const checkpointBytesMin = 4 * 1024 * 1024;
const checkpointRecordsMax = 5_000;
/** A relay keeps a few; one that goes on offering others is not asked for ever. */
const checkpointsTriedMax = 8;
const fetchBytes = 512 * 1024;
/** The manifest may move on while pages are read; what changed is read again, this often. */
const collectRoundsMax = 20;

export interface Checkpoints {
  /** By the author of the append that makes it due. Resolves false when nothing was due. */
  makeIfDue(session: RoomSession): Promise<boolean>;
  /**
   * The newest one between two heights (`atMost` 0: up to the last) that can be read, and whose pages give the root that its record's
   * author signed. `unreadable`: the relay has some, and none of them can. `known`: not fetched again, if it is that one.
   */
  read(
    session: RoomSession,
    between: { readonly above: number; readonly atMost: number; readonly known?: ReadCheckpoint | undefined },
  ): Promise<ReadCheckpoint | 'none' | 'unreadable'>;
  /** Puts a believed one in the place of what this peer knew of the room. */
  adopt(checkpoint: ReadCheckpoint): void;
  /** Whether every record that can be read, from the height `from` up to the checkpoint's, is by its author or by this device. */
  isAllByItsAuthor(checkpoint: ReadCheckpoint, from: number, session: RoomSession): Promise<boolean>;
  /**
   * Starts the room's log again at a relay that has lost it, from what this peer knows. `stale`: another peer was faster.
   * `incomplete`: neither this peer nor the relay holds all that the room references; what this one has, the relay has now.
   */
  seed(
    session: RoomSession,
    onProgress: (done: number, total: number) => void,
  ): Promise<'seeded' | 'stale' | 'incomplete'>;
  /** Offers the relay every chunk of every content of the room that this disk, or a cache of this peer, holds. */
  refill(session: RoomSession, onProgress: (done: number, total: number) => void): Promise<void>;
}

/** A checkpoint with its contents. Whether it is what the room held is another question (rule CP2). */
export interface ReadCheckpoint {
  readonly body: CheckpointBody;
  readonly record: SealedRecord;
  /** Who wrote that record, and signed its root. */
  readonly recordBy: { readonly device: DeviceId; readonly name: string };
  readonly entries: readonly PageEntry[];
}

/** What a store loads of them. */
export const manifestOf = (entries: readonly PageEntry[]) => ({
  slots: entries.map(({ path, slot }) => ({ path, slot })),
  variants: entries.flatMap(({ variants }) => variants),
});

interface Collected {
  readonly head: Head;
  readonly checkpoint: SealedCheckpoint;
  readonly bytes: number;
}

export function createCheckpoints(context: PeerContext): Checkpoints {
  const { parts, contents } = context;
  const { store, cipher, hashing } = parts;

  async function makeIfDue(session: RoomSession): Promise<boolean> {
    const since = store.bytesSinceCheckpoint();
    const last = store.lastCheckpoint();
    if (since.bytes <= Math.max(checkpointBytesMin, (last?.bytes ?? 0) / 2) && since.records < checkpointRecordsMax)
      return false;
    const collected = await collect(session);
    if (collected === null) return false;
    if ((await session.putCheckpoint(collected.checkpoint)).length > 0) {
      // The relay lost something: what is at hand goes back. If that is not all, the next checkpoint comes in its own time.
      await refill(session, () => {});
      await session.putCheckpoint(collected.checkpoint);
    }
    store.noteCheckpoint({ height: collected.head.height, bytes: collected.bytes });
    return true;
  }

  /** Uploads pages until those of one moment are all stored, then seals the checkpoint of that moment. */
  async function collect(session: RoomSession): Promise<Collected | null> {
    const contentByPage = new Map<
      string,
      { readonly content: Content; readonly ids: readonly ChunkId[]; readonly bytes: number }
    >();
    for (let round = 0; round < collectRoundsMax; round += 1) {
      const todo = store.pages
        .pages()
        .flatMap((page, index, all) =>
          contentByPage.has(bytesToHex(page.hash)) ? [] : [{ page, after: all[index - 1]?.end ?? null }],
        );
      if (todo.length === 0) return seal(session, contentByPage);
      let batch: SealedChunk[] = [];
      for (const { page, after } of todo) {
        const made = await pageContent(page, after, session);
        if (made === null) continue;
        contentByPage.set(bytesToHex(page.hash), made.entry);
        batch.push(...made.chunks);
        if (batch.length >= 64) {
          await contents.upload(batch, session, context.signal);
          batch = [];
        }
        await context.pause();
      }
      await contents.upload(batch, session, context.signal);
    }
    return null;
  }

  /** null: the page changed under our hands. */
  async function pageContent(page: Page, after: Page['end'], session: RoomSession) {
    const entries = [...pageEntriesOf(store.manifest, after, page.end)];
    const bytes = pageBytes(entries);
    if (!equalBytes(pageHash(bytes, hashing.sha256), page.hash)) return null;
    const ids: ChunkId[] = [];
    for (const { slot, variants } of entries)
      for (const entry of [liveEntry(slot), ...variants.map((variant) => variant.entry)])
        if (entry?.kind === 'file') ids.push(...(await contents.idsOf(entry.content, session)));
    const { content, chunks } = sealBytes(bytes);
    return { entry: { content, ids: [...ids, ...chunks.map((chunk) => chunk.id)], bytes: bytes.length }, chunks };
  }
  function sealBytes(bytes: Uint8Array): { readonly content: Content; readonly chunks: readonly SealedChunk[] } {
    const chunks: SealedChunk[] = chunkRanges(bytes, cipher.gearTable).map((range) =>
      cipher.sealChunk(bytes.subarray(range.start, range.end)),
    );
    const refs = refsOfIds(
      chunks.map((chunk) => chunk.id),
      (plain) => {
        const list = cipher.sealChunk(plain);
        chunks.push(list);
        return list.id;
      },
    );
    return {
      content: {
        digest: bytesToHex(hashing.sha256(bytes)) as Content['digest'],
        size: bytes.length,
        epoch: cipher.epoch,
        refs,
      },
      chunks,
    };
  }

  async function seal(
    session: RoomSession,
    contentByPage: ReadonlyMap<
      string,
      { readonly content: Content; readonly ids: readonly ChunkId[]; readonly bytes: number }
    >,
  ): Promise<Collected | null> {
    // One moment: nothing is awaited between reading the head, its root and its pages.
    const head = store.head();
    if (head === null || !isReached(store)) return null;
    const root = store.root();
    const index: IndexedPage[] = [];
    const ids = new Set<ChunkId>();
    let bytes = 0;
    for (const page of store.pages.pages()) {
      const entry = contentByPage.get(bytesToHex(page.hash));
      if (entry === undefined) return null;
      index.push({ hash: page.hash, content: entry.content });
      bytes += entry.bytes;
      for (const id of entry.ids) ids.add(id);
    }
    const list = sealBytes(encodeCheckpointIndex(index));
    for (const chunk of list.chunks) ids.add(chunk.id);
    const lists: SealedChunk[] = [];
    const all = [...ids];
    for (let start = 0; start < all.length; start += limits.listIdsMax) {
      const plain = concatBytes(...all.slice(start, start + limits.listIdsMax).map(hexToBytes));
      lists.push({ id: bytesToHex(hashing.sha256(plain)) as ChunkId, sealed: plain });
    }
    await contents.upload([...list.chunks, ...lists], session, context.signal);
    const checkpoint = cipher.sealCheckpoint(
      { height: head.height, recordId: head.id, root, pages: list.content },
      lists.map((chunk) => chunk.id),
    );
    return { head, checkpoint, bytes };
  }

  const read: Checkpoints['read'] = async (session, { above, atMost: highest, known }) => {
    let found = 0;
    for (let atMost = highest; found < checkpointsTriedMax; found += 1) {
      const checkpoint = await session.getCheckpoint(atMost);
      if (checkpoint === null || checkpoint.height <= above) break;
      if (atMost > 0 && checkpoint.height > atMost) break;
      const one = await readOne(checkpoint, session, known);
      if (one !== null && one.body.height > above) return one;
      atMost = checkpoint.height - 1;
    }
    return found === 0 ? 'none' : 'unreadable';
  };

  /** Any member can make one, and a relay can lose what one names: that is no reason to stop, there are others and the log. */
  async function readOne(
    checkpoint: SealedCheckpoint,
    session: RoomSession,
    known: ReadCheckpoint | undefined,
  ): Promise<ReadCheckpoint | null> {
    const body = cipher.openCheckpoint(checkpoint);
    if (body === undefined) return null;
    const isKnown =
      known !== undefined &&
      known.body.device === body.device &&
      known.body.recordId === body.recordId &&
      known.body.root === body.root;
    if (isKnown) return known;
    try {
      return await contentsOf(body, session);
    } catch (error) {
      if (error instanceof ChunksMissing || error instanceof ContentDamaged) return null;
      throw error;
    }
  }

  async function contentsOf(body: CheckpointBody, session: RoomSession): Promise<ReadCheckpoint | null> {
    if (body.pages.size > checkpointIndexBytesMax) return null;
    const index = parseCheckpointIndex(await contents.bytesOf(body.pages, session));
    if (index === undefined) return null;
    const entries: PageEntry[] = [];
    for (const { content } of index) {
      const page = parsePage(await contents.bytesOf(content, session));
      const last = entries.at(-1)?.path;
      const isNext = page !== undefined && (last === undefined || comparePaths(last, page[0]?.path ?? last) < 0);
      if (!isNext) return null;
      for (const entry of page) entries.push(entry);
      await context.pause();
    }
    // Cut anew: its pages are told apart as everybody tells them, or its root would be nobody's.
    const pages = [...cutPages(entries, hashing.sha256)].map(({ page }) => page);
    if (rootOf(pages, hashing.sha256) !== body.root) return null;
    const record = await recordAt(session, body.height);
    if (record === null || recordIdOf(record.header) !== body.recordId) return null;
    const signed = await openedAt(session, record);
    if (signed === null || signed.root !== body.root) return null;
    return { body, record, recordBy: { device: signed.device, name: signed.deviceName }, entries };
  }

  function adopt({ body, record, entries }: ReadCheckpoint): void {
    const { root } = body;
    store.transaction(() => {
      const held = store.heldRows().map(({ path }) => path);
      const head = { height: body.height, id: body.recordId };
      agreeOnClosed(context, held, () => store.loadManifest({ head, root, ...manifestOf(entries) }));
      forgetBasesWithoutTombstone();
      keepHeadRecord(record);
      authorsUnknown(store);
      store.noteCheckpoint({ height: body.height, bytes: entries.length * 128 });
    });
  }

  const isAllByItsAuthor: Checkpoints['isAllByItsAuthor'] = async ({ body }, from, session) => {
    const isOther = (by: DeviceId | undefined): boolean =>
      by !== undefined && by !== body.device && by !== parts.device.device;
    for (let at = Math.max(1, from); at <= body.height; ) {
      const { records } = await session.fetchRecords(at - 1, fetchBytes);
      if (records.length === 0) return false;
      for (const record of records.slice(0, body.height - at + 1))
        if (isOther((await openedAt(session, record))?.device)) return false;
      at += records.length;
      await context.pause();
    }
    return true;
  };

  async function openedAt(session: RoomSession, record: SealedRecord): Promise<RecordBody | null> {
    const signed = cipher.verifyRecord(record);
    if (!signed.ok) return null;
    const opened = cipher.openRecord(signed.value, await piecesOf(session, record));
    return opened.ok ? opened.value.body : null;
  }

  /** What a checkpoint does not name was untracked meanwhile, or deleted and forgotten: that is no wish to delete it here (rules IG1, TOMB). */
  function forgetBasesWithoutTombstone(): void {
    for (let from: Row['path'] | '' = ''; ; ) {
      const rows = store.rowsFrom(from, 1_000);
      for (const { path, base, remote, outOfScope } of rows) {
        if (base !== null && remote === null) store.setBase(path, null);
        // Judged by what the room has there, too.
        if (outOfScope !== null && remote !== null) context.markDirty(path, false);
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < 1_000) return;
      from = `${last.path}\u0000` as Row['path'];
    }
  }

  async function recordAt(session: RoomSession, height: number): Promise<SealedRecord | null> {
    const [record] = (await session.fetchRecords(height - 1, 1)).records;
    if (record === undefined) return null;
    const header = decodeRecordHeader(record.header);
    // Its author signed what the room held at its own height, and at no other.
    return header.ok && header.value.height === height ? record : null;
  }

  async function piecesOf(session: RoomSession, record: SealedRecord): Promise<Uint8Array[]> {
    const header = decodeRecordHeader(record.header);
    if (!header.ok || header.value.bodyChunks.length === 0) return [];
    const pieces = new Map<string, Uint8Array>();
    await session.get(header.value.bodyChunks, (chunk) => {
      pieces.set(chunk.id, chunk.sealed);
      store.cacheChunk(chunk);
    });
    return header.value.bodyChunks.map((id) => pieces.get(id) ?? new Uint8Array(0));
  }

  /** A seed needs the head's record verbatim; after a load from a checkpoint it is in no cache. */
  function keepHeadRecord(record: SealedRecord): void {
    store.setSetting(
      'head-record',
      JSON.stringify({
        header: bytesToHex(record.header),
        body: bytesToHex(record.body),
        signature: bytesToHex(record.writerSignature),
      }),
    );
  }

  function headRecord(head: Head): SealedRecord | null {
    const cached = store.cachedRecordsAfter(head.height - 1)?.[0];
    if (cached !== undefined && recordIdOf(cached.header) === head.id) return cached;
    const kept = store.setting('head-record');
    if (kept === undefined) return null;
    const { header, body, signature } = JSON.parse(kept) as { header: string; body: string; signature: string };
    const record = { header: hexToBytes(header), body: hexToBytes(body), writerSignature: hexToBytes(signature) };
    return recordIdOf(record.header) === head.id ? record : null;
  }

  const seed: Checkpoints['seed'] = async (session, onProgress) => {
    await refill(session, onProgress);
    const head = store.head();
    const record = head === null ? null : headRecord(head);
    if (head === null || record === null) throw new Error('the head of the room is not at hand to seed the relay with');
    const header = decodeRecordHeader(record.header);
    if (header.ok) {
      const pieces = header.value.bodyChunks.flatMap((id) => store.cachedChunk(id) ?? []);
      if (pieces.length > 0) await contents.upload(pieces, session, context.signal);
    }
    const collected = await collect(session).catch((error: unknown) => {
      if (error instanceof ChunksMissing) return 'incomplete' as const;
      throw error;
    });
    if (collected === 'incomplete') return collected;
    if (collected === null || collected.head.id !== head.id)
      throw new Error('the room moved on while the relay was being seeded');
    const answer = await session.seed(collected.checkpoint, [record]);
    return answer.kind === 'missingChunks' ? 'incomplete' : answer.kind;
  };

  async function refill(session: RoomSession, onProgress: (done: number, total: number) => void): Promise<void> {
    const total = store.counts().files;
    let done = 0;
    let batch: SealedChunk[] = [];
    let batchBytes = 0;
    const send = async (): Promise<void> => {
      await contents.upload(batch, session, context.signal);
      batch = [];
      batchBytes = 0;
    };
    const offer = async (content: Content, row: Row | undefined): Promise<void> => {
      const held = await heldContent(context, content, row);
      if (held.kind === 'large')
        await contents.uploadLarge(held.path, held.local, session, {
          signal: context.signal,
          evenIfKnown: true,
          onProgress: () => {},
        });
      else {
        batch.push(...held.chunks);
        batchBytes += held.chunks.reduce((sum, chunk) => sum + chunk.sealed.length, 0);
        if (batchBytes > 2 * 1024 * 1024) await send();
      }
      await context.pause();
    };
    for (const { path, entry } of store.openVariants())
      if (entry.kind === 'file') await offer(entry.content, store.row(path));
    let from: Parameters<typeof store.rowsFrom>[0] = '';
    for (;;) {
      const rows = store.rowsFrom(from, 1_000);
      for (const row of rows) {
        const room = liveEntry(row.remote);
        if (room?.kind !== 'file') continue;
        await offer(room.content, row);
        done += 1;
        onProgress(done, total);
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < 1_000) break;
      from = `${last.path}\u0000` as typeof last.path;
    }
    await send();
  }

  return { makeIfDue, read, adopt, isAllByItsAuthor, seed, refill };
}
