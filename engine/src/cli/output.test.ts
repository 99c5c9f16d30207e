import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createOutput, printable } from './output.ts';

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

describe('printable', () => {
  it.each([
    ['plain äöü 日本', 'plain äöü 日本'],
    ['\u001b]0;title\u0007', '\\u001b]0;title\\u0007'],
    ['a\nb\u202eb', 'a\\u000ab\\u202eb'],
  ])('%j', (text, expected) => {
    expect(printable(text)).toBe(expected);
  });
});
