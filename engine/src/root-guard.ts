/**
 * Is this still the folder that was linked? (D3, D4, D5, P17.) A root that vanished, was replaced or unmounted,
 * or was emptied at a stroke halts the peer and asks: no deletion is sent or applied from such a sight.
 */
import { rootEmptied } from './core/guards.ts';
import { emptyRoot } from './core/page-tree.ts';
import type { Halt } from './core/peer-state.ts';
import { type PeerContext, RoomHalted } from './peer-context.ts';

export interface RootGuard {
  /** null: the root is the linked one. */
  check(): Promise<Halt | null>;
  /** After a scan: did every file go at once? Then nothing may follow from it before somebody confirms. */
  judgeScan(): Halt | null;
  /** This peer itself changed the disk: what went by a record of the room does not count. */
  noteApplied(): void;
  /** The user says that what is there is right. True: that every file is gone. */
  confirm(): boolean;
  /** As `confirm`, asked for while no peer ran: for whatever the next check finds. */
  confirmNext(): void;
}

export function createRootGuard(context: PeerContext): RootGuard {
  const { parts } = context;
  const { folder, store } = parts;
  let filesBefore = store.counts().files;
  let emptied: Halt | null = null;
  let confirmed = false;
  let seen: Halt | null = null;

  function see(halt: Halt): Halt {
    seen = halt;
    return halt;
  }

  const emptiedHalt = (reason: string): Halt => ({
    code: 'root-emptied',
    reason,
    next: `bring them back, or, to delete them on every machine: driftless confirm ${parts.dir}`,
  });

  async function isBare(): Promise<boolean> {
    const listed = await folder.list('');
    return (
      listed.kind === 'listed' && listed.entries.length + listed.invalidNames.length + listed.problems.length === 0
    );
  }

  async function check(): Promise<Halt | null> {
    const root = await folder.root();
    if (root.kind === 'missing' || root.kind === 'not-a-directory')
      return see({
        code: 'root-missing',
        reason: `${parts.dir} is ${root.kind === 'missing' ? 'missing' : 'no longer a folder'}`,
        next: 'bring it back (mount it, move it back), or unlink it',
      });
    if (root.kind === 'problem')
      return see({
        code: 'root-missing',
        reason: `${parts.dir} cannot be read: ${root.reason}`,
        next: 'make it readable',
      });
    const identity = `${root.device}:${root.inode}`;
    const known = store.setting('root-identity');
    const sameMarker = root.marker !== null && root.marker === parts.marker;
    if (!sameMarker && (known === undefined || known === identity) && root.marker === null) {
      // The marker went together with everything else: unmounted at this very place, or wiped.
      if (
        known !== undefined &&
        store.root() !== emptyRoot(parts.hashing.sha256) &&
        store.setting('emptied-confirmed') !== 'yes' &&
        (await isBare())
      )
        return see(emptiedHalt(`everything in ${parts.dir} is gone`));
      // The same directory: only our marker went (a clean-up of ignored files), or it is the very first start.
      await folder.initialise(parts.marker);
    } else if (!sameMarker) {
      if (!confirmed)
        return see({
          code: 'root-replaced',
          reason: `${parts.dir} is not the folder that was linked (${root.marker === null ? 'its marker is gone: unmounted or replaced' : 'its marker belongs to another link'})`,
          next: `bring the linked folder back, or, if this is the right one: driftless confirm ${parts.dir}`,
        });
      // What the new folder holds is compared with the room as at a first join: nothing is deleted.
      await folder.initialise(parts.marker);
      throw new RootReplaced();
    }
    if (known !== identity) store.setSetting('root-identity', identity);
    seen = null;
    confirmed = false;
    return emptied;
  }

  function judgeScan(): Halt | null {
    const files = store.counts().files;
    if (rootEmptied({ filesBefore, filesNow: files }) && store.setting('emptied-confirmed') !== 'yes')
      emptied = emptiedHalt(`all ${filesBefore} files in ${parts.dir} are gone`);
    else {
      emptied = null;
      filesBefore = files;
      if (files > 0 && store.setting('emptied-confirmed') !== undefined) store.setSetting('emptied-confirmed', null);
    }
    return emptied;
  }

  function confirm(): boolean {
    if (emptied === null && seen?.code !== 'root-emptied') {
      if (seen !== null) confirmed = true;
      return false;
    }
    store.setSetting('emptied-confirmed', 'yes');
    emptied = null;
    filesBefore = 0;
    return true;
  }

  function confirmNext(): void {
    confirmed = true;
    store.setSetting('emptied-confirmed', 'yes');
  }

  return {
    check,
    judgeScan,
    noteApplied: () => {
      filesBefore = store.counts().files;
    },
    confirm,
    confirmNext,
  };
}

/** The user confirmed a replaced root: the peer forgets its bases and compares anew. */
export class RootReplaced extends RoomHalted {
  constructor() {
    super('internal', 'the root was replaced and confirmed');
    this.name = 'RootReplaced';
  }
}
