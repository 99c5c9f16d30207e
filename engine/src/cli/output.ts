/**
 * Where words go. With --json, stdout is one JSON object a line and people read stderr; without it, people read stdout. Names of files and
 * devices, and what a relay says, stand in them: whatever a terminal would obey is shown instead (rule SHOWN).
 *
 * A peer must outlive its readers: a closed stdout is said once on stderr, then ignored, and one that is not read is
 * given no more than `bufferedBytesMax`, after which events are dropped, counted, and the count is told.
 */
import type { Writable } from 'node:stream';
import { shownJson, shownText } from '@driftless/protocol';
import { codeOf } from '../node/home.ts';

/** Some 50,000 events; a reader that is behind by more is not reading. */
const bufferedBytesMax = 8 * 1024 * 1024;

export type JsonObject = Readonly<Record<string, unknown>>;

export interface Output {
  readonly json: boolean;
  /** Whether people see a terminal where `line` goes. */
  readonly interactive: boolean;
  /** One JSON line, with --json only. */
  object(value: object): void;
  /** A line for people. */
  line(text: string): void;
  /** A line for people, on stderr in any case. */
  warn(text: string): void;
  /** Text of our own on stdout, as it is. */
  script(text: string): void;
}

export interface OutputStreams {
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly isTTY?: boolean };
}

export function createOutput(options: {
  readonly json: boolean;
  readonly streams: OutputStreams;
  /** The command goes on whoever reads: then a lost reader is worth a word. */
  readonly outlivesReader?: boolean;
}): Output {
  const { stdout, stderr } = options.streams;
  const onLost = (reason: string): void => {
    if (options.outlivesReader === true) error.write(`driftless: ${reason}; the work goes on\n`);
  };
  const out = createGuardedWriter(stdout, onLost, options.json);
  // With stderr gone too there is nobody left to tell.
  const error = createGuardedWriter(stderr, () => undefined, false);
  return {
    json: options.json,
    interactive: (options.json ? stderr : stdout).isTTY === true,
    object(value) {
      if (options.json) out.write(`${shownJson(value)}\n`);
    },
    line: (text) => (options.json ? error : out).write(`${shownText(text)}\n`),
    warn: (text) => error.write(`${shownText(text)}\n`),
    script: (text) => out.write(text),
  };
}

function createGuardedWriter(
  stream: Writable,
  onLost: (reason: string) => void,
  json: boolean,
): { write(text: string): void } {
  let lost = false;
  let dropped = 0;
  stream.on('error', (failure) => {
    if (lost) return;
    lost = true;
    onLost(codeOf(failure) === 'EPIPE' ? 'nobody reads the output any more' : `the output failed (${failure.message})`);
  });
  return {
    write(text) {
      if (lost) return;
      if (stream.writableLength > bufferedBytesMax) {
        dropped += 1;
        return;
      }
      if (dropped > 0) {
        const note = `${dropped} lines were left out: nobody read them in time`;
        dropped = 0;
        stream.write(json ? `${JSON.stringify({ event: 'note', path: '', note })}\n` : `${note}\n`);
      }
      stream.write(text);
    },
  };
}
