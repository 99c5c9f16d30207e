import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { PeerEvent, PeerState } from '../control.ts';
import { recordedOutput } from '../testing/recorded-output.ts';
import { createPeerView, stateText } from './peer-view.ts';

const state = (name: PeerState['state'], more: Partial<PeerState> = {}): PeerEvent & { readonly event: 'state' } => ({
  event: 'state',
  state: name,
  pending: 0,
  conflicts: 0,
  watchingByRescan: false,
  waitingForUnsavedEdits: false,
  ...more,
});

describe('the view of a running peer', () => {
  it('adds folder and time to every JSON event', () => {
    const { output, stdout, stderr } = recordedOutput(true);
    const view = createPeerView(output, { nowMs: () => 0 });
    view.onEvent('/a/notes', { event: 'sent', path: 'x' });
    view.onEvent('/a/notes', state('idle'));
    expect(stdout.map((line) => JSON.parse(line))).toMatchObject([
      { event: 'sent', path: 'x', dir: '/a/notes', time: '1970-01-01T00:00:00.000Z' },
      { event: 'state', state: 'idle', dir: '/a/notes', time: '1970-01-01T00:00:00.000Z' },
    ]);
    expect(stderr).toEqual([]);
  });

  it('tells people what happened, and a state once until something else happens', () => {
    const { output, stdout: lines } = recordedOutput();
    const view = createPeerView(output, { nowMs: () => 0 });
    const events: readonly PeerEvent[] = [
      state('scanning'),
      state('idle'),
      state('idle'),
      { event: 'sent', path: 'x' },
      state('syncing'),
      state('idle'),
      { event: 'applied', path: 'evil\u001b[2J', by: 'laptop' },
      { event: 'applied', path: 'y', deleted: true },
    ];
    for (const event of events) view.onEvent('/a/notes', event);
    expect(lines.map((line) => line.slice(10))).toEqual([
      'notes  in sync',
      'notes  sent x',
      'notes  in sync',
      'notes  received evil\\u001b[2J from laptop',
      'notes  deleted y',
    ]);
  });

  it('names the files of a join that run, with the reason, in one line', () => {
    const { output, stdout } = recordedOutput();
    const view = createPeerView(output, { nowMs: () => 0 });
    const files = Array.from({ length: 50 }, (_, index) => ({ path: `${index}/.envrc`, why: 'direnv' }));
    view.onEvent('/a/notes', { event: 'runnable', when: 'joining', files, count: 60 });
    view.onEvent('/a/notes', { event: 'runnable', when: 'joined', files: files.slice(0, 1), count: 1 });
    expect(stdout.map((line) => line.slice(10))).toEqual([
      expect.stringMatching(
        /^notes {2}joining: 60 files of the room run code here: 0\/\.envrc \(direnv\), .*9\/\.envrc \(direnv\), and 50 more$/,
      ),
      'notes  joined: one file of the room runs code here: 0/.envrc (direnv)',
    ]);
  });

  it('shows a burst by its first files and a count', () => {
    const { output, stdout: lines } = recordedOutput();
    const view = createPeerView(output, { nowMs: () => 0 });
    for (let file = 1; file <= 1_000; file += 1) view.onEvent('/a/notes', { event: 'sent', path: `${file}` });
    view.onEvent('/a/notes', state('syncing'));
    view.onEvent('/a/notes', state('idle'));
    expect(lines).toHaveLength(22);
    expect(lines.slice(-3).map((line) => line.slice(10))).toEqual([
      'notes  sent 20',
      'notes  … and 980 more',
      'notes  in sync',
    ]);
  });

  it('shows no name as a command of the terminal in a bar either', async () => {
    const terminal = Object.assign(new PassThrough(), { isTTY: true, columns: 120 });
    const { output } = recordedOutput();
    const view = createPeerView({ ...output, interactive: true }, { nowMs: () => 0, terminal });
    const phase = 'receiving evil\u001b]0;owned\u0007\n{bar}.bin';
    view.onEvent('/a/notes', state('syncing', { progress: { phase, done: 1, total: 3, unit: 'bytes' } }));
    let drawn = '';
    for await (const part of terminal) {
      drawn += String(part);
      if (drawn.includes('evil')) break;
    }
    view.close();
    expect(drawn).toContain('receiving evil\\u001b]0;owned\\u0007');
    expect(drawn).not.toContain('\u001b]0;');
    expect(drawn).not.toContain('\u0007');
  });

  it('tells the progress of long work now and then where there is no terminal', () => {
    const { output, stdout: lines } = recordedOutput();
    let nowMs = 0;
    const view = createPeerView(output, { nowMs: () => nowMs });
    for (const done of [0, 1, 2, 3]) {
      view.onEvent('/a/notes', state('syncing', { progress: { phase: 'receiving', done, total: 3, unit: 'files' } }));
      nowMs += 3_000;
    }
    expect(lines.map((line) => line.slice(10))).toEqual([
      'notes  receiving: 0 of 3 files',
      'notes  receiving: 2 of 3 files',
    ]);
  });
});

describe('stateText', () => {
  it.each([
    [state('idle'), 'in sync'],
    [
      state('idle', {
        watchingByRescan: true,
        unwatched: { directories: 12, reason: 'the system allows no more file watches', next: 'raise the limit' },
      }),
      'in sync (12 folders are not watched, so changes there are found by looking: the system allows no more file watches. Raise the limit)',
    ],
    [
      state('idle', { watchingByRescan: true, unwatched: { directories: null, reason: 'a network disk', next: '' } }),
      'in sync (no folder is watched, so changes there are found by looking: a network disk)',
    ],
    [state('conflict', { conflicts: 1 }), '1 open conflict; see: driftless conflicts /d'],
    [state('offline', { reason: 'refused' }), 'offline: refused; changes are kept and go out later'],
    [state('paused'), 'paused; go on with: driftless resume /d'],
    [state('error', { reason: 'no root', next: 'bring it back' }), 'needs attention: no root. Next: bring it back'],
    [state('syncing'), ''],
  ])('%o', (given, expected) => {
    expect(stateText(given, '/d')).toBe(expected);
  });
});
