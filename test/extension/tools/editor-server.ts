/**
 * One code-server with settings, extensions and a home of its own: to the extension it is one machine. Secrets and mementos
 * live in the browser, per origin: a test of restarts reuses the port and the browser context.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { startGuarded } from './guard.ts';
import type { EditorTools } from './install.ts';

export interface EditorServer {
  readonly port: number;
  /** `host:port`, as workbench URIs name it. */
  readonly authority: string;
  readonly pid: number;
  /** What the server and its extension hosts printed so far. */
  log(): string;
  /** Ends the server, its extension hosts and everything that they started. Idempotent. */
  stop(): Promise<void>;
}

export interface EditorServerOptions {
  readonly tools: Pick<EditorTools, 'node' | 'codeServer'>;
  /** Everything of this server lies below; outlives `stop`. */
  readonly dir: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Added to the environment, also of the extension host. */
  readonly env?: Readonly<Record<string, string>>;
  readonly port?: number;
  /** Workspace trust as on a desktop: windows open in Restricted Mode. */
  readonly workspaceTrust?: boolean;
  /** Lets the page run a test suite in the extension host. Without it a built workbench ignores the request silently. */
  readonly testDriver?: boolean;
}

const startMsMax = 60_000;

/** Starts a code-server on a loopback port and waits until it answers. Errors: what it printed, if it does not. */
export async function startEditorServer(options: EditorServerOptions): Promise<EditorServer> {
  prepareHome(options);
  const port = options.port ?? (await freePort());
  const logFile = path.join(options.dir, 'server.log');
  const guarded = await startGuarded({
    file: options.tools.node,
    args: [
      options.tools.codeServer,
      ...folderArguments(options.dir),
      '--auth',
      'none',
      '--bind-addr',
      `127.0.0.1:${port}`,
      '--disable-telemetry',
      '--disable-update-check',
      '--disable-getting-started-override',
      '--ignore-last-opened',
      ...(options.workspaceTrust === true ? [] : ['--disable-workspace-trust']),
      ...(options.testDriver === true ? ['--vscode-option', 'enable-smoke-test-driver'] : []),
    ],
    env: environment(options),
    cwd: options.dir,
    logFile,
  });
  const log = () => readFileSync(logFile, 'utf8');
  for (let waitedMs = 0; !(await answers(port)); waitedMs += 100) {
    if (waitedMs > startMsMax || !guarded.isRunning()) {
      await guarded.stop();
      throw new Error(`code-server did not start:\n${log().slice(-2_000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { port, authority: `127.0.0.1:${port}`, pid: guarded.pid, log, stop: guarded.stop };
}

/** Installs a packaged extension into the server that lies in `dir`; the server need not run. */
export async function installVsix(options: EditorServerOptions, vsix: string): Promise<void> {
  prepareHome(options);
  const args = [options.tools.codeServer, ...folderArguments(options.dir), '--install-extension', vsix, '--force'];
  await promisify(execFile)(options.tools.node, args, { env: environment(options), timeout: 120_000 });
}

function prepareHome(options: EditorServerOptions): void {
  for (const folder of ['user/User', 'user/Machine', 'extensions', 'home'])
    mkdirSync(path.join(options.dir, folder), { recursive: true });
  writeFileSync(path.join(options.dir, 'config.yaml'), 'auth: none\n');
  const settings = { ...quietSettings, ...options.settings };
  // Settings of scope `machine` are read from the second one alone.
  for (const folder of ['user/User', 'user/Machine'])
    writeFileSync(path.join(options.dir, folder, 'settings.json'), JSON.stringify(settings, null, 2));
}

/** No tips, no news, no network: what a test sees is ours. */
const quietSettings = {
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.welcomePage.walkthroughs.openOnInstall': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'chat.disableAIFeatures': true,
  'telemetry.telemetryLevel': 'off',
  'extensions.autoCheckUpdates': false,
  'extensions.autoUpdate': false,
  'update.mode': 'none',
  'git.openRepositoryInParentFolders': 'never',
  'window.restoreWindows': 'none',
};

function folderArguments(dir: string): readonly string[] {
  return [
    '--user-data-dir',
    path.join(dir, 'user'),
    '--extensions-dir',
    path.join(dir, 'extensions'),
    '--config',
    path.join(dir, 'config.yaml'),
  ];
}

/** Code-server writes into its home even for `--version`: it gets one of its own. */
function environment(options: EditorServerOptions): NodeJS.ProcessEnv {
  const home = path.join(options.dir, 'home');
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(VSCODE_|ELECTRON_|CODE_SERVER|npm_|NODE_OPTIONS$|DRIFTLESS_HOME$)/.test(name),
    ),
  );
  return {
    ...inherited,
    HOME: home,
    XDG_CONFIG_HOME: path.join(home, '.config'),
    XDG_DATA_HOME: path.join(home, '.local/share'),
    XDG_CACHE_HOME: path.join(home, '.cache'),
    ...options.env,
  };
}

async function answers(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/healthz`)).ok;
  } catch {
    return false;
  }
}

/** RACE: another program may take the port before it is used; the start then fails with a message that names it. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}
