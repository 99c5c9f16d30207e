/**
 * What is received leaves room on the disk for everything else that works there: a record of a few hundred bytes may stand for files
 * of any size, and any number of them. Of that room small files may take most: they are what people work on, and a disk that is
 * almost full stops no save. What does not fit is not fetched: it is pending, shown, and tried again like on a full disk (D1).
 */
import { type RelPath, sizeText } from '@driftless/protocol';
import { type Folder, FolderError, type StagingSpace } from '../ports/folder.ts';
import { largeContentBytesMin } from './content-types.ts';

/** A gibibyte, on a small disk a twentieth of it: what a system needs to go on working. */
const keptBytesMax = 1024 ** 3;
const keptShare = 1 / 20;
/** Of that, what small files leave as well: 64 MiB. */
const keptFromSmallShare = 1 / 16;
/** After so many bytes of one file the disk is asked again. */
const askAgainBytes = 64 * 1024 ** 2;

/** Room for one file, counted until its bytes are written or it ends. */
export interface Reservation {
  /** Before more is written: in the hours that a large file takes others fill the disk too. Errors: NoRoom. */
  check(): Promise<void>;
  /** So many bytes that lay there are cut off: they are free, and written once more. */
  cut(bytes: number): void;
  /** So many more bytes are on the disk, and no longer free there. */
  wrote(bytes: number): void;
  /** What was not written is not needed. */
  end(): void;
}

/** A problem of the path: it does not fit on this disk by so many bytes. */
export class NoRoom extends FolderError {
  readonly device: bigint;
  readonly missingBytes: number;
  constructor(reason: string, { device, missingBytes }: { readonly device: bigint; readonly missingBytes: number }) {
    super({ kind: 'problem', code: 'almost-full', reason, diskFull: true });
    this.device = device;
    this.missingBytes = missingBytes;
  }
}

export interface FreeSpace {
  /**
   * For so many bytes, which are the whole file or what is still missing of one of `fileBytes`: one of which nothing is missing has
   * its room. Errors: NoRoom.
   */
  reserve(path: RelPath, bytes: number, fileBytes?: number): Promise<Reservation>;
}

/** By device: reserved, and not written yet. One for all folders of a process, since they may lie on one disk. */
export type BytesUnderWay = Map<bigint, number>;

/** null: the disk does not tell, and says itself when it is full. */
export async function spaceNear(folder: Pick<Folder, 'space'>, path: RelPath): Promise<StagingSpace | null> {
  try {
    return await folder.space(path);
  } catch (error) {
    if (!(error instanceof FolderError)) throw error;
    return null;
  }
}

export function createFreeSpace({
  folder,
  underWay,
}: {
  readonly folder: Pick<Folder, 'space'>;
  readonly underWay: BytesUnderWay;
}): FreeSpace {
  const underWayOn = (device: bigint): number => underWay.get(device) ?? 0;

  /** Asked anew for each file: others fill the disk too. */
  async function spaceFor(path: RelPath): Promise<StagingSpace | null> {
    const space = await spaceNear(folder, path);
    // Some disks answer, and know nothing.
    return space?.totalBytes === 0 ? null : space;
  }

  return {
    reserve: async (path, bytes, fileBytes = bytes) => {
      const space = await spaceFor(path);
      // From here on without a pause: several ask at once, and none may count that is refused, or be overlooked that is not.
      if (space === null) return { check: async () => {}, cut: () => {}, wrote: () => {}, end: () => {} };
      const { device, freeBytes } = space;
      const kept = keptBytes(space, fileBytes);
      const missingBytes = bytes - (freeBytes - underWayOn(device) - kept);
      const isThere = bytes === 0 && fileBytes > 0;
      if (missingBytes > 0 && !isThere) {
        const reason = refusal({
          path,
          bytes,
          fileBytes,
          freeBytes,
          underWayBytes: underWayOn(device),
          keptBytes: kept,
        });
        throw new NoRoom(reason, { device, missingBytes });
      }
      let left = 0;
      let notAskedBytes = 0;
      const count = (more: number): void => {
        left += more;
        underWay.set(device, underWayOn(device) + more);
      };
      count(bytes);
      return {
        check: async () => {
          if (notAskedBytes < askAgainBytes) return;
          notAskedBytes = 0;
          const now = await spaceFor(path);
          const lackingBytes = now === null ? 0 : kept - now.freeBytes;
          if (now === null || lackingBytes <= 0) return;
          const of = { path, bytes: left, fileBytes, freeBytes: now.freeBytes, underWayBytes: 0, keptBytes: kept };
          throw new NoRoom(refusal(of), { device, missingBytes: lackingBytes + left });
        },
        cut: count,
        wrote: (written) => {
          notAskedBytes += written;
          count(-Math.min(written, left));
        },
        end: () => count(-left),
      };
    },
  };
}

function keptBytes({ totalBytes }: StagingSpace, fileBytes: number): number {
  const kept = Math.min(keptBytesMax, totalBytes * keptShare);
  return fileBytes > largeContentBytesMin ? kept : kept * keptFromSmallShare;
}

function refusal(of: {
  readonly path: RelPath;
  readonly bytes: number;
  readonly fileBytes: number;
  readonly freeBytes: number;
  readonly underWayBytes: number;
  readonly keptBytes: number;
}): string {
  const missing =
    of.bytes < of.fileBytes ? `${sizeText(of.bytes)} of ${sizeText(of.fileBytes)} missing` : sizeText(of.bytes);
  const taken = of.underWayBytes === 0 ? '' : ` (${sizeText(of.underWayBytes)} of it for files on their way)`;
  return (
    `Cannot receive "${of.path}" (${missing}): its disk has ${sizeText(of.freeBytes)} free${taken}, ` +
    `and Driftless leaves ${sizeText(of.keptBytes)} free.`
  );
}
