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

  it.each<[string, FolderView, { readonly text: string; readonly command: string; readonly severity: string }]>([
    [
      'unlinked',
      { kind: 'unlinked' },
      { text: '$(plug) Sync: not connected', command: commandIds.connectPeer, severity: 'none' },
    ],
    [
      'restricted',
      { kind: 'restricted' },
      { text: '$(shield) Sync: waits for trust', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'starting',
      { kind: 'starting' },
      { text: '$(sync~spin) Sync: starting', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'owned',
      { kind: 'owned', message: 'm' },
      { text: '$(lock) Sync: owned by another process', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'failed',
      { kind: 'failed', code: 'state', message: 'm' },
      { text: '$(error) Sync: needs attention', command: commandIds.showActions, severity: 'error' },
    ],
    [
      'crashed',
      { kind: 'engine-down', reason: 'r', restartInMs: 500 },
      { text: '$(error) Sync: engine stopped', command: commandIds.showActions, severity: 'error' },
    ],
    ['idle', running({}), { text: '$(check) Sync: in sync', command: commandIds.showActions, severity: 'none' }],
    [
      'idle with unsaved edits',
      running({ waitingForUnsavedEdits: true }),
      {
        text: '$(check) Sync: in sync, waiting for your unsaved edits',
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
        text: '$(edit) Sync: waiting for your unsaved edits',
        command: commandIds.showActions,
        severity: 'none',
      },
    ],
    [
      'scanning',
      running({ state: 'scanning' }),
      { text: '$(sync~spin) Sync: scanning', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'syncing, pending',
      running({ state: 'syncing', pending: 4 }),
      { text: '$(sync~spin) Sync: syncing 4', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'syncing, files',
      running({ state: 'syncing', pending: 4, progress: { phase: 'p', done: 1, total: 9, unit: 'files' } }),
      { text: '$(sync~spin) Sync: syncing 1/9', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'syncing, bytes',
      running({ state: 'syncing', progress: { phase: 'p', done: 50, total: 99, unit: 'bytes' } }),
      { text: '$(sync~spin) Sync: syncing 50 %', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'offline',
      running({ state: 'offline' }),
      { text: '$(debug-disconnect) Sync: offline', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'offline with conflicts',
      running({ state: 'offline', conflicts: 2 }),
      { text: '$(debug-disconnect) Sync: offline, 2 conflicts', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'paused',
      running({ state: 'paused' }),
      { text: '$(debug-pause) Sync: paused', command: commandIds.showActions, severity: 'none' },
    ],
    [
      'conflict',
      running({ state: 'conflict', conflicts: 1 }),
      { text: '$(git-merge) Sync: 1 conflict', command: commandIds.showConflicts, severity: 'warning' },
    ],
    [
      'error',
      running({ state: 'error', code: 'root-missing' }),
      { text: '$(error) Sync: needs attention', command: commandIds.showActions, severity: 'error' },
    ],
    [
      'held deletion',
      running({ state: 'error', code: 'mass-deletion-held' }),
      { text: '$(error) Sync: deletion held', command: commandIds.showActions, severity: 'error' },
    ],
    [
      'relay key',
      running({ state: 'error', code: 'relay-key-changed' }),
      { text: '$(error) Sync: relay key changed', command: commandIds.showActions, severity: 'error' },
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
    for (const view of others) expect(present(folder(view))?.text).not.toMatch(/in sync/);
  });

  it('lets the folder that needs a person speak for all, by name; the tooltip lists each', () => {
    const model = present(
      folder(running({}), 'one'),
      folder(running({ state: 'conflict', conflicts: 3 }), 'two'),
      folder({ kind: 'unlinked' }, 'three'),
    );
    expect(model?.text).toBe('$(git-merge) Sync: 3 conflicts (two)');
    expect(model?.tooltip).toMatch(/one.*\n\n---\n\n.*two/s);
    expect(model?.tooltip).not.toMatch(/three/);
  });

  it('tells peers, last change and verified head', () => {
    const view: FolderView = {
      kind: 'running',
      state: peerState(),
      status: status({
        peers: [
          { device: 'd1', name: 'desktop', online: true, lastSeen: null, height: 7 },
          { device: 'd2', name: 'box', online: false, lastSeen: '2026-01-01T11:59:48Z', height: 6 },
        ],
        lastChange: { path: 'src/a.ts', by: 'desktop', time: '2026-01-01T11:00:00Z' },
        outOfScope: 2,
        problems: [{ path: 'b', reason: 'no permission' }],
      }),
    };
    const tooltip = present(folder(view))?.tooltip ?? '';
    expect(tooltip).toContain('- desktop: online');
    expect(tooltip).toContain('- box: last seen 12 s ago');
    expect(tooltip).toContain('Last change: src/a.ts by desktop, 1 h ago');
    expect(tooltip).toContain('Verified to record 7 (abcdef01), 3 files');
    expect(tooltip).toContain('2 paths not synced here');
    expect(tooltip).toContain('1 problem: b: no permission');
  });

  it('shows names from elsewhere as text, never as markdown', () => {
    const view: FolderView = {
      kind: 'running',
      state: peerState(),
      status: status({
        peers: [{ device: 'd', name: '[x](command:evil) $(sync)\n# big', online: true, lastSeen: null, height: null }],
      }),
    };
    expect(present(folder(view))?.tooltip).toContain('\\[x\\]\\(command:evil\\) \\$\\(sync\\) \\# big: online');
  });
});
