/**
 * What a declined deletion had taken before anybody was asked comes back: both sides have carried it out, so that nothing is agreed on
 * there any more, and it is a new file. The wishes are kept until the files are in their places; whatever is at a path again by then,
 * here or in the room, is its user's, and ends the wish.
 *
 * Leaves to others what is wished for (guards/unasked-deletions.ts, guards/declined-deletion.ts).
 */
import type { Digest, Entry, RelPath, Slot } from '@driftless/protocol';
import { largeContentBytesMin } from '../content/content-types.ts';
import { isRetryDue } from '../core/backoff.ts';
import { liveEntry } from '../core/entry-encoding.ts';
import type { WentUnasked } from '../core/holds.ts';
import { leafDigest } from '../core/leaf-digest.ts';
import type { Downloads } from '../downloads.ts';
import type { PeerContext } from '../peer-context.ts';
import type { StateStore } from '../ports/state-store.ts';
import { createPlace, hindranceAbove, isUnseen, type Placed } from './place.ts';

export interface BringBack {
  /** Puts in place what can be put there now. Returns whether anything changed. */
  resume(): Promise<boolean>;
  /** Files that are still to come, but for those of a disk that is away. */
  count(): number;
  /** What is to come back to a path. */
  wished(path: RelPath): Entry | null;
  /** A file with this content is to come back. */
  isWished(digest: Digest): boolean;
}

/** Setting: the wishes, as JSON. */
const wishesSetting = 'bring-back';
/** A turn is no longer than this takes. */
const filesPerTurn = 100;
const somethingElse = 'something else is in its place';

type Settings = Pick<StateStore, 'setting' | 'setSetting'>;

/** `height`: of the record that deleted it, or of the one that was the last when the answer was given; a later deletion is another one. */
interface Wish extends WentUnasked {
  readonly isItsDeletion: boolean;
}

const parsed = (text: string | undefined): readonly Wish[] => JSON.parse(text ?? '[]') as readonly Wish[];

function setWishes(store: Settings, wishes: readonly Wish[]): void {
  store.setSetting(wishesSetting, wishes.length === 0 ? null : JSON.stringify(wishes));
}

function wishesOf(text: string | undefined) {
  const wishes = parsed(text);
  const entries = new Map<string, Entry>(wishes.map(({ path, entry }) => [path, entry]));
  const digests = new Set(wishes.flatMap(({ entry }) => (entry.kind === 'file' ? [entry.content.digest] : [])));
  return { text, wishes, entries, digests };
}

export function wishBack(store: Settings & Pick<StateStore, 'row'>, went: readonly WentUnasked[]): void {
  const paths = new Set(went.map(({ path }) => path));
  const wishes = went.map((one): Wish => {
    if (one.height !== null) return { ...one, isItsDeletion: true };
    const remote = store.row(one.path as RelPath)?.remote;
    return { ...one, height: remote?.kind === 'tombstone' ? remote.height : null, isItsDeletion: false };
  });
  setWishes(store, [...parsed(store.setting(wishesSetting)).filter(({ path }) => !paths.has(path)), ...wishes]);
}

export function createBringBack(
  context: PeerContext,
  {
    isIgnored,
    isAway,
    mayTouch,
    downloads,
    givesWay,
  }: {
    /** By the rules in force, the directories above it too. */
    readonly isIgnored: (path: RelPath) => boolean;
    /** Its disk is away, or is not known to be the right one. */
    readonly isAway: (path: RelPath) => boolean;
    /** It has settled, and no editor has it open with unsaved edits. */
    readonly mayTouch: (path: RelPath) => boolean;
    /** Large contents are fetched beside the loop. */
    readonly downloads: Pick<Downloads, 'stagedFor' | 'used'>;
    /** Somebody waits for the turn: a save, or a command. */
    readonly givesWay: () => boolean;
  },
): BringBack {
  const { store, clock, onEvent } = context.parts;
  const place = createPlace(context);
  let known = wishesOf(undefined);
  let waiting = current().wishes.length;

  /** Asked for in each turn, for days while a disk is away: read anew only when it is another text. */
  function current(): ReturnType<typeof wishesOf> {
    const text = store.setting(wishesSetting);
    if (text !== known.text) known = wishesOf(text);
    return known;
  }

  async function resume(): Promise<boolean> {
    const { wishes } = current();
    const ended = new Set<Wish>();
    let tries = filesPerTurn;
    let away = 0;
    let isCutShort = false;
    for (const wish of wishes) {
      if (tries === 0) break;
      const outcome = await bringOne(wish);
      if (outcome === 'ended') ended.add(wish);
      if (outcome === 'away') away += 1;
      if (outcome !== 'failed' && outcome !== 'ended') continue;
      tries -= 1;
      isCutShort = givesWay();
      if (isCutShort) break;
    }
    const left = wishes.filter((wish) => !ended.has(wish));
    if (ended.size > 0) setWishes(store, left);
    waiting = left.length - away;
    return ended.size > 0 || isCutShort;
  }

  /** `waits` and `away`: nothing was tried. */
  async function bringOne(wish: Wish): Promise<'ended' | 'failed' | 'waits' | 'away'> {
    const path = wish.path as RelPath;
    const { entry } = wish;
    if (isAway(path)) return 'away';
    const row = store.row(path);
    if (row !== undefined && isUnseen(row)) return 'waits';
    if (isIgnored(path)) return ended(path, 'it is ignored by now');
    if (row !== undefined && row.outOfScope !== null) return ended(path, somethingElse);
    if (row !== undefined && (row.hold !== null || row.local !== null)) return 'ended';
    // Its deletion is not known to both sides yet, or came back: the next turn shows which.
    if (row?.base != null || !mayTouch(path)) return 'waits';
    if (row !== undefined && liveEntry(row.remote) !== null) return 'ended';
    if (row !== undefined && isAnother(row.remote, wish))
      return ended(path, 'something else was made there since, and deleted');
    const { problem } = row ?? {};
    if (problem != null && !isRetryDue(problem, clock.nowMs())) return 'waits';
    const hindrance = hindranceAbove(store, path);
    if (hindrance?.kind === 'blocked') return ended(path, somethingElse);
    if (hindrance !== null) {
      context.fail(path, hindrance.reason);
      return 'failed';
    }
    const placement = { held: path, path, entry, before: null, base: null };
    let placed: Placed;
    if (entry.kind === 'file' && entry.content.size > largeContentBytesMin) {
      const staged = downloads.stagedFor({ path, content: entry.content });
      if (staged === undefined) return 'waits';
      placed = await place({ ...placement, stagedName: staged.stagedName });
      downloads.used(path);
    } else placed = await place(placement);
    await context.pause();
    if (placed === 'failed') return 'failed';
    // An edit began meanwhile, and lies nowhere yet.
    if (placed === 'changed' && context.unsaved.has(path)) return 'waits';
    if (placed === 'changed') return ended(path, somethingElse);
    store.setProblem(path, null);
    onEvent({ event: 'applied', path });
    return 'ended';
  }

  /** The deletion that the room knows is a later one. */
  function isAnother(remote: Slot | null, { entry, height, isItsDeletion }: Wish): boolean {
    if (remote?.kind !== 'tombstone') return false;
    if (height !== null && remote.height > height) return true;
    // What it deleted may be an edit that never came here.
    if (isItsDeletion || remote.digest === null) return false;
    return remote.digest !== leafDigest(entry, context.parts.hashing.sha256);
  }

  function ended(path: RelPath, reason: string): 'ended' {
    store.setProblem(path, null);
    onEvent({ event: 'note', path, note: `its deletion was declined, and it was not brought back: ${reason}` });
    return 'ended';
  }

  return {
    resume,
    count: () => waiting,
    isWished: (digest) => current().digests.has(digest),
    wished: (path) => current().entries.get(path) ?? null,
  };
}
