import type { PeerState } from '@driftless/engine';
import { describe, expect, it } from 'vitest';
import { commandIds } from '../contributions.ts';
import { peerState, status } from '../testing/status.ts';
import type { FolderView, NamedFolder } from './folder-view.ts';
import { presentStatusBar } from './status-bar.ts';

const nowMs = Date.parse('2026-01-01T12:00:00Z');
const running = (change: Partial<PeerState>): FolderView => ({
  kind: 'running',
  state: peerState(change),
  status: null,
});
const folder = (view: FolderView, name = 'project'): NamedFolder => ({ name, dir: `/${name}`, view });
const present = (...folders: readonly NamedFolder[]) => presentStatusBar(folders, nowMs);

describe('status bar', () => {
  it('is not there without a folder', () => {
    expect(present()).toBeUndefined();
  });

  it.each<
    [
      string,
      FolderView,
      { readonly icon: string; readonly label: string; readonly command: string; readonly severity: string },
    ]
  >([
    [
      'unlinked',
      { kind: 'unlinked' },
      { icon: 'plug', label: 'not connected', command: commandIds.connectPeer, severity: 'none' },
    ],
    [
      'restricted',
      { kind: 'restricted' },
      { icon: 'shield', label: 'waits for trust', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'starting',
      { kind: 'starting' },
      { icon: 'sync~spin', label: 'starting', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'owned',
      { kind: 'owned', message: 'm' },
      { icon: 'lock', label: 'owned by another process', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'failed',
      { kind: 'failed', code: 'state', message: 'm' },
      { icon: 'error', label: 'needs attention', command: commandIds.showActions, severity: 'error' },
    ],
    [
      'crashed',
      { kind: 'engine-down', reason: 'r', restartInMs: 500 },
      { icon: 'error', label: 'engine stopped', command: commandIds.showActions, severity: 'error' },
    ],
    ['idle', running({}), { icon: 'check', label: 'in sync', command: commandIds.showActions, severity: 'none' }],
    [
      'idle with unsaved edits',
      running({ waitingForUnsavedEdits: true }),
      {
        icon: 'check',
        label: 'in sync, waiting for your unsaved edits',
        command: commandIds.showActions,
        severity: 'none',
      },
    ],
    [
      'nothing but unsaved edits in the way',
      running({
        state: 'syncing',
        pending: 1,
        waitingForUnsavedEdits: true,
        waitingPaths: [{ path: 'a.txt', version: null }],
      }),
      {
        icon: 'edit',
        label: 'waiting for your unsaved edits',
        command: commandIds.showActions,
        severity: 'none',
      },
    ],
    [
      'scanning',
      running({ state: 'scanning' }),
      { icon: 'sync~spin', label: 'scanning', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'syncing, pending',
      running({ state: 'syncing', pending: 4 }),
      { icon: 'sync~spin', label: 'syncing 4', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'syncing, files',
      running({ state: 'syncing', pending: 4, progress: { phase: 'p', done: 1, total: 9, unit: 'files' } }),
      { icon: 'sync~spin', label: 'syncing 1/9', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'syncing, bytes',
      running({ state: 'syncing', progress: { phase: 'p', done: 50, total: 99, unit: 'bytes' } }),
      { icon: 'sync~spin', label: 'syncing 50 %', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'offline',
      running({ state: 'offline' }),
      { icon: 'debug-disconnect', label: 'offline', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'offline with conflicts',
      running({ state: 'offline', conflicts: 2 }),
      { icon: 'debug-disconnect', label: 'offline, 2 conflicts', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'paused',
      running({ state: 'paused' }),
      { icon: 'debug-pause', label: 'paused', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'conflict',
      running({ state: 'conflict', conflicts: 1 }),
      { icon: 'git-merge', label: '1 conflict', command: commandIds.showConflicts, severity: 'warning' },
    ],
    [
      'error',
      running({ state: 'error', code: 'root-missing' }),
      { icon: 'error', label: 'needs attention', command: commandIds.showActions, severity: 'error' },
    ],
    [
      'a room that nobody else confirms yet',
      running({ state: 'error', code: 'checkpoint-unconfirmed' }),
      { icon: 'error', label: 'waiting for another device', command: commandIds.showActions, severity: 'error' },
    ],
    [
      'held deletion',
      running({ state: 'error', code: 'mass-deletion-held' }),
      { icon: 'error', label: 'deletion held', command: commandIds.showActions, severity: 'error' },
    ],
    [
      'relay key',
      running({ state: 'error', code: 'relay-key-changed' }),
      { icon: 'error', label: 'relay key changed', command: commandIds.showActions, severity: 'error' },
    ],
  ])('%s', (_name, view, expected) => {
    expect(present(folder(view))).toMatchObject(expected);
  });

  it('says "in sync" for idle alone', () => {
    const others: readonly FolderView[] = [
      { kind: 'unlinked' },
      { kind: 'starting' },
      { kind: 'owned', message: '' },
      { kind: 'failed', code: 'x', message: '' },
      { kind: 'engine-down', reason: '', restartInMs: 1 },
      ...(['error', 'paused', 'offline', 'scanning', 'syncing', 'conflict'] as const).map((state) =>
        running({ state }),
      ),
    ];
    for (const view of others) expect(present(folder(view))?.label).not.toMatch(/in sync/);
  });

  it('lets the folder that needs a person speak for all, by name; the tooltip lists each', () => {
    const model = present(
      folder(running({}), 'one'),
      folder(running({ state: 'conflict', conflicts: 3 }), 'two'),
      folder({ kind: 'unlinked' }, 'three'),
    );
    expect(model).toMatchObject({ icon: 'git-merge', label: '3 conflicts (two)' });
    expect(model?.tooltips.map(({ name, label }) => `${name}: ${label}`)).toEqual(['one: in sync', 'two: 3 conflicts']);
  });

  it('tells peers, last change and verified head', () => {
    const view: FolderView = {
      kind: 'running',
      state: peerState(),
      status: status({
        peers: [
          { device: 'd1', name: 'desktop', online: true, lastSeen: null, height: 7, agrees: true },
          { device: 'd2', name: 'box', online: false, lastSeen: '2026-01-01T11:59:48Z', height: 6, agrees: null },
          { device: 'd3', name: 'other', online: true, lastSeen: null, height: 7, agrees: false },
        ],
        lastChange: { path: 'src/a.ts', by: 'desktop', time: '2026-01-01T11:00:00Z' },
        outOfScope: 2,
        problems: [{ path: 'b', reason: 'no permission' }],
      }),
    };
    expect(present(folder(view))?.tooltips).toEqual([
      {
        name: 'project',
        label: 'in sync',
        lines: [
          {
            text: 'Peers:',
            list: ['desktop: online', 'box: last seen 12 s ago', 'other: online, has another content of this folder'],
          },
          'Last change: src/a.ts by desktop, 1 h ago',
          'Verified to record 7 (abcdef01), 3 files',
          '2 paths not synced here',
          '1 problem: b: no permission',
        ],
      },
    ]);
  });

  it('tells the last change of nobody that is known, as of a file that was brought back', () => {
    const view: FolderView = {
      kind: 'running',
      state: peerState(),
      status: status({ lastChange: { path: 'src/a.ts', by: null, time: '2026-01-01T11:00:00Z' } }),
    };
    expect(present(folder(view))?.tooltips[0]?.lines).toContain('Last change: src/a.ts, 1 h ago');
  });
});
