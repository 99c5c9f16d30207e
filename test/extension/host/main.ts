/** The extension in a trusted window with one folder: activation, commands, engine, keys. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import * as vscode from 'vscode';
import { selfTestCrypto } from '../../../engine/src/crypto/self-test.ts';
import { commandIds, extensionId } from '../../../extension/src/contributions.ts';
import { activated, eventually, viewOf, workspaceDir } from './support.ts';
import { commandsOf, presentStatusText } from './window-facts.ts';

/** Nobody listens there: sharing needs no relay to be up. */
const deadRelay = 'ws://127.0.0.1:9';

describe('the extension host', () => {
  it('has what the engine needs: SQLite and the ciphers', async () => {
    const { DatabaseSync } = await import('node:sqlite');
    const database = new DatabaseSync(':memory:');
    assert.deepEqual({ ...database.prepare('SELECT 1 + 1 AS two').get() }, { two: 2 });
    database.close();
    assert.deepEqual(selfTestCrypto(), { ok: true, value: null });
  });
});

describe('activation', () => {
  it('happens by itself once the window is there', async () => {
    const extension = vscode.extensions.getExtension(extensionId);
    assert.ok(extension);
    assert.equal(extension.extensionKind, vscode.ExtensionKind.Workspace);
    await activated();
    assert.equal(extension.isActive, true);
  });

  it('registers every contributed command', async () => {
    await activated();
    const registered = await vscode.commands.getCommands(true);
    assert.deepEqual(
      Object.values(commandIds).filter((id) => !registered.includes(id)),
      [],
    );
    assert.deepEqual(commandsOf(extensionId), Object.values(commandIds).sort());
  });

  it('starts no engine in a window without a linked folder, and says that it is not connected', async () => {
    const api = await activated();
    assert.deepEqual(api.host.state, { kind: 'stopped' });
    assert.deepEqual(viewOf(api), { kind: 'unlinked' });
    assert.match(presentStatusText(api), /not connected/);
  });

  it('hides .driftless from explorer, search and watcher', () => {
    const configuration = vscode.workspace.getConfiguration();
    assert.equal(configuration.get<Record<string, boolean>>('files.exclude')?.['**/.driftless'], true);
    assert.equal(configuration.get<Record<string, boolean>>('search.exclude')?.['**/.driftless'], true);
    assert.equal(configuration.get<Record<string, boolean>>('files.watcherExclude')?.['**/.driftless/**'], true);
  });

  it('says a sentence where there is nothing to act on', async () => {
    await activated();
    for (const id of [
      commandIds.pause,
      commandIds.resume,
      commandIds.showConflicts,
      commandIds.copyInvite,
      commandIds.explainFile,
      commandIds.nextConflict,
    ]) {
      await vscode.commands.executeCommand(id);
    }
  });
});

describe('a shared folder', () => {
  const cancellation = new vscode.CancellationTokenSource();

  it('is shared by an engine in a process of its own, with no relay up, and says offline', async () => {
    const api = await activated();
    await api.folders.share({ dir: workspaceDir(), urls: [deadRelay], allowPlain: false }, cancellation.token);
    const pid = await eventually(api, 'engine running', () =>
      api.host.state.kind === 'running' ? api.host.state.pid : undefined,
    );
    assert.notEqual(pid, process.pid);
    await eventually(api, 'offline', () => {
      const view = viewOf(api);
      return view.kind === 'running' && view.state.state === 'offline' ? true : undefined;
    });
    assert.match(presentStatusText(api), /offline/);
    assert.ok(existsSync(path.join(workspaceDir(), '.driftless')));
  });

  it('shows a crash of the engine, and comes back with the keys from SecretStorage', async () => {
    const api = await activated();
    assert.equal(api.host.state.kind, 'running');
    const before = api.host.state.kind === 'running' ? api.host.state.pid : 0;
    const texts: string[] = [];
    const listening = api.folders.onDidChange(() => texts.push(presentStatusText(api)));
    process.kill(before, 'SIGKILL');
    const reason = await eventually(api, 'crash shown', () =>
      api.host.state.kind === 'waiting' ? api.host.state.reason : undefined,
    );
    assert.match(reason, /SIGKILL/);
    assert.ok(
      texts.some((text) => /engine stopped/.test(text)),
      texts.join(),
    );
    const after = await eventually(api, 'engine back', () =>
      api.host.state.kind === 'running' ? api.host.state.pid : undefined,
    );
    assert.notEqual(after, before);
    await eventually(api, 'folder back', () => (viewOf(api).kind === 'running' ? true : undefined));
    listening.dispose();
  });

  it('keeps its keys out of files', () => {
    const home = path.join(process.env['XDG_DATA_HOME'] ?? '', 'driftless');
    assert.ok(existsSync(home), home);
    const { readdirSync } = require('node:fs') as typeof import('node:fs');
    const files = readdirSync(home, { recursive: true, encoding: 'utf8' });
    assert.deepEqual(
      files.filter((file) => path.basename(file) === 'keys.json'),
      [],
    );
  });

  it('copies its invite to the clipboard', async () => {
    const api = await activated();
    await vscode.commands.executeCommand(commandIds.copyInvite);
    assert.match(await vscode.env.clipboard.readText(), /^driftless1-/);
    assert.equal(viewOf(api).kind, 'running');
  });

  it('pauses and resumes', async () => {
    const api = await activated();
    const state = (): string | undefined => {
      const view = viewOf(api);
      return view.kind === 'running' ? view.state.state : undefined;
    };
    await vscode.commands.executeCommand(commandIds.pause);
    await eventually(api, 'paused', () => (state() === 'paused' ? true : undefined));
    assert.match(presentStatusText(api), /paused/);
    await vscode.commands.executeCommand(commandIds.resume);
    await eventually(api, 'resumed', () => (state() === 'offline' ? true : undefined));
  });

  it('is disconnected: the files stay, the link and its own directory go', async () => {
    const api = await activated();
    await api.folders.disconnect(workspaceDir());
    assert.deepEqual(viewOf(api), { kind: 'unlinked' });
    assert.equal(existsSync(path.join(workspaceDir(), '.driftless')), false);
    assert.equal(readFileSync(path.join(workspaceDir(), 'hello.txt'), 'utf8'), 'hello\n');
  });
});
