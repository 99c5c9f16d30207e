/**
 * Reads files of the folder whose bytes must be exactly those that a scan saw: judged by the stamps before and after, and by
 * the digest. A file that is no longer so has moved on, and is scanned again (F21).
 */
import { bytesToHex, concatBytes, type RelPath } from '@driftless/protocol';
import { createChunker } from '../core/chunker.ts';
import { fingerprintOf } from '../core/fingerprint.ts';
import { FolderError, type PathProblem } from '../ports/folder.ts';
import { type ContentsParts, type LocalFile, type Moved, readBytes } from './content-types.ts';

export type VerifiedReader = ReturnType<typeof createVerifiedReader>;

export function createVerifiedReader({ folder, store, cipher, hashing, pause, onDistrusted }: ContentsParts) {
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

  /** Reads the file to its end and keeps nothing of it: null when it is exactly what `local` says. Errors: those of the signal. */
  async function check(path: RelPath, local: LocalFile, signal: AbortSignal): Promise<Moved | PathProblem | null> {
    return readVerified(path, local, async () => signal.throwIfAborted());
  }

  async function readVerified(
    path: RelPath,
    local: LocalFile,
    onBytes: (bytes: Uint8Array) => Promise<void>,
  ): Promise<Moved | PathProblem | null> {
    const handle = await folder.openFile(path);
    if ('kind' in handle) return handle.kind === 'absent' ? { kind: 'moved' } : handle;
    try {
      const asScanned = async (): Promise<boolean> => fingerprintOf(await handle.stat()) === local.fingerprint;
      if (!(await asScanned())) return { kind: 'moved' };
      const hash = hashing.createSha256();
      for (;;) {
        const bytes = await handle.read(readBytes);
        if (bytes.length === 0) break;
        hash.update(bytes);
        await onBytes(bytes);
        await pause();
      }
      if (!(await asScanned())) return { kind: 'moved' };
      if (bytesToHex(hash.digest()) === local.digest) return null;
      distrust(path, local);
      return { kind: 'moved' };
    } catch (error) {
      // A bad sector, or a stale handle of a network disk, concerns this path alone (D10, M9).
      if (error instanceof FolderError) return error.problem;
      throw error;
    } finally {
      await handle.close();
    }
  }

  /**
   * These stamps did not prove this content: they are believed no more, so that the next scan reads the file. Without it the
   * scan, which looks at stamps alone, and the reader, which finds other bytes, would send each other for ever.
   */
  function distrust(path: RelPath, local: LocalFile): void {
    const known = store.row(path)?.local;
    if (known?.kind !== 'file' || known.fingerprint !== local.fingerprint || known.digest !== local.digest) return;
    store.setLocal(path, { ...known, racy: true });
    onDistrusted(path);
  }

  return { readWhole, readChunks, check };
}
