/**
 * Bundles the extension: the part that runs in the editor, its two processes, and the relay's storage worker, each one file of
 * CommonJS beside the others in `dist/`. `node build.ts`, from anywhere.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const extensionFolder = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const distFolder = path.join(extensionFolder, 'dist');

const entries = {
  extension: 'src/extension.ts',
  'engine-process': 'src/engine-process.ts',
  'relay-process': 'src/relay-process.ts',
  'sqlite-store-worker': '../relay/src/store/sqlite-store-worker.ts',
};

export async function buildExtension(outdir = distFolder): Promise<void> {
  await rm(outdir, { recursive: true, force: true });
  await build({
    absWorkingDir: extensionFolder,
    entryPoints: entries,
    outdir,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    // The oldest VS Code that package.json allows runs Node 22 or newer.
    target: 'node22',
    external: ['vscode'],
    minify: true,
    keepNames: true,
    legalComments: 'none',
    // Only asked where a worker's place is not given; relay-process.ts gives it.
    logOverride: { 'empty-import-meta': 'silent' },
    logLevel: 'warning',
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildExtension();
