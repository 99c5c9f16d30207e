/** Writes a staged file whose size and digest must come out as the room says (rule DISK1). */
import { bytesToHex, type RelPath } from '@driftless/protocol';
import { FolderError } from '../ports/folder.ts';
import { ContentDamaged, type ContentsParts, type StagedContent, type StageRequest } from './content-types.ts';

export type StagedFileWriter = ReturnType<typeof createStagedFileWriter>;

export function createStagedFileWriter({ folder, hashing, random }: ContentsParts) {
  const stagedName = (prefix: string): string => `${prefix}${bytesToHex(random.bytes(8))}`;

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
      await writer.commit({ flush });
    } catch (error) {
      // A large download that was cut keeps its part, which the next try reads its chunks from; on a full disk it makes room.
      if (prefix === '' || error instanceof ContentDamaged || error instanceof FolderError) await writer.abort();
      else await writer.commit({ flush: false }).catch(() => writer.abort());
      throw error;
    }
    onStaged({ path: request.path, stagedName: writer.name });
  }

  async function stageBytes(path: RelPath, bytes: Uint8Array): Promise<string> {
    const writer = await folder.stage({ name: stagedName(''), near: path });
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
