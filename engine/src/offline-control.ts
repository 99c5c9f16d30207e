/**
 * The control of a linked folder while no peer runs: answers from the stored state; what it is asked to do is recorded and
 * carried out by the next run.
 */

import { createReplaceJournal } from './apply/replace-journal.ts';
import { createUntracks } from './conflicts/untracks.ts';
import { createContents } from './contents.ts';
import type { PeerControl, PeerState } from './control.ts';
import { type ControlParts, createControl } from './control-service.ts';
import { shellWord } from './core/shell-word.ts';
import { createHolds } from './guards/holds.ts';
import { createMounts } from './guards/mounts.ts';
import { createPause } from './pause.ts';
import { createSteadyTime } from './peer/steady-time.ts';
import type { Random } from './ports/random.ts';
import { trustedRelayKey } from './relay-feed.ts';
import { createScanner } from './scan.ts';

export function createOfflineControl(
  parts: ControlParts & { readonly random: Random; readonly marker: string },
): PeerControl {
  const { store, clock } = parts;
  const pause = createPause(clock);
  const contents = createContents({
    folder: parts.folder,
    store,
    cipher: parts.cipher,
    hashing: parts.hashing,
    random: parts.random,
    clock,
    pause,
    underWay: new Map(),
    // The next run begins with a scan.
    onDistrusted: () => {},
    // It fetches nothing.
    isWished: () => false,
  });
  const holds = createHolds(parts);
  const state = (): PeerState => ({
    state: store.setting('paused') === 'yes' ? 'paused' : 'offline',
    reason: 'sync does not run',
    next: `driftless sync ${shellWord(parts.dir)}`,
    pending: store.counts().pending,
    conflicts: store.counts().held,
    watchingByRescan: false,
    waitingForUnsavedEdits: false,
  });
  const mounts = createMounts({ ...parts, holds });
  const scanner = createScanner({
    folder: parts.folder,
    store,
    clock,
    hashing: parts.hashing,
    log: parts.log,
    fileBytesMax: Number.POSITIVE_INFINITY,
    mounts,
    isScopeConfirmed: (path) => holds.isConfirmed('scope', path),
    pause,
  });
  const untracks = createUntracks({
    folder: parts.folder,
    marker: parts.marker,
    store,
    clock,
    hashing: parts.hashing,
    contents,
    journal: createReplaceJournal({
      ...parts,
      pause,
      steadyTime: createSteadyTime(clock, store),
      isOutOfReach: mounts.isOutOfReach,
      unsaved: { has: () => false, replaced: () => {} },
    }),
    isIgnored: async (path) => (await scanner.explain(path)).length > 0,
    markDirty: () => {},
    onProblem: () => {},
    onNote: () => {},
  });
  return createControl(parts, {
    scanner,
    contents,
    untracks,
    running: false,
    pause,
    command: (work) => work(),
    state,
    peers: () => {
      const devices = JSON.parse(store.setting('devices') ?? '{}') as Record<string, { name: string; at: number }>;
      return Object.entries(devices).map(([device, { name, at }]) => ({
        device,
        name,
        online: false,
        lastSeen: new Date(at).toISOString(),
        height: null,
        agrees: null,
      }));
    },
    roomProblems: () => [],
    session: () => null,
    holds,
    // Nothing runs that they would hold up.
    unsaved: { hold: () => {}, lost: () => {}, madeFrom: () => null, savedMerged: () => {} },
    isOnHeldDisk: mounts.isHeld,
    onAnswered: () => {},
    readAgain: () => {},
    onTrustRelay: (key) => {
      store.setSetting(trustedRelayKey, key);
      return false;
    },
  });
}
