import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { defineConfig, type Plugin } from 'vitest/config';

const root = path.dirname(fileURLToPath(import.meta.url));

/**
 * Some hundred tests start a relay with its store's thread, and a thread that starts from the sources strips their types anew each
 * time, for longer than most of these tests take. In tests it starts from a bundle, as in what is built; its name is the hash of
 * its content, so that it is never that of another state of the sources.
 */
function bundledStoreWorker(): Plugin {
  const store = path.join(root, 'relay/src/store/sqlite-room-store.ts');
  const address = "new URL('./sqlite-store-worker.ts', import.meta.url)";
  let bundle = '';
  return {
    name: 'bundled-store-worker',
    enforce: 'pre',
    async configureVitest({ defineCacheKeyGenerator }) {
      bundle = await writeStoreWorker(path.join(path.dirname(store), 'sqlite-store-worker.ts'));
      // Vitest keeps what a module was made into by its source alone, and this one is made of all that it bundles.
      defineCacheKeyGenerator(({ id }) => (path.resolve(id) === store ? bundle : undefined));
    },
    transform(code, id) {
      if (path.resolve(id) !== store) return undefined;
      if (!code.includes(address)) throw new Error(`${store} names its worker otherwise than vitest.config.ts expects`);
      return code.replace(address, `new URL(${JSON.stringify(pathToFileURL(bundle).href)})`);
    },
  };
}

/** Returns the path of the bundle. */
async function writeStoreWorker(source: string): Promise<string> {
  const bundled = await build({
    entryPoints: [source],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    write: false,
  });
  const content = bundled.outputFiles[0]?.contents ?? new Uint8Array();
  const folder = path.join(root, 'node_modules/.cache/driftless');
  const file = path.join(folder, `store-worker-${createHash('sha256').update(content).digest('hex').slice(0, 16)}.mjs`);
  mkdirSync(folder, { recursive: true });
  // Whole at every moment: another run may be starting from it.
  writeFileSync(`${file}.${process.pid}.new`, content);
  renameSync(`${file}.${process.pid}.new`, file);
  return file;
}

// biome-ignore lint/style/noDefaultExport: vitest reads the default export of its configuration.
export default defineConfig({
  plugins: [bundledStoreWorker()],
  test: {
    include: [
      '{protocol,engine,relay,extension}/src/**/*.test.ts',
      'test/{contract,scenario,sim}/**/*.test.ts',
      'test/*.test.ts',
    ],
    pool: 'forks',
    // A process serves one file after the other: half a second a file less. No module of ours keeps anything but caches.
    isolate: false,
    // Vitest leaves one core free, which is half of a small machine; and much of what runs here waits for a disk or a process.
    maxWorkers: Math.max(2, availableParallelism()),
    // Limits turn a hang into a failure; they judge no speed, also not that of a machine with other things to do.
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
