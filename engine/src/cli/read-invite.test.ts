import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { Output } from './output.ts';
import { readInvite } from './read-invite.ts';

const output: Output = { json: false, interactive: false, object() {}, line() {}, warn() {}, script() {} };

describe('an invite on stdin', () => {
  it.each([
    ['a line', ['code\n'], 'code'],
    ['without a line end', ['code'], 'code'],
    ['in pieces, with space around', ['\n  co', 'de  \r\n'], 'code'],
    ['with more behind', ['code\nrest'], 'code'],
  ])('%s', async (_name, pieces, expected) => {
    expect(await readInvite(Readable.from(pieces), output)).toBe(expected);
  });

  it.each([
    ['nothing', ['']],
    ['only space', [' \n \n']],
    ['far too much', ['x'.repeat(20_000)]],
  ])('refuses %s', async (_name, pieces) => {
    await expect(readInvite(Readable.from(pieces), output)).rejects.toMatchObject({ name: 'UsageError' });
  });

  it('needs no end of input after the line', async () => {
    const endless = new Readable({ read() {} });
    endless.push('code\n');
    expect(await readInvite(endless, output)).toBe('code');
  });
});
