/**
 * Builds what runs without the sources: `engine/dist/` (the command line and the relay's store worker) and, through its own
 * script, the extension. Bundled by esbuild in well under a second; the version is stamped from package.json.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
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
