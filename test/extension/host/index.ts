/** Runs in the extension host: mocha over the suite that `DRIFTLESS_TEST_SUITE` names; results go to `DRIFTLESS_TEST_RESULTS`. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import Mocha from 'mocha';
import type { HostResults, HostTestResult } from './results.ts';

/** A crash of the engine and its restart, on a busy machine. */
const testMsMax = 60_000;

export async function run(): Promise<void> {
  const suite = process.env['DRIFTLESS_TEST_SUITE'] ?? 'main';
  const resultsFile = process.env['DRIFTLESS_TEST_RESULTS'];
  if (resultsFile === undefined) throw new Error('DRIFTLESS_TEST_RESULTS names no file for the results');
  const mocha = new Mocha({ ui: 'bdd', timeout: testMsMax, color: false, forbidOnly: true, forbidPending: true });
  mocha.addFile(path.join(__dirname, `${suite}.cjs`));
  const tests: HostTestResult[] = [];
  const failures = await new Promise<number>((resolve) => {
    const runner = mocha.run(resolve);
    runner.on('pass', (test) => {
      tests.push({ title: test.fullTitle(), state: 'passed', ms: test.duration ?? 0 });
    });
    runner.on('fail', (test, error: unknown) => {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      tests.push({ title: test.fullTitle(), state: 'failed', ms: test.duration ?? 0, error: text });
    });
  });
  const results: HostResults = { suite, node: process.version, tests };
  writeFileSync(resultsFile, JSON.stringify(results, null, 2));
  if (failures > 0) throw new Error(`${failures} failed`);
}
