/**
 * `npm test`: runs every suite of test-suites.ts, says how long each took, and ends with exactly one line, `N passed, N failed`; the
 * exit code is 0 only when nothing failed. A suite that did not start, did not end in time, or ran nothing counts as failed.
 * What the main lane prints is streamed; of the lane beside it, each suite's text comes as one piece when the main lane is over.
 *
 * `npm test -- types tests` runs the suites so named.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { watchParent } from './parent-watch.ts';
import { reportPlaceholder, type Suite, suites } from './test-suites.ts';

interface Counts {
  readonly passed: number;
  readonly failed: number;
}
interface Ending {
  readonly exitCode: number | null;
  /** Why it did not come to an end of its own. */
  readonly trouble?: string;
}

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const onWindows = process.platform === 'win32';

type Runnable = Pick<Suite, 'command' | 'minutesMax'>;

/** Runs `suite` with the report going to `report`, and what it prints to the file `text`, or else on. Never rejects. */
export function runSuite({ command, minutesMax }: Runnable, report: string, text?: string): Promise<Ending> {
  const [program, ...rest] = command;
  const out = text === undefined ? 'inherit' : openSync(text, 'a');
  const child = spawn(
    program,
    rest.map((argument) => argument.replace(reportPlaceholder, report)),
    {
      cwd: root,
      stdio: ['ignore', out, out],
      env: {
        ...process.env,
        PATH: `${join(root, 'node_modules', '.bin')}${delimiter}${process.env['PATH'] ?? ''}`,
        DRIFTLESS_TEST_REPORT: report,
      },
      shell: onWindows,
      // A group of its own, so that all it started can be ended with it.
      detached: !onWindows,
    },
  );
  if (typeof out === 'number') closeSync(out);
  running.add(child);
  return new Promise((resolve) => {
    const tooLong = setTimeout(() => {
      resolve({ exitCode: null, trouble: `did not end within ${minutesMax} minutes` });
      endGroup(child, 'SIGKILL');
    }, minutesMax * 60_000);
    const settle = (ending: Ending): void => {
      clearTimeout(tooLong);
      running.delete(child);
      resolve(ending);
    };
    child.once('error', (error) => settle({ exitCode: null, trouble: `did not start: ${error.message}` }));
    child.once('exit', (exitCode, signal) =>
      settle({ exitCode, ...(signal === null ? {} : { trouble: `was ended by ${signal}` }) }),
    );
  });
}

/** What a suite counts for. Something always counts: an ending without counts, or with none, is one failure. */
export function countsOf({ counts }: Pick<Suite, 'counts'>, { exitCode }: Ending, report: string | undefined): Counts {
  if (counts === 'one-check') return exitCode === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
  const read = report === undefined ? undefined : parseReport(report);
  if (read === undefined || read.passed + read.failed === 0) return { passed: read?.passed ?? 0, failed: 1 };
  return exitCode === 0 || read.failed > 0 ? read : { ...read, failed: 1 };
}

/** Counts of a report: ours, or vitest's, where files that did not load are failed suites without tests. */
function parseReport(text: string): Counts | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = value as Readonly<Record<string, unknown>>;
  const count = (name: string): number | undefined => {
    const field = fields[name];
    return typeof field === 'number' && Number.isInteger(field) && field >= 0 ? field : undefined;
  };
  const passed = count('passed') ?? count('numPassedTests');
  const failed = count('failed') ?? count('numFailedTests');
  if (passed === undefined || failed === undefined) return undefined;
  const notRun = (count('numPendingTests') ?? 0) + (count('numTodoTests') ?? 0);
  return { passed, failed: failed + notRun };
}

const running = new Set<ChildProcess>();

function endGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null) return;
  try {
    if (onWindows) child.kill(signal);
    else process.kill(-child.pid, signal);
  } catch (error) {
    // It ended in between.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

interface Outcome {
  readonly name: string;
  readonly counts: Counts;
  readonly seconds: number;
  readonly note: string;
  /** What it printed, where that was kept. */
  readonly text?: string;
}

const contentOf = (file: string): string | undefined => (existsSync(file) ? readFileSync(file, 'utf8') : undefined);
const printHeading = (name: string): void => console.log(`\n── ${name} ${'─'.repeat(Math.max(0, 76 - name.length))}`);

/** Runs the suites one after the other; their text is printed as it comes, or kept. */
async function runLane(lane: readonly Suite[], reports: string, isKept: boolean): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const suite of lane) {
    const { name } = suite;
    if (!isKept) printHeading(name);
    const report = join(reports, `${suites.indexOf(suite)}.json`);
    const text = isKept ? join(reports, `${suites.indexOf(suite)}.txt`) : undefined;
    const startedMs = performance.now();
    const ending = await runSuite(suite, report, text);
    outcomes.push({
      name,
      counts: countsOf(suite, ending, contentOf(report)),
      seconds: Math.round((performance.now() - startedMs) / 1_000),
      note: ending.trouble ?? '',
      ...(text === undefined ? {} : { text: contentOf(text) ?? '' }),
    });
  }
  return outcomes;
}

async function main(names: readonly string[]): Promise<void> {
  const unknown = names.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    console.error(`no such suite: ${unknown.join(', ')}; there are: ${suites.map(({ name }) => name).join(', ')}`);
    process.exitCode = 2;
    return;
  }
  const reports = mkdtempSync(join(tmpdir(), 'driftless-reports-'));
  const stop = (signal: NodeJS.Signals): void => {
    for (const child of running) endGroup(child, signal);
    rmSync(reports, { recursive: true, force: true });
    process.exit(1);
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  // npm passes no signal on.
  watchParent(() => stop('SIGTERM'));

  const startedMs = performance.now();
  const laneOf = (lane: Suite['lane']): readonly Suite[] =>
    suites.filter((suite) => suite.lane === lane && (names.length === 0 || names.includes(suite.name)));
  const before = await runLane(laneOf('before'), reports, false);
  const [main, beside] = await Promise.all([
    runLane(laneOf('main'), reports, false),
    runLane(laneOf('beside'), reports, true),
  ]);
  rmSync(reports, { recursive: true });
  for (const { name, text } of beside) {
    printHeading(name);
    process.stdout.write(text ?? '');
  }

  console.log(`\n${'─'.repeat(80)}`);
  const outcomes = [...before, ...main, ...beside];
  for (const { name, counts, seconds, note } of outcomes) {
    const mark = counts.failed === 0 ? '✓' : '✗';
    console.log(`${mark} ${name}: ${counts.passed} passed, ${counts.failed} failed, ${seconds} s ${note}`.trimEnd());
  }
  console.log(`  all: ${Math.round((performance.now() - startedMs) / 1_000)} s`);
  const passed = outcomes.reduce((sum, { counts }) => sum + counts.passed, 0);
  const failed = outcomes.reduce((sum, { counts }) => sum + counts.failed, 0);
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
