/**
 * Carries out a plan's publish steps: reads what is on disk, uploads what the relay lacks, seals one record, appends it on
 * the head (rules LOG1, LOG5, LOG6, SENT, OWN, GC1, PR2, FAST1, FAST5).
 *
 * Orders that hold here: chunks before, or with, the record that names them; SENT before the append; base after the
 * acknowledgement. A stale head is an answer: the records in between are taken, and the loop reconciles again.
 */
import {
  type Change,
  type ChunkId,
  type Content,
  closeCodes,
  type Digest,
  decodeRecordHeader,
  type Entry,
  limits,
  type MassDeletion,
  noRecordId,
  type RecordBody,
  type RelPath,
  type SealedChunk,
} from '@driftless/protocol';
import { isProblem, type LocalFile, largeContentBytesMin, type PreparedContent } from './content/content-types.ts';
import { problemOf } from './content/or-fail.ts';
import { applyChanges } from './core/apply-changes.ts';
import { isRetryDue } from './core/backoff.ts';
import { conflictName } from './core/conflict-name.ts';
import { entryTag, liveEntry, sameLocal } from './core/entry-encoding.ts';
import { modeOf, modeOfFile, sameMode } from './core/file-mode.ts';
import { leafDigest } from './core/leaf-digest.ts';
import type { PublishStep } from './core/plan.ts';
import { stepPath } from './core/record-batches.ts';
import { type PeerContext, RoomHalted } from './peer-context.ts';
import { RequestRefused, type RoomSession, SessionEnded } from './ports/room-session.ts';
import type { SentAppend } from './ports/state-store.ts';
import { createLineEndHint, type Edit, editsMax } from './publish/line-end-hint.ts';
import { createRefill, type DraftSource } from './publish/refill.ts';
import type { RoomLog } from './room-log.ts';

/** Prepared small contents are kept over a stale answer, so that the retry only reseals a small body (rule PR2). */
const preparedBytesMax = 8 * 1024 * 1024;
const preparedMax = 20_000;
/** Sealed chunks of a record that is being drafted; beyond, they go to the relay before the rest is read: its size is no bound. */
const draftChunkBytesMax = 2 * 1024 * 1024;
/** Such parts on their way to the relay while the next is read: enough that the relay does not wait for it. */
const draftUploadBytesMax = 8 * 1024 * 1024;
/** Contents of a record that are kept as merge bases (rule BASE): an edit has few, a git switch is none. */
const baseFilesMax = 50;
const baseBytesMax = 8 * 1024 * 1024;

export interface PublishOptions {
  readonly session: RoomSession;
  readonly label: string;
  readonly massDeletion: MassDeletion;
  /** Nothing goes out when one of the steps cannot (a resolution and the close of its conflict belong together). */
  readonly allOrNothing?: boolean;
  /** Ends what is drafted, and what was not appended: it is drafted again. */
  readonly signal: AbortSignal;
  readonly onProgress: (files: number) => void;
}
/** Further changes that go into the same record, made by the caller (resolutions, untrack, forget). */
export interface ExtraChange {
  readonly change: Change;
  readonly outcome: readonly { readonly path: RelPath; readonly entry: Entry | null }[];
}

export type PublishOutcome =
  | { readonly kind: 'appended'; readonly paths: readonly { readonly path: RelPath; readonly deleted: boolean }[] }
  /** Nothing was sent: every step moved, failed, or went to the background; or one did, and all or nothing was asked for. */
  | { readonly kind: 'nothing'; readonly left: ReadonlySet<PublishStep> }
  /** `isBehind`: the answer did not hold all records up to the head. */
  | { readonly kind: 'stale'; readonly isBehind: boolean }
  | { readonly kind: 'gap' }
  /** The relay lost some of it, and this disk does not hold it any more: what is here now is drafted anew. */
  | { readonly kind: 'outdated' }
  | { readonly kind: 'refused'; readonly refusal: RequestRefused };

export interface Publisher {
  publish(
    steps: readonly PublishStep[],
    extra: readonly ExtraChange[],
    options: PublishOptions,
  ): Promise<PublishOutcome>;
  /** Sends the large contents of these steps that are not with the relay yet, beside the loop; returns those that are under way. */
  uploadAhead(steps: readonly PublishStep[]): ReadonlyMap<RelPath, Digest>;
  /** Large contents that wait for, or are under, upload: the loop leaves these paths out of its plans. */
  uploading(path: RelPath): boolean;
  /** Ends background uploads of what their paths do not hold any more. */
  endOutdated(): void;
  readonly uploadsUnderWay: number;
  /** Aborts background uploads (paused, closing). */
  abortUploads(): void;
  /** Resolves when no upload works on the folder or the store any more. */
  uploadsEnded(): Promise<void>;
}

/** Of a large content, in the background. */
interface Upload {
  readonly digest: Digest;
  readonly abort: AbortController;
}

interface Draft {
  readonly changes: Change[];
  readonly outcome: { path: RelPath; entry: Entry | null }[];
  /** Not yet at the relay, as far as this draft knows. */
  chunks: SealedChunk[];
  chunkBytes: number;
  /** Digests that `chunks` belong to. */
  digests: Digest[];
  /** Chunks went to the relay before the record was complete; some of them may be under way. */
  isUploaded: boolean;
  /** Parts under way. One that failed stays, for whoever waits next. */
  readonly uploads: Set<Promise<void>>;
  uploadBytes: number;
  readonly adds: Set<ChunkId>;
  /** Where `adds` come from: what the relay loses is made again. */
  readonly sources: DraftSource[];
  readonly paths: { path: RelPath; deleted: boolean }[];
  readonly bases: { digest: Digest; bytes: Uint8Array }[];
  baseBytes: number;
  /** Edits that may have changed line ends only. */
  readonly edits: Edit[];
  /** Steps that cannot go out now: what they name moved, failed, or went to the background. */
  readonly left: Set<PublishStep>;
}

export function createPublisher(context: PeerContext, log: RoomLog, wake: () => void): Publisher {
  const { parts, contents } = context;
  const { store, cipher, folder, clock, hashing } = parts;
  const hintAtLineEnds = createLineEndHint(parts);
  const prepared = new Map<Digest, PreparedContent>();
  let preparedBytes = 0;
  const uploads = new Map<RelPath, Upload>();
  /** One large upload at a time; the rest waits in order. */
  let uploadQueue: Promise<void> = Promise.resolve();

  // ── large contents, in the background ─────────────────────────────────────────────────────────────────────────────

  function startUpload(path: RelPath, local: LocalFile): void {
    const upload: Upload = { digest: local.digest, abort: new AbortController() };
    const signal = AbortSignal.any([upload.abort.signal, context.signal]);
    uploads.set(path, upload);
    uploadQueue = uploadQueue
      .then(async () => {
        // Without a session it begins with the next one.
        const session = context.lastingSession();
        if (signal.aborted || session === null) return;
        const waitsFor = context.refusals.mayTry('send') ? undefined : context.refusals.latest('send');
        if (waitsFor !== undefined) throw waitsFor;
        const outcome = await contents.uploadLarge(path, local, session, { signal, onProgress: () => {} });
        if (signal.aborted) return;
        if (outcome.kind === 'prepared') keep(local.digest, outcome.prepared);
        else if (outcome.kind === 'moved') context.markDirty(path, false);
        else context.fail(path, outcome);
      })
      .catch((error: unknown) => {
        if (signal.aborted) return;
        parts.log.info('upload-ended', { reason: String(error) });
        // A cut link ends the upload; the next session starts it again and skips what is stored. Anything else would only happen again.
        if (!(error instanceof SessionEnded)) context.fail(path, problemOf(error, 'send'));
      })
      // What cannot even be written down (the state store is full) must not end those that wait, nor the process.
      .catch((error: unknown) => parts.log.warn('upload-not-noted', { reason: String(error) }))
      .finally(() => {
        if (uploads.get(path) === upload) uploads.delete(path);
        wake();
      });
  }

  /** What a step needs before a record can name it, when it is large; undefined: nothing, or it is known to fail for now. */
  function lacking(step: PublishStep): LocalFile | undefined {
    if (step.kind === 'publishMove' || step.kind === 'publishMoveAside') return undefined;
    const row = store.row(step.path);
    const local = step.kind === 'publish' ? step.local : (row?.local ?? null);
    if (local?.kind !== 'file' || local.size <= largeContentBytesMin || prepared.has(local.digest)) return undefined;
    if (row?.problem != null && !isRetryDue(row.problem, clock.nowMs())) return undefined;
    const live = liveEntry(store.manifest.slot(step.path));
    return live?.kind === 'file' && live.content.digest === local.digest ? undefined : local;
  }

  function uploadAhead(steps: readonly PublishStep[]): ReadonlyMap<RelPath, Digest> {
    const underWay = new Map<RelPath, Digest>();
    for (const step of steps) {
      const local = lacking(step);
      if (local === undefined) continue;
      const path = stepPath(step);
      if (!uploads.has(path) && uploads.size + prepared.size < preparedMax) startUpload(path, local);
      if (uploads.has(path)) underWay.set(path, local.digest);
    }
    return underWay;
  }

  /** The file is gone, is another by now, or takes no part any more: whoever waits goes on. */
  function endOutdated(): void {
    for (const [path, { digest, abort }] of uploads) {
      const row = store.row(path);
      if (row?.outOfScope === null && row.local?.kind === 'file' && row.local.digest === digest) continue;
      abort.abort();
      uploads.delete(path);
    }
  }

  function keep(digest: Digest, content: PreparedContent): void {
    if (prepared.has(digest)) return;
    // Without room for its bytes it is prepared once more where a stale answer asks for them: rarely, and then it is one file's work.
    if (preparedBytes + weightOf(content) > preparedBytesMax && weightOf(content) > 0) return;
    prepared.set(digest, content);
    preparedBytes += weightOf(content);
  }
  /** Its chunks are durable at the relay: a retry needs only to name them. */
  function dropChunks(digest: Digest): void {
    const content = prepared.get(digest);
    if (content === undefined) return;
    const light = { ...content, chunks: [], bytes: null };
    prepared.set(digest, light);
    preparedBytes += weightOf(light) - weightOf(content);
  }
  /** What it stands for is prepared anew. */
  function forgetDigest(digest: Digest): void {
    const content = prepared.get(digest);
    if (content === undefined) return;
    prepared.delete(digest);
    preparedBytes -= weightOf(content);
  }
  /** What was sent is known to the room now; a large content that was uploaded meanwhile waits for its own record. */
  function forgetPrepared(sent?: readonly { readonly entry: Entry | null }[]): void {
    if (sent === undefined) prepared.clear();
    else for (const { entry } of sent) if (entry?.kind === 'file') prepared.delete(entry.content.digest);
    preparedBytes = 0;
    for (const content of prepared.values()) preparedBytes += weightOf(content);
  }

  // ── a record ──────────────────────────────────────────────────────────────────────────────────────────────────────

  async function publish(
    steps: readonly PublishStep[],
    extra: readonly ExtraChange[],
    options: PublishOptions,
  ): Promise<PublishOutcome> {
    try {
      return await draftAndAppend(steps, extra, options);
    } catch (error) {
      // Whatever part of it the relay refused: an answer, and no failure of this peer (rule REFUSED).
      if (error instanceof RequestRefused) return { kind: 'refused', refusal: error };
      throw error;
    }
  }

  async function draftAndAppend(
    steps: readonly PublishStep[],
    extra: readonly ExtraChange[],
    options: PublishOptions,
  ): Promise<PublishOutcome> {
    if (preparedBytes > preparedBytesMax || prepared.size > preparedMax) forgetPrepared();
    const draft: Draft = {
      changes: [],
      outcome: [],
      chunks: [],
      chunkBytes: 0,
      digests: [],
      isUploaded: false,
      uploads: new Set(),
      uploadBytes: 0,
      adds: new Set(),
      sources: [],
      paths: [],
      bases: [],
      edits: [],
      baseBytes: 0,
      left: new Set(),
    };
    for (const step of steps) {
      await draftStep(step, draft, options);
      options.onProgress(draft.paths.length);
      await context.pause();
      options.signal.throwIfAborted();
    }
    await Promise.all(draft.uploads);
    for (const { change, outcome } of extra) {
      draft.changes.push(change);
      draft.outcome.push(...outcome);
    }
    const { left } = draft;
    if (draft.changes.length === 0 || (left.size > 0 && options.allOrNothing === true))
      return { kind: 'nothing', left };
    return append(draft, options);
  }

  async function draftStep(step: PublishStep, draft: Draft, options: PublishOptions): Promise<void> {
    switch (step.kind) {
      case 'publish':
        if (step.local === null) draftRemoval(step.path, draft);
        else if (!(await draftPut(step.path, step.local, draft, options))) draft.left.add(step);
        return;
      case 'publishMove':
        draftMove(step.fromPath, step.toPath, step.subtree, draft);
        return;
      case 'publishMoveAside':
        draftMoveAside(step.path, draft);
        return;
      case 'conflict':
        if (!(await draftVariant(step.path, draft, options))) draft.left.add(step);
        return;
    }
  }

  function draftRemoval(path: RelPath, draft: Draft): void {
    const live = liveEntry(store.manifest.slot(path));
    if (live === null) return;
    draft.changes.push({ kind: 'remove', path, replaces: entryTag(live, hashing.sha256) });
    draft.outcome.push({ path, entry: null });
    draft.paths.push({ path, deleted: true });
  }

  /** False: not now. */
  async function draftPut(
    path: RelPath,
    local: NonNullable<Extract<PublishStep, { kind: 'publish' }>['local']>,
    draft: Draft,
    options: PublishOptions,
  ): Promise<boolean> {
    const live = liveEntry(store.manifest.slot(path));
    const replaces = live === null ? null : entryTag(live, hashing.sha256);
    if (local.kind !== 'file') {
      const entry: Entry =
        local.kind === 'directory' ? { kind: 'directory' } : { kind: 'symlink', target: local.target };
      draft.changes.push({ kind: 'put', path, entry, mtimeMs: 0, replaces });
      draft.outcome.push({ path, entry });
      draft.paths.push({ path, deleted: false });
      return true;
    }
    // Where the disk holds no modes, edits keep the room's (M5).
    const mode = folder.traits.holdsModes ? modeOf(local) : (modeOfFile(live) ?? modeOf(local));
    if (live?.kind === 'file' && live.content.digest === local.digest && replaces !== null) {
      if (sameMode(live, mode)) return true;
      draft.changes.push({ kind: 'mode', path, mode, replaces });
      draft.outcome.push({ path, entry: { ...live, ...mode } });
      draft.paths.push({ path, deleted: false });
      return true;
    }
    const content = await contentFor(path, local, draft, options, live?.kind === 'file' ? live.content : null);
    if (content === null) return false;
    const entry: Entry = { kind: 'file', content, ...mode };
    draft.changes.push({ kind: 'put', path, entry, mtimeMs: Math.round(local.mtimeMs), replaces });
    draft.outcome.push({ path, entry });
    draft.paths.push({ path, deleted: false });
    return true;
  }

  /** null: not now (moved, failed, or uploading in the background). */
  async function contentFor(
    path: RelPath,
    local: LocalFile,
    draft: Draft,
    options: PublishOptions,
    replaced: Content | null,
  ): Promise<Content | null> {
    // A conflict copy is asked for again with its conflict, however often that comes up.
    const problem = store.row(path)?.problem ?? null;
    if (problem !== null && !isRetryDue(problem, clock.nowMs())) return null;
    let content = prepared.get(local.digest);
    if (content === undefined) {
      // Also what the room knows: to be sure of it the file is read, however large it is.
      if (local.size > largeContentBytesMin) {
        if (!uploads.has(path)) startUpload(path, local);
        return null;
      }
      const outcome = await contents.prepareSmall(path, local);
      if (outcome.kind !== 'prepared') return notPrepared(path, outcome);
      content = outcome.prepared;
      keep(local.digest, content);
    }
    const before =
      replaced === null
        ? new Set<ChunkId>()
        : new Set(
            replaced.refs.depth === 0
              ? replaced.refs.ids
              : [...(store.cachedChunkIds(replaced.digest) ?? []), ...replaced.refs.ids],
          );
    for (const id of content.ids) if (!before.has(id)) draft.adds.add(id);
    draft.sources.push({ path, local, ids: content.ids });
    const fresh = content.chunks.filter((chunk) => !before.has(chunk.id));
    draft.chunks.push(...fresh);
    draft.chunkBytes += bytesOf(fresh);
    draft.digests.push(local.digest);
    if (content.bytes !== null && replaced !== null && draft.edits.length < editsMax)
      draft.edits.push({ path, before: replaced, bytes: content.bytes });
    if (content.bytes !== null && content.chunks.length > 0) keepBase(local.digest, content.bytes, draft);
    if (draft.chunkBytes > draftChunkBytesMax) await uploadDrafted(draft, options);
    return content.content;
  }

  function keepBase(digest: Digest, bytes: Uint8Array, draft: Draft): void {
    if (draft.bases.length >= baseFilesMax || draft.baseBytes + bytes.length > baseBytesMax) return;
    draft.bases.push({ digest, bytes });
    draft.baseBytes += bytes.length;
  }

  /**
   * What is drafted so far goes to the relay and out of memory, while the next is read. The record names it, whenever it comes; what
   * is under way has a bound, so that the size of a record has none.
   */
  async function uploadDrafted(draft: Draft, options: PublishOptions): Promise<void> {
    const { chunks, chunkBytes, digests } = draft;
    draft.chunks = [];
    draft.chunkBytes = 0;
    draft.digests = [];
    draft.isUploaded = true;
    while (draft.uploads.size > 0 && draft.uploadBytes + chunkBytes > draftUploadBytesMax)
      await Promise.race(draft.uploads);
    draft.uploadBytes += chunkBytes;
    const upload = contents.upload(chunks, options.session, context.signal).then(() => {
      for (const digest of digests) dropChunks(digest);
      draft.uploadBytes -= chunkBytes;
      draft.uploads.delete(upload);
    });
    draft.uploads.add(upload);
    // Heard by whoever waits for it: the next part, or the record.
    upload.catch(() => {});
  }

  function notPrepared(
    path: RelPath,
    outcome: { readonly kind: 'moved' } | { readonly kind: 'problem'; readonly reason: string },
  ): null {
    if (isProblem(outcome)) context.fail(path, outcome);
    else context.markDirty(path, false);
    return null;
  }

  function draftMove(fromPath: RelPath, toPath: RelPath, subtree: boolean, draft: Draft): void {
    draft.changes.push({ kind: 'move', fromPath, toPath, subtree });
    // The base moves along, not the entry that the room moved: an edit that the room made under the old name is then applied under the new one.
    const moved = (path: RelPath): void => {
      const arrivesAt = `${toPath}${path.slice(fromPath.length)}` as RelPath;
      draft.outcome.push({ path, entry: null }, { path: arrivesAt, entry: store.row(path)?.base ?? null });
      draft.paths.push({ path, deleted: true }, { path: arrivesAt, deleted: false });
    };
    if (liveEntry(store.manifest.slot(fromPath)) !== null) moved(fromPath);
    if (!subtree) return;
    for (const { path, slot } of store.manifest.slotsUnder(fromPath)) if (liveEntry(slot) !== null) moved(path);
  }

  /** The room's file makes way for this disk's directory; both stay. The file arrives here under its new name as any other. */
  function draftMoveAside(path: RelPath, draft: Draft): void {
    const live = liveEntry(store.manifest.slot(path));
    if (live === null || live.kind === 'directory') return;
    const meta = store.recordMeta(store.head()?.height ?? 0);
    const toPath = conflictName({
      path,
      peerName: meta?.deviceName ?? parts.deviceName,
      timeMs: meta?.timeMs ?? clock.nowMs(),
      digest: leafDigest(live, hashing.sha256),
      taken: (candidate) => store.manifest.slot(candidate) !== null || store.row(candidate)?.local != null,
      traits: folder.traits,
      sha256: hashing.sha256,
    });
    // Base of both names stays: the file arrives here under its new name, the directory is published by the next round.
    draft.changes.push({ kind: 'move', fromPath: path, toPath, subtree: false });
  }

  /** Conflicts are room data: the local content first goes into the room, so that no copy exists on one disk only. False: not now. */
  async function draftVariant(path: RelPath, draft: Draft, options: PublishOptions): Promise<boolean> {
    const row = store.row(path);
    const local = row?.local ?? null;
    if (row === undefined || local === null || local.kind === 'directory') return true;
    // The room has it already: from a run whose state was lost, or from another device with the same content.
    const known = store.variants(path).find((variant) => sameLocal(local, variant.entry, folder.traits));
    if (known !== undefined) {
      store.setProblem(path, null);
      store.setHold(path, { variant: known.id, choice: row.hold?.variant === known.id ? row.hold.choice : null });
      return true;
    }
    let entry: Entry;
    if (local.kind === 'file') {
      const content = await contentFor(path, local, draft, options, null);
      if (content === null) return false;
      entry = { kind: 'file', content, ...modeOf(local) };
    } else entry = { kind: 'symlink', target: local.target };
    draft.changes.push({
      kind: 'variant',
      path,
      entry,
      mtimeMs: local.kind === 'file' ? Math.round(local.mtimeMs) : 0,
      baseDigest: row.base?.kind === 'file' ? row.base.content.digest : null,
    });
    return true;
  }

  async function append(draft: Draft, options: PublishOptions): Promise<PublishOutcome> {
    const head = store.head();
    const height = (head?.height ?? 0) + 1;
    const author = { device: parts.device.device, deviceName: parts.deviceName, timeMs: clock.nowMs() };
    const judged = applyChanges({
      view: store.manifest,
      changes: draft.changes,
      height,
      ...author,
      sha256: hashing.sha256,
    });
    if (!judged.ok) throw new DraftVoid(judged.error.reason);
    const applied = judged.value;
    const body: RecordBody = {
      ...author,
      label: options.label,
      massDeletion: options.massDeletion,
      root: store.rootAfter(applied),
      changes: draft.changes,
    };
    const sealed = cipher.sealRecord({ height, prev: head?.id ?? noRecordId, body, adds: [...draft.adds] });
    const header = decodeRecordHeader(sealed.record.header);
    if (!header.ok) throw new RoomHalted('a record header of this peer does not decode');

    const chunks = [...new Map([...sealed.chunks, ...draft.chunks].map((chunk) => [chunk.id, chunk])).values()];
    let inline = chunks;
    if (bytesOf(chunks) > limits.appendChunkBytesMax || chunks.length > limits.chunksPerFrameMax) {
      await contents.upload(chunks, options.session, context.signal);
      for (const digest of draft.digests) dropChunks(digest);
      inline = [];
    }
    const sent: SentAppend = {
      id: sealed.id,
      height,
      record: sealed.record,
      outcome: draft.outcome,
      variants: applied.variantsOpened,
    };
    store.putSent(sent);
    const refill = createRefill(context, { ...options, chunks, sources: draft.sources });
    for (;;) {
      const answer = await options.session.append(sealed.record, inline).catch(async (error: unknown) => {
        if (error instanceof RequestRefused) await forgetRefused(sent, error, options.session);
        throw error;
      });
      switch (answer.kind) {
        case 'appended':
          log.commitOwn({
            sent,
            header: header.value,
            body,
            applied,
            chunks: draft.isUploaded ? sealed.chunks : chunks,
          });
          hintAtLineEnds(draft.edits);
          for (const { digest, bytes } of draft.bases) store.cacheContent(digest, bytes, clock.nowMs());
          forgetPrepared(draft.outcome);
          return { kind: 'appended', paths: draft.paths };
        case 'stale': {
          for (const record of answer.records) if ((await log.take(record)).kind === 'gap') return { kind: 'gap' };
          return { kind: 'stale', isBehind: answer.head !== null && store.head()?.id !== answer.head.id };
        }
        case 'overQuota':
          store.deleteSent(sent.id);
          throw new RequestRefused(closeCodes.overQuota.code, answer.what);
        case 'missingChunks': {
          const lost = await refill(answer.ids).catch((error: unknown) => {
            if (error instanceof RequestRefused) store.deleteSent(sent.id);
            throw error;
          });
          if (lost.length === 0) break;
          store.deleteSent(sent.id);
          for (const { source, outcome } of lost) {
            notPrepared(source.path, outcome);
            forgetDigest(source.local.digest);
          }
          return { kind: 'outdated' };
        }
      }
    }
  }

  /**
   * A refused append is in no log, or so it seems: where a store failed under it, the log is asked, so that what was sent is
   * neither believed lost nor remembered for ever (rule SENT).
   */
  async function forgetRefused(sent: SentAppend, refusal: RequestRefused, session: RoomSession): Promise<void> {
    if (refusal.code === closeCodes.storeFailed.code) {
      const page = await session.fetchRecords(sent.height - 1, 1).catch(() => null);
      if (page === null || (page.head?.height ?? 0) >= sent.height) return;
    }
    store.deleteSent(sent.id);
  }

  return {
    publish,
    uploadAhead,
    uploading: (path) => uploads.has(path),
    endOutdated,
    get uploadsUnderWay() {
      return uploads.size;
    },
    uploadsEnded: () => uploadQueue,
    abortUploads: () => {
      for (const { abort } of uploads.values()) abort.abort();
    },
  };
}

const bytesOf = (chunks: readonly SealedChunk[]): number =>
  chunks.reduce((bytes, chunk) => bytes + chunk.sealed.length, 0);
const weightOf = (content: PreparedContent): number => (content.bytes?.length ?? 0) + bytesOf(content.chunks);

/** The drafted changes do not fit the manifest together: the loop drafts them otherwise. */
export class DraftVoid extends Error {
  constructor(reason: string) {
    super(`the drafted record does not fit the room: ${reason}`);
    this.name = 'DraftVoid';
  }
}
