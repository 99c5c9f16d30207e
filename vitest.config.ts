import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

// biome-ignore lint/style/noDefaultExport: vitest reads the default export of its configuration.
export default defineConfig({
  test: {
    include: [
      '{protocol,engine,relay,extension}/src/**/*.test.ts',
      'test/{contract,scenario,sim}/**/*.test.ts',
      'test/*.test.ts',
    ],
    pool: 'forks',
    // Vitest leaves one core free, which is half of a small machine; and much of what runs here waits for a disk or a process.
    maxWorkers: Math.max(2, availableParallelism()),
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
