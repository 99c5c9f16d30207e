/** Writes a staged file, for which room was asked before, whose size and digest must come out as the room says (rule DISK1). */
import { bytesToHex, type RelPath } from '@driftless/protocol';
import { FolderError } from '../ports/folder.ts';
import { ContentDamaged, type ContentsParts, type StagedContent, type StageRequest } from './content-types.ts';
import type { DownloadPart, DownloadParts } from './download-parts.ts';
import { createFreeSpace, NoRoom, type Reservation } from './free-space.ts';

export interface WriteOptions {
  readonly flush: boolean;
  readonly room: Reservation;
  /** A large content: it goes on with what there is, and keeps what was written when it is cut. */
  readonly part?: DownloadPart;
}

/** Some disks tell of the room of a file that was removed only seconds later (ZFS, Btrfs): until then no other goes for it. */
const roomShowsMsMax = 10_000;

export type StagedFileWriter = ReturnType<typeof createStagedFileWriter>;

export function createStagedFileWriter({ folder, hashing, random, clock }: ContentsParts, parts: DownloadParts) {
  const freeSpace = createFreeSpace({ folder });
  /** One after the other: the room that was made for one may do for the next. */
  let makingRoom: Promise<unknown> = Promise.resolve();
  let showsLateUntilMs = Number.NEGATIVE_INFINITY;
  const newName = (): string => bytesToHex(random.bytes(8));

  /**
   * Room for so many bytes of a file. What is left of downloads that wait makes room: two that fit one after the other would wait
   * for each other for ever, and saves for both. Errors: FolderError, a problem of the path.
   */
  async function reserve(path: RelPath, bytes: number, fileBytes = bytes): Promise<Reservation> {
    try {
      return await freeSpace.reserve(path, bytes, fileBytes);
    } catch (error) {
      if (!(error instanceof NoRoom)) throw error;
    }
    const made = makingRoom.then(() => reserveMakingRoom(path, bytes, fileBytes));
    makingRoom = made.catch(() => {});
    return made;
  }

  async function reserveMakingRoom(path: RelPath, bytes: number, fileBytes: number): Promise<Reservation> {
    try {
      return await freeSpace.reserve(path, bytes, fileBytes);
    } catch (error) {
      if (!(error instanceof NoRoom) || clock.monotonicMs() < showsLateUntilMs || !(await parts.makeRoom(error)))
        throw error;
    }
    try {
      return await freeSpace.reserve(path, bytes, fileBytes);
    } catch (error) {
      showsLateUntilMs = clock.monotonicMs() + roomShowsMsMax;
      throw error;
    }
  }

  async function write(
    request: StageRequest,
    { flush, room, part }: WriteOptions,
    fill: (put: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
    onStaged: (staged: StagedContent) => void,
  ): Promise<void> {
    const writer = await folder.stage({
      name: part?.name ?? newName(),
      near: request.path,
      ...(part === undefined || part.bytes === 0 ? {} : { continueAt: part.bytes }),
    });
    const written = part ?? { bytes: 0, hash: hashing.createSha256() };
    try {
      await fill(async (bytes) => {
        await writer.write(bytes);
        room.wrote(bytes.length);
        written.hash.update(bytes);
        written.bytes += bytes.length;
      });
      if (written.bytes !== request.content.size || bytesToHex(written.hash.digest()) !== request.content.digest)
        throw new ContentDamaged(request.path);
      await writer.commit({ flush });
    } catch (error) {
      // A large download that was cut keeps its part, which the next try goes on with; on a full disk it makes room.
      if (part === undefined || error instanceof ContentDamaged || error instanceof FolderError) await writer.abort();
      else await writer.commit({ flush: false }).catch(() => writer.abort());
      throw error;
    }
    onStaged({ path: request.path, stagedName: writer.name });
  }

  async function stageBytes(path: RelPath, bytes: Uint8Array): Promise<string> {
    const writer = await folder.stage({ name: newName(), near: path });
    try {
      await writer.write(bytes);
      await writer.commit({ flush: true });
    } catch (error) {
      await writer.abort();
      throw error;
    }
    return writer.name;
  }

  return { reserve, write, stageBytes };
}
