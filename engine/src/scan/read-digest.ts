/**
 * Reads a file for its digest (F21): what comes out is what one look at the stamps before, and one after under the name
 * itself, agree on. Anything else is `changed`, and nothing may be recorded of it.
 */
import { bytesToHex, type Digest, type RelPath } from '@driftless/protocol';
import { fingerprintOf } from '../core/fingerprint.ts';
import type { Folder, PathProblem, ReadHandle, Stat } from '../ports/folder.ts';
import type { Hashing } from '../ports/hashing.ts';

export interface ReadDigest {
  readonly kind: 'read';
  readonly stat: Stat;
  readonly digest: Digest;
  /** By the wall clock: stamps younger than this prove nothing. */
  readonly beganMs: number;
}
export type ReadOutcome = ReadDigest | { readonly kind: 'changed' } | PathProblem;

export interface ReadDigestOptions {
  readonly folder: Folder;
  readonly hashing: Hashing;
  readonly nowMs: () => number;
  /** Called after each piece with its length; throws to stop. */
  readonly afterPiece: (bytes: number) => Promise<void>;
}

const pieceBytes = 256 * 1024;
/** A file that is being written to is given up soon, not when it has been read to its end. */
const piecesBetweenLooks = 64;
const changed = { kind: 'changed' } as const;

/** Errors: only those of `afterPiece`. */
export async function readDigest(path: RelPath, options: ReadDigestOptions): Promise<ReadOutcome> {
  const { folder, nowMs } = options;
  const beganMs = nowMs();
  const opened = await folder.openFile(path);
  if (!('read' in opened)) return opened.kind === 'problem' ? opened : changed;
  try {
    const read = await readWhole(opened, options);
    const after = read === undefined ? undefined : await folder.stat(path);
    if (read === undefined || after == null || after.kind !== 'file') return changed;
    return fingerprintOf(after) === fingerprintOf(read.stat) ? { kind: 'read', ...read, beganMs } : changed;
  } catch (error) {
    const problem = problemOfRead(error);
    if (problem === undefined) throw error;
    return problem;
  } finally {
    await opened.close();
  }
}

/** undefined: it changed meanwhile. */
async function readWhole(
  handle: ReadHandle,
  { hashing, afterPiece }: ReadDigestOptions,
): Promise<{ readonly stat: Stat; readonly digest: Digest } | undefined> {
  const stat = await handle.stat();
  const isAsBefore = async (): Promise<boolean> => fingerprintOf(await handle.stat()) === fingerprintOf(stat);
  const sha256 = hashing.createSha256();
  let length = 0;
  for (let piece = 1; ; piece += 1) {
    const bytes = await handle.read(pieceBytes);
    if (bytes.length === 0) break;
    sha256.update(bytes);
    length += bytes.length;
    if (length > stat.size || (piece % piecesBetweenLooks === 0 && !(await isAsBefore()))) return undefined;
    await afterPiece(bytes.length);
  }
  if (length !== stat.size || !(await isAsBefore())) return undefined;
  return { stat, digest: bytesToHex(sha256.digest()) as Digest };
}

/** An error of the disk while reading is a problem of that path; anything else is not ours to hide. */
function problemOfRead(error: unknown): PathProblem | undefined {
  if (!(error instanceof Error) || !('problem' in error)) return undefined;
  return error.problem as PathProblem;
}
