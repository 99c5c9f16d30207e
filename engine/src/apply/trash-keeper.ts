/**
 * Looks after what was moved aside (rule DISK4, F25). For 30 s at least an old inode may still be written through a handle that
 * was open when it was replaced or deleted; before it is let go its bytes are read once more, and what was written comes back as
 * a file of its own. It comes back as the same inode, so that what the program writes from then on is in that file too.
 * Bytes that were in a record when they were moved, or that a file of the room holds by then, go, unless the system tells that a
 * program still has them open for writing: then they stay for as long as it does, at most a day. All others stay, for 30 days or
 * until 1 GiB, and never vanish without a word.
 *
 * Works beside the loop, because a large file may have to be read. Everything is noted before or after the fact, so that
 * another sweep, also of a later run, goes on from wherever this one ended.
 */
import { bytesToHex, type Digest, type RelPath } from '@driftless/protocol';
import { isOfOnePath, problemOf } from '../content/or-fail.ts';
import { conflictName } from '../core/conflict-name.ts';
import { fingerprintOf, isRacy } from '../core/fingerprint.ts';
import type { PeerContext } from '../peer-context.ts';
import { FolderError, type Stat } from '../ports/folder.ts';
import type { TrashRow } from '../ports/state-store.ts';
import { isInRoom } from './recorded.ts';

const handleGraceMs = 30_000;
/** What a program keeps open for longer is let go, and that is said. */
const openMsMax = 24 * 60 * 60 * 1000;
const openItemsMax = 1_000;
/** Asking who has what open costs no more than half a thousandth of the time: what may go waits for it. */
const lookRestPerWork = 2_000;
const lookEveryMsMax = 5 * 60_000;
const keepMs = 30 * 24 * 60 * 60 * 1000;
const bytesMax = 1024 * 1024 * 1024;

interface InTrash {
  readonly item: TrashRow;
  /** From before its bytes were read. */
  readonly stat: Stat;
  /** Its bytes are in no record, and go because of this. */
  readonly bound: string | null;
}

export interface TrashKeeper {
  /** Lets go of what may go; returns the delay until the next item is due, or null. */
  sweep(): Promise<number | null>;
}

export function createTrashKeeper(context: PeerContext): TrashKeeper {
  const { parts } = context;
  const { folder, store, clock, hashing } = parts;
  const startMonotonicMs = clock.monotonicMs();
  /** By the monotonic clock: when this run first saw an item. */
  const seenMs = new Map<string, number>();
  let nextLookMs = Number.NEGATIVE_INFINITY;
  /** Items of which it was said that they cannot be read, or cannot come back. */
  const told = new Set<string>();

  async function sweep(): Promise<number | null> {
    const rows = [...store.trash()].sort((a, b) => b.atMs - a.atMs);
    const startMs = clock.nowMs();
    const stats = await statsByName();
    noteUnknown(stats);
    let nextMs: number | null = null;
    const agesMs = context.steadyTime.nowMs();
    let keptBytes = 0;
    const mayGo: InTrash[] = [];
    // Newest first, so that the byte bound lets the oldest go.
    for (const item of rows) {
      const stat = stats.get(item.name);
      // Somebody took it. If it lay beside its target, the pointer to it is still there.
      if (stat === undefined) await trying(item, () => discard(item.name));
      // On a disk that is away (null): it waits for it.
      if (stat == null) continue;
      const waitMs = handleGraceMs - ageMs(item);
      if (waitMs > 0) {
        nextMs = Math.min(nextMs ?? Number.POSITIVE_INFINITY, waitMs);
        continue;
      }
      if ((await trying(item, () => isAsNoted(item, stat, startMs))) !== true) continue;
      const isRecorded = item.inRecord || (item.digest !== null && isInRoom(store, item.digest));
      if (!isRecorded) keptBytes += stat.size;
      const bound = isRecorded ? null : boundOf(item, keptBytes, agesMs);
      if (isRecorded || bound !== null) mayGo.push({ item, stat, bound });
      await context.pause();
    }
    await letGo(mayGo, startMs, agesMs);
    return nextMs;
  }

  const statsByName = async (): Promise<ReadonlyMap<string, Stat | null>> =>
    new Map((await folder.trashItems()).map(({ name, stat }) => [name, stat]));

  /** What fails for one item is said once, and hinders no other: it stays, and the next sweep tries again. null: it failed. */
  async function trying<Answer>(item: TrashRow, work: () => Promise<Answer>): Promise<Answer | null> {
    try {
      return await work();
    } catch (error) {
      if (!isOfOnePath(error)) throw error;
      noteOnce(item, `its ${wordOf(item)} version stays in the trash: ${problemOf(error).reason}`);
      return null;
    }
  }

  /** Nothing was written into these so far; a program that still can may do so later. */
  async function letGo(items: readonly InTrash[], startMs: number, agesMs: number): Promise<void> {
    if (items.length === 0) return;
    const files = items.filter(({ stat }) => stat.kind === 'file').map(({ item }) => item.name);
    const beginMs = clock.monotonicMs();
    if (files.length > 0 && beginMs < nextLookMs) return;
    const held = await folder.trashHeldOpen(files);
    if (files.length > 0)
      nextLookMs = beginMs + Math.min(lookEveryMsMax, (clock.monotonicMs() - beginMs) * lookRestPerWork);
    // What was written since it was read, by a program that has closed it by now, shows in stamps that are taken after that question.
    // RACE: a program that the system does not tell of writes after them. Then that is lost.
    const stats = await statsByName();
    let kept = 0;
    for (const { item, stat, bound } of items) {
      const fingerprint = fingerprintOf(stat);
      const isOpen = held.has(item.name);
      if (isOpen && agesMs - item.atMs <= openMsMax && kept < openItemsMax) {
        kept++;
        if (item.fingerprint !== fingerprint && !isRacy(stat, startMs)) store.putTrash({ ...item, fingerprint });
        continue;
      }
      const now = stats.get(item.name);
      if (now == null || fingerprintOf(now) !== fingerprint || isRacy(stat, startMs)) continue;
      if (isOpen)
        note(
          item.path,
          `a program has kept its ${wordOf(item)} version open for long; what it writes into it from now on is lost: let it open the file again`,
        );
      if (bound !== null)
        note(item.path, `a replaced version that was in no record is dropped from the trash after ${bound}`);
      await trying(item, () => discard(item.name));
      await context.pause();
    }
  }

  /** Of an item of this run since it was noted; of an earlier one since this run saw it. */
  function ageMs({ name, atMs }: TrashRow): number {
    const monotonicMs = clock.monotonicMs();
    const firstMs = seenMs.get(name) ?? monotonicMs;
    seenMs.set(name, firstMs);
    const steadyMs = context.steadyTime.nowMs();
    const startMs = steadyMs - (monotonicMs - startMonotonicMs);
    return atMs >= startMs ? steadyMs - atMs : monotonicMs - firstMs;
  }

  /** False: it was written after it was moved aside, and is dealt with, or cannot be read now. */
  async function isAsNoted(item: TrashRow, stat: Stat, startMs: number): Promise<boolean> {
    // No journal knows what it should hold; a file that was in the way is somebody's, whatever it holds.
    if (item.digest === null && !(item.reason === 'displaced' && stat.kind === 'file')) return true;
    // Nothing of ours touches it here, so that all stamps count. None are noted before it was read once (see the journal).
    const fingerprint = fingerprintOf(stat);
    if (item.fingerprint === fingerprint) return true;
    const digest = await digestOf(item.name);
    if (digest === null) return false;
    if (digest === item.digest) {
      // Stamps that a later write could bear as well would hide it.
      if (!item.inRecord && !isRacy(stat, startMs)) store.putTrash({ ...item, fingerprint });
      return true;
    }
    await bringBack(item, stat, digest);
    return false;
  }

  /** null: it is gone, or is written at this moment: the next sweep looks again. Errors: FolderError. */
  async function digestOf(name: string): Promise<Digest | null> {
    const handle = await folder.openTrash(name);
    if ('kind' in handle) {
      if (handle.kind === 'problem') throw new FolderError(handle);
      return null;
    }
    try {
      const before = fingerprintOf(await handle.stat());
      const hash = hashing.createSha256();
      for (;;) {
        const bytes = await handle.read(256 * 1024);
        if (bytes.length === 0) break;
        hash.update(bytes);
        await context.pause();
        context.signal.throwIfAborted();
      }
      return fingerprintOf(await handle.stat()) === before ? (bytesToHex(hash.digest()) as Digest) : null;
    } finally {
      await handle.close();
    }
  }

  /** Somebody wrote into the old inode after it was replaced: what was written is shown beside the new file. */
  async function bringBack(item: TrashRow, stat: Stat, digest: Digest): Promise<void> {
    const local = store.row(item.path)?.local;
    // What is there now needs no second file. But its program may go on writing: this is what it holds from now on.
    if (local?.kind === 'file' && local.digest === digest) {
      store.putTrash({ ...item, digest, inRecord: false });
      return;
    }
    // Emptied, and perhaps about to be filled: given its time again.
    if (stat.size === 0) {
      seenMs.delete(item.name);
      store.putTrash({ ...item, digest, atMs: context.steadyTime.nowMs() });
      return;
    }
    const path = (await comesBackAlready(item, stat)) ?? freeName(item.path, digest);
    // Noted first: a run that ends in the middle must not give it two names.
    store.putTrash({ ...item, comesBackAs: path });
    const outcome = await folder.restoreTrash({ name: item.name, path, like: item.path });
    const isThere =
      outcome.kind === 'changed' && (await comesBackAlready({ ...item, comesBackAs: path }, stat)) === path;
    if (outcome.kind !== 'done' && !isThere) {
      if (outcome.kind === 'problem')
        noteOnce(
          item,
          `a program wrote into its ${wordOf(item)} version, which cannot be brought back: ${outcome.reason}`,
        );
      return;
    }
    note(item.path, `a program wrote into its ${wordOf(item)} version; what it wrote is kept as ${path}`);
    context.markDirty(path, false);
    await discard(item.name);
  }

  /** The name that a sweep before gave it, if it has it. */
  async function comesBackAlready({ comesBackAs }: TrashRow, { inode, device }: Stat): Promise<RelPath | null> {
    if (comesBackAs === undefined) return null;
    const stat = await folder.stat(comesBackAs);
    const has = stat !== null && stat.kind !== 'problem' && stat.inode === inode && stat.device === device;
    return has ? comesBackAs : null;
  }

  const freeName = (path: RelPath, digest: Digest): RelPath =>
    conflictName({
      path,
      peerName: parts.deviceName,
      timeMs: clock.nowMs(),
      digest,
      taken: (candidate) => store.row(candidate)?.local != null || store.manifest.slot(candidate) !== null,
      traits: folder.traits,
      sha256: hashing.sha256,
    });

  const wordOf = ({ reason }: TrashRow): string => (reason === 'deleted' ? 'deleted' : 'replaced');
  const note = (path: RelPath, text: string): void => parts.onEvent({ event: 'note', path, note: text });

  function noteOnce({ name, path }: TrashRow, text: string): void {
    if (told.has(name)) return;
    told.add(name);
    note(path, text);
  }

  /** What bytes that are in no record are let go for; null: they stay. */
  function boundOf({ atMs }: TrashRow, keptBytes: number, agesMs: number): string | null {
    if (agesMs - atMs > keepMs) return '30 days';
    return keptBytes > bytesMax ? '1 GiB' : null;
  }

  async function discard(name: string): Promise<void> {
    await folder.discardTrash(name);
    forget(name);
  }

  function forget(name: string): void {
    store.deleteTrash(name);
    seenMs.delete(name);
    told.delete(name);
  }

  /** A power cut between moving aside and noting it leaves items that nobody knows: they are kept as being in no record. */
  function noteUnknown(stats: ReadonlyMap<string, Stat | null>): void {
    // Whatever the loop moved aside by now is in one journal or the other.
    const known = new Set(store.trash().map(({ name }) => name));
    for (const { asideName } of store.intents()) known.add(asideName);
    for (const [name, stat] of stats)
      if (stat !== null && !known.has(name))
        store.putTrash({
          name,
          path: '' as RelPath,
          digest: null,
          fingerprint: fingerprintOf(stat),
          inRecord: false,
          reason: 'found',
          atMs: context.steadyTime.nowMs(),
        });
  }

  return { sweep };
}
