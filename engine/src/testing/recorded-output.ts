/** The real output of the command line into memory: what a person, or with `json` a program, would get to see. */
import { PassThrough } from 'node:stream';
import { createOutput, type Output } from '../cli/output.ts';

export interface RecordedOutput {
  readonly output: Output;
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
}

export function recordedOutput(json = false): RecordedOutput {
  const [stdout, stderr] = [createLines(), createLines()];
  return {
    output: createOutput({ json, streams: { stdout: stdout.stream, stderr: stderr.stream } }),
    stdout: stdout.lines,
    stderr: stderr.lines,
  };
}

function createLines(): { readonly stream: PassThrough; readonly lines: string[] } {
  const stream = new PassThrough();
  const lines: string[] = [];
  stream.on('data', (bytes: Buffer) => lines.push(...bytes.toString('utf8').split('\n').slice(0, -1)));
  return { stream, lines };
}
