/** Writes a staged file, for which room was asked before, whose size and digest must come out as the room says (rule DISK1). */
import { bytesToHex, type RelPath } from '@driftless/protocol';
import { type Folder, FolderError } from '../ports/folder.ts';
import { ContentDamaged, type ContentsParts, type StagedContent, type StageRequest } from './content-types.ts';
import type { DownloadPart, DownloadParts } from './download-parts.ts';
import { createFreeSpace, NoRoom, type Reservation, spaceNear } from './free-space.ts';

export interface WriteOptions {
  readonly flush: boolean;
  readonly room: Reservation;
  /** A large content: it goes on with what there is, and keeps what was written when it is cut. */
  readonly part?: DownloadPart;
}

export type CopyRequest = Parameters<Folder['stageCopy']>[0] & { readonly bytes: number };
type Wanted = Pick<NoRoom, 'device' | 'missingBytes'>;

/** Some disks tell of the room of a file that was removed only seconds later (ZFS, Btrfs): until then no other goes for it. */
const roomShowsMsMax = 10_000;

export type StagedFileWriter = ReturnType<typeof createStagedFileWriter>;

export function createStagedFileWriter(
  { folder, hashing, random, clock, underWay }: ContentsParts,
  parts: DownloadParts,
) {
  const freeSpace = createFreeSpace({ folder, underWay });
  let makingRoom: Promise<unknown> = Promise.resolve();
  /** By device. */
  const showsLateUntilMs = new Map<bigint, number>();
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
    return inTurn(() => reserveMakingRoom(path, bytes, fileBytes));
  }

  /** One after the other: the room that was made for one may do for the next. */
  function inTurn<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    const made = makingRoom.then(work);
    makingRoom = made.catch(() => {});
    return made;
  }

  async function reserveMakingRoom(path: RelPath, bytes: number, fileBytes: number): Promise<Reservation> {
    try {
      return await freeSpace.reserve(path, bytes, fileBytes);
    } catch (error) {
      if (!(error instanceof NoRoom) || !(await makeRoom(error))) throw error;
    }
    try {
      return await freeSpace.reserve(path, bytes, fileBytes);
    } catch (error) {
      if (error instanceof NoRoom) mayShowLate(error.device);
      throw error;
    }
  }

  const mayShowLate = (device: bigint): void => void showsLateUntilMs.set(device, clock.monotonicMs() + roomShowsMsMax);
  const makeRoom = async (wanted: Wanted): Promise<boolean> =>
    clock.monotonicMs() >= (showsLateUntilMs.get(wanted.device) ?? 0) && parts.makeRoom(wanted);

  /** A quota shows only in what the disk refuses to write: the next try finds the room that is made for it. */
  async function makeRoomUnasked(path: RelPath, missingBytes: number): Promise<void> {
    const device = (await spaceNear(folder, path))?.device;
    if (device === undefined) return;
    await inTurn(async () => {
      if (await makeRoom({ device, missingBytes })) mayShowLate(device);
    });
  }

  async function write(
    request: StageRequest,
    options: WriteOptions,
    fill: (put: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
    onStaged: (staged: StagedContent) => void,
  ): Promise<void> {
    const { path, content } = request;
    const written = options.part ?? { bytes: 0, hash: hashing.createSha256() };
    let stagedName: string;
    try {
      stagedName = await writeFile(request, written, options, fill);
    } catch (error) {
      if (error instanceof FolderError && error.problem.diskFull && !(error instanceof NoRoom))
        // What the write failed for is what is told, whatever this fails for.
        await makeRoomUnasked(path, Math.max(1, content.size - written.bytes)).catch(() => {});
      throw error;
    }
    onStaged({ path, stagedName });
  }

  async function writeFile(
    { path, content }: StageRequest,
    written: Pick<DownloadPart, 'bytes' | 'hash'>,
    { flush, room, part }: WriteOptions,
    fill: (put: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
  ): Promise<string> {
    const writer = await folder.stage({
      name: part?.name ?? newName(),
      near: path,
      ...(part?.isThere === true ? { continueAt: part.bytes } : {}),
    });
    try {
      await fill(async (bytes) => {
        await room.check();
        await writer.write(bytes);
        room.wrote(bytes.length);
        written.hash.update(bytes);
        written.bytes += bytes.length;
      });
      if (written.bytes !== content.size || bytesToHex(written.hash.digest()) !== content.digest)
        throw new ContentDamaged(path);
      await writer.commit({ flush });
      if (part !== undefined) await assertWhole(path, writer.name, content.size);
    } catch (error) {
      // A large download that was cut keeps its part, which the next try goes on with; on a full disk it makes room.
      const isCut = error instanceof NoRoom || !(error instanceof ContentDamaged || error instanceof FolderError);
      if (part === undefined || !isCut) await writer.abort();
      else await writer.commit({ flush: false }).catch(() => writer.abort());
      throw error;
    }
    return writer.name;
  }

  /** What was written may lie under its name no more: its user moved it to another disk meanwhile, as a copy of what it held then. */
  async function assertWhole(path: RelPath, stagedName: string, bytes: number): Promise<void> {
    const stat = await folder.statStaged(stagedName);
    if (stat?.kind === 'problem') throw new FolderError(stat);
    if (stat?.size === bytes) return;
    const reason = `what was fetched of "${path}" was moved or changed before it was whole: it is fetched again`;
    throw new FolderError({ kind: 'problem', code: 'ENOENT', reason, diskFull: false });
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

  /** As the folder's, of a file of so many bytes. */
  async function stageCopy(copy: CopyRequest): ReturnType<Folder['stageCopy']> {
    let room: Reservation;
    try {
      room = await reserve(copy.near, copy.bytes);
    } catch (error) {
      if (!(error instanceof FolderError)) throw error;
      return error.problem;
    }
    try {
      return await folder.stageCopy(copy);
    } finally {
      room.end();
    }
  }

  return { reserve, write, stageBytes, stageCopy };
}
