/** What the modules of this folder, and those who use contents, have in common: sizes, requests, outcomes and failures. */
import type { ChunkId, Content, Digest, RelPath, SealedChunk } from '@driftless/protocol';
import type { LocalEntry } from '../core/local-entry.ts';
import type { Pause } from '../pause.ts';
import type { Clock } from '../ports/clock.ts';
import type { Folder, PathProblem } from '../ports/folder.ts';
import type { Hashing } from '../ports/hashing.ts';
import type { Random } from '../ports/random.ts';
import type { RoomCipher } from '../ports/room-cipher.ts';
import type { StateStore } from '../ports/state-store.ts';
import type { BytesUnderWay } from './free-space.ts';

/** Above this a content leaves the batch of small saves and is streamed on its own (rule FAST5). */
export const largeContentBytesMin = 1024 * 1024;
/** Bytes of a file that are read at a time. */
export const readBytes = 256 * 1024;

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

/** Of a file's chunks that are made again: which, and what becomes of them, a part at a time. */
export interface RemakeOptions {
  readonly isWanted: (id: ChunkId) => boolean;
  readonly onPart: (chunks: readonly SealedChunk[]) => Promise<void>;
  readonly signal?: AbortSignal;
}

export interface StageRequest {
  readonly path: RelPath;
  readonly content: Content;
}
export interface StagedContent {
  readonly path: RelPath;
  readonly stagedName: string;
}

export interface StageOptions {
  readonly flush: boolean;
  readonly signal: AbortSignal;
  readonly onStaged: (staged: StagedContent) => void;
  readonly onProgress: (bytes: number) => void;
  readonly onFailed: (path: RelPath, problem: unknown) => void;
}

export interface ContentsParts {
  readonly folder: Folder;
  readonly store: StateStore;
  readonly cipher: RoomCipher;
  readonly hashing: Hashing;
  readonly random: Random;
  readonly clock: Clock;
  readonly pause: Pause;
  readonly underWay: BytesUnderWay;
  /** The bytes of a file were not those that its row says although its stamps were: it is to be scanned again. */
  readonly onDistrusted: (path: RelPath) => void;
  /** It is to come back although the room has it no more. */
  readonly isWished: (digest: Digest) => boolean;
}

export const isProblem = (value: object): value is PathProblem => 'kind' in value && value.kind === 'problem';
