import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeDirectory } from './make-directory.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'driftless-mkdir-'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

test('makes every missing level, for this user alone, and is content with one that is there', () => {
  const path = join(root, 'a/b/c');
  makeDirectory(path);
  makeDirectory(path);
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

test('a file in the way is an error', () => {
  writeFileSync(join(root, 'file'), '');
  expect(() => makeDirectory(join(root, 'file/below'))).toThrow();
});

test.runIf(process.platform === 'linux')('a place that takes no names is an error, not an endless loop', () => {
  expect(() => makeDirectory('/proc/driftless/relay')).toThrow(/ENOENT/);
});
