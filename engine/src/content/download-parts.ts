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
import { type NoRoom, spaceNear } from './free-space.ts';

/** Staged names of large contents: the digest, and some digits that make the name unique. */
const nameShape = /^dl-([0-9a-f]{64})-[0-9a-f]+$/;
export const isDownloadPart = (name: string): boolean => nameShape.test(name);
/** So often in a row it may fail to be read, for want of open files perhaps, or because another program holds it. Then it is given up. */
const failedReadsMax = 3;

/** The staged file of one who writes a content, from before it is made: nobody else's until it is finished or released. */
export interface Claim {
  readonly content: Content;
  readonly name: string;
  /** It lies there already; not all of its bytes need be of use. */
  readonly isThere: boolean;
  /** What it holds of the content at most. */
  readonly bytes: number;
}
export interface DownloadPart {
  readonly name: string;
  readonly isThere: boolean;
  /** Leading chunks of the content that it holds; counted on while it is written. */
  chunks: number;
  /** What lies behind them is cut off. */
  bytes: number;
  /** Over exactly these bytes, to be gone on with. */
  readonly hash: Sha256Stream;
}
/** Cut in this run: known as it is, so that a link that is cut again and again does not have it read each time. */
interface KnownPart {
  readonly part: DownloadPart;
  readonly fingerprint: Fingerprint;
}
interface Named {
  readonly name: string;
  readonly digest: Digest;
}
interface Idle extends Named {
  readonly stat: Stat;
}

export type DownloadParts = ReturnType<typeof createDownloadParts>;

export function createDownloadParts({ folder, store, cipher, hashing, random, pause, isWished }: ContentsParts) {
  /**
   * Whose they are: one writer's, or a place's, for which they wait whole. Two paths may need one content, and with two writers the
   * bytes of a file would not be those that either of them has verified.
   */
  const written = new Set<string>();
  const whole = new Set<string>();
  const isOwned = (name: string): boolean => written.has(name) || whole.has(name);
  const known = new Map<string, KnownPart>();
  const failedReads = new Map<string, number>();
  /** There may be some of nobody: looked for once more. */
  let mayBeIdle = true;

  /**
   * What a replace that was cut would place is that one's for as long as it cannot be settled, over a restart too: without it the
   * replace would be taken for done.
   */
  const intended = (): ReadonlySet<string | null> => new Set(store.intents().map(({ stagedName }) => stagedName));

  /** Those of nobody. Whoever goes on to one of them looks at `isOwned` once more: it may have been taken meanwhile. */
  async function idleNames(): Promise<readonly Named[]> {
    // One that is written may not be there yet.
    const seen = [...whole, ...known.keys(), ...failedReads.keys()];
    const names = await folder.stagedNames();
    for (const name of seen) {
      if (names.includes(name)) continue;
      for (const gone of [whole, known, failedReads]) gone.delete(name);
    }
    const idle = names.flatMap((name): Named[] => {
      const digest = nameShape.exec(name)?.[1] as Digest | undefined;
      return digest === undefined || isOwned(name) ? [] : [{ name, digest }];
    });
    mayBeIdle = idle.length > 0;
    if (!mayBeIdle) return [];
    const others = intended();
    return idle.filter(({ name }) => !others.has(name));
  }

  async function idleParts(digest?: Digest): Promise<readonly Idle[]> {
    const idle: Idle[] = [];
    for (const named of await idleNames()) {
      if (digest !== undefined && named.digest !== digest) continue;
      const stat = await statOf(named.name);
      if (stat === undefined || isOwned(named.name)) continue;
      // A power cut left it as a second name of a file in the folder: whoever wrote on would write into that file.
      if (stat.links > 1) await folder.discardStaged(named.name);
      else idle.push({ ...named, stat });
    }
    return idle;
  }

  /** undefined: it is not there, or cannot be seen at the moment. */
  async function statOf(name: string): Promise<Stat | undefined> {
    const stat = await folder.statStaged(name);
    return stat?.kind === 'file' ? stat : undefined;
  }

  /** The longest that nobody has, on the disk on which the file is staged: room is asked for there, and nowhere else. */
  async function claim({ path, content }: StageRequest): Promise<Claim> {
    const device = (await spaceNear(folder, path))?.device;
    let longest: Idle | undefined;
    for (const part of await idleParts(content.digest)) {
      if (isOwned(part.name) || (device !== undefined && part.stat.device !== device)) continue;
      if (longest === undefined || part.stat.size > longest.stat.size) longest = part;
    }
    const name = longest?.name ?? `dl-${content.digest}-${bytesToHex(random.bytes(8))}`;
    written.add(name);
    const bytes = Math.min(longest?.stat.size ?? 0, content.size);
    return { content, name, isThere: longest !== undefined, bytes };
  }

  /**
   * Gives up what nobody goes on with at the moment: the smallest that alone is enough, else the largest, and the same for what is
   * missing then; nothing, and false, where all of it is not enough.
   */
  async function makeRoom({ device, missingBytes }: Pick<NoRoom, 'device' | 'missingBytes'>): Promise<boolean> {
    const idle = (await idleParts()).filter(({ stat }) => stat.device === device);
    idle.sort((one, other) => one.stat.size - other.stat.size);
    let left = missingBytes;
    if (idle.reduce((sum, { stat }) => sum + stat.size, 0) < left) return false;
    while (left > 0) {
      const part = idle.find(({ stat }) => stat.size >= left) ?? idle.at(-1);
      if (part === undefined) return false;
      idle.splice(idle.indexOf(part), 1);
      if (isOwned(part.name)) continue;
      await folder.discardStaged(part.name);
      left -= part.stat.size;
    }
    return true;
  }

  /** What is to be written: on with what lies there, or from the beginning (`bytes` is 0). Errors: FolderError. */
  async function begin({ name, isThere }: Claim, leaves: readonly ChunkId[]): Promise<DownloadPart> {
    const cut = known.get(name);
    known.delete(name);
    if (cut !== undefined && cut.fingerprint === (await fingerprintOfStaged(name))) return cut.part;
    const found = isThere ? await readOrGiveUp(name, leaves) : null;
    return found ?? { name, isThere: false, chunks: 0, bytes: 0, hash: hashing.createSha256() };
  }

  /** It is what the room says, and waits for its place. */
  function finish({ name }: Claim): void {
    written.delete(name);
    whole.add(name);
  }

  /** It was cut, before it was begun or after: the next try may go on with it. */
  async function release({ content, name }: Claim, part: DownloadPart | undefined): Promise<void> {
    try {
      const stat = await statOf(name);
      // The hash of one that is all there has ended. And its user may have moved it to another disk: a copy, of what it held then.
      if (stat === undefined || part === undefined || part.bytes === content.size || stat.size !== part.bytes) return;
      known.set(name, { part: { ...part, isThere: true }, fingerprint: fingerprintOf(stat) });
    } finally {
      written.delete(name);
      mayBeIdle = true;
    }
  }

  /** Whoever waited for it whole needs it no more. If it cannot be removed now, it is a part like any other. */
  async function drop(name: string): Promise<void> {
    whole.delete(name);
    mayBeIdle = true;
    if (!intended().has(name)) await folder.discardStaged(name);
  }

  async function fingerprintOfStaged(name: string): Promise<Fingerprint | undefined> {
    const stat = await statOf(name);
    return stat === undefined ? undefined : fingerprintOf(stat);
  }

  async function readOrGiveUp(name: string, leaves: readonly ChunkId[]): Promise<DownloadPart | null> {
    try {
      const part = await read(name, leaves);
      failedReads.delete(name);
      return part;
    } catch (error) {
      if (!(error instanceof FolderError)) throw error;
      const failed = (failedReads.get(name) ?? 0) + 1;
      failedReads.set(name, failed);
      if (failed >= failedReadsMax) await folder.discardStaged(name);
      throw error;
    }
  }

  /** null: it is gone. Errors: FolderError. */
  async function read(name: string, leaves: readonly ChunkId[]): Promise<DownloadPart | null> {
    const handle = await folder.openStaged(name);
    if (!('read' in handle)) {
      if (handle.kind === 'absent') return null;
      throw new FolderError(handle);
    }
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
    } finally {
      await handle.close();
    }
    return { name, isThere: true, chunks, bytes, hash };
  }

  /** No file here holds what the room has for a place here, an open conflict keeps, or is to come back. */
  const isWanted = (digest: Digest): boolean =>
    store.localFilesByDigest(digest, 1).length === 0 &&
    (store.contentByDigest(digest, { toReceive: true }) !== undefined || isWished(digest) || isOfConflict(digest));

  const isOfConflict = (digest: Digest): boolean =>
    [...store.manifest.variantsBetween(null, null)].some(
      ({ entry }) => entry.kind === 'file' && entry.content.digest === digest,
    );

  async function discardUnwanted(): Promise<void> {
    if (!mayBeIdle) return;
    for (const { name, digest } of await idleNames())
      if (!isOwned(name) && !isWanted(digest)) await folder.discardStaged(name);
  }

  return { claim, makeRoom, begin, finish, release, drop, discardUnwanted };
}
