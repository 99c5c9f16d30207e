/**
 * `npm run test:nodes`: the tests of what depends on the Node underneath (the state store, two peers over a real relay) on other
 * Nodes than the checkout's own, from the oldest that Driftless promises to the newest. Each comes from npm, into the checkout's
 * cache. `npm test` runs the oldest alone.
 *
 * With versions as arguments: on those. Electron's Node, which is VS Code's, is built otherwise and cannot be had this way: the
 * extension's own suites run in a real VS Code window.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { workspaceRoot } from './build.ts';
import { installNode, nodeVersions } from './node-packages.ts';
import { countsOf, runSuite } from './test.ts';

const testFiles = [
  'engine/src/node/checksum.test.ts',
  'engine/src/node/sqlite-state-store.test.ts',
  'engine/src/node/folder-lock.test.ts',
  'relay/src/store/sqlite-room-store.test.ts',
  'test/scenario/two-peers.test.ts',
];
const minutesMax = 10;

const execute = promisify(execFile);

/** The program of that version. Errors: what npm says when it cannot be had. */
async function nodeOf(version: string): Promise<string> {
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  const prefix = join(workspaceRoot, 'node_modules', '.cache', 'driftless', `node-${version}`);
  const program = join(prefix, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (!existsSync(program)) await installNode({ name, version, prefix });
  const { stdout } = await execute(program, ['--version']);
  if (stdout.trim() !== `v${version}`) throw new Error(`${program} says that it is ${stdout.trim()}`);
  return program;
}

let passed = 0;
let failed = 0;
const reports = mkdtempSync(join(tmpdir(), 'driftless-nodes-'));
try {
  for (const version of process.argv.length > 2 ? process.argv.slice(2) : nodeVersions) {
    console.log(`\n── Node ${version}`);
    const report = join(reports, `${version}.json`);
    try {
      const vitest = join(workspaceRoot, 'node_modules', 'vitest', 'vitest.mjs');
      const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
      const ending = await runSuite(
        {
          command: [await nodeOf(version), vitest, 'run', ...reporters, ...testFiles],
          minutesMax,
        },
        report,
      );
      const counts = countsOf(
        { counts: 'report' },
        ending,
        existsSync(report) ? readFileSync(report, 'utf8') : undefined,
      );
      passed += counts.passed;
      failed += counts.failed;
    } catch (error) {
      console.error(`Node ${version} cannot be had here, so nothing was tested on it: ${String(error)}`);
      failed += 1;
    }
  }
} finally {
  rmSync(reports, { recursive: true, force: true });
}
const { DRIFTLESS_TEST_REPORT: reportFile } = process.env;
if (reportFile !== undefined) writeFileSync(reportFile, JSON.stringify({ passed, failed }));
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
