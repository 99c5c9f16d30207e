import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { recordedOutput } from '../testing/recorded-output.ts';
import { createOutput } from './output.ts';

const textOf = (stream: PassThrough): string => (stream.read() as Buffer | null)?.toString() ?? '';

describe('output', () => {
  it('gives stdout to objects and stderr to people with --json', () => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const output = createOutput({ json: true, streams: { stdout, stderr } });
    output.object({ event: 'sent', path: 'a' });
    output.line('for people');
    output.warn('careful');
    expect(textOf(stdout)).toBe('{"event":"sent","path":"a"}\n');
    expect(textOf(stderr)).toBe('for people\ncareful\n');
  });

  it('gives stdout to people without', () => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const output = createOutput({ json: false, streams: { stdout, stderr } });
    output.object({ event: 'sent' });
    output.line('for people');
    expect(textOf(stdout)).toBe('for people\n');
    expect(textOf(stderr)).toBe('');
  });

  it('says once that nobody reads any more, and goes on', async () => {
    const stdout = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error('broken pipe'), { code: 'EPIPE' })),
      autoDestroy: false,
    });
    const stderr = new PassThrough();
    const output = createOutput({ json: true, streams: { stdout, stderr }, outlivesReader: true });
    output.object({ event: 'sent' });
    await new Promise((resolve) => setImmediate(resolve));
    output.object({ event: 'sent' });
    output.object({ event: 'sent' });
    expect(textOf(stderr)).toBe('driftless: nobody reads the output any more; the work goes on\n');
  });

  it('keeps a bounded amount for a reader that does not read, and tells what was left out', () => {
    const waiting: (() => void)[] = [];
    let written = '';
    const stdout = new Writable({
      decodeStrings: false,
      write: (chunk: string, _encoding, done) => {
        written += chunk.length > 100 ? '…' : chunk;
        waiting.push(done);
      },
    });
    const output = createOutput({ json: true, streams: { stdout, stderr: new PassThrough() } });
    const megabyte = 'x'.repeat(1024 * 1024);
    for (let count = 0; count < 20; count += 1) output.object({ megabyte });
    expect(stdout.writableLength).toBeLessThan(10 * 1024 * 1024);
    while (waiting.length > 0) waiting.shift()?.();
    output.object({ event: 'sent' });
    while (waiting.length > 0) waiting.shift()?.();
    expect(written).toContain(
      '{"event":"note","path":"","note":"12 lines were left out: nobody read them in time"}\n{"event":"sent"}\n',
    );
  });
});

describe('SHOWN: what comes from outside', () => {
  it('is one line that a terminal does not obey, on either stream', () => {
    const { output, stdout, stderr } = recordedOutput();
    output.line('sent a\u001b]0;owned\u0007\nFAKE');
    output.warn('driftless: [x](command:y) https://evil.example \u202e');
    expect(stdout).toEqual(['sent a\\u001b]0;owned\\u0007\\u000aFAKE']);
    expect(stderr).toEqual(['driftless: [x]\\u0028command:y) https\\u003a//evil.example \\u202e']);
  });

  it('is exact to a program, and nothing to a terminal that shows the JSON', () => {
    const { output, stdout } = recordedOutput(true);
    const event = { event: 'sent', path: 'a\u202e\u009b2J[x](command:y)\\u0041' };
    output.object(event);
    expect(stdout).toEqual(['{"event":"sent","path":"a\\u202e\\u009b2J[x]\\u0028command:y)\\\\u0041"}']);
    expect(JSON.parse(stdout[0] ?? '')).toEqual(event);
  });
});
