/**
 * Disks that are mounted inside the folder (rule IG1). A directory is a boundary while its device differs from its parent's, or
 * the system lists it as a mount point (a bind mount has its parent's device);
 * only that it is one is remembered, never a number, which changes at boot. What lies below a boundary takes no part while the disk
 * is away: a directory that shows nothing then is no deletion, and nothing is written beneath the mount. A disk that comes
 * (back), to where files were known, is compared before anything follows from it: when most of them are missing or older, it
 * may be another disk or an old copy. Both are held, said, and end by themselves when the disk is as it was. A confirmation is
 * for the disk as it was then: whoever let go a disk that was gone has said nothing about one that is there.
 *
 * The scan asks what a directory is, the loop what may be done below it.
 */
import { comparePaths, type RelPath } from '@driftless/protocol';
import { liveEntry } from '../core/entry-encoding.ts';
import type { HoldDraft } from '../core/holds.ts';
import type { Row } from '../core/row.ts';
import { shellWord } from '../core/shell-word.ts';
import { ancestorsOf, isAtOrBelow, movedPath, nameOf, parentPath } from '../core/tree-paths.ts';
import type { Folder, Stat } from '../ports/folder.ts';
import type { StateStore } from '../ports/state-store.ts';
import type { Holds } from './holds.ts';

/**
 * `away`: nothing is mounted there any more. `returned`: it is, and what it holds has not been judged since; so begins every run,
 * since a disk may be another one after a boot. `over`: the same of a boundary that is met for the first time, where a disk may
 * have been mounted over files that were known: they are back, and nothing is held, when it goes.
 */
type BoundaryState = 'here' | HeldState;
type HeldState = 'away' | 'returned' | 'over';

/** Tells what is mounted from what is mounted later, for one run of a peer; a disk can change unseen while none runs. */
export type Disk = string;

/** What the scan asks and tells. */
export interface MountScan {
  /** Boundaries at or below a path. */
  within(path: RelPath): readonly RelPath[];
  /** The boundary that a path is, or lies below; the innermost. */
  around(path: RelPath): RelPath | undefined;
  /**
   * A scan begins, of all there is or a part: which mount points are new, over directories that are known? They are to be looked at
   * before what lies below.
   */
  begin(points: ReadonlySet<RelPath>, scope: 'all' | 'part'): readonly RelPath[];
  /** Whether this is what was there when the boundary was last looked at, in this run. */
  isKnown(boundary: RelPath, disk: Disk | null): boolean;
  /** What a directory turned out to be (null: no boundary): may it be looked into, and must all of it be? */
  see(path: RelPath, disk: Disk | null): 'look' | 'look-deep' | 'away';
  /** Nothing, or no directory, is at a boundary. */
  seeGone(path: RelPath): void;
  /**
   * Nothing is at a boundary. True: what was mounted there is mounted elsewhere in the folder, as the system lists it, because a
   * directory above was renamed: what was on it goes like anything else, for as long as it is there.
   */
  seeMovedAway(path: RelPath): Promise<boolean>;
  /** The row of a path is written. */
  seeChanged(path: RelPath): void;
}

export interface Mounts extends MountScan {
  /** A path has another name, and the trees follow: so do the disks below it, whatever is known or held of them. */
  moved(fromPath: RelPath, toPath: RelPath): void;
  /** Boundaries that are not any more what they were at the last scan: to be looked at again. A look at two names each. */
  changed(): Promise<readonly RelPath[]>;
  /** After a scan: what of it is to be held. Returns the paths that may be looked at again, as ordinary ones: somebody confirmed, or there is nothing to hold. */
  judge(): readonly RelPath[];
  /** Nothing may follow from what the disk shows here, nor be done to it. */
  isHeld(path: RelPath): boolean;
  /** The same, with a look at whether the disks above the path are mounted at this moment. */
  isOutOfReach(path: RelPath): Promise<boolean>;
}

/** Files that were agreed on below a boundary, but not below one inside it, and those of them that the disk lacks or has in an earlier form. */
interface Contents {
  readonly known: Set<RelPath>;
  readonly suspect: Set<RelPath>;
  /** Not looked at yet since it came: nothing is said of the others before. */
  readonly unseen: Set<RelPath>;
}

/** Setting: boundaries and their states. */
const boundariesSetting = 'mount-boundaries';
/** More are looked at by scans alone. */
const watchedMax = 64;

export function createMounts(parts: {
  readonly dir: string;
  readonly folder: Folder;
  readonly store: StateStore;
  readonly holds: Holds;
}): Mounts {
  const { dir, folder, store, holds } = parts;
  const boundaries = new Map<RelPath, BoundaryState>(
    JSON.parse(store.setting(boundariesSetting) ?? '[]') as [RelPath, BoundaryState][],
  );
  /** What is held of each, until it is another. */
  const drafts = new Map<RelPath, HoldDraft>();
  /** What those that came hold, counted once and kept up: a save costs no more for all that is held. */
  const contents = new Map<RelPath, Contents>();
  /** Rows below them that were written since. */
  const changedRows = new Set<RelPath>();
  /** What was mounted when it was last looked at whole, in this run. */
  const disks = new Map<RelPath, Disk>();
  /** What the scan under way looks at whole: known to it, and to all when it has come to its end. */
  const lookedAt = new Map<RelPath, Disk>();
  /**
   * Where a disk is whose directory was renamed in this run, by its old place, while something that was agreed on there has not gone
   * along. Stored as away: should the disk go first, or the run end, nobody knows any more that its files are not deleted.
   */
  const followed = new Map<RelPath, RelPath>();
  /** What a look at each found last, so that one look follows from it and no more. */
  const lastFound = new Map<RelPath, Disk | null>();
  /** As listed among the holds; null: what is listed there is from the run before. */
  let judged: ReadonlyMap<RelPath, HoldDraft> | null = null;

  function put(path: RelPath, state: BoundaryState | null): void {
    if (boundaries.get(path) === (state ?? undefined)) return;
    // What lies below it is judged with another one from here on.
    const outer = boundaries.has(path) && state !== null ? undefined : around(parentPath(path));
    if (outer !== undefined) forget(outer);
    if (state === null) boundaries.delete(path);
    else boundaries.set(path, state);
    forget(path);
    if (state === null || state === 'away') disks.delete(path);
    if (state !== null && state !== 'here') endConfirmedOf(path);
    followed.delete(path);
    const left = state === 'here' || state === 'over' ? [] : [...followed].filter(([, toPath]) => toPath === path);
    for (const [fromPath] of left) put(fromPath, 'away');
    save();
  }

  function save(): void {
    const away = [...followed.keys()].map((path): [RelPath, BoundaryState] => [path, 'away']);
    const all = [...boundaries, ...away];
    store.setSetting(boundariesSetting, all.length === 0 ? null : JSON.stringify(all));
  }

  function forget(path: RelPath): void {
    drafts.delete(path);
    contents.delete(path);
  }

  function begin(points: ReadonlySet<RelPath>, scope: 'all' | 'part'): readonly RelPath[] {
    lookedAt.clear();
    // Not scans alone write rows: state that was lost or taken back, a root that was let go. Those look at everything then.
    if (scope === 'all') for (const path of boundaries.keys()) forget(path);
    return [...points].filter(isOverKnown);
  }

  function isOverKnown(point: RelPath): boolean {
    if (boundaries.has(point)) return false;
    const row = store.row(point);
    return row?.outOfScope === null && row.local?.kind === 'directory';
  }

  function isKnown(boundary: RelPath, disk: Disk | null): boolean {
    if (disk === null) return boundaries.get(boundary) === 'away';
    return disks.get(boundary) === disk || lookedAt.get(boundary) === disk;
  }

  function see(path: RelPath, disk: Disk | null): 'look' | 'look-deep' | 'away' {
    const state = boundaries.get(path);
    if (disk === null) {
      if (state === undefined) return 'look';
      put(path, state === 'over' ? null : 'away');
      return state === 'over' ? 'look-deep' : 'away';
    }
    const before = disks.get(path);
    // Looked at whole in this run: what changes on it is found like anywhere else, held or not.
    if (before === disk) return 'look';
    if (before !== undefined) {
      disks.delete(path);
      forget(path);
      endConfirmedOf(path);
    }
    put(path, state === undefined || state === 'over' ? 'over' : 'returned');
    lookedAt.set(path, disk);
    return 'look-deep';
  }

  function moved(fromPath: RelPath, toPath: RelPath): void {
    for (const path of within(fromPath)) {
      const [state, disk] = [boundaries.get(path) ?? null, disks.get(path)];
      put(path, null);
      const movedTo = movedPath(path, fromPath, toPath);
      put(movedTo, state);
      if (disk !== undefined) disks.set(movedTo, disk);
    }
  }

  async function seeMovedAway(path: RelPath): Promise<boolean> {
    const disk = disks.get(path);
    // Of what was held nothing follows, wherever it is. Nor of a disk that others are not told from: FAT tells no time of birth.
    if (disk === undefined || disk.endsWith(':0') || boundaries.get(path) !== 'here') return false;
    // Where the directory above is still there nobody renamed it: the disk was mounted anew, or twice from the beginning.
    const above = parentPath(path);
    if (above === undefined || (await folder.stat(above)) !== null) return false;
    const points = await folder.mountPoints();
    for (const point of points) {
      if (boundaries.has(point) || nameOf(point) !== nameOf(path)) continue;
      if ((await diskAt(folder, point, points)) !== disk) continue;
      put(path, null);
      // Held until it has been looked at, and watched from now on.
      put(point, 'over');
      followed.set(path, point);
      save();
      return true;
    }
    return false;
  }

  function seeChanged(path: RelPath): void {
    const boundary = around(path);
    if (boundary !== undefined && contents.has(boundary)) changedRows.add(path);
  }

  function around(path: RelPath | undefined): RelPath | undefined {
    if (boundaries.size === 0) return undefined;
    for (let at = path; at !== undefined; at = parentPath(at)) if (boundaries.has(at)) return at;
    return undefined;
  }

  const within = (path: RelPath): readonly RelPath[] =>
    [...boundaries.keys()].filter((boundary) => isAtOrBelow(boundary, new Set([path])));

  async function changed(): Promise<readonly RelPath[]> {
    const paths: RelPath[] = [];
    const points = await folder.mountPoints();
    for (const path of [...boundaries.keys(), ...[...points].filter(isOverKnown)].slice(0, watchedMax)) {
      const disk = await diskAt(folder, path, points);
      if (!isKnown(path, disk) && lastFound.get(path) !== disk) paths.push(path);
      lastFound.set(path, disk);
    }
    return paths;
  }

  // ── what is held ──

  function judge(): readonly RelPath[] {
    const released: RelPath[] = [];
    for (const [path, disk] of lookedAt) disks.set(path, disk);
    lookedAt.clear();
    for (const path of changedRows) countAgain(path);
    changedRows.clear();
    endFollowed();
    for (const [path, state] of [...boundaries]) {
      if (state === 'here' || (state !== 'away' && !disks.has(path))) continue;
      const draft = drafts.get(path) ?? (state === 'away' ? awayDraft(path) : returnedDraftOf(path, state));
      if (draft === 'unknown') continue;
      if (draft === null || draft.subjects.every((subject) => holds.isConfirmed('disk', subject))) {
        // What is there now counts; of what it lacks, the files that were listed may be deleted.
        put(path, state === 'away' ? null : 'here');
        if (draft !== null || state === 'away') released.push(path);
      } else drafts.set(path, draft);
    }
    if (!isSameAs(judged)) {
      holds.set('disk', [...drafts.values()]);
      judged = new Map(drafts);
    }
    endConfirmed();
    return released;
  }

  /** null: it is as it was. */
  function returnedDraftOf(path: RelPath, state: HeldState): HoldDraft | null | 'unknown' {
    const found = contents.get(path) ?? contentsOf(path);
    contents.set(path, found);
    const { known, suspect, unseen } = found;
    if (unseen.size > 0) return 'unknown';
    if (suspect.size * 2 <= known.size) return null;
    return returnedDraft(path, { state, known: known.size, suspect: [...suspect].sort(comparePaths) });
  }

  function contentsOf(path: RelPath): Contents {
    const found: Contents = { known: new Set(), suspect: new Set(), unseen: new Set() };
    for (const row of store.rowsUnder(path)) if (around(row.path) === path) count(row, found);
    return found;
  }

  function count(row: Row, { known, suspect, unseen }: Contents): void {
    if (row.outOfScope === 'unmounted') unseen.add(row.path);
    if (row.base?.kind !== 'file' || row.outOfScope !== null) return;
    known.add(row.path);
    if (isMissingOrOlder(row)) suspect.add(row.path);
  }

  function countAgain(path: RelPath): void {
    const boundary = around(path);
    const found = boundary === undefined ? undefined : contents.get(boundary);
    if (boundary === undefined || found === undefined) return;
    const { known, suspect, unseen } = found;
    const [wasKnown, wasSuspect] = [known.delete(path), suspect.delete(path), unseen.delete(path)];
    const row = store.row(path);
    if (row !== undefined) count(row, found);
    if (wasKnown !== known.has(path) || wasSuspect !== suspect.has(path)) drafts.delete(boundary);
  }

  function isMissingOrOlder({ path, local, base, remoteMtimeMs }: Row): boolean {
    if (local?.kind !== 'file' || base?.kind !== 'file') return true;
    if (local.digest === base.content.digest) return false;
    return store.inHistory(path, local.digest) || (remoteMtimeMs > 0 && local.mtimeMs < remoteMtimeMs);
  }

  /** null: nothing of the room is, or was, on it, and nothing of it waits. */
  function awayDraft(path: RelPath): HoldDraft | null {
    if (isForgotten(path)) return null;
    const files: RelPath[] = [];
    for (const row of store.rowsUnder(path)) if (row.base?.kind === 'file') files.push(row.path);
    const what =
      files.length > 0
        ? `${files.length} files on it are neither deleted nor changed anywhere`
        : 'the room has no files of it, and nothing is written or sent there';
    return {
      code: 'disk-held',
      reason: `the disk that was mounted at ${path} is not mounted; ${what}`,
      next: `mount it, or, if it is gone for good: driftless confirm ${shellWord(dir)}`,
      subjects: [stateSubject('away', path), ...files],
      paths: [path, ...files],
    };
  }

  /** What was seen on it and is not of the room counts too: it may not have been sent yet, wait to be confirmed, or be ignored. */
  function isForgotten(path: RelPath): boolean {
    if (liveEntry(store.row(path)?.remote ?? null)?.kind === 'directory') return false;
    for (const row of store.rowsUnder(path)) {
      if (row.base !== null || liveEntry(row.remote) !== null) return false;
      if (row.path !== path && (row.outOfScope !== null || row.local !== null)) return false;
    }
    return true;
  }

  function endFollowed(): void {
    const over = [...followed.keys()].filter((path) => !hasAgreedBelow(path));
    for (const path of over) followed.delete(path);
    if (over.length > 0) save();
  }

  function hasAgreedBelow(path: RelPath): boolean {
    for (const { base } of store.rowsUnder(path)) if (base !== null) return true;
    return false;
  }

  function returnedDraft(
    path: RelPath,
    {
      state,
      known,
      suspect,
    }: { readonly state: HeldState; readonly known: number; readonly suspect: readonly RelPath[] },
  ): HoldDraft {
    return {
      code: 'disk-held',
      reason: `of ${known} files at ${path}, ${suspect.length} are missing or older on the disk that is mounted there: nothing of it is sent or changed`,
      next: `mount the right disk, or, if this is what shall be: driftless confirm ${shellWord(dir)}`,
      subjects: [stateSubject(state, path), ...suspect],
      paths: [path, ...suspect],
    };
  }

  function isSameAs(before: ReadonlyMap<RelPath, HoldDraft> | null): boolean {
    return (
      before !== null && before.size === drafts.size && [...drafts].every(([path, draft]) => before.get(path) === draft)
    );
  }

  /** What was let go is gone in the room by now, or back on the disk. */
  function endConfirmed(): void {
    holds.endConfirmed('disk', (subject) => {
      const boundary = boundaryOf(subject);
      // What waits for the look that it was confirmed for is still needed.
      if (isHeld(boundary ?? (subject as RelPath))) return false;
      const row = boundary === undefined ? store.row(subject as RelPath) : undefined;
      return row === undefined || row.base?.kind !== 'file' || row.local !== null;
    });
  }

  function endConfirmedOf(boundary: RelPath): void {
    const within = new Set([boundary]);
    holds.endConfirmed('disk', (subject) => isAtOrBelow(boundaryOf(subject) ?? (subject as RelPath), within));
  }

  function isHeld(path: RelPath): boolean {
    if (boundaries.size === 0) return false;
    for (const at of [path, ...ancestorsOf(path)])
      if ((boundaries.get(followed.get(at) ?? at) ?? 'here') !== 'here') return true;
    return false;
  }

  async function isOutOfReach(path: RelPath): Promise<boolean> {
    if (isHeld(path)) return true;
    if (boundaries.size === 0) return false;
    for (const at of [path, ...ancestorsOf(path)])
      if (boundaries.has(at) && (await diskAt(folder, at)) === null) return true;
    return false;
  }

  return {
    within,
    around,
    begin,
    isKnown,
    see,
    seeGone: (path) => put(path, 'away'),
    seeMovedAway,
    moved,
    seeChanged,
    changed,
    judge,
    isHeld,
    isOutOfReach,
  };
}

/** Among the subjects of a hold, which else are paths of files: the state of the boundary that it is about. No path holds `//`. */
const stateSubject = (state: HeldState, boundary: RelPath): string => `${state}//${boundary}`;
const boundaryOf = (subject: string): RelPath | undefined =>
  subject.includes('//') ? (subject.slice(subject.indexOf('//') + 2) as RelPath) : undefined;

/** What is mounted at a directory at this moment: one that lies on another disk than its parent, or is a mount point of the same one. */
export async function diskAt(folder: Folder, path: RelPath, points?: ReadonlySet<RelPath>): Promise<Disk | null> {
  const stat = await folder.stat(path);
  if (stat === null || stat.kind !== 'directory') return null;
  const isBoundary =
    stat.device !== (await deviceOf(folder, parentPath(path) ?? '')) ||
    (points ?? (await folder.mountPoints())).has(path);
  return isBoundary ? diskOf(stat) : null;
}

/** Of the directory that is the root of what is mounted. The number of a device alone is given to the next one that is mounted. */
export const diskOf = ({ device, inode, bornNs }: Stat): Disk => `${device}:${inode}:${bornNs}`;

/** undefined: there is no such directory. */
export async function deviceOf(folder: Folder, path: RelPath | ''): Promise<bigint | undefined> {
  if (path === '') {
    const root = await folder.root();
    return root.kind === 'present' ? BigInt(root.device) : undefined;
  }
  const stat = await folder.stat(path);
  return stat === null || stat.kind !== 'directory' ? undefined : stat.device;
}
