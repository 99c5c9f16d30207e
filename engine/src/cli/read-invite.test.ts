import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recordedOutput } from '../testing/recorded-output.ts';
import { joinLines, readInvite } from './read-invite.ts';

const { output } = recordedOutput();

describe('an invite on stdin', () => {
  it.each([
    ['a line', ['code\n'], 'code'],
    ['without a line end', ['code'], 'code'],
    ['in pieces, with space around', ['\n  co', 'de  \r\n'], 'code'],
    ['with more behind', ['code\nrest'], 'code'],
  ])('%s', async (_name, pieces, expected) => {
    expect(await readInvite({ kind: 'stdin' }, { stdin: Readable.from(pieces), output })).toBe(expected);
  });

  it.each([
    ['nothing', ['']],
    ['only space', [' \n \n']],
    ['far too much', ['x'.repeat(20_000)]],
  ])('refuses %s', async (_name, pieces) => {
    await expect(readInvite({ kind: 'stdin' }, { stdin: Readable.from(pieces), output })).rejects.toMatchObject({
      name: 'UsageError',
    });
  });

  it('needs no end of input after the line', async () => {
    const endless = new Readable({ read() {} });
    endless.push('code\n');
    expect(await readInvite({ kind: 'stdin' }, { stdin: endless, output })).toBe('code');
  });
});

describe('an invite in a file', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'driftless-invite-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const read = (file: string) => readInvite({ kind: 'file', path: file }, { stdin: Readable.from([]), output });

  it('is its first line', async () => {
    const file = path.join(directory, 'invite');
    writeFileSync(file, 'code\n', { mode: 0o600 });
    expect(await read(file)).toBe('code');
  });

  it.skipIf(process.platform === 'win32')('is refused while others can read it, with what to do', async () => {
    const file = path.join(directory, 'my invite');
    writeFileSync(file, 'code\n', { mode: 0o644 });
    await expect(read(file)).rejects.toThrow(`Run: chmod 600 '${file}'`);
  });

  it.each(['', 'missing'])('is refused when there is none (%j)', async (name) => {
    await expect(read(path.join(directory, name))).rejects.toMatchObject({ name: 'UsageError' });
  });
});

it('an argument is taken with a warning that does not quote it', async () => {
  const recorded = recordedOutput();
  const given = { stdin: Readable.from([]), output: recorded.output };
  expect(await readInvite({ kind: 'argument', text: 'the-secret' }, given)).toBe('the-secret');
  expect(recorded.stderr).toEqual([expect.stringContaining("stays in the shell's history")]);
  expect(recorded.stderr.join()).not.toContain('the-secret');
});

it('says who invites, by their own word, what is sent, and what members can do', () => {
  const { output: shown, stdout } = recordedOutput();
  for (const line of joinLines({ from: 'Ada\u202e\n', urls: ['ws://a'] }, '/notes')) shown.line(line);
  expect(stdout).toEqual([
    'Joining the room of an invite that calls itself "Ada\\u202e\\u000a" (nothing proves that name), through ws://a.',
    'All that is in /notes is sent to its members, now and from now on. They can run code here: tasks, settings and scripts are synced.',
  ]);
});
