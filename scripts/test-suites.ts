/**
 * The suites of `npm test`, in the order of its closing list. To add one, add a row. A suite either is one check, counted by its
 * exit code, or writes a report of counts to the file named by $DRIFTLESS_TEST_REPORT: `{ "passed": n, "failed": n }`, or
 * vitest's own JSON.
 */
export interface Suite {
  readonly name: string;
  /** Program in node_modules/.bin, and its arguments. */
  readonly command: readonly [string, ...string[]];
  readonly counts: 'one-check' | 'report';
  /**
   * Suites of one lane run one after the other; those `before` come first. The lane `beside` then runs beside `main`: its suites
   * fetch, start and wait more than they compute, and neither lane writes what the other reads.
   */
  readonly lane: 'before' | 'main' | 'beside';
  /** A suite that takes longer is ended, and counts as failed. */
  readonly minutesMax: number;
}

/** Replaced in arguments by the path of the suite's report. */
export const reportPlaceholder = '{report}';

export const suites: readonly Suite[] = [
  { name: 'types', command: ['tsc', '-p', '.'], counts: 'one-check', lane: 'before', minutesMax: 10 },
  { name: 'lint and format', command: ['biome', 'ci', '.'], counts: 'one-check', lane: 'before', minutesMax: 10 },
  // Before the tests: those of the command line run what was built.
  { name: 'build', command: ['node', 'scripts/build.ts'], counts: 'one-check', lane: 'before', minutesMax: 10 },
  {
    // Also: generated code is up to date, golden bytes, import directions, contracts of the ports.
    name: 'tests',
    command: ['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${reportPlaceholder}`],
    counts: 'report',
    lane: 'main',
    minutesMax: 30,
  },
  {
    name: 'the oldest Node',
    command: ['node', 'scripts/test-nodes.ts', '22.22.0'],
    counts: 'report',
    lane: 'main',
    minutesMax: 15,
  },
  {
    name: 'extension in its host',
    command: ['node', 'test/extension/run-host-suite.ts'],
    counts: 'report',
    lane: 'beside',
    minutesMax: 20,
  },
  {
    name: 'two VS Code windows, end to end',
    command: ['node', 'test/extension/run-end-to-end.ts'],
    counts: 'report',
    lane: 'beside',
    minutesMax: 20,
  },
];
