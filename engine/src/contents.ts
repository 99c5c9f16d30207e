/**
 * Between files and chunks: cuts, names and seals a file's bytes for the room, and brings a content's bytes from the room
 * into a staged file, verified (rules SEAL1, LIST, DISK1, FAST5).
 *
 * Small contents (≤ largeContentBytesMin) are handled whole and in batches; large ones are streamed, in both directions,
 * resume where they were cut, and fetch only chunks that no local file holds (F16). The parts of it are in content/.
 * Leaves to others: what to send or fetch (reconcile), the append (publish.ts), replacing files (apply.ts).
 */
import { type ChunkId, type Content, limits, type RelPath, type SealedChunk } from '@driftless/protocol';
import { createChunkSource } from './content/chunk-source.ts';
import {
  type ContentsParts,
  type LocalFile,
  largeContentBytesMin,
  type Moved,
  type PrepareOutcome,
  type RemakeOptions,
  type StageOptions,
  type StageRequest,
  type UploadOptions,
} from './content/content-types.ts';
import { createDownloadParts } from './content/download-parts.ts';
import { orFail } from './content/or-fail.ts';
import { createVerifiedReader } from './content/read-verified.ts';
import { createContentSealer } from './content/seal-content.ts';
import { createLargeStager } from './content/stage-large.ts';
import { createSmallStager } from './content/stage-small.ts';
import { type CopyRequest, createStagedFileWriter } from './content/staged-writer.ts';
import { createUploader } from './content/upload.ts';
import type { Folder, PathProblem } from './ports/folder.ts';
import type { RoomSession } from './ports/room-session.ts';

/** Plain bytes of a group of small files held in memory while they are fetched and staged. One is fetched while another is written. */
const fetchGroupBytesMax = 4 * 1024 * 1024;
/** Contents of a pass of at most this many files are kept as merge bases; a mass join or a git switch is not an edit (rule BASE). */
const keptBasesPerPassMax = 50;

export interface Contents {
  /** Reads, verifies against `local`, cuts and seals a small file. */
  prepareSmall(path: RelPath, local: LocalFile): Promise<PrepareOutcome>;
  /** Streams a large file to the relay; resolves when all its chunks are durable there. */
  uploadLarge(path: RelPath, local: LocalFile, session: RoomSession, options: UploadOptions): Promise<PrepareOutcome>;
  /** Offers chunks to the relay and stores those that it lacks. */
  upload(chunks: readonly SealedChunk[], session: RoomSession, signal?: AbortSignal): Promise<void>;
  /** After a refusal: whether the relay takes again what it refused, before anything is prepared for it. Throws RequestRefused if not. */
  askAgain(session: RoomSession, signal?: AbortSignal): Promise<void>;
  /** Every chunk id of a content, list-chunks included. */
  idsOf(content: Content, session: RoomSession | null): Promise<readonly ChunkId[]>;
  /** The whole bytes of a small content, from caches, disk or relay. */
  bytesOf(content: Content, session: RoomSession | null): Promise<Uint8Array>;
  /** Fetches, verifies and stages; `onStaged` is called per finished file. What one file fails for goes to `onFailed`; throws SessionEnded. */
  stage(requests: readonly StageRequest[], session: RoomSession | null, options: StageOptions): Promise<void>;
  /** What was staged and nobody waits for any more. Nothing when it is in its place, or when what was cut is still to be settled by it. */
  drop(stagedName: string): Promise<void>;
  /** Removes what is left of downloads whose contents the room holds no more, or this disk by now. */
  discardUnwantedParts(): Promise<void>;
  /** Stages bytes that are at hand (merges). */
  stageBytes(path: RelPath, bytes: Uint8Array): Promise<string>;
  /** A copy of a file of the folder, near another path. */
  stageCopy(copy: CopyRequest): ReturnType<Folder['stageCopy']>;
  /** Takes chunks that came along with a pushed record. */
  takePushed(chunks: readonly SealedChunk[]): void;
  /** Chunks of a file sealed once more (rules RB2, GC5): whatever its size, only a part is in memory. null: it was what `local` says, to its end. */
  chunksFromDisk(path: RelPath, local: LocalFile, options: RemakeOptions): Promise<Moved | PathProblem | null>;
  /** As far as they are at hand without disk or relay: sealed ones kept (RB2), or made again from a merge base (BASE). */
  chunksFromCaches(content: Content): readonly SealedChunk[];
}

export function createContents(parts: ContentsParts): Contents {
  const reader = createVerifiedReader(parts);
  const source = createChunkSource(parts);
  const sealer = createContentSealer(parts, reader, source);
  const uploader = createUploader(parts, reader, sealer);
  const downloads = createDownloadParts(parts);
  const writer = createStagedFileWriter(parts, downloads);
  const stageSmall = createSmallStager(parts, reader, source, writer);
  const stageLarge = createLargeStager(parts, source, writer, downloads);

  const stage: Contents['stage'] = async (requests, session, options) => {
    let group: StageRequest[] = [];
    let groupBytes = 0;
    const underWay = new Set<Promise<void>>();
    let failure: PromiseRejectedResult | undefined;
    const keepsBases = requests.length <= keptBasesPerPassMax;
    const stageGroup = async (): Promise<void> => {
      if (underWay.size > 1) await Promise.race(underWay);
      const staging = stageSmall(group, session, { ...options, keepsBases }).then(() => void underWay.delete(staging));
      underWay.add(staging);
      // Heard below, also when something else is waited for first.
      staging.catch(() => {});
      group = [];
      groupBytes = 0;
    };
    try {
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
    } finally {
      // None writes on when this has ended, however it ended.
      const outcomes = await Promise.allSettled(underWay);
      failure = outcomes.find((outcome) => outcome.status === 'rejected');
    }
    if (failure !== undefined) throw failure.reason;
  };

  return {
    prepareSmall: sealer.prepareSmall,
    uploadLarge: uploader.uploadLarge,
    upload: uploader.upload,
    askAgain: uploader.askAgain,
    idsOf: source.idsOf,
    bytesOf: source.bytesOf,
    stage,
    drop: downloads.drop,
    discardUnwantedParts: downloads.discardUnwanted,
    stageBytes: writer.stageBytes,
    stageCopy: writer.stageCopy,
    takePushed: source.takePushed,
    chunksFromDisk: sealer.chunksFromDisk,
    chunksFromCaches: sealer.chunksFromCaches,
  };
}
