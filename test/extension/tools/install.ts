/**
 * Puts a real VS Code on this machine for the extension's tests: code-server (VS Code's own workbench and extension host,
 * from npm), playwright-core to drive it, and Debian's Chromium to show it in. Everything lands in this folder's git-ignored
 * `node_modules`; a stamp named by the lock file's hash makes a second call free. Run directly: `node install.ts`.
 *
 * No package's install script runs. Code-server's own would do the two nested installs below and compile native modules
 * (logging, kerberos, a watchdog) that the workbench does without.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const toolsFolder = path.dirname(fileURLToPath(import.meta.url));
const modulesFolder = path.join(toolsFolder, 'node_modules');

export interface EditorTools {
  /** The Node that runs code-server: 22 or newer. */
  readonly node: string;
  /** Code-server's entry script. */
  readonly codeServer: string;
  readonly chromium: string;
  /** Resolve `playwright-core` from this file. */
  readonly resolveFrom: string;
}

/**
 * Installs what is missing and answers where everything lies. `say` gets one line per long step.
 * Errors: a sentence with the line to paste, when a Debian package is missing and we may not install it; npm's own failure.
 */
export async function ensureEditorTools(say: (line: string) => void): Promise<EditorTools> {
  const chromium = await ensureDebianPackages(say);
  return { ...(await ensureCodeServer(say)), chromium };
}

/** As ensureEditorTools, for those who bring a browser of their own. */
export async function ensureCodeServer(say: (line: string) => void): Promise<Omit<EditorTools, 'chromium'>> {
  assertNodeIsNewEnough();
  await ensureNodePackages(say);
  return {
    node: process.execPath,
    codeServer: codeServerEntry(),
    resolveFrom: path.join(toolsFolder, 'package.json'),
  };
}

function codeServerEntry(): string {
  return path.join(modulesFolder, 'code-server/out/node/entry.js');
}

function assertNodeIsNewEnough(): void {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 22)
    throw new Error(
      `the editor tools need Node 22 or newer, this is ${process.version}: run \`npm ci\` and use node_modules/.bin/node`,
    );
}

const debianPackages = ['chromium', 'fonts-dejavu-core'] as const;

async function ensureDebianPackages(say: (line: string) => void): Promise<string> {
  const named = process.env['CHROMIUM'];
  if (named !== undefined) return named;
  const present = findChromium();
  if (present !== undefined) return present;
  const line = `apt-get update && apt-get install -y --no-install-recommends ${debianPackages.join(' ')}`;
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) {
    throw new Error(
      `the extension's tests need Chromium; as root on a Debian-like system paste: ${line} (elsewhere install it and set CHROMIUM to its path)`,
    );
  }
  say(
    `installing Debian packages ${debianPackages.join(', ')} (the window that shows VS Code in the extension's tests)`,
  );
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update', '-q'], { cwd: '/', env });
  await run('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...debianPackages], { cwd: '/', env });
  const installed = findChromium();
  if (installed === undefined) throw new Error(`Chromium is still not on PATH after: ${line}`);
  return installed;
}

function findChromium(): string | undefined {
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  return (process.env['PATH'] ?? '')
    .split(path.delimiter)
    .flatMap((folder) => names.map((name) => path.join(folder, name)))
    .find((file) => existsSync(file));
}

async function ensureNodePackages(say: (line: string) => void): Promise<void> {
  const hash = createHash('sha256')
    .update(readFileSync(path.join(toolsFolder, 'package-lock.json')))
    .digest('hex');
  const stamp = path.join(modulesFolder, `.installed-${hash.slice(0, 16)}`);
  if (existsSync(stamp)) return;
  say('installing code-server and playwright-core from npm (about 30 s, 620 MB, once)');
  // An interrupted earlier installation is not worth repairing.
  rmSync(modulesFolder, { recursive: true, force: true });
  await npm(['ci'], toolsFolder);
  const vscodeFolder = path.join(modulesFolder, 'code-server/lib/vscode');
  // `npm ci` refuses these shrinkwraps as out of step with their manifests; `npm install` honours their versions.
  await npm(['install', '--omit=dev', '--no-save'], vscodeFolder);
  await npm(['install', '--omit=dev', '--no-save'], path.join(vscodeFolder, 'extensions'));
  const version = execFileSync(process.execPath, [codeServerEntry(), '--version'], {
    encoding: 'utf8',
    env: {
      ...process.env,
      HOME: modulesFolder,
      XDG_CONFIG_HOME: path.join(modulesFolder, '.config'),
      XDG_DATA_HOME: path.join(modulesFolder, '.data'),
    },
  });
  writeFileSync(stamp, version);
}

async function npm(args: readonly string[], cwd: string): Promise<void> {
  const script = process.env['npm_execpath'];
  const common = ['--ignore-scripts', '--no-audit', '--no-fund', '--engine-strict=false', '--loglevel=error'];
  // Settings of an outer `npm test` must not leak into this unrelated installation.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^npm_(config_(prefix|local_prefix|workspace|omit|include)|package_|lifecycle_)/i.test(name),
    ),
  );
  if (script?.endsWith('.js')) await run(process.execPath, [script, ...args, ...common], { cwd, env });
  else await run('npm', [...args, ...common], { cwd, env });
}

function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (chunk) => {
      errors = (errors + String(chunk)).slice(-4_000);
    });
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0
        ? resolve()
        : reject(new Error(`\`${command} ${args.join(' ')}\` in ${options.cwd} ended with ${code}:\n${errors}`)),
    );
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const tools = await ensureEditorTools((line) => console.log(line));
  console.log(JSON.stringify(tools));
}
