/**
 * Between files and chunks: cuts, names and seals a file's bytes for the room, and brings a content's bytes from the room
 * into a staged file, verified (rules SEAL1, LIST, DISK1, FAST5).
 *
 * Small contents (≤ largeContentBytesMin) are handled whole and in batches; large ones are streamed, in both directions,
 * resume where they were cut, and fetch only chunks that no local file holds (F16).
 * Leaves to others: what to send or fetch (reconcile), the append (publish.ts), replacing files (apply.ts).
 */
import {
  bytesToHex,
  type ChunkId,
  type Content,
  type ContentRefs,
  concatBytes,
  limits,
  type RelPath,
  type SealedChunk,
} from '@driftless/protocol';
import { chunkRanges, createChunker } from './core/chunker.ts';
import { type ExpandedRefs, expandRefs, refsOfIds } from './core/content-refs.ts';
import { fingerprintOf } from './core/fingerprint.ts';
import type { LocalEntry } from './core/local-entry.ts';
import type { Pause } from './pause.ts';
import type { Clock } from './ports/clock.ts';
import { type Folder, FolderError, type PathProblem, type ReadHandle } from './ports/folder.ts';
import type { Hashing } from './ports/hashing.ts';
import type { Random } from './ports/random.ts';
import type { RoomCipher } from './ports/room-cipher.ts';
import type { RoomSession } from './ports/room-session.ts';
import type { StateStore } from './ports/state-store.ts';

/** Staged names of large contents begin so: what is left of one is gone on from. */
export const downloadPrefix = 'dl-';
/** Above this a content leaves the batch of small saves and is streamed on its own (rule FAST5). */
export const largeContentBytesMin = 1024 * 1024;
const readBytes = 256 * 1024;
/** Plain bytes of a group of small files held in memory while they are fetched and staged. */
const fetchGroupBytesMax = 8 * 1024 * 1024;
/** Sealed bytes collected before they are offered to the relay while a large file is read. */
const uploadWindowBytes = 2 * 1024 * 1024;
/** Chunks of a large content fetched at a time: at most 8 MiB in memory. */
const fetchWindowChunks = 64;
/** Contents of a pass of at most this many files are kept as merge bases; a mass join is not an edit (rule BASE). */
const cachedBasesPerPassMax = 50;
/** Staged files whose flushes are under way together. */
const flushesAtOnceMax = 8;
/** Chunks that came along with pushed records, kept until they are applied. */
const pushedChunkBytesMax = 8 * 1024 * 1024;

export type LocalFile = Extract<LocalEntry, { kind: 'file' }>;

export interface PreparedContent {
  readonly content: Content;
  /** Sealed chunks, list-chunks included, that may be new to the relay. */
  readonly chunks: readonly SealedChunk[];
  /** All chunk ids of the content, list-chunks included: what `adds` names (rule GC1). */
  readonly ids: readonly ChunkId[];
  /** The plain bytes, for the base cache; null for large contents. */
  readonly bytes: Uint8Array | null;
}
/** The file is no longer what the scan saw: scan again (F21). */
export interface Moved {
  readonly kind: 'moved';
}
export type PrepareOutcome = { readonly kind: 'prepared'; readonly prepared: PreparedContent } | Moved | PathProblem;

/** The relay lacks chunks that the room references (after loss): other holders may refill them. */
export class ChunksMissing extends Error {
  readonly ids: readonly ChunkId[];
  constructor(ids: readonly ChunkId[]) {
    super(`the relay does not have ${ids.length} of the needed chunks yet`);
    this.name = 'ChunksMissing';
    this.ids = ids;
  }
}
/** Bytes that came out differently from what the room's entry says: never shown to anybody. */
export class ContentDamaged extends Error {
  constructor(path: string) {
    super(`the bytes received for ${path} do not match their digest`);
    this.name = 'ContentDamaged';
  }
}

export interface UploadOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (bytes: number) => void;
  /** Offer every chunk although the room knows the content: the relay may have lost it. */
  readonly evenIfKnown?: boolean;
}

export interface StageRequest {
  readonly path: RelPath;
  readonly content: Content;
  readonly executable: boolean;
}
export interface StagedContent {
  readonly path: RelPath;
  readonly stagedName: string;
}

export interface Contents {
  /** Reads, verifies against `local`, cuts and seals a small file. */
  prepareSmall(path: RelPath, local: LocalFile): Promise<PrepareOutcome>;
  /** Streams a large file to the relay; resolves when all its chunks are durable there. */
  uploadLarge(path: RelPath, local: LocalFile, session: RoomSession, options: UploadOptions): Promise<PrepareOutcome>;
  /** Offers chunks to the relay and stores those that it lacks. */
  upload(chunks: readonly SealedChunk[], session: RoomSession, signal?: AbortSignal): Promise<void>;
  /** Every chunk id of a content, list-chunks included. */
  idsOf(content: Content, session: RoomSession | null): Promise<readonly ChunkId[]>;
  /** The whole bytes of a small content, from caches, disk or relay. */
  bytesOf(content: Content, session: RoomSession | null): Promise<Uint8Array>;
  /** Fetches, verifies and stages; `onStaged` is called per finished file. Throws ChunksMissing, ContentDamaged, FolderError, SessionEnded. */
  stage(
    requests: readonly StageRequest[],
    session: RoomSession | null,
    options: {
      readonly flush: boolean;
      readonly signal: AbortSignal;
      readonly onStaged: (staged: StagedContent) => void;
      readonly onProgress: (bytes: number) => void;
      readonly onFailed: (path: RelPath, problem: unknown) => void;
    },
  ): Promise<void>;
  /** Stages bytes that are at hand (merges). */
  stageBytes(path: RelPath, bytes: Uint8Array, executable: boolean): Promise<string>;
  /** Takes chunks that came along with a pushed record. */
  takePushed(chunks: readonly SealedChunk[]): void;
  /** Sealed chunk of these ids made again from files on disk that hold them (rules RB2, GC5). */
  chunksFromDisk(
    path: RelPath,
    local: LocalFile,
    wanted: ReadonlySet<ChunkId> | 'all',
  ): Promise<readonly SealedChunk[]>;
  /** As far as they are at hand without disk or relay: sealed ones kept (RB2), or made again from a merge base (BASE). */
  chunksFromCaches(content: Content): readonly SealedChunk[];
}

export interface ContentsParts {
  readonly folder: Folder;
  readonly store: StateStore;
  readonly cipher: RoomCipher;
  readonly hashing: Hashing;
  readonly random: Random;
  readonly clock: Clock;
  readonly pause: Pause;
}

export const isProblem = (value: object): value is PathProblem => 'kind' in value && value.kind === 'problem';

export function createContents(parts: ContentsParts): Contents {
  const { folder, store, cipher, hashing, random, clock, pause } = parts;
  const pushed = new Map<ChunkId, SealedChunk>();
  let pushedBytes = 0;

  const stagedName = (prefix: string): string => `${prefix}${bytesToHex(random.bytes(8))}`;

  // ── out: files to chunks ──────────────────────────────────────────────────────────────────────────────────────────

  async function prepareSmall(path: RelPath, local: LocalFile): Promise<PrepareOutcome> {
    const bytes = await readWhole(path, local);
    if (!(bytes instanceof Uint8Array)) return bytes;
    const known = store.contentByDigest(local.digest);
    if (known !== undefined && known.epoch === cipher.epoch)
      return { kind: 'prepared', prepared: { content: known, chunks: [], ids: [], bytes } };
    const chunks: SealedChunk[] = [];
    for (const range of chunkRanges(bytes, cipher.gearTable))
      chunks.push(cipher.sealChunk(bytes.subarray(range.start, range.end)));
    const { refs, lists } = sealRefs(chunks.map((chunk) => chunk.id));
    const all = [...chunks, ...lists];
    return {
      kind: 'prepared',
      prepared: {
        content: { digest: local.digest, size: bytes.length, epoch: cipher.epoch, refs },
        chunks: all,
        ids: all.map((chunk) => chunk.id),
        bytes,
      },
    };
  }

  async function uploadLarge(
    path: RelPath,
    local: LocalFile,
    session: RoomSession,
    options: UploadOptions,
  ): Promise<PrepareOutcome> {
    const known = store.contentByDigest(local.digest);
    if (known !== undefined && known.epoch === cipher.epoch && options.evenIfKnown !== true)
      return { kind: 'prepared', prepared: { content: known, chunks: [], ids: [], bytes: null } };
    const ids: ChunkId[] = [];
    let window: SealedChunk[] = [];
    let windowBytes = 0;
    const send = async (): Promise<void> => {
      const batch = window;
      window = [];
      windowBytes = 0;
      await upload(batch, session, options.signal);
    };
    const outcome = await readChunks(path, local, async (plain) => {
      options.signal.throwIfAborted();
      const chunk = cipher.sealChunk(plain);
      ids.push(chunk.id);
      window.push(chunk);
      windowBytes += chunk.sealed.length;
      options.onProgress(plain.length);
      if (windowBytes >= uploadWindowBytes) await send();
    });
    if (outcome !== null) return outcome;
    await send();
    const { refs, lists } = sealRefs(ids);
    await upload(lists, session, options.signal);
    store.cacheChunkIds(local.digest, ids);
    return {
      kind: 'prepared',
      prepared: {
        content: { digest: local.digest, size: local.size, epoch: cipher.epoch, refs },
        chunks: [],
        ids: [...ids, ...lists.map((list) => list.id)],
        bytes: null,
      },
    };
  }

  async function upload(chunks: readonly SealedChunk[], session: RoomSession, signal?: AbortSignal): Promise<void> {
    const unique = [...new Map(chunks.map((chunk) => [chunk.id, chunk])).values()];
    for (let start = 0; start < unique.length; start += limits.idsPerRequestMax) {
      const batch = unique.slice(start, start + limits.idsPerRequestMax);
      const held = await session.have(
        batch.map((chunk) => chunk.id),
        signal,
      );
      const missing = batch.filter((_, index) => held[index] !== true);
      if (missing.length > 0) await session.put(missing, signal === undefined ? {} : { signal });
    }
  }

  function sealRefs(ids: readonly ChunkId[]): { readonly refs: ContentRefs; readonly lists: readonly SealedChunk[] } {
    const lists: SealedChunk[] = [];
    const refs = refsOfIds(ids, (plain) => {
      const chunk = cipher.sealChunk(plain);
      lists.push(chunk);
      return chunk.id;
    });
    return { refs, lists };
  }

  /** The file's bytes if they are exactly what `local` says, judged by digest and by the stamps before and after. */
  async function readWhole(path: RelPath, local: LocalFile): Promise<Uint8Array | Moved | PathProblem> {
    const pieces: Uint8Array[] = [];
    const outcome = await readVerified(path, local, async (bytes) => {
      pieces.push(bytes.slice());
    });
    return outcome ?? concatBytes(...pieces);
  }

  async function readChunks(
    path: RelPath,
    local: LocalFile,
    onChunk: (plain: Uint8Array) => Promise<void>,
  ): Promise<Moved | PathProblem | null> {
    const cutter = createChunker(cipher.gearTable);
    const outcome = await readVerified(path, local, async (bytes) => {
      for (const chunk of cutter.push(bytes)) await onChunk(chunk);
    });
    if (outcome !== null) return outcome;
    const last = cutter.finish();
    if (last !== null) await onChunk(last);
    return null;
  }

  async function readVerified(
    path: RelPath,
    local: LocalFile,
    onBytes: (bytes: Uint8Array) => Promise<void>,
  ): Promise<Moved | PathProblem | null> {
    const handle = await folder.openFile(path);
    if ('kind' in handle) return handle.kind === 'absent' ? { kind: 'moved' } : handle;
    try {
      if (fingerprintOf(await handle.stat()) !== local.fingerprint) return { kind: 'moved' };
      const hash = hashing.createSha256();
      for (;;) {
        const bytes = await handle.read(readBytes);
        if (bytes.length === 0) break;
        hash.update(bytes);
        await onBytes(bytes);
        await pause();
      }
      if (fingerprintOf(await handle.stat()) !== local.fingerprint) return { kind: 'moved' };
      return bytesToHex(hash.digest()) === local.digest ? null : { kind: 'moved' };
    } finally {
      await handle.close();
    }
  }

  // ── in: chunks to staged files ────────────────────────────────────────────────────────────────────────────────────

  function takePushed(chunks: readonly SealedChunk[]): void {
    for (const chunk of chunks) {
      if (pushed.has(chunk.id)) continue;
      pushed.set(chunk.id, chunk);
      pushedBytes += chunk.sealed.length;
    }
    for (const [id, chunk] of pushed) {
      if (pushedBytes <= pushedChunkBytesMax) break;
      pushed.delete(id);
      pushedBytes -= chunk.sealed.length;
    }
  }

  /** Plain bytes of chunks, from what is at hand, else from the relay. A chunk that does not open counts as missing (rule GC5). */
  async function load(
    ids: readonly ChunkId[],
    session: RoomSession | null,
    signal?: AbortSignal,
  ): Promise<Map<ChunkId, Uint8Array>> {
    const plain = new Map<ChunkId, Uint8Array>();
    const wanted: ChunkId[] = [];
    for (const id of new Set(ids)) {
      const sealed = pushed.get(id) ?? store.cachedChunk(id);
      const opened = sealed === undefined ? undefined : cipher.openChunk(sealed);
      if (opened === undefined) wanted.push(id);
      else plain.set(id, opened);
    }
    if (wanted.length === 0) return plain;
    if (session === null) throw new ChunksMissing(wanted);
    await session.get(
      wanted,
      (chunk) => {
        const opened = cipher.openChunk(chunk);
        if (opened !== undefined) plain.set(chunk.id, opened);
      },
      signal,
    );
    const missing = wanted.filter((id) => !plain.has(id));
    if (missing.length > 0) throw new ChunksMissing(missing);
    return plain;
  }

  /** Bounded by the content's size, whatever the lists say. Lists that are no lists count as missing: a holder may replace them (rule GC5). */
  async function expand(
    content: Content,
    session: RoomSession | null,
  ): Promise<Extract<ExpandedRefs, { kind: 'expanded' }>> {
    const expanded = await expandRefs(content, (ids) => load(ids, session));
    if (expanded.kind === 'expanded') return expanded;
    throw new ChunksMissing(expanded.kind === 'missing' ? expanded.ids : content.refs.ids);
  }

  async function leavesOf(content: Content, session: RoomSession | null): Promise<readonly ChunkId[]> {
    if (content.refs.depth === 0) return content.refs.ids;
    const cached = store.cachedChunkIds(content.digest);
    if (cached !== undefined) return cached;
    const { ids } = await expand(content, session);
    store.cacheChunkIds(content.digest, ids);
    return ids;
  }

  async function idsOf(content: Content, session: RoomSession | null): Promise<readonly ChunkId[]> {
    if (content.refs.depth === 0) return content.refs.ids;
    const { ids, listIds } = await expand(content, session);
    return [...ids, ...listIds];
  }

  async function bytesOf(content: Content, session: RoomSession | null): Promise<Uint8Array> {
    const cached = store.cachedContent(content.digest);
    if (cached !== undefined) return cached;
    const leaves = await leavesOf(content, session);
    const plain = await load(leaves, session);
    const bytes = concatBytes(...leaves.map((id) => plain.get(id) ?? new Uint8Array(0)));
    if (bytes.length !== content.size || bytesToHex(hashing.sha256(bytes)) !== content.digest)
      throw new ContentDamaged('a base content');
    return bytes;
  }

  const stage: Contents['stage'] = async (requests, session, options) => {
    let group: StageRequest[] = [];
    let groupBytes = 0;
    const stageGroup = async (): Promise<void> => {
      const batch = group;
      group = [];
      groupBytes = 0;
      await stageSmall(batch, session, options);
    };
    for (const request of requests) {
      options.signal.throwIfAborted();
      if (request.content.size > largeContentBytesMin) {
        await orFail(request.path, options.onFailed, () => stageLarge(request, session, options));
        continue;
      }
      group.push(request);
      groupBytes += request.content.size;
      if (groupBytes >= fetchGroupBytesMax || group.length >= limits.idsPerRequestMax) await stageGroup();
    }
    await stageGroup();
  };

  /** One bad file is a problem of its own, also one that finds no room on the disk (D1); a lost session ends the whole batch. */
  async function orFail(
    path: RelPath,
    onFailed: (path: RelPath, problem: unknown) => void,
    work: () => Promise<void>,
  ): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (error instanceof ChunksMissing || error instanceof ContentDamaged || error instanceof FolderError)
        onFailed(path, error);
      else throw error;
    }
  }

  async function stageSmall(
    requests: readonly StageRequest[],
    session: RoomSession | null,
    options: Parameters<Contents['stage']>[2],
  ): Promise<void> {
    if (requests.length === 0) return;
    const leaves = new Map<StageRequest, readonly ChunkId[]>();
    const wanted: ChunkId[] = [];
    for (const request of requests) {
      if (request.content.size === 0) leaves.set(request, []);
      // A file here holds the same bytes (a rename or a copy made elsewhere): nothing need be fetched.
      else if (store.localFilesByDigest(request.content.digest, 1).length > 0) continue;
      else
        await orFail(request.path, options.onFailed, async () => {
          const ids = await leavesOf(request.content, session);
          leaves.set(request, ids);
          wanted.push(...ids);
        });
    }
    const plain = await loadWhatIsThere(wanted, session, options.signal);
    const piecesOf = async (request: StageRequest): Promise<readonly Uint8Array[]> => {
      const ids = leaves.get(request);
      if (ids?.every((id) => plain.has(id)) === true) return ids.map((id) => plain.get(id) ?? new Uint8Array(0));
      const copy = await sameContentOnDisk(request);
      if (copy !== null) return [copy];
      const wantedNow = await leavesOf(request.content, session);
      const loaded = await load(wantedNow, session, options.signal);
      return wantedNow.map((id) => loaded.get(id) ?? new Uint8Array(0));
    };
    const stageOne = async (request: StageRequest): Promise<void> => {
      const pieces = await piecesOf(request);
      await write(
        request,
        '',
        options.flush,
        async (put) => {
          for (const piece of pieces) await put(piece);
        },
        options.onStaged,
      );
      if (requests.length <= cachedBasesPerPassMax)
        store.cacheContent(request.content.digest, concatBytes(...pieces), clock.nowMs());
      options.onProgress(request.content.size);
    };
    // Flushes wait for the disk, not for the processor: several at a time share one commit of the file system's journal.
    const queue = [...requests];
    const work = async (): Promise<void> => {
      for (let request = queue.shift(); request !== undefined; request = queue.shift()) {
        const current = request;
        await orFail(current.path, options.onFailed, () => stageOne(current));
        await pause();
      }
    };
    const outcomes = await Promise.allSettled(Array.from({ length: flushesAtOnceMax }, work));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  async function loadWhatIsThere(
    ids: readonly ChunkId[],
    session: RoomSession | null,
    signal: AbortSignal,
  ): Promise<Map<ChunkId, Uint8Array>> {
    try {
      return await load(ids, session, signal);
    } catch (error) {
      if (!(error instanceof ChunksMissing)) throw error;
      const gone = new Set(error.ids);
      const rest = ids.filter((id) => !gone.has(id));
      return rest.length === 0 ? new Map() : load(rest, session, signal);
    }
  }

  /** The bytes of another file here with the same content, or null. */
  async function sameContentOnDisk(request: StageRequest): Promise<Uint8Array | null> {
    for (const row of store.localFilesByDigest(request.content.digest, 3)) {
      if (row.local?.kind !== 'file') continue;
      const bytes = await readWhole(row.path, row.local);
      if (bytes instanceof Uint8Array) return bytes;
    }
    return null;
  }

  async function write(
    request: StageRequest,
    prefix: string,
    flush: boolean,
    fill: (put: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
    onStaged: (staged: StagedContent) => void,
  ): Promise<void> {
    const writer = await folder.stage({ name: stagedName(prefix), near: request.path });
    const hash = hashing.createSha256();
    let size = 0;
    try {
      await fill(async (bytes) => {
        hash.update(bytes);
        size += bytes.length;
        await writer.write(bytes);
      });
      if (size !== request.content.size || bytesToHex(hash.digest()) !== request.content.digest)
        throw new ContentDamaged(request.path);
      await writer.commit({ executable: request.executable, flush });
    } catch (error) {
      // A large download that was cut keeps its part, which the next try reads its chunks from; on a full disk it makes room.
      if (prefix === '' || error instanceof ContentDamaged || error instanceof FolderError) await writer.abort();
      else await writer.commit({ executable: false, flush: false }).catch(() => writer.abort());
      throw error;
    }
    onStaged({ path: request.path, stagedName: writer.name });
  }

  async function stageLarge(
    request: StageRequest,
    session: RoomSession | null,
    options: Parameters<Contents['stage']>[2],
  ): Promise<void> {
    const prefix = `${downloadPrefix}${request.content.digest.slice(0, 24)}-`;
    const leaves = await leavesOf(request.content, session);
    const wanted = new Set(leaves);
    const parts = (await folder.stagedNames()).filter((name) => name.startsWith(prefix));
    const sources: ChunkSource[] = [];
    try {
      for (const name of parts) sources.push(await indexChunks(() => folder.openStaged(name), wanted));
      const here = store.row(request.path)?.local;
      const twin = store.localFilesByDigest(request.content.digest, 1)[0];
      for (const path of new Set([
        ...(twin === undefined ? [] : [twin.path]),
        ...(here?.kind === 'file' ? [request.path] : []),
      ]))
        sources.push(await indexChunks(() => folder.openFile(path), wanted));
      await write(
        request,
        prefix,
        options.flush,
        async (put) => {
          for (let start = 0; start < leaves.length; start += fetchWindowChunks) {
            options.signal.throwIfAborted();
            const window = leaves.slice(start, start + fetchWindowChunks);
            const plain = new Map<ChunkId, Uint8Array>();
            for (const id of window) {
              if (plain.has(id)) continue;
              const bytes = await fromSources(sources, id);
              if (bytes !== undefined) plain.set(id, bytes);
            }
            const rest = window.filter((id) => !plain.has(id));
            if (rest.length > 0)
              for (const [id, bytes] of await load(rest, session, options.signal)) plain.set(id, bytes);
            for (const id of window) {
              const bytes = plain.get(id) ?? new Uint8Array(0);
              await put(bytes);
              options.onProgress(bytes.length);
            }
            await pause();
          }
        },
        options.onStaged,
      );
      for (const name of parts) await folder.discardStaged(name);
    } finally {
      for (const source of sources) await source.handle?.close();
    }
  }

  /** Where the wanted chunks lie in a local file, found by cutting it as the room does. */
  interface ChunkSource {
    readonly handle: ReadHandle | null;
    readonly bytesById: ReadonlyMap<ChunkId, { readonly start: number; readonly length: number }>;
    readonly reopen: () => ReturnType<Folder['openFile']>;
  }

  async function indexChunks(
    open: () => ReturnType<Folder['openFile']>,
    wanted: ReadonlySet<ChunkId>,
  ): Promise<ChunkSource> {
    const bytesById = new Map<ChunkId, { start: number; length: number }>();
    const handle = await open();
    if ('kind' in handle) return { handle: null, bytesById, reopen: open };
    const cutter = createChunker(cipher.gearTable);
    let at = 0;
    const take = (chunks: Iterable<Uint8Array>): void => {
      for (const chunk of chunks) {
        const id = cipher.chunkId(chunk);
        if (wanted.has(id)) bytesById.set(id, { start: at, length: chunk.length });
        at += chunk.length;
      }
    };
    for (;;) {
      const bytes = await handle.read(readBytes);
      if (bytes.length === 0) break;
      take(cutter.push(bytes));
      await pause();
    }
    const last = cutter.finish();
    if (last !== null) take([last]);
    return { handle, bytesById, reopen: open };
  }

  async function fromSources(sources: readonly ChunkSource[], id: ChunkId): Promise<Uint8Array | undefined> {
    for (const source of sources) {
      const range = source.bytesById.get(id);
      if (range === undefined || source.handle === null) continue;
      const bytes = await source.handle.readAt(range.start, range.length);
      // The file may have changed since it was indexed.
      if (cipher.chunkId(bytes) === id) return bytes.slice();
    }
    return undefined;
  }

  async function stageBytes(path: RelPath, bytes: Uint8Array, executable: boolean): Promise<string> {
    const writer = await folder.stage({ name: stagedName(''), near: path });
    try {
      await writer.write(bytes);
      await writer.commit({ executable, flush: true });
    } catch (error) {
      await writer.abort();
      throw error;
    }
    return writer.name;
  }

  async function chunksFromDisk(
    path: RelPath,
    local: LocalFile,
    wanted: ReadonlySet<ChunkId> | 'all',
  ): Promise<readonly SealedChunk[]> {
    const found: SealedChunk[] = [];
    const ids: ChunkId[] = [];
    const outcome = await readChunks(path, local, async (plain) => {
      const id = cipher.chunkId(plain);
      ids.push(id);
      if (wanted === 'all' || wanted.has(id)) found.push(cipher.sealChunk(plain));
    });
    if (outcome !== null) return [];
    for (const list of sealRefs(ids).lists) if (wanted === 'all' || wanted.has(list.id)) found.push(list);
    return found;
  }

  function chunksFromCaches({ digest, refs }: Content): readonly SealedChunk[] {
    const bytes = store.cachedContent(digest);
    if (bytes === undefined) return refs.ids.flatMap((id) => pushed.get(id) ?? store.cachedChunk(id) ?? []);
    const chunks = chunkRanges(bytes, cipher.gearTable).map((range) =>
      cipher.sealChunk(bytes.subarray(range.start, range.end)),
    );
    return [...chunks, ...sealRefs(chunks.map((chunk) => chunk.id)).lists];
  }

  return {
    prepareSmall,
    uploadLarge,
    upload,
    idsOf,
    bytesOf,
    stage,
    stageBytes,
    takePushed,
    chunksFromDisk,
    chunksFromCaches,
  };
}
