/**
 * `npm run start:vscode [-- DIR DIR]`: two VS Code windows on two folders, with the extension, connected through a relay on loopback.
 * The desktop `code` where there is one on PATH, each window with a profile of its own; else code-server, whose two addresses are
 * printed. Without arguments the folders are demo folders. Everything lies in `.demo/vscode/` and is kept for the next run.
 *
 * Each window stands for a machine: profile, home and keys of its own. The invite goes to the extension in a file that only this user
 * may read. Nothing that is started outlives this program: it ends on signals, when its parent is gone, and when a desktop's
 * windows are closed.
 */
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createRelay, type RunningRelay } from '@driftless/relay';
import { createDeviceKey } from '../engine/src/crypto/device-key.ts';
import { createRoomCipher } from '../engine/src/crypto/room-cipher.ts';
import { encodeInvite } from '../engine/src/invite-code.ts';
import { nodeRandom } from '../engine/src/node/node-random.ts';
import { packageExtension } from '../extension/scripts/package.ts';
import { freePort, installVsix, startEditorServer } from '../test/extension/tools/editor-server.ts';
import { windowAddress } from '../test/extension/tools/editor-window.ts';
import { type Guarded, startGuarded } from '../test/extension/tools/guard.ts';
import { ensureCodeServer } from '../test/extension/tools/install.ts';
import { workspaceRoot } from './build.ts';
import { watchParent } from './parent-watch.ts';

/** Tests give it another place. */
const { DRIFTLESS_DEMO_DIR: demoPath = path.join(workspaceRoot, '.demo') } = process.env;
const base = path.join(demoPath, 'vscode');

interface Machine {
  readonly name: string;
  readonly folder: string;
  readonly dir: string;
}
/** Kept between runs, with mode 0600: the demo's room, and ports, which a browser's storage depends on. */
interface Kept {
  readonly secret: string;
  readonly ports: readonly [relay: number, first: number, second: number];
}

const closers: (() => Promise<void>)[] = [];
let ending: Promise<void> | undefined;

function end(code: number): void {
  ending ??= Promise.allSettled(closers.toReversed().map((close) => close())).then(() => process.exit(code));
}

process.on('SIGINT', () => end(0));
process.on('SIGTERM', () => end(0));
process.on('SIGHUP', () => end(0));
watchParent(() => end(0));

start(process.argv.slice(2)).catch((error: unknown) => {
  if (ending !== undefined) return;
  console.error(`npm run start:vscode: ${error instanceof Error ? error.message : String(error)}`);
  end(1);
});

async function start(folders: readonly string[]): Promise<void> {
  if (folders.length !== 0 && folders.length !== 2)
    throw new Error('Name two folders, or none for the demo: npm run start:vscode -- DIR DIR');
  mkdirSync(base, { recursive: true, mode: 0o700 });
  const machines = machinesOf(folders);
  const kept = await readKept();
  const relay = await startRelay(kept.ports[0]);
  const invitesFile = writeInvites(machines, inviteOf(kept, relay));
  const vsix = await packageExtension(base);
  const code = findDesktopCode();
  if (code !== undefined) await openDesktopWindows({ code, machines, invitesFile, vsix });
  else await openServers({ machines, invitesFile, vsix, ports: [kept.ports[1], kept.ports[2]] });
  console.log(`\nThe two folders are kept in sync through ${relay.url}. Ctrl-C ends everything.`);
}

function machinesOf(folders: readonly string[]): readonly Machine[] {
  const { INIT_CWD: from = process.cwd() } = process.env;
  return ['desktop', 'laptop'].map((name, index) => {
    const named = folders[index];
    const dir = path.join(base, name);
    const folder = named === undefined ? path.join(dir, 'project') : path.resolve(from, named);
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    if (!existsSync(folder)) {
      mkdirSync(folder, { recursive: true });
      if (named === undefined && index === 0)
        writeFileSync(path.join(folder, 'hello.md'), '# Hello\n\nEdit me, save, and look at the other window.\n');
    }
    return { name, dir, folder: realpathSync(folder) };
  });
}

async function readKept(): Promise<Kept> {
  const file = path.join(base, 'room.json');
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as Kept;
  const kept: Kept = {
    secret: Buffer.from(nodeRandom.bytes(32)).toString('hex'),
    ports: [await freePort(), await freePort(), await freePort()],
  };
  writeFileSync(file, JSON.stringify(kept), { mode: 0o600 });
  return kept;
}

async function startRelay(port: number): Promise<RunningRelay> {
  const relay = await createRelay({ storage: { dataDir: path.join(base, 'relay') }, port });
  closers.push(() => relay.close());
  return relay;
}

/** Both windows join the same room: whichever comes first begins it. */
function inviteOf({ secret: hex }: Kept, relay: RunningRelay): string {
  const secret = new Uint8Array(Buffer.from(hex, 'hex'));
  const epoch = 0;
  const { room } = createRoomCipher({
    secret,
    epoch,
    device: createDeviceKey(nodeRandom.bytes(32)),
    random: nodeRandom,
  });
  return encodeInvite({
    from: 'npm run start:vscode',
    device: null,
    urls: [relay.url],
    relayKey: relay.publicKey,
    room,
    epoch,
    secret,
  });
}

function writeInvites(machines: readonly Machine[], invite: string): string {
  const file = path.join(base, 'invites.json');
  writeFileSync(file, JSON.stringify(Object.fromEntries(machines.map(({ folder }) => [folder, invite]))), {
    mode: 0o600,
  });
  return file;
}

async function openServers(options: {
  readonly machines: readonly Machine[];
  readonly invitesFile: string;
  readonly vsix: string;
  readonly ports: readonly [number, number];
}): Promise<void> {
  const tools = await ensureCodeServer((line) => console.log(line));
  const addresses = await Promise.all(
    options.machines.map(async ({ name, dir, folder }, index) => {
      const settings = { 'driftless.deviceName': name };
      const server = {
        tools,
        dir,
        settings,
        env: environmentOf(dir, options.invitesFile),
        port: options.ports[index] ?? (await freePort()),
      };
      await installVsix(server, options.vsix);
      const running = await startEditorServer(server);
      closers.push(running.stop);
      return `${name.padEnd(8)} ${windowAddress(running, { folder })}`;
    }),
  );
  console.log('\nNo desktop `code` is on PATH. Open these two addresses in a browser on this machine:\n');
  for (const address of addresses) console.log(`  ${address}`);
}

/** Ends with the windows: `--wait` keeps each `code` running as long as its window is open. */
async function openDesktopWindows(options: {
  readonly code: string;
  readonly machines: readonly Machine[];
  readonly invitesFile: string;
  readonly vsix: string;
}): Promise<void> {
  const windows = await Promise.all(
    options.machines.map(async ({ name, dir, folder }): Promise<Guarded> => {
      const profile = ['--user-data-dir', path.join(dir, 'user'), '--extensions-dir', path.join(dir, 'extensions')];
      const env = { ...process.env, ...environmentOf(dir, options.invitesFile) };
      const logFile = path.join(dir, 'code.log');
      mkdirSync(path.join(dir, 'user', 'User'), { recursive: true });
      writeFileSync(
        path.join(dir, 'user', 'User', 'settings.json'),
        JSON.stringify({ 'driftless.deviceName': name, 'security.workspace.trust.enabled': false }),
      );
      const installing = await startGuarded({
        file: options.code,
        args: [...profile, '--install-extension', options.vsix, '--force'],
        env,
        logFile,
      });
      const installed = await installing.exited;
      await installing.stop();
      if (installed !== 0) throw new Error(`the extension could not be installed; see ${logFile}`);
      const window = await startGuarded({
        file: options.code,
        args: [...profile, '--new-window', '--wait', folder],
        env,
        logFile,
      });
      closers.push(window.stop);
      return window;
    }),
  );
  console.log('\nTwo windows of VS Code open now.');
  void Promise.all(windows.map(({ exited }) => exited)).then(() => end(0));
}

function environmentOf(dir: string, invitesFile: string): Readonly<Record<string, string>> {
  return { DRIFTLESS_HOME: path.join(dir, 'driftless'), DRIFTLESS_INVITES: invitesFile };
}

/** The `code` of a remote session's terminal only talks to the window that it belongs to. */
function findDesktopCode(): string | undefined {
  if (process.env['VSCODE_IPC_HOOK_CLI'] !== undefined) return undefined;
  const name = process.platform === 'win32' ? 'code.cmd' : 'code';
  return (process.env['PATH'] ?? '')
    .split(path.delimiter)
    .map((folder) => path.join(folder, name))
    .find((file) => existsSync(file));
}
