/** Writes a staged file whose size and digest must come out as the room says (rule DISK1). */
import { bytesToHex, type RelPath } from '@driftless/protocol';
import { FolderError } from '../ports/folder.ts';
import { ContentDamaged, type ContentsParts, type StagedContent, type StageRequest } from './content-types.ts';
import type { DownloadPart } from './download-parts.ts';

export interface WriteOptions {
  readonly flush: boolean;
  /** A large content: it keeps what was written when it is cut, and goes on with what was `found`. */
  readonly part?: { readonly name: string; readonly found: DownloadPart | null };
}

export type StagedFileWriter = ReturnType<typeof createStagedFileWriter>;

export function createStagedFileWriter({ folder, hashing, random }: ContentsParts) {
  const newName = (): string => bytesToHex(random.bytes(8));

  async function write(
    request: StageRequest,
    { flush, part }: WriteOptions,
    fill: (put: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
    onStaged: (staged: StagedContent) => void,
  ): Promise<void> {
    const found = part?.found ?? null;
    const writer = await folder.stage({
      name: part?.name ?? newName(),
      near: request.path,
      ...(found === null ? {} : { continueAt: found.bytes }),
    });
    const hash = found?.hash ?? hashing.createSha256();
    let size = found?.bytes ?? 0;
    try {
      await fill(async (bytes) => {
        hash.update(bytes);
        size += bytes.length;
        await writer.write(bytes);
      });
      if (size !== request.content.size || bytesToHex(hash.digest()) !== request.content.digest)
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

  return { write, stageBytes };
}
