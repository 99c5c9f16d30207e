/**
 * Everything that a linked folder's peer must remember, outside the folder. Synchronous: one process, one writer.
 * A killed process loses nothing that a finished `transaction` wrote; a power cut may lose the newest transactions, whole
 * ones and in order (rule FAST1: they are not flushed one by one; `flush` makes all so far durable).
 * Cost of one edit: O(changed paths + their pages), independent of the number of rows (rule FAST3).
 */
import type {
  ChunkId,
  Content,
  Digest,
  Entry,
  FileMode,
  Head,
  MassDeletion,
  RecordId,
  RelPath,
  Root,
  SealedChunk,
  SealedRecord,
  Variant,
  VariantId,
} from '@driftless/protocol';
import type { LocalEntry } from '../core/local-entry.ts';
import type { ManifestView, PageIndex, SlotUpdate } from '../core/manifest-view.ts';
import type { Hold, OutOfScopeReason, Row, RowProblem, RowView } from '../core/row.ts';

export interface Counts {
  /** Files (not directories or links) in scope whose local entry exists. */
  readonly files: number;
  /** In-scope entries of all kinds that exist locally. */
  readonly entries: number;
  /** Rows that are not at rest (local ≠ base or remote ≠ base), in scope and not held; and rows out of scope that have a problem. */
  readonly pending: number;
  readonly held: number;
  readonly outOfScope: number;
}

/** One append that was, or is about to be, sent (rule SENT). `changedPaths` is what OWN advances. */
export interface SentAppend {
  readonly id: RecordId;
  readonly height: number;
  readonly record: SealedRecord;
  /** Paths and the entry that each has after the record; null = removed. */
  readonly outcome: readonly { readonly path: RelPath; readonly entry: Entry | null }[];
  readonly variants: readonly Variant[];
}

/** One replace that is about to happen (rule INTENT): enough to tell afterwards whether it did, and to make it known if so. */
export interface Intent {
  readonly path: RelPath;
  /** What is at the path until then. */
  readonly before: LocalEntry | null;
  readonly places:
    | { readonly kind: 'file'; readonly mode: FileMode; readonly digest: Digest }
    | { readonly kind: 'directory' | 'nothing' }
    | { readonly kind: 'symlink'; readonly target: string };
  /** What base becomes once it has happened. */
  readonly base: Entry | null;
  /** Of a file. */
  readonly stagedName: string | null;
  readonly asideName: string;
  readonly reason: TrashReason;
}
/** Why something lies in the trash. */
export type TrashReason =
  | 'replaced'
  | 'deleted'
  /** A merge took its place: in a record as soon as the merge is. */
  | 'merged'
  /** It was in the way when a replace did not go through, and could not go back. */
  | 'displaced'
  /** No journal knows it. */
  | 'found';

/** A file in the trash (rule DISK4). `inRecord`: its bytes are in the room's history, so it may go after 30 s. */
export interface TrashRow {
  readonly name: string;
  readonly path: RelPath;
  /** Of what is known to be in it. */
  readonly digest: Digest | null;
  /** All its stamps when its bytes were last found to be that; '' = not since it was moved aside. */
  readonly fingerprint: string;
  readonly inRecord: boolean;
  readonly reason: TrashReason;
  /** By the steady time (peer/steady-time.ts), so that no step of a clock makes it older. */
  readonly atMs: number;
  /** It was written meanwhile, and is given this name in the folder. */
  readonly comesBackAs?: RelPath;
}

/** What a record did, kept for the last 4,096 heights: to undo it after a fork (rule RB3) and to name times. */
export interface RecordMeta {
  readonly head: Head;
  readonly prev: RecordId;
  readonly root: Root;
  readonly device: string;
  readonly deviceName: string;
  readonly timeMs: number;
  readonly label: string;
  readonly massDeletion: MassDeletion;
  readonly changes: number;
  readonly own: boolean;
}

export interface CommitRecord {
  readonly meta: RecordMeta;
  readonly record: SealedRecord;
  /** The slots that the record changes, as given to `rootAfter`. */
  readonly updates: readonly SlotUpdate[];
  readonly mtimes: ReadonlyMap<RelPath, number>;
  readonly variantsOpened: readonly Variant[];
  readonly variantsClosed: readonly { readonly path: RelPath; readonly id: VariantId }[];
  /** Bytes of record and new chunks, for the checkpoint rule CP3. */
  readonly bytes: number;
}

export interface StateStore extends RowView {
  /** Runs `work` in one transaction; nested calls join the outer one. A throw rolls back. */
  transaction<T>(work: () => T): T;
  flush(): void;
  close(): void;

  // ── settings of this link: JSON-able values by name ──
  setting(name: string): string | undefined;
  setSetting(name: string, value: string | null): void;

  // ── the three trees ──
  counts(): Counts;
  /** Rows that are not at rest, not held, in scope, whose problem's retry is due (`isRetryDue`); in path order; at most `limit`, behind `after`. */
  pendingRows(options: { readonly after?: RelPath | ''; readonly limit: number; readonly nowMs: number }): Row[];
  /** Those of them whose last name is one of `names`, however many. */
  pendingRowsNamed(names: readonly string[], nowMs: number): Row[];
  /** Pending rows of which nothing is here, and that the room has or had; due or not. */
  arrivingRows(options: { readonly after: RelPath | ''; readonly limit: number }): Row[];
  /** Pending and due rows that were agreed on and went since, here or in the room. */
  goneRows(options: { readonly after?: RelPath | ''; readonly limit: number; readonly nowMs: number }): Row[];
  /** In-scope rows that were not agreed on and have this content, here or in the room: at most two of each, for more tell nothing else. */
  appearedRows(digest: Digest): Row[];
  /**
   * Of all pending rows, however many: files that room and disk agreed on and that are gone on one side and as they were on the
   * other, but for those whose deletion was declined. What the other side changed comes back, and is not lost. At most `limit`.
   */
  lostFiles(options: {
    readonly side: 'local' | 'remote';
    readonly limit: number;
  }): { readonly path: RelPath; readonly digest: Digest }[];
  /** How many files are here that room and disk never agreed on. */
  unagreedFiles(): number;
  heldRows(): Row[];
  /** In path order, at most `limit`; `but`: those left out for one of these reasons are passed over. */
  outOfScopeRows(limit: number, but?: readonly OutOfScopeReason[]): Row[];
  /** How many paths are out of scope, by reason; reasons without paths are left out. O(paths out of scope). */
  outOfScopeCounts(): ReadonlyMap<OutOfScopeReason, number>;
  /**
   * Leaves these rows out of pendingRows, goneRows, arrivingRows and lostFiles, until one changes (that one), or all are asked for
   * again: they wait for somebody's answer, and no turn need read them meanwhile. They still count as pending.
   */
  park(paths: readonly RelPath[]): void;
  unpark(): void;
  /** How many are. */
  parked(): number;
  isParked(path: RelPath): boolean;
  /** Whether one of them was agreed on with this content. */
  isParkedContent(digest: Digest): boolean;
  /** Paths on this disk, in scope, whose name looks like a conflict copy's; at most `limit`. */
  conflictCopies(limit: number): RelPath[];
  /** All of them, or those for one reason; in path order. */
  outOfScopePaths(reason?: OutOfScopeReason): RelPath[];
  problemRows(limit: number): Row[];
  /** Earliest retry time after `nowMs` of a row that failed and is not at rest, or undefined: those before it have been looked at. */
  nextRetryAtMs(nowMs: number): number | undefined;
  /** Rows whose parent directory is `path` ('' = root) and that exist locally or are out of scope: what a rescan compares with. */
  localChildren(path: RelPath | ''): Row[];
  /** Every row at or after `from`, in path order, at most `limit`. */
  rowsFrom(from: RelPath | '', limit: number): Row[];
  /** In-scope local files with this digest, at most `limit`. */
  localFilesByDigest(digest: Digest, limit: number): Row[];
  /**
   * A content with this digest that the room holds at any path, with its refs: the relay has its chunks (rule GC1). `toReceive`:
   * only at one that takes part here, if it can be seen at the moment or not.
   */
  contentByDigest(digest: Digest, options?: { readonly toReceive: boolean }): Content | undefined;

  setLocal(path: RelPath, local: LocalEntry | null): void;
  setBase(path: RelPath, base: Entry | null): void;
  /**
   * Going out of scope forgets the scan, and base too when the bytes on disk may diverge unseen (ignored, 'unstorable',
   * 'invalid-name'), so that coming back is create/create (rule IG2). Coming back: local is null.
   */
  setOutOfScope(path: RelPath, reason: OutOfScopeReason | null): void;
  setHold(path: RelPath, hold: Hold | null): void;
  setProblem(path: RelPath, problem: RowProblem | null): void;
  /** Marks these rows, as far as they are not at rest, or held: their deletion is undone (`Row.declined`). */
  decline(paths: readonly RelPath[]): void;
  /** Moves local and base of a path and all below to a new name, after a rename on disk of both. */
  moveLocalAndBase(fromPath: RelPath, toPath: RelPath): void;

  // ── the room's manifest and log ──
  readonly manifest: ManifestView;
  readonly pages: PageIndex;
  head(): Head | null;
  /** Root of the remote tree at the head. */
  root(): Root;
  /** Root as it would be after a record's updates and variant changes (pages hold open variants too). Pure read. */
  rootAfter(change: Pick<CommitRecord, 'updates' | 'variantsOpened' | 'variantsClosed'>): Root;
  /** Advances the remote tree by one record: one transaction (rule TREE). Touches local and base not at all. */
  commitRecord(commit: CommitRecord): void;
  /** Replaces the whole remote tree by a checkpoint's manifest at `head`. */
  loadManifest(options: {
    readonly head: Head;
    readonly root: Root;
    readonly slots: Iterable<SlotUpdate>;
    readonly variants: readonly Variant[];
  }): void;
  /** Newest first, at most `limit`, of the last 4,096. */
  recentHeads(limit: number): Head[];
  recordMeta(height: number): RecordMeta | undefined;
  /** Takes the remote tree back to `common`, by the kept undo slots; returns the paths whose slots changed. False when not kept. */
  rollBackTo(common: Head): readonly RelPath[] | false;
  /** Sealed records after `height`, from the cache (last 1,000 or 64 MiB); undefined when the cache does not reach back. */
  cachedRecordsAfter(height: number): SealedRecord[] | undefined;
  /** The record that follows the one with this id, or `noRecordId`, as far as the same cache reaches. */
  cachedRecordAfter(id: RecordId): SealedRecord | undefined;
  /** All open variants. */
  openVariants(): readonly Variant[];
  bytesSinceCheckpoint(): { readonly bytes: number; readonly records: number };
  noteCheckpoint(options: { readonly height: number; readonly bytes: number }): void;
  lastCheckpoint(): { readonly height: number; readonly bytes: number } | undefined;

  // ── journals ──
  putSent(sent: SentAppend): void;
  sent(id: RecordId): SentAppend | undefined;
  allSent(): SentAppend[];
  deleteSent(id: RecordId): void;
  putIntent(intent: Intent): void;
  deleteIntent(path: RelPath): void;
  intents(): Intent[];
  putTrash(row: TrashRow): void;
  trash(): TrashRow[];
  /** Only those that are in no record: asked at every commit, however much the trash holds. */
  unrecordedTrash(): TrashRow[];
  deleteTrash(name: string): void;

  /** What a join left undone: by path, the digest of a content here that counts as unchanged (core/first-join.ts). */
  superseded(): ReadonlyMap<RelPath, Digest>;
  /** In place of all that were there. */
  replaceSuperseded(all: ReadonlyMap<RelPath, Digest>): void;
  /** Forgets those that are agreed on or gone by now; whether there were any. */
  forgetSettledSuperseded(): boolean;

  // ── caches: may be emptied at any time without harm ──
  /** Plain base contents of mergeable files (rule BASE), compressed inside. */
  cacheContent(digest: Digest, bytes: Uint8Array, nowMs: number): void;
  cachedContent(digest: Digest): Uint8Array | undefined;
  /** Data chunk ids of a content whose list is deeper than its entry. */
  cacheChunkIds(digest: Digest, ids: readonly ChunkId[]): void;
  cachedChunkIds(digest: Digest): readonly ChunkId[] | undefined;
  /** Sealed chunks that this peer uploaded or received lately (for RB2), bounded. */
  cacheChunk(chunk: SealedChunk): void;
  cachedChunk(id: ChunkId): SealedChunk | undefined;
  /** Digests known to be in the room's history at a path: an earlier version is brought up to date, not conflicted (first join). */
  noteHistory(path: RelPath, digest: Digest): void;
  inHistory(path: RelPath, digest: Digest): boolean;
}

export type StateStoreErrorCode =
  /** Written by a newer Driftless: left untouched (rule STATE). */
  | 'newer'
  /** Cut, noise, zeroes, not a database: move it aside and re-join (P10). */
  | 'damaged'
  /** Another process holds it. */
  | 'busy'
  /** Nothing was recorded, so nothing may be acted on (D2). */
  | 'disk-full'
  | 'io'
  /** This Node has no database. */
  | 'unavailable';

/** Thrown by any call of a store; caught by the loop. After `damaged` the store must be closed and not used again. */
export class StateStoreError extends Error {
  readonly code: StateStoreErrorCode;
  readonly retryable: boolean;
  constructor(code: StateStoreErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'StateStoreError';
    this.code = code;
    this.retryable = code === 'busy' || code === 'disk-full' || code === 'io';
  }
}
