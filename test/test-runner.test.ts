/** The runner of `npm test` must be able to fail: what counts as a failure. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { countsOf, runSuite } from '../scripts/test.ts';
import { suites } from '../scripts/test-suites.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'driftless-runner-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const vitestReport = (fields: object): string => JSON.stringify({ numPassedTests: 7, numFailedTests: 0, ...fields });
test.each([
  ['a check that passed', 'one-check', 0, undefined, [1, 0]],
  ['a check that failed', 'one-check', 1, undefined, [0, 1]],
  ['a check that did not start', 'one-check', null, undefined, [0, 1]],
  ['tests that passed', 'report', 0, '{"passed":3,"failed":0}', [3, 0]],
  ['tests that failed', 'report', 1, '{"passed":3,"failed":2}', [3, 2]],
  ['tests that failed with a good exit', 'report', 0, '{"passed":3,"failed":2}', [3, 2]],
  ['a bad exit after tests that passed', 'report', 1, '{"passed":3,"failed":0}', [3, 1]],
  ['no report', 'report', 0, undefined, [0, 1]],
  ['a report that is none', 'report', 0, '{', [0, 1]],
  ['a report of nothing', 'report', 0, '{"passed":0,"failed":0}', [0, 1]],
  ['a report without counts', 'report', 0, '{"passed":"3"}', [0, 1]],
  ["vitest's report", 'report', 0, vitestReport({}), [7, 0]],
  ["vitest's report with tests that were left out", 'report', 0, vitestReport({ numPendingTests: 2 }), [7, 2]],
  ["vitest's report of a file that did not load", 'report', 1, vitestReport({ numFailedTestSuites: 1 }), [7, 1]],
] as const)('%s', (_, counts, exitCode, report, [passed, failed]) => {
  expect(countsOf({ counts }, { exitCode }, report)).toEqual({ passed, failed });
});

test('a suite gets the place for its report, and its exit code is seen', async () => {
  const program = join(directory, 'suite.mjs');
  writeFileSync(program, 'process.exit(process.argv[2] === process.env.DRIFTLESS_TEST_REPORT ? 3 : 4);');
  const suite = { command: ['node', program, '{report}'], minutesMax: 1 } as const;
  expect(await runSuite(suite, join(directory, 'report.json'))).toEqual({ exitCode: 3 });
});

test('what a suite prints is kept, where it runs beside others', async () => {
  const [program, text] = [join(directory, 'suite.mjs'), join(directory, 'text')];
  writeFileSync(program, 'console.log("said"); console.error("and said");');
  await runSuite({ command: ['node', program], minutesMax: 1 }, join(directory, 'report.json'), text);
  expect(readFileSync(text, 'utf8')).toBe('said\nand said\n');
});

test('a program that is not there did not start', async () => {
  const suite = { command: ['no-such-program-of-ours'], minutesMax: 1 } as const;
  expect((await runSuite(suite, '')).trouble).toMatch(/did not start/);
});

test('every suite has a name of its own', () => {
  expect(new Set(suites.map(({ name }) => name)).size).toBe(suites.length);
});
