/**
 * The suites of `npm test`, in the order they run. To add one, add a row. A suite either is one check, counted by its exit code,
 * or writes a report of counts to the file named by $DRIFTLESS_TEST_REPORT: `{ "passed": n, "failed": n }`, or vitest's own JSON.
 */
export interface Suite {
  readonly name: string;
  /** Program in node_modules/.bin, and its arguments. */
  readonly command: readonly [string, ...string[]];
  readonly counts: 'one-check' | 'report';
  /** A suite that takes longer is ended, and counts as failed. */
  readonly minutesMax: number;
}

/** Replaced in arguments by the path of the suite's report. */
export const reportPlaceholder = '{report}';

export const suites: readonly Suite[] = [
  { name: 'types', command: ['tsc', '-p', '.'], counts: 'one-check', minutesMax: 10 },
  { name: 'lint and format', command: ['biome', 'ci', '.'], counts: 'one-check', minutesMax: 10 },
  // Before the tests: those of the command line run what was built.
  { name: 'build', command: ['node', 'scripts/build.ts'], counts: 'one-check', minutesMax: 10 },
  {
    // Also: generated code is up to date, golden bytes, import directions, contracts of the ports.
    name: 'tests',
    command: ['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${reportPlaceholder}`],
    counts: 'report',
    minutesMax: 30,
  },
  {
    name: 'the oldest Node',
    command: ['node', 'scripts/test-nodes.ts', '22.22.0'],
    counts: 'report',
    minutesMax: 15,
  },
  {
    name: 'extension in its host',
    command: ['node', 'test/extension/run-host-suite.ts'],
    counts: 'report',
    minutesMax: 20,
  },
  {
    name: 'two VS Code windows, end to end',
    command: ['node', 'test/extension/run-end-to-end.ts'],
    counts: 'report',
    minutesMax: 20,
  },
];
