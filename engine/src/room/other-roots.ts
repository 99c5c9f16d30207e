/**
 * Whoever is at the same record has the same folder, and so the same root (rule PRESENCE). Where another device that is here says
 * another one, something is wrong on one of the two machines: this peer adds its own pages up, once a head. If they do not give its
 * root, what it keeps of the room is damaged, and it joins anew; if they do, it says which device differs, and changes nothing.
 */
import { type DeviceId, equalBytes, type RecordId, type RelPath, type Root } from '@driftless/protocol';
import type { ProblemInfo } from '../control.ts';
import { pageBytes, pageEntriesOf, pageHash, rootOf } from '../core/page-tree.ts';
import type { PeerContext } from '../peer-context.ts';
import { StateStoreError } from '../ports/state-store.ts';

/** All pages are read for it: a device that differs at one head after the other makes nobody do that all day. */
const restMsMin = 60_000;
const restPerWork = 500;
/** A member can be any number of devices; more of them tell nothing new. */
const devicesToldMax = 16;

/** What a device that is here says of the room. */
export interface SaidRoot {
  readonly device: DeviceId;
  readonly name: string;
  readonly height: number;
  readonly recordId: RecordId | null;
  readonly root: Root;
}

export interface OtherRoots {
  compare(said: SaidRoot): void;
  /** Devices that differ, until they say the same again. */
  problems(): readonly ProblemInfo[];
}

type OtherRootsContext = Pick<PeerContext, 'pause'> & {
  readonly parts: Pick<PeerContext['parts'], 'clock' | 'hashing' | 'log' | 'onEvent'> & {
    readonly store: Pick<PeerContext['parts']['store'], 'head' | 'root' | 'pages' | 'manifest'>;
  };
};

export function createOtherRoots(
  { parts, pause }: OtherRootsContext,
  options: {
    readonly runBeside: (work: Promise<void>) => void;
    /** What this peer keeps of the room is not what it was. */
    readonly onDamaged: () => void;
  },
): OtherRoots {
  const { store, clock, hashing, log, onEvent } = parts;
  const differing = new Map<DeviceId, ProblemInfo>();
  /** The last head at which this peer looked at its own pages. */
  let lookedAt: RecordId | undefined;
  let isLooking = false;
  let lookAgainMs = Number.NEGATIVE_INFINITY;

  function compare(said: SaidRoot): void {
    const head = store.head();
    if (head === null || said.recordId !== head.id) return;
    if (said.root === store.root()) differing.delete(said.device);
    else if (lookedAt === head.id) tell(said);
    else if (!isLooking && clock.monotonicMs() >= lookAgainMs) {
      isLooking = true;
      options.runBeside(look(head.id, said));
    }
  }

  async function look(head: RecordId, said: SaidRoot): Promise<void> {
    const startMs = clock.monotonicMs();
    try {
      const found = await ownPages(head);
      if (found === 'overtaken') return;
      lookedAt = head;
      if (found === 'sound') return compare(said);
      log.error('own-tree-damaged', { height: said.height });
      options.onDamaged();
    } finally {
      isLooking = false;
      const endMs = clock.monotonicMs();
      lookAgainMs = endMs + Math.max(restMsMin, (endMs - startMs) * restPerWork);
    }
  }

  async function ownPages(head: RecordId): Promise<'sound' | 'damaged' | 'overtaken'> {
    const pages = store.pages.pages();
    let after: RelPath | null = null;
    try {
      for (const { end, hash } of pages) {
        const bytes = pageBytes([...pageEntriesOf(store.manifest, after, end)]);
        if (!equalBytes(pageHash(bytes, hashing.sha256), hash)) return 'damaged';
        after = end;
        await pause();
        if (store.head()?.id !== head) return 'overtaken';
      }
      const reachesEnd = pages.length > 0 && after === null;
      if (!reachesEnd && [...store.manifest.slotsBetween(after, null)].length > 0) return 'damaged';
      return rootOf(pages, hashing.sha256) === store.root() ? 'sound' : 'damaged';
    } catch (error) {
      if (error instanceof StateStoreError && error.code === 'damaged') return 'damaged';
      throw error;
    }
  }

  /** Once, until it says the same again. */
  function tell({ device, name, height, root }: SaidRoot): void {
    if (differing.has(device) || differing.size >= devicesToldMax) return;
    log.warn('other-root', { device, height, theirs: root, ours: store.root() });
    const reason = `${name} (device ${device.slice(0, 12)}) has another content of the room at record ${height} than this machine, whose own adds up: run "driftless verify" on both; until they agree, do not trust what ${name} says is in sync`;
    const problem: ProblemInfo = { path: '', reason };
    differing.set(device, problem);
    onEvent({ event: 'problem', ...problem });
  }

  return { compare, problems: () => [...differing.values()] };
}
