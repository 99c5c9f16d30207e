import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEmitter } from './emitter.ts';
import type { Folders } from './folders.ts';
import { connectHanded, readHandedInvites } from './handed-invites.ts';
import type { FolderView } from './present/folder-view.ts';

describe('handed invites', () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'driftless-handed-'));
    file = path.join(folder, 'invites.json');
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const write = (text: string, mode = 0o600) => {
    writeFileSync(file, text);
    chmodSync(file, mode);
  };

  it('are none unless a file is named', () => {
    expect(readHandedInvites(undefined).size).toBe(0);
    expect(readHandedInvites('').size).toBe(0);
  });
  it('are read by folder', () => {
    write('{"/a":"driftless1-x","/b":7}');
    expect([...readHandedInvites(file)]).toEqual([['/a', 'driftless1-x']]);
  });
  it.runIf(process.platform !== 'win32')('are refused from a file that others may read', () => {
    write('{}', 0o644);
    expect(() => readHandedInvites(file)).toThrow(/chmod 600/);
  });
  it.each(['', '[]', 'null', '{"/a":"secret'])('refuse %j without quoting it', (text) => {
    write(text);
    expect(() => readHandedInvites(file)).toThrow(/is not a JSON object/);
    expect(() => readHandedInvites(file)).not.toThrow(/secret/);
  });
});

describe('connecting with handed invites', () => {
  function createWorld(view: FolderView, trusted = true) {
    const changed = createEmitter<void>();
    const calls: string[] = [];
    let current = view;
    const folders = {
      onDidChange: changed.event,
      list: () => [{ name: 'a', dir: '/a', view: current }],
      disconnect: async (dir: string) => void calls.push(`disconnect ${dir}`),
      join: async ({ dir, invite }: { readonly dir: string; readonly invite: string }) =>
        void calls.push(`join ${dir} ${invite}`),
    } as unknown as Folders;
    const errors: unknown[] = [];
    const world = { trusted };
    connectHanded({
      folders,
      invites: new Map([['/a', 'x']]),
      isTrusted: () => world.trusted,
      report: (error) => errors.push(error),
    });
    const change = async (next: FolderView): Promise<void> => {
      current = next;
      changed.fire();
      await Promise.resolve();
    };
    return { calls, change, world };
  }

  it('joins a folder that is linked to nothing, once', async () => {
    const { calls, change } = createWorld({ kind: 'unlinked' });
    await change({ kind: 'unlinked' });
    expect(calls).toEqual(['join /a x']);
  });
  it('joins anew where the keys are in another profile', async () => {
    const { calls, change } = createWorld({ kind: 'starting' });
    await change({ kind: 'failed', code: 'missing-secret', message: '' });
    await change({ kind: 'unlinked' });
    expect(calls).toEqual(['disconnect /a', 'join /a x']);
  });
  it('leaves a folder alone that runs, or failed for another reason', async () => {
    const { calls, change } = createWorld({ kind: 'failed', code: 'state', message: '' });
    await change({ kind: 'owned', message: '' });
    expect(calls).toEqual([]);
  });
  it('waits for trust', async () => {
    const { calls, change, world } = createWorld({ kind: 'unlinked' }, false);
    expect(calls).toEqual([]);
    world.trusted = true;
    await change({ kind: 'unlinked' });
    expect(calls).toEqual(['join /a x']);
  });
});
