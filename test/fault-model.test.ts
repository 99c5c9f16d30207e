/** Numbers of the fault model that code and tests quote are written down in docs/fault-model.md: no reader is left with a bare one. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.join(import.meta.dirname, '..');
const quoted = /\b(?:F|N|M|D|C|P|W|S|Q)[1-9][0-9]?\b/g;

test('every quoted number has its line', () => {
  const files = execFileSync('git', ['ls-files', '*.ts'], { cwd: root, encoding: 'utf8' }).trim().split('\n');
  const comments = files.flatMap((file) =>
    readFileSync(path.join(root, file), 'utf8')
      .split('\n')
      .filter((line) => /^\s*(?:\/\*\*?|\*|\/\/)/.test(line) || /^\s*(?:test|it|describe)[.(]/.test(line)),
  );
  const named = new Set(comments.flatMap((line) => line.match(quoted) ?? []));
  const written = new Set(readFileSync(path.join(root, 'docs/fault-model.md'), 'utf8').match(quoted) ?? []);
  expect(named.size).toBeGreaterThan(50);
  expect([...named].filter((number) => !written.has(number)).sort()).toEqual([]);
});
