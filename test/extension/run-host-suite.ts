/**
 * Runs the suites of the extension host in a real VS Code: `node run-host-suite.ts`. `@vscode/test-electron` starts the
 * executable that `VSCODE_EXECUTABLE` names (a desktop VS Code), or the stand-in of tools/. Exit code 0 only if every suite ran
 * and passed; the file that `DRIFTLESS_TEST_REPORT` names gets the counts.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runTests } from '@vscode/test-electron';
import { build } from 'esbuild';
import { buildExtension } from '../../extension/scripts/build.ts';
import type { HostResults } from './host/results.ts';

const here = path.dirname(fileURLToPath(import.meta.url));
const sources = path.join(here, 'host');
const bundles = path.join(sources, 'dist');

interface Suite {
  readonly name: string;
  readonly restricted: boolean;
}
const suites: readonly Suite[] = [
  { name: 'main', restricted: false },
  { name: 'restricted', restricted: true },
];

async function bundleSuites(): Promise<void> {
  await build({
    absWorkingDir: sources,
    entryPoints: ['index.ts', ...suites.map(({ name }) => `${name}.ts`)],
    outdir: bundles,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node22',
    external: ['vscode', 'mocha'],
    logLevel: 'warning',
  });
}

async function runSuite(suite: Suite): Promise<HostResults> {
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'driftless-host-'));
  try {
    const folder = path.join(scratch, 'project');
    mkdirSync(suite.restricted ? path.join(folder, '.driftless') : folder, { recursive: true });
    writeFileSync(path.join(folder, 'hello.txt'), 'hello\n');
    const resultsFile = path.join(scratch, 'results.json');
    await runTests({
      vscodeExecutablePath: process.env['VSCODE_EXECUTABLE'] ?? path.join(here, 'tools/code'),
      extensionDevelopmentPath: path.join(here, '../../extension'),
      extensionTestsPath: path.join(bundles, 'index.cjs'),
      launchArgs: [folder],
      reuseMachineInstall: true,
      extensionTestsEnv: {
        DRIFTLESS_TEST_NODE: process.execPath,
        DRIFTLESS_TEST_SUITE: suite.name,
        DRIFTLESS_TEST_RESULTS: resultsFile,
        ...(suite.restricted
          ? {
              EDITOR_WORKSPACE_TRUST: '1',
              EDITOR_SETTINGS: JSON.stringify({ 'security.workspace.trust.startupPrompt': 'never' }),
            }
          : {}),
      },
    }).catch((error: unknown) => console.error(`suite ${suite.name}: ${String(error)}`));
    return JSON.parse(readFileSync(resultsFile, 'utf8')) as HostResults;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

await buildExtension();
await bundleSuites();
let passed = 0;
let failed = 0;
for (const suite of suites) {
  console.log(`extension host, suite ${suite.name}`);
  try {
    const { tests } = await runSuite(suite);
    for (const test of tests)
      console.log(
        `  ${test.state === 'passed' ? '✓' : '✗'} ${test.title} (${test.ms} ms)${test.error === undefined ? '' : `\n${test.error}`}`,
      );
    passed += tests.filter((test) => test.state === 'passed').length;
    // A suite that ran nothing has failed.
    failed += tests.length === 0 ? 1 : tests.filter((test) => test.state === 'failed').length;
  } catch (error) {
    console.error(`suite ${suite.name} left no results: ${String(error)}`);
    failed += 1;
  }
}
const report = process.env['DRIFTLESS_TEST_REPORT'];
if (report !== undefined) writeFileSync(report, JSON.stringify({ passed, failed }));
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
