/** Plain values of a peer at rest, for tests to vary. */
import type { PeerState, Status } from '@driftless/engine';

export function peerState(change: Partial<PeerState> = {}): PeerState {
  return { state: 'idle', pending: 0, conflicts: 0, watchingByRescan: false, waitingForUnsavedEdits: false, ...change };
}

export function status(change: Partial<Status> = {}): Status {
  return {
    state: 'idle',
    pending: 0,
    watchingByRescan: false,
    waitingForUnsavedEdits: false,
    dir: '/a',
    room: 'room',
    device: 'device',
    name: 'laptop',
    conflicts: [],
    peers: [],
    files: 3,
    problems: [],
    holds: [],
    head: { height: 7, id: 'abcdef0123456789' },
    root: 'root',
    outOfScope: 0,
    outOfScopeByReason: {},
    conflictCopies: [],
    outOfScopePaths: [],
    relay: 'ws://127.0.0.1:4747',
    running: true,
    lastChange: null,
    ...change,
  };
}
