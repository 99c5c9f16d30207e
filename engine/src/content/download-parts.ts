/**
 * What is left of a large download that was cut: one staged file a content, which the next try goes on with where it ends. It
 * holds a beginning of the content, verified chunk by chunk, and goes when the content is wanted no more, so that the stage
 * never holds more than the files that are to come, or when its room is needed for one that can come now (rule DISK1).
 */
import { bytesToHex, type ChunkId, type Content, type Digest } from '@driftless/protocol';
import { createChunker } from '../core/chunker.ts';
import { fingerprintOf } from '../core/fingerprint.ts';
import type { Fingerprint } from '../core/local-entry.ts';
import { FolderError, type Stat } from '../ports/folder.ts';
import type { Sha256Stream } from '../ports/hashing.ts';
import { type ContentsParts, readBytes, type StageRequest } from './content-types.ts';
import type { NoRoom } from './free-space.ts';

/** Staged names of large contents begin so; the digest follows, and some digits that make the name unique. */
export const downloadPrefix = 'dl-';
const nameShape = /^dl-([0-9a-f]{64})-[0-9a-f]+$/;

export interface DownloadPart {
  readonly name: string;
  /** Leading chunks of the content that it holds; counted on while it is written. */
  chunks: number;
  bytes: number;
  /** Over exactly these bytes, to be gone on with. */
  readonly hash: Sha256Stream;
}
/** Cut in this run: known as it is, so that a link that is cut again and again does not have it read each time. */
interface KnownPart {
  readonly part: DownloadPart;
  readonly fingerprint: Fingerprint;
}
const knownPartsMax = 16;

export type DownloadParts = ReturnType<typeof createDownloadParts>;

export function createDownloadParts({ folder, store, cipher, hashing, random, pause, isWished }: ContentsParts) {
  /**
   * Whose they are: one writer's, from before they are made, or a place's, for which they wait whole. Two paths may need one content, and
   * with two writers the bytes of a file would not be those that either of them has verified. What a replace that was cut would place is
   * that one's for as long as it cannot be settled, over a restart too: without it the replace would be taken for done.
   */
  const written = new Set<string>();
  const whole = new Set<string>();
  const isTaken = (name: string): boolean =>
    written.has(name) || whole.has(name) || store.intents().some(({ stagedName }) => stagedName === name);

  /** They ask for room, or are under way: what is left of their contents is theirs. */
  const claims = new Set<StageRequest>();
  const known = new Map<Digest, KnownPart>();

  /**
   * Until it is disclaimed, what is left of this content makes room for nothing else. Returns the size of the longest file that `begin`
   * may go on with; what of it turns out to be of no use goes, and makes that much room.
   */
  async function claim(request: StageRequest): Promise<number> {
    const { digest } = request.content;
    claims.add(request);
    let longest = 0;
    for (const name of await folder.stagedNames())
      if (!isTaken(name) && nameShape.exec(name)?.[1] === digest)
        longest = Math.max(longest, (await statOfStaged(name))?.size ?? 0);
    return longest;
  }

  const isClaimed = (digest: Digest): boolean => [...claims].some(({ content }) => content.digest === digest);
  const isIdle = (name: string): boolean => {
    const digest = nameShape.exec(name)?.[1] as Digest | undefined;
    return digest !== undefined && !isTaken(name) && !isClaimed(digest);
  };

  /**
   * Gives up what nobody goes on with at the moment: the smallest that alone is enough, else the largest ones, which are the fewest;
   * nothing, and false, where all of it is not enough.
   */
  async function makeRoom({ device, missingBytes }: NoRoom): Promise<boolean> {
    const idle: { readonly name: string; readonly size: number }[] = [];
    for (const name of await folder.stagedNames()) {
      const stat = isIdle(name) ? await statOfStaged(name) : undefined;
      if (stat?.device === device) idle.push({ name, size: stat.size });
    }
    let left = missingBytes;
    if (idle.reduce((sum, { size }) => sum + size, 0) < left) return false;
    idle.sort((one, other) => other.size - one.size);
    const enough = idle.findLast(({ size }) => size >= missingBytes);
    for (const { name, size } of enough === undefined ? idle : [enough, ...idle]) {
      if (left <= 0) break;
      if (!isIdle(name)) continue;
      await folder.discardStaged(name);
      left -= size;
    }
    return left <= 0;
  }

  /** What is to be written: on with what lies there, or from the beginning (`bytes` is 0). */
  async function begin(content: Content, leaves: readonly ChunkId[]): Promise<DownloadPart> {
    const { digest } = content;
    const cut = known.get(digest);
    known.delete(digest);
    if (cut !== undefined && !isTaken(cut.part.name)) {
      // Before anything is waited for: whoever needs the same content finds it taken.
      written.add(cut.part.name);
      if ((await fingerprintOfStaged(cut.part.name)) === cut.fingerprint) return cut.part;
      written.delete(cut.part.name);
    }
    const found = await find(content, leaves);
    if (found !== null) return found;
    const name = `${downloadPrefix}${digest}-${bytesToHex(random.bytes(8))}`;
    written.add(name);
    return { name, chunks: 0, bytes: 0, hash: hashing.createSha256() };
  }

  /** It is what the room says, and waits for its place. */
  function finish({ name }: DownloadPart): void {
    written.delete(name);
    whole.add(name);
  }

  /** It was cut: the next try may go on with it. */
  async function release({ digest }: Content, part: DownloadPart): Promise<void> {
    const fingerprint = await fingerprintOfStaged(part.name);
    // At once from here on: what is known is nobody's.
    written.delete(part.name);
    if (fingerprint === undefined || part.bytes === 0 || known.size >= knownPartsMax) return;
    known.set(digest, { part, fingerprint });
  }

  async function fingerprintOfStaged(name: string): Promise<Fingerprint | undefined> {
    const stat = await statOfStaged(name);
    return stat === undefined ? undefined : fingerprintOf(stat);
  }

  async function statOfStaged(name: string): Promise<Stat | undefined> {
    const handle = await folder.openStaged(name);
    if ('kind' in handle) return undefined;
    try {
      return await handle.stat();
    } finally {
      await handle.close();
    }
  }

  /** The longest beginning that lies staged; null when there is none. Shorter ones go. */
  async function find(content: Content, leaves: readonly ChunkId[]): Promise<DownloadPart | null> {
    const waited = [...whole];
    const names = await folder.stagedNames();
    // In its place, or dropped. One that is written may not be there yet.
    for (const name of waited) if (!names.includes(name)) whole.delete(name);
    let best: DownloadPart | null = null;
    for (const name of names) {
      if (isTaken(name) || nameShape.exec(name)?.[1] !== content.digest) continue;
      written.add(name);
      const part = await read(name, leaves);
      const worse = part === null || (best !== null && part.bytes <= best.bytes) ? name : best?.name;
      if (part !== null && worse !== name) best = part;
      if (worse === undefined) continue;
      await folder.discardStaged(worse);
      written.delete(worse);
    }
    return best;
  }

  /** null: it holds nothing of use, or cannot be read. */
  async function read(name: string, leaves: readonly ChunkId[]): Promise<DownloadPart | null> {
    const handle = await folder.openStaged(name);
    if ('kind' in handle) return null;
    const hash = hashing.createSha256();
    const cutter = createChunker(cipher.gearTable);
    let chunks = 0;
    let bytes = 0;
    /** False at the first chunk that is not the content's: from there on the part is of no use. */
    const take = (pieces: Iterable<Uint8Array>): boolean => {
      for (const piece of pieces) {
        if (cipher.chunkId(piece) !== leaves[chunks]) return false;
        hash.update(piece);
        chunks += 1;
        bytes += piece.length;
      }
      return true;
    };
    try {
      for (;;) {
        const next = await handle.read(readBytes);
        if (next.length === 0) {
          const last = cutter.finish();
          if (last !== null) take([last]);
          break;
        }
        if (!take(cutter.push(next))) break;
        await pause();
      }
    } catch (error) {
      if (error instanceof FolderError) return null;
      throw error;
    } finally {
      await handle.close();
    }
    return chunks === 0 ? null : { name, chunks, bytes, hash };
  }

  /** Somebody is about to go on with it, or no file here holds what the room has, an open conflict keeps, or is to come back. */
  const isWanted = (digest: Digest): boolean =>
    isClaimed(digest) ||
    (store.localFilesByDigest(digest, 1).length === 0 &&
      (store.contentByDigest(digest) !== undefined || isWished(digest) || isOfConflict(digest)));

  const isOfConflict = (digest: Digest): boolean =>
    [...store.manifest.variantsBetween(null, null)].some(
      ({ entry }) => entry.kind === 'file' && entry.content.digest === digest,
    );

  async function discardUnwanted(): Promise<void> {
    for (const name of await folder.stagedNames()) {
      if (!name.startsWith(downloadPrefix) || isTaken(name)) continue;
      const digest = nameShape.exec(name)?.[1] as Digest | undefined;
      if (digest === undefined || !isWanted(digest)) await folder.discardStaged(name);
    }
  }

  return {
    claim,
    disclaim: (request: StageRequest): void => void claims.delete(request),
    makeRoom,
    begin,
    finish,
    release,
    discardUnwanted,
  };
}
