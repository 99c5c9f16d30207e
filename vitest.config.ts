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
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
