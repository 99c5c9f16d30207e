import { describe, expect, it } from 'vitest';
import { derivePeerState, type PeerFacts } from './peer-state.ts';

const calm: PeerFacts = {
  halt: null,
  paused: false,
  online: true,
  offlineReason: '',
  scanning: false,
  busy: false,
  pending: 0,
  conflicts: 0,
  progress: null,
  unwatched: null,
  sweep: null,
  waitingPaths: [],
};
const halt = { code: 'disk-full', reason: 'the disk is full', next: 'make room' } as const;

describe('the state of a peer', () => {
  it('idle means that nothing is left to do', () => {
    expect(derivePeerState(calm)).toEqual({
      state: 'idle',
      pending: 0,
      conflicts: 0,
      watchingByRescan: false,
      waitingForUnsavedEdits: false,
    });
    for (const work of [{ pending: 1 }, { busy: true }, { scanning: true }, { conflicts: 1 }, { online: false }])
      expect(derivePeerState({ ...calm, ...work }).state).not.toBe('idle');
  });

  it('says why changes are found by looking, how often, and when last', () => {
    const unwatched = { directories: 3, reason: 'no watches left', next: 'raise the limit' };
    expect(derivePeerState({ ...calm, unwatched, sweep: { periodMs: 15_000, lookedAtMs: 0 } })).toMatchObject({
      state: 'idle',
      watchingByRescan: true,
      unwatched,
      sweepPeriodMs: 15_000,
      wholeFolderLookedAt: '1970-01-01T00:00:00.000Z',
    });
  });

  it('the first that holds, in order', () => {
    // Each holds together with all that come after it.
    const facts: readonly Partial<PeerFacts>[] = [
      { conflicts: 1 },
      { pending: 1 },
      { scanning: true },
      { online: false },
      { paused: true },
      { halt },
    ];
    const states = facts.map(
      (_, index) => derivePeerState(Object.assign({}, calm, ...facts.slice(0, index + 1))).state,
    );
    expect(states).toEqual(['conflict', 'syncing', 'scanning', 'offline', 'paused', 'error']);
  });

  it('tells why it stopped, and why it is offline only while it is', () => {
    expect(derivePeerState({ ...calm, halt })).toMatchObject({ state: 'error', ...halt });
    expect(derivePeerState({ ...calm, online: false, offlineReason: 'no answer' })).toMatchObject({
      reason: 'no answer',
    });
    expect(derivePeerState({ ...calm, offlineReason: 'no answer' })).not.toHaveProperty('reason');
  });
});
