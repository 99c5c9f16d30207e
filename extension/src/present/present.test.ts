import type { ConflictInfo } from '@driftless/engine';
import { describe, expect, it } from 'vitest';
import { commandIds } from '../contributions.ts';
import { peerState } from '../testing/status.ts';
import { diffTitle, presentConflicts } from './conflict-list.ts';
import type { FolderView } from './folder-view.ts';
import { presentHold } from './hold.ts';
import { inviteOf } from './invite-text.ts';
import { presentJoin, presentJoinByLink } from './join.ts';
import { presentActions } from './messages.ts';
import { parseRelayAddress } from './relay-address.ts';
import { presentRunnable } from './runnable.ts';
import { agoText } from './text.ts';

const nowMs = Date.parse('2026-01-01T12:00:00Z');

describe('conflict list', () => {
  const conflict = (path: string, device: string): ConflictInfo => ({
    path,
    holds: 'mine',
    variants: [
      { id: '1', device, time: '2026-01-01T11:58:00Z', size: 2_048, mine: false },
      { id: '2', device: 'me', time: '2026-01-01T11:59:30Z', size: 1, mine: true },
    ],
  });

  it('is sorted by path and says whose versions there are', () => {
    const rows = presentConflicts({
      dir: '/a',
      folderName: null,
      conflicts: [conflict('z', 'desktop'), conflict('a/b', 'desktop')],
      nowMs,
    });
    expect(rows).toMatchObject([
      {
        path: 'a/b',
        label: 'a/b',
        description: 'your version is on disk',
        detail: 'desktop: 2.0 KiB, 2 min ago · you: 1 byte, 30 s ago',
      },
      { path: 'z' },
    ]);
  });

  it('titles the diff by the file', () => {
    expect(diffTitle('src/a.ts')).toBe('a.ts (theirs ↔ mine)');
  });
});

describe('what is held', () => {
  const hold = {
    id: '0123abcd',
    kind: 'deletions',
    direction: 'incoming',
    code: 'mass-deletion-incoming',
    reason: 'laptop deleted 300 of 400 files; they are kept here',
    count: 300,
    paths: ['a', 'b'],
    author: 'laptop',
    declinable: true,
  } as const;

  it('has two answers where files would go, in words that say where; Enter, the first one, keeps them', () => {
    expect(presentHold(hold, 'notes')).toMatchObject({
      question: 'Deletions from another machine: delete them, or keep them in notes?',
      detail: [hold.reason, '', 'a', 'b', '… and 298 more'],
      answers: [
        { label: 'Bring Back Everywhere', does: 'decline' },
        { label: 'Delete Here Too', does: 'confirm' },
      ],
    });
    expect(presentHold({ ...hold, direction: 'outgoing' }, 'notes')).toMatchObject({
      answers: [
        { label: 'Bring Back Here', does: 'decline' },
        { label: 'Delete Everywhere', does: 'confirm' },
      ],
    });
  });

  it('has one answer where nothing would go', () => {
    expect(presentHold({ ...hold, kind: 'scope', direction: 'outgoing', declinable: false }, 'notes')).toMatchObject({
      question: 'Files that would be sent for the first time: confirm what notes holds back?',
      answers: [{ label: 'Confirm', does: 'confirm' }],
    });
  });
});

describe('actions of a folder', () => {
  const running = (change: Parameters<typeof peerState>[0]): FolderView => ({
    kind: 'running',
    state: peerState(change),
    status: null,
  });
  const commands = (view: FolderView) => presentActions(view).map(({ command }) => command);

  it.each<[string, FolderView, string]>([
    ['unlinked', { kind: 'unlinked' }, commandIds.connectPeer],
    ['running', running({}), commandIds.pause],
    ['paused', running({ state: 'paused' }), commandIds.resume],
    ['in conflict', running({ state: 'conflict', conflicts: 1 }), commandIds.showConflicts],
    ['held deletion', running({ state: 'error', code: 'mass-deletion-held' }), commandIds.confirmHeld],
    ['relay with another key', running({ state: 'error', code: 'relay-key-changed' }), commandIds.trustRelay],
    ['other error', running({ state: 'error', code: 'disk-full' }), commandIds.resume],
    ['keys missing', { kind: 'failed', code: 'missing-secret', message: '' }, commandIds.disconnectFolder],
    ['failed', { kind: 'failed', code: 'state', message: '' }, commandIds.resume],
    ['engine down', { kind: 'engine-down', reason: '', restartInMs: 1 }, commandIds.resume],
  ])('%s: what helps comes first', (_name, view, first) => {
    expect(commands(view)[0]).toBe(first);
    expect(commands(view).at(-1)).toBe(commandIds.showLog);
  });
});

describe('relay address', () => {
  it.each([
    ['wss://relay.example.org', 'wss://relay.example.org', false],
    ['wss://relay.example.org/', 'wss://relay.example.org', false],
    ['  relay.example.org:4747 ', 'wss://relay.example.org:4747', false],
    ['localhost:4747', 'ws://localhost:4747', false],
    ['127.0.0.1:4747', 'ws://127.0.0.1:4747', false],
    ['ws://[::1]:4747', 'ws://[::1]:4747', false],
    ['ws://192.168.1.2:4747', 'ws://192.168.1.2:4747', true],
    ['wss://relay.example.org/rooms', 'wss://relay.example.org/rooms', false],
  ])('takes %s', (text, url, leavesMachinePlain) => {
    expect(parseRelayAddress(text)).toEqual({ kind: 'valid', url, leavesMachinePlain });
  });

  it.each(['', '  ', 'http://a', 'ftp://a', 'wss://', 'wss://user:secret@a', 'wss://a?x=1', 'wss://a#x', 'a b'])(
    'refuses %j, quoting no secret',
    (text) => {
      const address = parseRelayAddress(text);
      expect(address.kind).toBe('invalid');
      expect(JSON.stringify(address)).not.toContain('secret');
    },
  );
});

describe('joining', () => {
  const facts = { folderName: 'work', from: 'Ada', urls: ['wss://r'], files: 2, atLeast: false };

  it('says who invites by their own word, what is sent, and that members run code; Enter joins nothing', () => {
    const { text, detail, answers } = presentJoin(facts);
    expect(text).toBe('Join work to the room at wss://r?');
    expect(detail.join('\n')).toMatch(/calls itself "Ada"\. Nothing proves that name/);
    expect(detail.join('\n')).toMatch(/All that is in this folder is sent to the members.*It holds 2 files\./);
    expect(detail.join('\n')).toMatch(/Members can run code here/);
    expect(answers).toEqual(['Do Not Join', 'Join']);
    expect(presentJoin({ ...facts, files: 0 }).detail.join()).toContain('It is empty.');
    expect(presentJoin({ ...facts, atLeast: true }).detail.join()).toContain('at least 2 files');
  });

  it('asks once more where a link would send something', () => {
    const { text, answers } = presentJoinByLink(facts);
    expect(text).toBe('Send what is in work to whoever made this link?');
    expect(answers[0]).toBe('Do Not Join');
  });
});

describe('files that run', () => {
  it('are counted, and named with the reason', () => {
    const files = [{ path: '.envrc', why: 'direnv' }];
    const { text, detail } = presentRunnable('work', { event: 'runnable', when: 'joining', files, count: 3 });
    expect(text).toContain('The room that work joins has 3 files that can run code on this machine.');
    expect(detail).toEqual(['.envrc: direnv', '… and 2 more']);
  });
});

describe('invite text', () => {
  it.each([
    ['driftless1-abc', 'driftless1-abc'],
    ['  driftless1-abc\n', 'driftless1-abc'],
    ['vscode://driftless.driftless/join#driftless1-abc ', 'driftless1-abc'],
    ['vscode-insiders://driftless.driftless/join#driftless1-abc', 'driftless1-abc'],
    ['', ''],
  ])('%j holds %j', (text, invite) => {
    expect(inviteOf(text)).toBe(invite);
  });
});

describe('text', () => {
  it.each([
    ['2026-01-01T12:00:05Z', 'just now'],
    ['2026-01-01T11:59:59Z', 'just now'],
    ['2026-01-01T11:59:01Z', '59 s ago'],
    ['2026-01-01T11:01:00Z', '59 min ago'],
    ['2025-12-31T13:00:00Z', '23 h ago'],
    ['2025-12-29T12:00:00Z', '3 d ago'],
    ['nonsense', 'at an unknown time'],
  ])('%s is %s', (time, text) => {
    expect(agoText(time, nowMs)).toBe(text);
  });
});
