/**
 * Is this still the folder that was linked? (D3, D4, D5, P17.) A root that vanished, was replaced or unmounted,
 * or was emptied at a stroke halts the peer and asks: no deletion is sent or applied from such a sight.
 *
 * A confirmation covers what was seen when it was given: this other root, or these files that are gone.
 */
import type { Digest, RelPath } from '@driftless/protocol';
import { ownDirectoryEmptied } from './apply/replace-journal.ts';
import { goneFiles, rootEmptied } from './core/guards.ts';
import type { HoldDraft, WentBefore } from './core/holds.ts';
import { emptyRoot } from './core/page-tree.ts';
import type { Halt } from './core/peer-state.ts';
import type { Row } from './core/row.ts';
import { shellWord } from './core/shell-word.ts';
import type { Holds } from './guards/holds.ts';
import type { Mounts } from './guards/mounts.ts';
import { allRows } from './peer/plan-rows.ts';
import type { PeerContext } from './peer-context.ts';

export interface RootGuard {
  /** null: the root is the linked one. */
  check(): Promise<Halt | null>;
  /** After a scan: did every file go at once? Then nothing may follow from it before somebody confirms. */
  judgeScan(): Halt | null;
  /** What it halts for ends by itself when files are back: the folder is looked at meanwhile. */
  awaitsFiles(): boolean;
  /** Files that this peer made from the room's: they say nothing of what its user left here. */
  noteBrought(paths: readonly RelPath[]): void;
}

/** Before the identity of a root among the subjects, which else are paths. */
const rootPrefix = 'root ';

export function createRootGuard(
  context: PeerContext,
  holds: Holds,
  /** On a disk that is away, or not known to be the right one: said by its own hold. */
  { isHeld, around: diskAround }: Pick<Mounts, 'isHeld' | 'around'>,
  /** Deletions of the same burst that are sent already. */
  wentBefore: () => WentBefore,
): RootGuard {
  const { parts } = context;
  const { folder, store } = parts;
  /** Files that came from the room while others may have been going. */
  const brought = new Set<RelPath>();
  /** Every file went: from the scan that saw it until all are back, wherever, or somebody let them go. An earlier run's too. */
  let emptied: HoldDraft | null = holds.of('root').find(({ code }) => code === 'root-emptied') ?? null;
  /** All that went with it. What is back for a while, or only elsewhere, stays one of them until nothing is lost. */
  let wentTogether = (emptied?.subjects ?? []) as readonly RelPath[];
  /** Everything went, our marker too: seen before any scan. */
  let wiped: HoldDraft | null = null;
  /** What is listed among the holds by this guard. */
  let listed: HoldDraft | null = null;

  function hold(draft: HoldDraft | null): Halt | null {
    if (draft !== listed || draft === null) holds.set('root', draft === null ? [] : [draft]);
    listed = draft;
    return draft;
  }

  function isLetGo({ subjects }: HoldDraft): boolean {
    if (!holds.hasConfirmed('root') && !holds.hasConfirmed('disk')) return false;
    return subjects.every((subject) => holds.isConfirmed('root', subject) || holds.isConfirmed('disk', subject));
  }

  const emptiedDraft = (
    reason: string,
    subjects: readonly RelPath[],
    before: Partial<WentBefore> = wentBefore(),
  ): HoldDraft => ({
    code: 'root-emptied',
    reason,
    next: `to delete them on every machine: driftless confirm ${shellWord(parts.dir)}; to have them back here: driftless decline ${shellWord(parts.dir)}`,
    subjects,
    wentUnasked: before.wentUnasked ?? [],
    wentForGood: before.wentForGood ?? 0,
  });

  function pathsOf(isOne: (row: Row) => boolean): readonly RelPath[] {
    const paths: RelPath[] = [];
    for (const row of allRows(store)) if (row.outOfScope === null && isOne(row)) paths.push(row.path);
    return paths;
  }
  /**
   * Before a scan: files that are here by the last one, or that room and disk last agreed on. Not those of a disk inside: whether it
   * is away is seen by that scan.
   */
  const filesKnown = (): readonly RelPath[] =>
    pathsOf(
      ({ path, local, base }) => (local?.kind === 'file' || base?.kind === 'file') && diskAround(path) === undefined,
    );
  /** Those of a disk that is away take no part any more, and are not gone. */
  const filesLost = (): readonly RelPath[] => pathsOf((row) => isLost(row) && !isHeld(row.path));

  /** Whether nothing is left that was here before the room brought something. */
  function isNothingOwnLeft(): boolean {
    const { files } = store.counts();
    if (files > brought.size) return false;
    let here = 0;
    for (const path of brought) {
      const row = store.row(path);
      if (row?.outOfScope === null && row.local?.kind === 'file') here += 1;
    }
    return here === files;
  }

  async function isBare(): Promise<boolean> {
    const entries = await folder.list('');
    return (
      entries.kind === 'listed' && entries.entries.length + entries.invalidNames.length + entries.problems.length === 0
    );
  }

  async function check(): Promise<Halt | null> {
    const root = await folder.root();
    if (root.kind !== 'present') {
      hold(null);
      return root.kind === 'problem'
        ? {
            code: 'root-missing',
            reason: `${parts.dir} cannot be read: ${root.reason}`,
            next: 'make it readable',
          }
        : {
            code: 'root-missing',
            reason: `${parts.dir} is ${root.kind === 'missing' ? 'missing' : 'no longer a folder'}`,
            next: 'bring it back (mount it, move it back), or unlink it',
          };
    }
    const identity = `${root.device}:${root.inode}`;
    const known = store.setting('root-identity');
    const sameMarker = root.marker !== null && root.marker === parts.marker;
    if (!sameMarker && (known === undefined || known === identity) && root.marker === null) {
      // The marker went together with everything else: unmounted at this very place, or wiped.
      if (known !== undefined && store.root() !== emptyRoot(parts.hashing.sha256) && (await isBare())) {
        wiped ??= emptiedDraft(`everything in ${parts.dir} is gone`, filesKnown());
        if (!isLetGo(wiped)) return hold(wiped);
      }
      wiped = null;
      // The same directory: only our marker went (a clean-up of ignored files), or it is the very first start.
      if (known !== undefined) store.setSetting(ownDirectoryEmptied, 'yes');
      await folder.initialise(parts.marker);
    } else if (!sameMarker) {
      const subject = `${rootPrefix}${identity} ${root.marker ?? ''}`;
      if (!holds.isConfirmed('root', subject))
        return hold(listed?.subjects[0] === subject ? listed : replaced(subject, root.marker));
      // What the new folder holds is compared with the room as at a first join: nothing is deleted. That nothing is agreed on any
      // more must be known before the marker says that all is well.
      forgetBases();
      await folder.initialise(parts.marker);
      holds.endConfirmed('root', (other) => other.startsWith(rootPrefix));
    }
    if (known !== identity) store.setSetting('root-identity', identity);
    if (emptied !== null && isLetGo(emptied)) emptied = null;
    return hold(emptied);
  }

  const replaced = (subject: string, marker: string | null): HoldDraft => ({
    code: 'root-replaced',
    reason: `${parts.dir} is not the folder that was linked (${marker === null ? 'its marker is gone: unmounted or replaced' : 'its marker belongs to another link'})`,
    next: `bring the linked folder back, or, if this is the right one: driftless confirm ${shellWord(parts.dir)}`,
    subjects: [subject],
    paths: [],
  });

  function forgetBases(): void {
    store.transaction(() => {
      for (const { path } of allRows(store)) store.setBase(path, null);
      store.setSetting('join', 'first');
    });
  }

  function judgeScan(): Halt | null {
    // Gone here: what the room deleted, and waits, says nothing about the folder.
    const isNothingGone =
      holds.of('deletions-outgoing').length === 0 && store.lostFiles({ side: 'local', limit: 1 }).length === 0;
    if (isNothingGone) brought.clear();
    // Somebody may be copying them back: what is not back yet is not let go by what is.
    if (emptied !== null) emptied = stillLost(emptied);
    if (emptied === null && !isNothingGone && isNothingOwnLeft()) {
      const lost = filesLost();
      if (rootEmptied({ filesBefore: lost.length, filesNow: 0 }))
        emptied = emptiedDraft(`all ${lost.length} files in ${parts.dir} are gone`, lost);
      if (emptied !== null) wentTogether = lost;
    }
    if (emptied === null) endConfirmed();
    else if (isLetGo(emptied)) emptied = null;
    return hold(emptied);
  }

  /** One that came back under another name counts for one of those that are missing, whichever it was. */
  function stillLost(draft: HoldDraft): HoldDraft | null {
    const missing = wentTogether.flatMap((path) => {
      const row = store.row(path);
      const isGone = row?.base?.kind === 'file' && isLost(row) && !isHeld(path);
      return isGone ? [{ path, digest: row.base.content.digest }] : [];
    });
    const count = goneFiles(missing, newDigests()).length;
    if (count === 0) return null;
    const { filesBefore = draft.subjects.length } = draft;
    const reason =
      count === filesBefore
        ? `all ${count} files in ${parts.dir} are gone`
        : `${count} of ${filesBefore} files in ${parts.dir} are gone`;
    const isSame =
      missing.length === draft.subjects.length && missing.every(({ path }, at) => path === draft.subjects[at]);
    if (isSame && reason === draft.reason) return draft;
    return {
      ...emptiedDraft(
        reason,
        missing.map(({ path }) => path),
        // Nothing is judged while the folder is held: their burst is long over.
        draft,
      ),
      filesBefore,
    };
  }

  /** Of files that are not agreed on: what was lost may be back as one of them. */
  function newDigests(): readonly Digest[] {
    const digests: Digest[] = [];
    if (store.unagreedFiles() === 0) return digests;
    for (const { outOfScope, local, base } of allRows(store))
      if (outOfScope === null && base === null && local?.kind === 'file') digests.push(local.digest);
    return digests;
  }

  /** What came back, or is deleted in the room by now, needs no confirmation any more. */
  function endConfirmed(): void {
    holds.endConfirmed('root', (subject) => {
      if (subject.startsWith(rootPrefix)) return false;
      const row = store.row(subject as RelPath);
      return row === undefined || !isLost(row);
    });
  }

  return {
    check,
    judgeScan,
    awaitsFiles: () => emptied !== null && listed === emptied,
    noteBrought: (paths) => {
      for (const path of paths) brought.add(path);
    },
  };
}

/** Agreed on, and gone from this disk; not what is on its way back. */
const isLost = ({ outOfScope, local, base, declined }: Row): boolean =>
  outOfScope === null && local === null && base?.kind === 'file' && !declined;
