/**
 * The extension: builds its parts, wires them to the window, and returns. Sync itself runs in the engine process (host.ts), so
 * that neither its work nor its crash is felt in the editor.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import * as vscode from 'vscode';
import {
  eventsNotification,
  logNotification,
  secretDeleteRequest,
  secretGetRequest,
  secretSetRequest,
} from './channel.ts';
import { acceptActive, showConflicts } from './commands/conflicts.ts';
import { connectPeer } from './commands/connect-peer.ts';
import { copyInvite } from './commands/copy-invite.ts';
import { confirmHeld, disconnectFolder, explainFile, pause, resume, trustRelay } from './commands/folder-actions.ts';
import { showActions } from './commands/show-actions.ts';
import { stopRelay } from './commands/stop-relay.ts';
import { createConflictDocuments } from './conflict/conflict-documents.ts';
import { createConflictViews } from './conflict/conflict-views.ts';
import type { CommandContext } from './context.ts';
import { type CommandId, commandIds, conflictScheme } from './contributions.ts';
import { createFolders, type Folders } from './folders.ts';
import { connectHanded, readHandedInvites } from './handed-invites.ts';
import { createEngineHost, type EngineHost } from './host.ts';
import { createJoinLinkHandler } from './join-link.ts';
import { logEvents, logLines } from './log-output.ts';
import { forkEngine, startRelayProcess } from './node-processes.ts';
import { createNotices } from './notices.ts';
import { createRelayHost } from './relay-host.ts';
import { createLinkSecrets } from './secrets.ts';
import { settings } from './settings.ts';
import { createStatusBar } from './status-bar.ts';
import { createUnsavedDocuments } from './unsaved-documents.ts';
import { createWindowLog, tell } from './window.ts';

/** What the host suite may look at; only there. */
export interface TestApi {
  readonly host: EngineHost;
  readonly folders: Folders;
}

let engineHost: EngineHost | undefined;

export function activate(extension: vscode.ExtensionContext): TestApi | undefined {
  const log = createWindowLog();
  const secrets = createLinkSecrets(extension.secrets);
  const bundle = (name: string): string => path.join(extension.extensionPath, 'dist', name);
  const report = (error: unknown): void => {
    log.failed(error);
    void tell('error', error instanceof Error ? error.message : String(error));
  };

  const host = createEngineHost({
    start: () =>
      forkEngine({
        script: bundle('engine-process.cjs'),
        print: (text) => {
          for (const line of text.trimEnd().split('\n')) log.write('info', line);
        },
        logger: {
          error: (text) => log.write('error', text),
          warn: (text) => log.write('warn', text),
          info: (text) => log.write('info', text),
          log: (text) => log.write('debug', text),
        },
      }),
    serve: (connection) => {
      connection.onRequest(secretGetRequest, ({ linkId }) => secrets.get(linkId));
      connection.onRequest(secretSetRequest, ({ linkId, secrets: texts }) =>
        secrets.set(linkId, texts).then(() => null),
      );
      connection.onRequest(secretDeleteRequest, ({ linkId }) => secrets.delete(linkId).then(() => null));
      connection.onNotification(eventsNotification, (batch) => folders.take(batch));
      connection.onNotification(logNotification, (batch) => logLines(log, batch));
    },
    after,
    nowMs: () => Math.round(performance.now()),
  });
  engineHost = host;

  const folders = createFolders({
    host,
    mayBeLinked: (dir) =>
      extension.workspaceState.get<boolean>(linkedKey(dir)) === true || existsSync(path.join(dir, '.driftless')),
    remember: (dir, linked) => void extension.workspaceState.update(linkedKey(dir), linked ? true : undefined),
    isTrusted: () => vscode.workspace.isTrusted,
    policy: settings.onConflict,
    deviceName: settings.deviceName,
    unsaved: (dir) => unsaved.editsOf(dir),
    after,
  });
  // Before any folder is opened: what is unsaved is said with the opening.
  const unsaved = createUnsavedDocuments({ folders: () => folders, memory: extension.workspaceState });

  const relay = createRelayHost({
    storage: extension.globalStorageUri.fsPath,
    start: (storage) =>
      startRelayProcess({ script: bundle('relay-process.cjs'), storage, port: settings.hostedRelayPort() }),
    isAlive,
    end: (pid) => void process.kill(pid, 'SIGTERM'),
    answers: relayAnswers,
    pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  });

  const documents = createConflictDocuments(folders);
  const conflicts = createConflictViews({ folders, documents, report });
  const context: CommandContext = { host, folders, relay, conflicts, log };

  const register = (id: CommandId, run: (argument?: unknown) => Promise<void>): vscode.Disposable =>
    vscode.commands.registerCommand(id, async (argument?: unknown) => {
      try {
        await run(argument);
      } catch (error) {
        report(error);
      }
    });

  extension.subscriptions.push(
    log,
    folders,
    conflicts,
    unsaved,
    folders.onDidChange(unsaved.follow),
    createStatusBar(folders),
    createNotices(context),
    folders.onDidTell(({ folder, events }) => logEvents(log, folder.name, events)),
    vscode.workspace.registerTextDocumentContentProvider(conflictScheme, documents),
    vscode.window.registerUriHandler(createJoinLinkHandler((invite) => connectPeer(context, invite).catch(report))),
    vscode.workspace.onDidChangeWorkspaceFolders(() => folders.update(workspaceFolders())),
    vscode.workspace.onDidGrantWorkspaceTrust(() => {
      for (const { dir } of folders.list()) folders.retry(dir);
    }),
    register(commandIds.connectPeer, () => connectPeer(context)),
    register(commandIds.pause, () => pause(context)),
    register(commandIds.resume, () => resume(context)),
    register(commandIds.disconnectFolder, () => disconnectFolder(context)),
    register(commandIds.copyInvite, () => copyInvite(context)),
    register(commandIds.showConflicts, () => showConflicts(context)),
    register(commandIds.explainFile, (clicked) => explainFile(context, clicked)),
    register(commandIds.showLog, async () => log.show()),
    register(commandIds.showActions, () => showActions(context)),
    register(commandIds.confirmHeld, () => confirmHeld(context)),
    register(commandIds.trustRelay, () => trustRelay(context)),
    register(commandIds.stopRelay, () => stopRelay(context)),
    register(commandIds.acceptMine, () => acceptActive(context, 'mine')),
    register(commandIds.acceptTheirs, () => acceptActive(context, 'theirs')),
    register(commandIds.keepBoth, () => acceptActive(context, 'both')),
    register(commandIds.nextConflict, () => conflicts.showNext()),
  );

  folders.update(workspaceFolders());
  try {
    const invites = readHandedInvites(process.env['DRIFTLESS_INVITES']);
    extension.subscriptions.push(
      connectHanded({ folders, invites, isTrusted: () => vscode.workspace.isTrusted, report }),
    );
  } catch (error) {
    report(error);
  }
  if (vscode.workspace.isTrusted) relay.resume().catch(report);
  return extension.extensionMode === vscode.ExtensionMode.Test ? { host, folders } : undefined;
}

/** VS Code waits for this before it ends the extension host: folders are closed, nothing is left running. */
export async function deactivate(): Promise<void> {
  await engineHost?.close();
}

/** Folders on disk; others hold no files that could be kept in sync. */
function workspaceFolders(): readonly { readonly name: string; readonly dir: string }[] {
  return (vscode.workspace.workspaceFolders ?? [])
    .filter(({ uri }) => uri.scheme === 'file')
    .map(({ name, uri }) => ({ name, dir: uri.fsPath }));
}

function linkedKey(dir: string): string {
  return `linked:${dir}`;
}

function after(ms: number, body: () => void): () => void {
  const timer = setTimeout(body, ms);
  return () => clearTimeout(timer);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const healthMsMax = 3_000;

async function relayAnswers(url: string): Promise<boolean> {
  try {
    const answer = await fetch(new URL('/healthz', url.replace(/^ws/, 'http')), {
      signal: AbortSignal.timeout(healthMsMax),
    });
    return answer.ok;
  } catch {
    return false;
  }
}
