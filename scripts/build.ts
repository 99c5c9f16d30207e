/**
 * Builds what runs without the sources: `engine/dist/` (the command line and the relay's store worker) and, through its own
 * script, the extension. Bundled by esbuild in well under a second; the version is stamped from package.json.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';

export const workspaceRoot = dirname(dirname(fileURLToPath(import.meta.url)));

/** CommonJS packages inside an ES module bundle ask for Node's own modules through `require`. */
const requireBanner = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

export async function buildCommandLine(): Promise<void> {
  const { version } = JSON.parse(await readFile(join(workspaceRoot, 'package.json'), 'utf8')) as {
    readonly version: string;
  };
  const outdir = join(workspaceRoot, 'engine', 'dist');
  const built = await build({
    absWorkingDir: workspaceRoot,
    entryPoints: [
      { in: 'engine/src/cli/main.ts', out: 'cli' },
      { in: 'relay/src/store/sqlite-store-worker.ts', out: 'sqlite-store-worker' },
    ],
    outdir,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    banner: { js: requireBanner },
    define: { driftlessVersion: JSON.stringify(version) },
    logLevel: 'warning',
    write: false,
  });
  await mkdir(outdir, { recursive: true });
  for (const file of built.outputFiles) {
    // Whole at every moment, since a command line may be starting from it, and another build be under way.
    const unfinished = `${file.path}.${process.pid}.new`;
    await writeFile(unfinished, file.contents);
    await rename(unfinished, file.path);
  }
  await linkCommandLine();
}

/**
 * `node_modules/.bin/driftless` starts the Node of the checkout, where there is one that runs, whatever Node is on the path.
 * By exec, so that process id, signals and exit code are the program's own: the launcher, in JavaScript, could only start a
 * child. npm's own link to the launcher is what stays where no Node came along, and on Windows.
 */
async function linkCommandLine(): Promise<void> {
  const bin = join(workspaceRoot, 'node_modules', '.bin');
  const runs = await promisify(execFile)(join(bin, 'node'), ['--version']).then(
    () => true,
    () => false,
  );
  if (process.platform === 'win32' || !runs) return;
  const unfinished = join(bin, `driftless.${process.pid}.new`);
  await writeFile(
    unfinished,
    `#!/bin/sh
bin=$(dirname "$(readlink -f "$0")")
exec "$bin/node" "$bin/../../engine/bin/driftless.mjs" "$@"
`,
    { mode: 0o755 },
  );
  await rename(unfinished, join(bin, 'driftless'));
}

/** The extension's bundles are made by a script of its own, as `npm run package` needs them too. */
export async function buildExtension(): Promise<void> {
  const script = join(workspaceRoot, 'extension', 'scripts', 'build.ts');
  if (!existsSync(script)) return;
  const { buildExtension: run } = (await import(pathToFileURL(script).href)) as {
    readonly buildExtension: () => Promise<void>;
  };
  await run();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await Promise.all([buildCommandLine(), buildExtension()]);
